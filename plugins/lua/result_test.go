package lua_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"rosterd/engine"
	"rosterd/plugins"
	"rosterd/plugins/lua"
)

// What fetch may return, and what is said of anything else.
func TestResults(t *testing.T) {
	tests := []struct {
		name    string
		returns string
		want    string
		dropped string // JID: reason
		kind    string
		err     string
	}{
		{name: "list", returns: `{ { jid = "b@x", name = "B" }, { jid = "a@x", subscription = "to", groups = { "G2", "G1" } } }`,
			want: `a@x "" to ["G1" "G2"]; b@x "B" both []`},
		{name: "map", returns: `{ ["a@x"] = { name = "A", groups = { Friends = true, Old = false } }, ["b@x"] = {}, ["c@x"] = "text" }`,
			want: `a@x "A" both ["Friends" "Old"]; b@x "" both []; c@x "" both []`},
		{name: "empty", returns: `{}`, want: ``},
		{name: "all fields", returns: `{ { jid = "A@X", name = 5, subscription = "none", ask = "subscribe", approved = true, groups = { 7 }, avatar = "?" } }`,
			want: `a@x "5" none ["7"] ask approved`},
		{name: "false and absent", returns: `{ { jid = "a@x", ask = false, approved = false, name = nil, groups = nil, subscription = nil } }`, want: `a@x "" both []`},
		{name: "null out of JSON", returns: `require "util.json".decode('{"a@x":{"name":null,"groups":null,"subscription":null,"ask":null}}')`, want: `a@x "" both []`},
		{name: "list out of JSON", returns: `require "util.json".decode('[{"jid":"a@x","groups":["G"]}]')`, want: `a@x "" both ["G"]`},
		{name: "more results are left alone", returns: `{ { jid = "a@x" } }, "temporary", "text"`, want: `a@x "" both []`},

		{name: "malformed JID costs that contact", returns: `{ { jid = "a@x" }, { jid = "not a jid@" } }`, want: `a@x "" both []`, dropped: `"not a jid@": not a valid JID`},
		{name: "own JID", returns: `{ { jid = "jim@example.com" }, { jid = "a@x" } }`, want: `a@x "" both []`, dropped: `"jim@example.com": the owner's own JID`},
		{name: "name that XML cannot carry", returns: `{ { jid = "a@x", name = "\0" }, { jid = "b@x" } }`, want: `b@x "" both []`, dropped: `"a@x": name holds U+0000`},

		{name: "not found", returns: `nil, "not-found"`, kind: "unknown user"},
		{name: "not found, said more", returns: `nil, "not-found", "left in 2024"`, kind: "unknown user", err: "left in 2024"},
		{name: "denied", returns: `nil, "denied", "no roster for guests"`, kind: "denied", err: "no roster for guests"},
		{name: "temporary", returns: `nil, "temporary", "maintenance"`, kind: "temporary", err: "maintenance"},
		{name: "temporary without text", returns: `nil, "temporary"`, kind: "temporary", err: "mod_test.lua says that the roster cannot be had now"},

		{name: "null", returns: `require "util.json".null`, kind: "fault protocol", err: "fetch returned a null out of JSON"},
		{name: "fields of null", returns: `{ { jid = "a@x", name = require "util.json".null.name } }`, want: `a@x "" both []`},
		{name: "list that is null", returns: `(function() local t = {} for _, v in ipairs(require "util.json".null) do t[#t + 1] = v end return t end)()`, kind: "fault trap", err: "a null out of JSON where a table is expected"},
		{name: "map that is null", returns: `(function() local t = {} for k, v in pairs(require "util.json".null) do t[k] = v end return t end)()`, kind: "fault trap", err: "a null out of JSON where a table is expected"},
		{name: "length of null", returns: `#require "util.json".null`, kind: "fault trap", err: "a null out of JSON where a table is expected"},
		{name: "nothing", returns: ``, kind: "fault protocol", err: "mod_test.lua: roster of jim@example.com: fetch returned nil without a reason"},
		{name: "unknown reason", returns: `nil, "later"`, kind: "fault protocol", err: `fetch returned nil, "later": the reason must be "not-found", "temporary" or "denied"`},
		{name: "false", returns: `false`, kind: "fault protocol", err: "fetch returned a boolean"},
		{name: "text", returns: `"a@x"`, kind: "fault protocol", err: "fetch returned a string"},
		{name: "function", returns: `print`, kind: "fault protocol", err: "fetch returned a function"},
		{name: "item is text", returns: `{ { jid = "a@x" }, "b@x" }`, kind: "fault protocol", err: "jim@example.com: fetch returned items[2]: a string, not a table"},
		{name: "item without JID", returns: `{ { JID = "a@x" } }`, kind: "fault protocol", err: "items[1].jid: a nil, not a string"},
		{name: "JID is a number", returns: `{ { jid = 5 } }`, kind: "fault protocol", err: "items[1].jid: a number, not a string"},
		{name: "map item is a boolean", returns: `{ ["a@x"] = true }`, kind: "fault protocol", err: `items["a@x"]: a boolean, not a table`},
		{name: "map item is a list", returns: `{ contacts = { { jid = "a@x" } } }`, kind: "fault protocol", err: `items["contacts"]: a list, not a contact`},
		{name: "map item out of PHP", returns: `require "util.json".decode('{"a@x":[]}')`, want: `a@x "" both []`},
		{name: "null in a text", returns: `{ { jid = require "util.json".null .. "@x" } }`, kind: "fault trap", err: "a null out of JSON where a text or a number is expected"},
		{name: "null in a sum", returns: `{ { jid = 1 + require "util.json".null .. "@x" } }`, kind: "fault trap", err: "a null out of JSON where a text or a number is expected"},
		{name: "subscription", returns: `{ { jid = "a@x" }, { jid = "b@x" }, { jid = "c@x", subscription = "bananas" } }`, kind: "fault protocol", err: `items[3].subscription: "bananas" is none of none, to, from, both`},
		{name: "subscription remove", returns: `{ ["a@x"] = { subscription = "remove" } }`, kind: "fault protocol", err: `items["a@x"].subscription: "remove" is none of`},
		{name: "subscription is a table", returns: `{ ["a@x"] = { subscription = {} } }`, kind: "fault protocol", err: `items["a@x"].subscription: a table, not a string`},
		{name: "name is a table", returns: `{ { jid = "a@x", name = {} } }`, kind: "fault protocol", err: "items[1].name: a table, not a string"},
		{name: "groups is text", returns: `{ { jid = "a@x", groups = "Friends" } }`, kind: "fault protocol", err: "items[1].groups: a string, not a table"},
		{name: "group is a table", returns: `{ { jid = "a@x", groups = { "A", {} } } }`, kind: "fault protocol", err: "items[1].groups[2]: a table, not a string"},
		{name: "ask", returns: `{ { jid = "a@x", ask = "yes" } }`, kind: "fault protocol", err: `items[1].ask: "yes" is neither true, false nor "subscribe"`},
		{name: "approved", returns: `{ { jid = "a@x", approved = 1 } }`, kind: "fault protocol", err: "items[1].approved: a number, not true or false"},
		{name: "list and map", returns: `{ { jid = "a@x" }, ["b@x"] = {} }`, kind: "fault protocol", err: `both a list and a map: it has the key "b@x"`},
		{name: "list with a hole", returns: `{ [1] = { jid = "a@x" }, [3] = { jid = "b@x" } }`, kind: "fault protocol", err: "a list with holes"},
		{name: "key is a table", returns: `{ [{}] = {} }`, kind: "fault protocol", err: "a table with a table as a key"},
		{name: "too many", returns: `(function() local t = {}; for i = 1, 100001 do t[i] = { jid = "a"..i.."@x" } end; return t end)()`, kind: "fault protocol", err: "more than 100000 contacts"},

		{name: "error", returns: `error("oops")`, kind: "fault trap", err: "mod_test.lua:4: oops"},
		{name: "error without a place", returns: `error("oops", 0)`, kind: "fault trap", err: "roster of jim@example.com: mod_test.lua:4: oops"},
		{name: "error that is a table", returns: `error({})`, kind: "fault trap", err: "mod_test.lua"},
		{name: "nil is called", returns: `(nil)()`, kind: "fault trap", err: "mod_test.lua:4: "},
		{name: "recursion", returns: `(function() local function f() return 1 + f() end return f() end)()`, kind: "fault trap", err: "stack overflow"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := script(t, "-- a script\nmodule:provides('roster', {\n\tfetch = function(username, req)\n\t\treturn "+tt.returns+"\n\tend })", nil)
			a, err := fetch(t, p, request("jim"))
			if kind := errorKind(err); kind != tt.kind {
				t.Fatalf("%q: %v; want %q", kind, err, tt.kind)
			}
			if err != nil {
				if !strings.Contains(err.Error(), tt.err) {
					t.Errorf("error %q, want %q", err, tt.err)
				}
				return
			}
			if got := show(a.Roster); got != tt.want {
				t.Errorf("roster %s\n  want %s", got, tt.want)
			}
			var dropped []string
			for _, d := range a.Dropped {
				dropped = append(dropped, d.String())
			}
			if got := strings.Join(dropped, "; "); !strings.HasPrefix(got, tt.dropped) || (got == "") != (tt.dropped == "") {
				t.Errorf("dropped %s, want %s", got, tt.dropped)
			}
		})
	}
}

func TestContactsLimitOfTheHost(t *testing.T) {
	for _, n := range []int{2, 3} {
		src := plugins.Source{Name: "test", File: "mod_test.lua", Code: []byte(fmt.Sprintf(`module:provides("roster", {
			fetch = function() local t = {}; for i = 1, %d do t[i] = { jid = i.."@x" } end; return t end })`, n))}
		h := plugins.Host{Name: "example.com", Limits: plugins.Limits{Contacts: 2}}
		p, err := lua.Open(t.Context(), src, h, plugins.NewOptions(nil), canned{})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := fetch(t, p, request("jim")); (err == nil) != (n == 2) {
			t.Errorf("%d contacts: %v", n, err)
		}
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestRequestIsHandedOver(t *testing.T) {
	p := script(t, `
		module:provides("roster", { fetch = function(username, req)
			return { { jid = username.."@x" }, { jid = "x@"..req.host },
				{ jid = "y@x", name = req.jid }, { jid = "z@x", name = req.reason }, { jid = "rev@x", name = type(req.rev) },
				{ jid = "mod@x", name = module.name .. " " .. module:get_name() .. " " .. module.host .. " " .. module:get_host() } };
		end });`, nil)
	a, err := fetch(t, p, request("jim"))
	if err != nil {
		t.Fatal(err)
	}
	want := `jim@x "" both []; mod@x "test test example.com example.com" both []; ` +
		`rev@x "nil" both []; x@example.com "" both []; y@x "jim@example.com" both []; z@x "test" both []`
	if got := show(a.Roster); got != want {
		t.Errorf("roster %s\n  want %s", got, want)
	}
}

// What the backend says of keeping its answer reaches the engine, whoever reads the body.
func TestFreshnessPassesThrough(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Cache-Control", "max-age=60, stale-if-error=300, no-transform")
		fmt.Fprint(w, "{}")
	}))
	defer srv.Close()
	a, err := fetch(t, standard(t, options{"http_roster_url": srv.URL + "/%s"}), request("jim"))
	if err != nil || a.MaxAge != time.Minute || a.StaleIfError != 5*time.Minute || !a.Bounded {
		t.Errorf("%+v, %v", a, err)
	}
}

// A request that failed, returned as it is, is a backend that cannot be had now.
func TestFailedRequestIsTemporary(t *testing.T) {
	p := script(t, `local http = require "net.http"
		module:get_option_string("url")
		module:provides("roster", { fetch = function() return http.request("http://backend.invalid/") end, map = function(body) return body end })`,
		options{"url": "http://backend.invalid/"})
	_, err := fetch(t, p, request("jim"))
	if errorKind(err) != "temporary" || !strings.Contains(err.Error(), "GET http://backend.invalid/: dial tcp") {
		t.Errorf("%s: %v", errorKind(err), err)
	}
}

// A plugin that is opened anew is the same source of rosters unless its code or its options are others.
func TestGeneration(t *testing.T) {
	of := func(url string) string {
		return standard(t, options{"http_roster_url": url}).(engine.Generational).Generation()
	}
	if a, b := of("http://localhost/%s"), of("http://localhost/%s"); a != b || a == "" {
		t.Errorf("%q and %q of the same options", a, b)
	}
	if a, b := of("http://localhost/%s"), of("http://localhost/v2/%s"); a == b {
		t.Errorf("%q of two URLs", a)
	}
}
