package main

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
)

// TestConfigCommand asks what configurations come to, as an operator does.
func TestConfigCommand(t *testing.T) {
	t.Parallel()
	p := newPlace(t, "")
	old := p.file(t, "old.cfg.lua", `
data_path = "data"
modules_enabled = { "roster", "saslauth", "turn_external" }
turn_external_secret = "hush-hush"
legacy_ssl_ports = { 5223 }
VirtualHost "a.example"
name = "A"
VirtualHost "b.example"
enabled = false
`)
	now := p.file(t, "new.cfg.lua", `
data_path = "data"
modules_enabled = { "roster", "saslauth", "tls" }
c2s_direct_tls_ports = { 5223 }
VirtualHost "a.example"
name = "B"
`)
	for _, tt := range []struct {
		name   string
		status int
		want   string
		args   []string
	}{
		{"what is set", exitOK, `
-- The global section
c2s_direct_tls_ports = { 5223 } -- DIR/old.cfg.lua:5, as legacy_ssl_ports
data_path = "data" -- DIR/old.cfg.lua:2
modules_enabled = { "roster", "saslauth", "turn_external" } -- DIR/old.cfg.lua:3
turn_external_secret = "(redacted)" -- DIR/old.cfg.lua:4; no effect: it belongs to mod_turn_external, which rosterd does not have

VirtualHost "a.example" -- DIR/old.cfg.lua:6
	name = "A" -- DIR/old.cfg.lua:7
	-- modules: c2s iq message offline presence roster s2s s2s_auth_certs saslauth turn_external

VirtualHost "b.example" -- DIR/old.cfg.lua:8, not served
	enabled = false -- DIR/old.cfg.lua:9
`, []string{"show", old, "--set", "--origin"}},
		{"of one host, with what it inherits", exitOK, `
VirtualHost "a.example" -- DIR/old.cfg.lua:6
	modules_enabled = { "roster", "saslauth", "turn_external" }
	name = "A"
	turn_external_secret = "hush-hush"
	-- modules: c2s iq message offline presence roster s2s s2s_auth_certs saslauth turn_external
`, []string{"show", "--set", "--host", "a.example", "--redact=false", "--config", old}},
		{"as Prosody has it", exitOK, "*\tc2s_direct_tls_ports\t{ 5223 }\n*\tdata_path\t\"data\"\n*\tmodules_enabled\t{ \"roster\", \"saslauth\", \"tls\" }\na.example\tdefined\ttrue\na.example\tname\t\"B\"\n",
			[]string{"show", "--raw", now}},
		{"as Prosody has it, without secrets", exitOK, `
{
  "*": {
    "data_path": "data",
    "legacy_ssl_ports": [
      5223
    ],
    "modules_enabled": [
      "roster",
      "saslauth",
      "turn_external"
    ],
    "turn_external_secret": "(redacted)"
  }
}
`, []string{"show", "--raw", "--json", "--redact", "--host", "*", old}},
		{"no such host", exitFailed, "rosterd config show: DIR/old.cfg.lua has no host \"c.example\"\n", []string{"show", old, "--host", "c.example"}},
		{"what another one changes", exitFailed, `
all hosts: modules_enabled
  - { "roster", "saslauth", "turn_external" } -- DIR/old.cfg.lua:3
  + { "roster", "saslauth", "tls" } -- DIR/new.cfg.lua:3
all hosts: turn_external_secret
  - "(redacted)" -- DIR/old.cfg.lua:4; no effect: it belongs to mod_turn_external, which rosterd does not have
  + not set
a.example: name
  - "A" -- DIR/old.cfg.lua:7
  + "B" -- DIR/new.cfg.lua:6
all hosts: modules - turn_external
a.example: modules - turn_external
all hosts: modules + tls
a.example: modules + tls
`, []string{"diff", old, now}},
		{"nothing changes", exitOK, "", []string{"diff", old, old}},
		{"nobody knows it", exitFailed, "rosterd config explain: nobody knows an option or a module \"c2s_prots\"; did you mean c2s_ports?\n", []string{"explain", "c2s_prots"}},
		{"where it is set", exitOK, `
legacy_ssl_ports: option that comes with Prosody
  ports for clients that start with TLS; old name
  type         array
  read by      c2s
  where        globally; under a host it has no effect
  replaced by  c2s_direct_tls_ports
  in rosterd   it is read as c2s_direct_tls_ports; a value that is not understood refuses the start
  DIR/old.cfg.lua:5  { 5223 }, globally
`, []string{"explain", "legacy_ssl_ports", "--config", old}},
		{"nothing to do", exitUsage, "rosterd config explain: name an option or a module\n", []string{"explain"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var out bytes.Buffer
			status := run(testContext(t), append([]string{"config"}, tt.args...), console{in: strings.NewReader(""), out: &out, err: &out})
			if got := strings.ReplaceAll(out.String(), p.dir, "DIR"); status != tt.status || got != strings.TrimPrefix(tt.want, "\n") {
				t.Errorf("status %d, want %d; got\n%swant\n%s", status, tt.status, got, tt.want)
			}
		})
	}
	var out bytes.Buffer
	for _, args := range [][]string{{"show", old}, {"explain", "limits", "roster"}, {"diff", old, now}} {
		out.Reset()
		run(testContext(t), append(append([]string{"config"}, args...), "--json"), console{in: strings.NewReader(""), out: &out, err: &out})
		if !json.Valid(out.Bytes()) {
			t.Errorf("%q is no JSON: %s", args, out.String())
		}
	}
}
