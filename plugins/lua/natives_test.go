package lua_test

import (
	"fmt"
	"strings"
	"testing"
)

// wrong is a Lua function: what an error says in brackets.
const wrong = `local function wrong(...) return (select(2, pcall(...)):match(" %(([^()]*)%)$")) end; `

// What the libraries in Go do where Prosody's do otherwise, and what Prosody 13 has and 0.12 has not. The rest is
// compared with Prosody's own, by TestPeer.
func TestNatives(t *testing.T) {
	for _, tt := range []struct{ name, code, want string }{
		// An address is prepared as the server prepares those that it gives to scripts (RFC 7622).
		{"jid: sharp s stays", `local j = require "util.jid"; print(j.prep("STRAßE@b.example"))`, "straße@b.example"},
		{"jid: no white space in a host", `local j = require "util.jid"; print(select("#", j.prep("a@b c")))`, "0"},
		{"jid: compatibility characters", `local j = require "util.jid"; print(j.prep("\u{fb01}@b"), j.prep("a@b/\u{2168}"))`, "nil\ta@b/Ⅸ"},
		{"jid: numbers", `local j = require "util.jid"; print(j.split(12)); print(j.host(1.5))`, "nil\t12\tnil\n1.5"},

		{"datetime: a fraction is written", `local d = require "util.datetime"; print(d.datetime(0.25), d.time(59.999999), d.date(1.5), d.legacy(1.5), d.datetime(-0.5))`,
			"1970-01-01T00:00:00.250000Z\t00:00:59.999999\t1970-01-01\t19700101T00:00:01\t1969-12-31T23:59:59.500000Z"},
		{"datetime: a fraction is read", `local d = require "util.datetime"; print(d.parse("1970-01-01T00:00:00.25Z"), d.parse("1970-01-01T00:00:01.Z"), d.parse("1970-01-01T00:00:00.5+00:00"))`, "0.25\t1\t0.5"},
		{"datetime: now", `local d = require "util.datetime"; print(d.datetime(), d.date(), d.time(), d.legacy())`, "2026-02-03T04:05:06Z\t2026-02-03\t04:05:06\t20260203T04:05:06"},
		{"datetime: four digits", `local d = require "util.datetime"; print(d.date(-62135596800), wrong(d.date, 253402300800), wrong(d.date, 0/0))`,
			"0001-01-01\tdate result cannot be represented\tdate result cannot be represented"},
		{"time", `local t = require "util.time"; print(t.now(), t.monotonic() - t.now())`, "1770091506.789\t0"},

		{"uuid", `local u = require "util.uuid"; print(u.generate()); print(u.v4())`, "01020304-0506-4708-890a-0b0c0d0e0f10\n11121314-1516-4718-991a-1b1c1d1e1f20"},
		{"uuid: version 7", `local u = require "util.uuid"; print(u.v7())`, "019c21ac-ec65-7102-8304-05060708090a"},
		{"uuid: seed", `local u, r = require "util.uuid", require "util.random"; print(select("#", u.seed("x")), select("#", r.seed()))`, "0\t0"},
		{"nibbles", `local u = require "util.uuid"; print(u.get_nibbles(5), u.get_nibbles(2))`, "01020\t04"},
		{"random bytes", `local r = require "util.random"; print(r.bytes(3):byte(1, -1))`, "1\t2\t3"},
		{"id", `local i = require "util.id"; print(i.tiny(), i.short(), i.custom(2)())`, "AQID\tBAUGBwgJCgsM\tDQ4"},

		{"hashes: SHA-3", `local h = require "util.hashes"; print(h.sha3_256("abc", true)); print(#h.sha3_512(""), #h.hmac_sha3_256("k", "s"), #h.hmac_sha224("", ""))`,
			"3a985da74fe225b2045c172d6bd390bd855f086e3e9d525b46bfe24511431532\n64\t32\t28"},
		{"hashes: iterations", `local h = require "util.hashes"; print(wrong(h.pbkdf2_hmac_sha1, "p", "s", 0))`, "must be at least 1"},

		{"http: one small digit", `local h = require "util.http"; print(h.urldecode("%aB%Ba") == "\xab\xba")`, "true"},
		{"http: numbers", `local h = require "util.http"; print(h.formencode { { name = "a", value = 1 } }, h.formencode { a = 1.5, [2] = "b" }, h.urlencode(12))`, "a=1\t2=b&a=1.5\t12"},
		{"http: sorted", `local h = require "util.http"; print(h.formencode { c = 1, a = 2, b = 3, ["a b"] = 4 })`, "a=2&a+b=4&b=3&c=1"},
		{"http: fields", `local h = require "util.http"; print(wrong(h.formencode, { { name = "a", value = {} } })); print(wrong(h.formencode, { a = print }))`,
			"the value of a field must be a string, got table\nthe value of a field must be a string, got function"},

		{"encodings: tables of their own", `local e = require "util.encodings"; local name = "encode_url"; print(type(e.base64), (select(2, pcall(function() return e.base64[name] end)):gsub("^.-: ", "")))`,
			"table\tnot available in rosterd: util.encodings.base64.encode_url"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := printed(t, wrong+tt.code); got != tt.want {
				t.Errorf("%s\n prints %s\n not    %s", tt.code, got, tt.want)
			}
		})
	}
}

// A mistake is the script's line's.
func TestNativesAreBlamedOnTheScript(t *testing.T) {
	for code, want := range map[string]string{
		"local j = require 'util.jid'\n\nj.split({})":                                              "mod_test.lua:3: bad argument #1 to split (string expected, got table)",
		"local e = require 'util.encodings'\nlocal function f() return e.base64.encode() end\nf()": "mod_test.lua:2: bad argument #1 to encode (string expected, got nil)",
		"local x = require 'util.xml'\nx.parse({})":                                                "mod_test.lua:2: bad argument #1 to parse (string expected, got table)",
		"local h = require 'util.hashes'\nh.hmac_sha1('k')":                                        "mod_test.lua:2: bad argument #2 to hmac_sha1 (string expected, got nil)",
		"local u = require 'util.uuid'\n\n\nu.get_nibbles(-1)":                                     "mod_test.lua:4: bad argument #1 to get_nibbles (a number of at least 0 is expected)",
	} {
		_, _, err := tryOpen(t, "test", provide(code), nil)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s\nerror %v\n  not %s", code, err, want)
		}
	}
}

// Tables within a library are looked into when the script is loaded.
func TestUnavailableInPart(t *testing.T) {
	for _, code := range []string{
		`local e = require "util.encodings"; local function f() return e.base64.url_encode("x") end`,
		`local b = require "util.encodings".base64; local function f() return b.url_encode("x") end`,
		`local function f() return require "util.encodings".base64.url_encode("x") end`,
	} {
		_, _, err := tryOpen(t, "test", provide(code), nil)
		if err == nil || !strings.Contains(err.Error(), "mod_test.lua:1: not available in rosterd: util.encodings.base64.url_encode") {
			t.Errorf("%s: error %v", code, err)
		}
	}
	script(t, provide(`local e = require "util.encodings"; local b, s = e.base64, e.stringprep.nodeprep; local function f() return b.encode("x"), s("X") end; f()`), nil)
}

// No argument makes a library function give more than a string may hold.
func TestNativeLimits(t *testing.T) {
	const mega = `local mega = ("x"):rep(2^20); `
	for _, tt := range []struct{ name, code, want string }{
		{"base64", mega + `require "util.encodings".base64.encode(mega)`, "resulting string too long"},
		{"hex", mega + `require "util.hex".encode(mega)`, "resulting string too long"},
		{"percent", `require "util.http".urlencode((" "):rep(2^20))`, "resulting string too long"},
		{"form", mega + `local f = {}; for i = 1, 3 do f[i] = { name = mega, value = "" } end; require "util.http".formencode(f)`, "resulting string too long"},
		{"jid", mega + `require "util.jid".join(mega, mega)`, "resulting string too long"},
		{"escape", `require "util.jid".escape(("@"):rep(2^20))`, "resulting string too long"},
		{"random", `require "util.random".bytes(2^40)`, "resulting string too long"},
		{"nibbles", `require "util.uuid".get_nibbles(2^31)`, "resulting string too long"},
		{"custom id", `require "util.id".custom(2^20)`, "0 to 1024 bytes"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, _, err := tryOpen(t, "test", provide(tt.code), nil)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, not %s", err, tt.want)
			}
		})
	}
}

func TestXMLLimits(t *testing.T) {
	nested := func(n int) string { return fmt.Sprintf(`("<a>"):rep(%d) .. ("</a>"):rep(%d)`, n, n) }
	for _, tt := range []struct{ name, text, want string }{
		{"depth", nested(64), "true"},
		{"too deep", nested(65), "nil elements nested more than 64 deep (line 1, col 196)"},
		{"very deep", nested(100_000), "nil elements nested more than 64 deep (line 1, col 196)"},
		{"elements", `"<a>" .. ("<b/>"):rep(200001) .. "</a>"`, "nil more than 200000 elements, attributes and texts of XML in one call (line 1, col 800004)"},
		{"attributes", `"<a" .. (" b=''"):rep(200001) .. "/>"`, "nil more than 200000 elements, attributes and texts of XML in one call"},
		{"texts", `"<a>" .. ("<b>c</b>"):rep(100001) .. "</a>"`, "nil more than 200000 elements, attributes and texts of XML in one call (line 1, col 800004)"},
		{"size", `(function() local s = (" "):rep(2^20) return s .. s .. s .. s .. s .. s .. s .. s .. "<a/>" end)()`, "nil more than 8 MiB of XML"},
		{"prefixes", `(function() local s = "<a" for i = 1, 257 do s = s .. " xmlns:p" .. i .. "='u'" end return s .. "/>" end)()`, "nil more than 256 namespaces declared (line 1, col 3752)"},
		{"a reference that grows", `"<a>" .. ("&lol;"):rep(10) .. "</a>"`, "nil invalid character entity &lol; (line 1, col 9)"},
		{"another encoding", `"<?xml version='1.0' encoding='UTF-16'?><a/>"`, "nil xml: opening charset \"UTF-16\": unknown encoding UTF-16 (line 1, col 40)"},
		{"a comment", `"<a>\n<!-- c --></a>"`, "nil parsing aborted: comments are not allowed (line 2, col 11)"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			code := `local root, err = require "util.xml".parse(` + tt.text + `); if root then print(root.name == "a") else print(tostring(root) .. " " .. err) end`
			if got := printed(t, code); !strings.HasPrefix(got, tt.want) {
				t.Errorf("%s: %s\n not %s", tt.text, got, tt.want)
			}
		})
	}
}

// BenchmarkXML reads 100 contacts.
func BenchmarkXML(b *testing.B) {
	var doc strings.Builder
	doc.WriteString("<contacts>")
	for i := range 100 {
		fmt.Fprintf(&doc, "<contact jid='user%d@example.com'><name>Vorname Nachname %d</name><group>Friends</group><group>Team %d</group></contact>", i, i, i%10)
	}
	doc.WriteString("</contacts>")
	bench(b, `local http, xml = require "net.http", require "util.xml"
		module:provides("roster", { fetch = function(username)
			local doc = assert(xml.parse(http.request("http://localhost/"..username).body))
			assert(#doc.tags == 100)
			return {}
		end })`, []byte(doc.String()))
}
