package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"rosterd/engine/enginetest"
	"rosterd/xmppcore/xmpptest"
)

// quickly is generous: it tells an answer from none.
const quickly = 30 * time.Second

// viewer is a client that applies pushes to what it holds, as clients do.
type viewer struct {
	*client
	items  map[string]string // what short says, by JID
	pushes int
	online map[string]bool // full JIDs of whom it sees
}

// view logs in, becomes available and gets the roster.
func (s *program) view(t testing.TB, jid string) *viewer {
	t.Helper()
	v := &viewer{client: s.login(t, jid), items: map[string]string{}, online: map[string]bool{}}
	v.appear()
	for _, item := range v.roster() {
		who, _, _ := strings.Cut(item, "|")
		v.items[who] = item
	}
	return v
}

// holds applies all pushes that have been sent and returns the contacts.
func (v *viewer) holds() []string {
	v.t.Helper()
	v.send("<iq type='get' id='end-of-pushes' to='%s'><ping xmlns='urn:xmpp:ping'/></iq>", v.Domain)
	for {
		e, err := v.Next(v.ctx)
		v.must(err)
		if _, roster := e.Find("jabber:iq:roster", "query"); roster {
			v.apply(e)
		}
		if e.Name.Local == "presence" {
			v.see(e)
		}
		if e.Attr("id") == "end-of-pushes" {
			return append([]string{}, slices.Sorted(maps.Values(v.items))...)
		}
	}
}

// see notes the presence of somebody who must be in the roster by then.
func (v *viewer) see(presence xmpptest.Element) {
	v.t.Helper()
	bare, _, _ := strings.Cut(presence.Attr("from"), "/")
	own, _, _ := strings.Cut(v.JID, "/")
	if _, known := v.items[bare]; !known && bare != own && presence.Attr("type") == "" {
		v.t.Errorf("%s is shown %s, which is not in the roster", v.JID, presence)
	}
	v.online[presence.Attr("from")] = presence.Attr("type") == ""
}

// sees tells, after all that has been sent, whether a resource of a user is available.
func (v *viewer) sees(bare string) bool {
	v.t.Helper()
	v.holds()
	for full, available := range v.online {
		if available && strings.HasPrefix(full, bare+"/") {
			return true
		}
	}
	return false
}

func (v *viewer) apply(push xmpptest.Element) {
	v.t.Helper()
	v.pushes++
	items := xmpptest.Items(push)
	if len(items) != 1 || push.Attr("to") != v.JID || push.Attr("id") == "" || push.Attr("type") != "set" {
		v.t.Fatalf("no push of one contact to %s: %s", v.JID, push)
	}
	if items[0].Subscription == "remove" {
		delete(v.items, items[0].JID)
	} else {
		v.items[items[0].JID] = short(items[0])
	}
}

// TestRefreshedReadings: what TestReadings reads at login, a refresh brings to clients that are online.
func TestRefreshedReadings(t *testing.T) {
	t.Parallel()
	backend := enginetest.Serve(t, map[string]string{"john": `{}`})
	s := newPlace(t, open(backend.Template())).serve(t)
	john := s.view(t, "john@example.com")
	for _, r := range readings {
		t.Run(r.name, func(t *testing.T) {
			if r.name == "a lone surrogate" {
				return // readers of JSON differ, see wantLoneSurrogate
			}
			john.client.t = t
			backend.Set("john", strings.ReplaceAll(r.answer, "%USER%", "john"))
			start := time.Now()
			s.refresh(t, "john")
			if took := time.Since(start); took > quickly {
				t.Errorf("answered after %v", took)
			}
			equal(t, "what the client holds", john.holds(), append([]string{}, r.want...))
			backend.Set("john", `{}`)
			s.refresh(t, "john")
			equal(t, "what the client holds after an empty answer", john.holds(), []string{})
		})
	}
}

// TestRefreshWhileBackendFails: whatever the backend does for one of three users, the POST is answered, the others are
// updated, and nobody is disconnected (BUG 13 of the reference).
func TestRefreshWhileBackendFails(t *testing.T) {
	for _, tt := range []struct {
		timeout string
		faults  []namedFault
	}{{"60", append([]namedFault{{"404", enginetest.Status(404)}}, badAnswers...)}, {"3", hangs}} {
		backend := enginetest.Serve(t, nil)
		s := newPlace(t, open(backend.Template(), "rosterd_backend_timeout = "+tt.timeout, "rosterd_backend_breaker = 0")).serve(t)
		for i, f := range tt.faults {
			t.Run(f.name, func(t *testing.T) {
				t.Parallel()
				var names []string
				var all []*viewer
				for _, who := range []string{"first", "bad", "last"} {
					name := fmt.Sprintf("%s%d", who, i)
					names = append(names, name)
					backend.Set(name, `{"old@example.com": {"name": "Old"}}`)
					all = append(all, s.view(t, name+"@example.com"))
					backend.Set(name, `{"new@example.com": {"name": "New"}}`)
				}
				backend.SetFault(names[1], f.fault)
				start := time.Now()
				body, _ := json.Marshal(names)
				r := s.post(t, string(body))
				if took := time.Since(start); took > quickly {
					t.Errorf("answered after %v", took)
				}
				equal(t, "outcomes", r.outcomes(), []string{names[0] + " updated", names[1] + " failed", names[2] + " updated"})
				equal(t, "status, updated, errors", fmt.Sprint(r.Code, r.Status, r.Updated, r.Errors), "200ok2 1")
				if !strings.Contains(r.Results[1].Error, "/contacts/"+names[1]) {
					t.Errorf("the answer does not say what failed: %q", r.Results[1].Error)
				}
				for k, want := range []string{"new@example.com|New|both|", "old@example.com|Old|both|", "new@example.com|New|both|"} {
					equal(t, "what "+names[k]+" holds", all[k].holds(), []string{want})
				}

				one := decodeReply(t, s, "GET", "/roster_admin/refresh/"+names[1], "")
				equal(t, "status of GET for the one", fmt.Sprint(one.Code, one.Status, one.Updated, one.Errors), "200error0 1")
				backend.SetFault(names[1], nil)
				s.patientRefresh(t, names[1])
				equal(t, "what it holds once the backend works", all[1].holds(), []string{"new@example.com|New|both|"})
			})
		}
	}
}

// patientRefresh refreshes until it works: the machine may be too slow for a deadline that is short.
func (s *program) patientRefresh(t testing.TB, name string) {
	t.Helper()
	for ctx := testContext(t); s.post(t, `["`+name+`"]`).Errors > 0; {
		if err := ctx.Err(); err != nil {
			t.Fatalf("refresh of %s: %v", name, err)
		}
	}
}

// TestRefreshBodies: every row of what people may send.
func TestRefreshBodies(t *testing.T) {
	t.Parallel()
	backend := enginetest.Serve(t, map[string]string{"alice": `{}`, "bob": `{}`, "jörg": `{}`})
	p := newPlace(t, open(backend.Template()))
	p.head = "rosterd_refresh_body = 100000\nrosterd_refresh_names = 1000\n"
	s := p.serve(t)
	for _, user := range []string{"alice", "bob", "jörg"} {
		s.view(t, user+"@example.com")
	}
	many := func(n int, name string) string {
		return "[" + strings.TrimSuffix(strings.Repeat(`"`+name+`",`, n), ",") + "]"
	}
	for _, tt := range []struct {
		name, body string
		code       int
		status     string
		counts     string // updated and errors
		outcomes   string
		message    string // a part of it
	}{
		{"nothing changed", `["alice"]`, 200, "ok", "1 0", "alice unchanged", "roster update complete"},
		{"two", `["alice","bob"]`, 200, "ok", "2 0", "alice unchanged, bob unchanged", "roster update complete"},
		{"offline", `["carol"]`, 200, "ok", "1 0", "carol offline", "roster update complete"},
		{"upper case", `["ALICE"]`, 200, "ok", "1 0", "ALICE unchanged", ""},
		{"UTF-8", `["J\u00d6RG"]`, 200, "ok", "1 0", "JÖRG unchanged", ""},
		{"duplicates", `["alice","alice","ALICE"]`, 200, "ok", "3 0", "alice unchanged, alice unchanged, ALICE unchanged", ""},
		{"empty array", `[]`, 200, "ok", "0 0", "", "roster update complete"},
		{"empty string", `["alice",""]`, 200, "ok", "1 1", "alice unchanged,  invalid", ""},
		{"bare JID", `["alice","alice@example.com"]`, 200, "ok", "1 1", "alice unchanged, alice@example.com invalid", ""},
		{"full JID", `["alice@example.com/desk"]`, 200, "error", "0 1", "alice@example.com/desk invalid", "roster update failed"},
		{"no localpart", `["a b", "a/b", "\u0000"]`, 200, "error", "0 3", "a b invalid, a/b invalid, \x00 invalid", ""},
		{"number", `["alice",5]`, 200, "ok", "1 1", "alice unchanged, 5 invalid", ""},
		{"boolean", `[true,"alice"]`, 200, "ok", "1 1", "true invalid, alice unchanged", ""},
		{"null", `[null,"alice"]`, 200, "ok", "1 1", "null invalid, alice unchanged", ""},
		{"array", `[["bob"],"alice"]`, 200, "ok", "1 1", `["bob"] invalid, alice unchanged`, ""},
		{"object", `[{"name":"bob"}]`, 200, "error", "0 1", `{"name":"bob"} invalid`, ""},
		{"white space", " [ \"alice\" ]\r\n", 200, "ok", "1 0", "alice unchanged", ""},

		{"no body", ``, 400, "error", "0 1", "", "the body is empty"},
		{"white space alone", " \n", 400, "error", "0 1", "", "the body is empty"},
		{"invalid JSON", `["alice"`, 400, "error", "0 1", "", "the body is not JSON"},
		{"trailing garbage", `["alice"] x`, 400, "error", "0 1", "", "the body is not JSON"},
		{"invalid UTF-8", "[\"\xff\"]", 400, "error", "0 1", "", "not UTF-8"},
		{"null", `null`, 400, "error", "0 1", "", "a JSON null"},
		{"true", `true`, 400, "error", "0 1", "", "a JSON boolean"},
		{"false", `false`, 400, "error", "0 1", "", "a JSON boolean"},
		{"5", `5`, 400, "error", "0 1", "", "a JSON number"},
		{"a string", `"alice"`, 400, "error", "0 1", "", "a JSON string"},
		{"an object", `{}`, 400, "error", "0 1", "", "a JSON object"},
		{"an object with users", `{"users": ["alice"]}`, 400, "error", "0 1", "", "a JSON object"},
		{"a form", `users=alice`, 400, "error", "0 1", "", "the body is not JSON"},

		{"too large", `["` + strings.Repeat("a", 100_000) + `"]`, 413, "error", "0 1", "", "larger than 100000 bytes"},
		{"too many names", many(1001, "a"), 413, "error", "0 1", "", "at most 1000"},
		{"as many names as allowed", many(1000, "a"), 200, "ok", "1000 0", strings.TrimSuffix(strings.Repeat("a offline, ", 1000), ", "), ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			res, text := s.request(t, "POST", "/roster_admin/refresh", tt.body)
			var r reply
			if err := json.Unmarshal([]byte(text), &r); err != nil {
				t.Fatalf("answered %q: %v", text, err)
			}
			equal(t, "code", res.StatusCode, tt.code)
			equal(t, "Content-Type", res.Header.Get("Content-Type"), "application/json")
			equal(t, "status", r.Status, tt.status)
			equal(t, "updated and errors", fmt.Sprint(r.Updated, r.Errors), tt.counts)
			equal(t, "outcomes", strings.Join(r.outcomes(), ", "), tt.outcomes)
			if !strings.Contains(r.Message, tt.message) || r.Message == "" {
				t.Errorf("message %q, want %q", r.Message, tt.message)
			}
			var fields map[string]any
			if err := json.Unmarshal([]byte(text), &fields); err != nil {
				t.Fatal(err)
			}
			for _, f := range []string{"status", "message", "updated", "errors"} {
				if _, ok := fields[f]; !ok {
					t.Errorf("no field %s in %s", f, text)
				}
			}
		})
	}
}

// TestRefreshManyNames: 10,000 names of users who are offline, and 10,000 times the same user, who is fetched once.
func TestRefreshManyNames(t *testing.T) {
	t.Parallel()
	backend := enginetest.Serve(t, map[string]string{"john": `{}`})
	s := newPlace(t, open(backend.Template())).serve(t)
	s.view(t, "john@example.com")
	var offline, same []string
	for i := range 10_000 {
		offline, same = append(offline, fmt.Sprintf("user%d", i)), append(same, "john")
	}
	start := time.Now()
	equal(t, "updated", s.refresh(t, offline...).Updated, 10_000)
	equal(t, "updated", s.refresh(t, same...).Updated, 10_000)
	if took := time.Since(start); took > quickly {
		t.Errorf("answered after %v", took)
	}
	equal(t, "requests", len(backend.Requests("")), 2)
}

// TestRefreshPaths: methods and paths.
func TestRefreshPaths(t *testing.T) {
	t.Parallel()
	backend := enginetest.Serve(t, map[string]string{"alice": `{}`, "jörg": `{}`, "100%": `{}`})
	s := newPlace(t, open(backend.Template())).serve(t)
	for _, user := range []string{"alice", "jörg", "100%"} {
		s.view(t, user+"@example.com")
	}
	for _, tt := range []struct {
		method, path, body string
		code               int
		outcomes           string
	}{
		{"GET", "/roster_admin/refresh/alice", "", 200, "alice unchanged"},
		{"GET", "/roster_admin/refresh/ALICE", "", 200, "ALICE unchanged"},
		{"GET", "/roster_admin/refresh/j%C3%B6rg", "", 200, "jörg unchanged"},
		{"GET", "/roster_admin/refresh/100%25", "", 200, "100% unchanged"},
		{"GET", "/roster_admin/refresh/nobody", "", 200, "nobody offline"},
		{"GET", "/roster_admin/refresh/alice?x=1", "", 200, "alice unchanged"},
		{"GET", "/roster_admin/refresh/alice%2Fbob", "", 200, "alice/bob invalid"},
		{"GET", "/roster_admin/refresh/", "", 400, ""},
		{"GET", "/roster_admin/refresh", "", 400, ""},
		{"POST", "/roster_admin/refresh", `["alice"]`, 200, "alice unchanged"},
		{"POST", "/roster_admin/refresh?x=1", `["alice"]`, 200, "alice unchanged"},
		{"POST", "/roster_admin/refresh/", `["alice"]`, 200, "alice unchanged"},
		{"POST", "/roster_admin/refresh/alice", ``, 405, ""},
		{"PUT", "/roster_admin/refresh", `["alice"]`, 405, ""},
		{"DELETE", "/roster_admin/refresh/alice", ``, 405, ""},
		{"GET", "/roster_admin", "", 404, ""},
		{"GET", "/", "", 404, ""},
		{"POST", "/roster_admin/refreshed", `["alice"]`, 404, ""},
	} {
		t.Run(tt.method+" "+tt.path, func(t *testing.T) {
			r := decodeReply(t, s, tt.method, tt.path, tt.body, "Content-Type", "text/plain")
			equal(t, "code", r.Code, tt.code)
			equal(t, "outcomes", strings.Join(r.outcomes(), ", "), tt.outcomes)
			if status := map[bool]string{true: "ok", false: "error"}[tt.code == 200 && !strings.Contains(tt.outcomes, "invalid")]; r.Status != status {
				t.Errorf("status %q, want %q", r.Status, status)
			}
		})
	}
}

// TestRefreshAccess: a bearer token, and never a web page of another origin (BUG 17 of the reference).
func TestRefreshAccess(t *testing.T) {
	const token = `rosterd_refresh_token = "open-sesame"`
	for _, tt := range []struct {
		name, option string
		header       []string
		code         int
	}{
		{"none needed", "", nil, 200},
		{"a page of another origin", "", []string{"Origin", "https://evil.example", "Sec-Fetch-Site", "cross-site"}, 403},
		{"a page of another origin, in an old browser", "", []string{"Origin", "https://evil.example"}, 403},
		{"no token", token, nil, 401},
		{"the token", token, []string{"Authorization", "Bearer open-sesame"}, 200},
		{"the token, scheme in lower case", token, []string{"Authorization", "bearer open-sesame"}, 200},
		{"the beginning of the token", token, []string{"Authorization", "Bearer open-sesam"}, 401},
		{"another scheme", token, []string{"Authorization", "Basic open-sesame"}, 401},
		{"the token as a parameter", token, []string{"Cookie", "token=open-sesame"}, 401},
		{"a token from a file", `rosterd_refresh_token = FileLine("token")`, []string{"Authorization", "Bearer open-sesame"}, 200},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			backend := enginetest.Serve(t, map[string]string{"alice": `{}`})
			p := newPlace(t, open(backend.Template(), tt.option))
			p.file(t, "token", "open-sesame\n")
			s := p.serve(t)
			s.view(t, "alice@example.com")
			for method, path := range map[string]string{"POST": "/roster_admin/refresh", "GET": "/roster_admin/refresh/alice"} {
				before := len(backend.Requests("alice"))
				res, text := s.request(t, method, path, `["alice"]`, tt.header...)
				equal(t, method, res.StatusCode, tt.code)
				equal(t, method+": a fetch", len(backend.Requests("alice"))-before, map[bool]int{true: 1}[tt.code == 200])
				for name := range res.Header {
					if strings.HasPrefix(name, "Access-Control-") {
						t.Errorf("%s: there is a %s", method, name)
					}
				}
				if challenge := res.Header.Get("WWW-Authenticate"); (tt.code == 401) != strings.HasPrefix(challenge, `Bearer realm="example.com"`) {
					t.Errorf("%s: WWW-Authenticate: %s", method, challenge)
				}
				if strings.Contains(text+s.log.String(), "sesam") {
					t.Errorf("%s: the token is told: %s\n%s", method, text, s.log)
				}
			}
			for _, r := range backend.Requests("") {
				equal(t, "Authorization at the backend", r.Header.Get("Authorization"), "")
			}
		})
	}
}

// TestRefreshDeadline: at the deadline the answer goes out, what is unfinished is pending, and goes on.
func TestRefreshDeadline(t *testing.T) {
	t.Parallel()
	backend := enginetest.Serve(t, map[string]string{"slow": `{}`, "quick": `{}`})
	s := newPlace(t, open(backend.Template(), "rosterd_refresh_timeout = 1", "rosterd_backend_timeout = 60")).serve(t)
	slow, quick := s.view(t, "slow@example.com"), s.view(t, "quick@example.com")
	hold, release := enginetest.Hold()
	t.Cleanup(release)
	backend.SetFault("slow", hold)
	backend.Set("slow", `{"new@example.com": {}}`)
	backend.Set("quick", `{"new@example.com": {}}`)
	start := time.Now()
	r := s.post(t, `["slow","quick","slow"]`)
	if took := time.Since(start); took > quickly {
		t.Errorf("answered after %v", took)
	}
	equal(t, "slow", r.Results[0].Outcome+" "+r.Results[2].Outcome, "pending pending")
	equal(t, "code", r.Code, 200)
	if r.Results[1].Outcome == "updated" { // and not a machine that is slower than the deadline
		equal(t, "status, updated and errors", fmt.Sprint(r.Status, r.Updated, r.Errors), "ok1 2")
	}
	quick.wantPushes("new@example.com||both|")
	equal(t, "what slow holds before the answer", slow.holds(), []string{})

	one := s.post(t, `["slow"]`)
	equal(t, "alone, nothing could be updated", fmt.Sprint(one.Code, one.Status, one.Updated, one.Errors), "200error0 1")
	release()
	slow.wantPushes("new@example.com||both|")
}

// TestOverlap: of two refreshes the later one counts, however slow the answer to the earlier one (BUG 5 of the
// reference).
func TestOverlap(t *testing.T) {
	t.Parallel()
	backend := enginetest.Serve(t, map[string]string{"john": `{"0@example.com": {}}`})
	s := newPlace(t, open(backend.Template(), "rosterd_backend_timeout = 60")).serve(t)
	john := s.view(t, "john@example.com")
	hold, release := enginetest.Hold()
	t.Cleanup(release)
	backend.SetFault("john", hold)
	replies := make(chan reply, 3)
	post := func() { replies <- s.post(t, `["john"]`) }
	backend.Set("john", `{"1@example.com": {}}`)
	go post()
	if _, err := backend.WaitRequests(john.ctx, "john", 2); err != nil { // the answer to this one is old
		t.Fatal(err)
	}
	backend.SetFault("john", nil)
	backend.Set("john", `{"2@example.com": {}}`)
	go post()
	go post()
	john.alive()
	equal(t, "requests while the first is under way", len(backend.Requests("john")), 2)
	release()
	for range 3 {
		if r := <-replies; r.Status != "ok" || r.Errors != 0 {
			t.Errorf("refresh: %+v", r)
		}
	}
	equal(t, "what the client holds", john.holds(), []string{"2@example.com||both|"})
	if n := len(backend.Requests("john")); n > 4 {
		t.Errorf("%d requests, want at most one for each refresh", n)
	}
}

// TestLogoutDuringRefresh: who leaves while his roster is fetched does not hold up the answer (BUG 14 of the
// reference).
func TestLogoutDuringRefresh(t *testing.T) {
	t.Parallel()
	backend := enginetest.Serve(t, map[string]string{"john": `{}`, "jane": `{}`})
	s := newPlace(t, open(backend.Template(), "rosterd_backend_timeout = 60", "rosterd_refresh_timeout = 60")).serve(t)
	john := s.view(t, "john@example.com")
	s.view(t, "jane@example.com")
	hold, release := enginetest.Hold()
	t.Cleanup(release)
	backend.SetFault("john", hold)
	replies := make(chan reply, 1)
	go func() { replies <- s.post(t, `["john","jane"]`) }()
	if _, err := backend.WaitRequests(john.ctx, "john", 2); err != nil {
		t.Fatal(err)
	}
	john.leave()
	select {
	case r := <-replies:
		equal(t, "outcomes", r.outcomes(), []string{"john offline", "jane unchanged"})
	case <-time.After(quickly):
		t.Error("the refresh is not answered")
	}
}

// TestRefreshWithoutPresence: users who are connected but not available get their pushes, all of them, and the POST
// its answer (BUG 15 of the reference).
func TestRefreshWithoutPresence(t *testing.T) {
	for _, tt := range []struct{ name, before string }{
		{"before initial presence", ""},
		{"after unavailable", "<presence/><presence type='unavailable'/>"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			backend := enginetest.Serve(t, map[string]string{"john": `{}`, "jane": `{}`})
			s := newPlace(t, open(backend.Template())).serve(t)
			jane := s.view(t, "jane@example.com")
			john := s.login(t, "john@example.com")
			john.wantRoster()
			john.send("%s", tt.before)
			john.alive()
			backend.Set("john", `{"jane@example.com": {}, "a@example.com": {}, "b@example.com": {}}`)
			backend.Set("jane", `{"john@example.com": {}}`)
			equal(t, "changes", s.refresh(t, "john", "jane").Results[0].Changes, 3)
			john.wantPushes("a@example.com||both|", "b@example.com||both|", "jane@example.com||both|")
			equal(t, "what jane holds", jane.holds(), []string{"john@example.com||both|"})
		})
	}
}

// TestInterest: pushes go to those resources that have asked for the roster, and to all of them (RFC 6121 §2.1.6).
func TestInterest(t *testing.T) {
	t.Parallel()
	backend := enginetest.Serve(t, map[string]string{"john": `{}`})
	s := newPlace(t, open(backend.Template())).serve(t)
	one, two := s.login(t, "john@example.com/one"), s.login(t, "john@example.com/two")
	bot := s.login(t, "john@example.com/bot")
	one.wantRoster()
	two.wantRoster()
	backend.Set("john", `{"a@example.com": {"name": "A"}}`)
	s.refresh(t, "john")
	one.wantPushes("a@example.com|A|both|")
	two.wantPushes("a@example.com|A|both|")
	bot.wantNothing()
}

// TestChangesOfEverything: names, groups and subscriptions that change are pushed (BUG 16 of the reference), a contact
// a push, and what did not change is not.
func TestChangesOfEverything(t *testing.T) {
	t.Parallel()
	backend := enginetest.Serve(t, map[string]string{"john": `{"same@example.com": {"name": "S"}, "x@example.com": {"name": "X", "groups": ["G"]}}`})
	s := newPlace(t, open(backend.Template())).serve(t)
	john := s.view(t, "john@example.com")
	for _, step := range []struct{ name, item, want string }{
		{"renamed", `{"name": "Y", "groups": ["G"]}`, "x@example.com|Y|both|G"},
		{"name gone", `{"groups": ["G"]}`, "x@example.com||both|G"},
		{"regrouped", `{"groups": ["H"]}`, "x@example.com||both|H"},
		{"one group more", `{"groups": ["H", "I"]}`, "x@example.com||both|H,I"},
		{"groups as an object, in another order", `{"groups": {"I": true, "H": true}}`, ""},
		{"no groups", `{}`, "x@example.com||both|"},
		{"subscription to", `{"subscription": "to"}`, "x@example.com||to|"},
		{"subscription from", `{"subscription": "from"}`, "x@example.com||from|"},
		{"subscription none", `{"subscription": "none"}`, "x@example.com||none|"},
		{"ask", `{"subscription": "none", "ask": "subscribe"}`, "x@example.com||none||ask=subscribe"},
		{"item null", `null`, "x@example.com||both|"},
		{"the same said otherwise", `{"subscription": "both", "name": "", "groups": []}`, ""},
	} {
		backend.Set("john", `{"same@example.com": {"name": "S"}, "x@example.com": `+step.item+`}`)
		before := john.pushes
		r := s.refresh(t, "john")
		want := 1
		if step.want == "" {
			want, step.want = 0, john.items["x@example.com"]
		}
		equal(t, step.name+": what the client holds", john.holds(), []string{"same@example.com|S|both|", step.want})
		equal(t, step.name+": pushes", john.pushes-before, want)
		equal(t, step.name+": changes", r.Results[0].Changes, want)
	}
}

// TestChunkedRefresh: without Content-Length, and with Expect.
func TestChunkedRefresh(t *testing.T) {
	t.Parallel()
	backend := enginetest.Serve(t, nil)
	s := newPlace(t, open(backend.Template())).serve(t)
	req, err := http.NewRequestWithContext(testContext(t), "POST", "http://"+s.address(s.http)+"/roster_admin/refresh", struct{ *strings.Reader }{strings.NewReader(`["john"]`)})
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Expect", "100-continue")
	res, err := web.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	equal(t, "code", res.StatusCode, 200)
}
