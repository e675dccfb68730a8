package xmppcore

import (
	"cmp"
	"net"
	"slices"
	"time"

	"rosterd/engine/addr"
	"rosterd/engine/roster"
	"rosterd/xmppcore/registry"
)

// AccountView is an account as it is at some moment, for those who ask why somebody does not see somebody.
type AccountView struct {
	User      addr.Bare
	Loaded    bool          // it has its roster
	Roster    roster.Roster // as its clients were told it
	Resources []ResourceView
}

// ResourceView is one bound resource of an account.
type ResourceView struct {
	Resource   string
	Address    net.Addr
	Encrypted  bool
	Available  bool // has sent initial presence
	Interested bool // has asked for the roster
	Priority   int8
	Shown      time.Time   // when it sent its presence; zero: it is not available
	Directed   []addr.Bare // to whom it has sent directed presence

	Hibernating time.Time // since when it waits to be resumed; zero: it has a stream

	of *registry.Resource
}

// View looks at accounts, all at one moment, and returns them in the order of the users. Who is offline has no
// resources.
func (s *Server) View(users ...addr.Bare) []AccountView {
	views := s.snapshot(users)
	for _, v := range views {
		for i := range v.Resources {
			t := v.Resources[i].of.Transport()
			v.Resources[i].Address, v.Resources[i].Encrypted = t.RemoteAddr(), t.Secure()
			v.Resources[i].Hibernating, _ = v.Resources[i].of.Hibernates()
		}
	}
	return views
}

func (s *Server) snapshot(users []addr.Bare) []AccountView {
	// Nobody else holds the locks of two accounts at a time, and here they are taken in the order of the JIDs.
	accounts := make(map[addr.Bare]*registry.Account)
	for _, u := range slices.Compact(slices.SortedFunc(slices.Values(users), addr.Bare.Compare)) {
		if a := s.registry.Account(u); a != nil {
			a.Lock()
			defer a.Unlock()
			accounts[u] = a
		}
	}
	views := make([]AccountView, len(users))
	for i, u := range users {
		views[i].User = u
		if a := accounts[u]; a != nil {
			views[i].look(a)
		}
	}
	return views
}

// look is under the account's lock.
func (v *AccountView) look(a *registry.Account) {
	v.Roster, v.Loaded = a.Roster()
	for _, r := range a.Resources() {
		view := ResourceView{
			Resource: r.Full.Resource(), Available: r.Available, Interested: r.Interested, Priority: r.Priority, of: r,
		}
		if r.Presence != nil {
			view.Shown = r.Presence.At()
		}
		for j := range r.Directed {
			view.Directed = append(view.Directed, j.Bare())
		}
		slices.SortFunc(view.Directed, addr.Bare.Compare)
		view.Directed = slices.Compact(view.Directed)
		v.Resources = append(v.Resources, view)
	}
	slices.SortFunc(v.Resources, func(a, b ResourceView) int { return cmp.Compare(a.Resource, b.Resource) })
}
