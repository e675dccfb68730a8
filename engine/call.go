package engine

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"time"
)

// errLeft is what a fetch ends with when the user is no longer online. Nobody is told.
var errLeft = errors.New("the user has left")

// grace is how long a call whose time is up may take to say what it was waiting for.
const grace = 100 * time.Millisecond

type result struct {
	ans Answer
	err error
}

// fetch makes one call, when it is its turn among the host's parallel calls and unless the breaker is open. Who
// leaves or is late is not waited for; the call itself then goes on, unheard, until it ends or its time is up.
func (e *Engine) fetch(u *user, f *flight) (Answer, error) {
	why := f.reason
	u.mu.Lock()
	req := Request{User: u.addr, Reason: why, Rev: u.rev, Last: u.managed}
	awaited := why == ReasonLogin || u.state == absent
	u.mu.Unlock()
	try, err := e.admit(u, why, awaited)
	if err != nil {
		return Answer{}, err
	}
	e.stats.Fetches.Add(1)
	h := u.host.conf()
	f.generation = h.Generation
	ctx, cancel := context.WithTimeout(e.ctx, h.Timeout)
	got := make(chan result, 1)
	e.work.Add(1) // never the first: the user's goroutine counts
	e.crew.do(func() {
		defer e.work.Done()
		defer u.host.places.leave()
		defer cancel()
		r := result{err: &FaultError{Kind: "trap", Err: errors.New("the call ended without an answer")}}
		defer func() { e.ended(try, r.err); got <- r }() // also when the backend ends its goroutine
		r = call(ctx, h.Backend, req)
	})
	select {
	case r := <-got:
		return r.ans, r.err
	case <-u.left:
		context.AfterFunc(ctx, func() { // of a backend that never returns
			if ctx.Err() == context.DeadlineExceeded {
				e.ended(try, &lateError{h.Timeout, ctx.Err()})
			}
		})
		return Answer{}, errLeft
	case <-ctx.Done():
	}
	r := result{err: ctx.Err()}
	select {
	case r = <-got:
	case <-time.After(grace):
	}
	if r.err != nil && ctx.Err() == context.DeadlineExceeded {
		r.err = &lateError{h.Timeout, r.err}
		e.ended(try, r.err)
	}
	return r.ans, r.err
}

// admit waits for one of the host's parallel calls. While the breaker is open it fails at once; a refresh first
// waits for a probe under way, since both show that the backend is back.
func (e *Engine) admit(u *user, why Reason, awaited bool) (*attempt, error) {
	b := &u.host.breaker
	for {
		probe, err := b.refuses(why)
		if err == nil {
			if err = e.place(u, awaited); err != nil {
				return nil, err
			}
			var try *attempt
			if try, probe, err = b.begin(u.addr, why); err == nil {
				return try, nil
			}
			u.host.places.leave()
		}
		if why.patient() || probe == nil {
			return nil, err
		}
		select {
		case <-probe:
		case <-u.left:
			return nil, errLeft
		case <-e.ctx.Done():
			return nil, ErrClosed
		}
	}
}

// ended tells the breaker what became of a call, and the log if that changed something.
func (e *Engine) ended(try *attempt, err error) {
	if e.ctx.Err() != nil {
		return // Close ends calls, which says nothing about the backend
	}
	switch b := try.b; try.end(err) {
	case tripped:
		s := b.state()
		e.log.Warn("the backend is not asked for a while: too many failures in a row", "host", b.host, "failures", s.Faults, "error", s.LastError, "until", s.Until.UTC().Format(time.RFC3339))
	case healed:
		e.log.Info("the backend is asked again", "host", b.host)
	}
}

// lateError is what became of a call whose time was up. It is a context.DeadlineExceeded, whatever the backend
// calls it.
type lateError struct {
	after time.Duration
	err   error
}

func (e *lateError) Error() string   { return fmt.Sprintf("no answer within %v: %v", e.after, e.err) }
func (e *lateError) Unwrap() []error { return []error{context.DeadlineExceeded, e.err} }

func call(ctx context.Context, b Backend, req Request) (r result) {
	defer func() {
		if p := recover(); p != nil {
			r = result{err: &FaultError{Kind: "trap", Err: &panicked{p, debug.Stack()}}}
		}
	}()
	r.ans, r.err = b.Fetch(ctx, req)
	if r.err == nil && r.ans.Unchanged && req.Rev == "" {
		r.err = &FaultError{Kind: "protocol", Err: errors.New("answered that nothing changed, but was given no revision")}
	}
	return r
}

// panicked is a panic of a backend. The stack is for the log alone.
type panicked struct {
	value any
	stack []byte
}

func (p *panicked) Error() string { return fmt.Sprintf("panic: %v", p.value) }

// place waits for one of the host's parallel calls. Where somebody waits for a first roster it waits only so
// long; a refresh has time.
func (e *Engine) place(u *user, awaited bool) error {
	h, p := u.host.conf(), &u.host.places
	w := p.enter(awaited)
	if isClosed(w.ready) {
		return nil
	}
	var late <-chan time.Time
	if awaited {
		t := time.NewTimer(h.QueueTimeout)
		defer t.Stop()
		late = t.C
	}
	var err error
	select {
	case <-w.ready:
		return nil
	case <-late:
		err = &TemporaryError{Err: fmt.Errorf("all %d calls to the backend were busy for %v", h.Parallel, h.QueueTimeout)}
	case <-u.left:
		err = errLeft
	case <-e.ctx.Done():
		err = ErrClosed
	}
	p.giveUp(w)
	return err
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}
