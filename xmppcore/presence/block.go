package presence

import (
	"iter"

	"rosterd/engine/addr"
	"rosterd/xmppcore/block"
	"rosterd/xmppcore/registry"
	"rosterd/xmppcore/session"
)

// Blocked swaps whom the user of an account has blocked, and makes what both sides see agree with it (XEP-0191 §3.3,
// §3.4): who is blocked is told that the user is gone, and the user that they are, whom nothing would tell him of any
// more; who is not blocked any more is shown again. In the turn. push tells the resources of the change, and is called
// under the account's lock.
func (p *Presence) Blocked(a *registry.Account, to *block.List, push func()) {
	from := a.Blocks.Load()
	blocked, freed := meant(a, to.Beyond(from)), meant(a, from.Beyond(to))
	under(a, func() {
		a.Blocks.Store(to)
		a.Fade(blocked)
		push()
	})
	p.withdraw(a, from, to)
	for _, c := range blocked {
		p.part(a, c, from, to)
	}
	for _, c := range freed {
		p.meet(a, c, from, to)
	}
	for _, c := range blocked {
		p.settle(a, c)
	}
}

// meant are the users on this server of whom an account may have seen something, or they of it, among those whom
// addresses mean.
func meant(a *registry.Account, items iter.Seq[addr.JID]) (list []addr.Bare) {
	seen := map[addr.Bare]bool{a.User: true}
	add := func(c addr.Bare) {
		if !seen[c] {
			seen[c] = true
			list = append(list, c)
		}
	}
	for j := range items {
		if j.Local() != "" {
			add(j.Bare())
			continue
		}
		r, _ := a.Roster()
		for i := range r.All() {
			if i.JID.Domain() == j.Domain() {
				add(i.JID)
			}
		}
	}
	return list
}

// withdraw ends directed presence to who is blocked now.
func (p *Presence) withdraw(a *registry.Account, from, to *block.List) {
	for _, r := range a.Resources() {
		var ended []addr.JID
		under(a, func() {
			for j := range r.Directed {
				if to.Has(j) && !from.Has(j) && j.Bare() != a.User {
					ended = append(ended, j)
					delete(r.Directed, j)
				}
			}
		})
		for _, j := range ended {
			if !r.Available || !p.reaches(a, j) {
				p.Router.Directed(r, j, farewell(r))
			}
		}
	}
}

// part tells the resources of an account and those of a contact's that are blocked now that the others are gone, as far
// as they have seen them.
func (p *Presence) part(a *registry.Account, contact addr.Bare, from, to *block.List) {
	p.across(a, contact, func(mine, theirs *registry.Resource, shown, seen bool) {
		if from.Has(theirs.Full) || !to.Has(theirs.Full) {
			return
		}
		if shown {
			theirs.Show(parting(mine), session.Known)
		}
		if seen || theirs.SentTo(mine.Full) && !theirs.Account.Blocks.Load().Has(mine.Full) {
			mine.Show(parting(theirs), session.Known)
		}
	})
}

// meet shows the resources of an account and those of a contact's that are blocked no more to each other.
func (p *Presence) meet(a *registry.Account, contact addr.Bare, from, to *block.List) {
	p.across(a, contact, func(mine, theirs *registry.Resource, shown, seen bool) {
		if !from.Has(theirs.Full) || to.Has(theirs.Full) {
			return
		}
		if shown {
			theirs.Show(mine.Presence, session.Known)
		}
		if seen {
			mine.Show(theirs.Presence, session.Dated)
		}
	})
}

// across visits, under a contact's lock, each pair of a resource of an account and one of the contact's. shown tells
// whether theirs may see mine, seen whether mine may see theirs, whomever the account has blocked.
func (p *Presence) across(a *registry.Account, contact addr.Bare, visit func(mine, theirs *registry.Resource, shown, seen bool)) {
	c := p.Registry.Account(contact)
	if c == nil {
		return
	}
	ours, _ := a.Roster()
	c.Lock()
	defer c.Unlock()
	others, _ := c.Roster()
	shows, sees := ours.Grants(contact) && others.Wants(a.User), others.Grants(a.User) && ours.Wants(contact)
	for _, mine := range a.Resources() {
		hidden := c.Blocks.Load().Has(mine.Full)
		for _, theirs := range c.Resources() {
			both := mine.Available && theirs.Available && !hidden
			visit(mine, theirs, both && shows, both && sees)
		}
	}
}
