package component

import (
	"context"
	"crypto/rand"
	"crypto/sha1"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"time"

	"rosterd/engine/addr"
	"rosterd/xmppcore/scan"
	"rosterd/xmppcore/session"
	"rosterd/xmppcore/stanza"
	"rosterd/xmppcore/stream"
)

var errCrowd = errors.New("too many connections have not shown a secret yet")

// negotiation is a stream on its way to being a component's (XEP-0114 §3).
type negotiation struct {
	server *Server
	now    served
	c      *stream.Component
	domain string // that the program wants to serve
	opened bool   // our stream header is sent
}

func (n *negotiation) run(ctx context.Context) error {
	n.c.Allow(n.now.limits.Negotiation)
	ctx, cancel := context.WithTimeoutCause(ctx, n.now.limits.Authenticate, &stanza.StreamError{
		Condition: stanza.StreamConnectionTimeout, Text: "no handshake in time",
	})
	defer cancel()
	stop := context.AfterFunc(ctx, n.c.Interrupt)
	proved, err := n.prove(ctx)
	if !stop() {
		if se, ok := errors.AsType[*stanza.StreamError](context.Cause(ctx)); ok {
			return se
		}
		return &stanza.StreamError{Condition: stanza.StreamSystemShutdown}
	}
	if err != nil {
		return err
	}
	return n.server.connect(n.c, n.now, proved)
}

// prove reads the header and the handshake.
func (n *negotiation) prove(ctx context.Context) (c Component, err error) {
	id := rand.Text()
	if err := n.open(id); err != nil {
		return c, err
	}
	var st scan.Stanza
	if err := n.c.Next(&st); err != nil {
		return c, err
	}
	if string(st.Space) != scan.NSClient || string(st.Name) != "handshake" || len(st.Children) > 0 {
		return c, refuse(stanza.StreamNotAuthorized, "a handshake comes first")
	}
	c, ok := n.server.component(n.domain)
	if !ok {
		return c, refuse(stanza.StreamHostGone, "")
	}
	return c, n.check(ctx, c, id, st.Root().Text())
}

// open answers the stream header.
func (n *negotiation) open(id string) error {
	var h scan.Header
	if err := n.c.ReadOpen(&h); err != nil {
		return err
	}
	domain, refused := n.wanted(&h)
	n.domain = domain
	if err := n.c.WriteOpen(stream.Opening{From: domain, ID: id}); err != nil {
		return err
	}
	n.opened = true
	return refused
}

// wanted is the domain that the program wants to serve, and what is wrong with that.
func (n *negotiation) wanted(h *scan.Header) (domain string, refused error) {
	if h.Default != stream.NSComponent {
		return "", refuse(stanza.StreamInvalidNamespace, "this port is for components, whose namespace is "+stream.NSComponent)
	}
	if h.To == "" {
		return "", refuse(stanza.StreamImproperAddressing, "the stream header needs a to")
	}
	domain, err := addr.PrepareDomain(h.To)
	if err != nil {
		return "", refuse(stanza.StreamHostUnknown, "")
	}
	if _, ok := n.server.component(domain); !ok {
		return "", refuse(stanza.StreamHostUnknown, "there is no such external component")
	}
	return domain, nil
}

// check wants the digest of our stream's id and the secret, in hexadecimal digits.
func (n *negotiation) check(ctx context.Context, c Component, id, digest string) error {
	whose, err := domainOf(c.Domain)
	if err != nil {
		return fmt.Errorf("domain of a component: %w", err)
	}
	sum := sha1.Sum([]byte(id + c.Secret))
	right := hex.EncodeToString(sum[:])
	err = n.now.throttle.Check(ctx, whose, address(n.c.RemoteAddr()), func() bool {
		said := strings.ToLower(strings.TrimSpace(digest))
		return c.Secret != "" && subtle.ConstantTimeCompare([]byte(said), []byte(right)) == 1
	})
	if err != nil {
		n.server.Log.Warn("a component is not let in", "component", c.Domain, "address", n.c.RemoteAddr(), "error", err)
		return refuse(stanza.StreamNotAuthorized, "the handshake is wrong, or comes after too many that were")
	}
	return nil
}

func refuse(c stanza.StreamCondition, text string) error {
	return &stanza.StreamError{Condition: c, Text: text}
}

// address is zero for what is no address of TCP.
func address(a net.Addr) netip.Addr {
	tcp, ok := a.(*net.TCPAddr)
	if !ok {
		return netip.Addr{}
	}
	return tcp.AddrPort().Addr()
}

// end closes the connection of who is not let in. A stream error needs a stream (RFC 6120 §4.9.1.2).
func (n *negotiation) end(err error) error {
	se, ok := errors.AsType[*stanza.StreamError](err)
	switch {
	case err == nil:
	case ok:
		if n.opened || n.c.WriteOpen(stream.Opening{ID: rand.Text()}) == nil {
			n.c.Close(se)
		}
	case errors.Is(err, scan.ErrEnd), n.opened && errors.Is(err, io.EOF):
		n.c.Close(nil)
	default:
		n.c.Abort()
	}
	return err
}

// connect makes the stream that of a component, from now on.
func (s *Server) connect(c *stream.Component, now served, proved Component) error {
	domain, err := domainOf(proved.Domain)
	if err != nil {
		return fmt.Errorf("domain of a component: %w", err)
	}
	l := &link{server: s, domain: domain.Full(), since: time.Now(), out: session.New(domain.Full(), c, now.outbox)}
	old, refused := s.take(l, proved.Replace)
	if refused != nil {
		s.Log.Warn("a component is not let in", "component", proved.Domain, "address", c.RemoteAddr(), "error", refused)
		return refused
	}
	if old != nil {
		old.out.Close(&stanza.StreamError{Condition: stanza.StreamConflict, Text: "replaced by another connection"})
	}
	l.out.AppendOwn(func(dst []byte) []byte { return append(dst, "<handshake/>"...) })
	l.out.Start()
	s.Log.Info("component connected", "component", proved.Domain, "address", c.RemoteAddr())
	go l.run()
	return nil
}

// take puts a component into its place: which is empty, or that of old.
func (s *Server) take(l *link, replace bool) (old *link, refused error) {
	domain := l.domain.Domain()
	s.mu.Lock()
	defer s.mu.Unlock()
	_, served := s.served.domains[domain]
	old = s.connected[domain]
	switch {
	case s.closed:
		return nil, refuse(stanza.StreamSystemShutdown, "")
	case !served:
		return nil, refuse(stanza.StreamHostGone, "")
	case old != nil && !replace:
		return nil, refuse(stanza.StreamConflict, "the component is connected already")
	}
	if s.connected == nil {
		s.connected = make(map[string]*link)
	}
	s.connected[domain] = l
	s.any.Store(true)
	s.work.Add(1)
	return old, nil
}
