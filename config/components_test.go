package config

import (
	"slices"
	"strings"
	"testing"
)

func TestComponents(t *testing.T) {
	c := mustLoad(t, `component_secret = "for all"
component_ports = { 5347 }
VirtualHost "example.com"
VirtualHost "other.example"
Component "Rooms.example.com"
  component_secret = "s"
  name = "Rooms"
Component "a.b.example.com"
Component "muc.example.com" "muc"
Component "off.example.com"
  enabled = false
`)
	var got []string
	for _, h := range c.Components() {
		got = append(got, h.Name+" "+ComponentSecret.Get(h))
	}
	if want := []string{"rooms.example.com s", "a.b.example.com for all"}; !slices.Equal(got, want) {
		t.Errorf("components %q, want %q", got, want)
	}
	for host, want := range map[string]string{"example.com": "rooms.example.com", "other.example": ""} {
		var names []string
		for _, h := range c.Inside(c.Host(host)) {
			names = append(names, h.Name)
		}
		if got := strings.Join(names, " "); got != want {
			t.Errorf("inside %s: %q, want %q", host, got, want)
		}
	}
}

// What check says of components, beside what it says of a host that cannot work.
func TestCheckComponents(t *testing.T) {
	for _, c := range []struct {
		name, src string
		want      []string // lines begin so
	}{
		{"a good one", "Component 'c.example'\ncomponent_secret = 's'\nname = 'C'", nil},
		{"no secret", "Component 'c.example'", []string{`WARN     prosody.cfg.lua:2  Component "c.example" (external): nobody can connect as it, since component_secret is not set`}},
		{"a secret that is none", "Component 'c.example'\ncomponent_secret = {}", []string{
			"REFUSED  prosody.cfg.lua:3  component_secret: "}},
		{"the ports of components under one", "Component 'c.example'\ncomponent_secret = 's'\ncomponent_ports = { 5348 }", []string{
			`WARN     prosody.cfg.lua:4  component_ports is a global option; under Component "c.example" it has no effect`}},
		{"closed", "Component 'c.example'\ncomponent_secret = 's'", []string{"WARN     prosody.cfg.lua:1  component_ports is empty: no component can connect"}},
		{"open", "Component 'c.example'\ncomponent_secret = 's'", []string{"NOTE     prosody.cfg.lua:1  components connect from beyond this machine without TLS"}},
		{"modules", "Component 'c.example'\ncomponent_secret = 's'\nmodules_enabled = { 'muc_mam' }", []string{
			`NOTE     prosody.cfg.lua:4  module "muc_mam" has no effect on an external component`}},
		{"one of Prosody's own", "Component 'c.example' 'muc'\nname = 'C'", []string{
			`WARN     prosody.cfg.lua:2  Component "c.example" "muc": rosterd has no components of its own, this host will not exist; without effect is name:3 [FEA003]`}},
		{"options without a component", "component_secret = 's'", []string{
			`NOTE     prosody.cfg.lua:2  component_secret has no effect: it belongs to the module "component", which is not enabled`}},
	} {
		t.Run(c.name, func(t *testing.T) {
			first := map[string]string{"closed": "component_ports = {}", "open": "component_interfaces = { '*' }"}[c.name]
			var got []string
			cfg := mustLoad(t, first+"\n"+c.src)
			for _, d := range Check(cfg) {
				if d.Code != CodeHosts {
					got = append(got, strings.ReplaceAll(d.String(), cfg.Dir+"/", ""))
				}
			}
			if len(got) != len(c.want) || slices.ContainsFunc(c.want, func(w string) bool {
				return !slices.ContainsFunc(got, func(g string) bool { return strings.HasPrefix(g, w) })
			}) {
				t.Errorf("check says\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(c.want, "\n"))
			}
		})
	}
}
