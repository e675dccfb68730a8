package xmpptest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"time"

	"rosterd/xmppcore/scan"
)

// A Link carries elements between a client and a server over something that is no
// stream of bytes: messages, requests. Its methods return when ctx ends, after
// which the Link need not be of use any more. Open, Send and End are called one
// after the other, and so is Receive, while those may be in progress.
type Link interface {
	// Open opens a stream, or opens it anew. The header is the one that the client
	// would write to a connection.
	Open(ctx context.Context, h *scan.Header) error

	// Send sends an element, or what a test sends instead of one.
	Send(ctx context.Context, text string) error

	// End ends the stream.
	End(ctx context.Context) error

	// Receive returns what a server would write to a connection: StreamHeader,
	// elements, StreamEnd. It returns io.EOF behind that, or when the link is cut.
	Receive(ctx context.Context) (string, error)

	// Close cuts the link. It may be called at any time. A Link that can be bound to
	// (RFC 5056) also has a method TLS() *tls.ConnectionState.
	Close() error
}

// StreamEnd is the end tag of a stream.
const StreamEnd = "</stream:stream>"

// StreamHeader is a stream header with such attributes, in pairs of name and
// value. Empty ones are left out.
func StreamHeader(attrs ...string) string {
	var b strings.Builder
	b.WriteString("<stream:stream xmlns='" + scan.NSClient + "' xmlns:stream='" + scan.NSStream + "'")
	for i := 0; i+1 < len(attrs); i += 2 {
		if attrs[i+1] != "" {
			b.WriteString(" " + attrs[i] + "='" + escape(attrs[i+1]) + "'")
		}
	}
	b.WriteString(">")
	return b.String()
}

// Over makes a connection of a Link, so that a Client can use it: what the Client
// writes is taken apart, and what comes is put together as a stream of bytes.
func Over(l Link) net.Conn {
	c := &linked{link: l}
	c.SetDeadline(time.Time{})
	return c
}

// linked is a connection over a Link.
type linked struct {
	link Link

	// Of the goroutine that writes.
	scanner scan.Scanner
	stanza  scan.Stanza

	in string // of the goroutine that reads: received, not yet read

	mu     sync.Mutex // guards the fields below
	ctx    context.Context
	cancel context.CancelFunc
}

// Write sends what p consists of. A Client writes whole headers, elements and end
// tags; what is none of those, a test wants to be sent as it is.
func (c *linked) Write(p []byte) (int, error) {
	for rest := p; len(strings.TrimSpace(string(rest))) > 0; {
		n, err := c.send(rest)
		if err != nil {
			return 0, err
		}
		rest = rest[n:]
	}
	return len(p), nil
}

func (c *linked) send(b []byte) (n int, err error) {
	ctx := c.context()
	if text := strings.TrimSpace(string(b)); strings.HasPrefix(text, "<?xml") || strings.HasPrefix(text, "<stream:stream") {
		var h scan.Header
		if n, err = c.scanner.NextHeader(b, &h); err == nil {
			return n, c.link.Open(ctx, &h)
		}
		return len(b), c.link.Send(ctx, string(b))
	}
	n, err = c.scanner.Next(b, &c.stanza)
	switch {
	case errors.Is(err, scan.ErrEnd):
		return n, c.link.End(ctx)
	case err != nil:
		return len(b), c.link.Send(ctx, string(b))
	}
	return n, c.link.Send(ctx, string(c.stanza.Raw))
}

// Read receives.
func (c *linked) Read(p []byte) (int, error) {
	for c.in == "" {
		var err error
		if c.in, err = c.link.Receive(c.context()); err != nil {
			return 0, err
		}
	}
	n := copy(p, c.in)
	c.in = c.in[n:]
	return n, nil
}

func (c *linked) Close() error {
	c.SetDeadline(time.Unix(1, 0))
	return c.link.Close()
}

func (c *linked) context() context.Context {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.ctx
}

// SetDeadline implements net.Conn. A Client sets one that is over, or none.
func (c *linked) SetDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.cancel != nil {
		c.cancel()
	}
	if t.IsZero() {
		c.ctx, c.cancel = context.WithCancel(context.Background())
	} else {
		c.ctx, c.cancel = context.WithDeadline(context.Background(), t)
	}
	return nil
}

func (c *linked) SetReadDeadline(t time.Time) error  { return c.SetDeadline(t) }
func (c *linked) SetWriteDeadline(t time.Time) error { return c.SetDeadline(t) }

func (c *linked) LocalAddr() net.Addr  { return linkAddr{} }
func (c *linked) RemoteAddr() net.Addr { return linkAddr{} }

type linkAddr struct{}

func (linkAddr) Network() string { return "link" }
func (linkAddr) String() string  { return "link" }

// standalone checks that an element that has come means something alone, as it
// would have to for a parser that knows nothing of streams.
func standalone(text string) (Element, error) {
	e, err := parseRoot(text)
	switch {
	case err != nil:
		return Element{}, fmt.Errorf("server sent bad XML: %w: %s", err, brief(text))
	case text[0] != '<':
		return Element{}, fmt.Errorf("server sent something before the element: %s", brief(text))
	case !strings.Contains(e.Name.Space, ":"): // encoding/xml leaves an unbound prefix there
		return Element{}, fmt.Errorf("server sent an element without a namespace: %s", brief(text))
	}
	return e, nil
}
