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
	"runtime"
	"sync"

	"rosterd/engine/addr"
	"rosterd/engine/roster"
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

	once   sync.Once
	places chan struct{} // see crowd
}

// few is how many contacts are shown something in passing. With more it is work: no more of that is done at a time than
// there are processors, so that whoever has less to do finds one; and presence that is not told to anybody yet is not
// there to be seen, or many would be shown it twice.
const few = 64

// crowd waits for a place, if there are many contacts, until the function that it returns is called. Who has one waits
// for nobody, and for no turn.
func (p *Presence) crowd(contacts int) (leave func()) {
	if contacts < few {
		return func() {}
	}
	p.once.Do(func() { p.places = make(chan struct{}, runtime.GOMAXPROCS(0)) })
	p.places <- struct{}{}
	return func() { <-p.places }
}

func contacts(a *registry.Account) int {
	r, _ := a.Roster()
	return r.Len()
}

// pause lets others have the processor for a moment, now and then.
func pause(i int) {
	if i%512 == 511 {
		runtime.Gosched()
	}
}

// Available is presence without type and to (RFC 6121 §4.2.2, §4.4.2): the initial one of a resource, or a
// later one. In the turn of the resource's account.
func (p *Presence) Available(res *registry.Resource, st *scan.Stanza, priority int8) {
	a := res.Account
	encoded := stanza.AppendRoutedTo(nil, st, res.Full.String(), "")
	defer p.crowd(contacts(a))()
	a.Lock()
	initial := !res.Available
	said := session.NewPresence(res.Session, encoded, initial && len(res.Directed) == 0)
	res.Presence.Pass()
	res.Available, res.Priority, res.Presence = true, priority, said
	a.Unlock()

	p.toOwn(a, encoded)
	if initial {
		p.welcome(res, said)
	} else {
		p.toContacts(res, said, false)
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
	defer p.crowd(contacts(a))()
	a.Lock()
	was = res.Available
	directed := res.Directed
	res.Presence.Pass()
	res.Available, res.Presence, res.Directed = false, nil, nil
	a.Unlock()

	for to := range directed {
		if !was || !p.reaches(a, to) {
			p.Router.Directed(res, to, unavailable)
		}
	}
	if was {
		p.toOwn(a, unavailable)
		p.toContacts(res, session.NewAbsence(res.Session, unavailable), true)
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
	res.Presence.Meet()
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
			res.Show(r.Presence, session.Dated)
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

func (p *Presence) toContacts(of *registry.Resource, said *session.Presence, unavailable bool) {
	r, _ := of.Account.Roster()
	items, hint := r.Items(), 0
	for i := range items {
		pause(i)
		if items[i].Subscription.From() {
			p.deliver(of, items[i].JID, said, unavailable, &hint)
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

// deliver sends presence of a resource to the available resources of a contact that wants it; in the turn. The hint is for
// the next contact.
func (p *Presence) deliver(of *registry.Resource, contact addr.Bare, said *session.Presence, unavailable bool, hint *int) {
	c := p.Registry.Account(contact)
	if c == nil {
		p.toComponent(of.Account, contact, said.Stanza())
		return
	}
	c.Lock()
	defer c.Unlock()
	if !c.ShowsNear(of.Account.User, unavailable, hint) || !c.Hears(of.Full, unavailable) {
		return
	}
	for _, r := range c.Resources() {
		if r.Available && !of.Account.Blocks.Load().Has(r.Full) {
			r.Show(said, session.News)
		}
	}
}

// welcome shows a resource that became available to its contacts, and gives it the presence of the account's other
// resources and of those contacts (RFC 6121 §4.2.2, §4.3): for contacts on this server, a probe is a look at their account.
// Each of these is looked at once, for both, since in a large group that look is most of what it costs.
func (p *Presence) welcome(res *registry.Resource, said *session.Presence) {
	a := res.Account
	for _, r := range a.Resources() {
		if r != res && r.Available {
			res.Show(r.Presence, session.Dated)
		}
	}
	mine, _ := a.Roster()
	items, hint := mine.Items(), 0
	for i := range items {
		pause(i)
		p.greet(res, said, &items[i], &hint)
	}
}

// greet shows a resource and a contact to each other, as far as both rosters want it.
func (p *Presence) greet(res *registry.Resource, said *session.Presence, contact *roster.Item, hint *int) {
	a := res.Account
	to, from := contact.Subscription.To(), contact.Subscription.From()
	c := p.Registry.Account(contact.JID)
	if c == nil {
		if from {
			p.toComponent(a, contact.JID, said.Stanza())
		}
		if to {
			p.probe(a, contact.JID)
		}
		return
	}
	c.Lock()
	defer c.Unlock()
	theirs, _ := c.Roster()
	sees := theirs.Near(a.User, hint)
	from, to = from && sees.To(), to && sees.From()
	if !from && !to {
		return
	}
	for _, r := range c.Resources() {
		if !r.Available || apart(r, res) {
			continue
		}
		if from {
			r.Show(said, session.News)
		}
		if to {
			res.Show(r.Presence, session.Dated)
		}
	}
}

// probe asks the component of a contact for presence (RFC 6121 §4.3). It is false if there is none.
func (p *Presence) probe(a *registry.Account, contact addr.Bare) bool {
	if p.component(contact) == nil {
		return false
	}
	p.toComponent(a, contact, stanza.AppendPresence(nil, a.User.String(), "", stanza.TypeProbe, nil))
	return true
}

// show queues the presence of a contact that grants it, to resources of one viewer. A component is asked for that of its
// own (RFC 6121 §4.3).
func (p *Presence) show(contact, viewer addr.Bare, to []*registry.Resource, hint *int) {
	if len(to) > 0 && p.probe(to[0].Account, contact) {
		return
	}
	p.granted(contact, viewer, hint, func(r *registry.Resource) {
		for _, v := range to {
			if !apart(r, v) {
				v.Show(r.Presence, session.Dated)
			}
		}
	})
}

// granted visits, under the contact's lock, the available resources of a contact that lets the viewer see them.
func (p *Presence) granted(contact, viewer addr.Bare, hint *int, visit func(*registry.Resource)) {
	c := p.Registry.Account(contact)
	if c == nil {
		return
	}
	c.Lock()
	defer c.Unlock()
	if r, _ := c.Roster(); !r.Near(viewer, hint).From() {
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

// farewell says that a resource is gone, to some, or in the client's stead.
func farewell(res *registry.Resource) []byte {
	return stanza.AppendPresence(nil, res.Full.String(), "", stanza.TypeUnavailable, nil)
}

// parting is that as presence to be shown, of a resource that stays.
func parting(res *registry.Resource) *session.Presence {
	return session.NewAbsence(res.Session, farewell(res))
}
