package engine

import "testing"

func TestLogin(t *testing.T) {
	play(t, []scenario{
		{name: "the fetch starts at Attach and nobody is told before it ends", script: `
			attach romeo
				asks romeo login
			wait 4s
			answer romeo: juliet nurse:to
				tells romeo first {juliet nurse:to}
		`},
		{name: "one fetch for all that come meanwhile", script: `
			attach romeo
				asks romeo login
			attach romeo/2
			load romeo
			load romeo/2
			answer romeo: juliet
				tells romeo first {juliet}
			attach romeo/3
			load romeo
		`},
		{name: "users are fetched beside each other", script: `
			attach romeo
				asks romeo login
			attach juliet
				asks juliet login
			answer juliet: romeo
				tells juliet first {romeo}
			answer romeo: juliet
				tells romeo first {juliet}
		`},
		{name: "hosts have rosters of their own", script: `
			attach romeo
				asks romeo login
			attach romeo@other.example
				asks romeo@other.example login
			answer romeo: juliet
				tells romeo first {juliet}
			answer romeo@other.example:
				tells romeo@other.example first {}
			attach romeo@elsewhere.example
				refuses romeo@elsewhere.example no roster provider for elsewhere.example
		`},
		{name: "kept while anybody is there, fetched anew afterwards", script: `
			attach romeo
				asks romeo login
			answer romeo: juliet
				tells romeo first {juliet}
			attach romeo/2
			release romeo
			attach romeo/3
			release romeo/2
			release romeo/3
			attach romeo
				asks romeo login
			answer romeo: nurse
				tells romeo first {nurse}
		`},
		{name: "releasing twice is releasing once", script: `
			attach romeo
				asks romeo login
			answer romeo: juliet
				tells romeo first {juliet}
			attach romeo/2
			release romeo/2
			release romeo/2
			attach romeo/3
		`},
		{name: "asked again after a failure", script: `
			attach romeo
				asks romeo login
			fail romeo: 503
				logs romeo WARN roster fetch failed: reason=login error=503 took=0s served=nothing: there is no last good roster
				tells romeo first error 503
			load romeo
				asks romeo login
			fail romeo: 502
				logs romeo WARN roster fetch failed: reason=login error=502 took=0s served=nothing: there is no last good roster
				tells romeo first error 502
			attach romeo/2
				asks romeo login
			answer romeo: juliet
				tells romeo first {juliet}
		`},
		{name: "asked while the failure is being told", script: `
			attach romeo
				asks romeo login
			hold romeo
			fail romeo: 503
				logs romeo WARN roster fetch failed: reason=login error=503 took=0s served=nothing: there is no last good roster
				tells romeo first error 503
			load romeo
			load romeo
			go romeo
				asks romeo login
			answer romeo: juliet
				tells romeo first {juliet}
		`},
		{name: "asked while the roster is being told", script: `
			attach romeo
				asks romeo login
			hold romeo
			answer romeo: juliet
				tells romeo first {juliet}
			load romeo
			attach romeo/2
			go romeo
		`},
		{name: "the first roster is empty", script: `
			attach romeo
				asks romeo login
			answer romeo:
				tells romeo first {}
			attach romeo/2
		`},
		{name: "contacts left out are named", script: `
			attach romeo
				asks romeo login
			answer romeo dropped=1 dropped=2 dropped=3 dropped=4 dropped=5 dropped=6 dropped=7: juliet
				logs romeo WARN contact left out: jid=1 reason=not a valid JID
				logs romeo WARN contact left out: jid=2 reason=not a valid JID
				logs romeo WARN contact left out: jid=3 reason=not a valid JID
				logs romeo WARN contact left out: jid=4 reason=not a valid JID
				logs romeo WARN contact left out: jid=5 reason=not a valid JID
				logs romeo WARN more contacts left out: more=2
				tells romeo first {juliet}
		`},
	})
}

// TestLives: a user who leaves and comes back while a fetch runs.
func TestLives(t *testing.T) {
	play(t, []scenario{
		{name: "who has left is told nothing", script: `
			attach romeo
				asks romeo login
			release romeo
			answer romeo: juliet
		`},
		{name: "nothing is logged of a fetch that fails after its user has left", script: `
			attach romeo
				asks romeo login
			release romeo
			fail romeo: 503
		`},
		{name: "a released resource can ask for nothing", script: `
			attach romeo
				asks romeo login
			answer romeo: juliet
				tells romeo first {juliet}
			release romeo
			load romeo
		`},
		{name: "who comes back has a fetch of his own at once", script: `
			attach romeo
				asks romeo login
			release romeo
			attach romeo
				asks romeo login
			late romeo: nurse
				tells romeo first {nurse}
			answer romeo: juliet
		`},
		{name: "the old answer comes first", script: `
			attach romeo
				asks romeo login
			release romeo
			attach romeo
				asks romeo login
			answer romeo: juliet
			answer romeo: nurse
				tells romeo first {nurse}
		`},
		{name: "an event that is being told ends before the next life begins", script: `
			attach romeo
				asks romeo login
			hold romeo
			answer romeo: juliet
				tells romeo first {juliet}
			release romeo
			attach romeo
			release romeo
			attach romeo
			go romeo
				asks romeo login
			answer romeo: nurse
				tells romeo first {nurse}
		`},
		{name: "an answer for an old life is not kept after that for a new one", keeper: &memory{}, script: `
			attach romeo
				asks romeo login
			release romeo
			attach romeo
				asks romeo login
			late romeo rev=2: nurse
				tells romeo first {nurse}
			answer romeo rev=1: juliet
			restart
			attach romeo
				asks romeo login rev=2
			fail romeo: 503
				logs romeo WARN roster fetch failed: reason=login error=503 took=0s served=the last good roster, of 2000-01-01T00:00:00Z
				tells romeo first stale {nurse}
		`},
		{name: "a refresh is answered when its user leaves", script: `
			attach romeo
				asks romeo login
			answer romeo: juliet
				tells romeo first {juliet}
			refresh romeo
				asks romeo refresh
			refresh romeo
			release romeo
				refreshed 1/0: romeo=offline
				refreshed 1/0: romeo=offline
			answer romeo: juliet nurse
		`},
		{name: "who leaves also leaves the queue", host: Host{Parallel: 1}, script: `
			attach romeo
				asks romeo login
			attach juliet
			release juliet
			attach tybalt
			answer romeo:
				tells romeo first {}
				asks tybalt login
			answer tybalt:
				tells tybalt first {}
		`},
	})
}
