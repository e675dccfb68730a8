package main

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"math"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"runtime/debug"
	"runtime/metrics"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"rosterd/engine"
	"rosterd/engine/addr"
	"rosterd/plugins"
	"rosterd/plugins/worker"
)

var update = flag.Bool("update", false, "write the tables of the documentation that tests make")

const (
	attackTime = 200 * time.Millisecond // for calls that go on until they are stopped; a server gives them seconds
	tooLate    = time.Minute            // for others; generous, for machines that are busy with other things

	// heartbeat is the longest pause of the server that an attack causes on a machine that does nothing else.
	heartbeat = slower * 100 * time.Millisecond
	// stalled is a pause that no machine excuses. Where memory is slow in coming, a stack that grows to its limit stops
	// the server while it is copied: 32,000 pages touched for the first time, 0.2 s where each takes 6 µs.
	stalled = 10 * heartbeat
	// What the server itself may grow by for a moment. In its own process that is what the heap watchdog lets a call
	// have, twice; beside a worker it is frames and answers.
	growthInside, growthBeside = 768 << 20, 128 << 20
)

// attackConfig is the host's configuration in an attack.
type attackConfig map[string]any

func (c attackConfig) Option(name string) (any, string, bool) {
	v, ok := c[name]
	return v, "prosody.cfg.lua:7", ok
}

// ending is how a call ended, in the words of the table.
func ending(err error) string {
	var fault *engine.FaultError
	var temporary *engine.TemporaryError
	switch {
	case err == nil:
		return "harmless"
	case errors.As(err, &fault):
		switch fault.Kind {
		case "instructions", "deadline", "memory":
			return "stopped"
		case "protocol":
			return "bad result"
		}
		return "error"
	case errors.As(err, &temporary) && strings.Contains(err.Error(), "has ended during this call"):
		return "stopped" // with its worker
	case errors.As(err, &temporary):
		return "temporary"
	case errors.Is(err, engine.ErrUnknownUser), errors.Is(err, engine.ErrDenied):
		return "refused by the script"
	}
	return "error"
}

// hit is what became of one attack in one placement.
type hit struct {
	ending string
	kind   string // of the fault, for those that were stopped
	took   time.Duration
	pause  time.Duration // the longest of the server
	growth int64         // of the server
}

func (h hit) String() string {
	s := h.ending
	if h.kind != "" && h.ending == "stopped" {
		s += ": " + h.kind
	}
	return fmt.Sprintf("%s, %.2f s", s, h.took.Seconds())
}

// battlefield is a server with a backend that does what attacks want, and the script with all attacks.
type battlefield struct {
	manager *plugins.Manager
	dir     string
	config  attackConfig
	arsenal plugins.Plugin
}

// hostileBackend is one that does what attacks want.
func hostileBackend(t *testing.T) string {
	t.Helper()
	mux := http.NewServeMux()
	mux.HandleFunc("/roster", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "{}") })
	mux.HandleFunc("/echo", func(w http.ResponseWriter, r *http.Request) { _, _ = io.Copy(w, r.Body) })
	mux.HandleFunc("/never", func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	mux.HandleFunc("/endless", func(w http.ResponseWriter, r *http.Request) {
		for chunk := make([]byte, 64<<10); ; {
			if _, err := w.Write(chunk); err != nil {
				return
			}
		}
	})
	mux.HandleFunc("/bomb", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Encoding", "gzip")
		_, _ = w.Write(gzipBomb())
	})
	mux.HandleFunc("/repeat", func(w http.ResponseWriter, r *http.Request) { // what it was sent beside the body
		w.Header().Set("X-Repeated", r.Header.Get("X-Sent"))
		fmt.Fprintf(w, "%s %q", r.URL, r.Header)
	})
	mux.HandleFunc("/revised", func(w http.ResponseWriter, r *http.Request) { w.Header().Set("ETag", `"1"`) })
	mux.HandleFunc("/away", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "http://127.0.0.1:1/", http.StatusFound)
	})
	mux.HandleFunc("/round", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/round", http.StatusFound) })
	mux.HandleFunc("/header", func(w http.ResponseWriter, r *http.Request) { w.Header().Set("X-Long", strings.Repeat("x", 1<<20)) })
	backend := httptest.NewServer(mux)
	t.Cleanup(backend.Close)
	return backend.URL
}

func newBattlefield(t *testing.T, isolate plugins.Opener) *battlefield {
	t.Helper()
	f := &battlefield{dir: t.TempDir(), config: attackConfig{
		"url": hostileBackend(t), "rosterd_plugin_secrets": map[string]any{"token": theSecret},
		"rosterd_backend_headers": map[string]any{"Authorization": "Bearer " + theSecret},
	}}
	f.manager = &plugins.Manager{
		Version: "test", Engines: engines(), Paths: []string{f.dir}, Isolate: isolate,
		Log: slog.New(slog.DiscardHandler), Shipped: fstest.MapFS{},
	}
	p, err := f.open(t, "arsenal", arsenal())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	})
	f.arsenal = p
	return f
}

func (f *battlefield) open(t *testing.T, name, code string) (plugins.Plugin, error) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(f.dir, "mod_"+name+".lua"), []byte(code), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), tooLate)
	defer cancel()
	return f.manager.Open(ctx, name, "example.com", f.config)
}

// theSecret is what no attack may come to see.
const theSecret = "geheim-4711"

// strike is one attack, while other users of the same script have their rosters fetched.
func (f *battlefield) strike(t *testing.T, number int, a attack) (h hit) {
	t.Helper()
	debug.FreeOSMemory()
	pulse := feel(held)
	start := time.Now()
	var err error
	if a.alone() {
		var p plugins.Plugin
		p, err = f.open(t, "alone", a.script())
		h = hit{ending: "refused", took: time.Since(start)}
		if err == nil {
			h.ending = "opened"
			_ = p.Close()
		}
	} else {
		err = amongOthers(t, f.arsenal, func() error {
			limit := tooLate
			if a.want == "stopped" || a.never {
				limit = attackTime
			}
			ctx, cancel := context.WithTimeout(t.Context(), limit)
			defer cancel()
			start = time.Now()
			user := addr.MustBare(fmt.Sprintf("attack%d@example.com", number))
			_, err := f.arsenal.Fetch(ctx, engine.Request{User: user, Reason: engine.ReasonTest})
			h = hit{ending: ending(err), took: time.Since(start)}
			return err
		})
	}
	var fault *engine.FaultError
	if errors.As(err, &fault) {
		h.kind = fault.Kind
	}
	h.pause, h.growth = pulse.stop()
	t.Logf("%s: pause %v, growth %d MiB, %.300q", h, h.pause.Round(time.Millisecond), h.growth>>20, fmt.Sprint(err))
	checkError(t, err)
	return h
}

// amongOthers calls attack while innocent users have their rosters fetched: before it, beside it and after it.
func amongOthers(t *testing.T, p plugins.Plugin, attack func() error) error {
	t.Helper()
	innocent(t, p, "before")
	over := make(chan struct{})
	var others sync.WaitGroup
	others.Go(func() {
		tick := time.NewTicker(5 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-over:
				return
			case <-tick.C:
				innocent(t, p, "beside")
			}
		}
	})
	err := attack()
	close(over)
	others.Wait()
	innocent(t, p, "after")
	return err
}

// checkError looks for what an error may not say.
func checkError(t *testing.T, err error) {
	t.Helper()
	if err == nil {
		return
	}
	if n := len(err.Error()); n > 8<<10 {
		t.Errorf("an error of %d bytes", n)
	}
	if text := err.Error(); strings.Contains(text, theSecret) {
		t.Errorf("the script got the secret: %.200s", text)
	}
}

// innocent is a user of the same script.
func innocent(t *testing.T, p plugins.Plugin, when string) {
	ctx, cancel := context.WithTimeout(t.Context(), tooLate)
	defer cancel()
	a, err := p.Fetch(ctx, engine.Request{User: addr.MustBare("jim@example.com"), Reason: engine.ReasonTest})
	if err != nil || a.Roster.Len() != 1 {
		t.Errorf("%s the attack, another user's roster of %d contacts: %v", when, a.Roster.Len(), err)
	}
}

// pulse measures the longest pause of this process, and its growth.
type pulse struct {
	once    sync.Once
	end     chan struct{}
	ended   sync.WaitGroup
	longest time.Duration
	growth  int64
}

// feel begins to measure. What is held is asked again and again.
func feel(held func() int64) *pulse {
	p := &pulse{end: make(chan struct{})}
	before := held()
	tick := time.NewTicker(2 * time.Millisecond)
	p.ended.Go(func() {
		defer tick.Stop()
		for last := time.Now(); ; {
			select {
			case <-p.end:
				return
			case <-tick.C:
			}
			p.longest = max(p.longest, time.Since(last))
			last = time.Now()
			p.growth = max(p.growth, held()-before)
		}
	})
	return p
}

func (p *pulse) stop() (longest time.Duration, growth int64) {
	p.once.Do(func() { close(p.end) })
	p.ended.Wait()
	return p.longest, p.growth
}

// held is the memory of this process that is not given back.
func held() int64 {
	s := []metrics.Sample{{Name: "/memory/classes/total:bytes"}, {Name: "/memory/classes/heap/released:bytes"}, {Name: "/memory/classes/heap/free:bytes"}}
	metrics.Read(s)
	return int64(s[0].Value.Uint64() - s[1].Value.Uint64() - s[2].Value.Uint64())
}

// calm is the longest pause of this process while nothing happens, on this machine as busy as it is now.
func calm(d time.Duration) time.Duration {
	p := feel(held)
	<-time.After(d)
	longest, _ := p.stop()
	return longest
}

// steady strikes until the pause is one that the attack has not caused, or five times: machines have pauses of their own.
func steady(t *testing.T, strike func() hit) hit {
	t.Helper()
	best := hit{pause: math.MaxInt64}
	for range 5 {
		h := strike()
		if h.pause < best.pause {
			best = h
		}
		if t.Failed() || best.pause <= heartbeat || best.pause <= 2*calm(h.took) {
			return best
		}
	}
	if best.pause > stalled {
		t.Errorf("the server paused for %v", best.pause)
	}
	return best
}

// TestAttacks has every attack in the server's own process and in a worker: it ends as it should and in time, the server
// goes on, and so do the other users of the same script. With -update it writes the table of docs/PLUGINS.md.
func TestAttacks(t *testing.T) {
	var table strings.Builder
	table.WriteString("| what the script tries | in the server | in a worker | longest pause of the server |\n| --- | --- | --- | --- |\n")
	gzipBomb()
	isolate := worker.Opener(worker.Settings{Log: slog.New(slog.DiscardHandler)})
	partly := false
	here, there := newBattlefield(t, nil), newBattlefield(t, isolate)
	for i, a := range attacks {
		var inside, beside hit
		t.Run(a.name+"/inproc", func(t *testing.T) {
			inside = steady(t, func() hit { return here.strike(t, i, a) })
			judge(t, inside, a.want, growthInside)
		})
		t.Run(a.name+"/process", func(t *testing.T) {
			beside = steady(t, func() hit { return there.strike(t, i, a) })
			want := a.want
			if a.apart != "" {
				want = a.apart
			}
			if shadowed && beside.kind == "memory" && want != beside.ending {
				want, partly = beside.ending, true
			}
			judge(t, beside, want, growthBeside)
		})
		partly = partly || inside.ending == "" || beside.ending == "" // by -run
		fmt.Fprintf(&table, "| %s | %s | %s | %d ms |\n", a.name, inside, beside, max(inside.pause, beside.pause).Milliseconds())
	}
	if !partly {
		checkAttackTable(t, "attacks", table.String())
	}
}

// Several calls that take memory without end, at once, in one worker: each is stopped, and none of the other users is
// the worse for it, though they wait for their backend all the while.
func TestManyAttacksAtOnce(t *testing.T) {
	f := newBattlefield(t, worker.Opener(worker.Settings{Log: slog.New(slog.DiscardHandler)}))
	over := make(chan struct{})
	var bombs, others sync.WaitGroup
	for range 8 {
		others.Go(func() {
			for {
				innocent(t, f.arsenal, "beside")
				select {
				case <-over:
					return
				default:
				}
			}
		})
	}
	for i, a := range attacks {
		if !slices.Contains([]string{"rep kept", "long strings kept", "tables kept", "memory caught", "endless while"}, a.name) {
			continue
		}
		bombs.Go(func() {
			for range 2 {
				ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
				user := addr.MustBare(fmt.Sprintf("attack%d@example.com", i))
				_, err := f.arsenal.Fetch(ctx, engine.Request{User: user, Reason: engine.ReasonTest})
				cancel()
				if ending(err) != "stopped" {
					t.Errorf("%s ended as %q: %v", a.name, ending(err), err)
				}
			}
		})
	}
	bombs.Wait()
	close(over)
	others.Wait()
}

func judge(t *testing.T, h hit, want string, growth int64) {
	t.Helper()
	if h.ending != want {
		t.Errorf("ended as %q (%s), want %q", h.ending, h.kind, want)
	}
	if h.took > tooLate {
		t.Errorf("took %v", h.took)
	}
	if h.growth > growth {
		t.Errorf("the server grew by %d MiB", h.growth>>20)
	}
}

// measured is what differs from one machine to the next.
var measured = regexp.MustCompile(`(: [a-z]+)?, [0-9.]+ s |[0-9]+ (ms|MiB) `)

// checkAttackTable compares a table with the one between two comments in the documentation, or writes it.
func checkAttackTable(t *testing.T, name, table string) {
	t.Helper()
	const path = "../../docs/PLUGINS.md"
	opens, closes := "<!-- "+name+" -->\n", "<!-- /"+name+" -->"
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	head, rest, ok := strings.Cut(string(b), opens)
	had, tail, ok2 := strings.Cut(rest, closes)
	if !ok || !ok2 {
		t.Fatalf("%s has no place for the table of %s", path, name)
	}
	switch {
	case *update:
		if err := os.WriteFile(path, []byte(head+opens+"\n"+table+"\n"+closes+tail), 0o644); err != nil {
			t.Fatal(err)
		}
	case measured.ReplaceAllString(strings.TrimSpace(had), " ") != measured.ReplaceAllString(strings.TrimSpace(table), " "):
		t.Errorf("%s is not what happens; go test ./cmd/server -run %s -update writes it", path, t.Name())
	}
}

// gzipBomb is 64 MiB of zeros, compressed.
var gzipBomb = sync.OnceValue(func() []byte {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	chunk := make([]byte, 1<<20)
	for range 64 {
		_, _ = w.Write(chunk)
	}
	_ = w.Close()
	return b.Bytes()
})
