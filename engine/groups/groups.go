package groups

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"rosterd/engine"
	"rosterd/engine/addr"
	"rosterd/engine/roster"
)

// Rosters are those of another backend with the groups in them. Who is in a group with the user is a contact of
// subscription "both", with the name that the group gives him, whatever the other backend says.
type Rosters struct {
	Own    engine.Backend // must not tell revisions
	Groups *Feed
}

// Edited are Rosters whose users edit what is theirs of them.
type Edited struct {
	Rosters
	Editor engine.Editor // the one whose rosters Own has
}

var (
	_ engine.Backend = Rosters{}
	_ engine.Editor  = Edited{}
)

// Nobody is a backend with no contacts: rosters of which the groups are all.
var Nobody = engine.BackendFunc(func(context.Context, engine.Request) (engine.Answer, error) { return engine.Answer{}, nil })

// Fetch is the roster with the groups as they are now.
func (r Rosters) Fetch(ctx context.Context, req engine.Request) (engine.Answer, error) {
	req.Rev = ""
	ans, err := r.Own.Fetch(ctx, req)
	if err != nil {
		return ans, err
	}
	s, err := r.Groups.Now(ctx)
	if err != nil {
		return engine.Answer{}, err
	}
	ans.Roster = s.into(req.User, ans.Roster)
	return ans, nil
}

// into is a roster with the groups of its owner in it.
func (s *Set) into(owner addr.Bare, own roster.Roster) roster.Roster {
	groups := s.groupsOf(owner)
	if len(groups) == 0 {
		return own
	}
	var items []roster.Item
	seen := make(map[addr.Bare]bool)
	for _, g := range groups {
		for _, m := range g.members {
			if m.JID == owner || seen[m.JID] {
				continue
			}
			seen[m.JID] = true
			i, _ := own.Get(m.JID)
			items = append(items, s.shared(owner, m.JID, i))
		}
	}
	for i := range own.All() {
		if !seen[i.JID] {
			items = append(items, i)
		}
	}
	all, _ := roster.New(owner, items...)
	return all
}

// shared is how a contact stands in the roster of somebody who is in a group with him. Own is what the user has made of
// him, which may be nothing.
func (s *Set) shared(user, contact addr.Bare, own roster.Item) roster.Item {
	name, groups, _ := s.contact(user, contact)
	i := roster.Item{JID: contact, Name: cmp.Or(name, own.Name), Subscription: roster.Both, Approved: own.Approved}
	i.Groups = slices.Concat(own.Groups, groups)
	slices.Sort(i.Groups)
	i.Groups = slices.Compact(i.Groups)
	return i
}

// Edit changes what is the user's own: nobody is taken out of a group, or ceases to see who is in it with him. Such an
// attempt that leaves nothing to be done wraps engine.ErrDenied.
func (r Edited) Edit(ctx context.Context, e engine.Edit) (engine.Edited, error) {
	s, err := r.Groups.Now(ctx)
	if err != nil {
		return engine.Edited{}, err
	}
	_, names, shared := s.contact(e.User, e.Contact)
	if !shared {
		return r.Editor.Edit(ctx, e)
	}
	switch e.Action {
	case engine.OutSubscribe, engine.OutSubscribed, engine.InSubscribe: // it is there already
		ans, err := r.Own.Fetch(ctx, engine.Request{User: e.User, Reason: engine.ReasonEdit})
		if err != nil {
			return engine.Edited{}, err
		}
		own, _ := ans.Roster.Get(e.Contact)
		i := s.shared(e.User, e.Contact, own)
		done := engine.Edited{Old: &i, New: &i}
		switch e.Action {
		case engine.OutSubscribe:
			done.Route = []engine.Action{e.Action}
		case engine.InSubscribe:
			done.Answer = engine.OutSubscribed
		}
		return done, nil
	}
	done, err := r.Editor.Edit(ctx, e)
	if errors.Is(err, engine.ErrNoItem) {
		return done, fmt.Errorf("%w: %s is in the group %q with %s", engine.ErrDenied, e.Contact, names[0], e.User)
	}
	if err == nil {
		done.Old, done.New = s.over(e, done.Old), s.over(e, done.New)
	}
	return done, err
}

func (s *Set) over(e engine.Edit, own *roster.Item) *roster.Item {
	i := s.shared(e.User, e.Contact, *cmp.Or(own, &roster.Item{}))
	return &i
}

// Pending are the requests of those who do not see the user already.
func (r Edited) Pending(ctx context.Context, user addr.Bare) ([]engine.PendingRequest, error) {
	s, err := r.Groups.Now(ctx)
	if err != nil {
		return nil, err
	}
	list, err := r.Editor.Pending(ctx, user)
	return slices.DeleteFunc(list, func(p engine.PendingRequest) bool {
		_, _, shared := s.contact(user, p.From)
		return shared
	}), err
}
