package lua_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"rosterd/engine"
	"rosterd/engine/addr"
	"rosterd/plugins"
	"rosterd/plugins/lua"
)

// world is what a script under test can reach: pages by path, a memory, and somebody who refreshes rosters.
type world struct {
	plugins.Memory
	pages map[string]string // "/x" is the body of http://backend/x; there is no other

	mu        sync.Mutex
	running   int // requests
	refreshed []string
	lines     []string
	refuse    error         // what Refresh answers
	gate      chan struct{} // every request waits for it, if it is there
	waiting   chan struct{} // told of each that waits
}

func (w *world) HTTP(ctx context.Context, r plugins.HTTPRequest) (*plugins.HTTPResponse, error) {
	path := strings.TrimPrefix(r.URL, "http://backend")
	w.count(1)
	defer w.count(-1)
	if w.waiting != nil {
		w.waiting <- struct{}{}
	}
	if w.gate != nil {
		select {
		case <-w.gate:
		case <-ctx.Done():
			return nil, fmt.Errorf("GET %s: %w", r.URL, ctx.Err())
		}
	}
	if status, ok := strings.CutPrefix(path, "/status/"); ok {
		n, err := strconv.Atoi(status)
		return &plugins.HTTPResponse{Method: "GET", URL: r.URL, Status: n, Header: http.Header{}}, err
	}
	if path == "/down" {
		return nil, errors.New("GET http://backend/down: connection refused")
	}
	body, ok := w.pages[path]
	res := &plugins.HTTPResponse{Method: "GET", URL: r.URL, Status: 200, Header: http.Header{"Content-Type": {"application/json"}}, Body: []byte(body)}
	if !ok {
		res.Status = 404
	}
	return res, nil
}

// count changes how many requests are running, and tells how many there are.
func (w *world) count(more int) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.running += more
	return w.running
}

func (w *world) Load(ctx context.Context, store, key string) ([]byte, bool, error) {
	if store == "broken" {
		return nil, false, errors.New("the disk is gone")
	}
	return w.LoadValue(ctx, "h", "p", store, key)
}

func (w *world) Save(ctx context.Context, store, key string, value []byte, ttl time.Duration) error {
	if store == "broken" {
		return errors.New("the disk is gone")
	}
	return w.SaveValue(ctx, "h", "p", store, key, value, ttl)
}

func (w *world) Refresh(_ context.Context, users []string) (plugins.Refreshed, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.refreshed = append(w.refreshed, users...)
	return plugins.Refreshed{Updated: len(users), Errors: 1}, w.refuse
}

func (w *world) Log(_ context.Context, level slog.Level, msg string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.lines = append(w.lines, strings.TrimSuffix(fmt.Sprintln(append([]any{level, msg}, args...)...), "\n"))
}

func (*world) Random([]byte)  {}
func (*world) Now() time.Time { return time.Unix(1000, 5e8) }
func (*world) Close()         {}

// in opens a script in a world.
func in(t testing.TB, w plugins.Services, code string) (plugins.Plugin, error) {
	t.Helper()
	src := plugins.Source{Name: "test", File: "mod_test.lua", Code: []byte(code)}
	p, err := lua.Open(t.Context(), src, plugins.Host{Name: "example.com"}, plugins.NewOptions(options{}), w)
	if err == nil {
		t.Cleanup(func() { _ = p.Close() })
	}
	return p, err
}

func mustIn(t testing.TB, w plugins.Services, code string) plugins.Plugin {
	t.Helper()
	p, err := in(t, w, code)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func soon(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), generous)
	t.Cleanup(cancel)
	return ctx
}

// outcome is an error as tables write it: what kind it is, and its text.
func outcome(err error) string {
	if err == nil {
		return "ok"
	}
	return errorKind(err) + ": " + err.Error()
}

func TestAuth(t *testing.T) {
	for _, tt := range []struct{ name, provider, want string }{
		{"in", `test_password = function(user, password) return user == "jim" and password == "pass" end`, "ok"},
		{"out", `test_password = function() return false end`, "denied: the backend denies access"},
		{"out with a text", `test_password = function() return nil, "account is locked" end`, "denied: the backend denies access: account is locked"},
		{"nothing", `test_password = function() end`, "denied: "},
		{"unknown", `test_password = function() return nil, "not-found" end`, "unknown user: "},
		{"denied", `test_password = function() return nil, "denied", "on leave" end`, "denied: the backend denies access: on leave"},
		{"the service fails", `test_password = function() return nil, "temporary", "LDAP is down" end`, "temporary: LDAP is down"},
		{"the service fails, as a request says it", `test_password = function() return http.request("http://backend/down") end`, "temporary: GET http://backend/down: connection refused"},
		{"no word of an outage", `test_password = function() local r = http.request("http://backend/down") return r and r.code == 200 or false end`, "temporary: GET http://backend/down: connection refused"},
		{"no word of an outage behind a proxy", `test_password = function() return http.request("http://backend/status/502").code == 200, "wrong password" end`, "temporary: GET http://backend/status/502"},
		{"refused by the service", `test_password = function() return http.request("http://backend/status/401").code == 200 end`, "denied: "},
		{"refused by one service, while another is down", `test_password = function() http.request("http://backend/down") return http.request("http://backend/status/403").code == 200 end`, "denied: "},
		{"not asked", `test_password = function(user) if user ~= "john" then return false end return http.request("http://backend/down") end`, "denied: "},
		{"a promise", `test_password = function() return promise.resolve(true) end`, "ok"},
		{"a promise of false", `test_password = function() return promise.resolve(false) end`, "denied: "},
		{"a promise that is rejected", `test_password = function() return promise.reject("LDAP is down") end`, "temporary: LDAP is down"},
		{"text", `test_password = function() return "yes" end`, "fault protocol: plugin fault (protocol): mod_test.lua: auth of jim@example.com: test_password returned a string, not true, false or nil (the function at mod_test.lua:1)"},
		{"a number", `test_password = function() return 1 end`, "fault protocol"},
		{"an error", `test_password = function() error("oops") end`, "fault trap: plugin fault (trap): mod_test.lua: auth of jim@example.com: mod_test.lua:1: oops"},
		{"compared", `get_password = function(user) return user == "jim" and "pass" or nil end`, "ok"},
		{"compared, and another", `get_password = function() return "other" end`, "denied: "},
		{"nothing to compare with", `get_password = function() return nil end`, "denied: "},
		{"nothing to compare with, with a reason", `get_password = function() return nil, "temporary", "x" end`, "temporary: x"},
		{"compared with a number", `get_password = function() return 5 end`, "fault protocol"},
		{"test_password comes first", `get_password = function() return "pass" end, test_password = function() return false end`, "denied: "},
		{"enabled", `test_password = function() return true end, is_enabled = function(user) return user == "jim" end`, "ok"},
		{"disabled", `test_password = function() return true end, is_enabled = function() return false end`, "denied: the backend denies access: the account is disabled"},
		{"disabled, and compared", `get_password = function() return "pass" end, is_enabled = function() return nil, "on leave" end`, "denied: the backend denies access: on leave"},
		{"nobody knows whether it is enabled", `test_password = function() return true end, is_enabled = function() return nil, "temporary", "x" end`, "temporary: x"},
		{"enabled by a text", `test_password = function() return true end, is_enabled = function() return "no" end`, "fault protocol: plugin fault (protocol): mod_test.lua: auth of jim@example.com: is_enabled returned a string, not true, false or nil"},
		{"enabled and a wrong password", `test_password = function() return false end, is_enabled = function() error("x") end`, "denied: "},
		{"the rest of Prosody's", `is_admin = print, test_password = function() return true end, get_sasl_handler = print, set_password = print, user_exists = print, users = print, create_user = print, delete_user = print, name = "x"`, "ok"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			code := `local http, promise = require "net.http", nil; `
			if strings.Contains(tt.provider, "promise.") {
				code = `local promise = require "util.promise"; `
			}
			p := mustIn(t, &world{}, code+`module:provides("auth", { `+tt.provider+` })`)
			if i := p.Info(); i.Roster || !i.Auth {
				t.Errorf("%+v", i)
			}
			err := p.Authenticate(soon(t), addr.MustBare("jim@example.com"), "pass")
			if got := outcome(err); !strings.HasPrefix(got, tt.want) || strings.HasSuffix(tt.want, "ok") && got != tt.want {
				t.Errorf("%s\nwant %s", got, tt.want)
			}
		})
	}
}

// Nobody is let in by what was cut short, and no password is told.
func TestAuthThatDoesNotEnd(t *testing.T) {
	p := mustIn(t, &world{}, `module:provides("auth", { test_password = function(user, password) error("got "..type(password)) end })`)
	err := p.Authenticate(soon(t), addr.MustBare("jim@example.com"), "geheim")
	if err == nil || strings.Contains(err.Error(), "geheim") {
		t.Errorf("%v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := p.Authenticate(ctx, addr.MustBare("jim@example.com"), "pass"); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}

// What handlers return, as in Prosody.
func TestReplies(t *testing.T) {
	for _, tt := range []struct{ name, handler, want string }{
		{"text", `return "hi"`, "200 [] hi"},
		{"status", `return 204`, "204 [] "},
		{"status beyond 400", `return 409`, "409 [] "},
		{"nothing", ``, "404 [] "},
		{"table", `return { status_code = 201, headers = { location = "/x", content_type = "text/plain" }, body = "made" }`, `201 [Content-Type: text/plain Location: /x] made`},
		{"table without anything", `return {}`, "200 [] "},
		{"status before", `r.status_code = 202; return "later"`, "202 [] later"},
		{"header before", `r.headers["Content-Type"] = "text/html"; return "<p>"`, "200 [Content-Type: text/html] <p>"},
		{"sent", `r.status_code = 202; r:send("now"); return true`, "202 [] now"},
		{"sent, and then something else", `r:send("now"); return "other"`, "200 [] now"},
		{"sent twice", `r:send("one"); r:send("two"); return true`, "200 [] one"},
		{"body before", `r.body = "before"; r:send(); return true`, "200 [] before"},
		{"sent by a callback", `http.request("http://backend/x", nil, function(body) r:send("got "..body) end); return true`, "200 [] got page"},
		{"sent by a callback of a callback", `http.request("http://backend/x", nil, function() http.request("http://backend/y", nil, function(body, code) r:send("got "..code) end) end); return true`, "200 [] got 404"},
		{"sent by a timer", `module:add_timer(0.001, function() r:send("in time") end); return true`, "200 [] in time"},
		{"promise", `return http.request("http://backend/x"):next(function(res) return res.body end)`, "200 [] page"},
		{"promise of a table", `return promise.resolve { status_code = 201, body = "x" }`, "201 [] x"},
		{"promise rejected with a status", `return promise.reject(418)`, "418 [] "},
		{"promise rejected", `return promise.reject("no")`, "temporary: no"},
		{"promise of a request that failed", `return http.request("http://backend/down")`, "temporary: GET http://backend/down: connection refused"},
		{"waited", `local res = async.wait_for(http.request("http://backend/x")); return res.body`, "200 [] page"},
		{"temporary", `return nil, "temporary", "the database is down"`, "temporary: the database is down"},
		{"work goes on after the answer", `http.request("http://backend/x", nil, function() module:refresh_rosters({ "late" }) end); return 202`, "202 [] "},

		{"false", `return false`, "fault protocol: plugin fault (protocol): mod_test.lua: http POST /test/x for example.com: a handler returned false, which is no answer (the function at mod_test.lua:2)"},
		{"function", `return print`, "fault protocol: plugin fault (protocol): mod_test.lua: http POST /test/x for example.com: a handler returned a function"},
		{"true and nothing", `return true`, "fault protocol: plugin fault (protocol): mod_test.lua: http POST /test/x for example.com: a handler returned true, but response:send was not called"},
		{"unknown field", `return { status = 200 }`, "fault protocol: plugin fault (protocol): mod_test.lua: http POST /test/x for example.com: a handler returned a table with status"},
		{"status is text", `return { status_code = "200" }`, "fault protocol: plugin fault (protocol): mod_test.lua: http POST /test/x for example.com: status_code is a string"},
		{"status that is none", `return 99`, "fault protocol: plugin fault (protocol): mod_test.lua: http POST /test/x for example.com: status_code is 99"},
		{"body is a table", `return { body = {} }`, "fault protocol: plugin fault (protocol): mod_test.lua: http POST /test/x for example.com: body is a table"},
		{"headers is text", `return { headers = "x" }`, "fault protocol: plugin fault (protocol): mod_test.lua: http POST /test/x for example.com: a handler returned headers: a string"},
		{"header is a table", `return { headers = { a = {} } }`, "fault protocol: plugin fault (protocol): mod_test.lua: http POST /test/x for example.com: headers.a is a table"},
		{"header with a line break", `return { headers = { a = "b\r\nc: d" } }`, "fault protocol: plugin fault (protocol): mod_test.lua: http POST /test/x for example.com: headers.a cannot be sent"},
		{"sent wrongly", `r:send({})`, "fault trap: plugin fault (trap): mod_test.lua: http POST /test/x for example.com: mod_test.lua:3: response:send: body is a table"},
		{"error", `error("oops")`, "fault trap: plugin fault (trap): mod_test.lua: http POST /test/x for example.com: mod_test.lua:3: oops"},
		{"error in a callback", `http.request("http://backend/x", nil, function() error("oops") end); return true`, "fault trap: plugin fault (trap): mod_test.lua: http POST /test/x for example.com: mod_test.lua:3: oops"},
		{"promise that never comes", `return promise.new(function() end)`, "fault protocol: plugin fault (protocol): mod_test.lua: http POST /test/x for example.com: the handler of POST /test/x returned a promise that can never be settled"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			requires := `local http = require "net.http";`
			if strings.Contains(tt.handler, "promise.") || strings.Contains(tt.handler, "async.") || strings.Contains(tt.name, "promise") {
				requires += `local async, promise = require "util.async", require "util.promise";`
			}
			p := mustIn(t, &world{pages: map[string]string{"/x": "page"}}, requires+`
				module:provides("http", { route = { ["POST /x"] = function(event) local r = event.response;
				`+tt.handler+` end } })`)
			reply, err := p.Handle(soon(t), plugins.Call{Method: "POST", Path: "/test/x"})
			got := outcome(err)
			if err == nil {
				got = showReply(reply)
			}
			if !strings.HasPrefix(got, tt.want) || err == nil && got != tt.want {
				t.Errorf("%s\nwant %s", got, tt.want)
			}
		})
	}
}

func showReply(r plugins.Reply) string {
	var fields []string
	for name, v := range r.Header {
		fields = append(fields, name+": "+strings.Join(v, ", "))
	}
	slices.Sort(fields)
	return fmt.Sprintf("%d %v %s", r.Status, fields, r.Body)
}

func TestRequestsFromOutside(t *testing.T) {
	p := mustIn(t, &world{}, `
		local json = require "util.json";
		local function show(event, rest)
			local r = event.request;
			return table.concat({ r.method, r.path, r.url.path, r.url.query or "-", r.headers.content_type, r.headers["content-type"], r.headers["Content-Type"],
				tostring(r.headers.absent), tostring(r.headers.host), r.body, r.ip, tostring(r.secure), r.host, tostring(rest) }, " ");
		end
		module:provides("http", { name = "other", route = { ["GET /b/*"] = show, ["post"] = show, ["GET /a"] = "fixed", ["PUT /a"] = { status_code = 201 } } })`)
	want := plugins.Info{App: "other", Path: "/other", Routes: []plugins.Route{{Method: "POST", Path: ""}, {Method: "GET", Path: "/a"}, {Method: "PUT", Path: "/a"}, {Method: "GET", Path: "/b/*"}}}
	if got := p.Info(); fmt.Sprint(got) != fmt.Sprint(want) {
		t.Fatalf("%+v", got)
	}
	for _, tt := range []struct {
		call plugins.Call
		want string
	}{
		{plugins.Call{Route: 3, Method: "GET", Path: "/other/b/c/d", Rest: "c/d", Query: "x=1&y=%20", Body: []byte("body"), Host: "h.example:5281", From: netip.MustParseAddr("192.0.2.7"), Secure: true},
			"200 [] GET /other/b/c/d /other/b/c/d x=1&y=%20 text/plain text/plain text/plain nil h.example:5281 body 192.0.2.7 true h.example:5281 c/d"},
		{plugins.Call{Route: 0, Method: "POST", Path: "/other", From: netip.MustParseAddr("::1")}, "200 [] POST /other /other - text/plain text/plain text/plain nil nil  ::1 false  nil"},
		{plugins.Call{Route: 1}, "200 [] fixed"},
		{plugins.Call{Route: 2}, "201 [] "},
	} {
		tt.call.Header = http.Header{"Content-Type": {"text/plain"}}
		reply, err := p.Handle(soon(t), tt.call)
		if got := showReply(reply); err != nil || got != tt.want {
			t.Errorf("%s, %v\nwant %s", got, err, tt.want)
		}
	}
	for _, route := range []int{-1, 4} {
		if _, err := p.Handle(soon(t), plugins.Call{Route: route}); !errors.Is(err, plugins.ErrUnsupported) {
			t.Errorf("route %d: %v", route, err)
		}
	}
}

// What is provided wrongly is said when the script is loaded.
func TestProvidedWrongly(t *testing.T) {
	for _, tt := range []struct{ name, code, err string }{
		{"no password function", `module:provides("auth", {})`, `mod_test.lua:1: module:provides("auth"): no function test_password`},
		{"password function is text", `module:provides("auth", { test_password = "x" })`, `test_password is a string, not a function`},
		{"no password function but a handler", `module:provides("auth", { get_sasl_handler = print })`, `no function test_password; get_sasl_handler is not called`},
		{"is_enabled is no function", `module:provides("auth", { test_password = print, is_enabled = true })`, `is_enabled is a boolean, not a function`},
		{"misspelt password function", `module:provides("auth", { test_pasword = print, get_password = print })`, `not available in rosterd: field test_pasword of module:provides("auth")`},
		{"no routes", `module:provides("http", { route = {} })`, `mod_test.lua:1: module:provides("http"): no routes`},
		{"no table of routes", `module:provides("http", {})`, `route is a nil, not a table`},
		{"route without a path", `module:provides("http", { route = { ["GET x"] = print } })`, `"GET x" is no route`},
		{"route with a star inside", `module:provides("http", { route = { ["GET /a*/b"] = print } })`, `"GET /a*/b" is no route`},
		{"route with a number", `module:provides("http", { route = { print } })`, `"1" is no route`},
		{"route twice", `module:provides("http", { route = { ["GET /a"] = print, ["get /a"] = print } })`, `GET /a is there twice`},
		{"streaming", `module:provides("http", { streaming_uploads = true, route = { GET = print } })`, `field streaming_uploads`},
		{"default_path", `module:provides("http", { default_path = "x", route = { GET = print } })`, `default_path "x" does not begin with a slash`},
		{"default_path is a number", `module:provides("http", { default_path = 5, route = { GET = print } })`, `default_path is a number`},
		{"name is a number", `module:provides("http", { name = 5, route = { GET = print } })`, `name is a number`},
		{"twice", `module:provides("http", { route = { GET = print } }); module:provides("http", { route = { GET = print } })`, `module:provides("http") is called twice`},
		{"timer without a function", `module:add_timer(5)`, `mod_test.lua:1: bad argument #3`},
		{"timer into the past", `module:add_timer(-1, print)`, `mod_test.lua:1: module:add_timer: -1 is no number of seconds`},
		{"timer and no number", `module:add_timer(0/0, print)`, `is no number of seconds`},
		{"too many timers", `for i = 1, 65 do module:add_timer(5, print) end`, `more than 64 timers`},
		{"timer of the script stopped", `module:add_timer(5, print):stop()`, `not available in rosterd: timer:stop of a timer that the script itself sets`},
		{"roster twice", `module:hook("roster-load", print)`, `both module:provides("roster", …) and module:hook("roster-load", …)`},
		{"hook without a function", `module:hook("roster-load")`, `mod_test.lua:1: bad argument #3`},
		{"waiting", `require "util.async".waiter()()`, "mod_test.lua:1: async.wait is for functions given to module:provides"},
		{"sleeping", `require "util.async".sleep(1)`, "mod_test.lua:1: async.sleep is for functions given to module:provides"},
		{"store", `module:open_store():get("x")`, "mod_test.lua:1: store:get is for functions given to module:provides"},
		{"refresh", `module:refresh_rosters({})`, "mod_test.lua:1: module:refresh_rosters is for functions given to module:provides"},
		{"HTTP with a callback", `require "net.http".request("http://backend/x", nil, print)`, "mod_test.lua:1: net.http.request is for functions given to module:provides"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := in(t, &world{}, tt.code+"\nmodule:provides('roster', { fetch = print })")
			if err == nil || !strings.Contains(err.Error(), tt.err) {
				t.Errorf("%v\nwant %s", err, tt.err)
			}
		})
	}
}

// A script runs for each call. If it is not the same then as when it was loaded, the call has nothing to call.
func TestScriptThatChanges(t *testing.T) {
	once := `local runs = os.time() -- the time goes on
		if runs < 1000 then
			module:provides("roster", { fetch = function() return {} end })
			module:provides("auth", { test_password = function() return true end })
			module:provides("http", { route = { ["GET /a"] = function() return "" end } })
			module:add_timer(60, function() end)
		else
			module:provides("http", { route = { ["GET /b"] = function() return "" end } })
		end`
	w := &later{world: &world{}, at: time.Unix(0, 0)}
	p := mustIn(t, w, once)
	w.at = time.Unix(2000, 0)
	_, fetched := p.Fetch(soon(t), request("jim"))
	_, handled := p.Handle(soon(t), plugins.Call{})
	_, ticked := p.Tick(soon(t), 0)
	for what, err := range map[string]error{
		`module:provides("roster")`: fetched, `module:provides("auth")`: p.Authenticate(soon(t), addr.MustBare("jim@example.com"), ""),
		`the route "GET /a"`: handled, `timer 0`: ticked,
	} {
		if errorKind(err) != "fault protocol" || !strings.Contains(err.Error(), "does not provide "+what+" this time") {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// later is a world at another time.
type later struct {
	*world
	at time.Time
}

func (l *later) Now() time.Time { return l.at }

func TestTimers(t *testing.T) {
	for _, tt := range []struct{ name, code, want string }{
		{"again", `return 30`, "30s"},
		{"again soon", `return 0.25`, "250ms"},
		{"not again", ``, "0s"},
		{"the time", `return now`, "16m40.5s"},
		{"arguments", `return a + b`, "7s"},
		{"promise", `return http.request("http://backend/x"):next(function() return 5 end)`, "5s"},
		{"refreshes", `local did = module:refresh_rosters({ "a", "b" }); return did.updated * 10 + did.errors`, "21s"},
		{"refreshes in a callback", `http.request("http://backend/x", nil, function() module:refresh_rosters({ "late" }) end); return 60`, "1m0s"},
		{"temporary", `return nil, "temporary", "x"`, "temporary: x"},
		{"rejected", `return http.request("http://backend/down")`, "temporary: GET http://backend/down"},
		{"zero", `return 0`, "fault protocol: plugin fault (protocol): mod_test.lua: timer 1 for example.com: the function of a timer returned 0, not a number of seconds up to a year, or nil (the function at mod_test.lua:3)"},
		{"text", `return "5"`, "fault protocol"},
		{"error", `error("oops")`, "fault trap: plugin fault (trap): mod_test.lua: timer 1 for example.com: mod_test.lua:4: oops"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := &world{pages: map[string]string{"/x": ""}}
			requires := ""
			if tt.name == "rejected" {
				requires = `require "util.promise"`
			}
			p := mustIn(t, w, `local http = require "net.http" `+requires+`
				module:add_timer(90, print)
				module:add_timer(0.5, function(now, a, b)
				`+tt.code+` end, 3, 4)`)
			if i := p.Info(); fmt.Sprint(i.Timers) != "[1m30s 500ms]" || i.Roster {
				t.Errorf("%+v", i)
			}
			again, err := p.Tick(soon(t), 1)
			got := outcome(err)
			if err == nil {
				got = again.String()
			}
			if !strings.HasPrefix(got, tt.want) {
				t.Errorf("%s\nwant %s", got, tt.want)
			}
			if strings.Contains(tt.name, "callback") && fmt.Sprint(w.refreshed) != "[late]" {
				t.Errorf("refreshed %q", w.refreshed)
			}
		})
	}
	p := mustIn(t, &world{}, provide(""))
	if _, err := p.Tick(soon(t), 0); !errors.Is(err, plugins.ErrUnsupported) {
		t.Errorf("%v", err)
	}
}

// What a fetch may do while it waits. Each case is the body of fetch; what it returns as text is its result.
func TestWaiting(t *testing.T) {
	for _, tt := range []struct{ name, code, want string }{
		{"callback", `local wait, done = async.waiter(); local got; http.request(u.."/x", nil, function(body, code, res, req) got = body..code..type(res)..res.code..req.url; done() end); wait(); return got`, "page200table200http://backend/x"},
		{"callback, and it failed", `local wait, done = async.waiter(); local got; http.request(u.."/down", nil, function(body, code, req) got = body.." "..code.." "..req.method; done() end); wait(); return got`, "GET http://backend/down: connection refused 0 GET"},
		{"two at once", `local wait, done = async.waiter(2); local n = 0; for _, p in ipairs { "/x", "/y" } do http.request(u..p, nil, function(_, code) n = n + code; done() end) end; wait(); return n`, "604"},
		{"wait_for", `local res, err = async.wait_for(http.request(u.."/x")); return res.body..tostring(err)`, "pagenil"},
		{"wait_for, and it failed", `local res, err = async.wait_for(http.request(u.."/down")); return tostring(res)..err`, "nilGET http://backend/down: connection refused"},
		{"wait is wait_for", `return async.wait(http.request(u.."/x")).body`, "page"},
		{"all", `local r = async.wait_for(promise.all { a = http.request(u.."/x"), b = http.request(u.."/y"), c = 5 }); return r.a.code + r.b.code + r.c`, "609"},
		{"all, and one failed", `local r, err = async.wait_for(promise.all { http.request(u.."/x"), http.request(u.."/down") }); return tostring(r)..err`, "nilGET http://backend/down: connection refused"},
		{"any", `return async.wait_for(promise.any { http.request(u.."/down"), http.request(u.."/x") }).body`, "page"},
		{"race", `return async.wait_for(promise.race { promise.new(function() end), http.request(u.."/x") }).body`, "page"},
		{"chain", `return async.wait_for(http.request(u.."/x"):next(function(r) return http.request(u.."/y") end):next(function(r) return r.code end))`, "404"},
		{"waiting inside a handler", `return async.wait_for(http.request(u.."/x"):next(function(r) return async.wait_for(http.request(u.."/y")).code + r.code end))`, "604"},
		{"waiting inside a coroutine", `return coroutine.wrap(function() return async.wait_for(http.request(u.."/x")).body end)()`, "page"},
		{"waiting inside pcall", `local ok, r = pcall(function() return async.wait_for(http.request(u.."/x")) end); return tostring(ok)..r.body`, "truepage"},
		{"client of its own", `return async.wait_for(http.new({ suppress_errors = true }):request(u.."/x")).body..async.wait_for(http.default:request(u.."/x", nil)).body`, "pagepage"},
		{"sleep", `async.sleep(0.001); return "rested"`, "rested"},
		{"sleep while a request runs", `local p = http.request(u.."/x"); async.sleep(0.001); return async.wait_for(p).body`, "page"},
		{"timers in order", `local s = ""; for _, d in ipairs { 0.3, 0.1, 0.2, 0.1 } do module:add_timer(d, function(now, x) s = s..x..";" end, d) end; async.sleep(0.4); return s`, "0.1;0.1;0.2;0.3;"},
		{"timer again", `local n = 0; module:add_timer(0, function() n = n + 1; if n < 3 then return 0.001 end end); while n < 3 do async.sleep(0.001) end; return n`, "3"},
		{"timer stopped", `local n = 0; local t = module:add_timer(0.001, function() n = n + 1 end); t:stop(); async.sleep(0.002); return n`, "0"},
		{"timer set anew", `local n = 0; local t = module:add_timer(1000, function() n = n + 1 end); t:reschedule(0.001); async.sleep(0.002); return n`, "1"},
		{"runner", `local s = ""; local r = async.runner(function(x) s = s..x..async.wait_for(http.request(u.."/x")).code end); r:run("a"); r:run("b"); return s..r.state`, "a200b200ready"},
		{"runner and its error", `local s; local r = async.runner(function() error("oops", 0) end, { error = function(_, err) s = err end }); r:run(1); return s`, "oops"},
		{"guarder", `local guard = async.guarder(); local exit = guard("x"); exit(); guard("x", function() end); return "in and out"`, "in and out"},
		{"ready", `return tostring(async.ready())`, "true"},
		{"promise caught", `return async.wait_for(promise.new(function() error("oops", 0) end):catch(function(e) return e end))`, "oops"},
		{"handler at once", `local s = "a"; promise.resolve():next(function() s = s.."b" end); return s.."c"`, "abc"},

		{"waiting for nothing", `async.waiter()()`, "fault trap: plugin fault (trap): mod_test.lua: roster of jim@example.com: mod_test.lua:5: async.wait waits for what can never come: no HTTP request and no timer is under way"},
		{"waiting for a promise that nobody settles", `async.wait_for(promise.new())`, "fault trap: plugin fault (trap): mod_test.lua: roster of jim@example.com: mod_test.lua:5: async.wait_for waits for what can never come"},
		{"two that wait for each other", `local guard = async.guarder(); guard("x"); guard("x")`, "fault trap: plugin fault (trap): mod_test.lua: roster of jim@example.com: mod_test.lua:5: a guard of async.guarder waits for what can never come"},
		{"done too often", `local wait, done = async.waiter(); done(); done()`, "fault trap: plugin fault (trap): mod_test.lua: roster of jim@example.com: mod_test.lua:5: done() called too many times"},
		{"promise used as a response", `return http.request(u.."/x").body`, "fault trap: plugin fault (trap): mod_test.lua: roster of jim@example.com: mod_test.lua:5: a promise has no body: the response comes to promise:next(function (response) … end), or from async.wait_for(promise)"},
		{"error in a callback", `http.request(u.."/x", nil, function() error("oops") end); async.sleep(1000)`, "fault trap: plugin fault (trap): mod_test.lua: roster of jim@example.com: mod_test.lua:5: oops"},
		{"too many requests", `for i = 1, 9 do http.request(u.."/x") end`, "fault trap: plugin fault (trap): mod_test.lua: roster of jim@example.com: mod_test.lua:5: more than 8 HTTP requests in one call"},
		{"too many timers", `for i = 1, 65 do module:add_timer(1, print) end`, "fault trap: plugin fault (trap): mod_test.lua: roster of jim@example.com: mod_test.lua:5: more than 64 timers"},
		{"refresh", `module:refresh_rosters({ "jim" })`, "fault trap: plugin fault (trap): mod_test.lua: roster of jim@example.com: mod_test.lua:5: module:refresh_rosters is for handlers of HTTP requests and for timers"},
		{"provides too late", `module:provides("auth", {})`, "fault trap: plugin fault (trap): mod_test.lua: roster of jim@example.com: mod_test.lua:5: module:provides belongs into the script itself"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := mustIn(t, &world{pages: map[string]string{"/x": "page"}}, `local http, async, promise = require "net.http", require "util.async", require "util.promise"
				local u = "http://backend"
				local function body()
				-- line 5 is the next
				`+tt.code+`
				end
				module:provides("roster", { fetch = function() return nil, "denied", tostring(body()) end })`)
			_, err := fetch(t, p, request("jim"))
			got := outcome(err)
			if text, ok := strings.CutPrefix(got, "denied: the backend denies access: "); ok {
				got = text
			}
			if !strings.HasPrefix(got, tt.want) || !strings.HasPrefix(tt.want, "fault") && got != tt.want {
				t.Errorf("%s\nwant %s", got, tt.want)
			}
		})
	}
}

// Which of the styles of net.http a script gets is known before it runs.
func TestStyles(t *testing.T) {
	for name, tt := range map[string]struct{ code, want string }{
		"plain":            {``, "plain"},
		"a method of ours": {`local t = {}; function t:go() end; t:go()`, "plain"},
		"util.promise":     {`local p = require "util.promise"`, "promise"},
		"util.async":       {`local p = require("prosody.util.async")`, "promise"},
		"guarded":          {`pcall(require, "util.async")`, "promise"},
		"next":             {`local function f(x) return x:next(print) end`, "promise"},
		"catch":            {`local function f(x) return x:catch(print) end`, "promise"},
		"finally":          {`local function f(x) return x:finally(print) end`, "promise"},
		"next of Lua":      {`local k = next({})`, "plain"},
	} {
		p := mustIn(t, &world{pages: map[string]string{"/x": "page"}}, tt.code+`
			module:provides("roster", { fetch = function()
				local r = require "net.http".request("http://backend/x")
				return nil, "denied", rawget(r, "_state") and "promise" or "plain"
			end })`)
		if _, err := fetch(t, p, request("jim")); err == nil || !strings.HasSuffix(err.Error(), ": "+tt.want) {
			t.Errorf("%s: %v, want %s", name, err, tt.want)
		}
	}
}

// A fetch may return a promise.
func TestPromisesOfRosters(t *testing.T) {
	for _, tt := range []struct{ name, code, want string }{
		{"of a response", `return http.request(u.."/x")`, `a@x "A" both []`},
		{"of a response that is none", `return http.request(u.."/y")`, "unknown user: the backend does not know this user: GET http://backend/y → 404"},
		{"of contacts", `return http.request(u.."/x"):next(function() return { { jid = "b@x" } } end)`, `b@x "" both []`},
		{"of contacts that are none", `return http.request(u.."/x"):next(function() return { { jid = 5 } } end)`, "fault protocol: plugin fault (protocol): mod_test.lua: roster of jim@example.com: fetch returned items[1].jid: a number, not a string (the function at mod_test.lua:3)"},
		{"of nil and a reason", `return http.request(u.."/x"):next(function() return nil, "not-found", "gone" end)`, "unknown user: the backend does not know this user: gone"},
		{"of nil and a reason, further down the chain", `return http.request(u.."/x"):next(function() return nil, "denied", "x" end):catch(print):finally(function() end)`, "denied: the backend denies access: x"},
		{"of nothing", `return promise.resolve()`, "fault protocol: plugin fault (protocol): mod_test.lua: roster of jim@example.com: fetch returned nil without a reason"},
		{"rejected with a text", `return promise.reject("no")`, "temporary: no"},
		{"rejected with a reason", `return promise.reject("not-found")`, "unknown user"},
		{"rejected with a table", `return promise.reject(setmetatable({}, { __tostring = function() return "why" end }))`, "temporary: why"},
		{"rejected by a request", `return http.request(u.."/down"):next(print)`, "temporary: GET http://backend/down: connection refused"},
		{"of an error in a handler", `return http.request(u.."/x"):next(function() error("oops") end):next(print)`, "fault trap: plugin fault (trap): mod_test.lua: roster of jim@example.com: mod_test.lua:4: oops"},
		{"that is never settled", `return promise.new(function() end)`, "fault protocol: plugin fault (protocol): mod_test.lua: roster of jim@example.com: fetch returned a promise that can never be settled: no HTTP request and no timer is under way (the function at mod_test.lua:3)"},
		{"that settles itself", `local p, r; p = promise.new(function(resolve) r = resolve end); r(p); return p`, "fault protocol"},
		{"with how long it keeps", `return http.request(u.."/x"):next(function() return { { jid = "b@x" } }, { max_age = 60 } end)`, `b@x "" both [] 1m0s`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := mustIn(t, &world{pages: map[string]string{"/x": `{"a@x":{"name":"A"}}`}}, `local http, promise = require "net.http", require "util.promise"
				local u = "http://backend"
				module:provides("roster", { fetch = function()
				`+tt.code+` end })`)
			a, err := fetch(t, p, request("jim"))
			got := outcome(err)
			if err == nil {
				got = show(a.Roster)
				if a.MaxAge > 0 {
					got += " " + a.MaxAge.String()
				}
			}
			if !strings.HasPrefix(got, tt.want) || err == nil && got != tt.want {
				t.Errorf("%s\nwant %s", got, tt.want)
			}
		})
	}
}

// Requests of one call run at the same time, and none outlives the call.
func TestRequestsAtTheSameTime(t *testing.T) {
	w := &world{pages: map[string]string{"/x": "{}"}, gate: make(chan struct{}), waiting: make(chan struct{})}
	p := mustIn(t, w, `local http, promise = require "net.http", require "util.promise"
		module:provides("roster", { fetch = function()
			http.request("http://backend/left", nil, print)
			return promise.all({ http.request("http://backend/x"), http.request("http://backend/x"), http.request("http://backend/x") }):next(function() return {} end)
		end })`)
	done := make(chan error)
	go func() {
		_, err := p.Fetch(soon(t), request("jim"))
		done <- err
	}()
	for range 4 { // all of them, before any of them has an answer
		<-w.waiting
	}
	close(w.gate)
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestRequestsEndWithTheCall(t *testing.T) {
	w := &world{gate: make(chan struct{}), waiting: make(chan struct{}, 8)}
	p := mustIn(t, w, `local http = require "net.http"
		module:provides("roster", { fetch = function()
			http.request("http://backend/x", nil, print)
			return nil, "denied"
		end })`)
	_, err := p.Fetch(soon(t), request("jim")) // which does not wait for the answer to its request
	<-w.waiting
	if errorKind(err) != "denied" || w.count(0) != 0 {
		t.Errorf("%d requests are left, %v", w.count(0), err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	p = mustIn(t, w, `require "util.async"; local http = require "net.http"
		module:provides("roster", { fetch = function() return http.request("http://backend/x") end })`)
	w.waiting = make(chan struct{})
	go func() { <-w.waiting; cancel() }()
	if _, err := p.Fetch(ctx, request("jim")); !errors.Is(err, context.Canceled) || w.count(0) != 0 {
		t.Errorf("%d requests are left, %v", w.count(0), err)
	}
}

// A result that does not wait for the answer that it is made of would be a roster without contacts, or a verdict at random.
func TestResultsBeforeTheAnswer(t *testing.T) {
	const want = "fault protocol: plugin fault (protocol): mod_test.lua: roster of jim@example.com: fetch returned while its HTTP request was under way"
	for _, tt := range []struct{ name, code, want string }{
		{"callback", `fetch(function() local t = {}; http.request(u, nil, function() t[1] = { jid = "b@x" } end); return t end)`, want},
		{"callback, and nothing yet", `fetch(function() local t; http.request(u, nil, function() t = {} end); return t end)`, want},
		{"promise", `fetch(function() local t = {}; http.request(u):next(function() t[1] = { jid = "b@x" } end); return t end)`, want},
		{"hook", `module:hook("roster-load", function(e) http.request(u, nil, function() e.roster["b@x"] = {} end) end)`,
			"fault protocol: plugin fault (protocol): mod_test.lua: roster of jim@example.com: roster-load returned while its HTTP request was under way"},
		{"one of two is enough", `fetch(function() return async.wait_for(promise.race { promise.new(function() end), http.request(u), http.request(u) }) end)`, `b@x "" both []`},
		{"a failure needs no answer", `fetch(function() http.request(u, nil, print); return nil, "denied" end)`, "denied"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := mustIn(t, &world{pages: map[string]string{"/x": `{"b@x":{}}`}}, `local http, async, promise = require "net.http", require "util.async", require "util.promise"
				local u = "http://backend/x"
				local function fetch(f) module:provides("roster", { fetch = f }) end
				`+tt.code)
			a, err := fetch(t, p, request("jim"))
			got := outcome(err)
			if err == nil {
				got = show(a.Roster)
			}
			if !strings.HasPrefix(got, tt.want) {
				t.Errorf("%s\nwant %s", got, tt.want)
			}
		})
	}
	for _, verdict := range []string{"true", "false"} {
		p := mustIn(t, &world{pages: map[string]string{"/x": ""}}, `module:provides("auth", { test_password = function()
				local ok = `+verdict+`
				require "net.http".request("http://backend/x", nil, function() ok = not ok end)
				return ok
			end })`)
		err := p.Authenticate(t.Context(), addr.MustBare("jim@example.com"), "x")
		if !strings.Contains(outcome(err), "fault protocol: plugin fault (protocol): mod_test.lua: auth of jim@example.com: test_password returned while") {
			t.Errorf("%s before the answer: %v", verdict, err)
		}
	}
}

// What goes wrong in a promise that nobody looks at is not lost.
func TestRejectionsNobodyCatches(t *testing.T) {
	const oops = `function() error("oops") end`
	for _, tt := range []struct{ name, code, err, line string }{
		{name: "an error in a handler", code: `http.request(u.."/x"):next(` + oops + `)`, err: "mod_test.lua:3: oops"},
		{name: "an error while a promise is made", code: `promise.new(` + oops + `)`, err: "mod_test.lua:3: oops"},
		{name: "an error, and somebody who tidies up", code: `http.request(u.."/x"):next(` + oops + `):finally(function() end)`, err: "mod_test.lua:3: oops"},
		{name: "a request that failed", code: `http.request(u.."/down"):next(print)`, line: "nobody catches a promise that is rejected: GET http://backend/down: connection refused"},
		{name: "caught", code: `http.request(u.."/x"):next(` + oops + `):catch(function() end)`},
		{name: "caught later", code: `local p = promise.new(` + oops + `); p:catch(function() end)`},
		{name: "waited for", code: `require "util.async".wait_for(promise.reject("x"))`},
		{name: "one of all", code: `promise.all { http.request(u.."/down"), http.request(u.."/x") }:catch(function() end)`},
		{name: "settled with all others", code: `promise.all_settled { http.request(u.."/down"), promise.new(` + oops + `) }`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := &world{pages: map[string]string{"/x": "page"}}
			p := mustIn(t, w, `local http, promise, u = require "net.http", require "util.promise", "http://backend"
				module:add_timer(1, function()
				`+tt.code+` end)`)
			_, err := p.Tick(t.Context(), 0)
			if tt.err == "" && err != nil || tt.err != "" && (errorKind(err) != "fault trap" || !strings.HasSuffix(err.Error(), tt.err)) {
				t.Errorf("error %v, want %q", err, tt.err)
			}
			if tt.line != "" && !slices.ContainsFunc(w.lines, func(l string) bool { return strings.Contains(l, tt.line) }) || tt.line == "" && len(w.lines) > 0 {
				t.Errorf("logged %q, want %q", w.lines, tt.line)
			}
		})
	}
}

// A backend that is slower than the call may be is the backend's failure; a script that sleeps for too long is its own.
func TestDeadlineWhileWaiting(t *testing.T) {
	for _, tt := range []struct{ name, code, want string }{
		{"a promise", `return http.request("http://backend/x")`, "temporary"},
		{"a callback", `local wait = async.waiter(); http.request("http://backend/x", nil, print); wait()`, "temporary"},
		{"in pcall", `while true do pcall(async.wait_for, http.request("http://backend/x")) end`, "temporary"},
		{"sleep", `async.sleep(1000)`, "fault deadline"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := mustIn(t, &world{gate: make(chan struct{})}, `local http, async = require "net.http", require "util.async"
				module:provides("roster", { fetch = function() `+tt.code+` end })`)
			ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
			defer cancel()
			_, err := p.Fetch(ctx, request("jim"))
			if kind := errorKind(err); kind != tt.want || !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("%s: %v", kind, err)
			}
		})
	}
}

func TestRosterLoad(t *testing.T) {
	for _, tt := range []struct{ name, code, want string }{
		{"as Prosody keeps it", `hook(function(e) e.roster["a@x"] = { name = "A", subscription = "to", groups = { Friends = true }, persist = false } end)`, `a@x "A" to ["Friends"]`},
		{"by name", `hook(function(e) e.roster[e.username.."-friend@"..e.host] = {} end)`, `jim-friend@example.com "" both []`},
		{"nothing", `hook(function() end)`, ``},
		{"what stands beside the contacts", `hook(function(e) e.roster[false].version = 5; e.roster[false].pending["b@x"] = true end)`, ``},
		{"two, by priority", `hook(function(e) e.roster["a@x"].name = e.roster["a@x"].name.."2" end, -1); hook(function(e) e.roster["a@x"] = { name = "1" } end, 5)`, `a@x "12" both []`},
		{"two, in order", `hook(function(e) e.roster["a@x"] = { name = "1" } end); hook(function(e) e.roster["a@x"].name = e.roster["a@x"].name.."2" end)`, `a@x "12" both []`},
		{"the first one is enough", `hook(function(e) return true end); hook(function(e) e.roster["a@x"] = {} end)`, ``},
		{"not now", `hook(function() return nil, "temporary", "x" end)`, "temporary: x"},
		{"a wrong item", `hook(function(e) e.roster["a@x"] = { subscription = "x" } end)`, `fault protocol: plugin fault (protocol): mod_test.lua: roster of jim@example.com: roster-load left in event.roster items["a@x"].subscription: "x" is none of`},
		{"an error", `hook(function(e) error("oops") end)`, "fault trap: plugin fault (trap): mod_test.lua: roster of jim@example.com: mod_test.lua:1: oops"},
		{"a promise", `require "util.promise" hook(function(e) return require "net.http".request("http://backend/x"):next(function() e.roster["a@x"] = {} end) end)`, `a@x "" both []`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := mustIn(t, &world{}, `local function hook(f, priority) module:hook("roster-load", f, priority) end `+tt.code)
			if !p.Info().Roster {
				t.Error("no roster is provided")
			}
			a, err := fetch(t, p, request("jim"))
			got := outcome(err)
			if err == nil {
				got = show(a.Roster)
			}
			if !strings.HasPrefix(got, tt.want) || err == nil && got != tt.want {
				t.Errorf("%s\nwant %s", got, tt.want)
			}
		})
	}
}

// What is kept, each line in a call of its own, in the order of the lines.
func TestStores(t *testing.T) {
	w := &world{}
	for _, tt := range []struct{ code, want string }{
		{`local s = module:open_store("s"); return tostring(s:get("k"))`, "nil"},
		{`local s = module:open_store("s"); return tostring(s:set("k", { a = { 1, "two", true }, b = 1.5 }))`, "true"},
		{`local v = module:open_store("s"):get("k"); return v.a[1]..v.a[2]..tostring(v.a[3])..v.b`, "1twotrue1.5"},
		{`local v = module:open_store("other"):get("k"); return tostring(v)`, "nil"},
		{`local s = module:open_store("s"); s:set("text", "x"); s:set("no", false); s:set(nil, "unnamed"); return s:get("text")..tostring(s:get("no"))..s:get(nil)`, "xfalseunnamed"},
		{`local s = module:open_store("s"); s:set("k", nil); return tostring(s:get("k"))`, "nil"},
		{`local s = module:open_store(); s:set("k", 1); return module:open_store("test"):get("k")`, "1"},
		{`local s = module:open_store("s", "map"); s:set("jim", "k", 1); s:set("jill", "k", 2); return s:get("jim", "k")..s:get("jill", "k")..tostring(s:get("jim", "j"))`, "12nil"},
		{`local s = module:open_store("s", "map"); s:set("jim", "k", nil); return tostring(s:get("jim", "k"))..s:get("jill", "k")`, "nil2"},
		{`local s = module:open_store("broken"); local v, err = s:get("k"); local ok, err2 = s:set("k", 1); return tostring(v)..err..tostring(ok)..err2`, "nilthe disk is gonenilthe disk is gone"},
		{`local s = module:open_store("s"); return s:set("k", 1, 3600) and s:get("k")`, "1"},
		{`local s = module:open_store("s"); local ok, err = s:set("k", ("x"):rep(1048576)); return tostring(ok)..(err or "")`, "nilbeyond a limit"},
		{`local s = module:open_store("s"); return select(2, pcall(s.set, s, "k", print))`, "store:set: a function has no form in JSON"},
		{`local s = module:open_store("s"); return select(2, pcall(s.set, s, {}, 1))`, "bad argument #2"},
		{`local s = module:open_store("s"); return select(2, pcall(s.set, s, "a\0b", 1))`, "a key with U+0000"},
		{`local s = module:open_store("s"); return select(2, pcall(s.set, s, "k", 1, -1))`, "-1 is no number of seconds"},
	} {
		p := mustIn(t, w, `module:provides("roster", { fetch = function() return nil, "denied", (function() `+tt.code+` end)() end })`)
		if _, err := fetch(t, p, request("jim")); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s\n%v\nwant %s", tt.code, err, tt.want)
		}
	}
}

func TestRefreshFromScripts(t *testing.T) {
	for _, tt := range []struct{ name, code, want, users string }{
		{"list", `local r = module:refresh_rosters({ "john", "aaron" }); return r.updated.." "..r.errors`, "200 [] 2 1", "[john aaron]"},
		{"nobody", `return tostring(module:refresh_rosters({}).updated)`, "200 [] 0", "[]"},
		{"util.array", `return tostring(module:refresh_rosters(require "util.array" { "john" }).updated)`, "200 [] 1", "[john]"},
		{"number", `module:refresh_rosters({ "john", 5 })`, "fault trap: plugin fault (trap): mod_test.lua: http POST /test for example.com: mod_test.lua:1: module:refresh_rosters: item 2 is a number", "[]"},
		{"names", `module:refresh_rosters({ john = true })`, "fault trap: plugin fault (trap): mod_test.lua: http POST /test for example.com: mod_test.lua:1: module:refresh_rosters: a table with the key john", "[]"},
		{"text", `module:refresh_rosters("john")`, "fault trap", "[]"},
		{"not now", `local r, why, text = module:refresh_rosters({ "refuse" }); return tostring(r)..why..text`, "200 [] niltemporarynobody is there", "[refuse]"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := &world{}
			if tt.name == "not now" {
				w.refuse = errors.New("nobody is there")
			}
			p := mustIn(t, w, `module:provides("http", { route = { POST = function() `+tt.code+` end } })`)
			reply, err := p.Handle(soon(t), plugins.Call{Method: "POST"})
			got := outcome(err)
			if err == nil {
				got = showReply(reply)
			}
			if !strings.HasPrefix(got, tt.want) || fmt.Sprint(w.refreshed) != tt.users {
				t.Errorf("%s %q\nwant %s %s", got, w.refreshed, tt.want, tt.users)
			}
		})
	}
}

// A line in the log says of which call it is.
func TestLogOfCalls(t *testing.T) {
	w := &world{}
	p := mustIn(t, w, `local function say() module:log("info", "hello") end
		module:provides("roster", { fetch = function() say() return {} end })
		module:provides("auth", { test_password = function() say() return true end })
		module:provides("http", { route = { ["GET /x"] = function() say() return "" end } })
		module:add_timer(60, say)`)
	_, _ = fetch(t, p, request("jim"))
	_ = p.Authenticate(soon(t), addr.MustBare("jim@example.com"), "")
	_, _ = p.Handle(soon(t), plugins.Call{})
	_, _ = p.Tick(soon(t), 0)
	want := []string{"INFO hello user jim@example.com call roster", "INFO hello user jim@example.com call auth", "INFO hello call http route GET /test/x", "INFO hello call timer timer 0"}
	if !slices.Equal(w.lines, want) {
		t.Errorf("%q", w.lines)
	}
}

// What follows contacts says how long they are good, and under which revision.
func TestKeeping(t *testing.T) {
	for _, tt := range []struct{ name, code, want string }{
		{"how long", `return {}, { max_age = 90 }`, "1m30s"},
		{"revision", `return {}, { rev = "7" }`, "0s 7"},
		{"unchanged", `return { unchanged = true }`, "unchanged 0s 5"},
		{"max_age is text", `return {}, { max_age = "90" }`, "fault protocol: plugin fault (protocol): mod_test.lua: roster of jim@example.com: fetch returned max_age = a string"},
		{"rev is a number", `return {}, { rev = 5 }`, "fault protocol: plugin fault (protocol): mod_test.lua: roster of jim@example.com: fetch returned a rev that is no string of up to 1024 bytes but a number"},
		{"unknown", `return {}, { maxage = 5 }`, "fault protocol: plugin fault (protocol): mod_test.lua: roster of jim@example.com: fetch returned, after the contacts, a table with maxage"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := mustIn(t, &world{}, `module:provides("roster", { fetch = function(user, req) if not req.rev then return {}, { rev = "5" } end `+tt.code+` end })`)
			first, err := fetch(t, p, request("jim"))
			if err != nil || first.Rev == "" {
				t.Fatal(first, err)
			}
			r := request("jim")
			r.Rev = first.Rev
			a, err := fetch(t, p, r)
			got := outcome(err)
			if err == nil {
				got = a.MaxAge.String()
				if _, rev, ok := strings.Cut(a.Rev, ":"); ok {
					got += " " + rev
				}
				if a.Unchanged {
					got = "unchanged " + got
				}
			}
			if !strings.HasPrefix(got, tt.want) {
				t.Errorf("%s\nwant %s", got, tt.want)
			}
		})
	}
	p := mustIn(t, &world{}, `module:provides("roster", { fetch = function() return { unchanged = true } end })`)
	if _, err := fetch(t, p, request("jim")); errorKind(err) != "fault protocol" || !strings.Contains(err.Error(), "fetch returned unchanged = true, but was given no req.rev") {
		t.Error(err)
	}
}

// A module written as for Prosody, with a callback, sets, iterators and a route.
func TestModuleLikeProsodys(t *testing.T) {
	code, err := os.ReadFile("testdata/mod_like_prosody.lua")
	if err != nil {
		t.Fatal(err)
	}
	w := &world{pages: map[string]string{"/jim": `{"marie@example.com":{"name":"Marie","groups":["Friends","Hidden"]},"tom@example.com/x":{}}`, "/bad": "<html>"}}
	src := plugins.Source{Name: "like_prosody", File: "mod_like_prosody.lua", Code: code}
	o := options{"http_roster_url": "http://backend/%s", "hidden_groups": []any{"Hidden"}}
	p, err := lua.Open(t.Context(), src, plugins.Host{Name: "example.com"}, plugins.NewOptions(o), w)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	if i := p.Info(); !i.Roster || i.Path != "/roster_admin" || fmt.Sprint(i.Routes) != "[{POST /refresh} {GET /refresh/*}]" {
		t.Errorf("%+v", i)
	}
	for range 2 {
		a, err := fetch(t, p, request("jim"))
		if got := show(a.Roster); err != nil || got != `marie@example.com "Marie" both ["Friends"]; tom@example.com "" both []` {
			t.Errorf("%s, %v", got, err)
		}
	}
	if got := strings.Join(w.lines, "\n"); !strings.Contains(got, "2 contacts of jim: 2 are new, 0 are gone") || !strings.Contains(got, "2 contacts of jim: 0 are new, 0 are gone") {
		t.Errorf("%s", got)
	}
	for user, want := range map[string]string{"nobody": "unknown user: the backend does not know this user: no such user", "bad": "temporary: the answer is not JSON", "down": "temporary: code 0: GET http://backend/down: connection refused"} {
		if _, err := fetch(t, p, request(user)); outcome(err) != want {
			t.Errorf("%s: %s", user, outcome(err))
		}
	}
	for _, tt := range []struct {
		call plugins.Call
		want string
	}{
		{plugins.Call{Body: []byte(`["john","aaron","john"]`)}, `200 [Content-Type: application/json] {"errors":1,"message":"roster update complete","status":"ok","updated":2}`},
		{plugins.Call{Body: []byte(`nonsense`)}, `400 [Content-Type: application/json] {"errors":0,"message":"expected a list of user names","status":"error","updated":0}`},
		{plugins.Call{Route: 1, Rest: "john"}, `200 [Content-Type: application/json] {"message":"roster update complete","status":"error"}`},
	} {
		reply, err := p.Handle(soon(t), tt.call)
		if got := showReply(reply); err != nil || got != tt.want {
			t.Errorf("%s, %v\nwant %s", got, err, tt.want)
		}
	}
	if fmt.Sprint(w.refreshed) != "[aaron john john]" {
		t.Errorf("%q", w.refreshed)
	}
}

// FuzzReturned has scripts return whatever there is. No result is taken for what it is not, and none does harm.
func FuzzReturned(f *testing.F) {
	for _, seed := range []string{
		`{ { jid = "a@x" } }`, `{ ["a@x"] = {} }`, `nil, "temporary"`, `true`, `200`, `{ status_code = 200, headers = { a = "b" } }`, `{ unchanged = true }`,
		`{}, { max_age = 1e308, rev = "" }`, `{ [1.5] = {}, [{}] = 1 }`, `setmetatable({}, { __index = error, __tostring = error })`, `coroutine.create(print)`, `0/0`,
		`{ headers = { [1] = 2 } }`, `promise.resolve { 1 }`, `promise.reject(print)`, `promise.new()`, `setmetatable({ _state = "fulfilled" }, getmetatable(promise.new()))`,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, expr string) {
		p, err := in(t, &world{}, `local promise = require "util.promise"; local function f() return `+expr+` end
			module:provides("roster", { fetch = f })
			module:provides("auth", { test_password = f })
			module:provides("http", { route = { GET = f } })
			module:add_timer(60, f)`)
		if err != nil {
			return
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if reply, err := p.Handle(ctx, plugins.Call{}); err == nil && (reply.Status < 200 || reply.Status > 599) {
			t.Errorf("status %d", reply.Status)
		}
		if again, err := p.Tick(ctx, 0); err == nil && again < 0 {
			t.Errorf("again after %v", again)
		}
		if a, err := p.Fetch(ctx, request("jim")); err == nil && (a.MaxAge < 0 || a.Unchanged) {
			t.Errorf("%+v", a)
		}
		var fault *engine.FaultError
		if err := p.Authenticate(ctx, addr.MustBare("jim@example.com"), ""); errors.As(err, &fault) && fault.Kind == "" {
			t.Error(err)
		}
	})
}

// What a script is asked is a table like any other, whichever way it looks at it.
func TestAsked(t *testing.T) {
	for _, tt := range []struct{ name, code, want string }{
		{"fields", `return req.host .. " " .. req.jid .. " " .. req.reason .. " " .. tostring(req.rev) .. " " .. tostring(req.more)`, "example.com jim@example.com login nil nil"},
		{"pairs", `local n = {} for k, v in pairs(req) do n[#n + 1] = k .. "=" .. v end table.sort(n) return table.concat(n, " ")`, "host=example.com jid=jim@example.com reason=login"},
		{"JSON", `return require "util.json".encode(req)`, `{"host":"example.com","jid":"jim@example.com","reason":"login"}`},
		{"changed", `req.jid, req.more = "x", "y" return require "util.json".encode(req)`, `{"host":"example.com","jid":"x","more":"y","reason":"login"}`},
		{"iterators", `local n = require "util.iterators".to_array(require "util.iterators".keys(req)) table.sort(n) return table.concat(n, " ")`, "host jid reason"},
		{"its metatable", `return tostring(getmetatable(req)) .. " " .. type(req)`, "false table"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := mustIn(t, &world{}, `module:provides("roster", { fetch = function(user, req) return nil, "denied", (function() `+tt.code+` end)() end })`)
			_, err := p.Fetch(t.Context(), engine.Request{User: addr.MustBare("jim@example.com"), Reason: engine.ReasonLogin})
			if got := strings.TrimPrefix(fmt.Sprint(err), engine.ErrDenied.Error()+": "); got != tt.want {
				t.Errorf("%s, want %s", got, tt.want)
			}
		})
	}
}
