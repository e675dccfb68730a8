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
	"rosterd/xmppcore/session"
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

	// Component is where presence goes for contacts at the domain of a component, nil if there is none that is connected.
	// May be nil.
	Component func(domain string) *session.Session

	// Left, if it is set, is told of each user who is not available any more with any resource, and of what the last one
	// said. It is called in the turn of the user's account.
	Left func(user addr.Bare, status string)
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

	p.toOwn(a, encoded)
	p.toContacts(res, encoded, false)
	if initial {
		p.welcome(res)
	}
}

// Unavailable is presence of type unavailable without to (RFC 6121 §4.5.2). It comes back to the sender, too. In
// the turn.
func (p *Presence) Unavailable(res *registry.Resource, st *scan.Stanza) {
	b := stanza.AppendRoutedTo(nil, st, res.Full.String(), "")
	status := ""
	if e, ok := st.Find(scan.NSClient, "status"); ok {
		status = e.Text()
	}
	if p.leave(res, b, status) {
		send(res, b, res.Account.User)
	}
}

// Gone is the end of a stream: the server says unavailable in the client's stead (RFC 6121 §4.5.2). In the
// turn, before the resource leaves the account.
func (p *Presence) Gone(res *registry.Resource) { p.leave(res, farewell(res), "") }

// leave tells all who have seen a resource that it is no longer available. It is false if it was not.
func (p *Presence) leave(res *registry.Resource, unavailable []byte, status string) (was bool) {
	a := res.Account
	a.Lock()
	was = res.Available
	directed := res.Directed
	res.Available, res.Presence, res.Directed = false, nil, nil
	a.Unlock()

	for to := range directed {
		if !was || !p.reaches(a, to) {
			p.Router.Directed(res, to, unavailable)
		}
	}
	if was {
		p.toOwn(a, unavailable)
		p.toContacts(res, unavailable, true)
		if p.Left != nil && len(available(a)) == 0 {
			p.Left(a.User, status)
		}
	}
	return was
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

// Probe answers a probe that res has sent itself (RFC 6121 §4.3.2): with the presence of the one resource asked
// for, or of all that are available; with unavailable if there are none; and with silence to whom the contact
// does not grant it, or where the contact is offline, since then nobody knows whether it would. In the turn of res.
func (p *Presence) Probe(res *registry.Resource, of addr.JID) {
	viewer := res.Account.User
	c := p.Registry.Account(of.Bare())
	if c == nil {
		return
	}
	c.Lock()
	defer c.Unlock()
	if r, _ := c.Roster(); c.User != viewer && (!r.Grants(viewer) || c.Blocks.Load().Has(res.Full)) {
		return
	}
	found := false
	for _, r := range c.Resources() {
		if r.Available && (of.IsBare() || of == r.Full) && (c.User == viewer || !apart(r, res)) {
			sendDelayed(res, r, viewer)
			found = true
		}
	}
	if !found {
		send(res, stanza.AppendPresence(nil, of.String(), "", stanza.TypeUnavailable, nil), viewer)
	}
}

// toOwn sends to the account's own available resources, among them the one whose presence it is
// (RFC 6121 §4.2.2, §4.4.2).
func (p *Presence) toOwn(a *registry.Account, b []byte) {
	for _, r := range a.Resources() {
		if r.Available {
			send(r, b, a.User)
		}
	}
}

func (p *Presence) toContacts(of *registry.Resource, b []byte, unavailable bool) {
	a := of.Account
	r, _ := a.Roster()
	items := r.Items()
	for i := range items {
		if items[i].Subscription.From() {
			p.deliver(of, items[i].JID, b, unavailable)
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

// deliver sends presence of a resource to the available resources of a contact that wants it; in the turn.
func (p *Presence) deliver(of *registry.Resource, contact addr.Bare, b []byte, unavailable bool) {
	c := p.Registry.Account(contact)
	if c == nil {
		p.toComponent(of.Account, contact, b)
		return
	}
	c.Lock()
	defer c.Unlock()
	if !c.Shows(of.Account.User, unavailable) || !c.Hears(of.Full, unavailable) {
		return
	}
	for _, r := range c.Resources() {
		if r.Available && !of.Account.Blocks.Load().Has(r.Full) {
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

// show queues the presence of a contact that grants it, to resources of one viewer. A component is asked for that of its
// own (RFC 6121 §4.3).
func (p *Presence) show(contact, viewer addr.Bare, to []*registry.Resource) {
	if len(to) > 0 && p.component(contact) != nil {
		p.toComponent(to[0].Account, contact, stanza.AppendPresence(nil, viewer.String(), "", stanza.TypeProbe, nil))
		return
	}
	p.granted(contact, viewer, func(r *registry.Resource) {
		for _, v := range to {
			if !apart(r, v) {
				sendDelayed(v, r, viewer)
			}
		}
	})
}

// granted visits, under the contact's lock, the available resources of a contact that lets the viewer see them.
func (p *Presence) granted(contact, viewer addr.Bare, visit func(*registry.Resource)) {
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
		if r.Available {
			visit(r)
		}
	}
}

// apart tells whether one of two resources, of different accounts, is blocked by the other's user.
func apart(x, y *registry.Resource) bool {
	return x.Account.Blocks.Load().Has(y.Full) || y.Account.Blocks.Load().Has(x.Full)
}

func send(r *registry.Resource, b []byte, to addr.Bare) {
	r.Append(func(dst []byte) []byte { return stanza.AppendAddressed(dst, b, to.String()) })
}

// owe is send for what a change of the roster or a login brings, which may be as much as there are contacts.
func owe(r *registry.Resource, b []byte, to addr.Bare) {
	r.AppendOwn(func(dst []byte) []byte { return stanza.AppendAddressed(dst, b, to.String()) })
}

// sendDelayed queues the last presence of a resource with the time when it was sent (RFC 6121 §4.3.2, XEP-0203).
func sendDelayed(to, of *registry.Resource, viewer addr.Bare) {
	open, end := cutEnd(of.Presence)
	to.AppendOwn(func(dst []byte) []byte {
		dst = stanza.AppendAddressed(dst, open, viewer.String())
		if len(end) == 0 {
			dst = append(dst, '>')
		}
		dst = append(dst, "<delay xmlns='urn:xmpp:delay'"...)
		dst = stanza.AppendAttr(dst, "from", of.Full.String())
		dst = append(dst, " stamp='"...)
		dst = of.Shown.UTC().AppendFormat(dst, "2006-01-02T15:04:05Z")
		dst = append(dst, '\'', '/', '>')
		if len(end) > 0 {
			return append(dst, end...)
		}
		dst = append(dst, '<', '/')
		dst = append(dst, rootName(open)...)
		return append(dst, '>')
	})
}

// cutEnd splits a stanza before its end tag, which it wrote as it liked. If it has none, since its root tag ends in
// "/>", what comes back is that tag without these, and no end.
func cutEnd(b []byte) (open, end []byte) {
	n := bytes.LastIndexByte(b, '<') // an attribute cannot hold one (XML 1.0 §3.1)
	if n == 0 {
		return b[:len(b)-len("/>")], nil
	}
	return b[:n], b[n:]
}

// rootName is the name of a stanza's root tag, with the prefix that it may have.
func rootName(b []byte) []byte {
	n := 1
	for n < len(b) && b[n] != ' ' && b[n] != '>' {
		n++
	}
	return b[1:n]
}

func farewell(res *registry.Resource) []byte {
	return stanza.AppendPresence(nil, res.Full.String(), "", stanza.TypeUnavailable, nil)
}
