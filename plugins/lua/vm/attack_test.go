package vm

import (
	"context"
	"errors"
	"runtime"
	"strings"
	"testing"
	"time"

	lua "github.com/yuin/gopher-lua"
)

// attacks try to take time or memory without bound, or to get out. Each ends in
// a budget, a Lua error or harmlessly, and never by luck: the context is only
// there so that a failing test ends.
var attacks = []struct {
	name string
	src  string
	want string // "instructions", or what the error says, or "" for a harmless end
}{
	{"endless while", `while true do end`, "instructions"},
	{"endless goto", `::a:: goto a`, "instructions"},
	{"endless repeat", `repeat until false`, "instructions"},
	{"for without step", `for i = 1, 1, 0 do end`, "'for' step is zero"},
	{"for without end", `for i = 1, math.huge do end`, "instructions"},
	{"empty calls", `local function f() end while true do f() end`, "instructions"},
	{"pcall swallows", `while true do pcall(function() while true do end end) end`, "instructions"},
	{"pcall nested", `local function f(n) while true do pcall(f, n + 1) end end f(0)`, "instructions"},
	{"xpcall swallows", `while true do xpcall(function() while true do end end, function(e) while true do end end) end`, "instructions"},
	{"looping error handler", `xpcall(function() error("x") end, function() while true do pcall(function() while true do end end) end end)`, "instructions"},
	{"pcall of pcall", `local t = {} for i = 1, 1e9 do pcall(pcall, pcall, error) end`, "instructions"},
	{"recursion", `local function f(n) return 1 + f(n + 1) end return f(0)`, "stack overflow"},
	{"recursion through pcall", `local function f() local ok, e = pcall(f) if not ok then error(e, 0) end end f()`, "stack overflow"},
	{"recursion through a metamethod", `local t = setmetatable({}, {}) getmetatable(t).__index = function(s, k) return s[k] end return t.x`, "stack overflow"},
	{"recursion through tostring", `local mt = {} mt.__tostring = function(x) return tostring(x) end return tostring(setmetatable({}, mt))`, "stack overflow"},
	{"recursion through sort", `local function f() table.sort({1, 2, 3}, f) end f()`, "stack overflow"},
	{"recursion through gsub", `local function f() return ("x"):gsub("x", f) end f()`, "stack overflow"},
	{"tail calls", `local function f(n) return f(n + 1) end return f(0)`, "instructions"},
	{"index chain", `local t = {} for i = 1, 200 do t = setmetatable({}, {__index = t}) end return t.x`, "too many recursions"},
	{"long string by rep", `return #string.rep("x", 2^31)`, "too long"},
	{"longer string by rep", `return #string.rep("x", 2^40)`, "too long"},
	{"longest string by rep", `return #string.rep("xxxxxxx", 2^62, "yy")`, "too long"},
	{"rep in a loop", `while true do string.rep("x", 1e6) end`, "instructions"},
	{"rep of nothing", `for i = 1, 1e9 do string.rep("", 1e15) end`, "instructions"},
	{"upper in a loop", `local s = string.rep("x", 1e6) while true do s:upper() end`, "instructions"},
	{"doubling a string", `local s = "x" while true do s = s .. s end`, "instructions"},
	{"doubling a string by itself", `local s = "x" while true do s = s .. s .. s .. s .. s .. s .. s end`, "too long"},
	{"long strings made in a loop", `local s = string.rep("x", 1e6) while true do local t = s .. "x" end`, "instructions"},
	{"long strings kept", `local t, s = {}, string.rep("x", 1e6) while true do t[#t + 1] = s .. #t end`, "instructions"},
	{"recursion through concat", `local mt = {} mt.__concat = function(a, b) return a .. b end return setmetatable({}, mt) .. "x"`, "stack overflow"},
	{"recursion through division", `local mt = {} mt.__idiv = function(a, b) return a // b end return setmetatable({}, mt) // 2`, "stack overflow"},
	{"shift far", `local n = 0 for i = 1, 1e9 do n = n | 1 << (i % 50) end`, "instructions"},
	{"operator called by its name", `local s = "\27(oper" .. "ator) ..\0\0" return s("a", "b")`, "attempt to call"},
	{"hole in an array", `local t = {} t[67108863] = 1 return #t`, ""},
	{"holes in an array", `local t = {} for i = 1, 20 do t[i * 3000000] = 1 end return #t`, ""},
	{"huge table.concat", `local t = {} local s = string.rep("x", 10000) for i = 1, 100000 do t[i] = s end return #table.concat(t)`, "too long"},
	{"endless table.concat", `return table.concat(setmetatable({}, {__index = function() return "" end}), "", 1, 1e15)`, "instructions"},
	{"exponential pattern", `return string.find(string.rep("a", 30), string.rep("a?", 30) .. string.rep("a", 30))`, "too many steps"},
	{"polynomial pattern", `return string.find(string.rep("a", 50000), ".-.-.-.-b")`, "too many steps"},
	{"quadratic pattern", `return string.find(string.rep("a", 20000), ".-b")`, "too many steps"},
	{"quadratic balance", `return string.find(string.rep("(", 20000), "%b()")`, "too many steps"},
	{"back reference", `return string.find(string.rep("a", 20000), "(.-)%1b")`, "too many steps"},
	{"patterns caught", `while true do pcall(string.find, string.rep("a", 30), string.rep("a?", 30) .. string.rep("a", 30)) end`, "instructions"},
	{"long run in a pattern", `return string.find(string.rep("a", 400000), "^a*b")`, ""},
	{"deep pattern", `return string.find(string.rep("a", 1000), string.rep("a?", 100000))`, "too complex"},
	{"huge subject", `local s = string.rep("x", 1e6) s = s .. s .. s .. s .. s return s:find("x*y")`, "too long to be searched"},
	{"many captures", `return string.find("a", string.rep("()", 100000))`, "too many captures"},
	{"huge gsub", `return #string.gsub(string.rep("a", 100000), "a", string.rep("b", 100000))`, "too long"},
	{"endless gsub callback", `return string.gsub("a", "a", function() while true do end end)`, "instructions"},
	{"wide format", `return #string.format("%999999999d", 1)`, "invalid conversion"},
	{"long format", `return #string.format(string.rep("%99s" .. string.rep("x", 99), 9000), table.unpack({}, 1, 10000))`, "too long"},
	{"unpack", `return unpack({}, 1, 1e8)`, "too many results"},
	{"unpack all", `return select('#', table.unpack({}, -2^53, 2^53))`, "too many results"},
	{"unpack and unpack", `local function f(...) return f(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, ...) end f(table.unpack({}, 1, 9000))`, "registry overflow"},
	{"unpack in tail calls", `local function f(...) return f(1, 2, 3, 4, 5, 6, 7, 8, ...) end f()`, "overflow"},
	{"move", `return table.move({}, 1, 1e15, 2)`, "instructions"},
	{"move caught", `while true do pcall(table.move, {}, 1, 1e15, 2) end`, "instructions"},
	{"byte", `return string.byte(string.rep("x", 1e6), 1, -1)`, "too long"},
	{"senseless order", `local t = {} for i = 1, 2000 do t[i] = i % 7 end table.sort(t, function() return true end)`, ""},
	{"endless order", `local t = {} for i = 1, 100 do t[i] = i end table.sort(t, function() while true do end end)`, "instructions"},
	{"sort in a loop", `local t = {} for i = 1, 10000 do t[i] = (i * 7919) % 10007 end while true do table.sort(t) table.sort(t, function(a, b) return a > b end) end`, "instructions"},
	{"insert in front", `local t = {} while true do table.insert(t, 1, 1) end`, "instructions"},
	{"remove in front", `local t = {} for i = 1, 2000 do t[i] = i end while #t > 0 do table.remove(t, 1) end return #t`, ""},
	{"coroutines made and ended", `while true do coroutine.wrap(function() end)() end`, "instructions"},
	{"coroutines left behind", `while true do coroutine.wrap(function() coroutine.yield() end)() end`, "too many unfinished coroutines"},
	{"coroutines not begun", `while true do coroutine.create(print) end`, "too many unfinished coroutines"},
	{"coroutines nested", `local function f() coroutine.wrap(f)() end f()`, "too many unfinished coroutines"},
	{"loop in a coroutine", `coroutine.wrap(function() while true do end end)()`, "instructions"},
	{"loop in a resumed coroutine", `local co = coroutine.create(function() while true do end end) while true do coroutine.resume(co) end`, "instructions"},
	{"loop in a coroutine in pcall", `while true do pcall(coroutine.wrap(function() pcall(function() while true do end end) end)) end`, "instructions"},
	{"string metatable", `getmetatable("").__index = function() return "pwned" end`, "attempt to index"},
	{"string metatable set", `setmetatable("", {__index = function() return "pwned" end})`, "table expected"},
	{"print", `while true do print("x") end`, "print is not available"},
	{"strftime", `return os.date(string.rep("%c" .. string.rep("x", 200), 5000))`, "too long"},
	{"utf8", `while true do utf8.len(string.rep("x", 1e6)) end`, "instructions"},
	{"tonumber", `local s = string.rep("1", 1e6) while true do tonumber(s, 10) end`, "instructions"},
	{"raw access", `local t = {} while true do rawset(t, 1, rawget(t, 1)) end`, "instructions"},
	{"host yields", `coroutine.yield()`, "outside a coroutine"},
}

const (
	attackInstructions = 500_000
	attackMemory       = 512 << 20 // allocated in all, garbage included
)

func TestAttacks(t *testing.T) {
	for _, a := range attacks {
		t.Run(a.name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			proto, err := Compile("attack.lua", []byte(a.src))
			if err != nil {
				t.Fatal(err)
			}
			s := New(Limits{Instructions: attackInstructions, PatternSteps: 100_000})
			defer s.Close()
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			err = s.Run(ctx, func(L *lua.LState) error {
				L.Push(L.NewFunctionFromProto(proto))
				L.Call(0, 0)
				return nil
			})
			runtime.ReadMemStats(&after)
			got := ""
			switch {
			case errors.Is(err, ErrInstructions):
				got = "instructions"
			case err != nil:
				got = err.Error()
			}
			if a.want == "" && got != "" || !strings.Contains(got, a.want) {
				t.Errorf("ended with %q, want %q", got, a.want)
			}
			if n := after.TotalAlloc - before.TotalAlloc; n > attackMemory {
				t.Errorf("allocated %d MiB", n>>20)
			}
		})
	}
}
