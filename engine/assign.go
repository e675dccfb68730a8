package engine

import (
	"context"
	"fmt"
	"runtime/debug"

	"rosterd/engine/addr"
	"rosterd/engine/roster"
)

// Assigner keeps rosters in which an application puts contacts, whatever their users may do with them.
type Assigner interface {
	// Assign makes one change: all of it or nothing, and what it returns for is on disk. It returns how many contacts are
	// others now. ErrDenied and ErrFull refuse it, and what Decide returns ends it; whatever else it returns is as in
	// Backend. Calls for one user come one after the other, and not while an Edit of his is made.
	Assign(ctx context.Context, a Assignment) (changed int, err error)
}

// Assignment is a change of a user's roster by an application: nobody is asked, nothing is routed, and the rosters of the
// contacts stay as they are.
type Assignment struct {
	User addr.Bare
	// Decide is called with the roster as it is kept, and says how contacts are to stand in it, subscription included,
	// and who is to leave it. Of a contact's Ask and Approved nothing is taken: who has asked, or was asked, still has if there
	// is still something to ask for. Who is not there to leave is no error.
	Decide func(now roster.Roster) (put []roster.Item, remove []addr.Bare, err error)
}

// Assign changes the roster of a user, whether he is online or not, in the order in which his own edits are made. If he
// is online, what changed has been told to the watcher when it returns; so a watcher must not wait for it. When ctx ends
// first, a change that has begun goes on. The error wraps ErrNoHost, ErrReadOnly where the host has no Assigner,
// ErrClosed, that of ctx, or is the Assigner's.
func (e *Engine) Assign(ctx context.Context, a Assignment) (changed int, err error) {
	h := e.host(a.User.Domain())
	if h == nil {
		return 0, fmt.Errorf("%w for %s", ErrNoHost, a.User.Domain())
	}
	if h.conf().Assigner == nil {
		return 0, fmt.Errorf("roster of %s: %w", a.User, ErrReadOnly)
	}
	if !e.begin() {
		return 0, ErrClosed
	}
	type outcome struct {
		changed int
		err     error
	}
	got := make(chan outcome, 1)
	before, done := e.edits.queue(a.User)
	go func() {
		defer e.work.Done()
		defer done()
		if before != nil {
			<-before
		}
		o := outcome{err: errEdit}
		defer func() { got <- o }()
		if err := ctx.Err(); err != nil {
			o.err = err
			return
		}
		wanted := false
		decide := a.Decide
		a.Decide = func(now roster.Roster) ([]roster.Item, []addr.Bare, error) {
			put, remove, err := decide(now)
			wanted = len(put)+len(remove) > 0
			return put, remove, err
		}
		// What is there already may be so by an assignment that has failed, and was not told: it was late.
		if o.changed, o.err = e.assign(h, a); o.err == nil && wanted {
			e.changed(h, a.User)
		}
	}()
	select {
	case o := <-got:
		return o.changed, o.err
	case <-ctx.Done():
		return 0, fmt.Errorf("change the roster of %s: %w", a.User, ctx.Err())
	}
}

// assign is one call to the Assigner.
func (e *Engine) assign(h *host, a Assignment) (changed int, err error) {
	leave, err := e.turn(h)
	if err != nil {
		return 0, err
	}
	defer leave()
	c := h.conf()
	if c.Assigner == nil {
		return 0, ErrReadOnly // another backend has come meanwhile
	}
	ctx, cancel := context.WithTimeout(e.ctx, c.Timeout)
	defer cancel()
	defer func() {
		if p := recover(); p != nil {
			changed, err = 0, &FaultError{Kind: "trap", Err: &panicked{p, debug.Stack()}}
		}
	}()
	changed, err = c.Assigner.Assign(ctx, a)
	switch {
	case err == nil:
		return changed, nil
	case ctx.Err() == context.DeadlineExceeded:
		err = &lateError{c.Timeout, err}
	}
	return 0, e.endOf(err)
}

// Look is a user's roster as the backend of his host has it now, where that is at hand: where applications assign
// contacts. It is told to nobody. The error is as in Assign.
func (e *Engine) Look(ctx context.Context, user addr.Bare) (roster.Roster, error) {
	h := e.host(user.Domain())
	if h == nil {
		return roster.Roster{}, fmt.Errorf("%w for %s", ErrNoHost, user.Domain())
	}
	c := h.conf()
	if c.Assigner == nil {
		return roster.Roster{}, fmt.Errorf("roster of %s: %w", user, ErrReadOnly)
	}
	ctx, cancel := context.WithTimeout(ctx, c.Timeout)
	defer cancel()
	ans, err := c.Backend.Fetch(ctx, Request{User: user, Reason: ReasonTest})
	if err != nil {
		return roster.Roster{}, fmt.Errorf("roster of %s: %w", user, err)
	}
	return ans.Roster, nil
}
