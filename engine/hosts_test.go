package engine

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

// hosts gives the stage's engine another set of hosts, and compares what happens then.
func (s *stage) hosts(hosts map[string]Host, want ...string) {
	s.t.Helper()
	for name, h := range hosts {
		h.Backend, h.Retry = BackendFunc(s.fetch), -1
		hosts[name] = h
	}
	s.e.SetHosts(hosts)
	s.step(step{do: "wait 0s", want: want})
}

func (s *stage) play(script string) {
	s.t.Helper()
	for _, st := range steps(script) {
		s.step(st)
	}
}

func onStage(t *testing.T, name string, h Host, f func(t *testing.T, s *stage)) {
	t.Run(name, func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s := newStage(t, scenario{host: h, keeper: &memory{}})
			defer s.end()
			f(t, s)
		})
	})
}

func TestSetHosts(t *testing.T) {
	const two = `
			attach romeo
				asks romeo login
			answer romeo: juliet
				tells romeo first {juliet}
			attach romeo@other.example
				asks romeo@other.example login
			answer romeo@other.example:
				tells romeo@other.example first {}
		`
	first := Host{Generation: "1", Timeout: time.Minute, QueueTimeout: time.Minute}
	second := first
	second.Generation = "2"

	onStage(t, "the same backend: nobody is fetched", first, func(t *testing.T, s *stage) {
		s.play(two)
		s.hosts(map[string]Host{"example.com": first, "other.example": first})
	})
	onStage(t, "another backend: those online are fetched anew, a few at a time", first, func(t *testing.T, s *stage) {
		s.play(two + `
			attach juliet
				asks juliet login
			answer juliet:
				tells juliet first {}
			release juliet
		`)
		second.Parallel = 1
		s.hosts(map[string]Host{"example.com": second, "other.example": first}, "asks romeo reload")
		s.play(`
			answer romeo: nurse
				tells romeo {juliet} → {nurse} +nurse -juliet
			attach nurse
				asks nurse login
			attach tybalt
			answer nurse:
				tells nurse first {}
				asks tybalt login
		`)
	})
	onStage(t, "another backend that fails empties nobody's list", first, func(t *testing.T, s *stage) {
		s.play(two)
		s.hosts(map[string]Host{"example.com": second, "other.example": first}, "asks romeo reload")
		s.play(`
			fail romeo: 503
				logs romeo WARN roster fetch failed: reason=reload error=503 took=0s served=the last good roster, of 2000-01-01T00:00:00Z
		`)
	})
	onStage(t, "another backend has a clean record", Host{Generation: "1", Breaker: 1, Timeout: time.Minute}, func(t *testing.T, s *stage) {
		s.play(`
			attach romeo
				asks romeo login
			fail romeo: 503
				logs - WARN the backend is not asked for a while: too many failures in a row: host=example.com failures=1 error=503 until=soon
				logs romeo WARN roster fetch failed: reason=login error=503 took=0s served=nothing: there is no last good roster
				tells romeo first error 503
		`)
		s.hosts(map[string]Host{"example.com": {Generation: "2", Breaker: 1}}, "asks romeo reload")
		s.play(`
			answer romeo: juliet
				tells romeo first {juliet} +juliet
		`)
	})
	onStage(t, "more parallel calls let in who waits", Host{Generation: "1", Parallel: 1, Timeout: time.Minute}, func(t *testing.T, s *stage) {
		s.play(`
			attach romeo
				asks romeo login
			attach juliet
			attach tybalt
		`)
		s.hosts(map[string]Host{"example.com": {Generation: "1", Parallel: 3}}, "asks juliet login", "asks tybalt login")
	})
	onStage(t, "fewer let in the next only when enough have left", Host{Generation: "1", Parallel: 2, Timeout: time.Minute}, func(t *testing.T, s *stage) {
		s.play(`
			attach romeo
				asks romeo login
			attach juliet
				asks juliet login
			attach tybalt
		`)
		s.hosts(map[string]Host{"example.com": {Generation: "1", Parallel: 1}})
		s.play(`
			answer romeo:
				tells romeo first {}
			answer juliet:
				tells juliet first {}
				asks tybalt login
		`)
	})
	onStage(t, "a new host is served, a removed one no longer", first, func(t *testing.T, s *stage) {
		s.play(two + `
			attach tybalt
				asks tybalt login
		`)
		s.hosts(map[string]Host{"other.example": first, "third.example": first})
		s.play(`
			attach romeo@third.example
				asks romeo@third.example login
			answer romeo@third.example:
				tells romeo@third.example first {}
			attach juliet
				refuses juliet no roster provider for example.com
			load romeo
			answer tybalt: romeo
			refresh romeo
				refreshed 0/1: romeo=failed(no roster provider)
			refresh juliet
				refreshed 1/0: juliet=offline
			release romeo
		`)
		s.hosts(map[string]Host{"example.com": first}, "asks tybalt reload")
		s.play(`
			attach romeo
				asks romeo login
			answer romeo: nurse
				tells romeo first {nurse}
		`)
	})
}

// A mistaken reload is soon mended: then there are still users of before, with clients that take their time to leave.
func TestHostComesBack(t *testing.T) {
	first := Host{Generation: "1", Timeout: time.Minute}
	onStage(t, "with users who have not left yet", first, func(t *testing.T, s *stage) {
		s.play(`
			attach romeo
				asks romeo login
			answer romeo: juliet
				tells romeo first {juliet}
			attach tybalt
				asks tybalt login
		`)
		s.hosts(map[string]Host{})
		s.play(`
			answer tybalt: romeo
			load tybalt
		`)
		s.hosts(map[string]Host{"example.com": first}, "asks romeo reload", "asks tybalt reload")
		s.play(`
			answer romeo: juliet nurse
				tells romeo {juliet} → {juliet nurse} +nurse
			answer tybalt: romeo
				tells tybalt first {romeo} +romeo
			attach romeo/2
			refresh romeo
				asks romeo refresh
			answer romeo: juliet
				tells romeo {juliet nurse} → {juliet} -nurse
				refreshed 1/0: romeo=updated(1)
		`)
	})
}

// generational is a Backend that says what it is.
type generational string

func (generational) Fetch(context.Context, Request) (Answer, error) {
	return Answer{}, errors.New("503")
}
func (g generational) Generation() string { return string(g) }

func TestSameBackend(t *testing.T) {
	f := BackendFunc(func(context.Context, Request) (Answer, error) { return Answer{}, nil })
	a, b := &world{}, &world{}
	for _, c := range []struct {
		name string
		a, b Host
		same bool
	}{
		{"one value", Host{Backend: a}, Host{Backend: a}, true},
		{"two values", Host{Backend: a}, Host{Backend: b}, false},
		{"functions cannot be compared", Host{Backend: f}, Host{Backend: f}, false},
		{"the host says", Host{Backend: f, Generation: "1"}, Host{Backend: f, Generation: "1"}, true},
		{"the host says otherwise", Host{Backend: a, Generation: "1"}, Host{Backend: a, Generation: "2"}, false},
		{"the backend says", Host{Backend: generational("1")}, Host{Backend: generational("1")}, true},
		{"the backend says otherwise", Host{Backend: generational("1")}, Host{Backend: generational("2")}, false},
	} {
		x, y := c.a.withDefaults(), c.b.withDefaults()
		if x.sameBackend(&y) != c.same {
			t.Errorf("%s: %v", c.name, !c.same)
		}
	}
}

// A kept roster of another backend is served only when this one fails.
func TestKeptOfAnotherBackend(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t, scenario{host: Host{Generation: "1"}, keeper: &memory{}})
		defer s.end()
		s.play(`
			attach romeo
				asks romeo login
			answer romeo max-age=60s: juliet
				tells romeo first {juliet}
			release romeo
		`)
		s.sc.host.Generation = "2"
		s.play(`
			restart
			attach romeo
				asks romeo login
			fail romeo: 503
				logs romeo WARN roster fetch failed: reason=login error=503 took=0s served=the last good roster, of 2000-01-01T00:00:00Z
				tells romeo first stale {juliet}
		`)
	})
}
