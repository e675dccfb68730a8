package router_test

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"

	"rosterd/engine/addr"
	"rosterd/xmppcore/presence"
	"rosterd/xmppcore/registry"
	"rosterd/xmppcore/router"
	"rosterd/xmppcore/scan"
	"rosterd/xmppcore/session"
	"rosterd/xmppcore/stanza"
)

// A mistake of ours in an answer that is given later costs that answer, and not the process: it is given in no stream's
// goroutine.
func TestLaterPanics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		var reg registry.Registry
		host := &router.Host{Domain: "example.com", Account: router.Handlers{{Space: "q", Name: "query"}: func(q *router.Query) *stanza.Error {
			q.Later(func(f func(context.Context)) bool { go f(t.Context()); return true }, func(context.Context) ([]byte, *stanza.Error) { panic("ours") })
			return nil
		}}}
		r := router.Router{Registry: &reg, Presence: &presence.Presence{Registry: &reg}, Host: func(string) *router.Host { return host }, Log: slog.New(slog.NewTextHandler(&log, nil))}
		w := new(wire)
		full := addr.MustParse("romeo@example.com/x")
		res := &registry.Resource{Session: session.New(full, w, session.NewLimits(session.Limits{})), Account: reg.Join(full.Bare())}
		res.Account.Enter(res)
		reg.Add(res)
		res.Start()
		var sc scan.Scanner
		var st scan.Stanza
		if _, err := sc.Next([]byte("<iq type='get' id='1'><query xmlns='q'/></iq>"), &st); err != nil {
			t.Fatal(err)
		}
		if err := r.Route(res, &st); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		w.mu.Lock()
		defer w.mu.Unlock()
		if got := w.got.String(); !strings.Contains(got, "id='1'") || !strings.Contains(got, "<internal-server-error") {
			t.Errorf("answered %s", got)
		}
		if text := log.String(); !strings.Contains(text, "panic=ours") || !strings.Contains(text, "user=romeo@example.com") {
			t.Errorf("logged %s", text)
		}
	})
}
