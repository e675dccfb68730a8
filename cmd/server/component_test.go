package main

import (
	"fmt"
	"strings"
	"testing"

	"rosterd/daemontest"
	"rosterd/engine/enginetest"
	"rosterd/xmppcore/xmpptest"
)

// attach connects as a component.
func (s *program) attach(t testing.TB, port int, domain, secret string) (*client, error) {
	t.Helper()
	ctx := testContext(t)
	c, err := xmpptest.Dial(ctx, s.address(port), domain)
	if err != nil {
		return nil, err
	}
	t.Cleanup(func() { c.Disconnect() })
	return &client{c, t, ctx}, c.Attach(ctx, secret)
}

func (c *client) expect(what string, match func(xmpptest.Element) bool) xmpptest.Element {
	c.t.Helper()
	e, err := c.Expect(c.ctx, what, match)
	c.must(err)
	return e
}

// Components come and go with the configuration, and so does the port that they connect to.
func TestComponents(t *testing.T) {
	t.Parallel()
	backend := enginetest.Serve(t, map[string]string{"romeo": "{}"})
	p := newPlace(t, open(backend.Template()))
	port := daemontest.Port(t)
	p.head = fmt.Sprintf("component_interfaces = '127.0.0.1'\ncomponent_ports = { %d }", port)
	s := p.serve(t)
	without := s.text
	if _, err := s.attach(t, port, "muc.example.com", "ophelia"); err == nil {
		t.Fatal("somebody listens for components where there are none")
	}

	s.wantReloaded(t, without+`Component "muc.example.com"
  component_secret = "ophelia"
  name = "Rooms"
Component "elsewhere.example"
  component_secret = "yorick"
`)
	muc, err := s.attach(t, port, "muc.example.com", "ophelia")
	if err != nil {
		t.Fatal(err)
	}
	romeo := s.login(t, "romeo@example.com/orchard")
	items, err := romeo.IQ(romeo.ctx, "get", "example.com", "<query xmlns='http://jabber.org/protocol/disco#items'/>")
	romeo.must(err)
	if q := items.Children[0]; len(q.Children) != 1 || q.Children[0].Attr("jid") != "muc.example.com" || q.Children[0].Attr("name") != "Rooms" {
		t.Errorf("items: %s", items)
	}
	romeo.send("<presence to='room@muc.example.com/romeo'/>")
	muc.expect("romeo to enter", func(e xmpptest.Element) bool { return e.Attr("from") == romeo.JID })
	muc.send("<message from='room@muc.example.com' to='%s'><body>welcome</body></message>", romeo.JID)
	romeo.expect("a message", func(e xmpptest.Element) bool { return e.Name.Local == "message" })

	// A new secret is for who connects from now on.
	s.wantReloaded(t, without+"Component \"muc.example.com\"\n  component_secret = \"gertrude\"\n")
	muc.must(muc.Ping(muc.ctx))
	s.wantReloaded(t, without)
	muc.expect("the end", func(e xmpptest.Element) bool { return strings.Contains(e.Raw, "<host-gone ") })
	if _, err := s.attach(t, port, "muc.example.com", "gertrude"); err == nil {
		t.Error("somebody still listens for components")
	}
	romeo.must(romeo.Ping(romeo.ctx))
}

// Greetings are Prosody's modules motd and announce.
func TestGreetings(t *testing.T) {
	t.Parallel()
	backend := enginetest.Serve(t, map[string]string{"romeo": "{}"})
	s := newPlace(t, open(backend.Template(), `modules_enabled = { "http_roster_admin", "motd", "announce" }`,
		`admins = { "romeo@example.com" }`, `motd_text = "Be quiet"`)).serve(t)
	romeo := s.login(t, "romeo@example.com/orchard")
	romeo.send("<presence/>")
	motd := romeo.expect("the message of the day", func(e xmpptest.Element) bool { return e.Name.Local == "message" })
	if body, _ := motd.Path("body"); body.Text != "Be quiet" || motd.Attr("from") != "example.com" {
		t.Errorf("got %s", motd)
	}
	romeo.send("<message to='example.com/announce/online'><body>Doors close at ten</body></message>")
	romeo.expect("the announcement", func(e xmpptest.Element) bool {
		body, _ := e.Path("body")
		return e.Attr("type") == "headline" && body.Text == "Doors close at ten"
	})
}
