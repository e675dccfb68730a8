// Package module reads WebAssembly modules (core specification 2.0, chapter 5)
// and says what in them rosterd refuses, before anything of them is compiled.
//
// Read takes a module apart: what it returns is in bounds, so that whoever
// looks up an index of it need not check. It does not check the types inside
// function bodies; that is left to whoever compiles them. Verify compares what
// was read with rules, and lists everything that is against them.
//
// Modules come from strangers. No count in one is believed before the bytes
// that it promises are there, and what Read allocates is bounded by the size of
// the module and by ceilings far above what compilers make.
package module

import (
	"fmt"
	"slices"
	"strings"
)

// A ValType is a value type (§5.3.1 to §5.3.4).
type ValType byte

const (
	I32       ValType = 0x7f
	I64       ValType = 0x7e
	F32       ValType = 0x7d
	F64       ValType = 0x7c
	V128      ValType = 0x7b
	FuncRef   ValType = 0x70
	ExternRef ValType = 0x6f
)

func (t ValType) String() string {
	switch t {
	case I32:
		return "i32"
	case I64:
		return "i64"
	case F32:
		return "f32"
	case F64:
		return "f64"
	case V128:
		return "v128"
	case FuncRef:
		return "funcref"
	case ExternRef:
		return "externref"
	}
	return fmt.Sprintf("type 0x%x", byte(t))
}

func (t ValType) valid() bool {
	return t >= V128 && t <= I32 || t.ref()
}

func (t ValType) ref() bool { return t == FuncRef || t == ExternRef }

// A FuncType is what a function takes and gives.
type FuncType struct {
	Params, Results []ValType
}

// Equal says whether both are the same type.
func (t FuncType) Equal(u FuncType) bool {
	return slices.Equal(t.Params, u.Params) && slices.Equal(t.Results, u.Results)
}

// String writes it as "(i32, i32) -> (i64)".
func (t FuncType) String() string {
	return typeList(t.Params) + " -> " + typeList(t.Results)
}

// typeList shows the first types of a long list only: modules may claim many.
func typeList(types []ValType) string {
	const shown = 32
	var names []string
	for i, t := range types {
		if i == shown {
			names = append(names, fmt.Sprintf("… %d in all", len(types)))
			break
		}
		names = append(names, t.String())
	}
	return "(" + strings.Join(names, ", ") + ")"
}

// A Kind says what is imported or exported (§5.5.5).
type Kind byte

const (
	Func   Kind = 0
	Table  Kind = 1
	Memory Kind = 2
	Global Kind = 3
	Tag    Kind = 4 // of exceptions: no part of core 2.0, read so that it can be named
)

func (k Kind) String() string {
	switch k {
	case Func:
		return "function"
	case Table:
		return "table"
	case Memory:
		return "memory"
	case Global:
		return "global"
	case Tag:
		return "exception tag"
	}
	return fmt.Sprintf("kind %d", byte(k))
}

// Limits are those of a table, in elements, or of a memory, in pages of 64 KiB.
// Shared and Is64 belong to proposals beyond core 2.0.
type Limits struct {
	Min, Max uint64
	HasMax   bool
	Shared   bool
	Is64     bool
}

// A TableType is the type of a table.
type TableType struct {
	Elem ValType
	Limits
}

// A GlobalType is the type of a global.
type GlobalType struct {
	Type    ValType
	Mutable bool
}

func (t GlobalType) String() string {
	if t.Mutable {
		return "mutable " + t.Type.String()
	}
	return t.Type.String()
}

// An Import is something that the module needs from outside. Of the types only
// that of its Kind is set.
type Import struct {
	Module, Name string
	Kind         Kind
	Type         uint32 // Func: index in Module.Types
	Table        TableType
	Memory       Limits
	Global       GlobalType
	Offset       int // where it begins in the file
}

// An Export is something that the module offers. Index counts imports first.
type Export struct {
	Name   string
	Kind   Kind
	Index  uint32
	Offset int
}

// A ConstOp is the instruction of a constant expression. Core 2.0 has no way to
// make a value of more than one.
type ConstOp byte

const (
	GlobalGet ConstOp = 0x23 // Index is that of the global
	I32Const  ConstOp = 0x41
	I64Const  ConstOp = 0x42
	F32Const  ConstOp = 0x43
	F64Const  ConstOp = 0x44
	RefNull   ConstOp = 0xd0
	RefFunc   ConstOp = 0xd2 // Index is that of the function
	V128Const ConstOp = 0xfd
)

// An Expr is a constant expression: one instruction, and end.
type Expr struct {
	Op    ConstOp
	Index uint32 // of GlobalGet and RefFunc
	Value int64  // of I32Const and I64Const
	Raw   []byte // with the end
}

// A GlobalDef is a global of the module's own.
type GlobalDef struct {
	GlobalType
	Init Expr
}

// A Mode says what becomes of a segment when the module is instantiated.
type Mode byte

const (
	Active      Mode = iota // copied to its place
	Passive                 // kept for table.init, memory.init
	Declarative             // elements only: makes ref.func lawful
)

// An Element is an element segment. Its items are Funcs or, if the binary has
// them as expressions, Exprs; Flags says in which of the eight forms it is
// written (§5.5.12).
type Element struct {
	Flags  uint32
	Mode   Mode
	Table  uint32
	Place  Expr // of Active
	Type   ValType
	Funcs  []uint32
	Exprs  []Expr
	Offset int
}

// Len is how many items it has.
func (e *Element) Len() int { return len(e.Funcs) + len(e.Exprs) }

// A Data is a data segment.
type Data struct {
	Flags  uint32
	Mode   Mode
	Memory uint32
	Place  Expr // of Active
	Init   []byte
	Offset int
}

// A LocalGroup declares Count locals of a type.
type LocalGroup struct {
	Count uint32
	Type  ValType
}

// A Body is the code of a function of the module's own.
type Body struct {
	Raw    []byte // all of it: the declarations of locals, then Code
	Locals []LocalGroup
	Code   []byte // the instructions, with the last end
	Offset int    // where Code begins in the file
}

// LocalCount is how many locals the body declares, without parameters.
func (b *Body) LocalCount() uint64 {
	var n uint64
	for _, g := range b.Locals {
		n += uint64(g.Count)
	}
	return n
}

// A SectionID names a kind of section (§5.5.2).
type SectionID byte

const (
	CustomSection    SectionID = 0
	TypeSection      SectionID = 1
	ImportSection    SectionID = 2
	FunctionSection  SectionID = 3
	TableSection     SectionID = 4
	MemorySection    SectionID = 5
	GlobalSection    SectionID = 6
	ExportSection    SectionID = 7
	StartSection     SectionID = 8
	ElementSection   SectionID = 9
	CodeSection      SectionID = 10
	DataSection      SectionID = 11
	DataCountSection SectionID = 12
	TagSection       SectionID = 13 // of exceptions: kept, not read
)

var sectionNames = [...]string{"custom", "type", "import", "function", "table", "memory", "global", "export", "start", "element", "code", "data", "data count", "tag"}

func (id SectionID) String() string {
	if int(id) < len(sectionNames) {
		return sectionNames[id]
	}
	return fmt.Sprintf("number %d", byte(id))
}

// A Section is a section as it stands in the file.
type Section struct {
	ID     SectionID
	Name   string // of a custom section
	Data   []byte // all that follows the length
	Rest   []byte // of a custom section: what follows the name
	Offset int    // of Data in the file
}

// A Module is what a binary holds. Its slices of bytes are parts of the binary
// and must not be written to.
type Module struct {
	Size      int
	Sections  []Section // all of them, in the order of the file
	Types     []FuncType
	Imports   []Import
	Functions []uint32 // types of the module's own functions, as many as Code
	Tables    []TableType
	Memories  []Limits
	Globals   []GlobalDef
	Exports   []Export
	Start     uint32
	HasStart  bool
	Elements  []Element
	DataCount uint32
	HasCount  bool // whether there is a data count section
	Code      []Body
	Data      []Data
	Names     Names

	importedFuncs    []uint32 // types
	importedTables   []TableType
	importedMemories []Limits
	importedGlobals  []GlobalType
	importedTags     int
	exported         map[string]int // by name, the place in Exports
}

// ImportedFuncs is how many functions are imported: the index of the module's
// first own one.
func (m *Module) ImportedFuncs() int { return len(m.importedFuncs) }

// ImportedGlobals is how many globals are imported.
func (m *Module) ImportedGlobals() int { return len(m.importedGlobals) }

// FuncCount is how many functions there are, imported ones first.
func (m *Module) FuncCount() int { return len(m.importedFuncs) + len(m.Functions) }

// FuncType is the type of a function, imported or its own. The index must be
// less than FuncCount, as those are that Read has returned.
func (m *Module) FuncType(index uint32) FuncType {
	if n := uint32(len(m.importedFuncs)); index >= n {
		return m.Types[m.Functions[index-n]]
	}
	return m.Types[m.importedFuncs[index]]
}

// Export finds an export by its name.
func (m *Module) Export(name string) (Export, bool) {
	i, ok := m.exported[name]
	if !ok {
		return Export{}, false
	}
	return m.Exports[i], true
}

func (m *Module) tableCount() int  { return len(m.importedTables) + len(m.Tables) }
func (m *Module) memoryCount() int { return len(m.importedMemories) + len(m.Memories) }
func (m *Module) globalCount() int { return len(m.importedGlobals) + len(m.Globals) }

// tableAt, memoryAt and GlobalAt take indices that count imports first.
func (m *Module) tableAt(index uint32) TableType {
	return at(m.importedTables, m.Tables, index)
}

func (m *Module) memoryAt(index uint32) Limits {
	return at(m.importedMemories, m.Memories, index)
}

// GlobalAt is the type of a global, imported or its own.
func (m *Module) GlobalAt(index uint32) GlobalType {
	if n := uint32(len(m.importedGlobals)); index >= n {
		return m.Globals[index-n].GlobalType
	}
	return m.importedGlobals[index]
}

func at[T any](imported, own []T, index uint32) T {
	if n := uint32(len(imported)); index >= n {
		return own[index-n]
	}
	return imported[index]
}
