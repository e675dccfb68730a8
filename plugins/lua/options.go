package lua

import (
	"fmt"
	"log/slog"
	"math"

	glua "github.com/yuin/gopher-lua"

	"rosterd/engine"
	"rosterd/plugins"
	"rosterd/plugins/lua/vm"
)

// option makes a get_option method of a reader: its value, or else the default that the script names.
func option(read func(m *machine, l *glua.LState, name string) (glua.LValue, error)) native {
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
		return nil, m.plugin.opts.Refused(name)
	}
	return vm.Value(l, v), nil
}

// scalarOption reads one value; a list of one is that value.
func scalarOption(m *machine, l *glua.LState, name string) (glua.LValue, error) {
	v, ok := m.plugin.opts.Get(name)
	switch t := v.(type) {
	case []any:
		if len(t) > 1 {
			return nil, m.plugin.opts.Wrong(name, "a list of %d where one value is expected", len(t))
		}
		if len(t) == 0 {
			return nil, nil
		}
		v = t[0]
	case map[string]any:
		return nil, m.plugin.opts.Wrong(name, "a table where one value is expected")
	}
	if !ok {
		return nil, m.plugin.opts.Refused(name)
	}
	return vm.Value(l, v), nil
}

func stringOption(m *machine, _ *glua.LState, name string) (glua.LValue, error) {
	s, ok, err := m.plugin.opts.String(name)
	if !ok {
		return nil, err
	}
	return glua.LString(s), nil
}

// textOf has the default be text too, as in Prosody.
func textOf(read native) native {
	return func(m *machine, l *glua.LState) int {
		read(m, l)
		switch v := l.Get(-1).(type) {
		case glua.LNumber, glua.LBool:
			l.Pop(1)
			l.Push(glua.LString(v.String()))
		}
		return 1
	}
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
	return vm.Value(l, list), nil
}

// arrayOf has the list that a reader gives, or the default, be a util.array, as in Prosody.
func arrayOf(read native) native {
	return func(m *machine, l *glua.LState) int {
		read(m, l)
		if list := l.Get(-1); list != glua.LNil {
			m.construct(l, "util.array", "", m.listOf(l, list))
		}
		return 1
	}
}

// setOf has the list that a reader gives, or the default, be a util.set.
func setOf(read native) native {
	return func(m *machine, l *glua.LState) int {
		read(m, l)
		if list := l.Get(-1); list != glua.LNil && !hasItems(list) {
			m.construct(l, "util.set", "new", m.listOf(l, list))
		}
		return 1
	}
}

// listOf is a copy of a list, or the list of a single value.
func (m *machine) listOf(l *glua.LState, v glua.LValue) *glua.LTable {
	t, ok := v.(*glua.LTable)
	if !ok {
		t = l.CreateTable(1, 0)
		t.Append(v)
		return t
	}
	list := l.CreateTable(t.MaxN(), 0)
	for i := 1; i <= t.MaxN(); i++ {
		list.Append(t.RawGetInt(i))
	}
	return list
}

// hasItems tells a set, such as a default may be, from a list.
func hasItems(v glua.LValue) bool {
	t, ok := v.(*glua.LTable)
	if !ok {
		return false
	}
	_, ok = t.RawGetString("_items").(*glua.LTable)
	return ok
}

// construct calls a library, or a function of it, and pushes what it makes.
func (m *machine) construct(l *glua.LState, lib, function string, arg glua.LValue) {
	t := m.library(l, lib)
	f := glua.LValue(t)
	if function != "" {
		f = l.GetField(t, function)
	}
	l.Push(f)
	l.Push(arg)
	l.Call(1, 1)
}

func setOption(m *machine, l *glua.LState, name string) (glua.LValue, error) {
	list, ok, err := m.plugin.opts.Set(name)
	if !ok {
		return nil, err
	}
	return vm.Value(l, list), nil
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
