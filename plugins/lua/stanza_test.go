package lua

import (
	"encoding/xml"
	"strings"
	"testing"
)

// What util.stanza takes is well-formed XML as it writes it, and is read as what it was.
func FuzzStanza(f *testing.F) {
	for _, s := range []string{"", "a", "ü€😀", "<a href='x' b=\"y\">&amp;</a>", "]]>", "\t\r\n", "\x00", "\x0b", "\x1f", "\x7f", "\xff", "\ufffe", "\uffff", "\u0085", "a\x01b", "a b", "xml:lang"} {
		f.Add(s)
	}
	lines := strings.NewReplacer("\r\n", "\n", "\r", "\n") // XML 1.0 §2.11
	f.Fuzz(func(t *testing.T, s string) {
		if faultOf(s, "text") != "" {
			return
		}
		var read struct {
			Text string `xml:",chardata"`
			Attr string `xml:"k,attr"`
		}
		escaped := xmlEscapes.Replace(s)
		if err := xml.Unmarshal([]byte("<a k='"+escaped+"'>"+escaped+"</a>"), &read); err != nil {
			t.Fatalf("%q becomes %q: %v", s, escaped, err)
		}
		if read.Text != lines.Replace(s) || read.Attr != lines.Replace(s) {
			t.Errorf("%q is read as %q and %q", s, read.Text, read.Attr)
		}
	})
}

func TestStanzaFaults(t *testing.T) {
	for _, tt := range []struct{ text, kind, want string }{
		{"", "text", ""},
		{"", "name", "it is empty"},
		{"", "attribute", "it is empty"},
		{"a b", "text", ""},
		{"a b", "name", `"a b" has a character that no name has`},
		{"a<b", "attribute", `"a<b" has a character that no name has`},
		{"urn:x\x01k", "attribute", ""},
		{"urn:x\x01k", "name", "U+0001 is no character of XML"},
		{"\x01", "text", "U+0001 is no character of XML"},
		{"\t\r\n", "text", ""},
		{"\x1f", "text", "U+001F is no character of XML"},
		{"\x7f\u0085", "text", ""},
		{"x\uffff", "text", "U+FFFF is no character of XML"},
		{"\xed\xa0\x80", "text", "it is not UTF-8"},
		{"\xc0\x80", "name", "it is not UTF-8"},
	} {
		if got := faultOf(tt.text, tt.kind); got != tt.want {
			t.Errorf("%q as %s: %q, want %q", tt.text, tt.kind, got, tt.want)
		}
	}
}
