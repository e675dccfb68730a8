package vm

import (
	"strings"

	lua "github.com/yuin/gopher-lua"
)

// absent is what scripts know and do not get. Each is a function that says so
// by name, until the embedder sets something in its place.
var absent = map[string][]string{
	"":       {"collectgarbage", "dofile", "getfenv", "load", "loadfile", "loadstring", "module", "newproxy", "print", "require", "setfenv"},
	"string": {"dump", "pack", "packsize", "unpack"},
	"table":  {"foreach", "foreachi", "getn", "maxn", "setn"},
	"os":     {"execute", "exit", "getenv", "remove", "rename", "setlocale", "tmpname"},
	"io":     {"close", "input", "lines", "open", "output", "popen", "read", "tmpfile", "type", "write"},
	"debug": {"debug", "getfenv", "gethook", "getinfo", "getlocal", "getmetatable", "getregistry", "getupvalue", "getuservalue",
		"setfenv", "sethook", "setlocal", "setmetatable", "setupvalue", "setuservalue", "traceback", "upvalueid", "upvaluejoin"},
	"package": {"loadlib", "searchpath", "seeall"},
}

// Unavailable makes a function that raises "NAME is not available" where it is
// called.
func Unavailable(name string) lua.LGFunction {
	return func(L *lua.LState) int {
		L.RaiseError("%s is not available", name)
		return 0
	}
}

// Print makes Lua's print from a sink for the finished line.
func Print(sink func(L *lua.LState, line string)) lua.LGFunction {
	return func(L *lua.LState) int {
		var words []string
		for i := 1; i <= L.GetTop(); i++ {
			words = append(words, toString(L, L.Get(i)))
		}
		line := strings.Join(words, "\t")
		checkLength(L, len(line), len(line))
		sink(L, line)
		return 0
	}
}

// shared makes Lua functions of Go functions once for all states: nobody can
// change a Go function's environment.
func shared(funcs map[string]lua.LGFunction) map[string]*lua.LFunction {
	made := make(map[string]*lua.LFunction, len(funcs))
	for name, f := range funcs {
		made[name] = &lua.LFunction{IsG: true, GFunction: f}
	}
	return made
}

// libraries are the global tables, "" the globals themselves.
var libraries = func() map[string]map[string]*lua.LFunction {
	libs := map[string]map[string]lua.LGFunction{
		"": baseLib, "coroutine": coroutineLib, "debug": {}, "io": {}, "math": mathLib, "os": osLib, "package": {},
		"string": stringLib, "table": tableLib, "utf8": utf8Lib,
	}
	made := map[string]map[string]*lua.LFunction{}
	for lib, funcs := range libs {
		made[lib] = shared(funcs)
		for _, name := range absent[lib] {
			full := strings.TrimPrefix(lib+"."+name, ".")
			made[lib][name] = &lua.LFunction{IsG: true, GFunction: Unavailable(full)}
		}
	}
	made[""]["unpack"] = made["table"]["unpack"] // Lua 5.1
	return made
}()

var stringMethods = shared(stringArithmetic)

// open fills the globals.
func (s *State) open() {
	L := s.l
	G := L.G.Global
	fill := func(t *lua.LTable, funcs map[string]*lua.LFunction) *lua.LTable {
		for name, f := range funcs {
			t.RawSetString(name, f)
		}
		return t
	}
	tables := map[string]*lua.LTable{}
	for lib, funcs := range libraries {
		if lib == "" {
			fill(G, funcs)
			continue
		}
		tables[lib] = fill(L.CreateTable(0, len(funcs)), funcs)
		G.RawSetString(lib, tables[lib])
	}
	G.RawSetString("_G", G)
	G.RawSetString("_VERSION", lua.LString("Lua 5.4"))
	for name, v := range mathConstants {
		tables["math"].RawSetString(name, v)
	}
	tables["utf8"].RawSetString("charpattern", lua.LString(utf8Pattern))

	y := L.NewFunctionFromProto(yieldGlue)
	y.Upvalues[0] = &lua.Upvalue{}
	y.Upvalues[0].Close()
	y.Upvalues[0].SetValue(yieldFunction)
	tables["coroutine"].RawSetString("yield", y)

	mt := fill(L.CreateTable(0, len(stringMethods)+2), stringMethods)
	mt.RawSetString("__index", tables["string"])
	mt.RawSetString("__metatable", lua.LFalse) // setmetatable and getmetatable stop here
	L.SetMetatable(lua.LString(""), mt)
}

var baseLib = map[string]lua.LGFunction{
	"assert":       baseAssert,
	"error":        baseError,
	"getmetatable": baseGetmetatable,
	"ipairs":       baseIpairs,
	"next":         baseNext,
	"pairs":        basePairs,
	"pcall":        basePcall,
	"rawequal":     func(L *lua.LState) int { L.Push(lua.LBool(L.RawEqual(L.CheckAny(1), L.CheckAny(2)))); return 1 },
	"rawget":       func(L *lua.LState) int { L.Push(L.RawGet(L.CheckTable(1), L.CheckAny(2))); return 1 },
	"rawlen":       baseRawlen,
	"rawset":       baseRawset,
	"select":       baseSelect,
	"setmetatable": baseSetmetatable,
	"tonumber":     baseTonumber,
	"tostring":     func(L *lua.LState) int { L.Push(lua.LString(toString(L, L.CheckAny(1)))); return 1 },
	"type":         func(L *lua.LState) int { L.Push(lua.LString(L.CheckAny(1).Type().String())); return 1 },
	"xpcall":       baseXpcall,
}

func baseAssert(L *lua.LState) int {
	if lua.LVAsBool(L.CheckAny(1)) {
		return L.GetTop()
	}
	var v lua.LValue = lua.LString("assertion failed!")
	if L.GetTop() > 1 {
		v = L.Get(2)
	}
	L.Error(atLevel(L, v, 1), 0)
	return 0
}

// baseError adds the place to messages itself: gopher-lua's Error takes level
// 2 for level 1.
func baseError(L *lua.LState) int {
	L.Error(atLevel(L, L.Get(1), int(optInt(L, 2, 1))), 0)
	return 0
}

// atLevel puts the place of a level before an error that is a string.
func atLevel(L *lua.LState, v lua.LValue, level int) lua.LValue {
	if msg, ok := v.(lua.LString); ok && level > 0 {
		return lua.LString(levelPlace(L, level).prefix()) + msg
	}
	return v
}

// levelPlace is where the function at a level is: 1 called error, 2 called
// that. Go functions have no place.
func levelPlace(L *lua.LState, level int) (p Place) {
	d, ok := L.GetStack(level)
	if !ok {
		return Place{}
	}
	fn, err := L.GetInfo("fSl", d, nil)
	if f, ok := fn.(*lua.LFunction); err == nil && ok && !f.IsG && !ours(d.Source) {
		p = Place{File: d.Source, Line: d.CurrentLine}
	}
	return p
}

func baseGetmetatable(L *lua.LState) int {
	L.Push(L.GetMetatable(L.CheckAny(1)))
	return 1
}

func baseSetmetatable(L *lua.LState) int {
	t := L.CheckTable(1)
	mt := L.Get(2)
	if L.GetTop() < 2 || mt.Type() != lua.LTNil && mt.Type() != lua.LTTable {
		L.ArgError(2, "nil or table expected")
	}
	if L.GetMetaField(t, "__metatable") != lua.LNil {
		L.RaiseError("cannot change a protected metatable")
	}
	L.SetMetatable(t, mt)
	L.SetTop(1)
	return 1
}

// The functions that others hand out.
var (
	nextFunction   = &lua.LFunction{IsG: true, GFunction: baseNext}
	ipairsFunction = &lua.LFunction{IsG: true, GFunction: ipairsNext}
)

func baseNext(L *lua.LState) int {
	k, v := L.CheckTable(1).Next(L.Get(2))
	L.Push(k)
	if k == lua.LNil {
		return 1
	}
	L.Push(v)
	return 2
}

func basePairs(L *lua.LState) int {
	v := L.CheckAny(1)
	if f, ok := L.GetMetaField(v, "__pairs").(*lua.LFunction); ok {
		L.Push(f)
		L.Push(v)
		L.Call(1, 3)
		return 3
	}
	L.CheckTable(1)
	L.Push(nextFunction)
	L.Push(v)
	L.Push(lua.LNil)
	return 3
}

func baseIpairs(L *lua.LState) int {
	v := L.CheckAny(1)
	if _, ok := v.(*lua.LTable); !ok && L.GetMetaField(v, "__index") == lua.LNil {
		L.TypeError(1, lua.LTTable)
	}
	L.Push(ipairsFunction)
	L.Push(v)
	L.Push(lua.LNumber(0))
	return 3
}

func ipairsNext(L *lua.LState) int {
	i := int(checkInt(L, 2)) + 1
	v := getIndex(L, L.Get(1), i)
	if v == lua.LNil {
		L.Push(lua.LNil)
		return 1
	}
	L.Push(lua.LNumber(i))
	L.Push(v)
	return 2
}

func baseRawlen(L *lua.LState) int {
	switch v := L.Get(1).(type) {
	case *lua.LTable:
		L.Push(lua.LNumber(v.Len()))
	case lua.LString:
		L.Push(lua.LNumber(len(v)))
	default:
		L.ArgError(1, "table or string expected")
	}
	return 1
}

func baseRawset(L *lua.LState) int {
	L.RawSet(L.CheckTable(1), L.CheckAny(2), L.CheckAny(3))
	L.SetTop(1)
	return 1
}

func baseSelect(L *lua.LState) int {
	n := L.GetTop()
	if v, ok := L.Get(1).(lua.LString); ok && v == "#" {
		L.Push(lua.LNumber(n - 1))
		return 1
	}
	i := int(min(checkInt(L, 1), int64(n)))
	if i < 0 {
		i = n + i
	}
	if i < 1 {
		L.ArgError(1, "index out of range")
	}
	return n - i
}

func baseTonumber(L *lua.LState) int {
	v := L.CheckAny(1)
	if L.Get(2) == lua.LNil {
		if f, ok := toNumber(v); ok {
			L.Push(lua.LNumber(f))
		} else {
			L.Push(lua.LNil)
		}
		return 1
	}
	s, ok := v.(lua.LString)
	if !ok {
		L.TypeError(1, lua.LTString)
	}
	base := checkInt(L, 2)
	if base < 2 || base > 36 {
		L.ArgError(2, "base out of range")
	}
	Charge(L, len(s)/16)
	L.Push(inBase(string(s), int(base)))
	return 1
}

// inBase reads an integer of a base, nil if it is none.
func inBase(s string, base int) lua.LValue {
	s = strings.Trim(s, luaSpace)
	neg := strings.HasPrefix(s, "-")
	if neg {
		s = s[1:]
	}
	if s == "" {
		return lua.LNil
	}
	n := 0.0
	for _, c := range []byte(s) {
		d := 99
		switch {
		case isDigit(c):
			d = int(c - '0')
		case isLetter(c) && c != '_':
			d = int(c|0x20-'a') + 10
		}
		if d >= base {
			return lua.LNil
		}
		n = n*float64(base) + float64(d)
	}
	if neg {
		n = -n
	}
	return lua.LNumber(n)
}
