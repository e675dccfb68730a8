package scan

import (
	"bytes"
	"slices"
	"strings"
)

// Header is the peer's stream header (RFC 6120 §4.7). Its values are unescaped.
type Header struct {
	Prefix   string // of the root tag: "stream" in <stream:stream>
	Default  string // the default namespace; the server decides whether it is one of its content namespaces
	To, From string
	ID       string
	Version  string
	Lang     string    // xml:lang
	Bindings []Binding // the prefixes it declares

	stanza Stanza // working memory while the header is incomplete
}

// NextHeader reads the stream header, with or without an XML declaration, and
// returns the bytes it used. Errors are ErrMore, as in Next, and *Error; h is
// filled in as far as possible also with InvalidNamespace and BadFormat, since
// the server must open its own stream before it can say what is wrong (RFC 6120
// §4.9.1.2). The header replaces the one before: its prefixes, its default
// namespace and its end tag hold for the stanzas that follow.
func (sc *Scanner) NextHeader(b []byte, h *Header) (n int, err error) {
	st := &h.stanza
	if n, err = sc.root(b, st); err != nil {
		return n, err
	}
	sc.context = st.declared()
	if sc.context.equal(usual) {
		sc.context = usual // a hundred thousand sessions share it
	}
	err = h.fill(st)
	h.stanza = Stanza{}
	return n, err
}

// outside is the context of a stream header itself.
var outside = &context{}

// declared returns what the header s declares for stanzas, in memory of its own.
func (s *Stanza) declared() *context {
	c := &context{
		root:  []byte(qualified(s.Prefix, s.Name)),
		space: append([]byte(nil), s.Default...),
		lang:  languageTag(s.Get("xml:lang")),
		ended: s.SelfClosed,
	}
	for i := range s.prefixes {
		p := &s.prefixes[i]
		c.bindings = append(c.bindings, Binding{
			Prefix: append([]byte(nil), s.Raw[p.off:p.end]...),
			Space:  append([]byte(nil), s.at(s.Raw, p.space)...),
		})
	}
	return c
}

func (c *context) equal(o *context) bool {
	same := func(a, b Binding) bool { return bytes.Equal(a.Prefix, b.Prefix) && bytes.Equal(a.Space, b.Space) }
	return bytes.Equal(c.root, o.root) && bytes.Equal(c.space, o.space) && bytes.Equal(c.lang, o.lang) &&
		c.ended == o.ended && slices.EqualFunc(c.bindings, o.bindings, same)
}

func qualified(prefix, name []byte) string {
	if len(prefix) == 0 {
		return string(name)
	}
	return string(prefix) + ":" + string(name)
}

// languageTag returns a copy of value if it can be a language tag (RFC 5646
// §2.1, §4.4.1). Others are not passed on to every recipient.
func languageTag(value []byte) []byte {
	if len(value) > 35 {
		return nil
	}
	for _, c := range value {
		if c != '-' && (c == '_' || c == '.' || bytesIn[c]&inName == 0) {
			return nil
		}
	}
	return append([]byte(nil), value...)
}

// fill takes over the header's values and checks that it opens a stream (RFC
// 6120 §4.8.1).
func (h *Header) fill(st *Stanza) error {
	h.Prefix, h.Default = string(st.Prefix), string(st.Default)
	h.To, _ = st.Attr("to")
	h.From, _ = st.Attr("from")
	h.ID, _ = st.Attr("id")
	h.Version, _ = st.Attr("version")
	h.Lang, _ = st.Attr("xml:lang")
	h.Bindings = st.reader.context.bindings
	switch {
	case string(st.Space) != NSStream:
		return refuse(InvalidNamespace, 0, "root element in the namespace %q", st.Space)
	case string(st.Name) != "stream":
		return refuse(BadFormat, 0, "root element %q instead of stream", st.Name)
	}
	return nil
}

// prolog returns the length of the XML declaration at the beginning of b, and of
// the space behind it. It refuses encodings that the first bytes give away.
func prolog(b []byte) (n int, err error) {
	switch b[0] {
	case '<':
	case 0, 0xFE, 0xFF: // UTF-16 or UTF-32
		return 0, refuse(UnsupportedEncoding, 0, "the stream is not UTF-8")
	default:
		return 0, refuse(NotWellFormed, 0, "the stream does not begin with a tag")
	}
	const begin = "<?xml"
	switch is, err := startsWith(b, begin); {
	case err != nil:
		return 0, err
	case !is:
		return 0, nil
	case len(b) == len(begin):
		return 0, ErrMore
	case !isSpace(b[len(begin)]):
		return 0, nil // some other processing instruction, refused as such
	}
	end := strings.Index(string(b[:min(len(b), maxName)]), "?>")
	switch {
	case end >= 0:
	case len(b) < maxName:
		return 0, ErrMore
	default:
		return 0, refuse(PolicyViolation, maxName, "XML declaration longer than %d bytes", maxName)
	}
	if err := declaration(string(b[len(begin):end])); err != nil {
		return 0, err
	}
	n, err = gap(b, end+len("?>"))
	if err == nil && b[n] != '<' {
		err = refuse(NotWellFormed, n, "%q behind the XML declaration", b[n])
	}
	return n, err
}

// declaration checks what is between "<?xml" and "?>" (XML 1.0 §2.8, RFC 6120
// §11.5 and §11.6).
func declaration(s string) error {
	version, s := pseudoAttr(s, "version")
	encoding, s := pseudoAttr(s, "encoding")
	standalone, s := pseudoAttr(s, "standalone")
	switch {
	case strings.Trim(s, " \t\r\n") != "":
		return refuse(NotWellFormed, 0, "XML declaration that cannot be read")
	case version != "1.0":
		return refuse(NotWellFormed, 0, "XML version %q", version)
	case encoding != "" && !strings.EqualFold(encoding, "UTF-8"):
		return refuse(UnsupportedEncoding, 0, "encoding %q", encoding)
	case standalone != "" && standalone != "yes" && standalone != "no":
		return refuse(NotWellFormed, 0, "standalone document %q", standalone)
	}
	return nil
}

// pseudoAttr takes space, name='value' from the beginning of s. Where s begins
// otherwise it returns s as it is and no value.
func pseudoAttr(s, name string) (value, rest string) {
	t := strings.TrimLeft(s, " \t\r\n")
	if len(t) == len(s) || !strings.HasPrefix(t, name) {
		return "", s
	}
	t = strings.TrimLeft(t[len(name):], " \t\r\n")
	if !strings.HasPrefix(t, "=") {
		return "", s
	}
	t = strings.TrimLeft(t[1:], " \t\r\n")
	if t == "" || t[0] != '\'' && t[0] != '"' {
		return "", s
	}
	value, rest, closed := strings.Cut(t[1:], t[:1])
	if !closed || value == "" {
		return "", s
	}
	return value, rest
}
