package xmppcore_test

import (
	"context"
	"slices"
	"sync/atomic"
	"testing"

	"rosterd/engine"
	"rosterd/engine/addr"
	"rosterd/store"
	"rosterd/xmppcore"
	"rosterd/xmppcore/xmpptest"
)

// A reload that takes blocking away shows who was blocked again, and one that brings it back hides them, with whom the
// user had blocked.
func TestReconfigureBlocking(t *testing.T) {
	h := newHouse(t, nil)
	h.serveRoster("romeo@block.example", both("juliet@block.example"))
	h.serveRoster("juliet@block.example", both("romeo@block.example"))
	romeo := h.available("romeo@block.example/orchard")
	h.ping(romeo) // now he has asked for his contacts: Juliet is not shown to him twice
	juliet := h.available("juliet@block.example/balcony")
	sees := func(c *xmpptest.Client, whom, typ string) {
		t.Helper()
		h.expect(c, whom+" "+typ, func(e xmpptest.Element) bool {
			return e.Name.Local == "presence" && e.Attr("from") == whom && e.Attr("type") == typ
		})
	}
	each := func(typ string) {
		t.Helper()
		sees(romeo, juliet.JID, typ)
		sees(juliet, romeo.JID, typ)
		for _, c := range []*xmpptest.Client{romeo, juliet} {
			h.nothing(c)
		}
	}
	each("")
	for _, c := range []struct{ user, other *xmpptest.Client }{{romeo, juliet}, {juliet, romeo}} { // each blocks the other
		if e, err := c.user.IQ(h.ctx(), "set", "", "<block xmlns='urn:xmpp:blocking'><item jid='"+c.other.JID+"'/></block>"); err != nil || e.Attr("type") != "result" {
			t.Fatal(e, err)
		}
	}
	each("unavailable")
	for _, blocking := range []*xmppcore.Blocking{nil, {Keep: 2}} {
		c := h.config
		c.Hosts = slices.Clone(c.Hosts)
		for i := range c.Hosts {
			if host := &c.Hosts[i]; host.Domain == "block.example" {
				host.Blocking = blocking
			}
		}
		h.srv.Reconfigure(c)
		each(map[bool]string{true: "", false: "unavailable"}[blocking == nil])
	}
	h.send(romeo, "<message to='"+juliet.JID+"'><body>Juliet!</body></message>")
	if e := h.expect(romeo, "an error", is("message", "error")); e.Attr("from") != juliet.JID {
		t.Errorf("got %s", e)
	}
}

// stuck are stores of which one does not answer until it may.
type stuck struct {
	store.Stores
	entered, release chan struct{}
}

func (s stuck) Keyed(name string) store.Keyed {
	if name != "blocklist" {
		return s.Stores.Keyed(name)
	}
	return stuckKeyed{s.Stores.Keyed(name), s}
}

type stuckKeyed struct {
	store.Keyed
	stuck stuck
}

func (k stuckKeyed) All(ctx context.Context, user addr.Bare) (map[string][]byte, error) {
	if user == addr.MustBare("romeo@stuck.example") {
		k.stuck.entered <- struct{}{}
		<-k.stuck.release
	}
	return k.Keyed.All(ctx, user)
}

// While somebody who logs in waits for the store, rosters change, his own as well.
func TestLoginWaitsAlone(t *testing.T) {
	s := stuck{newStores(t)("stuck.example"), make(chan struct{}), make(chan struct{})}
	h := newHouse(t, func(c *xmppcore.Config) {
		c.Hosts = []xmppcore.Host{{Domain: "stuck.example", Modules: []string{"blocklist"}, Blocking: &xmppcore.Blocking{Keep: 2}, Stores: s}}
	})
	came := make(chan error, 1)
	c := h.connect("stuck.example")
	go func() { came <- c.Login(h.ctx(), "romeo", password, "orchard") }()
	<-s.entered
	told := make(chan struct{})
	go func() {
		h.srv.RosterChanged(engine.Event{User: addr.MustBare("romeo@stuck.example")}) // such as the last one of a session before
		close(told)
	}()
	select {
	case <-told:
	case <-h.ctx().Done():
		t.Error("a change of a roster waits for the store")
	}
	close(s.release)
	if err := <-came; err != nil {
		t.Error(err)
	}
}

// overtaken are stores of which one tells once what it had when it was asked, later than others.
type overtaken struct {
	store.Stores
	once        *atomic.Bool
	asked, tell chan struct{}
}

func (s overtaken) Keyed(name string) store.Keyed {
	if name != "blocklist" {
		return s.Stores.Keyed(name)
	}
	return overtakenKeyed{s.Stores.Keyed(name), s}
}

type overtakenKeyed struct {
	store.Keyed
	late overtaken
}

func (k overtakenKeyed) All(ctx context.Context, user addr.Bare) (map[string][]byte, error) {
	values, err := k.Keyed.All(ctx, user)
	if k.late.once.CompareAndSwap(true, false) {
		close(k.late.asked)
		<-k.late.tell
	}
	return values, err
}

// Whom a user blocks with another client, while it is being read whom he has blocked, is blocked for the one that comes.
func TestBlockedWhileReading(t *testing.T) {
	s := overtaken{newStores(t)("late.example"), new(atomic.Bool), make(chan struct{}), make(chan struct{})}
	h := newHouse(t, func(c *xmppcore.Config) {
		c.Hosts = []xmppcore.Host{{Domain: "late.example", Modules: []string{"blocklist", "ping"}, Blocking: &xmppcore.Blocking{Keep: 2}, Stores: s}}
	})
	juliet := h.login("juliet@late.example/balcony")
	s.once.Store(true)
	came := make(chan error, 1)
	orchard := h.connect("late.example")
	go func() { came <- orchard.Login(h.ctx(), "romeo", password, "orchard") }()
	<-s.asked
	street := h.login("romeo@late.example/street")
	if e, err := street.IQ(h.ctx(), "set", "", "<block xmlns='urn:xmpp:blocking'><item jid='juliet@late.example'/></block>"); err != nil || e.Attr("type") != "result" {
		t.Fatal(e, err)
	}
	street.Close(h.ctx())
	for h.srv.Sessions() > 1 {
		h.ping(juliet)
	}
	close(s.tell)
	if err := <-came; err != nil {
		t.Fatal(err)
	}
	h.send(juliet, "<message id='m' to='"+orchard.JID+"' type='chat'><body>hi</body></message>")
	h.expect(juliet, "the message back", func(e xmpptest.Element) bool { return e.Attr("id") == "m" && e.Attr("type") == "error" })
}
