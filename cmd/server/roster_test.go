package main

import (
	"bufio"
	"context"
	"encoding/base64"
	"fmt"
	"maps"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"rosterd/engine/enginetest"
	"rosterd/xmppcore/xmpptest"
)

// TestRequest: what the backend sees of a login.
func TestRequest(t *testing.T) {
	t.Parallel()
	backend := enginetest.Serve(t, map[string]string{"john": johns})
	s := newPlace(t, open(backend.Template())).serve(t)
	s.login(t, "john@example.com").wantRoster("aaron@example.com|Aaron|both|", "marie@example.com|Marie|both|Friends")
	requests := backend.Requests("")
	if len(requests) != 1 {
		t.Fatalf("%d requests, want one", len(requests))
	}
	r := requests[0]
	equal(t, "request line", r.Method+" "+r.Target, "GET /contacts/john")
	equal(t, "Accept", r.Header.Get("Accept"), "application/json")
	equal(t, "User-Agent", r.Header.Get("User-Agent"), "rosterd/"+fullVersion())
	equal(t, "Authorization", r.Header.Get("Authorization"), "")
	equal(t, "If-None-Match", r.Header.Get("If-None-Match"), "")
}

// TestUsernames: whatever a localpart may hold reaches the backend as that user and no other, in the path as in
// the query (BUG 2 of the reference).
func TestUsernames(t *testing.T) {
	names := []string{`john\20doe`, "jörg", "100%", "p%41", "pa", "x#y", "x", "q?r=1", "q", "a+b", `a\2fb`, "%s", "%d", "a;b", "a,b=c", "日本", "~._-", "semi;colon", "a$b", "a(b)*!"}
	rosters := map[string]string{}
	for _, n := range names {
		rosters[n] = fmt.Sprintf(`{"contact@example.com": {"name": %q}}`, "of "+n)
	}
	for form, template := range map[string]func(*enginetest.Server) string{
		"path":                     (*enginetest.Server).Template,
		"query":                    (*enginetest.Server).QueryTemplate,
		"path with other percents": func(b *enginetest.Server) string { return b.URL + "/contacts/%s?src=a%20b%2Bc&x=100%" },
	} {
		t.Run(form, func(t *testing.T) {
			t.Parallel()
			backend := enginetest.Serve(t, rosters)
			s := newPlace(t, open(template(backend))).serve(t)
			for _, n := range names {
				c := s.login(t, n+"@example.com")
				c.wantRoster("contact@example.com|of " + n + "|both|")
				got := backend.Requests(n)
				if len(got) != 1 {
					t.Fatalf("%d requests for %q, want one", len(got), n)
				}
				onlyUnreserved(t, form, got[0].Target)
				equal(t, "refresh of "+n, s.refresh(t, n).outcomes(), []string{n + " unchanged"})
				c.leave()
			}
		})
	}
	t.Run("case", func(t *testing.T) {
		t.Parallel()
		backend := enginetest.Serve(t, rosters)
		s := newPlace(t, open(backend.Template())).serve(t)
		s.account(t, "jörg@example.com")
		c := s.connect(t, "example.com")
		c.must(c.Open(c.ctx))
		c.must(c.Authenticate(c.ctx, "PLAIN", "JÖRG", password))
		c.must(c.Open(c.ctx))
		c.must(c.Bind(c.ctx, "desk"))
		equal(t, "full JID", c.JID, "jörg@example.com/desk")
		c.wantRoster("contact@example.com|of jörg|both|")
	})
}

// onlyUnreserved: RFC 3986 §2.3.
func onlyUnreserved(t *testing.T, form, target string) {
	t.Helper()
	name := strings.TrimPrefix(strings.TrimPrefix(target, "/contacts/"), "/contacts?user=")
	if rest, ok := strings.CutSuffix(name, "?src=a%20b%2Bc&x=100%"); ok {
		name = rest
	} else if strings.Contains(form, "percents") {
		t.Errorf("asked for %s: the rest of the template is not as it was written", target)
	}
	for _, c := range name {
		if !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.ContainsRune("-._~%", c)) {
			t.Errorf("asked for %s: %q is not encoded", target, c)
		}
	}
}

// reading is an answer of the backend and what the client gets of it. Every answer also has a good contact that
// must come through.
type reading struct {
	name, answer string
	want         []string
	dropped      map[string]string // JID as the backend wrote it → a part of the reason in the log
}

var readings = []reading{
	{name: "the form of the README", answer: `{"a@example.com": {"name": "A"}}`, want: []string{"a@example.com|A|both|"}},
	{name: "empty object", answer: `{}`},
	{name: "empty array", answer: `[]`},
	{name: "no name", answer: `{"a@example.com": {}}`, want: []string{"a@example.com||both|"}},
	{name: "empty name", answer: `{"a@example.com": {"name": ""}}`, want: []string{"a@example.com||both|"}},
	{name: "name null", answer: `{"a@example.com": {"name": null}}`, want: []string{"a@example.com||both|"}},
	{name: "name to be escaped", answer: `{"a@example.com": {"name": "<&'\">\n\t\ud83c\udf70"}}`, want: []string{"a@example.com|<&'\">\n\t🍰|both|"}},
	{name: "groups as an object", answer: `{"a@example.com": {"groups": {"Work": true, "Band": false, "Choir": null, "Dogs": "x"}}}`, want: []string{"a@example.com||both|Band,Choir,Dogs,Work"}},
	{name: "groups as an array", answer: `{"a@example.com": {"groups": ["Work", "Band", "Work"]}}`, want: []string{"a@example.com||both|Band,Work"}},
	{name: "groups empty", answer: `{"a@example.com": {"groups": []}, "b@example.com": {"groups": {}}, "c@example.com": {"groups": null}}`, want: []string{"a@example.com||both|", "b@example.com||both|", "c@example.com||both|"}},
	{name: "an empty group", answer: `{"a@example.com": {"groups": ["", "Band"]}}`, want: []string{"a@example.com||both|Band"}},
	{name: "groups to be escaped", answer: `{"a@example.com": {"groups": ["<b>&'\""]}}`, want: []string{"a@example.com||both|<b>&'\""}},
	{name: "subscriptions", answer: `{"n@example.com": {"subscription": "none"}, "t@example.com": {"subscription": "to"}, "f@example.com": {"subscription": "from"}, "b@example.com": {"subscription": "both"}, "z@example.com": {"subscription": null}}`,
		want: []string{"b@example.com||both|", "f@example.com||from|", "n@example.com||none|", "t@example.com||to|", "z@example.com||both|"}},
	{name: "ask", answer: `{"a@example.com": {"subscription": "none", "ask": "subscribe"}}`, want: []string{"a@example.com||none||ask=subscribe"}},
	{name: "items that are no objects", answer: `{"a@example.com": null, "b@example.com": "x", "c@example.com": [], "d@example.com": ["x"]}`,
		want: []string{"a@example.com||both|", "b@example.com||both|", "c@example.com||both|", "d@example.com||both|"}},
	{name: "upper case", answer: `{"Marie@EXAMPLE.com": {"name": "Marie"}}`, want: []string{"marie@example.com|Marie|both|"}},
	{name: "a domain", answer: `{"example.org": {"name": "Gateway"}}`, want: []string{"example.org|Gateway|both|"}},
	{name: "a contact called pending", answer: `{"pending": {"name": "Host"}}`, want: []string{"pending|Host|both|"}},
	{name: "a byte order mark", answer: "\uFEFF" + `{"a@example.com": {}}`, want: []string{"a@example.com||both|"}},
	{name: "unknown fields", answer: `{"a@example.com": {"name": "A", "phone": ["1", {}]}}`, want: []string{"a@example.com|A|both|"}},

	{name: "the same key twice", answer: `{"a@example.com": {"name": "1"}, "a@example.com": {"name": "2"}}`, want: []string{"a@example.com|2|both|"}, dropped: map[string]string{"a@example.com": ""}},
	{name: "the same JID in two forms", answer: `{"A@example.com": {"name": "1"}, "a@EXAMPLE.com": {"name": "2"}}`, want: []string{"a@example.com|2|both|"}, dropped: map[string]string{"": "a@example.com"}},
	{name: "the own JID", answer: `{"%USER%@example.com": {"name": "Me"}, "a@example.com": {}}`, want: []string{"a@example.com||both|"}, dropped: map[string]string{"%USER%@example.com": "own"}},
	{name: "the own JID in upper case", answer: `{"%USER%@EXAMPLE.COM": {"name": "Me"}}`, dropped: map[string]string{"%USER%@EXAMPLE.COM": "own"}},
	{name: "a full JID", answer: `{"a@example.com/desk": {}, "b@example.com": {}}`, want: []string{"b@example.com||both|"}, dropped: map[string]string{"a@example.com/desk": "full JID"}},
	{name: "not a JID", answer: `{"not a jid": {}, "": {}, "@": {}, "a@b@c": {}, "b@example.com": {}}`, want: []string{"b@example.com||both|"}, dropped: map[string]string{"not a jid": "", "": "", "@": "", "a@b@c": ""}},
	{name: "name of another kind", answer: `{"a@example.com": {"name": 5}, "b@example.com": {"name": true}, "c@example.com": {"name": ["x"]}, "d@example.com": {}}`,
		want: []string{"d@example.com||both|"}, dropped: map[string]string{"a@example.com": "name", "b@example.com": "name", "c@example.com": "name"}},
	{name: "groups of another kind", answer: `{"a@example.com": {"groups": "Work"}, "b@example.com": {"groups": 5}, "c@example.com": {"groups": [5]}, "d@example.com": {}}`,
		want: []string{"d@example.com||both|"}, dropped: map[string]string{"a@example.com": "groups", "b@example.com": "groups", "c@example.com": "group"}},
	{name: "subscription remove", answer: `{"a@example.com": {"subscription": "remove"}, "d@example.com": {}}`, want: []string{"d@example.com||both|"}, dropped: map[string]string{"a@example.com": "remove"}},
	{name: "item of another kind", answer: `{"a@example.com": 5, "b@example.com": true, "d@example.com": {}}`, want: []string{"d@example.com||both|"}, dropped: map[string]string{"a@example.com": "number", "b@example.com": "boolean"}},
	{name: "control characters", answer: `{"a@example.com": {"name": "\u0001"}, "b@example.com": {"groups": ["\u0000"]}, "d@example.com": {}}`,
		want: []string{"d@example.com||both|"}, dropped: map[string]string{"a@example.com": "", "b@example.com": ""}},
	{name: "a lone surrogate", answer: `{"a@example.com": {"name": "\ud83c"}, "d@example.com": {}}`, want: nil},
}

// TestReadings: every form of an answer that people's backends give, one bad contact never spoils the rest, and
// the log names it (BUG 6 and 7 of the reference).
func TestReadings(t *testing.T) {
	t.Parallel()
	backend := enginetest.Serve(t, nil)
	s := newPlace(t, open(backend.Template())).serve(t)
	for i, r := range readings {
		t.Run(r.name, func(t *testing.T) {
			user := fmt.Sprintf("user%d", i)
			backend.Set(user, strings.ReplaceAll(r.answer, "%USER%", user))
			c := s.login(t, user+"@example.com")
			if r.name == "a lone surrogate" {
				wantLoneSurrogate(t, c)
				return
			}
			equal(t, "roster", c.roster(), append([]string{}, r.want...))
			c.appear()
			c.wantNothing()
			for jid, reason := range r.dropped {
				jid = strings.ReplaceAll(jid, "%USER%", user)
				if !slices.ContainsFunc(s.log.find(`msg="contact left out"`, "user="+user+"@example.com "), func(line string) bool {
					return (strings.EqualFold(field(line, "jid"), jid) || jid == "") && strings.Contains(line, reason)
				}) {
					t.Errorf("no line says that %q was left out for %q: %q", jid, reason, s.log.find("left out", user+"@"))
				}
			}
			if left := s.log.find("left out", "user="+user+"@"); len(r.dropped) == 0 && len(left) > 0 {
				t.Errorf("left out: %q", left)
			}
			c.leave()
		})
	}
}

// wantLoneSurrogate: half a character is the replacement character to some readers of JSON and an error to others;
// it must not take the other contacts with it.
func wantLoneSurrogate(t *testing.T, c *client) {
	t.Helper()
	if got := c.roster(); !slices.Contains(got, "d@example.com||both|") {
		t.Errorf("roster: %q", got)
	}
}

// TestApproved: pre-approval (RFC 6121 §3.4) comes through.
func TestApproved(t *testing.T) {
	t.Parallel()
	backend := enginetest.Serve(t, map[string]string{"john": `{"a@example.com": {"subscription": "none", "approved": true}}`})
	s := newPlace(t, open(backend.Template())).serve(t)
	c := s.login(t, "john@example.com")
	answer, err := c.IQ(c.ctx, "get", "", "<query xmlns='jabber:iq:roster'/>")
	c.must(err)
	item, _ := answer.Path("query", "item")
	equal(t, "approved", item.Attr("approved"), "true")
}

// TestLargeRoster: 100,000 contacts arrive, and nobody else waits for them.
func TestLargeRoster(t *testing.T) {
	t.Parallel()
	const n = 100_000
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, `,"contact%d@example.com":{"name":"Contact %d","groups":["Everybody"]}`, i, i)
	}
	backend := enginetest.Serve(t, map[string]string{"john": "{" + b.String()[1:] + "}", "jane": `{}`})
	s := newPlace(t, open(backend.Template(), "rosterd_backend_timeout = 60")).serve(t)
	s.account(t, "john@example.com")
	conn, err := net.Dial("tcp", s.address(s.c2s))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	john := &client{xmpptest.New(conn, "example.com"), t, testContext(t)}
	john.must(john.Login(john.ctx, "john", password, ""))
	john.send("<presence/><iq type='get' id='r'><query xmlns='jabber:iq:roster'/></iq>")
	s.login(t, "jane@example.com").wantRoster()
	equal(t, "contacts", countItems(t, john.ctx, conn), n)
}

// countItems reads the rest of a stream up to the end of a roster: it is larger than what xmpptest takes.
func countItems(t *testing.T, ctx context.Context, conn net.Conn) (items int) {
	t.Helper()
	deadline, _ := ctx.Deadline()
	if err := conn.SetReadDeadline(deadline); err != nil {
		t.Fatal(err)
	}
	for r := bufio.NewReader(conn); ; {
		tag, err := r.ReadString('>')
		switch {
		case err != nil:
			t.Fatalf("after %d contacts: %v", items, err)
		case strings.Contains(tag, "<item "):
			items++
		case tag == "</query>":
			return items
		}
	}
}

type namedFault struct {
	name  string
	fault enginetest.Fault
}

// badAnswers are no rosters.
var badAnswers = []namedFault{
	{"201", enginetest.Status(201)},
	{"204", enginetest.Status(204)},
	{"301 to nowhere", enginetest.Status(301)},
	{"304 though nothing is held", enginetest.Status(304)},
	{"400", enginetest.Status(400)},
	{"401", enginetest.Status(401)},
	{"403", enginetest.Status(403)},
	{"429 with Retry-After", enginetest.Status(429, "Retry-After", "3600")},
	{"500", enginetest.Status(500)},
	{"503", enginetest.Status(503)},
	{"redirects without end", func(x *enginetest.Exchange) { enginetest.Redirect(302, x.Request.URL.EscapedPath())(x) }},
	{"empty body", enginetest.Body("application/json", "")},
	{"null", enginetest.Body("application/json", "null")},
	{"true", enginetest.Body("application/json", "true")},
	{"a number", enginetest.Body("application/json", "5")},
	{"a string", enginetest.Body("application/json", `"alice"`)},
	{"an array with anything in it", enginetest.Body("application/json", `["a@example.com"]`)},
	{"invalid JSON", enginetest.Body("application/json", `{"a@example.com": {`)},
	{"trailing garbage", enginetest.Body("application/json", `{} {`)},
	{"invalid UTF-8", enginetest.Body("application/json", "{\"a@example.com\": {\"name\": \"\xff\"}} x")},
	{"an HTML page", enginetest.Body("text/html", "<!DOCTYPE html><title>It works!</title>")},
	{"nested over 1,000 deep", enginetest.Body("application/json", strings.Repeat(`{"a":`, 2000)+"1"+strings.Repeat("}", 2000))},
	{"closed", enginetest.Close},
	{"reset", enginetest.Reset},
	{"closed in the body", enginetest.CloseInBody},
	{"reset in the body", enginetest.ResetInBody},
	{"not HTTP", enginetest.NotHTTP},
	{"gzip that is none", func(x *enginetest.Exchange) { x.Header().Set("Content-Encoding", "gzip"); x.Serve() }},
	{"a body without end", enginetest.Endless},
}

// hangs are answers that never end. Who waits for them is told at the deadline.
var hangs = []namedFault{
	{"never answers", enginetest.Hang},
	{"stops in the body", enginetest.HangInBody},
}

// TestBackendFails: without a last good roster the get is answered with an error, with one it is served; the stream
// stays in any case, and the next get tries again (BUG 8 of the reference). The log has one line of it.
func TestBackendFails(t *testing.T) {
	for _, tt := range []struct {
		name, timeout, want string
		faults              []namedFault
	}{
		{"at once", "60", "wait/internal-server-error", badAnswers},
		{"at the deadline", "1", "wait/remote-server-timeout", hangs},
	} {
		backend := enginetest.Serve(t, nil)
		s := newPlace(t, open(backend.Template(), "rosterd_backend_timeout = "+tt.timeout, "rosterd_backend_breaker = 0")).serve(t)
		for i, f := range tt.faults {
			t.Run(f.name, func(t *testing.T) {
				t.Parallel()
				user := fmt.Sprintf("user%d", i)
				backend.Set(user, johns)
				backend.SetFault(user, f.fault)
				start := time.Now()
				c := s.login(t, user+"@example.com")
				c.wantNoRoster(tt.want)
				if took := time.Since(start); took > 30*time.Second {
					t.Errorf("answered after %v", took)
				}
				c.appear()
				c.wantNothing()

				backend.SetFault(user, nil)
				want := []string{"aaron@example.com|Aaron|both|", "marie@example.com|Marie|both|Friends"}
				equal(t, "roster once the backend works", c.patientRoster(), want)
				c.leave()
				backend.SetFault(user, f.fault)
				c = s.login(t, user+"@example.com")
				c.wantRoster(want...)
				c.alive()
				c.leave()
				s.wantFailureLines(t, user+"@example.com", backend.URL+"/contacts/"+user, tt.want)
			})
		}
	}
}

// patientRoster asks until there is a roster: the machine may be too slow for a deadline that is short.
func (c *client) patientRoster() []string {
	c.t.Helper()
	for {
		answer, err := c.IQ(c.ctx, "get", "", "<query xmlns='jabber:iq:roster'/>")
		c.must(err)
		if answer.Attr("type") == "result" {
			return shorts(xmpptest.Items(answer))
		}
	}
}

// wantFailureLines: a line for each failed fetch, with user, URL, time and what was served.
func (s *program) wantFailureLines(t *testing.T, user, url, condition string) {
	t.Helper()
	lines := s.log.find(`msg="roster fetch failed"`, "user="+user+" ")
	if len(lines) < 2 {
		t.Fatalf("%d lines of two failed fetches: %q", len(lines), lines)
	}
	first, last := lines[0], lines[len(lines)-1]
	equal(t, "served without a last good roster", field(first, "served"), "nothing: there is no last good roster")
	if !strings.HasPrefix(field(last, "served"), "the last good roster, of 20") {
		t.Errorf("served with a last good roster: %q", field(last, "served"))
	}
	for _, line := range lines {
		if !strings.Contains(field(line, "error"), url) {
			t.Errorf("no URL %s in %s", url, line)
		}
		if took, err := time.ParseDuration(field(line, "took")); err != nil || took < 0 {
			t.Errorf("no time in %s", line)
		}
	}
	if strings.Contains(condition, "timeout") && !strings.Contains(field(first, "error"), "no answer within 1s") {
		t.Errorf("the line does not say that the time was up: %s", first)
	}
}

// TestFailureLine: a failed fetch is one line, with the status.
func TestFailureLine(t *testing.T) {
	t.Parallel()
	backend := enginetest.Serve(t, map[string]string{"john": johns})
	s := newPlace(t, open(backend.Template())).serve(t)
	c := s.login(t, "john@example.com")
	c.roster()
	before := len(s.log.all())
	backend.SetFault("john", enginetest.Status(503))
	equal(t, "refresh", s.post(t, `["john"]`).outcomes(), []string{"john failed"})
	requests := len(backend.Requests("john")) - 1
	lines := s.log.all()[before:]
	if len(lines) != requests {
		t.Fatalf("%d lines for %d failed fetches: %q", len(lines), requests, lines)
	}
	line := lines[0]
	equal(t, "user", field(line, "user"), "john@example.com")
	equal(t, "reason", field(line, "reason"), "refresh")
	equal(t, "error", field(line, "error"), "GET "+backend.URL+"/contacts/john → 503 Service Unavailable")
}

// TestNobodyListens: connection refused and names that do not exist are failures like others.
func TestNobodyListens(t *testing.T) {
	gone := enginetest.Serve(t, nil)
	gone.Close()
	for name, template := range map[string]string{
		"connection refused": gone.Template(),
		"no such name":       "http://backend.invalid/contacts/%s",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newPlace(t, open(template)).serve(t)
			c := s.login(t, "john@example.com")
			c.wantNoRoster("wait/internal-server-error")
			c.alive()
			equal(t, "refresh", s.post(t, `["john"]`).outcomes(), []string{"john failed"})
		})
	}
}

// TestTolerated: odd ways to answer that all mean the roster.
func TestTolerated(t *testing.T) {
	t.Parallel()
	moved := func(code int) enginetest.Fault {
		return func(x *enginetest.Exchange) {
			if x.Request.URL.RawQuery == "" {
				enginetest.Redirect(code, x.Request.URL.EscapedPath()+"?moved=1")(x)
			} else {
				x.Serve()
			}
		}
	}
	backend := enginetest.Serve(t, nil)
	s := newPlace(t, open(backend.Template())).serve(t)
	for i, f := range []struct {
		name  string
		fault enginetest.Fault
	}{
		{"301", moved(301)}, {"302", moved(302)}, {"303", moved(303)}, {"307", moved(307)}, {"308", moved(308)},
		{"gzip", enginetest.Gzip}, {"chunked", enginetest.Chunked}, {"HTTP/1.0", enginetest.HTTP10},
		{"another content type", func(x *enginetest.Exchange) { enginetest.Body("text/html", x.Roster)(x) }},
	} {
		t.Run(f.name, func(t *testing.T) {
			user := fmt.Sprintf("odd%d", i)
			backend.Set(user, johns)
			backend.SetFault(user, f.fault)
			s.login(t, user+"@example.com").wantRoster("aaron@example.com|Aaron|both|", "marie@example.com|Marie|both|Friends")
		})
	}
}

// TestUnknownUser: 404 is an empty roster for a user never seen before, and a failure for one whose roster is known,
// unless the configuration says otherwise.
func TestUnknownUser(t *testing.T) {
	for _, tt := range []struct {
		name, option string
		known        []string // what is served after the backend has lost the user
		outcome      string
	}{
		{"by default", "", []string{"a@example.com|A|both|"}, "john failed"},
		{"last-good", `rosterd_missing_user = "last-good"`, []string{"a@example.com|A|both|"}, "john failed"},
		{"empty", `rosterd_missing_user = "empty"`, nil, "john updated"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			backend := enginetest.Serve(t, nil)
			s := newPlace(t, open(backend.Template(), tt.option)).serve(t)
			john := s.login(t, "john@example.com")
			john.wantRoster()
			if lines := s.log.find("user=john@example.com", "empty roster", "404"); len(lines) != 1 {
				t.Errorf("want one line that says so: %q", lines)
			}
			backend.Set("john", `{"a@example.com": {"name": "A"}}`)
			s.refresh(t, "john")
			john.wantPushes("a@example.com|A|both|")
			backend.Delete("john")
			equal(t, "refresh", s.post(t, `["john"]`).outcomes(), []string{tt.outcome})
			john.wantRoster(tt.known...)
			john.leave()
			john = s.login(t, "john@example.com")
			john.wantRoster(tt.known...)
		})
	}
}

// TestLastGoodRoster: what the backend last said is served while it fails, also after the program was started
// anew, unless that is switched off.
func TestLastGoodRoster(t *testing.T) {
	want := []string{"aaron@example.com|Aaron|both|", "marie@example.com|Marie|both|Friends"}
	for _, tt := range []struct {
		name, option string
		kept         bool
	}{
		{"kept", "", true},
		{"switched off", "rosterd_keep_rosters = false", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			backend := enginetest.Serve(t, map[string]string{"john": johns})
			p := newPlace(t, open(backend.Template(), tt.option))
			s := p.serve(t)
			john := s.login(t, "john@example.com/one")
			john.wantRoster(want...)
			backend.Close()
			two := s.login(t, "john@example.com/two")
			two.wantRoster(want...)
			two.leave()
			equal(t, "refresh while the backend is down", s.post(t, `["john"]`).outcomes(), []string{"john failed"})
			john.wantRoster(want...)
			john.leave()
			equal(t, "exit status", s.exit(t), exitOK)

			s = p.serve(t)
			john = s.login(t, "john@example.com")
			if tt.kept {
				john.wantRoster(want...)
			} else {
				john.wantNoRoster("wait/internal-server-error")
			}
			john.alive()
		})
	}
}

// TestStaleToFresh: a client that was given the last good roster gets the difference once the backend is back.
func TestStaleToFresh(t *testing.T) {
	t.Parallel()
	backend := enginetest.Serve(t, map[string]string{"john": johns})
	s := newPlace(t, open(backend.Template())).serve(t)
	john := s.login(t, "john@example.com")
	john.wantRoster("aaron@example.com|Aaron|both|", "marie@example.com|Marie|both|Friends")
	john.leave()
	backend.SetFault("john", enginetest.Status(503))
	john = s.login(t, "john@example.com")
	john.wantRoster("aaron@example.com|Aaron|both|", "marie@example.com|Marie|both|Friends")
	backend.SetFault("john", nil)
	backend.Set("john", `{"marie@example.com": {"name": "Marie Curie", "groups": ["Friends"]}}`)
	s.refresh(t, "john")
	john.wantPushes("aaron@example.com||remove|", "marie@example.com|Marie Curie|both|Friends")
}

// TestCaching: a fetch starts at bind, serves every resource of the user, and is made anew after the last one left.
func TestCaching(t *testing.T) {
	t.Parallel()
	backend := enginetest.Serve(t, map[string]string{"john": `{"a@example.com": {"name": "1"}}`})
	s := newPlace(t, open(backend.Template())).serve(t)
	one := s.login(t, "john@example.com/one")
	if _, err := backend.WaitRequests(one.ctx, "john", 1); err != nil {
		t.Fatalf("binding does not start a fetch: %v", err)
	}
	one.wantRoster("a@example.com|1|both|")
	backend.Set("john", `{"a@example.com": {"name": "2"}}`)
	one.wantRoster("a@example.com|1|both|")
	two := s.login(t, "john@example.com/two")
	two.wantRoster("a@example.com|1|both|")
	one.leave()
	two.wantRoster("a@example.com|1|both|")
	equal(t, "requests", len(backend.Requests("john")), 1)
	two.leave()
	s.login(t, "john@example.com").wantRoster("a@example.com|2|both|")
	equal(t, "requests", len(backend.Requests("john")), 2)
}

// TestStaleAfterOfflineRefresh: a refresh of somebody who is offline fetches nothing, and is not lost (BUG 4 of the
// reference).
func TestStaleAfterOfflineRefresh(t *testing.T) {
	t.Parallel()
	backend := enginetest.Serve(t, map[string]string{"john": `{"a@example.com": {"name": "1"}}`})
	backend.SetFault("john", enginetest.With("Cache-Control", "max-age=3600"))
	s := newPlace(t, open(backend.Template())).serve(t)
	john := s.login(t, "john@example.com")
	john.wantRoster("a@example.com|1|both|")
	john.leave()
	backend.Set("john", `{"a@example.com": {"name": "2"}}`)
	equal(t, "refresh", s.refresh(t, "john").outcomes(), []string{"john offline"})
	john = s.login(t, "john@example.com")
	john.wantRoster("a@example.com|2|both|")
}

// TestRevalidation: whoever sends an ETag is asked with it, at refreshes, logins, and after the program was started
// anew (RFC 9110 §13.1.2).
func TestRevalidation(t *testing.T) {
	t.Parallel()
	backend := enginetest.Serve(t, map[string]string{"john": `{"a@example.com": {"name": "1"}}`})
	backend.SetETags(true)
	p := newPlace(t, open(backend.Template()))
	s := p.serve(t)
	john := s.login(t, "john@example.com")
	john.wantRoster("a@example.com|1|both|")
	equal(t, "refresh", s.refresh(t, "john").outcomes(), []string{"john unchanged"})
	backend.Set("john", `{"a@example.com": {"name": "2"}}`)
	equal(t, "refresh", s.refresh(t, "john").outcomes(), []string{"john updated"})
	john.wantPushes("a@example.com|2|both|")
	john.leave()
	s.exit(t)
	s = p.serve(t)
	s.login(t, "john@example.com").wantRoster("a@example.com|2|both|")
	requests := backend.Requests("john")
	var tags []string
	for _, r := range requests {
		tags = append(tags, r.Header.Get("If-None-Match"))
	}
	if len(tags) != 4 || tags[0] != "" || tags[1] == "" || tags[2] != tags[1] || tags[3] == "" || tags[3] == tags[2] {
		t.Errorf("If-None-Match was %q", tags)
	}
}

// TestLastModified: the same for who says when it changed.
func TestLastModified(t *testing.T) {
	t.Parallel()
	const date = "Sun, 22 Nov 2026 10:00:00 GMT"
	backend := enginetest.Serve(t, map[string]string{"john": johns})
	backend.SetFault("john", func(x *enginetest.Exchange) {
		x.Header().Set("Last-Modified", date)
		if x.Request.Header.Get("If-Modified-Since") == date {
			x.WriteHeader(http.StatusNotModified)
			return
		}
		x.Serve()
	})
	s := newPlace(t, open(backend.Template())).serve(t)
	john := s.login(t, "john@example.com")
	equal(t, "contacts", len(john.roster()), 2)
	equal(t, "refresh", s.refresh(t, "john").outcomes(), []string{"john unchanged"})
	john.leave()
	equal(t, "contacts", len(s.login(t, "john@example.com").roster()), 2)
	var since []string
	for _, r := range backend.Requests("john") {
		since = append(since, r.Header.Get("If-Modified-Since"))
	}
	equal(t, "If-Modified-Since", since, []string{"", date, date})
}

// TestCoalescing: one GET for all who wait for the same user.
func TestCoalescing(t *testing.T) {
	t.Parallel()
	backend := enginetest.Serve(t, map[string]string{"john": johns})
	hold, release := enginetest.Hold()
	t.Cleanup(release)
	backend.SetFault("john", hold)
	s := newPlace(t, open(backend.Template(), "rosterd_backend_timeout = 60")).serve(t)
	var all []*client
	for i := range 4 {
		c := s.login(t, fmt.Sprintf("john@example.com/%d", i))
		c.send("<iq type='get' id='1'><query xmlns='jabber:iq:roster'/></iq><iq type='get' id='2'><query xmlns='jabber:iq:roster'/></iq>")
		c.alive()
		all = append(all, c)
	}
	release()
	for _, c := range all {
		for _, id := range []string{"1", "2"} { // in the order of asking
			answer, err := c.Next(c.ctx)
			c.must(err)
			equal(t, "answer", answer.Attr("id")+" "+answer.Attr("type"), id+" result")
			equal(t, "contacts", len(xmpptest.Items(answer)), 2)
		}
	}
	equal(t, "requests", len(backend.Requests("john")), 1)
}

// TestParallelLimit: no more requests at a time than allowed, and all of them in the end (BUG 18 of the reference);
// connections are kept.
func TestParallelLimit(t *testing.T) {
	t.Parallel()
	const users, limit = 12, 3
	backend := enginetest.Serve(t, nil)
	s := newPlace(t, open(backend.Template(), fmt.Sprintf("rosterd_backend_parallel = %d", limit), "rosterd_backend_timeout = 60")).serve(t)
	var names []string
	var all []*client
	for i := range users {
		name := fmt.Sprintf("user%d", i)
		names = append(names, name)
		backend.Set(name, `{}`)
		c := s.login(t, name+"@example.com")
		c.wantRoster()
		all = append(all, c)
	}
	hold, release := enginetest.Hold()
	t.Cleanup(release)
	backend.SetFault("", hold)
	for _, name := range names {
		backend.Set(name, johns)
	}
	answered := make(chan reply, 1)
	go func() { answered <- s.post(t, `["`+strings.Join(names, `","`)+`"]`) }()
	if _, err := backend.WaitRequests(testContext(t), "", users+limit); err != nil {
		t.Fatal(err)
	}
	for _, c := range all { // a few round trips, in which more requests would come
		c.alive()
	}
	equal(t, "requests under way", len(backend.Requests(""))-users, limit)
	release()
	r := <-answered
	equal(t, "updated", r.Updated, users)
	connections := map[string]bool{}
	for _, r := range backend.Requests("") {
		connections[r.Conn] = true
	}
	if len(connections) > limit {
		t.Errorf("%d connections for %d requests, want at most %d", len(connections), 2*users, limit)
	}
}

// TestCredentials: userinfo, headers and secrets from files reach the backend, and no log.
func TestCredentials(t *testing.T) {
	const secret = "pssst&=%/"
	withUserinfo := func(b *enginetest.Server) string {
		return strings.Replace(b.Template(), "http://", "http://app:"+url.QueryEscape(secret)+"@", 1)
	}
	basic := "Basic " + base64.StdEncoding.EncodeToString([]byte("app:"+secret))
	for _, tt := range []struct {
		name     string
		template func(*enginetest.Server) string
		option   string
		want     map[string]string
	}{
		{"userinfo in the URL", withUserinfo, "", map[string]string{"Authorization": basic}},
		{"headers", (*enginetest.Server).Template, `rosterd_backend_headers = { Authorization = "Bearer pssst&=%/", ["X-Tenant"] = "blue" }`,
			map[string]string{"Authorization": "Bearer " + secret, "X-Tenant": "blue"}},
		{"a secret from a file", (*enginetest.Server).Template, `rosterd_backend_headers = { ["X-Api-Key"] = FileLine("api.key") }`, map[string]string{"X-Api-Key": secret}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			backend := enginetest.Serve(t, map[string]string{"john": johns})
			p := newPlace(t, open(tt.template(backend), tt.option))
			p.head = `log = { debug = "*console" }`
			if err := os.WriteFile(filepath.Join(p.dir, "api.key"), []byte(secret+"\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			s := p.serve(t)
			john := s.login(t, "john@example.com")
			john.wantRoster("aaron@example.com|Aaron|both|", "marie@example.com|Marie|both|Friends")
			for _, fault := range []enginetest.Fault{enginetest.Status(401), enginetest.Close, enginetest.Redirect(302, "http://127.0.0.1:1/elsewhere"), enginetest.NotHTTP} {
				backend.SetFault("john", fault)
				equal(t, "refresh", s.post(t, `["john"]`).outcomes(), []string{"john failed"})
			}
			for _, r := range backend.Requests("john") {
				for name, value := range tt.want {
					equal(t, name, r.Header.Get(name), value)
				}
			}
			_, out, _ := p.command(t, "", "check", "--json")
			for what, text := range map[string]string{"the log": s.log.String(), "check": out} {
				for _, form := range []string{secret, url.QueryEscape(secret), base64.StdEncoding.EncodeToString([]byte("app:" + secret)), "pssst"} {
					if strings.Contains(text, form) {
						t.Errorf("%s tells the secret: %s", what, text)
					}
				}
			}
			if body := s.post(t, `["john"]`); strings.Contains(fmt.Sprint(body), "pssst") {
				t.Errorf("the refresh API tells the secret: %+v", body)
			}
		})
	}
}

// TestCredentialsStayAtHome: a redirect to another server does not take them along.
func TestCredentialsStayAtHome(t *testing.T) {
	t.Parallel()
	other := enginetest.Serve(t, map[string]string{"john": johns})
	backend := enginetest.Serve(t, nil)
	backend.SetFault("john", enginetest.Redirect(http.StatusFound, other.URL+"/contacts/john"))
	s := newPlace(t, open(strings.Replace(backend.Template(), "http://", "http://app:secret@", 1), `rosterd_backend_headers = { ["X-Api-Key"] = "key" }`)).serve(t)
	c := s.login(t, "john@example.com")
	if _, err := c.IQ(c.ctx, "get", "", "<query xmlns='jabber:iq:roster'/>"); err != nil {
		t.Fatal(err)
	}
	for _, r := range other.Requests("") {
		for name := range maps.Keys(r.Header) {
			if name == "Authorization" || name == "X-Api-Key" {
				t.Errorf("another server was sent %s", name)
			}
		}
	}
}

// TestRosterVersions: RFC 6121 §2.6.
func TestRosterVersions(t *testing.T) {
	t.Parallel()
	backend := enginetest.Serve(t, map[string]string{"john": johns})
	p := newPlace(t, open(backend.Template()))
	s := p.serve(t)
	get := func(c *client, ver string) xmpptest.Element {
		answer, err := c.IQ(c.ctx, "get", "", "<query xmlns='jabber:iq:roster' ver='"+ver+"'/>")
		c.must(err)
		return answer
	}
	version := func(e xmpptest.Element) string {
		q, _ := e.Find("jabber:iq:roster", "query")
		return q.Attr("ver")
	}
	c := s.login(t, "john@example.com")
	_, advertised := c.Features.Find("urn:xmpp:features:rosterver", "ver")
	equal(t, "advertised", advertised, true)
	first := get(c, "")
	equal(t, "contacts", len(xmpptest.Items(first)), 2)
	if version(first) == "" {
		t.Error("no version")
	}
	equal(t, "children of the result for the same version", len(get(c, version(first)).Children), 0)

	backend.Set("john", `{"marie@example.com": {"name": "Marie"}, "new@example.com": {}}`)
	s.refresh(t, "john")
	var last string
	for range 3 { // regrouped, added, removed
		push, err := c.Expect(c.ctx, "a push", func(e xmpptest.Element) bool { return e.Attr("type") == "set" })
		c.must(err)
		equal(t, "to of the push", push.Attr("to"), c.JID)
		equal(t, "from of the push", push.Attr("from"), "")
		if push.Attr("id") == "" || version(push) == "" || version(push) == last {
			t.Errorf("push without an id or a version of its own: %s", push)
		}
		last = version(push)
	}
	equal(t, "version after the pushes", version(get(c, "")), last)
	equal(t, "children of the result for the version of the last push", len(get(c, last).Children), 0)
	equal(t, "contacts of the result for an old version", len(xmpptest.Items(get(c, version(first)))), 2)
	c.leave()
	s.exit(t)

	c = p.serve(t).login(t, "john@example.com")
	equal(t, "children of the result after a restart", len(get(c, last).Children), 0)
}
