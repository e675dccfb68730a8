package scan

// NextRoot reads the start tag of a document's root element, with or without an
// XML declaration, as NextHeader reads a stream header, whatever the element's
// name: BOSH sends a document for each request (XEP-0124 §6). The tag is in st;
// Attrs and Space say what it is. Next reads what is inside and returns ErrEnd
// behind the end tag. After ErrMore call again as with Next.
func (sc *Scanner) NextRoot(b []byte, st *Stanza) (n int, err error) {
	if n, err = sc.root(b, st); err == nil {
		sc.context = st.declared()
	}
	return n, err
}

// Content says what the elements inside the root element that was read last are
// where they do not say it themselves: their default namespace, and their
// language if the root element names none.
func (sc *Scanner) Content(space, lang string) {
	c := *sc.scope()
	c.space = []byte(space)
	if len(c.lang) == 0 && lang != "" {
		c.lang = languageTag([]byte(lang))
	}
	sc.context = &c
}

// root reads a root element's start tag.
func (sc *Scanner) root(b []byte, st *Stanza) (n int, err error) {
	half := sc.half
	sc.half = nil
	n = skipSpace(b, 0)
	if b = b[n:]; len(b) == 0 {
		return n, ErrMore
	}
	skip, err := prolog(b)
	if err != nil {
		return n, err
	}
	b = b[skip:]
	if half != st || st.reader != sc || len(b) < st.pos {
		st.begin(sc)
		st.header, st.context = true, outside
	}
	if err := st.read(b, &sc.Limits); err != nil {
		if err == ErrMore {
			sc.half = st
		}
		return n, err
	}
	st.finish(b)
	return n + skip + st.pos, nil
}
