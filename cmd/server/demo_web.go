package main

import (
	"context"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"html/template"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"

	"rosterd/cmd/server/converse"
)

// The pages of the demo: that of the web application, and the one around Converse.js for each person.
//
//go:embed demo/index.html demo/person.html
var demoPages embed.FS

var demoIndex = template.Must(template.ParseFS(demoPages, "demo/index.html"))

// www is the folder that rosterd's http_files serves in the demo.
func (p demoPlace) www() string { return filepath.Join(p.Dir, "www") }

// openBrowser has rosterd serve Converse.js, where it can be had, and says at which address there is something to see.
func openBrowser(ctx context.Context, p demoPlace, b *sampleBackend) error {
	err := p.serveConverse(ctx, func() { b.view.say("demo", "npm fetches %s, for the browser", converse.Name) })
	if ctx.Err() != nil {
		return nil // interrupted
	}
	if err := b.show(p, err == nil); err != nil {
		return err
	}
	address := fmt.Sprintf("http://127.0.0.1:%d/", p.Backend)
	if err != nil {
		b.view.say("demo", "no Converse.js in the browser, the rest goes on: %v", err)
		b.view.say("demo", "a form that changes the contacts: %s", address)
		return nil
	}
	b.view.say("demo", "open this page: alice and bob side by side in Converse.js, and a form that changes their contacts: %s", address)
	return nil
}

// serveConverse puts Converse.js, and the page around it, where rosterd serves files from.
func (p demoPlace) serveConverse(ctx context.Context, about func()) error {
	cache, err := os.UserCacheDir()
	if err != nil {
		return err
	}
	dist, err := converse.Fetch(ctx, filepath.Join(cache, "rosterd"), about)
	if err != nil {
		return err
	}
	if err := os.CopyFS(filepath.Join(p.www(), "dist"), os.DirFS(dist)); err != nil {
		return err
	}
	page, err := fs.ReadFile(demoPages, "demo/person.html")
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(p.www(), "person.html"), page, 0o644)
}

// show opens the page of the web application: from now on it is served.
func (b *sampleBackend) show(p demoPlace, withConverse bool) error {
	var page strings.Builder
	err := demoIndex.Execute(&page, struct {
		demoPlace
		Converse bool
	}{p, withConverse})
	if err != nil {
		return err
	}
	text := page.String()
	b.page.Store(&text)
	return nil
}

func (b *sampleBackend) index(w http.ResponseWriter, r *http.Request) {
	page := b.page.Load()
	if page == nil {
		http.Error(w, "in a moment: the demo is still starting", http.StatusServiceUnavailable)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	fmt.Fprint(w, *page)
}

// all answers with the lists of all users.
func (b *sampleBackend) all(w http.ResponseWriter, r *http.Request) {
	b.mu.Lock()
	text, err := json.Marshal(b.lists)
	b.mu.Unlock()
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Write(text)
}

// events sends the lines of the terminal to a page, those that it missed first, as server-sent events.
func (b *sampleBackend) events(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-store")
	flush := http.NewResponseController(w).Flush
	for n := 0; ; {
		lines, next, news := b.view.since(n)
		var err error
		for _, line := range lines {
			_, e := fmt.Fprintf(w, "data: %s\n\n", strings.ReplaceAll(line, "\n", "\ndata: "))
			err = errors.Join(err, e)
		}
		if err := errors.Join(err, flush()); err != nil {
			return // the page was closed
		}
		n = next
		select {
		case <-news:
		case <-r.Context().Done():
			return
		}
	}
}
