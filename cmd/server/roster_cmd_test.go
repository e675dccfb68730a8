package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"rosterd/admin"
	"rosterd/engine/enginetest"
)

// passing is what is another thing in each run.
var passing = regexp.MustCompile(`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ|127\.0\.0\.1:\d+|\b[\w-]{22}\b`)

// TestRosterCommand asks a running server as an operator does.
func TestRosterCommand(t *testing.T) {
	backend := enginetest.Serve(t, map[string]string{
		"john": `{"jane@example.com": {"name": "Jane", "groups": ["Friends"]}, "bad jid": {}, "joe@example.com": {}, "ann@example.com": {}}`,
		"jane": `{"john@example.com": {"subscription": "to"}}`,
	})
	p := newPlace(t, open(backend.Template(), "rosterd_shrink_guard = 50"))
	run := func(args ...string) (int, string) {
		t.Helper()
		status, out, stderr := p.command(t, "", append([]string{"roster"}, args...)...)
		return status, passing.ReplaceAllString(strings.ReplaceAll(out+stderr, p.dir, "DIR"), "…")
	}
	want := func(wantStatus int, wantText string, args ...string) {
		t.Helper()
		status, text := run(args...)
		if status != wantStatus || text != strings.TrimPrefix(wantText, "\n") {
			t.Errorf("rosterd roster %s: status %d, want %d; got\n%swant\n%s", strings.Join(args, " "), status, wantStatus, text, wantText)
		}
	}
	s := p.serve(t)
	john := s.view(t, "john@example.com/tea")
	jane := s.view(t, "jane@example.com/garden")
	john.send("<presence/>")
	jane.send("<presence/>")
	john.must(john.Ping(john.ctx))
	jane.must(jane.Ping(jane.ctx))

	want(exitOK, `
john@example.com
  roster        fresh: what the backend said last; 1 resource online
  from          http_roster_admin, http://…/contacts/%s
  fetched       …
  version       …
  kept          yes: it outlives the session

CONTACT           SUBSCRIPTION  NAME  GROUPS
ann@example.com   both          -     -
jane@example.com  both          Jane  Friends
joe@example.com   both          -     -

left out of what the backend said
  bad jid: not a valid JID
`, "get", "john@example.com")
	want(exitOK, `
john@example.com
  is            online with 1 resource
    tea  available since …, priority 0, has the roster  …, not encrypted
  roster        fresh: what the backend said last
  from          http_roster_admin, http://…/contacts/%s
  fetched       …
  contact       jane@example.com: subscription both, name "Jane", groups Friends
                lets it see john@example.com: yes (from or both)
                shows it to john@example.com: yes (to or both)

jane@example.com
  is            online with 1 resource
    garden  available since …, priority 0, has the roster  …, not encrypted
  roster        fresh: what the backend said last
  from          http_roster_admin, http://…/contacts/%s
  fetched       …
  contact       john@example.com: subscription to
                lets it see jane@example.com: no (from or both would)
                shows it to jane@example.com: yes (to or both)

presence of john@example.com to jane@example.com: flows
  - the roster of john@example.com has jane@example.com as "both", the roster of jane@example.com has john@example.com as "to"
presence of jane@example.com to john@example.com: does not flow
  - the roster of jane@example.com has john@example.com as "to": that does not let john@example.com see jane@example.com (from or both would)
`, "explain", "john@example.com", "jane@example.com")
	want(exitOK, `
john@example.com
  is            online with 1 resource
    tea  available since …, priority 0, has the roster  …, not encrypted
  roster        fresh: what the backend said last
  from          http_roster_admin, http://…/contacts/%s
  fetched       …
  contacts      3: 1 available here, of whom it sees 0 and 1 see it; 0 at other servers, which are not reached

The two rosters do not agree about
  jane@example.com  this roster says both,  theirs says to

left out of what the backend said
  bad jid: not a valid JID
`, "explain", "john@example.com")
	if status, text := run("explain", "john@example.com", "bad jid"); status != exitOK || !strings.Contains(text, "bad jid is no address; the backend wrote it so") {
		t.Errorf("status %d:\n%s", status, text)
	}
	if status, text := run("explain", "john@example.com", "stranger@example.com"); status != exitFailed || !strings.Contains(text, "stranger@example.com is not in the roster of john@example.com") {
		t.Errorf("status %d:\n%s", status, text)
	}

	backend.Set("jane", `{"john@example.com": {}}`)
	want(exitOK, "jane@example.com  updated    1 contact changed\njohn@example.com  unchanged  nothing to tell\n", "refresh", "jane@example.com", "john@example.com")
	backend.Set("john", `{"jane@example.com": {"name": "Jane"}, "x@example.com": {}}`)
	backend.Set("jane", `{"john@example.com": {}, "a@x": {}, "b@x": {}, "c@x": {}}`)
	want(exitOK, "jane@example.com  updated  3 contacts changed\n", "refresh", "jane@example.com")
	backend.Set("jane", `{}`)
	want(exitFailed, "jane@example.com    held     held back: the answer removes 4 of 4 contacts\nnobody@example.com  offline  nobody to tell; the next login fetches anew\nnobody@example.org  invalid  no VirtualHost \"example.org\" is served\n",
		"refresh", "jane@example.com", "nobody@example.com", "nobody@example.org")
	want(exitOK, "jane@example.com  updated  4 contacts changed\n", "release", "jane@example.com")
	want(exitFailed, "jane@example.com  nothing-held  no answer is held back for jane@example.com\n", "release", "jane@example.com")

	john.must(john.Close(john.ctx))
	s.hasLeft(t, "john@example.com")
	status, text := run("get", "--json", "john@example.com")
	var kept admin.Roster
	if err := json.Unmarshal([]byte(text), &kept); err != nil || status != exitOK || kept.State != "offline" || !kept.Kept || len(kept.Contacts) != 2 {
		t.Errorf("status %d, %v:\n%s", status, err, text)
	}
	want(exitFailed, "rosterd roster: nothing is known of nobody@example.com: not online, and no roster is kept\n", "get", "nobody@example.com")
	want(exitFailed, "rosterd roster: no VirtualHost \"example.org\" is served\n", "explain", "john@example.org")

	for _, args := range [][]string{{}, {"get"}, {"list", "john@example.com"}, {"get", "a@b", "c@d"}, {"explain", "a", "b", "c"}, {"--wrong"}} {
		if status, _ := run(args...); status != exitUsage {
			t.Errorf("rosterd roster %s: status %d, want %d", strings.Join(args, " "), status, exitUsage)
		}
	}

	// One server, one socket; and none when it has stopped.
	socket := filepath.Join(p.data(), "rosterd.sock")
	if info, err := os.Lstat(socket); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the socket: %v, %v", info, err)
	}
	equal(t, "exit status", s.exit(t), exitOK)
	if _, err := os.Lstat(socket); !os.IsNotExist(err) {
		t.Errorf("the socket after the end: %v", err)
	}
	want(exitFailed, "rosterd roster: no server answers at DIR/data/rosterd.sock; is it running with this configuration?\n", "get", "john@example.com")
}

func TestWithoutSecrets(t *testing.T) {
	for _, c := range []struct{ name, url, want string }{
		{"plain", "http://hr.example/contacts/%s", "http://hr.example/contacts/%s"},
		{"no path", "http://hr.example?u=%s", "http://hr.example?u=%s"},
		{"user and password", "https://me:p%40ss@hr.example:8443/%s", "https://hr.example:8443/%s"},
		{"an @ in the path", "https://hr.example/%s@x", "https://hr.example/%s@x"},
		{"a key", "https://hr.example/r?key=s3cret&user=%s&flag", "https://hr.example/r?key=…&user=%s&flag"},
	} {
		t.Run(c.name, func(t *testing.T) { equal(t, "shown", withoutSecrets(c.url), c.want) })
	}
}
