package router

import (
	"rosterd/engine/addr"
	"rosterd/xmppcore/registry"
	"rosterd/xmppcore/scan"
	"rosterd/xmppcore/stanza"
)

// Blocks knows whom the users of a host have blocked (XEP-0191) who are not online. It may have to look that up.
type Blocks interface {
	// Blocked tells whether owner has blocked an address, be it by its bare JID or its domain.
	Blocked(owner addr.Bare, other addr.JID) bool
}

// barred stops a stanza between two of whom one has blocked the other, and answers it: who has blocked is told so, and
// to who is blocked the other is not there (XEP-0191 §3.3).
func (r *Router) barred(from Origin, t target, st *scan.Stanza) bool {
	switch {
	case from.Resource != nil && from.Resource.Account.Blocks.Load().Has(t.jid):
		if t.jid.Bare() == from.JID.Bare() {
			return false // who blocks his own domain still talks to himself
		}
		bounce(from, st, addressee(st), stanza.Error{
			Type: stanza.Cancel, Condition: stanza.NotAcceptable, App: []byte("<blocked xmlns='urn:xmpp:blocking:errors'/>"),
		})
	case t.bars(from.JID):
		if t.jid.Bare() == from.JID.Bare() {
			return false
		}
		if r.tells(from, t, st) {
			bounce(from, st, addressee(st), stanza.Error{Condition: stanza.ServiceUnavailable})
		}
	default:
		return false
	}
	return true
}

// barredAt is barred for a resource that is bound, whose account has its list.
func (r *Router) barredAt(from Origin, to *registry.Resource, st *scan.Stanza) bool {
	return r.barred(from, target{jid: to.Full, acc: to.Account}, st)
}

// bars tells whether the user who is meant has blocked an address.
func (t *target) bars(j addr.JID) bool {
	if t.acc != nil {
		if list := t.acc.Blocks.Load(); list != nil {
			return list.Has(j)
		}
	}
	return t.host != nil && t.host.Blocks != nil && t.jid.Local() != "" && t.host.Blocks.Blocked(t.jid.Bare(), j)
}

// tells tells whether who is blocked gets an error. Presence is dropped, and so is what nobody answers for a user who is
// offline. A room that gets an error from an occupant takes him for gone, and would make him pay for whom he has blocked
// in it.
func (r *Router) tells(from Origin, t target, st *scan.Stanza) bool {
	switch stanza.KindOf(st) {
	case stanza.Presence:
		return false
	case stanza.Message:
		if h := r.Host(t.jid.Domain()); h == nil || h.SilentBlocks {
			return false
		}
		return typeOf(st) != stanza.TypeHeadline && (from.Resource != nil || t.jid.IsBare())
	}
	return true
}
