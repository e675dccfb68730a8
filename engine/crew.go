package engine

import "sync/atomic"

// resident is how many goroutines of a crew wait for the next job.
const resident = 32

// crew does jobs at once, each on a goroutine of its own; one that has done others before if any of those waits, for
// the stack of a new one has to grow several times on its way through a backend.
type crew struct {
	jobs chan func()
	stop <-chan struct{} // who waits for jobs goes; those that still come are done all the same
	idle atomic.Int32
}

// do has f done. It does not wait.
func (c *crew) do(f func()) {
	select {
	case c.jobs <- f:
	default:
		go c.work(f)
	}
}

// work does jobs until there are enough who wait for one. A job may end its goroutine.
func (c *crew) work(f func()) {
	for {
		f()
		f = nil // what it holds is not kept for as long as nobody comes
		if c.idle.Add(1) > resident {
			c.idle.Add(-1)
			return
		}
		select {
		case f = <-c.jobs:
			c.idle.Add(-1)
		case <-c.stop:
			c.idle.Add(-1)
			return
		}
	}
}
