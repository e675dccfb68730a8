package router

import (
	"rosterd/xmppcore/registry"
	"rosterd/xmppcore/scan"
	"rosterd/xmppcore/stanza"
)

func (r *Router) message(from Origin, st *scan.Stanza) {
	if to := r.Registry.Written(st.Get("to")); to != nil { // RFC 6121 §8.5.3.1
		if r.barredAt(from, to, st) || pass(to.Session, from, st) {
			return
		}
	}
	t, ok := r.resolve(from, st)
	switch {
	case !ok || r.barred(from, t, st):
	case t.component != nil:
		pass(t.component, from, st)
	case t.host == nil: // there is no federation (RFC 6120 §10.4)
		bounce(from, st, addressee(st), stanza.Error{Condition: stanza.RemoteServerNotFound})
	case t.jid.IsBare():
		r.messageToAccount(from, st, t.acc)
	default:
		r.messageToFull(from, st, t)
	}
}

func (r *Router) messageToFull(from Origin, st *scan.Stanza, t target) {
	if to := r.Registry.Resource(t.jid); to != nil && pass(to.Session, from, st) { // written in another form than the canonical one
		return
	}
	// RFC 6121 §8.5.3.2.1: who chats with a resource that is gone chats with the person.
	switch typeOf(st) {
	case stanza.TypeChat:
		r.messageToAccount(from, st, t.acc)
	case stanza.TypeHeadline:
	default:
		bounce(from, st, addressee(st), stanza.Error{Condition: stanza.ServiceUnavailable})
	}
}

// messageToAccount is RFC 6121 §8.5.2.1.1 and §8.5.2.2.1. That nobody is there, or that there is no such
// user at all, is one and the same to the sender (§8.5.1).
func (r *Router) messageToAccount(from Origin, st *scan.Stanza, a *registry.Account) {
	typ := typeOf(st)
	switch typ {
	case stanza.TypeError:
		return
	case stanza.TypeGroupchat:
		bounce(from, st, addressee(st), stanza.Error{Condition: stanza.ServiceUnavailable})
		return
	}
	if a != nil && toAvailable(a, from, st) {
		return
	}
	if typ != stanza.TypeHeadline {
		bounce(from, st, addressee(st), stanza.Error{Condition: stanza.ServiceUnavailable})
	}
}

// toAvailable delivers to all available resources of non-negative priority, and tells whether there were any.
func toAvailable(a *registry.Account, from Origin, st *scan.Stanza) (any bool) {
	a.Lock()
	defer a.Unlock()
	for _, to := range a.Resources() {
		if to.Listens() && pass(to.Session, from, st) {
			any = true
		}
	}
	return any
}
