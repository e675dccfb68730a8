package groups_test

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"rosterd/engine"
	"rosterd/engine/groups"
)

func set(t *testing.T, members ...string) *groups.Set {
	t.Helper()
	g := groups.Group{Name: "G"}
	for _, m := range members {
		g.Members = append(g.Members, groups.Member{JID: jid(m)})
	}
	s, problems := groups.New([]groups.Group{g})
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	return s
}

func TestNew(t *testing.T) {
	s, problems := groups.New([]groups.Group{
		{Name: "Verona", Members: []groups.Member{{jid("romeo"), "R"}, {jid("juliet"), "J"}}},
		{Name: "", Members: []groups.Member{{JID: jid("tybalt")}}},
		{Name: "Verona", Members: []groups.Member{{jid("juliet"), "Juliet"}, {jid("nurse"), "\x01"}}},
		{Name: "Help", Public: true, Members: []groups.Member{{jid("fire"), ""}}},
	})
	var said []string
	for _, p := range problems {
		said = append(said, p.String())
	}
	if got, want := strings.Join(said, "; "), "a group with a name that no roster can have: it is empty; the name of nurse@example.com: text holds U+0001, which XML cannot carry"; got != want {
		t.Errorf("problems %s, want %s", got, want)
	}
	var f groups.Feed
	f.Live.Store(s)
	if got, want := contents(t, groups.Rosters{Own: groups.Nobody, Groups: &f}, "romeo"), `fire both "" ["Help"]; juliet both "Juliet" ["Verona"]`; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

// A source that is asked by many at a time is asked once for those who came while it was being asked.
func TestFeedAskedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		asked := 0
		f := &groups.Feed{Log: slog.New(slog.DiscardHandler), Source: groups.SourceFunc(func(context.Context) (*groups.Set, []groups.Problem, error) {
			asked++
			time.Sleep(time.Second)
			return set(t, "a"), nil, nil
		})}
		done := make(chan error)
		ask := func() { done <- f.Renew(t.Context()) }
		go ask()
		synctest.Wait() // it is being asked
		for range 10 {
			go ask()
		}
		for range 11 {
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
		if asked != 2 {
			t.Errorf("asked %d times", asked)
		}
	})
}

// What fails is said once, is asked again sooner than usual, and leaves the groups as they were.
func TestFeedFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var said strings.Builder
		var answer *groups.Set
		broken := errors.New("the directory is gone")
		fails := broken
		f := &groups.Feed{Every: time.Minute, Timeout: time.Second, Log: slog.New(slog.NewTextHandler(&said, nil)), Source: groups.SourceFunc(func(ctx context.Context) (*groups.Set, []groups.Problem, error) {
			if errors.Is(fails, context.DeadlineExceeded) {
				<-ctx.Done()
				return nil, nil, ctx.Err()
			}
			return answer, nil, fails
		})}
		rosters := groups.Rosters{Own: groups.Nobody, Groups: f}
		if _, err := rosters.Fetch(t.Context(), engine.Request{User: jid("a")}); !errors.Is(err, groups.ErrUnknown) || !errors.Is(err, broken) {
			t.Errorf("a roster without groups: %v", err)
		}
		if f.Due(time.Now()) {
			t.Error("due at once after a failure")
		}
		time.Sleep(2 * time.Second)
		if !f.Due(time.Now()) {
			t.Error("not due after a pause")
		}
		answer, fails = set(t, "a", "b"), nil
		if got := contents(t, rosters, "a"); got != `b both "" ["G"]` {
			t.Errorf("once they are known: %s", got)
		}
		if f.Due(time.Now().Add(59*time.Second)) || !f.Due(time.Now().Add(time.Minute)) {
			t.Error("due too early, or not at all")
		}
		answer, fails = set(t, "a"), context.DeadlineExceeded
		if err := f.Renew(t.Context()); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a source that does not answer: %v", err)
		}
		gone, cancel := context.WithCancel(t.Context())
		cancel()
		fails = gone.Err()
		if err := f.Renew(gone); !errors.Is(err, context.Canceled) {
			t.Errorf("asked by somebody who is gone: %v", err)
		}
		if got := contents(t, rosters, "a"); got != `b both "" ["G"]` {
			t.Errorf("after failures: %s", got)
		}
		if got := strings.Count(said.String(), "level=ERROR"); got != 2 {
			t.Errorf("%d errors:\n%s", got, &said)
		}
	})
}

// A source that panics has failed, and is asked again.
func TestFeedPanic(t *testing.T) {
	odd := true
	f := &groups.Feed{Log: slog.New(slog.DiscardHandler), Source: groups.SourceFunc(func(context.Context) (*groups.Set, []groups.Problem, error) {
		if odd {
			panic("odd")
		}
		return set(t, "a"), nil, nil
	})}
	if err := f.Renew(t.Context()); err == nil || !strings.Contains(err.Error(), "odd") {
		t.Error(err)
	}
	odd = false
	if !f.Due(time.Now().Add(time.Hour)) {
		t.Error("it is not asked again")
	}
	if err := f.Renew(t.Context()); err != nil || f.Live.Load() == nil {
		t.Errorf("afterwards: %v", err)
	}
}
