package bosh

import (
	"strings"
	"testing"
)

func TestFitting(t *testing.T) {
	const (
		push     = "<iq xmlns='jabber:client' type='set' id='p'><query xmlns='jabber:iq:roster'><item jid='juliet@example.com'/></query></iq>"
		presence = "<presence xmlns='jabber:client' from='juliet@example.com/balcony'/>"
		message  = "<message xmlns='jabber:client'><body>jabber:iq:roster</body></message>"
	)
	large := "<message>" + strings.Repeat("a", most) + "</message>"
	for _, tt := range []struct{ name, first, later string }{
		{"nothing", "", ""},
		{"presence", presence + presence, ""},
		{"pushes", push + push, ""},
		{"a contact who was added and is online", push, presence},
		{"several of them", push + push, presence + presence},
		{"a contact who was removed", presence + push, ""},
		{"removed and added", presence + push + push, presence},
		{"a message between", push + message, presence + message},
		{"talk about rosters", message + presence, ""},
		{"more than a response holds", message, large + message},
		{"a stanza that is longer", large, message},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := (tt.first + tt.later)[:fitting([]byte(tt.first+tt.later))]; got != tt.first {
				t.Errorf("got  %.200s\nwant %.200s", got, tt.first)
			}
		})
	}
}
