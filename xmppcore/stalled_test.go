package xmppcore_test

import (
	"context"
	"fmt"
	"testing"

	"rosterd/store"
	"rosterd/xmppcore"
	"rosterd/xmppcore/session"
	"rosterd/xmppcore/xmpptest"
)

// stalled are stores whose disk takes what is written when it may.
type stalled struct {
	store.Stores
	asked, thaw chan struct{}
}

func (s stalled) Log(name string) store.Log { return stalledLog{s.Stores.Log(name), s} }

type stalledLog struct {
	store.Log
	stalled stalled
}

func (l stalledLog) Sync(ctx context.Context) error {
	select {
	case l.stalled.asked <- struct{}{}:
	default:
	}
	select {
	case <-l.stalled.thaw:
		return l.Log.Sync(ctx)
	case <-ctx.Done():
		return ctx.Err()
	}
}

// A disk that has stopped holds the acknowledgements, and nobody's messages. What was asked for is answered when it goes
// on, with the last count.
func TestAcknowledgementsWaitBeside(t *testing.T) {
	s := stalled{newStores(t)("kept.example"), make(chan struct{}, 1), make(chan struct{})}
	h := newHouse(t, func(c *xmppcore.Config) {
		c.Hosts = []xmppcore.Host{{
			Domain: "kept.example", Modules: []string{"mam", "ping"}, Stores: s, Management: &xmppcore.StreamManagement{Management: session.Management{}},
		}}
	})
	romeo, juliet := h.login("romeo@kept.example/orchard"), h.available("juliet@kept.example/balcony")
	h.send(romeo, "<enable xmlns='"+nsManaged+"'/>")
	h.expect(romeo, "enabled", named("enabled"))
	const messages = 20
	for i := range messages {
		h.send(romeo, fmt.Sprintf("<message to='juliet@kept.example' type='chat' id='m%d'><body>x</body></message><r xmlns='%s'/>", i, nsManaged))
		h.expect(juliet, "a message", func(e xmpptest.Element) bool { return e.Attr("id") == fmt.Sprintf("m%d", i) })
	}
	<-s.asked
	h.ping(romeo) // which nothing is before
	close(s.thaw)
	h.expect(romeo, "all is acknowledged", func(e xmpptest.Element) bool {
		return e.Is(nsManaged, "a") && e.Attr("h") == fmt.Sprint(messages)
	})
}
