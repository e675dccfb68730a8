package xmppcore_test

import (
	"context"
	"net"
	"net/http/httptest"
	"testing"
	"time"

	"rosterd/xmppcore/bosh"
	"rosterd/xmppcore/xmpptest"
)

// TestConversationsBOSH plays the conversations over BOSH.
func TestConversationsBOSH(t *testing.T) { conversations(t, nil, overBOSH) }

func overBOSH(h *house) func(context.Context) (net.Conn, error) {
	m := &bosh.Manager{Serve: h.srv.ServeCarrier, Limits: h.srv.Limits}
	m.Inactivity = 5 * time.Second // until who vanishes is missed
	web := httptest.NewServer(m.Handler("example.com"))
	h.t.Cleanup(func() {
		// The players have left; what is left of their sessions need not wait for them.
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		m.Shutdown(ctx)
		web.Close()
	})
	return func(ctx context.Context) (net.Conn, error) { return xmpptest.DialBOSH(ctx, web.URL) }
}
