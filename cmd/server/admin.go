package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"

	"rosterd/admin"
	"rosterd/config"
	"rosterd/engine/addr"
	"rosterd/xmppcore"
)

// operator is the door that the commands of the program come in by, and what is told there of where rosters come from.
type operator struct {
	sources atomic.Pointer[map[string]string]
}

// configure is for a configuration that is served from now on.
func (o *operator) configure(cfg *config.Config) {
	list := make(map[string]string)
	for _, h := range cfg.Hosts() {
		list[h.Name] = source(h)
	}
	o.sources.Store(&list)
}

func (o *operator) source(host string) (string, bool) {
	name, ok := (*o.sources.Load())[host]
	return name, ok
}

// source names what supplies the rosters of a host, without its secrets.
func source(h *config.Host) string {
	var list []string
	switch {
	case h.FixedRosters():
		list = append(list, "roster, changed by applications alone")
	case h.StoresRosters():
		list = append(list, "roster, edited by its users")
	}
	if s, ok, err := groupsOf(h); ok && err == nil {
		list = append(list, "groups, "+s.name)
	}
	for _, m := range h.Providers() {
		name := m.Name
		switch {
		case m.File != "":
			name += ", " + m.File
		case m.Name == "http_roster_admin":
			name += ", " + withoutSecrets(config.HTTPRosterURL.Get(h))
		}
		list = append(list, name)
	}
	if h.PersonalRosters() {
		list = append(list, "and contacts of the user's own")
	}
	return strings.Join(list, "; ")
}

// withoutSecrets leaves out of a URL with %s in it what may be a password or a key. It is no URL that could be parsed.
func withoutSecrets(url string) string {
	url, query, asked := strings.Cut(url, "?")
	if scheme, rest, ok := strings.Cut(url, "://"); ok {
		host, _, _ := strings.Cut(rest, "/") // an @ in the path is a letter like others
		url = scheme + "://" + rest[strings.LastIndexByte(host, '@')+1:]
	}
	if !asked {
		return url
	}
	pairs := strings.Split(query, "&")
	for i, p := range pairs {
		if key, value, ok := strings.Cut(p, "="); ok && !strings.Contains(value, "%s") {
			pairs[i] = key + "=…"
		}
	}
	return url + "?" + strings.Join(pairs, "&")
}

// openAdmin lets operators in by rosterd_admin_socket, until the daemon stops.
func (d *daemon) openAdmin(cfg *config.Config) error {
	path := config.AdminSocket.Get(cfg.Global())
	if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
		return fmt.Errorf("folder of rosterd_admin_socket: %w", err)
	}
	ln, err := admin.Listen(path)
	if err != nil {
		return fmt.Errorf("rosterd_admin_socket: %w", err)
	}
	srv := &admin.Server{Rosters: refresher{d.eng, d}, Sessions: d.sessions, Source: d.operator.source, Deleted: d.xmpp.Deleted, Log: part(d.log, "admin")}
	d.serving.Go(func() {
		if err := srv.Serve(ln); !errors.Is(err, admin.ErrServerClosed) {
			select {
			case d.failed <- fmt.Errorf("admin on %s: %w", path, err):
			default:
			}
		}
	})
	d.onStop(func(ctx context.Context) error { return srv.Shutdown(ctx) })
	return nil
}

// sessions is what the XMPP side knows of users.
func (d *daemon) sessions(users ...addr.Bare) []admin.Session {
	views := d.xmpp.View(users...)
	list := make([]admin.Session, len(views))
	for i, v := range views {
		list[i] = admin.Session{Loaded: v.Loaded, Roster: v.Roster}
		for _, r := range v.Resources {
			list[i].Resources = append(list[i].Resources, resource(r))
		}
	}
	return list
}

func resource(r xmppcore.ResourceView) admin.Resource {
	return admin.Resource{
		Resource: r.Resource, Address: address(r), Encrypted: r.Encrypted, Available: r.Available, Interested: r.Interested,
		Priority: r.Priority, Shown: r.Shown, Directed: r.Directed,
	}
}

// address is without a port where there is none that means anything.
func address(r xmppcore.ResourceView) string {
	text := r.Address.String()
	if ap, err := netip.ParseAddrPort(text); err == nil && ap.Port() == 0 {
		return ap.Addr().String()
	}
	return text
}
