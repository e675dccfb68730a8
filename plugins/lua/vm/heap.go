package vm

import (
	"runtime"
	"runtime/metrics"
	"sync"
	"time"
)

// heapWatch stops runs under which the live heap of the process grows beyond
// their limits. Memory has no owner in Go, so that every goroutine's counts;
// of several runs that may have done it, the one is stopped that has worked
// most, and those that only wait are not.
type heapWatch struct {
	mu    sync.Mutex
	runs  map[*watchedRun]struct{}
	timer *time.Timer // set while there are runs

	last, collected time.Time // when a run was stopped, and the heap collected; used by look alone
}

// watchedRun is a run since the first look at the heap in its time.
type watchedRun struct {
	meter  *meter
	limit  uint64
	base   uint64 // of the heap; 0: not looked at yet
	next   uint64 // what the heap must hold for a collection
	cycles uint64 // collections before it
	asked  bool   // whether it is at work
}

var heap = heapWatch{runs: map[*watchedRun]struct{}{}}

// heapInterval is how often the heap is looked at. A script that doubles a
// string gets to about twice its limit between two looks.
const heapInterval = 2 * time.Millisecond

// heapPatience is how long what a stopped run held may take to become garbage,
// before others are blamed for it.
const heapPatience = 50 * time.Millisecond

// collectAtMost is how long the watch lets pass between two collections of its
// own: a busy server makes garbage for many.
const collectAtMost = 250 * time.Millisecond

// watch begins to watch over a run. The function it returns ends that: the run
// is not stopped after it.
func (h *heapWatch) watch(m *meter, limit uint64) (stop func()) {
	r := &watchedRun{meter: m, limit: limit}
	m.census.Store(false)
	m.busy.Store(0)
	h.mu.Lock()
	defer h.mu.Unlock()
	h.runs[r] = struct{}{}
	if h.timer == nil {
		h.timer = time.AfterFunc(heapInterval, h.look)
	}
	return func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		delete(h.runs, r)
	}
}

// look is what happens at each interval.
func (h *heapWatch) look() {
	now := measure()
	if time.Since(h.last) > heapPatience {
		if h.growing(now) && time.Since(h.collected) > collectAtMost {
			// Much of it may be garbage: that of a busy server is.
			runtime.GC()
			h.collected = time.Now()
			now = measure()
		}
		h.judge(now)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.runs) == 0 {
		h.timer = nil
		return
	}
	h.timer.Reset(heapInterval)
}

// growing says whether the heap holds so much more than when some run began
// that it should be known how much of it is garbage.
func (h *heapWatch) growing(now measured) (yes bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for r := range h.runs {
		if r.base == 0 {
			r.base, r.next, r.cycles = now.held, now.held+r.limit, now.cycles
		}
		yes = yes || now.held > r.next
	}
	return yes
}

// judge stops one run if the live heap is beyond the limits of some. Those
// that have not answered since the last look wait for something, or are inside
// a Go function: they are stopped if nobody else can be.
func (h *heapWatch) judge(now measured) {
	h.mu.Lock()
	defer h.mu.Unlock()
	var over []*watchedRun
	var worst *watchedRun
	asked := true
	for r := range h.runs {
		if r.base == 0 || now.cycles == r.cycles {
			continue // nothing is known of it
		}
		if now.live <= r.base+r.limit {
			r.asked = false
			r.base = min(r.base, now.live) // which was garbage
			r.next = now.live + r.limit
			continue
		}
		over = append(over, r)
		asked = asked && r.asked
		if worst == nil || r.meter.busy.Load() > worst.meter.busy.Load() {
			worst = r
		}
	}
	switch {
	case worst == nil:
	case len(over) > 1 && !asked:
		for _, r := range over {
			r.asked = true
			r.meter.busy.Store(0)
			r.meter.census.Store(true)
			r.meter.halt.Store(true)
		}
	case worst.meter.busy.Load() > 0:
		worst.stop()
		h.last = time.Now()
	default:
		for _, r := range over {
			r.stop()
		}
		h.last = time.Now()
	}
}

func (r *watchedRun) stop() {
	r.meter.overHeap.Store(true)
	r.meter.halt.Store(true)
}

// measured is the heap at one time: what it holds, what of that was live at
// the end of the last collection, and how many there have been.
type measured struct{ held, live, cycles uint64 }

func measure() measured {
	s := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}, {Name: "/gc/heap/live:bytes"}, {Name: "/gc/cycles/total:gc-cycles"}}
	metrics.Read(s)
	return measured{s[0].Value.Uint64(), s[1].Value.Uint64(), s[2].Value.Uint64()}
}
