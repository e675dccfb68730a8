package xmpptest

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strings"

	"rosterd/xmppcore/scan"
)

// Element is an element that was received, as a tree.
type Element struct {
	Name     xml.Name
	Attrs    []xml.Attr // without namespace declarations
	Children []Element
	Text     string // directly inside, all of it
	Raw      string // as it was received; only of the outermost element
}

// Attr returns the value of an attribute without namespace, or of xml:lang; ""
// if there is none.
func (e Element) Attr(name string) string {
	for _, a := range e.Attrs {
		if attrName(a) == name {
			return a.Value
		}
	}
	return ""
}

func attrName(a xml.Attr) string {
	switch a.Name.Space {
	case "":
		return a.Name.Local
	case "xml", scan.NSXML:
		return "xml:" + a.Name.Local
	}
	return "{" + a.Name.Space + "}" + a.Name.Local
}

// Find returns the first child with that name, an empty space meaning any.
func (e Element) Find(space, name string) (Element, bool) {
	for _, c := range e.Children {
		if c.Name.Local == name && (space == "" || c.Name.Space == space) {
			return c, true
		}
	}
	return Element{}, false
}

// Path returns the element that is reached by names of children.
func (e Element) Path(names ...string) (Element, bool) {
	ok := true
	for _, name := range names {
		if e, ok = e.Find("", name); !ok {
			return Element{}, false
		}
	}
	return e, true
}

// Is tells whether e has that name.
func (e Element) Is(space, name string) bool { return e.Name == xml.Name{Space: space, Local: name} }

func (e Element) String() string {
	if e.Raw != "" {
		return e.Raw
	}
	return fmt.Sprintf("<%s xmlns='%s'>", e.Name.Local, e.Name.Space)
}

// inStream is where elements are read.
const inStream = "<stream:stream xmlns='" + scan.NSClient + "' xmlns:stream='" + scan.NSStream + "'>"

// Parse reads one element as it may stand inside a stream.
func Parse(text string) (Element, error) {
	es, err := parseAll(text)
	if err == nil && len(es) != 1 {
		err = fmt.Errorf("%d elements", len(es))
	}
	if err != nil {
		return Element{}, fmt.Errorf("parse %s: %w", brief(text), err)
	}
	es[0].Raw = strings.TrimSpace(text)
	return es[0], nil
}

// parseAll reads elements as they may stand inside a stream, and space between
// them.
func parseAll(text string) ([]Element, error) {
	d := xml.NewDecoder(strings.NewReader(inStream + text + "</stream:stream>"))
	t, err := d.Token()
	if err != nil {
		return nil, err
	}
	root, err := parse(d, t.(xml.StartElement))
	if err != nil {
		return nil, err
	}
	if strings.TrimSpace(root.Text) != "" {
		return nil, fmt.Errorf("text %q between elements", strings.TrimSpace(root.Text))
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("end tag without a start tag")
	}
	return root.Children, nil
}

func parse(d *xml.Decoder, start xml.StartElement) (Element, error) {
	e := Element{Name: start.Name}
	for _, a := range start.Attr {
		if a.Name.Local != "xmlns" && a.Name.Space != "xmlns" {
			e.Attrs = append(e.Attrs, a)
		}
	}
	for {
		t, err := d.Token()
		if err != nil {
			return e, err
		}
		switch t := t.(type) {
		case xml.StartElement:
			child, err := parse(d, t)
			if err != nil {
				return e, err
			}
			e.Children = append(e.Children, child)
		case xml.CharData:
			e.Text += string(t)
		case xml.EndElement:
			return e, nil
		default:
			return e, fmt.Errorf("a %T inside a stream", t)
		}
	}
}

// parseRoot reads a document.
func parseRoot(text string) (Element, error) {
	d := xml.NewDecoder(strings.NewReader(text))
	t, err := d.Token()
	if err != nil {
		return Element{}, err
	}
	start, ok := t.(xml.StartElement)
	if !ok {
		return Element{}, fmt.Errorf("a %T where an element begins", t)
	}
	e, err := parse(d, start)
	if err != nil {
		return Element{}, err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return Element{}, errors.New("more than one element")
	}
	e.Raw = text
	return e, nil
}

func escape(s string) string {
	var b strings.Builder
	xml.EscapeText(&b, []byte(s)) // a Builder takes everything
	return b.String()
}
