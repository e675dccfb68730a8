package stanza_test

import (
	"encoding/xml"
	"io"
	"reflect"
	"slices"
	"strings"
	"testing"

	"rosterd/xmppcore/scan"
	"rosterd/xmppcore/stanza"
)

func split(b string) (list []string) {
	for e := range stanza.Elements([]byte(b)) {
		list = append(list, string(e))
	}
	return list
}

func TestElements(t *testing.T) {
	for _, tt := range []struct {
		name string
		want []string
	}{
		{"nothing", nil},
		{"one", []string{`<presence/>`}},
		{"two", []string{`<presence/>`, `<message><body>hi</body></message>`}},
		{"same names inside", []string{`<a><a/><a></a></a>`, `<a/>`}},
		{"tag ends in quotes", []string{`<a b='>' c="/>"><d e="'>"/></a>`, `<a/>`}},
		{"tags in CDATA", []string{`<a><![CDATA[</a>]]></a>`, `<a><![CDATA[]]]]></a>`}},
		{"slashes in values", []string{`<a b='/'></a>`, `<a b='x/'/>`}},
		{"prefix", []string{`<stream:error><conflict/></stream:error>`, `<x:a xmlns:x='u'></x:a >`}},
		{"space goes along with what follows", []string{`<a/>`, ` <a/>`, "\n"}},
		{"no end", []string{`<a/>`, `<a><b></b>`}},
		{"no end of a tag", []string{`<a/>`, `<a b='>`}},
		{"no end of CDATA", []string{`<a><![CDATA[</a>`}},
		{"end without a start", []string{`</a>`, `<a/>`}},
		{"a lone bracket", []string{`<a/>`, `<`}},
		{"empty tag", []string{`<>`}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := split(strings.Join(tt.want, "")); !reflect.DeepEqual(got, tt.want) {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

// Who appends to an element does not write into the next.
func TestElementsDoNotOverlap(t *testing.T) {
	b := []byte(`<a/><b/>`)
	for e := range stanza.Elements(b) {
		_ = append(e, "<overwritten/>"...)
	}
	if string(b) != `<a/><b/>` {
		t.Errorf("got %s", b)
	}
	for range stanza.Elements(b) {
		break
	}
}

func TestAppendStandalone(t *testing.T) {
	const client, streams = " xmlns='jabber:client'", " xmlns:stream='http://etherx.jabber.org/streams'"
	for _, tt := range []struct{ name, in, want string }{
		{"empty", `<presence/>`, `<presence` + client + `/>`},
		{"with children", `<iq id='1'><a xmlns='u'/></iq>`, `<iq` + client + ` id='1'><a xmlns='u'/></iq>`},
		{"without attributes", `<message>x</message>`, `<message` + client + `>x</message>`},
		{"other namespace", `<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>`, `<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>`},
		{"declared behind another attribute", `<a b='1'	c = "=" xmlns = 'u'/>`, `<a b='1'	c = "=" xmlns = 'u'/>`},
		{"xmlns in a value", `<a b=" xmlns='u'"/>`, `<a` + client + ` b=" xmlns='u'"/>`},
		{"xmlns in a child only", `<a><b xmlns='u' xmlns:stream='v'/></a>`, `<a` + client + `><b xmlns='u' xmlns:stream='v'/></a>`},
		{"similar names", `<a xmlnsx='u' x:xmlns='u'/>`, `<a` + client + ` xmlnsx='u' x:xmlns='u'/>`},
		{"stream error", `<stream:error><a xmlns='u'/></stream:error>`, `<stream:error` + client + streams + `><a xmlns='u'/></stream:error>`},
		{"prefix with another meaning", `<stream:message xmlns:stream='jabber:client'/>`, `<stream:message` + client + ` xmlns:stream='jabber:client'/>`},
		{"similar prefix", `<streams:a xmlns:streams='u'/>`, `<streams:a` + client + ` xmlns:streams='u'/>`},
		{"nothing", ``, client},
		{"no end", `<a b`, `<a` + client + ` b`},
		{"no value", `<a b=`, `<a` + client + ` b=`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := string(stanza.AppendStandalone([]byte("before"), []byte(tt.in))); got != "before"+tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

// tokens are what encoding/xml reads, without the declarations themselves.
func tokens(t *testing.T, text string) (list []xml.Token) {
	t.Helper()
	d := xml.NewDecoder(strings.NewReader(text))
	for {
		token, err := d.Token()
		if err == io.EOF {
			return list
		}
		if err != nil {
			t.Fatalf("%q: %v", text, err)
		}
		if e, ok := token.(xml.StartElement); ok {
			e.Attr = slices.DeleteFunc(e.Attr, func(a xml.Attr) bool { return a.Name.Local == "xmlns" || a.Name.Space == "xmlns" })
			if len(e.Attr) == 0 {
				e.Attr = nil
			}
			token = e
		}
		list = append(list, xml.CopyToken(token))
	}
}

// Whatever is split is whole again when it is put together; and what the scanner
// takes means the same alone as inside a stream, where others receive it.
func FuzzFrame(f *testing.F) {
	for _, seed := range []string{
		`<presence/><message to='a@b'><body>&lt;</body></message>`,
		`<a b='>'><![CDATA[</a>]]></a> <a/>`,
		`<stream:error><conflict xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error>`,
		`<message><stream:x/></message>`,
		`<stream:message xmlns:stream='jabber:client'/>`,
		`<x:iq xmlns:x="jabber:client" xmlns='u' a = "'"><b xmlns=""/></x:iq>`,
		`<`, `</`, `<!`, `<a`, `<a b`, `<a b=`, `<a b='`,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, in string) {
		if got := strings.Join(split(in), ""); got != in {
			t.Fatalf("%q became %q", in, got)
		}
		stanza.AppendStandalone(nil, []byte(in))
		var sc scan.Scanner
		var st scan.Stanza
		if _, err := sc.Next([]byte(in), &st); err != nil || strings.HasPrefix(string(st.Raw), "</") {
			return
		}
		ours := string(stanza.AppendRouted(nil, &st, "romeo@example.com"))
		if got := split(ours + ours); !reflect.DeepEqual(got, []string{ours, ours}) {
			t.Fatalf("%q became %q", ours+ours, got)
		}
		inside := tokens(t, `<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>`+ours+`</stream:stream>`)
		alone := tokens(t, string(stanza.AppendStandalone(nil, []byte(ours))))
		if want := inside[1 : len(inside)-1]; !reflect.DeepEqual(alone, want) {
			t.Fatalf("%q means %v alone, %v inside a stream", ours, alone, want)
		}
	})
}
