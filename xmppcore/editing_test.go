package xmppcore_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"rosterd/engine"
	"rosterd/engine/addr"
	"rosterd/xmppcore"
	"rosterd/xmppcore/xmpptest"
)

// The stream announces that contacts can be approved in advance (RFC 6121 §3.4), where that is so.
func TestPreApprovalIsAnnounced(t *testing.T) {
	h := newHouse(t, nil)
	for domain, want := range map[string]bool{"montague.example": true, "example.com": false, "example.net": false} {
		c := h.login("romeo@" + domain + "/x")
		if _, got := c.Features.Find("urn:xmpp:features:pre-approval", "sub"); got != want {
			t.Errorf("%s: announced: %t", domain, got)
		}
	}
}

// A request that would be kept for somebody is not larger than any needs to be.
func TestLongRequest(t *testing.T) {
	h := newHouse(t, nil)
	romeo, juliet := h.available("romeo@montague.example/x"), h.available("juliet@capulet.example/y")
	h.send(romeo, "<presence id='1' type='subscribe' to='juliet@capulet.example'><status>"+strings.Repeat("x", 8<<10)+"</status></presence>")
	e := h.expect(romeo, "a refusal", func(e xmpptest.Element) bool { return e.Attr("id") == "1" })
	if e.Attr("type") != "error" {
		t.Fatal(e)
	}
	h.nothing(romeo)
	h.nothing(juliet)
	h.send(romeo, "<presence type='subscribe' to='juliet@capulet.example'><status>"+strings.Repeat("x", 7<<10)+"</status></presence>")
	h.expect(juliet, "the request", is("presence", "subscribe"))
}

// A request that cannot be kept comes back, and can be made again; so does a change of the own roster.
func TestEditFails(t *testing.T) {
	h := newHouse(t, func(c *xmppcore.Config) { c.Log = slog.New(slog.DiscardHandler) })
	romeo := h.available("romeo@montague.example/x")
	refusal := func(c *xmpptest.Client, id, condition string) {
		t.Helper()
		e := h.expect(c, "a refusal", func(e xmpptest.Element) bool { return e.Attr("id") == id })
		why, _ := e.Find("jabber:client", "error")
		if _, ok := why.Find("urn:ietf:params:xml:ns:xmpp-stanzas", condition); !ok || e.Attr("type") != "error" || why.Attr("type") != "wait" {
			t.Fatalf("want %s: %s", condition, e)
		}
	}
	h.breaks("juliet@capulet.example", errors.New("disk full"))
	h.send(romeo, "<presence id='1' type='subscribe' to='juliet@capulet.example'/>")
	refusal(romeo, "1", "internal-server-error")
	h.breaks("juliet@capulet.example", fmt.Errorf("a lock: %w", context.DeadlineExceeded))
	h.send(romeo, "<presence id='2' type='subscribe' to='juliet@capulet.example'/>")
	refusal(romeo, "2", "remote-server-timeout")

	juliet := h.login("juliet@capulet.example/y") // her requests cannot be read either
	h.send(juliet, "<presence/>")
	h.expect(juliet, "her own presence", is("presence", ""))
	h.nothing(juliet)
	h.breaks("juliet@capulet.example", nil)
	h.send(romeo, "<presence id='3' type='subscribe' to='juliet@capulet.example'/>")
	h.expect(juliet, "the request", is("presence", "subscribe"))

	h.breaks("nurse@montague.example", errors.New("disk full"))
	nurse := h.login("nurse@montague.example/z")
	h.send(nurse, "<iq type='set' id='4'><query xmlns='jabber:iq:roster'><item jid='romeo@montague.example'/></query></iq>")
	refusal(nurse, "4", "internal-server-error")
	h.breaks("nurse@montague.example", engine.ErrFull)
	h.send(nurse, "<iq type='set' id='5'><query xmlns='jabber:iq:roster'><item jid='romeo@montague.example'/></query></iq>")
	refusal(nurse, "5", "resource-constraint")
}

// breaks makes the backend fail, or no longer if err is nil.
func (h *house) breaks(user string, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.broken[addr.MustBare(user)] = err
}
