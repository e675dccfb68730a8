package lua

import (
	"embed"
	"maps"
	"slices"
	"strings"
	"sync"

	glua "github.com/yuin/gopher-lua"
	"github.com/yuin/gopher-lua/ast"

	"rosterd/plugins/lua/vm"
)

// native is a function for scripts, written in Go.
type native = func(*machine, *glua.LState) int

// library is what require returns for a name: Go functions, or a chunk in library/NAME.lua that returns a table and
// is run for each call that asks for it. Such a chunk gets the Go functions as its argument, in a table.
//
// A chunk that remembers nothing is run once in a machine: what it returns is behind a table of each call's own, and
// what it makes has the metatable that it gets as metatable, which is closed to scripts (metatable_of is for it to tell
// its own). No function of it may return a table that it keeps: TestLibrariesKeepTheirTables.
type library struct {
	funcs   map[string]native
	values  map[string]func(*machine, *glua.LState) *glua.LTable // what else is in the table, made for each call
	parts   map[string]map[string]native                         // tables of functions, of those without a chunk
	chunk   bool
	once    bool
	written // if it is a chunk
}

//go:embed library/*.lua
var chunks embed.FS

// libraries are all that scripts can require. The files of this package add theirs in init functions: the functions
// refer to libraries.
var libraries = map[string]*library{}

func init() {
	maps.Copy(libraries, map[string]*library{
		"util.array":     {chunk: true, once: true},
		"util.cache":     {chunk: true, once: true},
		"util.iterators": {chunk: true, once: true},
		"util.set":       {chunk: true, once: true},
	})
}

// written is a library in Lua, compiled when the first script requires it; what it returns is known before that, when a
// script that requires it is checked.
type written struct {
	compiling, reading sync.Once
	proto              *glua.FunctionProto
	fields             map[string]bool
}

func source(name string) []byte {
	src, err := chunks.ReadFile("library/" + name + ".lua")
	if err != nil {
		panic(err) // the binary is broken
	}
	return src
}

// compiled is the chunk of a library.
func (d *library) compiled(name string) *glua.FunctionProto {
	d.compiling.Do(func() {
		proto, err := vm.CompileLibrary(name, source(name))
		if err != nil {
			panic(err)
		}
		d.proto = proto
	})
	return d.proto
}

// returns are the names of what the chunk of a library returns.
func (d *library) returns(name string) map[string]bool {
	d.reading.Do(func() { d.fields = returned(name, source(name)) })
	return d.fields
}

// returned are the names in the table constructor that a chunk ends with: "return { … }", or "return f({ … }, …)".
func returned(name string, src []byte) map[string]bool {
	stmts, err := vm.Parse(name, src)
	if err != nil {
		panic(err)
	}
	fields := map[string]bool{}
	last, ok := stmts[len(stmts)-1].(*ast.ReturnStmt)
	if !ok || len(last.Exprs) == 0 {
		panic(name + " does not end with return")
	}
	e := last.Exprs[0]
	if c, isCall := e.(*ast.FuncCallExpr); isCall && len(c.Args) > 0 {
		e = c.Args[0]
	}
	t, ok := e.(*ast.TableExpr)
	if !ok {
		panic(name + " does not return a table constructor")
	}
	for _, f := range t.Fields {
		k, ok := f.Key.(*ast.StringExpr)
		if !ok {
			panic(name + " returns a field without a name")
		}
		fields[k.Value] = true
	}
	return fields
}

// provides tells whether a library has a field.
func (d *library) provides(name, field string) bool {
	if d.chunk {
		return d.returns(name)[field]
	}
	return d.funcs[field] != nil || d.parts[field] != nil || d.values[field] != nil
}

// Names lists everything of a library, sorted.
func (d *library) names(name string) []string {
	if d.chunk {
		return slices.Sorted(maps.Keys(d.returns(name)))
	}
	list := slices.Concat(slices.Collect(maps.Keys(d.funcs)), slices.Collect(maps.Keys(d.parts)), slices.Collect(maps.Keys(d.values)))
	slices.Sort(list)
	return list
}

// libraryName knows the names of Prosody 13.
func libraryName(name string) string { return strings.TrimPrefix(name, "prosody.") }

func (m *machine) buildLibraries() {
	m.libraries, m.parts = map[string]*glua.LTable{}, map[string]*glua.LTable{}
	m.kinds, m.ran = map[string]*glua.LTable{}, map[string]bool{}
	for lib, def := range libraries {
		if def.once {
			m.kinds[lib] = m.meta("__name", glua.LString(strings.TrimPrefix(lib, "util.")))
		}
	}
}

// buildLibrary makes what is the same of a library for all calls, when a script first requires it: most scripts want few.
func (m *machine) buildLibrary(l *glua.LState, lib string) {
	def := libraries[lib]
	fields := m.natives(l, def.funcs)
	if !def.chunk {
		fields.Metatable = m.meta("__index", l.NewFunction(func(l *glua.LState) int { return m.onDemand(l, lib) }))
	}
	m.libraries[lib] = m.meta("__index", fields)
	for part, funcs := range def.parts {
		fields := m.natives(l, funcs)
		fields.Metatable = m.meta("__index", m.absentIn(l, lib+"."+part+"."))
		m.parts[lib+"."+part] = m.meta("__index", fields)
	}
}

func (m *machine) natives(l *glua.LState, funcs map[string]native) *glua.LTable {
	t := l.CreateTable(0, len(funcs))
	for name, f := range funcs {
		t.RawSetString(name, l.NewFunction(func(l *glua.LState) int { return f(m, l) }))
	}
	return t
}

func (m *machine) require(l *glua.LState) int {
	asked := l.CheckString(1)
	name := libraryName(asked)
	if libraries[name] == nil {
		l.RaiseError("%s", unavailable(asked))
	}
	l.Push(m.library(l, name))
	return 1
}

// library is what require returns for a name that is there.
func (m *machine) library(l *glua.LState, name string) *glua.LTable {
	for _, had := range m.call.loaded {
		if had.name == name {
			return had.table
		}
	}
	t := m.made(l, name)
	m.call.loaded = append(m.call.loaded, loaded{name, t})
	return t
}

// made is a library for this call alone: whatever a script does to it ends with the call.
func (m *machine) made(l *glua.LState, name string) *glua.LTable {
	if m.libraries[name] == nil {
		m.buildLibrary(l, name)
	}
	if libraries[name].once && !m.ran[name] {
		m.runOnce(l, name)
	}
	t := object(l, m.libraries[name])
	if !libraries[name].chunk || libraries[name].once {
		return t
	}
	for field, value := range libraries[name].values {
		t.RawSetString(field, value(m, l))
	}
	return m.runChunk(l, name, t)
}

// onDemand makes what a library has besides functions when it is first asked for: tables are costly to make.
func (m *machine) onDemand(l *glua.LState, lib string) int {
	field, def := l.Get(2).String(), libraries[lib]
	var v *glua.LTable
	switch {
	case def.parts[field] != nil:
		v = object(l, m.parts[lib+"."+field])
	case def.values[field] != nil:
		v = def.values[field](m, l)
	default:
		l.RaiseError("%s", unavailable(lib+"."+field))
	}
	m.library(l, lib).RawSetString(field, v)
	l.Push(v)
	return 1
}

// runOnce makes a library for all calls of this machine.
func (m *machine) runOnce(l *glua.LState, name string) {
	native := object(l, m.libraries[name])
	native.RawSetString("metatable", m.kinds[name])
	native.RawSetString("metatable_of", l.NewFunction(metatableOf))
	t := m.runChunk(l, name, native)
	behind := m.meta("__index", t)
	if own, ok := t.Metatable.(*glua.LTable); ok {
		behind.RawSetString("__call", own.RawGetString("__call"))
	}
	t.Metatable = m.meta("__index", m.absentIn(l, name+"."))
	m.libraries[name], m.ran[name] = behind, true
}

func metatableOf(l *glua.LState) int {
	if t, ok := l.Get(1).(*glua.LTable); ok {
		l.Push(t.Metatable)
		return 1
	}
	return 0
}

// runChunk makes a library that is written in Lua.
func (m *machine) runChunk(l *glua.LState, name string, native *glua.LTable) *glua.LTable {
	f := l.NewFunctionFromProto(libraries[name].compiled(name))
	f.Env = m.pristine
	l.Push(f)
	l.Push(native)
	l.Call(1, 1)
	t := l.CheckTable(-1)
	l.Pop(1)
	if t.Metatable == glua.LNil {
		t.Metatable = m.meta("__index", m.absentIn(l, name+"."))
	}
	return t
}
