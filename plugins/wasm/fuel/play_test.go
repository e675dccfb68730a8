package fuel_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"

	"rosterd/plugins/wasm/fuel"
	"rosterd/plugins/wasm/module"
	"rosterd/plugins/wasm/module/asm"
)

var options = fuel.Options{Module: "meter", Name: "tick", Global: "fuel left"}

var errEmpty = errors.New("no fuel left")

// A step calls an export.
type step struct {
	export string
	args   []uint64
}

func call(export string, args ...uint64) step { return step{export, args} }

// A record is all that can be seen of a module from outside.
type record struct {
	instantiated string // the error
	calls        []string
	notes        []uint64 // what it told the host, in order
	memory       string
	globals      map[string]uint64
	used         int64 // fuel
	ticks        int
	trace        string // of the last trap
}

// same compares what must not differ.
func (r *record) same(t *testing.T, o *record) {
	t.Helper()
	if r.instantiated != o.instantiated {
		t.Errorf("instantiated: %q, rewritten %q", r.instantiated, o.instantiated)
	}
	if !slices.Equal(r.calls, o.calls) {
		t.Errorf("calls:\n%s\nrewritten:\n%s", strings.Join(r.calls, "\n"), strings.Join(o.calls, "\n"))
	}
	if !slices.Equal(r.notes, o.notes) {
		t.Errorf("told the host %v, rewritten %v", r.notes, o.notes)
	}
	if r.memory != o.memory {
		t.Errorf("memories of %d and %d bytes differ, first at %d", len(r.memory), len(o.memory), firstDifference(r.memory, o.memory))
	}
	if !maps.Equal(r.globals, o.globals) {
		t.Errorf("globals %v, rewritten %v", r.globals, o.globals)
	}
}

func firstDifference(a, b string) int {
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			return i
		}
	}
	return min(len(a), len(b))
}

// rewrite fails the test if it fails.
func rewrite(t testing.TB, code []byte) []byte {
	t.Helper()
	m, err := module.Read(code)
	if err != nil {
		t.Fatalf("read: %v", err)
	}
	out, err := fuel.Rewrite(m, options)
	if err != nil {
		t.Fatalf("rewrite: %v", err)
	}
	return out
}

// A player runs modules. Budget is how much fuel there is in all, in ticks of Every.
type player struct {
	budget, every int64
	rec           *record
	granted       int64
}

// play instantiates a module and calls its exports.
func (p *player) play(t testing.TB, code []byte, steps ...step) *record {
	t.Helper()
	ctx := context.Background()
	r := wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfigCompiler().WithMemoryLimitPages(64))
	defer r.Close(ctx)
	p.rec, p.granted = &record{globals: map[string]uint64{}}, 0
	p.host(t, ctx, r)
	compiled, err := r.CompileModule(ctx, code)
	if err != nil {
		t.Fatalf("compile: %v", err)
	}
	m, err := r.InstantiateModule(ctx, compiled, wazero.NewModuleConfig().WithName("").WithStartFunctions())
	if err != nil {
		// Without the index of the start function, which is another.
		line := firstLine(err)
		p.rec.instantiated = line[strings.LastIndexByte(line, ':')+1:]
		return p.rec
	}
	for _, s := range steps {
		p.rec.calls = append(p.rec.calls, p.call(ctx, t, m, s))
	}
	p.look(m)
	return p.rec
}

func (p *player) call(ctx context.Context, t testing.TB, m api.Module, s step) string {
	f := m.ExportedFunction(s.export)
	if f == nil {
		t.Fatalf("no export %s", s.export)
	}
	results, err := f.Call(ctx, s.args...)
	if err != nil {
		p.rec.trace = err.Error()
		return fmt.Sprintf("%s%v: %s", s.export, s.args, firstLine(err))
	}
	return fmt.Sprintf("%s%v = %v", s.export, s.args, results)
}

// look keeps what is left when all calls are done.
func (p *player) look(m api.Module) {
	if mem := m.ExportedMemory("memory"); mem != nil {
		b, _ := mem.Read(0, mem.Size())
		p.rec.memory = string(b)
	}
	for name, g := range exportedGlobals(m) {
		if name != options.Global {
			p.rec.globals[name] = g.Get()
			continue
		}
		p.rec.used = p.granted - int64(g.Get())
	}
}

// exportedGlobals finds those that tests export: wazero has no list of them.
func exportedGlobals(m api.Module) map[string]api.Global {
	found := map[string]api.Global{}
	for _, name := range []string{options.Global, "g0", "g1", "g2", "g3", "g4", "g5"} {
		if g := m.ExportedGlobal(name); g != nil {
			found[name] = g
		}
	}
	return found
}

// host offers what modules import.
func (p *player) host(t testing.TB, ctx context.Context, r wazero.Runtime) {
	i32 := api.ValueTypeI32
	env := r.NewHostModuleBuilder("env")
	env.NewFunctionBuilder().WithGoFunction(api.GoFunc(func(_ context.Context, stack []uint64) {
		stack[0] = uint64(uint32(stack[0]) + uint32(stack[1]))
	}), []api.ValueType{i32, i32}, []api.ValueType{i32}).Export("add")
	env.NewFunctionBuilder().WithGoFunction(api.GoFunc(func(_ context.Context, stack []uint64) {
		p.rec.notes = append(p.rec.notes, uint64(uint32(stack[0])))
	}), []api.ValueType{i32}, nil).Export("note")
	meter := r.NewHostModuleBuilder(options.Module)
	meter.NewFunctionBuilder().WithGoModuleFunction(api.GoModuleFunc(p.tick), nil, nil).Export(options.Name)
	for _, b := range []wazero.HostModuleBuilder{env, meter} {
		if _, err := b.Instantiate(ctx); err != nil {
			t.Fatal(err)
		}
	}
	// What is no function can only come from a module.
	var lib asm.Module
	lib.Memory(1, 4)
	lib.Table(8)
	lib.Global('i', true, asm.Code{}.I32(7))
	lib.Global('i', false, asm.Code{}.I32(3))
	lib.ExportMemory("memory")
	lib.ExportItem("table", 1, 0)
	lib.ExportGlobal("mutable", 0)
	lib.ExportGlobal("constant", 1)
	if _, err := r.InstantiateWithConfig(ctx, lib.Bytes(), wazero.NewModuleConfig().WithName("lib")); err != nil {
		t.Fatal(err)
	}
}

func (p *player) tick(_ context.Context, m api.Module, _ []uint64) {
	g := m.ExportedGlobal(options.Global).(api.MutableGlobal)
	left := int64(g.Get())
	if left >= 0 {
		panic(fmt.Errorf("ticked with fuel of %d", left))
	}
	p.rec.ticks++
	if p.granted-left > p.budget {
		panic(errEmpty)
	}
	g.Set(uint64(left + p.every))
	p.granted += p.every
}

func firstLine(err error) string {
	line, _, _ := strings.Cut(err.Error(), "\n")
	line, _, _ = strings.Cut(line, " (recovered by wazero)")
	return line
}

// both plays a module as it is and rewritten, twice with different ticks.
func both(t *testing.T, code []byte, steps ...step) (original, rewritten *record) {
	t.Helper()
	original = new(player).play(t, code, steps...)
	out := rewrite(t, code)
	rewritten = (&player{budget: 1 << 40, every: 1000}).play(t, out, steps...)
	original.same(t, rewritten)
	rarely := (&player{budget: 1 << 40, every: 1 << 30}).play(t, out, steps...)
	original.same(t, rarely)
	if rewritten.used != rarely.used {
		t.Errorf("used %d units with many ticks, %d with few", rewritten.used, rarely.used)
	}
	return original, rewritten
}
