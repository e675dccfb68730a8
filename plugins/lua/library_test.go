package lua_test

import (
	"fmt"
	"strings"
	"testing"
)

// Each line is an expression that must be true.
func TestLibraries(t *testing.T) {
	for _, tt := range []struct{ library, check string }{
		{"util.json", `L.encode({}) == "{}" and L.encode(L.decode("[]")) == "[]" and L.encode({ 1, 2 }) == "[1,2]"`},
		{"util.json", `L.encode({ b = 1, a = { true, false } }) == '{"a":[true,false],"b":1}'`},
		{"util.json", `L.encode(L.null) == "null" and L.encode({ x = L.null }) == '{"x":null}' and L.encode(nil) == "null"`},
		{"util.json", `L.encode(1.5) == "1.5" and L.encode(1e15) == "1000000000000000" and L.encode(-0.001) == "-0.001"`},
		{"util.json", `L.decode(L.encode("a\"b\\c\n\0ü")) == "a\"b\\c\n\0ü"`},
		{"util.json", `L.decode("null") == L.null and L.decode("[null]")[1] == L.null and tostring(L.null) == "null"`},
		{"util.json", `next(L.null) == nil and type(L.null) == "table"`},
		{"util.json", `(function() local v, err = L.decode("{") return v == nil and err:find("not JSON", 1, true) == 1 end)()`},
		{"util.json", `not pcall(L.encode, { [1] = 1, x = 2 }) and not pcall(L.encode, { [1] = 1, [3] = 3 }) and not pcall(L.encode, { [true] = 1 })`},
		{"util.json", `not pcall(L.encode, print) and not pcall(L.encode, 0/0) and not pcall(L.encode, 1/0)`},
		{"util.json", `(function() local t = {}; t.t = t; local ok, err = pcall(L.encode, t); return not ok and err:find("nested more than 64 deep", 1, true) ~= nil end)()`},
		{"util.json", `not pcall(function() L.null.x = 1 end)`},
		{"util.json", `not pcall(L.decode, {}) and not pcall(L.decode)`},
		{"util.jid", `same({ L.split("a@b/c") }, "a", "b", "c") and same({ L.split("b") }, nil, "b", nil) and same({ L.split("b/c") }, nil, "b", "c")`},
		{"util.jid", `same({ L.split("A@B/c@d/e") }, "A", "B", "c@d/e")`},
		{"util.jid", `same({ L.split("") }) and same({ L.split("@b") }) and same({ L.split("a@") }) and same({ L.split("a@b/") }) and same({ L.split("a@b@c") }) and same({ L.split(nil) })`},
		{"util.jid", `same({ L.prepped_split("JÖRG@Example.COM/R") }, "jörg", "example.com", "R") and same({ L.prepped_split("a b@c") })`},
		{"util.jid", `L.bare("a@b/c") == "a@b" and L.bare("b/c") == "b" and L.bare("@") == nil`},
		{"util.jid", `L.prep("Juliet@Example.com/Balcony") == "juliet@example.com/Balcony" and L.prep("x y@z") == nil and L.prep(nil) == nil`},
		{"util.jid", `L.join("a", "b", "c") == "a@b/c" and L.join("a", "b") == "a@b" and L.join(nil, "b", "c") == "b/c" and L.join(nil, "b") == "b" and L.join("a", nil) == nil`},
		{"util.jid", `L.node("a@b/c") == "a" and L.host("a@b/c") == "b" and L.resource("a@b/c") == "c" and L.node("b") == nil`},
		{"net.http", `L.urlencode("a b+ü/%~-._") == "a%20b%2b%c3%bc%2f%25~-._" and L.urlencode("") == ""`},
		{"util.json", `L.encode("<&>/") == '"<&>/"' and L.encode("\255x") == '"\239\191\189x"' and L.encode("\1\127") == '"\\u0001\127"'`},
		{"util.json", `L.encode_array({ 1, nil, 3 }) == "[1]" and not pcall(L.encode_array, 1)`},
		{"util.json", `rawequal(L.decode("[]"), L.decode("[]")) == false and type(L.decode("[]").none) == "nil" and L.decode("[]")[1] == nil`},
		{"cjson", `(function() local ok, err = pcall(L.decode, "{") return not ok and err:find("not JSON", 1, true) ~= nil end)()`},
		{"cjson.safe", `(function() local v, err = L.encode(print) return v == nil and err == "a function has no form in JSON" end)()`},
		{"cjson", `L.encode(L.decode("[]")) == "[]" and L.encode({ 1, L.null }) == "[1,null]"`},
		{"util.iterators", `same(L.to_array(L.join(L.range(1)):prepend(L.range(7, 8))), 7, 8, 1)`},
		{"util.iterators", `(function() for k, v in L.head(1, L.ripairs { "a", "b" }) do return k == 2 and v == "b" end end)()`},
		{"util.stanza", `tostring(L.stanza("a", { b = "1", c = "2", a = "3" })) == "<a b='1' c='2' a='3'/>" and L.stanza("x"):text("t"):pretty_print() == "<x>t</x>"`},
		{"util.stanza", `L.stanza("a"):tag("b", { k = "v" }):reset():get_child_attr("b", nil, "k") == "v" and L.stanza("a"):get_child_attr("b", nil, "k") == nil`},
		{"util.stanza", `not pcall(L.stanza, "a", { k = "\20" }) and not pcall(function() L.stanza("a"):text("\239\191\190") end)`},
		{"util.stanza", `not pcall(function() return L.stanza("a"):find("{urn:x") end)`},
		{"util.set", `(function() local n = 0; for item in L.new { "a", "b", "c" } do n = n + 1 end return n == 3 end)()`},
		{"util.cache", `(function() local c = L.new(2):table(); c.a = 1; for k, v in pairs(c) do return k == "a" and v == 1 and #c == 1 end end)()`},
	} {
		code := "local L = require '" + tt.library + `'
			local function same(t, a, b, c) return t[1] == a and t[2] == b and t[3] == c end
			assert(` + tt.check + `, "is not so")`
		if _, _, err := tryOpen(t, "test", provide(code), nil); err != nil {
			t.Errorf("%s: %s: %v", tt.library, tt.check, err)
		}
	}
}

// What a script does wrong with a library is said of the script's line.
func TestLibrariesBlameTheCaller(t *testing.T) {
	for _, tt := range []struct{ library, call, want string }{
		{"util.set", `L.union(L.new(), { "a" })`, "bad argument #2 to 'union' (set expected, got table)"},
		{"util.set", `L.difference(nil, L.new())`, "bad argument #1 to 'difference' (set expected, got nil)"},
		{"util.set", `L.new(5)`, "bad argument"},
		{"util.set", `return L.new() + 5`, "bad argument #2 to 'union' (set expected, got number)"},
		{"util.set", `L.new():include("x")`, "attempt to call"},
		{"util.array", `L.map({ 1 })`, "bad argument to 'map' (function expected, got nil)"},
		{"util.array", `L { 1 }:filter("x")`, "bad argument to 'filter' (function expected, got string)"},
		{"util.array", `L { 1, "x" }:sort()`, "attempt to compare"},
		{"util.array", `L { 1 }:map(error)`, "1"},
		{"util.iterators", `L.count(nil)`, "attempt to call"},
		{"util.iterators", `for x in L.join(pairs {}) do end`, "an iterator that is joined needs another"},
		{"util.cache", `L.new("x")`, "cache size must be a number"},
		{"util.cache", `L.new(0)`, "cache size must be greater than zero"},
		{"util.cache", `L.new(1, "x")`, "bad argument #2 to 'new' (function expected, got string)"},
		{"util.cache", `local t = L.new(1, false):table(); t.a = 1; t.b = 2`, "cache is full"},
		{"util.stanza", `L.stanza("a b")`, `invalid tag name: "a b" has a character that no name has`},
		{"util.stanza", `L.stanza("a", { k = 1 })`, "invalid attribute value: string expected, got number"},
		{"util.stanza", `L.stanza("a"):text("\0")`, "invalid text: U+0000 is no character of XML"},
		{"util.stanza", `L.stanza("a"):tag("b"):tag()`, "invalid tag name: string expected, got nil"},
		{"util.stanza", `L.iq { type = "get" }`, "iq: attributes id and type are required"},
		{"util.stanza", `L.reply {}`, "bad argument to 'reply' (stanza expected, got table)"},
		{"util.stanza", `L.clone("x")`, "bad argument to 'clone' (stanza expected, got string)"},
		{"util.json", `L.encode(print)`, "json.encode: a function has no form in JSON"},
		{"util.json", `L.decode()`, "bad argument #1 to decode"},
		{"util.json", `local t = {}; for i = 1, 30 do t = { t, t } end; L.encode(t)`, "more than 200000 JSON values in one call"},
		{"util.json", `local t = {}; for i = 1, 200001 do t["k" .. i] = 1 end; L.encode(t)`, "more than 200000 JSON values in one call"},
		{"util.json", `local s = ("x"):rep(1e6); L.encode { s, s, s, s, s }`, "JSON of more than 4 MiB"},
		{"util.array", `local a = L {}; a:push(a); return tostring(a)`, "stack overflow"},
		{"util.stanza", `local s = L.stanza "a"; s:add_direct_child(s); return tostring(s)`, "stack overflow"},
		{"util.stanza", `local s = L.stanza "a"; s:add_direct_child(s); L.clone(s)`, "stack overflow"},
		{"util.stanza", `local s = L.stanza "a"; for i = 1, 300 do s:tag "b" end; return tostring(s)`, "stack overflow"},
		{"cjson", `L.decode("{")`, "not JSON: unexpected end of JSON input"},
	} {
		t.Run(tt.library+" "+tt.call, func(t *testing.T) {
			p := script(t, "local L = require '"+tt.library+"'\nmodule:provides('roster', { fetch = function()\n\n"+tt.call+"\nend })", nil)
			_, err := fetch(t, p, request("jim"))
			if errorKind(err) != "fault trap" || !strings.Contains(err.Error(), "mod_test.lua:4: ") || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want mod_test.lua:4: … %s", err, tt.want)
			}
		})
	}
}

func provideFetch(body string) string {
	return "module:provides('roster', { fetch = function()\n" + body + "\nend })"
}

// BenchmarkRequire is a call that requires a library; that of none is what such a call costs anyway.
func BenchmarkRequire(b *testing.B) {
	for _, name := range []string{"none", "util.set", "util.array", "util.iterators", "util.cache", "util.stanza", "util.json", "cjson", "util.jid", "net.http"} {
		b.Run(name, func(b *testing.B) {
			code := "return {}"
			if name != "none" {
				code = fmt.Sprintf("local L = require %q; return {}", name)
			}
			bench(b, provideFetch(code), nil)
		})
	}
}
