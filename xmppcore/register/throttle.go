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
	*memory[K]
}

// memory is what throttles that follow each other share.
type memory[K comparable] struct {
	mu   sync.Mutex
	busy map[K]time.Time // when somebody who has done something will have as much left as at first
}

// NewThrottle lets each do something most times in a period, and remembers so many.
func NewThrottle[K comparable](most int, period time.Duration, remember int) *Throttle[K] {
	return &Throttle[K]{most: max(most, 1), period: period, remember: max(remember, 1), memory: &memory[K]{busy: make(map[K]time.Time)}}
}

// After is t for those who have been throttled until now: what they have done counts on, whichever of both is asked.
// Before anybody uses t.
func (t *Throttle[K]) After(before *Throttle[K]) *Throttle[K] {
	if t != nil && before != nil {
		t.memory = before.memory
	}
	return t
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
	for !known && len(t.busy) >= t.remember {
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
