package register

import (
	"sync"
	"time"
)

// Throttle lets each of many do something so often in a period. Nil lets everybody.
type Throttle[K comparable] struct {
	most     int
	period   time.Duration
	remember int

	mu   sync.Mutex
	busy map[K]time.Time // when somebody who has done something will have as much left as at first
}

// NewThrottle lets each do something most times in a period, and remembers so many.
func NewThrottle[K comparable](most int, period time.Duration, remember int) *Throttle[K] {
	return &Throttle[K]{most: max(most, 1), period: period, remember: max(remember, 1), busy: make(map[K]time.Time)}
}

// Take tells whether somebody may do it now, and counts that.
func (t *Throttle[K]) Take(who K, now time.Time) bool {
	if t == nil {
		return true
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	until, known := t.busy[who]
	if until.Before(now) {
		until = now
	}
	if until = until.Add(t.period / time.Duration(t.most)); until.Sub(now) > t.period {
		return false
	}
	if !known && len(t.busy) >= t.remember {
		t.forget(now)
	}
	t.busy[who] = until
	return true
}

// forget makes room: of all who have as much left as at first, or else of who will be the first to.
func (t *Throttle[K]) forget(now time.Time) {
	var first K
	found := false
	for who, until := range t.busy {
		switch {
		case !until.After(now):
			delete(t.busy, who)
		case !found || until.Before(t.busy[first]):
			first, found = who, true
		}
	}
	if len(t.busy) >= t.remember {
		delete(t.busy, first)
	}
}
