package stream_test

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"rosterd/xmppcore/scan"
	"rosterd/xmppcore/stanza"
	"rosterd/xmppcore/stream"
)

const (
	message = "<message to='juliet@example.com' type='chat'><body>Art thou not Romeo?</body></message>"
	reply   = "<message from='juliet@example.com/balcony'><body>By whose direction?</body></message>"
)

// layers runs a test in the clear and inside TLS.
func layers(t *testing.T, test func(t *testing.T, encrypted bool)) {
	t.Run("plain", func(t *testing.T) { test(t, false) })
	t.Run("TLS", func(t *testing.T) { test(t, true) })
}

func TestStanzas(t *testing.T) {
	layers(t, func(t *testing.T, encrypted bool) {
		w := newWorld(t, nil).listen()
		nc, s := w.bound(encrypted)
		if s.Transport.Secure() != encrypted || s.Transport.RemoteAddr().String() != nc.LocalAddr().String() {
			t.Errorf("encrypted %v, from %v", s.Transport.Secure(), s.Transport.RemoteAddr())
		}
		for _, tt := range []struct {
			name string
			send []string
			want int
		}{
			{"one", []string{message}, 1},
			{"several in one write", []string{strings.Repeat(message, 10)}, 10},
			{"more than a buffer", []string{strings.Repeat(message, 1000)}, 1000},
			{"with space between", []string{" \n" + message + "\r\n\t" + message + " "}, 2},
			{"in two pieces", []string{message[:20], message[20:]}, 1},
			{"one and a half", []string{message + message[:50], message[50:]}, 2},
			{"space in pieces", []string{" ", " ", message, " "}, 1},
		} {
			for _, text := range tt.send {
				w.write(nc, text)
			}
			for range tt.want {
				if got := <-s.got; got != message {
					t.Fatalf("%s: got %s", tt.name, got)
				}
			}
		}
		must(t, s.Transport.Write([]byte(reply)))
		w.until(nc, reply)
		w.write(nc, end)
		must(t, <-s.end)
		if len(s.got) > 0 {
			t.Errorf("got %s, too", <-s.got)
		}
	})
}

// A client may keep its connection alive with white space (RFC 6120 §4.6.1),
// which is no stanza, but a sign of life.
func TestKeepAlive(t *testing.T) {
	layers(t, func(t *testing.T, encrypted bool) {
		w := newWorld(t, nil).listen()
		nc, s := w.bound(encrypted)
		w.write(nc, message)
		<-s.got
		activity := s.Transport.(stream.Activity)
		before := activity.LastRead()
		w.write(nc, " ")
		for !activity.LastRead().After(before) && w.ctx().Err() == nil {
			w.write(nc, " ")
		}
		w.write(nc, message)
		if got := <-s.got; got != message {
			t.Errorf("got %s", got)
		}
	})
}

// What the client does wrong it is told, before the end of the stream and of the
// connection.
func TestStreamErrors(t *testing.T) {
	tests := []struct{ name, send, want string }{
		{"comment", "<!-- comment -->", "restricted-xml"},
		{"comment inside", "<message><!-- comment --></message>", "restricted-xml"},
		{"processing instruction", "<?php 1 ?>", "restricted-xml"},
		{"document type", "<!DOCTYPE lolz []>", "restricted-xml"},
		{"entity", "<message><body>&lol;</body></message>", "restricted-xml"},
		{"character that is none", "<message><body>&#0;</body></message>", "not-well-formed"},
		{"control character", "<message><body>\x01</body></message>", "not-well-formed"},
		{"invalid UTF-8", "<message><body>\xff</body></message>", "not-well-formed"},
		{"twice the same attribute", "<message to='a' to='b'/>", "not-well-formed"},
		{"twice the same attribute by two prefixes", "<message xmlns:a='u' xmlns:b='u'><x a:y='1' b:y='2'/></message>", "not-well-formed"},
		{"unbound prefix", "<message><x:y/></message>", "bad-namespace-prefix"},
		{"unbound attribute prefix", "<message x:y='1'/>", "bad-namespace-prefix"},
		{"crossed tags", "<message><a><b></a></b></message>", "not-well-formed"},
		{"unquoted attribute", "<message to=a/>", "not-well-formed"},
		{"text", "hello", "bad-format"},
		{"wrong end", "</message>", "not-well-formed"},
		{"too deep", strings.Repeat("<a>", 65), "policy-violation"},
		{"too many attributes", "<a" + attributes(65) + "/>", "policy-violation"},
		{"too large", "<message><body>" + strings.Repeat("x", 10001) + "</body></message>", "policy-violation"},
		{"too large and no end of it", "<message><body>" + strings.Repeat("x", 10001), "policy-violation"},
	}
	layers(t, func(t *testing.T, encrypted bool) {
		w := newWorld(t, func(w *world) { w.server.Limits.Stanza = 10000 }).listen()
		for _, tt := range tests {
			t.Run(tt.name, func(t *testing.T) {
				w.t = t
				nc, s := w.bound(encrypted)
				got := w.exchange(nc, message+tt.send)
				if streamError(t, got) != tt.want || strings.Contains(got, "<stream:stream") {
					t.Errorf("got %s, want %s", got, tt.want)
				}
				if got := <-s.got; got != message || len(s.got) > 0 {
					t.Errorf("the session got %s and %d more", got, len(s.got))
				}
				var se *stanza.StreamError
				if err := <-s.end; !errors.As(err, &se) || string(se.Condition) != tt.want {
					t.Errorf("Run returned %v", err)
				}
			})
		}
	})
}

func attributes(n int) string {
	var s strings.Builder
	for i := range n {
		s.WriteString(" a" + strings.Repeat("x", i) + "=''")
	}
	return s.String()
}

// RFC 6120 §13.12: 10000 bytes must pass; we let 256 KiB.
func TestLargestStanza(t *testing.T) {
	w := newWorld(t, nil).listen()
	nc, s := w.bound(false)
	const around = "<message><body></body></message>"
	largest := "<message><body>" + strings.Repeat("x", 256<<10-len(around)) + "</body></message>"
	w.write(nc, largest)
	if got := <-s.got; got != largest {
		t.Errorf("got %d bytes, want %d", len(got), len(largest))
	}
	got := w.exchange(nc, strings.Replace(largest, "x", "xx", 1))
	if streamError(t, got) != "policy-violation" {
		t.Errorf("got %s", got)
	}
}

// The client closes its stream, we close ours (RFC 6120 §4.4).
func TestClientCloses(t *testing.T) {
	layers(t, func(t *testing.T, encrypted bool) {
		w := newWorld(t, nil).listen()
		nc, s := w.bound(encrypted)
		if got := w.exchange(nc, message+end+message); got != end {
			t.Errorf("got %q, want the end of the stream and of the connection", got)
		}
		must(t, <-s.end)
		if got := <-s.got; got != message || len(s.got) > 0 {
			t.Errorf("got %s and %d after the end", got, len(s.got))
		}
	})
}

func TestClientVanishes(t *testing.T) {
	layers(t, func(t *testing.T, encrypted bool) {
		w := newWorld(t, nil).listen()
		nc, s := w.bound(encrypted)
		w.write(nc, message+message[:40])
		<-s.got
		nc.Close()
		if err := <-s.end; err == nil || errors.Is(err, net.ErrClosed) {
			t.Errorf("Run returned %v", err)
		}
	})
}

var conflict = &stanza.StreamError{Condition: stanza.StreamConflict, Text: "replaced"}

const conflictXML = "<stream:error><conflict xmlns='urn:ietf:params:xml:ns:xmpp-streams'/>" +
	"<text xmlns='urn:ietf:params:xml:ns:xmpp-streams' xml:lang='en'>replaced</text></stream:error>" + end

// We close a stream; whether the client says anything to that shows in what Run
// returns.
func TestServerCloses(t *testing.T) {
	for name, tt := range map[string]struct {
		answer string
		want   error
	}{
		"proper answer":    {end, nil},
		"stanza, then end": {message + end, nil},
		"no answer":        {"", net.ErrClosed},
		"nonsense":         {"<<", net.ErrClosed},
	} {
		t.Run(name, func(t *testing.T) {
			layers(t, func(t *testing.T, encrypted bool) {
				w := newWorld(t, nil).listen()
				nc, s := w.bound(encrypted)
				w.write(nc, message)
				<-s.got
				s.Transport.Close(conflict) // Run is in progress, so this does not wait for the client
				s.Transport.Close(nil)
				if got, err := io.ReadAll(nc); string(got) != conflictXML || err != nil {
					t.Errorf("got %s, %v", got, err)
				}
				if err := s.Transport.Write([]byte(reply)); err == nil {
					t.Error("a stanza was written after the end")
				}
				w.write(nc, tt.answer)
				nc.Close()
				if err := <-s.end; !errors.Is(err, tt.want) {
					t.Errorf("Run returned %v, want %v", err, tt.want)
				}
				if len(s.got) > 0 {
					t.Errorf("the session got %s", <-s.got)
				}
			})
		})
	}
}

// The client neither answers nor closes: Limits.Close ends it.
func TestClientIgnoresClose(t *testing.T) {
	layers(t, func(t *testing.T, encrypted bool) {
		w := newWorld(t, func(w *world) { w.server.Limits.Close = 50 * time.Millisecond }).listen()
		nc, s := w.bound(encrypted)
		s.Transport.Close(conflict)
		if err := <-s.end; !errors.Is(err, net.ErrClosed) {
			t.Errorf("Run returned %v", err)
		}
		if got, err := io.ReadAll(nc); string(got) != conflictXML || err != nil {
			t.Errorf("got %s, %v", got, err)
		}
	})
}

func TestCloseInsideHandle(t *testing.T) {
	layers(t, func(t *testing.T, encrypted bool) {
		calls := 0
		w := newWorld(t, nil)
		w.handle = func(s *session, st *scan.Stanza) error {
			calls++
			s.Transport.Close(conflict)
			return nil
		}
		w.listen()
		nc, s := w.bound(encrypted)
		w.write(nc, message+message+message)
		if got, err := io.ReadAll(nc); string(got) != conflictXML || err != nil {
			t.Errorf("got %s, %v", got, err)
		}
		w.write(nc, end)
		must(t, <-s.end)
		if calls != 1 {
			t.Errorf("%d stanzas were handled, want 1", calls)
		}
	})
}

// Whoever is first, the client is told one end of its stream, and each buffer
// goes back to the pool once (the race detector would see it go twice).
func TestCloseWhileRunEnds(t *testing.T) {
	layers(t, func(t *testing.T, encrypted bool) {
		w := newWorld(t, nil)
		w.host.Auth.Accounts, w.host.Auth.StoresPasswords = passwords{}, true
		w.listen()
		for range 20 {
			nc, s := w.bound(encrypted)
			closed := make(chan struct{})
			go func() {
				s.Transport.Close(conflict)
				close(closed)
			}()
			got := w.exchange(nc, message+"<!-- -->")
			if strings.Count(got, end) != 1 || !strings.HasSuffix(got, end) {
				t.Errorf("got %s", got)
			}
			<-s.end
			<-closed
		}
	})
}

func TestHandleReturnsAnError(t *testing.T) {
	layers(t, func(t *testing.T, encrypted bool) {
		w := newWorld(t, nil)
		w.handle = func(*session, *scan.Stanza) error { return conflict }
		w.listen()
		nc, s := w.bound(encrypted)
		if got := w.exchange(nc, message+message); got != conflictXML {
			t.Errorf("got %s", got)
		}
		if err := <-s.end; err != conflict {
			t.Errorf("Run returned %v", err)
		}
	})
}

// What the client reports as an error is nothing to answer.
func TestClientsStreamError(t *testing.T) {
	w := newWorld(t, nil).listen()
	nc, s := w.bound(false)
	got := w.exchange(nc, "<stream:error><not-well-formed xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error>"+end)
	if got != end {
		t.Errorf("got %s", got)
	}
	must(t, <-s.end)
	if len(s.got) > 0 {
		t.Errorf("the session got %s", <-s.got)
	}
	if got := w.talk(header + "<stream:error><reset xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error>"); !strings.HasSuffix(got, "</stream:features>"+end) {
		t.Errorf("before authentication: got %s", got)
	}
}

func TestAbort(t *testing.T) {
	layers(t, func(t *testing.T, encrypted bool) {
		w := newWorld(t, nil).listen()
		nc, s := w.bound(encrypted)
		s.Transport.Abort()
		if err := <-s.end; !errors.Is(err, net.ErrClosed) {
			t.Errorf("Run returned %v", err)
		}
		s.Transport.Abort()
		s.Transport.Close(conflict)
		if got, _ := io.ReadAll(nc); len(got) > 0 {
			t.Errorf("got %s", got)
		}
		if err := s.Transport.Run(nil); !errors.Is(err, net.ErrClosed) {
			t.Errorf("a second Run returned %v", err)
		}
	})
}

// A client that does not read holds up its own writer only, and that until
// Limits.WriteStall.
func TestClientDoesNotRead(t *testing.T) {
	layers(t, func(t *testing.T, encrypted bool) {
		w := newWorld(t, func(w *world) { w.server.Limits.WriteStall = 100 * time.Millisecond }).listen()
		_, s := w.bound(encrypted)
		b := []byte(strings.Repeat(reply, 1000))
		var err error
		for err == nil {
			err = s.Transport.Write(b)
		}
		if err := <-s.end; !errors.Is(err, net.ErrClosed) {
			t.Errorf("Run returned %v after a failed write", err)
		}
	})
}

func TestAbortUnblocksWrite(t *testing.T) {
	layers(t, func(t *testing.T, encrypted bool) {
		w := newWorld(t, func(w *world) { w.server.Limits.WriteStall = -1 }).listen()
		_, s := w.bound(encrypted)
		failed := make(chan error)
		begun := make(chan struct{})
		go func() {
			b := []byte(strings.Repeat(reply, 1000))
			err := s.Transport.Write(b)
			close(begun)
			for err == nil {
				err = s.Transport.Write(b)
			}
			failed <- err
		}()
		<-begun
		s.Transport.Abort()
		<-failed
		<-s.end
	})
}

// What does not fit the socket's buffers is written as the client takes it.
func TestLargeWrite(t *testing.T) {
	layers(t, func(t *testing.T, encrypted bool) {
		w := newWorld(t, nil).listen()
		nc, s := w.bound(encrypted)
		want := strings.Repeat(reply, 100000)
		go func() {
			if s.Transport.Write([]byte(want)) == nil {
				s.Transport.Close(nil)
			}
		}()
		got, err := io.ReadAll(nc)
		must(t, err)
		if string(got) != want+end {
			t.Errorf("got %d bytes, want %d", len(got), len(want+end))
		}
	})
}

// Close before Run is what a conflict at the moment of binding does.
func TestCloseBeforeRun(t *testing.T) {
	layers(t, func(t *testing.T, encrypted bool) {
		w := newWorld(t, nil)
		closed := make(chan error, 1)
		w.refuse = func(r stream.BindRequest) *stanza.Error {
			r.Transport.Close(conflict)
			closed <- r.Transport.Run(func(*scan.Stanza) error { return nil })
			return nil
		}
		w.listen()
		nc := w.raw()
		if encrypted {
			nc = w.encrypted()
		}
		w.write(nc, header+login+header+bind)
		w.until(nc, conflictXML)
		nc.Close()
		if err := <-closed; !errors.Is(err, net.ErrClosed) {
			t.Errorf("Run returned %v", err)
		}
		must(t, <-w.ended)
	})
}

// Without a socket all works the same, but for the memory of idle sessions.
func TestPipe(t *testing.T) {
	w := newWorld(t, nil)
	theirs, ours := net.Pipe()
	go func() { w.ended <- w.server.Serve(context.Background(), ours, w) }()
	done := make(chan string)
	go func() {
		b, _ := io.ReadAll(theirs)
		done <- string(b)
	}()
	w.write(theirs, header+login+header+bind+message+message[:30])
	s := <-w.sessions
	w.write(theirs, message[30:]+end)
	must(t, <-s.end)
	for range 2 {
		if got := <-s.got; got != message {
			t.Errorf("got %s", got)
		}
	}
	if got := <-done; !strings.HasSuffix(got, "</jid></bind></iq>"+end) {
		t.Errorf("got %s", got)
	}
	must(t, <-w.ended)
}

// A rate limit delays, and loses nothing.
func TestInboundRate(t *testing.T) {
	layers(t, func(t *testing.T, encrypted bool) {
		w := newWorld(t, func(w *world) {
			w.server.Limits.Rate, w.server.Limits.Burst = 100_000, time.Millisecond
		}).listen()
		nc, s := w.bound(encrypted)
		begin := time.Now()
		w.write(nc, strings.Repeat(message, 100)+end)
		must(t, <-s.end)
		if len(s.got) != 100 {
			t.Errorf("%d stanzas arrived", len(s.got))
		}
		if took := time.Since(begin); took < 50*time.Millisecond {
			t.Errorf("%d bytes at %d a second took %v", 100*len(message), w.server.Limits.Rate, took)
		}
	})
}
