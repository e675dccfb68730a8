package main

import (
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"testing"
	"time"
)

// What may gather follows what is in use, and is Go's own again in the end.
func TestGenerous(t *testing.T) {
	const mib = 1 << 20
	for used, want := range map[uint64]int{0: mostPercent, mib: mostPercent, 8 * mib: 500, 32 * mib: 200, 3200 * mib: 101, 1 << 40: 100} {
		if p := percent(used); p != want {
			t.Errorf("%d MiB in use: %d %%, not %d", used/mib, p, want)
		}
	}
	now := func() uint64 {
		s := []metrics.Sample{{Name: "/gc/gogc:percent"}}
		metrics.Read(s)
		return s[0].Value.Uint64()
	}
	defer debug.SetGCPercent(int(now()))
	stop := generous()
	least, held := now(), make([]byte, 64*mib)
	for now() >= least { // until the cleanup after one has run
		runtime.GC()
		runtime.Gosched()
	}
	runtime.KeepAlive(held)
	stop()
	if p := now(); p != 100 {
		t.Errorf("%d %% in the end", p)
	}
}

// What a burst has left is given back when it is quiet, and so is what gathers then; what cannot be given back, as it lies
// between what is in use, is not asked for again and again.
func TestThrift(t *testing.T) {
	const mib = 1 << 20
	th := new(thrift)
	now, at, tried := time.Now(), heapUse{live: 200 * mib}, 0
	for _, step := range []struct {
		what    string
		seconds int
		rate    uint64 // of allocations
		held    uint64 // MiB
		tried   int    // in all
	}{
		{"a storm of logins", 30, 100 * mib, 400, 0},
		{"it is over", 4, 0, 400, 0},
		{"it is quiet", 1, 0, 400, 1},
		{"the memory was given back", 600, 0, 210, 1},
		{"some traffic", 600, 5 * mib, 300, 1},
		{"it is quiet again", 5, mib / 10, 300, 2},
		{"much could not be given back", 600, 0, 300, 2},
		{"and a little gathers", 600, mib / 10, 310, 2},
		{"and more", 1, mib / 10, 340, 3},
		{"which is given back", 1, mib / 10, 300, 3},
		{"another storm", 2, 100 * mib, 400, 3},
		{"it is quiet, but not long after the last time", 10, 0, 400, 3},
		{"a hundred times what a collection takes later", 10, 0, 400, 4},
	} {
		for range step.seconds {
			at.allocs += step.rate
			at.held, now = step.held*mib, now.Add(time.Second)
			if th.wants(at, now) {
				tried++
			}
		}
		if tried != step.tried {
			t.Errorf("%s: given back %d times by then, not %d", step.what, tried, step.tried)
		}
	}
	little := new(thrift)
	for range 10 {
		if now = now.Add(time.Second); little.wants(heapUse{live: mib, held: 4 * mib}, now) {
			t.Error("little was given back")
		}
	}
}
