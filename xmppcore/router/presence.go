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

func (r *Router) presence(from *registry.Resource, st *scan.Stanza) {
	_, directed := st.Attr("to")
	switch typ, _ := st.Attr("type"); typ {
	case "", stanza.TypeUnavailable:
		if directed {
			r.directed(from, st, typ == stanza.TypeUnavailable)
		} else {
			r.broadcast(from, st, typ == stanza.TypeUnavailable)
		}
	case stanza.TypeSubscribe, stanza.TypeSubscribed, stanza.TypeUnsubscribe, stanza.TypeUnsubscribed:
		r.subscription(from, st)
	case stanza.TypeProbe:
		r.probe(from, st)
	case stanza.TypeError:
		if t, ok := r.resolve(from, st); ok && t.host != nil && directed {
			r.deliver(t, stanza.AppendRouted(nil, st, from.Full.String()))
		}
	default:
		bounce(from, st, addressee(st), stanza.Error{Condition: stanza.BadRequest, Text: "unknown type of presence"})
	}
}

func (r *Router) broadcast(from *registry.Resource, st *scan.Stanza, unavailable bool) {
	priority, ok := priority(st)
	if !ok {
		bounce(from, st, "", stanza.Error{Condition: stanza.BadRequest, Text: "priority is not an integer from -128 to 127"})
		return
	}
	from.Account.Turn.Do(func() {
		switch {
		case from.Detached:
		case unavailable:
			r.Presence.Unavailable(from, st)
		default:
			r.Presence.Available(from, st, priority)
		}
	})
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
func (r *Router) subscription(from *registry.Resource, st *scan.Stanza) {
	if h := r.Host(from.Account.User.Domain()); h != nil && h.BlockSubscriptions {
		return
	}
	bounce(from, st, addressee(st), stanza.Error{Condition: stanza.NotAllowed, Text: "contacts are managed elsewhere"})
}

// directed is RFC 6121 §4.6.
func (r *Router) directed(from *registry.Resource, st *scan.Stanza, unavailable bool) {
	t, ok := r.resolve(from, st)
	if !ok {
		return
	}
	if t.host == nil {
		bounce(from, st, addressee(st), stanza.Error{Condition: stanza.RemoteServerNotFound})
		return
	}
	from.Account.Turn.Do(func() {
		if from.Detached {
			return
		}
		if _, known := from.Directed[t.jid]; !unavailable && !known && len(from.Directed) >= maxDirected {
			bounce(from, st, addressee(st), stanza.Error{Condition: stanza.ResourceConstraint, Text: "directed presence to too many addresses"})
			return
		}
		r.Presence.Directed(from, t.jid, unavailable)
		r.deliver(t, stanza.AppendRouted(nil, st, from.Full.String()))
	})
}

// probe answers a probe that a client sent itself (RFC 6121 §4.3.2).
func (r *Router) probe(from *registry.Resource, st *scan.Stanza) {
	t, ok := r.resolve(from, st)
	if !ok || t.host == nil {
		return
	}
	from.Account.Turn.Do(func() { r.Presence.Probe(from, t.jid) })
}

// Directed delivers presence that has no to, to an address that a resource sent directed presence to before.
func (r *Router) Directed(_ *registry.Resource, to addr.JID, presence []byte) {
	t := target{jid: to, host: r.Host(to.Domain())}
	if t.host != nil {
		t.acc = r.Registry.Account(to.Bare())
		r.deliver(t, stanza.AppendAddressed(nil, presence, to.String()))
	}
}

// deliver is RFC 6121 §8.5.2.1.2 and §8.5.3: presence to a bare JID goes to all available resources, to a full
// JID to that resource, and else nowhere.
func (r *Router) deliver(t target, b []byte) {
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
