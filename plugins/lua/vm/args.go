package vm

import (
	"strings"

	lua "github.com/yuin/gopher-lua"
)

// Arguments as Lua 5.4's auxiliary library checks them: numerals are numbers,
// numbers are strings, integers have no fraction.

func checkNumber(L *lua.LState, n int) float64 {
	f, ok := toNumber(L.Get(n))
	if !ok {
		L.TypeError(n, lua.LTNumber)
	}
	return f
}

func checkInt(L *lua.LState, n int) int64 {
	i, ok := toInteger(L.Get(n))
	if !ok {
		checkNumber(L, n)
		L.ArgError(n, "number has no integer representation")
	}
	return i
}

func optInt(L *lua.LState, n int, def int64) int64 {
	if L.Get(n) == lua.LNil {
		return def
	}
	return checkInt(L, n)
}

func checkString(L *lua.LState, n int) string {
	switch v := L.Get(n).(type) {
	case lua.LString:
		return string(v)
	case lua.LNumber:
		return formatNumber(float64(v))
	}
	L.TypeError(n, lua.LTString)
	return ""
}

func optString(L *lua.LState, n int, def string) string {
	if L.Get(n) == lua.LNil {
		return def
	}
	return checkString(L, n)
}

// checkLength raises an error if a string of n bytes is too long to be made,
// and charges for added bytes of it.
func checkLength(L *lua.LState, n, added int) {
	if limit := meterOf(L).state.limits.StringBytes; n > limit {
		L.RaiseError("resulting string too long (limit is %d bytes)", limit)
	}
	chargeBytes(L, added)
}

// toString converts as tostring does.
func toString(L *lua.LState, v lua.LValue) string {
	switch v := v.(type) {
	case lua.LString:
		return string(v)
	case lua.LNumber:
		return formatNumber(float64(v))
	}
	if f, ok := L.GetMetaField(v, "__tostring").(*lua.LFunction); ok {
		L.Push(f)
		L.Push(v)
		L.Call(1, 1)
		r := L.Get(-1)
		L.Pop(1)
		switch r := r.(type) {
		case lua.LString:
			return string(r)
		case lua.LNumber:
			return formatNumber(float64(r))
		}
		L.RaiseError("'__tostring' must return a string")
	}
	if name, ok := L.GetMetaField(v, "__name").(lua.LString); ok {
		return string(name) + strings.TrimPrefix(v.String(), v.Type().String())
	}
	return v.String()
}
