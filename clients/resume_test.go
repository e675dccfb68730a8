//go:build clients

package clients

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"testing"
)

// TestResume: a user with slixmpp whose connection is cut, time and again, misses nothing.
func TestResume(t *testing.T) {
	t.Parallel()
	h := open(t, cast())
	h.story(t, "resume.py", strconv.Itoa(h.c2s), password)
	if n := len(h.log.find("msg=resumed", "user="+romeo)); n != 3 {
		t.Errorf("%d resumptions", n)
	}
}

// TestResumeElsewhere: a user with @xmpp/client goes from one transport to another, and nothing is missed or comes twice.
func TestResumeElsewhere(t *testing.T) {
	t.Parallel()
	h := open(t, cast())
	ctx, cancel := context.WithTimeout(t.Context(), 2*atMost)
	defer cancel()
	xmppjs := library("xmppjs.js", webSocket)(t, h).(*script)
	r := stage{t, ctx, xmppjs}
	r.sees("Capulets / Juliet: offline", "Montagues / Benvolio: offline", "Montagues / Mercutio: offline")
	j := h.enter(t, ctx, "juliet")
	j.send("<presence/>")
	j.presence(romeo, "")
	var want []struct{ Name, Text string }
	say := func(format string, args ...any) {
		t.Helper()
		text := fmt.Sprintf(format, args...)
		j.send("<message to='%s' type='chat'><body>%s</body></message>", romeo, text)
		want = append(want, struct{ Name, Text string }{"Juliet", text})
	}
	for n, service := range []string{"xmpp://" + h.address(h.c2s), "xmpps://" + h.address(h.direct), webSocket(h)} {
		say("before gap %d", n)
		r.hears("Juliet", fmt.Sprintf("before gap %d", n))
		r.must(xmppjs.do(ctx, "cut", nil))
		say("in gap %d", n)
		_, err := j.IQ(ctx, "get", domain, "<ping xmlns='urn:xmpp:ping'/>") // what was said has been handled
		must(t, err)
		r.must(xmppjs.do(ctx, "resume", map[string]any{"service": service}))
		say("after gap %d", n)
		r.hears("Juliet", fmt.Sprintf("after gap %d", n))
		r.must(xmppjs.says(ctx, juliet, fmt.Sprintf("heard it %d", n)))
		j.message(romeo, fmt.Sprintf("heard it %d", n))
	}
	xmppjs.mu.Lock()
	got := xmppjs.last.Messages
	xmppjs.mu.Unlock()
	if !slices.Equal(got, want) {
		t.Errorf("heard %v, want %v", got, want)
	}
	if n := len(h.log.find("msg=resumed", "user="+romeo)); n != 3 {
		t.Errorf("%d resumptions", n)
	}
	r.must(xmppjs.leave(ctx))
	j.presence(romeo, "unavailable")
}
