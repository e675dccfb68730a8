package vm

import (
	"maps"
	"slices"

	lua "github.com/yuin/gopher-lua"
)

// Value copies a Go value into Lua: a string, bool, int64, float64, a []any as a list, a map[string]any as a table whose
// keys are in order. Anything else is nil.
func Value(L *lua.LState, v any) lua.LValue {
	switch v := v.(type) {
	case string:
		return lua.LString(v)
	case bool:
		return lua.LBool(v)
	case int64:
		return lua.LNumber(v)
	case float64:
		return lua.LNumber(v)
	case []any:
		t := L.CreateTable(len(v), 0)
		for _, e := range v {
			t.Append(Value(L, e))
		}
		return t
	case map[string]any:
		t := L.CreateTable(0, len(v))
		for _, k := range slices.Sorted(maps.Keys(v)) {
			t.RawSetString(k, Value(L, v[k]))
		}
		return t
	}
	return lua.LNil
}
