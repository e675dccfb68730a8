// Package presence says who sees whom (RFC 6121 §4): broadcasts, answers to probes, directed presence, and what
// a change of a roster means for it.
//
// Two rosters decide about a pair: presence leaves if the owner's roster grants it (from, both), and is shown
// if the viewer's roster wants it (to, both). The functions here run in the turn of the account that causes
// something. They look at another account under its lock alone: a broadcast asks there whether it is wanted; a
// snapshot of the other's presence is taken and queued there, so that it cannot overtake the other's next
// presence, which is stored under the same lock before it is sent.
package presence

import (
	"bytes"
	"time"

	"rosterd/engine/addr"
	"rosterd/xmppcore/registry"
	"rosterd/xmppcore/scan"
	"rosterd/xmppcore/stanza"
)

// Router delivers directed presence to any address.
type Router interface {
	// Directed routes a presence stanza without to, which res has sent to an address.
	Directed(res *registry.Resource, to addr.JID, stanza []byte)
}

// Presence is the presence of all accounts of a server.
type Presence struct {
	Registry *registry.Registry
	Router   Router
}

// Available is presence without type and to (RFC 6121 §4.2.2, §4.4.2): the initial one of a resource, or a
// later one. In the turn of the resource's account.
func (p *Presence) Available(res *registry.Resource, st *scan.Stanza, priority int8) {
	a := res.Account
	encoded := stanza.AppendRoutedTo(nil, st, res.Full.String(), "")
	a.Lock()
	initial := !res.Available
	res.Available, res.Priority, res.Presence, res.Shown = true, priority, encoded, time.Now()
	a.Unlock()

	p.toOwn(a, nil, encoded)
	p.toContacts(a, encoded, false)
	if initial {
		p.welcome(res)
	}
}

// Unavailable is presence of type unavailable without to (RFC 6121 §4.5.2). In the turn.
func (p *Presence) Unavailable(res *registry.Resource, st *scan.Stanza) {
	p.leave(res, stanza.AppendRoutedTo(nil, st, res.Full.String(), ""))
}

// Gone is the end of a stream: the server says unavailable in the client's stead (RFC 6121 §4.5.2). In the
// turn, before the resource leaves the account.
func (p *Presence) Gone(res *registry.Resource) { p.leave(res, farewell(res)) }

func (p *Presence) leave(res *registry.Resource, unavailable []byte) {
	a := res.Account
	a.Lock()
	was, directed := res.Available, res.Directed
	res.Available, res.Presence, res.Directed = false, nil, nil
	a.Unlock()

	for to := range directed {
		if !was || !p.reaches(a, to) {
			p.Router.Directed(res, to, unavailable)
		}
	}
	if was {
		p.toOwn(a, res, unavailable)
		p.toContacts(a, unavailable, true)
	}
}

// Directed notes that res has sent presence to an address (RFC 6121 §4.6.3). In the turn.
func (p *Presence) Directed(res *registry.Resource, to addr.JID, unavailable bool) {
	res.Account.Lock()
	defer res.Account.Unlock()
	if unavailable {
		delete(res.Directed, to)
		return
	}
	if res.Directed == nil {
		res.Directed = make(map[addr.JID]struct{})
	}
	res.Directed[to] = struct{}{}
}

// Probe answers a probe of res for a contact (RFC 6121 §4.3.2) with the presence of the contact's available
// resources, or with silence. In the turn of res.
func (p *Presence) Probe(res *registry.Resource, contact addr.Bare) {
	p.show(contact, res.Account.User, []*registry.Resource{res})
}

// toOwn sends to the account's own available resources, the sender among them unless it is left out
// (RFC 6121 §4.2.2).
func (p *Presence) toOwn(a *registry.Account, except *registry.Resource, b []byte) {
	for _, r := range a.Resources() {
		if r.Available && r != except {
			send(r, b, a.User)
		}
	}
}

func (p *Presence) toContacts(a *registry.Account, b []byte, unavailable bool) {
	r, _ := a.Roster()
	items := r.Items()
	for i := range items {
		if items[i].Subscription.From() {
			p.deliver(a.User, items[i].JID, b, unavailable)
		}
	}
}

// reaches tells whether what the account broadcasts comes to an address.
func (p *Presence) reaches(a *registry.Account, to addr.JID) bool {
	if r, _ := a.Roster(); !r.Grants(to.Bare()) {
		return false
	}
	c := p.Registry.Account(to.Bare())
	if c == nil {
		return false
	}
	c.Lock()
	defer c.Unlock()
	if !c.Shows(a.User, true) {
		return false
	}
	r := c.Find(to.Resource())
	return to.IsBare() || r != nil && r.Available
}

// deliver sends presence of from to the available resources of a contact that wants it.
func (p *Presence) deliver(from, contact addr.Bare, b []byte, unavailable bool) {
	c := p.Registry.Account(contact)
	if c == nil {
		return
	}
	c.Lock()
	defer c.Unlock()
	if !c.Shows(from, unavailable) {
		return
	}
	for _, r := range c.Resources() {
		if r.Available {
			send(r, b, contact)
		}
	}
}

// welcome gives a resource that became available the presence of the account's other resources and of its
// contacts (RFC 6121 §4.2.2, §4.3): for contacts on this server, a probe is a look at their account.
func (p *Presence) welcome(res *registry.Resource) {
	a := res.Account
	for _, r := range a.Resources() {
		if r != res && r.Available {
			sendDelayed(res, r, a.User)
		}
	}
	viewers := []*registry.Resource{res}
	roster, _ := a.Roster()
	items := roster.Items()
	for i := range items {
		if items[i].Subscription.To() {
			p.show(items[i].JID, a.User, viewers)
		}
	}
}

// show queues the presence of a contact that grants it, to resources of one viewer.
func (p *Presence) show(contact, viewer addr.Bare, to []*registry.Resource) {
	c := p.Registry.Account(contact)
	if c == nil {
		return
	}
	c.Lock()
	defer c.Unlock()
	if r, _ := c.Roster(); !r.Grants(viewer) {
		return
	}
	for _, r := range c.Resources() {
		if !r.Available {
			continue
		}
		for _, v := range to {
			sendDelayed(v, r, viewer)
		}
	}
}

func send(r *registry.Resource, b []byte, to addr.Bare) {
	r.Append(func(dst []byte) []byte { return stanza.AppendAddressed(dst, b, to.String()) })
}

// sendDelayed queues the last presence of a resource with the time when it was sent (RFC 6121 §4.3.2, XEP-0203).
func sendDelayed(to, of *registry.Resource, viewer addr.Bare) {
	to.AppendOwn(func(dst []byte) []byte {
		start := len(dst)
		dst = stanza.AppendAddressed(dst, of.Presence, viewer.String())
		if bytes.HasSuffix(dst, []byte("/>")) && bytes.Count(dst[start:], []byte("<")) == 1 {
			dst = append(dst[:len(dst)-2], '>')
		} else {
			dst = dst[:start+bytes.LastIndex(dst[start:], []byte("</"))]
		}
		dst = append(dst, "<delay xmlns='urn:xmpp:delay'"...)
		dst = stanza.AppendAttr(dst, "from", of.Full.String())
		dst = append(dst, " stamp='"...)
		dst = of.Shown.UTC().AppendFormat(dst, "2006-01-02T15:04:05Z")
		return append(dst, "'/></presence>"...)
	})
}

func farewell(res *registry.Resource) []byte {
	return stanza.AppendPresence(nil, res.Full.String(), "", stanza.TypeUnavailable, nil)
}
