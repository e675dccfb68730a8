package xmppcore_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"sync"

	"rosterd/engine"
	"rosterd/engine/addr"
	"rosterd/engine/stored"
	"rosterd/xmppcore"
)

// In some worlds of the convergence test there are users who edit their rosters, add and remove each other, ask and
// approve, all at once and without waiting for anything. Their rosters are then what the server has stored: clients must
// hold them, see whom both sides allow, and have been asked what waits for an answer.

// letEdit adds hosts whose users edit their rosters; those of b.example do not, but are asked.
func (w *world) letEdit(hosts []xmppcore.Host) []xmppcore.Host {
	w.own, w.editor = &stored.Rosters{Values: &values{}}, map[addr.Bare]bool{}
	hosts[1].BlockSubscriptions = false
	for domain := range w.editing() {
		hosts = append(hosts, xmppcore.Host{Domain: domain, Editable: true, Modules: []string{"ping"}, Auth: plainAuth(domain, anybody{})})
	}
	return hosts
}

// editing yields the hosts whose users edit their rosters.
func (w *world) editing() func(func(string) bool) {
	return func(yield func(string) bool) {
		if w.own != nil && yield("e.example") {
			yield("f.example")
		}
	}
}

// values are kept in memory.
type values struct {
	mu sync.Mutex
	of map[addr.Bare]map[string][]byte
}

func (v *values) All(_ context.Context, user addr.Bare) (map[string][]byte, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	return maps.Clone(v.of[user]), nil
}

func (v *values) Change(_ context.Context, user addr.Bare, change map[string][]byte) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.of == nil {
		v.of = map[addr.Bare]map[string][]byte{}
	}
	if v.of[user] == nil {
		v.of[user] = map[string][]byte{}
	}
	for key, b := range change {
		if v.of[user][key] = b; b == nil {
			delete(v.of[user], key)
		}
	}
	return nil
}

// shared are the rosters that users edit, and that cannot always be read.
type shared struct {
	*stored.Rosters
	w *world
}

func (s shared) Fetch(ctx context.Context, r engine.Request) (engine.Answer, error) {
	s.w.mu.Lock()
	fail := s.w.failing[r.User]
	if fail {
		s.w.refused[r.User] = true
	}
	s.w.mu.Unlock()
	if fail {
		return engine.Answer{}, &engine.TemporaryError{Err: errors.New("scripted failure")}
	}
	return s.Rosters.Fetch(ctx, r)
}

// edit changes the roster of the client's user, or what he and another are to each other.
func (c *client) edit() func() {
	rnd := c.w.rnd
	other := c.w.users[rnd.IntN(len(c.w.users))]
	if other == c.user() {
		return nil
	}
	item := fmt.Sprintf("jid='%s' name='%c'><group>%c</group>", other, 'A'+rnd.IntN(4), 'g'+rnd.IntN(3))
	kinds := []string{"set", "set", "remove", "subscribe", "subscribe", "subscribe", "subscribed", "subscribed", "subscribed", "unsubscribe", "unsubscribed"}
	switch kind := kinds[rnd.IntN(len(kinds))]; kind {
	case "remove":
		item = fmt.Sprintf("jid='%s' subscription='remove'>", other)
		fallthrough
	case "set":
		return func() {
			c.send("<iq type='set' id='edit'><query xmlns='jabber:iq:roster'><item " + item + "</item></query></iq>")
		}
	default:
		return func() { c.send("<presence type='" + kind + "' to='" + other.String() + "'/>") }
	}
}

// appear forgets who has asked, where the client becomes available: it will be told again.
func (c *client) appear() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.shown == "" {
		clear(c.asks)
	}
}

// learn reads what users have made of their rosters.
func (w *world) learn() {
	for u := range w.editor {
		ans, err := w.own.Fetch(context.Background(), engine.Request{User: u})
		if err != nil || len(ans.Dropped) > 0 {
			w.fatalf("roster of %s: %v, dropped %v", u, err, ans.Dropped)
		}
		d := doc{}
		for i := range ans.Roster.All() {
			d[i.JID] = i
		}
		w.mu.Lock()
		w.docs[u] = d
		w.mu.Unlock()
	}
}

// duet has two users, to whom nothing else happens, do what must make them agree, whatever they were to each other.
func (w *world) duet() {
	var x, y *client
	for _, c := range w.clients {
		switch {
		case !w.editor[c.user()]:
		case x == nil:
			x = c
		case c.user() != x.user():
			y = c
		}
	}
	if y == nil || w.stores != nil { // who is blocked is not heard
		return
	}
	tell := func(from *client, kind string, to *client) {
		from.send("<presence type='" + kind + "' to='" + to.user().String() + "'/>")
		from.ping()
	}
	w.steps++
	want := true
	switch w.rnd.IntN(3) {
	case 0:
		tell(x, "subscribe", y)
		tell(y, "subscribed", x)
	case 1:
		tell(x, "unsubscribe", y)
		want = false
	case 2:
		tell(y, "unsubscribed", x)
		want = false
	}
	w.learn()
	to, from := w.docs[x.user()][y.user()].Subscription, w.docs[y.user()][x.user()].Subscription
	if to.To() != want || from.From() != want {
		w.fatalf("after step %d: %s has %s with %s, and %s has %s with %s; subscribed: want %t", w.steps, x.user(), to, y.user(), y.user(), from, x.user(), want)
	}
}

// verifyRequests: what waits for the user's answer has been shown to each client that is available.
func (w *world) verifyRequests(c *client) {
	if c.shown == "" || !w.editor[c.user()] || w.stores != nil {
		return
	}
	list, err := w.own.Pending(context.Background(), c.user())
	if err != nil {
		w.fatalf("requests for %s: %v", c.user(), err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, q := range list {
		if !c.asks[q.From.String()] {
			w.fatalf("after step %d: %s was not asked by %s; it was by %v", w.steps, c.full, q.From, c.asks)
		}
	}
}
