package main

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"rosterd/engine/enginetest"
)

// readme returns the Lua blocks of README.md that contain a text.
func readme(t testing.TB, text string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("..", "..", "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, m := range regexp.MustCompile("(?ms)^```lua\n(.*?)^```$").FindAllStringSubmatch(string(b), -1) {
		if strings.Contains(m[1], text) {
			found = append(found, m[1])
		}
	}
	if len(found) != 1 {
		t.Fatalf("README.md has %d blocks with %q", len(found), text)
	}
	return found[0]
}

// TestReadmeSeed: the configuration that people are shown is the one that is tested.
func TestReadmeSeed(t *testing.T) {
	equal(t, "the configuration of README.md", readme(t, "http_roster_url"), seed)
}

// TestReadmeScript: the script of README.md, exactly as printed, with the lines of configuration beside it.
func TestReadmeScript(t *testing.T) {
	t.Parallel()
	const printed = "http://localhost/friends/%s"
	backend := enginetest.Serve(t, map[string]string{
		"john":  `{"friends": [{"login": "marie", "name": "Marie", "team": "Friends"}, {"login": "aaron", "name": "Aaron"}]}`,
		"a?b#c": `{"friends": [{"login": "marie"}]}`,
	})
	p := newPlace(t, strings.Replace(readme(t, "friends_url ="), printed, backend.Template(), 1))
	p.head = "authentication = \"internal_plain\"\nc2s_require_encryption = false\nallow_unencrypted_plain_auth = true\nmodules_enabled = { \"saslauth\" }\n"
	if !strings.Contains(p.text, backend.Template()) {
		t.Fatalf("README.md does not say %s", printed)
	}
	p.module(t, "friends", readme(t, "module:provides"))
	s := p.serve(t)
	status, out, _ := p.command(t, "", "check")
	if status == 2 || strings.Contains(out, "friends_url") || strings.Contains(out, `"friends"`) {
		t.Errorf("check exits with %d:\n%s", status, out)
	}
	john := s.login(t, "john@example.com")
	john.wantRoster("aaron@example.com|Aaron|both|", "marie@example.com|Marie|both|Friends")
	backend.Set("john", `{"friends": [{"login": "marie", "name": "Marie Curie", "team": "Friends"}]}`)
	s.refresh(t, "john")
	john.wantPushes("aaron@example.com||remove|", "marie@example.com|Marie Curie|both|Friends")
	backend.Set("john", `{"friends": null}`)
	equal(t, "refresh while there is no list", s.post(t, `["john"]`).outcomes(), []string{"john failed"})
	backend.SetFault("john", enginetest.Status(503))
	equal(t, "refresh while the backend fails", s.post(t, `["john"]`).outcomes(), []string{"john failed"})
	s.login(t, "a?b#c@example.com").wantRoster("marie@example.com||both|")
}

// module writes a script into the folder modules.
func (p *place) module(t testing.TB, name, code string) string {
	t.Helper()
	file := filepath.Join(p.dir, "modules", "mod_"+name+".lua")
	if err := os.MkdirAll(filepath.Dir(file), 0o750); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(code), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// withScript is a host with a module of the administrator's own.
func withScript(more string) string {
	return "authentication = \"internal_plain\"\nc2s_require_encryption = false\nallow_unencrypted_plain_auth = true\n" +
		"plugin_paths = { \"modules\" }\n" + more + "\nmodules_enabled = { \"saslauth\" }\nVirtualHost \"example.com\"\nmodules_enabled = { \"crm\" }\n"
}

// TestTables: a script may make the contacts itself, from options that it asks for as it likes.
func TestTables(t *testing.T) {
	t.Parallel()
	p := newPlace(t, withScript("rosterd_plugin_isolation = \"inproc\"\nteam_blue = { \"aaron@example.com\", \"marie@example.com\" }"))
	p.module(t, "crm", `
		local members = module:get_option_array("team_" .. "blue")
		module:provides("roster", { fetch = function(user)
			local contacts = {}
			for _, jid in ipairs(members) do
				contacts[jid] = { name = jid:match("^[^@]+"), groups = { "Blue" } }
			end
			return contacts
		end })`)
	s := p.serve(t)
	s.login(t, "john@example.com").wantRoster("aaron@example.com|aaron|both|Blue", "marie@example.com|marie|both|Blue")
	if lines := s.log.find("team_blue"); len(lines) > 0 {
		t.Errorf("an option that the script has read is reported: %q", lines)
	}
}

// TestScriptsRefused: what is wrong with a script is said at the start with its file and line, by check, too.
func TestScriptsRefused(t *testing.T) {
	for _, tt := range []struct{ name, option, code, want string }{
		{"syntax", "", "local x = = 1\nmodule:provides('roster', {})", "REFUSED  %c:8  plugin crm for example.com: %s:1"},
		{"unavailable", "", "local s = hosts\nmodule:send('x')\nmodule:provides('roster', { fetch = print })", "REFUSED  %c:8  plugin crm for example.com: %s:1: not available in rosterd: hosts (scripts see no sessions and no other hosts); %s:2: not available in rosterd: module:send (scripts send no stanzas) [ROS003]"},
		{"it does not supply them after all", "", "local function f()\n\tmodule:provides('roster', { fetch = print })\nend", "REFUSED  %c:8  plugin crm for example.com: %s: the script never calls module:provides"},
		{"an option", "\ncrm_size = 'big'", "local n = module:get_option_number('crm_size')\nmodule:provides('roster', { fetch = print })", "REFUSED  %c:9  plugin crm for example.com: %s:1: %c:6: option crm_size: a string where a number is expected [ROS003]"},
	} {
		for _, placement := range []string{"inproc", "process"} {
			t.Run(tt.name+", "+placement, func(t *testing.T) {
				t.Parallel()
				p := newPlace(t, withScript(fmt.Sprintf("rosterd_plugin_isolation = %q", placement)+tt.option))
				file := p.module(t, "crm", tt.code)
				p.file(t, "prosody.cfg.lua", p.text)
				want := strings.NewReplacer("%c", p.config(), "%s", file).Replace(tt.want)
				status, out, _ := p.command(t, "", "check")
				if status != 2 || !strings.Contains(out, want) {
					t.Errorf("check exits with %d:\n%s\nwant\n%s", status, out, want)
				}
				s := p.launch(t)
				if status := s.wait(t); status != exitUsage || !strings.Contains(s.log.String(), want) {
					t.Errorf("serve exits with %d:\n%s\nwant\n%s", status, s.log, want)
				}
			})
		}
	}
}

// TestRefusedOptions: options of a plugin that was not opened are not said to be unknown.
func TestRefusedOptions(t *testing.T) {
	t.Parallel()
	p := newPlace(t, withScript(`rosterd_plugin_isolation = "inproc"`)+"crm_url = \"x\"\ncrm_pages = 3\nother_pages = 3\n")
	file := p.module(t, "crm", `module:provides("roster", { fetch = print })`)
	p.file(t, "prosody.cfg.lua", p.text)
	check := func(want bool) {
		t.Helper()
		_, out, _ := p.command(t, "", "check")
		if got := strings.Contains(out, "crm_pages"); got != want || !strings.Contains(out, "other_pages") {
			t.Errorf("crm_pages is unknown: %v, want %v:\n%s", got, want, out)
		}
	}
	check(true)
	if err := os.Rename(file, strings.TrimSuffix(file, ".lua")+".wasm"); err != nil {
		t.Fatal(err)
	}
	check(false)
}

// TestCheckContactsNobody: a backend hears nothing of a check.
func TestCheckContactsNobody(t *testing.T) {
	t.Parallel()
	backend := enginetest.Serve(t, nil)
	p := newPlace(t, withScript(`rosterd_plugin_isolation = "inproc"`)+"crm_url = \""+backend.Template()+"\"\n")
	p.module(t, "crm", `
		local http = require "net.http"
		local contacts_of = module:get_option_url_template("crm_url")
		pcall(http.request, contacts_of("john"))
		module:provides("roster", { fetch = function(user) return http.request(contacts_of(user)) end })`)
	p.file(t, "prosody.cfg.lua", p.text)
	if status, out, _ := p.command(t, "", "check"); status == 2 {
		t.Errorf("check exits with %d:\n%s", status, out)
	}
	equal(t, "requests", len(backend.Requests("")), 0)
}

// TestOverride: a script in the place of the one that rosterd has.
func TestOverride(t *testing.T) {
	t.Parallel()
	backend := enginetest.Serve(t, map[string]string{"john": johns})
	p := newPlace(t, open(backend.Template()))
	p.head = "plugin_paths = { \"modules\" }\nrosterd_plugin_isolation = \"inproc\"\n"
	const code = `module:provides("roster", { fetch = function() return { ["boss@example.com"] = { name = module.name } } end })`
	file := p.module(t, "http_roster_admin", code)
	s := p.serve(t)
	s.login(t, "john@example.com").wantRoster("aaron@example.com|Aaron|both|", "marie@example.com|Marie|both|Friends")
	if lines := s.log.find("file is not used", file); len(lines) != 1 {
		t.Errorf("want one line that says so: %q", lines)
	}
	s.exit(t)
	p.head += "rosterd_plugin_override = { \"http_roster_admin\" }\nrosterd_keep_rosters = false\n"
	s = p.serve(t)
	s.login(t, "john@example.com").wantRoster("boss@example.com|http_roster_admin|both|")
	equal(t, "requests", len(backend.Requests("")), 1)
}
