package engine

import (
	"slices"

	"rosterd/engine/addr"
	"rosterd/engine/roster"
)

// otherSidesOf lists the contacts that a refresh of u brings along: those whose pair with u was made, ended or
// turned by what was just fetched; and, in the first refresh after u's login, those of what the login fetched, since
// the backend may have changed a pair before the login and named only u after it. The login itself makes nobody
// else's roster be fetched. Steps are what changed since the last good roster, be it of a former life.
func (e *Engine) otherSidesOf(u *user, why Reason, to roster.Roster, steps []roster.Change, first bool) []addr.Bare {
	if why == ReasonEdit && u.host.conf().OneSided {
		return nil
	}
	pairs := paired(steps)
	u.mu.Lock()
	u.unsure = u.unsure || first
	if why != ReasonRefresh {
		u.unsettled = slices.Compact(slices.SortedFunc(slices.Values(append(u.unsettled, pairs...)), addr.Bare.Compare))
		u.mu.Unlock()
		return nil
	}
	pairs = append(pairs, u.unsettled...)
	unsure := u.unsure
	u.unsettled, u.unsure = nil, false
	u.mu.Unlock()
	if unsure {
		pairs = append(pairs, e.oneSided(u.addr, to)...)
	}
	return pairs
}

// oneSided lists the contacts who are online and whose roster says something else about the pair than the
// user's own: where what was before is not known, that is how a change shows.
func (e *Engine) oneSided(u addr.Bare, r roster.Roster) (who []addr.Bare) {
	for i := range r.All() {
		c := e.find(i.JID)
		if c == nil {
			continue
		}
		c.mu.Lock()
		other, _ := c.roster.Get(u)
		c.mu.Unlock()
		if i.Subscription.To() != other.Subscription.From() || i.Subscription.From() != other.Subscription.To() {
			who = append(who, i.JID)
		}
	}
	return who
}

// paired lists the contacts whose pair with the user was made, ended or turned.
func paired(changes []roster.Change) (who []addr.Bare) {
	for _, c := range changes {
		if c.Old == nil || c.New == nil || c.Old.Subscription != c.New.Subscription {
			who = append(who, c.Contact)
		}
	}
	return who
}
