package scan_test

import (
	"fmt"
	"strings"
	"testing"

	"rosterd/xmppcore/scan"
)

const usualHeader = `<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' to='example.com' version='1.0'>`

func TestNextHeader(t *testing.T) {
	tests := []struct{ name, in, want string }{
		{"usual", usualHeader, `{stream jabber:client example.com   1.0  [{stream http://etherx.jabber.org/streams}]}`},
		{"XML declaration", `<?xml version='1.0'?>` + usualHeader, `{stream jabber:client example.com   1.0  [{stream http://etherx.jabber.org/streams}]}`},
		{"XML declaration with everything", "<?xml version=\"1.0\" encoding = 'utf-8'\n standalone='yes' ?>\r\n" + usualHeader, `{stream jabber:client example.com   1.0  [{stream http://etherx.jabber.org/streams}]}`},
		{"space first", "\n <?xml version='1.0'?>" + usualHeader, `{stream jabber:client example.com   1.0  [{stream http://etherx.jabber.org/streams}]}`},
		{"other prefix, other prefixes, all attributes",
			`<s:stream xmlns:s='http://etherx.jabber.org/streams' xmlns='jabber:server' xmlns:p='u&amp;v' from='a&apos;b' to="c" id='d' version='1.1' xml:lang='de-CH'>`,
			`{s jabber:server c a'b d 1.1 de-CH [{s http://etherx.jabber.org/streams} {p u&v}]}`},
		{"no prefix", `<stream xmlns='http://etherx.jabber.org/streams'>`, `{ http://etherx.jabber.org/streams      []}`},
		{"no default", `<stream:stream xmlns:stream='http://etherx.jabber.org/streams'>`, `{stream       [{stream http://etherx.jabber.org/streams}]}`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for i := range tt.in {
				var sc scan.Scanner
				var h scan.Header
				if _, err := sc.NextHeader([]byte(tt.in[:i]), &h); err != scan.ErrMore {
					t.Fatalf("%q: %v", tt.in[:i], err)
				}
			}
			var sc scan.Scanner
			var h scan.Header
			n, err := sc.NextHeader([]byte(tt.in+"<a/>"), &h)
			if err != nil || n != len(tt.in) {
				t.Fatalf("n = %d, err = %v", n, err)
			}
			if got := headerString(&h); got != tt.want {
				t.Errorf("%s\nwant %s", got, tt.want)
			}
		})
	}
}

func headerString(h *scan.Header) string {
	return fmt.Sprintf("{%s %s %s %s %s %s %s %s}", h.Prefix, h.Default, h.To, h.From, h.ID, h.Version, h.Lang, h.Bindings)
}

func TestHeaderRefused(t *testing.T) {
	const declaration = `<?xml version='1.0'?>`
	tests := []struct {
		name string
		in   string
		want scan.Condition
	}{
		{"HTTP", "GET / HTTP/1.1\r\n", scan.NotWellFormed},
		{"TLS", "\x16\x03\x01\x02\x00", scan.NotWellFormed},
		{"byte order mark", "\ufeff" + usualHeader, scan.NotWellFormed},
		{"UTF-16", "\xff\xfe<\x00", scan.UnsupportedEncoding},
		{"UTF-16, big-endian", "\xfe\xff\x00<", scan.UnsupportedEncoding},
		{"UTF-32", "\x00\x00\x00<", scan.UnsupportedEncoding},
		{"other encoding", `<?xml version='1.0' encoding='ISO-8859-1'?>`, scan.UnsupportedEncoding},
		{"other XML version", `<?xml version='1.1'?>`, scan.NotWellFormed},
		{"no XML version", `<?xml encoding='UTF-8'?>`, scan.NotWellFormed},
		{"empty XML version", `<?xml version=''?>`, scan.NotWellFormed},
		{"declaration with nothing", `<?xml ?>`, scan.NotWellFormed},
		{"declaration without quotes", `<?xml version=1.0?>`, scan.NotWellFormed},
		{"declaration without space", `<?xml version='1.0'encoding='UTF-8'?>`, scan.NotWellFormed},
		{"declaration in other order", `<?xml encoding='UTF-8' version='1.0'?>`, scan.NotWellFormed},
		{"declaration with something else", `<?xml version='1.0' foo='bar'?>`, scan.NotWellFormed},
		{"standalone maybe", `<?xml version='1.0' standalone='maybe'?>`, scan.NotWellFormed},
		{"declaration without end", `<?xml version='1.0'` + strings.Repeat(" ", 1100), scan.PolicyViolation},
		{"much space behind the declaration", declaration + strings.Repeat("\n", 1100), scan.PolicyViolation},
		{"two declarations", declaration + declaration, scan.RestrictedXML},
		{"text behind the declaration", declaration + `x`, scan.NotWellFormed},
		{"name behind the declaration", declaration + "xa>", scan.NotWellFormed},
		{"processing instruction", `<?xml-stylesheet href='a'?>` + usualHeader, scan.RestrictedXML},
		{"document type declaration", `<!DOCTYPE stream:stream>`, scan.RestrictedXML},
		{"comment", declaration + `<!-- c -->`, scan.RestrictedXML},
		{"CDATA", `<![CDATA[`, scan.BadFormat},
		{"end tag", `</stream:stream>`, scan.NotWellFormed},
		{"undeclared prefix", `<stream:stream xmlns='jabber:client'>`, scan.BadNamespacePrefix},
		{"wrong namespace", `<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/stream' to='a'>`, scan.InvalidNamespace},
		{"no namespace", `<stream to='a'>`, scan.InvalidNamespace},
		{"stanza", `<message xmlns='jabber:client' to='a'/>`, scan.InvalidNamespace},
		{"other element of streams", `<s:features xmlns:s='http://etherx.jabber.org/streams' to='a'>`, scan.BadFormat},
		{"duplicate attribute", `<stream:stream to='a' to='b'`, scan.NotWellFormed},
		{"too long", `<stream:stream to='` + strings.Repeat("a", 20000), scan.PolicyViolation},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			sc := scan.Scanner{Limits: scan.Limits{Stanza: 16 << 10}}
			var h scan.Header
			_, err := sc.NextHeader([]byte(tt.in), &h)
			if condition(err) != tt.want {
				t.Errorf("%v, want %s", err, tt.want)
			}
			if named := tt.want == scan.InvalidNamespace || strings.HasPrefix(tt.name, "other element"); named && h.To != "a" {
				t.Errorf("to = %q: the server needs it for its own header", h.To)
			}
		})
	}
}

// What the header declares holds for the stanzas behind it, until the next header.
func TestInherited(t *testing.T) {
	var sc scan.Scanner
	header := func(in string) {
		t.Helper()
		var h scan.Header
		b := []byte(in)
		if n, err := sc.NextHeader(b, &h); err != nil || n != len(in) {
			t.Fatalf("%q: n = %d, err = %v", in, n, err)
		}
		clear(b) // the scanner keeps nothing of it
	}
	stanza := func(in, want string) {
		t.Helper()
		var st scan.Stanza
		_, err := sc.Next([]byte(in), &st)
		got := fmt.Sprintf("%s %s %s %s", st.Space, st.Default, st.Inherited, st.Lang)
		if err != nil {
			got = string(condition(err))
		}
		if got != want {
			t.Errorf("%q: %s, want %s", in, got, want)
		}
	}
	header(`<s:stream xmlns:s='http://etherx.jabber.org/streams' xmlns='jabber:client' xmlns:p='urn:p' xmlns:q='urn:q' xmlns:xml='http://www.w3.org/XML/1998/namespace' xml:lang='en'>`)
	stanza(`<iq/>`, "jabber:client jabber:client [] en")
	stanza(`<iq><p:a/><q:b/><p:c/></iq>`, "jabber:client jabber:client [{p urn:p} {q urn:q}] en")
	stanza(`<iq><a><b q:c=''/></a></iq>`, "jabber:client jabber:client [{q urn:q}] en")
	stanza(`<p:iq/>`, "urn:p jabber:client [{p urn:p}] en")
	stanza(`<iq xmlns:p='urn:other'><p:a/></iq>`, "jabber:client jabber:client [] en")
	stanza(`<iq><a xmlns:p='urn:other'><p:b/></a><p:b/></iq>`, "jabber:client jabber:client [{p urn:p}] en")
	stanza(`<iq><a xmlns:r='urn:p' p:x='' r:x=''/></iq>`, "not-well-formed")
	stanza(`<stream:features/>`, "bad-namespace-prefix")
	stanza(`</stream:stream>`, "not-well-formed")

	header(`<stream:stream xmlns:stream='http://etherx.jabber.org/streams' xmlns='jabber:server' xml:lang="e'n">`)
	stanza(`<iq/>`, "jabber:server jabber:server [] ")
	stanza(`<iq><p:a/></iq>`, "bad-namespace-prefix")
	stanza(`<iq xmlns='jabber:client'/>`, "jabber:client jabber:client [] ")
	stanza(`<iq><stream:a/></iq>`, "jabber:server jabber:server [{stream http://etherx.jabber.org/streams}] ")

	header(`<stream xmlns='http://etherx.jabber.org/streams'>`)
	var st scan.Stanza
	if n, err := sc.Next([]byte(`</stream>`), &st); n != 9 || err != scan.ErrEnd {
		t.Errorf("end: n = %d, err = %v", n, err)
	}
	header(`<stream xmlns='http://etherx.jabber.org/streams'/>`)
	if n, err := sc.Next(nil, &st); n != 0 || err != scan.ErrEnd {
		t.Errorf("end of an empty stream: n = %d, err = %v", n, err)
	}
}

// The prefixes of the header count, and a header can exceed the limit by itself.
func TestHeaderPrefixLimit(t *testing.T) {
	sc := scan.Scanner{Limits: scan.Limits{Prefixes: 2}}
	var h scan.Header
	var st scan.Stanza
	if _, err := sc.NextHeader([]byte(usualHeader), &h); err != nil {
		t.Fatal(err)
	}
	if _, err := sc.Next([]byte(`<a xmlns:p='u'/>`), &st); err != nil {
		t.Error(err)
	}
	if _, err := sc.Next([]byte(`<a xmlns:p='u' xmlns:q='v'/>`), &st); condition(err) != scan.PolicyViolation {
		t.Error(err)
	}
	if _, err := sc.NextHeader([]byte(`<stream:stream xmlns:a='u' xmlns:b='v' xmlns:c='w'>`), &h); condition(err) != scan.PolicyViolation {
		t.Error(err)
	}
}
