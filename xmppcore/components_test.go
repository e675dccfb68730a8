package xmppcore_test

import (
	"context"
	"errors"
	"net"
	"strings"
	"testing"

	"rosterd/xmppcore"
	"rosterd/xmppcore/component"
	"rosterd/xmppcore/session"
	"rosterd/xmppcore/xmpptest"
)

// parts are the components of every house.
var parts = component.Config{Components: []component.Component{
	{Domain: "muc.example.com", Secret: "ophelia"},
	{Domain: "irc.example.com", Secret: "yorick", Replace: true},
	{Domain: "post.example.com", Secret: "osric", AnyFrom: true},
	{Domain: "shut.example.com"},
}}

// dialComponent connects to where components do, which is opened at the first of them.
func (h *house) dialComponent() func(context.Context) (net.Conn, error) {
	var srv *xmppcore.Server
	var address string
	return func(ctx context.Context) (net.Conn, error) {
		if h.srv != srv { // at first, and after a restart
			srv, address = h.srv, h.serveComponents()
		}
		var d net.Dialer
		return d.DialContext(ctx, "tcp", address)
	}
}

func (h *house) serveComponents() string {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		h.t.Fatal(err)
	}
	served := make(chan error, 1)
	srv := h.srv
	go func() { served <- srv.ServeComponents(h.wrap(ln)) }()
	h.t.Cleanup(func() {
		ln.Close()
		if err := <-served; !errors.Is(err, net.ErrClosed) && !errors.Is(err, xmppcore.ErrServerClosed) {
			h.t.Errorf("ServeComponents: %v", err)
		}
	})
	return ln.Addr().String()
}

// attach is a component that is connected.
func (h *house) attach(dial func(context.Context) (net.Conn, error), domain, secret string) *xmpptest.Client {
	h.t.Helper()
	c := h.component(dial, domain)
	if err := c.Attach(h.ctx(), secret); err != nil {
		h.t.Fatalf("%s: %v", domain, err)
	}
	return c
}

// component is a connection on which nothing has been said.
func (h *house) component(dial func(context.Context) (net.Conn, error), domain string) *xmpptest.Client {
	h.t.Helper()
	nc, err := dial(h.ctx())
	if err != nil {
		h.t.Fatal(err)
	}
	c := xmpptest.New(nc, domain)
	h.t.Cleanup(func() { c.Disconnect() })
	return c
}

const componentHeader = "<?xml version='1.0'?><stream:stream xmlns='jabber:component:accept' xmlns:stream='http://etherx.jabber.org/streams'"

// Who is not let in is told why, in a stream.
func TestComponentRefused(t *testing.T) {
	open := componentHeader + " to='muc.example.com'>"
	for _, c := range []struct{ name, send, condition string }{
		{"a domain that there is not", componentHeader + " to='nowhere.example.com'>", "host-unknown"},
		{"a VirtualHost", componentHeader + " to='example.com'>", "host-unknown"},
		{"no domain", componentHeader + ">", "improper-addressing"},
		{"a client", "<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' to='muc.example.com' version='1.0'>", "invalid-namespace"},
		{"no secret", open + "<handshake/>", "not-authorized"},
		{"a wrong secret", open + "<handshake>" + strings.Repeat("0", 40) + "</handshake>", "not-authorized"},
		{"a domain without a secret", componentHeader + " to='shut.example.com'><handshake/>", "not-authorized"},
		{"a stanza first", open + "<message from='a@muc.example.com' to='romeo@example.com'/>", "not-authorized"},
		{"a handshake of another namespace", open + "<handshake xmlns='urn:x'/>", "not-authorized"},
		{"XML that is none", open + "<handshake>&amp</handshake>", "not-well-formed"},
		{"too much before the handshake", open + "<handshake>" + strings.Repeat("0", 20_000) + "</handshake>", "policy-violation"},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := newHouse(t, nil)
			k := h.component(h.dialComponent(), "muc.example.com")
			h.send(k, c.send)
			if err := k.ReadHeader(h.ctx()); err != nil {
				t.Fatal(err)
			}
			h.expectError(k, c.condition)
		})
	}
}

// What a component must not send ends its connection, and nobody sees it.
func TestComponentMisbehaves(t *testing.T) {
	for _, c := range []struct{ name, send, condition string }{
		{"from another domain", "<message from='juliet@example.com' to='romeo@example.com/orchard'/>", "invalid-from"},
		{"from below its domain", "<message from='a.muc.example.com' to='romeo@example.com/orchard'/>", "invalid-from"},
		{"from what is no address", "<message from='@' to='romeo@example.com/orchard'/>", "invalid-from"},
		{"what is no stanza", "<handshake/>", "unsupported-stanza-type"},
		{"a stanza of clients' namespace, which is another here", "<message xmlns='jabber:server' from='muc.example.com' to='romeo@example.com/orchard'/>", "unsupported-stanza-type"},
		{"a comment", "<message from='muc.example.com' to='romeo@example.com/orchard'><!-- --></message>", "restricted-xml"},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := newHouse(t, nil)
			romeo := h.login("romeo@example.com/orchard")
			dial := h.dialComponent()
			k := h.attach(dial, "muc.example.com", "ophelia")
			h.send(k, c.send)
			h.expectError(k, c.condition)
			h.nothing(romeo)
			h.attach(dial, "muc.example.com", "ophelia")
		})
	}
}

// One connection at a time: who comes later is sent away, or who came first.
func TestComponentTwice(t *testing.T) {
	h := newHouse(t, nil)
	dial := h.dialComponent()
	first := h.attach(dial, "muc.example.com", "ophelia")
	second := h.component(dial, "muc.example.com")
	if err := second.Attach(h.ctx(), "ophelia"); err == nil || !strings.Contains(err.Error(), "<conflict ") {
		t.Errorf("the second: %v", err)
	}
	h.ping(first)

	old := h.attach(dial, "irc.example.com", "yorick")
	h.attach(dial, "irc.example.com", "yorick")
	h.expectError(old, "conflict")
}

// A reload takes components away, which are told, and brings others. Who stays does not notice.
func TestComponentsReconfigured(t *testing.T) {
	h := newHouse(t, nil)
	dial := h.dialComponent()
	muc, irc := h.attach(dial, "muc.example.com", "ophelia"), h.attach(dial, "irc.example.com", "yorick")
	next := h.config
	next.Components.Components = []component.Component{{Domain: "muc.example.com", Secret: "changed"}, {Domain: "new.example.com", Secret: "fortinbras"}}
	h.srv.Reconfigure(next)
	h.expectError(irc, "host-gone")
	h.attach(dial, "new.example.com", "fortinbras")
	h.ping(muc)
	muc.Disconnect()
	if err := h.component(dial, "muc.example.com").Attach(h.ctx(), "ophelia"); err == nil {
		t.Error("the old secret lets in")
	}
}

// A component that takes nothing is given up, and senders get back what it did not take.
func TestComponentTooSlow(t *testing.T) {
	h := newNarrowHouse(t, func(c *xmppcore.Config) {
		c.Components.Outbox = session.Limits{Soft: 1 << 30, Hard: 100_000}
	})
	h.attach(h.dialComponent(), "muc.example.com", "ophelia") // and reads nothing
	romeo := h.login("romeo@example.com/orchard")
	body := "<body>" + strings.Repeat("O ", 10_000) + "</body>"
	for range 500 { // more than sockets hold
		h.send(romeo, "<message to='room@muc.example.com'>"+body+"</message>")
	}
	for range 5 { // the least that exceeds the limit
		h.expect(romeo, "a message that was not taken", func(e xmpptest.Element) bool {
			why, _ := e.Path("error", "text")
			return why.Text == "the component left before it took this"
		})
	}
	h.expect(romeo, "a message that comes too late", func(e xmpptest.Element) bool {
		why, _ := e.Path("error", "text")
		return why.Text == "the component is not connected"
	})
}

// A component gets back what a client did not take.
func TestComponentUndelivered(t *testing.T) {
	h := newNarrowHouse(t, nil)
	muc := h.attach(h.dialComponent(), "muc.example.com", "ophelia")
	romeo := h.login("romeo@example.com/orchard") // and reads nothing
	for range 49 {                                // more than sockets hold, and less than would end his stream
		h.send(muc, "<message from='room@muc.example.com' to='romeo@example.com/orchard'><body>"+strings.Repeat("O ", 10_000)+"</body></message>")
	}
	h.send(muc, "<message from='room@muc.example.com' to='romeo@example.com/orchard' id='last'/>")
	h.ping(muc)
	romeo.Disconnect()
	h.expect(muc, "the last message to come back", func(e xmpptest.Element) bool {
		return e.Attr("id") == "last" && e.Attr("type") == "error" && e.Attr("to") == "room@muc.example.com"
	})
}

// Shutdown tells components of the end of those who were in their rooms, and then ends their connections.
func TestComponentShutdown(t *testing.T) {
	h := newHouse(t, nil)
	muc := h.attach(h.dialComponent(), "muc.example.com", "ophelia")
	romeo := h.login("romeo@example.com/orchard")
	h.send(romeo, "<presence to='room@muc.example.com/romeo'/>")
	h.expect(muc, "romeo to enter", is("presence", ""))
	go h.stop()
	h.expectError(romeo, "system-shutdown")
	romeo.Disconnect()
	h.expect(muc, "romeo to leave", is("presence", "unavailable"))
	h.expectError(muc, "system-shutdown")
	muc.Disconnect()
}
