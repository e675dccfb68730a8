package trial

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"rosterd/plugins"
)

// Asked is an HTTP request that a plugin has made.
type Asked struct {
	Request  plugins.HTTPRequest
	Response *plugins.HTTPResponse // nil if there was none
	Err      error
	Took     time.Duration
}

func (a *Asked) String() string { return a.Request.Method + " " + shown(a.Request.URL) }

// Line is what a plugin has logged.
type Line struct {
	Level slog.Level
	Text  string
}

// world stands between a plugin and its services. It remembers what is asked, and answers itself where the trial says so.
type world struct {
	plugins.Services // of the Manager
	now              func() time.Time
	live             bool // requests go out
	real             bool // so does randomness

	ended chan struct{} // closed when the plugin has let go of its services

	mu        sync.Mutex // guards the fields below
	random    *rand.ChaCha8
	tape      *tape // nil: nothing is recorded
	improvise func(plugins.HTTPRequest) *Exchange
	asked     []Asked
	waiting   int           // requests that are under way
	since     time.Time     // when the first of them began
	waited    time.Duration // with a request under way
	lines     []Line
	refreshed []string
}

var _ plugins.Services = (*world)(nil)

// begin forgets what was, before a call.
func (w *world) begin(seed uint64, exchanges []Exchange) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.random = rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8), byte(seed >> 16), byte(seed >> 24), byte(seed >> 32), byte(seed >> 40), byte(seed >> 48), byte(seed >> 56)})
	w.tape = newTape(exchanges)
	w.tape.improvise = w.improvise
	w.asked, w.lines, w.refreshed, w.waited = nil, nil, nil, 0
}

// HTTP has the real services ask, or the tape.
func (w *world) HTTP(ctx context.Context, r plugins.HTTPRequest) (*plugins.HTTPResponse, error) {
	if r.Method == "" {
		r.Method = http.MethodGet
	}
	w.mu.Lock()
	t := w.tape
	if w.waiting++; w.waiting == 1 {
		w.since = time.Now()
	}
	w.mu.Unlock()
	start := time.Now()
	a := Asked{Request: r}
	if a.Request.Header = r.Header.Clone(); r.Body != nil {
		a.Request.Body = bytes.Clone(r.Body)
	}
	switch err := w.allows(r); {
	case w.live:
		a.Response, a.Err = w.Services.HTTP(ctx, r)
	case err != nil:
		a.Err = err
	default:
		a.Response, a.Err = t.play(r)
	}
	a.Took = time.Since(start)
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.waiting--; w.waiting == 0 {
		w.waited += time.Since(w.since)
	}
	w.asked = append(w.asked, a)
	return a.Response, a.Err
}

// allows refuses what the server would refuse.
func (w *world) allows(r plugins.HTTPRequest) error {
	fence, ok := w.Services.(plugins.Fenced)
	if !ok {
		return nil
	}
	if err := fence.Allows(r.URL); err != nil {
		return fmt.Errorf("%s %s: %w", r.Method, shown(r.URL), err)
	}
	return nil
}

// Now is the time of the trial.
func (w *world) Now() time.Time { return w.now() }

// Random is the same in each run of a case.
func (w *world) Random(b []byte) {
	if w.real {
		w.Services.Random(b)
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	_, _ = w.random.Read(b) // never fails
}

// Refresh only remembers who was named: nobody is online.
func (w *world) Refresh(_ context.Context, users []string) (plugins.Refreshed, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.refreshed = append(w.refreshed, users...)
	return plugins.Refreshed{Updated: len(users)}, nil
}

// Close lets go of the services.
func (w *world) Close() {
	w.Services.Close()
	close(w.ended)
}

// Log remembers a line.
func (w *world) Log(_ context.Context, level slog.Level, msg string, args ...any) {
	r := slog.NewRecord(time.Time{}, level, msg, 0)
	r.Add(args...)
	var b strings.Builder
	b.WriteString(msg)
	r.Attrs(func(a slog.Attr) bool {
		if !slices.Contains([]string{"user", "call", "route", "timer"}, a.Key) { // the trial's reader knows them
			fmt.Fprintf(&b, " %s=%v", a.Key, a.Value)
		}
		return true
	})
	w.mu.Lock()
	defer w.mu.Unlock()
	w.lines = append(w.lines, Line{level, b.String()})
}
