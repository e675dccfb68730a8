package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"sync"
	"syscall"

	"rosterd/config"
	"rosterd/engine"
	"rosterd/engine/addr"
	"rosterd/httpd"
	"rosterd/store"
	"rosterd/xmppcore"
)

// daemon is a running server: what was started, and how it is stopped.
type daemon struct {
	log     *slog.Logger
	failed  chan error                        // a listener that died
	tap     func(to addr.JID, stanzas []byte) // for the demo
	serving sync.WaitGroup
	stops   []func(context.Context) error // in the order of starting
}

// start builds a server from a configuration that was checked. Nothing is left running after an error.
func start(ctx context.Context, cfg *config.Config, log *slog.Logger) (*daemon, error) {
	d := &daemon{log: log, failed: make(chan error, 1)}
	if err := d.build(ctx, cfg); err != nil {
		return nil, errors.Join(err, d.stop())
	}
	return d, nil
}

func (d *daemon) build(ctx context.Context, cfg *config.Config) error {
	db, err := openStore(cfg, d.log)
	if err != nil {
		return err
	}
	d.onStop(func(context.Context) error { return db.Close() })
	certs, err := loadCertificates(cfg, d.log)
	if err != nil {
		return err
	}
	backends, err := d.openBackends(ctx, cfg)
	if err != nil {
		return err
	}
	hosts, err := xmppHosts(ctx, cfg, db, certs, d.log)
	if err != nil {
		return err
	}
	c := xmppConfig(cfg, hosts, d.log)
	c.Tap = d.tap
	xmpp := xmppcore.New(c)
	eng := engine.New(engineHosts(cfg, backends, db), xmpp.RosterChanged, d.log)
	d.onStop(eng.Close)
	xmpp.Start(eng)
	d.onStop(func(ctx context.Context) error {
		if err := xmpp.Shutdown(ctx); err != nil { // clients that do not take what they are sent: no failure of ours
			d.log.Warn("stopped without the good-bye of all clients", "error", err)
		}
		return nil
	})
	web := &httpd.Server{Log: d.log}
	if err := web.SetHosts(httpHosts(cfg, eng), config.HTTPDefaultHost.Get(cfg.Global())); err != nil {
		return err
	}
	d.onStop(web.Shutdown)
	httpsTLS, err := certs.https(cfg)
	if err != nil {
		return err
	}
	return d.listen(cfg, xmpp, web, httpsTLS)
}

func (d *daemon) onStop(f func(context.Context) error) { d.stops = append(d.stops, f) }

// stop stops everything in the opposite order, and gives each part its time.
func (d *daemon) stop() (err error) {
	for i := len(d.stops) - 1; i >= 0; i-- {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
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

// listen opens all ports before it serves the first.
func (d *daemon) listen(cfg *config.Config, xmpp *xmppcore.Server, web *httpd.Server, httpsTLS *tls.Config) error {
	services := []struct {
		name  string
		serve func(net.Listener) error
	}{
		{"c2s", xmpp.Serve},
		{"http", web.Serve},
		{"https", func(l net.Listener) error { return web.ServeTLS(l, httpsTLS) }},
	}
	var ready []func()
	closeAll := func() {}
	for _, s := range services {
		list := cfg.Listeners(s.name)
		if s.name == "https" && httpsTLS == nil && len(list) > 0 {
			d.log.Warn("no certificate: no HTTPS", "ports", config.HTTPSPorts.Get(cfg.Global()))
			continue
		}
		for _, l := range list {
			ln, err := net.Listen(l.Network, l.Address)
			if err != nil && l.Implicit && noSuchProtocol(err) {
				d.log.Info("not listening: this machine does not have that protocol", "service", s.name, "address", l.Address, "error", err)
				continue
			}
			if err != nil {
				closeAll()
				return fmt.Errorf("%s%s_ports: %w", at(l.Pos), s.name, err)
			}
			before := closeAll
			closeAll = func() { before(); ln.Close() }
			ready = append(ready, func() { d.serve(s.name, ln, s.serve) })
		}
	}
	if len(ready) == 0 {
		return errors.New("nothing to listen on: c2s_ports, http_ports and https_ports are empty")
	}
	for _, f := range ready {
		f()
	}
	return nil
}

func (d *daemon) serve(name string, ln net.Listener, serve func(net.Listener) error) {
	d.log.Info("listening", "service", name, "address", ln.Addr())
	d.serving.Go(func() {
		if err := serve(ln); err != nil && !errors.Is(err, xmppcore.ErrServerClosed) && !errors.Is(err, httpd.ErrServerClosed) {
			select {
			case d.failed <- fmt.Errorf("%s on %v: %w", name, ln.Addr(), err):
			default:
			}
		}
	})
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
