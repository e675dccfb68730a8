package scan

// state is where in a stanza reading stopped.
type state uint8

const (
	inContent state = iota // in character data, or at a '<'
	inTag                  // in a start tag, behind its name or an attribute
	inQuotes               // in an attribute value
	inSection              // in a CDATA section
	done
)

// work is what Next remembers of a stanza while it is read. It holds offsets, no
// views, because the bytes may move between two calls. Each part of it that can
// be long is read on from pos, so that many small pieces cost no more than one
// large one; what has to be read again (a name, a reference) is short.
type work struct {
	reader  *Scanner
	context *context
	header  bool // the root tag is all
	state   state
	pos     int // where to read on
	quote   byte
	all     uint8 // the bits that all bytes of the attribute value at hand have

	attrs    []attr // those of the root tag, then those of the start tag at hand
	rooted   int    // how many are the root tag's
	declares bool   // the tag at hand declares namespaces
	prefixed bool   // it has attributes with prefixes that are declared somewhere

	root       element
	body       int
	selfClosed bool
	open       []element // the last one's start tag may be at hand still
	prefixes   []prefix  // declared by the open elements
	children   []child
	inherited  uint64 // which of the context's bindings are used
	unescaped  []byte // namespace names that were written with references
}

// element is an open element.
type element struct {
	start, colon, nameEnd int32 // '<', the colon in its name or 0, and the end of its name
	prefixes              int32 // how many prefixes its outer elements declare
	space                 space
	inner                 space // the default namespace inside
}

func (e *element) local() int32 {
	if e.colon > 0 {
		return e.colon + 1
	}
	return e.start + 1
}

type child struct {
	start, end    int32
	name, nameEnd int32 // of its local name
	space         space
}

// read reads on until the stanza is complete.
func (w *work) read(b []byte, l *Limits) error {
	limit := l.stanza()
	if len(b) > limit {
		b = b[:limit]
	}
	for w.state != done {
		err := w.step(b, l)
		if err == ErrMore && len(b) == limit {
			return refuse(PolicyViolation, limit, "stanza longer than %d bytes", limit)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (w *work) step(b []byte, l *Limits) (err error) {
	switch w.state {
	case inTag:
		return w.attributes(b, l)
	case inQuotes:
		return w.value(b)
	case inSection:
		if w.pos, err = cdata(b, w.pos); err == nil {
			w.state = inContent
		}
		return err
	}
	return w.content(b, l)
}

// content reads character data up to the next tag, and the tag.
func (w *work) content(b []byte, l *Limits) (err error) {
	if len(w.open) > 0 {
		if w.pos, err = text(b, w.pos); err != nil {
			return err
		}
	}
	if w.pos+1 == len(b) {
		return ErrMore
	}
	switch b[w.pos+1] {
	case '!':
		return w.section(b)
	case '?':
		return refuse(RestrictedXML, w.pos, "processing instruction")
	case '/':
		return w.endTag(b)
	}
	return w.startTag(b, l)
}

// section reads the beginning of a CDATA section. Everything else that begins
// with "<!" is forbidden in XMPP (RFC 6120 §11.1).
func (w *work) section(b []byte) error {
	const begin = "<![CDATA["
	is, err := startsWith(b[w.pos:], begin)
	switch {
	case err != nil:
		return err
	case !is:
		return refuse(RestrictedXML, w.pos, "comment or document type declaration")
	case len(w.open) == 0:
		return refuse(BadFormat, w.pos, "text between stanzas")
	}
	w.pos += len(begin)
	w.state = inSection
	return nil
}

func (w *work) endTag(b []byte) error {
	if len(w.open) == 0 {
		return refuse(NotWellFormed, w.pos, "end tag without a start tag")
	}
	e := &w.open[len(w.open)-1]
	end, err := endTag(b, w.pos, b[e.start+1:e.nameEnd])
	if err != nil {
		return err
	}
	w.leave(end)
	return nil
}

// endTag reads the end tag at b[i], where "</" is, and returns the offset behind
// it.
func endTag(b []byte, i int, name []byte) (end int, err error) {
	i += len("</")
	end = min(len(b), i+len(name))
	if string(b[i:end]) != string(name[:end-i]) {
		return i, refuse(NotWellFormed, i, "end tag of another element than <%s>", name)
	}
	if end, err = gap(b, end); err != nil {
		return i, err
	}
	if b[end] != '>' {
		return i, refuse(NotWellFormed, end, "%q in the end tag of <%s>", b[end], name)
	}
	return end + 1, nil
}

// leave closes the innermost element, which ends before b[end].
func (w *work) leave(end int) {
	last := len(w.open) - 1
	w.prefixes = w.prefixes[:w.open[last].prefixes]
	w.open = w.open[:last]
	w.pos, w.state = end, inContent
	switch last {
	case 0:
		w.state = done
	case 1:
		w.children[len(w.children)-1].end = int32(end)
	}
}

// begin forgets what was read before, and memory that only a huge stanza needed.
func (w *work) begin(sc *Scanner) {
	*w = work{
		reader:    sc,
		context:   sc.scope(),
		attrs:     reuse(w.attrs),
		open:      reuse(w.open),
		prefixes:  reuse(w.prefixes),
		children:  reuse(w.children),
		unescaped: reuse(w.unescaped),
	}
}

// reuse empties s, unless it has grown beyond what a usual stanza needs.
func reuse[T any](s []T) []T {
	if cap(s) > 256 {
		return nil
	}
	return s[:0]
}
