package session_test

import (
	"strings"
	"testing"
	"testing/synctest"

	"rosterd/xmppcore/session"
)

// TestOwnUnacknowledged: who reads what it asks for and never acknowledges does not make the server keep it all.
func TestOwnUnacknowledged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWire(t)
		s, _ := managed(t, w, session.Limits{}, true)
		answer := []byte("<iq type='result'><a>" + strings.Repeat("x", 200<<10) + "</a></iq>")
		for range 200 {
			if !s.AppendOwn(func(dst []byte) []byte { return append(dst, answer...) }) {
				break
			}
			synctest.Wait()
			w.reset()
		}
		if n := s.Queued(); n > 8<<20 {
			t.Errorf("%d bytes are kept for a client that acknowledges nothing", n)
		}
		s.Close(nil)
		close(w.in)
		synctest.Wait()
	})
}
