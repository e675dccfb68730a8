package vm

import lua "github.com/yuin/gopher-lua"

// Unavailable is a function that raises "NAME is not available" where it is
// called. Every well-known name that New leaves out is such a function, until
// the embedder sets something better.
func Unavailable(name string) lua.LGFunction {
	return func(L *lua.LState) int {
		L.RaiseError("%s is not available", name)
		return 0
	}
}

// Print makes Lua's print from a sink that takes the finished line.
func Print(sink func(L *lua.LState, line string)) lua.LGFunction {
	return func(L *lua.LState) int {
		line := ""
		for i := 1; i <= L.GetTop(); i++ {
			if i > 1 {
				line += "\t"
			}
			line += L.ToStringMeta(L.Get(i)).String()
		}
		sink(L, line)
		return 0
	}
}

// Call calls fn protected, as Lua's pcall does: for Go functions that must
// survive an error of the Lua function they call. Do not use L.PCall for this:
// it detaches the captured variables of all callers when an error passes.
func Call(L *lua.LState, fn lua.LValue, args ...lua.LValue) ([]lua.LValue, error) {
	top := L.GetTop()
	if err := L.CallByParam(lua.P{Fn: fn, NRet: lua.MultRet, Protect: true}, args...); err != nil {
		return nil, err
	}
	var out []lua.LValue
	for i := top + 1; i <= L.GetTop(); i++ {
		out = append(out, L.Get(i))
	}
	L.SetTop(top)
	return out, nil
}
