package router

import (
	"rosterd/engine/addr"
	"rosterd/xmppcore/scan"
	"rosterd/xmppcore/stanza"
)

// RouteFrom passes on a stanza of somebody who is no client and may use the address, as Route does for clients. It has
// an addressee.
func (r *Router) RouteFrom(from Origin, st *scan.Stanza) {
	switch stanza.KindOf(st) {
	case stanza.Message:
		r.message(&from, st)
	case stanza.Presence:
		r.presence(from, st)
	case stanza.IQ:
		r.iq(from, st)
	}
}

// Return tells the senders of messages and requests that a component has left before it took them: routed stanzas, one
// after the other.
func (r *Router) Return(stanzas []byte) {
	sc := scan.Scanner{Limits: scan.Limits{Stanza: 1 << 30, Depth: 1 << 20, Attrs: 1 << 20, Prefixes: 64}} // the server may have added to it
	var st scan.Stanza
	for len(stanzas) > 0 {
		n, err := sc.Next(stanzas, &st)
		if err != nil {
			return // what is left is no stanza that was routed
		}
		r.giveBack(&st)
		stanzas = stanzas[n:]
	}
}

func (r *Router) giveBack(st *scan.Stanza) {
	if k := stanza.KindOf(st); k != stanza.Message && k != stanza.IQ {
		return
	}
	v, _ := st.Attr("from")
	j, err := addr.Parse(v)
	if err != nil {
		return
	}
	if sender, ok := r.sender(j); ok {
		bounce(sender, st, addressee(st), stanza.Error{
			Type: stanza.Wait, Condition: stanza.RemoteServerTimeout, Text: "the component left before it took this",
		})
	}
}

// sender finds who has sent a stanza, a client or a component. It is false if that is not connected any more.
func (r *Router) sender(j addr.JID) (Origin, bool) {
	if res := r.Registry.Resource(j); res != nil {
		return Origin{JID: res.Full, Resource: res, Out: res.Session}, true
	}
	if t := r.target(j); t.component != nil {
		return Origin{JID: j, Out: t.component}, true
	}
	return Origin{}, false
}

// notConnected is the answer to what is for a component whose program is not connected.
var notConnected = stanza.Error{Type: stanza.Wait, Condition: stanza.RemoteServerTimeout, Text: "the component is not connected"}

// unserved is the answer to what is for a domain that nobody serves, or nobody now (RFC 6120 §10.4).
func (r *Router) unserved(domain string) stanza.Error {
	if r.Awaited != nil && r.Awaited(domain) {
		r.Unsent.Add(1)
		return notConnected
	}
	return stanza.Error{Condition: stanza.RemoteServerNotFound}
}
