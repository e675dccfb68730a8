package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// desk is a folder where plugins are written and tried.
type desk struct {
	t   *testing.T
	dir string
}

func newDesk(t *testing.T) *desk {
	t.Helper()
	return &desk{t, t.TempDir()}
}

func (d *desk) write(file, text string) {
	d.t.Helper()
	file = filepath.Join(d.dir, file)
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		d.t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		d.t.Fatal(err)
	}
}

func (d *desk) read(file string) string {
	d.t.Helper()
	b, err := os.ReadFile(filepath.Join(d.dir, file))
	if err != nil {
		d.t.Fatal(err)
	}
	return string(b)
}

// costs are what is never the same twice.
var costs = regexp.MustCompile(` *\b\d+(\.\d+)? (ms|µs|s|B|KiB|MiB)\b| *\b\d+ instructions|127\.0\.0\.1:\d+`)

// plugin runs rosterd plugin: what it printed, without what differs each time. In args and in what comes DIR is the desk.
func (d *desk) plugin(stdin string, args ...string) (status int, out string) {
	d.t.Helper()
	full := []string{"plugin"}
	for _, a := range args {
		full = append(full, strings.ReplaceAll(a, "DIR", d.dir))
	}
	var stdout, stderr bytes.Buffer
	status = run(testContext(d.t), full, console{in: strings.NewReader(stdin), out: &stdout, err: &stderr})
	text := strings.ReplaceAll(stdout.String()+stderr.String(), d.dir, "DIR")
	return status, costs.ReplaceAllString(text, " …")
}

func (d *desk) want(status int, text string, args ...string) {
	d.t.Helper()
	d.wantWith("", status, text, args...)
}

func (d *desk) wantWith(stdin string, status int, text string, args ...string) {
	d.t.Helper()
	text = strings.TrimPrefix(text, "\n")
	if got, out := d.plugin(stdin, args...); got != status || out != text {
		d.t.Errorf("rosterd plugin %s: status %d, want %d; got\n%s\nwant\n%s", strings.Join(args, " "), got, status, out, text)
	}
}

// people is a backend as the new plugin expects it.
func people(t *testing.T) (url string) {
	t.Helper()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Set-Cookie", "session=keks")
		switch r.URL.Path {
		case "/people/alice":
			fmt.Fprint(w, `{"people": [{"login": "bob", "name": "Bob", "team": "Sales"}, {"login": "x y", "name": "X", "team": "Sales"}]}`)
		case "/people/broken":
			fmt.Fprint(w, `{"people": null}`)
		default:
			w.WriteHeader(http.StatusNotFound)
		}
	}))
	t.Cleanup(srv.Close)
	return srv.URL + "/people/%s"
}

// TestPluginTools goes the way of somebody who writes a plugin.
func TestPluginTools(t *testing.T) {
	d := newDesk(t)
	url := people(t)
	d.want(exitOK, `
DIR/crm/mod_crm.lua
DIR/crm/README.md
DIR/crm/tests/contacts.json
DIR/crm/tests/not-found.json
DIR/crm/tests/temporary.json
DIR/crm/tests/unreadable.json

Try it:  rosterd plugin test DIR/crm
Then make DIR/crm/mod_crm.lua what your backend needs; DIR/crm/README.md says how to go on.
`, "new", "--lang", "lua", "DIR/crm")
	d.want(exitFailed, "rosterd plugin new: DIR/crm: there is something in it already\n", "new", "DIR/crm")
	passed := `
DIR/crm/mod_crm.lua
  ok    contacts …  1 HTTP …%s
  ok    not-found …  1 HTTP …%s
  ok    temporary …  1 HTTP …%s
  ok    unreadable …  1 HTTP …%s
4 passed, 0 failed
`
	counted := fmt.Sprintf(passed, " …", " …", " …", " …")
	passed = fmt.Sprintf(passed, "", "", "", "")
	d.want(exitOK, counted, "test", "DIR/crm")
	d.want(exitOK, passed, "test", "--isolation", "process", "DIR/crm/mod_crm.lua")
	d.want(exitUsage, `
DIR/crm/mod_crm.lua: refused
  DIR/crm/mod_crm.lua:6: option crm_url is not set
  not set, and needed: try --option crm_url=…, or --config prosody.cfg.lua
`, "check", "DIR/crm")
	d.want(exitOK, `
DIR/crm/mod_crm.lua: ok
  provides  rosters
  options   crm_url, url template: set (--option)
  asks      http:// …
`, "check", "DIR/crm/mod_crm", "--option", "crm_url="+url)

	live := `
roster of alice@chat.example: 1 contact

CONTACT           SUBSCRIPTION  NAME  GROUPS
bob@chat.example  both          Bob   Sales

left out
  x y@chat.example: not a valid JID

HTTP
  GET http:// …/people/alice?token=…  200 OK … …

took …, of which … for HTTP; … allocated; …
recorded in DIR/crm/tests/alice.json; passwords, tokens and cookies that were recognized are REDACTED there: look before you share it
try it: rosterd plugin test --run alice DIR/crm
`
	d.want(exitOK, live, "run", "DIR/crm", "--user", "alice@chat.example", "--option", "crm_url="+url+"?token=geheim", "--record", "DIR/crm/tests")
	if s := d.read("crm/tests/alice.json"); strings.Contains(s, "geheim") || strings.Contains(s, "keks") {
		t.Errorf("a secret in\n%s", s)
	}
	d.want(exitOK, "DIR/crm/mod_crm.lua\n  ok    alice …  1 HTTP … …\n1 passed, 0 failed\n", "test", "DIR/crm", "--run", "al*")
	d.want(exitFailed, `
no roster of nobody@example.com: not-found
  the backend does not know this user: GET http:// …/people/nobody → 404 Not Found

HTTP
  GET http:// …/people/nobody  404 Not Found … …

took …, of which … for HTTP; … allocated; …
`, "run", "DIR/crm", "--user", "nobody", "--option", "crm_url="+url)
	if status, text := d.plugin("", "run", "DIR/crm", "--user", "broken", "--option", "crm_url="+url); status != exitFailed || !strings.HasPrefix(text, "no roster of broken@example.com: temporary\n  the answer cannot be read: DIR/crm/mod_crm.lua:11: ") {
		t.Errorf("status %d:\n%s", status, text)
	}
	if status, text := d.plugin("", "bench", "DIR/crm", "--count", "20"); status != exitOK || !strings.Contains(text, "alice, inproc, 20 calls\n  time          p50 …") || !strings.Contains(text, "answered from the case at once") {
		t.Errorf("status %d:\n%s", status, text)
	}
	if status, text := d.plugin("", "bench", "DIR/crm", "--count", "20", "--isolation", "process", "--run", "contacts"); status != exitOK || !strings.Contains(text, "contacts, process, 20 calls\n") || !strings.Contains(text, "a call in the plugin's process") {
		t.Errorf("status %d:\n%s", status, text)
	}
}

// TestPluginRunJSON: what scripts are told.
func TestPluginRunJSON(t *testing.T) {
	d := newDesk(t)
	url := people(t)
	d.plugin("", "new", "DIR/crm")
	_, text := d.plugin("", "run", "DIR/crm", "--json", "--isolation", "process", "--user", "alice@chat.example", "--option", "crm_url="+url)
	var got struct {
		Roster  map[string]any
		Dropped map[string]string
		HTTP    []struct {
			Method, URL string
			Status      int
		}
	}
	if err := json.Unmarshal([]byte(text), &got); err != nil || len(got.Roster) != 1 || got.Dropped["x y@chat.example"] == "" || len(got.HTTP) != 1 || got.HTTP[0].Status != 200 {
		t.Errorf("%v\n%s", err, text)
	}
}

// TestPluginTestFails: what somebody reads whose case is not as he thinks.
func TestPluginTestFails(t *testing.T) {
	d := newDesk(t)
	d.plugin("", "new", "DIR/crm")
	crm := `"options": {"crm_url": "http://crm.example/%s"}, "user": "john"`
	answer := `"http": [{"request": {"url": "http://crm.example/john"}, "response": {"json": {"people": [{"login": "marie", "name": "Marie"}, {"login": "x y"}]}}}]`
	for _, f := range []string{"contacts", "not-found", "temporary", "unreadable"} {
		if err := os.Remove(filepath.Join(d.dir, "crm", "tests", f+".json")); err != nil {
			t.Fatal(err)
		}
	}
	d.want(exitFailed, "DIR/crm/mod_crm.lua\n  no cases: DIR/crm/tests/*.json\n0 passed, 0 failed\n", "test", "DIR/crm")
	d.write("crm/tests/1-contacts.json", `{`+crm+`, `+answer+`, "expect": {"roster": {"marie@example.com": {"name": "Marie", "groups": ["Friends"]}, "joe@example.com": {}}}}`)
	d.write("crm/tests/2-url.json", `{`+crm+`, "http": [{"request": {"url": "http://crm.example/jane"}, "response": {}}], "expect": {"error": "not-found"}}`)
	d.write("crm/tests/3-typo.json", "{"+crm+",\n\"expected\": {}}")
	d.write("crm/tests/4-option.json", `{"user": "john", "expect": {"roster": {}}}`)
	want := `
DIR/crm/mod_crm.lua
  FAIL  1-contacts …  1 HTTP … …
        the roster differs (- expected, + got):
          - marie@example.com  both  Marie  Friends
          + marie@example.com  both  Marie  -
          - joe@example.com    both  -      -
        left out, which expect.dropped does not say:
          x y@example.com: not a valid JID
  FAIL  2-url …  1 HTTP … …
        failed with temporary, not with not-found: GET http://crm.example/john: not recorded in this case
        asked, but not recorded: GET http://crm.example/john
          recorded: GET http://crm.example/jane
        recorded, but never asked for: GET http://crm.example/jane
  FAIL  3-typo …  0 HTTP …
        DIR/crm/tests/3-typo.json:2: unknown field "expected"
  FAIL  4-option …  0 HTTP …
        DIR/crm/mod_crm.lua:6: option crm_url is not set
0 passed, 4 failed
`
	d.want(exitFailed, want, "test", "DIR/crm")
	d.want(exitOK, `
DIR/crm/mod_crm.lua
  new   1-contacts …  1 HTTP … …
1 case rewritten: look at the difference before you keep it
1 passed, 0 failed
`, "test", "DIR/crm", "--run", "1-*", "--update")
	d.want(exitOK, "DIR/crm/mod_crm.lua\n  ok    1-contacts …  1 HTTP … …\n1 passed, 0 failed\n", "test", "DIR/crm", "--run", "1-*")
	status, text := d.plugin("", "test", "DIR/crm", "--json")
	var got verdicts
	if err := json.Unmarshal([]byte(text), &got); err != nil || status != exitFailed || got.Passed != 1 || got.Failed != 3 || len(got.Cases[1].Problems) != 3 {
		t.Errorf("status %d, %v\n%s", status, err, text)
	}
	d.want(exitFailed, "rosterd plugin bench: DIR/crm/mod_crm.lua has no case \"x\"\n", "bench", "DIR/crm", "--run", "x")
	d.want(exitFailed, `
rosterd plugin bench: case 2-url fails:
  failed with temporary, not with not-found: GET http://crm.example/john: not recorded in this case
  asked, but not recorded: GET http://crm.example/john
    recorded: GET http://crm.example/jane
  recorded, but never asked for: GET http://crm.example/jane
`, "bench", "DIR/crm", "--run", "2-url")
}

// TestPluginCheck: what is said of a script that works, and of those that do not.
func TestPluginCheck(t *testing.T) {
	d := newDesk(t)
	d.write("mod_odd.lua", `
local http = require "net.http"
local n = module:get_option_number("odd_number", 5)
local seen = {}
module:provides("auth", { test_password = function(user, password)
  seen[user] = true
  return http.request("https://crm.example/" .. user) and module:get_option_boolean("odd_late")
end })
module:provides("http", { default_path = "/notices", route = { ["POST /changed"] = function() return 204 end } })
module:add_timer(60, function() return 60 end)
module:log("warn", "hello")
`)
	d.write("mod_wrong.lua", "local x = io.open('x')\nlocal y = require 'socket'\n")
	d.write("mod_syntax.lua", "local = 1\n")
	d.want(exitFailed, `
DIR/mod_odd.lua: ok
  provides  passwords
            POST /notices/changed
            timer 0, first after 1m0s
  options   odd_number, number: 5
            odd_late, boolean: not set
  asks      nobody over HTTP
  warning: DIR/mod_odd.lua:6: seen is filled in a function, and is empty again in the next call: what is to last belongs into module:open_store
  warning: DIR/mod_odd.lua:7: option odd_late is read in a function: read it at the top, where a mistake in it is found when the script is opened
  warning: DIR/mod_odd.lua:7: https://crm.example/ is no server that the script may ask: have an option name it, or rosterd_plugin_http_allow
  warning: DIR/mod_odd.lua: it asks over HTTP, and no option that it has read names a server: it may ask nobody
  warning: DIR/mod_odd.lua: it logged: hello
  warning: --option odd: the plugin did not ask for it when it was opened
`, "check", "DIR/mod_odd.lua", "--option", "odd=1")
	for file, wants := range map[string][]string{
		"wrong":  {"DIR/mod_wrong.lua: refused\n", "  DIR/mod_wrong.lua:1: not available in rosterd: io", "  DIR/mod_wrong.lua:2: not available in rosterd: socket"},
		"syntax": {"DIR/mod_syntax.lua: refused\n", "  DIR/mod_syntax.lua:1: "},
	} {
		status, text := d.plugin("", "check", "DIR/mod_"+file+".lua")
		for _, want := range wants {
			if status != exitUsage || !strings.Contains(text, want) {
				t.Errorf("status %d, no %q in\n%s", status, want, text)
			}
		}
	}
	d.want(exitUsage, "rosterd plugin check: stat DIR/gone: no such file or directory\n", "check", "DIR/gone")
}

// TestPluginConfig: options come from the configuration, of the host that enables the module.
func TestPluginConfig(t *testing.T) {
	d := newDesk(t)
	d.plugin("", "new", "DIR/crm")
	d.write("prosody.cfg.lua", fmt.Sprintf("plugin_paths = { %q }\nVirtualHost \"a.example\"\nVirtualHost \"b.example\"\nmodules_enabled = { \"crm\" }\ncrm_url = %q\n", filepath.Join(d.dir, "crm"), people(t)))
	for _, plugin := range []string{"DIR/crm", "crm"} {
		if status, text := d.plugin("", "run", plugin, "--config", "DIR/prosody.cfg.lua", "--user", "alice"); status != exitOK || !strings.Contains(text, "roster of alice@b.example: 1 contact\n") {
			t.Errorf("status %d:\n%s", status, text)
		}
	}
	if status, text := d.plugin("", "check", "crm", "--config", "DIR/prosody.cfg.lua"); status != exitOK || !strings.Contains(text, "crm_url, url template: set (DIR/prosody.cfg.lua:5)") {
		t.Errorf("status %d:\n%s", status, text)
	}
	if status, text := d.plugin("", "check", "crm", "--config", "DIR/prosody.cfg.lua", "--host", "a.example"); status != exitUsage || !strings.Contains(text, "option crm_url is not set") {
		t.Errorf("status %d:\n%s", status, text)
	}
	d.want(exitFailed, "rosterd plugin run: DIR/prosody.cfg.lua has no VirtualHost \"c.example\"\n", "run", "crm", "--config", "DIR/prosody.cfg.lua", "--user", "alice@c.example")
	if status, text := d.plugin("", "run", "http_roster_admin", "--config", "DIR/prosody.cfg.lua", "--user", "alice@a.example", "--option", "http_roster_url="+people(t)); status != exitFailed || !strings.Contains(text, "→ 200 OK: not a roster") {
		t.Errorf("the module that ships with rosterd: status %d:\n%s", status, text)
	}
}

// TestPluginCalls: what is not a roster can be run too.
func TestPluginCalls(t *testing.T) {
	d := newDesk(t)
	d.write("mod_all.lua", `
module:provides("auth", { test_password = function(user, password) return password == "right" end })
module:provides("http", { route = { ["POST /changed"] = function(event)
  module:log("info", "got %s of %s", event.request.body, event.request.headers.x_from)
  return module:refresh_rosters({ event.request.body }) and { status_code = 202, body = event.request.url.query }
end } })
module:add_timer(5, function() return 10 end)
`)
	rest := "\ntook …, of which … for HTTP; … allocated; …\n"
	d.wantWith("right\n", exitOK, "john@example.com is let in\n"+rest, "run", "DIR", "--call", "auth", "--user", "john")
	d.wantWith("wrong\n", exitFailed, "john@example.com is not let in: denied\n  the backend denies access\n"+rest, "run", "DIR", "--call", "auth", "--user", "john")
	d.want(exitOK, "202 Accepted\nContent-Type: text/plain; charset=utf-8\nX-Content-Type-Options: nosniff\n\na=b\n\nlog\n  info: got john of crm\n\nwould refresh\n  john\n"+rest,
		"run", "DIR", "--call", "http", "--request", "POST /all/changed?a=b", "--header", "X-From: crm", "--data", "john")
	d.want(exitOK, "done; again in 10s\n"+rest, "run", "DIR", "--call", "timer")
	d.want(exitFailed, "failed: permanent\n  there is no timer 1: the plugin has 1\n\ntook …, of which … for HTTP; … allocated\n", "run", "DIR", "--call", "timer", "--timer", "1")
	d.plugin("right\n", "run", "DIR", "--call", "auth", "--user", "john", "--record", "DIR/tests")
	d.plugin("", "run", "DIR", "--call", "timer", "--record", "DIR/tests")
	d.plugin("", "run", "DIR", "--call", "http", "--request", "/changed", "--data", "john", "--record", "DIR/tests")
	d.want(exitFailed, `
DIR/mod_all.lua
  ok    http …  0 HTTP … …
  FAIL  john …  0 HTTP … …
        not let in: denied: the backend denies access
  ok    timer …  0 HTTP … …
2 passed, 1 failed
`, "test", "DIR") // the script compares the password, of which the case has none
}

// TestPluginEdits: so can what users want of their rosters, be it with the module that ships with rosterd; what was recorded is
// asked of it again.
func TestPluginEdits(t *testing.T) {
	backend := newCRM(t)
	d := newDesk(t)
	d.write("mod_all.lua", `
local http, json = require "net.http", require "util.json"
local url = module:get_option_url_template("all_url")
module:provides("roster", { fetch = function() return {} end, edit = function(user, change)
  return http.request(url(user).."/"..change.contact, { method = change.action == "remove" and "DELETE" or "PUT",
    headers = { ["Idempotency-Key"] = change.id }, body = json.encode { action = change.action, groups = change.groups, name = change.name } })
end })
`)
	option := []string{"--call", "edit", "--user", "romeo", "--option", "all_url=" + backend.URL + "/contacts/%s"}
	run := func(edit string, more ...string) (status int, text string) {
		return d.plugin("", append(append([]string{"run", "DIR", "--edit", edit}, option...), more...)...)
	}
	for edit, want := range map[string]string{
		"set juliet@example.com": "taken\n", "remove unknown@example.com": "not taken: not-found\n", "set veto@example.com": "not taken: denied\n  the backend does not allow it: ask your manager\n",
		"subscribe down@example.com": "not taken: temporary\n",
	} {
		status, text := run(edit, "--name", "J", "--group", "A", "--group", "B")
		if !strings.HasPrefix(text, want) || (status == exitOK) != (want == "taken\n") {
			t.Errorf("%s: status %d\n%s", edit, status, text)
		}
	}
	if status, text := run("dance juliet@example.com"); status == exitOK || !strings.Contains(text, `"dance" is none of`) {
		t.Errorf("status %d\n%s", status, text)
	}
	if status, text := run("set"); status != exitUsage || !strings.Contains(text, "what does the user want?") {
		t.Errorf("status %d\n%s", status, text)
	}
	backend.took(t, backend.edits...)
	if _, text := run("set juliet@example.com", "--json"); !strings.Contains(text, `"taken": true`) {
		t.Error(text)
	}
	if key := backend.took(t, `PUT /contacts/romeo/juliet@example.com {"action":"set","groups":{}}`).Get("Idempotency-Key"); len(key) < 20 {
		t.Errorf("the request is named %q", key)
	}
	run("set juliet@example.com", "--record", "DIR/tests", "--name", "J", "--group", "A")
	run("remove veto@example.com", "--record", "DIR/tests")
	d.want(exitOK, `
DIR/mod_all.lua
  ok    romeo-2 …  1 HTTP … …
  ok    romeo …  1 HTTP … …
2 passed, 0 failed
`, "test", "DIR")
}

// TestPluginCards: so can who users are.
func TestPluginCards(t *testing.T) {
	backend := newStaff(t)
	photo, hash := picture("\x89PNG one")
	backend.set("romeo", `{"fn":"Romeo <M>","email":"r@m.example","photo":`+photo+`}`)
	backend.set("paris", `{"fn":5}`)
	d := newDesk(t)
	d.write("mod_all.lua", `
local http = require "net.http"
local url = module:get_option_url_template("all_url")
module:provides("roster", { fetch = function() return {} end, vcard = function(r) return http.request(url(r.username)) end })
`)
	run := func(user string, more ...string) (status int, text string) {
		return d.plugin("", append([]string{"run", "DIR", "--call", "vcard", "--user", user, "--option", "all_url=" + backend.URL + "/cards/%s"}, more...)...)
	}
	for user, want := range map[string]string{
		"romeo":  "vCard of romeo@example.com:\n\nfn     \"Romeo <M>\"\nemail  \"r@m.example\"\nphoto  image/png, 8 bytes, SHA-1 " + hash + "\n",
		"tybalt": "nothing is known of tybalt@example.com\n", "paris": "no vCard of paris@example.com: permanent\n  vCard of paris@example.com: fn: a number, not a string\n",
	} {
		status, text := run(user)
		if !strings.HasPrefix(text, want) || (status == exitOK) != (user != "paris") {
			t.Errorf("%s: status %d\n%s", user, status, text)
		}
	}
	if _, text := run("romeo", "--json"); !strings.Contains(text, `"fn": "Romeo <M>"`) {
		t.Error(text)
	}
	run("romeo", "--record", "DIR/tests")
	run("tybalt", "--record", "DIR/tests")
	d.write("tests/other.json", `{"call": "vcard", "user": "john", "options": {"all_url": "http://h.example/%s"}, "http": [{"request": {"url": "http://h.example/john"},
		"response": {"json": {"fn": "J", "nickname": "Jo"}}}], "expect": {"vcard": {"fn": "John", "org": "O"}}}`)
	d.want(exitFailed, `
DIR/mod_all.lua
  FAIL  other …  1 HTTP … …
        the vCard has nickname, "Jo", and should not
        the vCard's fn is "J", not "John"
        the vCard has no org, and should have "O"
  ok    romeo …  1 HTTP … …
  ok    tybalt …  1 HTTP … …
2 passed, 1 failed
`, "test", "DIR")
	d.plugin("", "test", "DIR", "--update")
	if status, text := d.plugin("", "test", "DIR"); status != exitOK {
		t.Error(text)
	}
}

func TestPluginUsage(t *testing.T) {
	d := newDesk(t)
	d.plugin("", "new", "DIR/crm")
	for _, args := range [][]string{
		{}, {"dance"}, {"new"}, {"new", "DIR/a", "DIR/b"}, {"check"}, {"check", "--wrong", "DIR/crm"}, {"run", "DIR/crm"}, {"run", "--user", "a@b"},
		{"run", "DIR/crm", "--user", "a@b", "--call", "dance"}, {"run", "DIR/crm", "--call", "http"}, {"run", "DIR/crm", "--user", "a@b", "--host", "c"}, {"run", "DIR/crm", "--user", "a", "--option", "x"}, {"run", "DIR/crm", "--call", "edit", "--edit", "set b@c"},
		{"test"}, {"test", "DIR/crm", "--isolation", "vm"}, {"bench"}, {"bench", "DIR/crm", "--time", "1h"}, {"bench", "DIR/crm", "--count", "-1"},
	} {
		if status, text := d.plugin("", args...); status != exitUsage || !strings.Contains(strings.ToLower(text), "usage") {
			t.Errorf("rosterd plugin %s: status %d:\n%s", strings.Join(args, " "), status, text)
		}
	}
	if status, text := d.plugin("", "help"); status != exitOK || !strings.Contains(text, "rosterd plugin bench") {
		t.Errorf("status %d:\n%s", status, text)
	}
	d.want(exitFailed, "rosterd plugin new: language \"cobol\" is none of as, c, go, lua, rust\n", "new", "--lang", "cobol", "DIR/a")
	d.want(exitFailed, "rosterd plugin new: \"My CRM\" cannot be the name of a plugin: small letters, digits and _, beginning with a letter\n", "new", "DIR/My CRM")
}

// TestPluginOptions: what is said of options that cannot be read, and of those that are misspelt.
func TestPluginOptions(t *testing.T) {
	d := newDesk(t)
	d.plugin("", "new", "DIR/crm")
	const tail = `
  what is text goes in quotes or brackets: --option '%s'
  a table is written { a = 1, ["b-c"] = "x" }, a list { "x", "y" }
`
	d.want(exitUsage, `rosterd plugin run: --option crm_map: "{\"a\":1}" is no Lua value: value:1: '}' expected near ':'`+fmt.Sprintf(tail, `crm_map=[[{"a":1}]]`),
		"run", "DIR/crm", "--user", "a", "--option", `crm_map={"a":1}`)
	d.want(exitUsage, `rosterd plugin check: --option crm_map: "{\"a\":[[1]]}" is no Lua value: value:1: '}' expected near ':'`+fmt.Sprintf(tail, `crm_map="{\"a\":[[1]]}"`),
		"check", "DIR/crm", "--option", `crm_map={"a":[[1]]}`)
	d.want(exitUsage, `rosterd plugin check: --option crm_map: "{ f() }" is not one value that is written out`+fmt.Sprintf(tail, `crm_map=[[{ f() }]]`), "check", "DIR/crm", "--option", "crm_map={ f() }")

	const needed = "  not set, and needed: try --option crm_url=…, or --config prosody.cfg.lua\n"
	d.want(exitFailed, "rosterd plugin run: DIR/crm/mod_crm.lua:6: option crm_url is not set\n"+needed, "run", "DIR/crm", "--user", "a")
	d.want(exitFailed, "rosterd plugin run: DIR/crm/mod_crm.lua:6: option crm_url is not set\n"+needed+`  --option crm_ulr: it had not asked for that until then (did you mean crm_url?)
  --option frob: it had not asked for that until then
`, "run", "DIR/crm", "--user", "a", "--option", "crm_ulr=x", "--option", "frob=1")
	d.want(exitUsage, "DIR/crm/mod_crm.lua: refused\n  DIR/crm/mod_crm.lua:6: option crm_url is not set\n"+needed+"  --option crm_ulr: it had not asked for that until then (did you mean crm_url?)\n",
		"check", "DIR/crm", "--option", "crm_ulr=x")
	d.write("mod_x.lua", "local = 1")
	if _, text := d.plugin("", "run", "DIR/mod_x.lua", "--user", "a", "--option", "x_url=1"); strings.Contains(text, "x_url") {
		t.Errorf("an option is named where no plugin has run:\n%s", text)
	}
}

// TestPluginSameInBoth: clock, randomness and store are the case's wherever the script runs.
func TestPluginSameInBoth(t *testing.T) {
	d := newDesk(t)
	d.write("mod_when.lua", `
local datetime, hex, random = require "util.datetime", require "util.hex", require "util.random"
local store = module:open_store("seen", "map")
module:provides("roster", { fetch = function(user)
  return nil, "temporary", datetime.datetime() .. " " .. hex.encode(random.bytes(4)) .. " " .. store:get(user, "n")
end })
`)
	d.write("tests/when.json", `{"user": "john", "now": "2026-02-03T04:05:06Z", "seed": 5, "store": {"seen": {"john\u0000n": 7}}, "expect": {"error": "temporary", "contains": "2026-02-03T04:05:06Z CHANCE 7"}}`)
	_, text := d.plugin("", "test", "DIR")
	chance := regexp.MustCompile(`2026-02-03T04:05:06Z ([0-9a-f]{8}) 7`).FindStringSubmatch(text)
	if chance == nil {
		t.Fatal(text)
	}
	d.write("tests/when.json", strings.Replace(d.read("tests/when.json"), "CHANCE", chance[1], 1))
	for _, isolation := range []string{"inproc", "process"} {
		if status, text := d.plugin("", "test", "DIR", "--isolation", isolation); status != exitOK {
			t.Errorf("%s:\n%s", isolation, text)
		}
	}
}

// TestPluginFuzz: a script that trusts its backend is found out, one that does not passes, and what is found is a case.
func TestPluginFuzz(t *testing.T) {
	d := newDesk(t)
	script := `
local http, json = require "net.http", require "util.json"
local url_of = module:get_option_url_template("crm_url")
local function contacts(people, req)
  local list = {}
  for i, login in ipairs(people) do list[i] = { jid = tostring(login) .. "@" .. req.host } end
  return list
end
module:provides("roster", { fetch = function(user, req)
  local res, err = http.request(url_of(user))
  if not res then return nil, "temporary", err end
  if res.code ~= 200 then return res end
  local people = json.decode(res.body)
  %s
end })
`
	d.write("trusting/mod_crm.lua", fmt.Sprintf(script, "return contacts(people.people, req)"))
	d.write("careful/mod_crm.lua", fmt.Sprintf(script, `local ok, list = pcall(function() return contacts(people.people, req) end)
  if not ok then return nil, "temporary", tostring(list) end
  return list`))
	for _, dir := range []string{"trusting", "careful"} {
		d.write(dir+"/tests/contacts.json", `{"options": {"crm_url": "http://crm.example/%s"}, "user": "john", "http": [{"request": {"url": "http://crm.example/john"}, "response": {"json": {"people": ["marie"]}}}], "expect": {"roster": {"marie@example.com": {}}}}`)
	}
	for _, where := range []string{"inproc", "process"} {
		status, text := d.plugin("", "fuzz", "DIR/careful", "--count", "300", "--seed", "4", "--time", "1m", "--isolation", where)
		if status != exitOK || !strings.Contains(text, "300 calls of 1 case, seed 4, "+where) || !strings.Contains(text, "\n0 faults found\n") {
			t.Errorf("status %d:\n%s", status, text)
		}
	}
	status, text := d.plugin("", "fuzz", "DIR/trusting", "--count", "200", "--seed", "4", "--time", "1m", "--write", "DIR/trusting/tests")
	if status != exitFailed || !strings.Contains(text, "FAULT  trap, call ") || !strings.Contains(text, "written to DIR/trusting/tests/fuzz-trap-") {
		t.Errorf("status %d:\n%s", status, text)
	}
	status, text = d.plugin("", "test", "DIR/trusting", "--run", "fuzz-*")
	if status != exitFailed || !strings.Contains(text, "a fault, and anything else would do: plugin fault (trap): ") || strings.Contains(text, "  ok  ") {
		t.Errorf("status %d:\n%s", status, text)
	}
	d.write("trusting/mod_crm.lua", d.read("careful/mod_crm.lua"))
	if status, text = d.plugin("", "test", "DIR/trusting"); status != exitOK || strings.Contains(text, "FAIL") {
		t.Errorf("status %d:\n%s", status, text)
	}
	status, text = d.plugin("", "fuzz", "DIR/trusting", "--count", "5", "--json", "--run", "cont*", "--cases", "DIR/careful/tests")
	var got struct {
		Calls    int
		Findings []any
	}
	if err := json.Unmarshal([]byte(text), &got); err != nil || status != exitOK || got.Calls != 5 || got.Findings == nil {
		t.Errorf("status %d, %v:\n%s", status, err, text)
	}
	d.want(exitFailed, "rosterd plugin fuzz: DIR/careful/mod_crm.lua has no case DIR/careful/tests/x.json, and without cases it is not known what a backend answers\n", "fuzz", "DIR/careful", "--run", "x")
}
