package scan

import (
	"math/rand/v2"
	"strings"
)

// corpus returns stanzas and near-stanzas, each with something that a parser may
// see in another way than we do.
func corpus() []string {
	return []string{
		`<message to='juliet@example.com' type='chat'><body>hi</body><active xmlns='http://jabber.org/protocol/chatstates'/></message>`,
		`<presence/>`, ` <iq/><iq/>`, "<presence></presence \r\n>", "<a b=\"it's\" c='\"' d='>' e='/>'>x</a>",
		`<iq type='get' id='1'><query xmlns='jabber:iq:roster'/></iq>`,
		`<p:a xmlns:p='u' xmlns:q='v' p:b='1' q:b='2' b='3'><p:c q:d=''/></p:a>`,
		`<a p:b='1' xmlns:p='u'/>`, `<a xmlns:p='u'><b xmlns:p='v' p:c=''/><p:d/></a>`, `<a><b xmlns:p='u'/><p:c/></a>`,
		`<a xmlns:p='u' xmlns:q='u' p:b='' q:c=''/>`, `<a xmlns:p='u' xmlns:q='u' p:b='' q:b=''/>`,
		`<a xmlns:p='u' xmlns:q='&#117;' p:b='' q:b=''/>`, `<a b='' b=''/>`, `<a xmlns='u' xmlns='v'/>`,
		`<a xmlns=''><b xmlns='c'><d xmlns=''/></b></a>`, `<a xmlns='http://x?a=1&amp;b=2'><b/></a>`, `<a xmlns='a b'/>`, `<a xmlns:p='a}b' p:c=''/>`,
		`<a xmlns:p=''/>`, `<a xmlns:xml='http://www.w3.org/XML/1998/namespace'/>`, `<a xmlns:xml='u'/>`, `<a xmlns:xmlns='u'/>`,
		`<a xmlns:p='http://www.w3.org/XML/1998/namespace'/>`, `<a xmlns:p='http://www.w3.org/2000/xmlns/'/>`,
		`<a xmlns='http://www.w3.org/XML/1998/namespace'/>`, `<a xmlns='http://www.w3.org/2000/xmlns/'/>`,
		`<xml:a xml:b='c'/>`, `<xmlns:a/>`, `<p:a/>`, `<a p:b=''/>`, `<stream:a stream:b=''/>`, `<a xml:lang='en' xml:lang='de'/>`,
		`<:a/>`, `<a:/>`, `<a:b:c/>`, `<a :b=''/>`, `<a b:=''/>`, `<stream:1a/>`, `<1a/>`, `<a 1b=''/>`, `<-/>`, `<a.b-c_d1/>`,
		`<имя фамилия='x'><日本語/></имя>`, "<e\u0301/>", "<\u0301/>", "<a\u00d7/>", "<a\u200d/>", "<\U00010000/>", "<a\u00b7/>", "<a\u02ff/>", "<\u2c00/>", "<\uf900/>",
		`<a>&lt;&gt;&amp;&apos;&quot;&#65;&#x1F600;&#000065;</a>`, `<a b='&lt;&#9;&#10;&#13;'/>`, "<a b='1\t2\n3\r\n4\r5'/>", "<a>1\r\n2\r3\n4\t5</a>",
		`<a>&foo;</a>`, `<a>&AMP;</a>`, `<a>& </a>`, `<a>&;</a>`, `<a>&#;</a>`, `<a>&#x;</a>`, `<a>&#X41;</a>`, `<a>&#0;</a>`, `<a>&#xD800;</a>`,
		`<a>&#xFFFE;</a>`, `<a>&#x110000;</a>`, `<a>&#99999999999;</a>`, `<a>&#65</a>`, `<a>&amp</a>`, `<a>&#x7f;&#128;</a>`,
		`<a><![CDATA[<b> & ]] ]> ]]]]><![CDATA[]]>x</a>`, `<a><![CDATA[]]]]]></a>`, `<a><![cdata[]]></a>`, `<![CDATA[x]]>`, "<a><![CDATA[1\r\n2\r]]>\n</a>",
		`<a>]]></a>`, `<a>]]]></a>`, `<a>]] ></a>`, `<a>]]&gt;</a>`, `<a b=']]>'/>`, `<a>]]<b/>></a>`, `<a>]<![CDATA[]]>]></a>`, `<a>]]<![CDATA[>]]></a>`,
		`<a><!-- c --></a>`, `<!-- c -->`, `<a><?b c?></a>`, `<?xml version='1.0'?><a/>`, `<!DOCTYPE a><a/>`, `<a><!ELEMENT b ANY></a>`, `<a><!></a>`,
		`<a b/>`, `<a b=c/>`, `<a b='c'd='e'/>`, `<a b='<'/>`, `<a b='&'/>`, `< a/>`, `<a / >`, `<a/ >`, `<>`, `</>`, `<a></a/>`, `<a></ a>`, `<a></b>`, `<ab></a>`, `<a></ab>`,
		`<p:a xmlns:p='u' xmlns:q='u'></q:a>`, `<a>`, `<a`, `<a b='`, `text`, `<a/>text`, `</stream:stream>`, `</a>`, ``, ` `,
		"<a>\x00</a>", "<a>\x0b</a>", "<a>\x7f\u0080\u0085\u2028</a>", "<a>\xff</a>", "<a>\xc0\x80</a>", "<a>\xed\xa0\x80</a>", "<a>\xf4\x90\x80\x80</a>",
		"<a>\uFFFD\uFFFE</a>", "<a>\uFFFF</a>", "<a>\U0001FFFE\U0010FFFF</a>", "<a b='\xe2\x82'/>", "<a>\xe2\x82</a>", "<a\xc3/>", "<a\u00a0b=''/>", "\ufeff<a/>", "<a>\ufeff</a>",
		strings.Repeat("<a>", 64) + strings.Repeat("</a>", 64),
	}
}

// generator makes stanzas, and spoils most of them a little.
type generator struct{ *rand.Rand }

func newGenerator(seed uint64) *generator { return &generator{rand.New(rand.NewPCG(seed, seed))} }

// next returns one to three stanzas, about half of them spoilt.
func (g *generator) next() []byte {
	var b []byte
	for range 1 + g.IntN(3) {
		b = g.element(b, 0)
		b = append(b, g.pick("", "", " ", "\r\n")...)
	}
	for g.IntN(2) == 0 {
		b = g.spoil(b)
	}
	return b
}

func (g *generator) pick(of ...string) string { return of[g.IntN(len(of))] }

// name mostly has no prefix, or one that the generator has declared.
func (g *generator) name() string {
	prefix := ""
	if g.IntN(4) == 0 {
		prefix = g.pick("p:", "p:", "q:", "stream:", "xml:")
	}
	return prefix + g.pick("a", "b", "body", "x-1", "_y", "é", "日本")
}

func (g *generator) space() string { return g.pick("", "", "", " ", "\n", "\t\r\n ") }

func (g *generator) element(b []byte, depth int) []byte {
	name := g.name()
	b = append(b, '<')
	b = append(b, name...)
	tag := len(b)
	if depth == 0 {
		b = append(b, g.pick(" xmlns:p='u' xmlns:q='v'", " xmlns:q=\"u\" xmlns:p='&#117;'", " xmlns:p='w' xmlns='x' xmlns:q='u?a&amp;b'")...)
	}
	for range g.IntN(4) {
		b = g.attribute(b, tag)
	}
	b = append(b, g.space()...)
	if g.IntN(4) == 0 {
		return append(b, '/', '>')
	}
	b = append(b, '>')
	for range g.IntN(4) {
		if depth < 5 && g.IntN(2) == 0 {
			b = g.element(b, depth+1)
		} else {
			b = append(b, g.text()...)
		}
	}
	return append(b, "</"+name+g.space()+">"...)
}

// attribute appends an attribute, mostly one that the tag, which begins at
// b[tag], does not have.
func (g *generator) attribute(b []byte, tag int) []byte {
	name := g.name()
	if g.IntN(3) == 0 {
		name = g.pick("xmlns", "xmlns:p", "xmlns:q", "xmlns:r", "xmlns:stream")
	}
	if strings.Contains(string(b[tag:]), name) && g.IntN(20) > 0 {
		return b
	}
	b = append(b, g.pick(" ", " ", "\n", "  ")...)
	b = append(b, name+g.space()+"="+g.space()...)
	q := g.pick("'", `"`)
	b = append(b, q...)
	switch {
	case !strings.HasPrefix(name, "xmlns"):
		b = append(b, g.pick("", "1", "x y", "&lt;&#10;", "\t\r\n", "ü€😀", "]]>", "/>", " > ", "&quot;")...)
	case g.IntN(10) == 0:
		b = append(b, g.pick("", "a b", NSXML, "http://www.w3.org/2000/xmlns/")...)
	default:
		b = append(b, g.pick("u", "v", "jabber:client", "&#117;", NSStream, "ü?a&amp;b")...)
	}
	return append(b, q...)
}

func (g *generator) text() string {
	return g.pick("text", " ", "é€😀", "&amp;", "&lt;&#x41;&#13;", "]", "]]", ">", "1\r\n2\r3", "\t",
		"<![CDATA[]]>", "<![CDATA[<a>&amp;\r\n]]]>", "<![CDATA[é]]]]>", "'\"")
}

// spoil changes b in one place.
func (g *generator) spoil(b []byte) []byte {
	if len(b) == 0 {
		return b
	}
	i := g.IntN(len(b))
	j := min(len(b), i+g.IntN(6))
	var with string
	switch g.IntN(4) {
	case 0: // leave out
	case 1: // repeat what is elsewhere
		k := g.IntN(len(b))
		with = string(b[k:min(len(b), k+g.IntN(12))])
	case 2:
		with = string([]byte{byte(g.IntN(256))})
	case 3:
		with = g.pick("<", ">", "/", "&", "'", `"`, "=", " ", ":", "]]>", "<!--", "-->", "<?x?>", "<![CDATA[", "&x;", "&#0;", "&#xD800;",
			"\x00", "\xff", "\xed\xa0\x80", "\uFFFE", "\u00d7", "\U00010400", "xmlns", "xmlns:", " xmlns:p=''", " a='1'", " p:a='1'", " q:a='2'", "</a>", "<a/>")
	}
	return append(append(append([]byte(nil), b[:i]...), with...), b[j:]...)
}
