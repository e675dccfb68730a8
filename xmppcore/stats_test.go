package xmppcore_test

import (
	"maps"
	"strings"
	"testing"

	"rosterd/engine/addr"
	"rosterd/engine/roster"
	"rosterd/xmppcore"
	"rosterd/xmppcore/session"
)

func TestStats(t *testing.T) {
	h := newHouse(t, nil)
	defer h.stop()
	romeo := h.available("romeo@example.com/orchard")
	juliet := h.available("juliet@example.com/balcony")
	other := h.login("juliet@example.net/balcony")
	h.ping(romeo)
	h.ping(juliet)
	h.ping(other)
	before := h.srv.Stats()
	if want := (map[xmppcore.Kind]int{{Host: "example.com", Transport: "tcp"}: 2, {Host: "example.net", Transport: "tcp"}: 1}); !maps.Equal(before.Sessions, want) {
		t.Errorf("sessions %v, want %v", before.Sessions, want)
	}
	if before.LoggedIn != 3 || before.Failed != 0 || before.Outboxes != 0 || len(before.Ended) != 0 {
		t.Errorf("at the beginning %+v", before)
	}

	h.send(romeo, "<message to='juliet@example.com/balcony'/><message/><presence><show>away</show></presence>")
	h.ping(romeo)
	after := h.srv.Stats()
	for kind, want := range map[string]int64{"message": 2, "presence": 1, "iq": 1} {
		if got := after.Stanzas[kind] - before.Stanzas[kind]; got != want {
			t.Errorf("%d %s stanzas more, want %d", got, kind, want)
		}
	}

	// One contact, two resources that want to know and one that does not.
	second := h.available("romeo@example.com/bench")
	h.login("romeo@example.com/silent")
	h.serveRoster("romeo@example.com", roster.Item{JID: addr.MustBare("paris@example.com"), Subscription: roster.Both})
	if err := h.refresh(h.ctx(), "romeo@example.com"); err != nil {
		t.Fatal(err)
	}
	if got := h.srv.Stats().Pushes - after.Pushes; got != 2 {
		t.Errorf("%d pushes, want 2", got)
	}

	if err := second.Close(h.ctx()); err != nil {
		t.Fatal(err)
	}
	h.send(romeo, "<message><body>"+strings.Repeat("x", 300<<10)+"</body></message>")
	h.expectError(romeo, "policy-violation")
	if got, want := h.srv.Stats().Ended, (map[string]int64{"": 1, "policy-violation": 1}); !maps.Equal(got, want) {
		t.Errorf("ended %v, want %v", got, want)
	}
}

func TestStatsOfTheDoor(t *testing.T) {
	h := newHouse(t, func(c *xmppcore.Config) { c.Stream.PerAddress = 1 })
	defer h.stop()
	first := h.connect("example.com")
	if err := first.Open(h.ctx()); err != nil {
		t.Fatal(err)
	}
	if err := first.Authenticate(h.ctx(), "PLAIN", "romeo", "wrong"); err == nil {
		t.Error("a wrong password was right")
	}
	second := h.connect("example.com")
	if err := second.ReadHeader(h.ctx()); err != nil {
		t.Fatal(err)
	}
	h.expectError(second, "policy-violation")
	if s := h.srv.Stats(); s.Failed != 1 || s.LoggedIn != 0 || s.Refused != 1 || s.Cut != 0 {
		t.Errorf("%+v", s)
	}
}

// What waits for a client that reads nothing is counted, and that its outbox has reached its limits.
func TestStatsOfOutboxes(t *testing.T) {
	h := newNarrowHouse(t, func(c *xmppcore.Config) { c.Outbox = session.Limits{Soft: 64 << 10, Hard: 128 << 10} })
	defer h.stop()
	deaf := h.login("juliet@example.com/deaf")
	romeo := h.login("romeo@example.com/orchard")
	text := "<message to='juliet@example.com/deaf' type='headline'><body>" + strings.Repeat("x", 100<<10) + "</body></message>"
	most := 0
	for h.srv.Stats().HardLimit == 0 {
		h.send(romeo, text)
		h.ping(romeo)
		most = max(most, h.srv.Stats().Outboxes)
	}
	if s := h.srv.Stats(); s.SoftLimit == 0 || s.HardLimit != 1 || most < 64<<10 {
		t.Errorf("%+v, at most %d bytes", s, most)
	}
	deaf.Disconnect()
}
