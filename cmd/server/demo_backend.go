package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// sampleBackend is a web application with contact lists: it serves them, lets them be changed, and tells the
// XMPP server of each change.
type sampleBackend struct {
	view    *demoView
	refresh string // URL of the XMPP server's refresh API
	server  *http.Server
	page    atomic.Pointer[string] // the one page it has, as soon as there is something to show

	mu    sync.Mutex // guards the field below
	lists map[string]contacts
}

// contacts are a list by JID, in the form the XMPP server reads.
type contacts map[string]contact

type contact struct {
	Name   string   `json:"name"`
	Groups []string `json:"groups,omitempty"`
}

func sampleLists() map[string]contacts {
	marie := contact{"Marie", []string{"Friends"}}
	return map[string]contacts{
		"alice": {"bob@localhost": {"Bob", []string{"Friends"}}, "marie@localhost": marie, "carol@localhost": {"Carol", []string{"Work"}}},
		"bob":   {"alice@localhost": {"Alice", []string{"Friends"}}, "marie@localhost": marie},
	}
}

func startSampleBackend(p demoPlace, view *demoView) (*sampleBackend, error) {
	b := &sampleBackend{view: view, lists: sampleLists(), refresh: fmt.Sprintf("http://127.0.0.1:%d/roster_admin/refresh", p.Alice)}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", b.index)
	mux.HandleFunc("GET /contacts", b.all)
	mux.HandleFunc("GET /events", b.events)
	mux.HandleFunc("GET /contacts/{user}", b.get)
	mux.HandleFunc("PUT /contacts/{user}/{contact}", b.put)
	mux.HandleFunc("DELETE /contacts/{user}/{contact}", b.remove)
	ln, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(p.Backend)))
	if err != nil {
		return nil, err
	}
	b.server = &http.Server{Handler: mux, ReadTimeout: 10 * time.Second}
	go func() {
		if err := b.server.Serve(ln); !errors.Is(err, http.ErrServerClosed) {
			view.say("backend", "%v", err)
		}
	}()
	return b, nil
}

func (b *sampleBackend) stop() { b.server.Close() }

func (b *sampleBackend) get(w http.ResponseWriter, r *http.Request) {
	user := r.PathValue("user")
	b.mu.Lock()
	list, ok := maps.Clone(b.lists[user]), b.lists[user] != nil
	b.mu.Unlock()
	b.view.say("backend", "GET %s from %s: %d contacts", r.URL.Path, r.UserAgent(), len(list))
	if !ok {
		http.Error(w, "no such user", http.StatusNotFound)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	if err := json.NewEncoder(w).Encode(list); err != nil {
		b.view.say("backend", "%v", err)
	}
}

func (b *sampleBackend) put(w http.ResponseWriter, r *http.Request) {
	var c contact
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 64<<10)).Decode(&c); err != nil {
		http.Error(w, `the body is a JSON object such as {"name": "Dave", "groups": ["Band"]}: `+err.Error(), http.StatusBadRequest)
		return
	}
	b.change(w, r, func(list contacts) { list[r.PathValue("contact")] = c })
}

func (b *sampleBackend) remove(w http.ResponseWriter, r *http.Request) {
	b.change(w, r, func(list contacts) { delete(list, r.PathValue("contact")) })
}

func (b *sampleBackend) change(w http.ResponseWriter, r *http.Request, edit func(contacts)) {
	user := r.PathValue("user")
	b.mu.Lock()
	if b.lists[user] == nil {
		b.lists[user] = contacts{}
	}
	edit(b.lists[user])
	b.mu.Unlock()
	b.view.say("backend", "%s %s", r.Method, r.URL.Path)
	answer, err := b.tell(r.Context(), user)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	fmt.Fprintln(w, "changed; the XMPP server says:", answer)
}

// rename changes the name of a contact, as somebody would in the web application.
func (b *sampleBackend) rename(ctx context.Context, user, jid, name string) error {
	b.mu.Lock()
	c := b.lists[user][jid]
	c.Name = name
	b.lists[user][jid] = c
	b.mu.Unlock()
	b.view.say("backend", "%s's contact %s is now called %q", user, jid, name)
	_, err := b.tell(ctx, user)
	return err
}

// tell posts the names of users whose lists changed.
func (b *sampleBackend) tell(ctx context.Context, users ...string) (answer string, err error) {
	body, err := json.Marshal(users)
	if err != nil {
		return "", err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, b.refresh, bytes.NewReader(body))
	if err != nil {
		return "", err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", err
	}
	defer res.Body.Close()
	got, err := io.ReadAll(io.LimitReader(res.Body, 1<<20))
	b.view.say("backend", "POST %s %s: %s", b.refresh, body, bytes.TrimSpace(got))
	return string(got), err
}
