package config

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"rosterd/plugins/lua/vm"

	lua "github.com/yuin/gopher-lua"
)

// What files may use of Lua. Prosody gives them all of it. Here they get the library of vm, in which
// whatever acts on the machine is missing and says so where it is called, and what is added below.
// This protects the administrator from surprises; it is no boundary against an attacker who writes
// the file.

// maxConfigRead is the largest file that io.open reads.
const maxConfigRead = 64 << 10

// address is where Lua keeps what has no text of its own: another place in each run.
var address = regexp.MustCompile(`\b(table|function|userdata|thread): (?:builtin: )?0x[0-9a-f]+`)

// openLibrary adds to the state's own library, which reaches nothing outside, what configurations
// ask for.
func (ld *loader) openLibrary() {
	L := ld.state.L()
	ld.std = L.Get(lua.GlobalsIndex).(*lua.LTable)
	ld.std.RawSetString("print", L.NewFunction(vm.Print(func(L *lua.LState, line string) {
		ld.diag(Note, CodePrint, ld.here(L), "", "the configuration prints: "+address.ReplaceAllString(line, "$1"), "")
	})))
	ld.std.RawGetString("os").(*lua.LTable).RawSetString("getenv", L.NewFunction(ld.getenv))
	files := ld.std.RawGetString("io").(*lua.LTable)
	files.RawSetString("open", L.NewFunction(ld.ioOpen))
	files.RawSetString("lines", L.NewFunction(ld.ioLines))
	ld.std.RawSetString("dofile", L.NewFunction(func(L *lua.LState) int {
		L.RaiseError("dofile has no effect on the configuration, in Prosody neither: use Include")
		return 0
	}))
	ld.std.RawSetString("require", L.NewFunction(ld.require))
	pkg := ld.std.RawGetString("package").(*lua.LTable) // for package.path = package.path .. "…"
	pkg.RawSetString("path", lua.LString(""))
	pkg.RawSetString("cpath", lua.LString(""))
	pkg.RawSetString("config", lua.LString("/\n;\n?\n!\n-\n"))
	pkg.RawSetString("loaded", L.NewTable())
	pkg.RawSetString("preload", L.NewTable())
	ld.std.RawSetString("module", lua.LNil) // what Prosody's plugins have, and not a function of Lua 5.1
	// Files that wait for something while the server runs look here first.
	process := L.NewTable()
	process.RawSetString("process_type", lua.LString("prosodyctl"))
	process.RawSetString("version", lua.LString("13.0"))
	ld.std.RawSetString("prosody", process)
}

func functions(L *lua.LState, list map[string]lua.LGFunction) *lua.LTable {
	t := L.NewTable()
	for name, f := range list {
		t.RawSetString(name, L.NewFunction(f))
	}
	return t
}

func (ld *loader) getenv(L *lua.LState) int {
	L.Push(ld.env(L, L.CheckString(1)))
	return 1
}

// ioOpen reads a small file whole; what it returns has read, lines and close.
func (ld *loader) ioOpen(L *lua.LState) int {
	path := L.CheckString(1)
	if mode := L.OptString(2, "r"); strings.ContainsAny(mode, "wa+") {
		L.RaiseError("io.open: configuration files may only read (mode %q)", mode)
	}
	data, err := readLimited(resolvePath(ld.absDir, path), maxConfigRead)
	if err != nil {
		L.Push(lua.LNil)
		L.Push(lua.LString(path + ": " + cause(err).Error()))
		return 2
	}
	ld.secrets[ld.here(L)] = true
	L.Push(handle(L, string(data)))
	return 1
}

func (ld *loader) ioLines(L *lua.LState) int {
	path := L.CheckString(1)
	data, err := readLimited(resolvePath(ld.absDir, path), maxConfigRead)
	if err != nil {
		L.RaiseError("io.lines: %s: %s", path, cause(err))
	}
	ld.secrets[ld.here(L)] = true
	rest := string(data)
	L.Push(L.NewFunction(func(L *lua.LState) int {
		L.Push(nextLine(&rest, false))
		return 1
	}))
	return 1
}

// handle is a file that is open for reading.
func handle(L *lua.LState, rest string) *lua.LTable {
	closed := false
	open := func(L *lua.LState) {
		if closed {
			L.RaiseError("attempt to use a closed file")
		}
	}
	return functions(L, map[string]lua.LGFunction{
		"read": func(L *lua.LState) int {
			open(L)
			top := L.GetTop()
			if top < 2 {
				L.Push(nextLine(&rest, false))
				return 1
			}
			for i := 2; i <= top; i++ {
				v := readAs(L, &rest, L.Get(i))
				L.Push(v)
				if v == lua.LNil {
					return i - 1 // nothing behind it is read
				}
			}
			return top - 1
		},
		"lines": func(L *lua.LState) int {
			open(L)
			L.Push(L.NewFunction(func(L *lua.LState) int { L.Push(nextLine(&rest, false)); return 1 }))
			return 1
		},
		"close": func(L *lua.LState) int { closed = true; L.Push(lua.LTrue); return 1 },
	})
}

// readAs reads by a format of Lua 5.4: only the first letter of a name counts, and a * before it may be there.
func readAs(L *lua.LState, rest *string, format lua.LValue) lua.LValue {
	if n, ok := format.(lua.LNumber); ok {
		return nextBytes(rest, int(n))
	}
	name, _ := format.(lua.LString)
	switch letter := strings.TrimPrefix(string(name), "*"); {
	case strings.HasPrefix(letter, "a"):
		all := lua.LString(*rest)
		*rest = ""
		return all
	case strings.HasPrefix(letter, "l"):
		return nextLine(rest, false)
	case strings.HasPrefix(letter, "L"):
		return nextLine(rest, true)
	}
	L.RaiseError("read: the format %q is not available to configuration files", format.String())
	return lua.LNil
}

func nextLine(rest *string, keep bool) lua.LValue {
	if *rest == "" {
		return lua.LNil
	}
	line, after, found := strings.Cut(*rest, "\n")
	*rest = after
	if keep && found {
		line += "\n"
	}
	return lua.LString(line)
}

func nextBytes(rest *string, n int) lua.LValue {
	if *rest == "" || n < 0 {
		return lua.LNil
	}
	n = min(n, len(*rest))
	part := (*rest)[:n]
	*rest = (*rest)[n:]
	return lua.LString(part)
}

// fileContents is FileContents "path": the whole file. Paths start at the directory of the file that
// asks.
func (s *script) fileContents(L *lua.LState) int {
	L.Push(lua.LString(s.contents(L, "FileContents")))
	return 1
}

// fileLine is FileLine "path": the first line.
func (s *script) fileLine(L *lua.LState) int {
	rest := s.contents(L, "FileLine")
	L.Push(nextLine(&rest, false))
	return 1
}

// fileLines is FileLines "path": a list of the lines.
func (s *script) fileLines(L *lua.LState) int {
	list := L.NewTable()
	rest := s.contents(L, "FileLines")
	for rest != "" {
		list.Append(nextLine(&rest, false))
	}
	L.Push(list)
	return 1
}

func (s *script) contents(L *lua.LState, function string) string {
	path, ok := L.Get(1).(lua.LString)
	if !ok {
		L.RaiseError("%s takes the name of a file, not a %s", function, L.Get(1).Type())
	}
	data, err := readLimited(resolvePath(s.dir, string(path)), maxFileSize)
	if err != nil {
		L.RaiseError("%s %q: %s", function, string(path), cause(err))
	}
	s.secrets[s.here(L)] = true
	return string(data)
}

// credential is Credential "name": what the service manager has put into CREDENTIALS_DIRECTORY.
func (s *script) credential(L *lua.LState) int {
	name := L.CheckString(1)
	if name == "" || name != filepath.Base(name) || name == ".." || name == "." {
		L.RaiseError("Credential %q is no name of a credential", name)
	}
	pos := s.here(L)
	s.secrets[pos] = true
	dir, _ := s.opts.LookupEnv("CREDENTIALS_DIRECTORY")
	var data []byte
	err := fmt.Errorf("the environment variable CREDENTIALS_DIRECTORY is not set")
	if dir != "" {
		data, err = readLimited(filepath.Join(dir, name), maxFileSize)
	}
	switch {
	case err == nil:
		L.Push(lua.LString(data))
	case s.opts.Inspect:
		s.diag(Warn, CodeUnset, pos, "", fmt.Sprintf("Credential %q cannot be read here: %s", name, cause(err)), "the service manager supplies it to the server")
		L.Push(lua.LNil)
	default:
		L.RaiseError("Credential %q: %s", name, cause(err))
	}
	return 1
}

// hostName is what the machine calls itself.
func hostName() string {
	name, err := os.Hostname()
	if err != nil {
		return "localhost"
	}
	return name
}
