package engine

import (
	"testing"

	"rosterd/engine/addr"
	"rosterd/engine/roster"
)

// A user who is online for a year and never named in a refresh remembers each contact once.
func TestUnsettledDoesNotGrow(t *testing.T) {
	e := &Engine{}
	u := newUser(addr.MustBare("romeo@example.com"), nil, nil)
	with, _ := roster.New(u.addr, roster.Item{JID: addr.MustBare("juliet@example.com"), Subscription: roster.Both})
	var without roster.Roster
	for range 100 {
		e.otherSidesOf(u, ReasonOtherSide, with, roster.Diff(without, with), false)
		e.otherSidesOf(u, ReasonOtherSide, without, roster.Diff(with, without), false)
	}
	if len(u.unsettled) != 1 {
		t.Errorf("%d contacts are remembered", len(u.unsettled))
	}
	if got := e.otherSidesOf(u, ReasonRefresh, without, nil, false); len(got) != 1 || len(u.unsettled) != 0 {
		t.Errorf("the refresh brings %v along, and %v are left", got, u.unsettled)
	}
}
