package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"rosterd/config"
	"rosterd/engine"
	"rosterd/engine/addr"
	"rosterd/httpd"
	"rosterd/metrics"
	"rosterd/plugins"
	"rosterd/store"
	"rosterd/xmppcore"
	"rosterd/xmppcore/admission"
	"rosterd/xmppcore/auth"
	"rosterd/xmppcore/bosh"
)

// daemon is a running server: what it is made of, and how it is stopped.
type daemon struct {
	log    *slog.Logger
	failed chan error                        // a listener that died
	tap    func(to addr.JID, stanzas []byte) // for the demo

	db       *databases
	throttle *auth.Throttle
	xmpp     *xmppcore.Server
	eng      *engine.Engine
	web      *httpd.Server
	bosh     *bosh.Manager
	profiles *profiles
	metrics  *metrics.Metrics
	operator operator
	serving  sync.WaitGroup
	retired  plugins.Retired                        // those that a reload has exchanged
	ticking  sync.WaitGroup                         // timers of plugins
	closing  sync.WaitGroup                         // sources of passwords that a reload has exchanged
	ending   chan struct{}                          // closed when these are not asked any more
	timers   map[*plugins.Opened]context.CancelFunc // those that run
	stops    []func(context.Context) error          // in the order of starting

	plan   *plan                // what is served now
	served atomic.Pointer[plan] // the same, for who reads it beside a reload
	certs  atomic.Pointer[certificates]
}

func newDaemon(log *slog.Logger) *daemon {
	return &daemon{log: log, failed: make(chan error, 1), ending: make(chan struct{}), timers: make(map[*plugins.Opened]context.CancelFunc)}
}

// start builds a server from a configuration that was checked. Nothing is left running after an error.
func start(ctx context.Context, cfg *config.Config, log *slog.Logger) (*daemon, error) {
	d := newDaemon(log)
	if err := d.build(ctx, cfg); err != nil {
		return nil, errors.Join(err, d.stop())
	}
	return d, nil
}

// build starts the parts, in the order in which they need each other, and then serves the configuration.
func (d *daemon) build(ctx context.Context, cfg *config.Config) (err error) {
	if d.db, err = openDatabases(cfg, part(d.log, "store")); err != nil {
		return err
	}
	d.onStop(func(context.Context) error { return d.db.Close() })
	d.throttle = auth.NewThrottle(failureLimits(cfg), part(d.log, "c2s"))
	p, err := d.prepare(ctx, cfg)
	if err != nil {
		return err
	}
	d.onStop(func(context.Context) error {
		d.retired.Close()
		close(d.ending)
		d.closing.Wait()
		return d.plan.closePlugins()
	})
	p.xmpp.Tap = d.tap
	d.xmpp = xmppcore.New(p.xmpp)
	d.eng = engine.New(p.engine, d.xmpp.RosterChanged, part(d.log, "engine"))
	d.onStop(d.eng.Close)
	d.onStop(d.stopTimers)
	d.onStop(d.watchGroups())
	d.xmpp.Start(d.eng)
	d.metrics = d.figures()
	d.web = &httpd.Server{Log: part(d.log, "http"), Metrics: d.metrics.Handler(part(d.log, "http")), Ready: d.ready, Observe: d.metrics.Requested, ConnContext: admission.Within}
	d.onStop(func(ctx context.Context) error {
		if err := d.web.Shutdown(ctx); err != nil { // as with clients, below
			d.log.Warn("stopped before all HTTP requests were answered", "error", err)
		}
		return nil
	})
	d.bosh = &bosh.Manager{Serve: d.xmpp.ServeCarrier, Limits: d.xmpp.Limits}
	d.onStop(d.dismiss) // before HTTP ends, which carries some of the good-byes
	d.profiles = newProfiles()
	d.onStop(d.profiles.close)
	if err := d.adopt(p); err != nil {
		return err
	}
	return d.openAdmin(cfg)
}

// dismiss says good-bye to all clients.
func (d *daemon) dismiss(ctx context.Context) error {
	d.web.Drain()
	if err := errors.Join(d.xmpp.Shutdown(ctx), d.bosh.Shutdown(ctx)); err != nil { // clients that do not take what they are sent: no failure of ours
		d.log.Warn("stopped without the good-bye of all clients", "error", err)
	}
	return nil
}

func (d *daemon) onStop(f func(context.Context) error) { d.stops = append(d.stops, f) }

// stop stops everything in the opposite order, within patience as a whole: a part that takes its time leaves the others
// a moment each.
func (d *daemon) stop() (err error) {
	end := time.Now().Add(patience)
	for i := len(d.stops) - 1; i >= 0; i-- {
		ctx, cancel := context.WithDeadline(context.Background(), end.Add(-time.Duration(i)*moment))
		err = errors.Join(err, d.stops[i](ctx))
		cancel()
	}
	d.serving.Wait()
	return err
}

// openStore opens the embedded database, making its folder if need be.
func openStore(cfg *config.Config, log *slog.Logger) (*store.Store, error) {
	path := config.Database.Get(cfg.Global())
	if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
		return nil, fmt.Errorf("folder of the database (data_path, rosterd_database): %w", err)
	}
	db, err := store.Open(path, log)
	if err != nil {
		return nil, fmt.Errorf("database %s: %w", path, err)
	}
	return db, nil
}

func at(p config.Pos) string {
	if p.IsZero() {
		return ""
	}
	return p.String() + ": "
}

// noSuchProtocol: a machine without IPv6 is no mistake of the configuration's.
func noSuchProtocol(err error) bool {
	return errors.Is(err, syscall.EAFNOSUPPORT) || errors.Is(err, syscall.EADDRNOTAVAIL) || errors.Is(err, syscall.EPROTONOSUPPORT)
}
