package xmppcore_test

import (
	"fmt"
	"sync/atomic"
	"testing"

	"rosterd/engine/addr"
	"rosterd/engine/roster"
	"rosterd/xmppcore"
	"rosterd/xmppcore/xmpptest"
)

// One change in a roster of 10,000 contacts costs a client that comes back one push, also after a restart: the bytes
// that are written to it say so.
func TestComingBackIsCheap(t *testing.T) {
	var written atomic.Int64
	h := newHouse(t, func(c *xmppcore.Config) {
		c.Tap = func(_ addr.JID, b []byte) { written.Add(int64(len(b))) }
	})
	contacts := make([]roster.Item, 10_000)
	for i := range contacts {
		contacts[i] = contact(fmt.Sprintf("contact%05d@example.com", i), roster.Both)
		contacts[i].Name = fmt.Sprintf("Contact Number %d", i)
	}
	h.serveRoster("romeo@kept.example", contacts...)
	c := h.login("romeo@kept.example/orchard")
	ver := h.ask(c, "").Attr("ver")
	whole := written.Load()
	if whole < 500_000 {
		t.Fatalf("%d bytes for the whole roster", whole)
	}

	for round, between := range []func(){func() {}, h.restart} {
		if err := c.Close(h.ctx()); err != nil {
			t.Fatal(err)
		}
		between()
		contacts[5000+round].Name = "Renamed"
		h.serveRoster("romeo@kept.example", append([]roster.Item(nil), contacts...)...)
		c = h.login("romeo@kept.example/orchard")
		before := written.Load()
		if q := h.ask(c, ver); q.Name.Local != "" {
			t.Fatalf("got %.200s, want an empty result", q)
		}
		push := h.expect(c, "a push", is("iq", "set"))
		query, _ := push.Find("jabber:iq:roster", "query")
		item, _ := query.Find("jabber:iq:roster", "item")
		if want := contacts[5000+round].JID.String(); item.Attr("jid") != want || item.Attr("name") != "Renamed" {
			t.Errorf("pushed %s, want %s", push, want)
		}
		h.nothing(c)
		cost := written.Load() - before
		t.Logf("%d bytes, with the answer to a ping; the whole roster took %d", cost, whole)
		if cost > 600 {
			t.Errorf("%d bytes for one change", cost)
		}
		if q := h.ask(c, query.Attr("ver")); q.Name.Local != "" {
			t.Errorf("the version of the push is not that of the roster: %.200s", q)
		}
		ver = query.Attr("ver")
	}
}

// ask asks for the roster; what comes back is the query of the result, nothing if it is empty.
func (h *house) ask(c *xmpptest.Client, ver string) xmpptest.Element {
	h.t.Helper()
	h.send(c, "<iq type='get' id='ask'><query xmlns='jabber:iq:roster' ver='"+ver+"'/></iq>")
	e := h.expect(c, "a roster", func(e xmpptest.Element) bool { return e.Attr("id") == "ask" })
	query, _ := e.Find("jabber:iq:roster", "query")
	return query
}
