package fuel

import (
	"encoding/binary"
	"slices"
	"strings"
	"unicode"

	"rosterd/plugins/wasm/module"
)

// grown are the sections to which something is added. A module that has none gets one.
var grown = []module.SectionID{module.TypeSection, module.ImportSection, module.GlobalSection, module.ExportSection}

// sections writes the module.
func (r *rewriter) sections() error {
	r.out = append(r.out, "\x00asm\x01\x00\x00\x00"...)
	missing := slices.Clone(grown)
	for _, s := range r.m.Sections {
		if s.ID == module.CustomSection {
			continue
		}
		for len(missing) > 0 && missing[0] < s.ID {
			if err := r.section(missing[0], nil); err != nil {
				return err
			}
			missing = missing[1:]
		}
		if len(missing) > 0 && missing[0] == s.ID {
			missing = missing[1:]
		}
		if err := r.section(s.ID, s.Data); err != nil {
			return err
		}
	}
	for _, id := range missing {
		if err := r.section(id, nil); err != nil {
			return err
		}
	}
	r.names()
	return nil
}

// section writes one section.
func (r *rewriter) section(id module.SectionID, data []byte) error {
	if id == module.TagSection {
		return errTags
	}
	r.out = append(r.out, byte(id))
	start := len(r.out)
	var err error
	switch id {
	case module.TypeSection:
		_, added := r.added()
		r.more(data, 1+added)
		r.out = append(r.out, 0x60, 0, 0)
		if r.pieces {
			r.out = append(r.out, 0x60, 3, byte(module.I32), byte(module.I32), byte(module.I32), 0)
		}
	case module.FunctionSection:
		added, _ := r.added()
		r.more(data, added)
		for range added {
			r.number(uint32(len(r.m.Types) + 1))
		}
	case module.ImportSection:
		r.more(data, 1)
		r.text(r.options.Module)
		r.text(r.options.Name)
		r.out = append(r.out, byte(module.Func))
		r.number(uint32(len(r.m.Types)))
	case module.GlobalSection:
		r.globals()
	case module.ExportSection:
		r.exports()
	case module.StartSection:
		r.number(r.function(r.m.Start))
	case module.ElementSection:
		r.elements()
	case module.CodeSection:
		err = r.code()
	default:
		r.out = append(r.out, data...)
	}
	r.sized(start)
	return err
}

// more writes a vector, to which items will be added.
func (r *rewriter) more(vector []byte, items int) {
	n, size := binary.Uvarint(vector)
	r.number(uint32(n) + uint32(items))
	r.out = append(r.out, vector[size:]...)
}

func (r *rewriter) globals() {
	r.number(uint32(len(r.m.Globals) + 1))
	for i := range r.m.Globals {
		g := &r.m.Globals[i]
		mutable := byte(0)
		if g.Mutable {
			mutable = 1
		}
		r.out = append(r.out, byte(g.Type), mutable)
		r.expression(&g.Init)
	}
	r.out = append(r.out, byte(module.I64), 1)
	r.i64(0)
	r.out = append(r.out, end)
}

// expression writes a constant expression.
func (r *rewriter) expression(e *module.Expr) {
	if e.Op != module.RefFunc {
		r.out = append(r.out, e.Raw...)
		return
	}
	r.op(byte(module.RefFunc), r.function(e.Index))
	r.out = append(r.out, end)
}

func (r *rewriter) exports() {
	r.number(uint32(len(r.m.Exports) + 1))
	for i := range r.m.Exports {
		e := &r.m.Exports[i]
		index := e.Index
		if e.Kind == module.Func {
			index = r.function(index)
		}
		r.export(e.Name, e.Kind, index)
	}
	r.export(r.options.Global, module.Global, r.fuel)
}

func (r *rewriter) export(name string, kind module.Kind, index uint32) {
	r.text(name)
	r.out = append(r.out, byte(kind))
	r.number(index)
}

func (r *rewriter) elements() {
	r.number(uint32(len(r.m.Elements)))
	for i := range r.m.Elements {
		r.element(&r.m.Elements[i])
	}
}

// element writes a segment in the form that it had. The bits of its flags: it is not active, or declarative if it is not
// active; it names its table, and its type with either; its items are expressions (§5.5.12).
func (r *rewriter) element(e *module.Element) {
	active, typed, expressions := e.Flags&1 == 0, e.Flags&3 != 0, e.Flags&4 != 0
	r.number(e.Flags)
	if active {
		if typed {
			r.number(e.Table)
		}
		r.expression(&e.Place)
	}
	switch {
	case typed && expressions:
		r.out = append(r.out, byte(e.Type))
	case typed:
		r.out = append(r.out, 0) // functions
	}
	r.number(uint32(e.Len()))
	for _, f := range e.Funcs {
		r.number(r.function(f))
	}
	for i := range e.Exprs {
		r.expression(&e.Exprs[i])
	}
}

// longestName bounds what is kept of a name. Each trap makes a trace of many of them, whatever is looked at of it.
const longestName = 256

// name is a name as traces show it, in which a name is what stands on a line.
func name(s string) string {
	if len(s) > longestName {
		s = strings.ToValidUTF8(s[:longestName], "") + "…"
	}
	return strings.Map(func(c rune) rune {
		if unicode.IsPrint(c) {
			return c
		}
		return unicode.ReplacementChar
	}, s)
}

// names writes a name section of the module and its functions, if it had one.
func (r *rewriter) names() {
	names := &r.m.Names
	if names.Module == "" && len(names.Functions) == 0 {
		return
	}
	r.out = append(r.out, byte(module.CustomSection))
	section := len(r.out)
	r.text("name")
	r.out = append(r.out, 0)
	part := len(r.out)
	r.text(name(names.Module))
	r.sized(part)
	r.out = append(r.out, 1)
	part = len(r.out)
	r.number(uint32(len(names.Functions)))
	for _, f := range names.Functions {
		r.number(r.function(f.Index))
		r.text(name(f.Name))
	}
	r.sized(part)
	r.sized(section)
}

// sized puts the length of what was written from start on before it.
func (r *rewriter) sized(start int) {
	var size [binary.MaxVarintLen32]byte
	n := binary.PutUvarint(size[:], uint64(len(r.out)-start))
	r.out = append(r.out, size[:n]...)
	copy(r.out[start+n:], r.out[start:])
	copy(r.out[start:], size[:n])
}

func (r *rewriter) number(v uint32) { r.out = binary.AppendUvarint(r.out, uint64(v)) }

func (r *rewriter) text(s string) {
	r.number(uint32(len(s)))
	r.out = append(r.out, s...)
}
