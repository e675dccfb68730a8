package engine

import (
	"errors"
	"testing"
)

func TestRefreshEach(t *testing.T) {
	play(t, []scenario{
		{name: "each name lands when it is done", script: `
			attach romeo
				asks romeo login
			attach juliet
				asks juliet login
			answer romeo:
				tells romeo first {}
			answer juliet:
				tells juliet first {}
			each romeo nobody x<y juliet ROMEO "" nobody
				asks romeo refresh
				asks juliet refresh
				lands nobody 1 offline
				lands nobody 6 offline
				lands x<y 2 invalid
				lands "" 5 invalid
			answer juliet: nurse
				tells juliet {} → {nurse} +nurse
				lands juliet 3 updated(1)
			fail romeo: 500
				logs romeo WARN roster fetch failed: reason=refresh error=500 took=0s served=the last good roster, of 2000-01-01T00:00:00Z
				lands romeo 0 failed(500)
				lands ROMEO 4 failed(500)
				refreshed 3/4: romeo=failed(500) nobody=offline x<y=invalid juliet=updated(1) ROMEO=failed(500) ""=invalid nobody=offline
		`},
		{name: "not before the watcher has returned", script: `
			attach romeo
				asks romeo login
			answer romeo:
				tells romeo first {}
			hold romeo
			each romeo
				asks romeo refresh
			answer romeo: juliet
				tells romeo {} → {juliet} +juliet
			go romeo
				lands romeo 0 updated(1)
				refreshed 1/0: romeo=updated(1)
		`},
		{name: "who leaves meanwhile, and the other side, which nobody has named", script: `
			attach romeo
				asks romeo login
			attach tybalt
				asks tybalt login
			attach juliet
				asks juliet login
			answer romeo:
				tells romeo first {}
			answer tybalt:
				tells tybalt first {}
			answer juliet:
				tells juliet first {}
			each romeo tybalt
				asks romeo refresh
				asks tybalt refresh
			release tybalt
				lands tybalt 1 offline
			answer romeo: juliet
				tells romeo {} → {juliet} +juliet
				lands romeo 0 updated(1)
				asks juliet other-side
			answer juliet: romeo
				tells juliet {} → {romeo} +romeo
				refreshed 2/0: romeo=updated(1) tybalt=offline
		`},
		{name: "what was pending lands all the same", script: `
			attach romeo
				asks romeo login
			answer romeo:
				tells romeo first {}
			each@1s romeo
				asks romeo refresh
			wait 2s
				refreshed 0/1: romeo=pending
			answer romeo: juliet
				tells romeo {} → {juliet} +juliet
				lands romeo 0 updated(1)
		`},
		{name: "kept rosters that cannot be marked", keeper: &memory{spoil: errors.New("disk full")}, script: `
			each nobody
				logs - ERROR kept rosters cannot be marked as stale: users who are offline may be served old ones until those are no longer fresh: users=1 error=disk full
				lands nobody 0 failed(marking kept rosters as stale: disk full)
				refreshed 0/1: nobody=failed(marking kept rosters as stale: disk full)
		`},
		{name: "the engine is closed", script: `
			attach romeo
				asks romeo login
			answer romeo:
				tells romeo first {}
			close
				closed <nil>
			each romeo
				lands romeo 0 failed(the engine is closed)
				refreshed 0/1: romeo=failed(the engine is closed)
		`},
	})
}
