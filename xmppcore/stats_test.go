package xmppcore_test

import (
	"maps"
	"runtime"
	"strings"
	"testing"
	"time"

	"rosterd/engine/addr"
	"rosterd/engine/roster"
	"rosterd/xmppcore"
	"rosterd/xmppcore/session"
	"rosterd/xmppcore/xmpptest"
)

func TestStats(t *testing.T) {
	h := newHouse(t, nil)
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

func TestStatsOfResumptions(t *testing.T) {
	h := managing(t, xmppcore.StreamManagement{Management: session.Management{Hibernation: 10 * time.Minute}, Hibernated: 1})
	romeo := h.login("romeo@managed.example/orchard")
	id := h.managed(romeo)
	romeo.Disconnect()
	romeo = h.resume(h.tcp(), id, 0)
	h.send(romeo, "<iq type='get' id='p'><ping xmlns='urn:xmpp:ping'/></iq>")
	h.expect(romeo, "the answer", func(e xmpptest.Element) bool { return e.Attr("id") == "p" })
	late := xmpptest.New(h.tcp(), "managed.example")
	defer late.Disconnect()
	if err := late.Enter(h.ctx(), "romeo", password); err != nil {
		t.Fatal(err)
	}
	h.send(late, "<resume xmlns='"+nsManaged+"' previd='unknown' h='1'/>")
	h.expect(late, "the refusal", named("failed"))
	if s := h.srv.Stats(); s.Resumed != 1 || s.NotResumed != 1 || s.Expired != 0 {
		t.Errorf("%d resumed, %d not, %d expired", s.Resumed, s.NotResumed, s.Expired)
	}
}

func TestStatsOfExpiry(t *testing.T) {
	h := managing(t, xmppcore.StreamManagement{Management: session.Management{Hibernation: 10 * time.Millisecond}, Hibernated: 1})
	romeo := h.login("romeo@managed.example/orchard")
	h.managed(romeo)
	romeo.Disconnect()
	for h.srv.Stats().Expired == 0 && h.ctx().Err() == nil {
		runtime.Gosched()
	}
	h.stop()
	if s := h.srv.Stats(); s.Expired != 1 || s.Resumed != 0 || s.NotResumed != 0 {
		t.Errorf("%d resumed, %d not, %d expired", s.Resumed, s.NotResumed, s.Expired)
	}
}

func TestStatsOfComponents(t *testing.T) {
	h := newHouse(t, nil)
	muc := h.attach(h.dialComponent(), "muc.example.com", "ophelia")
	romeo := h.login("romeo@example.com/orchard")
	h.send(romeo, "<message to='a@irc.example.com' id='m'/><iq to='irc.example.com' type='get' id='i'><query xmlns='q'/></iq>")
	h.expect(romeo, "the second refusal", func(e xmpptest.Element) bool { return e.Attr("id") == "i" })
	h.send(muc, "<message from='a@muc.example.com' id='n'/>")
	h.expect(muc, "the refusal", func(e xmpptest.Element) bool { return e.Attr("id") == "n" })
	s := h.srv.Stats()
	if want := (map[string]bool{"muc.example.com": true, "irc.example.com": false, "post.example.com": false, "shut.example.com": false}); !maps.Equal(s.Components, want) {
		t.Errorf("components %v", s.Components)
	}
	if s.Unsent != 2 || s.Unaccepted != 1 {
		t.Errorf("%d for who is not connected, %d that must not be sent", s.Unsent, s.Unaccepted)
	}
}
