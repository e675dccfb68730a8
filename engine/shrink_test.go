package engine

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"rosterd/engine/addr"
)

func TestShrinkGuard(t *testing.T) {
	const online = `
			attach romeo
				asks romeo login
			answer romeo: a b c d
				tells romeo first {a b c d}
		`
	guard := Host{ShrinkGuard: 50}
	play(t, []scenario{
		{name: "more than the percentage is held", host: guard, script: online + `
			refresh romeo
				asks romeo refresh
			answer romeo: a
				logs romeo WARN roster held back: the answer removes too many contacts: reason=refresh removes=3 of=4 guard=50
				refreshed 0/1: romeo=held(held back: the answer removes 3 of 4 contacts)
			refresh romeo
				asks romeo refresh
			answer romeo: a
				refreshed 0/1: romeo=held(held back: the answer removes 3 of 4 contacts)
		`},
		{name: "just as much is not, whatever is added", host: guard, script: online + `
			refresh romeo
				asks romeo refresh
			answer romeo: a b x y z
				tells romeo {a b c d} → {a b x y z} +x +y +z -c -d
				refreshed 1/0: romeo=updated(5)
		`},
		{name: "what is added makes up for nothing", host: guard, script: online + `
			refresh romeo
				asks romeo refresh
			answer romeo: a w x y z
				logs romeo WARN roster held back: the answer removes too many contacts: reason=refresh removes=3 of=4 guard=50
				refreshed 0/1: romeo=held(held back: the answer removes 3 of 4 contacts)
		`},
		{name: "off unless it is set", script: online + `
			refresh romeo
				asks romeo refresh
			answer romeo:
				tells romeo {a b c d} → {} -a -b -c -d
				refreshed 1/0: romeo=updated(4)
		`},
		{name: "100 percent is off as well", host: Host{ShrinkGuard: 100}, script: online + `
			refresh romeo
				asks romeo refresh
			answer romeo:
				tells romeo {a b c d} → {} -a -b -c -d
				refreshed 1/0: romeo=updated(4)
		`},
		{name: "not of few contacts", host: Host{ShrinkGuard: 10}, script: `
			attach romeo
				asks romeo login
			answer romeo: a b c
				tells romeo first {a b c}
			refresh romeo
				asks romeo refresh
			answer romeo:
				tells romeo {a b c} → {} -a -b -c
				refreshed 1/0: romeo=updated(3)
		`},
		{name: "a user whom the backend no longer knows", host: Host{ShrinkGuard: 50, MissingEmpty: true}, script: online + `
			refresh romeo
				asks romeo refresh
			unknown romeo: 404
				logs romeo INFO the backend does not know the user: empty roster: reason=refresh cause=the backend does not know this user: 404
				logs romeo WARN roster held back: the answer removes too many contacts: reason=refresh removes=4 of=4 guard=50
				refreshed 0/1: romeo=held(held back: the answer removes 4 of 4 contacts)
		`},
		{name: "an answer that removes less is applied and drops what was held", host: guard, script: online + `
			refresh romeo
				asks romeo refresh
			answer romeo: a
				logs romeo WARN roster held back: the answer removes too many contacts: reason=refresh removes=3 of=4 guard=50
				refreshed 0/1: romeo=held(held back: the answer removes 3 of 4 contacts)
			refresh romeo
				asks romeo refresh
			answer romeo: a b c
				tells romeo {a b c d} → {a b c} -d
				refreshed 1/0: romeo=updated(1)
			wait 2h
			let romeo
				lets romeo (0)  no answer is held back for romeo@example.com
		`},
		{name: "so is one that says that nothing changed", host: guard, script: `
			attach romeo
				asks romeo login
			answer romeo rev=1: a b c d
				tells romeo first {a b c d}
			refresh romeo
				asks romeo refresh rev=1
			answer romeo rev=2: a
				logs romeo WARN roster held back: the answer removes too many contacts: reason=refresh removes=3 of=4 guard=50
				refreshed 0/1: romeo=held(held back: the answer removes 3 of 4 contacts)
			refresh romeo
				asks romeo refresh rev=1
			answer romeo rev=1 unchanged:
				refreshed 1/0: romeo=unchanged
			let romeo
				lets romeo (0)  no answer is held back for romeo@example.com
		`},
		{name: "a second identical answer after an hour comes through", host: guard, script: online + `
			refresh romeo
				asks romeo refresh
			answer romeo: a
				logs romeo WARN roster held back: the answer removes too many contacts: reason=refresh removes=3 of=4 guard=50
				refreshed 0/1: romeo=held(held back: the answer removes 3 of 4 contacts)
			wait 59m
			refresh romeo
				asks romeo refresh
			answer romeo: a
				refreshed 0/1: romeo=held(held back: the answer removes 3 of 4 contacts)
			wait 1m
			refresh romeo
				asks romeo refresh
			answer romeo: a
				tells romeo {a b c d} → {a} -b -c -d
				refreshed 1/0: romeo=updated(3)
		`},
		{name: "it is asked for without anybody's doing", host: Host{ShrinkGuard: 50, Timeout: 24 * time.Hour, Retry: 1}, script: online + `
			refresh romeo
				asks romeo refresh
			answer romeo: a
				logs romeo WARN roster held back: the answer removes too many contacts: reason=refresh removes=3 of=4 guard=50
				refreshed 0/1: romeo=held(held back: the answer removes 3 of 4 contacts)
			wait 59m
			wait 7m
				asks romeo retry
			answer romeo: a
				tells romeo {a b c d} → {a} -b -c -d
		`},
		{name: "another one begins its hour anew", host: guard, script: online + `
			refresh romeo
				asks romeo refresh
			answer romeo: a
				logs romeo WARN roster held back: the answer removes too many contacts: reason=refresh removes=3 of=4 guard=50
				refreshed 0/1: romeo=held(held back: the answer removes 3 of 4 contacts)
			wait 61m
			refresh romeo
				asks romeo refresh
			answer romeo: b
				logs romeo WARN roster held back: the answer removes too many contacts: reason=refresh removes=3 of=4 guard=50
				refreshed 0/1: romeo=held(held back: the answer removes 3 of 4 contacts)
			wait 59m
			refresh romeo
				asks romeo refresh
			answer romeo: b
				refreshed 0/1: romeo=held(held back: the answer removes 3 of 4 contacts)
		`},
		{name: "held at a login, and the last good one is served", host: guard, keeper: &memory{}, script: online + `
			restart
			attach romeo
				asks romeo login
			answer romeo:
				logs romeo WARN roster held back: the answer removes too many contacts: reason=login removes=4 of=4 guard=50
				tells romeo first stale {a b c d}
			load romeo
				asks romeo login
			answer romeo: a b c
				tells romeo {a b c d} → {a b c} -d
		`},
		{name: "what is held outlives logout and restart, with its time", host: guard, keeper: &memory{}, script: online + `
			refresh romeo
				asks romeo refresh
			answer romeo: a
				logs romeo WARN roster held back: the answer removes too many contacts: reason=refresh removes=3 of=4 guard=50
				refreshed 0/1: romeo=held(held back: the answer removes 3 of 4 contacts)
			release romeo
			wait 30m
			attach romeo
				asks romeo login
			answer romeo: a
				tells romeo first stale {a b c d}
			restart
			wait 30m
			attach romeo
				asks romeo login
			answer romeo: a
				tells romeo first {a}
		`},
		{name: "a kept roster is not fresh while an answer is held", host: guard, keeper: &memory{}, script: `
			attach romeo
				asks romeo login
			answer romeo max-age=2h: a b c d
				tells romeo first {a b c d}
			refresh romeo
				asks romeo refresh
			answer romeo max-age=2h: a
				logs romeo WARN roster held back: the answer removes too many contacts: reason=refresh removes=3 of=4 guard=50
				refreshed 0/1: romeo=held(held back: the answer removes 3 of 4 contacts)
			release romeo
			attach romeo
				asks romeo login
			answer romeo max-age=2h: a b
				tells romeo first {a b}
			release romeo
			attach romeo
				tells romeo first {a b}
		`},
		{name: "an answer that is held is no error that the last good one could be too old for", host: guard, keeper: &memory{}, script: `
			attach romeo
				asks romeo login
			answer romeo stale-if-error=60s: a b c d
				tells romeo first {a b c d}
			release romeo
			wait 1h
			attach romeo
				asks romeo login
			answer romeo stale-if-error=60s: a
				logs romeo WARN roster held back: the answer removes too many contacts: reason=login removes=3 of=4 guard=50
				tells romeo first stale {a b c d}
		`},
	})
}

func TestReleaseHeld(t *testing.T) {
	const held = `
			attach romeo
				asks romeo login
			answer romeo: a b c d
				tells romeo first {a b c d}
			refresh romeo
				asks romeo refresh
			answer romeo: a
				logs romeo WARN roster held back: the answer removes too many contacts: reason=refresh removes=3 of=4 guard=50
				refreshed 0/1: romeo=held(held back: the answer removes 3 of 4 contacts)
		`
	guard := Host{ShrinkGuard: 50}
	play(t, []scenario{
		{name: "of who is online", host: guard, script: held + `
			let romeo
				asks romeo refresh
			answer romeo: a
				tells romeo {a b c d} → {a} -b -c -d
				lets romeo updated(3)  <nil>
			let romeo
				lets romeo (0)  no answer is held back for romeo@example.com
		`},
		{name: "of who is offline, after a restart", host: guard, keeper: &memory{}, script: held + `
			restart
			let romeo
				asks romeo refresh
			answer romeo: a
				tells romeo first {a} +a
				lets romeo updated(1)  <nil>
			attach romeo
				asks romeo login
			fail romeo: 503
				logs romeo WARN roster fetch failed: reason=login error=503 took=0s served=the last good roster, of 2000-01-01T00:00:00Z
				tells romeo first stale {a}
		`},
		{name: "another answer is judged anew", host: guard, script: held + `
			let romeo
				asks romeo refresh
			answer romeo: b
				logs romeo WARN roster held back: the answer removes too many contacts: reason=refresh removes=3 of=4 guard=50
				lets romeo held(0) held back: the answer removes 3 of 4 contacts <nil>
		`},
		{name: "a release is for one fetch", host: guard, script: held + `
			let romeo
				asks romeo refresh
			fail romeo: 503
				logs romeo WARN roster fetch failed: reason=refresh error=503 took=0s served=the last good roster, of 2000-01-01T00:00:00Z
				lets romeo failed(0) 503 <nil>
			refresh romeo
				asks romeo refresh
			answer romeo: a
				refreshed 0/1: romeo=held(held back: the answer removes 3 of 4 contacts)
		`},
		{name: "of nobody", keeper: &memory{}, script: `
			let romeo
				lets romeo (0)  no answer is held back for romeo@example.com
			let romeo@elsewhere.example
				lets romeo@elsewhere.example (0)  no roster provider for elsewhere.example
		`},
	})
}

// Since when an answer is held is on disk by the clock of the wall, which somebody may have put right since.
func TestHeldByAClockThatWasFast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t, scenario{host: Host{ShrinkGuard: 50, Retry: time.Hour, Timeout: 24 * time.Hour}, keeper: &memory{}})
		defer s.end()
		romeo := addr.MustBare("romeo@example.com")
		s.play(`
			attach romeo
				asks romeo login
			answer romeo: a b c d
				tells romeo first {a b c d}
			refresh romeo
				asks romeo refresh
			answer romeo: a
				logs romeo WARN roster held back: the answer removes too many contacts: reason=refresh removes=3 of=4 guard=50
				refreshed 0/1: romeo=held(held back: the answer removes 3 of 4 contacts)
		`)
		const since = `"since":"2`
		if doc := s.sc.keeper.docs[romeo]; !strings.Contains(doc, since) {
			t.Fatalf("no time in %s", doc)
		}
		s.sc.keeper.docs[romeo] = strings.Replace(s.sc.keeper.docs[romeo], since+"000", since+"100", 1)
		s.play(`
			restart
			attach romeo
				asks romeo login
			answer romeo: a
				logs romeo WARN roster held back: the answer removes too many contacts: reason=login removes=3 of=4 guard=50
				tells romeo first stale {a b c d}
			wait 59m
			wait 7m
				asks romeo retry
			answer romeo: a
				tells romeo {a b c d} → {a} -b -c -d
		`)
	})
}
