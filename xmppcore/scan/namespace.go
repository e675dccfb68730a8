package scan

import (
	"bytes"
	"math/bits"
)

// space is a namespace name by where it is written.
type space struct {
	in       place
	off, end int32
}

type place uint8

const (
	inHeaderDefault place = iota // the context's default; also the zero space
	inHeader                     // the context's binding number off
	inBytes                      // in the stanza
	inUnescaped                  // in work.unescaped
	inXML                        // NSXML
)

// prefix is a declaration xmlns:… of an element that is open.
type prefix struct {
	off, end int32
	space    space
}

var xmlSpace = []byte(NSXML)

// at returns the name of s.
func (w *work) at(b []byte, s space) []byte {
	switch s.in {
	case inHeader:
		return w.context.bindings[s.off].Space
	case inBytes:
		return b[s.off:s.end]
	case inUnescaped:
		return w.unescaped[s.off:s.end]
	case inXML:
		return xmlSpace
	}
	return w.context.space
}

// names does for the start tag at hand what Namespaces in XML asks for: takes its
// declarations, resolves its prefixes, and refuses two attributes with the same
// expanded name.
func (w *work) names(b []byte, l *Limits) (err error) {
	last := len(w.open) - 1
	t := &w.open[last]
	if last > 0 {
		t.inner = w.open[last-1].inner
	}
	if w.declares {
		if err := w.declare(b, t, l); err != nil {
			return err
		}
	}
	t.space = t.inner
	if t.colon > 0 {
		if t.space, err = w.resolve(b, t.start+1, t.colon); err != nil {
			return err
		}
	}
	if w.prefixed {
		return w.distinct(b)
	}
	return nil
}

// declare takes the namespace declarations of the tag at hand, which is t's.
func (w *work) declare(b []byte, t *element, l *Limits) error {
	for k := w.rooted; k < len(w.attrs); k++ {
		a := &w.attrs[k]
		if a.kind != defaultNamespace && a.kind != prefixNamespace {
			continue
		}
		s, ok := w.namespace(b, a)
		if !ok {
			return refuse(BadFormat, int(a.value), "namespace name with what no URI has")
		}
		if a.kind == defaultNamespace {
			if err := checkDefault(w.at(b, s), a.value); err != nil {
				return err
			}
			t.inner = s
			continue
		}
		p := b[a.colon+1 : a.nameEnd]
		if err := checkPrefix(p, w.at(b, s), a.name); err != nil {
			return err
		}
		if string(p) == "xml" {
			continue // it is always declared
		}
		if len(w.prefixes)+len(w.context.bindings) >= l.prefixes() {
			return refuse(PolicyViolation, int(a.name), "more than %d namespace prefixes in scope", l.prefixes())
		}
		w.prefixes = append(w.prefixes, prefix{off: a.colon + 1, end: a.nameEnd, space: s})
	}
	return nil
}

// namespace returns the namespace name that a declares, unescaping it if it must.
// It reports false for a name with bytes that no URI has: parsers with namespace
// support hand out names as "namespace separator local", and expat refuses a
// namespace that holds the separator its user has chosen.
func (w *work) namespace(b []byte, a *attr) (name space, ok bool) {
	raw := b[a.value:a.end]
	if bytes.IndexByte(raw, '&') < 0 {
		return space{in: inBytes, off: a.value, end: a.end}, a.uri
	}
	off := len(w.unescaped)
	w.unescaped = AppendValue(w.unescaped, raw)
	for _, c := range w.unescaped[off:] {
		if bytesIn[c]&inURI == 0 {
			return space{}, false
		}
	}
	return space{in: inUnescaped, off: int32(off), end: int32(len(w.unescaped))}, true
}

// checkDefault refuses the names that Namespaces in XML §3 reserves.
func checkDefault(name []byte, offset int32) error {
	if string(name) == NSXML || string(name) == NSXMLNS {
		return refuse(BadNamespacePrefix, int(offset), "reserved namespace as default namespace")
	}
	return nil
}

// checkPrefix refuses what Namespaces in XML §3 and §5 reserve: xmlns, a prefix
// for its namespace, another prefix than xml for that of xml, and taking back a
// prefix.
func checkPrefix(prefix, name []byte, offset int32) error {
	xml := string(prefix) == "xml"
	switch {
	case len(name) == 0:
		return refuse(BadNamespacePrefix, int(offset), "prefix %s bound to nothing", prefix)
	case string(prefix) == "xmlns", string(name) == NSXMLNS, xml != (string(name) == NSXML):
		return refuse(BadNamespacePrefix, int(offset), "reserved prefix or namespace")
	}
	return nil
}

// resolve returns the namespace of the prefix b[off:end].
func (w *work) resolve(b []byte, off, end int32) (space, error) {
	p := b[off:end]
	for k := len(w.prefixes) - 1; k >= 0; k-- {
		if d := &w.prefixes[k]; string(b[d.off:d.end]) == string(p) {
			return d.space, nil
		}
	}
	for k := range w.context.bindings {
		if string(w.context.bindings[k].Prefix) == string(p) {
			w.inherited |= 1 << k
			return space{in: inHeader, off: int32(k)}, nil
		}
	}
	if string(p) == "xml" {
		return space{in: inXML}, nil
	}
	return space{}, refuse(BadNamespacePrefix, int(off), "prefix %s is not declared", p)
}

// distinct resolves the attributes with prefixes and refuses two with the same
// namespace and local name (Namespaces in XML §6.3).
func (w *work) distinct(b []byte) (err error) {
	tag := w.attrs[w.rooted:]
	for i := range tag {
		a := &tag[i]
		if a.kind != foreign {
			continue
		}
		if a.space, err = w.resolve(b, a.name, a.colon); err != nil {
			return err
		}
		for k := range tag[:i] {
			o := &tag[k]
			if o.kind == foreign && string(b[o.local():o.nameEnd]) == string(b[a.local():a.nameEnd]) &&
				bytes.Equal(w.at(b, o.space), w.at(b, a.space)) {
				return refuse(NotWellFormed, int(a.name), "two attributes %s in one namespace", b[a.local():a.nameEnd])
			}
		}
	}
	return nil
}

// finish sets the views of a complete stanza.
func (s *Stanza) finish(b []byte) {
	w := &s.work
	s.Raw = b[:w.pos]
	s.Name, s.Prefix = b[w.root.local():w.root.nameEnd], nil
	if w.root.colon > 0 {
		s.Prefix = b[w.root.start+1 : w.root.colon]
	}
	s.Space, s.Default = w.at(b, w.root.space), w.at(b, w.root.inner)
	s.Body, s.SelfClosed = w.body, w.selfClosed
	s.Lang = w.context.lang

	s.Attrs = reuse(s.Attrs)
	for i := range w.attrs[:w.rooted] {
		a := &w.attrs[i]
		s.Attrs = append(s.Attrs, Attr{Name: b[a.name:a.nameEnd], Value: b[a.value:a.end]})
	}
	s.Children = reuse(s.Children)
	for i := range w.children {
		c := &w.children[i]
		s.Children = append(s.Children, Child{Name: b[c.name:c.nameEnd], Space: w.at(b, c.space), Off: int(c.start), End: int(c.end)})
	}
	s.Inherited = s.Inherited[:0]
	for set := w.inherited; set != 0; set &= set - 1 {
		s.Inherited = append(s.Inherited, w.context.bindings[bits.TrailingZeros64(set)])
	}
}
