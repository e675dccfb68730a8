package session

import (
	"cmp"
	"slices"
	"sync"
	"time"

	"rosterd/engine/addr"
	"rosterd/xmppcore/stanza"
)

// Presence of others comes in crowds: where thousands see each other and come back at once, each of them is owed
// thousands of small stanzas, one at a time. A client is written to for it so many times a second. What comes in
// between is held, by reference, and written together; and of what a resource has said meanwhile, only what counts.
// So is what comes for a client that does not read as fast: it takes no room in its outbox.

// Pace says how often a client is written to for the presence of others alone. Zero fields mean the defaults.
type Pace struct {
	Rate  int // times a second, when it was written to as often as Burst just before; negative: as often as there is something; 4
	Burst int // times in a row; 20
}

func (p Pace) withDefaults() Pace { return Pace{Rate: cmp.Or(p.Rate, 4), Burst: cmp.Or(p.Burst, 20)} }

// every is the time between two writes.
func (p Pace) every() int64 { return int64(time.Second) / int64(p.Rate) }

const (
	roomy   = 32 << 10 // bytes of an outbox, below which presence goes straight into it
	portion = 48 << 10 // about as many are written at once of what was held
	bulky   = 1 << 20  // bytes of what is held, above which it is seen what of it is outdated
)

// held is presence that waits, the oldest first. It comes after all that is in the outbox.
type held struct {
	list  []view
	size  int         // bytes of that
	most  int         // of those, before it is seen what is outdated; 0: bulky
	timer *time.Timer // calls hurry; nil: nobody does
	ripe  bool        // the writer is to take it
	mixed bool        // there is news among it, and what is not: the same may be there twice
}

var crowds = sync.Pool{New: func() any { return new(held) }}

// Show queues presence of another resource. It is false, and does nothing, once the stream is about to end. It may be
// held for a moment.
func (s *Session) Show(p *Presence, m Manner) bool {
	if s.lim.Pace.Rate < 0 {
		return s.showAtOnce(view{Presence: p, manner: m})
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ending {
		return false
	}
	news := m == News // else the client has just come, or its roster has changed: there is no crowd
	v := view{p, m, news && p.first && !p.met.Load() && p.number > s.looked}
	if !news {
		s.looked = numbers.Load()
	}
	direct, wait := s.held == nil && !s.absent() && s.roomy(), time.Duration(0)
	if direct && news && s.waiting == nil {
		wait = s.turn()
	}
	switch {
	case direct && wait == 0:
		s.tell(v)
	case !s.hold(v):
		s.giveUp()
		return false
	case direct:
		s.held.timer = time.AfterFunc(wait, s.hurry)
	case !news || len(s.out) >= roomy:
		s.ripen()
	}
	return true
}

func (s *Session) showAtOnce(v view) bool {
	f := func(dst []byte) []byte { return v.append(dst, s.to(make([]byte, 0, brief))) }
	if v.manner == News {
		return s.Append(f)
	}
	return s.AppendOwn(f)
}

// roomy tells whether presence may go straight into the outbox.
func (s *Session) roomy() bool {
	return len(s.out) < roomy || s.waiting != nil && s.waiting.n > 0 && !s.full() // where it would wait in any case
}

// tell puts presence into the outbox.
func (s *Session) tell(v view) {
	before := s.queued()
	s.append(func(dst []byte) []byte { return v.append(dst, s.to(make([]byte, 0, brief))) })
	s.own += max(0, s.queued()-before)
}

// brief is how long to may be without a piece of memory of its own.
const brief = 128

// to appends the attribute that says to whom it goes.
func (s *Session) to(dst []byte) []byte { return stanza.AppendAttr(dst, "to", s.Full.Bare().String()) }

// absent tells whether there is no stream.
func (s *Session) absent() bool { return s.managed != nil && s.managed.away }

// turn takes the next of the writes that the client may have, and tells how long to wait for it.
func (s *Session) turn() (wait time.Duration) {
	every, now := s.lim.Pace.every(), time.Now().UnixNano()
	row := int64(s.lim.Pace.Burst) * every
	s.spent = min(max(s.spent, now), now+row) + every // the clock may have been set
	return time.Duration(max(0, s.spent-now-row))
}

// hold is false if there is too much.
func (s *Session) hold(v view) bool {
	if s.held == nil {
		s.held = crowds.Get().(*held)
	}
	h := s.held
	if len(h.list) == cap(h.list) {
		if s.count(h); len(h.list) > cap(h.list)*3/4 {
			h.list = slices.Grow(h.list, len(h.list)+16)
		}
	}
	h.mixed = h.mixed || len(h.list) > 0 && (h.list[len(h.list)-1].manner == News) != (v.manner == News)
	h.list = append(h.list, v)
	if h.size += len(v.stanza); h.size > min(max(h.most, bulky), s.lim.Own) {
		s.count(h)
		h.most = 2 * h.size
	}
	return h.size <= s.lim.Own
}

// hurry is for the timer.
func (s *Session) hurry() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.held != nil {
		s.ripen()
	}
}

// ripen has what is held written as soon as the client takes it.
func (s *Session) ripen() {
	if s.held.ripe = true; !s.absent() {
		s.start()
	}
}

// pick gives the writer, who has nothing else to do, a portion of what is held.
func (s *Session) pick() {
	if s.held != nil && len(s.out) == 0 && (s.held.ripe || s.ending) {
		s.utter(false)
	}
}

// count drops what counts no more.
func (s *Session) count(h *held) {
	h.list, h.size = s.counting(h.list), 0
	for _, v := range h.list {
		h.size += len(v.stanza)
	}
}

// counting is what still counts of a list, in it: the last that was said of each resource, and nothing of those of which
// the client has seen nothing and which are gone already.
func (s *Session) counting(list []view) []view {
	if !s.held.mixed && !slices.ContainsFunc(list, func(v view) bool { return v.gone || v.past.Load() }) {
		return list
	}
	s.held.mixed = false
	type span struct {
		last   int
		unseen bool // the client sees nothing of the resource but what is in the list
	}
	spans := make(map[uint64]span, len(list))
	for i, v := range list {
		x, known := spans[v.of]
		if !known {
			x.unseen = v.unseen
		}
		x.last = i
		spans[v.of] = x
	}
	kept := list[:0]
	for i, v := range list {
		x := spans[v.of]
		if i != x.last || v.gone && x.unseen {
			continue
		}
		v.unseen = x.unseen
		kept = append(kept, v)
	}
	s.lim.Counts.Superseded.Add(int64(len(list) - len(kept)))
	clear(list[len(kept):])
	return kept
}

// utter puts what is held into the outbox, all of it or a portion.
func (s *Session) utter(all bool) {
	h := s.held
	h.list = s.counting(h.list)
	to, n, before := s.to(nil), 0, s.queued()
	for n < len(h.list) && (all || len(s.out) < portion) {
		s.open()
		s.out = h.list[n].append(s.out, to)
		n++
	}
	s.uttered(h.list[:copy(h.list, h.list[n:])])
	s.own += s.queued() - before
}

// utterOf puts what is held of one user's resources into the outbox. It counts as sent by others, as what it goes before
// does: who sends both in turn would else fill it up.
func (s *Session) utterOf(u addr.Bare) {
	h := s.held
	if !slices.ContainsFunc(h.list, func(v view) bool { return v.by(u) }) {
		return
	}
	h.list = s.counting(h.list)
	to, left := s.to(nil), h.list[:0]
	for _, v := range h.list {
		if v.by(u) {
			s.open()
			s.out = v.append(s.out, to)
		} else {
			left = append(left, v)
		}
	}
	s.uttered(left)
}

// uttered notes what is still held.
func (s *Session) uttered(left []view) {
	h := s.held
	s.lim.Counts.Held.Add(int64(len(h.list) - len(left)))
	clear(h.list[len(left):])
	if h.list = left; len(left) == 0 {
		s.forget()
		return
	}
	h.size = 0
	for _, v := range left {
		h.size += len(v.stanza)
	}
}

// forget drops what is held.
func (s *Session) forget() {
	h := s.held
	if h == nil {
		return
	}
	s.held = nil
	if h.timer != nil {
		h.timer.Stop()
	}
	clear(h.list)
	if cap(h.list) <= 1024 {
		*h = held{list: h.list[:0]}
		crowds.Put(h)
	}
}
