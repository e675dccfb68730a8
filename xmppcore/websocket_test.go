package xmppcore_test

import (
	"context"
	"errors"
	"sync"
	"testing"

	"rosterd/xmppcore"
	"rosterd/xmppcore/stream"
	"rosterd/xmppcore/xmpptest"
)

// Shutdown waits for streams that WebSockets carry, those that are negotiated and those that are bound; all are
// told.
func TestWebSocketShutdown(t *testing.T) {
	h := newHouse(t, nil)
	dial := overWebSocket(h)
	connect := func() *xmpptest.Client {
		nc, err := dial(h.ctx())
		if err != nil {
			t.Fatal(err)
		}
		c := xmpptest.New(nc, "example.com")
		t.Cleanup(func() { c.Disconnect() })
		return c
	}
	negotiating := connect()
	if err := negotiating.Open(h.ctx()); err != nil {
		t.Fatal(err)
	}
	bound := connect()
	if err := bound.Login(h.ctx(), "romeo", password, "orchard"); err != nil {
		t.Fatal(err)
	}
	var told sync.WaitGroup
	told.Go(func() { h.expectError(negotiating, "system-shutdown") })
	told.Go(func() { h.expectError(bound, "system-shutdown") })
	if err := h.srv.Shutdown(h.ctx()); err != nil {
		t.Error(err)
	}
	told.Wait()
	nc, err := dial(h.ctx())
	if err != nil {
		t.Fatal(err)
	}
	if err := xmpptest.New(nc, "example.com").Open(h.ctx()); err == nil {
		t.Error("a stream was opened after Shutdown")
	}
	if err := nc.Close(); err != nil {
		t.Log(err)
	}
}

// A WebSocket whose client does not say good-bye is cut when Shutdown may wait no longer.
func TestWebSocketShutdownInVain(t *testing.T) {
	h := newHouse(t, func(c *xmppcore.Config) { c.Stream = stream.Limits{PerAddress: -1, Close: -1} })
	nc, err := overWebSocket(h)(h.ctx())
	if err != nil {
		t.Fatal(err)
	}
	c := xmpptest.New(nc, "example.com")
	if err := c.Login(h.ctx(), "romeo", password, "orchard"); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(h.ctx())
	cancel()
	if err := h.srv.Shutdown(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("Shutdown: %v", err)
	}
	for err = nil; err == nil; {
		_, err = c.Next(h.ctx())
	}
	if err := h.ctx().Err(); err != nil {
		t.Error(err)
	}
}
