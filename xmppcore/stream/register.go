package stream

import (
	"context"
	"errors"
	"net/netip"
	"time"

	"rosterd/xmppcore/scan"
	"rosterd/xmppcore/stanza"
)

const (
	// formTime is what a client gets from its first request to register: somebody
	// has to fill in a form.
	formTime = 2 * time.Minute
	// maxRequests is how many such requests a stream may have.
	maxRequests = 10
)

// A Registrar makes accounts for clients that have not logged in (XEP-0077).
type Registrar interface {
	// Open tells whether it is to be announced on a stream.
	Open(encrypted bool) bool
	// Asks tells whether an element is for it.
	Asks(st *scan.Stanza) bool
	// Answer returns the answer to an IQ from an address, the zero one if nobody
	// knows; nil if there is none.
	Answer(ctx context.Context, from netip.Addr, encrypted bool, st *scan.Stanza) []byte
}

// errRegisters says that n.st is the client's first request to register.
var errRegisters = errors.New("the client registers")

// registers tells whether an element is a request for the host's Registrar.
func (n *negotiation) registers(st *scan.Stanza) bool {
	return n.host.Register != nil && n.host.Register.Asks(st)
}

// register answers a request. The first one is left alone: there is to be more
// time.
func (n *negotiation) register(ctx context.Context, st *scan.Stanza) error {
	switch n.requests++; {
	case n.requests == 1:
		return errRegisters
	case n.requests > maxRequests:
		return refuse(stanza.StreamPolicyViolation, "too many requests to register")
	}
	return n.answer(ctx, st)
}

// goOn answers the first request, and goes on from there to SASL success.
func (n *negotiation) goOn(ctx context.Context) error {
	if err := n.answer(ctx, &n.st); err != nil {
		return err
	}
	return n.logIn(ctx)
}

func (n *negotiation) answer(ctx context.Context, st *scan.Stanza) error {
	n.turn.rest()
	b := n.host.Register.Answer(ctx, address(n.c.RemoteAddr()), n.c.Secure(), st)
	n.turn.heard()
	if b == nil {
		return nil
	}
	return n.c.Write(b)
}
