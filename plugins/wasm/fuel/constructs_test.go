package fuel_test

import (
	"slices"
	"strings"
	"testing"

	"rosterd/plugins/wasm/module/asm"
)

// Instructions that the assembler has no method for.
const (
	i32, i64           = 0x7f, 0x7e
	i32Eqz, i32LtU     = 0x45, 0x49
	i32Sub, i32Mul     = 0x6b, 0x6c
	i32DivS            = 0x6d
	i32Wrap, i64Extend = 0xa7, 0xad
	i64Add             = 0x7c
)

func code() asm.Code { return nil }

// rounds repeats code n times, counting in a local.
func rounds(local uint32, n int32, body asm.Code) asm.Code {
	return code().I32(0).LocalSet(local).Loop().
		Add(body).
		LocalGet(local).I32(1).I32Add().LocalTee(local).I32(n).Op(i32LtU).BrIf(0).End()
}

func bytesOf(parts ...[]byte) []byte { return slices.Concat(parts...) }

func TestConstructs(t *testing.T) {
	for _, c := range []struct {
		name  string
		build func(*asm.Module)
		steps []step
		want  []string // of the original, so that the comparison is one of something
	}{
		{"empty module", func(*asm.Module) {}, nil, nil},
		{"without sections that get something", func(m *asm.Module) {
			m.Memory(1)
			m.Data(0, []byte("abc"))
		}, nil, nil},
		{"block with a result", func(m *asm.Module) {
			m.Export("run", m.Func("i:i", "", code().Op(0x02, i32).I32(5).LocalGet(0).BrIf(0).Drop().I32(6).End()))
		}, []step{call("run", 0), call("run", 1)}, []string{"run[0] = [6]", "run[1] = [5]"}},
		{"if with and without else", func(m *asm.Module) {
			m.Export("run", m.Func("i:i", "i", code().LocalGet(0).Op(0x04, i32).I32(1).Else().I32(2).End().
				LocalGet(0).If().I32(10).LocalSet(1).End().LocalGet(1).I32Add()))
		}, []step{call("run", 0), call("run", 7)}, []string{"run[0] = [2]", "run[7] = [11]"}},
		{"br_table", func(m *asm.Module) {
			m.Export("run", m.Func("i:i", "", code().
				Block().Block().Block().LocalGet(0).BrTable([]uint32{0, 1, 2}, 1).End().
				I32(200).Return().End().I32(300).Return().End().I32(400)))
		}, []step{call("run", 0), call("run", 1), call("run", 2), call("run", 9)}, []string{"run[0] = [200]", "run[1] = [300]", "run[2] = [400]", "run[9] = [300]"}},
		{"branches to the function", func(m *asm.Module) {
			m.Export("run", m.Func("i:i", "", code().I32(1).LocalGet(0).BrIf(0).
				Loop().LocalGet(0).I32(1).I32Add().LocalTee(0).I32(4).Op(i32LtU).BrIf(0).I32(2).LocalGet(0).BrTable([]uint32{1}, 1).End()))
		}, []step{call("run", 0), call("run", 1)}, []string{"run[0] = [2]", "run[1] = [1]"}},
		{"loop with parameters and results", func(m *asm.Module) {
			pair := m.Type("ii:i")
			m.Export("run", m.Func("i:i", "ii", code().LocalGet(0).I32(0).LoopOf(pair).
				LocalSet(2).LocalSet(1).
				LocalGet(1).I32(1).Op(i32Sub).LocalGet(2).LocalGet(1).I32Add().
				LocalGet(1).I32(1).Op(i32Sub).BrIf(0).
				I32Add().End()))
		}, []step{call("run", 10)}, []string{"run[10] = [55]"}},
		{"loops in loops", func(m *asm.Module) {
			m.Export("run", m.Func(":i", "iiii", code().Add(rounds(0, 5, rounds(1, 6, rounds(2, 7,
				code().LocalGet(3).I32(1).I32Add().LocalSet(3))))).LocalGet(3)))
		}, []step{call("run")}, []string{"run[] = [210]"}},
		{"code that is never reached", func(m *asm.Module) {
			m.Memory(1)
			m.Export("run", m.Func(":i", "", code().I32(9).Return().MemoryFill().Loop().Unreachable().MemoryCopy().Br(0).End().MemoryGrow().Drop().MemoryGrow()))
		}, []step{call("run")}, []string{"run[] = [9]"}},
		{"memory.fill, copy, init, drop", func(m *asm.Module) {
			m.Memory(1)
			d := m.PassiveData([]byte("passive data"))
			m.DataCount()
			m.ExportMemory("memory")
			m.Export("fill", m.Func("iii:", "", code().LocalGet(0).LocalGet(1).LocalGet(2).MemoryFill()))
			m.Export("copy", m.Func("iii:", "ld", code().LocalGet(0).LocalGet(1).LocalGet(2).MemoryCopy()))
			m.Export("init", m.Func("iii:", "", code().LocalGet(0).LocalGet(1).LocalGet(2).Op(0xfc, 8, byte(d), 0)))
			m.Export("drop", m.Func(":", "", code().Op(0xfc, 9, byte(d))))
			m.Export("constant", m.Func(":", "", code().I32(1000).I32(5).I32(100).MemoryFill().I32(2000).I32(1000).I32(1024).MemoryCopy().
				I32(3000).I32(1).I32(1025).MemoryFill().I32(0).I32(0).I32(0).MemoryFill()))
			m.Export("negative", m.Func(":", "", code().I32(0).I32(0).I32(-1).MemoryFill()))
		}, []step{call("fill", 10, 65, 20), call("copy", 15, 5, 30), call("init", 100, 2, 5), call("init", 100, 2, 50), call("drop"), call("init", 0, 0, 1), call("init", 0, 0, 0),
			call("fill", 65530, 1, 7), call("fill", 1, 1, 0xffffffff), call("constant"), call("negative")},
			[]string{"fill[10 65 20] = []", "copy[15 5 30] = []", "init[100 2 5] = []", "init[100 2 50]: wasm error: out of bounds memory access", "drop[] = []",
				"init[0 0 1]: wasm error: out of bounds memory access", "init[0 0 0] = []", "fill[65530 1 7]: wasm error: out of bounds memory access",
				"fill[1 1 4294967295]: wasm error: out of bounds memory access", "constant[] = []", "negative[]: wasm error: out of bounds memory access"}},
		{"table.get, set, size, grow, fill, copy, init, drop", func(m *asm.Module) {
			one := m.Func(":i", "", code().I32(1))
			two := m.Func(":i", "", code().I32(2))
			m.Table(8, 20)
			m.Elements(0, one, two)
			m.ElementsRaw(bytesOf([]byte{1, 0, 2}, asm.Uint(uint64(two)), asm.Uint(uint64(one)))) // passive, segment 1
			m.Export("at", m.Func("i:i", "", code().LocalGet(0).CallIndirect(m.Type(":i"))))
			m.Export("null", m.Func("i:i", "", code().LocalGet(0).Indexed(0x25, 0).Op(0xd1)))
			m.Export("set", m.Func("i:", "", code().LocalGet(0).RefFunc(two).Indexed(0x26, 0)))
			m.Export("fill", m.Func("ii:", "", code().LocalGet(0).RefFunc(one).LocalGet(1).Op(0xfc, 17, 0)))
			m.Export("copy", m.Func("iii:", "", code().LocalGet(0).LocalGet(1).LocalGet(2).Op(0xfc, 14, 0, 0)))
			m.Export("init", m.Func("iii:", "", code().LocalGet(0).LocalGet(1).LocalGet(2).Op(0xfc, 12, 1, 0)))
			m.Export("drop", m.Func(":", "", code().Op(0xfc, 13, 1)))
			m.Export("grow", m.Func("i:i", "", code().RefFunc(two).LocalGet(0).TableGrow()))
			m.Export("size", m.Func(":i", "", code().Op(0xfc, 16, 0)))
		}, []step{call("at", 0), call("at", 1), call("at", 2), call("null", 2), call("set", 2), call("at", 2), call("fill", 3, 2), call("at", 4), call("copy", 5, 1, 2), call("at", 5), call("at", 6),
			call("init", 0, 0, 2), call("at", 0), call("at", 1), call("init", 0, 1, 2), call("drop"), call("init", 0, 0, 1), call("grow", 3), call("size"), call("at", 10), call("grow", 100), call("fill", 7, 100)},
			[]string{"at[0] = [1]", "at[1] = [2]", "at[2]: wasm error: invalid table access", "null[2] = [1]", "set[2] = []", "at[2] = [2]", "fill[3 2] = []", "at[4] = [1]", "copy[5 1 2] = []", "at[5] = [2]", "at[6] = [2]",
				"init[0 0 2] = []", "at[0] = [2]", "at[1] = [1]", "init[0 1 2]: wasm error: invalid table access", "drop[] = []", "init[0 0 1]: wasm error: invalid table access", "grow[3] = [8]", "size[] = [11]", "at[10] = [2]",
				"grow[100] = [4294967295]", "fill[7 100]: wasm error: invalid table access"}},
		{"start function", func(m *asm.Module) {
			note := m.Import("env", "note", "i:")
			m.Memory(1)
			g := m.Global('i', true, code().I32(1))
			m.ExportGlobal("g0", g)
			s := m.Func(":", "i", rounds(0, 10, code().LocalGet(0).Call(note).GlobalGet(g).I32(2).Op(i32Mul).GlobalSet(g).LocalGet(0).LocalGet(0).Op(0x3a, 0, 0)))
			m.Start(s)
			m.ExportMemory("memory")
			m.Export("again", s)
		}, []step{call("again")}, []string{"again[] = []"}},
		{"start function that traps", func(m *asm.Module) {
			m.Start(m.Func(":", "", code().Unreachable()))
		}, nil, nil},
		{"start function that is imported", func(m *asm.Module) {
			m.Import("env", "note", "i:")
			m.Start(m.Func(":", "", code().I32(4).Call(0)))
		}, nil, nil},
		{"element segments in all forms", func(m *asm.Module) {
			add := m.Import("env", "add", "ii:i")
			f := make([]byte, 8)
			for i := range f {
				f[i] = byte(m.Func("ii:i", "", code().LocalGet(0).LocalGet(1).I32Add().I32(int32(10*i)).I32Add()))
			}
			m.Table(20)
			at := func(i int32) []byte { return code().I32(i).End() }
			ref := func(i byte) []byte { return code().RefFunc(uint32(i)).End() }
			m.ElementsRaw(bytesOf([]byte{0}, at(0), []byte{2, f[0], byte(add)}))
			m.ElementsRaw([]byte{1, 0, 1, f[1]})
			m.ElementsRaw(bytesOf([]byte{2, 0}, at(2), []byte{0, 1, f[2]}))
			m.ElementsRaw([]byte{3, 0, 1, f[3]})
			m.ElementsRaw(bytesOf([]byte{4}, at(4), []byte{2}, ref(f[4]), code().RefNull().End()))
			m.ElementsRaw(bytesOf([]byte{5, 0x70, 2}, ref(f[5]), ref(byte(add))))
			m.ElementsRaw(bytesOf([]byte{6, 0}, at(6), []byte{0x70, 1}, ref(f[6])))
			m.ElementsRaw(bytesOf([]byte{7, 0x70, 1}, ref(f[7])))
			m.Export("at", m.Func("i:i", "", code().I32(1).I32(2).LocalGet(0).CallIndirect(m.Type("ii:i"))))
			m.Export("rest", m.Func(":", "", code().I32(1).I32(0).I32(1).Op(0xfc, 12, 1, 0).I32(8).I32(0).I32(2).Op(0xfc, 12, 5, 0).
				I32(3).RefFunc(uint32(f[3])).Indexed(0x26, 0).I32(7).RefFunc(uint32(f[7])).Indexed(0x26, 0)))
		}, []step{call("at", 0), call("at", 1), call("at", 2), call("at", 4), call("at", 5), call("at", 6), call("rest"), call("at", 1), call("at", 3), call("at", 7), call("at", 8), call("at", 9)},
			[]string{"at[0] = [3]", "at[1] = [3]", "at[2] = [23]", "at[4] = [43]", "at[5]: wasm error: invalid table access", "at[6] = [63]", "rest[] = []", "at[1] = [13]", "at[3] = [33]", "at[7] = [73]", "at[8] = [53]", "at[9] = [3]"}},
		{"imports called, exported again, and as references", func(m *asm.Module) {
			add := m.Import("env", "add", "ii:i")
			note := m.Import("env", "note", "i:")
			twice := m.Func("i:i", "", code().LocalGet(0).LocalGet(0).Call(add))
			m.Export("add", add)
			m.Export("twice", twice)
			m.Table(2)
			m.Elements(0, add, twice)
			m.Export("run", m.Func("i:i", "", code().LocalGet(0).Call(note).LocalGet(0).Call(twice).I32(5).I32(0).CallIndirect(m.Type("ii:i"))))
		}, []step{call("run", 4), call("add", 2, 3), call("twice", 8)}, []string{"run[4] = [13]", "add[2 3] = [5]", "twice[8] = [16]"}},
		{"globals", func(m *asm.Module) {
			m.ImportGlobal("lib", "mutable", 'i', true)
			m.ImportGlobal("lib", "constant", 'i', false)
			f := m.Func(":i", "", code().I32(77))
			own := m.Global('i', true, code().GlobalGet(1)) + 2
			long := m.Global('l', true, code().I64(-5)) + 2
			ref := m.Global('r', false, code().RefFunc(f)) + 2
			m.ExportGlobal("g0", 0)
			m.ExportGlobal("g1", 1)
			m.ExportGlobal("g2", own)
			m.ExportGlobal("g3", long)
			m.Table(1)
			m.Export("run", m.Func(":i", "", code().GlobalGet(0).GlobalGet(1).I32Add().GlobalGet(own).I32Add().GlobalSet(0).
				GlobalGet(long).I64(6).Op(i64Add).GlobalSet(long).I32(9).GlobalSet(own).
				I32(0).GlobalGet(ref).Indexed(0x26, 0).I32(0).CallIndirect(m.Type(":i"))))
		}, []step{call("run"), call("run")}, []string{"run[] = [77]", "run[] = [77]"}},
		{"constant expressions of all types", func(m *asm.Module) {
			m.ExportGlobal("g0", m.Global('i', true, code().I32(-1)))
			m.ExportGlobal("g1", m.Global('l', true, code().I64(1<<40)))
			m.ExportGlobal("g2", m.Global('f', true, code().Op(0x43, 0, 0, 0x80, 0x3f)))
			m.ExportGlobal("g3", m.Global('d', true, code().F64(1.5)))
			v := m.Global('v', true, code().Op(0xfd, 12, 1, 0x0b, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16))
			m.Global('r', true, code().RefNull())
			m.Global('x', true, code().Op(0xd0, 0x6f))
			m.Export("run", m.Func(":i", "", code().GlobalGet(v).Op(0xfd, 27, 0)))
		}, []step{call("run")}, []string{"run[] = [67308289]"}},
		{"several results", func(m *asm.Module) {
			pair := m.Func("i:ii", "", code().LocalGet(0).I32(1).I32Add().LocalGet(0).I32(2).I32Add())
			two := m.Type(":ii")
			swap := m.Type("ii:ii")
			m.Export("run", m.Func("i:ii", "ii", code().LocalGet(0).Call(pair).BlockOf(swap).LocalSet(1).LocalSet(2).LocalGet(1).LocalGet(2).End().
				LocalGet(0).IfOf(swap).Else().Drop().Drop().I32(50).I32(51).End().
				LocalSet(1).LocalSet(2).BlockOf(two).LocalGet(2).LocalGet(1).Return().End()))
		}, []step{call("run", 0), call("run", 10)}, []string{"run[0] = [50 51]", "run[10] = [12 11]"}},
		{"vectors", func(m *asm.Module) {
			m.Memory(1)
			m.ExportMemory("memory")
			m.Export("run", m.Func("i:i", "v", code().LocalGet(0).Op(0xfd, 0x11).Op(0xfd, 12, 1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 4, 0, 0, 0).Op(0xfd, 0xae, 0x01).LocalSet(1).
				I32(32).LocalGet(1).Op(0xfd, 11, 4, 0).
				I32(34).LocalGet(1).Op(0xfd, 0x54, 0, 2, 5).Op(0xfd, 0xa0, 0x01).
				LocalGet(1).Op(0xfd, 13, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23).
				Op(0xfd, 0x1b, 1)))
		}, []step{call("run", 100)}, nil},
		{"memory.grow and memory.size", func(m *asm.Module) {
			m.Memory(1, 3)
			m.ExportMemory("memory")
			m.Export("grow", m.Func("i:i", "", code().LocalGet(0).MemoryGrow()))
			m.Export("size", m.Func(":i", "", code().Op(0x3f, 0)))
			m.Export("one", m.Func(":i", "", code().I32(1).MemoryGrow()))
		}, []step{call("grow", 0), call("one"), call("size"), call("grow", 5), call("grow", 65536), call("grow", 0xffffffff), call("grow", 1), call("size"), call("one")},
			[]string{"grow[0] = [1]", "one[] = [1]", "size[] = [2]", "grow[5] = [4294967295]", "grow[65536] = [4294967295]", "grow[4294967295] = [4294967295]", "grow[1] = [2]", "size[] = [3]", "one[] = [4294967295]"}},
		{"call_indirect", func(m *asm.Module) {
			m.Table(4)
			f := m.Func("i:i", "", code().LocalGet(0).I32(1).I32Add())
			g := m.Func(":", "", code())
			m.Elements(0, f, g)
			m.Export("run", m.Func("i:i", "", code().I32(41).LocalGet(0).CallIndirect(m.Type("i:i"))))
		}, []step{call("run", 0), call("run", 1), call("run", 2), call("run", 9)},
			[]string{"run[0] = [42]", "run[1]: wasm error: indirect call type mismatch", "run[2]: wasm error: invalid table access", "run[9]: wasm error: invalid table access"}},
		{"calls of the type that the tick has", func(m *asm.Module) {
			note := m.Import("env", "note", "i:")
			m.Table(1)
			m.Elements(0, m.Func(":", "", code().I32(3).Call(note)))
			m.Export("run", m.Func(":", "", code().I32(0).CallIndirect(m.Type(":"))))
		}, []step{call("run")}, []string{"run[] = []"}},
		{"locals of all types, and one more", func(m *asm.Module) {
			m.Memory(1)
			m.ExportMemory("memory")
			m.Export("run", m.Func("iilfd:i", "ilfdvrxi", code().
				LocalGet(0).LocalSet(5).LocalGet(1).LocalSet(12).
				LocalGet(5).I32(1).LocalGet(12).MemoryFill().LocalGet(12).LocalGet(5).LocalGet(0).MemoryCopy().LocalGet(12).LocalGet(5).I32Add()))
		}, []step{call("run", 40, 50, 0, 0, 0)}, []string{"run[40 50 0 0 0] = [90]"}},
		{"traps, and what was done before", func(m *asm.Module) {
			m.Memory(1)
			m.ExportMemory("memory")
			g := m.Global('i', true, code().I32(0))
			m.ExportGlobal("g0", g)
			m.Export("divide", m.Func("i:i", "", code().I32(1).GlobalSet(g).I32(7).LocalGet(0).Op(i32DivS)))
			m.Export("unreachable", m.Func(":", "", code().I32(0).I32(9).I32Store(0).Unreachable()))
			m.Export("beyond", m.Func("i:i", "", code().LocalGet(0).I32Load(0)))
			m.Export("truncate", m.Func("d:i", "", code().LocalGet(0).Op(0xaa)))
		}, []step{call("divide", 2), call("divide", 0), call("unreachable"), call("beyond", 65533), call("truncate", 0x7ff0000000000000)},
			[]string{"divide[2] = [3]", "divide[0]: wasm error: integer divide by zero", "unreachable[]: wasm error: unreachable", "beyond[65533]: wasm error: out of bounds memory access", "truncate[9218868437227405312]: wasm error: integer overflow"}},
		{"more than 127 functions", func(m *asm.Module) {
			m.Import("env", "add", "ii:i")
			last := m.Func("i:i", "", code().LocalGet(0))
			for range 300 {
				last = m.Func("i:i", "", code().LocalGet(0).I32(1).I32Add().Call(last))
			}
			m.Table(1)
			m.Elements(0, last)
			m.Export("run", m.Func("i:i", "", code().LocalGet(0).I32(0).CallIndirect(m.Type("i:i"))))
		}, []step{call("run", 5)}, []string{"run[5] = [305]"}},
		{"imported memory and table", func(m *asm.Module) {
			m.ImportMemory("lib", "memory", 1)
			m.ImportTable("lib", "table", 8)
			m.ExportMemory("memory")
			f := m.Func(":i", "", code().I32(6))
			m.Elements(3, f)
			m.Data(5, []byte("here"))
			m.Export("run", m.Func(":i", "", code().I32(1).I32(2).I32(3).MemoryFill().I32(3).CallIndirect(m.Type(":i"))))
		}, []step{call("run")}, []string{"run[] = [6]"}},
		{"select", func(m *asm.Module) {
			m.Export("run", m.Func("i:i", "", code().I32(1).I32(2).LocalGet(0).Op(0x1b).RefNull().RefNull().LocalGet(0).Op(0x1c, 1, 0x70).Op(0xd1).I32Add()))
		}, []step{call("run", 0), call("run", 1)}, []string{"run[0] = [3]", "run[1] = [2]"}},
		{"custom sections", func(m *asm.Module) {
			m.Export("run", m.Func(":i", "", code().I32(1)))
			m.Custom("producers", []byte("x"))
			m.Custom(".debug_info", []byte("wrong offsets"))
		}, []step{call("run")}, []string{"run[] = [1]"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var m asm.Module
			c.build(&m)
			original, rewritten := both(t, m.Bytes(), c.steps...)
			if c.want != nil && !slices.Equal(original.calls, c.want) {
				t.Errorf("calls:\n%s\nwant:\n%s", strings.Join(original.calls, "\n"), strings.Join(c.want, "\n"))
			}
			if len(c.steps) > 0 && rewritten.used <= 0 {
				t.Errorf("used %d units", rewritten.used)
			}
		})
	}
}
