package scan

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"io"
	"iter"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// around is the stream that a zero Scanner is inside of.
const around = `<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>`

// event is something a parser reports: "<" with the element's namespace and name
// and its attributes, ">" at its end, or text.
type event []string

// events returns what e consists of, by our own account.
func events(e Element) []event {
	start := event{"<", expanded(string(e.Space), string(e.Name))}
	var attrs []string
	for a := range e.Attrs() {
		prefix, local, ok := strings.Cut(string(a.Name), ":")
		switch {
		case prefix == "xmlns":
			continue
		case ok:
			local = expanded(string(e.scope.find([]byte(prefix))), local)
		default:
			local = prefix
		}
		value, _ := e.Attr(string(a.Name))
		attrs = append(attrs, local+"="+value)
	}
	slices.Sort(attrs)
	all := []event{append(start, attrs...)}
	for part := range e.parts() {
		switch {
		case isElement(part):
			all = append(all, events(newElement(part, e.scope))...)
		default:
			one := Element{Raw: slices.Concat([]byte("<a>"), part, []byte("</a>")), body: len("<a>")}
			all = appendEvent(all, event{"text", one.Text()})
		}
	}
	return append(all, event{">"})
}

func expanded(space, local string) string {
	if space == "" {
		return local
	}
	return space + " " + local
}

// appendEvent appends e, joining texts and dropping empty ones.
func appendEvent(all []event, e event) []event {
	last := len(all) - 1
	switch {
	case e[0] != "text":
		return append(all, e)
	case e[1] == "":
		return all
	case last >= 0 && all[last][0] == "text":
		all[last][1] += e[1]
		return all
	}
	return append(all, e)
}

// goEvents returns what encoding/xml makes of the stanza raw inside our stream,
// and where it sees its end.
func goEvents(raw []byte) (all []event, end int, err error) {
	d := xml.NewDecoder(io.MultiReader(strings.NewReader(around), bytes.NewReader(raw)))
	for depth := 0; ; {
		token, err := d.Token()
		if err != nil {
			return nil, 0, err
		}
		switch token := token.(type) {
		case xml.StartElement:
			if depth++; depth > 1 {
				all = append(all, goStart(token))
			}
		case xml.EndElement:
			all = append(all, event{">"})
			if depth--; depth == 1 {
				return all, int(d.InputOffset()) - len(around), nil
			}
		case xml.CharData:
			all = appendEvent(all, event{"text", string(token)})
		default:
			return nil, 0, fmt.Errorf("%T", token)
		}
	}
}

func goStart(e xml.StartElement) event {
	var attrs []string
	for _, a := range e.Attr {
		switch {
		case a.Name.Space == "xmlns" || a.Name.Space == "" && a.Name.Local == "xmlns":
			continue
		case a.Name.Space != "":
			a.Name.Local = a.Name.Space + " " + a.Name.Local
		}
		attrs = append(attrs, a.Name.Local+"="+a.Value)
	}
	slices.Sort(attrs)
	return append(event{"<", expanded(e.Name.Space, e.Name.Local)}, attrs...)
}

// loose hides a difference: encoding/xml leaves tabs and newlines in attribute
// values, a parser must turn them into spaces (XML 1.0 §3.3.3).
func loose(all []event) string {
	spaces := strings.NewReplacer("\t", " ", "\n", " ", "\r", " ")
	for _, e := range all {
		if e[0] == "<" {
			for i := range e[2:] {
				e[2+i] = spaces.Replace(e[2+i])
			}
			slices.Sort(e[2:])
		}
	}
	return fmt.Sprintf("%q", all)
}

// checkAgainstGo checks the first stanza of in: what we accept encoding/xml
// accepts, and it sees the same.
func checkAgainstGo(t *testing.T, in []byte) {
	t.Helper()
	var sc Scanner
	var st Stanza
	n, err := sc.Next(in, &st)
	if err != nil {
		return
	}
	space := n - len(st.Raw)
	theirs, end, err := goEvents(st.Raw)
	if err != nil {
		t.Fatalf("%q: accepted, but encoding/xml says %v", in[space:n], err)
	}
	if end != len(st.Raw) {
		t.Fatalf("%q: encoding/xml sees the end at %d, we at %d", in[space:n], end, len(st.Raw))
	}
	if ours, theirs := loose(events(st.Root())), loose(theirs); ours != theirs {
		t.Fatalf("%q:\nwe say            %s\nencoding/xml says %s", in[space:n], ours, theirs)
	}
	for i, c := range st.Children {
		e := st.Element(i)
		if !bytes.Equal(e.Name, c.Name) || !bytes.Equal(e.Space, c.Space) {
			t.Fatalf("%q: child %d is %s %s for Next, %s %s for Element", in[space:n], i, c.Space, c.Name, e.Space, e.Name)
		}
	}
}

func TestAgainstGo(t *testing.T) {
	for _, in := range corpus() {
		checkAgainstGo(t, []byte(in))
	}
	g := newGenerator(1)
	for range 3000 {
		checkAgainstGo(t, g.next())
	}
}

// characters yields those of the BMP and some of the others, which are never in
// names.
func characters() iter.Seq[rune] {
	return func(yield func(rune) bool) {
		for r := rune(1); r <= 0x10FFFF; r++ {
			if !yield(r) {
				return
			}
			if r > 0xFFFF {
				r += 0x100
			}
		}
	}
}

// Every name that we accept is one for encoding/xml.
func TestNamesAgainstGo(t *testing.T) {
	for r := range characters() {
		for _, in := range []string{"<" + string(r) + "/>", "<a" + string(r) + "/>"} {
			if end, _, err := name([]byte(in), 1); err != nil || end != len(in)-len("/>") {
				continue // no name, or one that ends before r
			}
			if err := xml.Unmarshal([]byte(in), new(struct{})); err != nil {
				t.Errorf("%q: accepted, but encoding/xml says %v", in, err)
			}
		}
	}
}

func FuzzScan(f *testing.F) {
	for _, in := range corpus() {
		f.Add([]byte(in))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		checkAgainstGo(t, in)
		whole := inPieces(in, func() int { return max(1, len(in)) })
		if got := inPieces(in, func() int { return 1 }); got != whole {
			t.Errorf("%q\nin bytes: %s\nwhole: %s", in, got, whole)
		}
		r := rand.New(rand.NewPCG(uint64(len(in)), 1))
		if got := inPieces(in, randomCuts(r)); got != whole {
			t.Errorf("%q\nin pieces: %s\nwhole: %s", in, got, whole)
		}
	})
}

func FuzzNextHeader(f *testing.F) {
	f.Add([]byte(around))
	f.Add([]byte(`<?xml version='1.0' encoding="UTF-8" standalone='no'?>` + around))
	f.Add([]byte(`<s:stream xmlns:s='http://etherx.jabber.org/streams' xmlns='a&#x62;' p:q='' xmlns:p='u' version='1.0' xml:lang='en'>`))
	f.Fuzz(func(t *testing.T, in []byte) {
		var sc Scanner
		var h Header
		n, err := sc.NextHeader(in, &h)
		if err != nil {
			return
		}
		d := xml.NewDecoder(bytes.NewReader(bytes.TrimLeft(in[:n], " \t\r\n")))
		for {
			token, err := d.Token()
			if err != nil {
				t.Fatalf("%q: accepted, but encoding/xml says %v", in[:n], err)
			}
			if e, ok := token.(xml.StartElement); ok {
				if e.Name.Space != NSStream || e.Name.Local != "stream" {
					t.Fatalf("%q: %v", in[:n], e.Name)
				}
				break
			}
		}
		var st Stanza
		if end := []byte("</" + string(sc.scope().root) + ">"); !sc.context.ended {
			if m, err := sc.Next(end, &st); m != len(end) || err != ErrEnd {
				t.Fatalf("%q: %d %v for %q", in[:n], m, err, end)
			}
		}
	})
}
