package lua

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"

	"github.com/tidwall/gjson"
	glua "github.com/yuin/gopher-lua"
)

const (
	maxJSONDepth  = 64
	maxJSONValues = 200_000 // of one call
	maxJSONText   = 4 << 20 // encoded
)

var (
	errDepth  = fmt.Errorf("JSON nested more than %d deep", maxJSONDepth)
	errValues = fmt.Errorf("more than %d JSON values in one call", maxJSONValues)
	errText   = fmt.Errorf("JSON of more than %d MiB", maxJSONText>>20)
)

// jsonNull is what stands for null in this call, a table as in Prosody.
func (m *machine) jsonNull(l *glua.LState) *glua.LTable {
	if m.call.null == nil {
		m.call.null = object(l, m.null)
	}
	return m.call.null
}

// jsonDecode is json.decode(text): the value, or nil and what is wrong.
func (m *machine) jsonDecode(l *glua.LState) int {
	v, err := m.decode(l, []byte(l.CheckString(1)))
	if err != nil {
		l.Push(glua.LNil)
		l.Push(glua.LString(err.Error()))
		return 2
	}
	l.Push(v)
	return 1
}

// decode makes Lua values of JSON within the budget of the call.
func (m *machine) decode(l *glua.LState, text []byte) (glua.LValue, error) {
	if err := validJSON(text); err != nil {
		return nil, err
	}
	return m.toValue(l, gjson.ParseBytes(text), 0)
}

func validJSON(text []byte) error {
	if json.Valid(text) {
		return nil
	}
	var v json.RawMessage
	err := json.Unmarshal(text, &v) // for its message
	var syntax *json.SyntaxError
	if errors.As(err, &syntax) {
		return fmt.Errorf("not JSON: %w at byte %d", err, syntax.Offset)
	}
	return fmt.Errorf("not JSON: %w", err)
}

func (m *machine) toValue(l *glua.LState, v gjson.Result, depth int) (glua.LValue, error) {
	if m.call.values++; m.call.values > maxJSONValues {
		return nil, errValues
	}
	switch v.Type {
	case gjson.Null:
		return m.jsonNull(l), nil
	case gjson.String:
		return glua.LString(v.Str), nil
	case gjson.Number:
		return glua.LNumber(v.Num), nil
	case gjson.True, gjson.False:
		return glua.LBool(v.Type == gjson.True), nil
	}
	if depth >= maxJSONDepth {
		return nil, errDepth
	}
	t := l.CreateTable(0, 0)
	if v.IsArray() {
		t.Metatable = m.array
	}
	var err error
	v.ForEach(func(key, e gjson.Result) bool {
		var lv glua.LValue
		if lv, err = m.toValue(l, e, depth+1); err != nil {
			return false
		}
		if v.IsArray() {
			t.Append(lv)
		} else {
			t.RawSetString(key.Str, lv)
		}
		return true
	})
	return t, err
}

// jsonEncode is json.encode(value): text, with the names of objects in order.
func (m *machine) jsonEncode(l *glua.LState) int {
	b, err := m.appendJSON(nil, l.CheckAny(1), 0)
	if err != nil {
		l.RaiseError("json.encode: %s", err.Error())
	}
	l.Push(glua.LString(b))
	return 1
}

func (m *machine) appendJSON(b []byte, v glua.LValue, depth int) ([]byte, error) {
	if m.call.values++; m.call.values > maxJSONValues {
		return nil, errValues
	}
	if len(b) > maxJSONText {
		return nil, errText
	}
	switch t := v.(type) {
	case *glua.LNilType:
		return append(b, "null"...), nil
	case glua.LBool:
		return strconv.AppendBool(b, bool(t)), nil
	case glua.LString:
		return gjson.AppendJSONString(b, string(t)), nil
	case glua.LNumber:
		return appendNumber(b, float64(t))
	case *glua.LTable:
		if t.Metatable == m.null {
			return append(b, "null"...), nil
		}
		if depth >= maxJSONDepth {
			return nil, errDepth
		}
		return m.appendTable(b, t, depth)
	}
	return nil, fmt.Errorf("a %s has no form in JSON", v.Type())
}

func appendNumber(b []byte, n float64) ([]byte, error) {
	switch {
	case math.IsNaN(n) || math.IsInf(n, 0):
		return nil, errors.New("a number that is not finite has no form in JSON")
	case n == math.Trunc(n) && math.Abs(n) < 1<<53:
		return strconv.AppendInt(b, int64(n), 10), nil
	}
	return strconv.AppendFloat(b, n, 'g', 14, 64), nil
}

// appendTable writes a list where all keys are 1 to n, an object where all are names. An empty table is an
// object unless it came from a JSON array.
func (m *machine) appendTable(b []byte, t *glua.LTable, depth int) ([]byte, error) {
	var names []string
	items, other := 0, false
	t.ForEach(func(k, _ glua.LValue) {
		switch k := k.(type) {
		case glua.LString:
			names = append(names, string(k))
		case glua.LNumber:
			items++
		default:
			other = true
		}
	})
	switch {
	case other || items > 0 && (len(names) > 0 || t.RawGetInt(items) == glua.LNil):
		return nil, errors.New("a table with other keys than names, or than 1 to n, has no form in JSON")
	case items > 0 || len(names) == 0 && t.Metatable == m.array:
		return m.appendList(b, t, items, depth)
	}
	slices.Sort(names)
	b = append(b, '{')
	for i, n := range names {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(gjson.AppendJSONString(b, n), ':')
		var err error
		if b, err = m.appendJSON(b, t.RawGetString(n), depth+1); err != nil {
			return nil, err
		}
	}
	return append(b, '}'), nil
}

func (m *machine) appendList(b []byte, t *glua.LTable, n, depth int) ([]byte, error) {
	b = append(b, '[')
	for i := 1; i <= n; i++ {
		if i > 1 {
			b = append(b, ',')
		}
		var err error
		if b, err = m.appendJSON(b, t.RawGetInt(i), depth+1); err != nil {
			return nil, err
		}
	}
	return append(b, ']'), nil
}
