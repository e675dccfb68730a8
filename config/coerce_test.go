package config

import (
	"fmt"
	"math"
	"strings"
	"testing"
	"time"
)

// value is what Lua makes of an expression.
func value(t *testing.T, expr string) Value {
	t.Helper()
	return mustLoad(t, "v = "+expr).global.section.set["v"].value
}

// reads runs a reader over an expression: the value, "nil" if it is not understood, and what was said.
func reads[T any](t *testing.T, read reader[T], expr string) (got string, said string) {
	t.Helper()
	r := &reading{cfg: mustLoad(t, "")}
	v, ok := read(r, value(t, expr))
	got = fmt.Sprint(v)
	if !ok {
		got = "nil"
	}
	var all []string
	for _, p := range r.problems {
		kind := "warn"
		if p.bad {
			kind = "bad"
		}
		all = append(all, kind+" "+p.msg)
	}
	return got, strings.Join(all, "; ")
}

type coercion struct {
	expr, want string
	said       string // part of what is said; "" is nothing
}

func runCoercions[T any](t *testing.T, read reader[T], cases []coercion) {
	t.Helper()
	for _, c := range cases {
		got, said := reads(t, read, c.expr)
		if got != c.want {
			t.Errorf("%s is read as %s, want %s", c.expr, got, c.want)
		}
		if c.said == "" && said != "" || !strings.Contains(said, c.said) {
			t.Errorf("%s: %q is said, want %q", c.expr, said, c.said)
		}
	}
}

func TestBoolean(t *testing.T) {
	const no = "bad takes true or false, not "
	runCoercions(t, boolean, []coercion{
		{"true", "true", ""}, {"false", "false", ""}, {`"true"`, "true", ""}, {`"false"`, "false", ""},
		{"1", "true", ""}, {"0", "false", ""}, {"1.0", "true", ""},
		{`"yes"`, "nil", no + `"yes"`}, {`"on"`, "nil", no}, {`"True"`, "nil", no}, {`"1"`, "nil", no}, {`"0"`, "nil", no},
		{"2", "nil", no + "2"}, {`""`, "nil", no}, {"print", "nil", no + "a function"},
		{"{ true }", "true", ""}, {"{ false, true }", "false", "warn does not take a list"}, {"{}", "nil", "bad takes a single value, not an empty table"},
		{"{ { true } }", "nil", "bad takes a single value, not a table in a table"},
	})
}

func TestInteger(t *testing.T) {
	runCoercions(t, integer(1, 100), []coercion{
		{"5", "5", ""}, {`"5"`, "5", ""}, {`" 0x10 "`, "16", ""}, {`"1e1"`, "10", ""},
		{"1.5", "1", "warn takes a whole number: 1.5 is read as 1"}, {`"1.5"`, "1", "warn takes a whole number"},
		{"0", "1", "warn 0 is below the least value, 1 is used"}, {`"-1"`, "1", "warn"}, {"1000", "100", "warn 1000 is above the greatest value, 100 is used"},
		{`"10kb"`, "nil", `bad takes a number, not "10kb"`}, {"true", "nil", "bad takes a number, not true"}, {`""`, "nil", "bad"}, {`"0x"`, "nil", "bad"}, {"0/0", "nil", "bad"},
		{"{ 7, 8 }", "7", "warn does not take a list"}, {"{}", "nil", "bad"},
	})
}

func TestText(t *testing.T) {
	runCoercions(t, text, []coercion{
		{`"x"`, "x", ""}, {"5", "5", ""}, {"1.5", "1.5", ""}, {"true", "true", ""}, {"2^53", "9.007199254741e+15", ""},
		{`{ "x", "y" }`, "x", "warn"}, {"{}", "nil", "bad"}, {"print", "nil", "bad takes a string, not a function"},
	})
}

func TestSize(t *testing.T) {
	runCoercions(t, size(1, 1<<40), []coercion{
		{"10000", "10000", ""}, {`"10000"`, "10000", ""}, {`"256 KB"`, "262144", ""}, {`"256kib"`, "262144", ""}, {`"1m"`, "1048576", ""}, {`"1.5 MB"`, "1572864", ""},
		{`"2 GiB"`, "2147483648", ""}, {`"5 bytes"`, "5", ""}, {`"5b"`, "5", ""},
		{`"lots"`, "nil", "bad takes a number of bytes"}, {`"10 parsecs"`, "nil", "bad"}, {"-1", "1", "warn"},
	})
}

func TestPeriod(t *testing.T) {
	forever := fmt.Sprint(Forever)
	seconds := func(n float64) string { return fmt.Sprint(time.Duration(n * 1e9)) }
	runCoercions(t, period(0, Forever), []coercion{
		{"90", "1m30s", ""}, {"0.5", "500ms", ""}, {`"90s"`, "1m30s", ""}, {`"30 min"`, "30m0s", ""}, {`"30 minutes"`, "30m0s", ""}, {`"1h"`, "1h0m0s", ""}, {`"2 hours"`, "2h0m0s", ""},
		{`"2 days"`, "48h0m0s", ""}, {`"1w"`, "168h0m0s", ""}, {`"3 WEEKS"`, "504h0m0s", ""}, {`"1 month"`, seconds(31 * 86400), ""}, {`"1 year"`, seconds(365.2425 * 86400), ""},
		{`"1 day and a bit"`, "24h0m0s", ""},
		{"false", forever, ""}, {`"never"`, forever, ""}, {"-1", forever, ""}, {"1e300", forever, ""},
		{"true", "nil", "bad takes a number of seconds or a period"}, {`"yes"`, "nil", "bad"}, {`"Never"`, "nil", "bad"}, {`"two weeks"`, "nil", "bad"}, {"{}", "nil", "bad"},
		{`"30m"`, seconds(80352000), "bad \"30m\" is an ambiguous period, Prosody reads it as 930 days"}, {`"1mo"`, seconds(31 * 86400), "bad"}, {`"1mi"`, "1m0s", "bad"},
		{`"1.5h"`, "1s", "bad"}, {`"3600"`, "1h0m0s", "bad"},
	})
	runCoercions(t, period(time.Second, time.Minute), []coercion{
		{"0", "1s", "warn 0 is below the least value, 1s is used"}, {`"never"`, "1m0s", "warn"}, {"30", "30s", ""},
	})
}

func TestOneOf(t *testing.T) {
	runCoercions(t, oneOf("a", "b", "c"), []coercion{
		{`"a"`, "a", ""}, {`{ "b" }`, "b", ""}, {`"x"`, "nil", `bad takes "a", "b" or "c", not "x"`}, {"1", "nil", "bad"},
	})
}

func TestLists(t *testing.T) {
	runCoercions(t, listOf(text), []coercion{
		{`{ "a", "b" }`, "[a b]", ""}, {`"a"`, "[a]", ""}, {"{}", "[]", ""}, {`{ 1, true }`, "[1 true]", ""},
		{`{ "a", x = "b" }`, "[a]", "warn takes a list, the entry x = … is not read"},
		{`{ "a", nil, "b" }`, "[a]", "warn the entry [3] stands after a hole in the list and is not read"},
		{`{ "a", print }`, "[a]", "bad takes a string, not a function"},
	})
	runCoercions(t, moduleNames, []coercion{
		{`{ "a" }`, "[a]", ""}, {"{}", "[]", ""}, {`"a"`, "nil", "bad takes a list of modules"}, {`{ "a", 5 }`, "[a]", "bad takes names of modules, not 5"},
	})
	runCoercions(t, ports, []coercion{
		{"5222", "[5222]", ""}, {`"5222"`, "[5222]", ""}, {`{ 5222, "5223", 5222 }`, "[5222 5223]", ""}, {"{}", "[]", ""},
		{"{ 0 }", "[]", "bad takes port numbers, not 0"}, {"{ 70000 }", "[]", "bad"}, {"{ 1.5 }", "[]", "bad"}, {`{ "xmpp", 5222 }`, "[5222]", "bad takes a number"},
	})
	runCoercions(t, listOf(network), []coercion{
		{`{ "127.0.0.1", "::1", "10.1.2.3/8" }`, "[127.0.0.1/32 ::1/128 10.0.0.0/8]", ""}, {`{ "proxy.example" }`, "[]", "bad takes addresses and networks"},
	})
	runCoercions(t, listOf(bareJID), []coercion{
		{`{ "Admin@Example.com" }`, "[admin@example.com]", ""}, {`{ "a@b/c" }`, "[]", "bad takes bare JIDs"}, {`{ "@" }`, "[]", "bad"},
	})
	runCoercions(t, listOf(iface), []coercion{
		{`{ "*", "::", "127.0.0.1", "localhost" }`, "[* :: 127.0.0.1 localhost]", ""}, {`"300.1.1.1 "`, "[]", "bad takes addresses to listen on"},
	})
	runCoercions(t, listOf(discoItem), []coercion{
		{`{ { "muc.example.com", "Rooms" }, { "x.example.com" }, "y.example.com" }`, "[{muc.example.com Rooms} {x.example.com } {y.example.com }]", ""},
		{`{ {} }`, "[]", "bad takes entries of the form"}, {`{ { "a", "b", "c" } }`, "[]", "bad"}, {`{ { "a b" } }`, "[]", "bad takes JIDs"},
	})
}

func TestHeaders(t *testing.T) {
	runCoercions(t, headers, []coercion{
		{`{ Authorization = "Bearer x", ["X-Key"] = "5", Host = "crm" }`, "[{Authorization Bearer x} {X-Key 5} {Host crm}]", ""},
		{`"x"`, "nil", "bad takes a table"}, {`{ "x" }`, "nil", "bad takes a table"}, {`{ ["a b"] = "x" }`, "[]", `bad "a b" is no name of a header`},
		{`{ A = "x\r\nB: y" }`, "[]", "bad the value of the header A has line breaks"}, {`{ A = "x\n" }`, "[]", "FileLine reads a file without its newline"},
		{`{ ["Content-Length"] = "x" }`, "[]", "bad the header Content-Length is not for you to set"}, {`{ A = 5 }`, "[]", "bad the value of the header A has to be a string"},
	})
}

func TestToken(t *testing.T) {
	runCoercions(t, token, []coercion{
		{`"sesame\n"`, "sesame", ""}, {`""`, "nil", "bad is empty"}, {`" \n"`, "nil", "bad is empty"}, {`"a b"`, "nil", "bad has characters"}, {`"ü"`, "nil", "bad"}, {"false", "false", ""},
	})
}

// What is secret does not come out in messages.
func TestSecretsAreNotShown(t *testing.T) {
	c := mustLoad(t, "rosterd_refresh_token = { { 'sesame' } }\nrosterd_backend_headers = { Authorization = 'open\\1sesame' }\nVirtualHost 'h.example'\nhttp_roster_url = 'http://user:sesame@ho st/'\nmodules_enabled = { 'http_roster_admin' }")
	for _, d := range Check(c) {
		if strings.Contains(d.String(), "sesame") {
			t.Errorf("a message gives a secret away: %s", d)
		}
	}
}

func TestParseNumber(t *testing.T) {
	for _, c := range []struct {
		s    string
		want float64
		ok   bool
	}{
		{"1", 1, true}, {" -1.5 ", -1.5, true}, {".5", .5, true}, {"5.", 5, true}, {"1e2", 100, true}, {"0x10", 16, true}, {"0x.8", .5, true}, {"0xAp1", 20, true}, {"1e999", math.Inf(1), true},
		{"", 0, false}, {"x", 0, false}, {"1_000", 0, false}, {"0x", 0, false}, {"inf", 0, false}, {"nan", 0, false}, {"1 2", 0, false}, {"1e", 0, false},
	} {
		if got, ok := parseNumber(c.s); ok != c.ok || ok && got != c.want {
			t.Errorf("parseNumber(%q) = %v, %v; want %v, %v", c.s, got, ok, c.want, c.ok)
		}
	}
}

func TestSecret(t *testing.T) {
	for name, want := range map[string]bool{
		"rosterd_refresh_token": true, "rosterd_refresh_hmac_secret": true, "rosterd_plugin_secrets": true, "rosterd_backend_headers": true,
		"turn_external_secret": true, "ldap_password": true, "sql": true, "ssl": true, "c2s_direct_tls_ssl": true, "external_services": true,
		"rosterd_plugin_http_allow": false, "admins": false, "crm_token": false, "crm_ssl": false, "": false,
	} {
		if got := Secret(name); got != want {
			t.Errorf("%q: %v", name, got)
		}
	}
}
