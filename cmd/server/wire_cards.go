package main

import (
	"context"
	"log/slog"
	"time"

	"rosterd/config"
	"rosterd/engine"
	"rosterd/engine/addr"
)

// openCards makes ready what keeps the vCards of the hosts whose backends give some: that of the plan before, where nothing
// about it has changed.
func (p *plan) openCards(before *plan, log *slog.Logger) {
	for _, h := range p.cfg.Hosts() {
		now := p.plugins[h.Name]
		if now.rosters == nil || !now.rosters.Info().Card {
			continue
		}
		conf := engine.CardSettings{
			Timeout: config.BackendTimeout.Get(h), Age: config.VCardAge.Get(h), Pause: 10 * time.Second,
			Parallel: max(1, config.BackendParallel.Get(h)/4), Bytes: config.VCardCache.Get(h),
		}
		if before != nil {
			if was := before.plugins[h.Name]; was != nil && was.cards != nil && was.rosters == now.rosters && was.cards.Settings() == conf {
				now.cards = was.cards
				continue
			}
		}
		now.cards = engine.NewCards(now.rosters, conf, log.With("host", h.Name))
	}
}

// closeCards ends what keeps vCards, unless another plan has it, too.
func (p *plan) closeCards(other *plan) {
	for host, h := range p.plugins {
		if h.cards == nil {
			continue
		}
		if other != nil && other.plugins[host] != nil && other.plugins[host].cards == h.cards {
			continue
		}
		h.cards.Close()
	}
}

// refresh has the rosters of users fetched anew, and their vCards as far as somebody may hold them, and tells who is
// concerned. Groups that are kept elsewhere are asked for first, whoever is named, and whose contacts those have changed is
// told too. The summary is of rosters.
func (d *daemon) refresh(ctx context.Context, domain string, names []string) engine.Summary {
	done := make(chan struct{})
	go func() {
		defer close(done)
		d.refreshCards(ctx, domain, names)
	}()
	if f := d.served.Load().groups[domain]; f != nil {
		d.renewGroups(ctx, f)
	}
	s := d.eng.Refresh(ctx, domain, names)
	<-done
	return s
}

func (d *daemon) refreshCards(ctx context.Context, domain string, names []string) {
	h := d.served.Load().plugins[domain]
	if h == nil || h.cards == nil {
		return
	}
	users := make([]addr.Bare, 0, len(names))
	for _, name := range names {
		if u, err := addr.NewBare(name, domain); err == nil {
			users = append(users, u)
		}
	}
	h.cards.Refresh(ctx, users, d.xmpp.Online)
}

// refresher is the engine for those who ask for refreshes, which are of vCards, too.
type refresher struct {
	*engine.Engine
	d *daemon
}

// Refresh is that of the daemon.
func (r refresher) Refresh(ctx context.Context, domain string, names []string) engine.Summary {
	return r.d.refresh(ctx, domain, names)
}
