package httpd

import (
	"context"
	"log/slog"
	"sync/atomic"
	"testing"
	"time"

	"rosterd/engine"
	"rosterd/engine/addr"
	"rosterd/engine/roster"
)

var _ Refresher = (*engine.Engine)(nil)

// The whole way: POST, engine, backend and back.
func TestRefreshOfAnEngine(t *testing.T) {
	user := addr.MustBare("romeo@example.com")
	var name atomic.Value // of the only contact; "" hangs
	name.Store("Juliet")
	backend := engine.BackendFunc(func(ctx context.Context, _ engine.Request) (engine.Answer, error) {
		if name.Load() == "" {
			<-ctx.Done()
			return engine.Answer{}, ctx.Err()
		}
		r, _ := roster.New(user, roster.Item{JID: addr.MustBare("juliet@example.com"), Name: name.Load().(string), Subscription: roster.Both})
		return engine.Answer{Roster: r}, nil
	})
	events := make(chan engine.Event, 10)
	eng := engine.New(map[string]engine.Host{"example.com": {Backend: backend, Timeout: 2 * patience}},
		func(e engine.Event) { events <- e }, slog.New(slog.DiscardHandler))
	defer func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := eng.Close(ctx); err != nil {
			t.Error(err)
		}
	}()
	romeo, err := eng.Attach(user)
	if err != nil {
		t.Fatal(err)
	}
	defer romeo.Release()
	<-events

	addr := start(t, &Server{}, oneHost(Refresh{Refresher: eng, Timeout: 2 * time.Second}), "")
	tests := []struct{ name, body, contact, want string }{
		{
			"a change", `["ROMEO", "nobody", "no body", 1]`, "Giulietta",
			`{"status":"ok","message":"roster update complete","updated":2,"errors":2,"results":[{"name":"ROMEO","outcome":"updated","changes":1},` +
				`{"name":"nobody","outcome":"offline"},{"name":"no body","outcome":"invalid","error":`,
		},
		{
			"no change", `["romeo"]`, "Giulietta",
			`{"status":"ok","message":"roster update complete","updated":1,"errors":0,"results":[{"name":"romeo","outcome":"unchanged"}]}`,
		},
		{
			"a backend that hangs", `["romeo", "nobody"]`, "",
			`{"status":"ok","message":"roster update complete","updated":1,"errors":1,"results":[{"name":"romeo","outcome":"pending","error":`,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			name.Store(tt.contact)
			got := ask(t, addr, "POST", "/roster_admin/refresh", "example.com", tt.body)
			if got.status != 200 || len(got.body) < len(tt.want) || got.body[:len(tt.want)] != tt.want {
				t.Errorf("answered %d %s\nwant %s…", got.status, got.body, tt.want)
			}
		})
	}
}
