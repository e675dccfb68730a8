package scan

import (
	"bytes"
	"iter"
)

// Element is an element somewhere inside a stanza that Next has accepted. It is a
// view, valid as long as the Stanza. Since the bytes are known to be well-formed,
// walking them only looks for tags.
type Element struct {
	Raw         []byte // the whole element
	Name, Space []byte // local name and namespace

	attrs int // offset in Raw behind the tag's name
	body  int // offset in Raw behind the start tag
	scope scope
}

// scope is what prefixes mean inside an element.
type scope struct {
	space    []byte // the default namespace
	prefixes *declared
}

// declared is a list of prefixes, the innermost first.
type declared struct {
	Binding
	outer *declared
}

// Root returns the stanza itself as an Element.
func (s *Stanza) Root() Element {
	outer := scope{space: s.Default}
	for _, b := range s.Inherited {
		outer.prefixes = &declared{b, outer.prefixes}
	}
	return newElement(s.Raw, outer)
}

// Element returns Children[i].
func (s *Stanza) Element(i int) Element {
	c := s.Children[i]
	return newElement(s.Raw[c.Off:c.End], s.Root().scope)
}

// Find returns the first child with that namespace and name. An empty space
// means any.
func (s *Stanza) Find(space, name string) (Element, bool) {
	for i := range s.Children {
		if c := &s.Children[i]; string(c.Name) == name && (space == "" || string(c.Space) == space) {
			return s.Element(i), true
		}
	}
	return Element{}, false
}

// Attr returns the value of the root tag's attribute, unescaped. The name is
// compared as it was written, with its prefix.
func (s *Stanza) Attr(name string) (value string, ok bool) {
	raw := s.Get(name)
	return unescape(raw), raw != nil
}

// Find returns the first element directly inside e with that namespace and name.
// An empty space means any.
func (e Element) Find(space, name string) (Element, bool) {
	for c := range e.Elements() {
		if string(c.Name) == name && (space == "" || string(c.Space) == space) {
			return c, true
		}
	}
	return Element{}, false
}

// Attr returns an attribute's value, unescaped. The name is compared as it was
// written, with its prefix.
func (e Element) Attr(name string) (value string, ok bool) {
	for a := range e.Attrs() {
		if string(a.Name) == name {
			return unescape(a.Value), true
		}
	}
	return "", false
}

// Attrs yields the attributes as they were written, namespace declarations
// included.
func (e Element) Attrs() iter.Seq[Attr] {
	return func(yield func(Attr) bool) {
		for i := e.attrs; ; {
			a, end := nextAttr(e.Raw, i)
			if a.Name == nil || !yield(a) {
				return
			}
			i = end
		}
	}
}

// Elements yields the elements directly inside e.
func (e Element) Elements() iter.Seq[Element] {
	return func(yield func(Element) bool) {
		for raw := range e.parts() {
			if isElement(raw) && !yield(newElement(raw, e.scope)) {
				return
			}
		}
	}
}

// Text returns the character data directly inside e, unescaped: that of elements
// inside it is left out.
func (e Element) Text() string {
	var text []byte
	for raw := range e.parts() {
		switch {
		case isElement(raw):
		case raw[0] == '<':
			section := raw[len("<![CDATA[") : len(raw)-len("]]>")]
			text = appendLines(text, section)
		default:
			text = appendText(text, raw)
		}
	}
	return string(text)
}

// Inner returns what is between the start tag and the end tag, as it was written.
func (e Element) Inner() []byte {
	if e.body == len(e.Raw) {
		return nil
	}
	return e.Raw[e.body:bytes.LastIndexByte(e.Raw, '<')]
}

// parts yields what e consists of: elements, CDATA sections, and the character
// data between them.
func (e Element) parts() iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		for in := e.Inner(); len(in) > 0; {
			n := partLen(in)
			if !yield(in[:n]) {
				return
			}
			in = in[n:]
		}
	}
}

func isElement(part []byte) bool { return part[0] == '<' && part[1] != '!' }

// partLen returns the length of the element, CDATA section or character data
// that b begins with.
func partLen(b []byte) int {
	if b[0] != '<' {
		return before(b, "<")
	}
	for i, depth := 0, 0; i < len(b); i += before(b[i:], "<") {
		switch b[i+1] {
		case '!':
			i += behind(b[i:], "]]>")
		case '/':
			i += behind(b[i:], ">")
			depth--
		default:
			n := tagLen(b[i:])
			if i += n; b[i-2] != '/' {
				depth++
			}
		}
		if depth == 0 {
			return i
		}
	}
	return len(b)
}

// before returns the offset of s in b, behind the offset behind it; both return
// len(b) where there is no s.
func before(b []byte, s string) int {
	if i := bytes.Index(b, []byte(s)); i >= 0 {
		return i
	}
	return len(b)
}

func behind(b []byte, s string) int { return min(len(b), before(b, s)+len(s)) }

// tagLen returns the length of the start tag that b begins with.
func tagLen(b []byte) int {
	i := 0
	for ; b[i] != '>'; i++ {
		if q := b[i]; q == '\'' || q == '"' {
			i += 1 + bytes.IndexByte(b[i+1:], q)
		}
	}
	return i + 1
}

// newElement returns the element raw, which is inside outer.
func newElement(raw []byte, outer scope) Element {
	e := Element{Raw: raw, body: tagLen(raw), scope: outer}
	e.attrs = nameLen(raw[1:]) + 1
	for a := range e.Attrs() {
		switch p, isPrefix := bytes.CutPrefix(a.Name, []byte("xmlns:")); {
		case isPrefix:
			e.scope.prefixes = &declared{Binding{p, unescapeBytes(a.Value)}, e.scope.prefixes}
		case string(a.Name) == "xmlns":
			e.scope.space = unescapeBytes(a.Value)
		}
	}
	prefix, local, ok := bytes.Cut(raw[1:e.attrs], []byte(":"))
	if !ok {
		prefix, local = nil, prefix
	}
	e.Name, e.Space = local, e.scope.find(prefix)
	return e
}

// find returns the namespace of a prefix, which may be empty.
func (s scope) find(prefix []byte) []byte {
	if len(prefix) == 0 {
		return s.space
	}
	for d := s.prefixes; d != nil; d = d.outer {
		if bytes.Equal(d.Prefix, prefix) {
			return d.Space
		}
	}
	return xmlSpace // the one prefix that needs no declaration
}

// nameLen returns the length of the name that b begins with.
func nameLen(b []byte) int {
	i := 0
	for b[i] != '>' && b[i] != '/' && b[i] != '=' && !isSpace(b[i]) {
		i++
	}
	return i
}

// nextAttr returns the attribute at or behind the spaces at b[i], and the offset
// behind it. At the end of the tag the attribute is zero.
func nextAttr(b []byte, i int) (a Attr, end int) {
	i = skipSpace(b, i)
	if b[i] == '>' || b[i] == '/' {
		return Attr{}, i
	}
	n := nameLen(b[i:])
	a.Name = b[i : i+n]
	i = skipSpace(b, skipSpace(b, i+n)+1)
	n = bytes.IndexByte(b[i+1:], b[i])
	a.Value = b[i+1 : i+1+n]
	return a, i + n + 2
}

func unescape(raw []byte) string { return string(unescapeBytes(raw)) }

// unescapeBytes returns raw itself if nothing in it is escaped.
func unescapeBytes(raw []byte) []byte {
	if bytes.ContainsAny(raw, "&\t\r\n") {
		return AppendValue(nil, raw)
	}
	return raw
}

// appendLines appends the content of a CDATA section, its line ends turned into
// newlines.
func appendLines(dst, raw []byte) []byte {
	for i, c := range raw {
		switch {
		case c != '\r':
			dst = append(dst, c)
		case i+1 == len(raw) || raw[i+1] != '\n':
			dst = append(dst, '\n')
		}
	}
	return dst
}
