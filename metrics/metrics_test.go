package metrics

import (
	"flag"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"rosterd/engine"
)

var update = flag.Bool("update", false, "write the table of the documentation anew")

// scrape returns what Prometheus would get of our own metrics, line by line.
func scrape(t testing.TB, m *Metrics) []string {
	t.Helper()
	w := httptest.NewRecorder()
	m.Handler(slog.New(slog.DiscardHandler)).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	if w.Code != http.StatusOK {
		t.Fatalf("answered %d %s", w.Code, w.Body)
	}
	return strings.Split(w.Body.String(), "\n")
}

// readAll gives every metric that wants one a source of one value.
func readAll(m *Metrics) {
	for _, name := range m.Unread() {
		m.Read(func(emit Emit) { emit(name, 7, find(name).labels...) }, name)
	}
}

func TestTold(t *testing.T) {
	tests := []struct {
		name string
		tell func(*Metrics)
		want []string
	}{
		{"HTTP", func(m *Metrics) {
			m.Requested("files", 200)
			m.Requested("files", 200)
			m.Requested("", 404)
		}, []string{
			`rosterd_http_requests_total{route="",status="404"} 1`,
			`rosterd_http_requests_total{route="files",status="200"} 2`,
		}},
		{"refreshes", func(m *Metrics) {
			m.Refreshed("a.example", 10, 3, 200*time.Millisecond)
			m.Refreshed("a.example", 1, 0, time.Minute)
		}, []string{
			`rosterd_refresh_duration_seconds_bucket{host="a.example",le="0.1"} 0`,
			`rosterd_refresh_duration_seconds_bucket{host="a.example",le="0.5"} 1`,
			`rosterd_refresh_duration_seconds_count{host="a.example"} 2`,
			`rosterd_refresh_duration_seconds_sum{host="a.example"} 60.2`,
			`rosterd_refresh_names_total{host="a.example"} 11`,
			`rosterd_refresh_errors_total{host="a.example"} 3`,
		}},
		{"a good fetch", func(m *Metrics) {
			m.Fetched(engine.Fetched{Host: "a.example", Kind: engine.KindOK, Took: 20 * time.Millisecond, Dropped: 2, Changes: 5})
		}, []string{
			`rosterd_backend_request_duration_seconds_count{host="a.example",outcome="ok"} 1`,
			`rosterd_backend_request_duration_seconds_bucket{host="a.example",outcome="ok",le="0.01"} 0`,
			`rosterd_backend_request_duration_seconds_bucket{host="a.example",outcome="ok",le="0.025"} 1`,
			`rosterd_contacts_dropped_total{host="a.example"} 2`,
			`rosterd_roster_changes_total{host="a.example"} 5`,
		}},
		{"nothing new, and a new user", func(m *Metrics) {
			m.Fetched(engine.Fetched{Host: "a.example", Kind: engine.KindUnchanged})
			m.Fetched(engine.Fetched{Host: "a.example", Kind: engine.KindUnknownUser})
		}, []string{
			`rosterd_backend_request_duration_seconds_count{host="a.example",outcome="unchanged"} 1`,
			`rosterd_backend_request_duration_seconds_count{host="a.example",outcome="unknown-user"} 1`,
		}},
		{"failures", func(m *Metrics) {
			m.Fetched(engine.Fetched{Host: "a.example", Kind: engine.KindTimeout})
			m.Fetched(engine.Fetched{Host: "a.example", Kind: engine.KindTemporary})
			m.Fetched(engine.Fetched{Host: "a.example", Kind: engine.KindHeld})
		}, []string{
			`rosterd_backend_request_duration_seconds_count{host="a.example",outcome="error"} 3`,
			`rosterd_backend_failures_total{host="a.example",kind="timeout"} 1`,
			`rosterd_backend_failures_total{host="a.example",kind="temporary"} 1`,
			`rosterd_backend_failures_total{host="a.example",kind="held"} 1`,
		}},
		{"a backend that is not asked", func(m *Metrics) {
			m.Fetched(engine.Fetched{Host: "a.example", Kind: engine.KindBreaker})
		}, []string{`rosterd_backend_failures_total{host="a.example",kind="breaker"} 1`}},
		{"calls of scripts", func(m *Metrics) {
			m.Called("a.example", "crm", "roster", "ok", 20*time.Millisecond)
			m.Called("a.example", "crm", "roster", "memory", 2*time.Second)
			m.Called("a.example", "crm", "auth", "denied", 0)
		}, []string{
			`rosterd_plugin_calls_total{host="a.example",outcome="ok",plugin="crm",work="roster"} 1`,
			`rosterd_plugin_calls_total{host="a.example",outcome="memory",plugin="crm",work="roster"} 1`,
			`rosterd_plugin_calls_total{host="a.example",outcome="denied",plugin="crm",work="auth"} 1`,
			`rosterd_plugin_call_duration_seconds_bucket{host="a.example",plugin="crm",work="roster",le="0.025"} 1`,
			`rosterd_plugin_call_duration_seconds_sum{host="a.example",plugin="crm",work="roster"} 2.02`,
		}},
		{"reloads", func(m *Metrics) {
			m.Reloaded(true)
			m.Reloaded(true)
			m.Reloaded(false)
		}, []string{`rosterd_reloads_total{outcome="ok"} 2`, `rosterd_reloads_total{outcome="error"} 1`}},
		{"version", func(*Metrics) {}, []string{`rosterd_build_info{version="1.2.3"} 1`}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m := New("1.2.3")
			tt.tell(m)
			got := scrape(t, m)
			for _, want := range tt.want {
				if !slices.Contains(got, want) {
					t.Errorf("%s is missing in\n%s", want, ours(got))
				}
			}
		})
	}
	t.Run("nobody was asked, so nothing took time", func(t *testing.T) {
		m := New("")
		m.Fetched(engine.Fetched{Host: "a.example", Kind: engine.KindBreaker})
		if got := ours(scrape(t, m)); strings.Contains(got, "rosterd_backend_request_duration_seconds") {
			t.Errorf("got\n%s", got)
		}
	})
}

func ours(lines []string) string {
	return strings.Join(slices.DeleteFunc(lines, func(l string) bool { return !strings.HasPrefix(l, "rosterd_") }), "\n")
}

// Every kind of fetch that the engine has is counted, and what fails is counted as that.
func TestFetchedKnowsAllKinds(t *testing.T) {
	m := New("")
	for _, k := range engine.Kinds {
		m.Fetched(engine.Fetched{Host: "a.example", Kind: k})
	}
	got := ours(scrape(t, m))
	for _, k := range engine.Kinds {
		if !strings.Contains(got, `="`+string(k)+`"`) {
			t.Errorf("%s is not counted", k)
		}
		if help := find("rosterd_backend_failures_total").help + find("rosterd_backend_request_duration_seconds").help; !strings.Contains(help, string(k)) {
			t.Errorf("%s is not documented", k)
		}
	}
}

func TestRead(t *testing.T) {
	m := New("")
	if got := m.Unread(); len(got) == 0 || slices.Contains(got, "rosterd_build_info") || slices.Contains(got, "rosterd_http_requests_total") {
		t.Errorf("unread: %v", got)
	}
	n := 0
	m.Read(func(emit Emit) {
		n++
		emit("rosterd_sessions", float64(n), "a.example", "tcp")
		emit("rosterd_sessions", 9, "b.example", "bosh")
		emit("rosterd_outbox_bytes", 1<<40)
	}, "rosterd_sessions", "rosterd_outbox_bytes")
	readAll(m)
	if got := m.Unread(); len(got) > 0 {
		t.Errorf("unread: %v", got)
	}
	for _, want := range []string{"1", "2"} {
		got := scrape(t, m)
		for _, line := range []string{
			`rosterd_sessions{host="a.example",transport="tcp"} ` + want, `rosterd_sessions{host="b.example",transport="bosh"} 9`,
			`rosterd_outbox_bytes 1.099511627776e+12`, `rosterd_roster_pushes_total 7`,
			`# TYPE rosterd_roster_pushes_total counter`, `# TYPE rosterd_sessions gauge`,
		} {
			if !slices.Contains(got, line) {
				t.Errorf("%s is missing in\n%s", line, ours(got))
			}
		}
	}
}

func TestReadRefuses(t *testing.T) {
	for name, metric := range map[string]string{"unknown": "rosterd_nothing", "told": "rosterd_http_requests_total", "read twice": "rosterd_build_info"} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if p, _ := recover().(string); !strings.Contains(p, metric) {
					t.Errorf("panic %q, want one about %s", p, metric)
				}
			}()
			New("").Read(nil, metric)
		})
	}
}

// A value that is wrong costs its own metric.
func TestWrongLabels(t *testing.T) {
	m := New("")
	m.Read(func(emit Emit) {
		emit("rosterd_sessions", 1, "only one label")
		emit("rosterd_outbox_bytes", 1)
	}, "rosterd_sessions", "rosterd_outbox_bytes")
	var log strings.Builder
	w := httptest.NewRecorder()
	m.Handler(slog.New(slog.NewTextHandler(&log, nil))).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	if body := w.Body.String(); w.Code != 200 || strings.Contains(body, "rosterd_sessions{") || !strings.Contains(body, "rosterd_outbox_bytes 1") {
		t.Errorf("answered %d\n%s", w.Code, ours(strings.Split(body, "\n")))
	}
	if !strings.Contains(log.String(), "collecting metrics") || !strings.Contains(log.String(), "rosterd_sessions") {
		t.Errorf("logged %s", &log)
	}
}

func TestEngine(t *testing.T) {
	backend := engine.BackendFunc(nil)
	e := engine.New(map[string]engine.Host{"a.example": {Backend: backend}}, func(engine.Event) {}, slog.New(slog.DiscardHandler))
	m := New("")
	m.Engine(e)
	got := scrape(t, m)
	for _, want := range []string{
		`rosterd_backend_breaker_open{host="a.example"} 0`, `rosterd_backend_requests_in_flight{host="a.example"} 0`,
		`rosterd_backend_requests_waiting{host="a.example"} 0`, `rosterd_rosters{host="a.example",state="stale"} 0`,
		`rosterd_rosters_held{host="a.example"} 0`, `rosterd_fetches_spared_total 0`,
	} {
		if !slices.Contains(got, want) {
			t.Errorf("%s is missing in\n%s", want, ours(got))
		}
	}
}

func TestProcess(t *testing.T) {
	got := strings.Join(scrape(t, New("")), "\n")
	for _, want := range []string{"\ngo_goroutines ", "\nprocess_open_fds ", "\nprocess_resident_memory_bytes "} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is missing", want)
		}
	}
}

func TestTable(t *testing.T) {
	form := regexp.MustCompile(`^rosterd_[a-z]+(_[a-z]+)*$`)
	seen := map[string]bool{}
	for _, d := range table {
		switch {
		case !form.MatchString(d.name) || seen[d.name]:
			t.Errorf("%s: not a name, or twice", d.name)
		case d.help == "" || strings.Contains(d.help, "|"):
			t.Errorf("%s: help %q", d.name, d.help)
		case (d.kind == isCounter) != strings.HasSuffix(d.name, "_total"):
			t.Errorf("%s is a %s", d.name, d.kind)
		case slices.ContainsFunc(d.labels, func(l string) bool { return l == "user" || l == "jid" || l == "address" }):
			t.Errorf("%s has labels without bound: %v", d.name, d.labels)
		}
		seen[d.name] = true
	}
	m := New("")
	readAll(m)
	m.Requested("", 200)
	m.Refreshed("a.example", 1, 1, 0)
	m.Fetched(engine.Fetched{Host: "a.example", Kind: engine.KindTimeout})
	m.Called("a.example", "crm", "roster", "ok", 0)
	m.Reloaded(true)
	got := strings.Join(scrape(t, m), "\n")
	for _, d := range table {
		if !strings.Contains(got, "\n# TYPE "+d.name+" "+d.kind+"\n") {
			t.Errorf("nobody gets %s", d.name)
		}
	}
}

// TestDocumented: docs/OPERATING.md has the table; -update writes it anew.
func TestDocumented(t *testing.T) {
	file := filepath.Join("..", "docs", "OPERATING.md")
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	block := regexp.MustCompile(`(?s)(<!-- table: metrics -->\n).*?(<!-- end -->)`)
	if !block.Match(b) {
		t.Fatalf("%s has no table of metrics", file)
	}
	text := block.ReplaceAllStringFunc(string(b), func(was string) string {
		parts := block.FindStringSubmatch(was)
		return parts[1] + "\n" + Markdown() + "\n" + parts[2]
	})
	if text == string(b) {
		return
	}
	if !*update {
		t.Fatalf("%s is not what the code says; go test ./metrics -run TestDocumented -update writes it", file)
	}
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func BenchmarkRequested(b *testing.B) {
	m := New("")
	b.ReportAllocs()
	for b.Loop() {
		m.Requested("websocket", 101)
	}
}

func BenchmarkCalled(b *testing.B) {
	m := New("")
	b.ReportAllocs()
	for b.Loop() {
		m.Called("a.example", "crm", "roster", "ok", time.Millisecond)
	}
}

func BenchmarkFetched(b *testing.B) {
	m := New("")
	f := engine.Fetched{Host: "a.example", Kind: engine.KindOK, Took: time.Millisecond, Changes: 1}
	b.ReportAllocs()
	for b.Loop() {
		m.Fetched(f)
	}
}
