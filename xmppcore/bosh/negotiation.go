package bosh

import (
	"cmp"
	"errors"
	"io"
	"os"

	"rosterd/xmppcore/scan"
	"rosterd/xmppcore/stanza"
	"rosterd/xmppcore/stream"
)

// What a session does as a stream.Carrier while its stream is negotiated.

// Allow implements stream.Carrier.
func (s *session) Allow(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.left = n
}

// Interrupt implements stream.Carrier.
func (s *session) Interrupt() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stop(os.ErrDeadlineExceeded)
}

// ReadOpen implements stream.Carrier. The first request opens the stream; after SASL one does so that says xmpp:restart
// (XEP-0206 §5). Requests that hold nothing may come before it.
func (s *session) ReadOpen(h *scan.Header) error {
	var st scan.Stanza
	switch err := s.element(&st); {
	case err == nil:
		return &stanza.StreamError{Condition: stanza.StreamBadFormat, Text: "the stream has to be opened anew first"}
	case !errors.Is(err, errReopen):
		return err
	}
	in := s.current
	in.restart = false
	h.To, h.From, h.Lang, h.Default = in.to, in.from, in.lang, scan.NSClient
	h.Version = cmp.Or(in.version, "1.0") // clients need not name it (XEP-0206 §3)
	return nil
}

// Next implements stream.Carrier.
func (s *session) Next(st *scan.Stanza) error {
	err := s.element(st)
	if errors.Is(err, errReopen) {
		return misplaced
	}
	return err
}

// misplaced is the answer to xmpp:restart where nothing calls for it.
var misplaced = &stanza.StreamError{Condition: stanza.StreamBadFormat, Text: "the stream cannot be opened anew now"}

// WriteOpen implements stream.Carrier.
func (s *session) WriteOpen(o stream.Opening) error {
	if o.Features == nil {
		return nil // the end follows, and says all
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over {
		return io.ErrClosedPipe
	}
	if s.openings++; s.openings == 1 {
		s.attrs = s.appendCreation(nil, o)
	}
	s.pending = append(s.pending, "<stream:features>"...)
	s.pending = append(s.pending, o.Features...)
	s.pending = append(s.pending, "</stream:features>"...)
	return nil
}

// errReopen is where element meets a request that opens the stream.
var errReopen = errors.New("the stream is to be opened anew")

// element reads the next element, from one request or the next.
func (s *session) element(st *scan.Stanza) error {
	for {
		if s.current == nil {
			if err := s.await(); err != nil {
				return err
			}
		}
		if s.current.restart {
			return errReopen
		}
		err := s.current.next(st)
		if !errors.Is(err, errDone) {
			return err
		}
		parted := s.current.terminate
		s.current.release()
		s.current = nil
		if parted {
			s.depart()
			return scan.ErrEnd
		}
	}
}

// await waits for the next request that holds something.
func (s *session) await() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(s.queue) == 0 && !s.stopped {
		s.attending = false
		s.settle()
		s.read.Wait()
	}
	s.attending = true
	if s.stopped {
		return s.err
	}
	if len(s.queue[0].raw) > s.left {
		return stream.TooMuch()
	}
	s.next()
	s.left -= len(s.current.raw)
	return nil
}
