package config

import (
	"reflect"
	"testing"
)

func TestLiteral(t *testing.T) {
	for text, want := range map[string]any{
		`"text"`: "text", `'it''s'`: nil, `'a b'`: "a b", `5`: int64(5), `-5`: int64(-5), `0x10`: int64(16), `010`: int64(10), `1.5`: 1.5, `1e3`: 1000.0,
		`true`: true, `false`: false, `word`: "word", ``: "", `http://localhost:80/%s`: "http://localhost:80/%s", `5m`: "5m", `127.0.0.1:80`: "127.0.0.1:80",
		`inf`: "inf", `nan`: "nan", `-`: "-", `-x`: "-x", `{}`: []any{}, `{ "a", 2 }`: []any{"a", int64(2)}, `{ a = { -1.5 } }`: map[string]any{"a": []any{-1.5}},
		`{ "x", ["b c"] = true }`: map[string]any{"1": "x", "b c": true}, `[[long]]`: "long", `{ f() }`: nil, `{ [f] = 1 }`: nil, `"a" .. "b"`: nil, `"a", "b"`: nil, `"a`: nil, `{`: nil,
	} {
		got, err := Literal(text)
		if (err == nil) != (want != nil) || err == nil && !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %#v, %v, want %#v", text, got, err, want)
		}
	}
}

func FuzzLiteral(f *testing.F) {
	for _, s := range []string{`"a"`, "{ a = { 1, -2.5 } }", "[[x]]", "word", "0x", "-0x8000000000000000", "{{{"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if v, err := Literal(s); (v == nil) == (err == nil) {
			t.Errorf("%q: %v, %v", s, v, err)
		}
	})
}
