package websocket_test

import (
	"errors"
	"fmt"
	"io"
	"net"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"rosterd/xmppcore/scan"
	"rosterd/xmppcore/stanza"
	"rosterd/xmppcore/stream"
)

// layers runs a test without and with TLS.
func layers(t *testing.T, test func(t *testing.T, encrypted bool)) {
	t.Run("plain", func(t *testing.T) { test(t, false) })
	t.Run("TLS", func(t *testing.T) { test(t, true) })
}

var ourOpen = regexp.MustCompile(`^<open xmlns='urn:ietf:params:xml:ns:xmpp-framing' from='([^']*)'(?: to='([^']*)')? id='[^']+' version='1\.0' xml:lang='en'/>$`)

// From the first message to the last (RFC 7395 §3.4, §3.6).
func TestStream(t *testing.T) {
	layers(t, func(t *testing.T, encrypted bool) {
		w := newWorld(t, nil).listen(encrypted)
		c := w.dial()
		c.say("<open xmlns='urn:ietf:params:xml:ns:xmpp-framing' to='example.com' from='romeo@example.com' version='1.0' xml:lang='de'></open>")
		if m := ourOpen.FindStringSubmatch(c.next()); m == nil || m[1] != domain || m[2] != "romeo@example.com" {
			t.Fatalf("got %v", m)
		}
		if got := c.next(); !strings.HasPrefix(got, "<stream:features xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'><mechanisms ") {
			t.Fatalf("got %s", got)
		}
		c.say(login)
		if got := c.next(); got != success {
			t.Fatalf("got %s", got)
		}
		c.say(open)
		if got := c.next(); !ourOpen.MatchString(got) {
			t.Fatalf("got %s", got)
		}
		if got := c.next(); !strings.Contains(got, "<bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/>") {
			t.Fatalf("got %s", got)
		}
		c.say(bind)
		if got := c.next(); got != bound {
			t.Fatalf("got %s", got)
		}
		s := <-w.sessions
		c.say(message)
		if got := <-s.got; got != message {
			t.Fatalf("got %s", got)
		}
		must(t, s.Transport.Write([]byte(reply+reply+" "+reply)))
		for range 3 {
			if got := c.next(); got != received(reply) {
				t.Fatalf("got %s", got)
			}
		}
		c.say(end)
		if got := c.rest(); got != end+"\nclosed 1000\n" {
			t.Errorf("got %s", got)
		}
		must(t, <-s.end)
		must(t, <-w.ended)
	})
}

// The language of <open/> is that of what is said in it (RFC 6120 §8.1.5).
func TestLanguage(t *testing.T) {
	langs := make(chan string, 1)
	w := newWorld(t, func(w *world) {
		w.handle = func(_ *session, st *scan.Stanza) error {
			langs <- string(st.Lang)
			return nil
		}
	}).listen(false)
	c := w.dial()
	c.say(open, login, strings.Replace(open, "/>", " xml:lang='it'/>", 1), bind, message)
	if got := <-langs; got != "it" {
		t.Errorf("got %q", got)
	}
}

// All at once, behind the HTTP request already.
func TestPipelined(t *testing.T) {
	w := newWorld(t, nil).listen(false)
	c := w.shake(w.raw(), text(open)+text(login)+text(open)+text(bind)+text(message)+text(end))
	s := <-w.sessions
	if got := <-s.got; got != message {
		t.Errorf("got %s", got)
	}
	if got := c.rest(); !strings.HasSuffix(got, bound+"\n"+end+"\nclosed 1000\n") {
		t.Errorf("got %s", got)
	}
	must(t, <-s.end)
}

// What is a message, and is handled as one.
func TestMessages(t *testing.T) {
	long := "<message xmlns='jabber:client'><body>" + strings.Repeat("x", 100_000) + "</body></message>"
	half := len(message) / 2
	byteByByte := func(s string) (list []string) {
		for i := range len(s) {
			list = append(list, s[i:i+1])
		}
		return list
	}
	tests := []struct {
		name string
		send []string // writes
		want []string
	}{
		{"one", []string{text(message)}, []string{message}},
		{"several in one write", []string{text(message) + text(message)}, []string{message, message}},
		{"many in one write", []string{strings.Repeat(text(message), 500)}, slicesRepeat(message, 500)},
		{"long", []string{text(long)}, []string{long}},
		{"slow", byteByByte(text(message)), []string{message}},
		{"without namespace", []string{text("<presence/>")}, []string{"<presence/>"}},
		{"XML declaration", []string{text("<?xml version='1.0' encoding='UTF-8'?>" + message)}, []string{message}},
		{"space around", []string{text(" " + message + "\r\n")}, []string{message}},
		{"keep-alives", []string{text(" ") + text("") + text("\r\n") + text(message)}, []string{message}},
		{"fragments", []string{framed(opText, message[:half]) + framed(opContinuation, "") + framed(lastFragment, message[half:])}, []string{message}},
		{"fragments of a byte", []string{fragmented(message)}, []string{message}},
		{"ping among fragments", []string{framed(opText, message[:half]) + framed(final|opPing, "?") + framed(lastFragment, message[half:])}, []string{message}},
		{"pongs that nobody asked for", []string{framed(final|opPong, "!") + framed(final|opPong, "") + text(message)}, []string{message}},
		{"error", []string{text("<stream:error xmlns:stream='http://etherx.jabber.org/streams'><reset xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error>") + text(message)}, []string{message}},
	}
	layers(t, func(t *testing.T, encrypted bool) {
		w := newWorld(t, nil).listen(encrypted)
		for _, tt := range tests {
			t.Run(tt.name, func(t *testing.T) {
				w.t = t
				c, s := w.bound()
				for _, b := range tt.send {
					c.write(b)
				}
				for i, want := range tt.want {
					if got := <-s.got; got != want {
						t.Fatalf("%d: got %s", i, got)
					}
				}
				c.say(end)
				must(t, <-s.end)
				if got := c.rest(); !strings.HasSuffix(got, end+"\nclosed 1000\n") || len(s.got) > 0 {
					t.Errorf("got %s, and the session %d more", got, len(s.got))
				}
			})
		}
	})
}

func slicesRepeat(s string, n int) (list []string) {
	for range n {
		list = append(list, s)
	}
	return list
}

// fragmented is a message in frames of one byte.
func fragmented(s string) string {
	var b strings.Builder
	op := byte(opText)
	for i := range len(s) {
		b.WriteString(framed(op, s[i:i+1]))
		op = opContinuation
	}
	return b.String() + framed(lastFragment, "")
}

// What a client may do wrong inside a stream: it is told, sees <close/> and a
// Close frame, and what comes behind it is nobody's.
func TestStreamErrors(t *testing.T) {
	const size = 10000
	tests := []struct{ name, send, want, code string }{
		{"two elements", text(message + message), "not-well-formed", "1000"},
		{"element and text", text(message + "x"), "not-well-formed", "1000"},
		{"element and a comment", text(message + "<!-- -->"), "not-well-formed", "1000"},
		{"half an element", text(message[:50]), "not-well-formed", "1000"},
		{"end tag", text("</stream:stream>"), "not-well-formed", "1000"},
		{"stream header", text("<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' to='example.com' version='1.0'>"), "bad-format", "1000"},
		{"<open/> again", text(open), "bad-format", "1000"},
		{"something of framing", text("<opening xmlns='urn:ietf:params:xml:ns:xmpp-framing'/>"), "bad-format", "1000"},
		{"text", text("hello"), "not-well-formed", "1000"},
		{"comment", text("<!-- --><presence/>"), "restricted-xml", "1000"},
		{"comment inside", text("<message><!-- --></message>"), "restricted-xml", "1000"},
		{"processing instruction", text("<?php 1 ?><presence/>"), "restricted-xml", "1000"},
		{"document type", text("<!DOCTYPE lolz []><presence/>"), "restricted-xml", "1000"},
		{"entity", text("<message><body>&lol;</body></message>"), "restricted-xml", "1000"},
		{"declaration alone", text("<?xml version='1.0'?>"), "not-well-formed", "1000"},
		{"other encoding", text("<?xml version='1.0' encoding='UTF-16'?><presence/>"), "unsupported-encoding", "1000"},
		{"invalid UTF-8", text("<message><body>\xff</body></message>"), "not-well-formed", "1000"},
		{"unbound prefix", text("<message><x:y/></message>"), "bad-namespace-prefix", "1000"},
		{"binary", framed(final|opBinary, message), "bad-format", "1003"},
		{"too large", text("<message>" + strings.Repeat("x", size) + "</message>"), "policy-violation", "1000"},
		{"far too large", text("<message>" + strings.Repeat("x", 100*size) + "</message>"), "policy-violation", "1000"},
		{"large in fragments", fragmented("<message>" + strings.Repeat("x", size)), "policy-violation", "1000"},
		{"large, and no end of it", framed(opText, "<message>"+strings.Repeat("x", 2*size)), "policy-violation", "1000"},
		{"length of a giant", "\x81\xff\x7f\xff\xff\xff\xff\xff\xff\xff\x00\x00\x00\x00" + strings.Repeat("x", 2*size), "policy-violation", "1000"},
	}
	layers(t, func(t *testing.T, encrypted bool) {
		w := newWorld(t, func(w *world) { w.server.Limits.Stanza = size }).listen(encrypted)
		for _, tt := range tests {
			t.Run(tt.name, func(t *testing.T) {
				w.t = t
				c, s := w.bound()
				c.write(text(message) + tt.send + text(message) + text(end))
				got := c.rest()
				if condition, code := failed(got); condition != tt.want || code != tt.code {
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

// Who breaks the rules of the WebSocket itself is cut off; the library says so in
// a Close frame, where it can.
func TestProtocolErrors(t *testing.T) {
	tests := []struct{ name, send, want string }{
		{"not masked", "\x81\x0bhello world", ""},
		{"reserved bit", framed(final|0x40|opText, message), "closed 1002\n"},
		{"unknown opcode", framed(final|3, message), "closed 1002\n"},
		{"continuation of nothing", framed(lastFragment, message), "closed 1002\n"},
		{"message inside a message", framed(opText, message[:9]) + text(message), "closed 1002\n"},
		{"ping in fragments", framed(opPing, "?"), "closed 1002\n"},
		{"long ping", framed(final|opPing, strings.Repeat("?", 126)), "closed 1002\n"},
		{"short Close", framed(final|opClose, "\x03"), "closed 1002\n"},
		{"Close with a code that is none", framed(final|opClose, "\x00\x00"), "closed 1002\n"},
		{"negative length", "\x81\xff\xff\xff\xff\xff\xff\xff\xff\xff\x00\x00\x00\x00", ""},
	}
	layers(t, func(t *testing.T, encrypted bool) {
		w := newWorld(t, nil).listen(encrypted)
		for _, tt := range tests {
			t.Run(tt.name, func(t *testing.T) {
				w.t = t
				c, s := w.bound()
				c.write(text(message) + tt.send)
				if tcp, ok := c.nc.(interface{ CloseWrite() error }); ok {
					must(t, tcp.CloseWrite())
				}
				got := c.rest()
				if want := strings.TrimSuffix(tt.want, "\n"); want != "" && !strings.HasPrefix(got, want) || strings.Contains(got, "stream:error") {
					t.Errorf("got %s, want %s", got, tt.want)
				}
				if got := <-s.got; got != message || len(s.got) > 0 {
					t.Errorf("the session got %s and %d more", got, len(s.got))
				}
				if err := <-s.end; err == nil {
					t.Error("Run returned nil")
				}
			})
		}
	})
}

// What a client may do wrong at first (RFC 7395 §3.4, §3.5): our <open/> goes
// before the error.
func TestBadOpen(t *testing.T) {
	framing := func(attrs string) string { return "<open xmlns='urn:ietf:params:xml:ns:xmpp-framing' " + attrs + "/>" }
	tests := []struct{ name, send, want, from string }{
		{"unknown host", text(framing("to='example.net' version='1.0'")), "host-unknown", ""},
		{"no host", text(framing("version='1.0'")), "improper-addressing", ""},
		{"user for a host", text(framing("to='romeo@example.com' version='1.0'")), "host-unknown", ""},
		{"no version", text(framing("to='example.com'")), "unsupported-version", domain},
		{"version 0.9", text(framing("to='example.com' version='0.9'")), "unsupported-version", domain},
		{"other namespace", text("<open xmlns='jabber:client' to='example.com' version='1.0'/>"), "invalid-namespace", ""},
		{"no namespace", text("<open to='example.com' version='1.0'/>"), "invalid-namespace", ""},
		{"other name", text("<opening xmlns='urn:ietf:params:xml:ns:xmpp-framing' to='example.com' version='1.0'/>"), "bad-format", ""},
		{"stream header", text("<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' to='example.com' version='1.0'>"), "bad-format", ""},
		{"stanza", text(message), "invalid-namespace", ""},
		{"twice", text(open) + text(open), "bad-format", domain},
		{"stanza too early", text(open) + text(message), "not-authorized", domain},
		{"host changes", text(open) + text(login) + text(strings.Replace(open, domain, "example.net", 1)), "host-unknown", domain},
		{"no restart", text(open) + text(login) + text(bind), "invalid-namespace", domain},
		{"STARTTLS", text(open) + text("<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>"), "", domain},
		{"binary", framed(final|opBinary, open), "bad-format", ""},
		{"large", text("<open to='" + strings.Repeat("x", 17<<10)), "policy-violation", ""},
		{"large in fragments", framed(opText, "<open to='") + strings.Repeat(framed(opContinuation, "xxxx"), 17<<8), "policy-violation", ""},
		{"many pings", strings.Repeat(framed(final|opPing, "hello"), 2000), "policy-violation", ""},
		{"many spaces", strings.Repeat(text(" "), 3000), "policy-violation", ""},
		{"large after SASL", text(open) + text(login) + text("<open to='"+strings.Repeat("x", 40<<10)), "policy-violation", domain},
	}
	w := newWorld(t, nil).listen(false)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w.t = t
			c := w.dial()
			c.write(tt.send + text(end))
			got := c.rest()
			condition, _ := failed(got)
			var from string
			var opened bool
			for line := range strings.Lines(got) {
				if m := ourOpen.FindStringSubmatch(strings.TrimSuffix(line, "\n")); m != nil {
					opened, from = true, m[1]
				}
			}
			if condition != tt.want || !opened || from != tt.from || !strings.HasSuffix(got, "\n"+end+"\nclosed "+got[len(got)-5:]) {
				t.Errorf("got %s, want %s", got, tt.want)
			}
			if err := <-w.ended; err == nil {
				t.Error("ServeCarrier returned nil")
			}
		})
	}
}

// Who is silent for too long before a resource is bound is told so.
func TestTimeouts(t *testing.T) {
	for name, send := range map[string]string{
		"silent": "", "half a frame": text(open)[:9], "half a message": framed(opText, open[:9]), "opened": text(open),
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, func(w *world) { w.server.Limits.Authenticate = 50 * time.Millisecond }).listen(false)
			c := w.dial()
			c.write(send)
			if got := c.rest(); !strings.Contains(got, "<connection-timeout ") || !strings.HasSuffix(got, end+"\nclosed 1000\n") {
				t.Errorf("got %s", got)
			}
		})
	}
}

func TestShutdown(t *testing.T) {
	w := newWorld(t, nil).listen(false)
	c := w.dial()
	c.say(open)
	c.next()
	w.stop()
	c.say(end)
	if condition, _ := failed(c.rest()); condition != "system-shutdown" {
		t.Errorf("got %s", condition)
	}
	<-w.ended
}

// An answer to what the client sends before it has said who it is, or in vain.
func TestEarlyClose(t *testing.T) {
	w := newWorld(t, nil).listen(false)
	for name, send := range map[string]string{"first": text(end), "opened": text(open) + text(end), "authenticated": text(open) + text(login) + text(end)} {
		c := w.dial()
		c.write(send)
		if got := c.rest(); !strings.HasSuffix(got, end+"\nclosed 1000\n") || strings.Contains(got, "error") {
			t.Errorf("%s: got %s", name, got)
		}
		must(t, <-w.ended)
	}
}

// The ways in which a client leaves, and what Run makes of them.
func TestClientLeaves(t *testing.T) {
	tests := []struct {
		name string
		send string
		cut  bool
		want string // what the client still sees
		err  error
	}{
		{"<close/>", text(end), false, end + "\nclosed 1000\n", nil},
		{"<close/> and Close frame", text(end) + framed(final|opClose, "\x03\xe8"), false, end + "\nclosed 1000\n", nil},
		{"<close/> and garbage", text(end) + "garbage", false, end + "\nclosed 1000\n", nil},
		{"Close frame only", framed(final|opClose, "\x03\xe9bye"), false, "closed 1001\n", io.EOF},
		{"Close frame without a code", framed(final|opClose, ""), false, "opcode 8 \"\"\n", io.EOF},
		{"Close frame and more", framed(final|opClose, "\x03\xe8") + text(message), false, "closed 1000\n", io.EOF},
		{"connection cut", "", true, "", io.EOF},
		{"cut in a frame", text(message)[:20], true, "", io.ErrUnexpectedEOF},
		{"cut in a message", framed(opText, message), true, "", io.EOF},
	}
	layers(t, func(t *testing.T, encrypted bool) {
		w := newWorld(t, nil).listen(encrypted)
		for _, tt := range tests {
			t.Run(tt.name, func(t *testing.T) {
				w.t = t
				c, s := w.bound()
				c.write(text(message) + tt.send)
				if tt.cut {
					must(t, c.nc.Close())
				} else if got := c.rest(); !strings.HasPrefix(got, tt.want) {
					t.Errorf("got %s", got)
				}
				if err := <-s.end; !errors.Is(err, tt.err) && !(tt.cut && err != nil) {
					t.Errorf("Run returned %v, want %v", err, tt.err)
				}
				if got := <-s.got; got != message || len(s.got) > 0 {
					t.Errorf("the session got %s and %d more", got, len(s.got))
				}
			})
		}
	})
}

var conflict = &stanza.StreamError{Condition: stanza.StreamConflict, Text: "replaced"}

// We close a stream: the client's answer, if there is one, shows in what Run
// returns, and the Close frame comes behind it or when the wait is over.
func TestServerCloses(t *testing.T) {
	for name, tt := range map[string]struct {
		answer string
		want   error
		code   string
	}{
		"answer":              {text(end), nil, "1000"},
		"stanza, then answer": {text(message) + text(end), nil, "1000"},
		"Close frame":         {framed(final|opClose, "\x03\xe8"), net.ErrClosed, "1000"},
		"nonsense":            {text("<<") + text(end), net.ErrClosed, "1000"},
	} {
		t.Run(name, func(t *testing.T) {
			layers(t, func(t *testing.T, encrypted bool) {
				w := newWorld(t, nil).listen(encrypted)
				c, s := w.bound()
				c.say(message)
				<-s.got
				s.Transport.Close(conflict) // Run is in progress, so this does not wait for the client
				s.Transport.Close(nil)
				if err := s.Transport.Write([]byte(reply)); !errors.Is(err, net.ErrClosed) {
					t.Errorf("Write: %v", err)
				}
				c.write(tt.answer)
				if condition, code := failed("\n" + c.rest()); condition != "conflict" || code != tt.code {
					t.Errorf("got %s, %s", condition, code)
				}
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

// Whoever is first, the client is told one end of its stream.
func TestCloseWhileRunEnds(t *testing.T) {
	layers(t, func(t *testing.T, encrypted bool) {
		w := newWorld(t, nil).listen(encrypted)
		for range 20 {
			c, s := w.bound()
			closed := make(chan struct{})
			go func() {
				s.Transport.Close(conflict)
				close(closed)
			}()
			c.write(text(message) + text("<!-- -->") + text(end))
			if got := c.rest(); strings.Count(got, end) != 1 || !strings.HasSuffix(got, "closed 1000\n") {
				t.Errorf("got %s", got)
			}
			<-s.end
			<-closed
		}
	})
}

func TestAbort(t *testing.T) {
	layers(t, func(t *testing.T, encrypted bool) {
		w := newWorld(t, nil).listen(encrypted)
		c, s := w.bound()
		s.Transport.Abort()
		if err := <-s.end; !errors.Is(err, net.ErrClosed) {
			t.Errorf("Run returned %v", err)
		}
		s.Transport.Abort()
		s.Transport.Close(conflict)
		if got := c.rest(); got != "" {
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
		w := newWorld(t, func(w *world) { w.server.Limits.WriteStall = 100 * time.Millisecond }).listen(encrypted)
		_, s := w.bound()
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
		w := newWorld(t, func(w *world) { w.server.Limits.WriteStall = -1 }).listen(encrypted)
		_, s := w.bound()
		failed, begun := make(chan error), make(chan struct{})
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

// Messages of all lengths, and more of them than fit the buffers of the socket.
func TestWrites(t *testing.T) {
	layers(t, func(t *testing.T, encrypted bool) {
		w := newWorld(t, nil).listen(encrypted)
		c, s := w.bound()
		empty := len(received("<message></message>"))
		var all, want []string
		for _, n := range []int{empty, 125, 126, 127, 1000, 65535, 65536, 70000, 300_000} {
			m := "<message>" + strings.Repeat("x", n-empty) + "</message>"
			all, want = append(all, m), append(want, received(m))
		}
		for range 20_000 {
			all, want = append(all, reply), append(want, received(reply))
		}
		written := make(chan error, 1)
		go func() { written <- s.Transport.Write([]byte(strings.Join(all, ""))) }()
		for i, m := range want {
			if got := c.next(); got != m {
				t.Fatalf("%d: got %.100s, want %.100s", i, got, m)
			}
		}
		must(t, <-written)
	})
}

// A flood of pings is answered, if not each of them, and holds nobody up.
func TestPingFlood(t *testing.T) {
	layers(t, func(t *testing.T, encrypted bool) {
		w := newWorld(t, nil).listen(encrypted)
		c, s := w.bound()
		var flood strings.Builder
		const pings = 20_000
		for i := range pings {
			flood.WriteString(framed(final|opPing, fmt.Sprint(i)))
		}
		go io.WriteString(c.nc, flood.String()+text(message)+text(end))
		if got := <-s.got; got != message {
			t.Errorf("got %s", got)
		}
		if n := strings.Count(c.rest(), "opcode 10 "); n == 0 || n > pings/2 {
			t.Errorf("%d answers to %d pings", n, pings)
		}
		must(t, <-s.end)
	})
}

// A single ping is answered at once, and an idle session stays idle.
func TestPing(t *testing.T) {
	layers(t, func(t *testing.T, encrypted bool) {
		w := newWorld(t, nil).listen(encrypted)
		c, s := w.bound()
		for _, payload := range []string{"", "are you there?", strings.Repeat("x", 125)} {
			c.write(framed(final|opPing, payload))
			if op, got := c.frame(); op != opPong || got != payload {
				t.Errorf("got opcode %d, %q, want %q", op, got, payload)
			}
		}
		c.say(message)
		if got := <-s.got; got != message {
			t.Errorf("got %s", got)
		}
	})
}

// We ask who is silent, and close the connection of who does not answer.
func TestSilentClient(t *testing.T) {
	layers(t, func(t *testing.T, encrypted bool) {
		w := newWorld(t, func(w *world) { w.handler.Ping = 50 * time.Millisecond }).listen(encrypted)
		c, s := w.bound()
		var se *stanza.StreamError
		if err := <-s.end; !errors.As(err, &se) || se.Condition != stanza.StreamConnectionTimeout {
			t.Errorf("Run returned %v", err)
		}
		if got := c.rest(); got != "opcode 9 \"\"\n" {
			t.Errorf("got %s", got)
		}
	})
}

// Whatever comes from a client is a sign of life.
func TestPingTimes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, func(w *world) { w.handler.Ping = 45 * time.Second })
		c, s, done := w.piped()
		begin := time.Now()
		expect := func(after time.Duration) {
			t.Helper()
			if op, _ := c.frame(); op != opPing || time.Since(begin) != after {
				t.Fatalf("got opcode %d after %v, want a ping after %v", op, time.Since(begin), after)
			}
		}
		expect(45 * time.Second)
		c.write(framed(final|opPong, ""))
		expect(90 * time.Second)
		<-time.After(30 * time.Second)
		c.say(message)
		<-s.got
		expect(165 * time.Second)
		c.say(" ")
		expect(210 * time.Second)
		if err := <-s.end; err == nil || time.Since(begin) != 255*time.Second {
			t.Errorf("Run returned %v after %v", err, time.Since(begin))
		}
		c.nc.Close()
		<-done
	})
}

// A client is told after what silence it is asked for a sign of life (XEP-0478), if it is.
func TestSilenceAnnounced(t *testing.T) {
	for ping, want := range map[time.Duration]string{
		0: "", 500 * time.Millisecond: "", 45*time.Second + time.Millisecond: "<idle-seconds>45</idle-seconds>",
	} {
		w := newWorld(t, func(w *world) { w.handler.Ping = ping }).listen(false)
		c := w.dial()
		c.say(open, login, open)
		c.until(success)
		c.next() // our <open/>
		limits := "<limits xmlns='urn:xmpp:stream-limits:0'><max-bytes>262144</max-bytes>" + want + "</limits>"
		if got := c.next(); !strings.Contains(got, limits) {
			t.Errorf("pings after %v: got %s, want %s", ping, got, limits)
		}
		c.nc.Close()
	}
}

// A client that says nothing to our <close/> has half of Limits.Close for that,
// and is told that the WebSocket ends.
func TestNoAnswerToClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil)
		c, s, done := w.piped()
		go s.Transport.Close(conflict)
		begin := time.Now()
		got := c.rest()
		if condition, code := failed("\n" + got); condition != "conflict" || code != "1000" || time.Since(begin) != 30*time.Second {
			t.Errorf("after %v: got %s", time.Since(begin), got)
		}
		if err := <-s.end; !errors.Is(err, net.ErrClosed) {
			t.Errorf("Run returned %v", err)
		}
		<-done
	})
}

// A rate limit delays, and loses nothing.
func TestInboundRate(t *testing.T) {
	layers(t, func(t *testing.T, encrypted bool) {
		w := newWorld(t, func(w *world) {
			w.server.Limits.Rate, w.server.Limits.Burst = 100_000, time.Millisecond
		}).listen(encrypted)
		c, s := w.bound()
		begin := time.Now()
		c.write(strings.Repeat(text(message), 100) + text(end))
		must(t, <-s.end)
		if len(s.got) != 100 {
			t.Errorf("%d stanzas arrived", len(s.got))
		}
		if took := time.Since(begin); took < 50*time.Millisecond {
			t.Errorf("%d bytes at %d a second took %v", 100*len(message), w.server.Limits.Rate, took)
		}
	})
}

// Of an unlimited user no rate holds.
func TestUnlimited(t *testing.T) {
	w := newWorld(t, func(w *world) { w.server.Limits.Rate, w.server.Limits.Burst = 1, time.Nanosecond }).listen(false)
	c := w.dial()
	c.write(text(open) + text(login) + text(open) + text(bind)) // at once: what is read after SASL is paid for
	s := <-w.sessions
	s.Transport.(stream.Pacer).Unlimit()
	c.write(strings.Repeat(text(message), 100) + text(end))
	must(t, <-s.end)
}

// A mistake of ours costs the stream that ran into it, and nobody else's.
func TestPanic(t *testing.T) {
	w := newWorld(t, func(w *world) {
		w.handle = func(s *session, st *scan.Stanza) error {
			if string(st.Name) == "iq" {
				panic("a mistake")
			}
			s.got <- string(st.Raw)
			return nil
		}
	}).listen(false)
	other, bystander := w.bound()
	c, s := w.bound()
	c.say("<iq/>", end)
	if condition, _ := failed("\n" + c.rest()); condition != "internal-server-error" {
		t.Errorf("got %s", condition)
	}
	var p *stream.Panic
	if err := <-s.end; !errors.As(err, &p) {
		t.Errorf("Run returned %v", err)
	}
	other.say(message)
	if got := <-bystander.got; got != message {
		t.Errorf("got %s", got)
	}
}

func TestActivity(t *testing.T) {
	w := newWorld(t, nil).listen(false)
	c, s := w.bound()
	activity := s.Transport.(stream.Activity)
	before := activity.LastRead()
	for begin := time.Now(); !activity.LastRead().After(before) && time.Since(begin) < time.Minute; {
		c.write(framed(final|opPong, ""))
	}
	if !activity.LastRead().After(before) {
		t.Error("a pong is no sign of life")
	}
}
