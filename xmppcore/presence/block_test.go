package presence_test

import (
	"strings"
	"testing"
	"testing/synctest"

	"rosterd/engine/addr"
	"rosterd/engine/roster"
	"rosterd/xmppcore/block"
	"rosterd/xmppcore/presence"
	"rosterd/xmppcore/registry"
)

// interposed is a router by way of which something happens while a resource leaves.
type interposed func()

func (f interposed) Directed(*registry.Resource, addr.JID, []byte) { f() }

var _ presence.Router = interposed(nil)

// A contact who is blocked while it leaves, when it is not available any more and has not told so, is told to be gone
// all the same, and once.
func TestBlockedWhileLeaving(t *testing.T) {
	for _, c := range []struct {
		name   string
		before bool // the block comes before the contact leaves
	}{{"before", true}, {"meanwhile", false}} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := newHouse()
				romeo, w := h.login("romeo@example.com/orchard", item("juliet@example.com", roster.Both))
				juliet, _ := h.login("juliet@example.com/balcony", item("romeo@example.com", roster.Both))
				h.Available(romeo, mustParse(t, "<presence/>"), 0)
				h.Available(juliet, mustParse(t, "<presence/>"), 0)
				w.take()
				block := func() {
					romeo.Account.Turn.Do(func() {
						h.Blocked(romeo.Account, block.New(juliet.Full.Bare().Full()), func() {})
					})
				}
				if c.before {
					block()
				} else {
					h.Presence.Directed(juliet, addr.MustParse("rooms.example.com/r"), false)
					h.Presence.Router = interposed(block)
				}
				juliet.Account.Turn.Do(func() { h.Gone(juliet) })
				synctest.Wait()
				if got := w.take(); strings.Count(got, "<presence") != 1 || !strings.Contains(got, "type='unavailable' from='juliet@example.com/balcony'") {
					t.Errorf("got %s", got)
				}
				// What faded has faded.
				again, _ := h.login("juliet@example.com/again", item("romeo@example.com", roster.Both))
				h.Available(again, mustParse(t, "<presence/>"), 0)
				h.Gone(again)
				if got := w.take(); got != "" {
					t.Errorf("got %s of who is blocked", got)
				}
			})
		})
	}
}

// Who leaves with his last resource is told of, once, with what he said.
func TestLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse()
		var left []string
		h.Left = func(user addr.Bare, status string) { left = append(left, user.String()+": "+status) }
		x, _ := h.login("romeo@example.com/x")
		y, _ := h.login("romeo@example.com/y")
		silent, _ := h.login("romeo@example.com/silent")
		h.Available(x, mustParse(t, "<presence/>"), 0)
		h.Available(y, mustParse(t, "<presence/>"), 0)
		h.Unavailable(x, mustParse(t, "<presence type='unavailable'><status>not yet</status></presence>"))
		h.Gone(silent)
		h.Unavailable(y, mustParse(t, "<presence type='unavailable'><status>good &amp; night</status></presence>"))
		h.Gone(y)
		h.Available(x, mustParse(t, "<presence/>"), 0)
		h.Gone(x)
		if got := strings.Join(left, ", "); got != "romeo@example.com: good & night, romeo@example.com: " {
			t.Error(got)
		}
	})
}
