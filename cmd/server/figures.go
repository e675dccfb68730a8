package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"rosterd/httpd"
	"rosterd/metrics"
	"rosterd/plugins"
)

// figures brings what is counted together. The engine is told of its observer before the first login.
func (d *daemon) figures() *metrics.Metrics {
	m := metrics.New(fullVersion())
	d.eng.Observe(m.Fetched)
	m.Engine(d.eng)
	m.Read(d.readStore, "rosterd_store_commits_total", "rosterd_store_rosters_written_total", "rosterd_store_backlog_bytes")
	m.Read(d.readStores, "rosterd_stores_commits_total", "rosterd_stores_changes_total", "rosterd_stores_backlog_bytes", "rosterd_stores_stalled")
	m.Read(d.readThrottle, "rosterd_logins_throttled_total")
	m.Read(func(emit metrics.Emit) { emit("rosterd_http_connections_refused_total", float64(d.web.Refused())) }, "rosterd_http_connections_refused_total")
	m.Read(d.readSources, "rosterd_auth_questions_total", "rosterd_auth_breaker_open")
	m.Read(d.readPlugins, "rosterd_plugin_memory_bytes", "rosterd_plugin_restarts_total", "rosterd_plugins_retired")
	m.Read(d.readStreams, "rosterd_sessions", "rosterd_logins_total", "rosterd_streams_refused_total", "rosterd_streams_ended_total",
		"rosterd_logins_waiting", "rosterd_logins_admitted_total", "rosterd_logins_waited_seconds_total",
		"rosterd_stanzas_total", "rosterd_roster_pushes_total", "rosterd_outbox_bytes", "rosterd_outbox_limit_total", "rosterd_presence_held_total",
		"rosterd_resumptions_total", "rosterd_component_connected", "rosterd_component_stanzas_refused_total")
	return m
}

func (d *daemon) readStore(emit metrics.Emit) {
	s := d.db.Stats()
	emit("rosterd_store_commits_total", float64(s.Commits), "ok")
	emit("rosterd_store_commits_total", float64(s.Failures), "error")
	emit("rosterd_store_rosters_written_total", float64(s.Written))
	emit("rosterd_store_backlog_bytes", float64(s.Backlog))
}

func (d *daemon) readStores(emit metrics.Emit) {
	for database, s := range d.db.storesStats() {
		emit("rosterd_stores_commits_total", float64(s.Commits), database, "ok")
		emit("rosterd_stores_commits_total", float64(s.Failures), database, "error")
		emit("rosterd_stores_changes_total", float64(s.Changes), database)
		emit("rosterd_stores_backlog_bytes", float64(s.Backlog), database)
		stalled := 0.0
		if s.Stalled {
			stalled = 1
		}
		emit("rosterd_stores_stalled", stalled, database)
	}
}

func (d *daemon) readThrottle(emit metrics.Emit) {
	s := d.throttle.Stats()
	emit("rosterd_logins_throttled_total", float64(s.RefusedAddress), "address")
	emit("rosterd_logins_throttled_total", float64(s.RefusedAccount), "account")
	emit("rosterd_logins_throttled_total", float64(s.Delayed), "delayed")
}

// readSources counts what was asked about logins since the configuration was read.
func (d *daemon) readSources(emit metrics.Emit) {
	for host, g := range d.served.Load().sources {
		s := g.Stats()
		for outcome, n := range map[string]uint64{
			"ok": s.Accepted, "refused": s.Refused, "failed": s.Failed, "joined": s.Joined, "cached": s.Cached, "breaker": s.TurnedOff,
		} {
			emit("rosterd_auth_questions_total", float64(n), host, outcome)
		}
		open := 0.0
		if s.Open {
			open = 1
		}
		emit("rosterd_auth_breaker_open", open, host)
	}
}

// called is told of every call of a plugin, of which there is none before there are figures.
func (d *daemon) called(c plugins.Called) {
	d.metrics.Called(c.Host, c.Plugin, string(c.Work), c.Outcome(), c.Took)
}

// readPlugins counts what a reload has exchanged to those that have taken its place.
func (d *daemon) readPlugins(emit metrics.Emit) {
	retired := d.retired.Plugins()
	memory := map[[2]string]int64{}
	for _, o := range retired {
		memory[[2]string{o.Host(), o.Name()}] += o.Usage().Memory
	}
	for o := range d.served.Load().openedPlugins() {
		if !o.Isolated() {
			continue
		}
		u := o.Usage()
		emit("rosterd_plugin_memory_bytes", float64(u.Memory+memory[[2]string{o.Host(), o.Name()}]), o.Host(), o.Name())
		emit("rosterd_plugin_restarts_total", float64(u.Restarts), o.Host(), o.Name())
	}
	emit("rosterd_plugins_retired", float64(len(retired)))
}

func (d *daemon) readStreams(emit metrics.Emit) {
	s := d.xmpp.Stats()
	for kind, n := range s.Sessions {
		emit("rosterd_sessions", float64(n), kind.Host, kind.Transport)
	}
	emit("rosterd_logins_total", float64(s.LoggedIn), "ok")
	emit("rosterd_logins_total", float64(s.Failed), "failed")
	emit("rosterd_streams_refused_total", float64(s.Refused), "limit")
	emit("rosterd_streams_refused_total", float64(s.Cut), "crowd")
	emit("rosterd_streams_refused_total", float64(s.Admission.Late), "late")
	emit("rosterd_streams_refused_total", float64(s.Admission.Silent), "silent")
	emit("rosterd_streams_refused_total", float64(s.Left), "left")
	emit("rosterd_logins_waiting", float64(s.Admission.Waiting))
	emit("rosterd_logins_admitted_total", float64(s.Admission.Admitted))
	emit("rosterd_logins_waited_seconds_total", s.Admission.Waited.Seconds())
	emit("rosterd_accepting_slowed_seconds_total", s.Admission.Slowed.Seconds())
	for condition, n := range s.Ended {
		emit("rosterd_streams_ended_total", float64(n), condition)
	}
	for kind, n := range s.Stanzas {
		emit("rosterd_stanzas_total", float64(n), kind)
	}
	emit("rosterd_roster_pushes_total", float64(s.Pushes))
	emit("rosterd_outbox_bytes", float64(s.Outboxes))
	emit("rosterd_presence_held_total", float64(s.Held), "written")
	emit("rosterd_presence_held_total", float64(s.Superseded), "superseded")
	emit("rosterd_outbox_limit_total", float64(s.SoftLimit), "soft")
	emit("rosterd_outbox_limit_total", float64(s.HardLimit), "hard")
	emit("rosterd_resumptions_total", float64(s.Resumed), "resumed")
	emit("rosterd_resumptions_total", float64(s.NotResumed), "failed")
	emit("rosterd_resumptions_total", float64(s.Expired), "expired")
	for domain, connected := range s.Components {
		n := 0.0
		if connected {
			n = 1
		}
		emit("rosterd_component_connected", n, domain)
	}
	emit("rosterd_component_stanzas_refused_total", float64(s.Unsent), "not-connected")
	emit("rosterd_component_stanzas_refused_total", float64(s.Unaccepted), "not-allowed")
}

// ready is what /readyz reports. All doors were open before anybody could ask; one that dies stops the server.
func (d *daemon) ready(ctx context.Context) []httpd.Part {
	parts := []httpd.Part{{Name: "store", Err: d.db.Writable(ctx)}}
	hosts := d.eng.Hosts()
	for _, name := range slices.Sorted(maps.Keys(hosts)) {
		part := httpd.Part{Name: "backend of " + name, Minor: true}
		if b := hosts[name].Breaker; b.Open {
			part.Err = fmt.Errorf("not asked until %s: %w", b.Until.UTC().Format(time.RFC3339), b.LastError)
		}
		parts = append(parts, part)
	}
	return parts
}
