package config

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
)

// Registration and what users do with their own accounts (modules register, register_ibr, user_account_management).
var (
	AllowRegistration = declare(Spec{Name: "allow_registration", Risk: Security,
		Doc: "people make accounts for themselves over XMPP, with module register or register_ibr"}, boolean, false)
	RegistrationTitle = declare(Spec{Name: "registration_title",
		Doc: "title of the form in which people register"}, text, "Creating a new account")
	RegistrationInstructions = declare(Spec{Name: "registration_instructions",
		Doc: "what that form asks for"}, text, "Choose a username and password for use with this service.")
	RegistrationAllowlist = declare(Spec{Name: "registration_allowlist", Aliases: []string{"registration_whitelist"}, Old: true, Risk: Security,
		Doc: "addresses and networks from which any number of accounts is made"}, listOf(network), loopbacks())
	RegistrationBlocklist = declare(Spec{Name: "registration_blocklist", Aliases: []string{"registration_blacklist"}, Old: true, Risk: Security,
		Doc: "addresses and networks from which none is"}, listOf(network), nil)
	AllowlistRegistrationOnly = declare(Spec{Name: "allowlist_registration_only", Aliases: []string{"whitelist_registration_only"}, Old: true, Risk: Security,
		Doc: "accounts are made from addresses of registration_allowlist only"}, boolean, false)
	RegistrationInviteOnly = declare(Spec{Name: "registration_invite_only", Risk: Security,
		Doc: "people need invitations, which are not available: nobody registers"}, boolean, false)
	MinSecondsBetweenRegistrations = declare(Spec{Name: "min_seconds_between_registrations", Risk: Security,
		Doc: "time between two registrations from one address (IPv6: a /64)"}, period(0, 365*24*time.Hour), 0)
	RegistrationThrottleMax = declareFor(Spec{Name: "registration_throttle_max", Risk: Security,
		Doc: "registrations from one address in registration_throttle_period; 1 if min_seconds_between_registrations is set, else any number"}, integer(1, math.MaxInt32),
		func(h *Host) int {
			if MinSecondsBetweenRegistrations.Get(h) > 0 {
				return 1
			}
			return 0
		})
	RegistrationThrottlePeriod = declareFor(Spec{Name: "registration_throttle_period", Risk: Security,
		Doc: "see registration_throttle_max; an hour if min_seconds_between_registrations does not say"}, period(time.Second, 365*24*time.Hour),
		func(h *Host) time.Duration {
			if p := MinSecondsBetweenRegistrations.Get(h); p > 0 {
				return p
			}
			return time.Hour
		})
	RegistrationThrottleCache = declare(Spec{Name: "registration_throttle_cache_size", Risk: Security,
		Doc: "addresses that are remembered for that"}, integer(1, 1_000_000), 100)
)

// guards are modules of which one that is enabled says who may register. They are not available, and where one of them
// should be asked nobody registers.
var guards = []string{"invites_register", "captcha_registration", "block_registrations", "register_dnsbl", "register_dnsbl_firewall_mark", "register_redirect", "register_oob_url"}

// Registers tells whether people make accounts for themselves on a host, and if not although allow_registration is set,
// why.
func (h *Host) Registers() (open bool, why string) {
	switch {
	case !AllowRegistration.Get(h):
		return false, ""
	case !h.Has("register") && !h.Has("register_ibr"):
		return false, "module register is not enabled"
	case !internalAccounts(h):
		return false, elsewhere(h, "accounts")
	case RegistrationInviteOnly.Get(h):
		return false, "registration_invite_only asks for invitations, which are not available"
	}
	if i := slices.IndexFunc(guards, h.Has); i >= 0 {
		return false, fmt.Sprintf("module %s should be asked, and is not available", guards[i])
	}
	return true, ""
}

// ManagesAccounts tells whether users of a host change their passwords and delete their accounts over XMPP.
func (h *Host) ManagesAccounts() bool {
	return (h.Has("register") || h.Has("user_account_management")) && internalAccounts(h)
}

// registration says where nobody registers although it is allowed.
func (ck *checker) registration(h *Host, st *setting) {
	if v, ok := boolean(&reading{cfg: ck.Config}, st.value); !ok || !v {
		return
	}
	sev, code := Note, CodeMoot
	var reasons []string
	var closed []*Host
	open := false
	hint := ""
	for _, host := range ck.Hosts() {
		if h != host && host.find(st.name, ScopeHost) != st {
			continue
		}
		if _, why := host.Registers(); why != "" {
			closed = append(closed, host)
			if !slices.Contains(reasons, why) {
				reasons = append(reasons, why)
			}
			if internalAccounts(host) {
				hint = "add users with rosterd user add"
			}
			if (host.Has("register") || host.Has("register_ibr")) && internalAccounts(host) {
				sev, code = Warn, CodeRestriction // it is closed, where Prosody would ask somebody
			}
		} else {
			open = true
		}
	}
	if len(reasons) > 0 {
		where := ""
		if open {
			where = " on " + hostNames(closed)
		}
		ck.add(sev, code, h, st.name, st.pos, "allow_registration has no effect"+where+": "+strings.Join(reasons, "; "), hint)
	}
}
