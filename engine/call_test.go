package engine

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"rosterd/engine/roster"
)

func TestFailures(t *testing.T) {
	play(t, []scenario{
		{name: "a backend that takes too long", script: `
			attach romeo
				asks romeo login
			wait 5s
				quits romeo
				logs romeo WARN roster fetch failed: reason=login error=no answer within 5s: context deadline exceeded took=5s served=nothing: there is no last good roster
				tells romeo first timeout no answer within 5s: context deadline exceeded
		`},
		{name: "a backend that says what took too long", deaf: true, script: `
			attach romeo
				asks romeo login
			wait 5s
			fail romeo: GET http://localhost/contacts/romeo
				logs romeo WARN roster fetch failed: reason=login error=no answer within 5s: GET http://localhost/contacts/romeo took=5s served=nothing: there is no last good roster
				tells romeo first timeout no answer within 5s: GET http://localhost/contacts/romeo
			load romeo
				asks romeo login
			wait 5s
			answer romeo: juliet
				tells romeo first {juliet}
		`},
		{name: "a time of the host's own", host: Host{Timeout: 20 * time.Second}, script: `
			attach romeo
				asks romeo login
			wait 19s
			answer romeo: juliet
				tells romeo first {juliet}
		`},
		{name: "a backend that does not listen", deaf: true, script: `
			attach romeo
				asks romeo login
			wait 5.1s
				logs romeo WARN roster fetch failed: reason=login error=no answer within 5s: context deadline exceeded took=5.1s served=nothing: there is no last good roster
				tells romeo first timeout no answer within 5s: context deadline exceeded
			load romeo
				asks romeo login
			late romeo: juliet
				tells romeo first {juliet}
			answer romeo: nurse
		`},
		{name: "a backend that panics", script: `
			attach romeo
				asks romeo login
			panic romeo: boom
				logs romeo WARN roster fetch failed: reason=login error=plugin fault (trap): panic: boom took=0s served=nothing: there is no last good roster stack=true
				tells romeo first error plugin fault (trap): panic: boom
			load romeo
				asks romeo login
			answer romeo: juliet
				tells romeo first {juliet}
			refresh romeo
				asks romeo refresh
			panic romeo: boom
				logs romeo WARN roster fetch failed: reason=refresh error=plugin fault (trap): panic: boom took=0s served=the last good roster, of 2000-01-01T00:00:00Z stack=true
				refreshed 0/1: romeo=failed(plugin fault (trap): panic: boom)
		`},
		{name: "a backend that ends its goroutine", script: `
			attach romeo
				asks romeo login
			goexit romeo:
				logs romeo WARN roster fetch failed: reason=login error=plugin fault (trap): the call ended without an answer took=0s served=nothing: there is no last good roster
				tells romeo first error plugin fault (trap): the call ended without an answer
		`},
		{name: "one line and one event, whatever the error", script: `
			attach romeo
				asks romeo login
			temporary romeo: GET http://localhost/contacts/romeo → 503 Service Unavailable
				logs romeo WARN roster fetch failed: reason=login error=GET http://localhost/contacts/romeo → 503 Service Unavailable took=0s served=nothing: there is no last good roster
				tells romeo first error GET http://localhost/contacts/romeo → 503 Service Unavailable
			load romeo
				asks romeo login
			permanent romeo: no such host
				logs romeo WARN roster fetch failed: reason=login error=no such host took=0s served=nothing: there is no last good roster
				tells romeo first error no such host
			load romeo
				asks romeo login
			denied romeo: 403
				logs romeo WARN roster fetch failed: reason=login error=the backend denies access: 403 took=0s served=nothing: there is no last good roster
				tells romeo first error the backend denies access: 403
		`},
	})
}

func TestPlaces(t *testing.T) {
	play(t, []scenario{
		{name: "two calls at a time", host: Host{Parallel: 2}, script: `
			attach romeo
				asks romeo login
			attach juliet
				asks juliet login
			attach tybalt
			attach nurse
			answer juliet:
				tells juliet first {}
				asks tybalt login
			fail romeo: 503
				logs romeo WARN roster fetch failed: reason=login error=503 took=0s served=nothing: there is no last good roster
				tells romeo first error 503
				asks nurse login
			panic nurse: boom
				logs nurse WARN roster fetch failed: reason=login error=plugin fault (trap): panic: boom took=0s served=nothing: there is no last good roster stack=true
				tells nurse first error plugin fault (trap): panic: boom
			attach benvolio
				asks benvolio login
		`},
		{name: "the time of a call begins with the call", host: Host{Parallel: 1}, script: `
			attach romeo
				asks romeo login
			attach juliet
			wait 4s
			answer romeo:
				tells romeo first {}
				asks juliet login
			wait 4s
			answer juliet:
				tells juliet first {}
		`},
		{name: "hosts do not wait for each other", host: Host{Parallel: 1}, script: `
			attach romeo
				asks romeo login
			attach romeo@other.example
				asks romeo@other.example login
		`},
		{name: "a login waits only so long", host: Host{Parallel: 1, QueueTimeout: time.Millisecond}, script: `
			attach romeo
				asks romeo login
			attach juliet
			wait 1ms
				logs juliet WARN roster fetch failed: reason=login error=all 1 calls to the backend were busy for 1ms took=1ms served=nothing: there is no last good roster
				tells juliet first error all 1 calls to the backend were busy for 1ms
			answer romeo:
				tells romeo first {}
			load juliet
				asks juliet login
			answer juliet: romeo
				tells juliet first {romeo}
		`},
		{name: "ten seconds, and a call that never returns keeps its place", deaf: true, host: Host{Parallel: 1}, script: `
			attach romeo
				asks romeo login
			wait 5.1s
				logs romeo WARN roster fetch failed: reason=login error=no answer within 5s: context deadline exceeded took=5.1s served=nothing: there is no last good roster
				tells romeo first timeout no answer within 5s: context deadline exceeded
			attach juliet
			wait 9s
			wait 1s
				logs juliet WARN roster fetch failed: reason=login error=all 1 calls to the backend were busy for 10s took=10s served=nothing: there is no last good roster
				tells juliet first error all 1 calls to the backend were busy for 10s
			load juliet
			answer romeo: nurse
				asks juliet login
			answer juliet:
				tells juliet first {}
		`},
		{name: "a refresh has time", host: Host{Parallel: 1, Timeout: time.Hour}, script: `
			attach romeo
				asks romeo login
			answer romeo:
				tells romeo first {}
			attach tybalt
				asks tybalt login
			refresh romeo
			wait 30s
				refreshed 0/1: romeo=pending
			wait 20m
			answer tybalt:
				tells tybalt first {}
				asks romeo refresh
			answer romeo: juliet
				tells romeo {} → {juliet} +juliet
		`},
		{name: "but not where somebody waits for a first roster", host: Host{Parallel: 1, Timeout: time.Hour}, script: `
			attach romeo
				asks romeo login
			fail romeo: 503
				logs romeo WARN roster fetch failed: reason=login error=503 took=0s served=nothing: there is no last good roster
				tells romeo first error 503
			attach tybalt
				asks tybalt login
			refresh romeo
			load romeo
			wait 10s
				logs romeo WARN roster fetch failed: reason=refresh error=all 1 calls to the backend were busy for 10s took=10s served=nothing: there is no last good roster
				tells romeo first error all 1 calls to the backend were busy for 10s
				refreshed 0/1: romeo=failed(all 1 calls to the backend were busy for 10s)
		`},
		{name: "logins go before refreshes", host: Host{Parallel: 1}, script: `
			attach romeo
				asks romeo login
			answer romeo:
				tells romeo first {}
			attach juliet
				asks juliet login
			answer juliet:
				tells juliet first {}
			attach nurse
				asks nurse login
			answer nurse:
				tells nurse first {}
			refresh romeo
				asks romeo refresh
			refresh juliet
			refresh nurse
			attach tybalt
			attach benvolio
			answer romeo:
				refreshed 1/0: romeo=unchanged
				asks tybalt login
			answer tybalt:
				tells tybalt first {}
				asks benvolio login
			answer benvolio:
				tells benvolio first {}
				asks juliet refresh
			answer juliet:
				refreshed 1/0: juliet=unchanged
				asks nurse refresh
			answer nurse:
				refreshed 1/0: nurse=unchanged
		`},
	})
}

// TestParallel: 16 calls at a time where the host says nothing, through logins and a refresh of everybody.
func TestParallel(t *testing.T) {
	for _, c := range []struct{ parallel, want int }{{0, 16}, {1, 1}, {3, 3}, {100, 50}} {
		t.Run(fmt.Sprint(c.parallel), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var mu sync.Mutex
				now, most, all := 0, 0, 0
				gate := make(chan struct{})
				backend := func(ctx context.Context, r Request) (Answer, error) {
					mu.Lock()
					now++
					all++
					most = max(most, now)
					mu.Unlock()
					<-gate
					mu.Lock()
					now--
					mu.Unlock()
					return Answer{}, nil
				}
				e := New(map[string]Host{"example.com": {Backend: BackendFunc(backend), Parallel: c.parallel}}, func(Event) {}, slog.New(slog.DiscardHandler))
				var names []string
				for i := range 50 {
					names = append(names, fmt.Sprint("user", i))
					if _, err := e.Attach(jid(names[i])); err != nil {
						t.Fatal(err)
					}
				}
				synctest.Wait()
				if now != c.want {
					t.Errorf("%d calls wait, want %d", now, c.want)
				}
				close(gate)
				if s := e.Refresh(t.Context(), "example.com", names); s.Updated != 50 {
					t.Errorf("%+v", s)
				}
				if most != c.want || all != 100 || e.Stats().Fetches.Load() != 100 {
					t.Errorf("%d calls at a time, %d in all; want %d and 100", most, all, c.want)
				}
				if err := e.Close(t.Context()); err != nil {
					t.Fatal(err)
				}
			})
		})
	}
}

// TestGiveUp: a place that is given to somebody who has just given up goes to the next.
func TestGiveUp(t *testing.T) {
	p := places{most: 1}
	p.enter(false)
	first, second, third := p.enter(true), p.enter(false), p.enter(false)
	p.giveUp(second)
	p.leave()
	if !isClosed(first.ready) || isClosed(second.ready) || isClosed(third.ready) {
		t.Fatal("the awaited goes first")
	}
	p.giveUp(first) // was given its place meanwhile
	if !isClosed(third.ready) || p.taken != 1 {
		t.Fatal("the place was lost")
	}
	if p.leave(); p.taken != 0 {
		t.Fatal("the place was lost")
	}
}

func TestClose(t *testing.T) {
	play(t, []scenario{
		{name: "ends calls, answers refreshes and says nothing of it", script: `
			attach romeo
				asks romeo login
			answer romeo:
				tells romeo first {}
			attach juliet
				asks juliet login
			refresh romeo juliet
				asks romeo refresh
			close
				quits juliet
				quits romeo
				refreshed 0/2: romeo=failed(the engine is closed) juliet=failed(the engine is closed)
				closed <nil>
			attach tybalt
			load romeo
			refresh romeo nobody
				refreshed 1/1: romeo=failed(the engine is closed) nobody=offline
		`},
		{name: "ends waiting for a place", host: Host{Parallel: 1}, script: `
			attach romeo
				asks romeo login
			attach juliet
			close
				quits romeo
				closed <nil>
		`},
		{name: "waits for the watcher and for what is kept", keeper: &memory{}, script: `
			attach romeo
				asks romeo login
			hold romeo
			answer romeo: juliet
				tells romeo first {juliet}
			close
			wait 1h
			go romeo
				closed <nil>
			restart
			attach romeo
				asks romeo login
			fail romeo: 503
				logs romeo WARN roster fetch failed: reason=login error=503 took=0s served=the last good roster, of 2000-01-01T00:00:00Z
				tells romeo first stale {juliet}
		`},
		{name: "waits for a backend that does not listen", deaf: true, script: `
			attach romeo
				asks romeo login
			close
			answer romeo: juliet
				closed <nil>
		`},
	})
	synctest.Test(t, func(t *testing.T) {
		hang := make(chan struct{})
		e := New(map[string]Host{"example.com": {Backend: BackendFunc(func(context.Context, Request) (Answer, error) {
			<-hang
			return Answer{}, nil
		})}}, func(Event) { t.Error("somebody was told") }, slog.New(slog.DiscardHandler))
		if _, err := e.Attach(jid("romeo")); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := e.Close(ctx); err == nil || !strings.Contains(err.Error(), "deadline exceeded") {
			t.Errorf("Close: %v", err)
		}
		close(hang)
		if err := e.Close(t.Context()); err != nil {
			t.Errorf("Close again: %v", err)
		}
	})
}

// TestCloseAtOnce closes the engine while others use it. Who is told after that would be told of nothing.
func TestCloseAtOnce(t *testing.T) {
	for range 20 {
		var closed atomic.Bool
		e := New(map[string]Host{"example.com": {Backend: BackendFunc(func(context.Context, Request) (Answer, error) { return Answer{}, nil })}},
			func(Event) {
				if closed.Load() {
					t.Error("told after Close")
				}
			}, slog.New(slog.DiscardHandler))
		var wg sync.WaitGroup
		for i := range 3 {
			wg.Go(func() {
				name := fmt.Sprint("user", i)
				for n := range 30 {
					r, err := e.Attach(jid(name))
					if err != nil {
						t.Error(err)
					}
					if n%3 == 0 {
						e.Refresh(context.Background(), "example.com", []string{name})
					}
					r.Release()
				}
			})
		}
		if err := e.Close(context.Background()); err != nil {
			t.Error(err)
		}
		closed.Store(true)
		wg.Wait()
		if n := e.inhabitants(); n != 0 {
			t.Errorf("%d users stayed behind", n)
		}
	}
}

// TestRosterOnline: what can be asked beside the events.
func TestRosterOnline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t, scenario{keeper: &memory{}})
		shows := func(online, ok bool, want string) {
			t.Helper()
			synctest.Wait()
			r, has := s.e.Roster(jid("romeo"))
			if s.e.Online(jid("romeo")) != online || has != ok || has && contacts(r) != want {
				t.Errorf("online %v, roster {%s}, %v", s.e.Online(jid("romeo")), contacts(r), has)
			}
		}
		do := func(lines ...string) {
			for _, l := range lines {
				s.do(l)
				synctest.Wait()
			}
		}
		shows(false, false, "")
		do("attach romeo")
		shows(true, false, "")
		do("fail romeo: 503")
		shows(true, false, "")
		do("load romeo", "answer romeo: juliet nurse:from")
		shows(true, true, "juliet nurse:from")
		do("refresh romeo", "fail romeo: 503")
		shows(true, true, "juliet nurse:from")
		do("release romeo")
		shows(false, false, "")
		do("attach romeo")
		shows(true, false, "") // a kept roster is for failures
		do("fail romeo: 503")
		shows(true, true, "juliet nurse:from")
		if f, d := s.e.Stats().Failures.Load(), s.e.Stats().Fetches.Load(); f != 3 || d != 4 {
			t.Errorf("%d failures of %d fetches", f, d)
		}
		s.end()
	})
}

// TestInsideTheWatcher does there what may be done there.
func TestInsideTheWatcher(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var e *Engine
		var mu sync.Mutex // guards res, since an event may come before Attach returns
		var res *Resource
		var seen []string
		tries := 0
		e = New(map[string]Host{"example.com": {Backend: BackendFunc(func(context.Context, Request) (Answer, error) {
			if tries++; tries < 3 {
				return Answer{}, ErrDenied
			}
			return Answer{Roster: parseRoster("juliet")}, nil
		})}}, func(ev Event) {
			mu.Lock()
			defer mu.Unlock()
			seen = append(seen, describe(ev))
			if ev.Err != nil {
				res.Load()
				return
			}
			if _, ok := e.Roster(ev.User); !ok || ev.Gone() || !e.Online(ev.User) {
				t.Error("who is told is online and has a roster")
			}
			res.Release()
			if !ev.Gone() || e.Online(ev.User) {
				t.Error("who has left is gone")
			}
		}, slog.New(slog.DiscardHandler))
		mu.Lock()
		res, _ = e.Attach(jid("romeo"))
		mu.Unlock()
		synctest.Wait()
		want := []string{" first error the backend denies access", " first error the backend denies access", " first {juliet}"}
		if fmt.Sprint(seen) != fmt.Sprint(want) {
			t.Errorf("told %q", seen)
		}
		if err := e.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		if n := e.inhabitants(); n != 0 {
			t.Errorf("%d users stayed behind", n)
		}
	})
}

// TestKeptForm: what is kept comes back whole, however long its names.
func TestKeptForm(t *testing.T) {
	long := strings.Repeat("é", 5000)
	item := roster.Item{JID: jid("juliet"), Name: long, Subscription: roster.From, Ask: true, Approved: true}
	for i := range 300 {
		item.Groups = append(item.Groups, fmt.Sprintf("%03d%s", i, long))
	}
	want, _ := roster.New(jid("romeo"), item, roster.Item{JID: jid("nurse"), Subscription: roster.None, Name: "\ufffd<&\""})
	m := &memory{}
	u := newUser(jid("romeo"), newHost("example.com", Host{Keeper: m}), nil)
	u.roster, u.managed, u.rev, u.fetched = want, want, `W/"1"`, time.Date(2024, 2, 29, 1, 2, 3, 4, time.UTC)
	e := New(nil, nil, slog.New(slog.DiscardHandler))
	e.keep(u)
	w := newUser(jid("romeo"), u.host, nil)
	e.remember(w)
	if !w.roster.Equal(want) || w.rev != u.rev || !w.fetched.Equal(u.fetched) || w.state != absent {
		t.Fatalf("came back as %+v", w)
	}
}
