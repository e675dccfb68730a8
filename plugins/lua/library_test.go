package lua_test

import "testing"

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
	} {
		code := "local L = require '" + tt.library + `'
			local function same(t, a, b, c) return t[1] == a and t[2] == b and t[3] == c end
			assert(` + tt.check + `, "is not so")`
		if _, _, err := tryOpen(t, "test", provide(code), nil); err != nil {
			t.Errorf("%s: %s: %v", tt.library, tt.check, err)
		}
	}
}
