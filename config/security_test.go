package config

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// What would leave a server more open than it was under Prosody is refused; what restricts or watches something, for the sake
// of those who are in, is warned of; what guards a thing that is not there has nothing to do. Nothing of it is passed over.
func TestSecurity(t *testing.T) {
	const register = "\nallow_registration = true modules_enabled = { 'roster', 'register', %s }"
	for _, tt := range []struct{ name, config, want string }{
		// Refused, unless it is honoured.
		{"an unknown provider", "authentication = 'cyrus'", "refused SEC004 authentication"},
		{"a private provider", "authentication = 'our_own'", "refused SEC004 authentication"},
		{"a provider that is no name", "authentication = '../x'", "refused VAL001 authentication"},
		{"a driver that is not there", "storage = 'mongodb'", "refused SEC004 storage"},
		{"a driver of one store", "storage = { archive = 'xmlarchive' }", "refused SEC004 storage"},
		{"a driver by default", "default_storage = 's3'", "refused SEC004 storage"},
		{"a boolean", "c2s_require_encryption = 'yes'", "refused VAL001 c2s_require_encryption"},
		{"a boolean of registration", "allow_registration = 'on'", "refused VAL001 allow_registration"},
		{"a number", "limit_auth_max = 'few'", "refused VAL001 limit_auth_max"},
		{"a period", "registration_throttle_period = 'long'", "refused VAL001 registration_throttle_period"},
		{"a period that is ambiguous", "archive_expires_after = '30m'", "note MOO001 archive_expires_after, warn VAL001 archive_expires_after"},
		{"rates", "limits = { c2s = { rate = 'fast' } }", "note MOO001 limits, refused VAL001 limits"},
		{"addresses", "trusted_proxies = { 'proxy' }", "refused VAL001 trusted_proxies"},
		{"isolated hosts", "modules_enabled = { 'roster', 'isolate_host' }", "refused SEC001 isolate_host"},
		{"who may do what", "modules_enabled = { 'roster', 'restrict_xmpp' }", "refused SEC001 restrict_xmpp"},
		{"a password for HTTP", "modules_enabled = { 'roster', 'http_authentication' } http_credentials = 'a:b'", "refused SEC007 http_authentication +http_credentials"},
		{"passwords that people choose", fmt.Sprintf(register, "'password_policy'"), "refused SEC001 password_policy"},
		{"a misspelt option of ours", "rosterd_refresh_tokn = 'x'", "refused UNK001 rosterd_refresh_tokn"},
		// Registration is closed where somebody should be asked who is not there.
		{"invitations only", fmt.Sprintf(register, "'ping'") + " registration_invite_only = true", "warn SEC002 allow_registration"},
		{"by invitation", fmt.Sprintf(register, "'invites_register'"), "warn FEA001 invites_register, warn SEC002 allow_registration"},
		{"names that are taken", fmt.Sprintf(register, "'block_registrations'") + " block_registrations_users = { 'admin' }", "warn SEC002 allow_registration, warn SEC002 block_registrations +block_registrations_users"},
		{"addresses that are listed", fmt.Sprintf(register, "'register_dnsbl'") + " registration_rbl = 'x'", "warn FEA001 register_dnsbl +registration_rbl, warn SEC002 allow_registration"},
		{"riddles", fmt.Sprintf(register, "'captcha_registration'") + " captcha_config = {}", "warn FEA001 captcha_registration +captcha_config, warn SEC002 allow_registration"},
		{"limits that are honoured", fmt.Sprintf(register, "'register_limits'") + " registration_throttle_max = 3 registration_blocklist = { '10.0.0.1' }", ""},
		// Warned of.
		{"firewall", "firewall_scripts = { 'x' } modules_enabled = { 'roster', 'firewall' }", "warn SEC002 firewall +firewall_scripts"},
		{"privacy lists", "modules_enabled = { 'roster', 'privacy', 'privacy_lists' }", "warn SEC002 privacy, warn SEC002 privacy_lists"},
		{"strangers", "modules_enabled = { 'roster', 'block_strangers', 'spam_reporting', 'watch_spam_reports', 'anti_spam' }",
			"warn SEC002 anti_spam, warn SEC002 block_strangers, warn SEC002 spam_reporting, warn SEC002 watch_spam_reports"},
		{"encryption between users", "modules_enabled = { 'roster', 'e2e_policy', 'require_otr' } e2e_policy_chat = 'required'", "warn SEC002 e2e_policy +e2e_policy_chat, warn SEC002 require_otr"},
		{"names", "modules_enabled = { 'roster', 'mimicking', 'tombstones', 'watchregistrations' } registration_watchers = { 'a@h.example' } user_tombstone_expiry = 5",
			"warn SEC002 mimicking, warn SEC002 tombstones +user_tombstone_expiry, warn SEC002 watchregistrations +registration_watchers"},
		{"trails", "modules_enabled = { 'roster', 'log_auth', 'audit', 'audit_auth' } audit_log_ips = false", "warn SEC002 audit +audit_log_ips, warn SEC002 audit_auth, warn SEC002 log_auth"},
		{"policies", "modules_enabled = { 'roster', 'tls_policy', 'c2s_limit_sessions', 'admin_blocklist' } max_resources = 3",
			"warn SEC002 admin_blocklist, warn SEC002 c2s_limit_sessions +max_resources, warn SEC002 tls_policy"},
		{"roles", "custom_roles = {} add_permissions = {} remove_permissions = {}", "warn SEC002 add_permissions, warn SEC002 custom_roles, warn SEC002 remove_permissions"},
		{"failed logins, which are limited", "modules_enabled = { 'roster', 'limit_auth' } limit_auth_max = 5 limit_auth_period = 60", ""},
		// Nothing to do.
		{"federation", "s2s_secure_auth = false s2s_require_encryption = false s2s_ports = { 1 } s2s_insecure_domains = {} s2s_secure_domains = {} use_dane = true",
			"note MOO001 s2s_secure_auth +s2s_require_encryption +s2s_ports +s2s_insecure_domains +s2s_secure_domains +use_dane"},
		{"routes of federation", "modules_enabled = { 'roster', 'onions', 'darknet', 's2s_whitelist' } s2s_whitelist = { 'x' }", "note MOO001 darknet, note MOO001 onions, note MOO001 s2s_whitelist, note MOO001 s2s_whitelist"},
		{"rules without their module", "firewall_scripts = { 'x' }", "note MOO001 firewall_scripts"},
		{"web clients, which are there", "modules_enabled = { 'roster', 'bosh', 'websocket' } consider_bosh_secure = true consider_websocket_secure = true", ""},
		// A name that would do nothing.
		{"one port", "c2s_port = 5223", "warn UNK001 c2s_port"},
		{"an old switch", "cross_domain_bosh = true modules_enabled = { 'roster', 'bosh' }", "note DEP001 cross_domain_bosh"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := mustLoad(t, tt.config+"\nVirtualHost 'h.example'\nmodules_enabled = { 'roster' }")
			var said []string
			for _, d := range Check(c) {
				if d.Code == CodeLogin || d.Code == CodeAutomatic || d.Code == CodeQuiet || d.Code == CodeOpen {
					continue
				}
				line := fmt.Sprintf("%v %s %s", d.Severity, d.Code, d.Name)
				for _, s := range d.Settings {
					if s.Name != d.Name {
						line += " +" + s.Name
					}
				}
				said = append(said, line)
			}
			if got := strings.Join(slices.Sorted(slices.Values(said)), ", "); got != tt.want {
				t.Errorf("said %s\nwant %s", got, tt.want)
			}
		})
	}
}
