package main

import (
	"log/slog"
	"net/netip"

	"rosterd/config"
	"rosterd/store"
	"rosterd/xmppcore"
	"rosterd/xmppcore/register"
)

// registration is where people make accounts on a host; nil: nowhere.
func registration(h *config.Host, users *store.Accounts, log *slog.Logger) *register.Door {
	if open, _ := h.Registers(); !open {
		return nil
	}
	d := &register.Door{
		Domain: h.Name, Accounts: users, Encrypted: config.C2SRequireEncryption.Get(h), Log: log,
		Title: config.RegistrationTitle.Get(h), Instructions: config.RegistrationInstructions.Get(h),
		Limits: register.Limits{
			Allowed: config.RegistrationAllowlist.Get(h), Blocked: config.RegistrationBlocklist.Get(h),
			AllowedOnly: config.AllowlistRegistrationOnly.Get(h),
		},
	}
	if most := config.RegistrationThrottleMax.Get(h); most > 0 {
		d.Limits.Throttle = register.NewThrottle[netip.Addr](most, config.RegistrationThrottlePeriod.Get(h), config.RegistrationThrottleCache.Get(h))
	}
	return d
}

// ownAccounts is what users of a host do with their own accounts; nil: nothing.
func ownAccounts(h *config.Host, users register.Accounts, log *slog.Logger) *register.Management {
	if !h.ManagesAccounts() {
		return nil
	}
	return &register.Management{Accounts: users, Log: log, Changes: register.NewChanges()}
}

// keepThrottles goes on with what the plan that is served now knows of who has registered, or changed a password.
func (p *plan) keepThrottles(before *plan) {
	if before == nil {
		return
	}
	old := make(map[string]*xmppcore.Host, len(before.xmpp.Hosts))
	for i := range before.xmpp.Hosts {
		old[before.xmpp.Hosts[i].Domain] = &before.xmpp.Hosts[i]
	}
	for _, h := range p.xmpp.Hosts {
		was := old[h.Domain]
		if was == nil {
			continue
		}
		if h.Door != nil && was.Door != nil {
			h.Door.Limits.Throttle = h.Door.Limits.Throttle.After(was.Door.Limits.Throttle)
		}
		if h.Accounts != nil && was.Accounts != nil {
			h.Accounts.Changes = h.Accounts.Changes.After(was.Accounts.Changes)
		}
	}
}
