//go:build clients

package clients

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"rosterd/xmppcore/xmpptest"
)

// client is somebody else's program with a user before it, who sees what is on the screen.
type client interface {
	// sees returns when the contacts are shown like that, sorted, each as "group / name: status"; before that, when
	// ctx ends, with those that are shown instead.
	sees(ctx context.Context, want []string) (instead []string, err error)
	// hears returns when that text of a contact has been shown; before that, when ctx ends, with what is shown instead.
	hears(ctx context.Context, name, text string) (instead string, err error)
	says(ctx context.Context, to, text string) error
	picture(ctx context.Context, name string) error
	leave(ctx context.Context) error
}

// start brings romeo online with a client.
type start func(t *testing.T, h *house) client

// TestStory is the main job, as each client shows it.
func TestStory(t *testing.T) {
	for _, tt := range []struct {
		name  string
		start start
	}{
		{"profanity", profanity},
		{"xmppjs-tcp", library("xmppjs.js", func(h *house) string { return "xmpp://" + h.address(h.c2s) })},
		{"xmppjs-tls", library("xmppjs.js", func(h *house) string { return "xmpps://" + h.address(h.direct) })},
		{"xmppjs-websocket", library("xmppjs.js", webSocket)},
		{"strophe-websocket", library("strophe.js", webSocket)},
		{"strophe-bosh", library("strophe.js", bosh)},
		{"converse-websocket", converseJS("websocket_url", webSocket)},
		{"converse-bosh", converseJS("bosh_service_url", bosh)},
		{"converse-wss", converseJS("websocket_url", func(h *house) string { return "wss://" + h.address(h.tls) + "/xmpp-websocket" })},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			story{open(t, cast()), romeo}.play(t, tt.name, tt.start)
		})
	}
}

func webSocket(h *house) string { return "ws://" + h.address(h.http) + "/xmpp-websocket" }
func bosh(h *house) string      { return "http://" + h.address(h.http) + "/http-bind" }

const (
	romeo    = "romeo@" + domain
	juliet   = "juliet@" + domain
	rosaline = "rosaline@" + domain
	mercutio = "mercutio@" + domain
	benvolio = "benvolio@" + domain
)

// cast is who has whom as a contact in the beginning. Rosaline knows romeo before he knows her.
func cast() map[string]map[string]contact {
	return map[string]map[string]contact{
		"romeo": {
			juliet:   {"Juliet", []string{"Capulets"}},
			mercutio: {"Mercutio", []string{"Montagues"}},
			benvolio: {"Benvolio", []string{"Montagues"}},
		},
		"juliet":   {romeo: {"Romeo", []string{"Montagues"}}},
		"rosaline": {romeo: {"Romeo", nil}},
	}
}

// story is what romeo sees.
type story struct {
	*house
	who string
}

func (s story) play(t *testing.T, name string, start start) {
	ctx, cancel := context.WithTimeout(t.Context(), 2*atMost)
	defer cancel()
	r := stage{t, ctx, start(t, s.house)}
	r.sees("Capulets / Juliet: offline", "Montagues / Benvolio: offline", "Montagues / Mercutio: offline")

	// Presence, both ways.
	j := s.enter(t, ctx, "juliet")
	j.send("<presence/>")
	r.sees("Capulets / Juliet: online", "Montagues / Benvolio: offline", "Montagues / Mercutio: offline")
	his := j.presence(s.who, "").Attr("from")
	j.send("<presence><show>dnd</show></presence>")
	r.sees("Capulets / Juliet: dnd", "Montagues / Benvolio: offline", "Montagues / Mercutio: offline")

	// A conversation.
	r.must(r.client.says(ctx, juliet, "But soft, what light?"))
	j.message(s.who, "But soft, what light?")
	j.send("<message to='%s' type='chat' id='m1'><body>Ay me!</body></message>", s.who)
	r.hears("Juliet", "Ay me!")
	r.sees("Capulets / Juliet: dnd", "Montagues / Benvolio: offline", "Montagues / Mercutio: offline")
	r.must(r.client.picture(ctx, name+"-before"))

	// The backend changes one contact after the other.
	s.enter(t, ctx, "rosaline").send("<presence/>")
	s.change(t, "romeo", func(l map[string]contact) { l[rosaline] = contact{"Rosaline", []string{"Capulets"}} })
	r.sees("Capulets / Juliet: dnd", "Capulets / Rosaline: online", "Montagues / Benvolio: offline", "Montagues / Mercutio: offline")
	s.change(t, "romeo", func(l map[string]contact) { l[juliet] = contact{"Juliet Capulet", []string{"Capulets"}} })
	r.sees("Capulets / Juliet Capulet: dnd", "Capulets / Rosaline: online", "Montagues / Benvolio: offline", "Montagues / Mercutio: offline")
	s.change(t, "romeo", func(l map[string]contact) { l[mercutio] = contact{"Mercutio", []string{"Friends"}} })
	r.sees("Capulets / Juliet Capulet: dnd", "Capulets / Rosaline: online", "Friends / Mercutio: offline", "Montagues / Benvolio: offline")
	s.change(t, "romeo", func(l map[string]contact) { delete(l, benvolio) })
	r.sees("Capulets / Juliet Capulet: dnd", "Capulets / Rosaline: online", "Friends / Mercutio: offline")
	r.must(r.client.picture(ctx, name+"-after"))

	// All that without a new login, and to the end.
	j.send("<presence type='unavailable'/>")
	r.sees("Capulets / Juliet Capulet: offline", "Capulets / Rosaline: online", "Friends / Mercutio: offline")
	j.send("<presence/>")
	r.sees("Capulets / Juliet Capulet: online", "Capulets / Rosaline: online", "Friends / Mercutio: offline")
	if logins := s.log.find(`msg="logged in"`, "user="+s.who); len(logins) != 1 {
		t.Errorf("%d logins of %s, want one", len(logins), s.who)
	}
	r.must(r.client.leave(ctx))
	if from := j.presence(s.who, "unavailable").Attr("from"); from != his {
		t.Errorf("%s has left, who was %s", from, his)
	}
}

// stage is a client that fails its test.
type stage struct {
	t      *testing.T
	ctx    context.Context
	client client
}

func (s stage) must(err error) {
	s.t.Helper()
	must(s.t, err)
}

func (s stage) sees(want ...string) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.ctx, atMost)
	defer cancel()
	if instead, err := s.client.sees(ctx, want); err != nil {
		s.t.Fatalf("%v\nwant %s\nsees %s", err, strings.Join(want, "\n     "), strings.Join(instead, "\n     "))
	}
}

func (s stage) hears(name, text string) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.ctx, atMost)
	defer cancel()
	if instead, err := s.client.hears(ctx, name, text); err != nil {
		s.t.Fatalf("no %q from %s: %v\n%s", text, name, err, instead)
	}
}

// companion is a user of our own test client, who fails the test where something goes wrong.
type companion struct {
	*xmpptest.Client
	t   *testing.T
	ctx context.Context
}

// enter logs somebody in.
func (h *house) enter(t *testing.T, ctx context.Context, user string) *companion {
	t.Helper()
	c, err := xmpptest.Dial(ctx, h.address(h.c2s), domain)
	must(t, err)
	t.Cleanup(func() { c.Disconnect() })
	must(t, c.Login(ctx, user, password, "balcony"))
	_, err = c.Roster(ctx)
	must(t, err)
	return &companion{c, t, ctx}
}

func (c *companion) send(format string, args ...any) {
	c.t.Helper()
	must(c.t, c.Send(c.ctx, fmt.Sprintf(format, args...)))
}

func (c *companion) expect(what string, match func(xmpptest.Element) bool) xmpptest.Element {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.ctx, atMost)
	defer cancel()
	e, err := c.Expect(ctx, what, match)
	must(c.t, err)
	return e
}

// presence waits for presence of that type ("" is available) from a bare JID.
func (c *companion) presence(from, typ string) xmpptest.Element {
	c.t.Helper()
	return c.expect(fmt.Sprintf("presence of type %q from %s", typ, from), func(e xmpptest.Element) bool {
		return e.Name.Local == "presence" && e.Attr("type") == typ && bare(e.Attr("from")) == from
	})
}

// message waits for a message with that body from a bare JID.
func (c *companion) message(from, body string) {
	c.t.Helper()
	c.expect(fmt.Sprintf("%q from %s", body, from), func(e xmpptest.Element) bool {
		b, ok := e.Find("jabber:client", "body")
		return ok && e.Name.Local == "message" && b.Text == body && bare(e.Attr("from")) == from
	})
}

func bare(jid string) string {
	jid, _, _ = strings.Cut(jid, "/")
	return jid
}

// line is a contact in a group, as client.sees wants it.
func line(group, name, status string) string { return group + " / " + name + ": " + status }

func sorted(lines []string) []string {
	slices.Sort(lines)
	return lines
}
