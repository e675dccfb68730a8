package component_test

import (
	"context"
	"crypto/sha1"
	"encoding/hex"
	"errors"
	"log/slog"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"rosterd/xmppcore/auth"
	"rosterd/xmppcore/component"
	"rosterd/xmppcore/router"
	"rosterd/xmppcore/scan"
	"rosterd/xmppcore/stanza"
	"rosterd/xmppcore/stream"
	"rosterd/xmppcore/xmpptest"
)

const header = "<stream:stream to='muc.example.com' xmlns='jabber:component:accept' xmlns:stream='http://etherx.jabber.org/streams'>"

func newServer(t testing.TB, throttle *auth.Throttle) *component.Server {
	s := &component.Server{
		Route: func(from router.Origin, st *scan.Stanza) {
			if strings.Contains(string(st.Raw), "panic") {
				panic("told to")
			}
		},
		Lost: func([]byte) {},
		Log:  slog.New(slog.DiscardHandler),
	}
	s.Reconfigure(component.Config{Components: []component.Component{{Domain: "muc.example.com", Secret: "ophelia"}}, Throttle: throttle})
	t.Cleanup(func() {
		if err := s.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return s
}

// dial is a connection to the server, and what becomes of it there.
func dial(t testing.TB, s *component.Server) (c *xmpptest.Client, ended chan error) {
	ours, theirs := net.Pipe()
	ended = make(chan error, 1)
	go func() { ended <- s.Serve(t.Context(), theirs) }()
	t.Cleanup(func() { ours.Close() })
	return xmpptest.New(ours, "muc.example.com"), ended
}

func wantError(t testing.TB, c *xmpptest.Client, condition stanza.StreamCondition) {
	t.Helper()
	e, err := c.Next(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := e.Find(stanza.NSStreams, string(condition)); !ok {
		t.Errorf("got %s, want %s", e, condition)
	}
}

// The digest of XEP-0114 §3, computed as its example says.
func TestHandshake(t *testing.T) {
	s := newServer(t, nil)
	for _, c := range []struct {
		name  string
		digit func(string) string
		ok    bool
	}{
		{"as it is", func(d string) string { return d }, true},
		{"capital letters", strings.ToUpper, true},
		{"space around it", func(d string) string { return "\n " + d + "\n" }, true},
		{"cut", func(d string) string { return d[1:] }, false},
		{"more", func(d string) string { return d + "0" }, false},
		{"another", func(d string) string { return strings.Repeat("0", len(d)) }, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			k, ended := dial(t, s)
			if err := errors.Join(k.Send(t.Context(), header), k.ReadHeader(t.Context())); err != nil {
				t.Fatal(err)
			}
			if k.Header.From != "muc.example.com" || k.Header.ID == "" || k.Header.Default != stream.NSComponent || k.Header.Version != "" {
				t.Errorf("header %+v", k.Header)
			}
			sum := sha1.Sum([]byte(k.Header.ID + "ophelia"))
			if err := k.Send(t.Context(), "<handshake>"+c.digit(hex.EncodeToString(sum[:]))+"</handshake>"); err != nil {
				t.Fatal(err)
			}
			if !c.ok {
				wantError(t, k, stanza.StreamNotAuthorized)
				return
			}
			if e, err := k.Next(t.Context()); err != nil || e.Name.Local != "handshake" || e.Name.Space != scan.NSClient {
				t.Fatalf("%v, got %s", err, e)
			}
			if err := <-ended; err != nil || s.Connected() != 1 {
				t.Errorf("%v, %d connected", err, s.Connected())
			}
			if err := errors.Join(k.Send(t.Context(), "</stream:stream>"), k.End(t.Context())); err != nil {
				t.Error(err)
			}
			k.Disconnect()
		})
	}
}

// Who guesses is not asked any more, and the component that has been here before still is.
func TestGuesses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		throttle := auth.NewThrottle(auth.FailureLimits{PerAccount: 5, PerAddress: 1000, Period: time.Minute}, slog.New(slog.DiscardHandler))
		s := newServer(t, throttle)
		for range 20 {
			k, ended := dial(t, s)
			if err := k.Attach(t.Context(), "wrong"); err == nil {
				t.Fatal("let in")
			}
			k.Disconnect()
			<-ended
		}
		if stats := throttle.Stats(); stats.Failures > 6 || stats.Failures+stats.RefusedAccount != 20 { // the limit, and one that waits for its turn
			t.Errorf("%+v", stats)
		}
		time.Sleep(time.Minute)
		k, _ := dial(t, s)
		if err := k.Attach(t.Context(), "ophelia"); err != nil {
			t.Error(err)
		}
		k.Disconnect()
	})
}

// Nobody waits for ever for a handshake.
func TestSilence(t *testing.T) {
	for _, c := range []struct{ name, says string }{{"nothing", ""}, {"a header", header}, {"half a handshake", header + "<handshake>"}} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newServer(t, nil)
				k, ended := dial(t, s)
				before := time.Now()
				if c.says != "" {
					go func() { _ = k.Send(t.Context(), c.says) }() // part of it is never read
				}
				if err := k.ReadHeader(t.Context()); err != nil {
					t.Fatal(err)
				}
				wantError(t, k, stanza.StreamConnectionTimeout)
				k.Disconnect()
				if err := <-ended; err == nil || time.Since(before) < 15*time.Second || time.Since(before) > 25*time.Second {
					t.Errorf("%v after %v", err, time.Since(before))
				}
			})
		})
	}
}

// So many may wait at the door at a time.
func TestCrowd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t, nil)
		var ends []chan error
		for range 100 {
			_, ended := dial(t, s)
			ends = append(ends, ended)
		}
		synctest.Wait()
		k, ended := dial(t, s)
		if err := k.ReadHeader(t.Context()); err == nil {
			t.Error("one too many is let in")
		}
		if err := <-ended; err == nil {
			t.Error("no error")
		}
		time.Sleep(time.Hour) // until the others have been sent away
		for _, ended := range ends {
			<-ended
		}
		k, _ = dial(t, s)
		if err := k.Attach(t.Context(), "ophelia"); err != nil {
			t.Error(err)
		}
		k.Disconnect()
	})
}

// A mistake of the server's own ends the one connection.
func TestPanic(t *testing.T) {
	s := newServer(t, nil)
	k, _ := dial(t, s)
	if err := k.Attach(t.Context(), "ophelia"); err != nil {
		t.Fatal(err)
	}
	if err := k.Send(t.Context(), "<message from='muc.example.com' to='a'>panic</message>"); err != nil {
		t.Fatal(err)
	}
	wantError(t, k, stanza.StreamInternalServerError)
	k.Disconnect()
}

// Shutdown does not wait longer than it may for who does not answer, and lets nobody in afterwards.
func TestShutdown(t *testing.T) {
	s := newServer(t, nil)
	k, _ := dial(t, s)
	if err := k.Attach(t.Context(), "ophelia"); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Shutdown(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("Shutdown: %v", err)
	}
	late, ended := dial(t, s)
	if err := late.ReadHeader(t.Context()); err == nil {
		t.Error("let in")
	}
	if err := <-ended; err == nil {
		t.Error("no error")
	}
}
