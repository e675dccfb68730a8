package engine

import (
	"fmt"
	"hash/maphash"
	"sync/atomic"
	"time"

	"rosterd/engine/addr"
	"rosterd/engine/roster"
)

// terms are on what terms the backend gave us the last good roster.
type terms struct {
	FreshUntil time.Time `json:"fresh_until,omitzero"` // a login until then needs no fetch
	ServeUntil time.Time `json:"serve_until,omitzero"` // after that it does not stand in for an error (RFC 5861 §4); zero: always
}

func (t terms) plain() bool { return t == terms{} }

// terms are on what terms the user's roster was given. Few backends name any: idle users do not pay for them. Under
// the user's lock, as setTerms.
func (u *user) terms() terms {
	if u.named == nil {
		return terms{}
	}
	return *u.named
}

func (u *user) setTerms(t terms) {
	u.named = nil
	if !t.plain() {
		u.named = &t
	}
}

// termsOf is on what terms an answer was given.
func termsOf(ans Answer, now time.Time) terms {
	var t terms
	if ans.MaxAge > 0 {
		t.FreshUntil = now.Add(ans.MaxAge)
	}
	if ans.Bounded {
		t.ServeUntil = now.Add(ans.MaxAge).Add(ans.StaleIfError)
	}
	return t
}

// tallies count the refreshes that named a user. What was fetched while a tally changed may be older than what the
// refresh spoke of. Users share tallies, which costs one of them a fetch now and then.
type tallies [4096]atomic.Uint32

func (t *tallies) of(u addr.Bare) *atomic.Uint32 {
	return &t[maphash.String(seed, u.String())%uint64(len(t))]
}

// keepAnswer keeps what flight f has brought. If a refresh has named the user since it was asked for, it is not
// kept as fresh, also if that comes while it is being kept: then either this sees the tally, or the refresh finds
// what is to be spoilt.
func (e *Engine) keepAnswer(u *user, f *flight) {
	tally := e.refreshes.of(u.addr)
	if tally.Load() == f.refreshes {
		if e.keep(u); tally.Load() == f.refreshes {
			return
		}
	}
	u.mu.Lock()
	t := u.terms()
	t.FreshUntil = time.Time{}
	u.setTerms(t)
	u.mu.Unlock()
	e.keep(u)
}

// tooOld tells whether the last good roster may no longer stand in for this error. The limit is one for errors: an
// answer that we hold back ourselves is none.
func (t terms) tooOld(err error) bool {
	_, held := err.(*HeldError)
	return !held && !t.ServeUntil.IsZero() && !time.Now().Before(t.ServeUntil)
}

// expiredError is what a login gets where the last good roster is older than the backend allows.
type expiredError struct {
	fetched, until time.Time
	err            error
}

func (e *expiredError) Error() string {
	return fmt.Sprintf("%v; the last good roster, of %s, could be served until %s (stale-if-error)", e.err, e.fetched.UTC().Format(time.RFC3339), e.until.UTC().Format(time.RFC3339))
}

func (e *expiredError) Unwrap() error { return e.err }

// serveFresh serves the kept roster where the backend said that it is fresh still, and nobody has said since that it
// changed.
func (e *Engine) serveFresh(u *user) bool {
	keeper, ok := u.host.conf().Keeper.(FreshKeeper)
	u.mu.Lock()
	until := u.terms().FreshUntil
	may := ok && u.state == absent && u.held == nil && !u.fetched.After(time.Now()) && time.Now().Before(until) // a clock that was put back proves nothing
	u.mu.Unlock()
	if !may {
		return false
	}
	kept, err := keeper.Fresh(e.ctx, u.addr)
	if err != nil {
		if e.ctx.Err() == nil {
			e.log.Error("asking whether a kept roster is fresh", "user", u.addr, "error", err)
		}
		return false
	}
	if !kept.Equal(until) {
		return false
	}
	u.mu.Lock()
	u.state, u.unsure = fresh, true
	to := u.roster
	u.mu.Unlock()
	e.stats.Spared.Add(1)
	e.log.Debug("the kept roster is fresh", "user", u.addr, "until", until)
	e.tell(u, Event{From: roster.Roster{}, To: to, First: true})
	return true
}
