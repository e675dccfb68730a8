package vm

import (
	"runtime"
	"runtime/metrics"
	"sync"
	"time"
)

// heapWatch stops runs under which the live heap of the process grows beyond
// their limits. Memory has no owner in Go, so that every goroutine's counts:
// of several runs in whose time it grew, the one is stopped that has worked
// most.
type heapWatch struct {
	mu    sync.Mutex
	runs  map[*watchedRun]struct{}
	timer *time.Timer // set while there are runs

	// Of look alone: when a run was stopped, how many collections there must
	// have been since, so that what it held counts no more, when the last one of
	// our own was, and whether runs were asked at the last look.
	last      time.Time
	fresh     uint64
	collected time.Time
	asked     bool
}

// watchedRun is a run since the first look at the heap in its time.
type watchedRun struct {
	meter  *meter
	limit  uint64
	base   uint64 // of the heap; 0: not looked at yet
	next   uint64 // what the heap must hold for a collection
	cycles uint64 // collections before it
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
		if h.growing(now) && (time.Since(h.collected) > collectAtMost || now.cycles < h.fresh) {
			// Much of it may be garbage: that of a busy server is.
			runtime.GC()
			h.collected = time.Now()
			now = measure()
		}
		if now.cycles >= h.fresh {
			h.judge(now)
		}
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

// judge finds out whether the live heap is beyond the limits of some runs. If
// so, it asks all runs whether they are at work, and at the next look stops the
// one that has worked most, if it is one of them. Who waits takes no memory.
func (h *heapWatch) judge(now measured) {
	h.mu.Lock()
	defer h.mu.Unlock()
	over := map[*watchedRun]bool{}
	for r := range h.runs {
		switch {
		case r.base == 0 || now.cycles == r.cycles: // nothing is known of it
		case now.live > r.base+r.limit:
			over[r] = true
		default:
			r.base = min(r.base, now.live) // what is more was garbage
			r.next = now.live + r.limit
		}
	}
	if len(over) == 0 {
		h.asked = false
		return
	}
	if h.asked = !h.asked; h.asked {
		for r := range h.runs {
			r.meter.busy.Store(0)
			r.meter.census.Store(true)
			r.meter.halt.Store(true)
		}
		return
	}
	var worst *watchedRun
	for r := range h.runs {
		if busy := r.meter.busy.Load(); busy > 0 && (worst == nil || busy > worst.meter.busy.Load()) {
			worst = r
		}
	}
	if over[worst] {
		worst.stop()
		h.last, h.fresh = time.Now(), now.cycles+2 // one may be under way
	}
}

func (r *watchedRun) stop() {
	r.meter.overHeap.Store(r.base + r.limit)
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
