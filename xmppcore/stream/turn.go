package stream

import (
	"context"
	"errors"

	"rosterd/xmppcore/admission"
	"rosterd/xmppcore/stanza"
)

// turn is a client's place among those who log in: it has one while there is
// something to do for it. Without a visit, as after SASL, it wants none.
type turn struct {
	visit *admission.Visitor
	ctx   context.Context // of the step that runs
	known bool            // the client has said which host it wants, or has begun with TLS
	cut   func()          // what becomes of a client that says nothing while others want to come in
}

// listen gives the place back while the client is waited for, rest while something else is.
func (t *turn) listen() {
	if t != nil {
		t.visit.Listen(t.known, t.cut)
	}
}

// begun notes that n bytes of TLS have come.
func (t *turn) begun(n int) {
	if t != nil && n > 0 {
		t.known = true
	}
}

func (t *turn) rest() {
	if t != nil {
		t.visit.Rest()
	}
}

// heard waits for a place again. Without one, the time is over, and what follows fails.
func (t *turn) heard() {
	if t != nil {
		t.visit.Return(t.ctx)
	}
}

// arrive puts the client in the queue.
func (n *negotiation) arrive() *admission.Visitor {
	if c, ok := n.c.(Visiting); ok {
		n.turn.visit = c.Visitor()
	}
	if n.turn.visit == nil {
		n.turn.visit = n.server.desk.Arrive()
	}
	n.turn.cut = func() {
		n.leave()
		n.c.Abort()
	}
	if n.tcp != nil {
		n.tcp.wire.turn = &n.turn
	}
	return n.turn.visit
}

// takeTurn waits until the server begins with the client. Whoever has left by then is not begun with: to answer what he has
// said before costs half a login.
func (n *negotiation) takeTurn(ctx context.Context) error {
	err := n.turn.visit.Enter(ctx)
	switch {
	case err == nil && n.hasLeft():
		return errLeft
	case err == nil:
		return nil
	case errors.Is(err, admission.ErrLate):
		return refuse(stanza.StreamResourceConstraint, err.Error()+": come back in a while")
	}
	if _, ok := errors.AsType[*stanza.StreamError](err); ok {
		return err
	}
	return errShutdown
}

// hasLeft tells whether the client has given up. Where there is no press, and nobody was before it, it is not asked: then even
// who has closed his direction at once has an answer.
func (n *negotiation) hasLeft() bool {
	return n.tcp != nil && (n.turn.visit.Queued() || n.server.desk.Press()) && n.tcp.wire.left()
}

// depart ends that, for a client that is logged in or will not be. Whoever takes
// the connection over has it for himself.
func (n *negotiation) depart() {
	if n.turn.visit == nil {
		return
	}
	n.turn.visit.Leave()
	n.turn.visit = nil
	if n.tcp != nil {
		n.tcp.wire.turn = nil
	}
}
