package router

import (
	"rosterd/engine/addr"
	"rosterd/xmppcore/registry"
	"rosterd/xmppcore/scan"
	"rosterd/xmppcore/stanza"
)

// Handlers are the IQ requests that are answered, by namespace and name of their payload.
type Handlers map[Payload]Handler

// Payload names the one child of a request.
type Payload struct{ Space, Name string }

// Handler answers a request, with one call of q.Result or by returning an error.
type Handler func(q *Query) *stanza.Error

// Query is an IQ request (RFC 6120 §8.2.3). It and what it points to are valid until the handler returns.
type Query struct {
	From    *registry.Resource // nil in what Host.Server and Host.Public answer, if no client of ours asks
	Sender  addr.JID           // who asks
	To      addr.JID           // the sender's own bare JID if the stanza names none
	Set     bool               // a set, not a get
	ID      string
	Payload scan.Element

	router *Router
	from   Origin
	st     *scan.Stanza
}

// Result answers with a payload, which may be empty.
func (q *Query) Result(payload []byte) {
	q.from.Out.AppendOwn(func(dst []byte) []byte {
		return stanza.AppendResult(dst, q.ID, addressee(q.st), q.from.JID.String(), payload)
	})
}

func (r *Router) iq(from Origin, st *scan.Stanza) {
	typ := typeOf(st)
	request := typ == stanza.TypeGet || typ == stanza.TypeSet
	if why := malformed(st, typ, request); why != "" {
		bounce(from, st, addressee(st), stanza.Error{Condition: stanza.BadRequest, Text: why})
		return
	}
	if to := r.Registry.Written(st.Get("to")); to != nil {
		r.iqToResource(from, to, st, request)
		return
	}
	t, ok := r.resolve(from, st)
	switch {
	case !ok || r.barred(from, t, st):
	case t.component != nil:
		r.deliver(t, stanza.AppendRouted(nil, st, from.JID.String()))
	case t.host == nil:
		bounce(from, st, addressee(st), r.unserved(t.jid.Domain()))
	case t.jid.IsBare():
		if request {
			r.answer(from, st, t)
		} else {
			r.answered(from, st, t)
		}
	default:
		if to := r.Registry.Resource(t.jid); to != nil {
			r.iqToResource(from, to, st, request)
			return
		}
		unavailable(from, st) // RFC 6121 §8.5.3.2.3
	}
}

// malformed says what RFC 6120 §8.2.3 forbids about an IQ, or nothing.
func malformed(st *scan.Stanza, typ string, request bool) string {
	switch {
	case !request && typ != stanza.TypeResult && typ != stanza.TypeError:
		return "an IQ is of type get, set, result or error"
	case len(st.Get("id")) == 0:
		return "an IQ has an id"
	case request && len(st.Children) != 1:
		return "a request has exactly one child"
	}
	return ""
}

func unavailable(from Origin, st *scan.Stanza) {
	bounce(from, st, addressee(st), stanza.Error{Condition: stanza.ServiceUnavailable})
}

// iqToResource is RFC 6121 §8.5.3.1: a request is passed on only if the sender may know that the resource is
// there, since its answer would tell.
func (r *Router) iqToResource(from Origin, to *registry.Resource, st *scan.Stanza, request bool) {
	if r.barredAt(from, to, st) {
		return
	}
	if request && !knows(from, to) {
		unavailable(from, st)
		return
	}
	if !pass(to.Session, &from, st) {
		unavailable(from, st)
	}
}

// knows tells whether the presence of a resource is known to another: it is the same user's, the roster
// grants it, or it was sent there. A component is a part of the server, and speaks for those who use it: whom it lets ask
// whom is its own business, such as who is in one room.
func knows(who Origin, of *registry.Resource) bool {
	a := of.Account
	if who.Resource == nil || who.Resource.Account == a {
		return true
	}
	a.Lock()
	defer a.Unlock()
	r, _ := a.Roster()
	return r.Grants(who.JID.Bare()) || of.SentTo(who.JID)
}

// answer is for the server: an IQ to a domain or to an account is never passed on (RFC 6121 §8.5.2.1.3).
func (r *Router) answer(from Origin, st *scan.Stanza, t target) {
	q := &Query{router: r, From: from.Resource, Sender: from.JID, from: from, To: t.jid, Set: typeOf(st) == stanza.TypeSet, ID: stanza.ID(st), Payload: st.Element(0), st: st}
	p := Payload{string(q.Payload.Space), string(q.Payload.Name)}
	h := r.handlers(from, t)[p]
	if h == nil && t.jid.Local() != "" {
		h = t.host.Public[p]
	}
	if h == nil {
		unavailable(from, st)
		return
	}
	if err := h(q); err != nil {
		bounce(from, st, addressee(st), *err)
	}
}

func (r *Router) handlers(from Origin, t target) Handlers {
	switch {
	case t.jid.Local() == "":
		return t.host.Server
	case from.Resource != nil && t.jid.Bare() == from.Resource.Account.User:
		return t.host.Account
	case t.acc != nil && grants(t.acc, from.JID.Bare()):
		return t.host.Contact
	}
	return nil
}

func grants(a *registry.Account, to addr.Bare) bool {
	a.Lock()
	defer a.Unlock()
	r, _ := a.Roster()
	return r.Grants(to)
}
