package main

import (
	"context"
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"sync"
	"time"
)

// thrift collects garbage when it is quiet, and gives the memory back to the system. By default Go lets as much gather as
// there is memory in use, which spares time where much is allocated; of a server with many idle sessions it is half of the
// memory, for nothing. Until then more may gather than Go lets: what is in use and roomForGarbage. Were it less when everybody
// comes at once, whoever allocates would have to help the collector at each step until somebody has noticed; and where
// little is in use, it would be looked through again and again.
type thrift struct {
	allocs uint64
	quiet  int       // seconds
	freed  time.Time // when memory was given back last
	look   bool      // that was a second ago
	left   uint64    // what was held then nevertheless, or less since: to ask again for what cannot be given back would cost a collection for nothing
}

const (
	hardly      = 1 << 20 // bytes allocated in a second; where there are more it is not quiet
	untroubled  = 5       // such seconds before memory is given back
	littleInUse = 8 << 20 // less is not worth the trouble
	searched    = 1e9     // bytes that the collector looks through in a second of a processor, about
	least       = 10 * time.Second
)

// heapUse is what the runtime says.
type heapUse struct {
	allocs uint64 // bytes allocated since the start
	live   uint64 // bytes that were in use after the last collection
	held   uint64 // bytes of the heap that the system has given
}

// wants tells, a second after the last time, whether it is time to give memory back: a tenth more is held than is in use.
func (t *thrift) wants(u heapUse, now time.Time) bool {
	if u.allocs-t.allocs <= hardly {
		t.quiet++
	} else {
		t.quiet = 0
	}
	t.allocs = u.allocs
	if t.look {
		t.left = u.held
	}
	t.left = min(t.left, u.held)
	t.look = t.quiet >= untroubled && u.held > u.live+u.live/10+littleInUse && u.held > t.left+t.left/10 && now.Sub(t.freed) >= pauseAfter(u.live)
	if t.look {
		t.freed = now
	}
	return t.look
}

// pauseAfter is what lies between two collections of so much that is in use, so that they take a hundredth of a processor at most.
func pauseAfter(live uint64) time.Duration {
	return max(least, time.Duration(float64(live)/searched*100*float64(time.Second)))
}

// What may gather besides as much as is in use, in bytes, and at most so many hundredths of that: until the next collection,
// more can come to be in use.
const (
	roomForGarbage = 32 << 20
	mostPercent    = 800
)

// percent is how much may gather, in hundredths of what is in use.
func percent(used uint64) int {
	return int(min(100+100*roomForGarbage/max(used, 1), mostPercent))
}

// generous lets so much gather, by what was in use at the last collection, until it is told to stop.
func generous() (stop func()) {
	var mu sync.Mutex
	stopped, now := false, 0
	used := []metrics.Sample{{Name: "/gc/heap/live:bytes"}, {Name: "/gc/scan/stack:bytes"}, {Name: "/gc/scan/globals:bytes"}} // of which Go takes hundredths
	var collected func(struct{})
	collected = func(struct{}) {
		mu.Lock()
		defer mu.Unlock()
		if stopped {
			return
		}
		metrics.Read(used)
		if p := percent(used[0].Value.Uint64() + used[1].Value.Uint64() + used[2].Value.Uint64()); p != now {
			now = p
			debug.SetGCPercent(p)
		}
		runtime.AddCleanup(new(sentinel), collected, struct{}{}) // for the next collection, which finds it in nobody's use
	}
	collected(struct{}{})
	return func() {
		mu.Lock()
		defer mu.Unlock()
		stopped = true
		debug.SetGCPercent(100)
	}
}

// sentinel has a pointer, since what has none may share its memory with something that is in use.
type sentinel struct{ _ *byte }

// save has the process be thrifty until it is told to stop, unless the environment says how much garbage may gather.
func save() (stop func()) {
	if os.Getenv("GOGC") != "" || os.Getenv("GOMEMLIMIT") != "" {
		return func() {}
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended, sparing := make(chan struct{}), generous()
	go func() {
		defer close(ended)
		new(thrift).run(ctx)
	}()
	return func() { cancel(); sparing(); <-ended }
}

func (t *thrift) run(ctx context.Context) {
	samples := []metrics.Sample{
		{Name: "/gc/heap/allocs:bytes"}, {Name: "/gc/heap/live:bytes"},
		{Name: "/memory/classes/heap/objects:bytes"}, {Name: "/memory/classes/heap/unused:bytes"}, {Name: "/memory/classes/heap/free:bytes"},
	}
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		metrics.Read(samples)
		u := heapUse{allocs: samples[0].Value.Uint64(), live: samples[1].Value.Uint64()}
		for _, s := range samples[2:] {
			u.held += s.Value.Uint64()
		}
		if t.wants(u, time.Now()) {
			debug.FreeOSMemory()
		}
	}
}
