package scan

import "iter"

// Element is an element somewhere inside a stanza that Next has checked.
type Element struct {
	Raw         []byte // the whole element
	Name, Space []byte // local name and namespace
}

// Root returns the stanza itself as an Element.
func (s *Stanza) Root() Element { return Element{} }

// Element returns the i-th child.
func (s *Stanza) Element(i int) Element { return Element{} }

// Find returns the first child with that namespace and name. An empty space
// means any.
func (s *Stanza) Find(space, name string) (Element, bool) { return Element{}, false }

// Attr returns an attribute's value, unescaped. The name is compared as written,
// with its prefix.
func (s *Stanza) Attr(name string) (string, bool) { return "", false }

// Find returns the first child with that namespace and name. An empty space
// means any.
func (e Element) Find(space, name string) (Element, bool) { return Element{}, false }

// Attr returns an attribute's value, unescaped.
func (e Element) Attr(name string) (string, bool) { return "", false }

// Attrs yields the attributes as they were written.
func (e Element) Attrs() iter.Seq[Attr] { return func(func(Attr) bool) {} }

// Elements yields the elements directly inside.
func (e Element) Elements() iter.Seq[Element] { return func(func(Element) bool) {} }

// Text returns the character data directly inside, unescaped.
func (e Element) Text() string { return "" }

// Inner returns what is between the start tag and the end tag, as written.
func (e Element) Inner() []byte { return nil }

// AppendValue appends an attribute's value, unescaped.
func AppendValue(dst, raw []byte) []byte { return dst }
