package lua

import (
	"context"
	"log/slog"
	"strings"
	"time"

	glua "github.com/yuin/gopher-lua"

	"rosterd/plugins/lua/vm"
)

// machine is one Lua state. It serves one call at a time, and each with an environment of its own: of what a
// script can reach, only functions outlive a call.
type machine struct {
	plugin *Plugin
	state  *vm.State
	calls  int

	standard  map[string]*glua.LTable    // string, table, math…: copied for a call that asks
	env       *glua.LTable               // metatable of environments
	module    *glua.LTable               // metatable of module, with its methods
	asked     *glua.LTable               // metatable of what a script is asked
	response  *glua.LTable               // metatable of HTTP responses
	request   *glua.LTable               // metatable of HTTP requests
	arrays    *glua.LTable               // metatable of arrays, those of JSON too
	null      *glua.LTable               // metatable of JSON null
	libraries map[string]*glua.LTable    // metatables of what require returns, with the functions
	kinds     map[string]*glua.LTable    // metatables of what libraries in Lua make, by library
	ran       map[string]bool            // libraries in Lua that are there for all calls
	parts     map[string]*glua.LTable    // metatables of the tables in those, by "LIBRARY.TABLE"
	pristine  *glua.LTable               // the environment of libraries written in Lua, as no script has touched it
	templates map[string]*glua.LFunction // by option
	timer     *glua.LTable               // metatable of timers
	store     *glua.LTable               // metatable of stores

	call *call // nil between calls
}

const (
	maxRequests = 8
	maxLines    = 64
	maxLine     = 1024
)

// globals are the names that scripts find beside the standard libraries: Lua 5.1 to 5.4 without what reaches
// files, processes or code.
var globals = names(`_G _VERSION assert error getmetatable ipairs module next pairs pcall print rawequal rawget rawlen
	rawset require select setmetatable tonumber tostring type unpack xpcall`)

// standard are the libraries and what scripts find in each.
var standard = map[string]map[string]bool{
	"coroutine": names("close create isyieldable resume running status wrap yield"),
	"math": names(`abs acos asin atan ceil cos deg exp floor fmod huge log log10 max maxinteger min mininteger modf pi pow
		rad random randomseed sin sqrt tan tointeger type ult`),
	"os":     names("clock date difftime time"),
	"string": names("byte char find format gmatch gsub len lower match rep reverse sub upper"),
	"table":  names("concat insert move pack remove sort unpack"),
	"utf8":   names("char charpattern codepoint codes len offset"),
}

func names(list string) map[string]bool {
	set := map[string]bool{}
	for _, n := range strings.Fields(list) {
		set[n] = true
	}
	return set
}

func newMachine(p *Plugin) *machine {
	m := &machine{plugin: p, state: vm.New(p.limits), standard: map[string]*glua.LTable{}, templates: map[string]*glua.LFunction{}}
	m.state.SetClock(func() time.Time { return p.svc.Now() })
	m.state.SetEntropy(func(b []byte) { p.svc.Random(b) })
	l := m.state.L()
	base := l.NewTable()
	for name := range globals {
		if name != "_G" && name != "module" { // each call has its own
			base.RawSetString(name, l.G.Global.RawGetString(name))
		}
	}
	for lib, fields := range standard {
		m.standard[lib] = pick(l, l.G.Global.RawGetString(lib), fields)
		m.standard[lib].Metatable = m.meta("__index", m.absentIn(l, lib+"."))
	}
	base.RawSetString("print", l.NewFunction(vm.Print(func(_ *glua.LState, line string) { m.log(slog.LevelInfo, line) })))
	base.RawSetString("next", m.next(l, base.RawGetString("next")))
	base.RawSetString("require", l.NewFunction(m.require))
	m.pristine = m.untouched(l, base)
	base.Metatable = m.meta("__index", l.NewFunction(m.missing))
	m.env = m.meta("__index", base)
	m.null = m.meta("__tostring", l.NewFunction(func(l *glua.LState) int { l.Push(glua.LString("null")); return 1 }))
	m.null.RawSetString("__newindex", l.NewFunction(func(l *glua.LState) int { l.RaiseError("json.null cannot be changed"); return 0 }))
	m.nullIsNoList(l)
	m.response = m.meta("__index", l.NewFunction(m.responseField))
	m.request = m.meta("__name", glua.LString("HTTP request"))
	m.buildTimer(l)
	m.buildStore(l)
	m.buildAsked(l)
	m.buildModule(l)
	m.buildLibraries()
	m.buildArrays(l)
	return m
}

// nullIsNoList makes JSON null an error where a script goes through it as through a list: what should have been there is
// not, and to take that for nothing would take contacts away. In texts and sums it is one that says what it is. Its fields
// are nil, as in Prosody.
func (m *machine) nullIsNoList(l *glua.LState) {
	noText := l.NewFunction(func(l *glua.LState) int {
		l.RaiseError("a null out of JSON where a text or a number is expected: compare with json.null")
		return 0
	})
	m.null.RawSetString("__concat", noText)
	m.null.RawSetString("__add", noText)
	refuse := func(l *glua.LState) int {
		l.RaiseError("a null out of JSON where a table is expected")
		return 0
	}
	m.null.RawSetString("__pairs", l.NewFunction(refuse))
	m.null.RawSetString("__len", l.NewFunction(refuse))
	m.null.RawSetString("__index", l.NewFunction(func(l *glua.LState) int {
		if _, index := l.Get(2).(glua.LNumber); index {
			return refuse(l)
		}
		l.Push(glua.LNil)
		return 1
	}))
}

// untouched is what libraries see of the world: it has no part that a script can reach.
func (m *machine) untouched(l *glua.LState, base *glua.LTable) *glua.LTable {
	all := l.CreateTable(0, len(globals)+len(standard))
	base.ForEach(func(k, v glua.LValue) { all.RawSet(k, v) })
	for lib := range standard {
		all.RawSetString(lib, m.standard[lib])
	}
	all.Metatable = m.meta("__index", m.absentIn(l, "global "))
	env := object(l, m.meta("__index", all))
	env.Metatable.(*glua.LTable).RawSetString("__newindex", m.absentIn(l, "global "))
	return env
}

// meta is a metatable that scripts cannot get at.
func (m *machine) meta(event string, v glua.LValue) *glua.LTable {
	t := m.state.L().CreateTable(0, 2)
	t.RawSetString("__metatable", glua.LFalse)
	t.RawSetString(event, v)
	return t
}

func (m *machine) close() { m.state.Close() }

// run executes the script in a fresh environment and then f.
func (m *machine) run(ctx context.Context, c *call, f func(*machine, *glua.LState) error) error {
	m.calls++
	m.call = c
	defer func() { c.end(); m.call = nil }()
	return m.state.Run(ctx, func(l *glua.LState) error {
		c.ctx, c.started = ctx, m.plugin.svc.Now()
		c.env = object(l, m.env)
		c.module = object(l, m.module)
		script := l.NewFunctionFromProto(m.plugin.proto)
		script.Env = c.env
		l.Push(script)
		l.Call(0, 0)
		m.load(l)
		c.running = true
		if err := f(m, l); err != nil {
			return err
		}
		return m.uncaught(l)
	})
}

// missing answers for globals that are not set: standard libraries come when they are first asked for, and
// the script's own are nil before they are set.
func (m *machine) missing(l *glua.LState) int {
	name := l.Get(2).String()
	switch t, isStandard := m.standard[name]; {
	case name == "module":
		l.Push(m.call.module)
	case name == "_G":
		l.Push(m.call.env)
	case isStandard:
		own := pick(l, t, standard[name])
		own.Metatable = t.Metatable
		m.call.env.RawSetString(name, own)
		l.Push(own)
	case m.plugin.static.assigns[name]:
		l.Push(glua.LNil)
	default:
		l.RaiseError("%s", unavailable(name))
	}
	return 1
}

// pick copies the named fields of a table.
func pick(l *glua.LState, from glua.LValue, fields map[string]bool) *glua.LTable {
	t := l.CreateTable(0, len(fields))
	if from, ok := from.(*glua.LTable); ok {
		for name := range fields {
			t.RawSetString(name, from.RawGetString(name))
		}
	}
	return t
}

// absentIn is an __index that makes absent fields an error that names them.
func (m *machine) absentIn(l *glua.LState, prefix string) *glua.LFunction {
	return l.NewFunction(func(l *glua.LState) int {
		l.RaiseError("%s", unavailable(prefix+l.Get(2).String()))
		return 0
	})
}

// object is an empty table whose fields are those of its metatable's __index. Tables with names of their own
// cost much more to make.
func object(l *glua.LState, meta *glua.LTable) *glua.LTable {
	t := l.CreateTable(0, 0)
	t.Metatable = meta
	return t
}

// log writes a script's line. What a script says while it is read is said once, when it is loaded.
func (m *machine) log(level slog.Level, line string) {
	c := m.call
	if !c.loading() && !c.running || c.lines >= maxLines {
		return
	}
	c.lines++
	if len(line) > maxLine {
		line = line[:maxLine] + "…"
	}
	line = strings.ToValidUTF8(line, "\uFFFD")
	if c.loading() {
		m.plugin.svc.Log(c.ctx, level, line)
	} else {
		m.plugin.svc.Log(c.ctx, level, line, m.plugin.attributes(c)...)
	}
}

// thrown is a Go error on its way through Lua.
type thrown struct{ err error }

// throw raises err so that it is itself again where the call ends, unless the script catches it.
func (m *machine) throw(l *glua.LState, err error) {
	ud := l.NewUserData()
	ud.Value = thrown{err}
	ud.Metatable = m.meta("__tostring", l.NewFunction(func(l *glua.LState) int {
		l.Push(glua.LString(err.Error()))
		return 1
	}))
	l.Error(ud, 1)
}
