package presence

import (
	"slices"

	"rosterd/engine/addr"
	"rosterd/engine/roster"
	"rosterd/xmppcore/registry"
	"rosterd/xmppcore/session"
)

// Changed swaps the roster of an account and makes what everybody sees agree with it; in the turn. The order is
// what keeps a client's view whole: the new roster and its pushes under one lock, so that no presence of a new
// contact comes before the contact; unavailable to and from those who no longer see each other; the pushes
// that remove; presence to and from those who now do. Push tells the resources of the changes it is given, and
// is called under the account's lock.
func (p *Presence) Changed(a *registry.Account, from, to roster.Roster, changes []roster.Change, push func([]roster.Change)) {
	kept, removed := cut(changes)
	available := available(a)
	var turned turning
	if len(available) > 0 { // else nobody was shown anything, nor is, as when a roster has just been asked for
		turned = turns(from, to, changes)
	}
	defer p.crowd(turned.len())()

	faded := slices.DeleteFunc(turned.unwanted, func(c addr.Bare) bool { return a.Blocks.Load().Has(c.Full()) })
	under(a, func() {
		a.SetRoster(to, faded)
		push(kept)
	})

	for _, c := range turned.revoked {
		p.revoke(a, available, c)
	}
	for _, c := range faded {
		p.hide(c, a.User, available)
	}
	under(a, func() { push(removed) })
	hint := 0
	for _, r := range available {
		for i, c := range turned.granted {
			pause(i)
			p.deliver(r, c, r.Presence, false, &hint)
		}
	}
	for i, c := range turned.wanted {
		pause(i)
		p.show(c, a.User, available, &hint)
	}
	for _, c := range faded {
		p.settle(a, c)
	}
}

// under does something under the account's lock, which is let go whatever comes of it.
func under(a *registry.Account, f func()) {
	a.Lock()
	defer a.Unlock()
	f()
}

// cut splits changes where the removals begin; roster.Diff puts them last.
func cut(changes []roster.Change) (kept, removed []roster.Change) {
	n := 0
	for n < len(changes) && changes[n].New != nil {
		n++
	}
	return changes[:n], changes[n:]
}

// turning is whose presence flows, or flows no more.
type turning struct{ granted, revoked, wanted, unwanted []addr.Bare }

func (t *turning) len() int {
	return len(t.granted) + len(t.revoked) + len(t.wanted) + len(t.unwanted)
}

func turns(from, to roster.Roster, changes []roster.Change) (t turning) {
	if changes == nil && from.Len() == 0 { // a first roster comes without its changes
		for i := range to.All() {
			t.note(i.JID, roster.None, i.Subscription)
		}
		return t
	}
	for _, c := range changes {
		var was, is roster.Subscription
		if c.Old != nil {
			was = c.Old.Subscription
		}
		if c.New != nil {
			is = c.New.Subscription
		}
		t.note(c.Contact, was, is)
	}
	return t
}

func (t *turning) note(c addr.Bare, was, is roster.Subscription) {
	put := func(before, now bool, on, off *[]addr.Bare) {
		switch {
		case now && !before:
			*on = append(*on, c)
		case before && !now:
			*off = append(*off, c)
		}
	}
	put(was.From(), is.From(), &t.granted, &t.revoked)
	put(was.To(), is.To(), &t.wanted, &t.unwanted)
}

func available(a *registry.Account) (list []*registry.Resource) {
	for _, r := range a.Resources() {
		if r.Available {
			list = append(list, r)
		}
	}
	return list
}

// revoke tells a contact that it no longer sees the account, and ends directed presence to it.
func (p *Presence) revoke(a *registry.Account, available []*registry.Resource, c addr.Bare) {
	for _, r := range available {
		gone := parting(r)
		p.deliver(r, c, gone, true, new(int))
		for _, to := range forget(r, c) {
			p.Router.Directed(r, to, gone.Stanza())
		}
	}
}

// forget ends directed presence to a contact and its resources.
func forget(r *registry.Resource, c addr.Bare) (to []addr.JID) {
	r.Account.Lock()
	defer r.Account.Unlock()
	for j := range r.Directed {
		if j.Bare() == c {
			to = append(to, j)
			delete(r.Directed, j)
		}
	}
	return to
}

// hide tells resources of a viewer that a contact, whose presence they may have been shown, is no longer there.
func (p *Presence) hide(contact, viewer addr.Bare, to []*registry.Resource) {
	p.granted(contact, viewer, new(int), func(r *registry.Resource) {
		gone := parting(r)
		for _, v := range to {
			if !apart(r, v) {
				v.Show(gone, session.Known)
			}
		}
	})
}

// settle waits, without stopping anybody, until what the contact was sending while it faded has gone out: a
// resource that had just left was not there to be hidden, and its own unavailable must still come through.
func (p *Presence) settle(a *registry.Account, contact addr.Bare) {
	c := p.Registry.Account(contact)
	if c == nil {
		a.Faded(contact)
		return
	}
	c.Turn.Post(func() { a.Faded(contact) })
}
