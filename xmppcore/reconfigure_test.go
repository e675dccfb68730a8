package xmppcore_test

import (
	"slices"
	"strings"
	"testing"

	"rosterd/xmppcore"
	"rosterd/xmppcore/stream"
)

// only keeps the hosts of those domains.
func only(c xmppcore.Config, domains ...string) xmppcore.Config {
	c.Hosts = slices.DeleteFunc(slices.Clone(c.Hosts), func(h xmppcore.Host) bool { return !slices.Contains(domains, h.Domain) })
	return c
}

func TestReconfigure(t *testing.T) {
	var c xmppcore.Config
	h := newHouse(t, func(made *xmppcore.Config) { c = *made })
	h.srv.Reconfigure(only(c, "example.com", "example.net"))

	juliet, romeo, tybalt := h.available("juliet@example.com/balcony"), h.available("romeo@example.net/orchard"), h.authenticated("tybalt@example.net")
	stranger := h.connect("bare.example")
	if err := stranger.Open(h.ctx()); err == nil {
		t.Error("a host that is not served has answered")
	}

	less := only(c, "example.com", "bare.example")
	less.Hosts[0].Modules = nil
	less.Stream = stream.Limits{PerAddress: -1, Stanza: 10_000}
	h.srv.Reconfigure(less)

	h.expectError(romeo, "host-gone")
	if _, refusal := h.bind(tybalt, ""); refusal != "cancel/service-unavailable" {
		t.Errorf("a resource of a host that is gone: %q", refusal)
	}
	answer, err := juliet.IQ(h.ctx(), "get", "example.com", "<ping xmlns='urn:xmpp:ping'/>")
	if err != nil || answer.Attr("type") != "error" {
		t.Errorf("a module that is gone answers %v, %v", answer, err)
	}
	juliet.Close(h.ctx())

	h.available("benvolio@bare.example/street") // served now
	mercutio := h.available("mercutio@example.com/street")
	h.send(mercutio, "<message to='mercutio@example.com/street'><body>"+strings.Repeat("x", 10_000)+"</body></message>")
	h.expectError(mercutio, "policy-violation")
}
