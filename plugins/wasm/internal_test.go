package wasm

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"rosterd/engine"
	"rosterd/plugins"
	"rosterd/plugins/wasm/module"
	"rosterd/plugins/wasm/module/asm"
)

// silent is a world in which nothing happens, but what is logged.
type silent struct{ lines []string }

func (*silent) HTTP(context.Context, plugins.HTTPRequest) (*plugins.HTTPResponse, error) {
	return nil, errors.New("nobody answers")
}
func (*silent) Load(context.Context, string, string) ([]byte, bool, error)        { return nil, false, nil }
func (*silent) Save(context.Context, string, string, []byte, time.Duration) error { return nil }
func (*silent) Refresh(context.Context, []string) (plugins.Refreshed, error) {
	return plugins.Refreshed{}, nil
}
func (*silent) Random([]byte) {}
func (s *silent) Log(_ context.Context, _ slog.Level, msg string, _ ...any) {
	s.lines = append(s.lines, msg)
}
func (*silent) Now() time.Time { return time.Time{} }
func (*silent) Close()         {}

// looping is a module whose fetch never ends.
func looping() []byte {
	var m asm.Module
	m.Memory(1)
	m.ExportMemory("memory")
	m.Export(marker, m.Func(":", "", nil))
	m.Export("rosterd_fetch", m.Func(":i", "", asm.Code{}.Loop().Br(0).End().I32(0)))
	m.FuncNames("marker", "rosterd_fetch")
	return m.Bytes()
}

// TestFuel ends a call that has used up all there is, whatever time it has.
func TestFuel(t *testing.T) {
	p, err := Open(t.Context(), plugins.Source{Name: "crm", File: "crm.wasm", Code: looping()}, plugins.Host{}, plugins.NewOptions(nil), &silent{})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	p.(*Plugin).fuel = 10 * tickFuel
	_, err = p.Fetch(t.Context(), engine.Request{})
	var fault *engine.FaultError
	if !errors.As(err, &fault) || fault.Kind != "instructions" || !strings.HasSuffix(err.Error(), fmt.Sprintf("more than %d million instructions (in rosterd_fetch)", 10*tickFuel/1_000_000)) {
		t.Error(err)
	}
	if n := p.(*Plugin).Instructions(); n < 10*tickFuel || n > 12*tickFuel {
		t.Errorf("%d instructions are counted", n)
	}
}

// TestInterpreter says so where nothing can be compiled, and runs what there is all the same.
func TestInterpreter(t *testing.T) {
	defer func(before func() error) { compiles = before }(compiles)
	compiles = func() error { return errors.New("no such processor") }
	svc := &silent{}
	p, err := Open(t.Context(), plugins.Source{Name: "crm", File: "crm.wasm", Code: looping()}, plugins.Host{}, plugins.NewOptions(nil), svc)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	if len(svc.lines) != 1 || !strings.HasPrefix(svc.lines[0], "modules cannot be compiled on this machine") {
		t.Errorf("said %q", svc.lines)
	}
	p.(*Plugin).fuel = tickFuel
	if _, err = p.Fetch(t.Context(), engine.Request{}); err == nil || !strings.Contains(err.Error(), "million instructions") {
		t.Error(err)
	}
}

// TestCompiler makes sure that the tests run what most people run.
func TestCompiler(t *testing.T) {
	if err := compiles(); err != nil {
		t.Error(err)
	}
}

// TestLimitsDocumented looks for the limits of modules on the page.
func TestLimitsDocumented(t *testing.T) {
	page, err := os.ReadFile("../../docs/PLUGINS.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, limit := range []struct {
		n    int
		what string
	}{
		{module.MaxSize, "bytes"}, {module.MaxFunctions, "functions"}, {module.MaxBody, "bytes and"}, {module.MaxLocals, "locals of a function"}, {module.MaxTypes, "types"},
		{module.MaxImports, "imports"}, {module.MaxExports, "exports"}, {module.MaxGlobals, "globals"}, {module.MaxElements, "places in tables"}, {module.MaxSegments, "data segments"},
	} {
		if text := fmt.Sprintf("%d %s", limit.n, limit.what); !strings.Contains(string(page), text) {
			t.Errorf("the page does not say %q", text)
		}
	}
}

// TestDocumented compares what modules may import with the page that says so.
func TestDocumented(t *testing.T) {
	page, err := os.ReadFile("../../docs/PLUGINS.md")
	if err != nil {
		t.Fatal(err)
	}
	_, text, _ := strings.Cut(string(page), "### What a module imports\n")
	text, _, ok := strings.Cut(text, "\n## ")
	if !ok {
		t.Fatal("docs/PLUGINS.md has no part about imports")
	}
	var documented []string
	row := regexp.MustCompile("(?m)^\\| `(\\w+)\\((.*?)\\)(?: -> (\\w+))?` \\|")
	for _, m := range row.FindAllStringSubmatch(text, -1) {
		n := 0
		if m[2] != "" {
			n = len(strings.Split(m[2], ","))
		}
		result := ""
		switch {
		case m[3] == "i64":
			result = "l"
		case m[3] != "":
			result = "i"
		}
		documented = append(documented, m[1]+" "+strings.Repeat("i", n)+":"+result)
	}
	var have []string
	for _, f := range rosterdImports() {
		have = append(have, f.name+" "+letters(f.params)+":"+letters(f.results))
	}
	slices.Sort(documented)
	slices.Sort(have)
	if !slices.Equal(documented, have) {
		t.Errorf("docs/PLUGINS.md lists\n%q\nand there are\n%q", documented, have)
	}
	_, text, _ = strings.Cut(text, "names of `"+wasiModule+"`")
	text, _, _ = strings.Cut(text, ". Clocks")
	documented = documented[:0]
	for _, m := range regexp.MustCompile("`(\\w+)`").FindAllStringSubmatch(text, -1) {
		documented = append(documented, m[1])
	}
	have = have[:0]
	for _, f := range wasiImports() {
		have = append(have, f.name)
	}
	slices.Sort(documented)
	slices.Sort(have)
	if !slices.Equal(documented, have) {
		t.Errorf("docs/PLUGINS.md lists\n%q\nand there are\n%q", documented, have)
	}
}

func letters[T ~byte](types []T) string {
	s := ""
	for _, v := range types {
		s += map[byte]string{0x7f: "i", 0x7e: "l"}[byte(v)]
	}
	return s
}

// TestRoom keeps no room for answers as large as few are.
func TestRoom(t *testing.T) {
	for size, want := range map[int]bool{100: true, maxKept: true, maxKept + 1: false} {
		if got := kept(make([]byte, size)) != nil; got != want {
			t.Errorf("room for %d bytes: kept %v", size, got)
		}
	}
}
