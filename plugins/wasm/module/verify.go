package module

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Rules say what a module may import and must export. What else is refused is
// the same for all: the bounds below, and what is not core 2.0.
type Rules struct {
	Imports   map[string]map[string]FuncType // by module and name: all that there is
	Reserved  []string                       // modules that nobody may import from, and names that nobody may export
	Memory    string                         // under which the memory must be exported; "" if it need not
	Pages     uint64                         // which the memory may begin with, of 64 KiB
	Exports   map[string]FuncType            // functions that are called, if they are there
	Required  []string                       // exports that must be there
	OneOf     [][]string                     // groups of exports of which one must be there
	AtMostOne [][]string                     // groups of exports of which no two may be there
}

// Bounds of what is taken. They are far above what compilers make of plugins,
// and below what would make instantiating or compiling one a burden.
const (
	MaxSize       = 8 << 20
	MaxSections   = 1_000
	MaxTypes      = 5_000
	MaxTypeValues = 50_000 // parameters and results of all types
	MaxParams     = 1_000  // of a type
	MaxResults    = 1_000
	MaxImports    = 1_000
	MaxFunctions  = 50_000
	MaxGlobals    = 10_000
	MaxExports    = 10_000
	MaxTables     = 100
	MaxElements   = 65_536 // room in tables, and items of element segments
	MaxSegments   = 100_000
	MaxBody       = 512 << 10
	MaxLocals     = 1_000     // of a function
	MaxAllLocals  = 1_000_000 // of all functions
	MaxLocalNames = 100_000
)

// A Problem is something that rosterd refuses.
type Problem struct {
	Text   string
	Offset int // in the file; 0 if it is about no place
}

func (p Problem) String() string {
	if p.Offset == 0 {
		return p.Text
	}
	return fmt.Sprintf("%s, at byte 0x%x", p.Text, p.Offset)
}

// mostProblems is how many are listed. A module can have a million.
const mostProblems = 100

// Verify lists all that is wrong with a module, imports first. Without problems
// it may still be invalid, which whoever compiles it finds out, at a cost that
// is bounded.
func Verify(m *Module, r Rules) []Problem {
	v := verifier{m: m, r: r}
	v.imports()
	v.exports()
	v.features()
	v.memory()
	v.sizes()
	v.start()
	v.functions()
	if v.more > 0 {
		v.problems = append(v.problems, Problem{Text: fmt.Sprintf("and %d more", v.more)})
	}
	return v.problems
}

type verifier struct {
	m        *Module
	r        Rules
	problems []Problem
	more     int
}

func (v *verifier) say(offset int, format string, args ...any) {
	if len(v.problems) >= mostProblems {
		v.more++
		return
	}
	v.problems = append(v.problems, Problem{Offset: offset, Text: fmt.Sprintf(format, args...)})
}

func (v *verifier) imports() {
	for i := range v.m.Imports {
		v.importOne(&v.m.Imports[i])
	}
}

func (v *verifier) importOne(i *Import) {
	name := quote(i.Module) + "." + quote(i.Name)
	if slices.Contains(v.r.Reserved, i.Module) {
		v.say(i.Offset, "imports %s, a name that rosterd keeps for itself", name)
		return
	}
	if i.Kind != Func {
		v.say(i.Offset, "needs the %s %s, and rosterd gives functions only", i.Kind, name)
		return
	}
	want, known := v.r.Imports[i.Module][i.Name]
	if !known {
		v.say(i.Offset, "needs %s, which rosterd does not have", name)
	} else if got := v.m.Types[i.Type]; !got.Equal(want) {
		v.say(i.Offset, "imports %s as %s, and it is %s", name, got, want)
	}
}

func (v *verifier) exports() {
	for _, e := range v.m.Exports {
		if slices.Contains(v.r.Reserved, e.Name) {
			v.say(e.Offset, "exports %s, a name that rosterd keeps for itself", quote(e.Name))
		}
	}
	if v.r.Memory != "" {
		v.exported(v.r.Memory, Memory)
	}
	for _, name := range v.r.Required {
		v.exported(name, Func)
	}
	for _, group := range v.r.OneOf {
		if len(v.present(group)) == 0 {
			v.say(0, "exports none of %s", strings.Join(group, ", "))
		}
	}
	for _, group := range v.r.AtMostOne {
		if has := v.present(group); len(has) > 1 {
			v.say(0, "exports %s, and there may be only one of them", strings.Join(has, " and "))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(v.r.Exports)) {
		v.exportType(name, v.r.Exports[name])
	}
}

// exported says what is wrong if there is no such export, or if it is not what
// it should be and no type tells.
func (v *verifier) exported(name string, kind Kind) {
	e, ok := v.m.Export(name)
	_, typed := v.r.Exports[name]
	switch {
	case !ok && kind == Memory:
		v.say(0, "does not export a memory under the name %s", name)
	case !ok:
		v.say(0, "does not export the %s %s", kind, name)
	case e.Kind != kind && !typed:
		v.say(e.Offset, "exports %s as a %s, and it must be a %s", name, e.Kind, kind)
	}
}

func (v *verifier) present(group []string) []string {
	var has []string
	for _, name := range group {
		if _, ok := v.m.Export(name); ok {
			has = append(has, name)
		}
	}
	return has
}

func (v *verifier) exportType(name string, want FuncType) {
	e, ok := v.m.Export(name)
	if !ok {
		return
	}
	if e.Kind != Func {
		v.say(e.Offset, "exports %s as a %s, and it must be a function %s", name, e.Kind, want)
	} else if got := v.m.FuncType(e.Index); !got.Equal(want) {
		v.say(e.Offset, "exports %s as %s, and it must be %s", name, got, want)
	}
}

// features names what core 2.0 does not have.
func (v *verifier) features() {
	if n := v.m.memoryCount(); n > 1 {
		v.say(0, "has %d memories, and may have one", n)
	}
	for i, l := range v.m.Memories {
		v.limits(fmt.Sprintf("memory %d", i+len(v.m.importedMemories)), l)
	}
	for i, t := range v.m.Tables {
		v.limits(fmt.Sprintf("table %d", i+len(v.m.importedTables)), t.Limits)
	}
	for _, s := range v.m.Sections {
		if s.ID == TagSection {
			v.say(s.Offset, "uses exceptions, which are not part of core 2.0")
		}
	}
}

func (v *verifier) limits(what string, l Limits) {
	if l.Shared {
		v.say(0, "%s is shared between threads, which are not part of core 2.0", what)
	}
	if l.Is64 {
		v.say(0, "%s has 64-bit addresses, which are not part of core 2.0", what)
	}
}

func (v *verifier) memory() {
	for _, l := range v.m.Memories {
		if l.Min > v.r.Pages {
			v.say(0, "its memory begins with %d KiB, and it may have %d KiB", kib(l.Min), kib(v.r.Pages))
		}
	}
}

func kib(pages uint64) uint64 { return min(pages, 1<<48) * 64 }

// sizes compares what there is of everything with its bound.
func (v *verifier) sizes() {
	m := v.m
	var values, items, locals uint64
	for i, t := range m.Types {
		if len(t.Params) > MaxParams || len(t.Results) > MaxResults {
			v.say(0, "type %d has %d parameters and %d results, and there may be %d and %d", i, len(t.Params), len(t.Results), MaxParams, MaxResults)
		}
		values += uint64(len(t.Params) + len(t.Results))
	}
	for i := range m.Elements {
		items += uint64(m.Elements[i].Len())
	}
	for i := range m.Code {
		locals += m.Code[i].LocalCount()
	}
	for _, b := range []struct {
		what       string
		have, most uint64
	}{
		{"bytes", uint64(m.Size), MaxSize},
		{"sections", uint64(len(m.Sections)), MaxSections},
		{"types", uint64(len(m.Types)), MaxTypes},
		{"parameters and results in its types", values, MaxTypeValues},
		{"imports", uint64(len(m.Imports)), MaxImports},
		{"functions", uint64(len(m.Functions)), MaxFunctions},
		{"tables", uint64(len(m.Tables)), MaxTables},
		{"places in its tables", v.tableRoom(), MaxElements},
		{"globals", uint64(len(m.Globals)), MaxGlobals},
		{"exports", uint64(len(m.Exports)), MaxExports},
		{"element segments", uint64(len(m.Elements)), MaxElements},
		{"elements for its tables", items, MaxElements},
		{"data segments", uint64(len(m.Data)), MaxSegments},
		{"locals in its functions", locals, MaxAllLocals},
		{"names of locals", uint64(m.Names.Locals), MaxLocalNames},
	} {
		if b.have > b.most {
			v.say(0, "has %d %s, and may have %d", b.have, b.what, b.most)
		}
	}
	if m.Names.Err != nil {
		v.say(0, "its name section cannot be read: %s", m.Names.Err)
	}
}

func (v *verifier) tableRoom() uint64 {
	var n uint64
	for _, t := range v.m.Tables {
		n += min(t.Min, 1<<32) // there are no more tables than bits are left
	}
	return n
}

func (v *verifier) start() {
	if !v.m.HasStart {
		return
	}
	if t := v.m.FuncType(v.m.Start); len(t.Params)+len(t.Results) > 0 {
		v.say(0, "its start function, %s, is %s, and must be () -> ()", function{v.m, v.m.Start}, t)
	}
}

func (v *verifier) functions() {
	if v.m.Size > MaxSize {
		return // it is refused, and this would take long
	}
	scan := scanner{m: v.m, say: v.say}
	var work int64
	for i := range v.m.Code {
		b, f := &v.m.Code[i], function{v.m, uint32(v.m.ImportedFuncs() + i)}
		if !v.body(f, b) {
			continue
		}
		w := scan.function(f, b)
		work += w
		if w > MaxFunctionWork {
			v.say(b.Offset, "%s is too complex: to compile it takes %d units of work, and it may take %d", f, w, MaxFunctionWork)
		}
	}
	if work > MaxWork {
		v.say(0, "is too complex: to compile it takes %d units of work, and it may take %d", work, MaxWork)
	}
}

// body says whether a function is so small that it can be looked at.
func (v *verifier) body(f function, b *Body) bool {
	locals := b.LocalCount()
	if len(b.Raw) > MaxBody {
		v.say(b.Offset, "%s has %d bytes, and may have %d", f, len(b.Raw), MaxBody)
	}
	if locals > MaxLocals {
		v.say(b.Offset, "%s has %d locals, and may have %d", f, locals, MaxLocals)
	}
	return len(b.Raw) <= MaxBody && locals <= MaxLocals
}

// A function is how people find one again. It is looked up when it is printed,
// as there may be many of which nothing is printed.
type function struct {
	m     *Module
	index uint32
}

func (f function) String() string {
	if name := f.m.FuncName(f.index); name != "" {
		return fmt.Sprintf("function %d (%s)", f.index, quote(name))
	}
	return fmt.Sprintf("function %d", f.index)
}
