package stanza_test

import (
	"testing"

	"rosterd/xmppcore/scan"
	"rosterd/xmppcore/stanza"
)

func TestAppendEdited(t *testing.T) {
	const header = `<s:stream xmlns='jabber:client' xmlns:s='http://etherx.jabber.org/streams' xmlns:q='urn:q' xml:lang='de'>`
	for _, tt := range []struct {
		name            string
		header, in      string
		edit            stanza.Edit
		want, forwarded string
	}{
		{"nothing", "", `<message to='b'><body>hi</body></message>`, stanza.Edit{},
			`<message from='a@b/c' to='b'><body>hi</body></message>`,
			`<message xmlns='jabber:client' from='a@b/c' to='b'><body>hi</body></message>`},
		{"without to", "", `<message/>`, stanza.Edit{},
			`<message from='a@b/c'/>`,
			`<message xmlns='jabber:client' from='a@b/c' to='d@b'/>`},
		{"added to one that is empty", "", `<message/>`, stanza.Edit{Add: []byte("<x xmlns='u'/>")},
			`<message from='a@b/c'><x xmlns='u'/></message>`,
			`<message xmlns='jabber:client' from='a@b/c' to='d@b'><x xmlns='u'/></message>`},
		{"added behind the others, and two left out", "", `<message to='b'><a/>t<b/><c><a/></c ></message >`, stanza.Edit{Drop: []int{0, 1}, Add: []byte("<x xmlns='u'/>")},
			`<message from='a@b/c' to='b'>t<c><a/></c ><x xmlns='u'/></message >`,
			`<message xmlns='jabber:client' from='a@b/c' to='b'>t<c><a/></c ><x xmlns='u'/></message >`},
		{"prefixes of its own", "", `<c:message xmlns:c='jabber:client' xmlns='u' to='b'/>`, stanza.Edit{Add: []byte("<x xmlns='v'/>")},
			`<c:message from='a@b/c' xmlns:c='jabber:client' to='b' xmlns='u'><x xmlns='v'/></c:message>`,
			`<c:message from='a@b/c' xmlns:c='jabber:client' to='b' xmlns='u'><x xmlns='v'/></c:message>`},
		{"from its stream header", header, `<message to='b'><q:a/><body>x</body></message>`, stanza.Edit{Drop: []int{1}},
			`<message from='a@b/c' to='b' xml:lang='de' xmlns:q='urn:q'><q:a/></message>`,
			`<message xmlns='jabber:client' from='a@b/c' to='b' xml:lang='de' xmlns:q='urn:q'><q:a/></message>`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var sc scan.Scanner
			var st scan.Stanza
			var h scan.Header
			if tt.header != "" {
				if _, err := sc.NextHeader([]byte(tt.header), &h); err != nil {
					t.Fatal(err)
				}
			}
			if _, err := sc.Next([]byte(tt.in), &st); err != nil {
				t.Fatal(err)
			}
			got := stanza.AppendEdited(nil, &st, "a@b/c", tt.edit)
			if string(got) != tt.want {
				t.Errorf("edited\n%s\nwant\n%s", got, tt.want)
			}
			parse(t, got)
			got = stanza.AppendForwarded(nil, &st, "a@b/c", "d@b", tt.edit)
			if string(got) != tt.forwarded {
				t.Errorf("forwarded\n%s\nwant\n%s", got, tt.forwarded)
			}
		})
	}
}

// Whatever the scanner takes keeps its other children when one is left out and one added, and means the same inside an
// element of another namespace.
func FuzzAppendEdited(f *testing.F) {
	f.Add([]byte(`<message to='b'><body>hi</body><x xmlns='u'/></message>`), 0)
	f.Add([]byte(`<p:message xmlns='v'>t<y xmlns='' p:z='"'><s:w/></y><z/></p:message>`), 1)
	f.Add([]byte(`<message><![CDATA[</message>]]><a/></message >`), 0)
	f.Fuzz(func(t *testing.T, in []byte, drop int) {
		const header = `<s:stream xmlns='jabber:client' xmlns:s='http://etherx.jabber.org/streams' xmlns:p="jabber:client" xmlns:q='urn:q' xml:lang='de'>`
		var sc scan.Scanner
		var st scan.Stanza
		var h scan.Header
		if _, err := sc.NextHeader([]byte(header), &h); err != nil {
			t.Fatal(err)
		}
		if _, err := sc.Next(in, &st); err != nil || stanza.KindOf(&st) != stanza.Message || len(st.Attrs) > 40 {
			return
		}
		e := stanza.Edit{Add: []byte("<added xmlns='urn:added'/>")}
		var want []scan.Child
		for i, c := range st.Children {
			if i == drop {
				e.Drop = []int{i}
				continue
			}
			want = append(want, c)
		}
		same := func(got scan.Element) {
			n := 0
			for c := range got.Elements() {
				switch {
				case n == len(want):
					if string(c.Space) != "urn:added" {
						t.Fatalf("%s became %s", in, got.Raw)
					}
				case n > len(want), string(c.Name) != string(want[n].Name), string(c.Space) != string(want[n].Space):
					t.Fatalf("%s became %s", in, got.Raw)
				}
				n++
			}
			if n != len(want)+1 || string(got.Space) != scan.NSClient {
				t.Fatalf("%s became %s", in, got.Raw)
			}
		}
		same(parse(t, stanza.AppendEdited(nil, &st, "a@b/c", e)).Root())
		around := append(stanza.AppendForwarded([]byte("<message><f xmlns='urn:f'>"), &st, "a@b/c", "d@b", e), "</f></message>"...)
		for got := range parse(t, around).Element(0).Elements() {
			same(got)
		}
	})
}
