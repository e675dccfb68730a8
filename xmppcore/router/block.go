package router

import (
	"rosterd/engine/addr"
	"rosterd/xmppcore/scan"
	"rosterd/xmppcore/stanza"
)

// Blocks knows whom users have blocked (XEP-0191). It is asked for each stanza, and answers from memory.
type Blocks interface {
	// Blocked tells whether owner has blocked an address, be it by its bare JID or its domain.
	Blocked(owner addr.Bare, other addr.JID) bool
}

// barred stops a stanza between two of whom one has blocked the other, and answers it as XEP-0191 §3.4 says: who has
// blocked is told so, and to who is blocked the other is not there.
func (r *Router) barred(from Origin, t target, st *scan.Stanza) bool {
	me, other := from.JID.Bare(), t.jid.Bare()
	if me == other {
		return false
	}
	if from.Resource != nil {
		if h := r.Host(me.Domain()); h != nil && h.Blocks != nil && h.Blocks.Blocked(me, t.jid) {
			bounce(from, st, addressee(st), stanza.Error{Condition: stanza.NotAcceptable})
			return true
		}
	}
	if t.host == nil || t.host.Blocks == nil || other.Local() == "" || !t.host.Blocks.Blocked(other, from.JID) {
		return false
	}
	if stanza.KindOf(st) != stanza.Presence {
		bounce(from, st, addressee(st), stanza.Error{Condition: stanza.ServiceUnavailable})
	}
	return true
}
