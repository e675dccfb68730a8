package stream

import (
	"bytes"
	"net"

	"rosterd/xmppcore/scan"
	"rosterd/xmppcore/stanza"
)

// NSComponent is the content namespace of a component's stream (XEP-0114 §3).
const NSComponent = "jabber:component:accept"

// Component is the connection of a program that says it is an external component: a Carrier whose stream has another
// content namespace. Who uses it sees stanzas of jabber:client; so says Next, and so says Run.
type Component struct {
	*conn
	again     scan.Stanza
	rewritten []byte
}

var _ Carrier = (*Component)(nil)

// NewComponent takes over a connection. l must have its defaults.
func NewComponent(nc net.Conn, l *Limits) *Component {
	return &Component{conn: newConn(nc, l)}
}

// ReadOpen implements Carrier. What the header says of the namespace is for the caller to check.
func (c *Component) ReadOpen(h *scan.Header) error {
	err := c.conn.ReadOpen(h)
	if h.Default == NSComponent {
		c.scanner.Content(scan.NSClient, "")
	}
	return err
}

// WriteOpen implements Carrier: a header without a version, since there are no features (XEP-0114 §3).
func (c *Component) WriteOpen(o Opening) error {
	b := []byte("<?xml version='1.0'?><stream:stream xmlns='" + NSComponent + "' xmlns:stream='" + scan.NSStream + "'")
	if o.From != "" {
		b = stanza.AppendAttr(b, "from", o.From)
	}
	b = stanza.AppendAttr(b, "id", o.ID)
	return c.Write(append(b, '>'))
}

// Next implements Carrier.
func (c *Component) Next(st *scan.Stanza) error {
	if err := c.conn.Next(st); err != nil {
		return err
	}
	return c.translate(st)
}

// Run implements Transport.
func (c *Component) Run(handle func(*scan.Stanza) error) error {
	return c.conn.Run(c.translated(handle))
}

// RunThen implements Sparing.
func (c *Component) RunThen(handle func(*scan.Stanza) error, then func(error)) {
	c.conn.RunThen(c.translated(handle), then)
}

func (c *Component) translated(handle func(*scan.Stanza) error) func(*scan.Stanza) error {
	return func(st *scan.Stanza) error {
		if err := c.translate(st); err != nil {
			return err
		}
		return handle(st)
	}
}

// Name implements Named.
func (c *Component) Name() string { return "component" }

// translate makes a stanza one of jabber:client where it does not leave its namespace to the stream header, but
// names it: that is the same (XEP-0114 §3), and the clients it goes to have another.
func (c *Component) translate(st *scan.Stanza) error {
	if !bytes.Contains(st.Raw, []byte(NSComponent)) {
		return nil
	}
	if cap(c.rewritten) > 64<<10 {
		c.rewritten = nil // a huge one is not kept
	}
	c.rewritten = appendForClients(c.rewritten[:0], st.Raw)
	sc := c.scanner // knows the prefixes of the header
	if _, err := sc.Next(c.rewritten, &c.again); err != nil {
		return Refused(err)
	}
	*st, c.again = c.again, *st
	return nil
}

// appendForClients appends an element that was scanned, with the namespace of clients declared wherever it declares
// that of components.
func appendForClients(dst, element []byte) []byte {
	for len(element) > 0 {
		n := bytes.IndexByte(element, '<')
		switch {
		case n < 0:
			n = len(element)
		case n > 0:
		case bytes.HasPrefix(element, []byte("<![CDATA[")):
			n = bytes.Index(element, []byte("]]>")) + len("]]>")
		default:
			dst, n = appendTag(dst, element)
			element = element[n:]
			continue
		}
		dst = append(dst, element[:n]...)
		element = element[n:]
	}
	return dst
}

// appendTag does that for the tag that b begins with, and tells its length.
func appendTag(dst, b []byte) (_ []byte, n int) {
	for {
		end := n + bytes.IndexAny(b[n:], `'">`)
		if b[end] == '>' {
			return append(dst, b[n:end+1]...), end + 1
		}
		name, open := b[n:end], end+1
		end = open + bytes.IndexByte(b[open:], b[end])
		dst = append(dst, b[n:open]...)
		if value := b[open:end]; declaresNamespace(name) && string(value) == NSComponent {
			dst = append(dst, scan.NSClient...)
		} else {
			dst = append(dst, value...)
		}
		dst = append(dst, b[end])
		n = end + 1
	}
}

// declaresNamespace tells whether what stands before a value ends in xmlns= or xmlns:prefix=.
func declaresNamespace(before []byte) bool {
	name := bytes.TrimRight(before, " \t\r\n=")
	name = name[bytes.LastIndexAny(name, " \t\r\n")+1:]
	return string(name) == "xmlns" || bytes.HasPrefix(name, []byte("xmlns:"))
}
