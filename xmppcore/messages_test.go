package xmppcore_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"rosterd/engine/addr"
	"rosterd/store"
	"rosterd/xmppcore"
	"rosterd/xmppcore/auth"
	"rosterd/xmppcore/xmpptest"
)

// roomy has letters.example keep more than its three messages.
func roomy(c *xmppcore.Config) {
	i := slices.IndexFunc(c.Hosts, func(h xmppcore.Host) bool { return h.Domain == "letters.example" })
	c.Hosts[i].Messages.Offline.Messages = 10_000
}

// Who comes and goes while somebody writes has each message once, whether it waited or not.
func TestOfflineMeanwhile(t *testing.T) {
	h := newHouse(t, roomy)
	juliet := h.login("juliet@letters.example/balcony")
	const messages = 300
	sent := make(chan error, 1)
	go func() {
		for i := range messages {
			if err := errors.Join(juliet.Send(h.ctx(), fmt.Sprintf("<message to='romeo@letters.example' type='chat' id='%d'><body>x</body></message>", i)), juliet.Ping(h.ctx())); err != nil {
				sent <- err
				return
			}
		}
		sent <- nil
	}()
	seen := map[string]int{}
	for len(seen) < messages {
		romeo := h.login("romeo@letters.example/orchard")
		h.send(romeo, "<presence/>")
		h.ping(romeo)
		h.send(romeo, "</stream:stream>")
		for {
			e, err := romeo.Next(h.ctx())
			if err == io.EOF {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			if e.Name.Local == "message" {
				seen[e.Attr("id")]++
			}
		}
	}
	if err := <-sent; err != nil {
		t.Fatal(err)
	}
	h.nothing(juliet)
	for id, n := range seen {
		if n != 1 {
			t.Errorf("message %s came %d times", id, n)
		}
	}
}

// slow are stores with a log that keeps an entry when it may.
type slow struct {
	store.Stores
	entered, release chan struct{}
}

func (s slow) Log(name string) store.Log { return slowLog{s.Stores.Log(name), s} }

type slowLog struct {
	store.Log
	slow slow
}

func (l slowLog) Append(ctx context.Context, user addr.Bare, e store.Entry) (string, error) {
	l.slow.entered <- struct{}{}
	<-l.slow.release
	return l.Log.Append(ctx, user, e)
}

// Who comes while a message is on its way to the store has it then, and not at the next login.
func TestOfflineNotForgotten(t *testing.T) {
	s := slow{newStores(t)("letters.example"), make(chan struct{}), make(chan struct{})}
	h := newHouse(t, func(c *xmppcore.Config) {
		c.Hosts = []xmppcore.Host{{Domain: "letters.example", Modules: []string{"offline"}, Stores: s}}
	})
	juliet := h.login("juliet@letters.example/balcony")
	h.send(juliet, "<message to='romeo@letters.example' type='chat' id='a'><body>x</body></message>")
	<-s.entered
	romeo := h.available("romeo@letters.example/orchard")
	close(s.release)
	h.expect(romeo, "what was on its way", func(e xmpptest.Element) bool { return e.Attr("id") == "a" })
}

// Of what a client does not take, nothing comes back: it waits for the next one.
func TestUndeliveredWaits(t *testing.T) {
	h := newNarrowHouse(t, func(c *xmppcore.Config) {
		roomy(c)
		c.Outbox.Soft, c.Outbox.Hard, c.Stream.WriteStall = 16<<10, 64<<10, time.Hour
	})
	romeo, juliet := h.login("romeo@letters.example/orchard"), h.available("juliet@letters.example/balcony")
	const messages = 200
	var burst strings.Builder
	for i := range messages {
		fmt.Fprintf(&burst, "<message to='juliet@letters.example/balcony' type='chat' id='m%d'><body>%s</body></message>", i, strings.Repeat("O ", 2000))
	}
	h.send(romeo, burst.String())
	h.ping(romeo) // all is handled: what she has not taken by now waits, or will when her stream is over
	arrived := map[string]bool{}
	take := func(c *xmpptest.Client) error {
		e, err := c.Next(h.ctx())
		if err == nil && e.Name.Local == "message" {
			arrived[e.Attr("id")] = true
		}
		return err
	}
	for take(juliet) == nil {
	}
	if len(arrived) == messages {
		t.Fatal("she has taken all")
	}
	again := h.login("juliet@letters.example/tomb")
	h.send(again, "<presence/>")
	for len(arrived) < messages {
		if err := take(again); err != nil {
			t.Fatalf("%d of %d have arrived: %v", len(arrived), messages, err)
		}
	}
	h.nothing(romeo)
}

// checker lets everybody in.
type checker struct{}

func (checker) CheckPassword(context.Context, addr.Bare, string) error { return nil }

// CheckToken takes the name for the token.
func (checker) CheckToken(_ context.Context, domain, token string) (addr.Bare, error) {
	return addr.NewBare(token, domain)
}

// Where somebody else checks passwords, messages wait for who has been here, also before a restart, and for nobody else.
func TestOfflineWhereNobodyKnows(t *testing.T) {
	t.Run("passwords", func(t *testing.T) {
		offlineWhereNobodyKnows(t, &auth.Host{Domain: "plugin.example", Passwords: checker{}})
	})
	t.Run("tokens", func(t *testing.T) {
		offlineWhereNobodyKnows(t, &auth.Host{Domain: "plugin.example", Tokens: checker{}})
	})
}

func offlineWhereNobodyKnows(t *testing.T, a *auth.Host) {
	h := newHouse(t, func(c *xmppcore.Config) {
		c.Hosts = []xmppcore.Host{{Domain: "plugin.example", Modules: []string{"offline"}, Auth: a}}
	})
	available := func(name string) *xmpptest.Client {
		t.Helper()
		c := h.connect("plugin.example")
		if err := c.Login(h.ctx(), name, name, "here"); err != nil {
			t.Fatal(err)
		}
		h.send(c, "<presence/>")
		h.expect(c, "its own presence", func(e xmpptest.Element) bool { return e.Attr("from") == c.JID })
		return c
	}
	available("romeo").Close(h.ctx())
	h.restart()
	juliet := available("juliet")
	h.send(juliet, "<message to='nobody@plugin.example' id='a'><body>x</body></message><message to='romeo@plugin.example' id='b'><body>x</body></message>")
	if e := h.expect(juliet, "an error", is("message", "error")); e.Attr("id") != "a" {
		t.Errorf("got %s", e)
	}
	h.nothing(juliet)
	romeo := available("romeo")
	h.expect(romeo, "what waited", func(e xmpptest.Element) bool { return e.Attr("id") == "b" })
}
