package presence_test

import (
	"strings"
	"testing"
	"testing/synctest"

	"rosterd/engine/roster"
	"rosterd/xmppcore/session"
)

// Who has sent directed presence before his roster was there, is gone also for whom he is then shown to, and is gone
// before that is written.
func TestGoneAfterDirectedPresence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse()
		w := &wire{}
		romeo := h.bind("romeo@example.com/orchard", w, session.Limits{Pace: session.Pace{Rate: 1, Burst: 1}},
			item("juliet@example.com", roster.To), item("nurse@example.com", roster.To))
		nurse, _ := h.login("nurse@example.com/x", item("romeo@example.com", roster.From))
		juliet, _ := h.login("juliet@example.com/balcony")
		h.Available(romeo, mustParse(t, "<presence/>"), 0)
		h.Available(nurse, mustParse(t, "<presence/>"), 0) // the one write that romeo has for the moment
		h.Available(juliet, mustParse(t, "<presence/>"), 0)
		h.Presence.Directed(juliet, romeo.Full, false)
		romeo.Send([]byte("<presence from='juliet@example.com/balcony'/>"))
		w.take()
		list, _ := roster.New(juliet.Account.User, item("romeo@example.com", roster.From))
		h.Changed(juliet.Account, roster.Roster{}, list, nil, func([]roster.Change) {})
		h.Gone(juliet)
		romeo.Close(nil)
		romeo.Wait()
		if got := w.take(); !strings.Contains(got, "from='juliet@example.com/balcony' type='unavailable'") && !strings.Contains(got, "type='unavailable' from='juliet@example.com/balcony'") {
			t.Errorf("is not told that she is gone: %q", got)
		}
	})
}
