package engine

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"rosterd/engine/roster"
)

// TestHistory: what the watcher is told of a roster's past reaches back over logouts and restarts as long as the
// roster is kept, and over outages.
func TestHistory(t *testing.T) {
	for _, c := range []struct {
		name   string
		steps  int
		keeper *memory
		do     string // words; a roster by its contacts, and what becomes of the engine in between
		since  string // the version of that roster
		want   string
	}{
		{"while online", 9, nil, "login a refresh a,b refresh a,b,c", "a", "+b +c"},
		{"nothing has changed", 9, nil, "login a refresh a", "a", ""},
		{"without a keeper it ends with the session", 9, nil, "login a refresh a,b logout login a,b,c", "a", "unknown"},
		{"over a logout", 9, &memory{}, "login a refresh a,b logout login a,b,c", "a", "+b +c"},
		{"over a restart", 9, &memory{}, "login a refresh a,b restart login b,c", "a", "+b +c -a"},
		{"there and back again", 9, &memory{}, "login a refresh b restart login a,c", "a", "+c"},
		{"served stale after a restart", 9, &memory{}, "login a refresh a,b restart login fail", "a", "+b"},
		{"over an outage", 9, &memory{}, "login a refresh a,b restart login fail refresh c,b", "a", "+b +c -a"},
		{"no longer than is remembered", 2, &memory{}, "login a refresh a,b restart login a,b,c refresh a,b,c,d", "a", "unknown"},
		{"as long as is remembered", 2, &memory{}, "login a refresh a,b restart login a,b,c refresh a,b,c,d", "a,b", "+c +d"},
		{"nothing is remembered", 0, &memory{}, "login a refresh a,b", "a", "unknown"},
		{"an old document", 9, &memory{docs: docs("romeo", `{"fetched":"2000-01-01T00:00:00Z","items":{"a@example.com":{}}}`)}, "login a,b", "a", "+b"},
		{"a document with another's history", 9, &memory{docs: docs("romeo", `{"fetched":"2000-01-01T00:00:00Z","items":{"a@example.com":{}},"history":{"last":"AAAAAAAAAAAAAAAAAAAAAA","steps":[]}}`)}, "login fail", "b", "unknown"},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := &chronicle{t: t, host: Host{Steps: c.steps, Retry: -1}}
				if c.keeper != nil {
					h.host.Keeper = c.keeper
				}
				h.play(strings.Fields(c.do))
				if got := h.since(named(c.since)); got != c.want {
					t.Errorf("since {%s}: %s, want %s", c.since, got, c.want)
				}
			})
		})
	}
}

// chronicle is an engine with one user.
type chronicle struct {
	t    *testing.T
	host Host
	e    *Engine
	res  *Resource

	mu    sync.Mutex
	serve string
	last  Event
}

func (h *chronicle) play(words []string) {
	h.start()
	defer func() { h.close() }()
	for k := 0; k < len(words); k++ {
		switch words[k] {
		case "login":
			k++
			h.set(words[k])
			h.login()
		case "refresh":
			k++
			h.set(words[k])
			h.e.Refresh(h.t.Context(), "example.com", []string{"romeo"})
		case "logout":
			h.res.Release()
		case "restart":
			h.close()
			h.start()
		default:
			h.t.Fatal(words[k])
		}
		synctest.Wait()
	}
}

func (h *chronicle) start() {
	h.host.Backend = BackendFunc(h.fetch)
	h.e = New(map[string]Host{"example.com": h.host}, h.watch, slog.New(slog.DiscardHandler))
}

func (h *chronicle) close() {
	if err := h.e.Close(context.Background()); err != nil {
		h.t.Fatal(err)
	}
}

func (h *chronicle) login() {
	var err error
	if h.res, err = h.e.Attach(jid("romeo")); err != nil {
		h.t.Fatal(err)
	}
}

func (h *chronicle) set(what string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.serve = what
}

func (h *chronicle) fetch(context.Context, Request) (Answer, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.serve == "fail" {
		return Answer{}, errors.New("503")
	}
	return Answer{Roster: named(h.serve)}, nil
}

func (h *chronicle) watch(ev Event) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.last = ev
}

// named is a roster of contacts a, b, c.
func named(list string) roster.Roster {
	var items []roster.Item
	for name := range strings.SplitSeq(list, ",") {
		items = append(items, roster.Item{JID: jid(name), Subscription: roster.Both})
	}
	r, _ := roster.New(jid("romeo"), items...)
	return r
}

func (h *chronicle) since(r roster.Roster) string {
	h.mu.Lock()
	defer h.mu.Unlock()
	changes, known := h.last.History.Since(r.Version(), h.last.To)
	if !known {
		return "unknown"
	}
	var words []string
	for _, c := range changes {
		sign := "+"
		if c.New == nil {
			sign = "-"
		}
		words = append(words, sign+short(c.Contact))
	}
	return strings.Join(words, " ")
}
