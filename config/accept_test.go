package config

import (
	"fmt"
	"strings"
	"testing"
)

// What an administrator accepts is a note from then on, where it can be accepted at all.
func TestAccept(t *testing.T) {
	for _, tt := range []struct {
		name, config string
		accept       []string
		want         string // of each line that says something of it: severity, code, name, what accepts it
	}{
		{name: "nothing", config: `modules_enabled = { "roster", "firewall" }`, want: "warn SEC002 firewall"},
		{name: "a warning", config: "modules_enabled = { 'roster', 'firewall' }\nrosterd_accept = { 'SEC002' }", want: "note SEC002 firewall by rosterd_accept (FILE:2)"},
		{name: "a warning of one module", config: "modules_enabled = { 'roster', 'firewall', 'tombstones' }\nrosterd_accept = {\n'SEC002@firewall' }",
			want: "warn SEC002 tombstones, note SEC002 firewall by rosterd_accept (FILE:3)"},
		{name: "a single code", config: "modules_enabled = { 'roster', 'firewall' }\nrosterd_accept = 'SEC002'", want: "note SEC002 firewall by rosterd_accept (FILE:2)"},
		{name: "by the command line", config: `modules_enabled = { "roster", "firewall" }`, accept: []string{"SEC002@firewall"}, want: "note SEC002 firewall by --accept"},
		{name: "twice", config: "modules_enabled = { 'roster', 'firewall' }\nrosterd_accept = { 'SEC002' }", accept: []string{"SEC002"},
			want: "note SEC002 firewall by rosterd_accept (FILE:2)"},
		{name: "a refusal", config: `modules_enabled = { "roster", "isolate_host" } rosterd_accept = { "SEC001@isolate_host" }`, want: "note SEC001 isolate_host by rosterd_accept (FILE:1)"},
		{name: "passwords that nobody checks", config: `modules_enabled = { "roster", "register", "password_policy" } rosterd_accept = { "SEC001" }`,
			want: "note MOO001 register, note SEC001 password_policy by rosterd_accept (FILE:1)"},
		{name: "passwords that nobody chooses", config: `modules_enabled = { "roster", "password_policy" }`, want: "warn SEC002 password_policy"},
		{name: "strangers", config: `modules_enabled = { "roster", "http_authentication" } rosterd_accept = { "SEC007" }`,
			want: "refused SEC007 http_authentication; rosterd_accept (FILE:1) does not help, since strangers would get in"},
		{name: "a value that is not understood", config: `c2s_require_encryption = "yes" rosterd_accept = { "VAL001@c2s_require_encryption" }`,
			want: "refused VAL001 c2s_require_encryption; rosterd_accept (FILE:1) does not help, since what the value was to close would be open: correct it"},
		{name: "lost data", config: `storage = "mongodb" rosterd_accept = { "SEC004" }`,
			want: "refused SEC004 storage; rosterd_accept (FILE:1) does not help, since others would get in than those who should, or what users entrust to the server would be lost"},
		{name: "nothing to accept", config: `rosterd_accept = { "SEC002@firewall", "UNK009" }`, want: "warn ACC001 SEC002@firewall, warn ACC001 UNK009"},
		{name: "nothing to accept by the command line", accept: []string{"SEC002"}, want: "warn ACC001 SEC002"},
		{name: "a note needs none", config: `daemonize = true rosterd_accept = { "QUI001" }`, want: "warn ACC001 QUI001"},
		{name: "an acceptance that is left over cannot be accepted", config: `rosterd_accept = { "SEC002", "ACC001" }`, want: "warn ACC001 SEC002, warn ACC001 ACC001"},
		{name: "no code", config: `rosterd_accept = { "all" }`, want: "refused VAL001 rosterd_accept"},
		{name: "of another host", config: "VirtualHost 'o.example'\nmodules_enabled = { 'roster', 'firewall' }\nVirtualHost 'p.example'\nrosterd_accept = { 'SEC002' }\n",
			want: "warn SEC002 firewall, warn ACC001 SEC002"},
		{name: "of the host", config: "VirtualHost 'o.example'\nmodules_enabled = { 'roster', 'firewall' }\nrosterd_accept = { 'SEC002' }\n",
			want: "note SEC002 firewall by rosterd_accept (FILE:3)"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			text := tt.config
			if !strings.Contains(text, "VirtualHost") {
				text += "\nVirtualHost 'h.example'\nmodules_enabled = { 'roster' }"
			}
			c := mustLoad(t, text)
			c.accepting = tt.accept
			var said []string
			for _, d := range Check(c) {
				if d.Code == CodeLogin || d.Code == CodeAutomatic || d.Code == CodeRoster || d.Code == CodeQuiet && d.Accepted == "" {
					continue
				}
				line := fmt.Sprintf("%v %s %s", d.Severity, d.Code, d.Name)
				if d.Code == CodeAccepts {
					line = fmt.Sprintf("%v %s %s", d.Severity, d.Code, d.Message[strings.LastIndex(d.Message, " ")+1:])
				}
				if d.Accepted != "" {
					line += " by " + d.Accepted
					if d.Was == Note {
						t.Errorf("%s was a note", line)
					}
				}
				if _, why, ok := strings.Cut(d.Message, "; rosterd_accept"); ok {
					line += "; rosterd_accept" + why
				}
				said = append(said, strings.ReplaceAll(line, c.File, "FILE"))
			}
			if got := strings.Join(said, ", "); got != tt.want {
				t.Errorf("said\n%s\nwant\n%s", got, tt.want)
			}
		})
	}
}

// What is appended to a file stands below its last host.
func TestAcceptanceBelowAHost(t *testing.T) {
	for src, want := range map[string]string{
		"modules_enabled = { 'roster', 'firewall' }\nVirtualHost 'h.example'\nrosterd_accept = { 'SEC002@firewall' }":  `in the section of "h.example" it counts for that alone: move it above the first VirtualHost`,
		"modules_enabled = { 'roster', 'firewall' }\nVirtualHost 'h.example'\nrosterd_accept = { 'SEC002@mimicking' }": "",
	} {
		for _, d := range Check(mustLoad(t, src)) {
			if d.Code == CodeAccepts && d.Hint != want {
				t.Errorf("%s: the hint is %q, want %q", src, d.Hint, want)
			}
		}
	}
}

func TestCheckAcceptance(t *testing.T) {
	for s, ok := range map[string]bool{"SEC002": true, "SEC002@firewall": true, "": false, "sec002": false, "SEC02": false, "SEC002@": false, "SEC002@a b": false} {
		if err := CheckAcceptance(s); (err == nil) != ok {
			t.Errorf("%q: %v", s, err)
		}
	}
}

// What has no effect is said with the module that it belongs to, or once for each reason.
func TestCollapsedLines(t *testing.T) {
	c := mustLoad(t, `firewall_scripts = { "a" }
		s2s_secure_auth = true
		s2s_ports = { 5269 }
		modules_enabled = { "roster", "firewall", "cloud_notify" }
		push_max_devices = 5
		push_max_errors = 16
		VirtualHost "h.example"`)
	var said []string
	for _, d := range Check(c) {
		if d.Code == CodeRestriction || d.Code == CodeModule || d.Code == CodeMoot {
			said = append(said, fmt.Sprintf("%d %s (%d)", d.Pos.Line, d.Message, len(d.Settings)))
		}
	}
	want := `4 module "firewall" is not available: its rules are not applied; without effect is firewall_scripts:1 (1)
4 module "cloud_notify" is not available: no push notifications to phones; without effect are push_max_devices:5 push_max_errors:6 (2)
2 2 settings have no effect: this server does not talk to other servers: s2s_secure_auth:2 s2s_ports:3 (2)`
	if got := strings.Join(said, "\n"); got != want {
		t.Errorf("said\n%s\nwant\n%s", got, want)
	}
}

// People read one line for many that say the same.
func TestCollapse(t *testing.T) {
	c := mustLoad(t, `modules_enabled = { "roster", "s2s", "dialback", "invites_adhoc",
		"privilege", "firewall", "turncredentials", "zap_one", "zap_two" }
		modules_disabled = {}
		s2s_secure_auth = true
		turncredentials_host = "h"
		zap_port = 1
		zap_name = "z"
		rosterd_accept = { "FEA001@privilege" }
		VirtualHost "h.example"
		modules_enabled = { "s2s_bidi", "invites_register" }`)
	var said []string
	for _, d := range Collapse(Check(c), c.Files) {
		if d.Code != CodeLogin {
			said = append(said, strings.ReplaceAll(d.String(), c.File, "FILE"))
		}
	}
	want := `WARN     FILE:1  these modules are not available: there is no federation, this server does not talk to other servers: s2s:1 dialback:1 s2s_bidi:10; without effect is s2s_secure_auth:4 [FEA004]
WARN     FILE:1  these modules are not available: invites_adhoc:1 invites_register:10 [FEA001]
WARN     FILE:2  module "firewall" is not available: its rules are not applied [SEC002]
WARN     FILE:2  module "turncredentials" is not available; without effect is turncredentials_host:5 [FEA001]
WARN     FILE:2  these modules are not known: zap_one:2 zap_two:2 [UNK002]
         hint: modules of your own would be mod_NAME.lua or .wasm in plugin_paths
WARN     FILE:6  these options are unknown, unless read by a module of your own: zap_port:6 zap_name:7 [UNK001]
NOTE     FILE:2  module "privilege" is not available [FEA001]
         accepted by rosterd_accept (FILE:8)`
	if got := strings.Join(said, "\n"); got != want {
		t.Errorf("said\n%s\nwant\n%s", got, want)
	}
}
