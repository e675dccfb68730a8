package module_test

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"

	"rosterd/plugins/wasm/fuel"
	"rosterd/plugins/wasm/module"
	"rosterd/plugins/wasm/module/asm"
)

// compile is what a module comes to after it was verified.
func compile(t testing.TB, code []byte) (wazero.CompiledModule, error) {
	t.Helper()
	ctx := context.Background()
	r := wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfig().WithCoreFeatures(api.CoreFeaturesV2))
	t.Cleanup(func() { r.Close(ctx) })
	return r.CompileModule(ctx, code)
}

// own are rules that a module cannot break by what it imports and exports.
func own(m *module.Module) module.Rules {
	r := module.Rules{Pages: 16, Imports: map[string]map[string]module.FuncType{}}
	for _, i := range m.Imports {
		if i.Kind != module.Func {
			continue
		}
		if r.Imports[i.Module] == nil {
			r.Imports[i.Module] = map[string]module.FuncType{}
		}
		r.Imports[i.Module][i.Name] = m.Types[i.Type]
	}
	return r
}

// agrees compares a module that both take with what wazero says of it.
func agrees(t *testing.T, m *module.Module, c wazero.CompiledModule) {
	t.Helper()
	var ours, theirs []string
	for i := range m.ImportedFuncs() {
		f := m.Imports[i] // nothing but functions is imported
		ours = append(ours, fmt.Sprintf("import %q %q %s %q", f.Module, f.Name, m.FuncType(uint32(i)), named(m, uint32(i))))
	}
	for _, d := range c.ImportedFunctions() {
		from, name, _ := d.Import()
		theirs = append(theirs, fmt.Sprintf("import %q %q %s %q", from, name, funcType(d), d.Name()))
	}
	for _, e := range m.Exports {
		switch e.Kind {
		case module.Func:
			ours = append(ours, fmt.Sprintf("export %q %d %s %q", e.Name, e.Index, m.FuncType(e.Index), named(m, e.Index)))
		case module.Memory:
			l := m.Memories[e.Index]
			ours = append(ours, fmt.Sprintf("memory %q %d %v", e.Name, l.Min, l.HasMax))
		}
	}
	for name, d := range c.ExportedFunctions() {
		theirs = append(theirs, fmt.Sprintf("export %q %d %s %q", name, d.Index(), funcType(d), d.Name()))
	}
	for name, d := range c.ExportedMemories() {
		_, max := d.Max()
		theirs = append(theirs, fmt.Sprintf("memory %q %d %v", name, d.Min(), max))
	}
	slices.Sort(ours)
	slices.Sort(theirs)
	if !slices.Equal(ours, theirs) {
		t.Errorf("we read\n%s\nand wazero\n%s", strings.Join(ours, "\n"), strings.Join(theirs, "\n"))
	}
}

// named is the name of a function in the name section.
func named(m *module.Module, index uint32) string {
	for _, f := range m.Names.Functions {
		if f.Index == index {
			return f.Name
		}
	}
	return ""
}

func funcType(d api.FunctionDefinition) module.FuncType {
	types := func(list []api.ValueType) (out []module.ValType) {
		for _, t := range list {
			out = append(out, module.ValType(t))
		}
		return out
	}
	return module.FuncType{Params: types(d.ParamTypes()), Results: types(d.ResultTypes())}
}

// seeds are modules with one of everything.
func seeds() map[string][]byte {
	all := map[string][]byte{}
	seed := func(name string, build func(m *asm.Module)) {
		var m asm.Module
		build(&m)
		all[name] = m.Bytes()
	}
	seed("empty", func(*asm.Module) {})
	seed("plugin", plugin)
	seed("imports and names", func(m *asm.Module) {
		m.Import("rosterd_v1", "now_ms", ":l")
		m.Import("rosterd_v1", "kv_set", "iiiii:i")
		m.Import("env", "", "fdvrx:v")
		plugin(m)
		m.FuncNames("now", "set", "ä", "abi", "fetch")
	})
	seed("segments", func(m *asm.Module) {
		plugin(m)
		m.Table(10, 20)
		m.Elements(1, 0, 1, 0)
		m.ElementsRaw([]byte{1, 0, 1, 0})
		m.ElementsRaw([]byte{2, 0, 0x41, 0, 0x0b, 0, 1, 1})
		m.ElementsRaw([]byte{3, 0, 1, 0})
		m.ElementsRaw([]byte{4, 0x41, 2, 0x0b, 2, 0xd2, 0, 0x0b, 0xd0, 0x70, 0x0b})
		m.ElementsRaw([]byte{5, 0x6f, 1, 0xd0, 0x6f, 0x0b})
		m.ElementsRaw([]byte{6, 0, 0x41, 3, 0x0b, 0x70, 1, 0xd2, 1, 0x0b})
		m.ElementsRaw([]byte{7, 0x70, 1, 0xd2, 1, 0x0b})
		m.Data(5, []byte("hello"))
		m.PassiveData([]byte("world"))
		m.DataRaw([]byte{2, 0, 0x41, 1, 0x0b, 1, 'x'})
		m.DataCount()
		m.Global('f', true, asm.Code{}.Op(0x43, 0, 0, 0x80, 0x3f))
		m.Global('d', false, asm.Code{}.F64(1.5))
		m.Global('v', false, asm.Code{}.Op(0xfd, 12).Op(make([]byte, 16)...))
		m.Global('r', false, asm.Code{}.RefFunc(0))
		m.Global('l', true, asm.Code{}.I64(-1<<63))
		m.ExportGlobal("g", 4)
		m.ExportItem("t", 1, 0)
		m.Start(0)
		m.Custom("producers", []byte{0})
	})
	for name, build := range shapes {
		seed(name, func(m *asm.Module) { plugin(m); build(m, 3) })
	}
	return all
}

func TestSameAsWazero(t *testing.T) {
	for name, code := range seeds() {
		t.Run(name, func(t *testing.T) {
			m, err := module.Read(code)
			if err != nil {
				t.Fatal(err)
			}
			if p := module.Verify(m, own(m)); p != nil {
				t.Fatal(p)
			}
			c, err := compile(t, code)
			if err != nil {
				t.Fatal(err)
			}
			agrees(t, m, c)
		})
	}
}

// Whatever the bytes, nothing panics, nothing takes more memory than bytes of
// that number can ask for, and what is accepted is described as it is.
func FuzzVerify(f *testing.F) {
	for _, code := range seeds() {
		f.Add(code)
		f.Add(code[:len(code)*2/3])
	}
	f.Fuzz(func(t *testing.T, code []byte) {
		before := allocated()
		m, err := module.Read(code)
		if err != nil {
			return
		}
		problems := module.Verify(m, own(m))
		if took, most := allocated()-before, uint64(256<<10+200*len(code)); took > most {
			t.Errorf("%d bytes allocated for %d", took, len(code))
		}
		if problems != nil {
			return
		}
		if c, err := compile(t, code); err == nil {
			agrees(t, m, c)
		}
	})
}

func allocated() uint64 {
	var s runtime.MemStats
	runtime.ReadMemStats(&s)
	return s.TotalAlloc
}

// What is accepted is compiled in a bounded amount of memory, with fuel counted
// in it.
func TestWorstFunctions(t *testing.T) {
	const most = 300 << 20
	for name, build := range shapes {
		t.Run(name, func(t *testing.T) {
			code := accepted(t, build)
			m, err := module.Read(code)
			if err != nil {
				t.Fatal(err)
			}
			counted, err := fuel.Rewrite(m, fuel.Options{Module: "fuel", Name: "tick", Global: "fuel"})
			if err != nil {
				t.Fatal(err)
			}
			before := allocated()
			if _, err := compile(t, counted); err != nil {
				t.Fatal(err)
			}
			took := allocated() - before
			t.Logf("%d bytes: %d MiB", len(code), took>>20)
			if took > most {
				t.Errorf("to compile %d bytes takes %d MiB", len(code), took>>20)
			}
		})
	}
}
