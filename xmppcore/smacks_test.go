package xmppcore_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"testing"
	"time"

	"rosterd/engine/addr"
	"rosterd/xmppcore"
	"rosterd/xmppcore/session"
	"rosterd/xmppcore/xmpptest"
)

const nsManaged = "urn:xmpp:sm:3"

func named(name string) func(xmpptest.Element) bool {
	return func(e xmpptest.Element) bool { return e.Is(nsManaged, name) }
}

// managing makes the house manage streams in its own way.
func managing(t testing.TB, m xmppcore.StreamManagement) *house {
	return newHouse(t, func(c *xmppcore.Config) {
		for i := range c.Hosts {
			if c.Hosts[i].Domain == "managed.example" {
				c.Hosts[i].Management = &m
			}
		}
	})
}

// managed is a client whose session can be resumed.
func (h *house) managed(c *xmpptest.Client) (id string) {
	h.t.Helper()
	h.send(c, "<enable xmlns='"+nsManaged+"' resume='true'/>")
	return h.expect(c, "enabled", named("enabled")).Attr("id")
}

// resume is the same client in another stream.
func (h *house) resume(nc net.Conn, id string, handled int) *xmpptest.Client {
	h.t.Helper()
	c := xmpptest.New(nc, "managed.example")
	h.t.Cleanup(func() { c.Disconnect() })
	if err := c.Enter(h.ctx(), "romeo", password); err != nil {
		h.t.Fatal(err)
	}
	if _, ok := c.Features.Find(nsManaged, "sm"); !ok {
		h.t.Fatal("not offered")
	}
	h.send(c, fmt.Sprintf("<resume xmlns='%s' previd='%s' h='%d'/>", nsManaged, id, handled))
	c.JID = "romeo@managed.example/orchard"
	if e, err := c.Next(h.ctx()); err != nil || !e.Is(nsManaged, "resumed") || e.Attr("previd") != id {
		h.t.Fatalf("not resumed: %s: %v", e, err)
	}
	return c
}

// A session wanders from one way in to another, and misses nothing.
func TestResumeAcrossTransports(t *testing.T) {
	h := newHouse(t, nil)
	juliet := h.login("juliet@managed.example/balcony")
	ways := []struct {
		name string
		dial func(context.Context) (net.Conn, error)
	}{
		{"tcp", h.dial}, {"websocket", overWebSocket(h)}, {"bosh", overBOSH(h)}, {"tcp in TLS", overTLS(h)}, {"websocket in TLS", overSecureWebSocket(h)},
	}
	romeo := h.login("romeo@managed.example/orchard")
	id, got, sent := h.managed(romeo), 0, 0
	for range 2 {
		for _, w := range ways {
			h.send(juliet, fmt.Sprintf("<message to='romeo@managed.example/orchard' id='%d'/>", sent))
			sent++
			h.ping(juliet)
			romeo.Disconnect()
			h.send(juliet, fmt.Sprintf("<message to='romeo@managed.example/orchard' id='%d'/>", sent))
			sent++
			h.ping(juliet)
			nc, err := w.dial(h.ctx())
			if err != nil {
				t.Fatal(err)
			}
			romeo = h.resume(nc, id, got)
			for ; got < sent; got++ {
				if e, err := romeo.Next(h.ctx()); err != nil || e.Attr("id") != fmt.Sprint(got) {
					t.Fatalf("%s: message %d: %s: %v", w.name, got, e, err)
				}
			}
		}
	}
}

// Whoever does not come back is unavailable then, and what was not taken goes back.
func TestNotResumedInTime(t *testing.T) {
	h := managing(t, xmppcore.StreamManagement{Management: session.Management{Hibernation: 50 * time.Millisecond}})
	h.serveRoster("romeo@managed.example", both("juliet@managed.example"))
	h.serveRoster("juliet@managed.example", both("romeo@managed.example"))
	juliet, romeo := h.available("juliet@managed.example/balcony"), h.available("romeo@managed.example/orchard")
	id := h.managed(romeo)
	h.send(juliet, "<message to='romeo@managed.example/orchard' id='1'/>")
	h.expect(romeo, "the message", func(e xmpptest.Element) bool { return e.Attr("id") == "1" })
	romeo.Disconnect()
	h.expect(juliet, "romeo's leaving", func(e xmpptest.Element) bool {
		return e.Name.Local == "presence" && e.Attr("type") == "unavailable" && e.Attr("from") == "romeo@managed.example/orchard"
	})
	h.expect(juliet, "the message, returned", func(e xmpptest.Element) bool { return e.Attr("type") == "error" && e.Attr("id") == "1" })
	late := xmpptest.New(h.tcp(), "managed.example")
	if err := late.Enter(h.ctx(), "romeo", password); err != nil {
		t.Fatal(err)
	}
	h.send(late, "<resume xmlns='"+nsManaged+"' previd='"+id+"' h='1'/>")
	h.expect(late, "the refusal", named("failed"))
}

// RFC 6120 §7.7.2.2: whoever binds the resource of a session that waits ends it.
func TestConflictWithHibernating(t *testing.T) {
	h := newHouse(t, nil)
	juliet, romeo := h.login("juliet@managed.example/balcony"), h.login("romeo@managed.example/orchard")
	id := h.managed(romeo)
	romeo.Disconnect()
	h.settled("orchard")
	h.send(juliet, "<message to='romeo@managed.example/orchard' id='1'/>")
	h.nothing(juliet)
	h.login("romeo@managed.example/orchard")
	h.expect(juliet, "the message, returned", func(e xmpptest.Element) bool { return e.Attr("type") == "error" && e.Attr("id") == "1" })
	late := xmpptest.New(h.tcp(), "managed.example")
	if err := late.Enter(h.ctx(), "romeo", password); err != nil {
		t.Fatal(err)
	}
	h.send(late, "<resume xmlns='"+nsManaged+"' previd='"+id+"' h='0'/>")
	h.expect(late, "the refusal", named("failed"))
}

// What a session had that is over goes to who has come since, and not again to who has it.
func TestMissedByWhoCameLater(t *testing.T) {
	h := newHouse(t, func(c *xmppcore.Config) {
		for i := range c.Hosts {
			if c.Hosts[i].Domain == "managed.example" {
				c.Hosts[i].Modules = append(c.Hosts[i].Modules, "offline")
			}
		}
	})
	juliet, phone := h.login("juliet@managed.example/balcony"), h.available("romeo@managed.example/phone")
	h.managed(phone)
	phone.Disconnect()
	h.settled("phone")
	h.send(juliet, "<message to='romeo@managed.example' type='chat' id='1'><body>O</body></message>")
	h.ping(juliet)
	desk := h.available("romeo@managed.example/desk")
	h.expect(desk, "the phone's presence", func(e xmpptest.Element) bool { return e.Attr("from") == "romeo@managed.example/phone" })
	h.send(juliet, "<message to='romeo@managed.example' type='chat' id='2'><body>Romeo</body></message>")
	h.expect(desk, "the second message", func(e xmpptest.Element) bool { return e.Attr("id") == "2" })
	h.login("romeo@managed.example/phone")
	e := h.expect(desk, "the first message", func(e xmpptest.Element) bool { return e.Attr("id") == "1" })
	if _, ok := e.Find("urn:xmpp:delay", "delay"); !ok {
		t.Errorf("does not say when it came: %s", e)
	}
	h.expect(desk, "the end of the phone", is("presence", "unavailable"))
	h.nothing(desk)
	h.nothing(juliet)
}

// XEP-0198 §5: of a session that is over the client learns how much was handled, also from another server.
func TestOldSessions(t *testing.T) {
	h := managing(t, xmppcore.StreamManagement{Management: session.Management{Hibernation: time.Hour}, Hibernated: 1, Old: 2})
	refused := func(id, handled string) {
		t.Helper()
		c := xmpptest.New(h.tcp(), "managed.example")
		if err := c.Enter(h.ctx(), "romeo", password); err != nil {
			t.Fatal(err)
		}
		h.send(c, "<resume xmlns='"+nsManaged+"' previd='"+id+"' h='0'/>")
		e := h.expect(c, "the refusal", named("failed"))
		if _, ok := e.Find("urn:ietf:params:xml:ns:xmpp-stanzas", "item-not-found"); !ok || e.Attr("h") != handled {
			t.Errorf("refused with %s, want h='%s'", e, handled)
		}
	}
	var ids []string
	for n := range 4 {
		c := h.login(fmt.Sprintf("romeo@managed.example/%d", n))
		ids = append(ids, h.managed(c))
		for range n {
			h.ping(c)
		}
		if n == 3 {
			break // ends with the server
		}
		c.Disconnect()
		h.until("only that waits", func() bool {
			v := h.srv.View(addr.MustBare("romeo@managed.example"))[0].Resources
			return len(v) == 1 && v[0].Resource == fmt.Sprint(n) && !v[0].Hibernating.IsZero()
		})
	}
	h.restart()
	refused(ids[3], "3")
	refused(ids[2], "2")
	refused(ids[0], "") // long forgotten
	refused("unknown", "")
}

func (h *house) tcp() net.Conn {
	h.t.Helper()
	nc, err := h.dial(h.ctx())
	if err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(func() { nc.Close() })
	return nc
}

// Sessions that wait do not keep their user from logging in, and no more than a few wait.
func TestHibernatingSessionsAreFew(t *testing.T) {
	m := xmppcore.StreamManagement{Management: session.Management{Hibernation: time.Hour}, Hibernated: 2}
	h := newHouse(t, func(c *xmppcore.Config) {
		for i := range c.Hosts {
			if c.Hosts[i].Domain == "managed.example" {
				c.Hosts[i].Management, c.Hosts[i].MaxSessions = &m, 3
			}
		}
	})
	watcher := h.available("romeo@managed.example/watcher")
	gone := func(resource string) {
		t.Helper()
		e := h.expect(watcher, "somebody's leaving", is("presence", "unavailable"))
		if e.Attr("from") != "romeo@managed.example/"+resource {
			t.Errorf("%s has left, not %s", e.Attr("from"), resource)
		}
	}
	vanish := func(resource string) {
		c := h.available("romeo@managed.example/" + resource)
		h.managed(c)
		c.Disconnect()
		h.until("it waits", func() bool {
			return h.srv.Stats().Sessions[xmppcore.Kind{Host: "managed.example", Transport: "hibernating"}] > 0
		})
		h.settled(resource)
	}
	vanish("1")
	vanish("2")
	vanish("3") // the third session of three
	gone("1")
	h.login("romeo@managed.example/4") // the fourth
	gone("2")
}

// settled waits until a session hibernates.
func (h *house) settled(resource string) {
	h.until(resource+" waits", func() bool {
		v := h.srv.View(addr.MustBare("romeo@managed.example"))[0]
		for _, r := range v.Resources {
			if r.Resource == resource {
				return !r.Hibernating.IsZero()
			}
		}
		return true
	})
}

// until waits for what nobody tells.
func (h *house) until(what string, done func() bool) {
	h.t.Helper()
	for ctx := h.ctx(); !done(); {
		select {
		case <-ctx.Done():
			h.t.Fatal(errors.New("not in time: " + what))
		case <-time.After(time.Millisecond):
		}
	}
}
