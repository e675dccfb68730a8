package xmppcore_test

import (
	"context"
	"errors"
	"testing"

	"rosterd/engine/addr"
	"rosterd/xmppcore"
	"rosterd/xmppcore/xmpptest"
)

// polite are the greetings of polite.example.
var polite = xmppcore.Greetings{
	MOTD: "\n  The play's\n\t the <thing>  ", MOTDFrom: addr.MustParse("hamlet@polite.example"),
	Welcome:  "Hello $username of $host, $nobody",
	Announce: true, Admins: []addr.Bare{addr.MustBare("romeo@polite.example")},
}

// greet is the action of that name: a user has registered.
func (h *house) greet(_ context.Context, user string) error {
	h.srv.Welcome(addr.MustBare(user))
	return nil
}

// Where nobody is greeted, nobody is.
func TestNoWelcome(t *testing.T) {
	h := newHouse(t, nil)
	romeo, juliet := h.available("romeo@example.com/orchard"), h.available("juliet@polite.example/balcony")
	h.expect(juliet, "the message of the day", is("message", ""))
	h.srv.Welcome(addr.MustBare("romeo@example.com"))
	h.srv.Welcome(addr.MustBare("romeo@nowhere.example"))
	h.srv.Welcome(addr.MustBare("nurse@polite.example")) // who is not there, and messages are not kept
	h.srv.Welcome(addr.MustBare("juliet@polite.example"))
	h.expect(juliet, "a welcome", func(e xmpptest.Element) bool { return e.Attr("from") == "polite.example" })
	h.nothing(romeo)
	h.nothing(juliet)
}

// Who has just registered is welcomed at the first login.
func TestWelcome(t *testing.T) {
	h := newHouse(t, func(c *xmppcore.Config) {
		registering(t, nil)(c)
		last := &c.Hosts[len(c.Hosts)-1]
		last.Modules = append(last.Modules, "offline")
		last.Greetings.Welcome = "Welcome, $username"
	})
	romeo := h.opened("house.example")
	if e := h.asks(romeo, "set", "<username>romeo</username><password>first</password>"); e.Attr("type") != "result" {
		t.Fatalf("got %s", e)
	}
	if err := errors.Join(romeo.Authenticate(h.ctx(), "PLAIN", "romeo", "first"), romeo.Open(h.ctx()), romeo.Bind(h.ctx(), "orchard")); err != nil {
		t.Fatal(err)
	}
	h.send(romeo, "<presence/>")
	e := h.expect(romeo, "a welcome", is("message", ""))
	if body, _ := e.Path("body"); body.Text != "Welcome, romeo" || e.Attr("from") != "house.example" {
		t.Errorf("got %s", e)
	}
}
