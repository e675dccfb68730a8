// Package scan finds the stanzas in the bytes of an XMPP stream and checks, in
// one pass, everything a strict namespace-aware XML parser would check (RFC 6120
// §11): bytes in, offsets out. It copies nothing, does no I/O, and in the steady
// state allocates nothing. What it accepts can be passed on byte for byte inside
// another client's stream without breaking it.
package scan

import (
	"errors"
	"fmt"
)

// Namespaces every stream knows (RFC 6120 §4.8, Namespaces in XML §3).
const (
	NSClient = "jabber:client"
	NSStream = "http://etherx.jabber.org/streams"
	NSXML    = "http://www.w3.org/XML/1998/namespace"
	NSXMLNS  = "http://www.w3.org/2000/xmlns/"
)

// ErrMore says that the bytes end before the stanza does. Call again with the
// same bytes and more behind them.
var ErrMore = errors.New("scan: stanza is not complete yet")

// ErrEnd says that the peer closed the stream (RFC 6120 §4.4).
var ErrEnd = errors.New("scan: end of stream")

// A Condition is the stream error condition that answers what the peer sent
// (RFC 6120 §4.9.3).
type Condition string

// The conditions a Scanner reports.
const (
	BadFormat           Condition = "bad-format"
	BadNamespacePrefix  Condition = "bad-namespace-prefix"
	InvalidNamespace    Condition = "invalid-namespace"
	NotWellFormed       Condition = "not-well-formed"
	PolicyViolation     Condition = "policy-violation"
	RestrictedXML       Condition = "restricted-xml"
	UnsupportedEncoding Condition = "unsupported-encoding"
)

// Error is what the peer did wrong. The stream cannot go on after it.
type Error struct {
	Condition Condition
	Reason    string // for the log and the error's text
	Offset    int    // where in the stanza, in bytes from its '<'
}

func (e *Error) Error() string {
	return fmt.Sprintf("%s at byte %d: %s", e.Condition, e.Offset, e.Reason)
}

// Limits bound what one stanza may be. A zero field means the default.
// What exceeds them is a policy-violation.
type Limits struct {
	Stanza   int // bytes from '<' to '>', default 256 KiB; RFC 6120 §13.12 forbids less than 10000
	Depth    int // elements inside each other, the stanza itself is 1; default 64
	Attrs    int // attributes of one element, namespace declarations included; default 64
	Prefixes int // namespace prefixes in scope, those of the stream header included; default 32, never more than 64
}

// stanza is small enough for the offsets of 32 bits that the scanner keeps.
func (l *Limits) stanza() int   { return min(or(l.Stanza, 256<<10), 1<<30) }
func (l *Limits) depth() int    { return or(l.Depth, 64) }
func (l *Limits) attrs() int    { return or(l.Attrs, 64) }
func (l *Limits) prefixes() int { return min(or(l.Prefixes, 32), 64) }

func or(n, def int) int {
	if n > 0 {
		return n
	}
	return def
}

// Attr is an attribute as it was written: Name with its prefix, Value still
// escaped (see AppendValue).
type Attr struct{ Name, Value []byte }

// Binding is a namespace prefix and the namespace it stands for.
type Binding struct{ Prefix, Space []byte }

// Child is an element directly inside a stanza, the bytes Raw[Off:End].
type Child struct {
	Name, Space []byte // local name, and the namespace after resolving prefix or default
	Off, End    int
}

// Stanza is an element directly inside the stream, as views into the bytes that
// were given to Next. They are valid until those bytes change or the next call
// of Next. A Stanza also is the working memory of Next: reuse it, and keep it
// together with the bytes while a stanza is incomplete; between stanzas a
// connection needs neither.
type Stanza struct {
	Raw        []byte // the whole element
	Name       []byte // local name of its root tag
	Prefix     []byte // the root tag's prefix, nearly always empty
	Space      []byte // the root tag's namespace: NSClient, unless the peer wrote another one
	Default    []byte // the default namespace for what is inside, declared by the root tag or by the stream header
	Attrs      []Attr // of the root tag, namespace declarations included
	Body       int    // offset in Raw of the root tag's '>' or '/>'
	SelfClosed bool   // the root tag ends in '/>'
	Children   []Child
	Inherited  []Binding // prefixes of the stream header that are used and not declared inside the stanza
	Lang       []byte    // xml:lang of the stream header: the stanza's language if it names none (RFC 6120 §8.1.5)

	work
}

// Get returns the escaped value of the root tag's attribute, nil if there is none.
func (s *Stanza) Get(name string) []byte {
	for i := range s.Attrs {
		if string(s.Attrs[i].Name) == name {
			return s.Attrs[i].Value
		}
	}
	return nil
}

// Scanner reads one direction of one stream. The zero Scanner is inside
// <stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>.
type Scanner struct {
	Limits Limits

	context *context // what the stream header declared; nil is usual
	half    *Stanza  // the stanza that ErrMore was returned for
}

// Next reads one stanza and returns how many bytes it used, the space before it
// included. Errors are:
//   - ErrMore: the stanza is not complete. Drop the n bytes used (space, which may
//     be a keep-alive: RFC 6120 §4.6.1) and call again with the rest and what has
//     arrived since, at any address, and the same st. Next goes on where it
//     stopped, so that it reads hardly a byte twice however small the pieces are;
//     given another st it begins again.
//   - ErrEnd: the peer's end tag of the stream.
//   - *Error: the stream must be closed with that condition.
func (sc *Scanner) Next(b []byte, st *Stanza) (n int, err error) {
	half := sc.half
	sc.half = nil
	n = skipSpace(b, 0)
	if sc.scope().ended {
		return n, ErrEnd
	}
	if b = b[n:]; len(b) == 0 {
		return n, ErrMore
	}
	if b[0] != '<' {
		return n, refuse(BadFormat, 0, "text between stanzas")
	}
	if len(b) > 1 && b[1] == '/' {
		end, err := sc.end(b)
		return n + end, err
	}
	if half != st || st.reader != sc || len(b) < st.pos {
		st.begin(sc)
	}
	if err := st.read(b, &sc.Limits); err != nil {
		if err == ErrMore {
			sc.half = st
		}
		return n, err
	}
	st.finish(b)
	return n + st.pos, nil
}

// end reads the end tag of the stream.
func (sc *Scanner) end(b []byte) (n int, err error) {
	n, err = endTag(b, 0, sc.scope().root)
	if err != nil {
		return 0, err
	}
	return n, ErrEnd
}

func (sc *Scanner) scope() *context {
	if sc.context == nil {
		return usual
	}
	return sc.context
}

// A context is what a stream header declared for the stanzas inside it.
type context struct {
	root     []byte // its qualified name
	space    []byte // the default namespace
	lang     []byte
	bindings []Binding
	ended    bool // <stream:stream/>
}

var usual = &context{
	root:     []byte("stream:stream"),
	space:    []byte(NSClient),
	bindings: []Binding{{Prefix: []byte("stream"), Space: []byte(NSStream)}},
}

func refuse(c Condition, offset int, reason string, args ...any) error {
	return &Error{Condition: c, Reason: fmt.Sprintf(reason, args...), Offset: offset}
}
