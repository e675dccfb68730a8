package xmppcore_test

import (
	"slices"
	"testing"

	"rosterd/engine/addr"
	"rosterd/store"
	"rosterd/xmppcore"
	"rosterd/xmppcore/session"
	"rosterd/xmppcore/xmpptest"
)

// keeping is a house with letters.example, where streams are managed, and how many messages wait there for romeo.
func keeping(t *testing.T) (h *house, waiting func() int) {
	s := newStores(t)("letters.example")
	h = newHouse(t, func(c *xmppcore.Config) {
		m := xmppcore.StreamManagement{Management: session.Management{Unacked: 100}}
		c.Hosts = []xmppcore.Host{{Domain: "letters.example", Modules: []string{"offline", "smacks"}, Management: &m, Stores: s}}
	})
	return h, func() int {
		page, err := s.Log("offline").Find(t.Context(), addr.MustBare("romeo@letters.example"), store.Query{})
		if err != nil {
			t.Fatal(err)
		}
		return len(page.Entries)
	}
}

// writes has juliet write to romeo, who is offline.
func (h *house) writes(ids ...string) {
	juliet := h.login("juliet@letters.example/balcony")
	for _, id := range ids {
		h.send(juliet, "<message to='romeo@letters.example' type='chat' id='"+id+"'><body>x</body></message>")
	}
	h.ping(juliet)
}

// letters are the messages that a client has received since it is available, and how many stanzas came in all.
func (h *house) letters(c *xmpptest.Client) (ids []string, stanzas int) {
	h.t.Helper()
	h.send(c, "<presence/><iq type='get' id='last'><ping xmlns='urn:xmpp:ping'/></iq>")
	for {
		e, err := c.Next(h.ctx())
		if err != nil {
			h.t.Fatal(err)
		}
		switch stanzas++; {
		case e.Name.Local == "message":
			ids = append(ids, e.Attr("id"))
		case e.Attr("id") == "last":
			return ids, stanzas
		}
	}
}

// A client that acknowledges has a message that waited when it says so, and until then it is kept; nobody else is given
// it meanwhile.
func TestOfflineUntilAcknowledged(t *testing.T) {
	h, waiting := keeping(t)
	h.writes("1", "2")
	romeo := h.login("romeo@letters.example/orchard")
	h.send(romeo, "<enable xmlns='"+nsManaged+"'/>")
	h.expect(romeo, "enabled", named("enabled"))
	ids, n := h.letters(romeo)
	if !slices.Equal(ids, []string{"1", "2"}) {
		t.Errorf("received %v", ids)
	}
	other := h.login("romeo@letters.example/street")
	if ids, _ := h.letters(other); ids != nil {
		t.Errorf("another client has %v, too", ids)
	}
	if got := waiting(); got != 2 {
		t.Errorf("%d are kept before they are acknowledged", got)
	}
	h.send(romeo, "<a xmlns='"+nsManaged+"' h='"+string(rune('0'+n))+"'/>")
	h.until("what was acknowledged is forgotten", func() bool { return waiting() == 0 })
}

// A client that does not acknowledge has it when it is written.
func TestOfflineUntilWritten(t *testing.T) {
	h, waiting := keeping(t)
	h.writes("1", "2")
	if ids, _ := h.letters(h.login("romeo@letters.example/orchard")); !slices.Equal(ids, []string{"1", "2"}) {
		t.Errorf("received %v", ids)
	}
	h.until("what was written is forgotten", func() bool { return waiting() == 0 })
}

// Of a client that is gone before it has acknowledged it, the next one has it, at once if it is there.
func TestOfflineNotAcknowledged(t *testing.T) {
	for name, there := range map[string]bool{"another one is there": true, "the next one": false} {
		t.Run(name, func(t *testing.T) {
			h, waiting := keeping(t)
			h.writes("1", "2")
			romeo := h.login("romeo@letters.example/orchard")
			h.send(romeo, "<enable xmlns='"+nsManaged+"'/>")
			if ids, _ := h.letters(romeo); len(ids) != 2 {
				t.Errorf("received %v", ids)
			}
			other := h.login("romeo@letters.example/street")
			if there {
				h.letters(other)
			}
			romeo.Disconnect()
			if !there {
				h.until("the session is over", func() bool { return h.srv.Sessions() == 2 })
				h.send(other, "<presence/>")
			}
			for _, id := range []string{"1", "2"} {
				e := h.expect(other, "a message", func(e xmpptest.Element) bool { return e.Name.Local == "message" })
				if e.Attr("id") != id {
					t.Errorf("got %s, want %s", e, id)
				}
			}
			if ids, _ := h.letters(other); ids != nil {
				t.Errorf("once more: %v", ids)
			}
			h.until("what was written is forgotten", func() bool { return waiting() == 0 })
		})
	}
}
