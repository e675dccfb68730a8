package lua

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"

	glua "github.com/yuin/gopher-lua"
)

// decoder is a machine outside of any call.
func decoder(t testing.TB) *machine {
	m := newMachine(&Plugin{name: "test", file: "mod_test.lua", host: "example.com"})
	t.Cleanup(m.close)
	return m
}

// value is v as encoding/json would have it.
func (m *machine) value(v glua.LValue) any {
	switch t := v.(type) {
	case glua.LString:
		return string(t)
	case glua.LNumber:
		return float64(t)
	case glua.LBool:
		return bool(t)
	case *glua.LTable:
		switch {
		case t.Metatable == m.null:
			return nil
		case t.Metatable == m.arrays:
			list := []any{}
			for i := 1; i <= t.Len(); i++ {
				list = append(list, m.value(t.RawGetInt(i)))
			}
			return list
		}
		object := map[string]any{}
		t.ForEach(func(k, v glua.LValue) { object[string(k.(glua.LString))] = m.value(v) })
		return object
	}
	return v
}

func TestJSONDecode(t *testing.T) {
	m := decoder(t)
	for _, text := range []string{
		`{}`, `[]`, `null`, `true`, `" "`, `-1.5e3`, ` {"a" : [1, {"b": null}], "c": "\u00fc\n\ud83d\ude00"} `, `{"a":1,"a":2}`, `{"a.b":{"c*":1}}`,
		`[[[]]]`, `{"1":1,"":2}`, `"` + strings.Repeat("x", 100000) + `"`, `[` + strings.Repeat("0,", 100000) + `0]`,
		strings.Repeat("[", 64) + strings.Repeat("]", 64),
	} {
		m.call = &call{}
		got, err := m.decode(m.state.L(), []byte(text))
		if err != nil {
			t.Errorf("%.40s: %v", text, err)
			continue
		}
		var want any
		if err := json.Unmarshal([]byte(text), &want); err != nil {
			t.Fatal(err)
		}
		if v := m.value(got); !reflect.DeepEqual(v, want) {
			t.Errorf("%.40s: %.100v, want %.100v", text, v, want)
		}
	}
	for text, want := range map[string]string{
		``: "not JSON", `{`: "not JSON", `{"a":1}x`: "invalid character 'x' after top-level value at byte 8", `{a:1}`: "not JSON", `[1,]`: "not JSON", `'a'`: "not JSON",
		"\"\n\"": "not JSON", `nil`: "not JSON", "\ufeff{}": "not JSON", `<html>`: "invalid character '<' looking for beginning of value at byte 1",
		strings.Repeat("[", 65) + strings.Repeat("]", 65):           "JSON nested more than 64 deep",
		strings.Repeat("[", 5_000_000):                              "not JSON",
		strings.Repeat(`{"a":`, 70) + "1" + strings.Repeat("}", 70): "JSON nested more than 64 deep",
		"[" + strings.Repeat("0,", 200_000) + "0]":                  "more than 200000 JSON values in one call",
	} {
		m.call = &call{}
		if v, err := m.decode(m.state.L(), []byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.40s: %v, %v; want %q", text, v, err, want)
		}
	}
}

// The budget is that of a call, not of one document.
func TestJSONBudgetOfACall(t *testing.T) {
	m := decoder(t)
	m.call = &call{}
	text := []byte("[" + strings.Repeat("0,", 90_000) + "0]")
	var errs int
	for range 4 {
		if _, err := m.decode(m.state.L(), text); err != nil {
			errs++
		}
	}
	if errs != 2 {
		t.Errorf("%d of 4 documents are refused, want 2", errs)
	}
}

func FuzzJSON(f *testing.F) {
	for _, s := range []string{`{"a":[1,2.5,-0,1e5,true,false,null,"x\u00e9\ud800"]}`, `[{"b":{}},[]]`, `"\u0000"`, `{"":0}`, "[1", `{"a":1,"a":[]}`, "\xff", "\"\xff\""} {
		f.Add([]byte(s))
	}
	m := decoder(f)
	f.Fuzz(func(t *testing.T, text []byte) {
		m.call = &call{}
		v, err := m.decode(m.state.L(), text)
		var want any
		goErr := json.Unmarshal(text, &want)
		if err != nil {
			if goErr == nil && err != errDepth && err != errValues {
				t.Fatalf("refused, but valid: %v", err)
			}
			return
		}
		if goErr != nil {
			if strings.Contains(goErr.Error(), "cannot unmarshal number") {
				return // valid, but no float64
			}
			t.Fatalf("accepted, but: %v", goErr)
		}
		if got := m.value(v); utf8.Valid(text) && !reflect.DeepEqual(got, want) {
			t.Fatalf("%#v, want %#v", got, want)
		}
		again, err := m.appendJSON(nil, v, 0)
		if err != nil {
			return // numbers as large as 1e400 become infinite
		}
		back, err := m.decode(m.state.L(), again)
		if err != nil {
			t.Fatalf("%s: %v", again, err)
		}
		once, err := m.appendJSON(nil, back, 0)
		if err != nil || string(once) != string(again) {
			t.Fatalf("%s becomes %s, %v", again, once, err)
		}
	})
}
