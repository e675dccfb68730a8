package xmppcore_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"testing"

	"rosterd/engine/addr"
	"rosterd/store/credential"
	"rosterd/xmppcore"
	"rosterd/xmppcore/stanza"
	"rosterd/xmppcore/stream"
	"rosterd/xmppcore/xmpptest"
)

// lines is a log that a test reads line by line.
type lines chan string

func (l lines) Enabled(_ context.Context, level slog.Level) bool { return level >= slog.LevelInfo }
func (l lines) WithAttrs([]slog.Attr) slog.Handler               { return l }
func (l lines) WithGroup(string) slog.Handler                    { return l }
func (l lines) Handle(_ context.Context, r slog.Record) error {
	var b strings.Builder
	b.WriteString(r.Message)
	r.Attrs(func(a slog.Attr) bool {
		if a.Key != "address" && a.Key != "stack" && a.Key != "encrypted" {
			fmt.Fprintf(&b, " %s=%v", a.Key, a.Value)
		}
		return true
	})
	l <- b.String()
	return nil
}

func (l lines) want(t *testing.T, want ...string) {
	t.Helper()
	for _, w := range want {
		if got := <-l; got != w {
			t.Errorf("logged %q, want %q", got, w)
		}
	}
}

// The log says who has come and gone, and why.
func TestLogins(t *testing.T) {
	log := make(lines, 100)
	h := newHouse(t, func(c *xmppcore.Config) { c.Log = slog.New(log) })
	in := func(jid string) *xmpptest.Client {
		c := h.login(jid)
		log.want(t, "logged in user="+jid)
		return c
	}
	c := in("romeo@example.com/orchard")
	if err := c.Close(h.ctx()); err != nil {
		t.Fatal(err)
	}
	log.want(t, "logged out user=romeo@example.com/orchard cause=the client closed its stream")

	in("romeo@example.com/orchard").Disconnect()
	log.want(t, "logged out user=romeo@example.com/orchard cause=EOF")

	c = in("romeo@example.com/orchard")
	h.send(c, "<message from='juliet@example.com'/>")
	h.expectError(c, "invalid-from")
	c.Disconnect()
	log.want(t, "logged out user=romeo@example.com/orchard cause=stream error invalid-from")

	old := in("romeo@example.com/orchard")
	fresh := in("romeo@example.com/orchard")
	h.expectError(old, "conflict")
	old.Disconnect()
	log.want(t, "logged out user=romeo@example.com/orchard cause=stream error conflict")

	done := make(chan error, 1)
	ctx := h.ctx()
	go func() { done <- h.srv.Shutdown(ctx) }()
	h.expectError(fresh, "system-shutdown")
	fresh.Disconnect()
	log.want(t, "logged out user=romeo@example.com/orchard cause=stream error system-shutdown")
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// faulty panics for some users.
type faulty struct{ anybody }

func (f faulty) Credentials(ctx context.Context, u addr.Bare) (credential.Credentials, error) {
	if u.Local() == "boom" {
		panic("accounts")
	}
	return f.anybody.Credentials(ctx, u)
}

// A mistake in a negotiation costs that connection.
func TestNegotiationPanics(t *testing.T) {
	log := make(lines, 100)
	h := newHouse(t, func(c *xmppcore.Config) {
		c.Log = slog.New(log)
		c.Hosts[0].Auth = plainAuth(c.Hosts[0].Domain, faulty{})
	})
	bystander := h.login("romeo@example.com/orchard")
	log.want(t, "logged in user=romeo@example.com/orchard")
	c := h.connect("example.com")
	if err := c.Login(h.ctx(), "boom", password, ""); err == nil {
		t.Error("logged in")
	}
	log.want(t, "a negotiation made the server fail panic=accounts")
	h.ping(bystander)
}

// A listener that comes too late is closed like the others.
func TestServeAfterShutdown(t *testing.T) {
	h := newHall(t, nil)
	h.close()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	if err := h.srv.Serve(ln); !errors.Is(err, xmppcore.ErrServerClosed) {
		t.Errorf("Serve: %v", err)
	}
	if nc, err := net.Dial("tcp", ln.Addr().String()); err == nil {
		nc.Close()
		t.Error("it still listens")
	}
}

// A stream that cannot be bound is told so, and Shutdown does not wait for it.
func TestBindAfterShutdown(t *testing.T) {
	h := newHall(t, nil)
	h.close()
	refused := h.srv.Bind(stream.BindRequest{User: addr.MustBare("romeo@example.com"), Transport: newEar(t)})
	if refused == nil || refused.Condition != stanza.ServiceUnavailable || refused.Type != stanza.Wait {
		t.Errorf("refused with %v", refused)
	}
}
