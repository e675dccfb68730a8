package lua

import (
	"fmt"
	"log/slog"
	"math"
	"slices"
	"strconv"
	"strings"

	glua "github.com/yuin/gopher-lua"

	"rosterd/engine"
	"rosterd/plugins"
)

// moduleFields of module that are no functions.
var moduleFields = map[string]bool{"host": true, "name": true}

var moduleMethods map[string]func(*machine, *glua.LState) int

func init() { // not in the declaration: the methods are looked up while they run
	moduleMethods = map[string]func(*machine, *glua.LState) int{
		"get_name":                func(m *machine, l *glua.LState) int { l.Push(glua.LString(m.plugin.name)); return 1 },
		"get_host":                func(m *machine, l *glua.LState) int { l.Push(glua.LString(m.plugin.host)); return 1 },
		"log":                     (*machine).moduleLog,
		"provides":                (*machine).provides,
		"get_option":              option(anyOption),
		"get_option_string":       option(stringOption),
		"get_option_number":       option(numberOption),
		"get_option_integer":      option(integerOption),
		"get_option_boolean":      option(booleanOption),
		"get_option_array":        option(arrayOption),
		"get_option_set":          option(setOption),
		"get_option_enum":         option(enumOption),
		"get_option_period":       (*machine).periodOption,
		"get_option_url_template": (*machine).urlTemplateOption,
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
	methods.Metatable = m.meta("__index", m.absentIn(l, "module:"))
	m.module = m.meta("__index", methods)
	m.module.RawSetString("__newindex", m.absentIn(l, "module."))
}

// provides is module:provides("roster", { fetch = function, map = function }).
func (m *machine) provides(l *glua.LState) int {
	c := m.call
	kind := l.CheckString(2)
	if kind != "roster" {
		l.RaiseError("%s", unavailable(fmt.Sprintf("module:provides(%q)", kind)))
	}
	if c.running {
		l.RaiseError("module:provides belongs into the script itself, not into a function that is called later")
	}
	if c.provided {
		l.RaiseError("module:provides(%q) is called twice", kind)
	}
	t := l.CheckTable(3)
	t.ForEach(func(k, v glua.LValue) {
		f, ok := v.(*glua.LFunction)
		switch k.String() {
		case "fetch":
			c.fetch = f
		case "map":
			c.mapBody = f
		case "name":
			return
		default:
			l.RaiseError("%s", unavailable(fmt.Sprintf("field %s of module:provides(%q)", k.String(), kind)))
		}
		if !ok {
			l.RaiseError("module:provides(%q): %s is a %s, not a function", kind, k.String(), v.Type())
		}
	})
	if c.fetch == nil {
		l.RaiseError("module:provides(%q): no function fetch", kind)
	}
	c.provided = true
	return 0
}

var levels = map[string]slog.Level{"debug": slog.LevelDebug, "info": slog.LevelInfo, "warn": slog.LevelWarn, "error": slog.LevelError}

// moduleLog is module:log(level, format, …).
func (m *machine) moduleLog(l *glua.LState) int {
	level, ok := levels[l.CheckString(2)]
	if !ok {
		l.RaiseError("module:log: %q is none of debug, info, warn, error", l.CheckString(2))
	}
	if m.call.lines < maxLines {
		m.log(level, format(l, l.CheckString(3), 4))
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

// option makes a get_option method of a reader: its value, or else the default that the script names.
func option(read func(m *machine, l *glua.LState, name string) (glua.LValue, error)) func(*machine, *glua.LState) int {
	return func(m *machine, l *glua.LState) int {
		v, err := read(m, l, l.CheckString(2))
		if err != nil {
			l.RaiseError("%s", err.Error())
		}
		if v == nil {
			v = l.Get(3)
		}
		l.Push(v)
		return 1
	}
}

func anyOption(m *machine, l *glua.LState, name string) (glua.LValue, error) {
	v, ok := m.plugin.opts.Get(name)
	if !ok {
		return nil, nil
	}
	return toLua(l, v), nil
}

func stringOption(m *machine, _ *glua.LState, name string) (glua.LValue, error) {
	s, ok, err := m.plugin.opts.String(name)
	if !ok {
		return nil, err
	}
	return glua.LString(s), nil
}

func booleanOption(m *machine, _ *glua.LState, name string) (glua.LValue, error) {
	b, ok, err := m.plugin.opts.Boolean(name)
	if !ok {
		return nil, err
	}
	return glua.LBool(b), nil
}

func numberOption(m *machine, l *glua.LState, name string) (glua.LValue, error) {
	n, ok, err := m.plugin.opts.Number(name)
	if !ok {
		return nil, err
	}
	return glua.LNumber(m.clamp(l, name, n)), nil
}

func integerOption(m *machine, l *glua.LState, name string) (glua.LValue, error) {
	n, ok, err := m.plugin.opts.Integer(name)
	if !ok {
		return nil, err
	}
	return glua.LNumber(m.clamp(l, name, float64(n))), nil
}

// clamp keeps n within the bounds that follow the default, and says so where it is not, as Prosody does.
func (m *machine) clamp(l *glua.LState, name string, n float64) float64 {
	lo, hi := float64(l.OptNumber(4, glua.LNumber(math.Inf(-1)))), float64(l.OptNumber(5, glua.LNumber(math.Inf(1))))
	within := min(max(n, lo), hi)
	if within != n {
		m.log(slog.LevelWarn, fmt.Sprintf("option %s: %v is not between %v and %v, %v is taken", name, n, lo, hi, within))
	}
	return within
}

func arrayOption(m *machine, l *glua.LState, name string) (glua.LValue, error) {
	list, ok, err := m.plugin.opts.Array(name)
	if !ok {
		return nil, err
	}
	return toLua(l, list), nil
}

func setOption(m *machine, l *glua.LState, name string) (glua.LValue, error) {
	list, ok, err := m.plugin.opts.Set(name)
	if !ok {
		return nil, err
	}
	return toLua(l, list), nil
}

// enumOption allows the default and the words that follow it.
func enumOption(m *machine, l *glua.LState, name string) (glua.LValue, error) {
	var words []string
	for i := 3; i <= l.GetTop(); i++ {
		if s, ok := l.Get(i).(glua.LString); ok {
			words = append(words, string(s))
		}
	}
	s, ok, err := m.plugin.opts.Enum(name, words...)
	if !ok {
		return nil, err
	}
	return glua.LString(s), nil
}

// periodOption reads the default as it reads the option: get_option_period("ttl", "1h") is 3600.
func (m *machine) periodOption(l *glua.LState) int {
	name := l.CheckString(2)
	n, ok, err := m.plugin.opts.Period(name)
	if err == nil && !ok {
		if l.Get(3) == glua.LNil {
			l.Push(glua.LNil)
			return 1
		}
		n, err = plugins.ParsePeriod(fromLua(l.Get(3)))
	}
	if err != nil {
		l.RaiseError("%s", err.Error())
	}
	l.Push(glua.LNumber(m.clamp(l, name, n)))
	return 1
}

// urlTemplateOption is a function that puts a user name into the option's URL. A URL that cannot be used is
// refused when the script is loaded.
func (m *machine) urlTemplateOption(l *glua.LState) int {
	name := l.CheckString(2)
	if f, ok := m.templates[name]; ok {
		l.Push(f)
		return 1
	}
	s, ok, err := m.plugin.opts.String(name)
	if err != nil {
		l.RaiseError("%s", err.Error())
	}
	if !ok {
		// Which servers are asked is the operator's word, not a script's.
		if s = l.OptString(3, ""); s == "" || !m.plugin.shipped {
			l.RaiseError("option %s is not set", name)
		}
		m.plugin.opts.Trust(s)
	}
	t, err := plugins.ParseURLTemplate(s)
	if err != nil {
		l.RaiseError("%s", m.plugin.opts.Wrong(name, "%v", err).Error())
	}
	f := l.NewFunction(func(l *glua.LState) int {
		url, err := t.Fill(l.CheckString(1))
		if err != nil {
			m.throw(l, &engine.PermanentError{Err: err})
		}
		l.Push(glua.LString(url))
		return 1
	})
	m.templates[name] = f
	l.Push(f)
	return 1
}

// toLua copies a configuration value.
func toLua(l *glua.LState, v any) glua.LValue {
	switch t := v.(type) {
	case string:
		return glua.LString(t)
	case bool:
		return glua.LBool(t)
	case int64:
		return glua.LNumber(t)
	case float64:
		return glua.LNumber(t)
	case []any:
		tb := l.CreateTable(len(t), 0)
		for _, e := range t {
			tb.Append(toLua(l, e))
		}
		return tb
	case map[string]any:
		tb := l.CreateTable(0, len(t))
		for _, k := range sortedKeys(t) {
			tb.RawSetString(k, toLua(l, t[k]))
		}
		return tb
	}
	return glua.LNil
}

func sortedKeys(m map[string]any) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

func fromLua(v glua.LValue) any {
	switch t := v.(type) {
	case glua.LString:
		return string(t)
	case glua.LNumber:
		return float64(t)
	case glua.LBool:
		return bool(t)
	}
	return v.Type().String()
}
