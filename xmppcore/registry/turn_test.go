package registry_test

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"rosterd/xmppcore/registry"
)

// Each goroutine's jobs run in its order, one at a time, whichever way they come.
func TestTurnOrder(t *testing.T) {
	var turn registry.Turn
	const goroutines, each = 8, 1000
	ran, together := make([][]int, goroutines), 0 // not guarded: the turn does that, and -race looks
	var all, posted sync.WaitGroup
	posted.Add(goroutines * each)
	for g := range goroutines {
		all.Go(func() {
			for i := range each {
				f := func() { ran[g] = append(ran[g], i); together++; posted.Done() }
				if i%3 == 0 {
					turn.Do(f)
				} else {
					turn.Post(f)
				}
			}
		})
	}
	all.Wait()
	posted.Wait()
	if together != goroutines*each {
		t.Errorf("%d jobs ran", together)
	}
	for g := range ran {
		if len(ran[g]) != each || !slices.IsSorted(ran[g]) {
			t.Errorf("goroutine %d: %d jobs, in order: %v", g, len(ran[g]), slices.IsSorted(ran[g]))
		}
	}
}

func TestTurnQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var turn registry.Turn
		var ran []string
		note := func(s string) func() { return func() { ran = append(ran, s) } }
		gate := make(chan struct{})
		var all sync.WaitGroup
		do := func(s string) {
			all.Go(func() { turn.Do(note(s)) })
			synctest.Wait()
		}
		all.Go(func() { turn.Do(func() { <-gate; note("first")() }) })
		synctest.Wait()
		do("do 1")
		turn.Post(note("post 1"))
		turn.Post(func() { note("post 2")(); turn.Post(note("posted inside")) })
		do("do 2")
		if len(ran) > 0 {
			t.Errorf("ran %q beside the first", ran)
		}
		close(gate)
		all.Wait()
		synctest.Wait()
		if got := strings.Join(ran, ", "); got != "first, do 1, post 1, post 2, do 2, posted inside" {
			t.Error(got)
		}
		turn.Do(note("later"))
		turn.Post(note("last"))
		synctest.Wait()
		if got := strings.Join(ran[6:], ", "); got != "later, last" {
			t.Error(got)
		}
	})
}

// Who does a job that finds nobody else there runs it itself, at no cost.
func TestTurnFree(t *testing.T) {
	var turn registry.Turn
	n := 0
	f := func() { n++ }
	if a := testing.AllocsPerRun(100, func() { turn.Do(f) }); a != 0 || n != 101 {
		t.Errorf("%v allocations, ran %d times", a, n)
	}
}

// A job that panics does so where it was wanted, and the turn goes on.
func TestTurnPanic(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var turn registry.Turn
		fails := func(f func()) (p any) {
			defer func() { p = recover() }()
			turn.Do(f)
			return nil
		}
		if p := fails(func() { panic("boom") }); p != "boom" {
			t.Errorf("got %v", p)
		}
		gate := make(chan struct{})
		var all sync.WaitGroup
		all.Go(func() { turn.Do(func() { <-gate }) })
		synctest.Wait()
		ran := 0
		all.Go(func() {
			p := fmt.Sprint(fails(func() { panic("boom in the queue") }))
			if !strings.HasPrefix(p, "boom in the queue\n") || !strings.Contains(p, "turn_test.go") {
				t.Errorf("got %s", p)
			}
		})
		synctest.Wait()
		all.Go(func() { turn.Do(func() { ran++ }) })
		turn.Post(func() { ran++ })
		close(gate)
		all.Wait()
		synctest.Wait()
		turn.Do(func() { ran++ })
		if ran != 3 {
			t.Errorf("%d jobs ran after the panic", ran)
		}
	})
}

func BenchmarkTurnDo(b *testing.B) {
	var turn registry.Turn
	n := 0
	f := func() { n++ }
	b.ReportAllocs()
	for b.Loop() {
		turn.Do(f)
	}
}
