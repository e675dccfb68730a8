package session

import (
	"time"

	"rosterd/xmppcore/stanza"
)

// Client state indication (XEP-0352): while nobody looks at a client, what can wait does so in its outbox. It goes out
// with the first that cannot wait, when the client says anything, or when there is too much of it.

// Inactivity says what waits for a client that nobody looks at.
type Inactivity struct {
	Most   int           // stanzas that may wait
	Linger time.Duration // after what has waited is gone: how long nothing waits again

	// Waits tells whether a stanza, as it stands in a stream, can wait. If the key is not "", it takes the place of
	// those with the same key that wait already. It computes, and calls nobody.
	Waits func(stanza []byte) (key string, ok bool)
}

// most is how many bytes may wait, or less where an outbox may hold little.
const most = 64 << 10

// waiting is what an inactive session has beside.
type waiting struct {
	rules *Inactivity
	n     int       // stanzas of the outbox that wait
	until time.Time // before that, nothing waits
}

// SetInactive says that nobody looks at the client, or with nil that somebody does. In the goroutine that reads.
func (s *Session) SetInactive(rules *Inactivity) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.flush()
	if rules == nil {
		s.awake()
		s.waiting = nil
	} else if s.waiting == nil {
		s.waiting = &waiting{rules: rules}
	}
}

// flush has written what waits.
func (s *Session) flush() {
	if w := s.waiting; w != nil && w.n > 0 {
		s.start()
	}
}

// wait tells whether what stands in the outbox from an offset on can wait, with all that does so already.
func (s *Session) wait(from int) bool {
	w := s.waiting
	if w.until.After(time.Now()) {
		return false
	}
	n := 0
	for e := range stanza.Elements(s.out[from:]) {
		if _, ok := w.rules.Waits(e); !ok {
			return false
		}
		n++
	}
	if w.n == 0 && from > 0 { // the writer is about to take it
		return false
	}
	late := append([]byte(nil), s.out[from:]...)
	s.out = stanza.AppendDelayed(s.out[:from], late, s.Full.Domain(), time.Now())
	if w.n += n; s.full() {
		s.thin()
	}
	return !s.full()
}

func (s *Session) full() bool {
	return s.waiting.n >= s.waiting.rules.Most || len(s.out) >= min(most, s.lim.Soft/2)
}

// thin drops what something later has taken the place of, and counts the rest.
func (s *Session) thin() {
	w := s.waiting
	last := make(map[string]int)
	i := 0
	for e := range stanza.Elements(s.out) {
		if key, ok := w.rules.Waits(e); ok && key != "" {
			last[key] = i
		}
		i++
	}
	kept := s.out[:0]
	i, w.n = 0, 0
	for e := range stanza.Elements(s.out) {
		if key, ok := w.rules.Waits(e); !ok || key == "" || last[key] == i {
			kept = append(kept, e...) // behind which nothing is read any more
			w.n++
		}
		i++
	}
	s.own = min(s.own, s.queued()-len(s.out)+len(kept))
	s.out = kept
}

// awake is what the writer does with the outbox that it is about to take.
func (s *Session) awake() {
	w := s.waiting
	if w == nil || len(s.out) == 0 {
		return
	}
	if w.n > 0 {
		s.thin()
		w.n = 0
	}
	if now := time.Now(); w.until.Before(now) {
		w.until = now.Add(w.rules.Linger)
	}
}
