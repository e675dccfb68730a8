package engine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"runtime"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"rosterd/engine/addr"
	"rosterd/engine/roster"
)

// ward is a backend that falls ill, the users who depend on it, and what they see.
type ward struct {
	t     *testing.T
	e     *Engine
	users []addr.Bare
	dice  *rand.Rand
	in    map[addr.Bare]*Resource

	mu      sync.Mutex // guards the fields below
	illness func(context.Context) error
	edition map[addr.Bare]int // of the roster that the backend has
	told    map[addr.Bare]roster.Roster
	calls   int // under way
	most    int // at a time
	perTick []int
	stale   int // logins that were served the last good roster
	refused int // logins of users whom nobody had ever seen
}

// The illnesses of a backend, as plugins report them.
var illnesses = []struct {
	name string
	call func(context.Context) error
}{
	{"refuses", func(context.Context) error { return &TemporaryError{Err: errors.New("connection refused")} }},
	{"hangs", func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }},
	{"500", func(context.Context) error { return &TemporaryError{Err: errors.New("500 Internal Server Error")} }},
	{"HTML", func(context.Context) error { return &TemporaryError{Err: errors.New("not a roster: <html>")} }},
	{"half answers", func(ctx context.Context) error {
		<-time.After(time.Second)
		return &TemporaryError{Err: fmt.Errorf("in the body of a 200 answer: %w", io.ErrUnexpectedEOF)}
	}},
}

// rosterOf has ten contacts, one of whom is named after the edition.
func rosterOf(u addr.Bare, edition int) roster.Roster {
	items := []roster.Item{{JID: clock, Name: strconv.Itoa(edition)}}
	for i := range 9 {
		items = append(items, roster.Item{JID: jid(fmt.Sprint("friend", i))})
	}
	r, _ := roster.New(u, items...)
	return r
}

func (w *ward) fetch(ctx context.Context, r Request) (Answer, error) {
	w.mu.Lock()
	w.calls++
	w.most = max(w.most, w.calls)
	w.perTick[len(w.perTick)-1]++
	illness := w.illness
	ro := rosterOf(r.User, w.edition[r.User])
	w.mu.Unlock()
	defer func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.calls--
	}()
	if illness != nil {
		return Answer{}, illness(ctx)
	}
	<-time.After(20 * time.Millisecond)
	if r.Rev == ro.Version() {
		return Answer{Unchanged: true}, ctx.Err()
	}
	return Answer{Roster: ro, Rev: ro.Version()}, ctx.Err()
}

// watch is what clients see: nobody's list may become shorter.
func (w *ward) watch(ev Event) {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case ev.Gone():
	case ev.Err != nil:
		w.refused++
		if _, known := w.told[ev.User]; known {
			w.t.Errorf("%s has a last good roster and is refused one: %v", ev.User, ev.Err)
		}
	case ev.To.Len() < 10:
		w.t.Errorf("%s is left with %d contacts", ev.User, ev.To.Len())
	case edition(ev.To) < edition(w.told[ev.User]):
		w.t.Errorf("%s is given an older roster", ev.User)
	default:
		if ev.Stale {
			w.stale++
		}
		w.told[ev.User] = ev.To
	}
}

func (w *ward) login(u addr.Bare) {
	r, err := w.e.Attach(u)
	if err != nil {
		w.t.Fatal(err)
	}
	w.in[u] = r
}

func (w *ward) logout(u addr.Bare) {
	w.in[u].Release()
	delete(w.in, u)
}

func (w *ward) someone() addr.Bare { return w.users[w.dice.IntN(len(w.users))] }

// second is what happens in one: one user logs in or out, and every ten seconds the backend has a change and says so.
func (w *ward) second(n int, changes bool) {
	u := w.someone()
	if _, online := w.in[u]; online {
		w.logout(u)
	} else {
		w.login(u)
	}
	if changes && n%10 == 0 {
		u := w.someone()
		w.mu.Lock()
		w.edition[u]++
		w.mu.Unlock()
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		go func() {
			defer cancel()
			w.e.Refresh(ctx, u.Domain(), []string{u.Local()})
		}()
	}
	<-time.After(time.Second)
	w.mu.Lock()
	w.perTick = append(w.perTick, 0)
	w.mu.Unlock()
}

// behind counts who is online and does not hold what the backend has.
func (w *ward) behind() (n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for u := range w.in {
		if edition(w.told[u]) != w.edition[u] {
			n++
		}
	}
	return n
}

// since counts the calls since a second, and the most in one.
func (w *ward) since(second int) (sum, most int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, n := range w.perTick[second:] {
		sum, most = sum+n, max(most, n)
	}
	return sum, most
}

func (w *ward) now() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.perTick) - 1
}

func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// TestOutage plays an hour in which the backend fails in every way, one after the other, while 2,000 users come and
// go. Nobody's list is emptied, nobody is served an older one, the backend is left alone, and all have what it has
// soon after.
func TestOutage(t *testing.T) {
	const (
		users    = 2000
		parallel = 16
		hour     = 3600
		// The breaker opens after 5 faults, with up to 16 calls under way; then there is one probe for each pause, of
		// which there are 7 on the way to five minutes and no more than 16 afterwards; and one for each of the 360 refreshes.
		mostInOutage = 5 + parallel + 7 + 16 + hour/10
		// Those who were refused come back one each 10 ms with a second of chance, beside one login a second and those
		// few whose calls failed before the breaker opened.
		mostInSecond = 2*int(time.Second/returnGap) + parallel
		// The last pause of five minutes, and then everybody at that rate.
		converged = 5*60 + users/100 + 10
	)
	seed := *stressSeed
	if seed == 0 {
		seed = rand.Uint64()
	}
	t.Logf("go test -race ./engine -run TestOutage -stress.seed=%d", seed)
	synctest.Test(t, func(t *testing.T) {
		w := &ward{t: t, dice: rand.New(rand.NewPCG(seed, 0)), in: map[addr.Bare]*Resource{}, edition: map[addr.Bare]int{}, told: map[addr.Bare]roster.Roster{}, perTick: []int{0}}
		log := &tally{}
		w.e = New(map[string]Host{"example.com": {Backend: BackendFunc(w.fetch), Keeper: &memory{}, Parallel: parallel, Breaker: 5}}, w.watch, slog.New(log))
		for i := range users {
			w.users = append(w.users, jid(fmt.Sprint("user", i)))
			if i < users*19/20 { // the others are new, and first come during the outage
				w.login(w.users[i])
			}
		}
		synctest.Wait()
		for n := range 60 {
			w.second(n, true)
		}
		synctest.Wait()
		if n := w.behind(); n > 0 {
			t.Fatalf("%d users do not hold what the backend has before anything went wrong", n)
		}
		goroutines, bytes := runtime.NumGoroutine(), heap()

		begin := w.now()
		for n := range hour {
			w.mu.Lock()
			w.illness = illnesses[n*len(illnesses)/hour].call
			w.mu.Unlock()
			w.second(n, true)
		}
		inOutage, _ := w.since(begin)
		if inOutage > mostInOutage {
			t.Errorf("the backend was asked %d times in its bad hour, more than %d", inOutage, mostInOutage)
		}
		if w.stale == 0 || w.refused == 0 {
			t.Errorf("%d logins were served the last good roster, %d none: the outage was none", w.stale, w.refused)
		}
		worst := w.behind()

		w.mu.Lock()
		w.illness = nil
		w.mu.Unlock()
		end := w.now()
		for n := 0; w.behind() > 0 && n < 2*converged; n++ {
			w.second(n, false)
		}
		took := w.now() - end
		if n := w.behind(); n > 0 || took > converged {
			t.Errorf("%d of %d users do not hold what the backend has %d s after it is well, want all after %d", n, len(w.in), took, converged)
		}
		for n := range 600 { // late comers are calls too
			w.second(n, false)
		}
		_, inSecond := w.since(end)
		if inSecond > mostInSecond {
			t.Errorf("%d calls in one second after the end, more than %d", inSecond, mostInSecond)
		}
		if w.most > parallel {
			t.Errorf("%d calls at a time, more than %d", w.most, parallel)
		}
		if s := w.e.Hosts()["example.com"]; s.Stale+s.Absent > 0 || s.Breaker.Open || s.Fresh != len(w.in) {
			t.Errorf("afterwards %+v of %d", s, len(w.in))
		}
		if n := runtime.NumGoroutine(); n > goroutines+parallel {
			t.Errorf("%d goroutines, %d before", n, goroutines)
		}
		if n := heap(); n > bytes+bytes/2+8<<20 {
			t.Errorf("%d bytes in use, %d before", n, bytes)
		}
		t.Logf("%d calls in the bad hour; %d logins with the last good roster, %d without; %d users behind at its end, none %d s later; at most %d calls a second then; %v", inOutage, w.stale, w.refused, worst, took, inSecond, log)
		if log.lines > 400 {
			t.Errorf("%d lines in the log", log.lines)
		}
		for u := range w.in {
			w.logout(u)
		}
		if err := w.e.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
}

// tally is a log that counts the lines an operator would see.
type tally struct {
	mu    sync.Mutex
	lines int
	by    map[string]int
}

func (*tally) Enabled(_ context.Context, l slog.Level) bool { return l >= slog.LevelInfo }
func (l *tally) WithAttrs([]slog.Attr) slog.Handler         { return l }
func (l *tally) WithGroup(string) slog.Handler              { return l }

func (l *tally) Handle(_ context.Context, r slog.Record) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lines++
	if l.by == nil {
		l.by = map[string]int{}
	}
	l.by[r.Message]++
	return nil
}

func (l *tally) String() string { return fmt.Sprint(l.by) }
