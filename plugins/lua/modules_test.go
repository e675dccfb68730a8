package lua_test

import (
	"os"
	"strings"
	"testing"

	"rosterd/engine/addr"
	"rosterd/plugins"
	"rosterd/plugins/lua"
)

// openModule opens testdata/mod_NAME.lua.
func openModule(t *testing.T, w *world, name string, o options) plugins.Plugin {
	t.Helper()
	code, err := os.ReadFile("testdata/mod_" + name + ".lua")
	if err != nil {
		t.Fatal(err)
	}
	src := plugins.Source{Name: name, File: "mod_" + name + ".lua", Code: code}
	p, err := lua.Open(t.Context(), src, plugins.Host{Name: "example.com"}, plugins.NewOptions(o), w)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Close() })
	return p
}

// A provider written as for Prosody, with what it does for SASL.
func TestProviderLikeProsodys(t *testing.T) {
	w := &world{pages: map[string]string{
		"/example.com/check?pass=pass&user=jim":   "true",
		"/example.com/check?pass=pass&user=john":  "true",
		"/example.com/check?pass=pass&user=aaron": "false",
		"/example.com/enabled?user=jim":           "true",
		"/example.com/enabled?user=john":          "false",
	}}
	p := openModule(t, w, "auth_like_prosody", options{"like_auth_url": "http://backend/$host/"})
	if i := p.Info(); i.Roster || !i.Auth {
		t.Errorf("%+v", i)
	}
	for user, want := range map[string]string{"jim": "ok", "john": "denied: the backend denies access: the account is disabled", "aaron": "denied: the backend denies access"} {
		if got := outcome(p.Authenticate(soon(t), addr.MustBare(user+"@example.com"), "pass")); got != want {
			t.Errorf("%s: %s", user, got)
		}
	}
	if got := strings.Join(w.lines, "\n"); !strings.Contains(got, "check of aaron: 200") {
		t.Errorf("%s", got)
	}
}

// A module of shared groups written as for Prosody, with module.load.
func TestGroupsLikeProsodys(t *testing.T) {
	w := &world{}
	p := openModule(t, w, "groups_like_prosody", options{"like_groups": map[string]any{
		"Crew":   map[string]any{"Jim@example.com": "Jim", "marie@example.com": "Marie"},
		"Office": map[string]any{"jim@example.com": "Jim", "marie@example.com": "Marie", "tom@example.com": "Tom"},
	}})
	for range 2 {
		a, err := fetch(t, p, request("jim"))
		if got := show(a.Roster); err != nil || got != `marie@example.com "Marie" both ["Crew" "Office"]; tom@example.com "Tom" both ["Office"]` {
			t.Errorf("%s, %v", got, err)
		}
	}
	if got := strings.Join(w.lines, "\n"); strings.Count(got, "groups_like_prosody groups") != 1 {
		t.Errorf("%s", got)
	}
}

// module.load is part of the script itself: it must not wait, its mistakes are found when the script is opened, and it
// is not called by anybody else.
func TestModuleLoad(t *testing.T) {
	for _, tt := range []struct{ name, code, err string }{
		{"an error", `function module.load() error("oops") end`, "mod_test.lua:1: oops"},
		{"no function", `module.load = 5`, "attempt to call"},
		{"waiting", `function module.load() module:open_store():get("x") end`, "mod_test.lua:1: store:get is for functions given to module:provides"},
		{"in a loop", `function module.load() while true do end end`, "instruction limit"},
		{"nothing provided", `function module.load() end`, "the script never calls module:provides"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := in(t, &world{}, tt.code); err == nil || !strings.Contains(err.Error(), tt.err) {
				t.Errorf("%v\nwant %s", err, tt.err)
			}
		})
	}
	p := mustIn(t, &world{}, `local n = 0
		module.unload, module.command = error, error
		function module.load() n = n + 1; module:provides("roster", { fetch = function() return { { jid = "a@x", name = n } } end }) end`)
	for range 2 {
		if a, err := fetch(t, p, request("jim")); err != nil || show(a.Roster) != `a@x "1" both []` {
			t.Errorf("%s, %v", show(a.Roster), err)
		}
	}
}
