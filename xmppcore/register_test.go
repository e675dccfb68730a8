package xmppcore_test

import (
	"log/slog"
	"net/netip"
	"strings"
	"testing"
	"time"

	"rosterd/engine/addr"
	"rosterd/store"
	"rosterd/xmppcore"
	"rosterd/xmppcore/auth"
	"rosterd/xmppcore/register"
	"rosterd/xmppcore/xmpptest"
)

const nsRegister = "jabber:iq:register"

// registering makes house.example a host with accounts, which people make for themselves.
func registering(t *testing.T, change func(*register.Door)) func(*xmppcore.Config) {
	db, err := store.OpenMemory(nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	users := &store.Accounts{Store: db, Hosts: map[string]store.Host{"house.example": {StorePasswords: true}}}
	log := slog.New(slog.DiscardHandler)
	d := &register.Door{Domain: "house.example", Accounts: users, Title: "T", Instructions: "I", Log: log}
	if change != nil {
		change(d)
	}
	return func(c *xmppcore.Config) {
		c.Hosts = append(c.Hosts, xmppcore.Host{
			Domain: "house.example", Stores: db.Stores("house.example"), Modules: []string{"ping", "lastactivity", "private"},
			Auth: &auth.Host{Domain: "house.example", Accounts: users, StoresPasswords: true, Disabled: []string{"SCRAM-SHA-1"}},
			Door: d, Accounts: &register.Management{Accounts: users, Log: log},
		})
	}
}

// asks sends a request to register, and returns the answer.
func (h *house) asks(c *xmpptest.Client, typ, content string) xmpptest.Element {
	h.t.Helper()
	h.send(c, "<iq type='"+typ+"' id='r'><query xmlns='"+nsRegister+"'>"+content+"</query></iq>")
	return h.expect(c, "an answer", func(e xmpptest.Element) bool { return e.Attr("id") == "r" })
}

func (h *house) opened(domain string) *xmpptest.Client {
	h.t.Helper()
	c := h.connect(domain)
	if err := c.Open(h.ctx()); err != nil {
		h.t.Fatal(err)
	}
	return c
}

func announced(c *xmpptest.Client) bool {
	_, ok := c.Features.Find("http://jabber.org/features/iq-register", "register")
	return ok
}

// XEP-0077 §3.1–3.3: somebody makes an account, logs in on the same stream, changes the password, deletes the account,
// and another makes it again.
func TestRegistration(t *testing.T) {
	h := newHouse(t, registering(t, nil))
	romeo := h.opened("house.example")
	if !announced(romeo) {
		t.Errorf("not announced: %s", romeo.Features)
	}
	form := h.asks(romeo, "get", "")
	if q, _ := form.Find(nsRegister, "query"); form.Attr("type") != "result" || len(q.Children) != 4 {
		t.Errorf("got %s", form)
	}
	if e := h.asks(romeo, "set", "<username>Romeo</username><password>first</password>"); e.Attr("type") != "result" {
		t.Fatalf("got %s", e)
	}
	if err := romeo.Authenticate(h.ctx(), "PLAIN", "romeo", "first"); err != nil {
		t.Fatal(err)
	}
	if err := romeo.Open(h.ctx()); err != nil {
		t.Fatal(err)
	}
	if announced(romeo) {
		t.Error("announced to who has logged in")
	}
	if err := romeo.Bind(h.ctx(), "orchard"); err != nil {
		t.Fatal(err)
	}
	if e := h.asks(h.opened("house.example"), "set", "<username>romeo</username><password>other</password>"); !strings.Contains(e.String(), "<conflict ") {
		t.Errorf("made again: %s", e)
	}

	if e := h.asks(romeo, "get", ""); !strings.Contains(e.String(), "<registered") || !strings.Contains(e.String(), "<username>romeo</username>") {
		t.Errorf("got %s", e)
	}
	for content, want := range map[string]string{
		"<username>juliet</username><password>x</password>": "<bad-request ", "<username>romeo</username>": "<bad-request ", "<remove/><username>romeo</username>": "<bad-request ",
		"<username>romeo</username><password>second</password>": "type=\"result\"",
	} {
		if e := h.asks(romeo, "set", content); !strings.Contains(strings.ReplaceAll(e.String(), "'", `"`), want) {
			t.Errorf("%s: got %s", content, e)
		}
	}
	again := h.connect("house.example")
	if err := again.Login(h.ctx(), "romeo", "first", "old"); err == nil {
		t.Error("the old password counts")
	}
	chamber := h.connect("house.example")
	if err := chamber.Login(h.ctx(), "romeo", "second", "chamber"); err != nil {
		t.Fatal(err)
	}
	h.send(chamber, "<presence/>")
	h.ping(chamber)

	stores := h.config.Hosts[len(h.config.Hosts)-1].Stores
	user := addr.MustBare("romeo@house.example")
	if e, err := romeo.IQ(h.ctx(), "set", "", "<query xmlns='jabber:iq:private'><a xmlns='a'>b</a></query>"); err != nil || e.Attr("type") != "result" {
		t.Fatal(e, err)
	}
	if e := h.asks(romeo, "set", "<remove/>"); e.Attr("type") != "result" {
		t.Fatalf("got %s", e)
	}
	h.expectError(romeo, "not-authorized")
	h.expectError(chamber, "not-authorized")
	for _, c := range []*xmpptest.Client{romeo, chamber, again} {
		c.Disconnect()
	}
	h.stop() // who has left has left
	for _, name := range []string{"private", "lastactivity"} {
		if all, err := stores.Keyed(name).All(t.Context(), user); err != nil || len(all) > 0 {
			t.Errorf("of who is gone, %s keeps %v, %v", name, all, err)
		}
	}
	h.start()
	if err := h.connect("house.example").Login(h.ctx(), "romeo", "second", "x"); err == nil {
		t.Error("who is gone logs in")
	}
	if e := h.asks(h.opened("house.example"), "set", "<username>romeo</username><password>third</password>"); e.Attr("type") != "result" {
		t.Errorf("not made again: %s", e)
	}
}

func TestRegistrationLimits(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*register.Door)
		want   string // what becomes of one after the other
	}{
		{"blocked", func(d *register.Door) { d.Limits.Blocked = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")} }, "<forbidden "},
		{"throttled", func(d *register.Door) {
			d.Limits.Throttle = register.NewThrottle[netip.Addr](1, time.Hour, 10)
			d.Limits.Throttle.Take(netip.MustParseAddr("127.0.0.1"), time.Now())
		}, "<policy-violation "},
		{"not encrypted", func(d *register.Door) { d.Encrypted = true }, "<policy-violation "},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := newHouse(t, registering(t, c.change))
			client := h.opened("house.example")
			if want := c.name != "not encrypted"; announced(client) != want {
				t.Errorf("announced: %v", !want)
			}
			if e := h.asks(client, "set", "<username>romeo</username><password>x</password>"); !strings.Contains(e.String(), c.want) {
				t.Errorf("got %s", e)
			}
		})
	}
}

// Where nobody registers, or who asks too often, the stream ends.
func TestNoRegistration(t *testing.T) {
	h := newHouse(t, registering(t, nil))
	c := h.opened("example.com")
	if announced(c) {
		t.Error("announced")
	}
	h.send(c, "<iq type='get' id='1'><query xmlns='jabber:iq:register'/></iq>")
	h.expectError(c, "not-authorized")

	c = h.opened("house.example")
	for range 10 {
		h.asks(c, "get", "")
	}
	h.send(c, "<iq type='get' id='1'><query xmlns='jabber:iq:register'/></iq>")
	h.expectError(c, "policy-violation")

	// Nobody else's account, and none of another host.
	romeo := h.login("romeo@example.com/orchard")
	if e, err := romeo.IQ(h.ctx(), "set", "house.example", "<query xmlns='jabber:iq:register'><remove/></query>"); err != nil || !strings.Contains(e.String(), "<not-allowed ") {
		t.Errorf("got %s, %v", e, err)
	}
	if e, err := romeo.IQ(h.ctx(), "set", "romeo@house.example", "<query xmlns='jabber:iq:register'><remove/></query>"); err != nil || !strings.Contains(e.String(), "<service-unavailable ") {
		t.Errorf("got %s, %v", e, err)
	}
}
