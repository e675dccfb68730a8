package main

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"

	"rosterd/config"
	"rosterd/engine"
	"rosterd/store"
	"rosterd/store/credential"
	"rosterd/xmppcore"
	"rosterd/xmppcore/auth"
	"rosterd/xmppcore/session"
	"rosterd/xmppcore/stream"
	"rosterd/xmppcore/xep"
)

// xmppHosts is what XMPP needs of the VirtualHosts.
func (p *plan) xmppHosts(ctx context.Context, db *databases, throttle *auth.Throttle, log *slog.Logger) ([]xmppcore.Host, error) {
	secret, err := db.Secret(ctx, "scram salts of unknown users")
	if err != nil {
		return nil, err
	}
	users, err := db.accounts(ctx, p.cfg)
	if err != nil {
		return nil, err
	}
	var list []xmppcore.Host
	for _, h := range p.cfg.Hosts() {
		sasl, err := saslOf(h, users, p.sources[h.Name])
		if err != nil {
			return nil, err
		}
		sasl.Secret, sasl.Throttle, sasl.Log = secret, throttle, log
		host := xmppcore.Host{
			Domain: h.Name, Auth: sasl, TLS: p.certs.c2s(h),
			RequireTLS:            config.C2SRequireEncryption.Get(h),
			AllowPlainUnencrypted: !slices.Contains(config.InsecureSASLMechanisms.Get(h), "PLAIN"),
			Unlimited:             config.UnlimitedJIDs.Get(h),
			BlockSubscriptions:    h.Has("block_subscriptions"),
			Editable:              h.KeepsContacts() || h.WritesBack(),
			Writeback:             h.WritesBack(),
			Name:                  config.Name.Get(h),
			Personal:              personal(h),
			Cards:                 p.plugins[h.Name].cards,
			Conflict:              xmppcore.Conflict(config.ConflictResolve.Get(h)),
			MaxSessions:           config.MaxSessions.Get(h),
			Management:            streamManagement(h),
			ClientState:           clientState(h),
			Contacts:              config.ContactInfo.Get(h),
			Greetings:             greetings(h),
			Stores:                p.stores[h.Name],
			Messages:              messages(h),
			Blocking:              blocking(h),
			Door:                  registration(h, users, log),
			Accounts:              ownAccounts(h, leaving{users, p}, log),
		}
		for _, m := range h.Modules() {
			host.Modules = append(host.Modules, m.Name)
		}
		for _, i := range config.DiscoItems.Get(h) {
			host.Items = append(host.Items, xep.Item{JID: i.JID.String(), Name: i.Name})
		}
		host.Items = append(inside(p.cfg, h), host.Items...)
		list = append(list, host)
	}
	return list, nil
}

// saslHost offers exactly the SCRAM hash of password_hash, because stored keys serve one hash only; where the
// passwords themselves are kept, they serve all.
func saslHost(h *config.Host, users *store.Accounts) *auth.Host {
	a := &auth.Host{Domain: h.Name, Accounts: users, Disabled: config.DisableSASLMechanisms.Get(h), Insecure: config.InsecureSASLMechanisms.Get(h), StoresPasswords: storesPasswords(h), Iterations: config.IterationCount.Get(h)}
	if a.StoresPasswords {
		a.Hashes = []credential.Hash{credential.SHA512, credential.SHA256, credential.SHA1}
	} else {
		a.Hashes = []credential.Hash{credential.Hash(config.PasswordHash.Get(h))}
	}
	return a
}

func storesPasswords(h *config.Host) bool { return h.AuthProvider() == "internal_plain" }

// failureLimits are those of logins, of the whole server.
func failureLimits(cfg *config.Config) auth.FailureLimits {
	g := cfg.Global()
	return auth.FailureLimits{
		PerAccount: config.AuthFailuresPerAccount.Get(g), PerAddress: config.AuthFailuresPerAddress.Get(g), Period: config.AuthFailuresPeriod.Get(g),
	}
}

func xmppConfig(cfg *config.Config, hosts []xmppcore.Host, log *slog.Logger) xmppcore.Config {
	g := cfg.Global()
	c := xmppcore.Config{
		Hosts: hosts, Version: fullVersion(), Log: log, Trusted: config.TrustedProxies.Get(g),
		Outbox: session.Limits{Soft: config.OutboxSoft.Get(g), Hard: config.OutboxHard.Get(g), Pace: pace(config.PresenceRate.Get(g))},
		Stream: stream.Limits{
			PerAddress: config.ConnectionsPerAddress.Get(g), Negotiation: config.PreauthBytes.Get(g),
			Authenticate: config.AuthTimeout.Get(g), Bind: config.BindTimeout.Get(g), Attempts: config.AuthAttempts.Get(g),
			Stanza: config.StanzaSize.Get(g), Depth: config.StanzaDepth.Get(g), Attributes: config.StanzaAttributes.Get(g),
			WriteStall: config.OutboxTimeout.Get(g), Logins: config.LoginsParallel.Get(g), Turn: config.LoginsWait.Get(g),
		},
	}
	if r, ok := config.Limits.Get(g)["c2s"]; ok && limited(cfg) {
		c.Stream.Rate, c.Stream.Burst = int(r.Rate), r.Burst
	}
	return c
}

func pace(rate int) session.Pace {
	if rate == 0 {
		return session.Pace{Rate: -1}
	}
	return session.Pace{Rate: rate}
}

// limited tells whether module limits is enabled; it is a module of the whole server.
func limited(cfg *config.Config) bool {
	for _, h := range cfg.Hosts() {
		if h.Has("limits") {
			return true
		}
	}
	return false
}

var _ engine.LateKeeper = (*databases)(nil) // else every login would fetch, and each refresh would wait for its copy, and nobody would notice

func (p *plan) engineHosts(db *databases) map[string]engine.Host {
	list := make(map[string]engine.Host)
	for _, h := range p.cfg.Hosts() {
		if own, ok := p.ownHost(h); ok {
			if !h.StoresRosters() && h.TakesNotices() && keepsRosters(h) { // a directory may be down at the start
				own.Keeper = db
			}
			list[h.Name] = own
			continue
		}
		e := engine.Host{
			Backend: p.plugins[h.Name].rosters, Timeout: config.BackendTimeout.Get(h), Parallel: config.BackendParallel.Get(h),
			MissingEmpty: config.MissingUser.Get(h) == "empty", OneSided: !config.RefreshOtherSide.Get(h), Steps: config.RosterSteps.Get(h), Breaker: config.BackendBreaker.Get(h), ShrinkGuard: config.ShrinkGuard.Get(h),
		}
		if h.PersonalRosters() {
			e.Own = p.ownRosters(h)
		}
		if h.WritesBack() {
			e.Writer = p.plugins[h.Name].rosters
		}
		if keepsRosters(h) {
			e.Keeper = db
		}
		list[h.Name] = e
	}
	return list
}

// keepsRosters tells whether rosters are kept that come from elsewhere. An anonymous user who comes back has another name.
func keepsRosters(h *config.Host) bool { return config.KeepRosters.Get(h) && !h.Anonymous() }

// hasHost refuses a name that is no VirtualHost of the configuration.
func hasHost(cfg *config.Config, domain string) error {
	if cfg.Host(domain) != nil {
		return nil
	}
	var names []string
	for _, h := range cfg.Hosts() {
		names = append(names, h.Name)
	}
	return fmt.Errorf("no VirtualHost %q in %s; there is %s", domain, cfg.File, strings.Join(names, ", "))
}
