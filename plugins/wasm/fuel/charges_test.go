package fuel_test

import (
	"strings"
	"testing"

	"rosterd/plugins/wasm/fuel"
	"rosterd/plugins/wasm/module"
	"rosterd/plugins/wasm/module/asm"
)

// often is a function that calls f a thousand times, without a loop.
func often(m *asm.Module, f uint32) uint32 {
	return m.Func(":", "", code().Repeat(1000, code().Call(f)))
}

// What runs for long must run out of fuel. Each of these would take minutes or for ever otherwise, or do a hundred million
// units of work.
func TestNothingEscapes(t *testing.T) {
	const budget = 10_000_000
	for _, c := range []struct {
		name  string
		build func(*asm.Module) uint32
	}{
		{"loop", func(m *asm.Module) uint32 { return m.Func(":", "", code().Loop().Br(0).End()) }},
		{"loop by br_if", func(m *asm.Module) uint32 { return m.Func(":", "", code().Loop().I32(1).BrIf(0).End()) }},
		{"loop by br_table", func(m *asm.Module) uint32 {
			return m.Func(":", "", code().Loop().Block().I32(1).BrTable([]uint32{0, 1}, 0).End().End())
		}},
		{"loop from deep inside", func(m *asm.Module) uint32 {
			return m.Func(":", "", code().Loop().Block().I32(1).If().Br(2).Else().Br(2).End().End().End())
		}},
		{"loop with parameters", func(m *asm.Module) uint32 {
			return m.Func(":", "", code().I32(1).LoopOf(m.Type("i:i")).Br(0).End().Drop())
		}},
		{"doubling calls", func(m *asm.Module) uint32 {
			f := m.Func(":", "", nil)
			for range 40 {
				f = m.Func(":", "", code().Call(f).Call(f))
			}
			return f
		}},
		{"doubling calls through a table", func(m *asm.Module) uint32 {
			f := []uint32{m.Func(":", "", nil)}
			for i := range int32(40) {
				f = append(f, m.Func(":", "", code().I32(i).CallIndirect(m.Type(":")).I32(i).CallIndirect(m.Type(":"))))
			}
			m.Table(uint32(len(f)))
			m.Elements(0, f...)
			return f[40]
		}},
		{"recursion into both sides", func(m *asm.Module) uint32 {
			down := code().LocalGet(0).I32(-1).I32Add().Call(0)
			f := m.Func("i:", "", code().LocalGet(0).If().Add(down).Add(down).End())
			return m.Func(":", "", code().I32(60).Call(f))
		}},
		{"memory.fill", func(m *asm.Module) uint32 {
			m.Memory(64)
			return often(m, m.Func(":", "i", code().I32(64<<16).LocalSet(0).Repeat(20, code().I32(0).I32(1).LocalGet(0).MemoryFill())))
		}},
		{"memory.fill of a constant length", func(m *asm.Module) uint32 {
			m.Memory(64)
			return often(m, m.Func(":", "", code().Repeat(20, code().I32(0).I32(1).I32(64<<16).MemoryFill())))
		}},
		{"memory.fill of small constant lengths", func(m *asm.Module) uint32 {
			m.Memory(64)
			return often(m, m.Func(":", "", code().Repeat(100, code().I32(0).I32(1).I32(1024).MemoryFill())))
		}},
		{"memory.copy", func(m *asm.Module) uint32 {
			m.Memory(64)
			return often(m, m.Func(":", "i", code().I32(63<<16).LocalSet(0).Repeat(20, code().I32(0).I32(9).LocalGet(0).MemoryCopy())))
		}},
		{"memory.init", func(m *asm.Module) uint32 {
			m.Memory(64)
			d := m.PassiveData(make([]byte, 64<<10))
			m.DataCount()
			return often(m, m.Func(":", "i", code().I32(64<<10).LocalSet(0).Repeat(20, code().I32(0).I32(0).LocalGet(0).Op(0xfc, 8, byte(d), 0))))
		}},
		{"table.fill", func(m *asm.Module) uint32 {
			m.Table(65_536)
			return often(m, m.Func(":", "i", code().I32(65_536).LocalSet(0).Repeat(20, code().I32(0).RefNull().LocalGet(0).Op(0xfc, 17, 0))))
		}},
		{"table.copy", func(m *asm.Module) uint32 {
			m.Table(65_536)
			return often(m, m.Func(":", "i", code().I32(65_535).LocalSet(0).Repeat(20, code().I32(0).I32(1).LocalGet(0).Op(0xfc, 14, 0, 0))))
		}},
		{"table.init", func(m *asm.Module) uint32 {
			m.Table(1000)
			m.Func(":", "", nil)
			m.ElementsRaw(append([]byte{1, 0}, append(asm.Uint(1000), make([]byte, 1000)...)...))
			return often(m, m.Func(":", "i", code().I32(1000).LocalSet(0).Repeat(20, code().I32(0).I32(0).LocalGet(0).Op(0xfc, 12, 0, 0))))
		}},
		{"table.grow", func(m *asm.Module) uint32 {
			m.Table(0, 100_000)
			return often(m, m.Func(":", "", code().Repeat(20, code().RefNull().I32(10_000).TableGrow().Drop())))
		}},
		{"memory.grow", func(m *asm.Module) uint32 {
			m.Memory(0)
			return often(m, m.Func(":", "", code().Repeat(20, code().I32(64).MemoryGrow().Drop())))
		}},
		{"memory.grow by what cannot be", func(m *asm.Module) uint32 {
			m.Memory(0)
			return often(m, m.Func(":", "", code().Repeat(20, code().I32(-1).MemoryGrow().Drop())))
		}},
		{"long straight code, called often", func(m *asm.Module) uint32 {
			return often(m, m.Func(":", "i", code().I32(1).Repeat(10_000, code().I32(3).Op(i32Mul)).LocalSet(0)))
		}},
		{"a thousand results, handed on", func(m *asm.Module) uint32 {
			sig := ":" + strings.Repeat("l", 1000)
			f := m.Func(sig, "", code().Repeat(1000, code().I64(1)))
			for range 99 {
				f = m.Func(sig, "", code().Call(f))
			}
			return often(m, m.Func(":", "", code().Block().Call(f).Br(0).End()))
		}},
		{"thousands of locals, called often", func(m *asm.Module) uint32 {
			return often(m, m.FuncRaw(":", append(asm.Locals(10_000, 'v'), code().End()...)))
		}},
		{"calls of imports", func(m *asm.Module) uint32 {
			add := m.Import("env", "add", "ii:i")
			return often(m, m.Func(":", "", code().Repeat(300, code().I32(1).I32(2).Call(add).Drop())))
		}},
		{"references to functions", func(m *asm.Module) uint32 {
			m.ElementsRaw([]byte{3, 0, 1, 0})
			return often(m, m.Func(":", "", code().Repeat(300, code().RefFunc(0).Drop())))
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var m asm.Module
			m.Export("run", c.build(&m))
			p := player{budget: budget, every: 1_000_000}
			rec := p.play(t, rewrite(t, m.Bytes()), call("run"))
			if rec.calls[0] != "run[]: no fuel left" {
				t.Errorf("%s, and %d units were used", rec.calls[0], rec.used)
			}
		})
	}
}

func TestStartRunsOut(t *testing.T) {
	var m asm.Module
	m.Start(m.Func(":", "", code().Loop().Br(0).End()))
	p := player{budget: 1_000_000, every: 100_000}
	if rec := p.play(t, rewrite(t, m.Bytes())); rec.instantiated != " no fuel left" {
		t.Errorf("instantiated: %q", rec.instantiated)
	}
}

// Fuel is taken before the work is done: with none, nothing has happened.
func TestChargedBefore(t *testing.T) {
	for _, c := range []struct {
		name  string
		build func(*asm.Module) uint32
		spare int64 // what the function takes before
	}{
		{"function", func(m *asm.Module) uint32 { return m.Func(":", "", code().I32(0).I32(-1).I32Store(0)) }, 0},
		{"memory.fill", func(m *asm.Module) uint32 {
			return m.Func(":", "", code().I32(0).I32(1).I32(65_536).MemoryFill())
		}, 100},
		{"memory.grow", func(m *asm.Module) uint32 { return m.Func(":", "", code().I32(1).MemoryGrow().Drop()) }, 100},
		{"loop", func(m *asm.Module) uint32 {
			return m.Func(":", "", code().Loop().I32(0).I32(-1).I32Store(0).Repeat(200, code().Op(1)).End())
		}, 100},
	} {
		t.Run(c.name, func(t *testing.T) {
			var m asm.Module
			m.Memory(1)
			m.ExportMemory("memory")
			m.Export("run", c.build(&m))
			rec := (&player{budget: c.spare, every: c.spare + 1}).play(t, rewrite(t, m.Bytes()), call("run"))
			if rec.calls[0] != "run[]: no fuel left" {
				t.Fatal(rec.calls[0])
			}
			if rec.memory != strings.Repeat("\x00", 65_536) {
				t.Errorf("the memory has %d bytes and was written to", len(rec.memory))
			}
		})
	}
}

// What a unit is: these figures are promised to nobody, but a change of them is one of all limits.
func TestUnits(t *testing.T) {
	for _, c := range []struct {
		name   string
		locals string
		code   asm.Code
		want   int64
	}{
		{"nothing", "", nil, 2},
		{"three instructions", "", code().I32(1).I32(2).I32Add().Drop(), 6},
		{"locals", "iill", nil, 6},
		{"a branch not taken", "", code().I32(0).If().Op(1, 1, 1).End(), 8},
		{"a loop of 10 rounds", "i", rounds(0, 10, nil), 6 + 10*9},
		{"memory.fill of 800 bytes", "", code().I32(0).I32(0).I32(800).MemoryFill(), 6 + 8 + 100},
		{"memory.fill of 8000 bytes", "", code().I32(0).I32(0).I32(8000).MemoryFill(), 6 + 8 + 1000},
		{"memory.grow by 2 pages", "", code().I32(2).MemoryGrow().Drop(), 5 + 32 + 2*8192},
		{"memory.grow by too many", "", code().I32(-1).MemoryGrow().Drop(), 5 + 32 + 65536*8192},
		{"table.fill of 5 elements", "i", code().I32(0).RefNull().I32(5).LocalTee(0).Op(0xfc, 17, 0), 8 + 8 + 5},
		{"call of an import", "", code().I32(1).Call(0), 4 + 32},
	} {
		t.Run(c.name, func(t *testing.T) {
			var m asm.Module
			m.Import("env", "note", "i:")
			m.Memory(1)
			m.Table(10)
			m.Export("run", m.Func(":", c.locals, c.code))
			rec := (&player{budget: 1 << 40, every: 1}).play(t, rewrite(t, m.Bytes()), call("run"))
			if rec.used != c.want {
				t.Errorf("%s took %d units, want %d", rec.calls[0], rec.used, c.want)
			}
		})
	}
}

// Nothing of the module may lead to what is added.
func TestReserved(t *testing.T) {
	for _, c := range []struct {
		name  string
		build func(*asm.Module)
		want  string
	}{
		{"global.get of the fuel", func(m *asm.Module) {
			m.Global('i', true, code().I32(0))
			m.Func(":", "", code().GlobalGet(1).Drop())
		}, "function 0: code at offset 0: there is no global 1"},
		{"global.set of the fuel", func(m *asm.Module) { m.Func(":", "", code().I64(1).GlobalSet(0)) }, "there is no global 0"},
		{"call behind the last function", func(m *asm.Module) { m.Func(":", "", code().Call(1)) }, "there is no function 1"},
		{"call of what would wrap", func(m *asm.Module) { m.Func(":", "", code().Call(0xffffffff)) }, "there is no function 4294967295"},
		{"ref.func behind the last function", func(m *asm.Module) { m.Func(":", "", code().RefFunc(7).Drop()) }, "there is no function 7"},
		{"local for lengths", func(m *asm.Module) {
			m.Memory(1)
			m.Func("i:", "l", code().LocalGet(2).Drop().I32(0).I32(0).LocalGet(0).MemoryFill())
		}, "there is no local 2"},
		{"type of the tick", func(m *asm.Module) { m.Func("i:", "", code().Op(0x02, 1).End()) }, "there is no type 1"},
		{"type of the tick, of a loop", func(m *asm.Module) { m.Func("i:", "", code().Op(0x03, 1).End()) }, "there is no type 1"},
		{"type of the tick, indirectly", func(m *asm.Module) {
			m.Table(1)
			m.Func("i:", "", code().I32(0).CallIndirect(1))
		}, "there is no type 1"},
		{"import of the tick", func(m *asm.Module) { m.Import(options.Module, options.Name, ":") }, "import meter.tick: the name is reserved"},
		{"export of the fuel", func(m *asm.Module) { m.Export(options.Global, m.Func(":", "", nil)) }, "export fuel left: the name is reserved"},
		{"too many locals", func(m *asm.Module) { m.FuncRaw(":", append(asm.Locals(0xffffffff, 'i'), code().End()...)) }, "4294967295 locals"},
		{"tail call", func(m *asm.Module) { m.Func(":", "", code().Op(0x12, 0)) }, "unknown instruction 0x12"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var b asm.Module
			c.build(&b)
			m, err := module.Read(b.Bytes())
			if err != nil {
				t.Fatal(err)
			}
			if out, err := fuel.Rewrite(m, options); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("rewritten to %d bytes, %v; want an error with %q", len(out), err, c.want)
			}
		})
	}
}

// Traces name functions by what the module says of them.
func TestNames(t *testing.T) {
	var m asm.Module
	m.Import("env", "note", "i:")
	inner := m.Func(":", "", code().Unreachable())
	m.Export("run", m.Func(":", "", code().Call(inner)))
	m.FuncNames("note", "inner", "outer")
	p := player{budget: 1 << 20, every: 1 << 20}
	plain := p.play(t, m.Bytes(), call("run")).trace
	got := p.play(t, rewrite(t, m.Bytes()), call("run")).trace
	if got != plain || !strings.Contains(got, "inner") || !strings.Contains(got, "outer") {
		t.Errorf("trace %s\nwant %s", got, plain)
	}
}

// A trace names up to thirty functions, and is made for every trap: names of megabytes would take gigabytes.
func TestLongNames(t *testing.T) {
	for name, want := range map[string]string{
		strings.Repeat("a", 256):                 strings.Repeat("a", 256),
		strings.Repeat("a", 255) + "ä" + "b":     strings.Repeat("a", 255) + "…",
		strings.Repeat("a", 1<<20):               strings.Repeat("a", 256) + "…",
		"crm::Übersicht<'_, alloc::string> call": "crm::Übersicht<'_, alloc::string> call",
		"a\nERROR forged\x1b[2J":                 "a\uFFFDERROR forged\uFFFD[2J",
	} {
		var m asm.Module
		m.Custom("name", append(asm.Section(0, asm.Name(name)), asm.Section(1, append([]byte{1, 0}, asm.Name(name)...))...))
		m.Func(":", "", nil)
		again, err := module.Read(rewrite(t, m.Bytes()))
		if err != nil {
			t.Fatal(err)
		}
		if got := again.Names; len(got.Functions) != 1 || got.Module != want || got.Functions[0].Name != want {
			t.Errorf("%.40q is kept as %.300q and %.300q, want %.300q", name, got.Module, got.Functions[0].Name, want)
		}
	}
}
