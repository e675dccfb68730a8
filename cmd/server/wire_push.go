package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"rosterd/config"
	"rosterd/engine"
	"rosterd/engine/addr"
	"rosterd/httpd"
	"rosterd/httpd/push"
	"rosterd/store"
	"rosterd/xmppcore/auth"
)

// pushAPI is for applications that change rosters of a plan's hosts.
func (d *daemon) pushAPI(p *plan) *push.API {
	api := &push.API{
		Rosters: d.eng, Hosts: make(map[string]*push.Host), Bytes: int64(config.PushBody.Get(p.cfg.Global())),
		Password: p.checkAdmin, Log: part(d.log, "push"),
	}
	for _, h := range p.cfg.Hosts() {
		if len(h.PushHTTPModules()) == 0 {
			continue
		}
		ph := &push.Host{
			Name: h.Name, Token: config.PushToken.Get(h), Allow: config.PushAllow.Get(h), Admins: config.Admins.Get(h),
			Web: config.HTTPHost.Get(h), Items: config.PushItems.Get(h), Version: config.EjabberdVersion.Get(h), Files: config.PushFiles.Get(h),
			Exists: p.login(h.Name).Exists,
		}
		if p.sources[h.Name] == nil && !h.Anonymous() {
			ph.Users = func(ctx context.Context) ([]addr.Bare, error) { return d.usersOf(ctx, p, h) }
		}
		if h.StoresRosters() {
			ph.Stored = func(ctx context.Context) ([]addr.Bare, error) { return d.rostersOf(ctx, p, h, ph.Users) }
		}
		api.Hosts[h.Name] = ph
	}
	return api
}

// pushMount is where applications call.
func pushMount(h *config.Host, m config.HTTPModule, api *push.API) httpd.Mount {
	handler := api.Ejabberd()
	if m.Name == "openfire_api" {
		handler = api.Openfire(api.Hosts[h.Name])
	}
	at := mount(h, m, handler)
	at.AnyName = true
	return at
}

// login is how the users of a host of the plan log in.
func (p *plan) login(domain string) *auth.Host {
	for _, h := range p.xmpp.Hosts {
		if h.Domain == domain {
			return h.Auth
		}
	}
	return nil
}

// checkAdmin tells whether a password is that of a user of the plan's hosts.
func (p *plan) checkAdmin(ctx context.Context, user addr.Bare, password string, from netip.Addr) error {
	h := p.login(user.Domain())
	if h == nil {
		return push.ErrRefused
	}
	err := h.Check(ctx, user, password, from)
	var refused *auth.Error
	if errors.As(err, &refused) && refused.Condition != auth.TemporaryAuthFailure {
		return fmt.Errorf("%w: %w", push.ErrRefused, err)
	}
	return err
}

// usersOf are those who have accounts here.
func (d *daemon) usersOf(ctx context.Context, p *plan, h *config.Host) ([]addr.Bare, error) {
	all, err := d.db.accounts(ctx, p.cfg)
	if err != nil {
		return nil, err
	}
	list, err := all.List(ctx, h.Name)
	if err != nil {
		return nil, err
	}
	var users []addr.Bare
	for _, a := range list {
		if !a.User.IsZero() {
			users = append(users, a.User)
		}
	}
	slices.SortFunc(users, addr.Bare.Compare)
	return slices.Compact(users), nil
}

// rostersOf are those whose rosters are kept, and others who may have one in Prosody's data folder still.
func (d *daemon) rostersOf(ctx context.Context, p *plan, h *config.Host, accounts func(context.Context) ([]addr.Bare, error)) (users []addr.Bare, err error) {
	if accounts != nil {
		if users, err = accounts(ctx); err != nil {
			return nil, err
		}
	}
	for u, err := range p.stores[h.Name].Keyed("roster").Users(ctx, h.Name) {
		if err != nil {
			return nil, err
		}
		users = append(users, u)
	}
	slices.SortFunc(users, addr.Bare.Compare)
	return slices.Compact(users), nil
}

// Assign is engine.ErrReadOnly where nothing is to be kept.
func (s storedRosters) Assign(ctx context.Context, a engine.Assignment) (int, error) {
	n, err := s.Rosters.Assign(ctx, a)
	if errors.Is(err, store.ErrDisabled) {
		err = fmt.Errorf("%w: %w", engine.ErrReadOnly, err)
	}
	return n, err
}

// fixedRosters are kept here, and not for their users to edit.
type fixedRosters struct{ kept storedRosters }

var (
	_ engine.Assigner     = storedRosters{}
	_ engine.Generational = fixedRosters{}
)

// Fetch is that of the rosters.
func (f fixedRosters) Fetch(ctx context.Context, r engine.Request) (engine.Answer, error) {
	return f.kept.Fetch(ctx, r)
}

// Generation is another one than that of rosters that users edit.
func (f fixedRosters) Generation() string { return f.kept.Generation() + ", fixed" }

var _ push.Rosters = (*engine.Engine)(nil)
