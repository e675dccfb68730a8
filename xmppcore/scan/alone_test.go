package scan

import (
	"strings"
	"testing"
)

// What an element has from around it goes with it.
func TestAppendAlone(t *testing.T) {
	for _, tt := range []struct{ name, stanza, want string }{
		{"its own namespace", "<iq><q xmlns='a'><b/></q></iq>", "<q xmlns='a'><b/></q>"},
		{"that of the stream", "<iq><q/></iq>", "<q xmlns='jabber:client'/>"},
		{"that of the stanza", "<iq xmlns='jabber:client' xmlns:p='u'><p:q p:x='1'/></iq>", "<p:q xmlns='jabber:client' xmlns:p='u' p:x='1'/>"},
		{"its own prefix", "<iq><p:q xmlns:p='u'/></iq>", "<p:q xmlns='jabber:client' xmlns:p='u'/>"},
		{"a prefix that is not used", "<iq xmlns:p='u'><q xmlns='a'/></iq>", "<q xmlns='a'/>"},
		{"a prefix that is declared again", "<iq xmlns:p='u'><q xmlns='a' xmlns:p='v'><p:x/></q></iq>", "<q xmlns='a' xmlns:p='v'><p:x/></q>"},
		{"a prefix of the stream", "<iq><q xmlns='a'><stream:x/></q></iq>", "<q xmlns:stream='http://etherx.jabber.org/streams' xmlns='a'><stream:x/></q>"},
		{"what is escaped", `<iq xmlns:p="a&amp;b'"><q xmlns='a'><p:x/></q></iq>`, "<q xmlns:p='a&amp;b&apos;' xmlns='a'><p:x/></q>"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var sc Scanner
			var st Stanza
			if _, err := sc.Next([]byte(tt.stanza), &st); err != nil {
				t.Fatal(err)
			}
			if got := string(st.Element(0).AppendAlone(nil)); got != tt.want {
				t.Errorf("%s\nwant\n%s", got, tt.want)
			}
		})
	}
}

// What stands alone can be read alone, and is the same again.
func FuzzAppendAlone(f *testing.F) {
	for _, s := range []string{"<iq><q xmlns='a'><b/></q></iq>", "<iq xmlns:p='u'><p:q p:x='1'/></iq>", "<iq xmlns:p='a&amp;b'><q><p:a xmlns:p='v'/><p:b/><stream:c/></q></iq>"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		var sc, again Scanner
		var st, alone Stanza
		if _, err := sc.Next([]byte(s), &st); err != nil || len(st.Children) == 0 {
			return
		}
		e := st.Element(0)
		b := []byte("<iq xmlns='other'>" + string(e.AppendAlone(nil)) + "</iq>")
		if len(e.Raw) > 100_000 || strings.Count(s, "xmlns") > 20 {
			return // may exceed the limits with its declarations
		}
		if _, err := again.Next(b, &alone); err != nil {
			t.Fatalf("%s: %v", b, err)
		}
		if got := alone.Element(0); string(got.Name) != string(e.Name) || string(got.Space) != string(e.Space) || got.Text() != e.Text() {
			t.Errorf("%s is no longer %s", b, e.Raw)
		}
		if twice := alone.Element(0).AppendAlone(nil); string(twice) != string(e.AppendAlone(nil)) {
			t.Errorf("%s, then %s", e.AppendAlone(nil), twice)
		}
	})
}
