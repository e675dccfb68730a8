package engine

import (
	"errors"
	"testing"
	"testing/synctest"

	"rosterd/engine/addr"
)

var errDisk = errors.New("the disk is full")

func docs(user, doc string) map[addr.Bare]string { return map[addr.Bare]string{jid(user): doc} }

func TestLastGood(t *testing.T) {
	play(t, []scenario{
		{name: "kept when a refresh fails", script: `
			attach romeo
				asks romeo login
			answer romeo: juliet
				tells romeo first {juliet}
			refresh romeo
				asks romeo refresh
			fail romeo: 503
				logs romeo WARN roster fetch failed: reason=refresh error=503 took=0s served=the last good roster, of 2000-01-01T00:00:00Z
				refreshed 0/1: romeo=failed(503)
		`},
		{name: "a failed refresh is made up for by the next login", script: `
			attach romeo
				asks romeo login
			answer romeo: juliet
				tells romeo first {juliet}
			refresh romeo
				asks romeo refresh
			fail romeo: 503
				logs romeo WARN roster fetch failed: reason=refresh error=503 took=0s served=the last good roster, of 2000-01-01T00:00:00Z
				refreshed 0/1: romeo=failed(503)
			attach romeo/2
				asks romeo login
			answer romeo: juliet nurse
				tells romeo {juliet} → {juliet nurse} +nurse
			load romeo
		`},
		{name: "what the next login finds is told to the other side", script: `
			attach juliet
				asks juliet login
			answer juliet:
				tells juliet first {}
			attach romeo
				asks romeo login
			answer romeo:
				tells romeo first {}
			refresh romeo
				asks romeo refresh
			fail romeo: 503
				logs romeo WARN roster fetch failed: reason=refresh error=503 took=0s served=the last good roster, of 2000-01-01T00:00:00Z
				refreshed 0/1: romeo=failed(503)
			load romeo
				asks romeo login
			answer romeo: juliet
				tells romeo {} → {juliet} +juliet
				asks juliet other-side
			answer juliet: romeo
				tells juliet {} → {romeo} +romeo
		`},
		{name: "served from the keeper by a restarted engine", keeper: &memory{}, script: `
			attach romeo
				asks romeo login
			answer romeo: juliet nurse:to=Angelica
				tells romeo first {juliet nurse:to=Angelica}
			restart
			attach romeo
				asks romeo login
			wait 1s
			fail romeo: connection refused
				logs romeo WARN roster fetch failed: reason=login error=connection refused took=1s served=the last good roster, of 2000-01-01T00:00:00Z
				tells romeo first stale {juliet nurse:to=Angelica}
			load romeo
				asks romeo login
			fail romeo: connection refused
				logs romeo WARN roster fetch failed: reason=login error=connection refused took=0s served=the last good roster, of 2000-01-01T00:00:00Z
			load romeo
				asks romeo login
			answer romeo: juliet nurse:to=Angelica
			load romeo
		`},
		{name: "from the last good one to the next", keeper: &memory{}, script: `
			attach romeo
				asks romeo login
			answer romeo: juliet
				tells romeo first {juliet}
			release romeo
			attach romeo
				asks romeo login
			fail romeo: 503
				logs romeo WARN roster fetch failed: reason=login error=503 took=0s served=the last good roster, of 2000-01-01T00:00:00Z
				tells romeo first stale {juliet}
			refresh romeo
				asks romeo refresh
			answer romeo: nurse
				tells romeo {juliet} → {nurse} +nurse -juliet
				refreshed 1/0: romeo=updated(2)
		`},
		{name: "nobody is shown a kept roster before the backend has failed", keeper: &memory{}, script: `
			attach romeo
				asks romeo login
			answer romeo: juliet
				tells romeo first {juliet}
			restart
			attach romeo
				asks romeo login
			answer romeo: nurse
				tells romeo first {nurse}
		`},
		{name: "without a keeper it lives as long as the user", script: `
			attach romeo
				asks romeo login
			answer romeo: juliet
				tells romeo first {juliet}
			release romeo
			attach romeo
				asks romeo login
			fail romeo: 503
				logs romeo WARN roster fetch failed: reason=login error=503 took=0s served=nothing: there is no last good roster
				tells romeo first error 503
		`},
		{name: "the kept copy follows each refresh", keeper: &memory{}, script: `
			attach romeo
				asks romeo login
			answer romeo rev=1: juliet
				tells romeo first {juliet}
			refresh romeo
				asks romeo refresh rev=1
			wait 3s
			answer romeo rev=2: nurse
				tells romeo {juliet} → {nurse} +nurse -juliet
				refreshed 1/0: romeo=updated(2)
			restart
			attach romeo
				asks romeo login rev=2
			fail romeo: 503
				logs romeo WARN roster fetch failed: reason=login error=503 took=0s served=the last good roster, of 2000-01-01T00:00:03Z
				tells romeo first stale {nurse}
		`},
		{name: "a kept copy that cannot be read is passed over", keeper: &memory{docs: docs("romeo", `{"fetched":"2000-01-01T00:00:00Z","items":[1]}`)}, script: `
			attach romeo
				logs romeo ERROR the last good roster cannot be read; it is passed over: error=not a roster: a JSON array where an object of contacts was expected
				asks romeo login
			answer romeo: juliet
				tells romeo first {juliet}
		`},
		{name: "a keeper that fails", keeper: &memory{load: errDisk, save: errDisk}, script: `
			attach romeo
				logs romeo ERROR reading the last good roster: error=the disk is full
				asks romeo login
			answer romeo: juliet
				tells romeo first {juliet}
				logs romeo ERROR keeping the last good roster: error=the disk is full
		`},
	})
}

// TestKeeping: a document is written when what it says has changed, or its date is old.
func TestKeeping(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t, scenario{keeper: &memory{}})
		defer s.end()
		for _, c := range []struct {
			do    []string
			saves int
		}{
			{[]string{"attach romeo", "unknown romeo:"}, 1},
			{[]string{"refresh romeo", "unknown romeo:"}, 1},
			{[]string{"refresh romeo", "answer romeo: juliet"}, 2},
			{[]string{"refresh romeo", "answer romeo: juliet"}, 2},
			{[]string{"refresh romeo", "answer romeo rev=1: juliet"}, 3},
			{[]string{"refresh romeo", "answer romeo rev=1 unchanged:"}, 3},
			{[]string{"refresh romeo", "answer romeo unchanged:"}, 3},
			{[]string{"refresh romeo", "answer romeo rev=2 unchanged:"}, 4},
			{[]string{"refresh romeo", "fail romeo: 503"}, 4},
			{[]string{"release romeo", "attach romeo", "answer romeo rev=2 unchanged:"}, 4},
			{[]string{"release romeo", "attach romeo", "answer romeo rev=2: juliet"}, 4},
			{[]string{"release romeo", "wait 2h", "attach romeo", "answer romeo rev=2: juliet"}, 5},
		} {
			for _, line := range c.do {
				s.do(line)
				synctest.Wait()
			}
			if n := s.sc.keeper.saves; n != c.saves {
				t.Errorf("%q: %d documents written, want %d", c.do, n, c.saves)
			}
		}
	})
}

func TestUnknownUser(t *testing.T) {
	play(t, []scenario{
		{name: "never seen: an empty roster", script: `
			attach romeo
				asks romeo login
			unknown romeo: 404
				logs romeo INFO the backend does not know the user: empty roster: reason=login cause=the backend does not know this user: 404
				tells romeo first {}
			attach romeo/2
		`},
		{name: "never seen, and still not", keeper: &memory{}, script: `
			attach romeo
				asks romeo login
			unknown romeo: 404
				logs romeo INFO the backend does not know the user: empty roster: reason=login cause=the backend does not know this user: 404
				tells romeo first {}
			refresh romeo
				asks romeo refresh
			unknown romeo: 404
				logs romeo INFO the backend does not know the user: empty roster: reason=refresh cause=the backend does not know this user: 404
				refreshed 1/0: romeo=unchanged
			restart
			attach romeo
				asks romeo login
			unknown romeo: 404
				logs romeo INFO the backend does not know the user: empty roster: reason=login cause=the backend does not know this user: 404
				tells romeo first {}
		`},
		{name: "known: the last good one stays", script: `
			attach romeo
				asks romeo login
			answer romeo: juliet
				tells romeo first {juliet}
			refresh romeo
				asks romeo refresh
			unknown romeo: 404
				logs romeo WARN roster fetch failed: reason=refresh error=the backend does not know this user: 404 took=0s served=the last good roster, of 2000-01-01T00:00:00Z
				refreshed 0/1: romeo=failed(the backend does not know this user: 404)
		`},
		{name: "known to the keeper", keeper: &memory{}, script: `
			attach romeo
				asks romeo login
			answer romeo: juliet
				tells romeo first {juliet}
			restart
			attach romeo
				asks romeo login
			unknown romeo: 404
				logs romeo WARN roster fetch failed: reason=login error=the backend does not know this user: 404 took=0s served=the last good roster, of 2000-01-01T00:00:00Z
				tells romeo first stale {juliet}
		`},
		{name: "known, and the host says empty", host: Host{MissingEmpty: true}, keeper: &memory{}, script: `
			attach romeo
				asks romeo login
			answer romeo rev=1: juliet
				tells romeo first {juliet}
			refresh romeo
				asks romeo refresh rev=1
			unknown romeo: 404
				logs romeo INFO the backend does not know the user: empty roster: reason=refresh cause=the backend does not know this user: 404
				tells romeo {juliet} → {} -juliet
				refreshed 1/0: romeo=updated(1)
			restart
			attach romeo
				asks romeo login
			fail romeo: 503
				logs romeo WARN roster fetch failed: reason=login error=503 took=0s served=the last good roster, of 2000-01-01T00:00:00Z
				tells romeo first stale {}
		`},
	})
}

func TestRevisions(t *testing.T) {
	play(t, []scenario{
		{name: "unchanged", script: `
			attach romeo
				asks romeo login
			answer romeo rev=1: juliet
				tells romeo first {juliet}
			refresh romeo
				asks romeo refresh rev=1
			answer romeo rev=1 unchanged:
				refreshed 1/0: romeo=unchanged
			refresh romeo
				asks romeo refresh rev=1
			answer romeo rev=2 unchanged:
				refreshed 1/0: romeo=unchanged
			refresh romeo
				asks romeo refresh rev=2
			answer romeo rev=3: juliet nurse
				tells romeo {juliet} → {juliet nurse} +nurse
				refreshed 1/0: romeo=updated(1)
		`},
		{name: "unchanged without naming the revision again", script: `
			attach romeo
				asks romeo login
			answer romeo rev=1: juliet
				tells romeo first {juliet}
			refresh romeo
				asks romeo refresh rev=1
			answer romeo unchanged:
				refreshed 1/0: romeo=unchanged
			refresh romeo
				asks romeo refresh rev=1
			answer romeo unchanged:
				refreshed 1/0: romeo=unchanged
		`},
		{name: "unchanged since the kept copy", keeper: &memory{}, script: `
			attach romeo
				asks romeo login
			answer romeo rev=1: juliet
				tells romeo first {juliet}
			restart
			attach romeo
				asks romeo login rev=1
			answer romeo rev=1 unchanged:
				tells romeo first {juliet}
		`},
		{name: "a full answer without a revision forgets the old one", script: `
			attach romeo
				asks romeo login
			answer romeo rev=1: juliet
				tells romeo first {juliet}
			refresh romeo
				asks romeo refresh rev=1
			answer romeo: nurse
				tells romeo {juliet} → {nurse} +nurse -juliet
				refreshed 1/0: romeo=updated(2)
			refresh romeo
				asks romeo refresh
			answer romeo: nurse
				refreshed 1/0: romeo=unchanged
		`},
		{name: "unchanged where nothing was held is a fault", script: `
			attach romeo
				asks romeo login
			answer romeo unchanged:
				logs romeo WARN roster fetch failed: reason=login error=plugin fault (protocol): answered that nothing changed, but was given no revision took=0s served=nothing: there is no last good roster
				tells romeo first error plugin fault (protocol): answered that nothing changed, but was given no revision
		`},
	})
}
