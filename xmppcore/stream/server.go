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
	"rosterd/xmppcore/admission"
	"rosterd/xmppcore/auth"
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

	rules  atomic.Pointer[rules] // nil until the first connection
	door   door
	desk   admission.Desk
	keys   tls.Config // makes and reads tickets, whatever certificates there are; it changes its keys itself
	counts Counts
}

// Counts are what has happened since the start, for metrics.
type Counts struct {
	LoggedIn, Failed atomic.Int64 // SASL exchanges, by their end
	Refused          atomic.Int64 // clients told that too many are not authenticated yet
	Cut              atomic.Int64 // and those not even told
	Left             atomic.Int64 // clients that had left before the server began with them
}

// Counts is what the server counts.
func (s *Server) Counts() *Counts { return &s.counts }

// rules are what holds for a connection from its beginning to its end.
type rules struct {
	limits  Limits // with defaults
	trusted []netip.Prefix
}

// Reconfigure sets the limits and the trusted proxies for connections that begin
// from now on. It may be called while Serve runs.
func (s *Server) Reconfigure(l Limits, trusted []netip.Prefix) {
	s.desk.Configure(l.Logins, l.Turn)
	s.rules.Store(&rules{limits: l.Defaults(), trusted: trusted})
}

func (s *Server) current() *rules {
	if s.rules.Load() == nil && s.rules.CompareAndSwap(nil, &rules{limits: s.Limits.Defaults(), trusted: s.Trusted}) {
		s.desk.Configure(s.Limits.Logins, s.Limits.Turn)
	}
	return s.rules.Load()
}

// Desk is where those who log in wait for their turn.
func (s *Server) Desk() *admission.Desk { return &s.desk }

// Breath is how long to wait before another connection is accepted. It is not zero while that would only be told
// that there are too many.
func (s *Server) Breath() time.Duration { return s.desk.Breath(s.door.full(s.Bounds())) }

// Bounds are the limits of connections that begin now, with defaults.
func (s *Server) Bounds() *Limits { return &s.current().limits }

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

// ServeCarrier is Serve for a stream that something else carries; STARTTLS is
// not offered there. The client counts as one that connects from an address,
// unless that is zero.
func (s *Server) ServeCarrier(ctx context.Context, c Carrier, from netip.Addr, a Acceptor) error {
	r := s.current()
	return s.negotiate(ctx, &negotiation{c: c, limits: &r.limits, from: r.source(from)}, a)
}

func (s *Server) serve(ctx context.Context, nc net.Conn, direct *tls.Config, a Acceptor) error {
	grow()
	r := s.current()
	c := newConn(nc, &r.limits)
	from := r.source(address(nc.RemoteAddr()))
	whole := false
	defer func() {
		if !whole { // a mistake of ours: whoever has taken the connection over hears of its end
			c.Abort()
		}
	}()
	err := s.negotiate(ctx, &negotiation{c: c, tcp: c, direct: direct, limits: &r.limits, from: from}, a)
	whole = true
	return err
}

// address is zero for what is no address of TCP.
func address(a net.Addr) netip.Addr {
	tcp, ok := a.(*net.TCPAddr)
	if !ok {
		return netip.Addr{}
	}
	return tcp.AddrPort().Addr()
}

func (s *Server) negotiate(ctx context.Context, n *negotiation, a Acceptor) error {
	n.server = s
	if n.hasLeft() { // in the kernel's queue: nobody makes room for it, and it is told nothing
		s.counts.Left.Add(1)
		n.c.Abort()
		return errLeft
	}
	se, ok := s.enter(n)
	if !ok {
		s.counts.Cut.Add(1)
		n.c.Abort()
		return errCrowd
	}
	defer n.leave()
	if se != nil {
		s.counts.Refused.Add(1)
		return n.end(se)
	}
	defer n.arrive().Leave()
	err := n.takeTurn(ctx)
	if err == nil {
		err = n.run(ctx, a)
	} else if errors.Is(err, errLeft) {
		s.counts.Left.Add(1)
		n.c.Abort()
		return err
	} else if !n.turnAway() {
		n.c.Abort()
		return err
	}
	n.depart()
	return n.end(err)
}

// turnAway makes a client that is inside one of those who are being told that they are not welcome. It is false if
// those are too many.
func (n *negotiation) turnAway() bool {
	n.leave()
	if !n.server.door.refuse(n.from, n.limits) {
		return false
	}
	n.refused = true
	n.inside.Store(false)
	return true
}

// enter counts a client at the door. When all places there are taken, one that has said nothing for a while gives way.
func (s *Server) enter(n *negotiation) (*stanza.StreamError, bool) {
	if s.door.lacks(n.from, n.limits) {
		if cut := s.desk.Oust(); cut != nil {
			cut()
		}
	}
	se, ok := s.door.enter(n.from, n.limits)
	n.refused = se != nil
	return se, ok
}

// source is the address to count a client under that connects from a; the zero
// one is not counted. The hosts of an IPv6 network are one: nobody has only one
// address of those.
func (r *rules) source(a netip.Addr) netip.Addr {
	if !a.IsValid() {
		return a
	}
	a = a.Unmap().WithZone("")
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

// negotiation is a stream on its way to a bound resource.
type negotiation struct {
	server  *Server
	limits  *Limits // with defaults
	c       Carrier
	tcp     *conn       // the same, nil if it is another Carrier: where TLS can begin
	direct  *tls.Config // for tcp: TLS comes first
	from    netip.Addr  // for the door
	refused bool        // there
	inside  atomic.Bool // not counted at the door any more
	turn    turn

	host     *Host          // since the first stream header
	user     addr.Bare      // since SASL
	bound    []auth.Binding // what the TLS of the stream offers, made at the first look
	opened   bool           // our stream header is sent, for the stream that is open now
	failed   int            // SASL exchanges
	requests int            // to register
	st       scan.Stanza
	header   scan.Header // the last
}

// Ends that are not the client's doing, or not to be answered.
var (
	errLeft     = errors.New("client has left before its turn came")
	errCrowd    = errors.New("too many connections are waiting to be refused")
	errHello    = errors.New("client began with a TLS handshake where STARTTLS is spoken")
	errNoTLS    = errors.New("client asked for TLS where none is offered")
	errShutdown = &stanza.StreamError{Condition: stanza.StreamSystemShutdown}
)

func (n *negotiation) run(ctx context.Context, a Acceptor) error {
	l := n.limits
	n.c.Allow(l.Negotiation)
	late := timeout("not authenticated in time")
	err := n.within(ctx, time.Now().Add(l.Authenticate), late, n.authenticate)
	if errors.Is(err, errRegisters) {
		err = n.within(ctx, time.Now().Add(formTime), late, n.goOn)
	}
	if err != nil {
		return err
	}
	n.c.Allow(l.Negotiation)
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
	n.turn.ctx = ctx
	stop := context.AfterFunc(ctx, n.c.Interrupt)
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
	n.turn.listen()
	err := n.c.Next(&n.st)
	n.turn.heard()
	return &n.st, err
}

// leave takes the connection off the door's count.
func (n *negotiation) leave() {
	if !n.inside.Swap(true) {
		n.server.door.leave(n.from, n.refused)
	}
}

// end closes the connection in the way that err calls for, nil being none. A
// stream error needs a stream: our header goes before it (RFC 6120 §4.9.1.2).
func (n *negotiation) end(err error) error {
	se, ok := errors.AsType[*stanza.StreamError](err)
	switch {
	case err == nil:
		return nil
	case ok && n.direct != nil && !n.c.Secure(): // who waits for TLS cannot be told
	case ok:
		if !n.opened && n.c.WriteOpen(n.opening("")) != nil {
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
