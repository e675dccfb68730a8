package websocket

import (
	"errors"

	"rosterd/xmppcore/scan"
	"rosterd/xmppcore/stanza"
	"rosterd/xmppcore/stream"
)

// ReadOpen implements stream.Carrier. What <open/> says is given to the scanner
// as the stream header that it stands for: a message that does not say its
// namespace is taken as if it were inside one, and so are prefixes and language.
func (c *conn) ReadOpen(h *scan.Header) error {
	var st scan.Stanza
	if err := c.try(&st, c.next); err != nil {
		return err
	}
	switch {
	case string(st.Space) != NSFraming:
		return &stanza.StreamError{Condition: stanza.StreamInvalidNamespace, Text: "a stream over WebSocket begins with <open xmlns='" + NSFraming + "'/>"}
	case string(st.Name) != "open":
		return &stanza.StreamError{Condition: stanza.StreamBadFormat, Text: "a stream over WebSocket begins with <open/>"}
	}
	b := []byte("<stream:stream xmlns='" + scan.NSClient + "' xmlns:stream='" + scan.NSStream + "'")
	for _, name := range []string{"to", "from", "id", "version", "xml:lang"} {
		if value, ok := st.Attr(name); ok {
			b = stanza.AppendAttr(b, name, value)
		}
	}
	_, err := c.scanner.NextHeader(append(b, '>'), h)
	return stream.Refused(err)
}

// WriteOpen implements stream.Carrier.
func (c *conn) WriteOpen(o stream.Opening) error {
	b := stream.AppendOpening([]byte("<open xmlns='"+NSFraming+"'"), o)
	b = append(b, '/', '>')
	if o.Features != nil {
		b = append(b, "<stream:features>"...)
		b = append(b, o.Features...)
		b = append(b, "</stream:features>"...)
	}
	return c.Write(b)
}

// Next implements stream.Carrier.
func (c *conn) Next(st *scan.Stanza) error { return c.try(st, c.inner) }

// try reads until there is something.
func (c *conn) try(st *scan.Stanza, next func(*scan.Stanza) error) error {
	for {
		if err := next(st); !errors.Is(err, errControl) {
			return err
		}
	}
}
