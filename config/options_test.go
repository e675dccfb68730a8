package config

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"rosterd/config/known"
)

// The registry agrees with what is known of Prosody: names exist, and what Prosody reads from the
// global section only is read so here.
func TestRegistryOfOptions(t *testing.T) {
	for _, s := range Specs() {
		if s.Doc == "" {
			t.Errorf("%s is not described", s.Name)
		}
		for _, name := range append([]string{s.Name}, s.Aliases...) {
			k, ok := known.LookupOption(name)
			switch {
			case strings.HasPrefix(name, "rosterd_"):
				if ok {
					t.Errorf("%s is a name of Prosody's", name)
				}
			case strings.HasPrefix(name, "oauth_external_") && strings.HasSuffix(name, "username_mapping"): // newer than the tables
			case name == "groups_sql" || strings.HasPrefix(name, "groups_sql_"): // named after groups_file
			case name == "dovecot_auth_port": // the module reads it for its host, whatever its name looks like
			case name == "password_hash" || strings.HasSuffix(name, "_certificate"): // newer than the tables, or made up at run time
			case !ok:
				t.Errorf("%s is no option of Prosody", name)
			case k.GlobalOnly && s.Scope != ScopeGlobal:
				t.Errorf("%s is global in Prosody", name)
			}
		}
	}
	for name := range quietOptions {
		if _, ok := known.LookupOption(name); !ok {
			t.Errorf("quiet option %s is not known", name)
		}
		if registry[name] != nil {
			t.Errorf("%s is both honoured and quiet", name)
		}
	}
	for name := range mootOptions {
		if registry[name] != nil {
			t.Errorf("%s is both honoured and moot", name)
		}
	}
}

func TestInheritance(t *testing.T) {
	c := mustLoad(t, `
		name = "global"; allow_unencrypted_plain_auth = true; admins = { "a@x.example" }; c2s_ports = { 5333 }; rosterd_max_sessions = 7
		disco_items = { { "one.example" } }
		VirtualHost "h.example"
		name = "host"; allow_unencrypted_plain_auth = false; admins = { "b@x.example" }; c2s_ports = { 1 }
		disco_items = { { "two.example" } }
		VirtualHost "i.example"`)
	h, i := c.Host("h.example"), c.Host("i.example")
	for _, x := range []struct {
		what      string
		got, want any
	}{
		{"the host's own value", Name.Get(h), "host"},
		{"the global value", Name.Get(i), "global"},
		{"seen from above", Name.Get(c.Global()), "global"},
		{"an explicit false", AllowUnencryptedPlainAuth.Get(h), false},
		{"inherited true", AllowUnencryptedPlainAuth.Get(i), true},
		{"lists are replaced whole", fmt.Sprint(DiscoItems.Get(h)), "[{two.example }]"},
		{"admins are joined", fmt.Sprint(Admins.Get(h)), "[b@x.example a@x.example]"},
		{"admins of a host without", fmt.Sprint(Admins.Get(i)), "[a@x.example]"},
		{"a global option under a host", fmt.Sprint(C2SPorts.Get(h)), "[5333]"},
		{"a default", StanzaDepth.Get(h), 64},
		{"an inherited number", MaxSessions.Get(h), 7},
	} {
		if x.got != x.want {
			t.Errorf("%s: %v, want %v", x.what, x.got, x.want)
		}
	}
	_, pos, set := Name.Lookup(i)
	if !set || pos.Line != 2 {
		t.Errorf("name of i.example is set %v at line %d", set, pos.Line)
	}
	if _, pos, set := StanzaDepth.Lookup(h); set || !pos.IsZero() {
		t.Error("a default has a place")
	}
}

func TestDefaults(t *testing.T) {
	c := mustLoad(t, "VirtualHost 'h.example'")
	h := c.Hosts()[0]
	for _, x := range []struct {
		what      string
		got, want any
	}{
		{"authentication", Authentication.Get(h), "internal_hashed"},
		{"password_hash", PasswordHash.Get(h), "SHA-1"},
		{"c2s_require_encryption", C2SRequireEncryption.Get(h), true},
		{"allow_unencrypted_plain_auth", AllowUnencryptedPlainAuth.Get(h), false},
		{"insecure_sasl_mechanisms", fmt.Sprint(InsecureSASLMechanisms.Get(h)), "[PLAIN LOGIN]"},
		{"default_iteration_count", IterationCount.Get(h), 10_000},
		{"contact_info", fmt.Sprint(ContactInfo.Get(h)), "map[admin:[]]"},
		{"rosterd_plugin_isolation", PluginIsolation.Get(h), "process"},
		{"rosterd_plugin_memory", PluginMemory.Get(h), 64 << 20},
		{"rosterd_plugin_override", len(PluginOverride.Get(h)), 0},
		{"data_path", DataPath.Get(h), "/var/lib/prosody"},
		{"rosterd_database", Database.Get(h), "/var/lib/prosody/rosterd.sqlite"},
		{"pidfile", PidFile.Get(h), ""},
		{"certificates", Certificates.Get(h), filepath.Join(c.Dir, "certs")},
		{"http_host", HTTPHost.Get(h), "h.example"},
		{"rosterd_backend_timeout", BackendTimeout.Get(h), 5 * time.Second},
		{"rosterd_backend_parallel", BackendParallel.Get(h), 16},
		{"rosterd_backend_max_answer", BackendMaxAnswer.Get(h), 16 << 20},
		{"rosterd_roster_items", RosterItems.Get(h), 100_000},
		{"rosterd_missing_user", MissingUser.Get(h), "last-good"},
		{"rosterd_keep_rosters", KeepRosters.Get(h), true},
		{"rosterd_refresh_timeout", RefreshTimeout.Get(h), 30 * time.Second},
		{"rosterd_refresh_other_side", RefreshOtherSide.Get(h), true},
		{"rosterd_refresh_token", RefreshToken.Get(h), ""},
		{"rosterd_max_sessions", MaxSessions.Get(h), 20},
		{"rosterd_stanza_size", StanzaSize.Get(h), 256 << 10},
		{"rosterd_outbox_soft", OutboxSoft.Get(h), 256 << 10},
		{"rosterd_outbox_hard", OutboxHard.Get(h), 1 << 20},
		{"rosterd_auth_timeout", AuthTimeout.Get(h), 15 * time.Second},
		{"rosterd_auth_attempts", AuthAttempts.Get(h), 3},
		{"rosterd_preauth_bytes", PreauthBytes.Get(h), 16 << 10},
		{"rosterd_connections_per_address", ConnectionsPerAddress.Get(h), 20},
		{"trusted_proxies", fmt.Sprint(TrustedProxies.Get(h)), "[127.0.0.1/32 ::1/128]"},
	} {
		if x.got != x.want {
			t.Errorf("%s: %v, want %v", x.what, x.got, x.want)
		}
	}
}

func TestOtherNames(t *testing.T) {
	c := mustLoad(t, "require_encryption = false\nlegacy_ssl_ports = { 5223 }\nc2s_timeout = 60\nc2s_stanza_size_limit = 100000\ninterface = '127.0.0.1'\nVirtualHost 'h.example'")
	h := c.Hosts()[0]
	if C2SRequireEncryption.Get(h) {
		t.Error("require_encryption is not read as c2s_require_encryption")
	}
	if got := fmt.Sprint(C2SDirectTLSPorts.Get(h), AuthTimeout.Get(h), StanzaSize.Get(h), Interfaces.Get(h)); got != "[5223] 1m0s 100000 [127.0.0.1]" {
		t.Errorf("read %s", got)
	}
	// The option's own name wins wherever it is set.
	c = mustLoad(t, "c2s_require_encryption = true\nVirtualHost 'h.example'\nrequire_encryption = false")
	if !C2SRequireEncryption.Get(c.Hosts()[0]) {
		t.Error("require_encryption wins over c2s_require_encryption")
	}
}

// A value that is not understood leaves the safe default in place, and the server does not start.
func TestUnreadableSecurity(t *testing.T) {
	for _, line := range []string{
		`c2s_require_encryption = "yes"`, `c2s_require_encryption = {}`, `allow_unencrypted_plain_auth = "no"`, `authentication = "internal_ldap"`, `authentication = {}`,
		`anonymous_login = "yes"`, `storage = 5 > 4 and {} or nil; storage = { accounts = {} }`, `default_storage = ""`, `limits = { c2s = { rate = "fast" } }`, `limits = 5`,
		`rosterd_refresh_token = ""`, `rosterd_auth_timeout = "30m"`, `rosterd_stanza_size = "big"`, `trusted_proxies = { "everybody" }`, `c2s_ports = { "x" }`, `interfaces = { "?" }`,
		`password_hash = "MD5"`, `modules_enabled = "tls"`, `enabled = "no"`, `http_interfaces = { "a b" }`, `admins = { {} }`, `default_archive_policy = "nobody"`, `rosterd_refesh_token = "x"`,
		`ssl = { protocol = "sslv2" }`, `rosterd_refresh_token = ENV_NOT_SET`, `rosterd_roster_edit = "allow"`, `default_iteration_count = "many"`, `rosterd_plugin_isolation = "none"`, `rosterd_plugin_override = "http_roster_admin"`, `modules_disabled = { 5 }`,
	} {
		c := mustLoad(t, line+"\nVirtualHost 'h.example'")
		if !C2SRequireEncryption.Get(c.Hosts()[0]) {
			t.Errorf("%s: encryption is not required", line)
		}
		found := false
		for _, d := range Check(c) {
			found = found || d.Severity == Refused && d.Pos.Line == 1
		}
		if !found {
			t.Errorf("%s is not refused:\n%v", line, Check(c))
		}
	}
}

// Other options that are not understood are named with their line, and their default counts.
func TestUnreadableFunctional(t *testing.T) {
	for _, line := range []string{`pidfile = {}`, `log = { debut = "x" }`, `rosterd_backend_timeout = "soon"`, `conflict_resolve = "ask"`, `name = {}`, `disco_items = { {} }`, `contact_info = { "mailto:a@x.example" }`, `contact_info = { abuse = { "abuse@x.example" } }`, `http_host = "a b"`, `rosterd_missing_user = "drop"`} {
		c := mustLoad(t, line+"\nVirtualHost 'h.example'")
		found := false
		for _, d := range Check(c) {
			if d.Pos.Line == 1 && d.Severity == Refused {
				t.Errorf("%s is refused: %s", line, d)
			}
			found = found || d.Severity == Warn && d.Pos.Line == 1 && d.Code == CodeValue
		}
		if !found {
			t.Errorf("%s is not reported:\n%v", line, Check(c))
		}
	}
}

// An entry that is no address makes nobody an admin, and keeps nobody from being one.
func TestAdminsThatAreNone(t *testing.T) {
	c := mustLoad(t, "admins = { '', ' b@x.example', 'a@x.example', 'a@x.example/r' }\nVirtualHost 'h.example'")
	if got := fmt.Sprint(Admins.Get(c.Hosts()[0])); got != "[a@x.example]" {
		t.Errorf("the admins are %s", got)
	}
	said := 0
	for _, d := range Check(c) {
		if d.Name == "admins" && d.Severity == Refused {
			t.Errorf("refused: %s", d)
		}
		if d.Name == "admins" && d.Severity == Warn && d.Pos.Line == 1 {
			said++
		}
	}
	if said != 3 {
		t.Errorf("%d of 3 entries are reported:\n%v", said, Check(c))
	}
}

func TestLimitsOfNoSession(t *testing.T) {
	c := mustLoad(t, "limits = { C2S = { rate = '1mb/s' }, s2sin = { rate = '1mb/s' } }\nmodules_enabled = { 'limits' }\nVirtualHost 'h.example'")
	var said []string
	for _, d := range Check(c) {
		if d.Name == "limits" && d.Severity == Warn {
			said = append(said, d.Message)
		}
	}
	if want := `limits: "C2S" is no kind of session, in Prosody neither: c2s, component, s2sin, s2sout are`; strings.Join(said, "|") != want {
		t.Errorf("got %q, want %q", said, want)
	}
}

func TestDefaultArchivePolicy(t *testing.T) {
	for value, want := range map[string]string{"true": "always", "'always'": "always", "'never'": "never", "0": "never", "'roster'": "roster"} {
		if got := ArchivePolicy.Get(mustLoad(t, "default_archive_policy = "+value+"\nVirtualHost 'h.example'").Hosts()[0]); got != want {
			t.Errorf("default_archive_policy = %s is %q, want %q", value, got, want)
		}
	}
}

func TestPluginOption(t *testing.T) {
	c := mustLoad(t, "crm_url = 'http://x'\ncrm_list = { 'a', 1, true, 1.5 }\ncrm_map = { a = { 'x' }, 5 }\nVirtualHost 'h.example'\ncrm_url = 'http://h'\ncrm_off = false")
	h := c.Hosts()[0]
	for _, x := range []struct {
		name, want string
		line       int
		ok         bool
	}{
		{"crm_url", `"http://h"`, 5, true}, {"crm_list", `[]interface {}{"a", 1, true, 1.5}`, 2, true}, {"crm_map", `map[string]interface {}{"1":5, "a":[]interface {}{"x"}}`, 3, true},
		{"crm_off", "false", 6, true}, {"crm_none", "<nil>", 0, false},
	} {
		v, pos, ok := h.PluginOption(x.name)
		if got := fmt.Sprintf("%#v", v); got != x.want || pos.Line != x.line || ok != x.ok {
			t.Errorf("%s = %s at %d, %v; want %s at %d, %v", x.name, got, pos.Line, ok, x.want, x.line, x.ok)
		}
	}
	// What a plugin has asked for is not unknown any more.
	for _, d := range Check(c) {
		if strings.HasPrefix(d.Name, "crm_") {
			t.Errorf("reported: %s", d)
		}
	}
	fresh := mustLoad(t, "crm_url = 'http://x'\nVirtualHost 'h.example'")
	if !strings.Contains(fmt.Sprint(Check(fresh)), "crm_url: unknown option") {
		t.Error("an option that nobody reads is not reported")
	}
}

func TestPaths(t *testing.T) {
	c := mustLoad(t, "data_path = 'data'\npidfile = 'run/rosterd.pid'\nplugin_paths = { 'mods', '/usr/lib/mods' }\ncertificates = './tls'\nrosterd_database = '/srv/r.db'\nVirtualHost 'h.example'")
	h := c.Hosts()[0]
	in := func(rel string) string { return filepath.Join(c.Dir, rel) }
	for _, x := range [][2]string{
		{DataPath.Get(h), in("data")}, {PidFile.Get(h), in("data/run/rosterd.pid")}, {fmt.Sprint(PluginPaths.Get(h)), fmt.Sprint([]string{in("mods"), "/usr/lib/mods"})},
		{Certificates.Get(h), in("tls")}, {Database.Get(h), "/srv/r.db"},
	} {
		if x[0] != x[1] {
			t.Errorf("path is %s, want %s", x[0], x[1])
		}
	}
	dir := files{"prosody.cfg.lua": ""}.write(t)
	c, err := Load(filepath.Join(dir, "prosody.cfg.lua"), LoadOptions{LookupEnv: environment(map[string]string{"PROSODY_DATADIR": "/srv/data"})})
	if err != nil {
		t.Fatal(err)
	}
	if got := DataPath.Get(c.Global()); got != "/srv/data" {
		t.Errorf("data_path from the environment is %s", got)
	}
}

func TestHTTPPath(t *testing.T) {
	c := mustLoad(t, "http_paths = { roster_admin = '/all/$host/', files = '/' }\nVirtualHost 'h.example'\nhttp_paths = { roster_admin = 'r' }\nVirtualHost 'i.example'\nhttp_paths = { other = '/x' }")
	for _, x := range []struct{ host, module, want string }{
		{"h.example", "roster_admin", "/r"}, {"h.example", "files", "/"}, {"i.example", "roster_admin", "/all/i.example"}, {"h.example", "none", "/none"},
	} {
		if got := c.Host(x.host).HTTPPath(x.module, "/"+x.module); got != x.want {
			t.Errorf("path of %s on %s is %s, want %s", x.module, x.host, got, x.want)
		}
	}
}

func TestStorageDriver(t *testing.T) {
	for _, x := range []struct{ src, accounts, roster string }{
		{"", "internal", "internal"}, {"storage = 'sql'", "sql", "sql"}, {"default_storage = 'rosterd'", "rosterd", "rosterd"},
		{"storage = { roster = 'memory' }", "internal", "memory"}, {"default_storage = 'sql'\nstorage = { accounts = 'internal' }", "internal", "sql"},
		{"storage = { roster = 'memory' }\nVirtualHost 'h.example'\nstorage = { vcard = 'sql' }", "internal", "internal"},
	} {
		src := x.src
		if !strings.Contains(src, "VirtualHost") {
			src += "\nVirtualHost 'h.example'"
		}
		h := mustLoad(t, src).Host("h.example")
		if a, r := h.StorageDriver("accounts"), h.StorageDriver("roster"); a != x.accounts || r != x.roster {
			t.Errorf("%q: accounts by %s, roster by %s", x.src, a, r)
		}
	}
}

func TestLimits(t *testing.T) {
	c := mustLoad(t, "limits = { c2s = { rate = '20kb/s', burst = '5s' }, s2sin = { rate = '1 MB/s', burst = 3 }, other = { rate = '500b/s' } }")
	got := Limits.Get(c.Global())
	want := map[string]RateLimit{"c2s": {20_000, 5 * time.Second}, "s2sin": {1_000_000, 3 * time.Second}, "other": {500, 2 * time.Second}}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("limits are %v, want %v", got, want)
	}
	if got := Limits.Get(mustLoad(t, "").Global())["c2s"]; got != (RateLimit{10240, 2 * time.Second}) {
		t.Errorf("default is %v", got)
	}
	for _, bad := range []string{`"10kb"`, `"kb/s"`, `"1.5kb/s"`, `"10x/s"`, `5`, `"0b/s"`} {
		r := &reading{cfg: c}
		rateLimits(r, value(t, "{ c2s = { rate = "+bad+" } }"))
		if len(r.problems) == 0 {
			t.Errorf("rate %s is taken", bad)
		}
	}
	for _, bad := range []string{`"2 min"`, `{}`, `-1`, `"x"`} {
		r := &reading{cfg: c}
		rateLimits(r, value(t, "{ c2s = { rate = '1kb/s', burst = "+bad+" } }"))
		if len(r.problems) == 0 {
			t.Errorf("burst %s is taken", bad)
		}
	}
}
