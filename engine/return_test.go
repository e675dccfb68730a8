package engine

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"rosterd/engine/addr"
	"rosterd/engine/roster"
)

// away is a backend of 20 ms that is away for a while.
type away struct {
	mu         sync.Mutex // guards the fields below
	gone       bool
	named      bool // contacts have other names
	under      int  // calls under way
	most       int
	now        time.Time // the second that is counted
	inSecond   int
	mostSecond int
	calls      int
	fresh      map[addr.Bare]bool // who was told the other names
}

var errAway = &TemporaryError{Err: errors.New("503 Service Unavailable")}

func (a *away) fetch(_ context.Context, r Request) (Answer, error) {
	a.mu.Lock()
	a.under++
	a.calls++
	a.most = max(a.most, a.under)
	if second := time.Now().Truncate(time.Second); !second.Equal(a.now) {
		a.now, a.inSecond = second, 0
	}
	a.inSecond++
	a.mostSecond = max(a.mostSecond, a.inSecond)
	a.mu.Unlock()
	<-time.After(20 * time.Millisecond)
	a.mu.Lock()
	defer a.mu.Unlock()
	a.under--
	if a.gone {
		return Answer{}, errAway
	}
	name := "before"
	if a.named {
		name = "after"
	}
	ro, _ := roster.New(r.User, roster.Item{JID: clock, Name: name})
	return Answer{Roster: ro}, nil
}

func (a *away) watch(ev Event) {
	a.mu.Lock()
	defer a.mu.Unlock()
	i, _ := ev.To.Get(clock)
	if ev.Err == nil && i.Name == "after" {
		a.fresh[ev.User] = true
	}
}

func (a *away) set(f func()) {
	a.mu.Lock()
	defer a.mu.Unlock()
	f()
}

// A backend that was away for a minute, with a thousand who are online and whom a refresh has named meanwhile, is asked by as
// many at a time as it may be, by some 100 users a second, once for each, and first for those who log in.
func TestReturnOfABackend(t *testing.T) {
	const users, parallel = 1000, 16
	synctest.Test(t, func(t *testing.T) {
		a := &away{fresh: map[addr.Bare]bool{}}
		e := New(map[string]Host{"example.com": {Backend: BackendFunc(a.fetch), Parallel: parallel, Breaker: 5, QueueTimeout: time.Minute}}, a.watch, slog.New(slog.DiscardHandler))
		var names []string
		var in []*Resource
		for i := range users {
			names = append(names, fmt.Sprint("user", i))
			r, err := e.Attach(jid(names[i]))
			if err != nil {
				t.Fatal(err)
			}
			in = append(in, r)
		}
		<-time.After(users / parallel * 30 * time.Millisecond)
		if a.calls != users {
			t.Fatalf("%d calls for %d logins", a.calls, users)
		}

		a.set(func() { a.gone, a.calls = true, 0 })
		if s := e.Refresh(t.Context(), "example.com", names); s.Errors != users {
			t.Errorf("%d errors in a refresh of %d while the backend is away", s.Errors, users)
		}
		<-time.After(time.Minute)
		a.set(func() {
			if most := 5 + parallel + 6; a.calls > most { // until the breaker opens, and then once after each pause
				t.Errorf("asked %d times while it was away, more than %d", a.calls, most)
			}
			a.gone, a.named, a.calls, a.most, a.mostSecond = false, true, 0, 0, 0
		})
		begin := time.Now()
		var slowest time.Duration
		logins, fresh := 0, 0
		for fresh < users+logins && time.Since(begin) < 10*time.Minute { // one login a second
			closed := !e.Hosts()["example.com"].Breaker.Open // else who logs in is told at once to wait
			r, err := e.Attach(jid(fmt.Sprint("other", logins)))
			if err != nil {
				t.Fatal(err)
			}
			in = append(in, r)
			logins++
			start := time.Now()
			for u, known := jid(fmt.Sprint("other", logins-1)), false; !known && time.Since(start) < time.Second; {
				<-time.After(10 * time.Millisecond)
				a.set(func() { known = a.fresh[u] })
			}
			if closed {
				slowest = max(slowest, time.Since(start))
			}
			<-time.After(time.Until(start.Add(time.Second)))
			a.set(func() { fresh = len(a.fresh) })
		}
		took := time.Since(begin)
		// The last pause is 40 s, give or take a quarter, and everybody then comes at 100 a second.
		if limit := 50*time.Second + users*returnGap + 10*time.Second; fresh < users+logins || took > limit {
			t.Errorf("%d of %d have what the backend has after %v, want all after %v", fresh, users+logins, took, limit)
		}
		if a.calls > users+logins+parallel {
			t.Errorf("asked %d times for %d users", a.calls, users+logins)
		}
		if a.most > parallel || a.mostSecond > 200+parallel {
			t.Errorf("asked %d at a time and %d in a second", a.most, a.mostSecond)
		}
		if slowest == 0 || slowest > time.Second/10 {
			t.Errorf("somebody who logged in meanwhile waited for %v", slowest)
		}
		t.Logf("all fresh after %v; %d at a time, %d in a second; a login took %v", took, a.most, a.mostSecond, slowest)
		for _, r := range in {
			r.Release()
		}
		if err := e.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
}
