package xmppcore_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"rosterd/engine/addr"
	"rosterd/engine/roster"
	"rosterd/xmppcore"
	"rosterd/xmppcore/xmpptest"
)

// What a strict parser would refuse ends the stream of who sent it, with an error that says so. Nobody else sees a
// byte of it.
func TestBadXML(t *testing.T) {
	to := func(rest string) string { return "<message to='juliet@example.com/balcony'>" + rest }
	attributes := func(n int) (s string) {
		for i := range n {
			s += fmt.Sprintf(" a%d='%d'", i, i)
		}
		return s
	}
	for _, c := range []struct{ name, send, condition string }{
		{"comment", to("<body>a</body><!-- b -->"), "restricted-xml"},
		{"processing instruction", to("<?php ?>"), "restricted-xml"},
		{"DTD", "<!DOCTYPE a [<!ENTITY b 'c'>]>" + to("<body>&b;</body></message>"), "restricted-xml"},
		{"entity of one's own", to("<body>&lol;"), "restricted-xml"},
		{"character that XML does not have", to("<body>&#0;"), "not-well-formed"},
		{"control character", to("<body>\x01"), "not-well-formed"},
		{"not UTF-8", to("<body>\xff\xfe"), "not-well-formed"},
		{"surrogate in UTF-8", to("<body>\xed\xa0\x80"), "not-well-formed"},
		{"attribute twice", to("<x a='1' a='2'/>"), "not-well-formed"},
		{"attribute twice, of the stanza", "<message to='juliet@example.com/balcony' to='juliet@example.com/balcony'/>", "not-well-formed"},
		{"attribute twice, by two prefixes of one namespace", to("<x xmlns:p='u' xmlns:q='u' p:a='1' q:a='2'/>"), "not-well-formed"},
		{"prefix that stands for nothing", to("<p:x/>"), "bad-namespace-prefix"},
		{"prefix that stands for nothing, of an attribute", to("<x p:a='1'/>"), "bad-namespace-prefix"},
		{"prefix of a former element", to("<x xmlns:p='u'/><p:y/>"), "bad-namespace-prefix"},
		{"wrong end tag", to("<body>a</subject>"), "not-well-formed"},
		{"end tag of nothing", "</message>", "not-well-formed"},
		{"attribute without quotes", to("<x a=1/>"), "not-well-formed"},
		{"< in an attribute", to("<x a='<'/>"), "not-well-formed"},
		{"bare ampersand", to("<body>a & b"), "not-well-formed"},
		{"end of a CDATA section that did not begin", to("<body>]]></body>"), "not-well-formed"},
		{"text between stanzas", "hello", "bad-format"},
		{"HTTP", "GET / HTTP/1.1\r\n\r\n", "bad-format"},
		{"end of the message, end of the stream, and a message", to("<body>a</stream:stream>"), "not-well-formed"},
		{"second stream header", "<stream:stream to='example.com' xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>" + to("</message>"), "bad-format"},
		{"too large", to("<body>" + strings.Repeat("a", 20_000)), "policy-violation"},
		{"too large, an attribute", "<message to='juliet@example.com/balcony' id='" + strings.Repeat("a", 20_000), "policy-violation"},
		{"too large, a name", "<" + strings.Repeat("a", 20_000), "policy-violation"},
		{"too deep", to(strings.Repeat("<a>", 100)), "policy-violation"},
		{"too many attributes", to("<x" + attributes(100)), "policy-violation"},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := newHouse(t, func(c *xmppcore.Config) { c.Stream.Stanza = 10_000 })
			h.serveRoster("romeo@example.com", both("nurse@example.com"))
			h.serveRoster("nurse@example.com", both("romeo@example.com"))
			juliet, nurse := h.login("juliet@example.com/balcony"), h.available("nurse@example.com/house")
			romeo := h.available("romeo@example.com/orchard")
			h.expect(nurse, "romeo's presence", is("presence", ""))
			h.send(romeo, "<message to='juliet@example.com/balcony' id='before'/>"+c.send)
			h.expectError(romeo, c.condition)
			h.expect(nurse, "romeo to be unavailable", is("presence", "unavailable"))
			h.expect(juliet, "what was sent before", func(e xmpptest.Element) bool { return e.Attr("id") == "before" })
			h.nothing(juliet)
		})
	}
}

// A stanza comes whole or not at all, and nobody waits for the rest of it.
func TestHalfAStanza(t *testing.T) {
	h := newHouse(t, nil)
	romeo, nurse, juliet := h.login("romeo@example.com/orchard"), h.login("nurse@example.com/house"), h.login("juliet@example.com/balcony")
	h.send(romeo, "<message to='juliet@example.com/balcony' id='1'><body>What light through ")
	h.send(nurse, "<message to='juliet@example.com/balcony' id='2'/><message to='romeo@example.com/orchard' id='3'/>")
	if e := h.expect(juliet, "a message", is("message", "")); e.Attr("id") != "2" {
		t.Errorf("got %s", e)
	}
	h.expect(romeo, "a message", is("message", ""))
	h.nothing(juliet)
	h.send(romeo, "yonder window breaks?</body></message>")
	if e := h.expect(juliet, "a message", is("message", "")); e.Attr("id") != "1" {
		t.Errorf("got %s", e)
	}
	h.send(romeo, "<message to='juliet@example.com/balcony'><bo")
	romeo.Disconnect()
	h.nothing(juliet)
}

// A client that stops reading is closed once too much waits for it, and only that one: who sends to it and who is
// sent to beside it notice nothing but that it is gone.
func TestOutboxHardLimit(t *testing.T) {
	for name, change := range map[string]func(*xmppcore.Config){"plain": nil, "TLS": encrypted} {
		t.Run(name, func(t *testing.T) {
			h := newNarrowHouse(t, func(c *xmppcore.Config) {
				c.Outbox.Hard, c.Stream.WriteStall = 64<<10, time.Hour
				if change != nil {
					change(c)
				}
			})
			h.serveRoster("juliet@example.com", both("nurse@example.com"))
			h.serveRoster("nurse@example.com", both("juliet@example.com"))
			nurse, romeo, friar := h.available("nurse@example.com/house"), h.login("romeo@example.com/orchard"), h.available("friar@example.com/cell")
			juliet := h.available("juliet@example.com/balcony")
			h.expect(nurse, "juliet's presence", is("presence", ""))
			stuck := "<message to='juliet@example.com/balcony' id='to juliet'><body>" + strings.Repeat("O ", 2000) + "</body></message>"
			refused := func(e xmpptest.Element) bool { return is("message", "error")(e) && e.Attr("id") == "to juliet" }
			for gone := false; !gone; {
				h.send(romeo, strings.Repeat(stuck, 5)+"<message to='friar@example.com' id='to the friar'/>")
				h.ping(romeo)
				h.expect(friar, "a message", is("message", ""))
				_, err := romeo.Expect(received, "an error", refused)
				gone = err == nil
			}
			h.expect(nurse, "juliet to be unavailable", is("presence", "unavailable"))
			h.ping(romeo)
			h.ping(friar)
			if err := juliet.End(h.ctx()); err == nil {
				t.Error("juliet's stream ended as if nothing had happened")
			}
			back := h.login("juliet@example.com/balcony")
			h.send(romeo, "<message to='juliet@example.com/balcony' id='again'/>")
			h.expect(back, "a message", is("message", ""))
		})
	}
}

// received is over already: with it, Expect looks only at what has come.
var received = func() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}()

// While a client does not take what it has asked for, no more is read from it; what waits never grows beyond what
// would close its stream, and when it reads, everything is there.
func TestOutboxSoftLimit(t *testing.T) {
	h := newNarrowHouse(t, func(c *xmppcore.Config) {
		c.Outbox.Soft, c.Outbox.Hard, c.Outbox.Own = 16<<10, 64<<10, 64<<10
		c.Stream.WriteStall = time.Hour
	})
	nc, err := h.dial(h.ctx())
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	c := xmpptest.New(nc, "example.com")
	if err := c.Login(h.ctx(), "romeo", password, "orchard"); err != nil {
		t.Fatal(err)
	}
	var asked strings.Builder
	const pings = 30_000
	for i := range pings {
		fmt.Fprintf(&asked, "<iq type='get' id='%d' to='example.com'><ping xmlns='urn:xmpp:ping'/></iq>", i)
	}
	rest := writeUntilStuck(t, nc, asked.String())
	sent := make(chan error, 1)
	go func() { _, err := nc.Write([]byte(rest)); sent <- err }()
	for i := range pings {
		e, err := c.Next(h.ctx())
		if err != nil {
			t.Fatalf("answer %d: %v", i, err)
		}
		if e.Attr("id") != fmt.Sprint(i) || e.Attr("type") != "result" {
			t.Fatalf("answer %d is %s", i, e)
		}
	}
	if err := <-sent; err != nil {
		t.Fatal(err)
	}
	h.nothing(c)
}

// writeUntilStuck writes until the other side takes no more, and returns what it has not taken.
func writeUntilStuck(t *testing.T, nc net.Conn, text string) (rest string) {
	defer nc.SetWriteDeadline(time.Time{})
	for text != "" {
		nc.SetWriteDeadline(time.Now().Add(100 * time.Millisecond)) // a slow machine gets stuck earlier, which does not matter
		n, err := nc.Write([]byte(text))
		text = text[n:]
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return text
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	t.Fatal("all was read, although nothing of the answers was")
	return ""
}

// A client that takes nothing for too long is closed, however little waits for it.
func TestWriteStall(t *testing.T) {
	h := newNarrowHouse(t, func(c *xmppcore.Config) { c.Stream.WriteStall = 100 * time.Millisecond })
	h.serveRoster("juliet@example.com", both("nurse@example.com"))
	h.serveRoster("nurse@example.com", both("juliet@example.com"))
	nurse, romeo := h.available("nurse@example.com/house"), h.login("romeo@example.com/orchard")
	h.available("juliet@example.com/balcony")
	h.expect(nurse, "juliet's presence", is("presence", ""))
	h.send(romeo, strings.Repeat("<message to='juliet@example.com/balcony'><body>"+strings.Repeat("O ", 2000)+"</body></message>", 250)) // under the hard limit
	h.expect(nurse, "juliet to be unavailable", is("presence", "unavailable"))
	h.ping(romeo)
}

// A large roster and a large change of it reach a client that reads when it gets round to it: what the server owes
// is no reason to close its stream, nor is a message that comes on top of it.
func TestLargeRoster(t *testing.T) {
	h := newNarrowHouse(t, func(c *xmppcore.Config) { c.Outbox.Soft, c.Outbox.Hard = 16<<10, 64<<10 })
	const contacts, changed = 10_000, 3000
	items := make([]roster.Item, contacts)
	for i := range items {
		items[i] = roster.Item{JID: addr.MustBare(fmt.Sprintf("c%05d@example.com", i)), Name: fmt.Sprint("Contact ", i), Subscription: roster.Both, Groups: []string{"Everybody"}}
	}
	h.serveRoster("romeo@example.com", items...)
	h.serveRoster("c00001@example.com", both("romeo@example.com"))
	friend := h.available("c00001@example.com/x")
	romeo := h.login("romeo@example.com/orchard")
	h.send(romeo, "<presence/><iq type='get' id='r'><query xmlns='jabber:iq:roster' ver=''/></iq>")
	h.expect(friend, "romeo's presence", is("presence", ""))
	h.send(friend, "<message to='romeo@example.com' id='1'/>")
	h.ping(friend)
	h.expect(romeo, "the message", is("message", ""))
	result := h.expect(romeo, "the roster", func(e xmpptest.Element) bool { return e.Attr("id") == "r" })
	if n := len(xmpptest.Items(result)); n != contacts {
		t.Fatalf("%d contacts", n)
	}

	next := append([]roster.Item(nil), items[changed:]...) // the first go, the last are renamed
	for i := range next[len(next)-changed:] {
		next[len(next)-1-i].Name += " II"
	}
	h.serveRoster("romeo@example.com", next...)
	if err := h.refresh(h.ctx(), "romeo@example.com"); err != nil {
		t.Fatal(err)
	}
	h.expect(friend, "romeo to be unavailable", is("presence", "unavailable"))
	h.send(friend, "<message to='romeo@example.com/orchard' id='2'/>")
	h.ping(friend)
	for i := range 2 * changed {
		push, err := romeo.ExpectPush(h.ctx())
		if err != nil {
			t.Fatalf("push %d: %v", i, err)
		}
		if removed := push[0].Subscription == "remove"; len(push) != 1 || removed != (i >= changed) {
			t.Fatalf("push %d is %v", i, push)
		}
	}
	h.expect(romeo, "the message", is("message", ""))
	list, _ := roster.New(addr.MustBare("romeo@example.com"), next...)
	answer, err := romeo.IQ(h.ctx(), "get", "", "<query xmlns='jabber:iq:roster' ver='"+list.Version()+"'/>")
	if err != nil || len(answer.Children) > 0 {
		t.Fatalf("%v, got %.200s", err, answer)
	}
}

// A client that asks for its roster again and again while there is none is told to wait.
func TestManyRosterGets(t *testing.T) {
	h := newHouse(t, nil)
	gate := make(chan struct{})
	h.mu.Lock()
	h.gates[addr.MustBare("romeo@example.com")] = gate
	h.mu.Unlock()
	romeo := h.login("romeo@example.com/orchard")
	for i := range 100 {
		h.send(romeo, fmt.Sprintf("<iq type='get' id='%d'><query xmlns='jabber:iq:roster'/></iq>", i))
	}
	for range 90 {
		e := h.expect(romeo, "a refusal", is("iq", "error"))
		if _, ok := e.Path("error", "resource-constraint"); !ok {
			t.Fatalf("got %s", e)
		}
	}
	h.nothing(romeo)
	close(gate)
	for range 10 {
		h.expect(romeo, "a roster", is("iq", "result"))
	}
	h.nothing(romeo)
}

// Directed presence is remembered for so many addresses; more are refused, and those remembered are told.
func TestManyDirectedPresences(t *testing.T) {
	h := newHouse(t, nil)
	romeo, juliet := h.login("romeo@example.com/orchard"), h.login("juliet@example.com/balcony")
	var b strings.Builder
	for i := range 999 {
		fmt.Fprintf(&b, "<presence to='nobody%d@example.com'/>", i)
	}
	h.send(romeo, b.String()+"<presence to='juliet@example.com/balcony'/><presence to='one@example.com' id='too many'/><presence to='nobody1@example.com'/>")
	h.expect(juliet, "presence", is("presence", ""))
	e := h.expect(romeo, "a refusal", is("presence", "error"))
	if _, ok := e.Path("error", "resource-constraint"); !ok || e.Attr("id") != "too many" {
		t.Fatalf("got %s", e)
	}
	h.nothing(romeo)
	h.send(romeo, "<presence to='nobody1@example.com' type='unavailable'/><presence to='one@example.com'/>")
	h.nothing(romeo)
	romeo.Disconnect()
	h.expect(juliet, "unavailable", is("presence", "unavailable"))
}

// Shutdown ends every stream with system-shutdown, behind all that was queued for it.
func TestShutdown(t *testing.T) {
	h := newNarrowHouse(t, nil)
	romeo, juliet := h.login("romeo@example.com/orchard"), h.login("juliet@example.com/balcony")
	const messages = 200
	h.send(romeo, strings.Repeat("<message to='juliet@example.com/balcony'><body>"+strings.Repeat("O ", 1000)+"</body></message>", messages))
	h.ping(romeo)
	done := make(chan error, 1)
	ctx := h.ctx()
	go func() { done <- h.srv.Shutdown(ctx) }()
	h.expectError(romeo, "system-shutdown")
	romeo.Disconnect()
	for i := range messages {
		if _, err := juliet.Expect(h.ctx(), "a message", is("message", "")); err != nil {
			t.Fatalf("message %d: %v", i, err)
		}
	}
	h.expectError(juliet, "system-shutdown")
	juliet.Disconnect()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if _, err := h.dial(ctx); err == nil {
		t.Error("still listening")
	}
}

// What waits for a client is written to it after it has ended its stream, and Shutdown waits for that.
func TestShutdownAfterTheClient(t *testing.T) {
	h := newNarrowHouse(t, nil)
	romeo, juliet := h.login("romeo@example.com/orchard"), h.login("juliet@example.com/balcony")
	const messages = 200
	h.send(romeo, strings.Repeat("<message to='juliet@example.com/balcony'><body>"+strings.Repeat("O ", 1000)+"</body></message>", messages))
	h.ping(romeo)
	h.send(juliet, "</stream:stream>")
	h.send(romeo, "<message to='juliet@example.com/balcony' id='late'/>")
	done := make(chan error, 1)
	ctx := h.ctx()
	go func() { done <- h.srv.Shutdown(ctx) }()
	h.expectError(romeo, "system-shutdown")
	romeo.Disconnect()
	for i := range messages {
		if _, err := juliet.Expect(h.ctx(), "a message", is("message", "")); err != nil {
			t.Fatalf("message %d: %v", i, err)
		}
	}
	if err := juliet.End(h.ctx()); err != nil {
		t.Fatal(err)
	}
	juliet.Disconnect()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}
