package router

import (
	"testing"

	"rosterd/xmppcore/scan"
)

// A chat state that was lost with a session carries a delay of ours, and is no message for all that.
func TestWaits(t *testing.T) {
	for in, want := range map[string]bool{
		"<message><composing xmlns='http://jabber.org/protocol/chatstates'/></message>":                                                             false,
		"<message><composing xmlns='http://jabber.org/protocol/chatstates'/><delay xmlns='urn:xmpp:delay' stamp='2026-01-01T00:00:00Z'/></message>": false,
		"<message><body>x</body><delay xmlns='urn:xmpp:delay' stamp='2026-01-01T00:00:00Z'/></message>":                                             true,
	} {
		var sc scan.Scanner
		var st scan.Stanza
		if _, err := sc.Next([]byte(in), &st); err != nil {
			t.Fatal(err)
		}
		if got := waits(&st, ""); got != want {
			t.Errorf("%s: %v", in, got)
		}
	}
}
