package stream

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/netip"
	"sync/atomic"
	"time"

	"rosterd/engine/addr"
	"rosterd/xmppcore/scan"
	"rosterd/xmppcore/stanza"
)

// Server negotiates client streams (RFC 6120 §4–§7). Its fields are set before
// the first Serve, and changed by Reconfigure alone afterwards.
type Server struct {
	// Host returns the host that serves a prepared domain, nil if there is none. It
	// is asked once for each connection, so what it returns may change over time.
	Host func(domain string) *Host

	Limits  Limits
	Trusted []netip.Prefix // addresses to which Limits.PerAddress does not apply: proxies

	rules atomic.Pointer[rules] // nil until the first connection
	door  door
}

// rules are what holds for a connection from its beginning to its end.
type rules struct {
	limits  Limits // with defaults
	trusted []netip.Prefix
}

// Reconfigure sets the limits and the trusted proxies for connections that begin
// from now on. It may be called while Serve runs.
func (s *Server) Reconfigure(l Limits, trusted []netip.Prefix) {
	s.rules.Store(&rules{limits: l.defaults(), trusted: trusted})
}

func (s *Server) current() *rules {
	if s.rules.Load() == nil {
		s.rules.CompareAndSwap(nil, &rules{limits: s.Limits.defaults(), trusted: s.Trusted})
	}
	return s.rules.Load()
}

// Serve negotiates the stream of one accepted connection, which it owns from
// now on, until a has taken it over or it is closed. The first is nil, and so is
// a client that closed its stream in the proper way; every other end is an error
// that says why, for the log. When ctx ends, the client is told its cause, or
// system-shutdown if the cause is no *stanza.StreamError.
func (s *Server) Serve(ctx context.Context, nc net.Conn, a Acceptor) error {
	return s.serve(ctx, nc, nil, a)
}

// ServeTLS is Serve for a port where TLS comes first (XEP-0368).
func (s *Server) ServeTLS(ctx context.Context, nc net.Conn, config *tls.Config, a Acceptor) error {
	return s.serve(ctx, nc, config, a)
}

func (s *Server) serve(ctx context.Context, nc net.Conn, direct *tls.Config, a Acceptor) error {
	r := s.current()
	n := &negotiation{server: s, c: newConn(nc, &r.limits), from: r.source(nc)}
	se, ok := s.door.enter(n.from, &r.limits)
	if !ok {
		n.c.Abort()
		return errCrowd
	}
	defer n.leave()
	if se != nil {
		return n.end(se)
	}
	return n.end(n.run(ctx, direct, a))
}

// source is the address to count a connection under; the zero one is not
// counted. The hosts of an IPv6 network are one: nobody has only one address of
// those.
func (r *rules) source(nc net.Conn) netip.Addr {
	tcp, ok := nc.RemoteAddr().(*net.TCPAddr)
	if !ok {
		return netip.Addr{}
	}
	a := tcp.AddrPort().Addr().Unmap().WithZone("")
	for _, p := range r.trusted {
		if p.Contains(a) {
			return netip.Addr{}
		}
	}
	if a.Is6() {
		return netip.PrefixFrom(a, 64).Masked().Addr()
	}
	return a
}

// negotiation is a connection on its way to a bound resource.
type negotiation struct {
	server *Server
	c      *conn
	from   netip.Addr // for the door
	inside bool       // not counted at the door any more

	host   *Host     // since the first stream header
	user   addr.Bare // since SASL
	opened bool      // our stream header is sent, for the stream that is open now
	failed int       // SASL exchanges
	left   int       // bytes that the client may still send
	st     scan.Stanza
}

// Ends that are not the client's doing, or not to be answered.
var (
	errCrowd    = errors.New("too many connections are waiting to be refused")
	errHello    = errors.New("client began with a TLS handshake where STARTTLS is spoken")
	errNoTLS    = errors.New("client asked for TLS where none is offered")
	errShutdown = &stanza.StreamError{Condition: stanza.StreamSystemShutdown}
)

func (n *negotiation) run(ctx context.Context, direct *tls.Config, a Acceptor) error {
	l := n.c.limits
	n.left = l.Negotiation
	late := timeout("not authenticated in time")
	err := n.within(ctx, time.Now().Add(l.Authenticate), late, func(ctx context.Context) error {
		return n.authenticate(ctx, direct)
	})
	if err != nil {
		return err
	}
	n.left = l.Negotiation
	return n.bind(ctx, a)
}

func timeout(text string) *stanza.StreamError {
	return &stanza.StreamError{Condition: stanza.StreamConnectionTimeout, Text: text}
}

// within runs a step that reads from the client. When the time is over or parent
// ends, the reading ends, and the error is late or the parent's.
func (n *negotiation) within(parent context.Context, by time.Time, late *stanza.StreamError, step func(context.Context) error) error {
	ctx, cancel := context.WithDeadlineCause(parent, by, late)
	defer cancel()
	stop := context.AfterFunc(ctx, func() { n.c.wire.SetReadDeadline(time.Unix(1, 0)) })
	if err := step(ctx); stop() {
		return err
	}
	if se, ok := errors.AsType[*stanza.StreamError](context.Cause(ctx)); ok {
		return se
	}
	return errShutdown
}

// next returns the client's next element inside the stream. It is valid until
// the next call.
func (n *negotiation) next() (*scan.Stanza, error) {
	for {
		used, err := n.c.scanner.Next(n.c.in.bytes(), &n.st)
		if err := n.use(used); err != nil {
			return nil, err
		}
		switch {
		case err == nil:
			return &n.st, nil
		case !errors.Is(err, scan.ErrMore):
			return nil, streamError(err)
		}
		if err := n.more(); err != nil {
			return nil, err
		}
	}
}

// use takes n bytes of the input and of what the client may send.
func (n *negotiation) use(used int) error {
	n.c.in.advance(used)
	if n.left -= used; n.left < 0 {
		return tooMuch()
	}
	return nil
}

// more reads on behind an element that is not complete.
func (n *negotiation) more() error {
	if len(n.c.in.bytes()) > n.left {
		return tooMuch()
	}
	return n.c.more()
}

func tooMuch() error {
	return &stanza.StreamError{Condition: stanza.StreamPolicyViolation, Text: "too many bytes before authentication and binding"}
}

// streamError is what the scanner's refusal means for the stream.
func streamError(err error) error {
	if se := stanza.ScanError(err); se != nil {
		return se
	}
	return err
}

// leave takes the connection off the door's count.
func (n *negotiation) leave() {
	if !n.inside {
		n.inside = true
		n.server.door.leave(n.from)
	}
}

// end closes the connection in the way that err calls for, nil being none. A
// stream error needs a stream: our header goes before it (RFC 6120 §4.9.1.2).
func (n *negotiation) end(err error) error {
	se, ok := errors.AsType[*stanza.StreamError](err)
	switch {
	case err == nil:
		return nil
	case ok:
		if !n.opened && n.c.Write(n.header(scan.Header{})) != nil {
			return err
		}
		n.c.Close(se)
		return err
	case errors.Is(err, scan.ErrEnd):
		n.c.Close(nil)
		return nil
	case n.opened && (errors.Is(err, io.EOF) || errors.Is(err, errNoTLS)):
		n.c.Close(nil)
	}
	n.c.Abort()
	return err
}
