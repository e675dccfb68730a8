package router

import (
	"strconv"
	"strings"

	"rosterd/engine/addr"
	"rosterd/xmppcore/registry"
	"rosterd/xmppcore/scan"
	"rosterd/xmppcore/stanza"
)

// maxDirected is how many addresses a resource may have sent directed presence to at a time.
const maxDirected = 1000

func (r *Router) presence(from Origin, st *scan.Stanza) {
	_, directed := st.Attr("to")
	switch typ, _ := st.Attr("type"); typ {
	case "", stanza.TypeUnavailable:
		switch {
		case directed:
			r.directed(from, st, typ == stanza.TypeUnavailable)
		case from.Resource != nil:
			r.broadcast(from, st, typ == stanza.TypeUnavailable)
		}
	case stanza.TypeSubscribe, stanza.TypeSubscribed, stanza.TypeUnsubscribe, stanza.TypeUnsubscribed:
		r.subscription(from, st)
	case stanza.TypeProbe:
		r.probe(from, st)
	case stanza.TypeError:
		if t, ok := r.resolve(from, st); ok && directed && !r.barred(from, t, st) {
			r.deliver(t, stanza.AppendRouted(nil, st, from.JID.String()))
		}
	default:
		bounce(from, st, addressee(st), stanza.Error{Condition: stanza.BadRequest, Text: "unknown type of presence"})
	}
}

func (r *Router) broadcast(from Origin, st *scan.Stanza, unavailable bool) {
	priority, ok := priority(st)
	if !ok {
		bounce(from, st, "", stanza.Error{Condition: stanza.BadRequest, Text: "priority is not an integer from -128 to 127"})
		return
	}
	res := from.Resource
	h := r.Host(res.Full.Domain())
	if h != nil && h.Dress != nil && !unavailable {
		st = h.Dress(res, st)
	}
	comes, asks := false, false
	res.Account.Turn.Do(func() {
		switch {
		case res.Detached:
		case unavailable:
			r.Presence.Unavailable(res, st)
		default:
			initial, listened := !res.Available, res.Listens()
			if asks = initial && h != nil && h.Editable; asks {
				awaitRequests(res)
			}
			r.Presence.Available(res, st, priority)
			comes = !listened && res.Listens()
			if h != nil {
				h.shown(res, st, initial)
			}
		}
	})
	if asks {
		r.requests(res)
	}
	if comes && h != nil && h.Messages != nil {
		r.hand(res, h.Messages)
	}
}

func (h *Host) shown(res *registry.Resource, st *scan.Stanza, initial bool) {
	for _, f := range h.Shown {
		f(res, st, initial)
	}
}

// priority is RFC 6121 §4.7.2.3.
func priority(st *scan.Stanza) (p int8, ok bool) {
	e, there := st.Find(scan.NSClient, "priority")
	if !there {
		return 0, true
	}
	n, err := strconv.ParseInt(strings.TrimSpace(e.Text()), 10, 8)
	return int8(n), err == nil
}

// subscription refuses what would change a roster that is not the client's to change. It is dropped whatever
// the address, where block_subscriptions says so.
func (r *Router) subscription(from Origin, st *scan.Stanza) {
	switch h := r.Host(from.JID.Domain()); {
	case h != nil && h.BlockSubscriptions:
		return
	case from.Resource == nil, h != nil && h.Editable:
		r.subscribe(from, st)
		return
	}
	bounce(from, st, addressee(st), stanza.Error{Condition: stanza.NotAllowed, Text: "contacts are managed elsewhere"})
}

// directed is RFC 6121 §4.6.
func (r *Router) directed(from Origin, st *scan.Stanza, unavailable bool) {
	t, ok := r.resolve(from, st)
	if !ok {
		return
	}
	if t.host == nil && t.component == nil {
		bounce(from, st, addressee(st), r.unserved(t.jid.Domain()))
		return
	}
	if r.barred(from, t, st) {
		return
	}
	res := from.Resource
	if res == nil {
		r.deliver(t, stanza.AppendRouted(nil, st, from.JID.String()))
		return
	}
	res.Account.Turn.Do(func() {
		if res.Detached || res.Account.Blocks.Load().Has(t.jid) && t.jid.Bare() != res.Account.User {
			return
		}
		if _, known := res.Directed[t.jid]; !unavailable && !known && len(res.Directed) >= maxDirected {
			bounce(from, st, addressee(st), stanza.Error{Condition: stanza.ResourceConstraint, Text: "directed presence to too many addresses"})
			return
		}
		r.Presence.Directed(res, t.jid, unavailable)
		r.deliver(t, stanza.AppendRouted(nil, st, from.JID.String()))
	})
}

// probe answers a probe that a client sent itself (RFC 6121 §4.3.2).
func (r *Router) probe(from Origin, st *scan.Stanza) {
	t, ok := r.resolve(from, st)
	switch {
	case !ok || r.barred(from, t, st):
	case t.component != nil:
		r.deliver(t, stanza.AppendRouted(nil, st, from.JID.String()))
	case t.host != nil && from.Resource == nil:
		r.Presence.Asked(from.Out, from.JID, t.jid)
	case t.host != nil:
		from.Resource.Account.Turn.Do(func() { r.Presence.Probe(from.Resource, t.jid) })
	}
}

// Directed delivers presence that has no to, to an address that a resource sent directed presence to before.
func (r *Router) Directed(res *registry.Resource, to addr.JID, presence []byte) {
	t := r.target(to)
	if t.acc != nil && t.acc != res.Account && !hears(t.acc, res.Full) {
		return
	}
	r.deliver(t, stanza.AppendAddressed(nil, presence, to.String()))
}

// hears tells whether a user is to be told that a resource which sent presence to him is gone.
func hears(a *registry.Account, gone addr.JID) bool {
	a.Lock()
	defer a.Unlock()
	return a.Hears(gone, true)
}

// deliver is RFC 6121 §8.5.2.1.2 and §8.5.3: presence to a bare JID goes to all available resources, to a full
// JID to that resource, and else nowhere.
func (r *Router) deliver(t target, b []byte) {
	if t.component != nil {
		t.component.Send(b)
		return
	}
	if t.acc == nil {
		return
	}
	t.acc.Lock()
	defer t.acc.Unlock()
	if !t.jid.IsBare() {
		if to := t.acc.Find(t.jid.Resource()); to != nil {
			to.Send(b)
		}
		return
	}
	for _, to := range t.acc.Resources() {
		if to.Available {
			to.Send(b)
		}
	}
}
