package dat

import (
	"math"
	"reflect"
	"strings"
	"testing"
)

func table(kv ...Value) *Table {
	t := &Table{}
	for i := 0; i < len(kv); i += 2 {
		t.Fields = append(t.Fields, Field{kv[i], kv[i+1]})
	}
	return t
}

func TestParse(t *testing.T) {
	tests := []struct {
		name, src string
		want      Value
	}{
		{"as Prosody writes it", "return {\n\t[\"password\"] = \"secret\";\n};\n", table("password", "secret")},
		{"hashed", `return { ["iteration_count"] = 10000; ["salt"] = "ab-cd" };`, table("iteration_count", int64(10000), "salt", "ab-cd")},
		{"empty table", "return {};\n", table()},
		{"no semicolon", "return {}", table()},
		{"words as keys, commas", "return{a=1,b_2=true,}", table("a", int64(1), "b_2", true)},
		{"items without keys", `return {"x"; [5] = "five"; "y"}`, table(int64(1), "x", int64(5), "five", int64(2), "y")},
		{"nested", "return { a = { b = { false } } };", table("a", table("b", table(int64(1), false)))},
		{"nil is nothing", "return { a = nil; nil; 7 };", table(int64(2), int64(7))},
		{"nil", "return nil;", nil},
		{"comments", "-- by hand\nreturn { -- here\r a = 1; --}\n}--", table("a", int64(1))},
		{"integers", "return {0; -1; 9223372036854775807}", table(int64(1), int64(0), int64(2), int64(-1), int64(3), int64(math.MaxInt64))},
		{"floats", "return {1.5; -2e3; .5; 1e+20}", table(int64(1), 1.5, int64(2), -2000.0, int64(3), .5, int64(4), 1e20)},
		{"infinities", "return {(1/0); (-1/0)}", table(int64(1), math.Inf(1), int64(2), math.Inf(-1))},
		{"escapes", `return "\a\b\f\n\r\t\v\\\"\'";`, "\a\b\f\n\r\t\v\\\"'"},
		{"decimal escapes", `return "\208\191\0019\7";`, "п\x019\a"},
		{"hexadecimal escape", `return "\x41\xfF";`, "A\xff"},
		{"unicode escape", `return "\u{1F642}\u{41}";`, "🙂A"},
		{"white space escape", "return \"a\\z \n\t b\\\nc\";", "ab\nc"},
		{"single quotes", `return 'it"s';`, `it"s`},
		{"raw bytes", "return \"\xc3\xab\";", "ë"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := Parse([]byte(tt.src))
			if err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(got, tt.want) {
				t.Errorf("%#v, want %#v", got, tt.want)
			}
		})
	}
}

func TestParseRefuses(t *testing.T) {
	tests := []struct{ name, src, want string }{
		{"empty file", "", "line 1: does not begin with return"},
		{"truncated", "return {\n\t[\"password\"] = \"sec", "line 2: string without an end"},
		{"truncated table", "return {\n\ta = 1;\n", "line 3: expected a value"},
		{"truncated after key", "return { a", "expected ="},
		{"truncated after return", "return", "expected a value"},
		{"something else", "password = 'x'", "does not begin with return"},
		{"returns nothing", "return ;", "expected a value"},
		{"text after", "return {}; os.exit()", "text after the value"},
		{"call", `return os.execute("true")`, "expected a value"},
		{"call in a table", "return { a = f() }", "expected a value"},
		{"function", "return { a = function() end }", "expected a value"},
		{"name as a value", "return { a }", "expected ="},
		{"concatenation", `return "a" .. "b"`, "text after the value"},
		{"arithmetic", "return 1 + 1", "text after the value"},
		{"parentheses", "return (2/0)", "expected a value"},
		{"hexadecimal number", "return 0x10", "not a decimal number"},
		{"two points", "return 1.2.3", "not a decimal number"},
		{"lone minus", "return -", "not a decimal number"},
		{"long string", "return [[x]]", "expected a value"},
		{"long comment", "--[[\n]]return {}", "does not begin with return"},
		{"newline in a string", "return \"a\nb\"", "line 1: string without an end"},
		{"unknown escape", `return "\q"`, "unknown escape"},
		{"escape at the end", `return "\`, "unknown escape"},
		{"decimal escape too big", `return "\256"`, "above 255"},
		{"hexadecimal escape", `return "\xg0"`, "without two digits"},
		{"unicode escape", `return "\u{110000}"`, "no character"},
		{"unicode escape without braces", `return "\u41"`, "without {digits}"},
		{"key twice", "return { a = 1; ['a'] = 2 }", "a second value for a"},
		{"position twice", "return { 'x'; [1] = 2 }", "a second value for 1"},
		{"table as a key", "return { [{}] = 1 }", "as a key"},
		{"nil as a key", "return { [nil] = 1 }", "as a key"},
		{"float as a key", "return { [1.5] = 1 }", "as a key"},
		{"no separator", "return { 1 2 }", "expected a semicolon"},
		{"too deep", "return " + strings.Repeat("{", 300), "nested too deep"},
		{"byte 0", "return {}\x00", "text after the value"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			v, err := Parse([]byte(tt.src))
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%#v, error %v, want %q in it", v, err, tt.want)
			}
		})
	}
}

func TestTable(t *testing.T) {
	var tab Table
	tab.Set("a", int64(1))
	tab.Set("b", "two")
	tab.Set("a", true)
	tab.Set("c", nil)
	if tab.Get("a") != true || tab.Get("b") != "two" || tab.Get("c") != nil || len(tab.Fields) != 2 {
		t.Errorf("table %v", tab)
	}
	tab.Set("a", nil)
	if tab.Get("a") != nil || len(tab.Fields) != 1 {
		t.Errorf("table %v after removing a", tab)
	}
	if tab.Set("1", "text"); tab.Get(int64(1)) != nil {
		t.Error(`int64(1) finds the field "1"`)
	}
}

// Written by util.serialization of Prosody 0.12.3 from the same values.
func TestAppend(t *testing.T) {
	v := table("n", int64(10000), "f", 0.1, "s", "q\"'\\\a\b\t\n\v\f\r\x00\x1f\x7f\xc3\xab~", int64(1), "x", int64(3), false, "t", table("e", table()),
		"inf", math.Inf(1), "ninf", math.Inf(-1))
	want := `return {
	["n"] = 10000;
	["f"] = 0.100000000000000006;
	["s"] = "q\"\'\\\a\b\t\n\v\f\r\000\031\127\195\171~";
	"x";
	[3] = false;
	["t"] = {
		["e"] = {};
	};
	["inf"] = (1/0);
	["ninf"] = (-1/0);
};
`
	if got := string(Append(nil, v)); got != want {
		t.Errorf("%s\nwant\n%s", got, want)
	}
	if got := string(Append(nil, math.NaN())); got != "return (0/0);\n" {
		t.Errorf("not a number: %s", got)
	}
	back, err := Parse([]byte(want))
	if err != nil || !reflect.DeepEqual(back, Value(v)) {
		t.Errorf("read back: %#v, %v", back, err)
	}
}

// What was read is written so that it is read again as the same.
func FuzzDat(f *testing.F) {
	for _, s := range []string{
		"return {\n\t[\"password\"] = \"R0m30MyR0m30\";\n};\n",
		"return {\n\t[\"stored_key\"] = \"0fde7c15\";\n\t[\"iteration_count\"] = 10000;\n};\n",
		`return { a = { "x"; [3] = -1.5e3; }; b = true, c = nil } -- end`,
		`return "\208\191\x41\u{1F642}\z  \\";`, "return (-1/0)", "return {{{{}}}}", "return 0x10", "return -0.0", "--[[\nreturn {}", "return {1;2;[3]=3;nil;5}",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, src []byte) {
		v, err := Parse(src)
		if err != nil {
			return
		}
		once := Append(nil, v)
		again, err := Parse(once)
		if err != nil {
			t.Fatalf("%q was written as %q: %v", src, once, err)
		}
		if twice := Append(nil, again); string(twice) != string(once) {
			t.Errorf("%q was written as %q, then as %q", src, once, twice)
		}
	})
}
