package engine

import (
	"context"
	"fmt"
	"log/slog"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"rosterd/engine/addr"
	"rosterd/engine/roster"
)

func TestRefresh(t *testing.T) {
	play(t, []scenario{
		{name: "names", script: `
			attach romeo
				asks romeo login
			answer romeo: juliet
				tells romeo first {juliet}
			refresh ROMEO romeo nobody a@b "" x<y romeo Romeo
				asks romeo refresh
			answer romeo: nurse juliet:to
				tells romeo {juliet} → {juliet:to nurse} ~juliet +nurse
				refreshed 5/3: ROMEO=updated(2) romeo=updated(2) nobody=offline a@b=invalid ""=invalid x<y=invalid romeo=updated(2) Romeo=updated(2)
		`},
		{name: "nobody", script: `
			refresh
				refreshed 0/0:
			refresh nobody "" NoBody
				refreshed 2/1: nobody=offline ""=invalid NoBody=offline
		`},
		{name: "nobody is asked for another host's user", script: `
			attach romeo@other.example
				asks romeo@other.example login
			answer romeo@other.example: juliet
				tells romeo@other.example first {juliet}
			refresh romeo
				refreshed 1/0: romeo=offline
		`},
		{name: "a name that changed", script: `
			attach romeo
				asks romeo login
			answer romeo: juliet=Juliet
				tells romeo first {juliet=Juliet}
			refresh romeo
				asks romeo refresh
			answer romeo: juliet=Capulet
				tells romeo {juliet=Juliet} → {juliet=Capulet} ~juliet
				refreshed 1/0: romeo=updated(1)
		`},
		{name: "unchanged contents without a revision", script: `
			attach romeo
				asks romeo login
			answer romeo: juliet
				tells romeo first {juliet}
			refresh romeo
				asks romeo refresh
			answer romeo: juliet
				refreshed 1/0: romeo=unchanged
		`},
		{name: "never joins a fetch that has started, and many share the next", script: `
			attach romeo
				asks romeo login
			refresh romeo
			refresh romeo
			refresh romeo
			answer romeo: juliet
				tells romeo first {juliet}
				asks romeo refresh
			refresh romeo
			answer romeo: nurse
				tells romeo {juliet} → {nurse} +nurse -juliet
				refreshed 1/0: romeo=updated(2)
				refreshed 1/0: romeo=updated(2)
				refreshed 1/0: romeo=updated(2)
				asks romeo refresh
			answer romeo: nurse tybalt
				tells romeo {nurse} → {nurse tybalt} +tybalt
				refreshed 1/0: romeo=updated(1)
		`},
		{name: "a slow older answer does not win", script: `
			attach romeo
				asks romeo login
			answer romeo:
				tells romeo first {}
			refresh romeo
				asks romeo refresh
			refresh romeo
			wait 4s
			answer romeo: juliet
				tells romeo {} → {juliet} +juliet
				refreshed 1/0: romeo=updated(1)
				asks romeo refresh
			answer romeo: nurse
				tells romeo {juliet} → {nurse} +nurse -juliet
				refreshed 1/0: romeo=updated(2)
		`},
		{name: "an answer that comes after its deadline does not win either", deaf: true, script: `
			attach romeo
				asks romeo login
			answer romeo: juliet
				tells romeo first {juliet}
			refresh romeo
				asks romeo refresh
			refresh romeo
			wait 5.1s
				logs romeo WARN roster fetch failed: reason=refresh error=no answer within 5s: context deadline exceeded took=5.1s served=the last good roster, of 2000-01-01T00:00:00Z
				refreshed 0/1: romeo=failed(no answer within 5s: context deadline exceeded)
				asks romeo refresh
			late romeo: nurse
				tells romeo {juliet} → {nurse} +nurse -juliet
				refreshed 1/0: romeo=updated(2)
			answer romeo: tybalt
		`},
		{name: "not answered before the watcher has returned", script: `
			attach romeo
				asks romeo login
			answer romeo:
				tells romeo first {}
			hold romeo
			refresh romeo
				asks romeo refresh
			answer romeo: juliet
				tells romeo {} → {juliet} +juliet
			go romeo
				refreshed 1/0: romeo=updated(1)
		`},
		{name: "events of one user wait for each other", script: `
			attach romeo
				asks romeo login
			hold romeo
			answer romeo: juliet
				tells romeo first {juliet}
			refresh romeo
			wait 2s
			go romeo
				asks romeo refresh
			answer romeo: nurse
				tells romeo {juliet} → {nurse} +nurse -juliet
				refreshed 1/0: romeo=updated(2)
		`},
		{name: "answered at the deadline, and goes on", script: `
			attach romeo
				asks romeo login
			answer romeo: juliet
				tells romeo first {juliet}
			attach tybalt
				asks tybalt login
			answer tybalt:
				tells tybalt first {}
			refresh@2s romeo tybalt nobody
				asks romeo refresh
				asks tybalt refresh
			answer tybalt:
			wait 2s
				refreshed 2/1: romeo=pending tybalt=unchanged nobody=offline
			wait 1s
			answer romeo: nurse
				tells romeo {juliet} → {nurse} +nurse -juliet
		`},
		{name: "other sides of what is done after the deadline", script: `
			attach romeo
				asks romeo login
			answer romeo:
				tells romeo first {}
			attach juliet
				asks juliet login
			answer juliet:
				tells juliet first {}
			refresh@2s romeo
				asks romeo refresh
			wait 3s
				refreshed 0/1: romeo=pending
			answer romeo: juliet
				tells romeo {} → {juliet} +juliet
				asks juliet other-side
			answer juliet: romeo
				tells juliet {} → {romeo} +romeo
		`},
		{name: "a deadline that is over already", script: `
			attach romeo
				asks romeo login
			answer romeo: juliet
				tells romeo first {juliet}
			refresh@0s romeo nobody
				asks romeo refresh
				refreshed 1/1: romeo=pending nobody=offline
			answer romeo: nurse
				tells romeo {juliet} → {nurse} +nurse -juliet
		`},
		{name: "brings a first roster where the login failed", script: `
			attach romeo
				asks romeo login
			refresh romeo
			fail romeo: 503
				logs romeo WARN roster fetch failed: reason=login error=503 took=0s served=nothing: there is no last good roster
				tells romeo first error 503
				asks romeo refresh
			load romeo
			answer romeo: juliet
				tells romeo first {juliet} +juliet
				refreshed 1/0: romeo=updated(1)
		`},
		{name: "joins what a login has queued", script: `
			attach romeo
				asks romeo login
			hold romeo
			fail romeo: 503
				logs romeo WARN roster fetch failed: reason=login error=503 took=0s served=nothing: there is no last good roster
				tells romeo first error 503
			load romeo
			refresh romeo
			load romeo
			go romeo
				asks romeo refresh
			answer romeo: juliet
				tells romeo first {juliet} +juliet
				refreshed 1/0: romeo=updated(1)
		`},
	})
}

func TestOtherSide(t *testing.T) {
	const online = `
			attach romeo
				asks romeo login
			answer romeo: juliet:to tybalt:none
				tells romeo first {juliet:to tybalt:none}
			attach juliet
				asks juliet login
			answer juliet: romeo:from nurse
				tells juliet first {nurse romeo:from}
			attach nurse
				asks nurse login
			answer nurse: juliet
				tells nurse first {juliet}
		`
	play(t, []scenario{
		{name: "refreshed once, and brings no third", script: online + `
			refresh romeo
				asks romeo refresh
			answer romeo: juliet tybalt:none
				tells romeo {juliet:to tybalt:none} → {juliet tybalt:none} ~juliet
				asks juliet other-side
			answer juliet: romeo
				tells juliet {nurse romeo:from} → {romeo} ~romeo -nurse
				refreshed 1/0: romeo=updated(1)
		`},
		{name: "not where only the name changed", script: online + `
			refresh romeo
				asks romeo refresh
			answer romeo: juliet:to=Juliet tybalt:none
				tells romeo {juliet:to tybalt:none} → {juliet:to=Juliet tybalt:none} ~juliet
				refreshed 1/0: romeo=updated(1)
		`},
		{name: "of a contact removed, and not of one who is offline", script: online + `
			refresh romeo
				asks romeo refresh
			answer romeo: benvolio
				tells romeo {juliet:to tybalt:none} → {benvolio} +benvolio -juliet -tybalt
				asks juliet other-side
			answer juliet: nurse
				tells juliet {nurse romeo:from} → {nurse} -romeo
				refreshed 1/0: romeo=updated(3)
		`},
		{name: "not where it was named itself", script: online + `
			refresh romeo juliet
				asks romeo refresh
				asks juliet refresh
			answer romeo: juliet
				tells romeo {juliet:to tybalt:none} → {juliet} ~juliet -tybalt
			answer juliet: romeo nurse
				tells juliet {nurse romeo:from} → {nurse romeo} ~romeo
				refreshed 2/0: romeo=updated(2) juliet=updated(1)
		`},
		{name: "once for two that name it", script: online + `
			refresh romeo nurse
				asks romeo refresh
				asks nurse refresh
			answer romeo: tybalt:none
				tells romeo {juliet:to tybalt:none} → {tybalt:none} -juliet
				asks juliet other-side
			answer nurse:
				tells nurse {juliet} → {} -juliet
			answer juliet:
				tells juliet {nurse romeo:from} → {} -nurse -romeo
				refreshed 2/0: romeo=updated(1) nurse=updated(1)
		`},
		{name: "its failure is not the failure of who was named", script: online + `
			refresh romeo
				asks romeo refresh
			answer romeo:
				tells romeo {juliet:to tybalt:none} → {} -juliet -tybalt
				asks juliet other-side
			fail juliet: 503
				logs juliet WARN roster fetch failed: reason=other-side error=503 took=0s served=the last good roster, of 2000-01-01T00:00:00Z
				refreshed 1/0: romeo=updated(2)
		`},
		{name: "the answer waits for it no longer than its deadline", script: online + `
			refresh@2s romeo
				asks romeo refresh
			answer romeo:
				tells romeo {juliet:to tybalt:none} → {} -juliet -tybalt
				asks juliet other-side
			wait 2s
				refreshed 1/0: romeo=updated(2)
			answer juliet: nurse
				tells juliet {nurse romeo:from} → {nurse} -romeo
		`},
		{name: "a refresh joins one that waits and counts its changes", script: online + `
			refresh juliet
				asks juliet refresh
			refresh romeo
				asks romeo refresh
			answer romeo:
				tells romeo {juliet:to tybalt:none} → {} -juliet -tybalt
			refresh juliet
			answer juliet: nurse romeo:from
				asks juliet refresh
				asks romeo other-side
			answer romeo:
				refreshed 1/0: juliet=unchanged
			answer juliet:
				tells juliet {nurse romeo:from} → {} -nurse -romeo
				asks nurse other-side
				asks romeo other-side
				refreshed 1/0: romeo=updated(2)
			answer nurse:
				tells nurse {juliet} → {} -juliet
			answer romeo:
				refreshed 1/0: juliet=updated(2)
		`},
		{name: "of a pair that changed before the login", script: `
			attach romeo
				asks romeo login
			answer romeo: nurse
				tells romeo first {nurse}
			attach juliet
				asks juliet login
			answer juliet: romeo
				tells juliet first {romeo}
			refresh juliet
				asks juliet refresh
			answer juliet: romeo
				asks romeo other-side
			answer romeo: nurse juliet
				tells romeo {nurse} → {juliet nurse} +juliet
				refreshed 1/0: juliet=unchanged
			refresh juliet
				asks juliet refresh
			answer juliet: romeo
				refreshed 1/0: juliet=unchanged
		`},
		{name: "on another host", script: `
			attach romeo@other.example
				asks romeo@other.example login
			answer romeo@other.example:
				tells romeo@other.example first {}
			attach juliet
				asks juliet login
			answer juliet:
				tells juliet first {}
			refresh juliet
				asks juliet refresh
			answer juliet: romeo@other.example
				tells juliet {} → {romeo@other.example} +romeo@other.example
				asks romeo@other.example other-side
			answer romeo@other.example: juliet
				tells romeo@other.example {} → {juliet} +juliet
				refreshed 1/0: juliet=updated(1)
		`},
		{name: "left alone where the host says so", host: Host{OneSided: true}, script: online + `
			refresh romeo
				asks romeo refresh
			answer romeo:
				tells romeo {juliet:to tybalt:none} → {} -juliet -tybalt
				refreshed 1/0: romeo=updated(2)
			refresh romeo
				asks romeo refresh
			fail romeo: 503
				logs romeo WARN roster fetch failed: reason=refresh error=503 took=0s served=the last good roster, of 2000-01-01T00:00:00Z
				refreshed 0/1: romeo=failed(503)
			load romeo
				asks romeo login
			answer romeo: juliet
				tells romeo {} → {juliet} +juliet
		`},
	})
}

// TestRefreshEverybody: a refresh of many users who are online has few goroutines, and goes on behind its deadline.
func TestRefreshEverybody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const users = 2000
		gate := make(chan struct{})
		var told atomic.Int64
		e := New(map[string]Host{"example.com": {Timeout: time.Hour, Backend: BackendFunc(func(_ context.Context, r Request) (Answer, error) {
			if r.Reason == ReasonLogin {
				return Answer{}, nil
			}
			<-gate
			return Answer{Roster: parseRoster("juliet")}, nil
		})}}, func(Event) { told.Add(1) }, slog.New(slog.DiscardHandler))
		names := make([]string, users)
		for i := range names {
			names[i] = fmt.Sprint("user", i)
			if _, err := e.Attach(jid(names[i])); err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait()
		before := runtime.NumGoroutine()
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		s := e.Refresh(ctx, "example.com", names)
		if n := runtime.NumGoroutine() - before; n > users/4 {
			t.Errorf("%d goroutines", n)
		}
		if s.Errors != users || s.Results[0].Outcome != Pending || s.Results[users-1].Outcome != Pending {
			t.Errorf("%d updated, %d errors, %+v, %+v", s.Updated, s.Errors, s.Results[0], s.Results[users-1])
		}
		close(gate)
		synctest.Wait()
		if n := told.Load(); n != 2*users {
			t.Errorf("%d events, want a first one and a change for each of %d users", n, users)
		}
		if err := e.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
	})
}

// TestOtherSideLimit: one refresh does not make the engine fetch more than so many users whom it did not name.
func TestOtherSideLimit(t *testing.T) {
	const most = 20
	play := func(pairs int) (fetched int64, lines []string) {
		synctest.Test(t, func(t *testing.T) {
			var items []roster.Item
			for i := range pairs {
				items = append(items, roster.Item{JID: jid(fmt.Sprint("user", i)), Subscription: roster.Both})
			}
			offline := []roster.Item{{JID: jid("absent1")}, {JID: jid("absent2")}} // take no room
			all, _ := roster.New(addr.Bare{}, append(offline, items...)...)
			var others atomic.Int64
			var mu sync.Mutex
			log := slog.New(&logged{say: func(format string, args ...any) {
				mu.Lock()
				defer mu.Unlock()
				lines = append(lines, fmt.Sprintf(format, args...))
			}})
			e := New(map[string]Host{"example.com": {Backend: BackendFunc(func(_ context.Context, r Request) (Answer, error) {
				switch r.Reason {
				case ReasonOtherSide:
					others.Add(1)
				case ReasonRefresh:
					return Answer{Roster: all}, nil
				}
				return Answer{}, nil
			})}}, func(Event) {}, log)
			e.otherSides = most
			for _, i := range append(items, roster.Item{JID: jid("romeo")}) {
				if _, err := e.Attach(i.JID); err != nil {
					t.Fatal(err)
				}
			}
			synctest.Wait()
			if s := e.Refresh(t.Context(), "example.com", []string{"romeo"}); s.Results[0].Changes != all.Len() {
				t.Errorf("%+v", s)
			}
			fetched = others.Load()
			if err := e.Close(t.Context()); err != nil {
				t.Fatal(err)
			}
		})
		return fetched, lines
	}
	if n, lines := play(most); n != most || len(lines) != 0 {
		t.Errorf("%d fetched, %q", n, lines)
	}
	if n, lines := play(most + 1); n != most || len(lines) != 1 {
		t.Errorf("%d fetched, %q", n, lines)
	}
}

// TestRefreshOffline: many names cost neither a call nor much time.
func TestRefreshOffline(t *testing.T) {
	e := New(map[string]Host{"example.com": {Backend: BackendFunc(func(context.Context, Request) (Answer, error) {
		t.Error("the backend was asked")
		return Answer{}, nil
	})}}, func(Event) { t.Error("somebody was told") }, slog.New(slog.DiscardHandler))
	names := make([]string, 10_000)
	for i := range names {
		names[i] = fmt.Sprintf("User%d", i)
	}
	start := time.Now()
	s := e.Refresh(t.Context(), "example.com", names)
	if took := time.Since(start); took > 10*time.Second {
		t.Errorf("took %v", took)
	}
	if s.Updated != len(names) || s.Errors != 0 || len(s.Results) != len(names) {
		t.Fatalf("%d updated, %d errors, %d results", s.Updated, s.Errors, len(s.Results))
	}
	for i, r := range s.Results {
		if r != (Result{Name: names[i], Outcome: Offline}) {
			t.Fatalf("%+v", r)
		}
	}
	if err := e.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// TestAskAfterRelease: a user who leaves between being found and being asked is offline.
func TestAskAfterRelease(t *testing.T) {
	e := New(map[string]Host{"example.com": {Backend: BackendFunc(func(context.Context, Request) (Answer, error) { return Answer{}, nil })}},
		func(Event) {}, slog.New(slog.DiscardHandler))
	u := addr.MustBare("romeo@example.com")
	r, err := e.Attach(u)
	if err != nil {
		t.Fatal(err)
	}
	w := e.find(u)
	r.Release()
	if f := e.ask(w, ReasonRefresh); !isClosed(f.done) || !f.gone {
		t.Errorf("%+v", f)
	}
	if err := e.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := e.inhabitants(); n != 0 {
		t.Errorf("%d users stayed behind", n)
	}
}
