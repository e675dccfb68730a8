package stream_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"rosterd/xmppcore/stanza"
	"rosterd/xmppcore/stream"
	"rosterd/xmppcore/xmpptest"
)

// inBubble negotiates over a pipe, where time passes when everybody waits. The
// client sends text and reads until the end.
func inBubble(t *testing.T, limits stream.Limits, send ...string) (got string, took time.Duration, err error) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, func(w *world) { w.server.Limits = limits })
		theirs, ours := net.Pipe()
		go func() { w.ended <- w.server.Serve(context.Background(), ours, w) }()
		go func() {
			for _, text := range send {
				io.WriteString(theirs, text)
			}
		}()
		begin := time.Now()
		b, readErr := io.ReadAll(theirs)
		got, took, err = string(b), time.Since(begin), <-w.ended
		if readErr != nil {
			t.Error(readErr)
		}
		theirs.Close()
	})
	return got, took, err
}

func TestTimeouts(t *testing.T) {
	tests := []struct {
		name string
		send []string
		took time.Duration
	}{
		{"silent", nil, 15 * time.Second},
		{"half a header", []string{header[:30]}, 15 * time.Second},
		{"header", []string{header}, 15 * time.Second},
		{"half an exchange", []string{header, authRaw("PLAIN", "")}, 15 * time.Second},
		{"failed", []string{header, saslAuth("PLAIN", "\x00romeo\x00nurse")}, 15 * time.Second},
		{"authenticated", []string{header, login}, 15 * time.Second},
		{"not bound", []string{header, login, header, "<iq type='set' id='1'><bind"}, 15 * time.Second},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, took, err := inBubble(t, stream.Limits{}, tt.send...)
			if streamError(t, got) != "connection-timeout" || !ourHeader.MatchString(got) || took != tt.took {
				t.Errorf("after %v: got %s", took, got)
			}
			var se *stanza.StreamError
			if !errors.As(err, &se) || se.Condition != stanza.StreamConnectionTimeout {
				t.Errorf("Serve returned %v", err)
			}
		})
	}
}

func TestOwnTimeouts(t *testing.T) {
	l := stream.Limits{Authenticate: time.Minute, Bind: time.Hour}
	if got, took, _ := inBubble(t, l, header); streamError(t, got) != "connection-timeout" || took != time.Minute {
		t.Errorf("authenticate: after %v got %s", took, got)
	}
	if got, took, _ := inBubble(t, l, header, login); streamError(t, got) != "connection-timeout" || took != time.Hour {
		t.Errorf("bind: after %v got %s", took, got)
	}
}

// A client that drips gets no more time than one that is silent.
func TestDrip(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, func(w *world) { w.server.Limits = stream.Limits{} })
		theirs, ours := net.Pipe()
		go func() { w.ended <- w.server.Serve(context.Background(), ours, w) }()
		tick := time.NewTicker(time.Second)
		defer tick.Stop()
		done := make(chan struct{})
		go func() {
			for {
				select {
				case <-tick.C:
					io.WriteString(theirs, " ")
				case <-done:
					return
				}
			}
		}()
		begin := time.Now()
		b, err := io.ReadAll(theirs)
		must(t, err)
		if took := time.Since(begin); streamError(t, string(b)) != "connection-timeout" || took != 15*time.Second {
			t.Errorf("after %v: got %s", took, b)
		}
		theirs.Close()
		close(done)
		<-w.ended
	})
}

// On sockets, too, the error arrives before the end.
func TestTimeoutOnSocket(t *testing.T) {
	w := newWorld(t, func(w *world) { w.server.Limits.Authenticate = 100 * time.Millisecond }).listen()
	if got := w.talk(""); streamError(t, got) != "connection-timeout" {
		t.Errorf("silent: got %s", got)
	}
	if got := w.talk(header); streamError(t, got) != "connection-timeout" {
		t.Errorf("header: got %s", got)
	}
	nc := w.raw()
	w.write(nc, header+starttls)
	got, err := io.ReadAll(nc) // the server may have to leave bytes unread: a reset is an end as well
	if before, after, _ := strings.Cut(string(got), "<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>"); after != "" || streamError(t, before) != "" && !strings.Contains(before, "connection-timeout") {
		t.Errorf("no handshake: got %s, %v", got, err)
	}
}

func TestShutdown(t *testing.T) {
	moved := &stanza.StreamError{Condition: stanza.StreamSeeOtherHost, Host: "xmpp.example.com"}
	for name, tt := range map[string]struct {
		cause error
		want  string
	}{
		"without a cause": {nil, "<system-shutdown xmlns='urn:ietf:params:xml:ns:xmpp-streams'/>"},
		"stream error":    {moved, "<see-other-host xmlns='urn:ietf:params:xml:ns:xmpp-streams'>xmpp.example.com</see-other-host>"},
	} {
		for _, send := range []string{"", header, header + login, header + login + header} {
			w := newWorld(t, nil)
			ctx, stop := context.WithCancelCause(context.Background())
			theirs, ours := net.Pipe()
			go func() { w.ended <- w.server.Serve(ctx, ours, w) }()
			done := make(chan string)
			go func() {
				b, _ := io.ReadAll(theirs)
				done <- string(b)
			}()
			w.write(theirs, send)
			stop(tt.cause)
			got := <-done
			if !ourHeader.MatchString(got) || !strings.HasSuffix(got, "<stream:error>"+tt.want+"</stream:error>"+end) {
				t.Errorf("%s, after %q: got %s", name, send, got)
			}
			var se *stanza.StreamError
			if err := <-w.ended; !errors.As(err, &se) {
				t.Errorf("Serve returned %v", err)
			}
			theirs.Close()
		}
	}
}

func TestConnectionsPerAddress(t *testing.T) {
	w := newWorld(t, func(w *world) { w.server.Limits.PerAddress = 3 }).listen()
	var waiting []*xmpptest.Client
	for range 3 {
		c := w.dial()
		must(t, c.Open(w.ctx()))
		waiting = append(waiting, c)
	}
	refused := func() bool {
		got := w.talk("")
		if !ourHeader.MatchString(got) {
			t.Errorf("got %s", got)
		}
		return streamError(t, got) == "policy-violation"
	}
	if !refused() {
		t.Error("a fourth connection is welcome")
	}
	<-w.ended
	must(t, waiting[0].Authenticate(w.ctx(), "PLAIN", "romeo", password))
	c := w.dial()
	must(t, c.Open(w.ctx())) // there is room for one again
	if !refused() {
		t.Error("a fourth connection is welcome after one was authenticated")
	}
	<-w.ended
	must(t, waiting[1].Close(w.ctx()))
	<-w.ended
	must(t, w.dial().Open(w.ctx()))
}

func TestTrustedAddress(t *testing.T) {
	w := newWorld(t, func(w *world) {
		w.server.Limits.PerAddress = 1
		w.server.Trusted = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	}).listen()
	for range 5 {
		must(t, w.dial().Open(w.ctx()))
	}
}

func TestConnectionsInAll(t *testing.T) {
	w := newWorld(t, func(w *world) { w.server.Limits.Unauthenticated = 2 }).listen()
	must(t, w.dial().Open(w.ctx()))
	must(t, w.dial().Open(w.ctx()))
	if got := w.talk(""); streamError(t, got) != "resource-constraint" {
		t.Errorf("got %s", got)
	}
}
