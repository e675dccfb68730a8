package engine

import (
	"container/list"
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
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

// fetch makes one call, when it is its turn among the host's parallel calls. Who leaves or is late is not
// waited for; the call itself then goes on, unheard, until it ends or its time is up.
func (e *Engine) fetch(u *user, why Reason) (Answer, error) {
	u.mu.Lock()
	req := Request{User: u.addr, Reason: why, Rev: u.rev}
	awaited := why == ReasonLogin || u.state == absent
	u.mu.Unlock()
	if err := e.place(u, awaited); err != nil {
		return Answer{}, err
	}
	e.stats.Fetches.Add(1)
	ctx, cancel := context.WithTimeout(e.ctx, u.host.Timeout)
	got := make(chan result, 1)
	e.work.Add(1) // never the first: the user's goroutine counts
	go func() {
		defer e.work.Done()
		defer u.host.places.leave()
		defer cancel()
		r := result{err: &FaultError{Kind: "trap", Err: errors.New("the call ended without an answer")}}
		defer func() { got <- r }() // also when the backend ends its goroutine
		r = call(ctx, u.host.Backend, req)
	}()
	select {
	case r := <-got:
		return r.ans, r.err
	case <-u.left:
		return Answer{}, errLeft
	case <-ctx.Done():
	}
	r := result{err: ctx.Err()}
	select {
	case r = <-got:
	case <-time.After(grace):
	}
	if r.err != nil && ctx.Err() == context.DeadlineExceeded {
		r.err = &lateError{u.host.Timeout, r.err}
	}
	return r.ans, r.err
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
	h := u.host
	w := h.places.enter(awaited)
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
	h.places.giveUp(w)
	return err
}

// places are the parallel calls of a host. Who is awaited goes first: a refresh of everybody must not keep
// people from logging in.
type places struct {
	mu    sync.Mutex
	free  int
	first list.List // of *waiter: the awaited
	then  list.List // of *waiter: the others
}

type waiter struct {
	ready chan struct{} // closed when it has its place
	queue *list.List    // nil once it is in none
	spot  *list.Element
}

var served = func() *waiter {
	w := &waiter{ready: make(chan struct{})}
	close(w.ready)
	return w
}()

func (p *places) enter(awaited bool) *waiter {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.free > 0 {
		p.free--
		return served
	}
	w := &waiter{ready: make(chan struct{}), queue: &p.then}
	if awaited {
		w.queue = &p.first
	}
	w.spot = w.queue.PushBack(w)
	return w
}

// leave gives a place to whoever is next.
func (p *places) leave() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, q := range []*list.List{&p.first, &p.then} {
		if spot := q.Front(); spot != nil {
			w := q.Remove(spot).(*waiter)
			w.queue = nil
			close(w.ready)
			return
		}
	}
	p.free++
}

// giveUp takes w out of its queue. If it was given a place meanwhile, that goes to the next.
func (p *places) giveUp(w *waiter) {
	p.mu.Lock()
	waiting := w.queue != nil
	if waiting {
		w.queue.Remove(w.spot)
		w.queue = nil
	}
	p.mu.Unlock()
	if !waiting {
		p.leave()
	}
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}
