package load

import (
	"math"
	"slices"
	"sync"
	"time"
)

// Latencies are how long something took, many times. Many may add at once.
type Latencies struct {
	mu     sync.Mutex // guards the fields below
	list   []time.Duration
	sorted bool
}

// Add enters one.
func (l *Latencies) Add(d time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.list, l.sorted = append(l.list, d), false
}

// Time enters how long f took, unless it failed.
func (l *Latencies) Time(f func() error) error {
	start := time.Now()
	err := f()
	if err == nil {
		l.Add(time.Since(start))
	}
	return err
}

// Percentile is what p % of them did not exceed (nearest rank); 0 if there are none.
func (l *Latencies) Percentile(p float64) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.list) == 0 {
		return 0
	}
	if !l.sorted {
		slices.Sort(l.list)
		l.sorted = true
	}
	rank := int(math.Ceil(p / 100 * float64(len(l.list))))
	return l.list[min(max(rank, 1), len(l.list))-1]
}

// Len is how many there are.
func (l *Latencies) Len() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.list)
}
