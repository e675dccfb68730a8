package mutate

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"
)

const page = `{"pages": 2, "teams": [{"title": "Sales", "members": [{"login": "marie", "profile": {"display_name": "Marie"}}], "teams": null}]}`

// TestDeterminism: the same seed makes the same changes, and another one others.
func TestDeterminism(t *testing.T) {
	made := func(seed uint64) (list []string) {
		for n := range uint64(200) {
			m := New(seed, n)
			name, value := m.Field()
			list = append(list, string(m.Body([]byte(page), [][]byte{[]byte(`[1]`)}))+name+value)
		}
		return list
	}
	if a, b := strings.Join(made(1), "\n"), strings.Join(made(1), "\n"); a != b {
		t.Error("a seed does not make the same twice")
	}
	if a, b := strings.Join(made(1), "\n"), strings.Join(made(2), "\n"); a == b {
		t.Error("two seeds make the same")
	}
}

// TestVariety: the kinds of wrong data that are worth a try all come, and soon.
func TestVariety(t *testing.T) {
	kinds := map[string]func([]byte) bool{
		"no JSON":             func(b []byte) bool { return !json.Valid(b) },
		"no UTF-8":            func(b []byte) bool { return !utf8.Valid(b) },
		"no UTF-8, else JSON": func(b []byte) bool { return json.Valid(b) && !utf8.Valid(b) },
		"a member less":       func(b []byte) bool { return bytes.Contains(b, []byte(`"members":[]`)) },
		"a name less":         func(b []byte) bool { return json.Valid(b) && !bytes.Contains(b, []byte(`"title":`)) },
		"a name twice":        func(b []byte) bool { return json.Valid(b) && bytes.Count(b, []byte(`"login":`)) == 2 },
		"teams as a number":   func(b []byte) bool { return bytes.Contains(b, []byte(`"teams":1`)) },
		"a long text":         func(b []byte) bool { return json.Valid(b) && len(b) > 4000 && bytes.Count(b, []byte("[")) < 9 },
		"deep":                func(b []byte) bool { return bytes.Contains(b, bytes.Repeat([]byte(`[`), 500)) },
		"teams in teams":      func(b []byte) bool { return bytes.Contains(b, bytes.Repeat([]byte(`{"teams":[`), 100)) },
		"too short":           func(b []byte) bool { return bytes.HasPrefix([]byte(page), b) && len(b) < len(page) },
		"from elsewhere":      func(b []byte) bool { return bytes.Contains(b, []byte("somebody")) },
		"as it was":           func(b []byte) bool { return string(b) == page },
	}
	for n := range uint64(20_000) {
		b := New(7, n).Body([]byte(page), [][]byte{[]byte(`{"x": "somebody"}`)})
		for kind, is := range kinds {
			if is(b) {
				delete(kinds, kind)
			}
		}
		if len(kinds) == 0 {
			return
		}
	}
	for kind := range kinds {
		t.Errorf("never made: %s", kind)
	}
}

func TestSmaller(t *testing.T) {
	deep := strings.Repeat(`{"teams":[`, 3000) + `{"bad":1}` + strings.Repeat(`]}`, 3000)
	for _, c := range []struct {
		name, body, want string
		still            func([]byte) bool
	}{
		{"what matters is one value", page, `{"title":"Sales"}`, func(b []byte) bool {
			return json.Valid(b) && bytes.Contains(b, []byte(`"title":"Sales"`))
		}},
		{"bytes", "xxxxxxxxxxx\xffyyyyyyy", "\xff", func(b []byte) bool { return bytes.IndexByte(b, 0xff) >= 0 }},
		{"out of the depth", deep, `"bad":1`, func(b []byte) bool { return bytes.Contains(b, []byte(`"bad":1`)) }},
		{"all of it matters", page, page, func(b []byte) bool { return string(b) == page }},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := Smaller([]byte(c.body), 1000, c.still); string(got) != c.want {
				t.Errorf("%s, want %s", got, c.want)
			}
		})
	}
	asked := 0
	Smaller([]byte(page), 10, func([]byte) bool { asked++; return false })
	if asked > 10 {
		t.Errorf("asked %d times", asked)
	}
}

// FuzzBody: whatever is changed, the result is bounded and comes again; and what is made smaller does what it did.
func FuzzBody(f *testing.F) {
	for i, s := range []string{page, "", "[]", `{"a":{"a":1,"a":2}}`, "[[[[", "\xff", `"x"`, "1 2", strings.Repeat("[", 20_000)} {
		f.Add([]byte(s), uint64(i))
	}
	f.Fuzz(func(t *testing.T, b []byte, seed uint64) {
		before := bytes.Clone(b)
		made := New(seed, 0).Body(b, [][]byte{[]byte(page), b})
		if !bytes.Equal(b, before) {
			t.Fatal("the body that was given has changed")
		}
		if len(made) > max(len(b), maxBody) {
			t.Fatalf("%d bytes of %d", len(made), len(b))
		}
		if again := New(seed, 0).Body(b, [][]byte{[]byte(page), b}); !bytes.Equal(made, again) {
			t.Fatalf("%q, and then %q", made, again)
		}
		if len(made) == 0 {
			return
		}
		needle := made[len(made)/2]
		small := Smaller(made, 200, func(b []byte) bool { return bytes.IndexByte(b, needle) >= 0 })
		if len(small) > len(made) && len(small) > 2*len(b) || bytes.IndexByte(small, needle) < 0 {
			t.Fatalf("%q is made of %q, for %q", small, made, needle)
		}
	})
}
