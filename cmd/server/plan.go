package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"syscall"

	"rosterd/config"
	"rosterd/engine"
	"rosterd/httpd"
	"rosterd/passwords"
	"rosterd/plugins"
	"rosterd/store"
	"rosterd/xmppcore"
	"rosterd/xmppcore/admission"
)

// plan is a configuration made ready to be served. To make one changes nothing that is served, and does whatever can
// fail, so that it is served as a whole or not at all.
type plan struct {
	cfg     *config.Config
	plugins map[string]*hosted            // by host
	sources map[string]*passwords.Guarded // by host, of those whose passwords somebody else knows
	fresh   []*plugins.Opened             // those of them that were opened for this plan
	xmpp    xmppcore.Config
	engine  map[string]engine.Host
	certs   *certificates
	groups  map[string]*groupFeed   // by host, of those that have some
	edit    editor                  // changes a roster, once the plan is served
	stores  map[string]store.Stores // by host

	clientCAs map[string]*x509.CertPool // by host, of those that want client certificates for refreshes

	doors  map[doorway]*door
	opened []*door // those of them that were opened for this plan
}

// prepare makes a plan. What the plan that is served now has as well is taken over from it.
func (d *daemon) prepare(ctx context.Context, cfg *config.Config) (p *plan, err error) {
	p = &plan{cfg: cfg, edit: func(ctx context.Context, e engine.Edit) (engine.Edited, error) { return d.eng.Edit(ctx, e) }}
	defer func() {
		if err != nil {
			err = errors.Join(err, p.discard())
			p.closeCards(d.plan)
			p = nil
		}
	}()
	if p.certs, err = loadCertificates(cfg, d.log); err != nil {
		return p, err
	}
	if d.plan != nil {
		if err := p.certs.lost(d.plan.certs, cfg); err != nil {
			return p, err
		}
	}
	if err := p.openPlugins(ctx, d.plan, d.plugins(cfg)); err != nil {
		return p, err
	}
	if err := p.openSources(d.plan, part(d.log, "c2s")); err != nil {
		return p, err
	}
	if err := p.openCards(d.plan, part(d.log, "vcard")); err != nil {
		return p, err
	}
	if err := p.openFiles(); err != nil {
		return p, err
	}
	if err := p.openGroups(ctx, d.plan, part(d.log, "engine")); err != nil {
		return p, err
	}
	if p.stores, err = d.db.stores(ctx, cfg); err != nil {
		return p, err
	}
	hosts, err := p.xmppHosts(ctx, d.db, d.throttle, part(d.log, "c2s"))
	if err != nil {
		return p, err
	}
	p.xmpp = xmppConfig(cfg, hosts, part(d.log, "c2s"))
	p.keepThrottles(d.plan)
	p.xmpp.Components = components(cfg, d.throttle)
	p.engine = p.engineHosts(d.db)
	return p, p.openDoors(d.plan, d.log)
}

// discard lets go of what was opened for a plan that is not served.
func (p *plan) discard() (err error) {
	for _, door := range p.opened {
		door.shut()
	}
	for _, b := range p.fresh {
		err = errors.Join(err, b.Close())
	}
	return errors.Join(err, p.closeSources())
}

// adopt serves a plan. An error means that nothing has changed.
func (d *daemon) adopt(p *plan) error {
	hosts, err := d.webHosts(p)
	if err == nil {
		err = d.web.SetHosts(hosts, config.HTTPDefaultHost.Get(p.cfg.Global()))
	}
	if err != nil {
		p.closeCards(d.plan)
		return errors.Join(err, p.discard())
	}
	before := d.plan
	d.plan = p
	d.served.Store(p)
	d.operator.configure(p.cfg)
	d.certs.Store(p.certs)
	d.throttle.Limit(failureLimits(p.cfg))
	d.web.SetPeers(config.TrustedProxies.Get(p.cfg.Global()), metricsFrom(p.cfg))
	d.web.SetPerAddress(config.HTTPConnectionsPerAddress.Get(p.cfg.Global()))
	d.bosh.Reconfigure(boshSettings(p.cfg))
	if before != nil {
		d.eng.SetHosts(p.engine)
		d.xmpp.Reconfigure(p.xmpp)
	}
	for _, door := range p.opened {
		d.serve(door)
	}
	d.tick(p)
	if before == nil {
		return nil
	}
	for way, door := range before.doors {
		if p.doors[way] == nil {
			d.log.Info("not listening any more", "service", way.service, "address", door.Addr())
			door.shut()
		}
	}
	before.closeCards(p)
	before.closeGroups(p)
	d.retireSources(before)
	keep := p.openedPlugins()
	for b := range before.openedPlugins() {
		if !keep[b] {
			d.retired.Retire(b, part(d.log, "plugins"))
		}
	}
	return nil
}

// closePlugins closes all plugins.
func (p *plan) closePlugins() (err error) {
	p.closeCards(nil)
	p.closeGroups(nil)
	err = p.closeSources()
	for b := range p.openedPlugins() {
		err = errors.Join(err, b.Close())
	}
	return err
}

// doorway is where a service listens.
type doorway struct{ service, network, address string }

// door is a listener that the configuration may close.
type door struct {
	net.Listener
	way    doorway
	closed chan struct{}
}

func (l *door) shut() {
	close(l.closed)
	l.Close()
}

// openDoors opens the ports that are not open yet, all of them or none.
func (p *plan) openDoors(before *plan, log *slog.Logger) error {
	p.doors = make(map[doorway]*door)
	for _, service := range []string{"c2s", "c2s_direct_tls", "http", "https", "component"} {
		list := p.cfg.Listeners(service)
		if service == "https" && p.certs.https == nil && len(list) > 0 {
			log.Warn("no certificate: no HTTPS", "ports", config.HTTPSPorts.Get(p.cfg.Global()))
			continue
		}
		if service == "c2s_direct_tls" && p.certs.direct == nil && len(list) > 0 {
			log.Warn("no certificate: no direct TLS", "ports", config.C2SDirectTLSPorts.Get(p.cfg.Global()))
			continue
		}
		for _, l := range list {
			if err := p.openDoor(doorway{service, l.Network, l.Address}, l, before, log); err != nil {
				return fmt.Errorf("%s%s_ports: %w", at(l.Pos), service, err)
			}
		}
	}
	if len(p.doors) == 0 {
		return errors.New("nothing to listen on: c2s_ports, c2s_direct_tls_ports, http_ports and https_ports are empty")
	}
	for _, l := range p.cfg.Listeners("pprof") {
		if err := p.openDoor(doorway{"pprof", l.Network, l.Address}, l, before, log); err != nil {
			return fmt.Errorf("%s%s: %w", at(l.Pos), config.Pprof.Name, err)
		}
	}
	return nil
}

func (p *plan) openDoor(way doorway, l config.Listener, before *plan, log *slog.Logger) error {
	if before != nil && before.doors[way] != nil {
		p.doors[way] = before.doors[way]
		return nil
	}
	ln, err := listen(l.Network, l.Address)
	if err != nil && l.Implicit && noSuchProtocol(err) {
		log.Info("not listening: this machine does not have that protocol", "service", way.service, "address", l.Address, "error", err)
		return nil
	}
	if errors.Is(err, syscall.EADDRINUSE) {
		return fmt.Errorf("%w%s", err, before.holds(l.Address))
	}
	if err != nil {
		return err
	}
	shorten(way.service, ln)
	p.doors[way] = &door{Listener: ln, way: way, closed: make(chan struct{})}
	p.opened = append(p.opened, p.doors[way])
	return nil
}

// holds says which door of ours has the port of an address: the new one cannot be opened before that is shut, and that is
// not shut before all is ready.
func (p *plan) holds(address string) string {
	if p == nil {
		return ""
	}
	_, port, _ := net.SplitHostPort(address)
	for way := range p.doors {
		if _, has, _ := net.SplitHostPort(way.address); has == port {
			return fmt.Sprintf(" (rosterd itself has that port, at %s for %s, until it is restarted)", way.address, way.service)
		}
	}
	return ""
}

// serve lets people in by a door until it is shut.
func (d *daemon) serve(l *door) {
	d.log.Info("listening", "service", l.way.service, "address", l.Addr())
	d.serving.Go(func() {
		err := d.serveDoor(l)
		select {
		case <-l.closed:
			return
		default:
		}
		if errors.Is(err, xmppcore.ErrServerClosed) || errors.Is(err, httpd.ErrServerClosed) {
			return
		}
		select {
		case d.failed <- fmt.Errorf("%s on %v: %w", l.way.service, l.Addr(), err):
		default:
		}
	})
}

func (d *daemon) serveDoor(l *door) error {
	switch l.way.service {
	case "c2s":
		return d.xmpp.Serve(l)
	case "https":
		turns := admission.Handshakes{Listener: l, Desk: d.xmpp.Desk()}
		return d.web.ServeTLS(turns, &tls.Config{GetConfigForClient: turns.Choose(func(hello *tls.ClientHelloInfo) (*tls.Config, error) { return d.certs.Load().https.choose(hello) })})
	case "c2s_direct_tls":
		return d.xmpp.ServeTLS(l, &tls.Config{GetConfigForClient: func(hello *tls.ClientHelloInfo) (*tls.Config, error) { return d.certs.Load().direct.choose(hello) }})
	case "component":
		return d.xmpp.ServeComponents(l)
	case "pprof":
		return d.profiles.serve(l)
	default:
		return d.web.Serve(l)
	}
}
