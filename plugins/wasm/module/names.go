package module

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Names are those of the custom section "name" (appendix "Custom Sections"),
// which nobody promises to be there or to be true. Err says why there are none
// though there is such a section.
type Names struct {
	Module    string
	Functions []FuncName // by rising index
	Locals    int        // how many names of locals there are, which are not kept
	Err       error
}

// A FuncName is the name of a function.
type FuncName struct {
	Index uint32
	Name  string
}

// Subsections of the name section that core 2.0 knows.
const (
	namesOfModule = 0
	namesOfFuncs  = 1
	namesOfLocals = 2
)

// readNames reads the first name section. Compilers trust its counts, so it is
// read as strictly as the rest.
func readNames(m *Module, code []byte) Names {
	i := slices.IndexFunc(m.Sections, isNames)
	if i < 0 {
		return Names{}
	}
	s := m.Sections[i]
	r := nameReader{
		cursor: cursor{code: code, pos: s.Offset + len(s.Data) - len(s.Rest), end: s.Offset + len(s.Data)},
		funcs:  m.FuncCount(),
	}
	r.subsections()
	if j := slices.IndexFunc(m.Sections[i+1:], isNames); j >= 0 {
		r.failAt(m.Sections[i+1+j].Offset, "there are two name sections")
	}
	if r.err != nil {
		return Names{Err: r.err}
	}
	return r.names
}

func isNames(s Section) bool { return s.ID == CustomSection && s.Name == "name" }

type nameReader struct {
	cursor
	funcs int
	names Names
}

func (r *nameReader) subsections() {
	last := -1
	for r.remaining() > 0 {
		at := r.pos
		id := int(r.byte())
		sub := r.part(r.count(1, len(r.code), "bytes of names"))
		if id <= last {
			r.failAt(at, "names of kind %d are there twice, or after those of kind %d", id, last)
		}
		if r.err != nil {
			return
		}
		last = id
		outer := r.cursor
		r.cursor = sub
		r.subsection(id)
		if r.err != nil {
			return
		}
		r.cursor = outer
	}
}

func (r *nameReader) subsection(id int) {
	switch id {
	case namesOfModule:
		r.names.Module = r.name()
	case namesOfFuncs:
		r.functions()
	case namesOfLocals:
		r.locals()
	default:
		r.bytes(r.remaining()) // of proposals
	}
	r.done("names")
}

func (r *nameReader) functions() {
	n := r.count(2, r.funcs, "names of functions")
	r.names.Functions = make([]FuncName, 0, n)
	next := uint32(0)
	for range n {
		f := FuncName{Index: r.rising(&next), Name: r.name()}
		if r.err != nil {
			return
		}
		r.names.Functions = append(r.names.Functions, f)
	}
}

// locals counts them only.
func (r *nameReader) locals() {
	next := uint32(0)
	for range r.count(2, r.funcs, "functions with names of locals") {
		r.rising(&next)
		n := r.count(2, len(r.code), "names of locals")
		local := -1
		for range n {
			at := r.pos
			i := int(r.u32())
			if i <= local {
				r.failAt(at, "names of locals are not in order")
			}
			local = i
			r.name()
			if r.err != nil {
				return
			}
		}
		r.names.Locals += n
	}
}

// rising reads the index of a function, *next or more.
func (r *nameReader) rising(next *uint32) uint32 {
	at := r.pos
	i := r.index(r.funcs, "function")
	if r.err == nil && i < *next {
		r.failAt(at, "names of functions are not in order")
	}
	*next = i + 1
	return i
}

// FuncName is the name of a function: that of the name section, or else that of
// its import or of its first export, or else "".
func (m *Module) FuncName(index uint32) string {
	named := m.Names.Functions
	if i, ok := slices.BinarySearchFunc(named, index, func(f FuncName, i uint32) int { return cmp.Compare(f.Index, i) }); ok {
		return named[i].Name
	}
	if int64(index) < int64(m.ImportedFuncs()) {
		return m.importName(index)
	}
	for _, e := range m.Exports {
		if e.Kind == Func && e.Index == index {
			return e.Name
		}
	}
	return ""
}

func (m *Module) importName(index uint32) string {
	for _, i := range m.Imports {
		if i.Kind != Func {
			continue
		}
		if index == 0 {
			return i.Module + "." + i.Name
		}
		index--
	}
	return ""
}

// quote makes a name that a stranger chose fit for a line of a log: as it is if
// it is plain and short, and else in quotes and cut.
func quote(name string) string {
	const longest = 80
	cut := name
	if len(cut) > longest {
		cut = cut[:longest]
		for !utf8.ValidString(cut) {
			cut = cut[:len(cut)-1]
		}
	}
	plain := name != "" && !strings.ContainsFunc(cut, func(c rune) bool {
		return !unicode.IsGraphic(c) || unicode.IsSpace(c) || strings.ContainsRune("\"'`,", c)
	})
	if !plain {
		cut = strconv.Quote(cut)
	}
	if len(name) > longest {
		cut += "…"
	}
	return cut
}
