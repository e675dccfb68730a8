package compare

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// A node is an element as it was received.
type node struct {
	XMLName xml.Name
	Attrs   []xml.Attr `xml:",any,attr"`
	Text    string     `xml:",chardata"`
	Nodes   []node     `xml:",any"`
}

func (n node) attr(name string) string {
	for _, a := range n.Attrs {
		if a.Name.Local == name && a.Name.Space == "" {
			return a.Value
		}
	}
	return ""
}

// child is the first child of that name, or nil.
func (n node) child(name string) *node {
	for i := range n.Nodes {
		if n.Nodes[i].XMLName.Local == name {
			return &n.Nodes[i]
		}
	}
	return nil
}

// failure is the error of an answer as type and condition; ok is false if it is a result.
func (n node) failure() (string, bool) {
	if n.attr("type") != "error" {
		return "", false
	}
	e := n.child("error")
	if e == nil {
		return "error", true
	}
	for _, c := range e.Nodes {
		if c.XMLName.Space == "urn:ietf:params:xml:ns:xmpp-stanzas" && c.XMLName.Local != "text" {
			return "error " + e.attr("type") + "/" + c.XMLName.Local, true
		}
	}
	return "error " + e.attr("type"), true
}

// outline writes an element as the paths in it. Values are left out where they differ from one moment to the next.
func (n node) outline(above string, values bool) (out facts) {
	name := n.XMLName.Local
	if above == "" {
		name += " " + n.XMLName.Space
	} else {
		name = above + "/" + name
	}
	var attrs []string
	for _, a := range n.Attrs {
		if a.Name.Local == "xmlns" || a.Name.Space == "xmlns" {
			continue
		}
		if values {
			attrs = append(attrs, fmt.Sprintf("%s=%q", a.Name.Local, a.Value))
		} else {
			attrs = append(attrs, a.Name.Local)
		}
	}
	slices.Sort(attrs)
	text := ""
	if t := strings.TrimSpace(n.Text); t != "" && values {
		text = " " + short(t)
	}
	if len(attrs) > 0 {
		text = " [" + strings.Join(attrs, " ") + "]" + text
	}
	out = append(out, name+text)
	for _, c := range n.Nodes {
		out = append(out, c.outline(name, values)...)
	}
	return out
}

// short is a text to show: what is long is cut, with a sum by which it is compared.
func short(s string) string {
	s = strings.Join(strings.Fields(s), " ")
	if len(s) <= 60 {
		return fmt.Sprintf("%q", s)
	}
	return fmt.Sprintf("%q… (%d bytes, SHA-256 %x…)", strings.ToValidUTF8(s[:24], ""), len(s), sha256Of([]byte(s))[:6])
}

var featuresTag = regexp.MustCompile(`(?s)<(\w+:)?features(?:\s[^>]*)?(?:/>|>.*?</(?:\w+:)?features\s*>)`)

// featuresIn finds the features of each stream in what a server sent. The stream's own tag, which declares the prefix, does
// not end, so they are read one by one.
func featuresIn(heard []byte) (list []node) {
	for _, found := range featuresTag.FindAll(heard, -1) {
		var n node
		doc := bytes.Join([][]byte{[]byte(`<x xmlns="jabber:client" xmlns:stream="http://etherx.jabber.org/streams">`), found, []byte("</x>")}, nil)
		if xml.Unmarshal(doc, &n) == nil && len(n.Nodes) == 1 {
			list = append(list, n.Nodes[0])
		}
	}
	return list
}
