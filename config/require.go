package config

import (
	"bytes"
	"encoding/json"
	"os"
	"runtime"
	"strings"
	"time"

	lua "github.com/yuin/gopher-lua"

	"rosterd/plugins/lua/vm"
)

// The modules that configurations in the wild ask for by require, as much of each as they use.

func (ld *loader) require(L *lua.LState) int {
	name := L.CheckString(1)
	open := map[string]func(*lua.LState) *lua.LTable{
		"util.pposix": pposix, "prosody.util.pposix": pposix,
		"util.json": jsonModule, "prosody.util.json": jsonModule,
		"socket":  ld.socket,
		"lfs":     ld.lfs,
		"stringy": stringy,
		"ltn12":   func(L *lua.LState) *lua.LTable { return L.NewTable() },
	}[name]
	if t, ok := ld.std.RawGetString(name).(*lua.LTable); ok && open == nil { // string, table, os, _G …
		L.Push(t)
		return 1
	}
	if open == nil {
		L.RaiseError("module '%s' is not available to configuration files", name)
	}
	L.Push(open(L))
	return 1
}

func pposix(L *lua.LState) *lua.LTable {
	return functions(L, map[string]lua.LGFunction{
		"getpid": func(L *lua.LState) int { L.Push(lua.LNumber(os.Getpid())); return 1 },
		"uname": func(L *lua.LState) int {
			t := L.NewTable()
			t.RawSetString("nodename", lua.LString(hostName()))
			t.RawSetString("sysname", lua.LString(runtime.GOOS))
			t.RawSetString("machine", lua.LString(runtime.GOARCH))
			L.Push(t)
			return 1
		},
	})
}

func (ld *loader) socket(L *lua.LState) *lua.LTable {
	name := func(L *lua.LState) int { L.Push(lua.LString(hostName())); return 1 }
	t := functions(L, map[string]lua.LGFunction{
		"gethostname": name,
		"gettime":     func(L *lua.LState) int { L.Push(lua.LNumber(float64(time.Now().UnixMilli()) / 1000)); return 1 },
		"sleep": func(L *lua.LState) int {
			ld.diag(Note, CodeSource, ld.here(L), "", "socket.sleep does not wait", "")
			return 0
		},
	})
	t.RawSetString("dns", functions(L, map[string]lua.LGFunction{"gethostname": name}))
	return t
}

// lfs looks at files; relative paths start at the directory of the main file.
func (ld *loader) lfs(L *lua.LState) *lua.LTable {
	failed := func(L *lua.LState, path string, err error) int {
		L.Push(lua.LNil)
		L.Push(lua.LString(path + ": " + cause(err).Error()))
		return 2
	}
	return functions(L, map[string]lua.LGFunction{
		"currentdir": func(L *lua.LState) int { L.Push(lua.LString(ld.absDir)); return 1 },
		"attributes": func(L *lua.LState) int {
			path := L.CheckString(1)
			info, err := os.Stat(resolvePath(ld.absDir, path))
			if err != nil {
				return failed(L, path, err)
			}
			t := L.NewTable()
			t.RawSetString("mode", lua.LString(fileMode(info)))
			t.RawSetString("size", lua.LNumber(info.Size()))
			t.RawSetString("modification", lua.LNumber(info.ModTime().Unix()))
			if want, ok := L.Get(2).(lua.LString); ok {
				L.Push(t.RawGetString(string(want)))
				return 1
			}
			L.Push(t)
			return 1
		},
		"dir": func(L *lua.LState) int {
			path := L.CheckString(1)
			entries, err := os.ReadDir(resolvePath(ld.absDir, path))
			if err != nil {
				L.RaiseError("cannot open %s: %s", path, cause(err))
			}
			names := []string{".", ".."}
			for _, e := range entries {
				names = append(names, e.Name())
			}
			L.Push(L.NewFunction(func(L *lua.LState) int {
				if len(names) == 0 {
					L.Push(lua.LNil)
					return 1
				}
				L.Push(lua.LString(names[0]))
				names = names[1:]
				return 1
			}))
			return 1
		},
	})
}

func fileMode(info os.FileInfo) string {
	switch {
	case info.IsDir():
		return "directory"
	case info.Mode().IsRegular():
		return "file"
	}
	return "other"
}

func stringy(L *lua.LState) *lua.LTable {
	pair := func(f func(s, t string) lua.LValue) lua.LGFunction {
		return func(L *lua.LState) int { L.Push(f(L.CheckString(1), L.CheckString(2))); return 1 }
	}
	return functions(L, map[string]lua.LGFunction{
		"split": func(L *lua.LState) int {
			list := L.NewTable()
			for part := range strings.SplitSeq(L.CheckString(1), L.OptString(2, " ")) {
				list.Append(lua.LString(part))
			}
			L.Push(list)
			return 1
		},
		"strip":      func(L *lua.LState) int { L.Push(lua.LString(strings.TrimSpace(L.CheckString(1)))); return 1 },
		"startswith": pair(func(s, t string) lua.LValue { return lua.LBool(strings.HasPrefix(s, t)) }),
		"endswith":   pair(func(s, t string) lua.LValue { return lua.LBool(strings.HasSuffix(s, t)) }),
		"count":      pair(func(s, t string) lua.LValue { return lua.LNumber(strings.Count(s, t)) }),
	})
}

func jsonModule(L *lua.LState) *lua.LTable {
	return functions(L, map[string]lua.LGFunction{
		"decode": func(L *lua.LState) int {
			var v any
			if err := json.Unmarshal([]byte(L.CheckString(1)), &v); err != nil {
				L.Push(lua.LNil)
				L.Push(lua.LString(err.Error()))
				return 2
			}
			L.Push(vm.Value(L, v))
			return 1
		},
		"encode": func(L *lua.LState) int {
			v, err := (&freezer{unproxy: func(v lua.LValue) lua.LValue { return v }}).freeze(L.CheckAny(1), Pos{}, nil, 0)
			if err != nil {
				L.RaiseError("json.encode: %s", err)
			}
			var out bytes.Buffer
			enc := json.NewEncoder(&out)
			enc.SetEscapeHTML(false)
			if err := enc.Encode(v.Plain()); err != nil {
				L.RaiseError("json.encode: %s", err)
			}
			L.Push(lua.LString(strings.TrimSuffix(out.String(), "\n")))
			return 1
		},
	})
}
