// Package session is the sending side of one bound resource: an outbox that never makes the sender wait, and
// that closes the stream of a client which reads too slowly rather than lose one of its stanzas. With stream
// management it outlives its stream: see Enable.
package session

import (
	"cmp"
	"sync"
	"sync/atomic"
	"time"

	"rosterd/engine/addr"
	"rosterd/xmppcore/scan"
	"rosterd/xmppcore/stanza"
	"rosterd/xmppcore/stream"
)

// Limits of an outbox, in bytes. Zero fields mean the defaults.
type Limits struct {
	Soft int // above it, nothing more is read from the client; 256 KiB
	Hard int // above it, the stream is closed; 1 MiB of what others have sent
	Own  int // the same for what the server itself owes the client, such as a large roster; 64 MiB
	Pace Pace

	Counts *Counts // of all sessions with these limits; nil: nobody counts
}

// Counts are how often outboxes have reached a limit, for metrics.
type Counts struct {
	Soft, Hard       atomic.Int64 // Hard is also that of what the server owes
	Held, Superseded atomic.Int64 // presence that was held and written, and that was not written for what came after it
}

func (l Limits) withDefaults() Limits {
	if l.Counts == nil {
		l.Counts = new(Counts)
	}
	return Limits{Soft: cmp.Or(l.Soft, 256<<10), Hard: cmp.Or(l.Hard, 1<<20), Own: cmp.Or(l.Own, 64<<20), Pace: l.Pace.withDefaults(), Counts: l.Counts}
}

// Session is the stream of one bound resource. A goroutine writes its outbox while there is anything in it;
// an idle session has neither goroutine nor buffer here.
type Session struct {
	Full addr.JID // the bound resource

	lim     *Limits
	number  uint64      // of all sessions; with when it was made, see number
	pressed atomic.Bool // more than Soft is queued of what others have sent

	mu      sync.Mutex       // guards the fields below; nothing is called out under it
	tr      stream.Transport // exchanged by Resume, while nobody writes or reads
	managed *managed         // nil: no stream management; set by who reads
	out     []byte           // whole stanzas, not yet handed to the transport
	own     int              // how many bytes of what is queued the server owes
	writing bool             // the writer is at work, or is not to be yet
	waiting *waiting         // nil: somebody looks at the client; set by who reads
	held    *held            // presence of others, which waits; nil: there is none
	spent   int64            // Unix nanoseconds: up to when the client has had its writes for that
	looked  uint64           // how many Presences there were when it was last shown one that was not news
	ending  bool             // nothing more goes out
	closed  bool             // and nothing is left to do
	reason  *stanza.StreamError
	moved   time.Time     // when the writer last took something
	lost    []byte        // whole stanzas that the client did not take, or perhaps not
	then    []func()      // to be called when what is in out is delivered: see Delivered
	drained chan struct{} // closed when the writer has taken what is in out
	over    chan struct{} // closed when closed is set, if anybody waits
}

// NewLimits are limits to be shared by many sessions.
func NewLimits(l Limits) *Limits { l = l.withDefaults(); return &l }

// New is the session of a resource that was bound over tr. Nothing is written before Start.
func New(full addr.JID, tr stream.Transport, lim *Limits) *Session {
	s := new(Session)
	s.Init(full, tr, lim)
	return s
}

// Init makes s, which is zero, what New makes.
func (s *Session) Init(full addr.JID, tr stream.Transport, lim *Limits) {
	s.Full, s.tr, s.lim, s.number, s.writing = full, tr, lim, number(time.Now()), true
}

// ordinal is how many bits of a session's number tell it from the others of the same microsecond.
const ordinal = 12

var ordinals atomic.Uint64

// number is another one for each session, in the order in which they are made as far as the clock tells.
func number(now time.Time) uint64 {
	return uint64(now.UnixMicro())<<ordinal | ordinals.Add(1)&(1<<ordinal-1)
}

// Start has what is queued written, and from now on whatever will be. It is called once.
func (s *Session) Start() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.writing = false
	if len(s.out) > 0 || s.ending {
		s.start()
	}
}

// Send queues a copy of whole stanzas. It is false, and does nothing, once the stream is about to end.
func (s *Session) Send(b []byte) bool {
	return s.Append(func(dst []byte) []byte { return append(dst, b...) })
}

// Append is Send of what f appends to the outbox. f runs under the session's lock.
func (s *Session) Append(f func(dst []byte) []byte) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.held != nil {
		s.utter(true)
	}
	return s.appendOthers(f)
}

// AppendFrom is Append for what a user sends, which may overtake the presence of others that is held.
func (s *Session) AppendFrom(from addr.JID, f func(dst []byte) []byte) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.held != nil {
		s.utterOf(from.Bare())
	}
	return s.appendOthers(f)
}

func (s *Session) appendOthers(f func(dst []byte) []byte) bool {
	if s.pending()-s.own > s.lim.Hard || s.own > s.lim.Own {
		s.giveUp()
	}
	ok := s.append(f)
	if s.queued()-s.own > s.lim.Soft && !s.pressed.Swap(true) {
		s.lim.Counts.Soft.Add(1)
	}
	return ok
}

// AppendOwn is Append for what the server owes the client, which the client did not choose the size of.
func (s *Session) AppendOwn(f func(dst []byte) []byte) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.held != nil {
		s.utter(true)
	}
	if s.own > s.lim.Own {
		s.giveUp()
	}
	before := s.queued()
	ok := s.append(f)
	s.own += s.queued() - before
	return ok
}

// Delivered has f called, once, when what is queued now has been taken: written, or where the client acknowledges,
// acknowledged. It is not called if the session ends before; then part of it may be Lost. f must not wait.
func (s *Session) Delivered(f func()) {
	if s.attach(f) {
		f()
	}
}

// attach is false if f is to be called later.
func (s *Session) attach(f func()) (now bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	m := s.managed
	switch {
	case s.ending:
	case len(s.out) == 0 && m != nil && m.count > 0:
		m.notify([]func(){f})
	case len(s.out) > 0 || s.writing:
		s.then = append(s.then, f)
	default:
		return true
	}
	return false
}

// pending is how many bytes have still to be written.
func (s *Session) pending() int {
	if s.managed != nil && s.managed.away {
		return s.queued()
	}
	return len(s.out)
}

// queued is how many bytes wait for the client: not written, or written and not acknowledged where it acknowledges.
func (s *Session) queued() int {
	if s.managed != nil {
		return len(s.out) + s.managed.size
	}
	return len(s.out)
}

func (s *Session) append(f func([]byte) []byte) bool {
	if s.ending {
		return false
	}
	s.open()
	from := len(s.out)
	s.out = f(s.out)
	switch {
	case s.managed != nil && s.managed.away:
		s.store()
	case s.waiting != nil && s.wait(from):
	default:
		s.start()
	}
	return true
}

// open sees that the outbox has room.
func (s *Session) open() {
	if s.out == nil {
		s.out = (*buffers.Get().(*[]byte))[:0]
	}
}

// giveUp ends the stream of a client that does not take what it is sent: one with holes would be worse than none.
func (s *Session) giveUp() {
	if s.ending {
		return
	}
	s.lim.Counts.Hard.Add(1)
	s.end(&stanza.StreamError{Condition: stanza.StreamPolicyViolation, Text: "too slow: the outbox is full"})
	s.tr.Abort() // the writer's Write returns, and so will the one for what still waits; closes a socket, calls nobody
}

// Close ends the stream once what is queued is written: with an error, or with nil just so.
func (s *Session) Close(reason *stanza.StreamError) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.ending {
		s.end(reason)
	}
}

func (s *Session) end(reason *stanza.StreamError) {
	s.ending, s.reason = true, reason
	if m := s.managed; m != nil && m.parked {
		s.conclude(nil)
		return
	}
	s.start()
}

// Reason is why Close or a limit has ended the stream; nil if they have not, or for no reason.
func (s *Session) Reason() *stanza.StreamError {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.reason
}

// Wait returns when all that Close has to do is done.
func (s *Session) Wait() {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return
	}
	if s.over == nil {
		s.over = make(chan struct{})
	}
	over := s.over
	s.mu.Unlock()
	<-over
}

func (s *Session) start() {
	if !s.writing {
		s.writing = true
		go s.write()
	}
}

// write empties the outbox and ends with it. After the end of the stream, s.writing stays, so that nobody
// starts a second writer.
func (s *Session) write() {
	broken := false
	for {
		tr, j := s.take()
		switch {
		case len(j.b) > 0:
			if tr.Write(j.bytes()) != nil {
				broken = true
				tr.Abort()
				s.lose(j.b[:j.unkept])
			}
			j.done()
			j.tell(broken)
		case j.then != nil:
			j.tell(broken)
		case j.end:
			tr.Close(j.reason)
			s.finish(tr)
			return
		default:
			return
		}
	}
}

// job is what the writer does next: write b or, if there is nothing, end the stream.
type job struct {
	b      []byte
	unkept int       // how many of these bytes are nowhere else
	kept   bool      // b is somebody else's
	at     time.Time // when b was queued, if it is late
	domain string    // of the host that has delayed it

	then []func() // to be called when it is written

	end    bool
	reason *stanza.StreamError
}

// tell tells those who wait for what was before to be written. If it was not, it is among what is lost.
func (j *job) tell(broken bool) {
	if broken {
		return
	}
	for _, f := range j.then {
		f()
	}
}

// bytes are what is to be written.
func (j *job) bytes() []byte {
	if j.at.IsZero() {
		return j.b
	}
	return stanza.AppendDelayed(nil, j.b, j.domain, j.at)
}

func (j *job) done() {
	if !j.kept {
		release(j.b)
	}
}

// take is the writer's next job. If there is none, the writer ends.
func (s *Session) take() (stream.Transport, job) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.managed != nil {
		return s.tr, s.takeManaged()
	}
	s.awake()
	s.pick()
	j := job{b: s.out, unkept: len(s.out), then: s.then, end: s.ending, reason: s.reason}
	s.out, s.own, s.then = nil, 0, nil
	s.moving()
	if len(j.b) == 0 && j.then == nil {
		s.writing = s.ending
	}
	return s.tr, j
}

// moving notes that the client has taken something.
func (s *Session) moving() {
	s.moved = time.Now()
	s.ease()
}

// ease lets go who waits for the client, if there is less for it than there was.
func (s *Session) ease() {
	if s.pressed.Load() && s.queued()-s.own <= s.lim.Soft {
		s.pressed.Store(false)
	}
	if s.drained != nil {
		close(s.drained)
		s.drained = nil
	}
}

func (s *Session) lose(b []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lost = append(s.lost, b...)
	if s.managed == nil {
		s.forget()
	}
}

// Lost is what was queued and not written, whole stanzas, once Wait has returned. Of what was being written when
// the connection broke nobody knows how much has arrived; it counts as lost.
func (s *Session) Lost() (stanzas []byte) {
	for _, l := range s.Late() {
		stanzas = append(stanzas, l.Stanzas...)
	}
	return stanzas
}

// Begun is when the session was made.
func (s *Session) Begun() time.Time { return time.UnixMicro(int64(s.number >> ordinal)) }

// Queued is how many bytes wait for the client, or for its acknowledgement.
func (s *Session) Queued() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.queued()
}

// Pressed tells whether more is queued for the client than it should be. Who has just added to it does well to
// Relieve it.
func (s *Session) Pressed() bool { return s.pressed.Load() }

// patience is how long Relieve waits for a client that takes nothing.
const patience = time.Second

// Relieve waits until the client has caught up: who sends faster than the other reads is slowed down to that, or
// one burst would end the stream of a client that is doing its best. For a client that has taken nothing for a
// second nobody waits.
func (s *Session) Relieve() {
	for {
		drained, left := s.behind()
		if left <= 0 {
			return
		}
		t := time.NewTimer(left)
		select {
		case <-drained:
		case <-t.C:
		}
		t.Stop()
	}
}

// behind tells how long to wait for a client that has not caught up, and what ends the wait.
func (s *Session) behind() (drained <-chan struct{}, left time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	left = patience - time.Since(s.moved)
	if s.queued()-s.own <= s.lim.Soft || s.ending || left <= 0 || s.managed != nil && s.managed.away {
		return nil, 0
	}
	if s.drained == nil {
		s.drained = make(chan struct{})
	}
	return s.drained, left
}

func (s *Session) finish(tr stream.Transport) {
	var kept []byte
	if k, ok := tr.(stream.Keeper); ok {
		kept = k.Undelivered()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.conclude(kept)
}

// conclude is the end of all. The transport may still have kept something.
func (s *Session) conclude(kept []byte) {
	if s.managed != nil {
		kept = nil // it is among what is not acknowledged
		s.relinquish()
	}
	s.lost = append(kept, s.lost...)
	s.forget()
	s.closed = true
	if s.over != nil {
		close(s.over)
	}
}

// Run reads stanzas until the stream ends, and passes them to handle. While the client does not take what
// it is sent, nothing more is read from it; once the stream is about to end, what it still sends is nobody's: a
// resource that was replaced must not go on speaking. See stream.Transport for what it returns.
func (s *Session) Run(handle func(*scan.Stanza) error) error {
	return s.Transport().Run(s.unlessPressed(handle))
}

// RunThen is Run in the way of stream.RunThen.
func (s *Session) RunThen(handle func(*scan.Stanza) error, then func(error)) {
	stream.RunThen(s.Transport(), s.unlessPressed(handle), then)
}

func (s *Session) unlessPressed(handle func(*scan.Stanza) error) func(*scan.Stanza) error {
	return func(st *scan.Stanza) error {
		if !s.ready() {
			return nil
		}
		return handle(st)
	}
}

// ready waits until the client has taken what is queued. It is false when the stream is about to end.
func (s *Session) ready() bool {
	for {
		s.mu.Lock()
		s.flush()
		if len(s.out) <= s.lim.Soft || s.ending {
			ending := s.ending
			s.mu.Unlock()
			return !ending
		}
		if s.drained == nil {
			s.drained = make(chan struct{})
		}
		wait := s.drained
		s.mu.Unlock()
		<-wait
	}
}

// Transport is what carries the session, or what did so last.
func (s *Session) Transport() stream.Transport {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.tr
}

var buffers = sync.Pool{New: func() any { b := make([]byte, 0, 2048); return &b }}

func release(b []byte) {
	if cap(b) <= 64<<10 {
		b = b[:0]
		buffers.Put(&b)
	}
}
