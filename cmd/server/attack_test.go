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
	"regexp"
	"runtime/debug"
	"runtime/metrics"
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
	attackTime = 250 * time.Millisecond // for calls that go on until they are stopped; a server gives them seconds
	tooLate    = time.Minute            // for others; generous, for machines that are busy with other things

	// heartbeat is the longest pause of the server that an attack may cause.
	heartbeat = 100 * time.Millisecond
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

// battlefield is a server with a backend that does what attacks want.
type battlefield struct {
	backend *httptest.Server
	manager *plugins.Manager
	config  attackConfig
}

func newBattlefield(t *testing.T, code string, isolate plugins.Opener) *battlefield {
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
	f := &battlefield{backend: httptest.NewServer(mux)}
	t.Cleanup(f.backend.Close)
	f.config = attackConfig{
		"url": f.backend.URL, "rosterd_plugin_secrets": map[string]any{"token": theSecret},
		"rosterd_backend_headers": map[string]any{"Authorization": "Bearer " + theSecret},
	}
	dir := t.TempDir()
	if err := os.WriteFile(dir+"/mod_attack.lua", []byte(code), 0o600); err != nil {
		t.Fatal(err)
	}
	f.manager = &plugins.Manager{
		Version: "test", Engines: engines(), Paths: []string{dir}, Isolate: isolate,
		Log: slog.New(slog.DiscardHandler), Shipped: fstest.MapFS{},
	}
	return f
}

// theSecret is what no attack may come to see.
const theSecret = "geheim-4711"

// strike opens a script and has mallory fetch, while others do.
func strike(t *testing.T, a attack, isolate plugins.Opener) hit {
	t.Helper()
	code := a.script()
	if !a.whole {
		code = attackLibraries + code
	}
	f := newBattlefield(t, code, isolate)
	debug.FreeOSMemory()
	pulse := feel()
	defer pulse.stop()
	limit := tooLate
	if a.want == "stopped" || a.never {
		limit = attackTime
	}
	ctx, cancel := context.WithTimeout(t.Context(), tooLate)
	defer cancel()
	start := time.Now()
	p, err := f.manager.Open(ctx, "attack", "example.com", f.config)
	if err != nil {
		h := hit{ending: "refused", took: time.Since(start)}
		h.pause, h.growth = pulse.stop()
		checkError(t, a, err)
		return h
	}
	defer func() {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	}()
	for range 3 { // the same script serves others before,
		innocent(t, p, "before")
	}
	attackOver := make(chan struct{})
	var others sync.WaitGroup
	others.Go(func() { // beside
		for {
			select {
			case <-attackOver:
				return
			case <-time.After(5 * time.Millisecond):
				innocent(t, p, "beside")
			}
		}
	})
	ctx, cancel = context.WithTimeout(t.Context(), limit)
	defer cancel()
	start = time.Now()
	answer, err := p.Fetch(ctx, engine.Request{User: addr.MustBare("mallory@example.com"), Reason: engine.ReasonTest})
	h := hit{ending: ending(err), took: time.Since(start)}
	close(attackOver)
	others.Wait()
	for range 3 { // and after it
		innocent(t, p, "after")
	}
	var fault *engine.FaultError
	if errors.As(err, &fault) {
		h.kind = fault.Kind
	}
	h.pause, h.growth = pulse.stop()
	t.Logf("%s: pause %v, growth %d MiB, %.150q", h, h.pause.Round(time.Millisecond), h.growth>>20, fmt.Sprint(err))
	checkError(t, a, err)
	if err == nil && answer.Roster.Len() > 100_000 {
		t.Errorf("a roster of %d", answer.Roster.Len())
	}
	return h
}

// checkError looks for what an error may not say.
func checkError(t *testing.T, a attack, err error) {
	t.Helper()
	if err == nil {
		return
	}
	if n := len(err.Error()); n > 8<<10 {
		t.Errorf("an error of %d bytes", n)
	}
	if text := err.Error(); strings.Contains(text, theSecret) && !strings.Contains(a.name, "body") {
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

func feel() *pulse {
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
	p := feel()
	<-time.After(d)
	longest, _ := p.stop()
	return longest
}

// steady strikes until the pause is one that the attack has not caused: machines have pauses of their own.
func steady(t *testing.T, a attack, isolate plugins.Opener) hit {
	t.Helper()
	best := hit{pause: math.MaxInt64}
	for range 5 {
		h := strike(t, a, isolate)
		if h.pause < best.pause {
			best = h
		}
		if t.Failed() || best.pause <= max(heartbeat, 2*calm(h.took)) {
			return best
		}
	}
	t.Errorf("the server paused for %v", best.pause)
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
	for _, a := range attacks {
		var inside, beside hit
		t.Run(a.name+"/inproc", func(t *testing.T) {
			inside = steady(t, a, nil)
			judge(t, inside, a.want, growthInside)
		})
		t.Run(a.name+"/process", func(t *testing.T) {
			beside = steady(t, a, isolate)
			want := a.want
			if a.apart != "" {
				want = a.apart
			}
			judge(t, beside, want, growthBeside)
		})
		partly = partly || inside.ending == "" || beside.ending == "" // by -run
		fmt.Fprintf(&table, "| %s | %s | %s | %d ms |\n", a.name, inside, beside, max(inside.pause, beside.pause).Milliseconds())
	}
	if !partly {
		checkAttackTable(t, table.String())
	}
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
var measured = regexp.MustCompile(`(: [a-z]+)?, [0-9.]+ s |[0-9]+ ms `)

func checkAttackTable(t *testing.T, table string) {
	const path = "../../docs/PLUGINS.md"
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	head, rest, ok := strings.Cut(string(b), "<!-- attacks -->\n")
	had, tail, ok2 := strings.Cut(rest, "<!-- /attacks -->")
	if !ok || !ok2 {
		t.Fatalf("%s has no place for the table of attacks", path)
	}
	switch {
	case *update:
		if err := os.WriteFile(path, []byte(head+"<!-- attacks -->\n\n"+table+"\n<!-- /attacks -->"+tail), 0o644); err != nil {
			t.Fatal(err)
		}
	case measured.ReplaceAllString(strings.TrimSpace(had), " ") != measured.ReplaceAllString(strings.TrimSpace(table), " "):
		t.Errorf("%s is not what happens; go test ./cmd/server -run TestAttacks -update writes it", path)
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
