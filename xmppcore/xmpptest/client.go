// Package xmpptest is an XMPP client for tests: raw, so that it can send what no
// client would, and strict in what it takes from a server. Conversations can be
// written as text (see Script).
package xmpptest

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"time"

	"rosterd/xmppcore/scan"
)

// Client is one connection to a server. It reads only when it is asked for
// something: a Client that is left alone is one that does not read. It is used by
// one goroutine at a time.
type Client struct {
	Domain string      // that stream headers are addressed to
	TLS    *tls.Config // for StartTLS; nil: any certificate will do
	BindTo string      // type of channel binding for SCRAM-…-PLUS; "" is tls-exporter

	Header   scan.Header // the server's, of the stream that is open
	Features Element     // and what it offers
	JID      string      // since Bind

	from    string // of a component's own IQs
	conn    net.Conn
	scanner scan.Scanner
	stanza  scan.Stanza
	in      []byte    // read, not yet used
	pending []Element // passed over by Expect
	sent    bool      // something since the last Ping
	pings   int
}

// Dial connects to a server for domain.
func Dial(ctx context.Context, addr, domain string) (*Client, error) {
	var d net.Dialer
	nc, err := d.DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	return New(nc, domain), nil
}

// New makes a Client of a connection.
func New(nc net.Conn, domain string) *Client {
	c := &Client{Domain: domain, conn: nc}
	c.scanner.Limits.Stanza = 64 << 20 // the result of a roster get is one stanza
	return c
}

// Send writes text as it is.
func (c *Client) Send(ctx context.Context, text string) error {
	defer c.until(ctx)()
	c.sent = true
	if _, err := io.WriteString(c.conn, text); err != nil {
		return fmt.Errorf("send %s: %w", brief(text), err)
	}
	return nil
}

// until makes reads and writes end with ctx. What it returns undoes that.
func (c *Client) until(ctx context.Context) (undo func()) {
	done := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(done)
		c.conn.SetDeadline(time.Unix(1, 0))
	})
	return func() {
		if !stop() {
			<-done
			c.conn.SetDeadline(time.Time{})
		}
	}
}

// read adds to c.in.
func (c *Client) read(ctx context.Context) error {
	defer c.until(ctx)()
	c.in = slices.Grow(c.in, 4096)
	n, err := c.conn.Read(c.in[len(c.in):cap(c.in)])
	c.in = c.in[:len(c.in)+n]
	if n > 0 {
		return nil
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return err
}

// Next returns the next element inside the stream: one that Expect has passed
// over, or the next that comes. The end tag of the stream is io.EOF; a connection
// that ends without it is io.ErrUnexpectedEOF.
func (c *Client) Next(ctx context.Context) (Element, error) {
	if len(c.pending) > 0 {
		e := c.pending[0]
		c.pending = c.pending[1:]
		return e, nil
	}
	return c.receive(ctx)
}

func (c *Client) receive(ctx context.Context) (Element, error) {
	for {
		n, err := c.scanner.Next(c.in, &c.stanza)
		if err == nil {
			e, err := Parse(string(c.stanza.Raw))
			c.in = c.in[n:]
			return e, err
		}
		if errors.Is(err, scan.ErrEnd) {
			return Element{}, io.EOF
		}
		if !errors.Is(err, scan.ErrMore) {
			return Element{}, fmt.Errorf("server sent bad XML: %w: %s", err, brief(string(c.in)))
		}
		c.in = c.in[n:]
		if err := c.read(ctx); errors.Is(err, io.EOF) {
			return Element{}, io.ErrUnexpectedEOF
		} else if err != nil {
			return Element{}, err
		}
	}
}

// Expect returns the next element for which match is true. What comes before it
// is kept for later calls of Next and Expect. what says what was expected, for
// the error.
func (c *Client) Expect(ctx context.Context, what string, match func(Element) bool) (Element, error) {
	if i := slices.IndexFunc(c.pending, match); i >= 0 {
		e := c.pending[i]
		c.pending = slices.Delete(c.pending, i, i+1)
		return e, nil
	}
	for {
		e, err := c.receive(ctx)
		if err != nil {
			return Element{}, fmt.Errorf("expected %s: %w%s", what, err, c.unexpected())
		}
		if match(e) {
			return e, nil
		}
		c.pending = append(c.pending, e)
	}
}

// unexpected lists what was received instead of what was expected.
func (c *Client) unexpected() string {
	if len(c.pending) == 0 {
		return "; nothing was received"
	}
	var s strings.Builder
	s.WriteString("; received:")
	for _, e := range c.pending {
		s.WriteString("\n\t" + e.String())
	}
	return s.String()
}

// IQ sends an IQ and returns the answer, a result or an error.
func (c *Client) IQ(ctx context.Context, typ, to, payload string) (Element, error) {
	c.pings++
	id := fmt.Sprintf("xmpptest-%d", c.pings)
	attr := ""
	if to != "" {
		attr = " to='" + escape(to) + "'"
	}
	if c.from != "" {
		attr += " from='" + escape(c.from) + "'"
	}
	if err := c.Send(ctx, "<iq type='"+typ+"' id='"+id+"'"+attr+">"+payload+"</iq>"); err != nil {
		return Element{}, err
	}
	return c.Expect(ctx, "the answer to iq "+id, func(e Element) bool {
		return e.Name.Local == "iq" && e.Attr("id") == id
	})
}

// Ping makes sure that the server has handled all that was sent, and that all
// it sent until then has arrived: an error is an answer, too.
func (c *Client) Ping(ctx context.Context) error {
	_, err := c.IQ(ctx, "get", c.Domain, "<ping xmlns='urn:xmpp:ping'/>")
	c.sent = err != nil
	return err
}

// Nothing returns an error if something has arrived that nobody has asked for.
// It does not wait for time to pass but for a Ping to come back.
func (c *Client) Nothing(ctx context.Context) error {
	if err := c.Ping(ctx); err != nil {
		return err
	}
	if len(c.pending) > 0 {
		return fmt.Errorf("expected nothing%s", c.unexpected())
	}
	return nil
}

// Close ends the stream (RFC 6120 §4.4) and waits for the server to do the same.
func (c *Client) Close(ctx context.Context) error {
	defer c.conn.Close()
	if err := c.Send(ctx, "</stream:stream>"); err != nil {
		return err
	}
	return c.End(ctx)
}

// End waits for the server to end the stream.
func (c *Client) End(ctx context.Context) error {
	for {
		switch _, err := c.receive(ctx); {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return fmt.Errorf("expected the end of the stream: %w", err)
		}
	}
}

// Disconnect closes the connection and says nothing.
func (c *Client) Disconnect() error { return c.conn.Close() }

// brief is text cut to what fits an error message.
func brief(text string) string {
	if len(text) > 300 {
		return text[:300] + "…"
	}
	return text
}
