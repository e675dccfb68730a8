package engine

import (
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
)

// Jobs are done at once however many there are and whatever becomes of them, so many goroutines stay as may, and none of
// them once the crew is told to stop.
func TestCrew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stop := make(chan struct{})
		c := crew{jobs: make(chan func()), stop: stop}
		do := func(n int, last func()) {
			var done sync.WaitGroup
			together := make(chan struct{})
			for range n {
				done.Add(1)
				c.do(func() { defer done.Done(); <-together; last() })
			}
			synctest.Wait()
			close(together)
			done.Wait()
			synctest.Wait()
		}
		for _, tt := range []struct {
			name  string
			jobs  int
			last  func()
			waits int32
		}{
			{"few", 3, func() {}, 3},
			{"some that end their goroutines", 2, runtime.Goexit, 1},
			{"more than wait", 5, func() {}, 5},
			{"more than may wait", 3 * resident, func() {}, resident},
			{"all end their goroutines", 3 * resident, runtime.Goexit, 0},
			{"many again", 2 * resident, func() {}, resident},
		} {
			if do(tt.jobs, tt.last); c.idle.Load() != tt.waits {
				t.Errorf("%s: %d wait, want %d", tt.name, c.idle.Load(), tt.waits)
			}
		}
		close(stop)
		synctest.Wait()
		if c.idle.Load() != 0 {
			t.Errorf("%d wait after the end", c.idle.Load())
		}
		if do(2, func() {}); c.idle.Load() != 0 {
			t.Error("who comes after the end stays")
		}
	})
}
