package registry

import (
	"fmt"
	"runtime/debug"
	"sync"
)

// Turn puts in order everything that one account causes. Jobs run one after the other; inside a job nobody
// waits for the turn of another account, work for it is posted there.
type Turn struct {
	mu    sync.Mutex
	busy  bool
	queue []func()
}

// Do runs f when it is its turn, and returns when it is done. It must not be called inside a turn. If f panics, so
// does Do, and the turn goes on.
func (t *Turn) Do(f func()) {
	t.mu.Lock()
	if t.busy {
		done := make(chan *failure, 1)
		t.queue = append(t.queue, func() { attempt(f, done) })
		t.mu.Unlock()
		if p := <-done; p != nil {
			panic(p)
		}
		return
	}
	t.busy = true
	t.mu.Unlock()
	defer t.pass()
	f()
}

// Post has f run when it is its turn, and does not wait. Nobody is there to be told if it panics.
func (t *Turn) Post(f func()) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.queue = append(t.queue, f)
	if !t.busy {
		t.busy = true
		go t.drain()
	}
}

// failure is the panic of a job, on its way to who wanted it done.
type failure struct {
	value any
	stack []byte
}

func (f *failure) Error() string { return fmt.Sprintf("%v\n%s", f.value, f.stack) }

// attempt runs a job for somebody who waits in another goroutine.
func attempt(f func(), done chan<- *failure) {
	var failed *failure
	defer func() { done <- failed }()
	defer func() {
		if p := recover(); p != nil {
			failed = &failure{p, debug.Stack()}
		}
	}()
	f()
}

// pass gives the turn on: who did its own job is not made to do those of others.
func (t *Turn) pass() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.queue) > 0 {
		go t.drain()
		return
	}
	t.busy = false
}

func (t *Turn) drain() {
	for {
		t.mu.Lock()
		if len(t.queue) == 0 {
			t.busy, t.queue = false, nil
			t.mu.Unlock()
			return
		}
		f := t.queue[0]
		t.queue[0] = nil
		t.queue = t.queue[1:]
		t.mu.Unlock()
		f()
	}
}
