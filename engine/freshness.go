package engine

import (
	"fmt"
	"time"

	"rosterd/engine/roster"
)

// terms are on what terms the backend gave us the last good roster.
type terms struct {
	FreshUntil time.Time `json:"fresh_until,omitzero"` // a login until then needs no fetch
	ServeUntil time.Time `json:"serve_until,omitzero"` // after that it does not stand in for an error (RFC 5861 §4); zero: always
	NoStore    bool      `json:"-"`                    // it is not kept on disk
}

func (t terms) plain() bool { return t == terms{} }

// termsOf is what the user's last answer was given on. A refresh that waits has heard that there is something
// newer. Under the user's lock.
func (u *user) termsOf(ans Answer) terms {
	t := terms{NoStore: ans.NoStore}
	if ans.MaxAge > 0 && (u.queued == nil || u.queued.reason.patient()) {
		t.FreshUntil = u.fetched.Add(ans.MaxAge)
	}
	if ans.Bounded {
		t.ServeUntil = u.fetched.Add(ans.MaxAge).Add(ans.StaleIfError)
	}
	return t
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
	until := u.terms.FreshUntil
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
