package engine

import (
	"rosterd/engine/addr"
	"rosterd/engine/roster"
)

// otherSidesOf lists the contacts that a refresh of u brings along: those whose pair with u was made, ended or
// turned by what was just fetched, or by what u's login fetched, since the backend may have changed a pair before
// the login and named only u after it. What a login finds is kept for that refresh: a login alone makes nobody
// else's roster be fetched.
func (e *Engine) otherSidesOf(u *user, why Reason, from, to roster.Roster, first, known bool) []addr.Bare {
	var pairs []addr.Bare
	unsure := first && !known
	if !unsure {
		pairs = paired(roster.Diff(from, to))
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	switch {
	case why == ReasonRefresh:
		pairs = append(pairs, u.unsettled...)
		unsure = unsure || u.unsure
		u.unsettled, u.unsure = nil, false
	case first:
		u.unsettled, u.unsure = pairs, unsure
		return nil
	default:
		return nil
	}
	if unsure {
		pairs = append(pairs, e.oneSided(u.addr, to)...)
	}
	return pairs
}

// oneSided lists the contacts who are online and whose roster says something else about the pair than the
// user's own: where nothing older is known of a roster, that is how a change shows.
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
