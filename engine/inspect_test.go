package engine

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"rosterd/engine/addr"
	"rosterd/engine/roster"
)

func show(i Inspection, known bool) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%v %s resources=%d {%s} rev=%q", known, i.State, i.Resources, contacts(i.Roster), i.Rev)
	at := func(name string, t time.Time) {
		if !t.IsZero() {
			fmt.Fprintf(&b, " %s=%s", name, t.UTC().Format(time.TimeOnly))
		}
	}
	at("fetched", i.Fetched)
	at("fresh", i.FreshUntil)
	at("serve", i.ServeUntil)
	at("failed", i.FailedAt)
	if i.LastError != nil {
		fmt.Fprintf(&b, " error=%v", i.LastError)
	}
	if !i.NextTry.IsZero() {
		b.WriteString(" next")
	}
	if i.Fetching {
		b.WriteString(" fetching")
	}
	if i.Kept {
		b.WriteString(" kept")
	}
	if len(i.Dropped) > 0 {
		fmt.Fprintf(&b, " dropped=%d+%d", len(i.Dropped), i.DroppedMore)
	}
	if i.Held != nil {
		fmt.Fprintf(&b, " held=%d/%d", i.Held.Removed, i.Held.Of)
	}
	if i.Breaker.Open {
		fmt.Fprintf(&b, " open=%v", i.Breaker.LastError)
	}
	return b.String()
}

func TestInspect(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t, scenario{host: Host{Retry: time.Hour, Timeout: time.Minute, ShrinkGuard: 50, Breaker: 3}, keeper: &memory{}})
		defer s.end()
		for _, c := range []struct{ script, user, want string }{
			{"", "romeo", `false offline resources=0 {} rev=""`},
			{"", "romeo@elsewhere.example", `false  resources=0 {} rev=""`},
			{`
			attach romeo
				asks romeo login
			attach romeo/2
			`, "romeo", `true absent resources=2 {} rev="" fetching`},
			{`
			wait 1s
			answer romeo rev=1 max-age=60s stale-if-error=60s dropped=x: a b c d
				logs romeo WARN contact left out: jid=x reason=not a valid JID
				tells romeo first {a b c d}
			`, "romeo", `true fresh resources=2 {a b c d} rev="1" fetched=00:00:01 fresh=00:01:01 serve=00:02:01 kept dropped=1+0`},
			{`
			wait 1s
			refresh romeo
				asks romeo refresh rev=1
			fail romeo: 503
				logs romeo WARN roster fetch failed: reason=refresh error=503 took=0s served=the last good roster, of 2000-01-01T00:00:01Z
				refreshed 0/1: romeo=failed(503)
			`, "romeo", `true stale resources=2 {a b c d} rev="1" fetched=00:00:01 fresh=00:01:01 serve=00:02:01 failed=00:00:02 error=503 next kept dropped=1+0`},
			{`
			refresh romeo
				asks romeo refresh rev=1
			answer romeo rev=2: a
				logs romeo WARN roster held back: the answer removes too many contacts: reason=refresh removes=3 of=4 guard=50
				refreshed 0/1: romeo=held(held back: the answer removes 3 of 4 contacts)
			release romeo
			`, "romeo", `true stale resources=1 {a b c d} rev="1" fetched=00:00:01 fresh=00:01:01 serve=00:02:01 failed=00:00:02 error=held back: the answer removes 3 of 4 contacts next kept dropped=1+0 held=3/4`},
			{`
			release romeo/2
			`, "romeo", `true offline resources=0 {a b c d} rev="1" fetched=00:00:01 fresh=00:01:01 serve=00:02:01 kept held=3/4`},
		} {
			s.play(c.script)
			if got := show(s.e.Inspect(jid(c.user))); got != c.want {
				t.Errorf("after %s\ngot:  %s\nwant: %s", c.script, got, c.want)
			}
		}
		if n := s.e.inhabitants(); n != 0 {
			t.Errorf("%d users stay behind who were only looked at", n)
		}
	})
}

// What is remembered of an answer with a thousand bad contacts is bounded.
func TestInspectDropped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t, scenario{})
		defer s.end()
		s.do("attach romeo")
		synctest.Wait()
		s.do("answer romeo" + strings.Repeat(" dropped=x", 1000) + ":")
		synctest.Wait()
		if i, _ := s.e.Inspect(jid("romeo")); len(i.Dropped) != mostNoted || i.DroppedMore != 1000-mostNoted {
			t.Errorf("%d and %d more", len(i.Dropped), i.DroppedMore)
		}
		s.do("refresh romeo")
		synctest.Wait()
		s.do("answer romeo:")
		synctest.Wait()
		if i, _ := s.e.Inspect(jid("romeo")); len(i.Dropped) != 0 || s.e.find(jid("romeo")).notes != nil {
			t.Errorf("%+v after a good answer", i)
		}
	})
}

func TestObserve(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		answers := map[string]struct {
			ans  Answer
			err  error
			want string
		}{
			"ok":        {Answer{Roster: parseRoster("a b")}, nil, "ok 0 0 <nil>"},
			"dropped":   {Answer{Dropped: bad(3)}, nil, "ok 3 0 <nil>"},
			"temporary": {Answer{}, &TemporaryError{Err: errors.New("503")}, "temporary 0 0 503"},
			"plain":     {Answer{}, errors.New("503"), "temporary 0 0 503"},
			"permanent": {Answer{}, &PermanentError{Err: errors.New("401")}, "permanent 0 0 401"},
			"denied":    {Answer{}, ErrDenied, "denied 0 0 the backend denies access"},
			"unknown":   {Answer{}, ErrUnknownUser, "unknown-user 0 0 <nil>"},
			"fault":     {Answer{}, &FaultError{Kind: "memory", Err: errors.New("x")}, "fault 0 0 plugin fault (memory): x"},
			"late":      {Answer{}, context.DeadlineExceeded, "timeout 0 0 context deadline exceeded"},
		}
		backend := BackendFunc(func(_ context.Context, r Request) (Answer, error) {
			a := answers[r.User.Local()]
			return a.ans, a.err
		})
		e := New(map[string]Host{"example.com": {Backend: backend, Retry: -1}}, func(Event) {}, slog.New(slog.DiscardHandler))
		seen := make(chan Fetched, 1)
		e.Observe(func(f Fetched) { seen <- f })
		for name, a := range answers {
			r, err := e.Attach(jid(name))
			if err != nil {
				t.Fatal(err)
			}
			f := <-seen
			if got := fmt.Sprintf("%s %d %d %v", f.Kind, f.Dropped, f.Changes, f.Err); got != a.want || f.Host != "example.com" || f.Reason != ReasonLogin {
				t.Errorf("%s: %+v %q, want %q", name, f, got, a.want)
			}
			r.Release()
		}
		if err := e.Close(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

func bad(n int) (list []roster.BadItem) {
	for range n {
		list = append(list, roster.BadItem{JID: "x", Reason: "y"})
	}
	return list
}

func TestHosts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t, scenario{host: Host{Parallel: 1, Timeout: time.Hour, QueueTimeout: time.Hour}, keeper: &memory{docs: map[addr.Bare]string{}}})
		defer s.end()
		s.play(`
			attach romeo
				asks romeo login
			answer romeo:
				tells romeo first {}
			attach juliet
				asks juliet login
			answer juliet:
				tells juliet first {}
			refresh juliet
				asks juliet refresh
			fail juliet: 503
				logs juliet WARN roster fetch failed: reason=refresh error=503 took=0s served=the last good roster, of 2000-01-01T00:00:00Z
				refreshed 0/1: juliet=failed(503)
			attach tybalt
				asks tybalt login
			attach nurse
		`)
		got := s.e.Hosts()["example.com"]
		if want := (Census{Fresh: 1, Stale: 1, Absent: 2}); got.Census != want || got.Calls != 1 || got.Waiting != 1 || got.Breaker.Open {
			t.Errorf("%+v", got)
		}
	})
}
