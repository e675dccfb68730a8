// Package session is the sending side of one bound resource: an outbox that never makes the sender wait, and
// that closes the stream of a client which reads too slowly rather than lose one of its stanzas.
package session

import (
	"cmp"
	"sync"
	"time"

	"rosterd/engine/addr"
	"rosterd/xmppcore/scan"
	"rosterd/xmppcore/stanza"
	"rosterd/xmppcore/stream"
)

// Limits of an outbox, in bytes. Zero fields mean the defaults.
type Limits struct {
	Soft int // above it, nothing more is read from the client; 256 KiB
	Hard int // above it, the stream is closed; 1 MiB
	Own  int // the same for what the server itself owes the client, such as a large roster; 64 MiB
}

func (l Limits) withDefaults() Limits {
	return Limits{Soft: cmp.Or(l.Soft, 256<<10), Hard: cmp.Or(l.Hard, 1<<20), Own: cmp.Or(l.Own, 64<<20)}
}

// Session is the stream of one bound resource. A goroutine writes its outbox while there is anything in it;
// an idle session has neither goroutine nor buffer here.
type Session struct {
	Full  addr.JID  // the bound resource
	Since time.Time // when it was bound

	tr  stream.Transport
	lim *Limits

	mu      sync.Mutex // guards the fields below; nothing is called out under it
	out     []byte     // whole stanzas, not yet handed to the transport
	writing bool       // the writer is at work
	ending  bool       // nothing more goes out
	reason  *stanza.StreamError
	drained chan struct{} // closed when the writer has taken what is in out
}

// NewLimits are limits to be shared by many sessions.
func NewLimits(l Limits) *Limits { l = l.withDefaults(); return &l }

// New is the session of a resource that was bound over tr.
func New(full addr.JID, tr stream.Transport, lim *Limits) *Session {
	return &Session{Full: full, Since: time.Now(), tr: tr, lim: lim}
}

// Send queues a copy of whole stanzas.
func (s *Session) Send(b []byte) {
	s.Append(func(dst []byte) []byte { return append(dst, b...) })
}

// Append queues what f appends to the outbox: whole stanzas. f runs under the session's lock.
func (s *Session) Append(f func(dst []byte) []byte) { s.append(s.lim.Hard, f) }

// AppendOwn is Append for what the server owes the client, which the client did not choose the size of.
func (s *Session) AppendOwn(f func(dst []byte) []byte) { s.append(s.lim.Own, f) }

func (s *Session) append(limit int, f func([]byte) []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ending {
		return
	}
	if len(s.out) > limit {
		// A stream with holes is worse than none. What is queued is let go, since nobody takes it.
		s.out = nil
		s.end(&stanza.StreamError{Condition: stanza.StreamPolicyViolation, Text: "too slow: the outbox is full"})
		s.tr.Abort() // unblocks the writer; closes a socket, calls nobody
		return
	}
	if s.out == nil {
		s.out = (*buffers.Get().(*[]byte))[:0]
	}
	s.out = f(s.out)
	s.start()
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
	s.start()
}

func (s *Session) start() {
	if !s.writing {
		s.writing = true
		go s.write()
	}
}

// write empties the outbox and ends with it.
func (s *Session) write() {
	for {
		s.mu.Lock()
		b := s.out
		s.out = nil
		if s.drained != nil {
			close(s.drained)
			s.drained = nil
		}
		if len(b) == 0 {
			ending, reason := s.ending, s.reason
			s.writing = ending // nobody starts a second writer for a stream that has ended
			s.mu.Unlock()
			if ending {
				s.tr.Close(reason)
			}
			return
		}
		s.mu.Unlock()
		if s.tr.Write(b) != nil {
			s.tr.Abort()
		}
		release(b)
	}
}

// Run reads stanzas until the stream ends, and passes them to handle. While the client does not take what
// it is sent, nothing more is read from it. See stream.Transport for what it returns.
func (s *Session) Run(handle func(*scan.Stanza) error) error {
	return s.tr.Run(func(st *scan.Stanza) error {
		err := handle(st)
		s.pause()
		return err
	})
}

func (s *Session) pause() {
	for {
		s.mu.Lock()
		if len(s.out) <= s.lim.Soft || s.ending {
			s.mu.Unlock()
			return
		}
		if s.drained == nil {
			s.drained = make(chan struct{})
		}
		wait := s.drained
		s.mu.Unlock()
		<-wait
	}
}

// Transport is what carries the session.
func (s *Session) Transport() stream.Transport { return s.tr }

var buffers = sync.Pool{New: func() any { b := make([]byte, 0, 2048); return &b }}

func release(b []byte) {
	if cap(b) <= 64<<10 {
		b = b[:0]
		buffers.Put(&b)
	}
}
