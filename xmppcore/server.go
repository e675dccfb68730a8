// Package xmppcore is the XMPP server: it accepts client connections, binds their resources, and makes what
// they send and what happens to their rosters into stanzas for others.
package xmppcore

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"runtime"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"rosterd/engine"
	"rosterd/engine/addr"
	"rosterd/xmppcore/admission"
	"rosterd/xmppcore/caps"
	"rosterd/xmppcore/component"
	"rosterd/xmppcore/pep"
	"rosterd/xmppcore/presence"
	"rosterd/xmppcore/registry"
	"rosterd/xmppcore/router"
	"rosterd/xmppcore/session"
	"rosterd/xmppcore/stanza"
	"rosterd/xmppcore/stream"
)

// ErrServerClosed is what Serve returns after Shutdown.
var ErrServerClosed = errors.New("xmppcore: server closed")

// Config is what a Server is made of. Zero fields mean the defaults.
type Config struct {
	Hosts   []Host
	Stream  stream.Limits
	Outbox  session.Limits
	Trusted []netip.Prefix // proxies, whose connections are not counted by address
	Version string         // of rosterd, for XEP-0092

	Log *slog.Logger

	Components component.Config // programs that serve domains of their own

	// Tap, if set, is shown whatever is written to a client: whole stanzas, valid until it returns.
	Tap func(to addr.JID, stanzas []byte)
}

// Server is a running XMPP server. Make it with New, hand RosterChanged to the engine, then Start it.
type Server struct {
	log        *slog.Logger
	negotiator stream.Server
	version    string
	serving    atomic.Pointer[serving]
	tap        func(addr.JID, []byte)

	registry registry.Registry
	presence presence.Presence
	router   router.Router
	engine   *engine.Engine // set by Start
	counts   counts

	components component.Server
	pep        pep.Service
	caps       caps.Cache

	// changing lets one roster change at a time. Where both sides of a pair change, each is told of the other once and
	// in order; if both turns ran at once, each might find the other half done. It is taken before a turn, never in one.
	changing sync.Mutex

	ctx  context.Context // of negotiations; its cause is why they end
	stop context.CancelCauseFunc

	mu        sync.Mutex // guards the fields below
	closed    bool
	listeners map[net.Listener]struct{}
	work      sync.WaitGroup // connections, from accept to their end; Add under mu while not closed
}

// New makes a server.
func New(c Config) *Server {
	s := &Server{
		log: c.Log, tap: c.Tap, version: c.Version, listeners: make(map[net.Listener]struct{}),
	}
	s.ctx, s.stop = context.WithCancelCause(context.Background())
	s.router = router.Router{Registry: &s.registry, Presence: &s.presence, Log: c.Log, Host: func(domain string) *router.Host { return s.host(domain).router }}
	s.router.Aside = s.aside
	s.presence = presence.Presence{Registry: &s.registry, Router: &s.router, Left: s.left}
	s.negotiator = stream.Server{Host: func(domain string) *stream.Host { return s.host(domain).stream }, Limits: c.Stream, Trusted: c.Trusted}
	s.startPersonal()
	s.serving.Store(s.newServing(c))
	s.openComponents(c.Components)
	return s
}

// Start gives the server the rosters. It is called once, before the first Serve.
func (s *Server) Start(e *engine.Engine) {
	s.engine, s.router.Rosters = e, e
	if s.begin() {
		go s.tidy()
	}
}

// Serve accepts client connections (RFC 6120 §3, STARTTLS) until Shutdown, and always returns an error.
func (s *Server) Serve(ln net.Listener) error {
	return s.accept(ln, func(nc net.Conn, a stream.Acceptor) error { return s.negotiator.Serve(s.ctx, nc, a) })
}

// ServeTLS is Serve for a port where TLS comes first (XEP-0368).
func (s *Server) ServeTLS(ln net.Listener, config *tls.Config) error {
	return s.accept(ln, func(nc net.Conn, a stream.Acceptor) error { return s.negotiator.ServeTLS(s.ctx, nc, config, a) })
}

// ServeCarrier negotiates a stream that something else carries, such as a WebSocket, and returns when a resource is
// bound or the stream is over. The client counts as one that connects from an address, unless that is zero. After
// Shutdown the stream is just cut.
func (s *Server) ServeCarrier(c stream.Carrier, from netip.Addr) {
	if !s.begin() {
		c.Abort()
		return
	}
	s.negotiate(c.RemoteAddr(), c.Abort, func() error { return s.negotiator.ServeCarrier(s.ctx, c, from, s) })
}

// Limits are those of streams that begin now, with defaults.
func (s *Server) Limits() *stream.Limits { return s.negotiator.Bounds() }

func (s *Server) accept(ln net.Listener, negotiate func(net.Conn, stream.Acceptor) error) error {
	if !s.listen(ln) {
		ln.Close()
		return ErrServerClosed
	}
	defer s.unlisten(ln)
	var pause time.Duration
	for {
		s.breathe()
		nc, err := ln.Accept()
		switch {
		case err == nil:
			pause = 0
			s.accepted(nc, negotiate)
		case s.isClosed():
			return ErrServerClosed
		case errors.Is(err, net.ErrClosed):
			return err
		default: // such as no file descriptors left: what is connected goes on
			pause = min(max(2*pause, 5*time.Millisecond), time.Second)
			s.log.Error("accepting connections", "address", ln.Addr(), "error", err, "pause", pause)
			select {
			case <-time.After(pause):
			case <-s.ctx.Done():
			}
		}
	}
}

// breathe waits while whoever is accepted could only be told that there are too many: who is told comes back, and to be
// busy with that would leave no time for those who were before. The others wait in the kernel.
func (s *Server) breathe() {
	runtime.Gosched() // who was accepted before counts
	pause := s.negotiator.Breath()
	if pause == 0 {
		return
	}
	t := time.NewTimer(pause)
	defer t.Stop()
	select {
	case <-t.C:
	case <-s.ctx.Done():
	}
}

// Desk is where those who log in wait for their turn. What makes streams otherwise may have its part in that.
func (s *Server) Desk() *admission.Desk { return s.negotiator.Desk() }

func (s *Server) accepted(nc net.Conn, negotiate func(net.Conn, stream.Acceptor) error) {
	if !s.begin() {
		nc.Close()
		return
	}
	go func() {
		a := arrival{Server: s}
		s.negotiate(nc.RemoteAddr(), func() { nc.Close() }, func() error { return negotiate(nc, &a) })
		if a.bound != nil {
			s.run(a.bound)
		}
	}()
}

// arrival is the Acceptor of one connection over TCP. What it binds is read on the goroutine that has negotiated, whose
// stack has grown to what that needs; when the session is idle, that goroutine ends.
type arrival struct {
	*Server
	bound *registry.Resource
}

// Bind implements stream.Acceptor.
func (a *arrival) Bind(r stream.BindRequest) (refused *stanza.Error) {
	a.bound, refused = a.bind(r)
	return refused
}

// negotiate makes a stream of a connection. A mistake of ours costs that connection, and nobody else's.
func (s *Server) negotiate(from net.Addr, cut func(), run func() error) {
	defer s.work.Done()
	defer func() {
		if p := recover(); p != nil {
			cut()
			s.log.Error("a negotiation made the server fail", "address", from, "panic", p, "stack", string(debug.Stack()))
		}
	}()
	if err := run(); err != nil {
		s.log.Debug("negotiation ended", "address", from, "error", err)
	}
}

// begin counts a piece of work that Shutdown waits for.
func (s *Server) begin() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	s.work.Add(1)
	return true
}

// aside does something that nobody waits for but Shutdown.
func (s *Server) aside(f func()) {
	if !s.beside(f) {
		f()
	}
}

// beside does something in a goroutine that Shutdown waits for, and is false if that has begun. A mistake of ours costs what
// it was about.
func (s *Server) beside(f func()) bool {
	if !s.begin() {
		return false
	}
	go func() {
		defer s.work.Done()
		defer func() {
			if p := recover(); p != nil {
				s.log.Error("work beside the streams made the server fail", "panic", p, "stack", string(debug.Stack()))
			}
		}()
		f()
	}()
	return true
}

func (s *Server) listen(ln net.Listener) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	s.listeners[ln] = struct{}{}
	return true
}

func (s *Server) unlisten(ln net.Listener) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.listeners, ln)
	ln.Close()
}

func (s *Server) isClosed() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.closed
}

// cutTimeout is how long streams that were cut are waited for: they have nobody to wait for any more.
const cutTimeout = time.Second

// Shutdown closes all streams with system-shutdown once what is queued for them is written (RFC 6120
// §4.9.3.19), and returns when they have ended, or cuts them when ctx does.
func (s *Server) Shutdown(ctx context.Context) error {
	s.mu.Lock()
	s.closed = true
	for ln := range s.listeners {
		ln.Close()
	}
	s.mu.Unlock()

	shutdown := &stanza.StreamError{Condition: stanza.StreamSystemShutdown}
	s.stop(shutdown)
	for res := range s.registry.All() {
		res.Close(shutdown)
	}
	done := make(chan struct{})
	go func() { s.work.Wait(); close(done) }()
	select {
	case <-done:
		return s.components.Shutdown(ctx) // after the clients, of whose end some are told
	case <-ctx.Done():
	}
	cut := 0
	for res := range s.registry.All() {
		res.Transport().Abort()
		cut++
	}
	select { // what those had goes where it is kept, which closes next
	case <-done:
	case <-time.After(cutTimeout):
	}
	return errors.Join(fmt.Errorf("%d streams did not end in time and were cut: %w", cut, ctx.Err()), s.components.Shutdown(ctx))
}

// Sessions is the number of bound resources.
func (s *Server) Sessions() (n int) {
	for range s.registry.All() {
		n++
	}
	return n
}
