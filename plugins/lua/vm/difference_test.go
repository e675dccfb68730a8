package vm

import (
	"strings"
	"testing"
)

// differences are the places where gopher-lua leaves Lua 5.4. In each of them
// the VM does what Lua 5.4 does, or refuses by line, or does what "ours" says;
// then docs/PLUGINS.md has it too. lua54 is what Lua 5.4 printed, "error" if it
// failed; TestRecorded asks it again.
var differences = []struct {
	name, src, lua54 string
	ours             string // if it is not the same: what is printed, or "refused:LINE: MESSAGE"
}{
	// Syntax errors in gopher-lua.
	{"syntax: floor division", `print(7 // 2, -7 // 2, 7 // -2, 6 // -2, 7.5 // 2 == 3)`, "3\t-4\t-4\t-3\ttrue", ""},
	{"syntax: floor division of large numbers", `print(9007199254740991 // 2, (1 << 53) // 3, 5 // 0.3 == 16)`, "4503599627370495\t3002399751580330\ttrue", ""},
	{"syntax: floor division by zero", "x = 0\nprint(1 // x)", "error", "refused:2: attempt to perform 'n//0'"},
	{"syntax: floor division of what has none", "local t = {}\nprint(t.n // 2)", "error", "refused:2: attempt to perform arithmetic on a nil value (field 'n')"},
	{"syntax: bit and, or, xor, not", `print(12 & 10, 12 | 10, 12 ~ 10, ~12, ~0, -1 & 0xffff)`, "8\t14\t6\t-13\t-1\t65535", ""},
	{"syntax: shifts", `print(1 << 10, 1024 >> 3, -1 >> 12, 1 << 64, 1 << -1, 8 >> -1, 3 << 100)`, "1024\t128\t4503599627370495\t0\t0\t16\t0", ""},
	{"syntax: precedence of bit operators", `print(1 | 2 ~ 3 & 4 << 1, 2 + 3 << 1, 1 << 2 == 4, "a" .. (1 << 2), ~1 + 2, -2 ^ 2 // 3 == -2)`, "3\t10\ttrue\ta4\t0\ttrue", ""},
	{"syntax: bit operators above 2^53", "local n = 1 << 60", "", "refused:1: the result of a bit operation is above 2^53"},
	{"syntax: a product too large for bits", "local h = 2166136261\nh = (h * 16777619) & 0xffffffff", "", "refused:2: bit operation on a number above 2^53"},
	{"syntax: bit operators of fractions", "print(pcall(function() return 1.5 & 1 end))\nprint(1.5 | 0)", "error", "refused:2: number has no integer representation"},
	{"syntax: bit operators of strings", "print('7' & 3)", "error", "refused:1: attempt to perform bitwise operation on a string value"},
	{"syntax: metamethods of operators", `local mt = {}
		for _, n in ipairs { "idiv", "band", "bor", "bxor", "shl", "shr", "bnot" } do mt["__" .. n] = function() return n end end
		local o = setmetatable({}, mt) print(o // 1, 1 // o, o & 1, o | 1, 1 ~ o, o << 1, 1 >> o, ~o)`, "idiv\tidiv\tband\tbor\tbxor\tshl\tshr\tbnot", ""},
	{"syntax: const", "local x <const>, y <const> = 1, 2 print(x + y)", "3", ""},
	{"syntax: close", "do\nlocal f <close> = setmetatable({}, { __close = function() print('closed') end }) end", "closed", "refused:2: attribute <close> is not available"},
	{"syntax: skipped white space in strings", "print('a\\z\n   b')", "ab", ""},
	{"syntax: break inside a block", "for i = 1, 3 do if i == 2 then break; print 'no' end print(i) end", "1", ""},
	{"syntax: hexadecimal floats", "print(0x.8, 0x1p4 == 16, 0xA.8p0)", "0.5\ttrue\t10.5", ""},

	// Silently different in gopher-lua.
	{"silent: hexadecimal escapes", `print("\x41\x7A")`, "Az", ""},
	{"silent: unicode escapes", `print("\u{48}\u{20AC}")`, "H€", ""},
	{"silent: long constructors", "local t = {" + strings.Repeat("1,", 25_000) + "} print(#t)", "25000", ""},
	{"silent: longer constructors that end in a call", "\nlocal function f() return 1, 2 end local t = {" + strings.Repeat("1,", 25_000) + "f() } print(#t)", "25002", "refused:2: a call or ... after more than 25000 items of a table"},
	{"silent: longer constructors", "\nlocal t = {" + strings.Repeat("1,", 25_551) + "} print(#t)", "25551", ""},
	{"silent: tonumber", `print(tonumber("1e2") == 100, tonumber(" 0x1p4 ") == 16, tonumber("10", 2), tonumber("1e"), tonumber("0x"), tonumber("1_0"))`, "true\ttrue\t2\tnil\tnil\tnil", ""},
	{"silent: pattern class %g", `print(("a b\n"):gsub("%g", "x"))`, "x x\n\t2", ""},
	{"silent: pattern frontier", `print((("THE (quick) fox"):gsub("%f[%a]%a+", "w")))`, "w (w) w", ""},
	{"silent: rep with separator", `print(("a"):rep(3, ","))`, "a,a,a", ""},
	{"silent: %d of a fraction", "\nprint(('%d'):format(7.5))", "error", "refused:2: bad argument"},
	{"silent: %d of a whole float", `print(('%d %x'):format(3.0, 255))`, "3 ff", ""},
	{"silent: %q", `print(('%q'):format('a\n"b"\0\\'))`, "\"a\\\n\\\"b\\\"\\0\\\\\"", ""},
	{"silent: %s and __tostring", `print(('%s'):format(setmetatable({}, { __tostring = function() return "x" end })))`, "x", ""},
	{"silent: whole floats as text", `print(7 / 1 .. "", 2 ^ 20 .. "", 3.0)`, "7.0\t1048576.0\t3.0", "7\t1048576\t3"},
	{"silent: large floats as text", `print(1e15, 2 ^ 53 .. "")`, "1e+15\t9.007199254741e+15", "1000000000000000\t9007199254740992"},
	{"silent: fractions as text", `print(1 / 3 .. "", 0.1 .. "", -1.25e-7 .. "", 1 / 0 .. "", tostring(1 / 3))`, "0.33333333333333\t0.1\t-1.25e-07\tinf\t0.33333333333333", ""},
	{"silent: integers above 2^53, written", "\nprint(9007199254740993)", "9007199254740993", "refused:2: integer 9007199254740993 cannot be held exactly"},
	{"silent: integers above 2^53, computed", "local n = 1 << 53 print(n + 1 == n)", "false", "true"},
	{"silent: largest integer", "print(math.maxinteger)", "9223372036854775807", "9007199254740992"},
	{"silent: __pairs", `for k in pairs(setmetatable({}, { __pairs = function(t) return function(_, k) if not k then return "x" end end, t end })) do print(k) end`, "x", ""},
	{"silent: ipairs and __index", `for i, v in ipairs(setmetatable({}, { __index = function(_, i) if i < 3 then return i * 10 end end })) do print(i, v) end`, "1\t10\n2\t20", ""},
	{"silent: arguments of xpcall", `print(xpcall(function(...) return ... end, print, 1, nil, 3))`, "true\t1\tnil\t3", ""},
	{"silent: different __eq", `local a, b = setmetatable({}, { __eq = function() return true end }), setmetatable({}, { __eq = function() return true end })
		print(a == b, a ~= b, a == {}, {} == a, a == 1) if a ~= b then print "no" end`, "true\tfalse\ttrue\ttrue\tfalse", ""},
	{"silent: remainder of zero", "local z = 0\nprint(1 % z)", "error", "refused:2: attempt to perform 'n%0'"},
	{"silent: fmod of zero", "\nprint(math.fmod(1, 0))", "error", "refused:2: bad argument"},
	{"silent: step 0", "local step = 0\nfor i = 1, 3, step do end", "error", "refused:2: 'for' step is zero"},
	{"silent: step 0 written", "\nfor i = 1, 3, 0 do end", "error", "refused:2: 'for' step is zero"},
	{"silent: no globals", "local print = print\nlocal _ENV = nil\nprint 'x'", "x", ""},
	{"silent: other globals", "\nlocal _ENV = { print = print } x = 1 print(x)", "1", "refused:2: '_ENV' is not available"},
	{"silent: globals of a function", "\nlocal function f(_ENV) return x end print(f { x = 1 })", "1", "refused:2: '_ENV' is not available"},
	{"silent: the globals by name", "\n_ENV.x = 1 print(x)", "1", "refused:2: '_ENV' is not available"},
	{"silent: assert says where", "local ok, e = pcall(function()\nassert(false, 'no') end) print((e:gsub('^.*:2', '2')))", "2: no", ""},
	{"silent: a name of its own", "print((tostring(setmetatable({}, { __name = 'My' })):gsub(':.*', '')))", "My", ""},
	{"silent: swapped variables", "local a, b = 1, 2 a, b = b, a print(a, b)", "2\t1", ""},
	{"silent: last call beside a key", "local function f() return 1, 2 end local t = { 1, x = f() } print(#t)", "1", ""},
	{"silent: calls before operators", "local function f() return 1, 2 end local t = { f() .. f(), f() // f() } print(#t, t[1], t[2])", "2\t11\t1", ""},
	{"silent: captured in a loop that breaks", "local f while true do local x = 1 f = function() return x end break end local y = 2 print(f())", "1", ""},
	{"silent: yield across pcall", "local co = coroutine.wrap(function() print(pcall(function() return coroutine.yield(1) end)) end) co() co(2)", "true\t2", "false\tlua:1: attempt to yield across pcall\n\nrefused:1: cannot resume dead coroutine"},
	{"silent: yield in a metamethod", "local co = coroutine.wrap(function()\nreturn setmetatable({}, { __index = coroutine.yield }).x end) co()", "", "refused:2: attempt to yield across a metamethod"},
	{"silent: finalizers", "setmetatable({}, { __gc = function() print('gone') end })", "gone", "\n"},
	{"silent: weak tables stay strong", "local t = setmetatable({}, { __mode = 'k' }) t[{}] = 1 print(next(t) ~= nil)", "true", ""},

	// Missing in gopher-lua.
	{"missing: table.unpack, pack, move", `print(table.unpack({ 1, 2, 3 }, 2)) print(table.pack(1, nil).n, table.concat(table.move({ 1, 2, 3 }, 1, 3, 2), ","))`, "2\t3\n2\t1,1,2,3", ""},
	{"missing: math.type", `print(math.type(1), math.type(1.5), math.type("1"))`, "integer\tfloat\tnil", ""},
	{"missing: math.type of a whole float", `print(math.type(1.0))`, "float", "integer"},
	{"missing: math.tointeger", `print(math.tointeger(3.0), math.tointeger(3.5), math.ult(1, -1))`, "3\tnil\ttrue", ""},
	{"missing: utf8", `print(utf8.char(228, 8364), utf8.len("äö"), utf8.codepoint("ä"), utf8.offset("aäb", 3)) for p, c in utf8.codes("aä") do print(p, c) end`, "ä€\t2\t228\t4\n1\t97\n2\t228", ""},
	{"missing: string.pack", "\nprint(#string.pack('i4', 5))", "4", "refused:2: string.pack is not available"},
	{"missing: string.unpack", "\nprint((string.unpack('i1', 'a')))", "97", "refused:2: string.unpack is not available"},
	{"missing: rawlen", `print(rawlen({ 1, 2 }), rawlen("abc"))`, "2\t3", ""},
	{"missing: load", "\nprint(load('return 1')())", "1", "refused:2: load is not available"},
	{"missing: coroutine.close, isyieldable", "local co = coroutine.create(print) print(coroutine.close(co), coroutine.status(co), coroutine.isyieldable())", "true\tdead\tfalse", ""},

	// Extra in gopher-lua.
	{"extra: unpack of Lua 5.1", `print((unpack or table.unpack)({ 1, 2 }))`, "1\t2", ""},
	{"extra: loadstring", "\nloadstring('x = 1')", "error", "refused:2: loadstring is not available"},
	{"extra: setfenv", "\nsetfenv(1, {})", "error", "refused:2: setfenv is not available"},
	{"extra: getfenv", "\ngetfenv(1)", "error", "refused:2: getfenv is not available"},
	{"extra: module", "\nmodule('x')", "error", "refused:2: module is not available"},
	{"extra: newproxy", "\nnewproxy()", "error", "refused:2: newproxy is not available"},
	{"extra: table.getn", "\ntable.getn({})", "error", "refused:2: table.getn is not available"},
	{"extra: channel", "print(channel)", "nil", ""},
	{"extra: _printregs", "print(_printregs)", "nil", ""},
	{"extra: escaped punctuation of Lua 5.1", `print("a\.b")`, "error", "a.b"},
	{"extra: the table arg", "local function f(...) return arg and type(arg) end print(f(1) == 'table' and #arg == 1)", "false", ""},

	// Works in gopher-lua.
	{"works: goto", "for i = 1, 3 do if i == 2 then goto continue end print(i) ::continue:: end", "1\n3", ""},
	{"works: semicolons", ";;; do ; end ; print 'x' ;", "x", ""},
	{"works: calls on the next line", "local f = print\nf\n('a')\nf\n'b'", "a\nb", ""},
	{"works: long strings and comments", "--[[ a\n]] print([[\na]b]==]\n]] .. [==[x]]y]==])", "a]b]==]\nx]]y", ""},
	{"works: carriage returns", "print(1)\r\nprint(2)", "1\n2", ""},
	{"works: UTF-8 in strings", `print("grüße", #"ü")`, "grüße\t2", ""},
	{"works: methods of strings", `print(("x"):upper(), #"abc", ("%i"):format(3))`, "X\t3\t3", ""},
	{"works: numeric strings", `print("10" + 5, "0x10" * 1, "010" + 0, 10 .. 20)`, "15\t16\t10\t1020", ""},
	{"works: nested functions", "local function a() return function() return 5 end end print(a()())", "5", ""},
}

func TestDifferences(t *testing.T) {
	for _, d := range differences {
		t.Run(d.name, func(t *testing.T) {
			s := New(Limits{})
			defer s.Close()
			got, err := runScript(t, s, "lua", d.src)
			got = strings.TrimSuffix(got, "\n")
			if err != nil {
				got += "\nrefused:" + strings.TrimPrefix(err.Error(), "lua:")
			}
			want, wantRefusal, refused := strings.Cut(d.ours, "refused:")
			if d.ours == "" {
				want = d.lua54
			}
			printed, refusal, _ := strings.Cut(got, "\nrefused:")
			if printed != strings.Trim(want, "\n") && !refused || refused != (err != nil) || !strings.HasPrefix(refusal, wantRefusal) {
				t.Errorf("got  %q\nwant %q", got, d.ours+d.lua54)
			}
		})
	}
}
