package xmppcore_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"rosterd/engine"
	"rosterd/engine/addr"
	"rosterd/engine/roster"
	"rosterd/engine/stored"
	"rosterd/xmppcore"
)

// In some worlds of the convergence test there are users who edit their rosters, add and remove each other, ask and
// approve, all at once and without waiting for anything. Their rosters are then what the server has stored, what it has
// stored beside what a backend has, or what a backend has made of it, or what an application has assigned in between: clients must hold them, see whom both sides allow,
// and have been asked what waits for an answer.

// letEdit adds hosts whose users edit their rosters; those of b.example do not, but are asked.
func (w *world) letEdit(hosts []xmppcore.Host, seed uint64) []xmppcore.Host {
	w.own, w.editor = &stored.Rosters{Values: &values{}}, map[addr.Bare]bool{}
	switch seed % 8 {
	case 3:
		w.assigning = true
	case 4:
		w.base = map[addr.Bare]doc{}
	case 6:
		w.judge = &judge{w: w}
	}
	hosts[1].BlockSubscriptions = false
	for domain := range w.editing() {
		hosts = append(hosts, xmppcore.Host{Domain: domain, Editable: true, Writeback: w.judge != nil, Modules: []string{"ping"}, Auth: plainAuth(domain, anybody{})})
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

// edited is how the engine has a host whose users edit their rosters: they are stored, or what is stored is beside a
// backend's, or a backend decides.
func (w *world) edited(h engine.Host) engine.Host {
	switch {
	case w.base != nil:
		h.Own = w.own
	case w.judge != nil:
		h.Writer = w.judge
	default:
		h.Backend = shared{w.own, w}
	}
	if w.assigning {
		h.Assigner = w.own
	}
	return h
}

// assign has an application change the roster of a user, who may be offline, on his side alone.
func (w *world) assign() func() {
	var editors []addr.Bare
	for _, u := range w.users {
		if w.editor[u] {
			editors = append(editors, u)
		}
	}
	user := editors[w.rnd.IntN(len(editors))]
	var put []roster.Item
	var remove []addr.Bare
	for range 1 + w.rnd.IntN(3) {
		switch other := w.users[w.rnd.IntN(len(w.users))]; {
		case other == user:
		case w.rnd.IntN(4) == 0:
			remove = append(remove, other)
		default:
			put = append(put, roster.Item{JID: other, Name: "assigned", Subscription: roster.Subscription(w.rnd.IntN(4))})
		}
	}
	return func() {
		decide := func(roster.Roster) ([]roster.Item, []addr.Bare, error) { return put, remove, nil }
		if _, err := w.eng.Assign(context.Background(), engine.Assignment{User: user, Decide: decide}); err != nil {
			w.fatalf("after step %d: %s is assigned %v: %v", w.steps, user, put, err)
		}
	}
}

// served is what the backend has of a user. Under the lock.
func (w *world) served(u addr.Bare) doc {
	if w.base != nil && w.editor[u] {
		return w.base[u]
	}
	return w.docs[u]
}

// judge decides about edits: it takes most of them, on both sides of a pair.
type judge struct {
	w       *world
	asked   int
	willing bool // it takes all
}

func (j *judge) Edit(_ context.Context, e engine.Edit) error {
	w := j.w
	w.mu.Lock()
	defer w.mu.Unlock()
	j.asked++
	verdict := j.asked % 8
	switch {
	case j.willing:
		verdict = 7
	case verdict == 0:
		return &engine.VetoError{Text: "no"}
	case verdict == 1:
		return &engine.TemporaryError{Err: errors.New("503")}
	}
	i, known := w.docs[e.User][e.Contact]
	i.JID = e.Contact
	switch e.Action {
	case engine.Set:
		i.Name, i.Groups = e.Item.Name, e.Item.Groups
	case engine.OutSubscribe:
		i.Subscription |= roster.To
	case engine.OutSubscribed:
		i.Subscription |= roster.From
	case engine.OutUnsubscribe:
		i.Subscription &^= roster.To
	case engine.OutUnsubscribed:
		i.Subscription &^= roster.From
	}
	switch {
	case e.Action == engine.Remove:
		delete(w.docs[e.User], e.Contact)
		i.Subscription = roster.None
	case known || e.Action == engine.Set || i.Subscription != roster.None:
		w.docs[e.User][e.Contact] = i
	}
	if o, there := w.docs[e.Contact][e.User]; w.editor[e.Contact] && (there || i.Subscription != roster.None) {
		o.JID, o.Subscription = e.User, mirror(i.Subscription)
		w.docs[e.Contact][e.User] = o
	}
	if !j.willing { // who has left by now makes nobody else's roster be fetched
		w.refused[e.User] = true
		if w.editor[e.Contact] {
			w.refused[e.Contact] = true
		}
	}
	if verdict == 2 { // done, and nobody hears of it
		return &engine.TemporaryError{Err: errors.New("connection reset")}
	}
	return nil
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
		if w.judge != nil {
			break // it has them
		}
		ans, err := w.own.Fetch(context.Background(), engine.Request{User: u})
		if err != nil || len(ans.Dropped) > 0 {
			w.fatalf("roster of %s: %v, dropped %v", u, err, ans.Dropped)
		}
		d := doc{}
		for i := range ans.Roster.All() {
			d[i.JID] = i
		}
		w.mu.Lock()
		maps.Copy(d, w.base[u]) // before what is the user's own
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
	if w.judge != nil {
		w.willing(true)
		defer w.willing(false)
	}
	want := true
	switch w.rnd.IntN(3) {
	case 0:
		tell(x, "subscribe", y)
		if w.judge == nil { // nobody is asked
			tell(y, "subscribed", x)
		}
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
	if w.judge != nil {
		w.catchUp() // without any refresh
		w.verify()
	}
}

// verifyRequests: what waits for the user's answer has been shown to each client that is available.
func (w *world) verifyRequests(c *client) {
	if c.shown == "" || !w.editor[c.user()] || w.stores != nil || w.judge != nil {
		return
	}
	list, err := w.own.Pending(context.Background(), c.user())
	if err != nil {
		w.fatalf("requests for %s: %v", c.user(), err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, q := range list {
		if !c.asks[q.From.String()] && (w.base == nil || w.editor[q.From]) { // others the backend may have, or have had
			w.fatalf("after step %d: %s was not asked by %s; it was by %v", w.steps, c.full, q.From, c.asks)
		}
	}
}

// catchUp waits until who edits has been shown what the backend has made of it: a client that has its answer may be ahead
// of the contact.
func (w *world) catchUp() {
	for u := range w.editor {
		for w.eng.Online(u) && !w.isTold(u) {
			select {
			case <-w.news:
			case <-time.After(patience):
				w.fatalf("after step %d: %s was never told the roster that the backend has", w.steps, u)
			}
		}
	}
	w.barrier()
}

func (w *world) isTold(u addr.Bare) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	has, _ := roster.New(u, slices.Collect(maps.Values(w.docs[u]))...)
	return has.Equal(w.told[u])
}

// willing has the backend take all that it is asked for, or not.
func (w *world) willing(yes bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.judge.willing = yes
}
