package engine

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"runtime"
	"runtime/pprof"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"rosterd/engine/addr"
	"rosterd/engine/roster"
)

var (
	stressSeed  = flag.Uint64("stress.seed", 0, "seed of TestStress; 0: another one each time")
	stressSteps = flag.Int("stress.steps", 20_000, "steps of TestStress")
)

// TestMain fails if the tests leave goroutines behind.
func TestMain(m *testing.M) {
	before := runtime.NumGoroutine()
	code := m.Run()
	for end := time.Now().Add(10 * time.Second); code == 0 && runtime.NumGoroutine() > before; runtime.Gosched() {
		if time.Now().After(end) {
			fmt.Fprintln(os.Stderr, runtime.NumGoroutine()-before, "goroutines stayed behind:")
			_ = pprof.Lookup("goroutine").WriteTo(os.Stderr, 1)
			code = 1
		}
	}
	os.Exit(code)
}

// world is a backend whose rosters only grow newer: each holds a contact that is named after its edition.
type world struct {
	t     *testing.T
	users []addr.Bare
	sick  atomic.Bool // some calls fail

	mu      sync.Mutex // guards the fields below
	rosters map[addr.Bare]roster.Roster
	dice    *rand.Rand
	watched map[addr.Bare]*life
	edition map[addr.Bare]int // told last, in any life
	docs    map[addr.Bare][]byte
	fresh   map[addr.Bare]time.Time
	owed    map[addr.Bare]int // edition that a refresh of somebody offline has promised to the next login
	lives   int
}

var clock = addr.MustBare("edition@example.com")

func newWorld(t *testing.T, dice *rand.Rand, users int) *world {
	w := &world{t: t, dice: dice, rosters: map[addr.Bare]roster.Roster{}, watched: map[addr.Bare]*life{}, edition: map[addr.Bare]int{}, docs: map[addr.Bare][]byte{}, fresh: map[addr.Bare]time.Time{}, owed: map[addr.Bare]int{}}
	for i := range users {
		u := jid(fmt.Sprint("user", i))
		w.users = append(w.users, u)
		w.rosters[u], _ = roster.New(u, roster.Item{JID: clock, Name: "0"})
	}
	w.sick.Store(true)
	return w
}

// edition of a roster, -1 if it is that of a user who was never seen.
func edition(r roster.Roster) int {
	if i, ok := r.Get(clock); ok {
		n, _ := strconv.Atoi(i.Name)
		return n
	}
	return -1
}

func (w *world) roll(n int) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.dice.IntN(n)
}

func (w *world) roster(u addr.Bare) roster.Roster {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.rosters[u]
}

// turn changes what two users are to each other.
func (w *world) turn(a, b addr.Bare, s roster.Subscription, there bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	mirror := s<<1&roster.From | s>>1&roster.To
	w.set(a, b, s, there)
	w.set(b, a, mirror, there)
}

func (w *world) set(u, contact addr.Bare, s roster.Subscription, there bool) {
	var items []roster.Item
	for i := range w.rosters[u].All() {
		switch i.JID {
		case clock:
			i.Name = strconv.Itoa(edition(w.rosters[u]) + 1)
			items = append(items, i)
		case contact:
		default:
			items = append(items, i)
		}
	}
	if there {
		items = append(items, roster.Item{JID: contact, Subscription: s})
	}
	w.rosters[u], _ = roster.New(u, items...)
}

func (w *world) Fetch(ctx context.Context, r Request) (Answer, error) {
	now := w.roster(r.User) // read first, answered late
	for range w.roll(4) * w.roll(4) * w.roll(4) {
		runtime.Gosched()
	}
	if w.sick.Load() {
		switch w.roll(20) {
		case 0:
			return Answer{}, errors.New("503")
		case 1:
			return Answer{}, ErrUnknownUser
		case 2:
			panic("boom")
		}
	}
	if r.Rev == now.Version() {
		return Answer{Unchanged: true, Rev: r.Rev, MaxAge: time.Duration(w.roll(2)) * time.Hour}, nil
	}
	ans := Answer{Roster: now, MaxAge: time.Duration(w.roll(2)) * time.Hour}
	if w.roll(2) == 0 {
		ans.Rev = now.Version()
	}
	return ans, ctx.Err()
}

func (w *world) LoadRoster(_ context.Context, u addr.Bare) ([]byte, bool, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	doc, ok := w.docs[u]
	return doc, ok, nil
}

func (w *world) SaveRoster(ctx context.Context, u addr.Bare, doc []byte) error {
	return w.SaveFresh(ctx, u, doc, time.Time{})
}

func (w *world) Fresh(_ context.Context, u addr.Bare) (time.Time, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.fresh[u], nil
}

func (w *world) Spoil(_ context.Context, users []addr.Bare) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, u := range users {
		delete(w.fresh, u)
	}
	return nil
}

func (w *world) SaveFresh(_ context.Context, u addr.Bare, doc []byte, until time.Time) error {
	_, r, err := decodeKept(u, doc)
	w.mu.Lock()
	defer w.mu.Unlock()
	if old, ok := w.docs[u]; ok && err == nil {
		if _, was, _ := decodeKept(u, old); edition(was) > edition(r) {
			w.t.Errorf("kept of %s: edition %d after %d", u, edition(r), edition(was))
		}
	}
	w.docs[u], w.fresh[u] = doc, until
	return err
}

// lateKeeper makes what it keeps once more while the engine goes on, and again in the end.
type lateKeeper struct {
	*world
	made sync.WaitGroup

	lateMu sync.Mutex // guards the field below
	all    []func()
}

func (l *lateKeeper) SaveLater(ctx context.Context, u addr.Bare, size int, write func([]byte) []byte, until time.Time) error {
	doc := write(make([]byte, 0, size))
	again := func() {
		if other := write(nil); !bytes.Equal(other, doc) {
			l.t.Errorf("kept of %s: %s, and later %s", u, doc, other)
		}
	}
	l.made.Go(again)
	l.lateMu.Lock()
	l.all = append(l.all, again)
	l.lateMu.Unlock()
	return l.SaveFresh(ctx, u, doc, until)
}

func (l *lateKeeper) compare() {
	l.made.Wait()
	for _, again := range l.all {
		again()
	}
	if len(l.all) == 0 {
		l.t.Error("nothing was kept")
	}
}

// promise notes what a refresh has said of somebody who is offline: who logs in from now on has that edition or a
// newer one.
func (w *world) promise(u addr.Bare, edition int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.owed[u] = max(w.owed[u], edition)
}

// watch holds every event against the last one.
func (w *world) watch(ev Event) {
	w.mu.Lock()
	l := w.watched[ev.User]
	if l != nil && l.telling {
		w.t.Errorf("two events of %s at a time", ev.User)
	}
	if l == nil || l.id != ev.life {
		l = &life{id: ev.life}
		w.watched[ev.User] = l
		w.lives++
	}
	l.telling = true
	if err := l.take(ev); err != nil {
		w.t.Errorf("event %s%s: %v", ev.User, describe(ev), err)
	}
	if n := edition(ev.To); ev.First && !ev.Stale && ev.Err == nil && !ev.Gone() && n >= 0 && n < w.owed[ev.User] {
		w.t.Errorf("%s was told edition %d after a refresh had promised %d", ev.User, n, w.owed[ev.User])
	}
	if n := edition(ev.To); ev.Err == nil {
		if was, ok := w.edition[ev.User]; ok && n < was {
			w.t.Errorf("%s was told edition %d after %d", ev.User, n, was)
		}
		w.edition[ev.User] = n
	}
	w.mu.Unlock()
	for range w.roll(5) {
		runtime.Gosched()
	}
	w.mu.Lock()
	l.telling = false
	w.mu.Unlock()
}

// told is the roster that the watcher was told last of a user in his present life.
func (w *world) told(e *Engine, u addr.Bare) (roster.Roster, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	l := w.watched[u]
	return l.roster, l.loaded && l.id == e.find(u)
}

// visitor comes and goes, and changes the world.
type visitor struct {
	w    *world
	e    *Engine
	dice *rand.Rand
	in   map[addr.Bare][]*Resource
}

func (v *visitor) someone() addr.Bare { return v.w.users[v.dice.IntN(len(v.w.users))] }

func (v *visitor) step() {
	u := v.someone()
	switch v.dice.IntN(10) {
	case 0, 1:
		r, err := v.e.Attach(u)
		if err != nil {
			v.w.t.Error(err)
		}
		v.in[u] = append(v.in[u], r)
	case 2, 3, 4, 5: // so that some are offline now and then
		v.release(u)
	case 6:
		for _, r := range v.in[u] {
			r.Load()
		}
	case 7:
		v.w.turn(u, v.other(u), roster.Subscription(v.dice.IntN(4)), v.dice.IntN(3) > 0)
	case 8:
		v.refresh(context.Background())
	default:
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		v.refresh(ctx)
	}
}

func (v *visitor) release(u addr.Bare) {
	for _, r := range v.in[u] {
		r.Release()
	}
	delete(v.in, u)
}

func (v *visitor) other(u addr.Bare) addr.Bare {
	for {
		if o := v.someone(); o != u {
			return o
		}
	}
}

// refresh some users. Who stayed online all the while and is told to be up to date is.
func (v *visitor) refresh(ctx context.Context) {
	var names []string
	var least []int
	for range v.dice.IntN(4) {
		u := v.someone()
		names = append(names, u.Local())
		least = append(least, edition(v.w.roster(u)))
	}
	s := v.e.Refresh(ctx, "example.com", names)
	if s.Updated+s.Errors != len(names) {
		v.w.t.Errorf("%d and %d of %d", s.Updated, s.Errors, len(names))
	}
	for i, r := range s.Results {
		u := jid(r.Name)
		if len(v.in[u]) == 0 || r.Outcome != Updated && r.Outcome != Unchanged {
			if r.Outcome == Offline && len(v.in[u]) > 0 {
				v.w.t.Errorf("%s is online", u)
			}
			if r.Outcome == Offline {
				v.w.promise(u, least[i])
			}
			continue
		}
		if got, ok := v.w.told(v.e, u); !ok || edition(got) >= 0 && edition(got) < least[i] { // -1: unknown to the backend whenever it was asked
			v.w.t.Errorf("%s is %s, but was told edition %d (%v), not %d", u, r.Outcome, edition(got), ok, least[i])
		}
	}
}

// TestStress lets visitors do what they like at once. Whatever they did, after a last refresh of everybody
// each user's watcher holds what the backend has.
func TestStress(t *testing.T) {
	stress(t, Host{}, false)
}

// TestStressLate is the same where what is kept is made when others have gone on.
func TestStressLate(t *testing.T) {
	stress(t, Host{ShrinkGuard: 30}, true)
}

// TestStressGuarded is the same where the breaker opens and answers are held back now and then.
func TestStressGuarded(t *testing.T) {
	stress(t, Host{Breaker: 3, ShrinkGuard: 30}, false)
}

func stress(t *testing.T, h Host, late bool) {
	seed := *stressSeed
	if seed == 0 {
		seed = rand.Uint64()
	}
	t.Logf("go test -race ./engine -run '^%s$' -stress.seed=%d -stress.steps=%d", t.Name(), seed, *stressSteps)
	const visitors = 4
	w := newWorld(t, rand.New(rand.NewPCG(seed, 0)), 8)
	h.Backend, h.Keeper, h.Parallel, h.Timeout, h.QueueTimeout, h.Retry = w, w, 3, time.Minute, time.Minute, time.Millisecond
	if late {
		k := &lateKeeper{world: w}
		defer k.compare()
		h.Keeper = k
	}
	e := New(map[string]Host{"example.com": h}, w.watch, slog.New(slog.DiscardHandler))
	var wg sync.WaitGroup
	var all [visitors]*visitor
	for i := range all {
		v := &visitor{w: w, e: e, dice: rand.New(rand.NewPCG(seed, uint64(i+1))), in: map[addr.Bare][]*Resource{}}
		all[i] = v
		wg.Go(func() {
			for range *stressSteps / visitors {
				v.step()
			}
		})
	}
	wg.Wait()
	w.sick.Store(false)
	w.letAllThrough(e)
	w.converged(e)
	for _, v := range all {
		for _, u := range w.users {
			v.release(u)
		}
	}
	if err := e.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
	if n := e.inhabitants(); n != 0 {
		t.Errorf("%d users stayed behind", n)
	}
	t.Logf("%d lives, %d fetches, %d failures, %d answers held, %d logins without a fetch", w.lives, e.Stats().Fetches.Load(), e.Stats().Failures.Load(), e.Stats().Held.Load(), e.Stats().Spared.Load())
	if h.ShrinkGuard > 0 && e.Stats().Held.Load() == 0 {
		t.Error("no answer was held")
	}
	if h.Breaker == 0 && e.Stats().Spared.Load() == 0 {
		t.Error("no login went without a fetch")
	}
}

// letAllThrough waits until the breaker is closed and releases what is held, as an operator would.
func (w *world) letAllThrough(e *Engine) {
	r, err := e.Attach(w.users[0])
	if err != nil {
		w.t.Fatal(err)
	}
	defer r.Release()
	for e.Hosts()["example.com"].Breaker.Open {
		e.Refresh(context.Background(), "example.com", []string{w.users[0].Local()})
	}
	for _, u := range w.users {
		s := e.Refresh(context.Background(), "example.com", []string{u.Local()})
		if s.Results[0].Outcome != HeldBack {
			continue
		}
		if r, err := e.ReleaseHeld(context.Background(), u); err != nil || r.Outcome != Updated {
			w.t.Errorf("release of %s: %+v, %v", u, r, err)
		}
	}
}

// converged refreshes everybody, and compares.
func (w *world) converged(e *Engine) {
	names := make([]string, len(w.users))
	for i, u := range w.users {
		names[i] = u.Local()
	}
	s := e.Refresh(context.Background(), "example.com", names)
	if s.Errors > 0 {
		w.t.Errorf("%+v", s)
	}
	online := 0
	for i, u := range w.users {
		if !e.Online(u) {
			continue
		}
		online++
		want := w.roster(u)
		told, ok := w.told(e, u)
		has, _ := e.Roster(u)
		if !ok || !told.Equal(want) || !has.Equal(want) || s.Results[i].Outcome == Offline {
			w.t.Errorf("%s %s\ntold:    %s\nholds:   %s\nbackend: %s", u, s.Results[i].Outcome, contacts(told), contacts(has), contacts(want))
		}
	}
	w.t.Logf("%d of %d users online at the end", online, len(w.users))
}
