package xmppcore_test

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"rosterd/engine/addr"
	"rosterd/xmppcore"
	"rosterd/xmppcore/xmpptest"
)

// authenticated is a client that has only to bind.
func (h *house) authenticated(user string) *xmpptest.Client {
	h.t.Helper()
	j := addr.MustParse(user)
	c := h.connect(j.Domain())
	if err := errors.Join(c.Open(h.ctx()), c.Authenticate(h.ctx(), "PLAIN", j.Local(), password), c.Open(h.ctx())); err != nil {
		h.t.Fatal(err)
	}
	return c
}

// bind asks for a resource and returns the JID, or the refusal.
func (h *house) bind(c *xmpptest.Client, resource string) (jid, refusal string) {
	h.t.Helper()
	answer, err := c.IQ(h.ctx(), "set", "", "<bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'>"+resource+"</bind>")
	if err != nil {
		h.t.Fatal(err)
	}
	if bound, ok := answer.Path("bind", "jid"); ok && answer.Attr("type") == "result" {
		c.JID = bound.Text
		return bound.Text, ""
	}
	e, ok := answer.Find("", "error")
	if !ok {
		h.t.Fatalf("got %s", answer)
	}
	return "", e.Attr("type") + "/" + e.Children[0].Name.Local
}

func TestBind(t *testing.T) {
	h := newHouse(t, nil)
	for _, c := range []struct{ name, resource, want, refusal string }{
		{"RFC 6120 §7.7 wanted", "<resource>orchard</resource>", "orchard", ""},
		{"RFC 7622 §3.4 case stays", "<resource>Orchard</resource>", "Orchard", ""},
		{"RFC 7622 §3.4 composed", "<resource>cafe&#x301;</resource>", "café", ""},
		{"RFC 7622 §3.4 spaces are ASCII spaces", "<resource>the&#xA0;orchard</resource>", "the orchard", ""},
		{"RFC 7622 §3.4 what XML escapes", "<resource>&lt;&amp;'\"></resource>", `<&'">`, ""},
		{"RFC 6120 §7.7.2.1 longest", "<resource>" + strings.Repeat("x", 1023) + "</resource>", strings.Repeat("x", 1023), ""},
		{"RFC 6120 §7.7.2.1 too long", "<resource>" + strings.Repeat("x", 1024) + "</resource>", "", "modify/bad-request"},
		{"RFC 6120 §7.7.2.1 no resourcepart", "<resource>&#x7F;</resource>", "", "modify/bad-request"},
	} {
		t.Run(c.name, func(t *testing.T) {
			client := h.authenticated("romeo@example.com")
			jid, refusal := h.bind(client, c.resource)
			if refusal != c.refusal || refusal == "" && jid != "romeo@example.com/"+c.want {
				t.Fatalf("bound %.60q, refused with %q", jid, refusal)
			}
			if refusal != "" { // RFC 6120 §7.7.2: the client may try again
				if jid, refusal = h.bind(client, "<resource>another</resource>"); jid != "romeo@example.com/another" {
					t.Fatalf("bound %q, refused with %q", jid, refusal)
				}
			}
			h.send(client, "<message id='1' to='"+string(appendEscaped(jid))+"'/>")
			h.expect(client, "a message to itself", func(e xmpptest.Element) bool { return e.Attr("from") == jid && e.Attr("id") == "1" })
		})
	}
}

func appendEscaped(s string) []byte {
	return []byte(strings.NewReplacer("&", "&amp;", "<", "&lt;", "'", "&apos;").Replace(s))
}

// RFC 6120 §7.6: the server makes resources, another one for each session.
func TestBindServerMade(t *testing.T) {
	h := newHouse(t, nil)
	seen := map[string]bool{}
	for _, resource := range []string{"", "", "<resource/>", "<resource></resource>"} {
		c := h.authenticated("romeo@example.com")
		jid, refusal := h.bind(c, resource)
		made, ok := strings.CutPrefix(jid, "romeo@example.com/")
		if !ok || len(made) < 16 || seen[made] {
			t.Fatalf("bound %q, refused with %q", jid, refusal)
		}
		seen[made] = true
		h.ping(c)
	}
	if n := h.srv.Sessions(); n != 4 {
		t.Errorf("%d sessions", n)
	}
}

// RFC 6120 §7.7.2.2: two streams want the same resource.
func TestConflict(t *testing.T) {
	h := newHouse(t, nil)
	old := map[string]*xmpptest.Client{}
	for _, host := range []string{"example.com", "kick-new.example", "random.example", "increment.example"} {
		old[host] = h.available("romeo@" + host + "/orchard")
	}

	t.Run("kick_old", func(t *testing.T) {
		watcher := h.available("romeo@example.com/chamber")
		h.expect(old["example.com"], "the watcher's presence", func(e xmpptest.Element) bool { return e.Attr("from") == watcher.JID })
		h.expect(watcher, "the old one's presence", is("presence", ""))
		c := h.authenticated("romeo@example.com")
		if jid, _ := h.bind(c, "<resource>orchard</resource>"); jid != "romeo@example.com/orchard" {
			t.Fatalf("bound %q", jid)
		}
		h.expectError(old["example.com"], "conflict")
		h.expect(watcher, "unavailable of the old one", is("presence", "unavailable"))
		// What the old one leaves behind does not touch the new one.
		h.send(watcher, "<message to='romeo@example.com/orchard' id='1'/>")
		h.expect(c, "a message", is("message", ""))
		h.send(c, "<presence/>")
		h.expect(watcher, "presence of the new one", is("presence", ""))
		h.nothing(watcher)
	})
	t.Run("kick_new", func(t *testing.T) {
		c := h.authenticated("romeo@kick-new.example")
		if jid, refusal := h.bind(c, "<resource>orchard</resource>"); refusal != "cancel/conflict" {
			t.Fatalf("bound %q, refused with %q", jid, refusal)
		}
		h.nothing(old["kick-new.example"])
		if jid, _ := h.bind(c, "<resource>chamber</resource>"); jid != "romeo@kick-new.example/chamber" {
			t.Errorf("bound %q", jid)
		}
		if jid, _ := h.bind(h.authenticated("romeo@kick-new.example"), ""); jid == "" {
			t.Error("no resource made")
		}
	})
	t.Run("random", func(t *testing.T) {
		c := h.authenticated("romeo@random.example")
		jid, refusal := h.bind(c, "<resource>orchard</resource>")
		if !strings.HasPrefix(jid, "romeo@random.example/") || jid == old["random.example"].JID {
			t.Fatalf("bound %q, refused with %q", jid, refusal)
		}
		h.nothing(old["random.example"])
	})
	t.Run("increment", func(t *testing.T) {
		first, second := h.authenticated("romeo@increment.example"), h.authenticated("romeo@increment.example")
		one, _ := h.bind(first, "<resource>orchard</resource>")
		two, _ := h.bind(second, "<resource>orchard</resource>")
		if one != "romeo@increment.example/orchard #1" || two != "romeo@increment.example/orchard #2" {
			t.Fatalf("bound %q and %q", one, two)
		}
		if err := first.Close(h.ctx()); err != nil {
			t.Fatal(err)
		}
		if again, _ := h.bind(h.authenticated("romeo@increment.example"), "<resource>orchard</resource>"); again != one {
			t.Errorf("bound %q", again)
		}
		h.nothing(old["increment.example"])
	})
}

// A resource that was replaced says nothing more, not even if its client does not take notice.
func TestConflictSilences(t *testing.T) {
	h := newNarrowHouse(t, func(c *xmppcore.Config) { c.Outbox.Hard = 64 << 20 })
	old, reader := h.login("romeo@example.com/orchard"), h.available("juliet@example.com/balcony")
	h.send(reader, strings.Repeat("<message to='romeo@example.com/orchard'><body>"+strings.Repeat("wherefore ", 1000)+"</body></message>", 100))
	h.ping(reader) // far more waits for the old one than the sockets hold, and it does not read
	fresh := h.login("romeo@example.com/orchard")
	h.send(old, "<message to='juliet@example.com/balcony' id='old'/>")
	h.send(fresh, "<message to='juliet@example.com/balcony' id='fresh'/>")
	if e := h.expect(reader, "a message", is("message", "")); e.Attr("id") != "fresh" {
		t.Errorf("got %s", e)
	}
	h.expectError(old, "conflict") // reads all that came before; the message was read and dropped by then
	h.nothing(reader)
}

// Who has been told its name can be found under it.
func TestBoundIsThere(t *testing.T) {
	var h *house
	var mu sync.Mutex
	told := map[addr.JID]bool{}
	h = newHouse(t, func(c *xmppcore.Config) {
		c.Tap = func(to addr.JID, _ []byte) { // one client after the other, and nothing else is written
			mu.Lock()
			defer mu.Unlock()
			told[to] = true
			if n := h.srv.Sessions(); n != len(told) {
				t.Errorf("%s is told, %d sessions are there", to, n)
			}
		}
	})
	for i := range 20 {
		h.login(fmt.Sprintf("romeo@example.com/%d", i))
	}
}

func TestMaxSessions(t *testing.T) {
	h := newHouse(t, nil)
	first := h.login("romeo@two.example/a")
	h.login("romeo@two.example/b")
	third := h.authenticated("romeo@two.example")
	if jid, refusal := h.bind(third, "<resource>c</resource>"); refusal != "wait/resource-constraint" {
		t.Fatalf("bound %q, refused with %q", jid, refusal)
	}
	if jid, refusal := h.bind(h.authenticated("juliet@two.example"), "<resource>c</resource>"); refusal != "" {
		t.Fatalf("another user bound %q, refused with %q", jid, refusal)
	}
	if jid, refusal := h.bind(h.authenticated("romeo@two.example"), "<resource>b</resource>"); refusal != "" {
		t.Fatalf("who replaces a session bound %q, refused with %q", jid, refusal)
	}
	if err := first.Close(h.ctx()); err != nil {
		t.Fatal(err)
	}
	if jid, refusal := h.bind(third, "<resource>c</resource>"); jid != "romeo@two.example/c" {
		t.Errorf("bound %q, refused with %q", jid, refusal)
	}
}

// The identity is that of SASL, whatever the stream header says.
func TestHeaderFromIsNoIdentity(t *testing.T) {
	h := newHouse(t, nil)
	c := h.connect("example.com")
	header := "<stream:stream from='juliet@example.com' to='example.com' version='1.0' xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>"
	h.send(c, header)
	err := errors.Join(c.Opened(h.ctx()), c.Authenticate(h.ctx(), "PLAIN", "romeo", password))
	h.send(c, header)
	if err = errors.Join(err, c.Opened(h.ctx()), c.Bind(h.ctx(), "x")); err != nil {
		t.Fatal(err)
	}
	if c.JID != "romeo@example.com/x" {
		t.Errorf("bound %s", c.JID)
	}
}

// What is sent along with the bind request is not lost, and the result of the bind comes first.
func TestPipelinedBehindBind(t *testing.T) {
	for name, change := range map[string]func(*xmppcore.Config){"plain": nil, "TLS": encrypted} {
		t.Run(name, func(t *testing.T) {
			h := newHouse(t, change)
			h.serveRoster("romeo@example.com", both("juliet@example.com"))
			c := h.connect("example.com")
			if err := c.Open(h.ctx()); err != nil {
				t.Fatal(err)
			}
			if h.tls {
				if err := errors.Join(c.StartTLS(h.ctx()), c.Open(h.ctx())); err != nil {
					t.Fatal(err)
				}
			}
			if err := errors.Join(c.Authenticate(h.ctx(), "PLAIN", "romeo", password), c.Open(h.ctx())); err != nil {
				t.Fatal(err)
			}
			h.send(c, "<iq type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><resource>x</resource></bind></iq>"+
				"<presence/><message to='romeo@example.com/x' id='m'/><iq type='get' id='r'><query xmlns='jabber:iq:roster'/></iq>")
			for _, want := range []string{"iq b", "presence ", "message m", "iq r"} {
				e, err := c.Next(h.ctx())
				if err != nil {
					t.Fatal(err)
				}
				if got := e.Name.Local + " " + e.Attr("id"); got != want {
					t.Errorf("got %q, want %q", got, want)
				}
			}
		})
	}
}

// xml:lang of the stream is that of the stanzas (RFC 6120 §8.1.5, §4.7.4), and prefixes of the stream header
// come along.
func TestHeaderInherited(t *testing.T) {
	h := newHouse(t, nil)
	juliet := h.login("juliet@example.com/balcony")
	c := h.connect("example.com")
	header := "<s:stream to='example.com' version='1.0' xml:lang='it' xmlns='jabber:client' xmlns:s='http://etherx.jabber.org/streams' xmlns:v='urn:verona'>"
	h.send(c, header)
	err := errors.Join(c.Opened(h.ctx()), c.Authenticate(h.ctx(), "PLAIN", "romeo", password))
	h.send(c, header)
	if err = errors.Join(err, c.Opened(h.ctx()), c.Bind(h.ctx(), "x")); err != nil {
		t.Fatal(err)
	}
	h.send(c, "<message to='juliet@example.com/balcony'><v:wall/></message>")
	e := h.expect(juliet, "a message", is("message", ""))
	if _, ok := e.Find("urn:verona", "wall"); !ok || e.Attr("xml:lang") != "it" {
		t.Errorf("got %s", e)
	}
}
