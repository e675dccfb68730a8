package plugins

import (
	"math"
	"reflect"
	"strings"
	"testing"
)

// config is a configuration file in which every option stands on line 7.
func config(values map[string]any) Config {
	return ConfigFunc(func(name string) (any, string, bool) {
		v, ok := values[name]
		return v, "prosody.cfg.lua:7", ok
	})
}

func TestOptionCoercions(t *testing.T) {
	read := map[string]func(*Options) (any, bool, error){
		"string":  func(o *Options) (any, bool, error) { return three(o.String("x")) },
		"number":  func(o *Options) (any, bool, error) { return three(o.Number("x")) },
		"integer": func(o *Options) (any, bool, error) { return three(o.Integer("x")) },
		"boolean": func(o *Options) (any, bool, error) { return three(o.Boolean("x")) },
		"array":   func(o *Options) (any, bool, error) { return three(o.Array("x")) },
		"set":     func(o *Options) (any, bool, error) { return three(o.Set("x")) },
		"enum":    func(o *Options) (any, bool, error) { return three(o.Enum("x", "red", "green")) },
		"period":  func(o *Options) (any, bool, error) { return three(o.Period("x")) },
	}
	inf := math.Inf(1)
	tests := []struct {
		getter string
		value  any
		want   any    // nil: not set
		err    string // part of the error
	}{
		{"string", "text", "text", ""},
		{"string", int64(5), "5", ""},
		{"string", 1.5, "1.5", ""},
		{"string", true, "true", ""},
		{"string", []any{"only"}, "only", ""},
		{"string", []any{}, nil, ""},
		{"string", []any{"a", "b"}, nil, "a list of 2 where one value is expected"},
		{"string", map[string]any{"a": "b"}, nil, "a table where one value is expected"},
		{"number", int64(5), 5.0, ""},
		{"number", " 1.5 ", 1.5, ""},
		{"number", "-1", -1.0, ""},
		{"number", "10kb", nil, "a string where a number is expected"},
		{"number", "inf", nil, "a string where a number is expected"},
		{"number", true, nil, "a boolean where a number is expected"},
		{"integer", "12", int64(12), ""},
		{"integer", 3.0, int64(3), ""},
		{"integer", 1.5, nil, "1.5 is no integer"},
		{"integer", 1e300, nil, "is no integer"},
		{"boolean", true, true, ""},
		{"boolean", "false", false, ""},
		{"boolean", int64(1), true, ""},
		{"boolean", 0.0, false, ""},
		{"boolean", "yes", nil, "a string where true or false is expected"},
		{"boolean", "", nil, "a string where true or false is expected"},
		{"boolean", int64(2), nil, "a number where true or false is expected"},
		{"array", []any{"a", "a"}, []any{"a", "a"}, ""},
		{"array", "one", []any{"one"}, ""},
		{"array", map[string]any{"a": true}, nil, "a table with names where a list is expected"},
		{"set", []any{"b", "a", "b"}, []any{"b", "a"}, ""},
		{"set", []any{"b", []any{}}, nil, "item 2 is a table"},
		{"enum", "green", "green", ""},
		{"enum", "blue", nil, `"blue" is none of red, green`},
		{"period", int64(90), 90.0, ""},
		{"period", "90s", 90.0, ""},
		{"period", "30 min", 1800.0, ""},
		{"period", "1h", 3600.0, ""},
		{"period", "1.5h", 5400.0, ""},
		{"period", "2 Days", 172800.0, ""},
		{"period", "1w", 604800.0, ""},
		{"period", "1 month", 2678400.0, ""},
		{"period", "1 year", 31556952.0, ""},
		{"period", "3600", 3600.0, ""},
		{"period", "never", inf, ""},
		{"period", false, inf, ""},
		{"period", int64(-1), inf, ""},
		{"period", "30m", nil, `"30m" is no length of time`},
		{"period", "1mo", nil, `"1mo" is no length of time`},
		{"period", "yes", nil, "is no length of time"},
		{"period", true, nil, "a boolean where a length of time is expected"},
	}
	for _, tt := range tests {
		t.Run(tt.getter+" "+strings.ReplaceAll(text(tt.value), "/", "_"), func(t *testing.T) {
			got, ok, err := read[tt.getter](NewOptions(config(map[string]any{"x": tt.value})))
			if tt.err != "" {
				if err == nil || !strings.Contains(err.Error(), tt.err) || !strings.HasPrefix(err.Error(), "prosody.cfg.lua:7: option x: ") {
					t.Fatalf("error %v, want %q with its place", err, tt.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if ok != (tt.want != nil) || ok && !reflect.DeepEqual(got, tt.want) {
				t.Errorf("got %#v, %v; want %#v", got, ok, tt.want)
			}
		})
	}
}

func three[T any](v T, ok bool, err error) (any, bool, error) { return v, ok, err }

func TestOptionsNotSet(t *testing.T) {
	for name, o := range map[string]*Options{"absent": NewOptions(config(nil)), "no configuration": NewOptions(nil)} {
		if _, ok, err := o.String("x"); ok || err != nil {
			t.Errorf("%s: %v, %v", name, ok, err)
		}
		if got := o.Read(); !reflect.DeepEqual(got, []string{"x"}) {
			t.Errorf("%s: options read are %q", name, got)
		}
	}
}
