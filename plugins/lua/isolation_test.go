package lua_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"rosterd/plugins"
	"rosterd/plugins/lua"
)

// Nothing that a call leaves behind is there in the next one, which runs in the same Lua state.
func TestCallsAreFresh(t *testing.T) {
	for name, leave := range map[string]string{
		"global":              `seen = left; left = true`,
		"local of the script": `seen = count > 0; count = count + 1`,
		"string library":      `seen = string.left; rawset(string, "left", true)`,
		"table library":       `seen = rawget(table, "left"); rawset(table, "left", true)`,
		"os library":          `seen = rawget(os, "left"); rawset(os, "left", true)`,
		"random seed":         `local first = math.random(0); math.randomseed(1); seen = first == math.random(0); math.randomseed(1)`,
		"global function":     `seen = rawget(_G, "pairs"); pairs = print`,
		"module":              `seen = rawget(module, "left"); rawset(module, "left", true)`,
		"library":             `seen = rawget(require "util.jid", "left"); rawset(require "util.jid", "left", true)`,
		"null":                `seen = rawget(require "util.json".null, "left"); rawset(require "util.json".null, "left", true)`,
		"environment":         `seen = getmetatable(_G) ~= false`,
		"module's methods":    `seen = getmetatable(module) ~= false`,
		"array's methods":     `seen = getmetatable(require "util.json".decode("[]")) ~= false`,
		"function of a set":   `local set = require "util.set"; seen = set.new == nil; set.new = nil`,
		"methods of sets":     `local s = require "util.set".new {}; seen = s.left or getmetatable(s) or s.__index or pcall(setmetatable, s, {}); s.left, s.add = true, nil`,
		"function of arrays":  `local array = require "util.array"; seen = rawget(array, "left"); array.left, array.map = true, print`,
		"methods of arrays":   `local a = require "util.array"(); seen = a.left or getmetatable(a) or a.__index or pcall(setmetatable, a, {}); a.left, a.map = true, nil`,
		"calling array":       `seen = getmetatable(require "util.array") or pcall(setmetatable, require "util.array", {})`,
		"arrays of JSON":      `local a = require "util.json".decode("[1]"):map(tostring); seen = a.left or getmetatable(a); a.left = true`,
		"iterators":           `local it = require "util.iterators"; seen = rawget(it, "left"); it.left, it.keys = true, nil`,
		"joined iterators":    `local j = require "util.iterators".join(pairs {}); seen = j.left or getmetatable(j) or j.__index; j.left = true`,
		"caches":              `local cache = require "util.cache"; local c = cache.new(1); seen = c.left or rawget(cache, "left") or getmetatable(c); c.left, cache.left = true, true`,
		"entries of a cache":  `local cache = require "util.cache"; local c = rawget(cache, "kept") or cache.new(1); cache.kept = c; seen = c:get "left"; c:set("left", true)`,
		"stanzas":             `local st = require "util.stanza"; local s = st.stanza "a"; seen = s.left or rawget(st, "left") or getmetatable(s) or s.__index; s.left, s.tag, st.left, st.stanza = true, print, true, print`,
		"json":                `local json = require "util.json"; seen = rawget(json, "left") or json.decode == print; json.left, json.decode = true, print`,
		"cjson":               `local cjson = require "cjson"; seen = cjson.encode == print; cjson.encode, cjson.new().encode, require "cjson.safe".encode = print, print, print`,
		"table for libraries": `seen = require "util.array" { 2, 1 }:sort()[1] ~= 1; table.sort, table.concat, rawset(_G, "setmetatable", nil).type = nil, nil, nil`,
		"part of a library":   `local b = require "util.encodings".base64; seen = rawget(b, "left") or b.encode == print; b.left, b.encode = true, print`,
		"stanzas of XML":      `local s = require "util.xml".parse "<a/>"; seen = s.left or getmetatable(s) or s.__index; s.left, s.tag = true, print`,
		"libraries in Go": `for _, name in ipairs { "jid", "encodings", "hashes", "hmac", "datetime", "time", "http", "uuid", "id", "random", "hex", "xml" } do
			local l = require("util." .. name); seen = seen or rawget(l, "left"); l.left = true; end`,
		"text": `seen = pcall(function() getmetatable("").__index = print end)`,
	} {
		t.Run(name, func(t *testing.T) {
			p := script(t, "local count = 0\nmodule:provides('roster', { fetch = function()\nseen = nil\n"+strings.ReplaceAll(leave, "string.left", `rawget(string, "left")`)+
				"\nreturn { { jid = 'a@x', name = tostring(seen or false):gsub('^function.*', 'function') } }\nend })", nil)
			for range 3 {
				a, err := fetch(t, p, request("jim"))
				if err != nil {
					t.Fatal(err)
				}
				if got := show(a.Roster); got != `a@x "false" both []` {
					t.Fatalf("a later call sees it: %s", got)
				}
			}
		})
	}
}

func TestCancelledBeforeItBegan(t *testing.T) {
	p := script(t, `module:provides("roster", { fetch = function() return {} end });`, nil)
	ctx, stop := context.WithCancel(t.Context())
	stop()
	if _, err := p.Fetch(ctx, request("jim")); !errors.Is(err, context.Canceled) || errorKind(err) != "other" {
		t.Errorf("error %v", err)
	}
}

func TestLoopWhileLoading(t *testing.T) {
	m := &plugins.Manager{
		Shipped: fstest.MapFS{"mod_test.lua": {Data: []byte("while true do end")}},
		Engines: map[string]plugins.Opener{".lua": lua.Open},
	}
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if _, err := m.Open(ctx, "test", "example.com", nil); err == nil || !strings.Contains(err.Error(), "mod_test.lua") {
		t.Errorf("error %v", err)
	}
}

// Many calls at once, of several scripts, each with its own user's answer.
func TestConcurrentFetches(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, `{"friend-of-%s@x":{}}`, r.URL.Path[1:])
	}))
	defer srv.Close()
	o := options{"http_roster_url": srv.URL + "/%s", "url": srv.URL + "/"}
	native := standard(t, o)
	mapped := script(t, `local http = require "net.http"; local url = module:get_option_string("url");
		module:provides("roster", {
			fetch = function(username) user = username; return http.request(url..username) end;
			map = function(body, username) assert(user == username); return body end });`, o)
	var wg sync.WaitGroup
	for i := range 200 {
		user := fmt.Sprintf("user%d", i)
		p := native
		if i%2 == 0 {
			p = mapped
		}
		wg.Go(func() {
			a, err := fetch(t, p, request(user))
			if err != nil || show(a.Roster) != fmt.Sprintf(`friend-of-%s@x "" both []`, user) {
				t.Errorf("%s: %s, %v", user, show(a.Roster), err)
			}
		})
	}
	wg.Wait()
}

// A call that is running when the plugin is closed ends as it would have; a later one is told.
func TestCloseWhileFetching(t *testing.T) {
	asked, answer := make(chan struct{}), make(chan struct{})
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		close(asked)
		<-answer
		fmt.Fprint(w, marie)
	}))
	defer srv.Close()
	p := standard(t, options{"http_roster_url": srv.URL + "/%s"})
	done := make(chan error)
	go func() {
		_, err := fetch(t, p, request("jim"))
		done <- err
	}()
	<-asked
	if err := p.Close(); err != nil {
		t.Error(err)
	}
	close(answer)
	if err := <-done; err != nil {
		t.Errorf("the call that was running: %v", err)
	}
	if _, err := fetch(t, p, request("jim")); errorKind(err) != "temporary" || !strings.Contains(err.Error(), "plugin http_roster_admin of example.com is closed") {
		t.Errorf("a later call: %v", err)
	}
}
