package lua

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/tidwall/gjson"
	glua "github.com/yuin/gopher-lua"

	"rosterd/plugins/lua/vm"
)

func init() {
	null := map[string]func(*machine, *glua.LState) *glua.LTable{"null": (*machine).jsonNull}
	libraries["util.json"] = &library{values: null, funcs: map[string]native{
		"decode": (*machine).jsonDecode, "encode": (*machine).jsonEncode,
		"encode_ordered": (*machine).jsonEncode, "encode_array": (*machine).jsonEncodeArray,
	}}
	libraries["cjson"] = &library{values: null, funcs: map[string]native{
		"decode": raising((*machine).jsonDecode), "encode": (*machine).jsonEncode, "new": (*machine).newCJSON,
	}}
	libraries["cjson.safe"] = &library{values: null, funcs: map[string]native{
		"decode": (*machine).jsonDecode, "encode": (*machine).jsonEncodeSafe, "new": (*machine).newSafeCJSON,
	}}
}

const (
	maxJSONDepth  = 64
	maxJSONValues = 200_000 // of one call
	maxJSONText   = 4 << 20 // encoded
	bytesPerValue = 8       // that cost as much as a value
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
	text := l.CheckString(1)
	vm.Charge(l, len(text)/bytesPerValue)
	before := m.call.values
	v, err := m.decode(l, []byte(text))
	vm.Charge(l, m.call.values-before)
	if err != nil {
		l.Push(glua.LNil)
		l.Push(glua.LString(err.Error()))
		return 2
	}
	l.Push(v)
	return 1
}

// raising makes nil, text an error, as lua-cjson has it.
func raising(f native) native {
	return func(m *machine, l *glua.LState) int {
		n := f(m, l)
		if n == 2 {
			l.RaiseError("%s", l.Get(-1).String())
		}
		return n
	}
}

// newCJSON is cjson.new(), which there is for settings of one's own. Here there are none.
func (m *machine) newCJSON(l *glua.LState) int     { l.Push(m.made(l, "cjson")); return 1 }
func (m *machine) newSafeCJSON(l *glua.LState) int { l.Push(m.made(l, "cjson.safe")); return 1 }

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

// few is for how much tables are made. Without a number it is 32, which takes longer than all else here; they grow.
const few = 4

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
	t := l.CreateTable(0, few)
	if v.IsArray() {
		t = l.CreateTable(few, 0)
		t.Metatable = m.arrays
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
	b, err := m.encode(l)
	if err != nil {
		l.RaiseError("json.encode: %s", err.Error())
	}
	l.Push(glua.LString(b))
	return 1
}

// jsonEncodeSafe is that of cjson.safe: text, or nil and what is wrong.
func (m *machine) jsonEncodeSafe(l *glua.LState) int {
	b, err := m.encode(l)
	if err != nil {
		l.Push(glua.LNil)
		l.Push(glua.LString(err.Error()))
		return 2
	}
	l.Push(glua.LString(b))
	return 1
}

// jsonEncodeArray is json.encode_array(list): what stands from 1 on, whatever else is in the table.
func (m *machine) jsonEncodeArray(l *glua.LState) int {
	t := l.CheckTable(1)
	list := l.CreateTable(t.Len(), 0)
	for i := 1; t.RawGetInt(i) != glua.LNil; i++ {
		list.Append(t.RawGetInt(i))
	}
	vm.Charge(l, list.Len())
	list.Metatable = m.arrays
	l.Replace(1, list)
	return m.jsonEncode(l)
}

func (m *machine) encode(l *glua.LState) ([]byte, error) {
	before := m.call.values
	b, err := m.appendJSON(nil, l.CheckAny(1), 0)
	if err == nil && len(b) > maxJSONText { // with the last text in it
		err = errText
	}
	n := len(b)
	if errors.Is(err, errText) {
		n = maxJSONText // were made, and thrown away
	}
	vm.Charge(l, m.call.values-before+n/bytesPerValue)
	return b, err
}

func (m *machine) appendJSON(b []byte, v glua.LValue, depth int) ([]byte, error) {
	if depth == 0 {
		m.call.values++ // the others are counted with the tables that they are in
	}
	if m.call.values > maxJSONValues {
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
		return appendString(b, string(t)), nil
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

// appendString escapes what RFC 8259 §7 demands, as Prosody does. What is not UTF-8 becomes U+FFFD: §8.1.
func appendString(b []byte, s string) []byte {
	s = strings.ToValidUTF8(s, "\uFFFD")
	b = append(b, '"')
	done := 0
	for i := range len(s) {
		c := s[i]
		if c >= ' ' && c != '"' && c != '\\' {
			continue
		}
		b = append(b, s[done:i]...)
		done = i + 1
		if short := shortEscape(c); short != 0 {
			b = append(b, '\\', short)
		} else {
			b = fmt.Appendf(b, `\u%04X`, c)
		}
	}
	return append(append(b, s[done:]...), '"')
}

func shortEscape(c byte) byte {
	switch c {
	case '"', '\\':
		return c
	case '\b':
		return 'b'
	case '\f':
		return 'f'
	case '\n':
		return 'n'
	case '\r':
		return 'r'
	case '\t':
		return 't'
	}
	return 0
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
	if t.Metatable == m.asked {
		m.fillAsked(t)
	}
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
	if m.call.values += items + len(names); m.call.values > maxJSONValues {
		return nil, errValues
	}
	switch {
	case other || items > 0 && (len(names) > 0 || t.RawGetInt(items) == glua.LNil):
		return nil, errors.New("a table with other keys than names, or than 1 to n, has no form in JSON")
	case items > 0 || len(names) == 0 && t.Metatable == m.arrays:
		return m.appendList(b, t, items, depth)
	}
	slices.Sort(names)
	b = append(b, '{')
	for i, n := range names {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(appendString(b, n), ':')
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
