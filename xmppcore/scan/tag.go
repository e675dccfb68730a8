package scan

// attr is an attribute of the tag at hand.
type attr struct {
	name, colon, nameEnd int32
	value, end           int32
	space                space // of the attribute, if kind is foreign
	kind                 attrKind
	uri                  bool // but for references, the value holds nothing that a URI has not
}

type attrKind uint8

const (
	unprefixed       attrKind = iota // or with the prefix xml, which only ever means one thing
	foreign                          // with a prefix that must be declared
	defaultNamespace                 // xmlns
	prefixNamespace                  // xmlns:…
)

func (a *attr) local() int32 {
	if a.colon > 0 {
		return a.colon + 1
	}
	return a.name
}

func (w *work) startTag(b []byte, l *Limits) error {
	if len(w.open) >= l.depth() {
		return refuse(PolicyViolation, w.pos, "elements nested deeper than %d", l.depth())
	}
	end, colon, err := name(b, w.pos+1)
	if err != nil {
		return err
	}
	w.open = append(w.open, element{}) // filled in place, which is faster than copying one
	t := &w.open[len(w.open)-1]
	t.start, t.colon, t.nameEnd, t.prefixes = int32(w.pos), int32(colon), int32(end), int32(len(w.prefixes))
	w.attrs = w.attrs[:w.rooted]
	w.declares, w.prefixed = false, false
	w.pos, w.state = end, inTag
	return w.attributes(b, l)
}

// attributes reads what is left of a start tag. While w.state is inTag, w.pos is
// behind the tag's name or an attribute, or at a space behind that.
func (w *work) attributes(b []byte, l *Limits) error {
	for {
		i := skipSpace(b, w.pos)
		spaced := i > w.pos
		if spaced {
			w.pos = i - 1
		}
		switch {
		case i == len(b):
			return ErrMore
		case b[i] == '>':
			return w.enter(b, i, i+1, l)
		case b[i] == '/' && i+1 == len(b):
			return ErrMore
		case b[i] == '/' && b[i+1] == '>':
			return w.enter(b, i, i+2, l)
		case !spaced:
			return refuse(NotWellFormed, i, "%q behind a name or an attribute", b[i])
		}
		if err := w.attribute(b, i, l); err != nil {
			return err
		}
	}
}

// attribute reads the attribute at b[i].
func (w *work) attribute(b []byte, i int, l *Limits) error {
	if len(w.attrs)-w.rooted >= l.attrs() {
		return refuse(PolicyViolation, i, "more than %d attributes", l.attrs())
	}
	end, colon, err := name(b, i)
	if err != nil {
		return err
	}
	for k := w.rooted; k < len(w.attrs); k++ {
		if a := &w.attrs[k]; string(b[a.name:a.nameEnd]) == string(b[i:end]) {
			return refuse(NotWellFormed, i, "two attributes %s", b[i:end])
		}
	}
	at, err := equals(b, end)
	if err != nil {
		return err
	}
	w.attrs = append(w.attrs, attr{})
	a := &w.attrs[len(w.attrs)-1]
	a.name, a.colon, a.nameEnd, a.value = int32(i), int32(colon), int32(end), int32(at+1)
	a.kind = w.classify(b[i:end], colon-i)
	w.quote, w.all, w.pos, w.state = b[at], 0xFF, at+1, inQuotes
	return w.value(b)
}

// equals reads the '=' at or behind the spaces at b[i] and returns the offset of
// the quote that follows it.
func equals(b []byte, i int) (quote int, err error) {
	if b[i] != '=' {
		if i, err = gap(b, i); err != nil {
			return i, err
		}
	}
	if b[i] != '=' {
		return i, refuse(NotWellFormed, i, "attribute without a value")
	}
	if i++; i == len(b) || isSpace(b[i]) {
		if i, err = gap(b, i); err != nil {
			return i, err
		}
	}
	if b[i] != '\'' && b[i] != '"' {
		return i, refuse(NotWellFormed, i, "attribute value without quotes")
	}
	return i, nil
}

// classify finds out what an attribute does to namespaces, by its name and where
// in it the colon is.
func (w *work) classify(name []byte, colon int) attrKind {
	switch {
	case colon > 0 && string(name[:colon]) == "xmlns":
		w.declares = true
		return prefixNamespace
	case colon > 0 && string(name[:colon]) != "xml":
		w.prefixed = true
		return foreign
	case string(name) == "xmlns":
		w.declares = true
		return defaultNamespace
	}
	return unprefixed
}

// value reads on in an attribute value.
func (w *work) value(b []byte) error {
	end, all, err := value(b, w.pos, w.quote)
	w.all &= all
	if err != nil {
		w.pos = end
		return err
	}
	a := &w.attrs[len(w.attrs)-1]
	a.end, a.uri = int32(end), w.all&inURI != 0
	w.pos, w.state = end+1, inTag
	return nil
}

// enter goes into the element whose start tag is complete. The tag's '>' or "/>"
// is at body, what follows it at end.
func (w *work) enter(b []byte, body, end int, l *Limits) error {
	if err := w.names(b, l); err != nil {
		return err
	}
	w.pos, w.state = end, inContent
	t := &w.open[len(w.open)-1]
	selfClosed := b[body] == '/'
	switch len(w.open) {
	case 1:
		if !w.header && string(b[t.local():t.nameEnd]) == "stream" && string(w.at(b, t.space)) == NSStream {
			return refuse(BadFormat, 0, "a stream header inside the stream") // else all that follows would be its children
		}
		w.root, w.body, w.selfClosed = *t, body, selfClosed
		w.rooted = len(w.attrs)
	case 2:
		w.children = append(w.children, child{})
		c := &w.children[len(w.children)-1]
		c.start, c.name, c.nameEnd, c.space = t.start, t.local(), t.nameEnd, t.space
	}
	switch {
	case w.header:
		w.state = done
	case selfClosed:
		w.leave(end)
	}
	return nil
}
