package vm

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

func TestMalformedPatterns(t *testing.T) {
	for _, c := range []struct{ pattern, want string }{
		{"[a", "missing ']'"}, {"[]", "missing ']'"}, {"[^]", "missing ']'"}, {"[%", "missing ']'"}, {"[a%]", "missing ']'"},
		{"a%", "ends with '%'"}, {"(a", "unfinished capture"}, {"a)", "invalid pattern capture"}, {"(a))", "invalid pattern capture"},
		{"%b", "missing arguments to '%b'"}, {"%bx", "missing arguments to '%b'"}, {"%f", "missing '['"}, {"%fa", "missing '['"},
		{"%1", "invalid capture index %1"}, {"(%1)", "invalid capture index %1"}, {"(a)%2", "invalid capture index %2"}, {"%0", "invalid capture index %0"},
		{strings.Repeat("()", 33), "too many captures"},
	} {
		if _, err := compilePattern(c.pattern, true); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q: %v, want %q", c.pattern, err, c.want)
		}
	}
}

func TestByteClasses(t *testing.T) {
	members := map[byte]string{ // the bytes 0 to 127 that are in
		'd': "0123456789",
		'x': "0123456789ABCDEFabcdef",
		's': "\t\n\v\f\r ",
		'u': "ABCDEFGHIJKLMNOPQRSTUVWXYZ",
		'p': "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~",
	}
	for letter, want := range members {
		var in, out byteSet
		in.addClass(letter)
		out.addClass(letter ^ 0x20)
		for c := range 256 {
			if got := in.has(byte(c)); got != (strings.IndexByte(want, byte(c)) >= 0) || got == out.has(byte(c)) {
				t.Errorf("%%%c has %q: %v, and its complement %v", letter, byte(c), got, out.has(byte(c)))
			}
		}
	}
	for letter := range classes {
		var s byteSet
		s.addClass(letter)
		if s.has(0x80) || s.has(0xff) {
			t.Errorf("%%%c has bytes above ASCII", letter)
		}
	}
}

var errSteps, errDeep = errors.New("steps"), errors.New("deep")

// FuzzPattern matches any pattern against any subject. It must end within its
// steps, and what it finds must be in the subject.
func FuzzPattern(f *testing.F) {
	for _, seed := range [][2]string{
		{"hello world", "(%w+) (%w+)"}, {"THE (quick) fox", "%((%a+)%)"}, {"aaaa", "a?a?a?aaaa"}, {"f(a(b)c)d", "%b()"},
		{"key = value", "^%s*(%S+)%s*=%s*(.-)%s*$"}, {"abab", "(ab)%1"}, {"THE fox", "%f[%a]%a+"}, {"x", "()"}, {"a]b", "[]]"}, {"a-z", "[a-]"}, {"", ""},
		{"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", ".-.-.-.-b"}, {"\x00\xff", "[%z\x80-\xff]+"}, {"^$", "%^%$$"},
	} {
		f.Add(seed[0], seed[1])
	}
	f.Fuzz(func(t *testing.T, subject, src string) {
		for _, anchor := range []bool{true, false} {
			p, err := compilePattern(src, anchor)
			if err != nil {
				continue
			}
			left := 200_000
			m := &matcher{
				pattern: p, subject: subject, steps: spendUnit,
				spend: func(steps int) {
					if left -= steps; left < 0 {
						panic(errSteps)
					}
				},
				tooDeep: func() { panic(errDeep) },
			}
			searchAll(t, m)
		}
	})
}

func searchAll(t *testing.T, m *matcher) {
	defer func() {
		if r := recover(); r != nil && r != errSteps && r != errDeep {
			panic(r)
		}
	}()
	for from := 0; from <= len(m.subject); {
		start, end, ok := m.search(from)
		if !ok {
			return
		}
		if start < from || end < start || end > len(m.subject) {
			t.Fatalf("match from %d to %d", start, end)
		}
		for i := range max(m.captures, 1) {
			m.value(i, start, end) // panics if a capture is open or outside
		}
		from = max(end, start+1)
		if m.anchored {
			return
		}
	}
}

// What a search costs is how far it looks: a script goes through a long text from one find to the next within its
// budget, and one that looks at all of it each time does not.
func TestSearchIsChargedByHowFarItLooks(t *testing.T) {
	const text = `local text = ("field;"):rep(150000)
		local n, at = 0, 1
		while at <= #text do at = text:find(%s, at, %s) + 1 n = n + 1 end
		print(n)`
	for _, args := range [][2]string{{`";"`, "true"}, {`";"`, "false"}, {`"[;\n]"`, "false"}} {
		if got := mustRun(t, fmt.Sprintf(text, args[0], args[1])); got != "150000\n" {
			t.Errorf("%s: %q", args[0], got)
		}
	}
	s := New(Limits{})
	defer s.Close()
	_, err := runScript(t, s, "test.lua", `local text = ("field;"):rep(150000) for i = 1, 10000 do text:find("\n", 1, true) end`)
	if !errors.Is(err, ErrInstructions) {
		t.Errorf("10,000 searches of 900,000 bytes end with %v", err)
	}
}
