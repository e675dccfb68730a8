package vm

import (
	"context"
	"errors"
	"runtime"
	"sync/atomic"
	"time"

	lua "github.com/yuin/gopher-lua"
)

// meter is the context of a state and of all its coroutines, for the state's
// whole life. gopher-lua asks a context's Done before every instruction: that
// is where instructions are counted and where a stopped run learns of it, again
// at every instruction, so that no pcall can go on.
//
// Only the state's goroutine uses it, but for halt and the fields behind it.
type meter struct {
	state *State
	ctx   context.Context // of the run; nil between runs
	used  int64           // instructions and library steps of the run
	limit int64
	err   error // why the run was stopped
	place Place // where

	halt     atomic.Bool   // "look why": ctx may have ended, or memory run out
	overHeap atomic.Uint64 // the live heap seemed to be beyond this; 0: it did not
	census   atomic.Bool   // the watch over the heap asks for
	busy     atomic.Int64  // what was used when it asked; 0: not running Lua since
}

var _ context.Context = (*meter)(nil)

// closed is what Done gives when the run is over.
var closed = func() chan struct{} { c := make(chan struct{}); close(c); return c }()

var errNotRunning = errors.New("vm: Lua called outside Run")

// start arms the meter. The function it returns disarms it.
func (m *meter) start(ctx context.Context, l Limits) (stop func()) {
	m.ctx, m.used, m.limit, m.err, m.place = ctx, 0, l.Instructions, nil, Place{}
	m.halt.Store(false)
	m.overHeap.Store(0)
	unhook := context.AfterFunc(ctx, func() { m.halt.Store(true) })
	unwatch := func() {}
	if l.HeapBytes > 0 {
		unwatch = heap.watch(m, l.HeapBytes)
	}
	return func() {
		unhook()
		unwatch()
		m.ctx, m.err = nil, errNotRunning
		m.halt.Store(true)
	}
}

// Done counts an instruction. It is nil, which a select never takes, as long as
// the run may go on.
func (m *meter) Done() <-chan struct{} {
	m.used++
	if m.used <= m.limit && !m.halt.Load() {
		return nil
	}
	if m.stopped() {
		return closed
	}
	return nil
}

// stopped finds out whether the run is over, and why. halt is cleared before
// the reasons are read, so that none can come between and be lost; and it may
// be set without a reason, by a late AfterFunc of an earlier run.
func (m *meter) stopped() bool {
	if m.err != nil {
		return true
	}
	m.halt.Store(false)
	if m.census.CompareAndSwap(true, false) {
		m.busy.Store(max(m.used, 1))
	}
	switch {
	case m.used > m.limit:
		m.err = ErrInstructions
	case m.overfull():
		m.err = ErrMemory
	default:
		m.err = m.ctx.Err()
	}
	if m.err == nil {
		return false
	}
	m.halt.Store(true)
	return true
}

// overfull finds out whether the heap that the watch blames this run for is live. What is made while a collection goes on
// counts as live, however soon it is garbage; so the run itself waits for one, in which it makes nothing.
func (m *meter) overfull() bool {
	most := m.overHeap.Swap(0)
	if most == 0 {
		return false
	}
	runtime.GC()
	return measure().live > most
}

func (m *meter) Err() error { return m.err }

func (m *meter) Deadline() (time.Time, bool) {
	if m.ctx == nil {
		return time.Time{}, false
	}
	return m.ctx.Deadline()
}

func (m *meter) Value(key any) any {
	if m.ctx == nil {
		return nil
	}
	return m.ctx.Value(key)
}

// meterOf is the meter of the state that L belongs to.
func meterOf(L *lua.LState) *meter { return L.Context().(*meter) }

// Context is the context of the run that L is in, for Go functions that wait
// for something. (L.Context counts instructions and cannot be waited for.)
func Context(L *lua.LState) context.Context {
	if m := meterOf(L); m.ctx != nil {
		return m.ctx
	}
	return context.Background()
}

// Charge adds steps to what the run has used, and stops it when that is too
// much. Go functions whose work grows with their arguments call it; a step is
// worth some tens of nanoseconds.
func Charge(L *lua.LState, steps int) {
	m := meterOf(L)
	m.used += int64(max(steps, 0))
	if (m.used > m.limit || m.halt.Load()) && m.stopped() {
		L.RaiseError("%s", m.err)
	}
}

// chargeBytes charges for copying or comparing n bytes.
func chargeBytes(L *lua.LState, n int) { Charge(L, n>>5) }
