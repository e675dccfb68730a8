// Package component lets other programs be parts of the server: each connects, shows that it knows the secret of a
// domain, gets from then on what is sent to that domain, and sends from any address of it (XEP-0114).
package component

import (
	"context"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"

	"rosterd/engine/addr"
	"rosterd/xmppcore/auth"
	"rosterd/xmppcore/router"
	"rosterd/xmppcore/scan"
	"rosterd/xmppcore/session"
	"rosterd/xmppcore/stanza"
	"rosterd/xmppcore/stream"
)

// Component is a domain that a program may serve.
type Component struct {
	Domain  string // prepared
	Secret  string // "" lets nobody in
	Replace bool   // a second program takes the place of the first; else it is sent away
	AnyFrom bool   // the program may send from addresses of other domains, too
}

// Config is what a Server serves.
type Config struct {
	Components []Component
	Limits     stream.Limits
	Outbox     session.Limits // zero fields mean 1 MiB and 32 MiB: a program stands for many users
	Throttle   *auth.Throttle // of wrong secrets
}

// maxStrangers is how many programs may be connected that have not shown a secret yet.
const maxStrangers = 100

// Server is where components connect.
type Server struct {
	// Route passes on what a component sends. It is called in the goroutine that reads the component's stream.
	Route func(router.Origin, *scan.Stanza)

	// Lost is told what a component that has left did not take: routed stanzas, one after the other.
	Lost func(stanzas []byte)

	Log *slog.Logger

	Refused atomic.Int64 // stanzas that components must not send

	mu        sync.RWMutex // guards the fields below
	served    served
	connected map[string]*link // by domain
	any       atomic.Bool      // whether there are any; read without mu
	strangers int
	closed    bool
	work      sync.WaitGroup // links; Add under mu while not closed
}

// served is what a Server serves at a time. It does not change: another one takes its place.
type served struct {
	domains  map[string]Component
	limits   stream.Limits
	outbox   *session.Limits
	throttle *auth.Throttle
}

// Reconfigure sets what is served: for programs that connect from now on, and for whom a connected one may speak. Those
// whose domain is gone are told so (RFC 6120 §4.9.3.5).
func (s *Server) Reconfigure(c Config) {
	if c.Outbox.Soft == 0 {
		c.Outbox.Soft = 1 << 20
	}
	if c.Outbox.Hard == 0 {
		c.Outbox.Hard = 32 << 20
	}
	next := served{domains: make(map[string]Component, len(c.Components)), limits: c.Limits.Defaults(), outbox: session.NewLimits(c.Outbox), throttle: c.Throttle}
	for _, one := range c.Components {
		next.domains[one.Domain] = one
	}
	var gone []*link
	s.mu.Lock()
	s.served = next
	for domain, l := range s.connected {
		if _, stays := next.domains[domain]; !stays {
			gone = append(gone, l)
		}
	}
	s.mu.Unlock()
	for _, l := range gone {
		l.out.Close(&stanza.StreamError{Condition: stanza.StreamHostGone})
	}
}

// Session is where stanzas for a domain go, nil while no program is connected for it.
func (s *Server) Session(domain string) *session.Session {
	if !s.any.Load() {
		return nil // presence asks for each contact who is offline
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	if l := s.connected[domain]; l != nil {
		return l.out
	}
	return nil
}

// Serves tells whether a domain is that of a component.
func (s *Server) Serves(domain string) bool {
	_, ok := s.component(domain)
	return ok
}

// States tells of each component, by its domain, whether it is connected.
func (s *Server) States() map[string]bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	states := make(map[string]bool, len(s.served.domains))
	for domain := range s.served.domains {
		states[domain] = s.connected[domain] != nil
	}
	return states
}

// Connected is how many components are.
func (s *Server) Connected() int {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return len(s.connected)
}

func (s *Server) current() served {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.served
}

// component is what is served for a domain now.
func (s *Server) component(domain string) (Component, bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	c, ok := s.served.domains[domain]
	return c, ok
}

// Serve lets the program on the other side of a connection prove itself, and returns when it is connected or has been
// sent away. The error says why, for the log. When ctx ends, whoever is not connected yet is sent away.
func (s *Server) Serve(ctx context.Context, nc net.Conn) error {
	now := s.current()
	n := &negotiation{server: s, now: now, c: stream.NewComponent(nc, &now.limits)}
	if !s.enter() {
		n.c.Abort()
		return errCrowd
	}
	defer s.leave()
	return n.end(n.run(ctx))
}

// enter counts a program that has shown no secret yet.
func (s *Server) enter() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.strangers >= maxStrangers || s.closed {
		return false
	}
	s.strangers++
	return true
}

func (s *Server) leave() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.strangers--
}

// Shutdown ends all streams once what is queued for them is written, and returns when they have ended, or cuts them
// when ctx does. Nobody can connect any more.
func (s *Server) Shutdown(ctx context.Context) error {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.all(func(l *link) { l.out.Close(&stanza.StreamError{Condition: stanza.StreamSystemShutdown}) })
	done := make(chan struct{})
	go func() { s.work.Wait(); close(done) }()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
	}
	s.all(func(l *link) { l.out.Transport().Abort() })
	<-done // nobody is waited for any more
	return ctx.Err()
}

func (s *Server) all(do func(*link)) {
	s.mu.RLock()
	list := make([]*link, 0, len(s.connected))
	for _, l := range s.connected {
		list = append(list, l)
	}
	s.mu.RUnlock()
	for _, l := range list {
		do(l)
	}
}

// domainOf is the address of a domain itself.
func domainOf(domain string) (addr.Bare, error) { return addr.ParseBare(domain) }
