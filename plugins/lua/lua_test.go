package lua_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"rosterd/engine"
	"rosterd/engine/addr"
	"rosterd/engine/roster"
	"rosterd/plugins"
	"rosterd/plugins/lua"
)

// generous bounds what must not hang; nothing is expected to take so long.
const generous = 20 * time.Second

// options is a configuration file in which every option stands on line 7.
type options map[string]any

func (o options) Option(name string) (any, string, bool) {
	v, ok := o[name]
	return v, "prosody.cfg.lua:7", ok
}

// logs is a log that a test can read.
type logs struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logs) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logs) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func tryOpen(t testing.TB, name, code string, o options) (plugins.Plugin, *logs, error) {
	l := &logs{}
	m := &plugins.Manager{
		Version: "test",
		Shipped: lua.Shipped(),
		Engines: map[string]plugins.Opener{".lua": lua.Open},
		Log:     slog.New(slog.NewTextHandler(l, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
	if code != "" {
		m.Shipped = fstest.MapFS{"mod_" + name + ".lua": {Data: []byte(code)}}
	}
	ctx, cancel := context.WithTimeout(t.Context(), generous)
	defer cancel()
	p, err := m.Open(ctx, name, "example.com", o)
	if err == nil {
		t.Cleanup(func() {
			if err := p.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	return p, l, err
}

// script opens code as the module "test".
func script(t testing.TB, code string, o options) plugins.Plugin {
	t.Helper()
	p, _, err := tryOpen(t, "test", code, o)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// standard opens the module that ships with rosterd.
func standard(t testing.TB, o options) plugins.Plugin {
	t.Helper()
	p, _, err := tryOpen(t, "http_roster_admin", "", o)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func request(user string) engine.Request {
	return engine.Request{User: addr.MustBare(user + "@example.com"), Reason: engine.ReasonTest}
}

func fetch(t testing.TB, p plugins.Plugin, r engine.Request) (engine.Answer, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), generous)
	defer cancel()
	return p.Fetch(ctx, r)
}

// show writes a roster in one line, each contact as jid "name" subscription [groups] ask approved.
func show(r roster.Roster) string {
	var items []string
	for i := range r.All() {
		s := fmt.Sprintf("%s %q %s %q", i.JID, i.Name, i.Subscription, i.Groups)
		if i.Ask {
			s += " ask"
		}
		if i.Approved {
			s += " approved"
		}
		items = append(items, s)
	}
	return strings.Join(items, "; ")
}

// errorKind names an error in the engine's terms.
func errorKind(err error) string {
	var temporary *engine.TemporaryError
	var permanent *engine.PermanentError
	var fault *engine.FaultError
	switch {
	case err == nil:
		return ""
	case errors.Is(err, engine.ErrUnknownUser):
		return "unknown user"
	case errors.Is(err, engine.ErrDenied):
		return "denied"
	case errors.As(err, &temporary):
		return "temporary"
	case errors.As(err, &permanent):
		return "permanent"
	case errors.As(err, &fault):
		return "fault " + fault.Kind
	}
	return "other"
}
