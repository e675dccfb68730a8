// Package metrics is what rosterd tells Prometheus: which figures there are, and how they come together.
//
// Some are told, as things happen, by the methods whose names say what happened; they fit the observers of other
// packages. The others are counted elsewhere, and read when somebody asks: see [Metrics.Read]. Labels are
// hosts, modules and words of our own, never users, so that there are never more series than an operator can look at.
package metrics

import (
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"rosterd/engine"
)

// Metrics are the figures of one running server.
type Metrics struct {
	registry *prometheus.Registry

	httpRequests *prometheus.CounterVec
	calls        *prometheus.HistogramVec
	failures     *prometheus.CounterVec
	dropped      *prometheus.CounterVec
	changes      *prometheus.CounterVec
	refreshes    *prometheus.HistogramVec
	refreshNames *prometheus.CounterVec
	refreshFails *prometheus.CounterVec
	pluginCalls  *prometheus.CounterVec
	pluginTimes  *prometheus.HistogramVec
	reloads      *prometheus.CounterVec

	mu      sync.Mutex // guards the fields below
	sources []Source
	unread  map[string]bool // metrics of which nobody has said who gives them
}

// Source gives the values of some metrics at this moment: it calls emit for each of them, with the values of the labels
// in the order of the metric's description. It is called for each scrape, by one goroutine at a time.
type Source func(emit Emit)

// Emit takes a value of a metric.
type Emit func(name string, value float64, labels ...string)

// New makes the figures of a server of that version.
func New(version string) *Metrics {
	m := &Metrics{registry: prometheus.NewRegistry(), unread: make(map[string]bool)}
	for _, d := range table {
		m.unread[d.name] = d.how == read
	}
	m.registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), reader{m})
	m.httpRequests = counter(m.registry, "rosterd_http_requests_total")
	m.calls = histogram(m.registry, "rosterd_backend_request_duration_seconds", callBuckets)
	m.failures = counter(m.registry, "rosterd_backend_failures_total")
	m.dropped = counter(m.registry, "rosterd_contacts_dropped_total")
	m.changes = counter(m.registry, "rosterd_roster_changes_total")
	m.refreshes = histogram(m.registry, "rosterd_refresh_duration_seconds", refreshBuckets)
	m.refreshNames = counter(m.registry, "rosterd_refresh_names_total")
	m.refreshFails = counter(m.registry, "rosterd_refresh_errors_total")
	m.pluginCalls = counter(m.registry, "rosterd_plugin_calls_total")
	m.pluginTimes = histogram(m.registry, "rosterd_plugin_call_duration_seconds", callBuckets)
	m.reloads = counter(m.registry, "rosterd_reloads_total")
	m.Read(func(emit Emit) { emit("rosterd_build_info", 1, version) }, "rosterd_build_info")
	return m
}

// In seconds. A backend has 5 s by default, a refresh 30.
var (
	callBuckets    = []float64{.001, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10}
	refreshBuckets = []float64{.01, .05, .1, .5, 1, 2.5, 5, 10, 20, 30, 60}
)

// Requested counts an answer of the HTTP server.
func (m *Metrics) Requested(route string, status int) {
	m.httpRequests.WithLabelValues(route, strconv.Itoa(status)).Inc()
}

// Refreshed counts a refresh of a host: how many names it had, and how many of them were errors.
func (m *Metrics) Refreshed(host string, names, errors int, took time.Duration) {
	m.refreshes.WithLabelValues(host).Observe(took.Seconds())
	m.refreshNames.WithLabelValues(host).Add(float64(names))
	m.refreshFails.WithLabelValues(host).Add(float64(errors))
}

// Fetched counts a fetch of the engine's: it is an [engine.Observer].
func (m *Metrics) Fetched(f engine.Fetched) {
	if f.Kind != engine.KindBreaker { // else nobody was asked
		m.calls.WithLabelValues(f.Host, outcome(f.Kind)).Observe(f.Took.Seconds())
	}
	if outcome(f.Kind) == "error" {
		m.failures.WithLabelValues(f.Host, string(f.Kind)).Inc()
	}
	m.dropped.WithLabelValues(f.Host).Add(float64(f.Dropped))
	m.changes.WithLabelValues(f.Host).Add(float64(f.Changes))
}

// Called counts a call of a plugin: what for, and what came of it.
func (m *Metrics) Called(host, plugin, work, outcome string, took time.Duration) {
	m.pluginCalls.WithLabelValues(host, plugin, work, outcome).Inc()
	m.pluginTimes.WithLabelValues(host, plugin, work).Observe(took.Seconds())
}

// Reloaded counts a reload of the configuration, and of the plugins with it.
func (m *Metrics) Reloaded(ok bool) {
	outcome := "ok"
	if !ok {
		outcome = "error"
	}
	m.reloads.WithLabelValues(outcome).Inc()
}

// outcome makes few of the kinds of fetches: a histogram has many series for each. An answer that the shrink guard
// holds is an error here as it is in a refresh, although the backend has answered in good order.
func outcome(k engine.Kind) string {
	switch k {
	case engine.KindOK, engine.KindUnchanged, engine.KindUnknownUser:
		return string(k)
	}
	return "error"
}

// Engine reads what the engine counts. It looks at everybody who is online, once for each scrape.
func (m *Metrics) Engine(e *engine.Engine) {
	m.Read(func(emit Emit) {
		for host, s := range e.Hosts() {
			open := 0.0
			if s.Breaker.Open {
				open = 1
			}
			emit("rosterd_backend_breaker_open", open, host)
			emit("rosterd_backend_requests_in_flight", float64(s.Calls), host)
			emit("rosterd_backend_requests_waiting", float64(s.Waiting), host)
			emit("rosterd_rosters", float64(s.Fresh), host, "fresh")
			emit("rosterd_rosters", float64(s.Stale), host, "stale")
			emit("rosterd_rosters", float64(s.Absent), host, "absent")
			emit("rosterd_rosters_held", float64(s.Held), host)
		}
		emit("rosterd_fetches_spared_total", float64(e.Stats().Spared.Load()))
	}, "rosterd_backend_breaker_open", "rosterd_backend_requests_in_flight", "rosterd_backend_requests_waiting",
		"rosterd_rosters", "rosterd_rosters_held", "rosterd_fetches_spared_total")
}

// Read has metrics of the table read from a source. Each has one source.
func (m *Metrics) Read(s Source, names ...string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, name := range names {
		if !m.unread[name] {
			panic(fmt.Sprintf("metrics: %s is not there, is told, or has a source", name))
		}
		m.unread[name] = false
	}
	m.sources = append(m.sources, s)
}

// Unread are the metrics that have to be read and have no source.
func (m *Metrics) Unread() (names []string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, d := range table {
		if m.unread[d.name] {
			names = append(names, d.name)
		}
	}
	return names
}

// Handler answers with all figures in Prometheus's text form, or OpenMetrics if it is asked for. A figure that cannot
// be had is left out and logged.
func (m *Metrics) Handler(log *slog.Logger) http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{
		ErrorLog: errorLog{log}, ErrorHandling: promhttp.ContinueOnError, MaxRequestsInFlight: 4, EnableOpenMetrics: true,
		DisableCompression: true, // who reads is near, and the figures are few
	})
}

type errorLog struct{ *slog.Logger }

func (l errorLog) Println(v ...any) {
	l.Error("collecting metrics", "error", strings.TrimSpace(fmt.Sprintln(v...)))
}

// reader is a [prometheus.Collector] of what has a Source.
type reader struct{ m *Metrics }

func (r reader) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range table {
		if d.how == read {
			ch <- d.desc()
		}
	}
}

func (r reader) Collect(ch chan<- prometheus.Metric) {
	r.m.mu.Lock()
	defer r.m.mu.Unlock()
	for _, source := range r.m.sources {
		source(func(name string, value float64, labels ...string) {
			d := find(name)
			metric, err := prometheus.NewConstMetric(d.desc(), d.valueType(), value, labels...)
			if err != nil {
				metric = prometheus.NewInvalidMetric(d.desc(), err)
			}
			ch <- metric
		})
	}
}

// find returns the description of a metric, which is there.
func find(name string) description {
	i := slices.IndexFunc(table, func(d description) bool { return d.name == name })
	if i < 0 {
		panic("metrics: there is no " + name)
	}
	return table[i]
}
