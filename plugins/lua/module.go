package lua

import (
	"fmt"
	"log/slog"
	"strconv"
	"strings"

	glua "github.com/yuin/gopher-lua"
)

// moduleFields of module that are no functions.
var moduleFields = names("host name _log")

// moduleCallbacks of Prosody are set by a script. Only load is called: the others have nothing to do here.
var moduleCallbacks = names("load unload command")

var moduleMethods map[string]native

func init() { // not in the declaration: the methods are looked up while they run
	moduleMethods = map[string]native{
		"get_name":                 func(m *machine, l *glua.LState) int { l.Push(glua.LString(m.plugin.name)); return 1 },
		"get_host":                 func(m *machine, l *glua.LState) int { l.Push(glua.LString(m.plugin.host)); return 1 },
		"log":                      (*machine).moduleLog,
		"get_host_type":            func(m *machine, l *glua.LState) int { l.Push(glua.LString("local")); return 1 },
		"provides":                 (*machine).provides,
		"depends":                  (*machine).depends,
		"hook":                     (*machine).moduleHook,
		"add_timer":                (*machine).addTimer,
		"open_store":               (*machine).openStore,
		"refresh_rosters":          (*machine).refreshRosters,
		"get_option":               option(anyOption),
		"get_option_string":        textOf(option(stringOption)),
		"get_option_number":        option(numberOption),
		"get_option_integer":       option(integerOption),
		"get_option_boolean":       option(booleanOption),
		"get_option_array":         arrayOf(option(arrayOption)),
		"get_option_set":           setOf(option(setOption)),
		"get_option_enum":          option(enumOption),
		"get_option_period":        (*machine).periodOption,
		"get_option_scalar":        option(scalarOption),
		"get_option_path":          textOf(option(stringOption)), // scripts have no files: it is text
		"get_option_inherited_set": setOf(option(setOption)),
		"get_option_url_template":  (*machine).urlTemplateOption,
	}
}

func (m *machine) buildModule(l *glua.LState) {
	methods := l.NewTable()
	for name, f := range moduleMethods {
		methods.RawSetString(name, l.NewFunction(func(l *glua.LState) int {
			if t, ok := l.Get(1).(*glua.LTable); !ok || t.Metatable != m.module {
				l.RaiseError("module.%s is a method: write module:%s(…)", name, name)
			}
			return f(m, l)
		}))
	}
	methods.RawSetString("host", glua.LString(m.plugin.host))
	methods.RawSetString("name", glua.LString(m.plugin.name))
	methods.RawSetString("_log", l.NewFunction(func(l *glua.LState) int { return m.logAs(l, "module._log", 1) }))
	methods.Metatable = m.meta("__index", m.absentIn(l, "module:"))
	m.module = m.meta("__index", methods)
	m.module.RawSetString("__newindex", l.NewFunction(func(l *glua.LState) int {
		if name := l.Get(2).String(); !moduleCallbacks[name] {
			l.RaiseError("%s", unavailable("module."+name))
		}
		l.RawSet(l.CheckTable(1), l.Get(2), l.Get(3))
		return 0
	}))
}

// load runs the script's module.load, which belongs to the script itself: it sets what the call is for, too.
func (m *machine) load(l *glua.LState) {
	if f := m.call.module.RawGetString("load"); f != glua.LNil {
		l.Push(f)
		l.Call(0, 0)
	}
}

// builtIn are the modules of Prosody that rosterd has in itself, so that a script may depend on them.
var builtIn = names("http http_errors roster presence disco c2s saslauth tls iq message ping posix")

// depends is module:depends(name).
func (m *machine) depends(l *glua.LState) int {
	if name := l.CheckString(2); !builtIn[name] {
		l.RaiseError("%s", unavailable(name))
	}
	l.Push(l.CreateTable(0, 0))
	return 1
}

var levels = map[string]slog.Level{"debug": slog.LevelDebug, "info": slog.LevelInfo, "warn": slog.LevelWarn, "error": slog.LevelError}

// moduleLog is module:log(level, format, …).
func (m *machine) moduleLog(l *glua.LState) int { return m.logAs(l, "module:log", 2) }

// logAs logs what the arguments say of which the first is the level.
func (m *machine) logAs(l *glua.LState, what string, first int) int {
	level, ok := levels[l.CheckString(first)]
	if !ok && m.call.loading() {
		l.RaiseError("%s: %q is none of debug, info, warn, error", what, l.CheckString(first))
	}
	if !ok { // a line that is rarely reached is no reason why a call fails
		level = slog.LevelInfo
	}
	if m.call.lines < maxLines {
		m.log(level, format(l, l.CheckString(first+1), first+2))
	}
	return 0
}

// format fills a format as Prosody's logging does: whatever the directive, the argument is written as text, so
// that a log line is never the reason why a call fails.
func format(l *glua.LState, f string, arg int) string {
	var b strings.Builder
	for i := 0; i < len(f) && b.Len() <= maxLine; i++ {
		if f[i] != '%' {
			b.WriteByte(f[i])
			continue
		}
		end := i + 1
		for end < len(f) && strings.IndexByte("0123456789.-+# ", f[end]) >= 0 {
			end++
		}
		i = end
		switch {
		case end >= len(f):
		case f[end] == '%':
			b.WriteByte('%')
		default:
			writeArg(&b, l, f[end], arg)
			arg++
		}
	}
	for ; arg <= l.GetTop() && b.Len() <= maxLine; arg++ {
		fmt.Fprintf(&b, " [%s]", l.ToStringMeta(l.Get(arg)))
	}
	return b.String()
}

func writeArg(b *strings.Builder, l *glua.LState, directive byte, arg int) {
	s := l.ToStringMeta(l.Get(arg)).String()
	if len(s) > maxLine {
		s = s[:maxLine] + "…"
	}
	if directive == 'q' {
		s = strconv.Quote(s)
	}
	b.WriteString(s)
}
