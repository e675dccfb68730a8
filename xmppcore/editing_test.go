package xmppcore_test

import (
	"strings"
	"testing"

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
