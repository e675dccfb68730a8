package main

import (
	"fmt"
	"testing"

	"rosterd/engine/enginetest"
)

const (
	rosterOfJohn = `{"jane@example.com": {"name": "Jane", "groups": ["Friends"]}}`
	rosterOfJane = `{"john@example.com": {"name": "John"}}`
)

// TestRosterSets: whatever a client wants to change, it is refused and nothing changes.
func TestRosterSets(t *testing.T) {
	t.Parallel()
	backend := enginetest.Serve(t, map[string]string{"john": rosterOfJohn, "jane": rosterOfJane})
	s := newPlace(t, open(backend.Template())).serve(t)
	john, other, jane := s.view(t, "john@example.com/tea"), s.view(t, "john@example.com/other"), s.view(t, "jane@example.com")
	for _, tt := range []struct{ name, query string }{
		{"add", "<item jid='new@example.com' name='New'/>"},
		{"rename", "<item jid='jane@example.com' name='Janet'/>"},
		{"regroup", "<item jid='jane@example.com' name='Jane'><group>Foes</group></item>"},
		{"remove", "<item jid='jane@example.com' subscription='remove'/>"},
		{"remove a stranger", "<item jid='stranger@example.com' subscription='remove'/>"},
		{"remove oneself", "<item jid='john@example.com' subscription='remove'/>"},
		{"empty", ""},
		{"two items", "<item jid='a@example.com'/><item jid='b@example.com'/>"},
		{"not a JID", "<item jid='@@'/>"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for _, to := range []string{"", "john@example.com"} {
				answer, err := john.IQ(john.ctx, "set", to, "<query xmlns='jabber:iq:roster'>"+tt.query+"</query>")
				john.must(err)
				equal(t, "answer", refusal(answer), "cancel/service-unavailable")
			}
			for _, c := range []*viewer{john, other} {
				equal(t, "what "+c.JID+" holds", c.holds(), []string{"jane@example.com|Jane|both|Friends"})
				equal(t, "pushes", c.pushes, 0)
			}
		})
	}
	equal(t, "what jane holds", jane.holds(), []string{"john@example.com|John|both|"})
	equal(t, "refresh", s.refresh(t, "john", "jane").outcomes(), []string{"john unchanged", "jane unchanged"})
	john.wantRoster("jane@example.com|Jane|both|Friends")
}

// TestSubscriptions: stanzas that would change a roster are dropped whatever their address, or refused where
// block_subscriptions is not enabled; they come to nobody and change no roster, neither now nor at the next login
// (BUG 9 and 10 of the reference).
func TestSubscriptions(t *testing.T) {
	targets := []string{
		"jane@example.com", "jane@example.com/garden", "jane@example.com/gone", // a contact
		"mary@example.com", "mary@example.com/garden", // who is online, but no contact
		"nobody@example.com", "example.com", "example.com/x",
		"john@example.com", "john@example.com/tea",
		"remote@example.org", "remote@example.org/x", "example.org",
	}
	for _, blocked := range []bool{true, false} {
		t.Run(fmt.Sprintf("block_subscriptions %v", blocked), func(t *testing.T) {
			t.Parallel()
			backend := enginetest.Serve(t, map[string]string{"john": rosterOfJohn, "jane": rosterOfJane, "mary": `{}`})
			option := ""
			if !blocked {
				option = `modules_disabled = { "roster", "block_subscriptions" }`
			}
			s := newPlace(t, open(backend.Template(), option)).serve(t)
			john, jane, mary := s.view(t, "john@example.com/tea"), s.view(t, "jane@example.com/garden"), s.view(t, "mary@example.com/garden")
			jane.holds() // and takes the presence in, which is not what this is about
			for _, typ := range []string{"subscribe", "subscribed", "unsubscribe", "unsubscribed"} {
				for _, to := range targets {
					john.takeIn()
					john.send("<presence type='%s' to='%s' id='s'><status>please</status></presence>", typ, to)
					if !blocked {
						answer, err := john.Next(john.ctx)
						john.must(err)
						if got := refusal(answer); got != "cancel/not-allowed" || answer.Attr("id") != "s" || answer.Attr("from") != to {
							t.Errorf("%s to %s is answered with %s", typ, to, answer)
						}
					}
					john.wantNothing()
				}
				john.send("<presence type='%s'/>", typ) // to nobody: the own account (RFC 6120 §10.3)
				john.takeIn()
			}
			for _, c := range []*viewer{jane, mary} {
				c.wantNothing()
			}
			equal(t, "what jane holds", jane.holds(), []string{"john@example.com|John|both|"})
			john.wantRoster("jane@example.com|Jane|both|Friends")

			john.leave()
			before := len(backend.Requests("john"))
			again := s.view(t, "john@example.com/tea")
			equal(t, "what john gets at the next login", again.holds(), []string{"jane@example.com|Jane|both|Friends"})
			equal(t, "requests for it", len(backend.Requests("john"))-before, 1)
			jane.wantRoster("john@example.com|John|both|")
		})
	}
}

// takeIn reads what has come so far.
func (v *viewer) takeIn() { v.t.Helper(); v.holds() }

// TestOtherPresence: what block_subscriptions lets pass.
func TestOtherPresence(t *testing.T) {
	t.Parallel()
	backend := enginetest.Serve(t, map[string]string{"john": rosterOfJohn, "jane": rosterOfJane, "mary": `{}`})
	s := newPlace(t, open(backend.Template())).serve(t)
	john, jane, mary := s.view(t, "john@example.com/tea"), s.view(t, "jane@example.com/garden"), s.view(t, "mary@example.com/garden")
	john.takeIn()
	jane.takeIn()

	john.send("<presence to='mary@example.com'><status>hello</status></presence>")
	mary.wantPresence("john@example.com/tea", "")
	john.send("<presence to='mary@example.com' type='unavailable'/>")
	mary.wantPresence("john@example.com/tea", "unavailable")
	john.send("<presence to='jane@example.com' type='probe'/>")
	john.wantPresence("jane@example.com/garden", "")
	john.send("<presence to='mary@example.com' type='probe'/>")
	john.wantNothing() // mary's roster does not grant it
	john.send("<presence type='nonsense' to='jane@example.com' id='n'/>")
	answer, err := john.Next(john.ctx)
	john.must(err)
	equal(t, "answer to nonsense", refusal(answer), "modify/bad-request")
	jane.wantNothing()
	mary.wantNothing()
}
