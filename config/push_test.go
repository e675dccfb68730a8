package config

import (
	"fmt"
	"strings"
	"testing"
)

// What keeps applications from changing rosters is said, and where everybody may.
func TestPush(t *testing.T) {
	const stored = "modules_enabled = { 'roster'%s }\nVirtualHost 'h.example'\n%s"
	for _, test := range []struct{ name, modules, options, want string }{
		{"nothing", "", "", ""},
		{"all well", ", 'http_ejabberd_api'", "rosterd_push_token = 'abc'", ""},
		{"admins", ", 'http_openfire_api'", "admins = { 'a@h.example' }", ""},
		{"from here", ", 'http_openfire_api'", "rosterd_push_allow = { '127.0.0.1', '10.0.0.0/8', 'fd00::/8', '192.0.2.0/24' }", ""},
		{"nobody", ", 'http_openfire_api'", "", `module "http_openfire_api": no application may call it`},
		{"everybody", ", 'http_ejabberd_api'", "rosterd_push_allow = { '0.0.0.0/0' }", "rosterd_push_allow: anybody in 0.0.0.0/0 changes rosters"},
		{"nobody at all", "", "rosterd_roster_edit = 'refuse'", `rosterd_roster_edit: nobody changes the rosters of VirtualHost "h.example"`},
		{"applications alone", ", 'http_ejabberd_api'", "rosterd_push_token = 'abc' rosterd_roster_edit = 'refuse'", ""},
		{"a backend", ", 'http_ejabberd_api', 'http_roster_admin'", "modules_disabled = { 'roster' } http_roster_url = 'http://localhost/%s' rosterd_push_token = 'abc'",
			`module "http_ejabberd_api": its calls are refused, since the rosters of VirtualHost "h.example" come from module "http_roster_admin"`},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := mustLoad(t, fmt.Sprintf(stored, test.modules, test.options))
			var said []string
			for _, d := range Check(c) {
				if strings.Contains(d.Message, "push") || strings.Contains(d.Message, "http_ejabberd_api") || strings.Contains(d.Message, "http_openfire_api") || strings.Contains(d.Message, "rosterd_roster_edit") || d.Name == "admins" {
					said = append(said, d.Message)
				}
			}
			if got := strings.Join(said, "; "); !strings.HasPrefix(got, test.want) || test.want == "" && got != "" || len(said) > 1 {
				t.Errorf("%q, want %q", said, test.want)
			}
		})
	}
}

func TestFixedRosters(t *testing.T) {
	for options, want := range map[string]string{
		"":                                 "true true false",
		"rosterd_roster_edit = 'refuse'":   "true false true",
		"rosterd_roster_edit = 'personal'": "true true false", // which is about backends
	} {
		h := mustLoad(t, "modules_enabled = { 'roster' }\nVirtualHost 'h.example'\n"+options).Hosts()[0]
		if got := fmt.Sprint(h.StoresRosters(), h.KeepsContacts(), h.FixedRosters()); got != want {
			t.Errorf("%s: %s, want %s", options, got, want)
		}
	}
}

func TestPushPaths(t *testing.T) {
	h := mustLoad(t, "http_paths = { ejabberd_api = '/xmpp/api' }\nmodules_enabled = { 'roster', 'http_ejabberd_api', 'http_openfire_api' }\nVirtualHost 'h.example'").Hosts()[0]
	if got := fmt.Sprint(h.HTTPModules()); got != "[{ejabberd_api /xmpp/api true} {openfire_api /plugins false}]" {
		t.Error(got)
	}
}
