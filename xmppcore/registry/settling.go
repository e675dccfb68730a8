package registry

import "sync"

// Settling is an acknowledgement to a client that waits for stores, beside the stream (XEP-0198). One goroutine waits at
// a time. The zero value is none.
type Settling struct {
	mu    sync.Mutex
	later *settling // nil: nobody waits
}

type settling struct {
	handled uint32 // stanzas that are to be acknowledged
	stores  []Syncer
}

// Wait notes that so many stanzas are to be acknowledged once stores have what they said. It is true if nobody waits for
// that yet: then the caller has to.
func (s *Settling) Wait(handled uint32, stores []Syncer) (mine bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	mine = s.later == nil
	s.later = &settling{handled, stores}
	return mine
}

// Wanted is what is to be acknowledged, and what has to be synced before. For who waits.
func (s *Settling) Wanted() (handled uint32, stores []Syncer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.later.handled, s.later.stores
}

// Done notes that so many were acknowledged. It is false if more are to be by now, for which the caller goes on waiting.
func (s *Settling) Done(handled uint32) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.later.handled != handled {
		return false
	}
	s.later = nil
	return true
}

// GiveUp ends the waiting.
func (s *Settling) GiveUp() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.later = nil
}
