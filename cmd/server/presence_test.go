package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"

	"rosterd/engine/enginetest"
	"rosterd/xmppcore/xmpptest"
)

// conversation is what clients and a backend do, as text: see xmpptest.Stage. More steps are
//
//	backend: USER ROSTER     what is served for USER from now on
//	refresh: USER …          is posted, and everybody must be updated
//	holds: USER              the backend does not answer for USER
//	fails: USER              the backend answers 503 for USER
//	answers: USER            it does again, also what it held
//	asked: USER              the backend has been asked for USER's roster
//
// Presence that came before a roster carries when that was (XEP-0203) and other presence does not: {any} stands where
// either may be.
type conversation struct {
	name, script string
	option       string // of the VirtualHost
}

var conversations = []conversation{
	{name: "two contacts", script: `
backend: john {"jane@example.com": {}}
backend: jane {"john@example.com": {}}
john connects [john@example.com/tea, secret]
john sends: <presence/>
john receives: <presence from='{john}' to='john@example.com'/>
# Offline contacts are silent.
john receives nothing
jane connects [jane@example.com/garden, secret]
jane sends: <presence><show>chat</show></presence>
jane receives:
    <presence from='{jane}' to='jane@example.com'><show>chat</show></presence>
    <presence from='{john}' to='jane@example.com'>{any}</presence>
john receives: <presence from='{jane}' to='john@example.com'>{any}</presence>
jane sends: <presence><show>away</show></presence>
jane receives: <presence from='{jane}' to='jane@example.com'><show>away</show></presence>
john receives: <presence from='{jane}' to='john@example.com'><show>away</show></presence>
jane disconnects
john receives: <presence from='{jane}' to='john@example.com' type='unavailable'/>
john receives nothing
`},

	{name: "presence before the roster is there", script: `
# BUG 11 of the reference: it is not lost, but sent when the roster comes.
backend: john {"jane@example.com": {}}
backend: jane {"john@example.com": {}}
jane connects [jane@example.com/garden, secret]
jane sends: <presence/>
jane receives: <presence from='{jane}' to='jane@example.com'/>
holds: john
john connects [john@example.com/tea, secret]
asked: john
john sends: <presence><status>early</status></presence>
john receives: <presence from='{john}' to='john@example.com'><status>early</status></presence>
john receives nothing
jane receives nothing
answers: john
jane receives: <presence from='{john}' to='jane@example.com'>{any}</presence>
john receives: <presence from='{jane}' to='john@example.com'>{any}</presence>
`},

	{name: "presence while the backend fails", script: `
# It is made up for once there is a roster.
backend: john {"jane@example.com": {}}
backend: jane {"john@example.com": {}}
jane connects [jane@example.com/garden, secret]
jane sends: <presence/>
jane receives: <presence from='{jane}' to='jane@example.com'/>
fails: john
john connects [john@example.com/tea, secret]
john sends: <iq type='get' id='r'><query xmlns='jabber:iq:roster'/></iq>
john receives: <iq type='error' id='r' to='{john}'>{any}</iq>
john sends: <presence/>
john receives: <presence from='{john}' to='john@example.com'/>
john sends: <message to='jane@example.com' type='chat' id='m'><body>I see nobody</body></message>
jane receives: <message to='jane@example.com' from='{john}' type='chat' id='m'><body>I see nobody</body></message>
answers: john
refresh: john
jane receives: <presence from='{john}' to='jane@example.com'>{any}</presence>
john receives: <presence from='{jane}' to='john@example.com'>{any}</presence>
john sends: <iq type='get' id='r2'><query xmlns='jabber:iq:roster'/></iq>
john receives: <iq type='result' id='r2' to='{john}'><query xmlns='jabber:iq:roster'><item jid='jane@example.com' subscription='both'/></query></iq>
`},

	{name: "a client that never asks for its roster", script: `
backend: john {"jane@example.com": {}}
backend: jane {"john@example.com": {}}
john connects [john@example.com/bot, secret]
john sends: <presence/>
john receives: <presence from='{john}' to='john@example.com'/>
jane connects [jane@example.com/garden, secret]
jane sends: <presence/>
jane receives:
    <presence from='{jane}' to='jane@example.com'/>
    <presence from='{john}' to='jane@example.com'>{any}</presence>
john receives: <presence from='{jane}' to='john@example.com'>{any}</presence>
`},

	{name: "added, one side refreshed", script: `
# The other side, which is online, is fetched too.
backend: john {}
backend: jane {}
john connects [john@example.com/tea, secret]
john sends: <iq type='get' id='r'><query xmlns='jabber:iq:roster'/></iq><presence/>
john receives:
    <iq type='result' id='r' to='{john}'><query xmlns='jabber:iq:roster'/></iq>
    <presence from='{john}' to='john@example.com'/>
jane connects [jane@example.com/garden, secret]
jane sends: <iq type='get' id='r'><query xmlns='jabber:iq:roster'/></iq><presence/>
jane receives:
    <iq type='result' id='r' to='{jane}'><query xmlns='jabber:iq:roster'/></iq>
    <presence from='{jane}' to='jane@example.com'/>
backend: john {"jane@example.com": {}}
backend: jane {"john@example.com": {}}
refresh: john
john receives: <iq type='set' id='{any}' to='{john}'><query xmlns='jabber:iq:roster' ver='{any}'><item jid='jane@example.com' subscription='both'/></query></iq>
jane receives: <iq type='set' id='{any}' to='{jane}'><query xmlns='jabber:iq:roster' ver='{any}'><item jid='john@example.com' subscription='both'/></query></iq>
john receives: <presence from='{jane}' to='{any}'>{any}</presence>
jane receives: <presence from='{john}' to='{any}'>{any}</presence>
john receives nothing
jane receives nothing
backend: john {}
backend: jane {}
refresh: jane
# Gone first, then out of the roster.
john receives: <presence from='{jane}' to='john@example.com' type='unavailable'/>
john receives: <iq type='set' id='{any}' to='{john}'><query xmlns='jabber:iq:roster' ver='{any}'><item jid='jane@example.com' subscription='remove'/></query></iq>
jane receives: <presence from='{john}' to='jane@example.com' type='unavailable'/>
jane receives: <iq type='set' id='{any}' to='{jane}'><query xmlns='jabber:iq:roster' ver='{any}'><item jid='john@example.com' subscription='remove'/></query></iq>
john receives nothing
jane receives nothing
`},

	{name: "added, one side refreshed, the other left alone", option: "rosterd_refresh_other_side = false", script: `
backend: john {}
backend: jane {}
john connects [john@example.com/tea, secret]
john sends: <presence/>
john receives: <presence from='{john}' to='john@example.com'/>
jane connects [jane@example.com/garden, secret]
jane sends: <presence/>
jane receives: <presence from='{jane}' to='jane@example.com'/>
asked: john
asked: jane
backend: john {"jane@example.com": {}}
backend: jane {"john@example.com": {}}
refresh: john
# Nobody sees presence from somebody who is not in the roster yet.
john receives nothing
jane receives nothing
refresh: jane
john receives: <presence from='{jane}' to='john@example.com'>{any}</presence>
jane receives: <presence from='{john}' to='jane@example.com'>{any}</presence>
`},

	{name: "in one roster only", script: `
# Presence leaves to whom the owner's roster grants it, and is shown to whom the viewer's roster wants it.
backend: john {"jane@example.com": {}}
backend: jane {}
jane connects [jane@example.com/garden, secret]
jane sends: <presence/>
jane receives: <presence from='{jane}' to='jane@example.com'/>
john connects [john@example.com/tea, secret]
john sends: <presence/>
john receives: <presence from='{john}' to='john@example.com'/>
john receives nothing
jane receives nothing
`},

	{name: "the own JID in the roster", script: `
# BUG 7 of the reference: thousands of copies, and a server that stands still.
backend: john {"john@example.com": {"name": "Me"}, "jane@example.com": {}}
backend: jane {"john@example.com": {}}
jane connects [jane@example.com/garden, secret]
jane sends: <presence/>
jane receives: <presence from='{jane}' to='jane@example.com'/>
john connects [john@example.com/tea, secret]
john sends: <iq type='get' id='r'><query xmlns='jabber:iq:roster'/></iq>
john receives: <iq type='result' id='r' to='{john}'><query xmlns='jabber:iq:roster'><item jid='jane@example.com' subscription='both'/></query></iq>
john sends: <presence/>
john receives:
    <presence from='{john}' to='john@example.com'/>
    <presence from='{jane}' to='john@example.com'>{any}</presence>
jane receives: <presence from='{john}' to='jane@example.com'>{any}</presence>
john receives nothing
jane receives nothing
`},

	{name: "contact added before either is available", script: `
backend: john {}
backend: jane {}
john connects [john@example.com/tea, secret]
jane connects [jane@example.com/garden, secret]
asked: john
asked: jane
backend: john {"jane@example.com": {}}
backend: jane {"john@example.com": {}}
refresh: john jane
john receives nothing
jane receives nothing
john sends: <presence/>
john receives: <presence from='{john}' to='john@example.com'/>
jane receives nothing
jane sends: <presence/>
jane receives:
    <presence from='{jane}' to='jane@example.com'/>
    <presence from='{john}' to='jane@example.com'>{any}</presence>
john receives: <presence from='{jane}' to='john@example.com'>{any}</presence>
`},

	{name: "several resources", script: `
backend: john {"jane@example.com": {}}
backend: jane {"john@example.com": {}}
tea connects [john@example.com/tea, secret]
tea sends: <presence/>
tea receives: <presence from='{tea}' to='john@example.com'/>
hall connects [john@example.com/hall, secret]
hall sends: <presence><priority>5</priority></presence>
hall receives:
    <presence from='{hall}' to='john@example.com'><priority>5</priority></presence>
    <presence from='{tea}' to='john@example.com'>{any}</presence>
tea receives: <presence from='{hall}' to='john@example.com'><priority>5</priority></presence>
jane connects [jane@example.com/garden, secret]
jane sends: <presence/>
jane receives:
    <presence from='{jane}' to='jane@example.com'/>
    <presence from='{tea}' to='jane@example.com'>{any}</presence>
    <presence from='{hall}' to='jane@example.com'>{any}</presence>
tea receives: <presence from='{jane}' to='john@example.com'>{any}</presence>
hall receives: <presence from='{jane}' to='john@example.com'>{any}</presence>
hall vanishes
jane receives: <presence from='{hall}' to='jane@example.com' type='unavailable'/>
tea receives: <presence from='{hall}' to='john@example.com' type='unavailable'/>
jane receives nothing
`},

	{name: "messages reach whom they are for", script: `
# Also strangers: the roster says who sees whom, not who may speak.
backend: john {}
backend: jane {}
john connects [john@example.com/tea, secret]
john sends: <presence/>
john receives: <presence from='{john}' to='john@example.com'/>
jane connects [jane@example.com/garden, secret]
jane sends: <presence/>
jane receives: <presence from='{jane}' to='jane@example.com'/>
john sends: <message to='jane@example.com' type='chat' id='1'><body>hello &amp; goodbye</body></message>
jane receives: <message to='jane@example.com' from='{john}' type='chat' id='1'><body>hello &amp; goodbye</body></message>
john sends: <message to='{jane}' id='2'><body>there</body></message>
jane receives: <message to='{jane}' from='{john}' id='2'><body>there</body></message>
john sends: <message to='nobody@example.com' id='3' type='chat'><body>?</body></message>
john receives: <message from='nobody@example.com' to='{john}' id='3' type='error'>{any}</message>
john sends: <message to='remote@example.org' id='4'><body>?</body></message>
john receives: <message from='remote@example.org' to='{john}' id='4' type='error'>{any}</message>
jane receives nothing
`},
}

// TestConversations plays each with a program and a backend of its own.
func TestConversations(t *testing.T) {
	for _, c := range conversations {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			stage := newStage(t, c.option)
			stage.Play(t, c.script)
		})
	}
}

// newStage makes a program and a backend for john and jane, and the steps that conversation describes.
func newStage(t *testing.T, option string) *xmpptest.Stage {
	t.Helper()
	backend := enginetest.Serve(t, nil)
	s := newPlace(t, open(backend.Template(), option, "rosterd_backend_timeout = 60")).serve(t)
	s.account(t, "john@example.com")
	s.account(t, "jane@example.com")
	releases := map[string]func(){}
	return &xmpptest.Stage{
		Patience: atMost,
		Dial: func(ctx context.Context) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "tcp", s.address(s.c2s))
		},
		Actions: map[string]func(context.Context, string) error{
			"backend": func(_ context.Context, text string) error {
				user, roster, _ := strings.Cut(text, " ")
				backend.Set(user, roster)
				return nil
			},
			"refresh": func(_ context.Context, users string) error {
				body, err := json.Marshal(strings.Fields(users))
				if err != nil {
					return err
				}
				if r := s.post(t, string(body)); r.Status != "ok" || r.Errors != 0 {
					return fmt.Errorf("refresh: %+v", r)
				}
				return nil
			},
			"holds": func(_ context.Context, user string) error {
				hold, release := enginetest.Hold()
				t.Cleanup(release)
				releases[user] = release
				backend.SetFault(user, hold)
				return nil
			},
			"fails": func(_ context.Context, user string) error {
				backend.SetFault(user, enginetest.Status(503))
				return nil
			},
			"answers": func(_ context.Context, user string) error {
				if release := releases[user]; release != nil {
					release()
				}
				backend.SetFault(user, nil)
				return nil
			},
			"asked": func(ctx context.Context, user string) error {
				_, err := backend.WaitRequests(ctx, user, 1)
				return err
			},
		},
	}
}

// TestSubscriptionMatrix: presence flows from one to the other exactly where both rosters allow it, at login as after
// a refresh, for all pairs of subscriptions.
func TestSubscriptionMatrix(t *testing.T) {
	t.Parallel()
	backend := enginetest.Serve(t, nil)
	s := newPlace(t, open(backend.Template())).serve(t)
	words := []string{"", "none", "to", "from", "both"} // "" is not in the roster
	item := func(jid, subscription string) string {
		if subscription == "" {
			return `{}`
		}
		return fmt.Sprintf(`{%q: {"subscription": %q}}`, jid, subscription)
	}
	sees := func(viewer, owner string) bool {
		return (viewer == "to" || viewer == "both") && (owner == "from" || owner == "both")
	}
	for i, a := range words {
		for k, b := range words {
			name := fmt.Sprintf("%q and %q", a, b)
			ann, ben := fmt.Sprintf("ann%d%d", i, k), fmt.Sprintf("ben%d%d", i, k)
			annJID, benJID := ann+"@example.com", ben+"@example.com"
			t.Run(name, func(t *testing.T) {
				backend.Set(ann, item(benJID, a))
				backend.Set(ben, item(annJID, b))
				first := s.view(t, annJID)
				second := s.view(t, benJID)
				first.roster() // is answered once all that its coming caused is done
				second.roster()
				want := fmt.Sprint(sees(a, b), sees(b, a))
				equal(t, "who sees whom after the logins", fmt.Sprint(first.sees(benJID), second.sees(annJID)), want)

				backend.Set(ann, `{}`)
				backend.Set(ben, `{}`)
				s.refresh(t, ann, ben)
				equal(t, "who sees whom in empty rosters", fmt.Sprint(first.sees(benJID), second.sees(annJID)), "false false")
				backend.Set(ann, item(benJID, a))
				backend.Set(ben, item(annJID, b))
				s.refresh(t, ann, ben)
				equal(t, "who sees whom after the refresh", fmt.Sprint(first.sees(benJID), second.sees(annJID)), want)
				second.leave()
				s.hasLeft(t, benJID)
				equal(t, "who sees whom when one has left", first.sees(benJID), false)
				first.leave()
			})
		}
	}
}

// hasLeft waits until a user has logged out.
func (s *program) hasLeft(t testing.TB, bare string) {
	t.Helper()
	if _, err := s.log.wait(testContext(t), func(line string) bool {
		return strings.Contains(line, `msg="logged out"`) && strings.Contains(line, "user="+bare+"/")
	}); err != nil {
		t.Fatal(err)
	}
}

// TestPairs: a contact that is added, and removed, on both sides at once. Each presence comes at least once, and the
// contact before it.
func TestPairs(t *testing.T) {
	t.Parallel()
	backend := enginetest.Serve(t, map[string]string{"john": `{}`, "jane": `{}`})
	s := newPlace(t, open(backend.Template())).serve(t)
	john, jane := s.view(t, "john@example.com/tea"), s.view(t, "jane@example.com/garden")
	for round := range 10 {
		backend.Set("john", `{"jane@example.com": {"name": "Jane"}}`)
		backend.Set("jane", `{"john@example.com": {"name": "John"}}`)
		s.refresh(t, "john", "jane")
		equal(t, "john sees jane", john.sees("jane@example.com"), true)
		equal(t, "jane sees john", jane.sees("john@example.com"), true)
		equal(t, "what john holds", john.holds(), []string{"jane@example.com|Jane|both|"})
		equal(t, "what jane holds", jane.holds(), []string{"john@example.com|John|both|"})

		backend.Set("john", `{}`)
		backend.Set("jane", `{}`)
		s.refresh(t, "john", "jane")
		equal(t, "john sees jane", john.sees("jane@example.com"), false)
		equal(t, "jane sees john", jane.sees("john@example.com"), false)
		equal(t, "what john holds", john.holds(), []string{})
		equal(t, "what jane holds", jane.holds(), []string{})
		equal(t, "pushes", fmt.Sprint(john.pushes, jane.pushes), fmt.Sprint(2*round+2, 2*round+2))
		john.send("<presence><show>away</show></presence>")
		john.alive()
		jane.wantNothing()
	}
}

// TestManyUsers: forty users who all know each other log in at once, are refreshed at once, and see what they
// should.
func TestManyUsers(t *testing.T) {
	t.Parallel()
	const n = 40
	backend := enginetest.Serve(t, nil)
	s := newPlace(t, open(backend.Template())).serve(t)
	var names []string
	for i := range n {
		names = append(names, fmt.Sprintf("user%d", i))
	}
	serve := func(name func(i int) string) {
		for i := range n {
			list := map[string]any{}
			for k := range n {
				if k != i {
					list[names[k]+"@example.com"] = map[string]string{"name": name(k)}
				}
			}
			body, err := json.Marshal(list)
			if err != nil {
				t.Fatal(err)
			}
			backend.Set(names[i], string(body))
		}
	}
	serve(func(int) string { return "old" })
	all := make([]*viewer, n)
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() { all[i] = s.view(t, names[i]+"@example.com/desk") })
	}
	wg.Wait()
	if t.Failed() {
		return
	}
	serve(func(int) string { return "new" })
	s.refresh(t, names...)
	for _, v := range all {
		v.roster() // is answered once all that its coming caused is done
	}
	for i, v := range all {
		for _, item := range v.holds() {
			if !strings.HasSuffix(item, "|new|both|") {
				t.Fatalf("%s holds %s", names[i], item)
			}
		}
		equal(t, names[i]+": contacts", len(v.items), n-1)
		equal(t, names[i]+": pushes", v.pushes, n-1)
		for k := range n {
			if k != i && !v.online[names[k]+"@example.com/desk"] {
				t.Fatalf("%s does not see %s", names[i], names[k])
			}
		}
	}
	for _, v := range all[1:] {
		v.leave()
		s.hasLeft(t, strings.TrimSuffix(v.JID, "/desk"))
	}
	for _, name := range names[1:] {
		if all[0].sees(name + "@example.com") {
			t.Errorf("%s is still seen", name)
		}
	}
}
