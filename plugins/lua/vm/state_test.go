package vm

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	lua "github.com/yuin/gopher-lua"
)

// run calls src in s under ctx.
func run(t *testing.T, ctx context.Context, s *State, src string) error {
	t.Helper()
	proto, err := Compile("test.lua", []byte(src))
	if err != nil {
		t.Fatal(err)
	}
	return s.Run(ctx, func(L *lua.LState) error {
		L.Push(L.NewFunctionFromProto(proto))
		L.Call(0, 0)
		return nil
	})
}

func TestRuntimeError(t *testing.T) {
	for _, c := range []struct {
		name, src string
		place     Place
		msg       string
	}{
		{"error", "\nerror('boom')", Place{"test.lua", 2}, "boom"},
		{"error without place", "\n\nerror('boom', 0)", Place{"test.lua", 3}, "boom"},
		{"error of the caller", "local function f()\n error('bad', 2)\nend\n\nf() x = 1", Place{"test.lua", 5}, "bad"},
		{"assert", "assert(false, 'no')", Place{"test.lua", 1}, "no"},
		{"assert alone", "\nassert(nil)", Place{"test.lua", 2}, "assertion failed!"},
		{"error object", "error({})", Place{"test.lua", 1}, "(error object is a table value)"},
		{"number", "error(5)", Place{"test.lua", 1}, "5"},
		{"nil", "error()", Place{"test.lua", 1}, "(error object is a nil value)"},
		{"index of nil", "local t\n\nt.x = 1", Place{"test.lua", 3}, "attempt to index a non-table object(nil) with key 'x'"},
		{"call of nil", "\nmodules_enable { 'x' }", Place{"test.lua", 2}, "attempt to call a non-function object (near the call of 'modules_enable')"},
		{"text like a place", "error('http://host:80: refused', 0)", Place{"test.lua", 1}, "http://host:80: refused"},
		{"in a coroutine", "local co = coroutine.wrap(function()\n error('deep')\nend)\nco()", Place{"test.lua", 2}, "deep"},
		{"thrown again", "local ok, e = pcall(function()\n error('first') end)\nerror(e, 0)", Place{"test.lua", 2}, "first"},
		{"argument", "\n('x'):rep({})", Place{"test.lua", 2}, "bad argument #2 to rep (number expected, got table)"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := New(Limits{})
			defer s.Close()
			err := run(t, t.Context(), s, c.src)
			var e *RuntimeError
			if !errors.As(err, &e) {
				t.Fatalf("%T %v", err, err)
			}
			if e.Place != c.place || e.Msg != c.msg {
				t.Errorf("%+v %q, want %+v %q", e.Place, e.Msg, c.place, c.msg)
			}
			if want := fmt.Sprintf("%s:%d: %s", c.place.File, c.place.Line, c.msg); e.Error() != want {
				t.Errorf("%q, want %q", e.Error(), want)
			}
		})
	}
}

func TestTraceback(t *testing.T) {
	s := New(Limits{})
	defer s.Close()
	err := run(t, t.Context(), s, "local function inner()\n local x = nil + 1\nend\nfunction outer()\n inner() x = 1\nend\nouter()")
	var e *RuntimeError
	if !errors.As(err, &e) {
		t.Fatal(err)
	}
	want := []string{"test.lua:2: in inner", "test.lua:5: in outer", "test.lua:7: in main chunk"}
	if !reflect.DeepEqual(e.Traceback, want) {
		t.Errorf("%q, want %q", e.Traceback, want)
	}
	if e.Value.Type() != lua.LTString {
		t.Errorf("error object %v", e.Value)
	}
}

func TestRunResult(t *testing.T) {
	s := New(Limits{})
	defer s.Close()
	own := errors.New("own")
	if err := s.Run(t.Context(), func(L *lua.LState) error { return own }); err != own {
		t.Errorf("%v, want f's own error", err)
	}
	if err := s.Run(t.Context(), func(L *lua.LState) error { return s.Run(t.Context(), nil) }); err != errRunning {
		t.Errorf("%v, want %v", err, errRunning)
	}
	if err := run(t, t.Context(), s, "x = 1"); err != nil {
		t.Error(err)
	}
}

func TestOutsideRun(t *testing.T) {
	s := New(Limits{})
	defer s.Close()
	if err := run(t, t.Context(), s, "function f() return 1 end"); err != nil {
		t.Fatal(err)
	}
	err := s.L().CallByParam(lua.P{Fn: s.L().GetGlobal("f"), NRet: 1, Protect: true})
	if err == nil || !strings.Contains(err.Error(), errNotRunning.Error()) {
		t.Errorf("%v, want %v", err, errNotRunning)
	}
}

// TestPanics: gopher-lua panics where a tail call overflows its stack, and in
// the function that should recover.
func TestPanics(t *testing.T) {
	s := New(Limits{})
	defer s.Close()
	err := run(t, t.Context(), s, `local function f(n, ...)
		if n > 250 then return f(n, 1, ...) end
		return f(n + 1, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, ...)
	end f(1, table.unpack({}, 1, 9000))`)
	if err == nil || !strings.Contains(err.Error(), "too many values") {
		t.Fatalf("%v, want too many values", err)
	}
	if err := run(t, t.Context(), s, "x = 1"); err == nil || !strings.Contains(err.Error(), "not usable") {
		t.Errorf("%v from a state that is not usable", err)
	}

	s = New(Limits{})
	defer s.Close()
	s.L().SetGlobal("f", s.L().NewFunction(func(*lua.LState) int { panic("host") }))
	var e *RuntimeError
	if err := run(t, t.Context(), s, "f()"); !errors.As(err, &e) || e.Msg != "host" {
		t.Errorf("%v, want the panic of a Go function", err)
	}
}

func TestInstructionLimit(t *testing.T) {
	count := func(src string, limit int64) (int64, error) {
		s := New(Limits{Instructions: limit})
		defer s.Close()
		err := run(t, t.Context(), s, src)
		return s.Used(), err
	}
	const src = "local t = {} for i = 1, 1000 do t[i] = ('x'):rep(i):find('x-$') end table.sort(t) pcall(error) coroutine.wrap(function() for i = 1, 100 do end end)()"
	first, err := count(src, 0)
	if err != nil {
		t.Fatal(err)
	}
	if second, _ := count(src, 0); second != first {
		t.Errorf("%d steps, then %d", first, second)
	}
	if _, err := count(src, first); err != nil {
		t.Errorf("%v with just enough", err)
	}
	var stop *StopError
	if _, err := count(src, first-1); !errors.Is(err, ErrInstructions) || !errors.As(err, &stop) || stop.File != "test.lua" {
		t.Errorf("%v with one too few", err)
	}
}

// TestStopNotSwallowed ends runs by each cause inside all that could hide it.
func TestStopNotSwallowed(t *testing.T) {
	wraps := map[string]string{
		"plain":            "while true do begun() end",
		"pcall":            "while true do pcall(function() while true do begun() end end) end",
		"xpcall":           "xpcall(function() while true do begun() end end, function() while true do end end) while true do end",
		"coroutine":        "local co = coroutine.create(function() while true do begun() end end) while true do coroutine.resume(co) end",
		"pcall, coroutine": "while true do pcall(coroutine.wrap(function() pcall(function() while true do begun() end end) end)) end",
		"callback":         "while true do pcall(string.gsub, 'x', 'x', function() while true do begun() end end) end",
	}
	causes := map[string]struct {
		begun func(cancel func())
		want  error
	}{
		"cancelled":    {func(cancel func()) { cancel() }, context.Canceled},
		"instructions": {func(func()) {}, ErrInstructions},
	}
	for name, src := range wraps {
		for cause, c := range causes {
			t.Run(name+", "+cause, func(t *testing.T) {
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				limits := Limits{Instructions: 1 << 60}
				if c.want == ErrInstructions {
					limits.Instructions = 100_000
				}
				s := New(limits)
				defer s.Close()
				s.L().SetGlobal("begun", s.L().NewFunction(func(*lua.LState) int { c.begun(cancel); return 0 }))
				err := run(t, ctx, s, src)
				var stop *StopError
				if !errors.Is(err, c.want) || !errors.As(err, &stop) || stop.File != "test.lua" {
					t.Errorf("%T %v, want %v in test.lua", err, err, c.want)
				}
			})
		}
	}
}

func TestDeadline(t *testing.T) {
	s := New(Limits{Instructions: 1 << 60})
	defer s.Close()
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	if err := run(t, ctx, s, "while true do end"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v, want the deadline", err)
	}
	if err := run(t, ctx, s, "x = 1"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v from an expired context", err)
	}
	if err := run(t, t.Context(), s, "x = 1"); err != nil {
		t.Errorf("%v in the next run", err)
	}
}

func TestMemoryLimit(t *testing.T) {
	for name, src := range map[string]string{
		"string": "local s, t = string.rep('x', 1e6), {} while true do t[#t + 1] = s .. #t end",
		"table":  "local t = {} while true do t[#t + 1] = {} end",
		"pcall":  "local keep = {} while true do pcall(function() while true do keep[#keep + 1] = {1, 2, 3} end end) end",
	} {
		t.Run(name, func(t *testing.T) {
			s := New(Limits{Instructions: 1 << 60, HeapBytes: 32 << 20})
			defer s.Close()
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			if err := run(t, ctx, s, src); !errors.Is(err, ErrMemory) {
				t.Errorf("%v, want %v", err, ErrMemory)
			}
		})
	}
}

func TestContext(t *testing.T) {
	type key struct{}
	ctx := context.WithValue(t.Context(), key{}, "value")
	s := New(Limits{})
	defer s.Close()
	s.L().SetGlobal("check", s.L().NewFunction(func(L *lua.LState) int {
		if Context(L) != ctx || L.Context().Value(key{}) != "value" {
			t.Error("another context than Run's")
		}
		return 0
	}))
	if err := run(t, ctx, s, "check() pcall(check) coroutine.wrap(check)()"); err != nil {
		t.Error(err)
	}
}

// TestAbsent calls everything that is left out.
func TestAbsent(t *testing.T) {
	s := New(Limits{})
	defer s.Close()
	for lib, names := range absent {
		for _, name := range names {
			full := strings.TrimPrefix(lib+"."+name, ".")
			err := run(t, t.Context(), s, "\n"+full+"('x')")
			if want := "test.lua:2: " + full + " is not available"; err == nil || err.Error() != want {
				t.Errorf("%v, want %q", err, want)
			}
		}
	}
	// Nothing else is there that could load code, open files or look inside.
	want := `_G _VERSION assert collectgarbage coroutine debug dofile error getfenv getmetatable io ipairs load loadfile loadstring math module newproxy next os package pairs pcall print rawequal rawget rawlen rawset require select setfenv setmetatable string table tonumber tostring type unpack utf8 xpcall`
	got := mustRun(t, `local n = {} for k in pairs(_G) do n[#n + 1] = k end table.sort(n) print(table.concat(n, " "))`)
	if strings.TrimSpace(got) != want {
		t.Errorf("globals %s", got)
	}
}

func TestEmbedderAdds(t *testing.T) {
	s := New(Limits{})
	defer s.Close()
	s.L().GetGlobal("os").(*lua.LTable).RawSetString("getenv", s.L().NewFunction(func(L *lua.LState) int {
		L.Push(lua.LString("of " + L.CheckString(1)))
		return 1
	}))
	s.L().SetGlobal("lfs", s.L().NewFunction(Unavailable("lfs")))
	out, err := runScript(t, s, "test.lua", "print(os.getenv('HOME')) print(1, nil, {} ~= nil, 0.5) lfs()")
	if out != "of HOME\n1\tnil\ttrue\t0.5\n" || err == nil || err.Error() != "test.lua:1: lfs is not available" {
		t.Errorf("%q, %v", out, err)
	}
}

// TestCall: a Go function that survives the error of a Lua function leaves the
// variables of the callers as they are.
func TestCall(t *testing.T) {
	s := New(Limits{})
	defer s.Close()
	s.L().SetGlobal("try", s.L().NewFunction(func(L *lua.LState) int {
		results, err := Call(L, L.Get(1), lua.LNumber(1), lua.LNumber(2))
		var e *RuntimeError
		if errors.As(err, &e) {
			L.Push(lua.LString(fmt.Sprintf("%s at line %d", e.Msg, e.Line)))
			return 1
		}
		for _, v := range results {
			L.Push(v)
		}
		return len(results)
	}))
	out, err := runScript(t, s, "test.lua", `
		local n = 0
		local function inc() n = n + 1 end
		print(try(function(a, b) inc() return b, a, nil end))
		print(try(function() inc()
			error("bad") end))
		inc() print(n, select('#', try(function() end)))
		print((try(nil)))`)
	if want := "2\t1\tnil\nbad at line 6\n3\t0\nattempt to call a nil value at line 0\n"; err != nil || out != want {
		t.Errorf("%q, %v, want %q", out, err, want)
	}
}

// TestGuards: coroutines and pcall inside each other.
func TestGuards(t *testing.T) {
	for name, c := range map[string]struct{ src, want string }{
		"yield across pcall": {`print(coroutine.wrap(function() return pcall(function() coroutine.yield(1) end) end)())`, "false\ttest.lua:1: attempt to yield across pcall\n"},
		"yield across a metamethod": {`print(coroutine.resume(coroutine.create(function() return setmetatable({}, {__index = function() coroutine.yield(1) end}).x end)))`,
			"false\ttest.lua:1: attempt to yield across a metamethod, an iterator or a Go function\n"},
		"yield across an iterator": {`print(coroutine.resume(coroutine.create(function() for x in function() coroutine.yield(1) end do end end)))`,
			"false\ttest.lua:1: attempt to yield across a metamethod, an iterator or a Go function\n"},
		"yield across gsub": {`print(coroutine.resume(coroutine.create(function() return ("x"):gsub("x", function() coroutine.yield(1) end) end)))`,
			"false\ttest.lua:1: attempt to yield across a metamethod, an iterator or a Go function\n"},
		"yield in a coroutine in pcall": {`print(pcall(function() local co = coroutine.wrap(function() coroutine.yield(1) coroutine.yield(2) end) return co(), co() end))`, "true\t1\t2\n"},
		"coroutine made in pcall":       {`local co pcall(function() co = coroutine.wrap(function() coroutine.yield(1) coroutine.yield(2) end) co() error("x") end) print(co())`, "2\n"},
		"running in pcall": {`print(coroutine.wrap(function() local a = coroutine.running() return select(2, pcall(function() return coroutine.running() == a, coroutine.status(a), coroutine.isyieldable() end)) end)())`,
			"true\trunning\tfalse\n"},
		"status in pcall":            {`local co co = coroutine.create(function() print(pcall(coroutine.status, co)) end) coroutine.resume(co) print(coroutine.status(co))`, "true\trunning\ndead\n"},
		"main is not to be resumed":  {`print(coroutine.resume(coroutine.running()))`, "false\tcannot resume non-suspended coroutine\n"},
		"main is not to be closed":   {`print(pcall(coroutine.close, coroutine.running()))`, "false\tcannot close a running coroutine\n"},
		"closed":                     {`local co = coroutine.create(print) coroutine.close(co) print(coroutine.resume(co)) print(coroutine.close(co))`, "false\tcannot resume dead coroutine\ntrue\n"},
		"variables survive an error": {`local n = 0 local function inc() n = n + 1 end for i = 1, 3 do pcall(function() inc() error("x") end) inc() end print(n)`, "6\n"},
		"variables of what failed":   {`local get pcall(function() local x = 1 get = function() x = x + 1 return x end error("x") end) print(get(), get())`, "2\t3\n"},
		"many pcalls in a row":       {`local n = 0 for i = 1, 500 do if pcall(error) then n = n + 1 end pcall(function() n = n + 1 end) end print(n)`, "500\n"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := mustRun(t, c.src); got != c.want {
				t.Errorf("%q, want %q", got, c.want)
			}
		})
	}
}

// TestCoroutinesAcrossRuns: a coroutine of one run goes on in the next, under
// the budget of that one.
func TestCoroutinesAcrossRuns(t *testing.T) {
	s := New(Limits{Instructions: 20_000, MaxCoroutines: 2})
	defer s.Close()
	if err := run(t, t.Context(), s, "co = coroutine.wrap(function() coroutine.yield(1) while true do end end) co()"); err != nil {
		t.Fatal(err)
	}
	if err := run(t, t.Context(), s, "pcall(co)"); !errors.Is(err, ErrInstructions) {
		t.Errorf("%v, want %v", err, ErrInstructions)
	}
	for range 3 { // left behind, but not counted against the next run
		if err := run(t, t.Context(), s, "coroutine.create(next) coroutine.create(next)"); err != nil {
			t.Error(err)
		}
	}
}

// TestSharedProto: states run the same compiled chunk at once.
func TestSharedProto(t *testing.T) {
	proto, err := Compile("test.lua", []byte("local n = 0 for i = 1, 100 do n = n + i goto c ::c:: end return n, {1, 2, x = n}"))
	if err != nil {
		t.Fatal(err)
	}
	results := make(chan error)
	for range 4 {
		go func() {
			s := New(Limits{})
			defer s.Close()
			results <- s.Run(t.Context(), func(L *lua.LState) error {
				L.Push(L.NewFunctionFromProto(proto))
				L.Call(0, 1)
				if n := L.ToInt(-1); n != 5050 {
					return fmt.Errorf("%d, want 5050", n)
				}
				return nil
			})
		}()
	}
	for range 4 {
		if err := <-results; err != nil {
			t.Error(err)
		}
	}
}
