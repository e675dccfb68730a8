package vm

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	lua "github.com/yuin/gopher-lua"
)

// runScript runs source and returns what it printed.
func runScript(t *testing.T, s *State, name, src string) (string, error) {
	t.Helper()
	proto, err := Compile(name, []byte(src))
	if err != nil {
		return "", err
	}
	var out strings.Builder
	s.L().SetGlobal("print", s.L().NewFunction(Print(func(_ *lua.LState, line string) { out.WriteString(line + "\n") })))
	err = s.Run(t.Context(), func(L *lua.LState) error {
		L.Push(L.NewFunctionFromProto(proto))
		L.Call(0, 0)
		return nil
	})
	return out.String(), err
}

// mustRun is runScript in a state of its own, without errors.
func mustRun(t *testing.T, src string) string {
	t.Helper()
	s := New(Limits{})
	defer s.Close()
	out, err := runScript(t, s, "test.lua", src)
	if err != nil {
		t.Fatalf("%v\nafter printing %q", err, out)
	}
	return out
}

// TestConformance runs scripts whose output was taken from PUC Lua 5.4.
func TestConformance(t *testing.T) {
	for _, name := range []string{"language", "library"} {
		t.Run(name, func(t *testing.T) {
			src, want := readTestdata(t, name+".lua"), readTestdata(t, name+".out")
			s := New(Limits{})
			defer s.Close()
			got, err := runScript(t, s, name+".lua", src)
			if err != nil {
				t.Error(err)
			}
			compareLines(t, got, want, func(_, _ string) bool { return false })
		})
	}
}

// TestPatternConformance is the same for random patterns. A malformed pattern
// is always an error here; PUC Lua may not come to see it.
func TestPatternConformance(t *testing.T) {
	src, want := readTestdata(t, "patterns.lua"), readTestdata(t, "patterns.out")
	s := New(Limits{})
	defer s.Close()
	got, err := runScript(t, s, "patterns.lua", src)
	if err != nil {
		t.Error(err)
	}
	compared := compareLines(t, got, want, func(got, want string) bool {
		row, wantRow := strings.Split(got, "\t"), strings.Split(want, "\t")
		for i := range row {
			if row[i] != wantRow[i] && row[i] != "E" {
				return false
			}
		}
		_, err := compilePattern(row[1], true)
		return err != nil
	})
	if compared < 700 {
		t.Errorf("only %d rows were well-formed", compared)
	}
}

func readTestdata(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// compareLines compares line by line and returns how many were equal. Lines
// may differ where excuse says so.
func compareLines(t *testing.T, got, want string, excuse func(got, want string) bool) (equal int) {
	t.Helper()
	g, w := strings.Split(got, "\n"), strings.Split(want, "\n")
	if len(g) != len(w) {
		t.Errorf("%d lines, want %d", len(g), len(w))
	}
	for i := range min(len(g), len(w)) {
		switch {
		case g[i] == w[i]:
			equal++
		case !excuse(g[i], w[i]):
			t.Errorf("line %d:\n got %q\nwant %q", i+1, g[i], w[i])
		}
	}
	return equal
}
