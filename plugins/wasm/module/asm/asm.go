// Package asm writes WebAssembly modules, for tests: also such as no compiler
// makes. Nothing is checked. What is wrong in what is given is wrong in the
// module.
//
//	var m asm.Module
//	now := m.Import("rosterd_v1", "now_ms", ":l")
//	f := m.Func("i:i", "ll", asm.Code{}.Call(now).LocalSet(1).LocalGet(0))
//	m.Memory(1, 16)
//	m.Export("rosterd_fetch", f)
//	code := m.Bytes()
//
// Types are written as letters: i, l, f, d for i32, i64, f32, f64; v for v128; r
// and x for funcref and externref. Those of functions have a colon between
// parameters and results.
package asm

import (
	"encoding/binary"
	"fmt"
	"math"
	"strings"
)

// A Module is a module in the making. The zero value is an empty one. Functions
// are imported before others are added, as that is how they are numbered.
type Module struct {
	types     vector
	typeIndex map[string]uint32
	imports   vector
	imported  uint32 // functions
	functions vector
	tables    vector
	memories  vector
	globals   vector
	exports   vector
	start     []byte
	elements  vector
	dataCount []byte
	code      vector
	data      vector
	customs   []byte // whole sections, behind all others
	raw       map[byte][]byte
}

// A vector is a number of items, one after the other.
type vector struct {
	n     uint32
	bytes []byte
}

func (v *vector) add(item ...byte) uint32 {
	v.bytes = append(v.bytes, item...)
	v.n++
	return v.n - 1
}

var letters = map[rune]byte{'i': 0x7f, 'l': 0x7e, 'f': 0x7d, 'd': 0x7c, 'v': 0x7b, 'r': 0x70, 'x': 0x6f}

func valType(letter rune) byte {
	t, ok := letters[letter]
	if !ok {
		panic(fmt.Sprintf("asm: no type %q", letter))
	}
	return t
}

func valTypes(list string) []byte {
	b := Uint(uint64(len(list)))
	for _, c := range list {
		b = append(b, valType(c))
	}
	return b
}

// Type is the index of a function type, which is added at its first use.
func (m *Module) Type(sig string) uint32 {
	if i, ok := m.typeIndex[sig]; ok {
		return i
	}
	params, results, ok := strings.Cut(sig, ":")
	if !ok {
		panic(fmt.Sprintf("asm: no colon in type %q", sig))
	}
	if m.typeIndex == nil {
		m.typeIndex = map[string]uint32{}
	}
	i := m.types.add(append(append([]byte{0x60}, valTypes(params)...), valTypes(results)...)...)
	m.typeIndex[sig] = i
	return i
}

// Import imports a function, and is its index.
func (m *Module) Import(module, name, sig string) uint32 {
	m.importItem(module, name, append([]byte{0}, Uint(uint64(m.Type(sig)))...))
	m.imported++
	return m.imported - 1
}

// ImportMemory imports a memory of so many pages or more.
func (m *Module) ImportMemory(module, name string, pages uint32) {
	m.importItem(module, name, append([]byte{2, 0}, Uint(uint64(pages))...))
}

// ImportTable imports a table of functions.
func (m *Module) ImportTable(module, name string, size uint32) {
	m.importItem(module, name, append([]byte{1, 0x70, 0}, Uint(uint64(size))...))
}

// ImportGlobal imports a global.
func (m *Module) ImportGlobal(module, name string, letter rune, mutable bool) {
	m.importItem(module, name, []byte{3, valType(letter), bit(mutable)})
}

func (m *Module) importItem(module, name string, desc []byte) {
	m.imports.add(append(append(Name(module), Name(name)...), desc...)...)
}

// Func adds a function, and is its index. Its last end is added.
func (m *Module) Func(sig, locals string, code Code) uint32 {
	groups := Uint(uint64(len(locals)))
	for _, c := range locals {
		groups = append(groups, 1, valType(c))
	}
	return m.FuncRaw(sig, append(groups, code.End()...))
}

// FuncRaw adds a function whose body is given with its declarations of locals
// and its last end.
func (m *Module) FuncRaw(sig string, body []byte) uint32 {
	m.functions.add(Uint(uint64(m.Type(sig)))...)
	return m.imported + m.code.add(append(Uint(uint64(len(body))), body...)...)
}

// Locals declares n locals of a type, for FuncRaw.
func Locals(n uint32, letter rune) []byte {
	return append(append([]byte{1}, Uint(uint64(n))...), valType(letter))
}

// Memory adds a memory, with at most one maximum.
func (m *Module) Memory(min uint32, max ...uint32) { m.memories.add(limits(min, max)...) }

// Table adds a table of functions.
func (m *Module) Table(min uint32, max ...uint32) {
	m.tables.add(append([]byte{0x70}, limits(min, max)...)...)
}

func limits(min uint32, max []uint32) []byte {
	b := append([]byte{byte(len(max))}, Uint(uint64(min))...)
	for _, n := range max {
		b = append(b, Uint(uint64(n))...)
	}
	return b
}

// Global adds a global, and is its index among the module's own. Init is one
// instruction.
func (m *Module) Global(letter rune, mutable bool, init Code) uint32 {
	return m.globals.add(append([]byte{valType(letter), bit(mutable)}, init.End()...)...)
}

// Export exports a function, ExportMemory the memory, ExportItem anything.
func (m *Module) Export(name string, f uint32)    { m.ExportItem(name, 0, f) }
func (m *Module) ExportMemory(name string)        { m.ExportItem(name, 2, 0) }
func (m *Module) ExportGlobal(n string, i uint32) { m.ExportItem(n, 3, i) }

// ExportItem exports an item of a kind: 0 function, 1 table, 2 memory, 3 global.
func (m *Module) ExportItem(name string, kind byte, index uint32) {
	m.exports.add(append(append(Name(name), kind), Uint(uint64(index))...)...)
}

// Start names the function that instantiation calls.
func (m *Module) Start(f uint32) { m.start = Uint(uint64(f)) }

// Elements puts functions into the first table.
func (m *Module) Elements(at int32, funcs ...uint32) {
	b := append([]byte{0}, Code{}.I32(at).End()...)
	b = append(b, Uint(uint64(len(funcs)))...)
	for _, f := range funcs {
		b = append(b, Uint(uint64(f))...)
	}
	m.elements.add(b...)
}

// ElementsRaw adds an element segment as it is given.
func (m *Module) ElementsRaw(segment []byte) { m.elements.add(segment...) }

// Data puts bytes into the memory, PassiveData keeps them for memory.init.
func (m *Module) Data(at int32, bytes []byte) {
	m.data.add(append(append([]byte{0}, Code{}.I32(at).End()...), blob(bytes)...)...)
}

// PassiveData is the index of the segment.
func (m *Module) PassiveData(bytes []byte) uint32 {
	return m.data.add(append([]byte{1}, blob(bytes)...)...)
}

// DataRaw adds a data segment as it is given.
func (m *Module) DataRaw(segment []byte) { m.data.add(segment...) }

// DataCount adds the section that memory.init needs.
func (m *Module) DataCount() { m.dataCount = Uint(uint64(m.data.n)) }

// Custom adds a custom section behind all others.
func (m *Module) Custom(name string, data []byte) {
	m.customs = append(m.customs, Section(0, append(Name(name), data...))...)
}

// FuncNames adds a name section that names functions, the first ones first.
func (m *Module) FuncNames(names ...string) {
	b := Uint(uint64(len(names)))
	for i, n := range names {
		b = append(append(b, Uint(uint64(i))...), Name(n)...)
	}
	m.Custom("name", Section(1, b))
}

// Raw replaces what a section holds, or adds the section.
func (m *Module) Raw(id byte, data []byte) {
	if m.raw == nil {
		m.raw = map[byte][]byte{}
	}
	m.raw[id] = data
}

// Bytes is the module.
func (m *Module) Bytes() []byte {
	b := []byte("\x00asm\x01\x00\x00\x00")
	for _, s := range []struct {
		id   byte
		data []byte
	}{
		{1, m.types.section()}, {2, m.imports.section()}, {3, m.functions.section()}, {4, m.tables.section()},
		{5, m.memories.section()}, {13, nil}, {6, m.globals.section()}, {7, m.exports.section()}, {8, m.start},
		{9, m.elements.section()}, {12, m.dataCount}, {10, m.code.section()}, {11, m.data.section()},
	} {
		if raw, ok := m.raw[s.id]; ok {
			s.data = raw
		}
		if s.data != nil {
			b = append(b, Section(s.id, s.data)...)
		}
	}
	return append(b, m.customs...)
}

func (v *vector) section() []byte {
	if v.n == 0 {
		return nil
	}
	return append(Uint(uint64(v.n)), v.bytes...)
}

// Section is a section, or a subsection of names: number, length, data.
func Section(id byte, data []byte) []byte { return append([]byte{id}, blob(data)...) }

// Name is a name: length, bytes.
func Name(s string) []byte { return blob([]byte(s)) }

func blob(b []byte) []byte { return append(Uint(uint64(len(b))), b...) }

// Uint is an unsigned number in LEB128.
func Uint(v uint64) []byte { return binary.AppendUvarint(nil, v) }

// Int is a signed number in LEB128.
func Int(v int64) []byte {
	var b []byte
	for {
		low := byte(v & 0x7f)
		v >>= 7
		if v == 0 && low&0x40 == 0 || v == -1 && low&0x40 != 0 {
			return append(b, low)
		}
		b = append(b, low|0x80)
	}
}

func bit(b bool) byte {
	if b {
		return 1
	}
	return 0
}

// Code is a number of instructions. Its methods return it with one more.
type Code []byte

// Op adds an instruction as bytes.
func (c Code) Op(bytes ...byte) Code { return append(c, bytes...) }

// Indexed adds an instruction with numbers behind it.
func (c Code) Indexed(op byte, numbers ...uint32) Code {
	c = append(c, op)
	for _, n := range numbers {
		c = append(c, Uint(uint64(n))...)
	}
	return c
}

// Add adds other code; Repeat adds it n times.
func (c Code) Add(code Code) Code { return append(c, code...) }

// Repeat adds code n times.
func (c Code) Repeat(n int, code Code) Code {
	for range n {
		c = append(c, code...)
	}
	return c
}

// Block, Loop and If open blocks without parameters and results, End closes
// them.
func (c Code) Block() Code { return c.Op(0x02, 0x40) }
func (c Code) Loop() Code  { return c.Op(0x03, 0x40) }
func (c Code) If() Code    { return c.Op(0x04, 0x40) }
func (c Code) Else() Code  { return c.Op(0x05) }
func (c Code) End() Code   { return c.Op(0x0b) }

// BlockOf, LoopOf and IfOf open blocks whose type has an index.
func (c Code) BlockOf(t uint32) Code { return c.Op(0x02).Op(Int(int64(t))...) }
func (c Code) LoopOf(t uint32) Code  { return c.Op(0x03).Op(Int(int64(t))...) }
func (c Code) IfOf(t uint32) Code    { return c.Op(0x04).Op(Int(int64(t))...) }

func (c Code) Br(label uint32) Code   { return c.Indexed(0x0c, label) }
func (c Code) BrIf(label uint32) Code { return c.Indexed(0x0d, label) }

// BrTable branches to one of labels, or else to the last.
func (c Code) BrTable(labels []uint32, last uint32) Code {
	return c.Indexed(0x0e, append(append([]uint32{uint32(len(labels))}, labels...), last)...)
}

func (c Code) Unreachable() Code           { return c.Op(0x00) }
func (c Code) Return() Code                { return c.Op(0x0f) }
func (c Code) Call(f uint32) Code          { return c.Indexed(0x10, f) }
func (c Code) CallIndirect(t uint32) Code  { return c.Indexed(0x11, t, 0) }
func (c Code) Drop() Code                  { return c.Op(0x1a) }
func (c Code) LocalGet(i uint32) Code      { return c.Indexed(0x20, i) }
func (c Code) LocalSet(i uint32) Code      { return c.Indexed(0x21, i) }
func (c Code) LocalTee(i uint32) Code      { return c.Indexed(0x22, i) }
func (c Code) GlobalGet(i uint32) Code     { return c.Indexed(0x23, i) }
func (c Code) GlobalSet(i uint32) Code     { return c.Indexed(0x24, i) }
func (c Code) I32(v int32) Code            { return c.Op(0x41).Op(Int(int64(v))...) }
func (c Code) I64(v int64) Code            { return c.Op(0x42).Op(Int(v)...) }
func (c Code) I32Add() Code                { return c.Op(0x6a) }
func (c Code) I32Load(offset uint32) Code  { return c.Indexed(0x28, 0, offset) }
func (c Code) I32Store(offset uint32) Code { return c.Indexed(0x36, 0, offset) }
func (c Code) MemoryGrow() Code            { return c.Op(0x40, 0) }
func (c Code) MemoryFill() Code            { return c.Op(0xfc, 11, 0) }
func (c Code) MemoryCopy() Code            { return c.Op(0xfc, 10, 0, 0) }
func (c Code) TableGrow() Code             { return c.Op(0xfc, 15, 0) }
func (c Code) RefFunc(f uint32) Code       { return c.Indexed(0xd2, f) }
func (c Code) RefNull() Code               { return c.Op(0xd0, 0x70) }

// F64 adds a constant.
func (c Code) F64(v float64) Code {
	return binary.LittleEndian.AppendUint64(c.Op(0x44), math.Float64bits(v))
}
