package scan_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"rosterd/xmppcore/scan"
)

// scanOne reads what is at the beginning of in with a zero Scanner.
func scanOne(in string) (*scan.Stanza, int, error) {
	var sc scan.Scanner
	var st scan.Stanza
	n, err := sc.Next([]byte(in), &st)
	return &st, n, err
}

func condition(err error) scan.Condition {
	var e *scan.Error
	if errors.As(err, &e) {
		return e.Condition
	}
	return ""
}

func TestRefused(t *testing.T) {
	const (
		ill    = scan.NotWellFormed
		ns     = scan.BadNamespacePrefix
		policy = scan.PolicyViolation
		xml    = scan.RestrictedXML
		format = scan.BadFormat
	)
	tests := []struct {
		name string
		in   string
		want scan.Condition
	}{
		// RFC 6120 §11.1
		{"comment", `<a><!-- c --></a>`, xml},
		{"comment between stanzas", `<!-- c --><a/>`, xml},
		{"processing instruction", `<a><?php x?></a>`, xml},
		{"processing instruction between stanzas", `<?php x?>`, xml},
		{"XML declaration between stanzas", `<?xml version='1.0'?>`, xml},
		{"document type declaration", `<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>`, xml},
		{"element declaration inside a stanza", `<a><!ELEMENT b ANY></a>`, xml},
		{"lower-case CDATA", `<a><![cdata[x]]></a>`, xml},
		{"entity of its own", `<a>&foo;</a>`, xml},
		{"entity of its own in an attribute", `<a b='&foo;'/>`, xml},
		{"entity with a long name", `<a>&ampere;</a>`, xml},
		{"entity in other case", `<a>&AMP;</a>`, xml},
		{"one-letter entity", `<a>&a;</a>`, xml},

		{"text between stanzas", `hello<a/>`, format},
		{"reference between stanzas", `&lt;`, format},
		{"CDATA between stanzas", `<![CDATA[x]]>`, format},
		{"stream header inside the stream", `<stream:stream to='a' version='1.0' xmlns='jabber:client'>`, format},
		{"the same with another prefix", `<s:stream xmlns:s='http://etherx.jabber.org/streams'>`, format},
		{"end tag of something else", `</iq>`, ill},
		{"end tag that goes on", `</stream:streams>`, ill},
		{"end tag that goes on with a name", `</stream:streamé>`, ill},

		// tags
		{"end tag mismatch", `<a><b></a></b>`, ill},
		{"end tag is a prefix", `<ab></a>`, ill},
		{"end tag is longer", `<a></ab>`, ill},
		{"end tag has another prefix", `<p:a xmlns:p='u'></a>`, ill},
		{"end tag with another prefix of the same namespace", `<p:a xmlns:p='u' xmlns:q='u'></q:a>`, ill},
		{"end tag with an attribute", `<a></a b='c'>`, ill},
		{"end tag with space first", `<a></ a>`, ill},
		{"end tag with a slash", `<a></a/>`, ill},
		{"no name", `< a/>`, ill},
		{"empty tag", `<>`, ill},
		{"slash and space", `<a / >`, ill},
		{"slash and a name", `<a /b>`, ill},
		{"'<' in a tag", `<a <b/>`, ill},

		// names
		{"name begins with a digit", `<1a/>`, ill},
		{"name begins with a hyphen", `<-a/>`, ill},
		{"name begins with a dot", `<.a/>`, ill},
		{"name with a quote", `<a'b/>`, ill},
		{"two colons", `<stream:b:c/>`, ill},
		{"two colons together", `<stream::b/>`, ill},
		{"colon first", `<:a/>`, ill},
		{"colon last", `<stream:/>`, ill},
		{"colon last before an end", `<stream:></stream:>`, ill},
		{"colon alone", `<:/>`, ill},
		{"local part begins with a digit", `<stream:1/>`, ill},
		{"attribute with two colons", `<a xml:lang:x='b'/>`, ill},
		{"attribute with colon first", `<a :b='c'/>`, ill},
		{"attribute with colon last", `<a xml:='c'/>`, ill},
		{"attribute begins with a digit", `<a 1='c'/>`, ill},
		{"declaration of a prefix with a digit first", `<a xmlns:1='c'/>`, ill},
		{"multiplication sign in a name", "<a\u00d7/>", ill},
		{"name begins with a combining character", "<\u0301a/>", ill},
		{"local part begins with a combining character", "<stream:\u0301/>", ill},
		{"name begins with a middle dot", "<\u00b7/>", ill},
		{"zero width joiner, a name in the fifth edition only", "<a\u200d/>", ill},
		{"letter outside the BMP, a name in the fifth edition only", "<\U00010000/>", ill},
		{"emoji", "<\U0001F600/>", ill},
		{"no-break space in a tag", "<a\u00a0b='c'/>", ill},

		// attributes
		{"duplicate attribute", `<a b='1' b='2'/>`, ill},
		{"duplicate attribute far apart", `<a b='1' c='' d='' e='' b='1'/>`, ill},
		{"duplicate declaration", `<a xmlns='u' xmlns='u'/>`, ill},
		{"duplicate prefix declaration", `<a xmlns:p='u' xmlns:p='v'/>`, ill},
		{"duplicate by namespace", `<a xmlns:p='u' xmlns:q='u' p:b='1' q:b='2'/>`, ill},
		{"duplicate by namespace, one escaped", `<a xmlns:p='u' xmlns:q='&#117;' p:b='1' q:b='2'/>`, ill},
		{"duplicate by namespace, declared afterwards", `<a p:b='1' q:b='2' xmlns:p='u' xmlns:q='u'/>`, ill},
		{"duplicate by namespace, declared further out", `<a xmlns:p='u'><b xmlns:q='u'><c p:b='1' q:b='2'/></b></a>`, ill},
		{"duplicate by namespace, one from the stream", `<a xmlns:p='http://etherx.jabber.org/streams' p:b='1' stream:b='2'/>`, ill},
		{"duplicate xml:lang", `<a xml:lang='en' xml:lang='de'/>`, ill},
		{"no space between attributes", `<a b='1'c='2'/>`, ill},
		{"no space behind the name", `<a'b'/>`, ill},
		{"no value", `<a b/>`, ill},
		{"no value, another attribute", `<a b c='d'/>`, ill},
		{"no quotes", `<a b=c/>`, ill},
		{"no quotes, nothing", `<a b=/>`, ill},
		{"'<' in a value", `<a b='<'/>`, ill},
		{"'<' in a long value", `<a b="text <c/>"/>`, ill},
		{"bare ampersand in a value", `<a b='x & y'/>`, ill},
		{"NUL in a value", "<a b='\x00'/>", ill},
		{"NUL in a tag", "<a \x00/>", ill},

		// namespaces
		{"undeclared prefix", `<p:a/>`, ns},
		{"undeclared attribute prefix", `<a p:b='c'/>`, ns},
		{"prefix out of scope", `<a><b xmlns:p='u'/><p:c/></a>`, ns},
		{"prefix out of scope behind an end tag", `<a><b xmlns:p='u'></b><c p:d=''/></a>`, ns},
		{"xmlns as element prefix", `<xmlns:a/>`, ns},
		{"xmlns bound", `<a xmlns:xmlns='u'/>`, ns},
		{"xmlns bound to its own namespace", `<a xmlns:xmlns='http://www.w3.org/2000/xmlns/'/>`, ns},
		{"xml bound to something else", `<a xmlns:xml='u'/>`, ns},
		{"other prefix for the xml namespace", `<a xmlns:p='http://www.w3.org/XML/1998/namespace'/>`, ns},
		{"other prefix for the xml namespace, escaped", `<a xmlns:p='http://www.w3.org/XML/1998/namespac&#x65;'/>`, ns},
		{"other prefix for the xmlns namespace", `<a xmlns:p='http://www.w3.org/2000/xmlns/'/>`, ns},
		{"xml namespace as default", `<a xmlns='http://www.w3.org/XML/1998/namespace'/>`, ns},
		{"xmlns namespace as default", `<a xmlns='http://www.w3.org/2000/xmlns/'/>`, ns},
		{"empty prefix binding", `<a xmlns:p=''/>`, ns},
		{"empty binding of the prefix xml", `<a xmlns:xml=''/>`, ns},
		{"namespace with a space", `<a xmlns='a b'/>`, format},
		{"namespace with an escaped newline", `<a xmlns:p='a&#10;b'/>`, format},
		{"namespace with a brace", `<a xmlns='a}b'/>`, format},

		// characters
		{"NUL", "<a>\x00</a>", ill},
		{"control character", "<a>\x1b[0m</a>", ill},
		{"form feed", "<a>\x0c</a>", ill},
		{"control character in CDATA", "<a><![CDATA[\x01]]></a>", ill},
		{"reference to NUL", `<a>&#0;</a>`, ill},
		{"reference to a control character", `<a>&#x1F;</a>`, ill},
		{"reference to a surrogate", `<a>&#xD800;</a>`, ill},
		{"reference to the last surrogate", `<a>&#57343;</a>`, ill},
		{"reference to U+FFFE", `<a>&#xFFFE;</a>`, ill},
		{"reference to U+FFFF", `<a>&#65535;</a>`, ill},
		{"reference behind Unicode", `<a>&#x110000;</a>`, ill},
		{"reference that overflows", `<a>&#x100000041;</a>`, ill},
		{"reference in an attribute", `<a b='&#8;'/>`, ill},
		{"reference without digits", `<a>&#;</a>`, ill},
		{"hexadecimal reference without digits", `<a>&#x;</a>`, ill},
		{"reference with upper-case X", `<a>&#X41;</a>`, ill},
		{"decimal reference with a letter", `<a>&#4A;</a>`, ill},
		{"negative reference", `<a>&#-1;</a>`, ill},
		{"reference with space", `<a>&#65 ;</a>`, ill},
		{"reference without end", `<a>&#65</a>`, ill},
		{"entity without end", `<a>&amp</a>`, ill},
		{"bare ampersand", `<a>x & y</a>`, ill},
		{"ampersand and semicolon", `<a>&;</a>`, ill},
		{"very long reference", `<a>&#` + strings.Repeat("0", 40) + `65;</a>`, policy},
		{"byte that is never UTF-8", "<a>\xff</a>", ill},
		{"continuation byte alone", "<a>\x80</a>", ill},
		{"sequence cut off", "<a>\xe2\x82</a>", ill},
		{"overlong NUL", "<a>\xc0\x80</a>", ill},
		{"overlong '<'", "<a>\xc0\xbc</a>", ill},
		{"overlong three bytes", "<a>\xe0\x80\xaf</a>", ill},
		{"surrogate", "<a>\xed\xa0\x80</a>", ill},
		{"surrogate pair", "<a>\xed\xa0\xbd\xed\xb8\x80</a>", ill},
		{"behind Unicode", "<a>\xf4\x90\x80\x80</a>", ill},
		{"U+FFFE", "<a>\uFFFE</a>", ill},
		{"U+FFFF", "<a>\uFFFF</a>", ill},
		{"U+FFFF in a value", "<a b='\uFFFF'/>", ill},
		{"U+FFFF in CDATA", "<a><![CDATA[\uFFFF]]></a>", ill},
		{"bad UTF-8 in a value", "<a b='\xe9'/>", ill},
		{"bad UTF-8 in CDATA", "<a><![CDATA[\xe9]]></a>", ill},
		{"bad UTF-8 in a name", "<a\xe9/>", ill},
		{"bad UTF-8 in an attribute name", "<a \xe9='b'/>", ill},
		{"]]> in text", `<a>]]></a>`, ill},
		{"]]]> in text", `<a>]]]></a>`, ill},
		{"]]> behind CDATA", `<a><![CDATA[x]]>]]></a>`, ill},

		// limits
		{"very long name", "<" + strings.Repeat("a", 1025) + "/>", policy},
		{"very long prefix", "<" + strings.Repeat("a", 1024) + ":b/>", policy},
		{"very long attribute name", "<a " + strings.Repeat("b", 1025) + "='c'/>", policy},
		{"much space before '='", "<a b" + strings.Repeat(" ", 1025) + "='c'/>", policy},
		{"much space behind '='", "<a b=" + strings.Repeat("\n", 1025) + "'c'/>", policy},
		{"much space in an end tag", "<a></a" + strings.Repeat("\t", 1025) + ">", policy},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, _, err := scanOne(tt.in)
			if got := condition(err); got != tt.want {
				t.Errorf("%q: %v, want %s", tt.in, err, tt.want)
			}
		})
	}
}

func TestAccepted(t *testing.T) {
	tests := []struct{ name, in string }{
		{"self-closed", `<presence/>`},
		{"self-closed with space", `<presence />`},
		{"end tag with space", "<presence></presence \r\n\t>"},
		{"space around '='", "<a b \n=\t 'c' />"},
		{"spaces between attributes", "<a  \r\n b='c'" + strings.Repeat(" ", 5000) + "d='e'/>"},
		{"both quotes", `<a b="it's" c='"'/>`},
		{"'>' in a value", `<a b='>'/>`},
		{"'/>' in a value", `<a b='/>'><c/></a>`},
		{"']]>' in a value", `<a b=']]>'/>`},
		{"'>' in text", `<a>b > c</a>`},
		{"brackets in text", `<a>]] ] ]]</a>`},
		{"']]' escaped '>'", `<a>]]&gt;</a>`},
		{"all entities", `<a b='&lt;&gt;&amp;&apos;&quot;'>&lt;&gt;&amp;&apos;&quot;</a>`},
		{"character references", `<a>&#9;&#10;&#13;&#32;&#xD7FF;&#xE000;&#xFFFD;&#x10000;&#x10fFfF;&#000065;</a>`},
		{"CDATA", `<a><![CDATA[<b> & ]] ]> <!-- ]]]]><![CDATA[]]></a>`},
		{"CDATA of brackets", `<a><![CDATA[]]]]]></a>`},
		{"DEL and C1", "<a b='\u0085'>\x7f\u0080\u009f</a>"},
		{"first and last of UTF-8", "<a>\u0080\u07ff\u0800\ud7ff\ue000\ufffd\U00010000\U0010ffff</a>"},
		{"noncharacters that XML allows", "<a>\ufdd0\U0001fffe</a>"},
		{"names with everything", `<a-b.c_1 _x.-9='d'/>`},
		{"non-ASCII names", "<имя фамилия='x'><日本語/><e\u0301\u00b7/><a\u0660/></имя>"},
		{"prefixes", `<p:a xmlns:p='u' p:b='1' b='2'><p:c/></p:a>`},
		{"prefix used before its declaration", `<a p:b='1' xmlns:p='u'/>`},
		{"prefix redeclared", `<a xmlns:p='u'><b xmlns:p='v' p:c=''/><p:d/></a>`},
		{"same local name in two namespaces", `<a xmlns:p='u' xmlns:q='v' p:b='' q:b='' b=''/>`},
		{"two prefixes of one namespace, other names", `<a xmlns:p='u' xmlns:q='u' p:b='' q:c=''/>`},
		{"xml prefix", `<a xml:lang='en' xml:space='preserve'><xml:b/></a>`},
		{"xml prefix declared as what it is", `<a xmlns:xml='http://www.w3.org/XML/1998/namespace' xml:lang='en'/>`},
		{"names that begin with xml", `<a xmlnsx='1' xml='2' xmlnsx2='' XMLNS='3'/>`},
		{"default namespace undeclared", `<a xmlns=''><b/></a>`},
		{"namespace with a reference", `<a xmlns='http://x?a=1&amp;b=2'/>`},
		{"namespace that is an IRI", `<a xmlns='urn:ü'/>`},
		{"stream prefix", `<stream:features/>`},
		{"longest name", "<" + strings.Repeat("a", 1024) + "/>"},
		{"longest space", "<a b" + strings.Repeat(" ", 1024) + "=''></a" + strings.Repeat(" ", 1024) + ">"},
		{"longest reference", `<a>&#` + strings.Repeat("0", 28) + `65;</a>`},
		{"depth", strings.Repeat("<a>", 64) + strings.Repeat("</a>", 64)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			st, n, err := scanOne(tt.in + "<next/>")
			if err != nil || n != len(tt.in) || string(st.Raw) != tt.in {
				t.Errorf("%q: n = %d, err = %v", tt.in, n, err)
			}
		})
	}
}

func TestIncomplete(t *testing.T) {
	const in = `<message to='a&amp;b' xmlns:p="u"><p:b c='d'>é&#x41;]]</p:b ><![CDATA[ ]]]></message>`
	for i := range len(in) {
		if _, n, err := scanOne(in[:i]); n != 0 || err != scan.ErrMore {
			t.Errorf("%q: n = %d, err = %v, want ErrMore", in[:i], n, err)
		}
	}
	if _, n, err := scanOne(in); n != len(in) || err != nil {
		t.Errorf("whole: n = %d, err = %v", n, err)
	}
}

func TestViews(t *testing.T) {
	const in = ` <message to="juliet@example.com" xmlns='jabber:client' id='1&amp;2' xml:lang='en'>` +
		`<body>hi</body>text<p:x xmlns:p='urn:p'><y xmlns='urn:y'/></p:x><z xmlns='urn:z'><w/></z></message><next/>`
	st, n, err := scanOne(in)
	if err != nil {
		t.Fatal(err)
	}
	if want := strings.Index(in, "<next/>"); n != want || string(st.Raw) != in[1:want] {
		t.Errorf("n = %d, Raw = %q", n, st.Raw)
	}
	if string(st.Name) != "message" || st.Prefix != nil || string(st.Space) != scan.NSClient || string(st.Default) != scan.NSClient {
		t.Errorf("root %q:%q in %q, default %q", st.Prefix, st.Name, st.Space, st.Default)
	}
	if st.Raw[st.Body] != '>' || st.SelfClosed || !strings.HasPrefix(string(st.Raw[st.Body:]), "><body>") {
		t.Errorf("Body = %d, SelfClosed = %t", st.Body, st.SelfClosed)
	}
	if got, want := fmt.Sprintf("%q", st.Attrs), `[{"to" "juliet@example.com"} {"xmlns" "jabber:client"} {"id" "1&amp;2"} {"xml:lang" "en"}]`; got != want {
		t.Errorf("Attrs = %s", got)
	}
	var children []string
	for _, c := range st.Children {
		children = append(children, fmt.Sprintf("%s %s %s", c.Name, c.Space, st.Raw[c.Off:c.End]))
	}
	want := []string{
		"body jabber:client <body>hi</body>",
		"x urn:p <p:x xmlns:p='urn:p'><y xmlns='urn:y'/></p:x>",
		"z urn:z <z xmlns='urn:z'><w/></z>",
	}
	if strings.Join(children, "\n") != strings.Join(want, "\n") {
		t.Errorf("Children:\n%s", strings.Join(children, "\n"))
	}
	if string(st.Get("id")) != "1&amp;2" || st.Get("from") != nil {
		t.Errorf("Get: id %q, from %q", st.Get("id"), st.Get("from"))
	}
	if id, ok := st.Attr("id"); id != "1&2" || !ok {
		t.Errorf("Attr: id %q %t", id, ok)
	}
	if _, ok := st.Attr("from"); ok {
		t.Error("Attr: there is no from")
	}
	if len(st.Inherited) != 0 || st.Lang != nil {
		t.Errorf("Inherited = %q, Lang = %q", st.Inherited, st.Lang)
	}
}

func TestSpace(t *testing.T) {
	tests := []struct{ name, in, prefix, local, space, inner string }{
		{"usual", `<iq/>`, "", "iq", "jabber:client", "jabber:client"},
		{"another default", `<message xmlns='foo'/>`, "", "message", "foo", "foo"},
		{"none", `<message xmlns=''/>`, "", "message", "", ""},
		{"escaped", `<message xmlns='jabber&#58;client'/>`, "", "message", "jabber:client", "jabber:client"},
		{"prefix", `<p:iq xmlns:p='jabber:client' xmlns='foo'/>`, "p", "iq", "jabber:client", "foo"},
		{"prefix of the stream", `<stream:error/>`, "stream", "error", "http://etherx.jabber.org/streams", "jabber:client"},
		{"prefix xml", `<xml:iq/>`, "xml", "iq", scan.NSXML, "jabber:client"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			st, _, err := scanOne(tt.in)
			if err != nil {
				t.Fatal(err)
			}
			if string(st.Prefix) != tt.prefix || string(st.Name) != tt.local || string(st.Space) != tt.space || string(st.Default) != tt.inner {
				t.Errorf("%q:%q in %q, default %q", st.Prefix, st.Name, st.Space, st.Default)
			}
		})
	}
}

func TestKeepAlive(t *testing.T) {
	var sc scan.Scanner
	var st scan.Stanza
	if n, err := sc.Next([]byte(" \r\n\t"), &st); n != 4 || err != scan.ErrMore {
		t.Errorf("space alone: n = %d, err = %v", n, err)
	}
	if n, err := sc.Next([]byte("\n\n<presence"), &st); n != 2 || err != scan.ErrMore {
		t.Errorf("space before half a stanza: n = %d, err = %v", n, err)
	}
	if n, err := sc.Next([]byte("<presence/>\n"), &st); n != 11 || err != nil {
		t.Errorf("the other half: n = %d, err = %v", n, err)
	}
	if n, err := sc.Next([]byte("\n<iq/>"), &st); n != 6 || err != nil || string(st.Raw) != "<iq/>" {
		t.Errorf("space before a stanza: n = %d, err = %v", n, err)
	}
	if n, err := sc.Next(nil, &st); n != 0 || err != scan.ErrMore {
		t.Errorf("nothing: n = %d, err = %v", n, err)
	}
}

func TestEnd(t *testing.T) {
	for _, in := range []string{"</stream:stream>", " \n</stream:stream \n>", "</stream:stream><a/>"} {
		_, n, err := scanOne(in)
		if err != scan.ErrEnd || n != strings.Index(in, ">")+1 {
			t.Errorf("%q: n = %d, err = %v", in, n, err)
		}
		for i := range strings.Index(in, ">") {
			if _, _, err := scanOne(in[:i]); err != scan.ErrMore {
				t.Errorf("%q: err = %v", in[:i], err)
			}
		}
	}
}

func TestLimits(t *testing.T) {
	attrs := func(n int) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, " a%d=''", i)
		}
		return b.String()
	}
	prefixes := func(n int) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, " xmlns:p%d='u%d'", i, i)
		}
		return b.String()
	}
	deep := func(n int) string { return strings.Repeat("<a>", n) + strings.Repeat("</a>", n) }
	long := func(n int) string { return "<a>" + strings.Repeat("x", n-len("<a></a>")) + "</a>" }
	tests := []struct {
		name    string
		limits  scan.Limits
		ok, not string
	}{
		{"default length", scan.Limits{}, long(256 << 10), long(256<<10 + 1)},
		{"default depth", scan.Limits{}, deep(64), deep(65)},
		{"default attributes", scan.Limits{}, "<a" + attrs(64) + "/>", "<a" + attrs(65) + "/>"},
		{"default prefixes", scan.Limits{}, "<a" + prefixes(31) + "/>", "<a" + prefixes(32) + "/>"},
		{"length", scan.Limits{Stanza: 100}, long(100), long(101)},
		{"length of a tag", scan.Limits{Stanza: 10}, "<abcdefg/>", "<abcdefgh/>"},
		{"depth", scan.Limits{Depth: 2}, deep(2), "<a><b><c/></b></a>"},
		{"attributes", scan.Limits{Attrs: 2}, "<a" + attrs(2) + "><b" + attrs(2) + "/></a>", "<a><b" + attrs(3) + "/></a>"},
		{"prefixes in scope", scan.Limits{Prefixes: 3}, "<a xmlns:p='u'><b xmlns:q='v'/><b xmlns:q='v'/></a>", "<a xmlns:p='u'><b xmlns:q='v'><c xmlns:r='w'/></b></a>"},
		{"prefixes never more than 64", scan.Limits{Prefixes: 1000, Attrs: 1000}, "<a" + prefixes(63) + "/>", "<a" + prefixes(64) + "/>"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			sc := scan.Scanner{Limits: tt.limits}
			var st scan.Stanza
			if n, err := sc.Next([]byte(tt.ok), &st); err != nil || n != len(tt.ok) {
				t.Errorf("within: n = %d, err = %v", n, err)
			}
			if _, err := sc.Next([]byte(tt.not), &st); condition(err) != scan.PolicyViolation {
				t.Errorf("exceeded: %v", err)
			}
		})
	}
}

// A stanza that never ends is refused as soon as it is too long, complete or not.
func TestLimitWithoutEnd(t *testing.T) {
	sc := scan.Scanner{Limits: scan.Limits{Stanza: 1000}}
	for _, in := range []string{"<a>", "<a b='", "<a><![CDATA[", "<a ", "<a><b/>", "<a></a "} {
		b := []byte(in + strings.Repeat(" ", 1000))
		var st scan.Stanza
		if _, err := sc.Next(b[:999], &st); err != scan.ErrMore {
			t.Errorf("%q: %v, want ErrMore", in, err)
		}
		if _, err := sc.Next(b[:1000], &st); condition(err) != scan.PolicyViolation {
			t.Errorf("%q: %v", in, err)
		}
	}
}

func TestErrorText(t *testing.T) {
	_, _, err := scanOne(`<a><b></a>`)
	if got, want := err.Error(), "not-well-formed at byte 8: end tag of another element than <b>"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

// The views of one stanza must not show what an earlier, larger one left behind.
func TestReuse(t *testing.T) {
	var sc scan.Scanner
	var st scan.Stanza
	for _, in := range []string{
		`<p:a xmlns:p='u' xml:lang='en' b='1'><stream:c/><d/></p:a>`,
		`<iq/>`,
		"<a>" + strings.Repeat("<b/>", 10000) + "</a>",
		`<iq/>`,
		`<a b='<'/>`,
		`<iq/>`,
	} {
		_, err := sc.Next([]byte(in), &st)
		if in == "<iq/>" && (err != nil || len(st.Attrs)+len(st.Children)+len(st.Inherited)+len(st.Prefix) != 0 || !st.SelfClosed || cap(st.Children) > 256) {
			t.Errorf("err %v, attrs %q, children %d (room for %d), inherited %q", err, st.Attrs, len(st.Children), cap(st.Children), st.Inherited)
		}
	}
}

func TestNoAllocations(t *testing.T) {
	var sc scan.Scanner
	var st scan.Stanza
	in := []byte(`<message to='a' xmlns:p='u&amp;v'><p:body p:x='1'>é&lt;</p:body><stream:x/></message>`)
	if n := testing.AllocsPerRun(100, func() {
		if _, err := sc.Next(in, &st); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
	if n := testing.AllocsPerRun(100, func() {
		for i := range in {
			if _, err := sc.Next(in[:i], &st); err != scan.ErrMore {
				t.Fatal(err)
			}
		}
		if _, err := sc.Next(in, &st); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("in pieces: %v allocations", n)
	}
}
