package scan

// attr is an attribute of the tag at hand.
type attr struct {
	name, colon, nameEnd int
	value, end           int
	kind                 attrKind
	space                space // of the attribute, if kind is foreign
}

type attrKind uint8

const (
	unprefixed       attrKind = iota // or with the prefix xml, which only ever means one thing
	foreign                          // with a prefix that must be declared
	defaultNamespace                 // xmlns
	prefixNamespace                  // xmlns:…
)

func (a *attr) local() int {
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
	w.tag = element{start: w.pos, colon: colon, nameEnd: end, prefixes: len(w.prefixes)}
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
	at, err := gap(b, end)
	if err != nil {
		return err
	}
	if b[at] != '=' {
		return refuse(NotWellFormed, at, "attribute without a value")
	}
	if at, err = gap(b, at+1); err != nil {
		return err
	}
	if b[at] != '\'' && b[at] != '"' {
		return refuse(NotWellFormed, at, "attribute value without quotes")
	}
	a := attr{name: i, colon: colon, nameEnd: end, value: at + 1}
	w.classify(b, &a)
	w.attrs = append(w.attrs, a)
	w.quote, w.pos, w.state = b[at], at+1, inQuotes
	return w.value(b)
}

// classify finds out what a does to namespaces.
func (w *work) classify(b []byte, a *attr) {
	switch {
	case a.colon > 0 && string(b[a.name:a.colon]) == "xmlns":
		a.kind, w.declares = prefixNamespace, true
	case a.colon > 0 && string(b[a.name:a.colon]) != "xml":
		a.kind, w.prefixed = foreign, true
	case a.colon == 0 && string(b[a.name:a.nameEnd]) == "xmlns":
		a.kind, w.declares = defaultNamespace, true
	}
}

// value reads on in an attribute value.
func (w *work) value(b []byte) error {
	end, err := value(b, w.pos, w.quote)
	if err != nil {
		w.pos = end
		return err
	}
	w.attrs[len(w.attrs)-1].end = end
	w.pos, w.state = end+1, inTag
	return nil
}

// enter opens the element whose start tag is complete. The tag's '>' or "/>" is
// at body, what follows it at end.
func (w *work) enter(b []byte, body, end int, l *Limits) error {
	if err := w.names(b, l); err != nil {
		return err
	}
	selfClosed := b[body] == '/'
	switch len(w.open) {
	case 0:
		w.root, w.body, w.selfClosed = w.tag, body, selfClosed
		w.rooted = len(w.attrs)
	case 1:
		w.children = append(w.children, child{element: w.tag})
	}
	switch {
	case w.header:
		w.pos, w.state = end, done
	case selfClosed:
		w.leave(&w.tag, end)
	default:
		w.open = append(w.open, w.tag)
		w.pos, w.state = end, inContent
	}
	return nil
}
