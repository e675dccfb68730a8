package lua

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	glua "github.com/yuin/gopher-lua"
	"golang.org/x/text/encoding/charmap"

	"rosterd/plugins/lua/vm"
)

func init() {
	libraries["util.xml"] = &library{funcs: map[string]native{"parse": xmlParse}}
}

const (
	maxXMLText     = 8 << 20
	maxXMLDepth    = 64
	maxXMLNodes    = 200_000 // elements, attributes and texts of one call
	maxXMLPrefixes = 256     // in scope

	xmlSteps         = 200
	xmlStepsPerNode  = 80 // for its memory too
	xmlStepsPerToken = 10 // and one for each byte
)

// xmlParse is xml.parse(text, options), which gives a stanza, or nil and what is wrong where. Documents with a document
// type are refused; comments and processing instructions too, unless the options allow_comments and
// allow_processing_instructions allow them.
func xmlParse(m *machine, l *glua.LState) int {
	text := vm.CheckString(l, 1)
	vm.Charge(l, xmlSteps+len(text)/32)
	r := &xmlReader{l: l, meta: m.stanzas(l), nodes: &m.call.nodes}
	if o, ok := l.Get(2).(*glua.LTable); ok {
		r.comments = glua.LVAsBool(o.RawGetString("allow_comments"))
		r.instructions = glua.LVAsBool(o.RawGetString("allow_processing_instructions"))
	}
	root, err := r.read(text)
	if err != nil {
		l.Push(glua.LNil)
		l.Push(glua.LString(err.Error()))
		return 2
	}
	l.Push(root)
	return 1
}

// stanzas is the metatable of stanzas.
func (m *machine) stanzas(l *glua.LState) *glua.LTable {
	m.library(l, "util.stanza")
	return m.kinds["util.stanza"]
}

// xmlReader makes stanzas of a document. What encoding/xml leaves open is checked here: one root, tags that match,
// prefixes that are declared, attributes that differ, and neither a document type nor entities of its own.
type xmlReader struct {
	l     *glua.LState
	meta  *glua.LTable
	nodes *int // of the call, so far

	comments, instructions bool // allowed

	text    string // "" if it is in another encoding than UTF-8
	decoder *xml.Decoder
	from    int // where the token that is read now begins

	root     *glua.LTable
	open     []xmlElement
	children []glua.LValue // those so far of each open element, one after the other
	bindings []xmlBinding
	content  strings.Builder // of the innermost element, since its last tag
}

// xmlElement is an element that has not ended.
type xmlElement struct {
	name       xml.Name // Space is the prefix
	attr       *glua.LTable
	namespaces *glua.LTable // prefixes in scope
	bindings   int          // how many there were outside of it
	children   int
}

type xmlBinding struct{ prefix, namespace string }

const (
	xmlNamespace   = "http://www.w3.org/XML/1998/namespace"
	xmlnsNamespace = "http://www.w3.org/2000/xmlns/"
)

// Errors that have no place yet.
var (
	errXMLToken    = errors.New("not well-formed (invalid token)")
	errXMLMismatch = errors.New("mismatched tag")
	errXMLJunk     = errors.New("junk after document element")
	errXMLEmpty    = errors.New("no element found")
	errXMLPrefix   = errors.New("unbound prefix")
	errXMLTwice    = errors.New("duplicate attribute")
	errXMLDepth    = fmt.Errorf("elements nested more than %d deep", maxXMLDepth)
	errXMLNodes    = fmt.Errorf("more than %d elements, attributes and texts of XML in one call", maxXMLNodes)
	errXMLPrefixes = fmt.Errorf("more than %d namespaces declared", maxXMLPrefixes)
	errXMLSize     = fmt.Errorf("more than %d MiB of XML", maxXMLText>>20)
)

// read gives the root as a stanza.
func (r *xmlReader) read(text string) (*glua.LTable, error) {
	if len(text) > maxXMLText {
		return nil, errXMLSize
	}
	if strings.Count(text, "=") > maxXMLNodes { // one tag of all the attributes, before they are counted
		return nil, errXMLNodes
	}
	r.text = strings.TrimPrefix(text, "\uFEFF")
	r.decoder = xml.NewDecoder(strings.NewReader(r.text))
	r.decoder.CharsetReader = r.recoded
	for {
		token, err := r.decoder.RawToken()
		if err == nil {
			err = r.token(token)
		}
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, r.placed(err)
		}
	}
	if r.root == nil || len(r.open) > 0 {
		return nil, r.placed(errXMLEmpty)
	}
	return r.root, nil
}

// recoded is the rest of a document that declares another encoding than UTF-8.
func (r *xmlReader) recoded(charset string, in io.Reader) (io.Reader, error) {
	switch strings.ToLower(charset) {
	case "us-ascii":
		return in, nil
	case "iso-8859-1":
		r.text = ""
		return charmap.ISO8859_1.NewDecoder().Reader(in), nil
	}
	return nil, fmt.Errorf("unknown encoding %s", charset)
}

// placed says where the token is that made the trouble.
func (r *xmlReader) placed(err error) error {
	var syntax *xml.SyntaxError
	if errors.As(err, &syntax) {
		err = errors.New(syntax.Msg)
	}
	line, col := r.decoder.InputPos()
	return fmt.Errorf("%w (line %d, col %d)", err, line, col)
}

// token takes what RawToken gave.
func (r *xmlReader) token(token xml.Token) error {
	from, to := r.from, int(r.decoder.InputOffset())
	r.from = to
	vm.Charge(r.l, xmlStepsPerToken+to-from)
	switch t := token.(type) {
	case xml.StartElement:
		return r.start(t, r.written(from, to))
	case xml.EndElement:
		return r.end(t.Name)
	case xml.CharData:
		return r.characters(t)
	case xml.Comment:
		if !r.comments {
			return errors.New("parsing aborted: comments are not allowed")
		}
	case xml.ProcInst:
		return r.instruction(t.Target, from)
	case xml.Directive:
		return errors.New("parsing aborted: a document type is not allowed")
	}
	return nil
}

// written is a part of the document, as far as that is known.
func (r *xmlReader) written(from, to int) string {
	if r.text == "" {
		return ""
	}
	return r.text[from:to]
}

func (r *xmlReader) instruction(target string, from int) error {
	switch {
	case target == "xml" && from == 0:
		return nil
	case strings.EqualFold(target, "xml"):
		return errors.New("XML or text declaration not at start of entity")
	case !r.instructions:
		return errors.New("parsing aborted: processing instructions are not allowed")
	}
	return nil
}

// count takes n nodes out of the budget.
func (r *xmlReader) count(n int) error {
	if *r.nodes += n; *r.nodes > maxXMLNodes {
		return errXMLNodes
	}
	vm.Charge(r.l, n*xmlStepsPerNode)
	return nil
}

func (r *xmlReader) characters(text []byte) error {
	if len(r.open) > 0 {
		r.content.Write(text)
		return nil
	}
	if len(strings.Trim(string(text), " \t\r\n")) == 0 {
		return nil
	}
	if r.root != nil {
		return errXMLJunk
	}
	return errXMLToken
}

// flush adds the text that has come since the last tag.
func (r *xmlReader) flush() error {
	if r.content.Len() == 0 {
		return nil
	}
	if err := r.count(1); err != nil {
		return err
	}
	r.children = append(r.children, glua.LString(r.content.String()))
	r.content.Reset()
	return nil
}

// start begins an element; raw is its tag as it is written.
func (r *xmlReader) start(t xml.StartElement, raw string) error {
	if r.root != nil {
		return errXMLJunk
	}
	if len(r.open) >= maxXMLDepth {
		return errXMLDepth
	}
	if err := r.flush(); err != nil {
		return err
	}
	if err := r.count(1 + len(t.Attr)); err != nil {
		return err
	}
	e := xmlElement{name: t.Name, bindings: len(r.bindings)}
	err := r.declare(t.Attr)
	if err != nil {
		return err
	}
	if e.attr, err = r.attributes(t, raw); err != nil {
		return err
	}
	if e.namespaces, err = r.namespaces(len(r.bindings) > e.bindings); err != nil {
		return err
	}
	e.children = len(r.children)
	r.open = append(r.open, e)
	return nil
}

// declare enters the namespaces that an element declares (Namespaces in XML 1.0 §3).
func (r *xmlReader) declare(attrs []xml.Attr) error {
	before := len(r.bindings)
	for _, a := range attrs {
		prefix, ok := declaration(a.Name)
		if !ok {
			continue
		}
		switch {
		case prefix == "xmlns":
			return errors.New("reserved prefix (xmlns) must not be declared or undeclared")
		case prefix == "xml" && a.Value != xmlNamespace:
			return errors.New("reserved prefix (xml) must not be undeclared or bound to another namespace name")
		case prefix != "xml" && a.Value == xmlNamespace || a.Value == xmlnsNamespace:
			return errors.New("prefix must not be bound to one of the reserved namespace names")
		case prefix != "" && a.Value == "":
			return errors.New("must not undeclare prefix")
		case slices.ContainsFunc(r.bindings[before:], func(b xmlBinding) bool { return b.prefix == prefix }):
			return errXMLTwice
		case len(r.bindings) == maxXMLPrefixes:
			return errXMLPrefixes
		}
		r.bindings = append(r.bindings, xmlBinding{prefix, a.Value})
	}
	return nil
}

// declaration is the prefix that an attribute declares, "" for the default.
func declaration(name xml.Name) (prefix string, ok bool) {
	if name.Space == "xmlns" {
		return name.Local, true
	}
	return "", name.Space == "" && name.Local == "xmlns"
}

// resolve is the namespace of a prefix.
func (r *xmlReader) resolve(prefix string) (namespace string, ok bool) {
	if prefix == "xml" {
		return xmlNamespace, true
	}
	for i := len(r.bindings) - 1; i >= 0; i-- {
		if r.bindings[i].prefix == prefix {
			return r.bindings[i].namespace, true
		}
	}
	return "", prefix == ""
}

// attributes are those of a stanza: its namespace as xmlns, those of other namespaces as NAMESPACE\1NAME, and those of
// XML's own as xml:NAME.
func (r *xmlReader) attributes(t xml.StartElement, raw string) (*glua.LTable, error) {
	namespace, ok := r.resolve(t.Name.Space)
	if !ok || !wellNamed(t.Name) {
		return nil, nameError(t.Name)
	}
	attr := r.l.CreateTable(0, len(t.Attr)) // without attributes it stays empty
	for _, a := range t.Attr {
		if _, ok := declaration(a.Name); ok {
			continue
		}
		key, err := r.attribute(a.Name)
		if err != nil {
			return nil, err
		}
		if attr.RawGetString(key) != glua.LNil {
			return nil, errXMLTwice
		}
		attr.RawSetString(key, glua.LString(normalized(a.Value, raw)))
	}
	if namespace != "" {
		if len(t.Attr) == 0 {
			attr = r.l.CreateTable(0, 1)
		}
		attr.RawSetString("xmlns", glua.LString(namespace))
	}
	return attr, nil
}

func (r *xmlReader) attribute(name xml.Name) (key string, err error) {
	if name.Space == "" && wellNamed(name) {
		return name.Local, nil
	}
	namespace, ok := r.resolve(name.Space)
	switch {
	case !ok || !wellNamed(name):
		return "", nameError(name)
	case name.Space == "xml":
		return "xml:" + name.Local, nil
	}
	return namespace + "\x01" + name.Local, nil
}

// wellNamed tells whether a name has one colon at most, and something on both sides of it.
func wellNamed(name xml.Name) bool { return name.Local != "" && !strings.Contains(name.Local, ":") }

// nameError is for a name that has no namespace.
func nameError(name xml.Name) error {
	if !wellNamed(name) {
		return errXMLToken
	}
	return errXMLPrefix
}

// normalized is an attribute's value with white space made spaces, but for what was written as a character reference
// (XML 1.0 §3.3.3). Where a tag has such references all of its white space is left as it is.
func normalized(value, raw string) string {
	if !strings.ContainsAny(value, "\t\r\n") || strings.Contains(raw, "&#") {
		return value
	}
	return strings.NewReplacer("\t", " ", "\r", " ", "\n", " ").Replace(value)
}

// namespaces are the prefixes in scope; elements that declare none share the table with the one around them.
func (r *xmlReader) namespaces(own bool) (*glua.LTable, error) {
	if n := len(r.open); n > 0 && !own {
		return r.open[n-1].namespaces, nil
	}
	t := r.l.CreateTable(0, len(r.bindings))
	for _, b := range r.bindings {
		if b.prefix != "" {
			t.RawSetString(b.prefix, glua.LString(b.namespace))
		}
	}
	return t, r.count(len(r.bindings))
}

func (r *xmlReader) end(name xml.Name) error {
	n := len(r.open)
	if n == 0 {
		return errXMLToken
	}
	e := r.open[n-1]
	if e.name != name {
		return errXMLMismatch
	}
	if err := r.flush(); err != nil {
		return err
	}
	s := r.stanza(e, r.children[e.children:])
	clear(r.children[e.children:])
	r.children, r.bindings, r.open = append(r.children[:e.children], s), r.bindings[:e.bindings], r.open[:n-1]
	if n == 1 {
		r.root = s
	}
	return nil
}

// stanza is an element with its children, each table as large as it must be: most documents are many small elements.
func (r *xmlReader) stanza(e xmlElement, children []glua.LValue) *glua.LTable {
	elements := 0
	for _, c := range children {
		if c.Type() == glua.LTTable {
			elements++
		}
	}
	s, tags := r.l.CreateTable(len(children), 4), r.l.CreateTable(elements, 0)
	for _, c := range children {
		s.Append(c)
		if c.Type() == glua.LTTable {
			tags.Append(c)
		}
	}
	s.RawSetString("name", glua.LString(e.name.Local))
	s.RawSetString("attr", e.attr)
	s.RawSetString("namespaces", e.namespaces)
	s.RawSetString("tags", tags)
	s.Metatable = r.meta
	return s
}
