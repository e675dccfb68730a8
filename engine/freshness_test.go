package engine

import (
	"testing"
	"time"

	"rosterd/engine/addr"
)

func TestFreshness(t *testing.T) {
	const kept = `
			attach romeo
				asks romeo login
			answer romeo rev=1 max-age=60s: juliet
				tells romeo first {juliet}
			release romeo
		`
	play(t, []scenario{
		{name: "a login within max-age needs no fetch", keeper: &memory{}, script: kept + `
			wait 59s
			attach romeo
				tells romeo first {juliet}
			attach romeo/2
			load romeo
		`},
		{name: "nor after a restart", keeper: &memory{}, script: kept + `
			restart
			wait 59s
			attach romeo
				tells romeo first {juliet}
		`},
		{name: "after max-age it does", keeper: &memory{}, script: kept + `
			wait 60s
			attach romeo
				asks romeo login rev=1
			answer romeo rev=1 unchanged max-age=60s:
				tells romeo first {juliet}
			release romeo
			wait 59s
			attach romeo
				tells romeo first {juliet}
		`},
		{name: "a refresh of who is online always fetches", keeper: &memory{}, script: kept + `
			attach romeo
				tells romeo first {juliet}
			refresh romeo
				asks romeo refresh rev=1
			answer romeo rev=2 max-age=60s: nurse
				tells romeo {juliet} → {nurse} +nurse -juliet
				refreshed 1/0: romeo=updated(2)
			release romeo
			attach romeo
				tells romeo first {nurse}
		`},
		{name: "after a refresh of who is offline the next login fetches", keeper: &memory{}, script: kept + `
			refresh romeo
				refreshed 1/0: romeo=offline
			attach romeo
				asks romeo login rev=1
			answer romeo rev=2 max-age=60s: nurse
				tells romeo first {nurse}
			release romeo
			attach romeo
				tells romeo first {nurse}
		`},
		{name: "also after a restart", keeper: &memory{}, script: kept + `
			refresh ROMEO "" x<y nobody
				refreshed 2/2: ROMEO=offline ""=invalid x<y=invalid nobody=offline
			restart
			attach romeo
				asks romeo login rev=1
			answer romeo rev=1 unchanged:
				tells romeo first {juliet}
		`},
		{name: "a refresh of others changes nothing", keeper: &memory{}, script: kept + `
			refresh juliet
				refreshed 1/0: juliet=offline
			attach romeo
				tells romeo first {juliet}
		`},
		{name: "a keeper that cannot mark is an error of those who are offline", keeper: &memory{spoil: errDisk}, script: kept + `
			attach juliet
				asks juliet login
			answer juliet:
				tells juliet first {}
			refresh romeo juliet
				asks juliet refresh
				logs - ERROR kept rosters cannot be marked as stale: users who are offline may be served old ones until those are no longer fresh: users=2 error=the disk is full
			answer juliet:
				refreshed 1/1: romeo=failed(marking kept rosters as stale: the disk is full) juliet=unchanged
		`},
		{name: "a keeper that does not know what is fresh", keeper: &memory{ask: errDisk}, script: kept + `
			attach romeo
				logs romeo ERROR asking whether a kept roster is fresh: error=the disk is full
				asks romeo login rev=1
			answer romeo rev=1 unchanged:
				tells romeo first {juliet}
		`},
		{name: "who leaves while he is refreshed has to be fetched", keeper: &memory{}, script: kept + `
			attach romeo
				tells romeo first {juliet}
			refresh romeo
				asks romeo refresh rev=1
			release romeo
				refreshed 1/0: romeo=offline
			attach romeo
				asks romeo login rev=1
			late romeo rev=2: nurse
				tells romeo first {nurse}
			answer romeo rev=1 unchanged:
		`},
		{name: "an answer that a refresh is behind already is not fresh", keeper: &memory{}, script: `
			attach romeo
				asks romeo login
			refresh romeo
			answer romeo rev=1 max-age=60s: juliet
				tells romeo first {juliet}
				asks romeo refresh rev=1
			release romeo
				refreshed 1/0: romeo=offline
			answer romeo rev=2 max-age=60s: nurse
			attach romeo
				asks romeo login rev=1
			answer romeo rev=2 max-age=60s: nurse
				tells romeo first {nurse}
		`},
		{name: "the backend may change its mind", keeper: &memory{}, script: kept + `
			wait 60s
			attach romeo
				asks romeo login rev=1
			answer romeo rev=1 unchanged:
				tells romeo first {juliet}
			release romeo
			attach romeo
				asks romeo login rev=1
			answer romeo rev=1 unchanged:
				tells romeo first {juliet}
		`},
		{name: "without a keeper every login fetches", script: kept + `
			attach romeo
				asks romeo login
			answer romeo: juliet
				tells romeo first {juliet}
		`},
		{name: "a document from before there was such a thing", keeper: &memory{docs: docs("romeo", `{"rev":"1","fetched":"2000-01-01T00:00:00Z","items":{"juliet@example.com":{"subscription":"both"}}}`)}, script: `
			attach romeo
				asks romeo login rev=1
			fail romeo: 503
				logs romeo WARN roster fetch failed: reason=login error=503 took=0s served=the last good roster, of 2000-01-01T00:00:00Z
				tells romeo first stale {juliet}
		`},
		{name: "a clock that was put back proves nothing", keeper: &memory{docs: docs("romeo", `{"rev":"1","fetched":"2001-01-01T00:00:00Z","fresh_until":"2001-01-02T00:00:00Z","items":{}}`), fresh: map[addr.Bare]time.Time{jid("romeo"): time.Date(2001, 1, 2, 0, 0, 0, 0, time.UTC)}}, script: `
			attach romeo
				asks romeo login rev=1
			answer romeo rev=1 unchanged:
				tells romeo first {}
		`},
		{name: "the pairs that a login found without a fetch follow with the first refresh", keeper: &memory{}, script: kept + `
			attach juliet
				asks juliet login
			answer juliet:
				tells juliet first {}
			attach romeo
				tells romeo first {juliet}
			refresh romeo
				asks romeo refresh rev=1
			answer romeo rev=1 unchanged:
				asks juliet other-side
			answer juliet: romeo
				tells juliet {} → {romeo} +romeo
				refreshed 1/0: romeo=unchanged
		`},
	})
}

func TestStaleIfError(t *testing.T) {
	const kept = `
			attach romeo
				asks romeo login
			answer romeo max-age=60s stale-if-error=60s: juliet
				tells romeo first {juliet}
			release romeo
			restart
		`
	play(t, []scenario{
		{name: "served within the time", keeper: &memory{}, script: kept + `
			wait 119s
			attach romeo
				asks romeo login
			fail romeo: 503
				logs romeo WARN roster fetch failed: reason=login error=503 took=0s served=the last good roster, of 2000-01-01T00:00:00Z
				tells romeo first stale {juliet}
			wait 1h
		`},
		{name: "not after it", keeper: &memory{}, script: kept + `
			wait 120s
			attach romeo
				asks romeo login
			fail romeo: 503
				logs romeo WARN roster fetch failed: reason=login error=503; the last good roster, of 2000-01-01T00:00:00Z, could be served until 2000-01-01T00:02:00Z (stale-if-error) took=0s served=nothing: the last good roster may no longer be served (stale-if-error)
				tells romeo first error 503; the last good roster, of 2000-01-01T00:00:00Z, could be served until 2000-01-01T00:02:00Z (stale-if-error)
			load romeo
				asks romeo login
			answer romeo: nurse
				tells romeo first {nurse}
		`},
		{name: "not even at once", keeper: &memory{}, script: `
			attach romeo
				asks romeo login
			answer romeo stale-if-error=0s: juliet
				tells romeo first {juliet}
			release romeo
			attach romeo
				asks romeo login
			unknown romeo: 404
				logs romeo WARN roster fetch failed: reason=login error=the backend does not know this user: 404; the last good roster, of 2000-01-01T00:00:00Z, could be served until 2000-01-01T00:00:00Z (stale-if-error) took=0s served=nothing: the last good roster may no longer be served (stale-if-error)
				tells romeo first error the backend does not know this user: 404; the last good roster, of 2000-01-01T00:00:00Z, could be served until 2000-01-01T00:00:00Z (stale-if-error)
		`},
		{name: "who is online keeps what he has", keeper: &memory{}, script: `
			attach romeo
				asks romeo login
			answer romeo stale-if-error=60s: juliet
				tells romeo first {juliet}
			wait 1h
			refresh romeo
				asks romeo refresh
			fail romeo: 503
				logs romeo WARN roster fetch failed: reason=refresh error=503 took=0s served=the last good roster, of 2000-01-01T00:00:00Z
				refreshed 0/1: romeo=failed(503)
			attach romeo/2
				asks romeo login
			fail romeo: 503
				logs romeo WARN roster fetch failed: reason=login error=503 took=0s served=the last good roster, of 2000-01-01T00:00:00Z
		`},
		{name: "without it the last good one has no limit", keeper: &memory{}, script: `
			attach romeo
				asks romeo login
			answer romeo max-age=60s: juliet
				tells romeo first {juliet}
			release romeo
			wait 8760h
			attach romeo
				asks romeo login
			fail romeo: 503
				logs romeo WARN roster fetch failed: reason=login error=503 took=0s served=the last good roster, of 2000-01-01T00:00:00Z
				tells romeo first stale {juliet}
		`},
	})
}

// TestFreshnessRaces: answers that were asked for before a refresh and come after it has marked the kept roster.
func TestFreshnessRaces(t *testing.T) {
	onStage(t, "the refresh comes before the answer", Host{}, func(t *testing.T, s *stage) {
		s.play(`
			attach romeo
				asks romeo login
			refresh romeo
			answer romeo rev=1 max-age=60s: juliet
				tells romeo first {juliet}
				asks romeo refresh rev=1
			release romeo
				refreshed 1/0: romeo=offline
			answer romeo rev=2 max-age=60s: nurse
			attach romeo
				asks romeo login rev=1
		`)
	})
	onStage(t, "the refresh comes while the answer is told, when the user has left", Host{}, func(t *testing.T, s *stage) {
		s.play(`
			attach romeo
				asks romeo login
			hold romeo
			answer romeo rev=1 max-age=60s: juliet
				tells romeo first {juliet}
			release romeo
			refresh romeo
				refreshed 1/0: romeo=offline
			go romeo
			attach romeo
				asks romeo login rev=1
		`)
	})
	onStage(t, "the refresh comes while the answer is kept", Host{}, func(t *testing.T, s *stage) {
		s.sc.keeper.saving = func() {
			s.sc.keeper.saving = nil
			s.e.Refresh(t.Context(), "example.com", []string{"tybalt", "nobody"}) // another user's is none of our business
			s.e.refreshes.of(jid("romeo")).Add(1)                                 // and then it marks what it does not find
		}
		s.play(`
			attach romeo
				asks romeo login
			answer romeo rev=1 max-age=60s: juliet
				tells romeo first {juliet}
			release romeo
			attach romeo
				asks romeo login rev=1
		`)
	})
	onStage(t, "who comes back finds what the refresh of his former life has brought", Host{}, func(t *testing.T, s *stage) {
		s.play(`
			attach romeo
				asks romeo login
			answer romeo rev=1 max-age=60s: juliet
				tells romeo first {juliet}
			hold romeo
			refresh romeo
				asks romeo refresh rev=1
			answer romeo rev=2 max-age=60s: nurse
				tells romeo {juliet} → {nurse} +nurse -juliet
			release romeo
			attach romeo
			refresh romeo
			go romeo
				refreshed 1/0: romeo=updated(2)
				asks romeo login rev=2
		`)
	})
}
