package main

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"rosterd/config"
	"rosterd/engine"
	"rosterd/engine/addr"
	"rosterd/httpd"
)

// openCards makes ready what keeps the vCards of the hosts whose backends give some: that of the plan before, where nothing
// about it has changed.
func (p *plan) openCards(before *plan, log *slog.Logger) error {
	for _, h := range p.cfg.Hosts() {
		now, was := p.plugins[h.Name], &hosted{}
		if before != nil && before.plugins[h.Name] != nil {
			was = before.plugins[h.Name]
		}
		source, err := now.cardSource(h, was)
		if err != nil {
			return err
		}
		if source == nil {
			continue
		}
		conf := engine.CardSettings{
			Timeout: config.BackendTimeout.Get(h), Age: config.VCardAge.Get(h), Pause: 10 * time.Second,
			Parallel: max(1, config.BackendParallel.Get(h)/4), Bytes: config.VCardCache.Get(h),
		}
		if was.cards != nil && was.rosters == now.rosters && was.directory == now.directory && was.cards.Settings() == conf {
			now.cards = was.cards
			continue
		}
		now.cards = engine.NewCards(source, conf, log.With("host", h.Name))
	}
	return nil
}

// cardSource is who gives the vCards of a host: its backend, or a directory; nil: they are the users' own.
func (now *hosted) cardSource(h *config.Host, was *hosted) (source engine.CardSource, err error) {
	if now.rosters != nil {
		if now.rosters.Info().Card {
			source = now.rosters
		}
		return source, nil
	}
	if now.directory, err = openLDAPCards(h, was.directory); now.directory != nil {
		source = now.directory
	}
	return source, err
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
		if h.directory != nil && (other == nil || other.plugins[host] == nil || other.plugins[host].directory != h.directory) {
			h.directory.Close()
		}
	}
}

// refresh has the rosters of users fetched anew, and their vCards as far as somebody may hold them, and tells who is
// concerned. Groups that are kept elsewhere are asked for first, whoever is named, and whose contacts those have changed is
// told too; where they cannot be asked for, nobody has been updated. The summary is of rosters, as is what landed is told,
// which may be nil.
func (d *daemon) refresh(ctx context.Context, domain string, names []string, landed engine.Landed) engine.Summary {
	done := make(chan struct{})
	go func() {
		defer close(done)
		d.refreshCards(ctx, domain, names)
	}()
	var unasked error
	if f := d.served.Load().groups[domain]; f != nil {
		if err := d.renewGroups(ctx, f); err != nil {
			unasked = fmt.Errorf("the groups cannot be read: %w", err)
		}
	}
	if tell := landed; tell != nil && unasked != nil {
		landed = func(at int, r engine.Result) { tell(at, r.Fail(unasked)) }
	}
	s := d.eng.RefreshEach(ctx, domain, names, landed)
	<-done
	if unasked != nil {
		s.Fail(unasked)
	}
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
	return r.d.refresh(ctx, domain, names, nil)
}

// RefreshEach is that of the daemon.
func (r refresher) RefreshEach(ctx context.Context, domain string, names []string, landed engine.Landed) engine.Summary {
	return r.d.refresh(ctx, domain, names, landed)
}

var _ httpd.EachRefresher = refresher{}
