package scan

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
)

// outcome is everything Next says, as text.
func outcome(n int, err error, st *Stanza) string {
	if err != nil {
		return fmt.Sprintf("%d %v", n, err)
	}
	return fmt.Sprintf("%d %s:%s %s %s %q %d %t %v %q %s",
		n, st.Prefix, st.Name, st.Space, st.Default, st.Attrs, st.Body, st.SelfClosed, st.Children, st.Inherited, st.Raw)
}

// inPieces reads the first stanza of in as it comes in pieces, each time at
// another address, and returns what the last call of Next said.
func inPieces(in []byte, next func() int) string {
	var sc Scanner
	var st Stanza
	for end, used := 0, 0; ; {
		end = min(len(in), end+next())
		b := append([]byte(nil), in[used:end]...)
		n, err := sc.Next(b, &st)
		if err != ErrMore || end == len(in) {
			return outcome(used+n, err, &st)
		}
		used += n
		clear(b)
	}
}

func TestPieces(t *testing.T) {
	for _, in := range corpus() {
		b := []byte(in)
		whole := inPieces(b, func() int { return len(b) })
		if got := inPieces(b, func() int { return 1 }); got != whole {
			t.Errorf("%q\nin bytes: %s\nwhole: %s", in, got, whole)
		}
		for cut := 1; cut < len(b); cut++ {
			at := cut
			got := inPieces(b, func() int { n := at; at = len(b); return n })
			if got != whole {
				t.Errorf("%q\ncut at %d: %s\nwhole: %s", in, cut, got, whole)
				break
			}
		}
	}
}

func TestHeaderPieces(t *testing.T) {
	const in = "\n<?xml version='1.0'?> <stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' xmlns:p='u&amp;v' to='a'>"
	var sc Scanner
	var h Header
	used := 0
	for end := range len(in) {
		n, err := sc.NextHeader([]byte(in[used:end]), &h)
		if err != ErrMore {
			t.Fatalf("%q: %v", in[:end], err)
		}
		used += n
	}
	n, err := sc.NextHeader([]byte(in[used:]), &h)
	if err != nil || used+n != len(in) || h.To != "a" || len(h.Bindings) != 2 || string(h.Bindings[1].Space) != "u&v" {
		t.Errorf("n = %d, err = %v, header %+v", n, err, h)
	}
}

// Reading is linear however a stanza arrives, because what is read again after
// ErrMore is bounded: a name, an '=' with its space, a reference, an end tag.
func TestProgress(t *testing.T) {
	const size, again = 200 << 10, 3*maxName + 16
	fill := func(s string) string { return strings.Repeat(s, size/len(s)) }
	tests := []struct{ name, in string }{
		{"text", "<a>" + fill("x") + "</a>"},
		{"text, not ASCII", "<a>" + fill("€") + "</a>"},
		{"brackets", "<a>" + fill("]") + "</a>"},
		{"references", "<a>" + fill("&amp;&#65;") + "</a>"},
		{"CDATA", "<a><![CDATA[" + fill("]>") + "]]></a>"},
		{"attribute value", "<a b='" + fill("x&lt;") + "'/>"},
		{"space in a tag", "<a " + fill(" ") + "b=''" + "/>"},
		{"space before the end of a tag", "<a b=''" + fill("\n") + ">" + "</a>"},
		{"many tags", "<a>" + fill("<b c='d'>e</b>") + "</a>"},
		{"large tags", "<a>" + fill("<"+strings.Repeat("b", 1000)+strings.Repeat(" ", 1000)+"c"+strings.Repeat(" ", 1000)+"="+strings.Repeat(" ", 1000)+"'d'/>") + "</a>"},
		{"large end tags", "<a>" + fill("<"+strings.Repeat("b", 1000)+"></"+strings.Repeat("b", 1000)+strings.Repeat(" ", 1000)+">") + "</a>"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var sc Scanner
			var st Stanza
			in := []byte(tt.in)
			for end := 2; end < len(in); end += 7 {
				if _, err := sc.Next(in[:end], &st); err != ErrMore {
					t.Fatalf("%d bytes: %v", end, err)
				}
				if end-st.pos > again {
					t.Fatalf("%d bytes would be read again at %d", end-st.pos, end)
				}
			}
			if n, err := sc.Next(in, &st); err != nil || n != len(in) {
				t.Errorf("n = %d, err = %v", n, err)
			}
		})
	}
}

// A Stanza taken away in the middle, given to another Scanner, or given too few
// bytes costs time but never mixes two stanzas.
func TestWorkLost(t *testing.T) {
	var a, b Scanner
	var st, other Stanza
	one, two := []byte(`<iq id='1'><x/></iq>`), []byte(`<message><body>hi</body></message>`)
	more := func(sc *Scanner, in []byte, st *Stanza) {
		t.Helper()
		if _, err := sc.Next(in, st); err != ErrMore {
			t.Fatal(err)
		}
	}
	whole := func(sc *Scanner, in []byte, st *Stanza) {
		t.Helper()
		if n, err := sc.Next(in, st); err != nil || n != len(in) || string(st.Raw) != string(in) || len(st.Children) != 1 {
			t.Fatalf("n = %d, err = %v, raw %q", n, err, st.Raw)
		}
	}
	more(&a, one[:12], &st)
	whole(&a, one, &other)

	more(&a, one[:12], &st)
	more(&b, two[:20], &st)
	whole(&a, one, &st)
	whole(&b, two, &st)

	more(&a, one[:12], &st)
	whole(&b, two, &st)
	whole(&a, one, &st)

	more(&a, one[:12], &st)
	more(&a, one[:5], &st)
	whole(&a, one, &st)

	more(&a, one[:12], &st)
	var h Header
	if _, err := a.NextHeader([]byte(`<stream:stream xmlns='jabber:client' xmlns:stream='`+NSStream+`'>`), &h); err != nil {
		t.Fatal(err)
	}
	whole(&a, two, &st)
}

// randomCuts returns piece lengths.
func randomCuts(r *rand.Rand) func() int {
	return func() int { return 1 + r.IntN(1+r.IntN(40)) }
}
