package xmppcore_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"rosterd/xmppcore"
	"rosterd/xmppcore/xmpptest"
)

// Who sends faster than the other reads is slowed down to that: a burst of many times the outbox comes through to a
// client that reads, whole and in order.
func TestBurst(t *testing.T) {
	h := newHouse(t, func(c *xmppcore.Config) { c.Outbox.Soft, c.Outbox.Hard = 16<<10, 64<<10 })
	romeo, juliet := h.login("romeo@example.com/orchard"), h.available("juliet@example.com/balcony")
	const messages = 2000
	var burst strings.Builder
	for i := range messages {
		fmt.Fprintf(&burst, "<message to='juliet@example.com/balcony' id='%d'><body>%s</body></message>", i, strings.Repeat("O ", 1000))
	}
	go romeo.Send(h.ctx(), burst.String()) // more than a socket takes at once
	for i := range messages {
		e := h.expect(juliet, "a message", is("message", ""))
		if e.Attr("id") != fmt.Sprint(i) {
			t.Fatalf("message %s came where %d was due", e.Attr("id"), i)
		}
	}
}

// Of what a client does not take, nothing is lost without a word.
func TestUndelivered(t *testing.T) {
	h := newNarrowHouse(t, func(c *xmppcore.Config) {
		c.Outbox.Soft, c.Outbox.Hard, c.Stream.WriteStall = 16<<10, 64<<10, time.Hour
	})
	romeo, juliet := h.login("romeo@example.com/orchard"), h.available("juliet@example.com/balcony")
	const messages = 200
	var burst strings.Builder
	for i := range messages {
		fmt.Fprintf(&burst, "<message to='juliet@example.com/balcony' type='chat' id='m%d'><body>%s</body></message>", i, strings.Repeat("O ", 2000))
	}
	go romeo.Send(h.ctx(), burst.String())
	told := map[string]bool{}
	bounced := func(e xmpptest.Element) bool { return is("message", "error")(e) }
	last := fmt.Sprint("m", messages-1)
	for !told[last] { // what comes after juliet's end bounces at once; what waited for her, when she is gone
		told[h.expect(romeo, "a bounce", bounced).Attr("id")] = true
	}
	h.ping(romeo)
	arrived := map[string]bool{}
	for {
		e, err := juliet.Next(h.ctx())
		if err != nil {
			break
		}
		arrived[e.Attr("id")] = true
	}
	for _, e := range drain(h, romeo) {
		told[e.Attr("id")] = true
	}
	for i := range messages {
		if id := fmt.Sprint("m", i); !arrived[id] && !told[id] {
			t.Errorf("message %s neither arrived nor bounced", id)
		}
	}
}

// drain takes what has come.
func drain(h *house, c *xmpptest.Client) (list []xmpptest.Element) {
	h.ping(c)
	for {
		e, err := c.Expect(received, "anything", func(xmpptest.Element) bool { return true })
		if err != nil {
			return list
		}
		list = append(list, e)
	}
}
