package xmppcore_test

import (
	"context"
	"encoding/xml"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"math/rand/v2"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"rosterd/engine"
	"rosterd/engine/addr"
	"rosterd/engine/roster"
	"rosterd/engine/stored"
	"rosterd/store"
	"rosterd/xmppcore"
	"rosterd/xmppcore/scan"
	"rosterd/xmppcore/session"
	"rosterd/xmppcore/stanza"
	"rosterd/xmppcore/stream"
)

var (
	convergeSeed  = flag.Uint64("converge.seed", 0, "replay the convergence test with this seed alone")
	convergeSteps = flag.Int("converge.steps", 80_000, "how many steps the convergence test takes in all")
)

const patience = 30 * time.Second // for what must happen; nothing depends on how soon

// TestConvergence plays random sequences of logins, logouts, presence, changes in the backend, refreshes and
// failures against a model. Once a refresh of the changed users has been answered, and what the logins bring
// has been told, every interested resource holds the roster the backend serves, and every available resource sees
// exactly those whom both rosters allow and neither has blocked. Clients that keep their rosters come back with the version of them, also from
// the midst of pushes.
func TestConvergence(t *testing.T) {
	if *convergeSeed != 0 {
		newWorld(t, *convergeSeed).run(*convergeSteps)
		return
	}
	const worlds = 8
	base := uint64(time.Now().UnixNano())
	for i := range uint64(worlds) {
		t.Run(fmt.Sprint("world ", i), func(t *testing.T) {
			t.Parallel()
			newWorld(t, base+i).run(*convergeSteps / worlds)
		})
	}
}

// world is a server, its engine, a scripted backend, and what the model knows of them.
type world struct {
	t     *testing.T
	seed  uint64
	rnd   *rand.Rand
	srv   *xmppcore.Server
	eng   *engine.Engine
	users []addr.Bare
	steps int

	mu      sync.Mutex // guards what the backend serves
	docs    map[addr.Bare]doc
	failing map[addr.Bare]bool
	refused map[addr.Bare]bool          // since the last settling
	slow    map[addr.Bare]chan struct{} // closed when the backend may go on
	begun   map[addr.Bare]engine.Event  // the last that began a life, once everybody has been told what it means
	told    map[addr.Bare]roster.Roster // the last one that was, where a backend decides about edits

	news    chan struct{} // another has begun, or somebody has left
	clients []*client
	gone    map[addr.JID]*client // the last one that had this name
	interim atomic.Int64         // how often one came back and was told what changed
	dirty   map[addr.Bare]bool   // changed since the last refresh that was answered for it
	pending sync.WaitGroup       // refreshes under way
	acting  sync.WaitGroup       // what happens at once in a burst
	ids     int

	own    *stored.Rosters // of the users who edit theirs; nil: nobody does
	editor map[addr.Bare]bool
	base   map[addr.Bare]doc // what the backend has of those, where what they edit is beside it; else nil
	judge  *judge            // of edits, where a backend decides; else nil

	assigning bool // an application changes their rosters, too

	stores   map[string]store.Keyed // of whom users have blocked, by host; nil: nobody can
	blocking map[addr.Bare]bool     // users who change that in this burst
	blocked  map[addr.Bare]map[string][]byte
}

type doc map[addr.Bare]roster.Item

// held is a roster that a client keeps.
type held struct {
	roster map[string]string
	ver    string
}

func newWorld(t *testing.T, seed uint64) *world {
	w := &world{t: t, seed: seed, rnd: rand.New(rand.NewPCG(seed, 17)), docs: map[addr.Bare]doc{}, failing: map[addr.Bare]bool{}, refused: map[addr.Bare]bool{},
		slow: map[addr.Bare]chan struct{}{}, begun: map[addr.Bare]engine.Event{}, told: map[addr.Bare]roster.Roster{}, news: make(chan struct{}, 1), dirty: map[addr.Bare]bool{}, gone: map[addr.JID]*client{}}
	log := slog.New(slog.DiscardHandler)
	hosts := []xmppcore.Host{
		{Domain: "a.example", BlockSubscriptions: true, Modules: []string{"ping"}}, {Domain: "b.example", BlockSubscriptions: true, Modules: []string{"ping"}}}
	if seed%8 == 1 || seed%8 == 3 || seed%8 == 4 || seed%8 == 6 {
		hosts = w.letEdit(hosts, seed)
	}
	if seed%8 == 0 || seed%8 == 3 {
		w.letBlock(hosts)
	}
	outbox := session.Limits{}
	if seed%3 > 0 { // presence comes in crowds already where there are two
		outbox.Pace = session.Pace{Rate: 1, Burst: 1}
	}
	w.srv = xmppcore.New(xmppcore.Config{Log: log, Hosts: hosts, Outbox: outbox})
	h := engine.Host{Backend: engine.BackendFunc(w.fetch), Timeout: time.Minute, Retry: -1, Steps: []int{0, 100, 100, 8}[seed/2%4]} // who was refused counts as changed
	if seed%2 == 0 {
		h.Keeper = &keeper{}
	}
	backends := map[string]engine.Host{"a.example": h, "b.example": h}
	for domain := range w.editing() {
		backends[domain] = w.edited(h)
	}
	w.eng = engine.New(backends, w.watch, log)
	w.srv.Start(w.eng)
	for _, u := range []string{"u1@a.example", "u2@a.example", "u3@a.example", "u4@a.example", "u5@b.example", "u6@b.example"} {
		w.users = append(w.users, addr.MustBare(u))
		w.docs[addr.MustBare(u)] = doc{}
		for i := range 8 { // who never change, so that it is shorter to tell what did
			c := addr.MustBare(fmt.Sprintf("c%d@c.example", i))
			w.docs[addr.MustBare(u)][c] = roster.Item{JID: c, Name: "nobody's business", Subscription: roster.None}
		}
	}
	for domain := range w.editing() {
		for i := range 2 {
			u := addr.MustBare(fmt.Sprint("e", i, "@", domain))
			w.users, w.editor[u], w.docs[u] = append(w.users, u), true, doc{}
			if w.base != nil {
				w.base[u] = doc{}
			}
		}
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := errors.Join(w.srv.Shutdown(ctx), w.eng.Close(ctx)); err != nil && !t.Failed() {
			t.Error(err)
		}
	})
	return w
}

func (w *world) fetch(ctx context.Context, r engine.Request) (engine.Answer, error) {
	w.mu.Lock()
	gate := w.slow[r.User]
	if w.editor[r.User] {
		gate = nil // his client would wait, and so would the test
	}
	items := slices.Collect(maps.Values(w.served(r.User))) // what the backend had when it was asked
	fail := w.failing[r.User]
	if fail {
		w.refused[r.User] = true
	}
	w.mu.Unlock()
	if gate != nil {
		select {
		case <-gate:
		case <-ctx.Done():
			return engine.Answer{}, ctx.Err()
		}
	}
	if fail {
		return engine.Answer{}, &engine.TemporaryError{Err: errors.New("scripted failure")}
	}
	list, bad := roster.New(r.User, items...)
	return engine.Answer{Roster: list, Dropped: bad}, nil
}

// watch is the engine's watcher.
func (w *world) watch(ev engine.Event) {
	w.srv.RosterChanged(ev)
	if !ev.First && w.judge == nil {
		return
	}
	w.mu.Lock()
	if ev.First {
		w.begun[ev.User] = ev
	}
	w.told[ev.User] = ev.To
	w.mu.Unlock()
	w.wake()
}

func (w *world) wake() {
	select {
	case w.news <- struct{}{}:
	default:
	}
}

func (w *world) fatalf(format string, args ...any) {
	w.t.Helper()
	w.t.Fatalf("%s\nreplay: go test -race ./xmppcore -run TestConvergence -converge.seed=%d -converge.steps=%d", fmt.Sprintf(format, args...), w.seed, w.steps+100)
}

func (w *world) run(steps int) {
	w.t.Logf("seed %d", w.seed)
	for w.steps < steps {
		for range 5 + w.rnd.IntN(25) {
			w.burst()
		}
		w.settle()
		w.verify()
	}
	w.t.Logf("%d clients that came back were told what changed", w.interim.Load())
}

// burst makes up to four things happen at once, each to a client of its own.
func (w *world) burst() {
	wg := &w.acting
	busy := map[*client]bool{}
	w.blocking = map[addr.Bare]bool{}
	for range 1 + w.rnd.IntN(4) {
		w.steps++
		if do := w.step(busy); do != nil {
			wg.Go(do)
		}
	}
	wg.Wait()
}

// step draws one thing that happens. What it returns may run beside the others.
func (w *world) step(busy map[*client]bool) func() {
	pick := func() *client {
		var free []*client
		for _, c := range w.clients {
			if !busy[c] && !c.isClosed() {
				free = append(free, c)
			}
		}
		if len(free) == 0 {
			return nil
		}
		c := free[w.rnd.IntN(len(free))]
		busy[c] = true
		return c
	}
	switch n := w.rnd.IntN(100); {
	case n < 12 && len(w.clients) < 14:
		c := w.login()
		busy[c] = true
		return nil
	case n < 18:
		if c := pick(); c != nil {
			w.clients = slices.DeleteFunc(w.clients, func(o *client) bool { return o == c })
			clean := w.rnd.IntN(2) == 0
			w.gone[c.full] = c
			return func() { c.logout(clean) }
		}
	case n < 45:
		if c := pick(); c != nil {
			return c.presence(w.rnd.IntN(4))
		}
	case n < 55:
		if c := pick(); c != nil {
			return c.askRoster
		}
	case n < 75:
		if w.assigning && w.rnd.IntN(3) == 0 {
			return w.assign()
		}
		if c := pick(); c != nil && w.editor[c.user()] {
			return c.edit()
		}
		w.change()
	case n < 87:
		w.refresh()
	case n < 90:
		if c := pick(); c != nil && w.stores != nil && !w.blocking[c.user()] {
			w.blocking[c.user()] = true
			return c.block()
		}
	case n < 94:
		u := w.users[w.rnd.IntN(len(w.users))]
		w.mu.Lock()
		w.failing[u] = !w.failing[u]
		w.mu.Unlock()
	case n < 97:
		w.toggleSlow(w.users[w.rnd.IntN(len(w.users))])
	case n < 99:
		w.oneSide()
	default:
		w.oneSideAfterLogin()
	}
	return nil
}

func (w *world) login() *client {
	u := w.users[w.rnd.IntN(len(w.users))]
	c := newClient(w, u, fmt.Sprint("r", w.rnd.IntN(3)))
	for _, old := range w.clients {
		if old.full == c.full { // RFC 6120 §7.7.2.2: the old stream ends with a conflict
			w.gone[old.full] = old
			defer old.wait(old.ran, "the old stream of "+c.full.String()+" to end") // what it still does, an edit perhaps, with it
		}
	}
	w.clients = slices.DeleteFunc(w.clients, func(o *client) bool { return o.full == c.full })
	if c.keeps = w.rnd.IntN(3) > 0; c.keeps && w.gone[c.full] != nil {
		c.kept = w.gone[c.full].holds()
	}
	if err := w.srv.Bind(stream.BindRequest{User: u, Resource: c.full.Resource(), ID: "bind", Transport: c}); err != nil {
		w.fatalf("bind %s: %v", c.full, err)
	}
	w.clients = append(w.clients, c)
	switch w.rnd.IntN(4) {
	case 0:
		c.askRoster()
		c.presence(0)()
	case 1:
		c.presence(0)()
		c.askRoster()
	case 2:
		c.askRoster()
	}
	return c
}

// change edits what the backend serves for one user, or for both of a pair.
func (w *world) change() {
	u, c := w.pair()
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.own != nil && w.rnd.IntN(3) == 0 {
		e := w.users[managed+w.rnd.IntN(len(w.users)-managed)]
		w.edit(u, e)
		if w.base != nil || w.judge != nil {
			w.edit(e, u)
		}
		return
	}
	w.edit(u, c)
	if w.rnd.IntN(3) > 0 {
		w.edit(c, u)
	}
}

// managed is how many users do not edit their rosters. They come first.
const managed = 6

// pair is two of those.
func (w *world) pair() (u, c addr.Bare) {
	p := w.rnd.Perm(managed)
	return w.users[p[0]], w.users[p[1]]
}

func (w *world) edit(u, c addr.Bare) {
	w.dirty[u] = true
	d := w.served(u)
	if w.rnd.IntN(3) == 0 {
		delete(d, c)
		return
	}
	i := roster.Item{JID: c, Name: string(rune('A' + w.rnd.IntN(4))), Subscription: roster.Subscription(w.rnd.IntN(4))}
	if w.rnd.IntN(2) == 0 {
		i.Groups = []string{string(rune('g' + w.rnd.IntN(3)))}
	}
	if w.rnd.IntN(2) == 0 {
		i.Subscription = roster.Both
	}
	d[c] = i
}

// refresh names some users, changed or not, and does not always wait for the answer.
func (w *world) refresh() {
	var who []addr.Bare
	for _, u := range w.users {
		if w.rnd.IntN(3) == 0 {
			who = append(who, u)
		}
	}
	w.pending.Add(1)
	go func() { defer w.pending.Done(); w.post(who) }()
	if w.rnd.IntN(3) > 0 && !w.anySlow() {
		w.pending.Wait()
	}
}

func (w *world) anySlow() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.slow) > 0
}

func (w *world) post(who []addr.Bare) (sums []engine.Summary) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for _, host := range []string{"a.example", "b.example", "e.example", "f.example"} {
		var names []string
		for _, u := range who {
			if u.Domain() == host {
				names = append(names, u.Local())
			}
		}
		if len(names) > 0 {
			sums = append(sums, w.eng.Refresh(ctx, host, names))
		}
	}
	return sums
}

func (w *world) toggleSlow(u addr.Bare) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if gate, ok := w.slow[u]; ok {
		close(gate)
		delete(w.slow, u)
	} else {
		w.slow[u] = make(chan struct{})
	}
}

// heal ends all failures and waits for what is under way.
func (w *world) heal() {
	w.mu.Lock()
	clear(w.failing)
	for u, gate := range w.slow {
		close(gate)
		delete(w.slow, u)
	}
	w.mu.Unlock()
	w.pending.Wait()
}

// oneSide changes both sides of a pair and refreshes only one, who is online and up to date: the other must
// follow by itself.
func (w *world) oneSide() {
	if w.judge != nil { // it looks at everybody
		w.acting.Wait()
	}
	w.settle()
	if w.own != nil && w.rnd.IntN(2) == 0 {
		w.duet()
		return
	}
	u, c := w.pair()
	if _, ok := w.eng.Roster(u); !ok { // offline, or its login found the backend failing
		return
	}
	w.mu.Lock()
	before := w.docs[u][c]
	_, had := w.docs[u][c]
	w.edit(u, c)
	w.edit(c, u)
	after, has := w.docs[u][c]
	w.mu.Unlock()
	if had != has || before.Subscription != after.Subscription {
		w.post([]addr.Bare{u})
		clear(w.dirty)
	}
}

// oneSideAfterLogin makes or turns a pair on both sides, has one of them log in, and refreshes only that one: its login has
// seen the change already, and the other must follow all the same.
func (w *world) oneSideAfterLogin() {
	w.settle()
	u, c := w.pair()
	if w.eng.Online(u) {
		return
	}
	sub := roster.Subscription(1 + w.rnd.IntN(3))
	w.mu.Lock()
	turn := func(of, to addr.Bare, sub roster.Subscription) {
		i := w.docs[of][to]
		i.JID, i.Subscription = to, sub
		w.docs[of][to] = i
	}
	turn(u, c, sub)
	turn(c, u, mirror(sub))
	w.mu.Unlock()
	full := newClient(w, u, "r0")
	if err := w.srv.Bind(stream.BindRequest{User: u, Resource: "r0", ID: "bind", Transport: full}); err != nil {
		w.fatalf("bind %s: %v", u, err)
	}
	w.clients = append(w.clients, full)
	full.askRoster()
	full.insist()
	w.post([]addr.Bare{u})
	clear(w.dirty)
}

func mirror(s roster.Subscription) (m roster.Subscription) {
	if s.To() {
		m |= roster.From
	}
	if s.From() {
		m |= roster.To
	}
	return m
}

// keeper keeps rosters in memory.
type keeper struct{ sync.Map }

func (k *keeper) LoadRoster(_ context.Context, u addr.Bare) ([]byte, bool, error) {
	doc, ok := k.Load(u)
	if !ok {
		return nil, false, nil
	}
	return doc.([]byte), true, nil
}

func (k *keeper) SaveRoster(_ context.Context, u addr.Bare, doc []byte) error {
	k.Store(u, doc)
	return nil
}

// settle heals, refreshes whoever changed and sees that everything sent has arrived.
func (w *world) settle() {
	w.heal()
	for _, c := range w.clients {
		c.insist()
	}
	w.mu.Lock()
	maps.Copy(w.dirty, w.refused)
	clear(w.refused)
	w.mu.Unlock()
	for _, s := range w.post(slices.Collect(maps.Keys(w.dirty))) {
		if s.Errors > 0 {
			w.fatalf("refresh: %+v", s)
		}
	}
	clear(w.dirty)
	w.welcome()
	w.barrier()
	w.learn()
	if w.judge != nil {
		w.catchUp()
	}
}

// welcome waits until the logins of those who are still there have shown everybody what they bring. No refresh waits for the login of a user who did
// not change; nor does the roster tell, for which not every client asks, and which is answered before presence is shown.
func (w *world) welcome() {
	for _, u := range w.users {
		for w.eng.Online(u) && !w.hasBegun(u) {
			select {
			case <-w.news:
			case <-time.After(patience):
				w.fatalf("the login of %s was never told to the watcher", u)
			}
		}
	}
}

// hasBegun tells whether the present life of a user has: whatever came of a former one is Gone.
func (w *world) hasBegun(u addr.Bare) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	ev, ok := w.begun[u]
	return ok && !ev.Gone()
}

// barrier pings twice through every stream: once to have done what was sent before, once to have received
// what that made others send.
func (w *world) barrier() {
	for range 2 {
		for _, c := range w.clients {
			c.ping()
		}
	}
}

func (w *world) verify() {
	w.t.Helper()
	w.readBlocks()
	for _, c := range w.clients {
		w.verifyRoster(c)
		w.verifyRequests(c)
		w.verifyPresence(c)
	}
}

func (w *world) verifyRoster(c *client) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.roster == nil {
		if c.asked {
			w.fatalf("%s asked for the roster and never got it", c.full)
		}
		return
	}
	want := map[string]string{}
	for j, i := range w.docs[c.user()] {
		want[j.String()] = fmt.Sprint(i.Name, " ", i.Subscription, " ", i.Groups, i.Ask, i.Approved)
	}
	if !maps.Equal(want, c.roster) {
		w.fatalf("after step %d: roster of %s\n got %v\nwant %v", w.steps, c.full, c.roster, want)
	}
	list, _ := roster.New(c.user(), slices.Collect(maps.Values(w.docs[c.user()]))...)
	if c.ver != list.Version() {
		w.fatalf("after step %d: %s was told version %q, the roster has %q", w.steps, c.full, c.ver, list.Version())
	}
}

func (w *world) verifyPresence(c *client) {
	want := map[string]string{}
	for _, o := range w.clients {
		if o.shown == "" || c.shown == "" {
			continue
		}
		grant, want2 := w.docs[o.user()][c.user()], w.docs[c.user()][o.user()]
		if o.user() == c.user() || grant.Subscription.From() && want2.Subscription.To() && !w.apart(o, c) {
			want[o.full.String()] = o.shown
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if !maps.Equal(want, c.seen) {
		w.fatalf("after step %d: presence seen by %s\n got %v\nwant %v", w.steps, c.full, c.seen, want)
	}
}

// letBlock lets the users of hosts block each other.
func (w *world) letBlock(hosts []xmppcore.Host) {
	stores := newStores(w.t)
	w.stores = map[string]store.Keyed{}
	for i := range hosts {
		h := &hosts[i]
		h.Blocking, h.Stores = &xmppcore.Blocking{Keep: 2}, stores(h.Domain)
		w.stores[h.Domain] = h.Stores.Keyed("blocklist")
	}
}

// readBlocks reads whom everybody has blocked.
func (w *world) readBlocks() {
	w.blocked = map[addr.Bare]map[string][]byte{}
	for _, u := range w.users {
		if w.stores == nil {
			return
		}
		var err error
		if w.blocked[u], err = w.stores[u.Domain()].All(context.Background(), u); err != nil {
			w.fatalf("%s: %v", u, err)
		}
	}
}

// apart tells whether one of two clients is blocked by the other's user.
func (w *world) apart(x, y *client) bool { return w.blocks(x, y) || w.blocks(y, x) }

func (w *world) blocks(x, y *client) bool {
	for _, j := range []string{y.full.String(), y.user().String(), y.full.Domain()} {
		if _, ok := w.blocked[x.user()][j]; ok {
			return true
		}
	}
	return false
}

// client is the far end of a stream: what is written to it is what a client would read.
type client struct {
	w     *world
	full  addr.JID
	shown string // the status it last sent, "" while unavailable; of the test's goroutines
	in    chan string
	cut   chan struct{} // closed when the server closes

	answered chan struct{} // a roster get was answered, once or more often
	ended    chan struct{} // closed when the server has let go of the stream
	ran      chan struct{} // closed when the server has done what it has read
	once     sync.Once

	mu      sync.Mutex
	n       int
	closed  bool
	asked   bool
	refused bool
	first   bool
	roster  map[string]string
	ver     string
	keeps   bool // its roster, with the version; set before the login
	kept    held // from before that
	empty   bool // the last IQ was an empty result of a roster get
	seen    map[string]string
	asks    map[string]bool // who has asked, since it is available
	pongs   map[string]chan struct{}
}

func newClient(w *world, u addr.Bare, resource string) *client {
	full, err := u.WithResource(resource)
	if err != nil {
		w.t.Fatal(err)
	}
	return &client{w: w, full: full, in: make(chan string, 64), cut: make(chan struct{}), ended: make(chan struct{}), ran: make(chan struct{}), answered: make(chan struct{}, 1), seen: map[string]string{}, asks: map[string]bool{}, pongs: map[string]chan struct{}{}}
}

func (c *client) user() addr.Bare { return c.full.Bare() }

// Run feeds the server what the client sends: "" is the closing tag, "cut" a broken connection.
func (c *client) Run(handle func(*scan.Stanza) error) error {
	defer close(c.ran)
	var sc scan.Scanner
	var st scan.Stanza
	for {
		select {
		case s := <-c.in:
			switch s {
			case "":
				return nil
			case "cut":
				return io.ErrUnexpectedEOF
			}
			if _, err := sc.Next([]byte(s), &st); err != nil {
				return fmt.Errorf("scanning %s: %w", s, err)
			}
			if err := handle(&st); err != nil {
				return err
			}
		case <-c.cut:
			return net.ErrClosed
		}
	}
}

func (c *client) Close(*stanza.StreamError) {
	c.Abort()
	c.once.Do(func() { close(c.ended) })
}

func (c *client) Abort() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.closed {
		c.closed = true
		close(c.cut)
	}
}

func (c *client) RemoteAddr() net.Addr { return &net.TCPAddr{} }
func (c *client) Secure() bool         { return true }

func (c *client) isClosed() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.closed
}

// element is any stanza the client receives.
type element struct {
	XMLName xml.Name
	Type    string `xml:"type,attr"`
	From    string `xml:"from,attr"`
	To      string `xml:"to,attr"`
	ID      string `xml:"id,attr"`
	Status  string `xml:"status"`
	Query   *struct {
		Ver   string  `xml:"ver,attr"`
		Items []entry `xml:"item"`
	} `xml:"jabber:iq:roster query"`
}

// entry is an item of a roster.
type entry struct {
	JID          string   `xml:"jid,attr"`
	Name         string   `xml:"name,attr"`
	Subscription string   `xml:"subscription,attr"`
	Groups       []string `xml:"group"`
	Ask          string   `xml:"ask,attr"`
	Approved     bool     `xml:"approved,attr"`
}

func (e *entry) String() string {
	return fmt.Sprint(e.Name, " ", e.Subscription, " ", e.Groups, e.Ask == "subscribe", e.Approved)
}

func (c *client) Write(b []byte) error {
	d := xml.NewDecoder(strings.NewReader(string(b)))
	for {
		var e element
		switch err := d.Decode(&e); err {
		case nil:
			c.receive(e)
		case io.EOF:
			return nil
		default:
			c.w.t.Errorf("%s was sent %q: %v", c.full, b, err)
			return err
		}
	}
}

func (c *client) receive(e element) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.first {
		c.first = true
		if e.ID != "bind" {
			c.w.t.Errorf("%s: the first thing sent is not the result of the bind but %+v", c.full, e)
		}
		return
	}
	switch e.XMLName.Local {
	case "presence":
		c.receivePresence(e)
	case "iq":
		c.receiveIQ(e)
	}
}

func (c *client) receivePresence(e element) {
	switch e.Type {
	case "":
	case "unavailable":
		delete(c.seen, e.From)
		return
	default:
		if e.Type == "subscribe" {
			c.asks[e.From] = true
		}
		return
	}
	if from := addr.MustParse(e.From).Bare(); c.roster != nil && from != c.user() {
		if _, ok := c.roster[from.String()]; !ok {
			c.w.t.Errorf("%s got presence of %s, who is not in the roster it holds (seed %d)", c.full, from, c.w.seed)
		}
	}
	c.seen[e.From] = e.Status
}

func (c *client) receiveIQ(e element) {
	empty := c.empty
	c.empty = false
	switch {
	case e.Type == "set" && e.Query != nil: // push
		if empty {
			c.w.interim.Add(1)
		}
		c.ver = e.Query.Ver
		for _, i := range e.Query.Items {
			if delete(c.roster, i.JID); i.Subscription != "remove" {
				c.roster[i.JID] = i.String()
			}
		}
	case strings.HasPrefix(e.ID, "ping") || strings.HasPrefix(e.ID, "block"):
		close(c.pongs[e.ID])
		delete(c.pongs, e.ID)
	case e.ID == "edit":
	case e.Type == "error":
		c.refused = true
		c.notify()
	case e.Query != nil:
		c.notify()
		c.ver, c.roster = e.Query.Ver, map[string]string{}
		for _, i := range e.Query.Items {
			c.roster[i.JID] = i.String()
		}
	case e.ID == "roster": // what it holds is the roster, or becomes it with the pushes that follow
		c.notify()
		if c.empty = c.roster == nil; c.empty {
			c.ver, c.roster = c.kept.ver, maps.Clone(c.kept.roster)
		}
	}
}

func (c *client) notify() {
	select {
	case c.answered <- struct{}{}:
	default:
	}
}

func (c *client) send(s string) {
	select {
	case c.in <- s:
	case <-c.cut:
	}
}

func (c *client) wait(ch <-chan struct{}, what string) {
	select {
	case <-ch:
	case <-time.After(patience):
		c.w.t.Errorf("%s: waited in vain for %s (seed %d, step %d)", c.full, what, c.w.seed, c.w.steps)
	}
}

func (c *client) ping() {
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		return
	}
	c.n++
	id, pong := fmt.Sprint("ping", c.n), make(chan struct{})
	c.pongs[id] = pong
	c.mu.Unlock()
	c.send("<iq type='get' id='" + id + "' to='" + c.full.Domain() + "'><ping xmlns='urn:xmpp:ping'/></iq>")
	select {
	case <-c.cut:
	case <-pong:
	case <-time.After(patience):
		c.w.t.Errorf("%s: no answer to a ping (seed %d, step %d)", c.full, c.w.seed, c.w.steps)
	}
}

// block blocks or unblocks somebody, and waits for the answer.
func (c *client) block() func() {
	rnd := c.w.rnd
	u := c.w.users[rnd.IntN(len(c.w.users))]
	item := "<item jid='" + []string{u.String(), u.String(), u.String() + fmt.Sprint("/r", rnd.IntN(3)), u.Domain()}[rnd.IntN(4)] + "'/>"
	request := "<block xmlns='urn:xmpp:blocking'>" + item + "</block>"
	switch rnd.IntN(5) {
	case 0, 1:
		request = strings.ReplaceAll(request, "block xmlns", "unblock xmlns")
		request = strings.ReplaceAll(request, "</block>", "</unblock>")
	case 2:
		request = "<unblock xmlns='urn:xmpp:blocking'/>"
	}
	return func() {
		c.mu.Lock()
		c.n++
		id, done := fmt.Sprint("block", c.n), make(chan struct{})
		c.pongs[id] = done
		c.mu.Unlock()
		c.send("<iq type='set' id='" + id + "'>" + request + "</iq>")
		select {
		case <-c.cut:
		case <-done:
		case <-time.After(patience):
			c.w.t.Errorf("%s: no answer to %s (seed %d, step %d)", c.full, request, c.w.seed, c.w.steps)
		}
	}
}

func (c *client) askRoster() {
	ver := ""
	c.mu.Lock()
	c.asked = true
	if c.keeps {
		ver = c.kept.ver
		if c.roster != nil {
			ver = c.ver
		}
	}
	c.mu.Unlock()
	c.send("<iq type='get' id='roster'><query xmlns='jabber:iq:roster' ver='" + ver + "'/></iq>")
}

// holds is what a client keeps when its stream is over, or about to be.
func (c *client) holds() held {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.roster == nil {
		return c.kept
	}
	return held{maps.Clone(c.roster), c.ver}
}

// insist sees that who has asked for the roster gets it: who was refused, by a fetch that had failed before the
// backend was healed, asks again.
func (c *client) insist() {
	for {
		c.mu.Lock()
		have, again := !c.asked || c.roster != nil || c.closed, c.refused
		c.refused = false
		c.mu.Unlock()
		switch {
		case have:
			return
		case again:
			c.askRoster()
		}
		select {
		case <-c.answered:
		case <-c.cut:
		case <-time.After(patience):
			c.w.fatalf("%s: no answer to a roster get", c.full)
		}
	}
}

// presence is unavailable one time in four, and else available with a status of its own.
func (c *client) presence(kind int) func() {
	c.w.ids++
	status := fmt.Sprint("s", c.w.ids)
	return func() {
		if kind < 3 {
			c.appear()
			c.shown = status
			c.send("<presence><status>" + status + "</status></presence>")
			return
		}
		c.shown = ""
		c.send("<presence type='unavailable'/>")
		c.ping() // from here on it is told nothing
		c.mu.Lock()
		clear(c.seen)
		c.mu.Unlock()
	}
}

func (c *client) logout(clean bool) {
	if c.shown = ""; clean {
		c.send("")
	} else {
		c.send("cut")
	}
	c.wait(c.ended, "the stream to end")
	c.w.wake() // who waits for the login of this user waits no longer
}
