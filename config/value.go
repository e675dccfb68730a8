package config

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// A Value is what Lua left behind, frozen, with the place it was written at. The zero Value is nil.
type Value struct {
	v   any // nil, bool, int64, float64, string, *Table or Function
	pos Pos
}

// A Table is a frozen Lua table.
type Table struct {
	List   []Value // [1] up to the first hole
	Fields []Field // everything else, in the order Lua gave it
}

// A Field is a table entry outside the list.
type Field struct {
	Key   any // bool, int64, float64 or string
	Value Value
}

// Function stands for a Lua function. It cannot be called any more.
type Function struct{}

// Pos is where the value is written.
func (v Value) Pos() Pos { return v.pos }

// IsNil reports whether there is no value.
func (v Value) IsNil() bool { return v.v == nil }

// Table returns the table that v is, or nil.
func (v Value) Table() *Table {
	t, _ := v.v.(*Table)
	return t
}

// Field returns the entry of that name, or nil.
func (t *Table) Field(name string) Value {
	for _, f := range t.Fields {
		if f.Key == name {
			return f.Value
		}
	}
	return Value{}
}

// Plain turns v into nil, bool, int64, float64, string, []any or map[string]any. A table without
// fields is a list; in any other, list entries and keys that are no strings appear under their
// decimal form. A function is nil.
func (v Value) Plain() any {
	switch x := v.v.(type) {
	case *Table:
		return x.plain()
	case Function:
		return nil
	default:
		return x
	}
}

func (t *Table) plain() any {
	list := make([]any, len(t.List))
	for i, v := range t.List {
		list[i] = v.Plain()
	}
	if len(t.Fields) == 0 {
		return list
	}
	m := make(map[string]any, len(t.List)+len(t.Fields))
	for i, v := range list {
		m[strconv.Itoa(i+1)] = v
	}
	for _, f := range t.Fields {
		m[keyText(f.Key)] = f.Value.Plain()
	}
	return m
}

// keyText is a key as Lua's tostring would print it.
func keyText(key any) string {
	if s, ok := (Value{v: key}).text(); ok {
		return s
	}
	return fmt.Sprint(key)
}

// text is what Lua's tostring makes of a scalar.
func (v Value) text() (string, bool) {
	switch x := v.v.(type) {
	case string:
		return x, true
	case bool:
		return strconv.FormatBool(x), true
	case int64:
		return strconv.FormatInt(x, 10), true
	case float64:
		return formatFloat(x), true
	}
	return "", false
}

func formatFloat(f float64) string {
	switch {
	case math.IsInf(f, 1):
		return "inf"
	case math.IsInf(f, -1):
		return "-inf"
	case math.IsNaN(f):
		return "nan"
	}
	return strconv.FormatFloat(f, 'g', 14, 64)
}

// describe shows a value in a message: short, never a whole file.
func (v Value) describe() string {
	switch x := v.v.(type) {
	case nil:
		return "nil"
	case string:
		if len(x) > 40 {
			x = strings.ToValidUTF8(x[:40], "") + "…"
		}
		return strconv.Quote(x)
	case *Table:
		return "a table"
	case Function:
		return "a function"
	}
	s, _ := v.text()
	return s
}
