package main

import (
	"bytes"
	"slices"
	"strconv"
	"strings"

	"rosterd/plugins/wasm/module/asm"
)

// written is an attack that writes an answer.
func written(name, answer, want string) moduleAttack {
	return moduleAttack{name: name, code: strconv.Quote(answer) + " output_write drop 0", want: want}
}

// flat is an answer in the flat form, with the count that it says it has.
func flat(count uint32, contacts string) string {
	return "RF\x01\x00" + string([]byte{byte(count), byte(count >> 8), byte(count >> 16), byte(count >> 24)}) + contacts
}

// flatText is a text of the flat form.
func flatText(text string) string {
	return string([]byte{byte(len(text)), byte(len(text) >> 8)}) + text
}

// asking is code that sends a request and fails with what became of it: the error, or the body.
func asking(request, body string) string {
	b := "0 0"
	if body != "" {
		b = strconv.Quote(body)
	}
	return strconv.Quote(request) + " " + b + ` http_request tee 0 0 lt_s if why return end
		get 0 65536 0 4096 http_body_read set 1  3 0 65536 get 1 fail 3`
}

// loops is code that goes on for ever.
func loops(code string) string { return "loop " + code + " br 0 end 0" }

// below is code that fails unless what a call says is negative.
func below(call string) string { return call + " 0 ge_s if 77 return end " }

// answered is code that ends as it does for an innocent user.
const answered = ` friend`

// pages gives a module a memory of another size.
func pages(n int) func(*assembly) {
	return func(m *assembly) { m.memory = append([]byte{0}, leb(n)...) }
}

// inTable has a function called through a table whose other entries are null, by "1 call_indirect 0". The call is one of
// a function with that signature.
func inTable(name, signature string) func(*assembly) {
	return func(m *assembly) {
		i, _ := m.index(name)
		m.types = []string{signature}
		m.tables = append(m.tables, []byte{0x70, 0, 10})
		m.extra[sectionElement] = vector(append([]byte{0, 0x41, 1, 0x0b, 1}, leb(i)...))
	}
}

// replaced puts sections in the place of those that a module would have.
func replaced(id byte, content func(m *assembly) []byte) func(*assembly) {
	return func(m *assembly) { m.extra[id] = content(m) }
}

// frames gives a function many locals, of a type.
func frames(name string, n int, valueType byte) func(*assembly) {
	return func(m *assembly) {
		for i := range m.functions {
			if m.functions[i].name == name {
				m.functions[i].locals = append(append([]byte{3, 8, 0x7f, 2, 0x7e}, leb(n)...), valueType)
			}
		}
	}
}

// manyFunctions adds functions that are not called.
func manyFunctions(n int, body string) func(*assembly) {
	return func(m *assembly) {
		for range n {
			m.functions = append(m.functions, function{signature: ":", locals: []byte{0}, code: []byte(body + "\x0b")})
		}
	}
}

// large adds a function with a body of its own.
func large(locals []byte, body string) func(*assembly) {
	return func(m *assembly) {
		m.functions = append(m.functions, function{signature: ":", locals: locals, code: []byte(body + "\x0b")})
	}
}

// sound is a module that is as it should be, from which others are made by damage.
func sound() []byte {
	b, err := moduleAttack{code: answered}.module("http://127.0.0.1:1")
	if err != nil {
		panic(err)
	}
	return b
}

// damaged is a module that is made from a sound one.
func damaged(name string, damage func([]byte) []byte) moduleAttack {
	return moduleAttack{name: "malformed: " + name, whole: func() []byte { return damage(sound()) }, want: "refused"}
}

func repeated(n int, unit ...byte) []byte { return bytes.Repeat(unit, n) }

// moduleAttacks are what a module may try: to be opened, then with what any module can do, then with rosterd's.
func moduleAttacks() []moduleAttack {
	return slices.Concat(theirs, openings, ends, memories, stacks, floods(), lies(), outputs(), requests, kept)
}

// theirs are modules in text form.
var theirs = []moduleAttack{
	{name: "endless loop", file: "loop", want: "stopped"},
	{name: "endless loop in the start function", file: "startloop", want: "refused", never: true},
	{name: "endless loop in _initialize", file: "initloop", want: "refused", never: true},
	{name: "2^34 calls without a loop", file: "expcall", want: "stopped"},
	{name: "64 GiB written without a loop", file: "fillbomb", want: "stopped"},
	{name: "endless questions", file: "hostflood", want: "stopped"},
	{name: "tail calls", file: "tailcall", want: "refused"},
	{name: "recursion", file: "rec", want: "error", stack: true},
	{name: "memory: grown by the megabyte", file: "grow", want: "harmless"},
	{name: "memory: grown by the page", file: "growone", want: "harmless"},
	{name: "memory: 4 GiB from the start", file: "hugemem", want: "refused"},
	{name: "memory: 4 GiB at most", file: "maxmem", want: "harmless"},
	{name: "table: 200 million entries", file: "hugetable", want: "refused"},
	{name: "table: 9 million entries", file: "hugetable2", want: "refused"},
	{name: "table: grown", file: "tablegrow", want: "refused"},
	{name: "trap: unreachable", file: "trap", want: "error"},
	{name: "trap: beyond the memory", file: "oob", want: "error"},
	{name: "output from before the memory", file: "outneg", want: "error"},
	{name: "output from beyond the memory", file: "outoob", want: "error"},
	{name: "proc_exit(0)", file: "exit", want: "error"},
	{name: "sleep of 20 s", file: "poll", want: "harmless"},
}

// openings are for those who open a module.
var openings = []moduleAttack{
	{name: "opened: start function that takes memory", at: "start", code: `loop 1 memory.grow drop br 0 end`, want: "refused", never: true},
	{name: "opened: _initialize that traps", at: "_initialize", code: `unreachable`, want: "refused"},
	{name: "opened: _initialize that exits", at: "_initialize", code: `0 proc_exit`, want: "refused"},
	{name: "opened: _initialize that recurses", at: "_initialize", code: `f func f : f f`, want: "refused", stack: true},
	{name: "opened: rosterd_init that loops", at: "rosterd_init", code: `loop br 0 end 0`, want: "refused", never: true},
	{name: "opened: rosterd_init that takes memory", at: "rosterd_init", code: `loop 16 memory.grow drop 65536 1 16777216 memory.fill br 0 end 0`, want: "refused", never: true},
	{name: "opened: rosterd_init that refuses", at: "rosterd_init", code: `7`, want: "refused"},
	{name: "opened: rosterd_init that asks", at: "rosterd_init", code: `"url" 0 0 config_get drop loop "{\"url\":\"URL/never\"}" 0 0 http_request drop br 0 end 0`, want: "refused"},
	{name: "opened: rosterd_init that logs", at: "rosterd_init", code: loops(`3 "x" log`), want: "refused"},

	{name: "compiled: a function of 2 MiB", code: answered, edit: large([]byte{0}, strings.Repeat("\x41\x01\x1a", 700_000)), want: "refused"},
	{name: "compiled: a function of 500 KiB", code: answered, edit: large([]byte{0}, strings.Repeat("\x41\x01\x1a", 170_000)), want: "opened"},
	{name: "compiled: 15 functions of 500 KiB", code: answered, edit: func(m *assembly) {
		for range 15 / slower {
			large([]byte{0}, strings.Repeat("\x41\x01\x1a", 170_000))(m)
		}
	}, want: "opened"},
	{name: "compiled: a sum of 250,000", code: answered, edit: large([]byte{1, 1, 0x7f}, "\x20\x00"+strings.Repeat("\x20\x00\x6a", 125_000)+"\x21\x00"), want: "opened"},
	{name: "compiled: 150,000 values on the stack", code: answered, edit: large([]byte{1, 1, 0x7f}, strings.Repeat("\x20\x00", 150_000)+strings.Repeat("\x1a", 150_000)), want: "opened"},
	{name: "compiled: 100,000 blocks in blocks", code: answered, edit: large([]byte{0}, strings.Repeat("\x02\x40", 100_000)+strings.Repeat("\x0b", 100_000)), want: "refused"},
	{name: "compiled: 100,000 loops in loops", code: answered, edit: large([]byte{0}, strings.Repeat("\x03\x40", 100_000)+strings.Repeat("\x0b", 100_000)), want: "refused"},
	{name: "compiled: 1,000 locals in 40,000 loops", code: answered, edit: large(append(append([]byte{1}, leb(1000)...), 0x7f), strings.Repeat("\x03\x40\x20\x01\x21\x00\x20\x00\x0d\x00\x0b", 40_000)), want: "refused"},
	{name: "compiled: a table of 400,000 branches", code: answered, edit: large([]byte{0}, "\x02\x40\x41\x00\x0e"+string(leb(400_000))+strings.Repeat("\x00", 400_001)+"\x0b"), want: "refused"},
	{name: "compiled: 100 tables of 4,000 branches", code: answered, edit: large([]byte{0}, strings.Repeat("\x02\x40\x41\x00\x0e"+string(leb(4000))+strings.Repeat("\x00", 4001)+"\x0b", 100)), want: "refused"},
	{name: "compiled: 49,900 functions", code: answered, edit: manyFunctions(49_900/slower, ""), want: "opened"},
	{name: "compiled: 50,001 functions", code: answered, edit: manyFunctions(50_001, ""), want: "refused"},
	{name: "compiled: 2^32-1 locals", code: answered, edit: large([]byte{1, 0xff, 0xff, 0xff, 0xff, 0x0f, 0x7f}, ""), want: "refused"},
	{name: "compiled: 2^32-1 locals, in 16 groups", code: answered, edit: large(append([]byte{16}, repeated(16, 0xff, 0xff, 0xff, 0xff, 0x0f, 0x7e)...), ""), want: "refused"},
	{name: "compiled: 50,000 locals", code: answered, edit: large(append(append([]byte{1}, leb(50_000)...), 0x7f), ""), want: "refused"},
	{name: "compiled: 1,000 locals in each of 40,000 functions", code: answered, edit: func(m *assembly) {
		for range 40_000 {
			m.functions = append(m.functions, function{signature: ":", locals: append(append([]byte{1}, leb(1000)...), 0x7e), code: []byte{0x0b}})
		}
	}, want: "refused"},

	{name: "sections: 1,000,000 types", code: answered, edit: replaced(sectionType, func(*assembly) []byte {
		return append(leb(1_000_000), repeated(1_000_000, 0x60, 0, 0)...)
	}), want: "refused"},
	{name: "sections: a type of 1,000,000 parameters", code: answered, edit: replaced(sectionType, func(*assembly) []byte {
		return append(append(append([]byte{1, 0x60}, leb(1_000_000)...), repeated(1_000_000, 0x7f)...), 0)
	}), want: "refused"},
	{name: "sections: 200,000 imports", code: answered, edit: replaced(sectionImport, func(*assembly) []byte {
		one := append(append(append(lengthy("rosterd_v1"), lengthy("now_ms")...), 0), 0)
		return append(leb(200_000), bytes.Repeat(one, 200_000)...)
	}), want: "refused"},
	{name: "sections: imports of nobody's", code: answered, edit: replaced(sectionImport, func(*assembly) []byte {
		var all [][]byte
		for i := range 20_000 {
			all = append(all, append(append(lengthy("env"), lengthy(strings.Repeat("x", 100)+strconv.Itoa(i))...), 0, 0))
		}
		return vector(all...)
	}), want: "refused"},
	{name: "sections: 500,000 exports", code: answered, edit: func(m *assembly) {
		for i := range 500_000 {
			m.export(strconv.Itoa(i), "marker")
		}
	}, want: "refused"},
	{name: "sections: 1,000,000 globals", code: answered, edit: replaced(sectionGlobal, func(*assembly) []byte {
		return append(leb(1_000_000), repeated(1_000_000, 0x7f, 1, 0x41, 0, 0x0b)...)
	}), want: "refused"},
	{name: "sections: 1,000,000 data segments", code: answered, edit: replaced(sectionData, func(*assembly) []byte {
		return append(leb(1_000_000), repeated(1_000_000, 0, 0x41, 0, 0x0b, 0)...)
	}), want: "refused"},
	{name: "sections: 1,000,000 element segments", code: answered, edit: func(m *assembly) {
		m.tables = append(m.tables, []byte{0x70, 0, 1})
		m.extra[sectionElement] = append(leb(1_000_000), repeated(1_000_000, 0, 0x41, 0, 0x0b, 0)...)
	}, want: "refused"},
	{name: "sections: 1,000,000 tables", code: answered, edit: replaced(sectionTable, func(*assembly) []byte {
		return append(leb(1_000_000), repeated(1_000_000, 0x70, 0, 1)...)
	}), want: "refused"},
	{name: "sections: tables of 65,536 entries, 100 times", code: answered, edit: replaced(sectionTable, func(*assembly) []byte {
		return append(leb(100), repeated(100, 0x70, 0, 0x80, 0x80, 0x04)...)
	}), want: "refused"},
	{name: "sections: 2,000,000 custom ones", whole: func() []byte {
		return append(sound(), repeated(2_000_000, 0, 1, 0)...)
	}, want: "refused"},
	{name: "sections: a custom one of 7 MiB", whole: func() []byte {
		return append(sound(), asm.Section(sectionCustom, append(lengthy("x"), make([]byte, 7<<20)...))...)
	}, want: "opened"},
	{name: "names: 2^32-1 of them", whole: withNames(append([]byte{1}, lengthy([]byte{0xff, 0xff, 0xff, 0xff, 0x0f})...)), want: "refused"},
	{name: "names: 500,000 for functions that are not there", whole: withNames(append([]byte{1}, lengthy(append(leb(500_000), bytes.Repeat([]byte{0xff, 0xff, 0x7f, 4, 'n', 'a', 'm', 'e'}, 500_000)...))...)), want: "refused"},
	{name: "names: one of 4 MiB", whole: withNames(append([]byte{1}, lengthy(append([]byte{1, 3}, lengthy(strings.Repeat("n", 4<<20))...))...)), want: "opened"},
	{name: "names: a terminal's", code: `unreachable`, edit: func(m *assembly) {
		i, _ := m.index("attack")
		names := append(append([]byte{1}, leb(i)...), lengthy("\x1b[2J\r\n2026-01-01 INFO all is well\xff"+strings.Repeat("n", 100_000))...)
		m.extra[sectionCustom] = append(lengthy("name"), append([]byte{1}, lengthy(names)...)...)
	}, want: "refused"},
	{name: "more than 8 MiB", whole: func() []byte { return append(sound(), asm.Section(sectionCustom, make([]byte, 8<<20))...) }, want: "refused"},

	damaged("nothing", func([]byte) []byte { return nil }),
	damaged("a magic number only", func(b []byte) []byte { return b[:4] }),
	damaged("a head only", func(b []byte) []byte { return b[:8] }),
	damaged("version 2", func(b []byte) []byte { b[4] = 2; return b }),
	damaged("a component", func(b []byte) []byte { b[4], b[6] = 0x0d, 1; return b }),
	damaged("text", func([]byte) []byte { return []byte("(module)") }),
	damaged("half", func(b []byte) []byte { return b[:len(b)/2] }),
	damaged("the last byte missing", func(b []byte) []byte { return b[:len(b)-1] }),
	damaged("a section of 4 GiB", func(b []byte) []byte { return append(b, 0, 0xff, 0xff, 0xff, 0xff, 0x0f) }),
	damaged("a number without end", func(b []byte) []byte { return append(b, append([]byte{0}, repeated(1<<20, 0x80)...)...) }),
	damaged("an unknown section", func(b []byte) []byte { return append(b, asm.Section(99, nil)...) }),
	damaged("the same section twice", func(b []byte) []byte { return append(b, asm.Section(sectionCode, vector())...) }),
	damaged("sections in disorder", func(b []byte) []byte { return append(b, asm.Section(sectionType, vector())...) }),
	{name: "malformed: more code than functions", code: answered, edit: replaced(sectionFunction, func(*assembly) []byte { return vector([]byte{0}) }), want: "refused"},
	{name: "malformed: functions of no type", code: answered, edit: replaced(sectionType, func(*assembly) []byte { return vector() }), want: "refused"},
	{name: "malformed: 2^32-1 functions", code: answered, edit: replaced(sectionFunction, func(*assembly) []byte { return []byte{0xff, 0xff, 0xff, 0xff, 0x0f, 0} }), want: "refused"},
	{name: "malformed: an export of nothing", code: answered, edit: func(m *assembly) { m.exports = append(m.exports, append(lengthy("x"), 0, 0xff, 0x7f)) }, want: "refused"},
	{name: "malformed: the same export twice", code: answered, edit: func(m *assembly) { m.export("rosterd_fetch", "fetch") }, want: "refused"},
	{name: "malformed: a name that is no text", code: answered, edit: func(m *assembly) { m.export("\xff\xfe", "marker") }, want: "refused"},
	{name: "malformed: a start function with a result", code: answered, edit: func(m *assembly) { m.start = "fetch" }, want: "refused"},
	{name: "malformed: a start function that is not there", code: answered, edit: replaced(sectionStart, func(*assembly) []byte { return []byte{0xff, 0x7f} }), want: "refused"},
	{name: "malformed: less memory at most than at least", code: answered, edit: func(m *assembly) { m.memory = []byte{1, 4, 2} }, want: "refused"},
	{name: "malformed: shared memory", code: answered, edit: func(m *assembly) { m.memory = []byte{3, 4, 4} }, want: "refused"},
	{name: "malformed: 64-bit memory", code: answered, edit: func(m *assembly) { m.memory = []byte{4, 4} }, want: "refused"},
	{name: "malformed: two memories", code: answered, edit: replaced(sectionMemory, func(*assembly) []byte { return vector([]byte{0, 1}, []byte{0, 1}) }), want: "refused"},
	{name: "malformed: data beyond the memory", code: answered, edit: replaced(sectionData, func(*assembly) []byte { return vector([]byte{0, 0x41, 0x7f, 0x0b, 1, 'x'}) }), want: "refused"},
	{name: "elements beyond the table", code: answered, edit: func(m *assembly) {
		m.tables = append(m.tables, []byte{0x70, 0, 1})
		m.extra[sectionElement] = vector([]byte{0, 0x41, 100, 0x0b, 1, 0})
	}, want: "harmless"},
	{name: "malformed: code with a wrong stack", code: answered, edit: large([]byte{0}, "\x6a\x1a"), want: "refused"},
	{name: "malformed: code without its end", code: answered, edit: func(m *assembly) {
		m.functions = append(m.functions, function{signature: ":", locals: []byte{0}, code: []byte{0x02, 0x40, 0x0b}})
	}, want: "refused"},
	{name: "malformed: an unknown instruction", code: answered, edit: large([]byte{0}, "\xff"), want: "refused"},
	{name: "malformed: an atomic instruction", code: answered, edit: large([]byte{0}, "\xfe\x03\x00"), want: "refused"},
	{name: "malformed: an exception", code: answered, edit: large([]byte{0}, "\x06\x40\x19\x0b"), want: "refused"},
	{name: "no marker", code: answered, edit: func(m *assembly) { m.exports = m.exports[1:] }, want: "refused"},
	{name: "a marker that is a global", code: answered, edit: func(m *assembly) {
		m.exports[0] = append(lengthy("rosterd_abi_v1"), 3, 0)
		m.extra[sectionGlobal] = vector([]byte{0x7f, 0, 0x41, 0, 0x0b})
	}, want: "refused"},
	{name: "an export of another type", code: answered, edit: func(m *assembly) { m.export("rosterd_auth", "marker") }, want: "refused"},
	{name: "an import of another type", code: answered, edit: replaced(sectionImport, func(m *assembly) []byte {
		var all [][]byte
		for _, name := range m.imports {
			all = append(all, append(append(append(lengthy("rosterd_v1"), lengthy(name)...), 0), leb(m.typeOf("lllll:l"))...))
		}
		return vector(all...)
	}), want: "refused"},
	{name: "an import of another kind", code: answered, edit: replaced(sectionImport, func(m *assembly) []byte {
		var all [][]byte
		for range m.imports {
			all = append(all, append(append(lengthy("rosterd_v1"), lengthy("input_len")...), 3, 0x7f, 0))
		}
		return vector(all...)
	}), want: "refused"},
}

// withNames is a sound module with a section of names.
func withNames(content []byte) func() []byte {
	return func() []byte {
		return append(sound(), asm.Section(sectionCustom, append(lengthy("name"), content...))...)
	}
}

// ends are what goes on for ever, and what ends badly.
var ends = []moduleAttack{
	{name: "endless empty calls", code: loops(`f`) + ` func f :`, want: "stopped"},
	{name: "endless indirect calls", code: loops(`1 call_indirect 0`), edit: inTable("marker", ":"), want: "stopped"},
	{name: "loops in loops", code: `loop loop loop br 0 end br 0 end br 0 end 0`, want: "stopped"},
	{name: "a loop with a branch table", code: `loop 0 br_if 0 br 0 end 0`, want: "stopped"},
	{name: "2^40 calls of two functions by turns", code: `40 f 0 func f i: get 0 eqz if return end get 0 1 sub g get 0 1 sub g func g i: get 0 eqz if return end get 0 1 sub f get 0 1 sub f`, want: "stopped"},
	{name: "calls that differ each time", code: `2000000000 f 0 func f i: loop get 0 g set 0 get 0 br_if 0 end func g i:i get 0 2 rem_u if get 0 1 sub return end get 0 1 sub`, want: "stopped"},
	{name: "division by zero", code: `1 0 div_s`, want: "error"},
	{name: "division that overflows", code: `0x80000000 -1 div_s`, want: "error"},
	{name: "not a number", code: `nan trunc_f64`, want: "error"},
	{name: "indirect call of nothing", code: `5 call_indirect 0 0`, edit: inTable("marker", ":"), want: "error"},
	{name: "indirect call beyond the table", code: `-1 call_indirect 0 0`, edit: inTable("marker", ":"), want: "error"},
	{name: "indirect call of another type", code: `5 1 call_indirect 0 drop 0`, edit: inTable("marker", "i:i"), want: "error"},
	{name: "fill beyond the memory", code: `65536 1 -1 memory.fill 0`, want: "error"},
	{name: "copy beyond the memory", code: `65536 -100 200 memory.copy 0`, want: "error"},
	{name: "result 5", code: `5`, want: "bad result"},
	{name: "result -1", code: `-1`, want: "bad result"},
	{name: "result 2^31", code: `0x80000000`, want: "bad result"},
	{name: "result 4", code: `4`, want: "refused by the script"},
	{name: "proc_exit(1)", code: `1 proc_exit 0`, want: "error"},
	{name: "proc_exit(-1)", code: `-1 proc_exit 0`, want: "error"},
}

// memories are what fills memory, and what moves much of it.
var memories = []moduleAttack{
	{name: "memory: all at once", code: `1024 memory.size sub memory.grow 0 lt_s if 77 return end 65536 1 66977792 memory.fill ` + answered, want: "harmless"},
	{name: "memory: all, filled", code: `loop 16 memory.grow 0 ge_s br_if 0 end 65536 1 memory.size 65536 mul 65536 sub memory.fill ` + answered, want: "harmless"},
	{name: "memory: all, for ever", code: loops(`16 memory.grow drop`), want: "stopped"},
	{name: "memory: more than there is", code: `-1 memory.grow 0 ge_s if 77 return end ` + answered, want: "harmless"},
	{name: "memory: all copied, for ever", code: `loop 16 memory.grow 0 ge_s br_if 0 end ` + loops(`0 1 memory.size 65536 mul 1 sub memory.copy`), want: "stopped"},
	{name: "memory: small fills, for ever", code: loops(`65536 0 7 memory.fill`), want: "stopped"},
	{name: "table: 65,536 entries copied, for ever", code: loops(`0 1 65535 table.copy`), edit: func(m *assembly) { m.tables = append(m.tables, []byte{0x70, 0, 0x80, 0x80, 0x04}) }, want: "stopped"},
	{name: "table: filled, for ever", code: loops(`0 ref.null 65536 table.fill`), edit: func(m *assembly) { m.tables = append(m.tables, []byte{0x70, 0, 0x80, 0x80, 0x04}) }, want: "stopped"},
	{name: "random bytes over all memory", code: `0 memory.size 65536 mul random drop 0`, want: "bad result"},
	{name: "random_get over all memory", code: `0 memory.size 65536 mul random_get drop 0`, want: "bad result"},
	{name: "random bytes over 60 MiB, for ever", code: loops(`0 62914560 random drop`), edit: pages(960), want: "stopped"},
}

// stacks are what calls itself.
var stacks = []moduleAttack{
	{name: "recursion by turns", code: `0 f func f i:i get 0 1 add g 1 add func g i:i get 0 2 add f 1 add`, want: "error", stack: true},
	{name: "recursion through a table", code: `f 0 func f : 1 call_indirect 0`, edit: inTable("f", ":"), want: "error", stack: true},
	{name: "recursion with frames of 8 KiB", code: `0 f func f i:i ` + lots(900) + ` get 0 f ` + strings.Repeat("add ", 900), want: "error", stack: true},
	{name: "recursion with 990 locals", code: `f 0 func f : 1 set 0 f get 0 drop`, edit: frames("f", 980, 0x7e), want: "error", stack: true},
	{name: "recursion again and again", code: `0 f func f i:i get 0 900 ge_s if get 0 return end get 0 1 add f drop get 0 1 add f`, want: "stopped"},
}

// lots is code that leaves many values on the stack which cannot be known before.
func lots(n int) string { return strings.Repeat("0 load ", n) }

// floods call each import again and again, with arguments that make sense.
func floods() (all []moduleAttack) {
	calls := map[string]string{
		"input_len": "", "input_read": "65536 0 4096", "output_write": `"x"`, "fail": `2 60 "x"`, "error_text": "65536 4096",
		"config_get": `"url" 65536 4096`, "http_request": `"{\"url\":\"URL/roster\"}" 0 0`, "http_status": "1", "http_header": `1 "x" 65536 100`,
		"http_rev": "1 65536 100", "http_body_len": "1", "http_body_read": "1 65536 0 100", "http_close": "1",
		"kv_get": `"key" 65536 100`, "kv_set": `"key" "value" 0`, "kv_delete": `"key"`, "log": `3 "a line"`, "now_ms": "", "random": "65536 4096",
		"args_get": "65536 65536", "args_sizes_get": "65536 65536", "clock_res_get": "0 65536", "clock_time_get": "0 0L 65536",
		"environ_get": "65536 65536", "environ_sizes_get": "65536 65536", "fd_close": "3", "fd_fdstat_get": "1 65536", "fd_fdstat_set_flags": "1 0",
		"fd_prestat_dir_name": "3 65536 100", "fd_prestat_get": "3 65536", "fd_read": "0 65536 1 65600", "fd_seek": "1 0L 0 65536",
		"poll_oneoff": "65536 65700 1 65800", "random_get": "65536 4096", "sched_yield": "",
	}
	for name, arguments := range calls {
		code := arguments + " " + name
		if !strings.HasSuffix(signatures[name], ":") {
			code += " drop"
		}
		all = append(all, moduleAttack{name: "for ever: " + name, code: loops(code), want: "stopped"})
	}
	slices.SortFunc(all, func(a, b moduleAttack) int { return strings.Compare(a.name, b.name) })
	return append(all,
		moduleAttack{name: "for ever: lines of 60 KB", code: loops(`3 0 60000 log`), want: "stopped"},
		moduleAttack{name: "for ever: fd_write of 32 MiB", code: `65536 0 store 65540 0x2000000 store ` + loops(`1 65536 1 65600 fd_write drop`), edit: pages(600), want: "stopped"},
		moduleAttack{name: "for ever: lines of standard error", code: `65536 70000 store 65540 2 store 70000 0x0a78 store ` + loops(`2 65536 1 65600 fd_write drop`), want: "stopped"},
		moduleAttack{name: "fd_write of a million pieces of 32 MiB", code: `65536 set 0 loop get 0 0x1000000 store get 0 4 add 0x2000000 store get 0 8 add tee 0 8454144 lt_u br_if 0 end ` +
			loops(`1 65536 1048576 32 fd_write drop`), edit: pages(900), want: "stopped"},
		moduleAttack{name: "for ever: keys of 60 MiB", code: loops(`0 62914560 65536 100 kv_get drop`), edit: pages(970), want: "stopped"},
		moduleAttack{name: "for ever: values of 60 MiB", code: loops(`"k" 0 62914560 0 kv_set drop`), edit: pages(970), want: "stopped"},
		moduleAttack{name: "for ever: options of 60 MiB", code: loops(`0 62914560 65536 100 config_get drop`), edit: pages(970), want: "stopped"},
		moduleAttack{name: "for ever: requests of 60 MiB", code: loops(`0 62914560 0 0 http_request drop`), edit: pages(970), want: "stopped"},
		moduleAttack{name: "for ever: header names of 60 MiB", code: `"{\"url\":\"URL/roster\"}" 0 0 http_request drop ` + loops(`1 0 62914560 65536 100 http_header drop`), edit: pages(970), want: "stopped"},
		moduleAttack{name: "for ever: errors of 60 MiB", code: loops(`3 0 0 62914560 fail`), edit: pages(970), want: "stopped"},
		moduleAttack{name: "for ever: new values", code: `loop 65536 get 0 1 add tee 0 store 65536 4 "value" 0 kv_set drop br 0 end 0`, want: "stopped"},
		moduleAttack{name: "for ever: options that are not set", code: `loop 65536 get 0 1 add tee 0 store 65536 4 70000 100 config_get drop br 0 end 0`, want: "stopped"},
		moduleAttack{name: "for ever: long errors", code: loops(`3 0 0 60000 fail`), want: "stopped"},
		moduleAttack{name: "a clock that does not sleep", code: loops(`now_ms drop sched_yield drop`), want: "stopped"},
	)
}

// lies are lengths and addresses that are not so. Each ends its call.
func lies() (all []moduleAttack) {
	spans := [][2]string{
		{"262143", "2"}, {"262144", "1"}, {"0xfffffff0", "32"}, {"0", "-1"}, {"0x80000000", "0x80000000"}, {"-1", "-1"}, {"-1", "1"}, {"4096", "262144"},
	}
	for _, c := range [][2]string{
		{"input_read", "AT 0 LEN input_read drop 0"}, {"output_write", "AT LEN output_write drop 0"}, {"fail", "3 0 AT LEN fail 0"},
		{"config_get: key", "AT LEN 65536 100 config_get drop 0"}, {"config_get: value", `"url" AT LEN config_get drop 0`},
		{"error_text", `-1 http_status drop AT LEN error_text drop 0`},
		{"http_request: request", "AT LEN 0 0 http_request drop 0"}, {"http_request: body", `"{\"url\":\"URL/echo\",\"method\":\"POST\"}" AT LEN http_request drop 0`},
		{"http_header: name", `"{\"url\":\"URL/roster\"}" 0 0 http_request AT LEN 65536 100 http_header drop 0`},
		{"http_header: value", `"{\"url\":\"URL/roster\"}" 0 0 http_request "date" AT LEN http_header drop 0`},
		{"http_rev", `"{\"url\":\"URL/revised\"}" 0 0 http_request AT LEN http_rev drop 0`},
		{"http_body_read", `"{\"url\":\"URL/roster\"}" 0 0 http_request AT 0 LEN http_body_read drop 0`},
		{"kv_get: key", "AT LEN 65536 100 kv_get drop 0"}, {"kv_get: value", `"k" "value" 0 kv_set drop "k" AT LEN kv_get drop 0`},
		{"kv_set: key", `AT LEN "v" 0 kv_set drop 0`}, {"kv_set: value", `"k" AT LEN 0 kv_set drop 0`},
		{"kv_delete", "AT LEN kv_delete drop 0"}, {"log", "1 AT LEN log 0"}, {"random", "AT LEN random drop 0"},
	} {
		a := moduleAttack{name: "lying pointers: " + c[0], want: "error"}
		for _, s := range spans {
			a.each = append(a.each, strings.NewReplacer("AT", s[0], "LEN", s[1]).Replace(c[1]))
		}
		all = append(all, a)
	}
	// WASI answers EFAULT or ends the call; neither is a roster.
	for _, c := range []string{
		"AT AT args_sizes_get", "0 AT clock_res_get", "0 0L AT clock_time_get", "AT AT environ_sizes_get",
		"1 AT fd_fdstat_get", "3 AT 100 fd_prestat_dir_name", "3 AT fd_prestat_get", "0 AT 1 65536 fd_read", "0 65536 -1 65536 fd_read",
		"1 0L 0 AT fd_seek", "1 AT 1 65536 fd_write", "1 65536 -1 65536 fd_write", "1 65536 1 AT fd_write",
		"AT 65536 1 65536 poll_oneoff", "65536 AT 1 65536 poll_oneoff", "65536 65536 -1 65536 poll_oneoff", "AT 100 random_get", "0 -1 random_get",
	} {
		a := moduleAttack{name: "lying pointers of WASI: " + strings.TrimSpace(c), want: "error"}
		for _, at := range []string{"262143", "-1", "0x80000000", "0xfffffff0"} {
			a.each = append(a.each, strings.ReplaceAll(c, "AT", at)+" if unreachable end 77")
		}
		all = append(all, a)
	}
	return all
}

// outputs are answers that break whoever reads them carelessly.
func outputs() []moduleAttack {
	contact := "\x03" + flatText("a@x.example") + flatText("") + "\x00"
	return []moduleAttack{
		{name: "output: one write of 60 MiB", code: below(`0 62914560 output_write`) + answered, edit: pages(960), want: "harmless"},
		{name: "output: gigabytes in small writes", code: loops(`0 4096 output_write drop`), want: "stopped"},
		{name: "output: nothing", code: `0`, want: "bad result"},
		written("output: neither form", "hello", "bad result"),
		written("output: zeros", strings.Repeat("\x00", 1000), "bad result"),

		written("flat: 2^32-1 contacts", flat(1<<32-1, contact), "bad result"),
		written("flat: 2^32-1 contacts, none of them there", flat(1<<32-1, ""), "bad result"),
		written("flat: one more than there are", flat(2, contact), "bad result"),
		written("flat: one less than there are", flat(1, contact+contact), "bad result"),
		written("flat: bytes after the last contact", flat(1, contact)+"x", "bad result"),
		{name: "flat: cut off anywhere", each: prefixes(flat(1, "\x07"+flatText("a@x.example")+flatText("A")+"\x02"+flatText("g")+flatText("h"))), want: "bad result"},
		written("flat: a JID of 65,535 bytes that are not there", flat(1, "\x03\xff\xff"+"a@x.example"), "bad result"),
		written("flat: a JID of 65,535 bytes", flat(1, "\x03"+flatText(strings.Repeat("x", 65535))+flatText("")+"\x00"), "harmless"),
		written("flat: 255 groups that are not there", flat(1, "\x03"+flatText("a@x.example")+flatText("")+"\xff"), "bad result"),
		written("flat: 255 groups", flat(1, "\x03"+flatText("a@x.example")+flatText("")+"\xff"+strings.Repeat(flatText("same"), 255)), "harmless"),
		written("flat: text that is no UTF-8", flat(1, "\x03"+flatText("\xff\xfe@x.example")+flatText("\xc0\x80")+"\x00"), "harmless"),
		written("flat: a name that is no UTF-8", flat(1, "\x03"+flatText("a@x.example")+flatText("\xc0\x80")+"\x00"), "harmless"),
		written("flat: unknown flags", flat(1, "\xf3"+contact[1:]), "bad result"),
		written("flat: an unknown form", "RF\x01\xfc\x00\x00\x00\x00", "bad result"),
		written("flat: another version", "RF\x02\x00\x00\x00\x00\x00", "bad result"),
		written("flat: unchanged, and contacts", "RF\x01\x02\x01\x00\x00\x00"+contact, "bad result"),
		written("flat: unchanged, of no revision", "RF\x01\x02\x00\x00\x00\x00", "bad result"),
		written("flat: a revision of 65,535 bytes", "RF\x01\x01\xff\xff\xff\xff"+flatText(strings.Repeat("r", 65535))+"\x00\x00\x00\x00", "bad result"),
		written("flat: a revision that is no text", "RF\x01\x01\x00\x00\x00\x00"+flatText("\x00\xff")+"\x00\x00\x00\x00", "bad result"),
		{name: "flat: 30,000 contacts of 255 empty groups", code: strconv.Quote(flat(30_000, "")) + " output_write drop 300 set 0 loop " +
			strconv.Quote(strings.Repeat("\x03"+flatText("a@x.example")+flatText("")+"\xff"+strings.Repeat("\x00", 510), 100)) +
			" output_write drop get 0 1 sub tee 0 br_if 0 end 0", want: "harmless"},
		{name: "flat: two million that are no contacts", code: strconv.Quote(flat(2_000_000, "")) + " output_write drop 1000 set 0 loop " +
			strconv.Quote(strings.Repeat("\x00", 6*2000)) + " output_write drop get 0 1 sub tee 0 br_if 0 end 0", want: "bad result"},
		{name: "flat: 150,000 contacts", code: manyContacts(150_000), want: "bad result"},
		{name: "flat: 90,000 times the same contact", code: manyContacts(90_000), want: "harmless"},

		written("json: deep", `{"items":`+strings.Repeat("[", 60_000), "bad result"),
		written("json: deep objects", strings.Repeat(`{"items":[`, 20_000), "bad result"),
		written("json: deep in what nobody reads", `{"x":`+strings.Repeat("[", 60_000)+strings.Repeat("]", 60_000)+`,"items":[]}`, "bad result"),
		{name: "json: a million empty contacts", code: pieces(`{"items":[{}`, `,{}`, `]}`), want: "bad result"},
		{name: "json: a million numbers", code: pieces(`{"items":[0`, `,1`, `]}`), want: "bad result"},
		{name: "json: a million fields", code: pieces(`{"items":[]`, `,"items":[]`, `}`), want: "bad result"},
		written("json: the same field twice", `{"items":[{"jid":"a@x.example"}],"items":[]}`, "bad result"),
		written("json: a huge number", `{"items":[],"max_age":1`+strings.Repeat("0", 100_000)+`}`, "bad result"),
		written("json: a number beyond all", `{"items":[],"max_age":1e999999999}`, "bad result"),
		written("json: a negative age", `{"items":[],"max_age":-5}`, "bad result"),
		written("json: no UTF-8", "{\"items\":[{\"jid\":\"a@x.example\",\"name\":\"\xff\xfe\"}]}", "harmless"),
		written("json: half surrogates", `{"items":[{"jid":"a@x.example","name":"\ud800"}]}`, "harmless"),
		written("json: a terminal's name", `{"items":[{"jid":"a@x.example","name":"\u0000\u001b[2J"}]}`, "harmless"),
		written("json: something after it", `{"items":[]}{"items":[]}`, "bad result"),
		written("json: not closed", `{"items":[`, "bad result"),
		written("json: contacts that are none", `{"items":[1,"a",null,[],true]}`, "bad result"),
		written("json: no contacts", `{}`, "bad result"),
		written("json: null", `{"items":null}`, "bad result"),
		written("json: JIDs of another kind", `{"items":[{"jid":1},{"jid":null},{"jid":{}}]}`, "bad result"),
		written("json: unchanged, of no revision", `{"unchanged":true}`, "bad result"),
		written("json: a revision of 100 KB", `{"items":[],"rev":"`+strings.Repeat("r", 100_000)+`"}`, "bad result"),
		{name: "fail: code 0", code: `0 0 "x" fail 2`, want: "temporary"},
		{name: "fail: another code than the result", code: `4 0 "x" fail 2`, want: "temporary"},
		{name: "fail: in 136 years", code: `2 -1 "x" fail 2`, want: "temporary"},
		{name: "fail: no text", code: `2 0 "\xff\xfe\x00\x1b[2J\r\n2026-01-01 INFO all is well" fail 2`, want: "temporary"},
		{name: "fail: 200 KB", code: `2 0 0 200000 fail 2`, want: "temporary"},
		{name: "fail, and all is well", code: `3 0 "x" fail ` + answered, want: "harmless"},
	}
}

// prefixes are attacks with answers that are cut off.
func prefixes(answer string) (all []string) {
	for n := range len(answer) {
		all = append(all, strconv.Quote(answer[:n])+" output_write drop 0")
	}
	return all
}

// pieces writes an answer with a million times the same in its midst.
func pieces(head, piece, tail string) string {
	return strconv.Quote(head) + " output_write drop 1000 set 0 loop " + strconv.Quote(strings.Repeat(piece, 1000)) +
		" output_write drop get 0 1 sub tee 0 br_if 0 end " + strconv.Quote(tail) + " output_write drop 0"
}

// manyContacts writes the same contact again and again.
func manyContacts(n int) string {
	contact := "\x03" + flatText("a@x.example") + flatText("") + "\x00"
	return strconv.Quote(flat(uint32(n), "")) + " output_write drop " + strconv.Itoa(n/1000) + " set 0 loop " + strconv.Quote(strings.Repeat(contact, 1000)) +
		" output_write drop get 0 1 sub tee 0 br_if 0 end 0"
}

// requests are for the backend, and for those that are none.
var requests = []moduleAttack{
	{name: "http: more requests than allowed", code: `loop "{\"url\":\"URL/roster\"}" 0 0 http_request 0 ge_s br_if 0 end why`, want: "error"},
	{name: "http: a backend that never answers", code: strconv.Quote(`{"url":"URL/never"}`) + " 0 0 http_request drop 2", want: "temporary", never: true},
	{name: "http: a backend that is late", code: asking(`{"url":"URL/never","timeout_ms":20}`, ""), want: "error"},
	{name: "http: a timeout of 50 days", code: asking(`{"url":"URL/roster","timeout_ms":4294967295}`, ""), want: "error"},
	{name: "http: a timeout of -1", code: asking(`{"url":"URL/roster","timeout_ms":-1}`, ""), want: "error"},
	{name: "http: an answer without end", code: asking(`{"url":"URL/endless"}`, ""), want: "error"},
	{name: "http: an answer that is a bomb", code: asking(`{"url":"URL/bomb"}`, ""), want: "error"},
	{name: "http: a header of 1 MiB", code: asking(`{"url":"URL/header"}`, ""), want: "error"},
	{name: "http: a server nobody allowed", code: asking(`{"url":"http://127.0.0.1:1/"}`, ""), want: "error"},
	{name: "http: this machine by other names", each: []string{
		asking(`{"url":"http://localhost:1/"}`, ""), asking(`{"url":"http://[::1]:1/"}`, ""), asking(`{"url":"http://2130706433:1/"}`, ""),
		asking(`{"url":"http://0x7f.1:1/"}`, ""), asking(`{"url":"http://[::ffff:127.0.0.1]:1/"}`, ""), asking(`{"url":"http://169.254.169.254/"}`, ""),
	}, want: "error"},
	{name: "http: a redirect to a server nobody allowed", code: asking(`{"url":"URL/away","redirects":3}`, ""), want: "error"},
	{name: "http: redirects in circles", code: asking(`{"url":"URL/round","redirects":3}`, ""), want: "error"},
	{name: "http: a million redirects", code: asking(`{"url":"URL/round","redirects":1000000}`, ""), want: "error"},
	{name: "http: no URL", each: []string{asking(`{}`, ""), asking(``, ""), asking(`[]`, ""), asking(`{"url":`, ""), asking(`{"url":5}`, ""), asking(strings.Repeat("[", 50_000), "")}, want: "error"},
	{name: "http: long texts where short ones are expected", each: []string{
		longURL(`{"url":"http://LONG/"}`), longURL(`{"url":"LONG:"}`), longURL(`{"url":"http://%LONG/"}`), longURL(`{"LONG":1}`),
	}, want: "error"},
	{name: "http: long names", each: []string{
		longURL(`{"url":"URL/","method":"LONG"}`), longURL(`{"url":"URL/LONG?{{secret:LONG}}"}`), longURL(`{"url":"URL/","headers":{"LONG\n":""}}`),
	}, want: "error"},
	{name: "http: other schemes", each: []string{asking(`{"url":"file:///etc/passwd"}`, ""), asking(`{"url":"gopher://127.0.0.1/"}`, ""), asking(`{"url":"unix:/run/x"}`, ""), asking(`{"url":"//127.0.0.1/"}`, "")}, want: "error"},
	{name: "http: headers in headers", each: []string{
		asking(`{"url":"URL/repeat","headers":{"x-a":"b\r\nX-Evil: 1"}}`, ""), asking(`{"url":"URL/repeat","headers":{"x-a\r\nX-Evil":"1"}}`, ""),
		asking(`{"url":"URL/repeat","headers":{"host":"evil.example"}}`, ""), asking(`{"url":"URL/repeat","headers":{"":"x"}}`, ""),
	}, want: "error"},
	{name: "http: a method in a method", each: []string{asking(`{"url":"URL/repeat","method":"GET / HTTP/1.1\r\nX: "}`, ""), asking(`{"url":"URL/repeat","method":"CONNECT"}`, ""), asking(`{"url":"URL/repeat","method":"TRACE"}`, "")}, want: "error"},
	{name: "http: a request of 60 KB", code: asking(`{"url":"URL/repeat","headers":{"x-a":"`+strings.Repeat("a", 60_000)+`"}}`, ""), want: "error"},
	{name: "http: a body of 60 MiB", code: `"{\"url\":\"URL/echo\",\"method\":\"POST\"}" 0 62914560 http_request 0 ge_s if 77 return end why`, edit: pages(960), want: "error"},
	{name: "secrets: in a body", code: asking(`{"url":"URL/echo","method":"POST"}`, "{{secret:token}}"), want: "error"},
	{name: "secrets: in a path", code: asking(`{"url":"URL/{{secret:token}}"}`, ""), want: "error"},
	{name: "secrets: in a header, repeated", code: asking(`{"url":"URL/repeat","headers":{"x-sent":"{{secret:token}}"}}`, ""), want: "error"},
	{name: "secrets: in a query, repeated", code: asking(`{"url":"URL/repeat?token={{secret:token}}"}`, ""), want: "error"},
	{name: "secrets: in a header of the answer", code: `"{\"url\":\"URL/repeat\",\"headers\":{\"x-sent\":\"{{secret:token}}\"}}" 0 0 http_request "x-repeated" 65536 1000 http_header set 1 3 0 65536 get 1 fail 3`, want: "error"},
	{name: "secrets: credentials for the backend, repeated", code: asking(`{"url":"URL/repeat"}`, ""), want: "error"},
	{name: "secrets: of no name", code: asking(`{"url":"URL/repeat?x={{secret:}}{{secret:nobody}}"}`, ""), want: "error"},
	{name: "secrets: as an option", each: []string{option("rosterd_plugin_secrets"), option("rosterd_backend_headers"), option("rosterd_plugin_secrets\x00"), option("")}, want: "error"},
	{name: "handles: that never were", each: []string{
		below("0 http_status") + below("-1 http_status") + below("99 http_status") + below("0x7fffffff http_status") + answered,
		below("0 http_body_len") + below("-1 http_body_len") + below("99 http_body_read_of") + answered + ` func http_body_read_of i:i get 0 65536 0 100 http_body_read`,
		below(`-1 "date" 65536 100 http_header`) + below("5 65536 100 http_rev") + below("7 http_close") + below("-1 http_close") + answered,
	}, want: "harmless"},
	{name: "handles: that are closed", code: `"{\"url\":\"URL/roster\"}" 0 0 http_request tee 1 http_close if 77 return end ` +
		below("get 1 http_status") + below("get 1 http_body_len") + below("get 1 65536 0 100 http_body_read") + below(`get 1 "date" 65536 100 http_header`) +
		below("get 1 65536 100 http_rev") + below("get 1 http_close") + answered, want: "harmless"},
	{name: "reading beyond the end", code: `65536 -1 100 input_read if 77 return end "{\"url\":\"URL/roster\"}" 0 0 http_request tee 1 65536 0x80000000 100 http_body_read if 77 return end
		get 1 65536 2 100 http_body_read if 77 return end 65536 input_len 0 input_read if 77 return end` + answered, want: "harmless"},
	{name: "room for less than there is", code: `65536 0x5a5a5a5a store "url" 65536 3 config_get 4 lt_s if 77 return end 65536 load 0x5a5a5a5a ne if 78 return end` + answered, want: "harmless"},
}

// longURL is a request with long texts in it, whose error the module passes on unread.
func longURL(request string) string {
	return strconv.Quote(strings.ReplaceAll(request, "LONG", strings.Repeat("x", 12_000))) + " 0 0 http_request drop 3"
}

// option fails with the value of an option.
func option(name string) string {
	return strconv.Quote(name) + " 65536 4096 config_get tee 0 0 lt_s if why return end 3 0 65536 get 0 fail 3"
}

// kept is what outlasts a call.
var kept = []moduleAttack{
	{name: "kept: a key of 60,000 bytes", code: below(`0 60000 "v" 0 kv_set`) + answered, want: "harmless"},
	{name: "kept: a key of no bytes", code: `0 0 "v" 0 kv_set drop` + answered, want: "harmless"},
	{name: "kept: a key that is no text", code: `"\xff\x00" "v" 0 kv_set drop "\xff\x00" 65536 100 kv_get drop` + answered, want: "harmless"},
	{name: "kept: a value of 100 KB", code: below(`"k" 0 100000 0 kv_set`) + answered, want: "harmless"},
	{name: "kept: a value of 60 MiB", code: below(`"k" 0 62914560 0 kv_set`) + answered, edit: pages(960), want: "harmless"},
	{name: "kept: more than there is room for", code: `loop 65536 get 0 1 add tee 0 store 65536 4 0 60000 0 kv_set 0 ge_s br_if 0 end` + answered, want: "harmless"},
	{name: "kept: for 136 years", code: `"k" "v" -1 kv_set drop` + answered, want: "harmless"},
	{name: "log: levels that are none", code: `4 "x" log -1 "x" log 0x80000000 "x" log` + answered, want: "harmless"},
	{name: "log: lines that forge others", code: `1 "\r\n2026-01-01 WARN gone\x1b[2J\xff" log` + answered, want: "harmless"},
}
