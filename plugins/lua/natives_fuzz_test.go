package lua

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	glua "github.com/yuin/gopher-lua"

	"rosterd/plugins/lua/vm"
)

func FuzzJID(f *testing.F) {
	for _, s := range []string{"a@b/c", "b", "@", "a@b/", `\20\5c20`, `d'artagnan`, "JÖRG@Example.COM/R", "a@b@c", "\xff", ""} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		node, host, resource := jidParts(s)
		if host != "" && joinJID(node, host, resource) != s {
			t.Errorf("%q is split into %q, %q, %q", s, node, host, resource)
		}
		if host == "" && !prepared(s).IsZero() {
			t.Errorf("%q is prepared to %q and cannot be split", s, prepared(s))
		}
		if got := unescapeNode(escapeNode(s)); got != s {
			t.Errorf("%q is escaped to %q, and that unescaped to %q", s, escapeNode(s), got)
		}
		if e := escapeNode(s); strings.ContainsAny(e, "\"&'/:<>@ ") {
			t.Errorf("%q is escaped to %q", s, e)
		}
	})
}

func FuzzForm(f *testing.F) {
	for _, s := range []string{"a=b&c=d+e", "%41%zz%", "a b+ü/%~-._", "=", "&&=&", "\x00\xff"} {
		f.Add(s, s)
	}
	f.Fuzz(func(t *testing.T, name, value string) {
		if got := percentDecoded(percentEncoded(name)); got != name {
			t.Errorf("%q is encoded to %q, and that decoded to %q", name, percentEncoded(name), got)
		}
		percentDecoded(name)
		formFields(name)
		form := []field{{name, value}, {value, name}}
		if got := formFields(formText(form)); !slices.Equal(got, form) {
			t.Errorf("%q is written as %q, and that read as %q", form, formText(form), got)
		}
	})
}

func FuzzBytesAsText(f *testing.F) {
	for _, s := range []string{"", "a", "YQ==", "YQ", "Y W\nJj", "YQ==YQ==", "a-b", "--ab--cd-", "0a0", "\x00"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if got := unhex(hex.EncodeToString([]byte(s))); got != s {
			t.Errorf("hex of %q is read as %q", s, got)
		}
		if b, err := hex.DecodeString(s); err == nil && unhex(s) != string(b) {
			t.Errorf("%q is read as %q", s, unhex(s))
		}
		if got, ok := unbase64(base64.StdEncoding.EncodeToString([]byte(s))); !ok || string(got) != s {
			t.Errorf("base64 of %q is read as %q", s, got)
		}
		if b, err := base64.StdEncoding.DecodeString(s); err == nil {
			if got, ok := unbase64(s); !ok || string(got) != string(b) {
				t.Errorf("%q is read as %q, not %q", s, got, b)
			}
		}
	})
}

func FuzzDatetime(f *testing.F) {
	for _, s := range []string{"2006-01-02T15:04:05Z", "20060102T15:04:05.25+02:00", "2006-13-41T25:61:61-0330", "2006-01-02T15:04:05 +1", "0000-00-00T00:00:00", ""} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		seconds, ok := parseStamp(s)
		if !ok {
			if seconds != 0 {
				t.Errorf("%q is not read, and %g", s, seconds)
			}
			return
		}
		whole := time.Unix(int64(seconds), 0).UTC()
		if again, ok := parseStamp(whole.Format("2006-01-02T15:04:05Z")); whole.Year() >= 0 && whole.Year() < 10000 && (!ok || again != float64(whole.Unix())) {
			t.Errorf("%q is %g, and that is written as %s", s, seconds, whole)
		}
		if at, err := time.Parse(time.RFC3339, s); err == nil && at.Unix() != whole.Unix() {
			t.Errorf("%q is %d, not %d", s, whole.Unix(), at.Unix())
		}
	})
}

func FuzzXML(f *testing.F) {
	for _, s := range []string{
		"<a/>", "<a xmlns='n' xmlns:p='u' p:x='1' x='2'><p:b>t</p:b>t<c xmlns=''/></a>", "<a>&amp;&#65;<![CDATA[<b>]]><!-- c --></a>", "<?xml version='1.0'?><a xml:lang='en'/>",
		"<!DOCTYPE a [<!ENTITY x 'y'>]><a>&x;</a>", "<a><b></a></b>", "<p:a/>", "<a x='1' x='2'/>", "<a b='\n&#10;'/>", "<?xml version='1.0' encoding='ISO-8859-1'?><a>\xfc</a>", "<a></a><!-- -->",
		"<a xmlns:p='u' xmlns:q='u' p:x='' q:x=''/>", "<:a/>", "<a:b:c/>", "\xef\xbb\xbf<a/>", "<a><?pi x?></a>",
	} {
		f.Add(s, true)
		f.Add(s, false)
	}
	state := vm.New(vm.Limits{})
	f.Cleanup(state.Close)
	meta := state.L().NewTable()
	read := func(t *testing.T, s string, lenient bool) (root *glua.LTable, err error) {
		failed := state.Run(t.Context(), func(l *glua.LState) error {
			nodes := 0
			root, err = (&xmlReader{l: l, meta: meta, nodes: &nodes, comments: lenient, instructions: lenient}).read(s)
			return nil
		})
		if failed != nil {
			t.Fatal(failed)
		}
		return root, err
	}
	f.Fuzz(func(t *testing.T, s string, lenient bool) {
		root, err := read(t, s, lenient)
		if err != nil {
			if root != nil {
				t.Errorf("%q: %v, and a stanza", s, err)
			}
			return
		}
		wellFormed(t, s)
		text := asXML(root)
		again, err := read(t, text, false)
		if err != nil {
			t.Fatalf("%q is written as %q, and that is not read: %v", s, text, err)
		}
		if got := asXML(again); got != text {
			t.Errorf("%q is written as %q, and that as %q", s, text, got)
		}
	})
}

// wellFormed fails if encoding/xml sees anything wrong in s.
func wellFormed(t *testing.T, s string) {
	t.Helper()
	d := xml.NewDecoder(strings.NewReader(s))
	d.CharsetReader = func(_ string, in io.Reader) (io.Reader, error) { return in, nil }
	if strings.Contains(s, "encoding") { // another one than the reader's
		return
	}
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			t.Fatalf("%q: %v", s, err)
		}
		if _, ok := token.(xml.Directive); ok {
			t.Fatalf("%q has a document type", s)
		}
	}
}

// asXML is a stanza as XML that declares every namespace where it is used.
func asXML(s *glua.LTable) string {
	var b strings.Builder
	name := s.RawGetString("name").String()
	b.WriteString("<" + name)
	attr := s.RawGetString("attr").(*glua.LTable)
	if attr.RawGetString("xmlns") == glua.LNil {
		b.WriteString(" xmlns=''")
	}
	var keys []string
	attr.ForEach(func(k, _ glua.LValue) { keys = append(keys, k.String()) })
	slices.Sort(keys)
	for i, k := range keys {
		v := attr.RawGetString(k).String()
		if namespace, local, ok := strings.Cut(k, "\x01"); ok {
			k = fmt.Sprintf("n%d:%s", i, local)
			fmt.Fprintf(&b, " xmlns:n%d='%s'", i, escapedXML(namespace))
		}
		fmt.Fprintf(&b, " %s='%s'", k, escapedXML(v))
	}
	b.WriteString(">")
	for i := 1; i <= s.Len(); i++ {
		if child, ok := s.RawGetInt(i).(*glua.LTable); ok {
			b.WriteString(asXML(child))
		} else {
			b.WriteString(escapedXML(s.RawGetInt(i).String()))
		}
	}
	return b.String() + "</" + name + ">"
}

func escapedXML(s string) string {
	var b strings.Builder
	_ = xml.EscapeText(&b, []byte(s))
	return b.String()
}
