package bosh_test

import (
	"testing"
	"testing/synctest"

	"rosterd/xmppcore/bosh"
)

const (
	romeo  = "romeo@example.com/orchard"
	juliet = "juliet@example.com/balcony"
)

func TestLogin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, bosh.Settings{})
		r, j := w.login(romeo), w.login(juliet)
		held := j.send("")
		if !held.open() {
			t.Fatalf("answered: %s", held.body)
		}
		r.send(message(juliet, "But soft"))
		held.want("<message xmlns='jabber:client'", "from='"+romeo+"'", "But soft")
	})
}
