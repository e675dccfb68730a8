package lua_test

import (
	"slices"
	"strings"
	"testing"

	"rosterd/plugins"
	"rosterd/plugins/lua"
)

// provide makes a script of statements that stand before the one that every script needs.
func provide(statements string) string {
	return statements + "\nmodule:provides('roster', { fetch = function() return {} end })"
}

// What a script cannot have is said when it is loaded, wherever in the script it stands.
func TestUnavailable(t *testing.T) {
	tests := []struct{ name, code, line, what string }{
		{"library", `require "util.sql"`, "1", "util.sql"},
		{"library with its new name", `local c = require "prosody.util.sql"`, "1", "prosody.util.sql"},
		{"library inside a function", "function f()\n\tlocal t = require('core.rostermanager')\nend", "2", "core.rostermanager"},
		{"library computed at run time", `require("util." .. "sql")`, "1", "util.sql"},
		{"function of a library", "local http = require 'net.http'\nlocal function f() http.listen() end", "2", "net.http.listen"},
		{"function of a library at once", `require "util.jid".describe("x")`, "1", "util.jid.describe"},
		{"function of a library computed", `local j = require "util.jid"; local n = "describe"; j[n]("x")`, "1", "util.jid.describe"},
		{"method of module", "\n\nmodule:fire_event('x')", "3", "module:fire_event"},
		{"method of module inside a function", "local function f()\n\tmodule:send('x')\nend", "2", "module:send"},
		{"method of module by another name", "local m = module\nm:shared('x')", "2", "module:shared"},
		{"event", "\n\nmodule:hook('iq/self', function() end)", "3", "event iq/self"},
		{"module that is not there", "module:depends('muc')", "1", "muc"},
		{"type of a store", "module:open_store('x', 'archive')", "1", "store of type archive"},
		{"method of a store", "local s = module:open_store()\ns:users()", "2", "store:users"},
		{"method of module taken", "local send = module.send", "1", "module.send"},
		{"callback of module", "function module.save() end", "1", "module.save (the script itself runs for each call; module:open_store keeps values)"},
		{"callback of module by another name", "local m = module\nm.restore = function() end", "2", "module.restore"},
		{"with what there is instead", "local t = require 'util.timer'", "1", "util.timer (module:add_timer)"},
		{"with what there is instead, by the new name", "local t = require 'prosody.util.timer'", "1", "prosody.util.timer (module:add_timer)"},
		{"event with what there is instead", "module:hook('resource-bind', print)", "1", "event resource-bind (a roster is asked for when it is needed"},
		{"method with what there is instead", "module:add_item('auth-provider', {})", "1", "module:add_item (module:provides)"},
		{"event in a function, beside something else", "local function f()\n\tlocal s = hosts\nend\nlocal function g() module:hook('resource-bind', print) end", "4", "event resource-bind"},
		{"files", "local f = io.lines('x')", "1", "io (scripts have no files; the configuration reads them"},
		{"what Prosody's providers need at another place", "require 'core.usermanager'.users('x')", "1", "core.usermanager.users"},
		{"SASL at once", "require 'util.sasl'.new('x', {})", "1", "util.sasl.new (outside of get_sasl_handler, which rosterd does not call)"},
		{"global", "local s = hosts[module.host]", "1", "hosts"},
		{"global inside a function", "function f()\n\n\treturn prosody.hosts\nend", "3", "prosody"},
		{"standard library", `os.execute("true")`, "1", "os.execute"},
		{"standard library inside a function", "function f(p) return io.open(p) end", "1", "io"},
		{"code loading", `load("return 1")()`, "1", "load"},
		{"function of a standard library", "local function f() return string.dump(f) end", "1", "string.dump"},
		{"function of a standard library computed", `local n = "dump"; string[n](print)`, "1", "string.dump"},
		{"setfenv", `setfenv(1, {})`, "1", "setfenv"},
		{"global computed at run time", `local x = _G["ho" .. "sts"]`, "1", "hosts"},
		{"other provider", `module:provides("net", {})`, "1", `module:provides("net")`},
		{"field of the provider", `module:provides("roster", { fetch = print, store = print })`, "1", `field store of module:provides("roster")`},
		{"local after its scope", "do local x = 1 end\nlocal y = x", "2", "x"},
		{"loop variable after its loop", "for i = 1, 2 do end\nfor k in pairs({}) do end\nlocal y = k", "3", "k"},
		{"in a condition", "repeat local x = 1 until x == 1\nwhile y do end", "2", "y"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, _, err := tryOpen(t, "test", provide(tt.code), nil)
			want := "mod_test.lua:" + tt.line + ": not available in rosterd: " + tt.what
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("error %v\n want %s", err, want)
			}
		})
	}
}

func TestAllThatIsMissingIsNamed(t *testing.T) {
	_, _, err := tryOpen(t, "test", provide("local c = require 'util.sql'\nhosts[1].x = prosody\nmodule:send('x')"), nil)
	for _, want := range []string{":1: not available in rosterd: util.sql", ":2: not available in rosterd: hosts", ":2: not available in rosterd: prosody", ":3: not available in rosterd: module:send"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v\n want %s", err, want)
		}
	}
}

// The script's own names are not Prosody's.
func TestAvailable(t *testing.T) {
	for name, code := range map[string]string{
		"local":                       `local hosts = {}; local x = hosts.y`,
		"own global":                  "function f() return counter end\ncounter = 1; f()",
		"own global before it is set": `if not counter then counter = 0 end; counter = counter + 1; assert(counter == 1)`,
		"parameter":                   `local function f(io, os) return io, os end; f(1, 2)`,
		"method":                      `local t = {}; function t:hook() return self.x end; t:hook()`,
		"for":                         `for hosts = 1, 2 do local x = hosts end; for io, os in pairs({}) do local x = io end`,
		"upvalue":                     `local os = {}; local function f() return os.time end; f()`,
		"recursion":                   `local function f(n) if n > 0 then return f(n - 1) end end; f(3)`,
		"own require":                 `local function require(x) return x end; require "util.sql"`,
		"own module":                  `local function f(module) return module.hook end; f({})`,
		"guarded":                     `local ok, x = pcall(require, "util.sql"); assert(not ok)`,
		"rawget":                      `assert(rawget(_G, "hosts") == nil)`,
		"all that there is":           `for _, n in ipairs { "net.http", "util.json", "util.jid", "cjson", "prosody.util.json" } do assert(type(require(n)) == "table") end`,
		"required twice":              `assert(require "util.json" == require "prosody.util.json" and require "util.json".null == require "cjson".null)`,
		"standard libraries":          `assert(string.format("%d", 5) == "5" and #table.concat({ "a" }) == 1 and math.floor(1.5) == 1)`,
		"string methods":              `assert(("x"):upper() == "X")`,
		"repeat sees locals":          `repeat local done = true until done`,
		"goto":                        `goto out; ::out::`,
		"assigned to a field":         `local t = {}; t.hosts = 1; t["io"] = 2`,
	} {
		if _, _, err := tryOpen(t, "test", provide(code), nil); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestLoadErrors(t *testing.T) {
	tests := []struct{ name, code, err string }{
		{"no provides", "local x = 1", "mod_test.lua: the script never calls module:provides"},
		{"empty", " ", "mod_test.lua: the script never calls module:provides"},
		{"no Lua", "local x = = 1", "mod_test.lua:1"},
		{"two", provide(provide("")), `mod_test.lua:3: module:provides("roster") is called twice`},
		{"no fetch", "module:provides('roster', {})", `mod_test.lua:1: module:provides("roster"): no function fetch`},
		{"fetch is text", "\nmodule:provides('roster', { fetch = 'x' })", `mod_test.lua:2: module:provides("roster"): fetch is a string, not a function`},
		{"map is text", "module:provides('roster', { fetch = print, map = 1 })", `map is a number, not a function`},
		{"no table", "module:provides('roster')", "mod_test.lua:1"},
		{"dot for colon", "module.provides('roster', {})", "mod_test.lua:1: module.provides is a method: write module:provides(…)"},
		{"error", "\n\nerror('no way')", "mod_test.lua:3: no way"},
		{"error without a place", "error('no way', 0)", "mod_test.lua:1: no way"},
		{"HTTP while it is loaded", "require 'net.http'.request('http://localhost/')", "mod_test.lua:1: net.http.request is for functions given to module:provides"},
		{"bad log level", "module:log('loud', 'x')", `mod_test.lua:1: module:log: "loud" is none of debug, info, warn, error`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, _, err := tryOpen(t, "test", tt.code, nil)
			if err == nil || !strings.Contains(err.Error(), tt.err) || !strings.HasPrefix(err.Error(), "plugin test for example.com: ") {
				t.Errorf("error %v\n want %s", err, tt.err)
			}
		})
	}
}

func TestOptionsInLua(t *testing.T) {
	o := options{
		"text": "hello", "number": 1.5, "integer": int64(7), "numeric": "12", "yes": true, "list": []any{"a", int64(2), "a"},
		"table": map[string]any{"k": []any{"v"}}, "span": "30 min", "never": false, "colour": "green", "big": int64(500),
		"url": "http://localhost/%s?a=%20",
	}
	for name, check := range map[string]string{
		"any":             `module:get_option("table").k[1] == "v" and module:get_option("yes") == true`,
		"absent":          `module:get_option("absent") == nil and module:get_option_string("absent") == nil`,
		"default":         `module:get_option("absent", 5) == 5 and module:get_option_string("absent", "d") == "d" and module:get_option_string("absent", 5) == "5" and module:get_option_string("absent", true) == "true"`,
		"string":          `module:get_option_string("text") == "hello" and module:get_option_string("integer") == "7"`,
		"number":          `module:get_option_number("number") == 1.5 and module:get_option_number("numeric") == 12`,
		"integer":         `module:get_option_integer("integer", 1) == 7`,
		"clamped":         `module:get_option_integer("big", 1, 0, 100) == 100 and module:get_option_number("integer", 1, 10) == 10`,
		"boolean":         `module:get_option_boolean("yes") == true and module:get_option_boolean("absent", false) == false`,
		"array":           `#module:get_option_array("list") == 3 and module:get_option_array("text")[1] == "hello"`,
		"set":             `module:get_option_set("list"):contains("a") and not module:get_option_set("list"):contains("b")`,
		"enum":            `module:get_option_enum("colour", "red", "green") == "green" and module:get_option_enum("absent", "red", "green") == "red"`,
		"period":          `module:get_option_period("span") == 1800 and module:get_option_period("never") == 1/0`,
		"period, default": `module:get_option_period("absent", "1h") == 3600 and module:get_option_period("absent", 5) == 5 and module:get_option_period("absent") == nil`,
		"template":        `module:get_option_url_template("url")("a b") == "http://localhost/a%20b?a=%20"`,
	} {
		if _, _, err := tryOpen(t, "test", provide("assert("+check+", 'is not so')"), o); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestOptionsThatAScriptReads(t *testing.T) {
	p := script(t, provide(`local a, b = module:get_option_string("one"), module:get_option_array("two", {})`), options{"one": "1", "three": "3"})
	if got := p.(*plugins.Opened).Plugin.(*lua.Plugin).Options(); !slices.Equal(got, []string{"one", "two"}) {
		t.Errorf("options %q", got)
	}
}

// An option that cannot be used is said with its place in the configuration and that in the script.
func TestBadOptions(t *testing.T) {
	o := options{"text": "hello", "list": []any{"a", "b"}, "url": "http://localhost/contacts", "secret": "http://jim:geheim@bad host/%s"}
	for read, want := range map[string]string{
		`get_option_number("text")`:                   "mod_test.lua:1: prosody.cfg.lua:7: option text: a string where a number is expected",
		`get_option_string("list")`:                   "mod_test.lua:1: prosody.cfg.lua:7: option list: a list of 2",
		`get_option_boolean("text")`:                  "option text: a string where true or false is expected",
		`get_option_integer("text")`:                  "option text: a string where a number is expected",
		`get_option_enum("text", "red", "green")`:     `option text: "hello" is none of red, green`,
		`get_option_period("text")`:                   `option text: "hello" is no length of time`,
		`get_option_period("absent", "soon")`:         `"soon" is no length of time`,
		`get_option_url_template("url")`:              "mod_test.lua:1: prosody.cfg.lua:7: option url: no %s in it",
		`get_option_url_template("absent")`:           "mod_test.lua:1: option absent is not set",
		`get_option_url_template("secret")`:           "option secret: not a URL",
		`get_option_url_template("absent", "x://%s")`: "option absent: not an http:// or https:// URL",
		`get_option({})`:                              "mod_test.lua:1",
	} {
		_, _, err := tryOpen(t, "test", provide("local x = module:"+read), o)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v\n want %s", read, err, want)
		}
		if err != nil && strings.Contains(err.Error(), "geheim") {
			t.Errorf("%s: the error shows a password: %v", read, err)
		}
	}
}

func TestLog(t *testing.T) {
	p, l, err := tryOpen(t, "test", `
		module:log("warn", "loading %s at %d%%", "it", 5);
		module:provides("roster", { fetch = function(username)
			module:log("info", "fetching %s %q %5.2f", username, "a\nb", nil);
			module:log("debug", "more", 1, {} ~= nil);
			module:log("error", "directive at the end %");
			print("printed", 1);
			for i = 1, 100 do module:log("info", "line") end
			module:log("info", string.rep("x", 5000));
			return {};
		end });`, nil)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if _, err := fetch(t, p, request("jim")); err != nil {
			t.Fatal(err)
		}
	}
	got := l.String()
	for line, times := range map[string]int{
		`level=WARN msg="loading it at 5%" plugin=test host=example.com` + "\n":                         1, // not again at each call
		`level=INFO msg="fetching jim \"a\\nb\" nil" plugin=test host=example.com user=jim@example.com`: 2,
		`level=DEBUG msg="more [1] [true]"`:                                                             2, `level=ERROR msg="directive at the end "`: 2, `level=INFO msg="printed\t1"`: 2,
		"msg=line": 2 * (64 - 4), "xxxx": 0,
	} {
		if n := strings.Count(got, line); n != times {
			t.Errorf("%d times, want %d: %s", n, times, line)
		}
	}
}

// A level that is none ends no call: such a line may be reached for the first time at somebody's login.
func TestLogLevelOfACall(t *testing.T) {
	p := script(t, `module:provides("roster", { fetch = function() module:log("notice", "on %s", "the way") return {} end })`, nil)
	if _, err := fetch(t, p, request("jim")); err != nil {
		t.Error(err)
	}
}
