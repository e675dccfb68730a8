package engine

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"rosterd/engine/addr"
	"rosterd/engine/roster"
)

// user is somebody who is online. Fetches of one user run one after the other, in a goroutine that lives as
// long as there are any; at most one more is queued, and all that ask meanwhile share it.
type user struct {
	addr     addr.Bare
	host     *host
	attached int         // guarded by the shard's lock
	gone     atomic.Bool // the last resource was released; nothing of what still comes counts

	mu      sync.Mutex // guards the fields below
	running *flight    // being fetched or applied; nil: no goroutine
	queued  *flight    // not started yet: who asks now shares it
	state   state
	roster  roster.Roster
	rev     string
	fetched time.Time // when the backend last said what roster holds
}

type state uint8

const (
	absent state = iota // no roster yet
	stale               // the last good one, while the backend fails
	fresh
)

// flight is one fetch and all who wait for it.
type flight struct {
	reason Reason
	done   chan struct{} // closed when the fields below are set
	change []roster.Change
	err    error
	gone   bool // the user went offline meanwhile
}

func newFlight(r Reason) *flight { return &flight{reason: r, done: make(chan struct{})} }

// ask wants a fetch. A login is content with a fetch under way, or with a fresh roster (nil then). A refresh
// never joins a fetch that has started, since that may have read the backend before it changed.
func (e *Engine) ask(u *user, why Reason) *flight {
	u.mu.Lock()
	defer u.mu.Unlock()
	switch {
	case why == ReasonLogin && u.state == fresh:
		return nil
	case u.running == nil:
		u.running = newFlight(why)
		e.work.Add(1)
		go e.serve(u, u.running)
		return u.running
	case why == ReasonLogin:
		return u.running
	case u.queued == nil:
		u.queued = newFlight(why)
	}
	return u.queued
}

// serve flies f and whatever is queued behind it.
func (e *Engine) serve(u *user, f *flight) {
	defer e.work.Done()
	for f != nil {
		e.fly(u, f)
		u.mu.Lock()
		u.running, u.queued = u.queued, nil
		next := u.running
		u.mu.Unlock()
		close(f.done)
		f = next
	}
}

func (e *Engine) fly(u *user, f *flight) {
	e.remember(u)
	start := time.Now()
	ans, err := e.fetch(u, f.reason)
	if u.gone.Load() {
		f.gone = true
		return
	}
	if f.err = e.ctx.Err(); f.err != nil {
		return
	}
	if errors.Is(err, ErrUnknownUser) && e.mayBeEmpty(u) {
		e.log.Info("the backend does not know the user: empty roster", "user", u.addr, "reason", f.reason, "cause", err)
		ans, err = Answer{}, nil
	}
	if err != nil {
		e.failed(u, f, err, time.Since(start))
		return
	}
	e.report(u, ans.Dropped)
	f.change = e.apply(u, f, ans)
	e.log.Debug("roster fetched", "user", u.addr, "reason", f.reason, "contacts", ans.Roster.Len(), "unchanged", ans.Unchanged, "changes", len(f.change), "took", time.Since(start))
}

// apply makes a good answer the user's roster and tells the watcher.
func (e *Engine) apply(u *user, f *flight, ans Answer) (changes []roster.Change) {
	u.mu.Lock()
	from, first, rev := u.roster, u.state == absent, u.rev
	to := ans.Roster
	if ans.Unchanged {
		to = from
	}
	u.roster, u.rev, u.state, u.fetched = to, ans.Rev, fresh, time.Now()
	u.mu.Unlock()

	worthKeeping := rev != ans.Rev || !from.Equal(to) || first && !ans.Unchanged
	if first {
		from = roster.Roster{} // a kept roster was never shown to anybody
	}
	if !first || f.reason != ReasonLogin {
		changes = roster.Diff(from, to)
	}
	if first || len(changes) > 0 {
		e.tell(u, Event{From: from, To: to, Changes: changes, First: first})
	}
	if worthKeeping {
		e.keep(u)
	}
	return changes
}

// failed decides what is served instead, and says so in one line.
func (e *Engine) failed(u *user, f *flight, err error, took time.Duration) {
	e.stats.Failures.Add(1)
	f.err = err
	u.mu.Lock()
	was, known, last := u.state, !u.fetched.IsZero(), u.fetched
	if was == absent && known {
		u.state = stale
	}
	to := u.roster
	u.mu.Unlock()

	served := "the last good roster, of " + last.UTC().Format(time.RFC3339)
	if !known {
		served = "nothing: there is no last good roster"
	}
	e.log.Warn("roster fetch failed", "user", u.addr, "reason", f.reason, "error", err, "took", took.Round(time.Millisecond), "served", served)
	switch {
	case was != absent: // nothing changes for anybody
	case known:
		e.tell(u, Event{To: to, First: true, Stale: true})
	default:
		e.tell(u, Event{First: true, Err: err})
	}
}

// mayBeEmpty: a user never seen before has no contacts; one whose roster is known has lost the backend's
// favour, or the backend its data, and keeps the last good roster unless the host says otherwise.
func (e *Engine) mayBeEmpty(u *user) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.host.MissingEmpty || u.fetched.IsZero()
}

// fetch makes one call, when it is its turn among the host's parallel calls.
func (e *Engine) fetch(u *user, why Reason) (Answer, error) {
	if err := e.place(u.host, why); err != nil {
		return Answer{}, err
	}
	u.mu.Lock()
	req := Request{User: u.addr, Reason: why, Rev: u.rev}
	u.mu.Unlock()
	e.stats.Fetches.Add(1)
	ctx, cancel := context.WithTimeout(e.ctx, u.host.Timeout)
	type result struct {
		ans Answer
		err error
	}
	got := make(chan result, 1)
	go func() {
		defer func() { <-u.host.places }()
		defer func() {
			if p := recover(); p != nil {
				got <- result{err: &FaultError{Kind: "trap", Err: fmt.Errorf("panic: %v", p)}}
			}
		}()
		ans, err := u.host.Backend.Fetch(ctx, req)
		got <- result{ans, err}
	}()
	defer cancel()
	select {
	case r := <-got:
		if r.err == nil && r.ans.Unchanged && req.Rev == "" {
			r.err = &FaultError{Kind: "protocol", Err: errors.New("answered that nothing changed, but was given no revision")}
		}
		return r.ans, r.err
	case <-ctx.Done():
		return Answer{}, fmt.Errorf("no answer within %v: %w", u.host.Timeout, ctx.Err())
	}
}

// place waits for one of the host's parallel calls. A login waits only so long, since somebody waits for it.
func (e *Engine) place(h *host, why Reason) error {
	select {
	case h.places <- struct{}{}:
		return nil
	default:
	}
	var late <-chan time.Time
	if why == ReasonLogin {
		t := time.NewTimer(h.QueueTimeout)
		defer t.Stop()
		late = t.C
	}
	select {
	case h.places <- struct{}{}:
		return nil
	case <-late:
		return &TemporaryError{Err: fmt.Errorf("all %d calls to the backend were busy for %v", h.Parallel, h.QueueTimeout)}
	case <-e.ctx.Done():
		return e.ctx.Err()
	}
}

func (e *Engine) report(u *user, bad []roster.BadItem) {
	if len(bad) == 0 {
		return
	}
	e.stats.Dropped.Add(int64(len(bad)))
	const most = 5
	for _, b := range bad[:min(len(bad), most)] {
		e.log.Warn("contact left out", "user", u.addr, "jid", b.JID, "reason", b.Reason)
	}
	if n := len(bad) - most; n > 0 {
		e.log.Warn("more contacts left out", "user", u.addr, "more", n)
	}
}
