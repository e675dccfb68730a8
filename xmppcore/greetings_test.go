package xmppcore_test

import (
	"context"
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
