package module_test

import (
	"slices"
	"strings"
	"testing"

	"rosterd/plugins/wasm/module"
	"rosterd/plugins/wasm/module/asm"
)

// rules are like those of the engine.
func rules() module.Rules {
	i32, none := []module.ValType{module.I32}, module.FuncType{}
	return module.Rules{
		Imports: map[string]map[string]module.FuncType{
			"rosterd_v1": {
				"now_ms":    {Results: []module.ValType{module.I64}},
				"input_len": {Results: i32},
			},
			"wasi_snapshot_preview1": {"proc_exit": {Params: i32}},
		},
		Reserved:  []string{"rosterd_fuel"},
		Memory:    "memory",
		Pages:     16,
		Exports:   map[string]module.FuncType{"rosterd_abi_v1": none, "rosterd_fetch": {Results: i32}, "rosterd_transform": {Results: i32}},
		Required:  []string{"rosterd_abi_v1"},
		OneOf:     [][]string{{"rosterd_fetch", "rosterd_transform"}},
		AtMostOne: [][]string{{"rosterd_fetch", "rosterd_transform"}},
	}
}

// plugin is a module that has what it must have. Imports come before, and more
// functions may be added behind.
func plugin(m *asm.Module) {
	m.Memory(1, 16)
	m.ExportMemory("memory")
	m.Export("rosterd_abi_v1", m.Func(":", "", nil))
	m.Export("rosterd_fetch", m.Func(":i", "", asm.Code{}.I32(0)))
}

func problems(t *testing.T, code []byte) []string {
	t.Helper()
	m, err := module.Read(code)
	if err != nil {
		t.Fatal(err)
	}
	var list []string
	for _, p := range module.Verify(m, rules()) {
		list = append(list, p.String())
	}
	return list
}

func TestVerify(t *testing.T) {
	for _, c := range []struct {
		name  string
		build func(m *asm.Module)
		want  []string // the problems begin so; nil: none
	}{
		{"a plugin", plugin, nil},
		{"imports that there are", func(m *asm.Module) {
			m.Import("rosterd_v1", "now_ms", ":l")
			m.Import("wasi_snapshot_preview1", "proc_exit", "i:")
			m.Import("wasi_snapshot_preview1", "proc_exit", "i:")
			plugin(m)
		}, nil},
		{"imports that there are not", func(m *asm.Module) {
			m.Import("wasi_snapshot_preview1", "path_open", "iiiiillii:i")
			m.Import("env", "abort", "iiii:")
			m.Import("rosterd_v1", "exec", ":")
			plugin(m)
		}, []string{
			"needs wasi_snapshot_preview1.path_open, which rosterd does not have, at byte 0x",
			"needs env.abort, which",
			"needs rosterd_v1.exec, which",
		}},
		{"an import of another type", func(m *asm.Module) {
			m.Import("rosterd_v1", "now_ms", "i:i")
			plugin(m)
		}, []string{"imports rosterd_v1.now_ms as (i32) -> (i32), and it is () -> (i64)"}},
		{"imports that are no functions", func(m *asm.Module) {
			m.ImportTable("env", "table", 1)
			m.ImportGlobal("env", "__stack_pointer", 'i', true)
			plugin(m)
		}, []string{"needs the table env.table, and rosterd gives functions only", "needs the global env.__stack_pointer"}},
		{"an imported memory beside its own", func(m *asm.Module) {
			m.ImportMemory("env", "memory", 1)
			plugin(m)
		}, []string{"needs the memory env.memory", "has 2 memories, and may have one"}},
		{"the import and the export of the fuel", func(m *asm.Module) {
			m.Import("rosterd_fuel", "tick", ":")
			m.Global('l', true, asm.Code{}.I64(0))
			plugin(m)
			m.ExportGlobal("rosterd_fuel", 0)
		}, []string{"imports rosterd_fuel.tick, a name that rosterd keeps for itself", "exports rosterd_fuel, a name that rosterd keeps"}},
		{"a name made for logs", func(m *asm.Module) {
			m.Import("env", "x\nERROR all is lost", ":")
			m.Import("env", strings.Repeat("ä", 1000), ":")
			plugin(m)
		}, []string{`needs env."x\nERROR all is lost", which`, "needs env." + strings.Repeat("ä", 40) + "…, which"}},
		{"nothing", func(*asm.Module) {}, []string{
			"does not export a memory under the name memory", "does not export the function rosterd_abi_v1", "exports none of rosterd_fetch, rosterd_transform",
		}},
		{"exports of other kinds and types", func(m *asm.Module) {
			m.Memory(1)
			m.Global('i', false, asm.Code{}.I32(0))
			f := m.Func("i:i", "", asm.Code{}.I32(0))
			m.Export("memory", f)
			m.ExportGlobal("rosterd_abi_v1", 0)
			m.Export("rosterd_fetch", f)
		}, []string{
			"exports memory as a function, and it must be a memory",
			"exports rosterd_abi_v1 as a global, and it must be a function () -> ()",
			"exports rosterd_fetch as (i32) -> (i32), and it must be () -> (i32)",
		}},
		{"two where one may be", func(m *asm.Module) {
			plugin(m)
			m.Export("rosterd_transform", 1)
		}, []string{"exports rosterd_fetch and rosterd_transform, and there may be only one"}},
		{"two memories", func(m *asm.Module) { plugin(m); m.Memory(1) }, []string{"has 2 memories"}},
		{"a shared memory", func(m *asm.Module) { plugin(m); m.Raw(5, []byte{1, 3, 1, 16}) }, []string{"memory 0 is shared between threads"}},
		{"a 64-bit memory", func(m *asm.Module) { plugin(m); m.Raw(5, []byte{1, 4, 1}) }, []string{"memory 0 has 64-bit addresses"}},
		{"exceptions", func(m *asm.Module) { plugin(m); m.Raw(13, []byte{1, 0, 0}) }, []string{"uses exceptions"}},
		{"much memory", func(m *asm.Module) { plugin(m); m.Raw(5, append([]byte{1, 0}, asm.Uint(65536)...)) },
			[]string{"its memory begins with 4194304 KiB, and it may have 1024 KiB"}},
		{"a large table", func(m *asm.Module) { plugin(m); m.Table(65_537) }, []string{"has 65537 places in its tables, and may have 65536"}},
		{"tables that are large together", func(m *asm.Module) {
			plugin(m)
			m.Table(40_000)
			m.Table(40_000)
		}, []string{"has 80000 places in its tables"}},
		{"tables of nothing", func(m *asm.Module) {
			plugin(m)
			for range 101 {
				m.Table(0)
			}
		}, []string{"has 101 tables, and may have 100"}},
		{"table.grow", func(m *asm.Module) {
			plugin(m)
			m.Table(1)
			m.Func(":", "", asm.Code{}.RefNull().I32(1).TableGrow().Drop().RefNull().I32(1).TableGrow().Drop())
			m.FuncNames("a", "b", "spread")
		}, []string{"function 2 (spread) grows a table, and table.grow is refused, at byte 0x"}},
		{"table.grow behind a return", func(m *asm.Module) {
			plugin(m)
			m.Table(1)
			m.Func(":", "", asm.Code{}.Return().RefNull().I32(1).TableGrow().Drop())
		}, []string{"function 2 grows a table"}},
		{"a tail call", func(m *asm.Module) { plugin(m); m.Func(":", "", asm.Code{}.Indexed(0x12, 0)) },
			[]string{"function 2: instruction 0x12 is one of tail calls, not of core 2.0"}},
		{"an atomic instruction", func(m *asm.Module) { plugin(m); m.Func(":", "", asm.Code{}.Op(0xfe, 3, 0)) },
			[]string{"function 2: instruction 0xfe is one of threads"}},
		{"no instruction", func(m *asm.Module) { plugin(m); m.Func(":", "", asm.Code{}.Op(0xff)) }, []string{"function 2: "}},
		{"a call of nothing", func(m *asm.Module) { plugin(m); m.Func(":", "", asm.Code{}.Call(7)) },
			[]string{"function 2: it calls function 7, and there are 3"}},
		{"an indirect call of no type", func(m *asm.Module) { plugin(m); m.Table(1); m.Func(":", "", asm.Code{}.I32(0).CallIndirect(9)) },
			[]string{"function 2: it calls functions of type 9"}},
		{"a block of no type", func(m *asm.Module) { plugin(m); m.Func(":", "", asm.Code{}.BlockOf(70).End()) },
			[]string{"function 2: a block has type 70"}},
		{"a branch to nowhere", func(m *asm.Module) { plugin(m); m.Func(":", "", asm.Code{}.Br(1)) },
			[]string{"function 2: it branches out of block 1, and is in 0"}},
		{"a start function with a parameter", func(m *asm.Module) { plugin(m); m.Start(m.Func("i:", "", nil)) },
			[]string{"its start function, function 2, is (i32) -> (), and must be () -> ()"}},
		{"many locals", func(m *asm.Module) { plugin(m); m.FuncRaw(":", append(asm.Locals(1001, 'i'), 0x0b)) },
			[]string{"function 2 has 1001 locals, and may have 1000"}},
		{"more locals than numbers", func(m *asm.Module) {
			plugin(m)
			var groups []byte
			for range 100 {
				groups = append(groups, asm.Locals(1<<32-1, 'l')[1:]...)
			}
			m.FuncRaw(":", append(append([]byte{100}, groups...), 0x0b))
		}, []string{"has 429496729500 locals in its functions", "function 2 has 429496729500 locals"}},
		{"many locals together", func(m *asm.Module) {
			plugin(m)
			for range 1001 {
				m.FuncRaw(":", append(asm.Locals(1000, 'i'), 0x0b))
			}
		}, []string{"has 1001000 locals in its functions, and may have 1000000"}},
		{"a long body", func(m *asm.Module) { plugin(m); m.Func(":", "", asm.Code{}.Repeat(512<<10, asm.Code{}.Op(1))) },
			[]string{"function 2 has 524290 bytes, and may have 524288"}},
		{"many parameters", func(m *asm.Module) { plugin(m); m.Type(strings.Repeat("i", 1001) + ":") },
			[]string{"type 2 has 1001 parameters and 0 results"}},
		{"many types", func(m *asm.Module) {
			plugin(m)
			m.Raw(1, append(asm.Uint(5001), slices.Concat([]byte{0x60, 0, 0}, []byte{0x60, 0, 1, 0x7f}, asm.Code{}.Repeat(4999, asm.Code{0x60, 0, 0}))...))
		}, []string{"has 5001 types, and may have 5000"}},
		{"many functions", func(m *asm.Module) {
			plugin(m)
			for range 49_999 {
				m.FuncRaw(":", []byte{0, 0x0b})
			}
		}, []string{"has 50001 functions, and may have 50000"}},
		{"many globals", func(m *asm.Module) {
			plugin(m)
			for range 10_001 {
				m.Global('i', false, asm.Code{}.I32(0))
			}
		}, []string{"has 10001 globals, and may have 10000"}},
		{"many elements", func(m *asm.Module) {
			plugin(m)
			m.Table(10)
			for range 7 {
				m.Elements(0, make([]uint32, 10_000)...)
			}
		}, []string{"has 70000 elements for its tables, and may have 65536"}},
		{"many custom sections", func(m *asm.Module) {
			plugin(m)
			for range 1000 {
				m.Custom("x", nil)
			}
		}, []string{"has 1005 sections, and may have 1000"}},
		{"eight megabytes", func(m *asm.Module) { plugin(m); m.Custom("x", make([]byte, 8<<20)) }, []string{"has 8388"}},
		{"names that lie", func(m *asm.Module) { plugin(m); m.Custom("name", asm.Section(1, asm.Uint(1<<32-1))) },
			[]string{"its name section cannot be read: 4294967295 names of functions are announced in 0 bytes, at byte 0x"}},
		{"two name sections", func(m *asm.Module) { plugin(m); m.FuncNames("a"); m.FuncNames("a") },
			[]string{"its name section cannot be read: there are two name sections"}},
		{"names of locals", func(m *asm.Module) {
			plugin(m)
			names := append([]byte{1, 0}, asm.Uint(100_001)...)
			for i := range 100_001 {
				names = append(append(names, asm.Uint(uint64(i))...), 0)
			}
			m.Custom("name", asm.Section(2, names))
		}, []string{"has 100001 names of locals, and may have 100000"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var m asm.Module
			c.build(&m)
			got := problems(t, m.Bytes())
			if len(got) != len(c.want) {
				t.Fatalf("problems:\n%s\nwant %d that begin\n%s", strings.Join(got, "\n"), len(c.want), strings.Join(c.want, "\n"))
			}
			for i, want := range c.want {
				if !strings.HasPrefix(got[i], want) {
					t.Errorf("problem %q, want %q", got[i], want)
				}
			}
		})
	}
}

// A list that nobody reads to its end has one.
func TestManyProblems(t *testing.T) {
	var m asm.Module
	for range 300 {
		m.Import("env", "x", ":")
	}
	plugin(&m)
	got := problems(t, m.Bytes())
	if len(got) != 101 || got[100] != "and 200 more" {
		t.Errorf("%d problems, the last is %q", len(got), got[len(got)-1])
	}
}

// shapes are functions that take long to compile for their size.
var shapes = map[string]func(m *asm.Module, n int){
	"loads": func(m *asm.Module, n int) {
		m.Func(":", "i", asm.Code{}.Repeat(n, asm.Code{}.LocalGet(0).I32Load(0).LocalSet(0)))
	},
	"nested blocks": func(m *asm.Module, n int) {
		m.Func(":", "", asm.Code{}.Repeat(n, asm.Code{}.Block()).Repeat(n, asm.Code{}.End()))
	},
	"nested loops with locals": func(m *asm.Module, n int) {
		c := asm.Code{}.Repeat(n, asm.Code{}.Loop())
		for i := range uint32(100) {
			c = c.LocalGet(i).I32(1).I32Add().LocalSet(i)
		}
		m.Func(":", strings.Repeat("i", 100), c.Repeat(n, asm.Code{}.LocalGet(0).BrIf(0).End()))
	},
	"conditions": func(m *asm.Module, n int) {
		m.Func(":", "i", asm.Code{}.Repeat(n, asm.Code{}.LocalGet(0).If().Unreachable().End()))
	},
	"dead conditions": func(m *asm.Module, n int) {
		m.Func(":", "i", asm.Code{}.Unreachable().Repeat(n, asm.Code{}.LocalGet(0).BrIf(0).BrIf(0).BrIf(0)))
	},
	"loops": func(m *asm.Module, n int) {
		m.Func(":", "ii", asm.Code{}.Repeat(n, asm.Code{}.Loop().LocalGet(1).I32(1).I32Add().LocalTee(1).BrIf(0).End()))
	},
	"branches with many locals": func(m *asm.Module, n int) {
		c := asm.Code{}.Block()
		for i := range uint32(n) {
			c = c.LocalGet(0).I32Load(0).LocalSet(i % 400).LocalGet(0).BrIf(0)
		}
		c = c.End()
		for i := range uint32(400) {
			c = c.LocalGet(0).LocalGet(i).I32Store(0)
		}
		m.Func(":", strings.Repeat("i", 400), c)
	},
	"labels": func(m *asm.Module, n int) {
		m.Func(":", "i", asm.Code{}.Block().LocalGet(0).BrTable(make([]uint32, n), 0).End())
	},
	"labels with values": func(m *asm.Module, n int) {
		c := asm.Code{}.BlockOf(m.Type(":"+strings.Repeat("i", 100))).Repeat(101, asm.Code{}.LocalGet(0))
		m.Func(":", "i", c.BrTable(make([]uint32, n), 0).End().Repeat(100, asm.Code{}.Drop()))
	},
	"calls with results": func(m *asm.Module, n int) {
		c := asm.Code{}.Repeat(100, asm.Code{}.I32(1))
		f := m.Func(":"+strings.Repeat("i", 100), "", c)
		m.Func(":", "", asm.Code{}.Repeat(n, asm.Code{}.Call(f).Repeat(100, asm.Code{}.Drop())))
	},
	"blocks with values": func(m *asm.Module, n int) {
		r := strings.Repeat("i", 50)
		block := asm.Code{}.LocalGet(0).IfOf(m.Type(r + ":" + r)).End()
		m.Func(":", "i", asm.Code{}.Repeat(50, asm.Code{}.LocalGet(0)).Repeat(n, block).Repeat(50, asm.Code{}.Drop()))
	},
	"values held": func(m *asm.Module, n int) {
		c := asm.Code{}.Repeat(n, asm.Code{}.LocalGet(0).I32Load(0))
		m.Func(":", "i", c.Repeat(n, asm.Code{}.LocalGet(0).If().End()).Repeat(n, asm.Code{}.Drop()))
	},
	"indirect calls": func(m *asm.Module, n int) {
		m.Table(1)
		m.Func(":", "i", asm.Code{}.Repeat(n, asm.Code{}.LocalGet(0).CallIndirect(m.Type(":"))))
	},
	"fills": func(m *asm.Module, n int) {
		m.Func(":", "i", asm.Code{}.Repeat(n, asm.Code{}.LocalGet(0).LocalGet(0).LocalGet(0).MemoryFill()))
	},
	"growing": func(m *asm.Module, n int) {
		m.Func(":", "i", asm.Code{}.Repeat(n, asm.Code{}.LocalGet(0).MemoryGrow().Drop()))
	},
	"truncations": func(m *asm.Module, n int) {
		m.Func(":", "i", asm.Code{}.Repeat(n, asm.Code{}.LocalGet(0).Op(0xb7, 0xaa).LocalSet(0)))
	},
}

// accepted is the module of a shape that is as large as it may be, within a
// quarter: n goes from what is accepted to what is refused for being complex.
func accepted(t *testing.T, build func(m *asm.Module, n int)) []byte {
	t.Helper()
	var last []byte
	for n := 16; ; n += n / 4 {
		var m asm.Module
		plugin(&m)
		build(&m, n)
		code := m.Bytes()
		if p := problems(t, code); p == nil {
			last = code
		} else if len(p) == 1 && strings.Contains(p[0], "is too complex") {
			return last
		} else {
			t.Fatalf("n = %d is refused for other reasons: %q", n, p)
		}
	}
}

// The size at which a function is refused is the price of what it is made of:
// without one of the weights it would be many times as large.
func TestComplexFunctions(t *testing.T) {
	most := map[string]int{
		"blocks with values":        6_000,
		"branches with many locals": 8_000,
		"calls with results":        110_000,
		"conditions":                13_000,
		"dead conditions":           11_000,
		"fills":                     12_000,
		"growing":                   7_000,
		"indirect calls":            40_000,
		"labels":                    30_000,
		"labels with values":        3_000,
		"loads":                     200_000,
		"loops":                     13_000,
		"nested blocks":             24_000,
		"nested loops with locals":  3_300,
		"truncations":               90_000,
		"values held":               8_000,
	}
	for name, build := range shapes {
		t.Run(name, func(t *testing.T) {
			n := len(accepted(t, build))
			if n == 0 || n > most[name] {
				t.Errorf("%d bytes are accepted, want 1 to %d", n, most[name])
			}
		})
	}
}

func TestComplexModule(t *testing.T) {
	var m asm.Module
	plugin(&m)
	for range 130 {
		shapes["nested blocks"](&m, 4000)
	}
	got := problems(t, m.Bytes())
	if len(got) != 1 || !strings.HasPrefix(got[0], "is too complex: ") {
		t.Errorf("problems %q", got)
	}
}
