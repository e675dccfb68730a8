package main

import (
	"log/slog"
	"net/netip"

	"rosterd/config"
	"rosterd/store"
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
	return &register.Management{Accounts: users, Log: log}
}
