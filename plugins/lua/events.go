package lua

import (
	"context"
	"slices"
	"sync"
	"time"

	glua "github.com/yuin/gopher-lua"

	"rosterd/plugins"
	"rosterd/plugins/lua/vm"
)

// events are what a call waits for: HTTP requests under way and timers of its own. Requests run at the same time, each
// on a goroutine; whatever comes of them is handled on the call's own goroutine, inside step. Waiting is a loop around
// step, and may be nested: coroutines could not yield through pcall.
type events struct {
	ctx     context.Context // of the requests; ends with the call
	cancel  context.CancelFunc
	running sync.WaitGroup
	done    chan completion // has room for all requests of a call
	pending int             // requests whose completion has not been handled
	handled bool            // one has been
	timers  []*timer        // that are set, soonest first
}

// completion is a request that came to an end.
type completion struct {
	res  *plugins.HTTPResponse
	err  error
	then func(l *glua.LState, res *plugins.HTTPResponse, err error)
}

// timer is a function that a script wants called later in the same call.
type timer struct {
	at time.Time
	f  func(l *glua.LState, t *timer)
}

func (m *machine) events() *events {
	if m.call.events == nil {
		ctx, cancel := context.WithCancel(m.call.ctx)
		m.call.events = &events{ctx: ctx, cancel: cancel, done: make(chan completion, maxRequests)}
	}
	return m.call.events
}

func (e *events) stop() {
	e.cancel()
	e.running.Wait()
}

// idle tells whether nothing can happen any more.
func (e *events) idle() bool { return e == nil || e.pending == 0 && len(e.timers) == 0 }

// begin sends a request; then is called from step.
func (e *events) begin(svc plugins.Services, r plugins.HTTPRequest, then func(*glua.LState, *plugins.HTTPResponse, error)) {
	e.pending++
	e.running.Go(func() {
		res, err := svc.HTTP(e.ctx, r)
		e.done <- completion{res, err, then}
	})
}

// set arms a timer, also one that is armed.
func (e *events) set(t *timer, after time.Duration) {
	e.unset(t)
	t.at = time.Now().Add(after)
	i, _ := slices.BinarySearchFunc(e.timers, t, func(other, t *timer) int {
		if other.at.After(t.at) {
			return 1
		}
		return -1 // of two for the same time, the one that was set first
	})
	e.timers = slices.Insert(e.timers, i, t)
}

func (e *events) unset(t *timer) {
	e.timers = slices.DeleteFunc(e.timers, func(other *timer) bool { return other == t })
}

// step waits until something happens, and lets the script handle it. It is false if nothing can happen.
func (m *machine) step(l *glua.LState) bool {
	e := m.call.events
	if e.idle() {
		return false
	}
	start, asked := m.plugin.svc.Now(), e.pending > 0
	c, t := e.next(m.call.ctx)
	if asked {
		m.call.waited += m.plugin.svc.Now().Sub(start)
	}
	switch {
	case c != nil:
		m.completed(l, c)
	case t != nil:
		t.f(l, t)
	default:
		if e.pending > 0 { // its error says what was waited for
			m.call.httpErr = (<-e.done).err
		}
		vm.Ended(l)
	}
	return true
}

// next is a request that is done or a timer that is due; neither if ctx ended.
func (e *events) next(ctx context.Context) (*completion, *timer) {
	var due <-chan time.Time
	if len(e.timers) > 0 {
		t := time.NewTimer(time.Until(e.timers[0].at))
		defer t.Stop()
		due = t.C
	}
	select {
	case c := <-e.done:
		e.pending--
		return &c, nil
	case <-due:
		t := e.timers[0]
		e.timers = e.timers[1:]
		return nil, t
	case <-ctx.Done():
		return nil, nil
	}
}

func (m *machine) completed(l *glua.LState, c *completion) {
	m.call.events.handled = true
	if c.err != nil {
		m.call.httpErr = c.err
	}
	c.then(l, c.res, c.err)
}

// early refuses a result that is there before any answer to the requests that it is to be made of: what it lacks would
// look like contacts removed, or a wrong password. Whoever waited for one answer may know that it is enough.
func (m *machine) early(function string) error {
	if e := m.call.events; e == nil || e.pending == 0 || e.handled {
		return nil
	}
	return wrong("%s returned while its HTTP request was under way, without its answer: return a promise, or wait with async.wait_for or async.waiter", function)
}

// finish waits until the requests are done that a script has left under way: their callbacks are part of its work.
func (m *machine) finish(l *glua.LState) {
	for m.call.events != nil && m.call.events.pending > 0 {
		m.step(l)
	}
}
