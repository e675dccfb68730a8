package pep

import (
	"context"
	"testing"

	"rosterd/engine/addr"
	"rosterd/xmppcore/registry"
	"rosterd/xmppcore/session"
)

// TestOwedOnce: a client that comes and goes while the store is slow is owed its last items once.
func TestOwedOnce(t *testing.T) {
	w := newWorld(t)
	w.Go = func(func(context.Context)) bool { return true } // whoever pays has not come to it yet
	full := addr.MustParse("romeo@example.com/orchard")
	res := &registry.Resource{Session: session.New(full, nil, session.NewLimits(session.Limits{})), Account: &registry.Account{User: romeo}}
	for range 1000 {
		w.Learned(res, []string{"a", "b"})
	}
	if n := len(w.owed.queue); n > 2 {
		t.Errorf("%d debts to one resource are queued", n)
	}
}
