package metrics

import (
	"fmt"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
)

// description is what a metric is.
type description struct {
	name   string
	kind   string // of Prometheus's
	how    how    // its values come here
	labels []string
	help   string
}

// how the values of a metric come here.
type how int

const (
	told how = iota // by a method of Metrics
	read            // from a Source
)

const (
	isCounter   = "counter"
	isGauge     = "gauge"
	isHistogram = "histogram"
)

// table are all metrics of our own. docs/OPERATING.md has it, too.
var table = []description{
	{"rosterd_build_info", isGauge, read, []string{"version"}, "1, with the version that runs"},

	{"rosterd_backend_request_duration_seconds", isHistogram, told, []string{"host", "outcome"}, "time that a fetch of a roster took, with the wait for a place; outcome is ok, unchanged, unknown-user or error"},
	{"rosterd_backend_failures_total", isCounter, told, []string{"host", "kind"}, "fetches that failed; kind is temporary, permanent, denied, fault, timeout, breaker (the backend was not asked) or held (the shrink guard holds the answer)"},
	{"rosterd_backend_breaker_open", isGauge, read, []string{"host"}, "1 while the circuit breaker keeps the backend from being asked"},
	{"rosterd_backend_requests_in_flight", isGauge, read, []string{"host"}, "calls to the backend that are under way"},
	{"rosterd_backend_requests_waiting", isGauge, read, []string{"host"}, "calls that wait for a place (rosterd_backend_parallel)"},
	{"rosterd_contacts_dropped_total", isCounter, told, []string{"host"}, "contacts of answers that could not be used"},
	{"rosterd_fetches_spared_total", isCounter, read, nil, "logins that needed no fetch, since the roster was fresh"},

	{"rosterd_plugin_calls_total", isCounter, told, []string{"host", "plugin", "work", "outcome"}, "calls of a plugin; work is roster, edit, auth, http or timer; outcome is ok, unknown-user, denied, temporary, permanent, timeout, canceled, or what was wrong with the plugin itself: deadline, instructions, memory, trap, protocol, fault"},
	{"rosterd_plugin_call_duration_seconds", isHistogram, told, []string{"host", "plugin", "work"}, "time that a call of a plugin took, with what it waited for"},
	{"rosterd_plugin_memory_bytes", isGauge, read, []string{"host", "plugin"}, "resident memory of the processes of a plugin that has its own"},
	{"rosterd_plugin_restarts_total", isCounter, read, []string{"host", "plugin"}, "how often the process of a plugin had to be started again, since the plugin was loaded"},
	{"rosterd_plugins_retired", isGauge, read, nil, "plugins that a reload has exchanged and that still end what they began"},
	{"rosterd_reloads_total", isCounter, told, []string{"outcome"}, "reloads of the configuration and of the plugins; outcome is ok, or error where everything stayed as it was"},

	{"rosterd_rosters", isGauge, read, []string{"host", "state"}, "users who are online, by the state of their rosters: fresh, stale (the last good one is served, since something failed), absent (there is none)"},
	{"rosterd_rosters_held", isGauge, read, []string{"host"}, "users of whom the shrink guard holds an answer"},
	{"rosterd_roster_changes_total", isCounter, told, []string{"host"}, "contacts of users who are online that were added, changed or removed"},
	{"rosterd_roster_pushes_total", isCounter, read, nil, "roster pushes to clients"},
	{"rosterd_store_commits_total", isCounter, read, []string{"outcome"}, "attempts to write kept rosters to the database, many rosters each; outcome is ok or error"},
	{"rosterd_store_rosters_written_total", isCounter, read, nil, "kept rosters that were written to the database"},
	{"rosterd_store_backlog_bytes", isGauge, read, nil, "kept rosters that wait to be written"},
	{"rosterd_stores_commits_total", isCounter, read, []string{"database", "outcome"}, "attempts to write what users store, the changes of many each; outcome is ok or error"},
	{"rosterd_stores_changes_total", isCounter, read, []string{"database"}, "changes that were written: values of one store of one user, or one stanza"},
	{"rosterd_stores_backlog_bytes", isGauge, read, []string{"database"}, "stanzas for archives and for users who are offline that wait to be written"},
	{"rosterd_stores_stalled", isGauge, read, []string{"database"}, "1 while a database has stopped: a commit has not come back for 5 seconds, or who asks it is sent away"},

	{"rosterd_refresh_duration_seconds", isHistogram, told, []string{"host"}, "time that a refresh took; its count is how many there were"},
	{"rosterd_refresh_names_total", isCounter, told, []string{"host"}, "names in refreshes"},
	{"rosterd_refresh_errors_total", isCounter, told, []string{"host"}, "those among them that counted as errors in the answer"},

	{"rosterd_http_requests_total", isCounter, told, []string{"route", "status"}, "answers of the HTTP server; route is roster_admin, websocket, bosh, files, ejabberd_api, openfire_api, host-meta, health, readyz, metrics, or empty where nothing is served"},
	{"rosterd_http_connections_refused_total", isCounter, read, nil, "HTTP connections that were closed because their address had too many (rosterd_http_connections_per_address)"},

	{"rosterd_sessions", isGauge, read, []string{"host", "transport"}, "bound resources; transport is tcp, websocket or bosh, or hibernating where a session waits to be resumed"},
	{"rosterd_logins_total", isCounter, read, []string{"outcome"}, "SASL exchanges; outcome is ok or failed"},
	{"rosterd_auth_questions_total", isCounter, read, []string{"host", "outcome"}, "questions to who knows the passwords or tokens of a host, since the configuration was read; outcome is ok, refused, failed, joined (somebody else asked the same at the same time), cached (rosterd_auth_cache) or breaker (nobody was asked)"},
	{"rosterd_auth_breaker_open", isGauge, read, []string{"host"}, "1 while failures keep logins from being asked about"},
	{"rosterd_logins_throttled_total", isCounter, read, []string{"how"}, "attempts that were slowed down because of wrong passwords; how is address or account (refused because of it) or delayed"},
	{"rosterd_streams_refused_total", isCounter, read, []string{"reason"}, "connections refused because too many are not authenticated; reason is limit (the client was told why) or crowd (just closed); late (told to come back: others had waited for too long already), silent (closed: it said nothing, and others wanted to come in) or left (closed: it had left itself before its turn came)"},
	{"rosterd_logins_waiting", isGauge, read, nil, "connections that wait until the server begins with them"},
	{"rosterd_logins_admitted_total", isCounter, read, nil, "connections that the server has begun with"},
	{"rosterd_logins_waited_seconds_total", isCounter, read, nil, "time that those have waited for it, all together"},
	{"rosterd_accepting_slowed_seconds_total", isCounter, read, nil, "time for which accepting paused, since whoever came could only have been told that there are too many; of all ports for streams over TCP together"},
	{"rosterd_streams_ended_total", isCounter, read, []string{"condition"}, "sessions that ended, by the condition of the stream error: policy-violation where a limit was reached; empty where the client left or the connection broke"},
	{"rosterd_stanzas_total", isCounter, read, []string{"kind"}, "stanzas of clients; kind is message, presence or iq"},
	{"rosterd_outbox_bytes", isGauge, read, nil, "bytes that wait for clients to take them"},
	{"rosterd_presence_held_total", isCounter, read, []string{"outcome"}, "presence that came in crowds and was held for a moment (rosterd_presence_rate): written together with others, or superseded, and not written"},
	{"rosterd_outbox_limit_total", isCounter, read, []string{"limit"}, "how often an outbox reached a limit: soft (nothing more was read from that client) or hard (its stream was closed)"},
	{"rosterd_resumptions_total", isCounter, read, []string{"outcome"}, "sessions whose connection was lost; outcome is resumed, failed (a client asked for a session that was over, say) or expired (no client came in time)"},

	{"rosterd_component_connected", isGauge, read, []string{"component"}, "1 while the program of a component is connected, 0 while it is not"},
	{"rosterd_component_stanzas_refused_total", isCounter, read, []string{"reason"}, "stanzas to components or of them that were refused; reason is not-connected (the sender was told) or not-allowed (of a component: from an address of others, or to nobody)"},
}

// Names are the names of all metrics of our own.
func Names() (names []string) {
	for _, d := range table {
		names = append(names, d.name)
	}
	return names
}

// Markdown is the table as the documentation has it.
func Markdown() string {
	var b strings.Builder
	b.WriteString("| metric | type | labels | meaning |\n| --- | --- | --- | --- |\n")
	for _, d := range table {
		labels := ""
		if len(d.labels) > 0 {
			labels = "`" + strings.Join(d.labels, "`, `") + "`"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", d.name, d.kind, labels, d.help)
	}
	return b.String()
}

func (d description) desc() *prometheus.Desc {
	return prometheus.NewDesc(d.name, d.help, d.labels, nil)
}

func (d description) valueType() prometheus.ValueType {
	if d.kind == isCounter {
		return prometheus.CounterValue
	}
	return prometheus.GaugeValue
}

func counter(r prometheus.Registerer, name string) *prometheus.CounterVec {
	d := find(name)
	v := prometheus.NewCounterVec(prometheus.CounterOpts{Name: d.name, Help: d.help}, d.labels)
	r.MustRegister(v)
	return v
}

func histogram(r prometheus.Registerer, name string, buckets []float64) *prometheus.HistogramVec {
	d := find(name)
	v := prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: d.name, Help: d.help, Buckets: buckets}, d.labels)
	r.MustRegister(v)
	return v
}
