package main

import (
	"fmt"
	"strings"
)

// attack is Lua that tries to take time or memory, to get at what is not its own, or to break whoever reads what it
// returns. It is what fetch does, or the whole script.
type attack struct {
	name  string
	code  string
	whole bool
	want  string // how it ends in both placements, see ending
	never bool   // it waits for what does not come
	apart string // how it ends in a worker, if not so
}

// alone tells whether a script of the attack's own is wanted: one that is not even opened.
func (a attack) alone() bool { return a.want == "refused" }

// script is the attack alone.
func (a attack) script() string {
	if a.whole {
		return a.code
	}
	return attackLibraries + "module:provides('roster', { fetch = function() " + a.code + "\nend })"
}

// arsenal is a script with all attacks: the user attackN makes the one of that number, and all others have a roster of
// one contact.
func arsenal() string {
	var b strings.Builder
	b.WriteString(attackLibraries + "local attacks = {}\n")
	for i, a := range attacks {
		if !a.alone() {
			fmt.Fprintf(&b, "attacks[%d] = function(user, req) %s\nend\n", i, a.code)
		}
	}
	b.WriteString(`module:provides("roster", { fetch = function(user, req)
		local attack = attacks[tonumber(user:match("^attack(%d+)$"))]
		if attack then return attack(user, req) end
		async.wait_for(http.request(url .. "/roster"))
		return { { jid = user .. "@friend.example" } }
	end })`)
	return b.String()
}

// nested is source that is deeper than any tree should be.
func nested(open, inner, closing string, n int) string {
	return "local x = " + strings.Repeat(open, n) + inner + strings.Repeat(closing, n)
}

// attacks are what a script may try. The first part is what any Lua can do, the second what it does with rosterd.
var attacks = []attack{
	// Time.
	{name: "endless while", code: `while true do end`, want: "stopped"},
	{name: "endless goto", code: `::a:: goto a`, want: "stopped"},
	{name: "endless empty calls", code: `local function f() end while true do f() end`, want: "stopped"},
	{name: "pcall swallows the end", code: `while true do pcall(function() while true do end end) end`, want: "stopped"},
	{name: "pcall in pcall", code: `local function f(n) while true do pcall(f, n + 1) end end f(0)`, want: "stopped"},
	{name: "xpcall with a looping handler", code: `while true do xpcall(function() while true do end end, function() while true do end end) end`, want: "stopped"},
	{name: "error handler that loops", code: `xpcall(function() error("x") end, function() while true do pcall(function() while true do end end) end end)`, want: "stopped"},
	{name: "tail calls without end", code: `local function f(n) return f(n + 1) end return f(0)`, want: "stopped"},
	{name: "loop in a coroutine", code: `coroutine.wrap(function() while true do end end)()`, want: "stopped"},
	{name: "loop in resumed coroutines", code: `local co = coroutine.create(function() while true do end end) while true do coroutine.resume(co) end`, want: "stopped"},
	{name: "calls of iterators without end", code: `for _ in function() return 1 end do end`, want: "stopped"},
	{name: "division in a loop", code: `local n = 1 while true do n = (n // 1 | 1) ~ 2 end`, want: "stopped"},
	{name: "sorting without order", code: `local t = {} for i = 1, 200000 do t[i] = i % 7 end table.sort(t, function() return true end) while true do end`, want: "stopped"},
	{name: "sorting much", code: `local t = {} for i = 1, 300000 do t[i] = (i * 7919) % 1000003 end while true do table.sort(t) table.sort(t, function(a, b) return a > b end) end`, want: "stopped"},
	{name: "sorting with an endless order", code: `table.sort({ 1, 2, 3 }, function() while true do end end)`, want: "stopped"},
	{name: "insertions in front", code: `local t = {} while true do table.insert(t, 1, 1) end`, want: "stopped"},
	{name: "removals in front", code: `local t = {} for i = 1, 400000 do t[i] = i end while true do table.remove(t, 1) t[#t + 1] = 1 end`, want: "stopped"},
	{name: "moves", code: `while true do pcall(table.move, {}, 1, 1e15, 2) end`, want: "stopped"},
	{name: "text of numbers", code: `local s = 0 for i = 1, 1e9 do s = tostring(i) .. tostring(s):sub(1, 1000) end`, want: "stopped"},

	// Patterns.
	{name: "pattern: exponential", code: `string.find(("a"):rep(30), ("a?"):rep(30) .. ("a"):rep(30))`, want: "error"},
	{name: "pattern: many minimal items", code: `string.find(("a"):rep(50000), ".-.-.-.-b")`, want: "error"},
	{name: "pattern: quadratic", code: `string.find(("a"):rep(200000), ".-b")`, want: "error"},
	{name: "pattern: long subject", code: `local s = ("x"):rep(1000000) s = s .. s .. s .. s .. s string.find(s, "(x*)*y")`, want: "error"},
	{name: "pattern: deep", code: `string.find(("a"):rep(1000), ("a?"):rep(100000))`, want: "error"},
	{name: "pattern: balance", code: `string.find(("("):rep(200000), "%b()")`, want: "error"},
	{name: "pattern: caught each time", code: `while true do pcall(string.find, ("a"):rep(30), ("a?"):rep(30) .. ("a"):rep(30)) end`, want: "stopped"},
	{name: "pattern: gmatch without end", code: `while true do for _ in (("a "):rep(10000)):gmatch("%s*%a-%s") do end end`, want: "stopped"},
	{name: "pattern: gsub grows", code: `return #string.gsub(("a"):rep(100000), "a", ("b"):rep(100000))`, want: "error"},
	{name: "pattern: gsub calls", code: `string.gsub(("a"):rep(100000), "a", function() while true do end end)`, want: "stopped"},

	// Memory.
	{name: "rep of 2 GiB", code: `local s = ("x"):rep(2 ^ 31)`, want: "error"},
	{name: "rep of 1 TiB", code: `local s = ("x"):rep(2 ^ 40)`, want: "error"},
	{name: "rep kept", code: `local t = {} for i = 1, 1e9 do t[i] = ("x"):rep(1000000) end`, want: "stopped"},
	{name: "doubled string", code: `local s = "x" while true do s = s .. s end`, want: "error"},
	{name: "long strings kept", code: `local s, t = ("x"):rep(1000000), {} while true do t[#t + 1] = s .. #t end`, want: "stopped"},
	{name: "tables kept", code: `local t, i = {}, 0 while true do i = i + 1 t[i] = { i, i, i, i } end`, want: "stopped"},
	{name: "keys kept", code: `local t, i = {}, 0 while true do i = i + 1 t["k" .. i] = i end`, want: "stopped"},
	{name: "functions kept", code: `local t, i = {}, 0 while true do i = i + 1 t[i] = function() return i end end`, want: "stopped"},
	{name: "memory caught", code: `local keep = {} while true do pcall(function() while true do keep[#keep + 1] = { 1, 2, 3 } end end) end`, want: "stopped"},
	{name: "hole in an array", code: `local t = {} t[67108863] = 1 return {}`, want: "harmless"},
	{name: "holes in an array", code: `local t = {} for i = 1, 20 do t[i * 3000000] = 1 end return {}`, want: "harmless"},
	{name: "huge concat", code: `local t = {} for i = 1, 100000 do t[i] = ("x"):rep(10000) end return #table.concat(t)`, want: "stopped"},
	{name: "wide format", code: `return #string.format("%999999999d", 1)`, want: "error"},
	{name: "long format", code: `return #string.format(("%99s"):rep(10000) .. ("x"):rep(900000), table.unpack({}, 1, 10000))`, want: "error"},
	{name: "unpack", code: `return unpack({}, 1, 1e8)`, want: "error"},
	{name: "unpack less", code: `return select("#", unpack({}, 1, 8000000))`, want: "error"},
	{name: "arguments without end", code: `local function f(...) return f(1, 2, 3, 4, 5, 6, 7, 8, ...) end return f()`, want: "error"},
	{name: "coroutines left behind", code: `while true do coroutine.wrap(function() coroutine.yield() end)() end`, want: "error"},
	{name: "coroutines kept", code: `local t = {} while true do local c = coroutine.create(function() coroutine.yield() end) coroutine.resume(c) t[#t + 1] = c end`, want: "error"},
	{name: "coroutines in coroutines", code: `local function f() coroutine.wrap(f)() end f()`, want: "error"},

	// The stack.
	{name: "recursion", code: `local function f(n) return 1 + f(n + 1) end return f(0)`, want: "error"},
	{name: "recursion of __tostring", code: `local mt = {} mt.__tostring = function(x) return tostring(x) end return tostring(setmetatable({}, mt))`, want: "error"},
	{name: "recursion of __index", code: `local t = setmetatable({}, {}) getmetatable(t).__index = function(s, k) return s[k] end return t.x`, want: "error"},
	{name: "recursion of ..", code: `local mt = {} mt.__concat = function(a, b) return a .. b end return setmetatable({}, mt) .. "x"`, want: "error"},
	{name: "recursion through pcall", code: `local function f() local ok, e = pcall(f) if not ok then error(e, 0) end end f()`, want: "error"},
	{name: "recursion in an error handler", code: `local function h() return h() + 1 end return xpcall(error, h, "x")`, want: "bad result"},
	{name: "recursion through gsub and sort", code: `local function f() table.sort({ 1, 2 }, function() ("x"):gsub("x", f) end) end f()`, want: "error"},

	// Code.
	{name: "source: parentheses", whole: true, code: nested("(", "1", ")", 100_000), want: "refused"},
	{name: "source: blocks", whole: true, code: strings.Repeat("do ", 100_000) + strings.Repeat(" end", 100_000), want: "refused"},
	{name: "source: minus signs", whole: true, code: nested("- ", "1", "", 300_000), want: "refused"},
	{name: "source: concatenations", whole: true, code: nested("'a'..", "'b'", "", 150_000), want: "refused"},
	{name: "source: tables", whole: true, code: nested("{", "", "}", 300_000), want: "refused"},
	{name: "source: functions", whole: true, code: nested("function() return ", "1", " end", 30_000), want: "refused"},
	{name: "source: calls", whole: true, code: "f" + strings.Repeat("()", 300_000), want: "refused"},
	{name: "source: constants", whole: true, code: "local x " + strings.Repeat("x = 1.5 x = 'abcd' ", 40_000), want: "refused"},
	{name: "source: 2 MiB", whole: true, code: strings.Repeat("-- comment\n", 200_000), want: "refused"},
	{name: "source: binary", whole: true, code: "\x1bLua\x54\x00", want: "refused"},
	{name: "source: a loop", whole: true, code: `while true do end`, want: "refused"},
	{name: "source: a table without end", whole: true, code: `local t = {} while true do t[#t + 1] = {} end`, want: "refused"},
	{name: "loading code", code: `return loadstring(("("):rep(200000))`, want: "refused"},
	{name: "loading code by another name", code: `return _G["load" .. "string"]("x")`, want: "error"},
	{name: "setfenv", code: `return pcall(setfenv, 0, {})`, want: "refused"},
	{name: "collectgarbage", code: `while true do collectgarbage() end`, want: "refused"},
	{name: "files", code: `return io.open("/etc/passwd"):read("*a")`, want: "refused"},
	{name: "processes", code: `return os["exe" .. "cute"]("true")`, want: "error"},
	{name: "debug", code: `return debug.getregistry()`, want: "refused"},
	{name: "metatable of strings", code: `getmetatable("").__index = function() return "pwned" end`, want: "error"},
	{name: "metatable of the environment", code: `setmetatable(_G, { __index = function() return "pwned" end })`, want: "error"},

	// What is returned.
	{name: "returned: a million contacts", code: `local t = {} for i = 1, 1000000 do t[i] = { jid = i .. "@x.example" } end return t`, want: "stopped"},
	{name: "returned: one contact, a million times", code: `local t, c = {}, { jid = "a@x.example" } for i = 1, 1000000 do t[i] = c end return t`, want: "bad result"},
	{name: "returned: itself", code: `local t = {} t[1] = t return t`, want: "bad result"},
	{name: "returned: itself as groups", code: `local t = { jid = "a@x.example" } t.groups = t return { t }`, want: "harmless"},
	{name: "returned: a function", code: `return function() while true do end end`, want: "bad result"},
	{name: "returned: a coroutine", code: `return coroutine.create(function() end)`, want: "bad result"},
	{name: "returned: endless __index", code: `return setmetatable({}, { __index = function(_, k) while true do end end })`, want: "harmless"},
	{name: "returned: endless __pairs", code: `return setmetatable({}, { __pairs = function() return function() return 1, {} end end, __len = function() return 2 ^ 53 end })`, want: "harmless"},
	{name: "returned: __tostring in place of text", code: `return { { jid = setmetatable({}, { __tostring = function() while true do end end }) } }`, want: "bad result"},
	{name: "returned: contacts that change the list", code: `local t = {} for i = 1, 1000 do t[i] = setmetatable({}, { __index = function(_, k) t[#t + 1] = {} return "a@x.example" end }) end return t`, want: "bad result"},
	{name: "returned: a name of 1 MB", code: `return { { jid = "a@x.example", name = ("x"):rep(1000000) } }`, want: "harmless"},
	{name: "returned: a name that is no text", code: `return { { jid = "a@x.example", name = "\xff\0\n\x1b[2J" } }`, want: "harmless"},
	{name: "returned: a JID of 1 MB", code: `return { { jid = ("x"):rep(1000000) .. "@x.example" } }`, want: "harmless"},
	{name: "returned: a JID of another kind", code: `return { { jid = 1e300 }, { jid = 0 / 0 }, { jid = {} } }`, want: "bad result"},
	{name: "returned: 100,000 groups", code: `local g = {} for i = 1, 100000 do g[i] = "g" .. i end return { { jid = "a@x.example", groups = g } }`, want: "harmless"},
	{name: "returned: a forged response", code: `return { code = 200, body = '{"a@x.example":{}}', headers = {} }`, want: "bad result"},
	{name: "returned: a response made another", code: `local r = async.wait_for(http.request(url .. "/roster")) r.body = ("x"):rep(1000000) r.code = 200 return r`, want: "temporary"},
	{name: "returned: a revision of 1 MB", code: `return {}, { rev = ("x"):rep(1000000) }`, want: "bad result"},
	{name: "returned: 10,000 values", code: `return table.unpack({}, 1, 10000)`, want: "bad result"},
	{name: "returned: a huge reason", code: `return nil, ("x"):rep(1000000)`, want: "bad result"},
	{name: "returned: a huge explanation", code: `return nil, "temporary", ("x\n"):rep(500000)`, want: "temporary"},

	// Errors.
	{name: "error: 1 MB", code: `error(("x"):rep(1000000))`, want: "error"},
	{name: "error: 16 MB", code: `local s = ("x"):rep(1000000) error(s .. s .. s .. s .. s .. s .. s .. s .. s .. s .. s .. s)`, want: "error"},
	{name: "error: with an endless __tostring", code: `error(setmetatable({}, { __tostring = function() while true do end end }))`, want: "error"},
	{name: "error: a table of itself", code: `local t = {} t.t = t error(t)`, want: "error"},
	{name: "error: nil", code: `error()`, want: "error"},
	{name: "error: forged places", code: `error("/etc/passwd:1: \r\n2026-01-01 INFO all is well\x1b[2J", 0)`, want: "error"},

	// Promises, waiting, timers.
	{name: "promise of itself", code: `local p p = promise.resolve(1):next(function() return p end) local q q = promise.new(function(resolve) module:add_timer(0, function() resolve(q) end) end) return q`, want: "bad result"},
	{name: "promise never settled", code: `return promise.new(function() end)`, want: "bad result"},
	{name: "promise chain without end", code: `local function f() return promise.resolve():next(f) end return f()`, want: "error"},
	{name: "promise chain without end, kept", code: `local t = {} local function f() t[#t + 1] = {} return promise.resolve():next(f) end return f()`, want: "error"},
	{name: "promises by the million", code: `local p = promise.resolve() while true do p = p:next(function() end) end`, want: "stopped"},
	{name: "promise that looks like one", code: `return setmetatable({ next = function(self, f) while true do f(self) end end }, { __index = promise })`, want: "bad result"},
	{name: "waiting for nothing", code: `local wait = async.waiter() wait() return {}`, want: "error"},
	{name: "waiting for years", code: `async.sleep(1e8) return {}`, want: "error"},
	{name: "waiting in pcall", code: `while true do pcall(async.sleep, 1e8) end`, want: "stopped"},
	{name: "timers by the million", code: `for i = 1, 1e9 do module:add_timer(1e6, function() end) end`, want: "error"},
	{name: "timers at once, for ever", code: `module:add_timer(0, function() return 0 end) local wait = async.waiter() wait()`, want: "stopped"},

	// Requests.
	{name: "more requests than allowed", code: `for i = 1, 100 do http.request(url .. "/roster", nil, function() end) end return {}`, want: "error"},
	{name: "requests never waited for", code: `for i = 1, 8 do http.request(url .. "/never", nil, function() end) end error("gone")`, want: "error"},
	{name: "a backend that never answers", code: `return async.wait_for(http.request(url .. "/never"))`, want: "temporary", never: true},
	{name: "an answer without end", code: `return async.wait_for(http.request(url .. "/endless"))`, want: "temporary"},
	{name: "an answer that is a bomb", code: `return async.wait_for(http.request(url .. "/bomb"))`, want: "temporary"},
	{name: "a server nobody allowed", code: `return assert(async.wait_for(http.request("http://127.0.0.1:1/")))`, want: "error"},
	{name: "a file", code: `return assert(async.wait_for(http.request("file:///etc/passwd")))`, want: "error"},
	{name: "headers in headers", code: `return assert(async.wait_for(http.request(url .. "/roster", { headers = { ["X-A"] = "b\r\nX-Evil: 1" } })))`, want: "error"},
	{name: "a request of 16 MB", code: `local s = ("x"):rep(1000000) return assert(async.wait_for(http.request(url .. "/roster", { body = s .. s .. s .. s .. s .. s .. s .. s .. s .. s .. s .. s .. s .. s .. s })))`, want: "error"},
	{name: "a secret in a body", code: `local r = async.wait_for(http.request(url .. "/echo", { body = "{{secret:token}}" })) error(r.body)`, want: "error"},
	{name: "a secret in a path", code: `local r = async.wait_for(http.request(url .. "/{{secret:token}}")) error(r and r.body)`, want: "error"},

	// Options and what is kept.
	{name: "the secrets", code: `error(tostring(module:get_option("rosterd_plugin_secrets").token))`, want: "error"},
	{name: "credentials for the backend", code: `error(tostring(module:get_option("rosterd_backend_headers").Authorization))`, want: "error"},
	{name: "options by the million", code: `for i = 1, 1e9 do module:get_option("x" .. i) end`, want: "stopped"},
	{name: "values by the million", code: `local s = module:open_store() for i = 1, 1e9 do s:set("k" .. i, i) end`, want: "stopped"},
	{name: "a value of 1 MB", code: `local s = module:open_store() assert(s:set("k", ("x"):rep(1000000)))`, want: "error"},
	{name: "a value of itself", code: `local t = {} t.t = t assert(module:open_store():set("k", t))`, want: "error"},
	{name: "a key of 1 MB", code: `assert(module:open_store():set(("x"):rep(1000000), 1))`, want: "error"},
	{name: "stores by the million", code: `for i = 1, 1e9 do module:open_store("s" .. i):set("k", 1) end`, want: "stopped"},
	{name: "lines by the million", code: `while true do module:log("error", "x") end`, want: "stopped"},
	{name: "long lines", code: `while true do module:log("error", "%s", ("x"):rep(1000000)) end`, want: "stopped"},
	{name: "lines that forge others", code: `module:log("info", "\r\n2026-01-01 WARN gone\x1b[2J") return {}`, want: "harmless"},
	{name: "print by the million", code: `while true do print("x", ("x"):rep(10000)) end`, want: "stopped"},
	{name: "rosters of others in the midst of one", code: `return module:refresh_rosters({ "john" })`, want: "error"},

	// Libraries.
	{name: "json: deep", code: `return json.decode(("["):rep(500000))`, want: "bad result"},
	{name: "json: wide", code: `return json.decode("[" .. ("0,"):rep(500000) .. "0]")`, want: "bad result"},
	{name: "json: deep, in a loop", code: `while true do pcall(json.decode, ("[["):rep(20) .. ("]]"):rep(20)) end`, want: "stopped"},
	{name: "json: wide, kept", code: `local t, s = {}, "[" .. ("[0],"):rep(200000) .. "0]" while true do t[#t + 1] = json.decode(s) end`, want: "stopped"},
	{name: "json: a table of itself", code: `local t = {} t.t = t return json.encode(t)`, want: "error"},
	{name: "json: a table that doubles", code: `local t = {} for i = 1, 60 do t = { t, t } end return json.encode(t)`, want: "error"},
	{name: "json: long strings", code: `local t, s = {}, ("\0"):rep(1000000) for i = 1, 1000 do t[i] = s end return json.encode(t)`, want: "error"},
	{name: "xml: entities", code: `return xml.parse('<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;">]><x>&b;</x>').name`, want: "error"},
	{name: "xml: deep", code: `return xml.parse(("<a>"):rep(300000))`, want: "bad result"},
	{name: "xml: wide", code: `local s = "<a>" .. ("<b/>"):rep(240000) .. "</a>" while true do xml.parse(s) end`, want: "stopped"},
	{name: "xml: attributes", code: `local t = {} for i = 1, 60000 do t[i] = "a" .. i .. "=''" end return xml.parse("<a " .. table.concat(t, " ") .. "/>")`, want: "harmless"},
	{name: "pbkdf2 for hours", code: `return hashes.pbkdf2_hmac_sha256("a", "b", 2147483647)`, want: "stopped"},
	{name: "pbkdf2 in a loop", code: `while true do pcall(hashes.pbkdf2_hmac_sha256, "a", "b", 10000) end`, want: "stopped"},
	{name: "hashes in a loop", code: `local s = ("x"):rep(1000000) while true do hashes.sha512(s, true) end`, want: "stopped"},
	{name: "base64 in a loop", code: `local s = ("x"):rep(700000) while true do encodings.base64.decode(encodings.base64.encode(s)) end`, want: "stopped"},
	{name: "base64 kept", code: `local t, s = {}, ("x"):rep(700000) while true do t[#t + 1] = encodings.base64.encode(s .. #t) end`, want: "stopped"},
	{name: "random bytes", code: `return random.bytes(1e9)`, want: "error"},
	{name: "random bytes in a loop", code: `while true do random.bytes(1000) end`, want: "stopped"},
	{name: "names in a loop", code: `while true do uuid.generate() end`, want: "stopped"},
	{name: "JIDs in a loop", code: `local s = ("ä"):rep(400) while true do jid.prep(s .. "@example.com") end`, want: "stopped"},
	{name: "a JID of 1 MB", code: `while true do jid.prep(("ä"):rep(500000) .. "@x") end`, want: "stopped"},
	{name: "url encoding in a loop", code: `local s = ("ä"):rep(150000) while true do http.urldecode(http.urlencode(s)) end`, want: "stopped"},
	{name: "dates in a loop", code: `while true do datetime.parse(datetime.datetime(1e9)) os.date("%c", 1e9) end`, want: "stopped"},
	{name: "a format of dates", code: `return os.date(("%c" .. ("x"):rep(200)):rep(5000))`, want: "error"},
	{name: "sets", code: `local a, n = set.new({}), 0 while true do n = n + 1 a:add(n .. "x") a = a + set.new({ 1, 2, n }) end`, want: "stopped"},
	{name: "arrays", code: `local a = array({ 1 }) while true do a = a:append(a) end`, want: "stopped"},
	{name: "iterators", code: `return it.count(it.range(1, 1e15))`, want: "stopped"},
	{name: "cache of all there is", code: `local c, i = cache.new(1e9), 0 while true do i = i + 1 c:set("k" .. i, {}) end`, want: "stopped"},
	{name: "stanzas in stanzas", code: `local s = st.stanza("a") while true do s:tag("b") end`, want: "stopped"},
	{name: "a stanza of itself", code: `local s = st.stanza("a") s:add_direct_child(s) return tostring(s)`, want: "error"},
}

// libraries is what attacks find at hand.
const attackLibraries = `local http, json, xml, jid, st = require "net.http", require "util.json", require "util.xml", require "util.jid", require "util.stanza"
local hashes, encodings, random, uuid, datetime = require "util.hashes", require "util.encodings", require "util.random", require "util.uuid", require "util.datetime"
local set, array, it, cache, promise, async = require "util.set", require "util.array", require "util.iterators", require "util.cache", require "util.promise", require "util.async"
local url = module:get_option_string("url")
`
