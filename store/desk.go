package store

import (
	"context"
	"errors"
	"sync"
	"time"
)

// ErrStalled says that a database has not answered for a while: its disk or its server has stopped. What was asked for is
// not done; but of an account or a value of a plugin that may have been changed before that was seen, nobody knows.
var ErrStalled = errors.New("the database does not answer")

const (
	// stalling is how long nothing may come back from a database before others are told that at once.
	stalling = 5 * time.Second
	// suspicion is for how long it is tried then whether that is so.
	suspicion = time.Second
	// longest is how long somebody waits whose context does not say so.
	longest = 10 * time.Second
	// longWork is how long work may take that grows with what is stored.
	longWork = 5 * time.Minute
)

// desk asks a database in goroutines of its own, so that nobody is held for longer than he wants to wait: a disk that has
// stopped lets no thread go, whatever its context says. While nothing comes back, those who come are sent away at once,
// but for one at a time.
type desk struct {
	questions chan func()
	stop      chan struct{} // closed by close
	stall     *stall        // hears when somebody is sent away for the first time, and when answers come again; may be nil

	mu      sync.Mutex // guards the fields below
	closed  bool
	pending int       // questions whose answer has not come, also of those who have given up
	moved   time.Time // when an answer came last, or when the first of those began
	suspect time.Time // since when it has been tried whether there are still answers; zero: nobody doubts it
	away    bool      // somebody was sent away since an answer came
}

// newDesk asks so many questions at a time.
func newDesk(most int) *desk {
	d := &desk{questions: make(chan func()), stop: make(chan struct{})}
	for range most {
		go d.serve()
	}
	return d
}

func (d *desk) serve() {
	for {
		select {
		case ask := <-d.questions:
			ask()
		case <-d.stop:
			return
		}
	}
}

// close lets those who ask afterwards hear ErrClosed. It does not wait.
func (d *desk) close() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.closed {
		d.closed = true
		close(d.stop)
	}
}

// begin counts a question, or is ErrStalled.
func (d *desk) begin() error {
	first, err := d.enter()
	if first {
		d.stall.begin()
	}
	return err
}

// enter also tells whether this is the first who is sent away.
func (d *desk) enter() (first bool, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch now := time.Now(); {
	case d.closed:
		return false, ErrClosed
	case d.pending == 0 && d.suspect.IsZero():
		d.moved = now
	case d.pending == 0 || now.Sub(d.moved) <= stalling:
	case d.suspect.IsZero(): // one question may simply take long: do others?
		d.suspect = now
	case now.Sub(d.suspect) > suspicion:
		first, d.away = !d.away, true
		return first, ErrStalled
	}
	d.pending++
	return false, nil
}

// end is for an answer, or for a question that has ended without one.
func (d *desk) end(answered bool) {
	d.mu.Lock()
	d.pending--
	again := answered && d.away
	if answered {
		d.moved, d.suspect, d.away = time.Now(), time.Time{}, false
	}
	d.mu.Unlock()
	if again {
		d.stall.end()
	}
}

// ask returns what f does, or the error of ctx as soon as that ends. f may outlive it.
func ask[T any](ctx context.Context, d *desk, f func(context.Context) (T, error)) (result T, err error) {
	if ctx.Err() != nil {
		return result, context.Cause(ctx)
	}
	if _, limited := ctx.Deadline(); !limited {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, longest, ErrStalled)
		defer cancel()
	}
	if err := d.begin(); err != nil {
		return result, err
	}
	type answer struct {
		result T
		err    error
	}
	done := make(chan answer, 1)
	question := func() {
		result, err := f(ctx)
		d.end(err == nil || ctx.Err() == nil)
		done <- answer{result, err}
	}
	select {
	case d.questions <- question:
	case <-ctx.Done():
		d.end(false)
		return result, context.Cause(ctx)
	case <-d.stop:
		d.end(false)
		return result, ErrClosed
	}
	select {
	case a := <-done:
		return a.result, a.err
	case <-ctx.Done():
		return result, context.Cause(ctx)
	}
}

// do is ask for what has no result.
func (d *desk) do(ctx context.Context, f func(context.Context) error) error {
	_, err := ask(ctx, d, func(ctx context.Context) (struct{}, error) { return struct{}{}, f(ctx) })
	return err
}
