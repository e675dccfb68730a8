package config

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const crm = `
local url = module:get_option_string("crm_url", "crm_default")
local function fetch(user)
	return nil, "temporary", module.get_option(module, "crm_message")
end
module:provides("roster", { fetch = fetch })
`

const hooked = `module:hook("roster-load", function(event) event.roster["a@example.com"] = {} end)`

// What check says of modules in plugin_paths, and who supplies the rosters then.
func TestPlugins(t *testing.T) {
	const inproc = "rosterd_plugin_isolation = 'inproc'\n"
	const dir = "plugin_paths = { 'mods', 'more' }\n"
	tests := []struct {
		name      string
		files     files
		global    string
		enabled   string
		disabled  string
		providers string   // name=file
		says      []string // of severities above note, with the code of those that are refused
	}{
		{name: "a file", files: files{"mods/mod_crm.lua": crm}, global: dir + inproc, enabled: "'crm'", providers: "crm=mods/mod_crm.lua"},
		{name: "a folder", files: files{"mods/mod_crm/mod_crm.lua": crm}, global: dir + inproc, enabled: "'crm'", providers: "crm=mods/mod_crm/mod_crm.lua"},
		{name: "the first path wins", files: files{"more/mod_crm.lua": crm, "mods/mod_crm/mod_crm.lua": crm}, global: dir + inproc, enabled: "'crm'", providers: "crm=mods/mod_crm/mod_crm.lua"},
		{name: "a name of Prosody's that rosterd does not have", files: files{"mods/mod_invites.lua": crm}, global: dir + inproc, enabled: "'invites'", providers: "invites=mods/mod_invites.lua"},
		{name: "in a process of its own", files: files{"mods/mod_crm.lua": crm}, global: dir, enabled: "'crm'", providers: "crm=mods/mod_crm.lua"},
		{name: "told to isolate", files: files{"mods/mod_crm.lua": crm}, global: dir + "rosterd_plugin_isolation = 'process'\n", enabled: "'crm'", providers: "crm=mods/mod_crm.lua"},
		{name: "misspelt isolation", files: files{"mods/mod_crm.lua": crm}, global: dir + "rosterd_plugin_isolation = 'none'\n", enabled: "'crm'", providers: "crm=mods/mod_crm.lua",
			says: []string{`REFUSED :2 rosterd_plugin_isolation: takes`}},
		{name: "two providers", files: files{"mods/mod_crm.lua": crm, "mods/mod_hr.lua": crm}, global: dir + inproc, enabled: "'crm', 'hr'", providers: "crm=mods/mod_crm.lua hr=mods/mod_hr.lua",
			says: []string{`REFUSED :4 VirtualHost "h.example" has two sources of rosters: module "crm" (FILE:6) and module "hr" (FILE:6)`}},
		{name: "beside the one that is built in", files: files{"mods/mod_crm.lua": crm}, global: dir + inproc, enabled: "'crm', 'http_roster_admin'", providers: "crm=mods/mod_crm.lua http_roster_admin=",
			says: []string{`REFUSED :4 VirtualHost "h.example" has two sources of rosters: module "crm" (FILE:6) and module "http_roster_admin" (FILE:6)`}},
		{name: "beside stored rosters", files: files{"mods/mod_crm.lua": crm}, global: dir + inproc, enabled: "'crm', 'roster'", providers: "crm=mods/mod_crm.lua",
			says: []string{`REFUSED :6 VirtualHost "h.example" has two sources of rosters`}},
		{name: "disabled", files: files{"mods/mod_crm.lua": crm}, global: dir + inproc, enabled: "'crm'", disabled: "'crm'",
			says: []string{`REFUSED :4 VirtualHost "h.example": no module supplies its rosters`}},
		{name: "a module of Prosody's kind beside the rosters", files: files{"mods/mod_bot.lua": `module:hook("message/bare", function(event) session.roster = "roster" end); module:provides("http", {})`}, global: dir, enabled: "'bot', 'http_roster_admin'",
			providers: "http_roster_admin=", says: []string{`WARN :5 module "bot": DIR/mods/mod_bot.lua is not loaded, it says neither module:provides("roster", …) nor module:refresh_rosters(…)`}},
		{name: "a module that only speaks of rosters", files: files{"mods/mod_bot.lua": "-- module:provides('roster', {})\nlocal x = [[module:provides('roster')]]"}, global: dir, enabled: "'bot', 'http_roster_admin'",
			providers: "http_roster_admin=", says: []string{`WARN :5 module "bot": DIR/mods/mod_bot.lua is not loaded`}},
		{name: "a hook as in Prosody", files: files{"mods/mod_hr.lua": hooked}, global: dir, enabled: "'hr'", providers: "hr=mods/mod_hr.lua"},
		{name: "a hook beside a provider", files: files{"mods/mod_hr.lua": hooked}, global: dir, enabled: "'hr', 'http_roster_admin'", providers: "http_roster_admin=",
			says: []string{`WARN :5 module "hr": DIR/mods/mod_hr.lua is not loaded, another module supplies the rosters`}},
		{name: "a broken script that supplies rosters", files: files{"mods/mod_crm.lua": "local x = = 1\nmodule:provides('roster', {})"}, global: dir + inproc, enabled: "'crm'", providers: "crm=mods/mod_crm.lua"},
		{name: "a broken script that does not", files: files{"mods/mod_bot.lua": "local x = 1 // 2"}, global: dir, enabled: "'bot', 'http_roster_admin'",
			providers: "http_roster_admin=", says: []string{`WARN :5 module "bot": DIR/mods/mod_bot.lua is not loaded`}},
		{name: "another way to call it", files: files{"mods/mod_crm.lua": "if x then return function() local m = module m.provides(m, 'roster', {}) end end"}, global: dir + inproc, enabled: "'crm'", providers: "crm=mods/mod_crm.lua"},
		{name: "as http_roster_admin does it", files: files{"mods/mod_crm.lua": "local rm = require 'core.rostermanager'\nmodule:hook('resource-bind', function() end)"}, global: dir + inproc, enabled: "'crm'",
			says: []string{`REFUSED :4 VirtualHost "h.example": no module supplies its rosters`, `WARN :6 module "crm": DIR/mods/mod_crm.lua is not loaded, it works on rosters by core.rostermanager; what it takes`}},
		{name: "a script that never does", files: files{"mods/mod_crm.lua": "module:provide('roster', {})"}, global: dir + inproc, enabled: "'crm'",
			says: []string{`REFUSED :4 VirtualHost "h.example": no module supplies its rosters`, `WARN :6 module "crm": DIR/mods/mod_crm.lua is not loaded, it says neither module:provides("roster", …) nor module:refresh_rosters(…)`}},
		{name: "WebAssembly", files: files{"mods/crm.wasm": exporting("rosterd_fetch")}, global: dir, enabled: "'crm'", providers: "crm=mods/crm.wasm"},
		{name: "WebAssembly, named as scripts are", files: files{"mods/mod_crm.wasm": exporting("rosterd_transform")}, global: dir, enabled: "'crm'", providers: "crm=mods/mod_crm.wasm"},
		{name: "WebAssembly, and where rosterd asks for it", files: files{"mods/mod_crm.wasm": exporting("rosterd_transform")}, global: dir + "crm_url = 'http://localhost/%s'\n", enabled: "'crm'", providers: "crm=mods/mod_crm.wasm"},
		{name: "Extism, and where rosterd asks for it", files: files{"mods/crm.wasm": exporting("roster_transform")}, global: dir + "crm_url = 'http://localhost/%s'\n", enabled: "'crm'", providers: "crm=mods/crm.wasm"},
		{name: "WebAssembly, in a folder of its own", files: files{"mods/mod_crm/mod_crm.wasm": exporting("roster_fetch")}, global: dir, enabled: "'crm'", providers: "crm=mods/mod_crm/mod_crm.wasm"},
		{name: "WebAssembly beside a script of that name", files: files{"mods/crm.wasm": exporting("rosterd_fetch"), "mods/mod_crm.lua": crm}, global: dir, enabled: "'crm'", providers: "crm=mods/mod_crm.lua",
			says: []string{`WARN :5 module "crm" is DIR/mods/mod_crm.lua; beside it, crm.wasm is not used`}},
		{name: "WebAssembly that cannot be read is opened, and refused then", files: files{"mods/crm.wasm": "\x00asm"}, global: dir, enabled: "'crm'", providers: "crm=mods/crm.wasm"},
		{name: "WebAssembly for something else", files: files{"mods/crm.wasm": exporting("run")}, global: dir, enabled: "'crm'",
			says: []string{`REFUSED :3 VirtualHost "h.example": no module supplies its rosters`, `WARN :5 module "crm": DIR/mods/crm.wasm is not loaded, it exports nothing that rosterd calls`}},
		{name: "WebAssembly for passwords, unused", files: files{"mods/crm.wasm": exporting("rosterd_auth")}, global: dir, enabled: "'crm', 'http_roster_admin'", providers: "http_roster_admin=",
			says: []string{`WARN :5 module "crm": DIR/mods/crm.wasm is not loaded, it knows passwords, and authentication names another provider`}},
		{name: "no file", global: dir + inproc, enabled: "'crm'",
			says: []string{`REFUSED :4 VirtualHost "h.example": no module supplies its rosters`, `WARN :6 module "crm" is not known`}},
		{name: "a path for a name", files: files{"mod_crm.lua": crm}, global: dir + inproc, enabled: "'../mod_crm'",
			says: []string{`REFUSED :4 VirtualHost "h.example": no module supplies its rosters`, `WARN :6 module "../mod_crm" is not known`}},
		{name: "built-in names win", files: files{"mods/mod_http_roster_admin.lua": crm, "mods/mod_disco.lua": crm}, global: dir, enabled: "'http_roster_admin', 'disco'", providers: "http_roster_admin="},
		{name: "overridden", files: files{"mods/mod_http_roster_admin.lua": crm}, global: dir + inproc + "rosterd_plugin_override = { 'http_roster_admin' }\n", enabled: "'http_roster_admin'", providers: "http_roster_admin=mods/mod_http_roster_admin.lua"},
		{name: "overridden and isolated", files: files{"mods/mod_http_roster_admin.lua": crm}, global: dir + "rosterd_plugin_override = { 'http_roster_admin' }\n", enabled: "'http_roster_admin'", providers: "http_roster_admin=mods/mod_http_roster_admin.lua"},
		{name: "overridden by nothing", global: dir + inproc + "rosterd_plugin_override = { 'http_roster_admin' }\n", enabled: "'http_roster_admin'", providers: "http_roster_admin=",
			says: []string{`REFUSED :3 rosterd_plugin_override: there is no mod_http_roster_admin.lua or .wasm in plugin_paths`}},
		{name: "overriding what is no script", files: files{"mods/mod_disco.lua": crm}, global: dir + "rosterd_plugin_override = { 'disco' }\n", enabled: "'http_roster_admin', 'disco'", providers: "http_roster_admin=",
			says: []string{`WARN :2 rosterd_plugin_override has no effect on "disco"`}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			all := files{"certs/h.example.crt": "x", "certs/h.example.key": "x",
				"prosody.cfg.lua": tt.global + "modules_enabled = { 'saslauth', 'tls' }\nVirtualHost 'h.example'\nmodules_disabled = { " + tt.disabled + " }\nmodules_enabled = { " + tt.enabled + " }\nhttp_roster_url = 'http://localhost/%s'\n"}
			for name, text := range tt.files {
				all[name] = text
			}
			root := all.write(t)
			file := filepath.Join(root, "prosody.cfg.lua")
			c, err := Load(file, LoadOptions{LookupEnv: environment(nil)})
			if err != nil {
				t.Fatal(err)
			}
			var providers []string
			for _, m := range c.Hosts()[0].Providers() {
				rel := ""
				if m.File != "" {
					if rel, err = filepath.Rel(root, m.File); err != nil {
						t.Fatal(err)
					}
				}
				providers = append(providers, m.Name+"="+filepath.ToSlash(rel))
			}
			if got := strings.Join(providers, " "); got != tt.providers {
				t.Errorf("providers %q, want %q", got, tt.providers)
			}
			var says []string
			for _, d := range Check(c) {
				if d.Severity > Note {
					line := fmt.Sprintf("%s :%d %s", strings.ToUpper(d.Severity.String()), d.Pos.Line, d.Message)
					says = append(says, strings.ReplaceAll(strings.ReplaceAll(line, file, "FILE"), root, "DIR"))
				}
			}
			if !slices.EqualFunc(says, tt.says, strings.HasPrefix) {
				t.Errorf("check says\n%s\nwant\n%s", strings.Join(says, "\n"), strings.Join(tt.says, "\n"))
			}
		})
	}
}

// Modules that nobody asked for are not said to be the ones that should supply rosters.
func TestPluginsOfProsody(t *testing.T) {
	dir := files{"mods/mod_s2s.lua": "local x", "mods/mod_crm.lua": "local x",
		"prosody.cfg.lua": "plugin_paths = { 'mods' }\nVirtualHost 'h.example'\nVirtualHost 'i.example'\nmodules_enabled = { 'crm' }"}.write(t)
	hints := hintsOf(t, dir, CodeRoster, func(d Diag) string { return d.Host })
	if hints["h.example"] != "enable http_roster_admin, or roster for rosters that users edit" || !strings.HasPrefix(hints["i.example"], `module "crm" (`) {
		t.Errorf("%q", hints)
	}
}

// What a script asks for by a name that stands there is known, although the script has not run.
func TestOptionsOfPlugins(t *testing.T) {
	for _, tt := range []struct{ name, enabled, want string }{
		{"a provider", "'crm'", "crm_default crm_secret"},
		{"a script that is not used", "'other'", "crm_default crm_message crm_secret crm_url"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := files{"mods/mod_crm.lua": crm, "prosody.cfg.lua": "plugin_paths = { 'mods' }\nrosterd_plugin_isolation = 'inproc'\n" +
				"crm_url = 'x'; crm_message = 'x'; crm_default = 'x'; crm_secret = 'x'\nVirtualHost 'h.example'\nmodules_enabled = { " + tt.enabled + " }"}.write(t)
			c, err := Load(filepath.Join(dir, "prosody.cfg.lua"), LoadOptions{LookupEnv: environment(nil)})
			if err != nil {
				t.Fatal(err)
			}
			var unknown []string
			for _, d := range Check(c) {
				if d.Code == CodeUnknown {
					unknown = append(unknown, d.Name)
				}
			}
			slices.Sort(unknown)
			if got := strings.Join(unknown, " "); got != tt.want {
				t.Errorf("unknown are %q, want %q", got, tt.want)
			}
		})
	}
}

// Which options there are of a plugin that could not be opened, nobody knows: it would have asked for them by itself.
func TestOptionsOfRefusedPlugins(t *testing.T) {
	const script = `local url = module:get_option_string("crm_url") module:provides("roster", {})`
	for _, tt := range []struct{ name, refused, want string }{
		{"opened", "", "cmr_url crm_pages crm_ulr crmurl"},
		{"refused", "crm", "cmr_url crm_ulr crmurl"},
		{"another was refused", "cm", "cmr_url crm_pages crm_ulr crmurl"},
		{"who knows passwords", "auth_crm", "cmr_url crm_ulr crmurl"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := files{"mods/mod_crm.lua": script, "prosody.cfg.lua": "plugin_paths = { 'mods' }\n" +
				"crm_url = 'x'; crm_ulr = 'x'; crm_pages = 2; crmurl = 'x'; cmr_url = 'x'\nVirtualHost 'h.example'\nmodules_enabled = { 'crm' }"}.write(t)
			c, err := Load(filepath.Join(dir, "prosody.cfg.lua"), LoadOptions{LookupEnv: environment(nil)})
			if err != nil {
				t.Fatal(err)
			}
			if tt.refused != "" {
				c.PluginRefused(tt.refused)
			}
			var unknown []string
			for _, d := range Check(c) {
				if d.Code == CodeUnknown {
					unknown = append(unknown, d.Name)
				}
			}
			slices.Sort(unknown)
			if got := strings.Join(unknown, " "); got != tt.want {
				t.Errorf("unknown are %q, want %q", got, tt.want)
			}
		})
	}
}

// TestPluginsOutOfReach: what kept a module from being found is in the hint.
func TestPluginsOutOfReach(t *testing.T) {
	dir := files{"mods/mod_gone.lua": crm, "mods/crm.wasm/README": "", "mods/team/team.wasm": "", "file": "", "prosody.cfg.lua": "plugin_paths = { 'mods', 'none', 'file' }\nVirtualHost 'h.example'\nmodules_enabled = { 'crm', 'gone', 'team', 'hr.wasm' }"}.write(t)
	gone := filepath.Join(dir, "mods", "mod_gone.lua")
	if err := errors.Join(os.Remove(gone), os.Symlink(filepath.Join(dir, "elsewhere"), gone)); err != nil {
		t.Fatal(err)
	}
	hints := hintsOf(t, dir, CodeUnknownMod, func(d Diag) string { return d.Name })
	const paths = "DIR/none: no such file or directory; DIR/file: not a directory"
	for name, want := range map[string]string{
		"crm":     "a module of your own would be mod_crm.lua or .wasm in plugin_paths; DIR/mods/crm.wasm: not a file; " + paths,
		"gone":    "a module of your own would be mod_gone.lua or .wasm in plugin_paths; DIR/mods/mod_gone.lua: a link to what is not there; " + paths,
		"team":    "a module of your own would be mod_team.lua or .wasm in plugin_paths; DIR/mods/team/team.wasm: its folder is not in plugin_paths; " + paths,
		"hr.wasm": `write "hr"`,
	} {
		if hints[name] != want {
			t.Errorf("%s: the hint is %q, want %q", name, hints[name], want)
		}
	}
}

// A WebAssembly module beside a script of its name is not used, and that is said.
func TestPluginsTwice(t *testing.T) {
	dir := files{"mods/mod_crm.lua": crm, "mods/crm.wasm": exporting("rosterd_fetch"), "mods/mod_crm.wasm": exporting("rosterd_fetch"), "more/crm.wasm": exporting("rosterd_fetch"),
		"prosody.cfg.lua": "plugin_paths = { 'mods', 'more' }\nVirtualHost 'h.example'\nmodules_enabled = { 'crm' }"}.write(t)
	c, err := Load(filepath.Join(dir, "prosody.cfg.lua"), LoadOptions{LookupEnv: environment(nil)})
	if err != nil {
		t.Fatal(err)
	}
	var says []string
	for _, d := range Check(c) {
		if d.Code == CodePlugins {
			says = append(says, strings.ReplaceAll(d.String(), dir, "DIR"))
		}
	}
	want := `WARN     DIR/prosody.cfg.lua:3  module "crm" is DIR/mods/mod_crm.lua; beside it, mod_crm.wasm, crm.wasm are not used [FEA005]` + "\n" + `         hint: take away what is not meant`
	if got := strings.Join(says, "\n"); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// The files that are kept out are named, and how to have them.
func TestPluginsKeptOut(t *testing.T) {
	dir := files{"mods/mod_http_roster_admin/mod_http_roster_admin.lua": crm, "mods/mod_ping.lua": "", "mods/mod_time.lua": "",
		"prosody.cfg.lua": "plugin_paths = { 'mods' }\nmodules_enabled = { 'ping' }\nVirtualHost 'h.example'"}.write(t)
	c, err := Load(filepath.Join(dir, "prosody.cfg.lua"), LoadOptions{LookupEnv: environment(nil)})
	if err != nil {
		t.Fatal(err)
	}
	mods := filepath.Join(dir, "mods")
	want := fmt.Sprintf("%s, %s are not used: rosterd has modules of these names itself", filepath.Join(mods, "mod_http_roster_admin", "mod_http_roster_admin.lua"), filepath.Join(mods, "mod_ping.lua"))
	for _, d := range Check(c) {
		if d.Code == CodePlugins {
			if d.Message != want || d.Severity != Note || d.Pos.Line != 1 || d.Hint != `rosterd_plugin_override = { "http_roster_admin" } would take it instead` {
				t.Errorf("said %s", d)
			}
			return
		}
	}
	t.Error("nothing is said")
}

// Which scripts are opened besides those that supply rosters.
func TestPluginsBeside(t *testing.T) {
	const auth = `module:provides("auth", { test_password = function() return true end })`
	const notice = `module:provides("http", { route = { POST = function() return module:refresh_rosters({}) end } })`
	const dir = "plugin_paths = { 'mods' }\n"
	for _, tt := range []struct {
		name   string
		files  files
		global string
		want   string // modules that are opened
		says   string // with its code, of check
	}{
		{"a notice of changes", files{"mods/mod_bot.lua": notice}, dir + "modules_enabled = { 'bot', 'http_roster_admin' }", "http_roster_admin bot", ""},
		{"rosters and notices", files{"mods/mod_crm.lua": crm + notice}, dir + "modules_enabled = { 'crm' }", "crm", ""},
		{"a provider of logins", files{"mods/mod_auth_crm.lua": auth}, dir + "modules_enabled = { 'http_roster_admin' }\nauthentication = 'crm'", "http_roster_admin auth_crm", ""},
		{"the same module for both", files{"mods/mod_crm.lua": crm + auth}, dir + "modules_enabled = { 'crm' }\nauthentication = 'crm'", "crm", ""},
		{"the module of the provider's name is not enabled", files{"mods/mod_crm.lua": crm + auth}, dir + "modules_enabled = { 'http_roster_admin' }\nauthentication = 'crm'", "http_roster_admin", `SEC004 authentication: the provider "crm" is not available`},
		{"it does not know passwords", files{"mods/mod_crm.lua": crm}, dir + "modules_enabled = { 'crm' }\nauthentication = 'crm'", "crm", `SEC004 authentication: the provider "crm" is not available`},
		{"no such provider", nil, "modules_enabled = { 'http_roster_admin' }\nauthentication = 'imap'", "http_roster_admin", `SEC004 authentication: the provider "imap" is not available; these are: `},
		{"a provider in WebAssembly", files{"mods/auth_crm.wasm": exporting("rosterd_auth")}, dir + "modules_enabled = { 'http_roster_admin' }\nauthentication = 'crm'", "http_roster_admin auth_crm", ""},
		{"rosters and passwords in WebAssembly", files{"mods/crm.wasm": exporting("rosterd_fetch", "rosterd_auth")}, dir + "modules_enabled = { 'crm' }\nauthentication = 'crm'", "crm", ""},
		{"a provider that cannot be read is opened, and refused then", files{"mods/auth_crm.wasm": "\x00asm"}, dir + "modules_enabled = { 'http_roster_admin' }\nauthentication = 'crm'", "http_roster_admin auth_crm", ""},
		{"rosters and passwords that cannot be read", files{"mods/crm.wasm": "\x00asm"}, dir + "modules_enabled = { 'crm' }\nauthentication = 'crm'", "crm", ""},
		{"notices in WebAssembly", files{"mods/bot.wasm": exporting("rosterd_webhook")}, dir + "modules_enabled = { 'bot', 'http_roster_admin' }", "http_roster_admin bot", ""},
		{"accounts stored elsewhere", files{"mods/mod_auth_crm.lua": auth}, dir + "modules_enabled = { 'http_roster_admin' }\nauthentication = 'crm'\nstorage = 'sql'", "http_roster_admin auth_crm", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			all := files{"prosody.cfg.lua": tt.global + "\nhttp_roster_url = 'http://localhost/%s'\nVirtualHost 'h.example'\n"}
			for name, text := range tt.files {
				all[name] = text
			}
			root := all.write(t)
			c, err := Load(filepath.Join(root, "prosody.cfg.lua"), LoadOptions{LookupEnv: environment(nil)})
			if err != nil {
				t.Fatal(err)
			}
			var opened []string
			for _, m := range c.Hosts()[0].Plugins() {
				opened = append(opened, m.Name)
			}
			if got := strings.Join(opened, " "); got != tt.want {
				t.Errorf("opened are %q, want %q", got, tt.want)
			}
			said := ""
			for _, d := range Check(c) {
				if d.Severity == Refused || d.Code == CodePlugins {
					said += string(d.Code) + " " + strings.ReplaceAll(d.Message, root, "DIR") + "\n"
				}
			}
			if !strings.HasPrefix(said, tt.says) || tt.says == "" && said != "" {
				t.Errorf("check says %q, want %q", said, tt.says)
			}
		})
	}
}

func FuzzPlugin(f *testing.F) {
	for _, src := range []string{crm, "", "x.y.provides('roster')", "a:provides(b:c 'd' {e=function() end})", "provides('roster') ('x'):get_option()", "goto x ::x:: repeat until -#{...} .. not nil"} {
		f.Add(src)
	}
	f.Fuzz(func(t *testing.T, src string) {
		file := filepath.Join(files{"mod_x.lua": src}.write(t), "mod_x.lua")
		if p := readPlugin(file); p.rosters && !strings.Contains(src, "provides") && !strings.Contains(src, `\`) {
			t.Errorf("supplies rosters: %q", src)
		}
	})
}

// Which options of others a plugin does not see, and in which it finds no servers to ask.
func TestForeign(t *testing.T) {
	for _, tt := range []struct {
		option          string
		foreign, secret bool
	}{
		{"crm_url", false, false},
		{"crm_secret", false, false},
		{"http_roster_url", false, false},
		{"http_auth_url", false, false}, // of a community module, which may be this one
		{"http_auth_credentials", false, false},
		{"contact_info", true, false},
		{"http_external_url", true, false},
		{"http_file_share_base_url", true, false},
		{"rosterd_backend_headers", true, true},
		{"turn_external_secret", true, true},
		{"component_secret", true, true},
		{"turn_external_host", true, false},
	} {
		if f, s := Foreign(tt.option), Withheld(tt.option); f != tt.foreign || s != tt.secret {
			t.Errorf("%s: foreign %v, secret %v", tt.option, f, s)
		}
	}
}

// What a script reads and serves is known by its names.
func TestNamesOfScripts(t *testing.T) {
	const script = `local url = module:get_option_string("crm_changes_url")
module:provides("roster", { fetch = print })
module:provides("http", { name = "hooks", route = { POST = print } })`
	for _, tt := range []struct{ name, file, option, want string }{
		{"misspelt", "mod_crm.lua", "crm_chnages_url = 'x'", `crm_chnages_url: unknown option; Prosody ignores it too (did you mean crm_changes_url, which mod_crm.lua reads?)`},
		{"quite another", "mod_crm.lua", "frobnication = 'x'", `frobnication: unknown option; Prosody ignores it too ()`},
		{"the name of its routes", "mod_crm.lua", "http_paths = { hooks = '/x' }", ``},
		{"not the name of its routes", "mod_crm.lua", "http_paths = { crm = '/x' }", `http_paths: nothing is served under the name "crm" ()`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := files{"mods/" + tt.file: script, "prosody.cfg.lua": "plugin_paths = { 'mods' }\n" + tt.option + "\nVirtualHost 'h.example'\nmodules_enabled = { 'crm' }\n"}.write(t)
			c, err := Load(filepath.Join(dir, "prosody.cfg.lua"), LoadOptions{LookupEnv: environment(nil)})
			if err != nil {
				t.Fatal(err)
			}
			var said []string
			for _, d := range Check(c) {
				if d.Pos.Line == 2 {
					said = append(said, fmt.Sprintf("%s (%s)", d.Message, d.Hint))
				}
			}
			if got := strings.Join(said, "\n"); got != tt.want {
				t.Errorf("said %q, want %q", got, tt.want)
			}
		})
	}
	for file, want := range map[string]string{"mod_crm.lua": "crm", "mod_http_crm.lua": "crm"} {
		if p := readPlugin(filepath.Join(files{file: `module:provides("http", { route = {} })`}.write(t), file)); p.app != want {
			t.Errorf("%s: routes are called %q, want %q", file, p.app, want)
		}
	}
}

// exporting is a module in WebAssembly with functions of these names, which return 0.
func exporting(names ...string) string {
	b := "\x00asm\x01\x00\x00\x00" + "\x01\x05\x01\x60\x00\x01\x7f" + "\x03\x02\x01\x00" // one type, () -> i32; one function of it
	exports := string(rune(len(names)))
	for _, name := range names {
		exports += string(rune(len(name))) + name + "\x00\x00"
	}
	return b + "\x07" + string(rune(len(exports))) + exports + "\x0a\x06\x01\x04\x00\x41\x00\x0b"
}

// hintsOf checks the configuration of a folder; by says what the hints with a code are kept by.
func hintsOf(t *testing.T, dir string, code Code, by func(Diag) string) map[string]string {
	t.Helper()
	c, err := Load(filepath.Join(dir, "prosody.cfg.lua"), LoadOptions{LookupEnv: environment(nil)})
	if err != nil {
		t.Fatal(err)
	}
	hints := map[string]string{}
	for _, d := range Check(c) {
		if d.Code == code {
			hints[by(d)] = strings.ReplaceAll(d.Hint, dir, "DIR")
		}
	}
	return hints
}
