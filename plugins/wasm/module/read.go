package module

import "strings"

// What Read takes at most of each, so that a small file cannot ask for much
// memory. Rules are stricter.
const (
	ceilingSections = 10_000
	ceilingImports  = 20_000
	ceilingItems    = 100_000   // of types, functions, tables, globals, exports and segments
	ceilingElements = 1_000_000 // of all element segments
	ceilingLocals   = 1_000_000 // groups of them, of all functions
)

var magic = "\x00asm\x01\x00\x00\x00"

// Read takes a module apart. An error is an *Error.
func Read(code []byte) (*Module, error) {
	if len(code) < len(magic) || string(code[:len(magic)]) != magic {
		return nil, &Error{Text: whatElse(code)}
	}
	r := reader{
		cursor: cursor{code: code, pos: len(magic), end: len(code)},
		m:      &Module{Size: len(code)},
	}
	r.sections()
	if r.err != nil {
		return nil, r.err
	}
	r.m.Names = readNames(r.m, code)
	return r.m, nil
}

// whatElse guesses what was given instead of a module.
func whatElse(code []byte) string {
	head := string(code[:min(len(code), len(magic))])
	switch {
	case strings.HasPrefix(head, "\x00asm\x0d\x00\x01\x00"):
		return "it is a WebAssembly component, and rosterd takes core modules"
	case strings.HasPrefix(head, "\x00asm"):
		return "it is WebAssembly of another version than 1"
	case strings.HasPrefix(head, "(module"):
		return "it is WebAssembly as text, and rosterd takes binary modules"
	}
	return "it is no WebAssembly module"
}

type reader struct {
	cursor
	m        *Module
	elements int // items of element segments so far
	groups   int // groups of locals so far
}

// order is the place of a section among the others: data count comes before
// code, though its number is higher (§5.5.2), and tags before globals.
func (id SectionID) order() int {
	switch id {
	case DataCountSection:
		return 2*int(CodeSection) - 1
	case TagSection:
		return 2*int(GlobalSection) - 1
	}
	return 2 * int(id)
}

func (r *reader) sections() {
	last := CustomSection
	for r.remaining() > 0 {
		at := r.pos
		id := SectionID(r.byte())
		size := r.count(1, len(r.code), "bytes of a section")
		s := r.part(size)
		switch {
		case r.err != nil:
			return
		case id > TagSection:
			r.failAt(at, "there is no section number %d", byte(id))
			return
		case id != CustomSection && id.order() <= last.order():
			r.failAt(at, "the %s section is there twice, or after the %s section", id, last)
			return
		case len(r.m.Sections) == ceilingSections:
			r.failAt(at, "there are more than %d sections", ceilingSections)
			return
		}
		if id != CustomSection {
			last = id
		}
		r.section(id, s)
	}
	if r.err != nil {
		return
	}
	if len(r.m.Functions) != len(r.m.Code) {
		r.failAt(r.pos, "it declares %d functions and has the code of %d", len(r.m.Functions), len(r.m.Code))
	}
	if r.m.HasCount && int64(r.m.DataCount) != int64(len(r.m.Data)) {
		r.failAt(r.pos, "it declares %d data segments and has %d", r.m.DataCount, len(r.m.Data))
	}
}

// section reads one with a cursor of its own, so that nothing reads beyond.
func (r *reader) section(id SectionID, s cursor) {
	sec := Section{ID: id, Data: r.code[s.pos:s.end:s.end], Offset: s.pos}
	outer := r.cursor
	r.cursor = s
	switch id {
	case CustomSection:
		sec.Name = r.name()
		sec.Rest = r.bytes(r.remaining())
	case TypeSection:
		r.types()
	case ImportSection:
		r.imports()
	case FunctionSection:
		r.functions()
	case TableSection:
		r.tables()
	case MemorySection:
		r.memories()
	case GlobalSection:
		r.globals()
	case ExportSection:
		r.exports()
	case StartSection:
		r.m.Start, r.m.HasStart = r.index(r.m.FuncCount(), "function"), true
	case ElementSection:
		r.elementSegments()
	case CodeSection:
		r.bodies()
	case DataSection:
		r.dataSegments()
	case DataCountSection:
		r.m.DataCount, r.m.HasCount = r.u32(), true
	case TagSection:
		r.bytes(r.remaining())
	}
	r.done("the " + id.String() + " section")
	if r.err != nil {
		return
	}
	r.cursor = outer
	r.m.Sections = append(r.m.Sections, sec)
}

func (r *reader) types() {
	n := r.count(3, ceilingItems, "types")
	r.m.Types = make([]FuncType, n)
	// One slice for all, as there cannot be more types of values than bytes.
	pool := make([]ValType, 0, r.remaining())
	for i := range r.m.Types {
		at := r.pos
		if form := r.byte(); form != 0x60 && r.err == nil {
			r.failAt(at, "type %d is not that of a function", i)
		}
		t := &r.m.Types[i]
		t.Params, pool = r.valTypes(pool, "parameters")
		t.Results, pool = r.valTypes(pool, "results")
		if r.err != nil {
			return
		}
	}
}

func (r *reader) valTypes(pool []ValType, what string) (list, rest []ValType) {
	start := len(pool)
	for range r.count(1, len(r.code), what) {
		pool = append(pool, r.valType())
	}
	return pool[start:len(pool):len(pool)], pool
}

func (r *reader) valType() ValType {
	at := r.pos
	t := ValType(r.byte())
	if r.err == nil && !t.valid() {
		r.failAt(at, "there is no value type 0x%x", byte(t))
	}
	return t
}

func (r *reader) refType() ValType {
	at := r.pos
	t := r.valType()
	if r.err == nil && !t.ref() {
		r.failAt(at, "%s is no type of references", t)
	}
	return t
}

func (r *reader) imports() {
	n := r.count(4, ceilingImports, "imports")
	r.m.Imports = make([]Import, n)
	for i := range r.m.Imports {
		r.m.Imports[i] = r.importOne()
		if r.err != nil {
			return
		}
	}
}

func (r *reader) importOne() Import {
	i := Import{Offset: r.pos}
	i.Module, i.Name = r.name(), r.name()
	at := r.pos
	switch i.Kind = Kind(r.byte()); i.Kind {
	case Func:
		i.Type = r.index(len(r.m.Types), "type")
		r.m.importedFuncs = append(r.m.importedFuncs, i.Type)
	case Table:
		i.Table = r.tableType()
		r.m.importedTables = append(r.m.importedTables, i.Table)
	case Memory:
		i.Memory = r.limits(32)
		r.m.importedMemories = append(r.m.importedMemories, i.Memory)
	case Global:
		i.Global = r.globalType()
		r.m.importedGlobals = append(r.m.importedGlobals, i.Global)
	case Tag:
		r.byte()
		r.index(len(r.m.Types), "type")
		r.m.importedTags++
	default:
		r.failAt(at, "an import of kind %d", byte(i.Kind))
	}
	return i
}

// limits reads those of a table or memory whose sizes have so many bits, unless
// they say that they have 64. Flags beyond core 2.0 are read and not refused:
// that is left to rules, which can name them.
func (r *reader) limits(bits uint) Limits {
	at := r.pos
	flags := r.byte()
	if flags > 7 {
		r.failAt(at, "there are no limits with flags 0x%x", flags)
		return Limits{}
	}
	l := Limits{HasMax: flags&1 != 0, Shared: flags&2 != 0, Is64: flags&4 != 0}
	if l.Is64 {
		bits = 64
	}
	l.Min = r.unsigned(bits)
	if l.HasMax {
		l.Max = r.unsigned(bits)
		if l.Max < l.Min {
			r.failAt(at, "the maximum %d is less than the minimum %d", l.Max, l.Min)
		}
	}
	return l
}

func (r *reader) tableType() TableType {
	return TableType{Elem: r.refType(), Limits: r.limits(32)}
}

func (r *reader) globalType() GlobalType {
	t := r.valType()
	at := r.pos
	mutable := r.byte()
	if mutable > 1 {
		r.failAt(at, "a global is mutable (1) or not (0), and this is %d", mutable)
	}
	return GlobalType{Type: t, Mutable: mutable == 1}
}

func (r *reader) functions() {
	n := r.count(1, ceilingItems, "functions")
	r.m.Functions = make([]uint32, n)
	for i := range r.m.Functions {
		r.m.Functions[i] = r.index(len(r.m.Types), "type")
	}
}

func (r *reader) tables() {
	n := r.count(3, ceilingItems, "tables")
	r.m.Tables = make([]TableType, n)
	for i := range r.m.Tables {
		r.m.Tables[i] = r.tableType()
	}
}

func (r *reader) memories() {
	n := r.count(2, ceilingItems, "memories")
	r.m.Memories = make([]Limits, n)
	for i := range r.m.Memories {
		r.m.Memories[i] = r.limits(32)
	}
}

func (r *reader) globals() {
	n := r.count(4, ceilingItems, "globals")
	r.m.Globals = make([]GlobalDef, 0, n)
	for range n {
		g := GlobalDef{GlobalType: r.globalType()}
		g.Init = r.expr(g.Type)
		if r.err != nil {
			return
		}
		r.m.Globals = append(r.m.Globals, g)
	}
}

// expr reads a constant expression that gives a value of type want (§3.3.10,
// §5.4.9).
func (r *reader) expr(want ValType) Expr {
	at := r.pos
	e := Expr{Op: ConstOp(r.byte())}
	got := want
	switch e.Op {
	case GlobalGet:
		// Those of its own come later, and only imports may be used.
		e.Index = r.index(len(r.m.importedGlobals), "imported global")
		if r.err == nil {
			got = r.m.importedGlobals[e.Index].Type
			if r.m.importedGlobals[e.Index].Mutable {
				r.failAt(at, "a constant expression takes a global that can change")
			}
		}
	case I32Const:
		e.Value, got = r.signed(32), I32
	case I64Const:
		e.Value, got = r.signed(64), I64
	case F32Const:
		r.bytes(4)
		got = F32
	case F64Const:
		r.bytes(8)
		got = F64
	case RefNull:
		got = r.refType()
	case RefFunc:
		e.Index, got = r.index(r.m.FuncCount(), "function"), FuncRef
	case V128Const:
		if sub := r.u32(); sub != 12 {
			r.failAt(at, "vector instruction %d is not constant", sub)
		}
		r.bytes(16)
		got = V128
	default:
		r.failAt(at, "instruction 0x%x is not constant", byte(e.Op))
	}
	if end := r.byte(); end != 0x0b && r.err == nil {
		r.failAt(at, "a constant expression has more than one instruction")
	}
	if r.err != nil {
		return Expr{}
	}
	if got != want {
		r.failAt(at, "a constant expression gives %s where %s is wanted", got, want)
	}
	e.Raw = r.code[at:r.pos:r.pos]
	return e
}

func (r *reader) exports() {
	n := r.count(3, ceilingItems, "exports")
	r.m.Exports = make([]Export, 0, n)
	r.m.exported = make(map[string]int, n)
	for i := range n {
		e := r.export()
		if _, twice := r.m.exported[e.Name]; twice {
			r.failAt(e.Offset, "two exports have the name %s", quote(e.Name))
		}
		if r.err != nil {
			return
		}
		r.m.exported[e.Name] = i
		r.m.Exports = append(r.m.Exports, e)
	}
}

func (r *reader) export() Export {
	e := Export{Offset: r.pos}
	e.Name = r.name()
	at := r.pos
	switch e.Kind = Kind(r.byte()); e.Kind {
	case Func:
		e.Index = r.index(r.m.FuncCount(), "function")
	case Table:
		e.Index = r.index(r.m.tableCount(), "table")
	case Memory:
		e.Index = r.index(r.m.memoryCount(), "memory")
	case Global:
		e.Index = r.index(r.m.globalCount(), "global")
	case Tag:
		e.Index = r.u32() // of a section that is not read
	default:
		r.failAt(at, "an export of kind %d", byte(e.Kind))
	}
	return e
}

func (r *reader) elementSegments() {
	n := r.count(3, ceilingItems, "element segments")
	r.m.Elements = make([]Element, 0, n)
	for range n {
		e := r.elementSegment()
		if r.err != nil {
			return
		}
		r.m.Elements = append(r.m.Elements, e)
	}
}

// The bits of Element.Flags (§5.5.12).
const (
	elementNotActive = 1 << 0
	elementExplicit  = 1 << 1 // names its table; or, if not active: is declarative
	elementExprs     = 1 << 2
)

func (r *reader) elementSegment() Element {
	e := Element{Offset: r.pos, Type: FuncRef}
	e.Flags = r.u32()
	switch {
	case e.Flags > 7:
		r.failAt(e.Offset, "there is no form %d of element segments", e.Flags)
		return e
	case e.Flags&elementNotActive == 0:
		at := r.pos
		if e.Flags&elementExplicit != 0 {
			e.Table = r.u32()
		}
		if int64(e.Table) >= int64(r.m.tableCount()) {
			r.failAt(at, "elements are put into table %d, and there are %d", e.Table, r.m.tableCount())
			return e
		}
		e.Place = r.expr(I32)
	case e.Flags&elementExplicit == 0:
		e.Mode = Passive
	default:
		e.Mode = Declarative
	}
	if e.Flags&(elementNotActive|elementExplicit) != 0 {
		e.Type = r.elementType(e.Flags&elementExprs != 0)
	}
	if e.Mode == Active && r.err == nil && r.m.tableAt(e.Table).Elem != e.Type {
		r.failAt(e.Offset, "elements of type %s are put into a table of %s", e.Type, r.m.tableAt(e.Table).Elem)
	}
	r.elementItems(&e)
	return e
}

// elementType reads a type of references before expressions, and before indices
// the one kind that there is.
func (r *reader) elementType(exprs bool) ValType {
	if exprs {
		return r.refType()
	}
	at := r.pos
	if kind := r.byte(); kind != 0 {
		r.failAt(at, "there is no kind 0x%x of elements", kind)
	}
	return FuncRef
}

func (r *reader) elementItems(e *Element) {
	if e.Flags&elementExprs != 0 {
		n := r.count(3, ceilingElements-r.elements, "elements")
		e.Exprs = make([]Expr, n)
		for i := range e.Exprs {
			e.Exprs[i] = r.expr(e.Type)
		}
	} else {
		n := r.count(1, ceilingElements-r.elements, "elements")
		e.Funcs = make([]uint32, n)
		for i := range e.Funcs {
			e.Funcs[i] = r.index(r.m.FuncCount(), "function")
		}
	}
	r.elements += e.Len()
}

func (r *reader) bodies() {
	n := r.count(3, ceilingItems, "function bodies")
	r.m.Code = make([]Body, 0, n)
	// One slice for all groups of locals: most functions have a few.
	var pool []LocalGroup
	for range n {
		b := r.part(r.count(1, len(r.code), "bytes of a function body"))
		outer := r.cursor
		r.cursor = b
		var body Body
		body, pool = r.body(pool)
		if r.err != nil {
			return
		}
		r.cursor = outer
		r.m.Code = append(r.m.Code, body)
	}
}

func (r *reader) body(pool []LocalGroup) (Body, []LocalGroup) {
	b := Body{Raw: r.code[r.pos:r.end:r.end]}
	n := r.count(2, ceilingLocals-r.groups, "groups of locals")
	r.groups += n
	start := len(pool)
	for range n {
		pool = append(pool, LocalGroup{Count: r.u32(), Type: r.valType()})
	}
	b.Locals = pool[start:len(pool):len(pool)]
	b.Offset = r.pos
	b.Code = r.bytes(r.remaining())
	if len(b.Code) == 0 || b.Code[len(b.Code)-1] != 0x0b {
		r.failAt(r.pos, "the code of a function does not end with end")
	}
	return b, pool
}

func (r *reader) dataSegments() {
	n := r.count(2, ceilingItems, "data segments")
	r.m.Data = make([]Data, 0, n)
	for range n {
		d := r.dataSegment()
		if r.err != nil {
			return
		}
		r.m.Data = append(r.m.Data, d)
	}
}

// dataSegment reads one of the three forms (§5.5.14).
func (r *reader) dataSegment() Data {
	d := Data{Offset: r.pos}
	d.Flags = r.u32()
	switch d.Flags {
	case 1:
		d.Mode = Passive
	case 0, 2:
		at := r.pos
		if d.Flags == 2 {
			d.Memory = r.u32()
		}
		if int64(d.Memory) >= int64(r.m.memoryCount()) {
			r.failAt(at, "data are put into memory %d, and there are %d", d.Memory, r.m.memoryCount())
			return d
		}
		want := I32
		if r.m.memoryAt(d.Memory).Is64 {
			want = I64
		}
		d.Place = r.expr(want)
	default:
		r.failAt(d.Offset, "there is no form %d of data segments", d.Flags)
	}
	d.Init = r.bytes(r.count(1, len(r.code), "bytes of data"))
	return d
}
