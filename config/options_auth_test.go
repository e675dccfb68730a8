package config

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// Who knows the passwords: an own provider, unless a file is to take its place; anonymous_login before all.
func TestAuthProviders(t *testing.T) {
	const auth = `module:provides("auth", { test_password = function() return true end })`
	for _, tt := range []struct {
		name, src string
		want      string // the provider; whether it is outside, is a file, anonymous
		says      string
	}{
		{"rosterd itself", "", "internal_hashed - - false", ""},
		{"an application", "authentication = 'http'", "http outside - false", ""},
		{"a file of that name in plugin_paths", "plugin_paths = { 'mods' }; authentication = 'http'", "http outside - false",
			`NOTE :1 DIR/mods/mod_auth_http.lua is not used: rosterd has a module of this name itself (rosterd_plugin_override = { "auth_http" } would take it instead)`},
		{"the file instead", "plugin_paths = { 'mods' }; authentication = 'http'; rosterd_plugin_override = { 'auth_http' }", "http - auth_http false", ""},
		{"a file that is not asked for", "plugin_paths = { 'mods' }; authentication = 'custom_http'", "custom_http outside - false", ""},
		{"a file that is not there", "authentication = 'http'; rosterd_plugin_override = { 'auth_http' }", "http - - false", `REFUSED :1 rosterd_plugin_override: there is no mod_auth_http.lua or .wasm in plugin_paths`},
		{"nobody", "authentication = 'anonymous'", "anonymous - - true", ""},
		{"nobody, and a file that may know somebody", "plugin_paths = { 'mods' }; authentication = 'anonymous'", "anonymous - - true",
			`WARN :1 DIR/mods/mod_auth_anonymous.lua is not used: whoever comes is let in, whatever it would say (rosterd_plugin_override = { "auth_anonymous" } would take it instead)`},
		{"the file that knows them", "plugin_paths = { 'mods' }; authentication = 'anonymous'; rosterd_plugin_override = { 'auth_anonymous' }", "anonymous - auth_anonymous false", ""},
		{"nobody, as it was once said", "authentication = 'http'; anonymous_login = true", "anonymous - - true",
			`WARN :1 anonymous_login is an old switch; it goes before authentication, as in Prosody (write authentication = "anonymous")`},
		{"an option of two providers", "authentication = 'http_async'; http_auth_url = 'https://x'", "http_async outside - false", ""},
		{"an option of others", "authentication = 'custom_http'; http_auth_url = 'http://x'", "custom_http outside - false",
			`NOTE :1 http_auth_url has no effect: no host has authentication = "http" or "http_async"`},
		{"an option of another", "authentication = 'http_async'; http_auth_credentials = 'a:b'", "http_async outside - false",
			`NOTE :1 http_auth_credentials has no effect: it belongs to the module "auth_http", which is not enabled (as in Prosody)`},
		{"none that is known", "authentication = 'imap'", "imap - - false", `REFUSED :1 authentication: the provider "imap" is not available; these are: `},
		{"in the list of modules", "authentication = 'http'; modules_enabled = { 'auth_custom_http' }", "http outside - false",
			`WARN :1 module "auth_custom_http" is not for this list, it has no effect (Prosody chooses it by authentication = "custom_http")`},
		{"a URL alone", "authentication = 'custom_http'; auth_custom_http = 'https://x'", "custom_http outside - false", ""},
		{"a table without one", "authentication = 'custom_http'; auth_custom_http = {}", "custom_http outside - false", `REFUSED :1 auth_custom_http: takes { post_url = "https://…" }`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			root := files{"mods/mod_auth_http.lua": auth, "mods/mod_auth_anonymous.lua": auth, "prosody.cfg.lua": tt.src + "\nVirtualHost 'h.example'\nmodules_enabled = { 'roster', 'saslauth' }"}.write(t)
			c, err := Load(filepath.Join(root, "prosody.cfg.lua"), LoadOptions{LookupEnv: environment(nil)})
			if err != nil {
				t.Fatal(err)
			}
			h := c.Hosts()[0]
			outside, file := "-", "-"
			if name, _, ok := h.OutsideProvider(); ok {
				outside = "outside"
				if name != h.AuthProvider() || !h.Has("auth_"+name) {
					t.Errorf("outside is %q", name)
				}
			}
			if m, ok := h.Authenticator(); ok {
				file = m.Name
			}
			if got := fmt.Sprint(h.AuthProvider(), " ", outside, " ", file, " ", h.Anonymous()); got != tt.want {
				t.Errorf("%s, want %s", got, tt.want)
			}
			var said []string
			for _, d := range Check(c) {
				if d.Code == CodeLogin || d.Code == CodeFederation || !strings.HasSuffix(d.Pos.String(), ":1") {
					continue
				}
				line := fmt.Sprintf("%s :1 %s", strings.ToUpper(d.Severity.String()), strings.ReplaceAll(d.Message, root, "DIR"))
				if d.Hint != "" {
					line += " (" + d.Hint + ")"
				}
				said = append(said, line)
			}
			if got := strings.Join(said, "\n"); !strings.HasPrefix(got, tt.says) || tt.says == "" && got != "" {
				t.Errorf("check says %s\nwant %s", got, tt.says)
			}
		})
	}
}

// What anonymous users store is not kept, unless that is wanted; nobody registers, or has rosters of his own.
func TestAnonymousHost(t *testing.T) {
	for more, want := range map[string]Driver{"": Nowhere, "allow_anonymous_storage = true": Embedded} {
		c := mustLoad(t, "VirtualHost 'h.example'\nauthentication = 'anonymous'\nallow_registration = true\nmodules_enabled = { 'register', 'private' }\n"+more)
		h := c.Hosts()[0]
		if got := h.Driver("private"); got != want {
			t.Errorf("%q: private data are in %q, want %q", more, got, want)
		}
		if open, why := h.Registers(); open || why != "its users are anonymous and have none" {
			t.Errorf("registration is %v: %s", open, why)
		}
		if h.ManagesAccounts() || h.KeepsAccounts() {
			t.Error("it has accounts")
		}
		if slices.ContainsFunc(Check(c), func(d Diag) bool { return d.Severity == Refused }) {
			t.Errorf("refused: %v", Check(c))
		}
	}
}
