package config

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

// Raw is what Prosody's configmanager would hold, and JSON can carry it.
func TestRaw(t *testing.T) {
	c := mustLoad(t, `
		admins = { "a@h.example", "b@h.example" }
		limits = { c2s = { rate = "10kb/s" } }
		mixed = { "one", two = 2, [5] = "five", [true] = false }
		empty = {}
		big = 1e300 * 1e10
		half = 0.5
		f = function() end
		VirtualHost "H.example" { enabled = false, name = "x" }
		Component "muc.h.example" "muc"
		Component "ext.h.example"
		component_secret = "s"`)
	b, err := json.Marshal(c.Raw())
	if err != nil {
		t.Fatal(err)
	}
	var got, want any
	if err := json.Unmarshal(b, &got); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal([]byte(`{
		"*": {"admins": ["a@h.example", "b@h.example"], "limits": {"c2s": {"rate": "10kb/s"}},
			"mixed": {"1": "one", "two": 2, "5": "five", "true": false}, "empty": [], "big": "inf", "half": 0.5, "f": null},
		"h.example": {"defined": true, "enabled": false, "name": "x"},
		"muc.h.example": {"component_module": "muc", "load_global_modules": false},
		"ext.h.example": {"component_module": "component", "load_global_modules": false, "component_secret": "s"}
	}`), &want); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %s", b)
	}
}

func view(t *testing.T, c *Config, host string) View {
	t.Helper()
	for _, v := range c.Views() {
		if v.Host == host {
			return v
		}
	}
	t.Fatalf("no view of %s", host)
	return View{}
}

func (v View) setting(name string) string {
	for _, s := range v.Settings {
		if s.Name == name {
			s = s.Redact()
			return fmt.Sprintf("%s %s %d %s", Lua(s.Value), s.Origin, s.Pos.Line, s.WrittenAs)
		}
	}
	return "none"
}

func TestViews(t *testing.T) {
	c := mustLoad(t, `c2s_require_encryption = false
		admins = { "a@h.example" }
		require_encryption = true
		interface = "127.0.0.1"
		daemonize = true
		helper = function() end
		sql = { driver = "PostgreSQL", database = "d", password = "p" }
		ssl = { key = "/k", password = "p" }
		turn_external_secret = "s"
		http_roster_url = "http://u:p@localhost/%s"
		smacks_hibernation_time = "nonsense"
		VirtualHost "h.example"
		admins = { "b@h.example" }
		c2s_require_encryption = "yes"
		VirtualHost "off.example"
		enabled = false
		Component "muc.h.example" "muc"
		restrict_room_creation = true`)
	for _, tt := range []struct{ host, name, want string }{
		{"*", "c2s_require_encryption", "false section 1 "},
		{"*", "interfaces", `"127.0.0.1" section 4 interface`},
		{"*", "c2s_ports", "{ 5222 } default 0 "},
		{"*", "rosterd_auth_timeout", "15 default 0 "},
		{"*", "trusted_proxies", `{ "127.0.0.1/32", "::1/128" } default 0 `},
		{"*", "daemonize", "true section 5 "},
		{"*", "helper", `"(function)" section 6 `},
		{"*", "sql", `{ database = "d", driver = "PostgreSQL", password = "(redacted)" } section 7 `},
		{"*", "ssl", `{ key = "/k", password = "(redacted)" } section 8 `},
		{"*", "turn_external_secret", `"(redacted)" section 9 `},
		{"h.example", "http_roster_url", `"http://u:(redacted)@localhost/%s" inherited 10 `},
		{"h.example", "smacks_hibernation_time", "600 default 0 "},
		{"h.example", "c2s_require_encryption", "true default 0 "}, // "yes" is not understood, which check refuses
		{"h.example", "admins", `{ "b@h.example", "a@h.example" } joined 13 `},
		{"h.example", "http_host", `"h.example" default 0 `},
		{"h.example", "c2s_ports", "none"},
		{"muc.h.example", "restrict_room_creation", "true section 18 "},
	} {
		t.Run(tt.host+" "+tt.name, func(t *testing.T) {
			if got := view(t, c, tt.host).setting(tt.name); got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
		})
	}
	if view(t, c, "off.example").Served || !view(t, c, "h.example").Served || view(t, c, "muc.h.example").Served {
		t.Error("what is served is not told from what is not")
	}
	if b, err := json.Marshal(c.Views()); err != nil || !strings.Contains(string(b), `"no_effect"`) {
		t.Errorf("as JSON %s, %v", b, err)
	}
}

// A name or a password with an @ in it is one to net/url, too.
func TestRedactURLs(t *testing.T) {
	for in, want := range map[string]string{
		"http://u:p@h/%s":                 "http://u:(redacted)@h/%s",
		"http://u:p@ss@h/%s":              "http://u:(redacted)@h/%s",
		"http://u@x:p@h/%s":               "http://u@x:(redacted)@h/%s",
		"http://:p@h:80/":                 "http://:(redacted)@h:80/",
		"http://h:80/a@b":                 "http://h:80/a@b",
		"http://u@h:80/":                  "http://u@h:80/",
		"ldap://u:p@h:389, ldap://v:q@h/": "ldap://u:(redacted)@h:389, ldap://v:(redacted)@h/",
	} {
		if got := (Setting{Value: in}).Redact().Value; got != want {
			t.Errorf("%s is shown as %s, want %s", in, got, want)
		}
	}
}

// What Lua writes, the loader reads back.
func TestLuaForms(t *testing.T) {
	want := map[string]any{"a b": "x\"\\\n\x01", "end": []any{int64(1), true}, "n": -0.5, "t": map[string]any{"k": "v"}}
	c := mustLoad(t, "x = "+Lua(want)+"\nVirtualHost 'h.example'")
	if got := c.Raw()["*"]["x"]; !reflect.DeepEqual(got, want) {
		t.Errorf("%s is read back as %#v", Lua(want), got)
	}
}

func TestDiff(t *testing.T) {
	before := mustLoad(t, `archive_expires_after = "1w" modules_enabled = { "roster", "mam" } c2s_ports = { 5222 } component_secret = "one"
		VirtualHost "a.example"
		VirtualHost "b.example"
		name = "b"`)
	after := mustLoad(t, `archive_expires_after = 604800 modules_enabled = { "roster", "carbons" } c2s_ports = { 5222, 5223 } component_secret = "two"
		VirtualHost "b.example"
		name = "c"
		VirtualHost "c.example"`)
	d := Diff(before, after)
	var said []string
	for _, c := range d.Changes {
		said = append(said, c.Host+" "+c.Name)
	}
	if got := strings.Join(said, ", "); got != "* c2s_ports, * component_secret, * modules_enabled, b.example name" {
		t.Errorf("changed are %s", got)
	}
	if fmt.Sprint(d.HostsGained, d.HostsLost) != "[c.example] [a.example]" {
		t.Errorf("gained %v, lost %v", d.HostsGained, d.HostsLost)
	}
	if fmt.Sprint(d.ModulesGained["b.example"], d.ModulesLost["b.example"]) != "[carbons] [mam]" {
		t.Errorf("modules gained %v, lost %v", d.ModulesGained, d.ModulesLost)
	}
	d.Redact()
	if b, _ := json.Marshal(d); strings.Contains(string(b), "two") {
		t.Errorf("a secret is in %s", b)
	}
	if !Diff(before, before).Empty() {
		t.Error("a configuration is different from itself")
	}
}

func TestExplain(t *testing.T) {
	for _, tt := range []struct{ name, kind, here string }{
		{"c2s_require_encryption", "option", "it is honoured; a value that is not understood refuses the start"},
		{"legacy_ssl_ports", "option", "it is read as c2s_direct_tls_ports"},
		{"rosterd_refresh_token", "option", "it is honoured"},
		{"s2s_secure_auth", "option", "it has no effect: this server does not talk to other servers"},
		{"daemonize", "option", "it has no effect: it is accepted quietly"},
		{"firewall", "module", "it is not available, of which check warns"},
		{"isolate_host", "module", "it is not available, and whoever enables it is refused"},
		{"carbons", "module", "it is available"},
		{"storage_ldap", "module", `it is not for modules_enabled: Prosody chooses it by storage = "ldap"`},
	} {
		found, _ := Explain(tt.name)
		if len(found) != 1 || found[0].Kind != tt.kind || !strings.HasPrefix(found[0].Here, tt.here) {
			t.Errorf("%s is explained as %+v, want %s %q", tt.name, found, tt.kind, tt.here)
		}
	}
	if both, _ := Explain("limits"); len(both) != 2 {
		t.Errorf("limits is an option and a module: %+v", both)
	}
	if found, hint := Explain("c2s_prots"); len(found) > 0 || hint != "c2s_ports" {
		t.Errorf("c2s_prots is %+v, or %q", found, hint)
	}
	// Every name can be explained.
	for _, name := range optionNamesKnown() {
		if e, ok := explainOption(name); !ok || e.Here == "" || e.Meaning == "" || len(e.Types) == 0 || e.Scope == "" {
			t.Errorf("%s is explained as %+v", name, e)
		}
	}
	for _, name := range moduleNamesKnown() {
		if e, ok := explainModule(name); !ok || e.Here == "" || e.Meaning == "" {
			t.Errorf("module %s is explained as %+v", name, e)
		}
	}
}

// Where a file sets a name, with secrets left out.
func TestPlaces(t *testing.T) {
	c := mustLoad(t, `modules_enabled = { "roster" }
		rosterd_refresh_token = "abcdefghijklmnop"
		VirtualHost "h.example"
		modules_disabled = {
			"roster" }`)
	if got := fmt.Sprint(c.Places("module", "roster")); got != fmt.Sprintf("[{* %s:1 modules_enabled} {h.example %[1]s:5 modules_disabled}]", c.File) {
		t.Errorf("roster is at %s", got)
	}
	if got := fmt.Sprint(c.Places("option", "rosterd_refresh_token")); got != fmt.Sprintf("[{* %s:2 (redacted)}]", c.File) {
		t.Errorf("the token is at %s, in %s", got, filepath.Base(c.File))
	}
}
