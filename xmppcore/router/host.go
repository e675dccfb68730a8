package router

import (
	"rosterd/engine/addr"
	"rosterd/xmppcore/scan"
	"rosterd/xmppcore/session"
	"rosterd/xmppcore/stanza"
)

// heard gives a message to the domain that it is for. It is false if that does not want it.
func (r *Router) heard(from Origin, t target, st *scan.Stanza) bool {
	if t.host.Heard == nil {
		return false
	}
	mine, refused := t.host.Heard(from, t.jid, st)
	if refused != nil {
		bounce(from, st, addressee(st), *refused)
	}
	return mine
}

// Say routes a message of the server itself to a user, as any other: who is offline gets it later, where messages are
// kept. What comes back is nobody's.
func (r *Router) Say(from addr.JID, to addr.Bare, content []byte) {
	b := stanza.AppendMessage(nil, "", from.String(), to.String(), content)
	var sc scan.Scanner
	var st scan.Stanza
	if _, err := sc.Next(b, &st); err == nil { // else it is longer than anything that is routed
		r.message(&Origin{JID: from, Out: deaf}, &st)
	}
}

// deaf is where answers to the server itself go.
var deaf = func() *session.Session {
	s := session.New(addr.JID{}, nil, session.NewLimits(session.Limits{}))
	s.Close(nil)
	return s
}()
