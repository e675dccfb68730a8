package xmppcore_test

import (
	"context"
	"crypto/rand"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"rosterd/engine/addr"
	"rosterd/store"
	"rosterd/xmppcore"
	"rosterd/xmppcore/auth"
	"rosterd/xmppcore/register"
	"rosterd/xmppcore/session"
	"rosterd/xmppcore/xmpptest"
)

func lettersHost(t *testing.T) func(*xmppcore.Config) {
	db, err := store.OpenMemory(nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	users := &store.Accounts{Store: db, Hosts: map[string]store.Host{"house.example": {StorePasswords: true}}}
	log := slog.New(slog.DiscardHandler)
	d := &register.Door{Domain: "house.example", Accounts: users, Title: "T", Instructions: "I", Log: log}
	return func(c *xmppcore.Config) {
		c.Hosts = append(c.Hosts, xmppcore.Host{
			Domain: "house.example", Stores: db.Stores("house.example"), Modules: []string{"ping", "mam", "offline"},
			Auth: &auth.Host{Domain: "house.example", Accounts: users, StoresPasswords: true, Disabled: []string{"SCRAM-SHA-1"}},
			Door: d, Accounts: &register.Management{Accounts: users, Log: log},
		})
	}
}

func (h *house) newUser(name, resource string) *xmpptest.Client {
	h.t.Helper()
	if e := h.asks(h.opened("house.example"), "set", "<username>"+name+"</username><password>p</password>"); e.Attr("type") != "result" {
		h.t.Fatalf("got %s", e)
	}
	return h.loginAt(name, resource)
}

func (h *house) loginAt(name, resource string) *xmpptest.Client {
	h.t.Helper()
	c := h.connect("house.example")
	if err := c.Login(h.ctx(), name, "p", resource); err != nil {
		h.t.Fatal(err)
	}
	return c
}

// TestPreferencesOfTheDead: who takes the name of a deleted account does not get its archive preferences.
func TestPreferencesOfTheDead(t *testing.T) {
	h := newHouse(t, lettersHost(t))
	romeo := h.newUser("romeo", "a")
	if e, err := romeo.IQ(h.ctx(), "set", "", "<prefs xmlns='urn:xmpp:mam:2' default='never'><always><jid>secret-lover@example.com</jid></always><never/></prefs>"); err != nil || e.Attr("type") != "result" {
		t.Fatal(e, err)
	}
	if e := h.asks(romeo, "set", "<remove/>"); e.Attr("type") != "result" {
		t.Fatalf("got %s", e)
	}
	h.expectError(romeo, "not-authorized")
	other := h.newUser("romeo", "b")
	e, err := other.IQ(h.ctx(), "get", "", "<prefs xmlns='urn:xmpp:mam:2'/>")
	if err != nil || strings.Contains(e.String(), "secret-lover") || strings.Contains(e.String(), "never\"") {
		t.Errorf("somebody else's preferences: %s, %v", e, err)
	}
}

// TestForgedDelay: nobody else says when a message came in the name of the recipient's server.
func TestForgedDelay(t *testing.T) {
	h := newHouse(t, lettersHost(t))
	h.newUser("juliet", "x").Close(h.ctx())
	romeo := h.newUser("romeo", "a")
	h.send(romeo, "<message to='juliet@house.example' type='chat'><body>hi</body><delay xmlns='urn:xmpp:delay' from='house.example' stamp='1999-01-01T00:00:00Z'/></message>")
	h.ping(romeo)
	juliet := h.loginAt("juliet", "b")
	h.send(juliet, "<presence/>")
	e := h.expect(juliet, "the message", func(e xmpptest.Element) bool { return strings.Contains(e.String(), ">hi<") })
	if strings.Contains(e.String(), "1999") {
		t.Errorf("forged: %s", e)
	}
}

// gatedStores stop Find of the log "offline" while a gate is shut.
type gatedStores struct {
	store.Stores
	g *gate
}
type gate struct {
	mu      sync.Mutex
	shut    chan struct{}
	reached chan struct{}
}
type gatedLog struct {
	store.Log
	g *gate
}

func (s gatedStores) Log(name string) store.Log {
	if name == "offline" {
		return gatedLog{s.Stores.Log(name), s.g}
	}
	return s.Stores.Log(name)
}

func (l gatedLog) Find(ctx context.Context, u addr.Bare, q store.Query) (store.Page, error) {
	l.g.mu.Lock()
	shut, reached := l.g.shut, l.g.reached
	l.g.shut = nil
	l.g.mu.Unlock()
	if shut != nil && u.Local() == "juliet" {
		close(reached)
		<-shut
	}
	return l.Log.Find(ctx, u, q)
}

// TestOfflineLost: what waits for a user whose session ends while the store is slow, waits on.
func TestOfflineLost(t *testing.T) {
	g := &gate{}
	base := lettersHost(t)
	h := newHouse(t, func(c *xmppcore.Config) {
		base(c)
		last := &c.Hosts[len(c.Hosts)-1]
		last.Modules = []string{"ping", "offline"}
		last.Stores = gatedStores{last.Stores, g}
	})
	h.newUser("juliet", "x").Close(h.ctx())
	romeo := h.newUser("romeo", "a")
	h.send(romeo, "<message to='juliet@house.example' type='chat'><body>hi</body></message>")
	h.ping(romeo)
	shut, reached := make(chan struct{}), make(chan struct{})
	g.mu.Lock()
	g.shut, g.reached = shut, reached
	g.mu.Unlock()
	juliet := h.loginAt("juliet", "b")
	h.send(juliet, "<presence/>")
	<-reached
	again := h.loginAt("juliet", "b") // the client has lost patience, and takes the place of its old stream
	close(shut)
	h.send(again, "<presence/>")
	h.expect(again, "the message", func(e xmpptest.Element) bool { return strings.Contains(e.String(), ">hi<") })
}

// TestMessagesOfTheDead: what a deleted account's client had not acknowledged is not kept for who takes the name.
func TestMessagesOfTheDead(t *testing.T) {
	base := lettersHost(t)
	h := newHouse(t, func(c *xmppcore.Config) {
		base(c)
		last := &c.Hosts[len(c.Hosts)-1]
		last.Modules = []string{"ping", "offline"}
		last.Management = &xmppcore.StreamManagement{Management: session.Management{Hibernation: 10 * time.Minute}, Hibernated: 10}
	})
	juliet := h.newUser("juliet", "x")
	b := h.newUser("romeo", "b")
	for range 10 {
		a := h.loginAt("romeo", rand.Text())
		h.send(a, "<enable xmlns='urn:xmpp:sm:3' resume='true'/>")
		h.expect(a, "enabled", func(e xmpptest.Element) bool { return e.Name.Local == "enabled" })
		h.send(a, "<presence/>")
		h.send(juliet, "<message to='"+a.JID+"' type='chat'><body>secret</body></message>")
		h.expect(a, "the message", func(e xmpptest.Element) bool { return strings.Contains(e.String(), "secret") })
		a.Disconnect()
	}
	if e := h.asks(b, "set", "<remove/>"); e.Attr("type") != "result" {
		t.Fatalf("got %s", e)
	}
	h.expectError(b, "not-authorized")
	for n := 0; n < 100 || h.srv.Sessions() > 1; n++ {
		h.ping(juliet)
	}
	other := h.newUser("romeo", "c")
	h.send(other, "<presence/>")
	h.expect(other, "its own presence", func(e xmpptest.Element) bool { return e.Attr("from") == other.JID })
	if err := other.Nothing(h.ctx()); err != nil {
		t.Error(err)
	}
}

// TestDeletedWithoutACloseOfTheClient: who does not close a stream that is over, because the account is gone, is told
// nothing more on it and is nowhere.
func TestDeletedWithoutACloseOfTheClient(t *testing.T) {
	managed := func(c *xmppcore.Config) {
		c.Hosts[len(c.Hosts)-1].Management = &xmppcore.StreamManagement{Management: session.Management{Hibernation: 10 * time.Minute}, Hibernated: 10}
	}
	for _, x := range []struct {
		name   string
		change func(*xmppcore.Config)
		enable string
	}{
		{"plain", func(*xmppcore.Config) {}, ""},
		{"stream management", managed, "<enable xmlns='urn:xmpp:sm:3' resume='true'/>"},
	} {
		t.Run(x.name, func(t *testing.T) {
			base := lettersHost(t)
			h := newHouse(t, func(c *xmppcore.Config) { base(c); x.change(c) })
			juliet, romeo := h.newUser("juliet", "x"), h.newUser("romeo", "a")
			h.send(romeo, x.enable+"<presence/>")
			h.ping(romeo)
			h.srv.Deleted(addr.MustBare("romeo@house.example"))
			if n := h.srv.Sessions(); n != 1 {
				t.Errorf("%d sessions, not that of juliet alone", n)
			}
			h.send(juliet, "<message id='m' to='"+romeo.JID+"' type='headline'><body>secret</body></message><iq id='i' to='"+romeo.JID+"' type='get'><query xmlns='q'/></iq>")
			h.expect(juliet, "the bounce", func(e xmpptest.Element) bool { return e.Attr("id") == "i" && e.Attr("type") == "error" })
			e := h.expect(romeo, "a stream error", func(e xmpptest.Element) bool {
				if strings.Contains(e.String(), "secret") {
					t.Errorf("delivered: %s", e)
				}
				return e.Name.Local == "error" && e.Name.Space == "http://etherx.jabber.org/streams"
			})
			if !strings.Contains(e.String(), "not-authorized") {
				t.Errorf("got %s", e)
			}
		})
	}
}

// TestMessagesOfWhoIsStillLeaving: what the client of a deleted account did not take goes back, also when somebody has
// taken the name before that client is gone.
func TestMessagesOfWhoIsStillLeaving(t *testing.T) {
	base := lettersHost(t)
	h := newHouse(t, func(c *xmppcore.Config) {
		base(c)
		last := &c.Hosts[len(c.Hosts)-1]
		last.Modules = []string{"ping", "offline"}
		last.Management = &xmppcore.StreamManagement{Management: session.Management{Hibernation: 10 * time.Minute}, Hibernated: 10}
	})
	juliet := h.newUser("juliet", "x")
	b := h.newUser("romeo", "b")
	a := h.loginAt("romeo", "a")
	h.send(a, "<enable xmlns='urn:xmpp:sm:3' resume='true'/>")
	h.expect(a, "enabled", func(e xmpptest.Element) bool { return e.Name.Local == "enabled" })
	h.send(a, "<presence/>")
	h.send(juliet, "<message id='m' to='"+a.JID+"' type='chat'><body>secret</body></message>")
	h.expect(a, "the message", func(e xmpptest.Element) bool { return strings.Contains(e.String(), "secret") })
	if e := h.asks(b, "set", "<remove/>"); e.Attr("type") != "result" {
		t.Fatalf("got %s", e)
	}
	h.expectError(b, "not-authorized")
	other := h.newUser("romeo", "c") // while a's client has not closed its stream
	h.send(other, "<presence/>")
	h.expect(other, "its own presence", func(e xmpptest.Element) bool { return e.Attr("from") == other.JID })
	a.Disconnect()
	h.expect(juliet, "the message back", func(e xmpptest.Element) bool { return e.Attr("id") == "m" && e.Attr("type") == "error" })
	if err := other.Nothing(h.ctx()); err != nil {
		t.Error(err)
	}
}
