package session

import (
	"bytes"
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"fmt"
	"strconv"
	"sync/atomic"
	"time"

	"rosterd/xmppcore/stanza"
	"rosterd/xmppcore/stream"
)

// Stream management (XEP-0198): what was written is kept until the client acknowledges it, and a session whose stream
// breaks may go on in another one. Kept are whole stanzas, as bytes. Senders wait for a client that acknowledges, as
// for one that reads. Of one that does not, no more is kept than an outbox may hold: what was written first is dropped,
// as it is without stream management, and the session cannot be resumed until the client says that it had that. While
// there is no stream, too much ends the session.

// NSManagement is the namespace of stream management.
const NSManagement = "urn:xmpp:sm:3"

// Management says how a host manages streams.
type Management struct {
	Hibernation time.Duration // how long a session waits for its client to come back; 0: not at all
	Unacked     int           // stanzas that may be unacknowledged before an acknowledgement is asked for
	Inactive    int           // the same while the client says that nobody looks at it
}

// managed is what a session has beside, where the client has enabled stream management.
type managed struct {
	rules   *Management
	id      string        // what the client has to know to resume it; "" if it cannot
	max     time.Duration // how long it waits for that
	handled atomic.Uint32 // stanzas of the client, modulo 2^32; changed by who reads

	// Guarded by the session's lock.
	acked   uint32  // how many stanzas the client has acknowledged, modulo 2^32
	blocks  []block // those behind
	count   int     // how many those are, with the dropped ones
	dropped int     // the first of them, of which there was too much to keep
	size    int     // bytes in the blocks
	again   int     // how many of the last blocks have to be written, in another stream than before
	plain   int     // how many bytes of the outbox were there before stream management
	head    []byte  // written before anything else: the answer to a resumption
	ack     uint32  // to be told, if owed
	owed    bool
	refused bool   // a request that is not granted is still to be answered
	asked   bool   // an acknowledgement is on its way
	last    uint32 // what the client would have acknowledged when it was asked last
	marks   []mark // by count

	away    bool // there is no stream
	parked  bool // and nobody writes to one
	since   time.Time
	changed chan struct{} // closed when one of these has changed, if anybody waits
}

// block is what was written at once, or came while there was no stream.
type block struct {
	b  []byte
	n  int // stanzas
	at time.Time
}

// mark is who waits for the client to acknowledge what there was at some time.
type mark struct {
	count int // of stanzas that are not acknowledged, up to there
	then  []func()
}

// notify has something called when all that is kept now is acknowledged.
func (m *managed) notify(then []func()) {
	if len(then) > 0 {
		m.marks = append(m.marks, mark{m.count, then})
	}
}

// reached moves the marks by k acknowledged stanzas, and returns what those that were reached have called.
func (m *managed) reached(k int) (then []func()) {
	left := m.marks[:0]
	for _, a := range m.marks {
		if a.count -= k; a.count > 0 {
			left = append(left, a)
		} else {
			then = append(then, a.then...)
		}
	}
	if m.marks = left; len(left) == 0 {
		m.marks = nil
	}
	return then
}

// Errors of Enable and Resume.
var (
	ErrManaged = errors.New("stream management is already enabled")
	ErrOver    = errors.New("the session is over")
)

// TooHigh is an acknowledgement of more stanzas than were sent (XEP-0198 §4).
type TooHigh struct{ Handled, Sent uint32 }

func (e *TooHigh) Error() string {
	return fmt.Sprintf("acknowledged %d stanzas of %d", e.Handled, e.Sent)
}

// Enable begins stream management and tells the client so: from here on stanzas are counted, in both directions. With
// resume the session can be resumed, and waits as long for that as the client wishes (0: it does not say) and the
// rules allow. In the goroutine that reads.
func (s *Session) Enable(rules *Management, resume bool, wish time.Duration) error {
	if s.managed != nil {
		return ErrManaged
	}
	m := &managed{rules: rules}
	enabled := "<enabled xmlns='" + NSManagement + "'"
	if resume && rules.Hibernation > 0 {
		m.id, m.max = rand.Text(), rules.Hibernation
		if wish > 0 {
			m.max = min(m.max, wish)
		}
		enabled += " id='" + m.id + "' resume='true' max='" + strconv.Itoa(int(m.max/time.Second)) + "'"
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.append(func(dst []byte) []byte { return append(dst, enabled+"/>"...) }) {
		s.awake() // what waits goes before
		m.plain = len(s.out)
	}
	s.managed = m
	return nil
}

// Managed tells whether stream management is enabled. In the goroutine that reads.
func (s *Session) Managed() bool { return s.managed != nil }

// Count counts a stanza of the client that has been handled. In the goroutine that reads.
func (s *Session) Count() {
	if s.managed != nil {
		s.managed.handled.Add(1)
	}
}

// Acknowledge tells the client how many of its stanzas have been handled. In the goroutine that reads.
func (s *Session) Acknowledge() { s.AcknowledgeTo(s.Handled()) }

// Handled is how many stanzas of the client have been handled, modulo 2^32. In the goroutine that reads.
func (s *Session) Handled() uint32 {
	if s.managed == nil {
		return 0
	}
	return s.managed.handled.Load()
}

// AcknowledgeTo tells the client that so many of its stanzas have been handled, unless it was told of more. In any
// goroutine, once stream management is enabled.
func (s *Session) AcknowledgeTo(h uint32) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if m := s.managed; m != nil && !s.ending && int32(h-m.ack) >= 0 {
		m.ack, m.owed = h, true
		s.start()
	}
}

const refusal = "<failed xmlns='" + NSManagement + "'><unexpected-request xmlns='" + stanza.NSStanzas + "'/></failed>"

// Refuse tells the client that what it asks for does not fit here. That is no stanza: neither side counts it, and it is
// not written again. In the goroutine that reads.
func (s *Session) Refuse() {
	if s.managed == nil {
		s.AppendOwn(func(dst []byte) []byte { return append(dst, refusal...) })
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.ending {
		s.managed.refused = true
		s.start()
	}
}

// Acknowledged notes that the client has handled so many stanzas in all, modulo 2^32. The error is a *TooHigh.
func (s *Session) Acknowledged(h uint32) error {
	then, err := s.acknowledged(h)
	for _, f := range then {
		f()
	}
	return err
}

func (s *Session) acknowledged(h uint32) (then []func(), err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	m := s.managed
	if m == nil {
		return nil, nil
	}
	m.asked = false
	before := m.acked
	if then, err = m.release(h); err != nil {
		return nil, err
	}
	s.own = min(s.own, s.queued())
	if m.acked != before {
		s.moving()
	}
	if s.due() {
		s.start()
	}
	return then, nil
}

// release forgets what the client has, and returns who waits for that.
func (m *managed) release(h uint32) (then []func(), err error) {
	k := h - m.acked
	if uint64(k) > uint64(m.count) {
		return nil, &TooHigh{h, m.acked + uint32(m.count)}
	}
	m.acked = h
	old := min(int(k), m.dropped)
	m.dropped, m.count = m.dropped-old, m.count-old
	for left := int(k) - old; left > 0; {
		first := &m.blocks[0]
		if left < first.n {
			n := lengthOf(first.b, left)
			first.b, first.n = first.b[n:], first.n-left
			m.size, m.count = m.size-n, m.count-left
			break
		}
		left -= first.n
		m.size, m.count = m.size-len(first.b), m.count-first.n
		*first = block{}
		m.blocks = m.blocks[1:]
	}
	m.again = min(m.again, len(m.blocks))
	if len(m.blocks) == 0 {
		m.blocks = nil
	}
	if m.marks != nil {
		then = m.reached(int(k))
	}
	return then, nil
}

// lengthOf is how many bytes the first n elements of b have.
func lengthOf(b []byte, n int) (length int) {
	for e := range stanza.Elements(b) {
		if n--; n < 0 {
			break
		}
		length += len(e)
	}
	return length
}

// keep takes a copy of whole stanzas.
func (m *managed) keep(b []byte) {
	n := 0
	for range stanza.Elements(b) {
		n++
	}
	m.blocks = append(m.blocks, block{bytes.Clone(b), n, time.Now()})
	m.count, m.size = m.count+n, m.size+len(b)
}

// bound drops what was written first, if too much is kept. A client may ask for more than it acknowledges: of what the
// server owes it, a few times as much is kept, but what was written last.
func (s *Session) bound() {
	m := s.managed
	for m.again == 0 && len(m.blocks) > 1 && m.size-min(s.own, 4*s.lim.Hard) > s.lim.Hard {
		m.dropped, m.size = m.dropped+m.blocks[0].n, m.size-len(m.blocks[0].b)
		m.blocks[0] = block{}
		m.blocks = m.blocks[1:]
		s.own = min(s.own, s.queued())
	}
}

// store moves the outbox to what is kept.
func (s *Session) store() {
	if len(s.out) > 0 {
		s.managed.keep(s.out)
		release(s.out)
	}
	s.managed.notify(s.then)
	s.out, s.then = nil, nil
}

// due tells whether to ask for an acknowledgement: not before the last one has come, and not if nothing could have
// changed since.
func (s *Session) due() bool {
	m := s.managed
	most := m.rules.Unacked
	if s.waiting != nil {
		most = max(most, m.rules.Inactive)
	}
	return !m.asked && m.count > most && m.acked+uint32(m.count) != m.last
}

// takeManaged is take for a managed session. Whatever is written is kept before.
func (s *Session) takeManaged() job {
	m := s.managed
	switch {
	case m.away && !s.ending:
		m.parked = true // writing stays: nobody starts a writer before there is another stream
		m.signal()
		return job{}
	case m.away:
		return job{end: true, reason: s.reason}
	case len(m.head) > 0:
		j := job{b: m.head, kept: true}
		m.head = nil
		return j
	case m.again > 0:
		k := m.blocks[len(m.blocks)-m.again]
		m.again--
		return job{b: k.b, kept: true, at: k.at, domain: s.Full.Domain()}
	}
	s.awake()
	s.pick()
	j := job{b: s.out, unkept: m.plain, end: s.ending, reason: s.reason}
	s.out, m.plain = nil, 0
	caughtUp := m.count == 0
	if len(j.b) > j.unkept {
		m.keep(j.b[j.unkept:])
		s.bound()
	}
	if s.ease(); caughtUp {
		s.moved = time.Now()
	}
	if m.count > 0 {
		m.notify(s.then)
	} else {
		j.then = s.then
	}
	s.then = nil
	j.b = s.appendControl(j.b)
	if len(j.b) == 0 && j.then == nil {
		s.writing = s.ending
	}
	return j
}

// appendControl appends what stream management has to say beside stanzas.
func (s *Session) appendControl(b []byte) []byte {
	m := s.managed
	due := s.due() && !s.ending
	if b == nil && (m.owed || m.refused || due) {
		b = (*buffers.Get().(*[]byte))[:0]
	}
	if m.refused {
		b = append(b, refusal...)
		m.refused = false
	}
	if m.owed {
		b = append(b, "<a xmlns='"+NSManagement+"' h='"...)
		b = strconv.AppendUint(b, uint64(m.ack), 10)
		b = append(b, "'/>"...)
		m.owed = false
	}
	if due {
		b = append(b, "<r xmlns='"+NSManagement+"'/>"...)
		m.asked, m.last = true, m.acked+uint32(m.count)
	}
	return b
}

// signal wakes who waits for a change.
func (m *managed) signal() {
	if m.changed != nil {
		close(m.changed)
		m.changed = nil
	}
}

func (m *managed) change() <-chan struct{} {
	if m.changed == nil {
		m.changed = make(chan struct{})
	}
	return m.changed
}

// Hibernate lets the session go on without a stream when Run has returned because that is broken. It is false if the
// session cannot be resumed.
func (s *Session) Hibernate() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	m := s.managed
	if m == nil || m.id == "" || m.plain > 0 || s.ending {
		return false
	}
	m.away, m.since = true, time.Now()
	m.head, m.owed, m.refused, m.asked, s.waiting = nil, false, false, false, nil // who comes back is active
	s.store()
	if !s.writing {
		s.writing, m.parked = true, true
	}
	m.signal()
	s.tr.Abort() // closes a socket, calls nobody
	return true
}

// Hibernates tells whether the session has no stream, and since when.
func (s *Session) Hibernates() (since time.Time, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.managed == nil || !s.managed.away || s.closed {
		return time.Time{}, false
	}
	return s.managed.since, true
}

// Await returns when the session, which hibernates, is resumed: Run is to be called again. It is false if it is over
// instead, because nobody came in time or it was closed.
func (s *Session) Await() bool {
	t := time.NewTimer(s.managed.max)
	defer t.Stop()
	for {
		resumed, over, change := s.look()
		if resumed || over {
			return resumed
		}
		select {
		case <-change:
		case <-t.C:
			s.Close(nil)
		}
	}
}

func (s *Session) look() (resumed, over bool, change <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return !s.managed.away, s.closed, s.managed.change()
}

// Resumable tells whether a client that knows an id may resume the session.
func (s *Session) Resumable(id string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.managed != nil && s.managed.id != "" && !s.closed && subtle.ConstantTimeCompare([]byte(s.managed.id), []byte(id)) == 1
}

// Resumption is what a client has to know to resume the session, "" if it cannot, and how many of its stanzas have been
// handled, modulo 2^32. Both stay when the session is over.
func (s *Session) Resumption() (id string, handled uint32) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.managed == nil {
		return "", 0
	}
	return s.managed.id, s.managed.handled.Load()
}

// Resume carries the session on over another transport, for a client that has handled h stanzas. A stream that there
// still is, is cut. What the client has not handled is written again, behind the answer. The error is ErrOver or a
// *TooHigh; then the transport has not been touched, and the session is over or hibernates.
func (s *Session) Resume(tr stream.Transport, h uint32) error {
	for {
		old, then, change, err := s.exchange(tr, h)
		if change == nil {
			for _, f := range then {
				f()
			}
			return err
		}
		old.Abort()
		<-change
	}
}

// exchange sets the transport. If one is still in use, that comes back instead, and what tells when to try again.
func (s *Session) exchange(tr stream.Transport, h uint32) (old stream.Transport, then []func(), change <-chan struct{}, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	m := s.managed
	switch {
	case s.ending:
		return nil, nil, nil, ErrOver
	case !m.parked:
		return s.tr, nil, m.change(), nil
	}
	then, err = s.resume(tr, h)
	return nil, then, nil, err
}

func (s *Session) resume(tr stream.Transport, h uint32) (then []func(), err error) {
	m := s.managed
	if m.forgot(h) { // what it wants again is not there any more, and its count would never be ours
		s.end(&stanza.StreamError{Condition: stanza.StreamResourceConstraint, Text: "the client has acknowledged more than it says that it has handled"})
		return nil, ErrOver
	}
	if then, err = m.release(h); err != nil {
		return nil, err
	}
	s.own = min(s.own, s.queued())
	if m.dropped > 0 { // what the client has not had is not there any more
		s.end(&stanza.StreamError{Condition: stanza.StreamResourceConstraint, Text: "the client has missed more than is kept"})
		return then, ErrOver
	}
	s.tr, m.away, m.parked, m.again, m.last = tr, false, false, len(m.blocks), m.acked
	m.head = fmt.Appendf(nil, "<resumed xmlns='%s' previd='%s' h='%d'/>", NSManagement, m.id, m.handled.Load())
	m.ack, m.owed = m.handled.Load(), false // which that says
	s.writing = false
	if s.held != nil {
		s.ripen()
	}
	s.start()
	m.signal()
	return then, nil
}

// forgot tells whether a client has handled less than it has acknowledged before.
func (m *managed) forgot(h uint32) bool { return int32(h-m.acked) < 0 }

// relinquish gives up what is kept: it counts as lost.
func (s *Session) relinquish() {
	m := s.managed
	s.store()
	m.count, m.size, m.again = 0, 0, 0
	m.signal()
}

// Late is a part of what was lost.
type Late struct {
	Stanzas []byte
	At      time.Time // when they were queued; zero: as far as anybody knows, just now
}

// Late is Lost with what is known of the time.
func (s *Session) Late() (list []Late) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.lost) > 0 {
		list = append(list, Late{Stanzas: s.lost})
	}
	if s.managed != nil {
		for _, k := range s.managed.blocks {
			list = append(list, Late{k.b, k.at})
		}
	}
	return list
}
