package engine

import (
	"cmp"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"rosterd/engine/addr"
	"rosterd/engine/roster"
)

// user is one life of somebody who is online, from the first resource to the last. Fetches of one user run one
// after the other, in a goroutine that lives as long as there are any; at most one more is queued, and all that
// ask meanwhile share it.
type user struct {
	addr     addr.Bare
	host     *host
	attached int32           // guarded by the shard's lock
	over     atomic.Bool     // the last resource is released: nothing of what still comes counts
	former   <-chan struct{} // closed when nothing of the user's former life comes any more; nil: there is none

	mu      sync.Mutex    // guards the fields below
	running *flight       // being fetched or applied; nil: no goroutine
	queued  *flight       // not started yet: who asks now shares it
	ended   chan struct{} // closed when the goroutine has done its last
	left    chan struct{} // closed when the life is over; for that goroutine, which waits

	state   state
	kept    bool  // a keeper has the roster
	release bool  // what is held may come through
	unsure  bool  // no refresh since the login: what was before it may be long past
	retries int32 // failures in a row that are this user's

	roster     roster.Roster
	managed    roster.Roster // what of it the backend has said: all, where the host has no Own
	rev        string
	generation string    // of the backend that roster is of
	fetched    time.Time // when the backend last said what roster holds
	history    roster.History
	named      *terms                 // what terms returns; nil: the backend named none
	held       *Held                  // an answer that the shrink guard holds back; nil: none
	parting    map[addr.Bare]struct{} // whom the user has removed, and no answer has lacked yet
	notes      *notes
	retry      *try // the next one; nil: none is due

	unsettled []addr.Bare // pairs that the login found changed; their other sides follow with the next refresh
}

func newUser(a addr.Bare, h *host, former <-chan struct{}) *user {
	return &user{addr: a, host: h, former: former}
}

func (u *user) gone() bool { return u.over.Load() }

// leave ends this life. What it returns is closed when nothing of it comes any more, nil if that is so already.
func (u *user) leave() <-chan struct{} {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.over.Store(true)
	u.calm()
	if u.running == nil {
		return nil
	}
	close(u.left)
	return u.ended
}

type state uint8

const (
	absent state = iota // no roster yet
	stale               // the last good one, since the backend failed
	fresh
)

// flight is one fetch and all who wait for it.
type flight struct {
	reason Reason
	done   chan struct{} // closed when the fields below are set
	change []roster.Change
	others []addr.Bare // of a refresh: contacts to be refreshed as well
	err    error
	gone   bool // the user went offline meanwhile

	refreshes  uint32 // the user's tally when the fetch began
	generation string // of the backend that was asked

	failed bool // guarded by the user's lock: who asks from now on has missed what is told of it
}

func newFlight(r Reason) *flight { return &flight{reason: r, done: make(chan struct{})} }

// Flights that never took off.
var (
	tooLate = landed(flight{gone: true})
	closed  = landed(flight{err: ErrClosed})
	noHost  = landed(flight{err: ErrNoHost})
)

func landed(f flight) *flight {
	f.done = make(chan struct{})
	close(f.done)
	return &f
}

// ask wants a fetch. A login is content with a fetch under way, or with a fresh roster (nil then). A refresh
// never joins a fetch that has started, since that may have read the backend before it changed.
func (e *Engine) ask(u *user, why Reason) *flight {
	u.mu.Lock()
	defer u.mu.Unlock()
	switch {
	case u.gone():
		return tooLate
	case u.host.removed.Load():
		return noHost
	case why.patient() && u.state == fresh:
		return nil
	case u.running == nil:
		return e.takeOff(u, newFlight(why))
	case why.patient() && !u.running.failed && !u.besides(u.running):
		return u.running
	case u.queued == nil:
		u.queued = newFlight(why)
	case u.queued.reason.patient(), why == ReasonRefresh, u.besides(u.queued): // which would fetch nothing
		u.queued.reason = why
	}
	return u.queued
}

func (e *Engine) takeOff(u *user, f *flight) *flight {
	if !e.begin() {
		return closed
	}
	u.running, u.ended, u.left = f, make(chan struct{}), make(chan struct{})
	ended := u.ended
	e.crew.do(func() { e.serve(u, f, ended) })
	return f
}

// serve flies f and whatever is queued behind it, after all that a former life of the user still had to do.
func (e *Engine) serve(u *user, f *flight, ended chan struct{}) {
	defer e.work.Done()
	if u.former != nil {
		<-u.former
		u.former = nil
	}
	for f != nil {
		e.fly(u, f)
		u.mu.Lock()
		u.running, u.queued = u.queued, nil
		next := u.running
		if next == nil {
			u.ended, u.left = nil, nil // a hundred thousand idle users would keep theirs
		}
		u.mu.Unlock()
		close(f.done)
		e.catchUp(u, f)
		f = next
	}
	close(ended)
	if u.gone() {
		e.forget(u.addr, ended)
	}
}

func (e *Engine) fly(u *user, f *flight) {
	if e.over(u, f) {
		return
	}
	e.remember(u)
	if e.edited(u, f) {
		return
	}
	if f.reason.patient() && e.serveFresh(u) {
		return
	}
	start := time.Now()
	f.refreshes = e.refreshes.of(u.addr).Load()
	ans, err := e.fetch(u, f)
	if e.over(u, f) {
		return
	}
	took := time.Since(start)
	cause := err
	if errors.Is(err, ErrUnknownUser) && e.mayBeEmpty(u) {
		e.log.Info("the backend does not know the user: empty roster", "user", u.addr, "reason", f.reason, "cause", err)
		ans, err = Answer{}, nil
	}
	if err == nil {
		e.report(u, ans.Dropped)
		err = e.guard(u, ans)
		cause = cmp.Or(cause, err)
	}
	var own roster.Roster
	if err == nil {
		own, err = u.host.conf().own(e.ctx, u.addr)
	} else if mixed := e.mixed(u, f); mixed != nil {
		err = errors.Join(err, mixed)
	}
	if err != nil {
		e.failed(u, f, err, took)
	} else {
		f.change = e.apply(u, f, ans, own)
		e.log.Debug("roster fetched", "user", u.addr, "reason", f.reason, "contacts", ans.Roster.Len(), "unchanged", ans.Unchanged, "changes", len(f.change), "took", took)
	}
	e.observed(u, f, ans, cause, took)
}

// over tells whether nobody is left to be told, and notes why.
func (e *Engine) over(u *user, f *flight) bool {
	f.gone = u.gone()
	switch {
	case e.ctx.Err() != nil:
		f.err = ErrClosed
	case u.host.removed.Load():
		f.err = ErrNoHost
	}
	return f.gone || f.err != nil
}

// keptLongEnough is how old the date of a kept roster may become before it is written again for its date alone.
const keptLongEnough = time.Hour

// apply makes a good answer, with what is the user's own, his roster and tells the watcher.
func (e *Engine) apply(u *user, f *flight, ans Answer, own roster.Roster) (changes []roster.Change) {
	u.mu.Lock()
	from, managed, first, rev, known, last := u.roster, u.managed, u.state == absent, u.rev, !u.fetched.IsZero(), u.fetched
	terms, held := u.terms(), u.held
	u.mu.Unlock()
	if ans.Unchanged {
		ans.Roster, ans.Rev = managed, cmp.Or(ans.Rev, rev)
	}
	to := beside(u.addr, ans.Roster, own)
	var steps []roster.Change // since the last good one, which may be of a former life
	if known {
		steps = roster.Diff(from, to)
	}
	u.mu.Lock()
	u.history = u.history.After(from, steps, u.host.conf().Steps)
	u.roster, u.managed, u.rev, u.state, u.fetched = to, ans.Roster, ans.Rev, fresh, time.Now()
	u.parted(ans.Roster)
	now := termsOf(ans, u.fetched)
	u.setTerms(now)
	u.generation, u.held = f.generation, nil
	u.calm()
	u.retries = 0
	u.note(func(n *notes) { n.dropped(ans) })
	u.mu.Unlock()

	f.others = e.otherSidesOf(u, f.reason, to, steps, first)
	worthKeeping := rev != ans.Rev || !from.Equal(to) || !managed.Equal(ans.Roster) || !known || time.Since(last).Abs() > keptLongEnough ||
		held != nil || !terms.plain() || !now.plain()
	switch {
	case !first:
		changes = steps
	case !f.reason.patient():
		changes = roster.Diff(roster.Roster{}, to)
	}
	if first {
		from = roster.Roster{} // a kept roster was never shown to anybody
	}
	if first || len(changes) > 0 {
		e.tell(u, Event{From: from, To: to, Changes: changes, First: first})
	}
	if worthKeeping {
		e.keepAnswer(u, f)
	}
	return changes
}

// failed decides what is served instead, and says so in one line.
func (e *Engine) failed(u *user, f *flight, err error, took time.Duration) {
	e.stats.Failures.Add(1)
	f.err = err
	u.mu.Lock()
	was, known, last := u.state, !u.fetched.IsZero(), u.fetched
	tooOld := was == absent && known && u.terms().tooOld(err)
	if known && !tooOld {
		u.state = stale // also of a roster that was fresh: the next login tries again
	}
	f.failed = true
	if h := (*HeldError)(nil); errors.As(err, &h) {
		e.retryIn(u, h.wait())
	} else {
		e.again(u, err)
	}
	u.note(func(n *notes) { n.lastErr, n.failed = err, time.Now() })
	to, until := u.roster, u.terms().ServeUntil
	u.mu.Unlock()

	served := "the last good roster, of " + last.UTC().Format(time.RFC3339)
	switch {
	case !known:
		served = "nothing: there is no last good roster"
	case tooOld:
		err = &expiredError{last, until, err}
		f.err = err
		served = "nothing: the last good roster may no longer be served (stale-if-error)"
	}
	e.logFailure(u, f, err, took, served)
	switch {
	case was != absent: // nothing changes for anybody
	case known && !tooOld:
		e.tell(u, Event{To: to, First: true, Stale: true})
	default:
		e.tell(u, Event{First: true, Err: err})
	}
}

// logFailure says in one line what was wrong and what is served. While the breaker is open, and of an answer that is
// held still, that was said before.
func (e *Engine) logFailure(u *user, f *flight, err error, took time.Duration, served string) {
	attrs := []any{"user", u.addr, "reason", f.reason, "error", err, "took", took.Round(time.Millisecond), "served", served}
	var open *openError
	var held *HeldError
	var p *panicked
	switch {
	case errors.As(err, &held) && !held.again:
		e.log.Warn("roster held back: the answer removes too many contacts", "user", u.addr, "reason", f.reason, "removes", held.Removed, "of", held.Of, "guard", u.host.conf().ShrinkGuard)
		return
	case errors.As(err, &open), errors.As(err, &held):
		e.log.Debug("roster not fetched", attrs...)
		return
	case errors.As(err, &p):
		attrs = append(attrs, "stack", string(p.stack))
	}
	e.log.Warn("roster fetch failed", attrs...)
}

// mayBeEmpty: a user never seen before has no contacts; one who is known to have some has lost the backend's
// favour, or the backend its data, and keeps the last good roster unless the host says otherwise.
func (e *Engine) mayBeEmpty(u *user) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.host.conf().MissingEmpty || u.managed.Len() == 0
}

func (e *Engine) report(u *user, bad []roster.BadItem) {
	if len(bad) == 0 {
		return
	}
	const most = 5
	for _, b := range bad[:min(len(bad), most)] {
		e.log.Warn("contact left out", "user", u.addr, "jid", b.JID, "reason", b.Reason)
	}
	if n := len(bad) - most; n > 0 {
		e.log.Warn("more contacts left out", "user", u.addr, "more", n)
	}
}
