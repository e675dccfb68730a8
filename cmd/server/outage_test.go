package main

import (
	"encoding/json"
	"fmt"
	"testing"

	"rosterd/engine/enginetest"
)

// TestOutage: a backend that fails in one way after the other, for everybody. Nobody is disconnected, nobody's list
// changes, who logs in has the last good one, and the backend is left alone. When it is back, one refresh is enough.
// TestOutage of engine plays an hour of this with 2,000 users.
func TestOutage(t *testing.T) {
	t.Parallel()
	const users = 40
	backend := enginetest.Serve(t, nil)
	s := newPlace(t, open(backend.Template(), "rosterd_backend_timeout = 2", "rosterd_backend_parallel = 4")).serve(t)
	before := []string{"a@example.com|A|both|", "b@example.com|B|both|", "c@example.com|C|both|"}
	var names []string
	var all []*client
	for i := range users {
		name := fmt.Sprint("user", i)
		backend.Set(name, `{"a@example.com": {"name": "A"}, "b@example.com": {"name": "B"}, "c@example.com": {"name": "C"}}`)
		c := s.login(t, name+"@example.com/one")
		c.wantRoster(before...)
		names, all = append(names, name), append(all, c)
	}
	asked := func() (n int) {
		for _, name := range names {
			n += len(backend.Requests(name))
		}
		return n
	}
	everybody, err := json.Marshal(names)
	if err != nil {
		t.Fatal(err)
	}
	at := asked()
	illnesses := []namedFault{
		{"500", enginetest.Status(500)},
		{"never answers", enginetest.Hang},
		{"an HTML page", enginetest.Body("text/html", "<!DOCTYPE html><title>It works!</title>")},
		{"half an answer", enginetest.CloseInBody},
		{"reset", enginetest.Reset},
		{"503", enginetest.Status(503)},
	}
	for i, ill := range illnesses {
		for _, name := range names {
			backend.SetFault(name, ill.fault)
		}
		r := s.post(t, string(everybody))
		equal(t, ill.name+": status, updated, errors", fmt.Sprint(r.Status, " ", r.Updated, " ", r.Errors), fmt.Sprint("error 0 ", users))
		all[i].leave()
		all[i] = s.login(t, names[i]+"@example.com/one")
		all[i].wantRoster(before...)
		for _, c := range all {
			c.wantNothing()
		}
	}
	if n := asked() - at; n > users {
		t.Errorf("the backend was asked %d times while it failed", n)
	}
	equal(t, "lines that say that the backend is left alone", len(s.log.find("the backend is not asked for a while")), 1)

	for _, name := range names {
		backend.Set(name, `{"a@example.com": {"name": "A"}, "b@example.com": {"name": "Beatrice"}, "d@example.com": {"name": "D"}}`)
		backend.SetFault(name, nil)
	}
	for ctx := testContext(t); s.post(t, string(everybody)).Errors > 0; { // the last probe may have been a moment ago
		if ctx.Err() != nil {
			t.Fatal("refreshes fail although the backend works")
		}
	}
	for _, c := range all {
		c.wantPushes("b@example.com|Beatrice|both|", "c@example.com||remove|", "d@example.com|D|both|")
		c.wantNothing()
	}
	equal(t, "lines that say that it is back", len(s.log.find("the backend is asked again")), 1)
}

// TestFreshAcrossRestarts: what the backend calls fresh is served without asking it, by another process too; a refresh
// of somebody offline ends that, for another process too.
func TestFreshAcrossRestarts(t *testing.T) {
	t.Parallel()
	backend := enginetest.Serve(t, map[string]string{"john": `{"a@example.com": {"name": "1"}}`})
	backend.SetFault("john", enginetest.With("Cache-Control", "max-age=3600"))
	p := newPlace(t, open(backend.Template()))
	s := p.serve(t)
	again := func(want string, requests int) {
		t.Helper()
		john := s.login(t, "john@example.com")
		john.wantRoster(want)
		john.leave()
		equal(t, "requests", len(backend.Requests("john")), requests)
	}
	restart := func() {
		t.Helper()
		equal(t, "exit status", s.exit(t), exitOK)
		s = p.serve(t)
	}
	again("a@example.com|1|both|", 1)
	backend.Set("john", `{"a@example.com": {"name": "2"}}`)
	again("a@example.com|1|both|", 1)
	restart()
	again("a@example.com|1|both|", 1)
	equal(t, "refresh", s.refresh(t, "john").outcomes(), []string{"john offline"})
	restart()
	again("a@example.com|2|both|", 2)
	restart()
	again("a@example.com|2|both|", 2)
	equal(t, "exit status", s.exit(t), exitOK)
	p.text = open(backend.QueryTemplate()) // another source
	s = p.serve(t)
	again("a@example.com|2|both|", 3)
}

// TestStaleIfErrorHeader: a last good roster that is older than its backend allows is not served at a login.
func TestStaleIfErrorHeader(t *testing.T) {
	t.Parallel()
	backend := enginetest.Serve(t, map[string]string{"john": `{"a@example.com": {}}`, "jane": `{"a@example.com": {}}`})
	backend.SetFault("john", enginetest.With("Cache-Control", "stale-if-error=0"))
	backend.SetFault("jane", enginetest.With("Cache-Control", "stale-if-error=3600"))
	s := newPlace(t, open(backend.Template())).serve(t)
	john := s.login(t, "john@example.com/one")
	john.wantRoster("a@example.com||both|")
	jane := s.login(t, "jane@example.com/one")
	jane.wantRoster("a@example.com||both|")
	backend.SetFault("john", enginetest.Status(503))
	backend.SetFault("jane", enginetest.Status(503))
	equal(t, "refresh", s.post(t, `["john", "jane"]`).outcomes(), []string{"john failed", "jane failed"})
	john.wantNothing()
	john.wantRoster("a@example.com||both|")
	john.leave()
	jane.leave()
	s.login(t, "john@example.com/two").wantNoRoster("wait/internal-server-error")
	s.login(t, "jane@example.com/two").wantRoster("a@example.com||both|")
	if len(s.log.find("roster fetch failed", "john@example.com", "(stale-if-error)")) == 0 {
		t.Errorf("the log does not say why:\n%s", s.log)
	}
}
