package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"rosterd/engine/enginetest"
)

// inBoth runs a test with scripts in the server's process and in one of their own.
func inBoth(t *testing.T, test func(t *testing.T, option string)) {
	t.Parallel()
	for _, placement := range []string{"inproc", "process"} {
		t.Run(placement, func(t *testing.T) {
			t.Parallel()
			test(t, fmt.Sprintf("rosterd_plugin_isolation = %q", placement))
		})
	}
}

const fetchFromURL = `
local http = require "net.http"
local url = module:get_option_string("crm_url")
module:provides("roster", { fetch = function(user) return http.request((url:gsub("%%s", http.urlencode(user)))) end })
`

// TestNotice: a backend tells of changes in a form of its own, and is told what came of it.
func TestNotice(t *testing.T) {
	inBoth(t, func(t *testing.T, option string) {
		backend := enginetest.Serve(t, map[string]string{"john": johns})
		p := newPlace(t, withScript(option)+fmt.Sprintf("crm_url = %q\nhttp_paths = { hooks = \"/hooks/crm\" }\n", backend.Template()))
		p.module(t, "crm", fetchFromURL+`
local json = require "util.json"
module:provides("http", { name = "hooks", route = {
	["POST /changed"] = function(event)
		local names = {}
		for name in event.request.body:gmatch("[^;]+") do names[#names + 1] = name end
		local done, why, text = module:refresh_rosters(names)
		if not done then return { status_code = 503, body = tostring(text or why) } end
		event.response.headers.content_type = "application/json"
		return json.encode { updated = done.updated, errors = done.errors, path = event.request.path }
	end;
	["GET /user/*"] = function(_, name) return "hello " .. name end;
} })`)
		s := p.serve(t)
		john := s.login(t, "john@example.com")
		john.wantRoster("aaron@example.com|Aaron|both|", "marie@example.com|Marie|both|Friends")
		backend.Set("john", `{"marie@example.com": {"name": "Marie Curie"}}`)
		res, body := s.request(t, "POST", "/hooks/crm/changed?x=1", "john;nobody;@")
		if want := `{"errors":1,"path":"/hooks/crm/changed","updated":2}`; res.StatusCode != 200 || body != want || res.Header.Get("Content-Type") != "application/json" {
			t.Errorf("answer %d %s %s, want %s", res.StatusCode, res.Header, body, want)
		}
		john.wantPushes("aaron@example.com||remove|", "marie@example.com|Marie Curie|both|")
		if res, body := s.request(t, "GET", "/hooks/crm/user/jim", ""); body != "hello jim" {
			t.Errorf("answer %d %s", res.StatusCode, body)
		}
		for path, want := range map[string]int{"/hooks/crm/none": 404, "/hooks/crm/changed": 405} {
			if res, _ := s.request(t, "GET", path, ""); res.StatusCode != want {
				t.Errorf("GET %s answers %d, want %d", path, res.StatusCode, want)
			}
		}
	})
}

// TestScriptAuth: a script says who is who, whatever accounts there are.
func TestScriptAuth(t *testing.T) {
	inBoth(t, func(t *testing.T, option string) {
		service := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			var asked struct{ User, Password string }
			if err := json.NewDecoder(r.Body).Decode(&asked); err != nil {
				t.Error(err)
			}
			switch {
			case asked.User == "down":
				w.WriteHeader(http.StatusBadGateway)
			case asked.Password != "from the service":
				w.WriteHeader(http.StatusUnauthorized)
			}
		}))
		t.Cleanup(service.Close)
		p := newPlace(t, withScript(option)+fmt.Sprintf("authentication = \"crm\"\nauth_url = %q\n", service.URL))
		p.module(t, "crm", `module:provides("roster", { fetch = function() return { ["marie@example.com"] = {} } end })`)
		file := p.module(t, "auth_crm", `
local http, json = require "net.http", require "util.json"
local url = module:get_option_string("auth_url")
module:provides("auth", { test_password = function(user, password)
	local res, err = http.request(url, { body = json.encode { User = user, Password = password } })
	if not res then return nil, "temporary", err end
	if res.code == 200 then return true end
	if res.code == 401 then return nil, "wrong password" end
	return nil, "temporary", "status " .. res.code
end })`)
		s := p.serve(t)
		s.quiet = true // the outage below is an error
		s.secureLogin(t, "john@example.com", "from the service").wantRoster("marie@example.com||both|")
		for user, want := range map[string]string{"john": "not-authorized", "down": "temporary-auth-failure"} {
			c := s.connect(t, "example.com")
			if err := c.Login(c.ctx, user, password, ""); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %v, want %s", user, err, want)
			}
		}
		if status, out, said := p.command(t, "secret\n", "user", "add", "jim@example.com"); status != exitFailed || !strings.Contains(said, file) {
			t.Errorf("user add exits with %d: %s%s", status, out, said)
		}
	})
}

// TestScriptTimer: a script that asks now and then who has changed, and remembers how far it got.
func TestScriptTimer(t *testing.T) {
	inBoth(t, func(t *testing.T, option string) {
		backend := enginetest.Serve(t, map[string]string{"john": johns})
		p := newPlace(t, withScript(option)+fmt.Sprintf("crm_url = %q\n", backend.Template()))
		p.module(t, "crm", fetchFromURL+`
local store = module:open_store("progress")
module:add_timer(1, function()
	local n = (store:get("rounds") or 0) + 1
	assert(store:set("rounds", n))
	local done = assert(module:refresh_rosters({ "john" }))
	module:log("info", "round %d: %d updated", n, done.updated)
	return 1
end)`)
		s := p.serve(t)
		john := s.login(t, "john@example.com")
		john.wantRoster("aaron@example.com|Aaron|both|", "marie@example.com|Marie|both|Friends")
		backend.Set("john", `{"marie@example.com": {"name": "Marie", "groups": ["Friends"]}}`)
		john.wantPushes("aaron@example.com||remove|")
		round := func(n int) {
			t.Helper()
			if _, err := s.log.wait(testContext(t), func(line string) bool { return strings.Contains(line, fmt.Sprintf("round %d: 1 updated", n)) }); err != nil {
				t.Fatal(err)
			}
		}
		round(2)
		john.leave()
		s.exit(t)
		rounds := len(s.log.find(" updated\"")) // nobody is online: 1 updated all the same
		s = p.serve(t)
		round(rounds + 1) // what was kept is there
		if first := s.log.find(" updated\"")[0]; !strings.Contains(first, fmt.Sprintf("round %d:", rounds+1)) {
			t.Errorf("after %d rounds it begins with %s", rounds, first)
		}
	})
}

// TestReloadUnderLoad: scripts change while rosters are fetched, and no request is lost.
func TestReloadUnderLoad(t *testing.T) {
	inBoth(t, func(t *testing.T, option string) {
		const rounds, users = 6, 4
		script := func(n int) string {
			return fmt.Sprintf(`module:provides("roster", { fetch = function(user) return { ["version@example.com"] = { name = "v%d" } } end })`, n)
		}
		p := newPlace(t, withScript(option))
		p.module(t, "crm", script(0))
		s := p.serve(t)
		var names []string
		for i := range users {
			name := fmt.Sprintf("user%d", i)
			names = append(names, name)
			s.login(t, name+"@example.com").wantRoster("version@example.com|v0|both|")
		}
		body, err := json.Marshal(names)
		if err != nil {
			t.Fatal(err)
		}
		stop := make(chan struct{})
		var load sync.WaitGroup
		asked := make([]int, 3)
		for i := range asked {
			load.Go(func() {
				for {
					select {
					case <-stop:
						return
					default:
					}
					if r := s.post(t, string(body)); r.Errors != 0 || r.Updated != users {
						t.Errorf("refresh: %+v", r)
					}
					asked[i]++
				}
			})
		}
		for n := 1; n <= rounds; n++ {
			p.module(t, "crm", script(n))
			if line := s.reload(t); !strings.Contains(line, "configuration reloaded") {
				t.Error(line)
			}
		}
		p.module(t, "crm", "module:provides('roster', { fetch = nowhere })")
		if line := s.reload(t); !strings.Contains(line, "not reloaded") {
			t.Error(line)
		}
		close(stop)
		load.Wait()
		for i, n := range asked {
			if n == 0 {
				t.Errorf("caller %d never got an answer", i)
			}
		}
		s.quiet = true // the reload that was refused
		s.refresh(t, names...)
		late := s.login(t, "late@example.com")
		late.wantRoster(fmt.Sprintf("version@example.com|v%d|both|", rounds))
	})
}

// TestScriptLog: a line of a script says whose it is.
func TestScriptLog(t *testing.T) {
	inBoth(t, func(t *testing.T, option string) {
		p := newPlace(t, withScript(option))
		p.module(t, "crm", `
module:log("info", "loaded on %s", module.host)
module:provides("roster", { fetch = function(user) module:log("warn", "asked for %s", user) return {} end })`)
		s := p.serve(t)
		s.login(t, "john@example.com").wantRoster()
		for _, want := range [][]string{{"level=INFO", "loaded on example.com", "plugin=crm", "host=example.com"}, {"level=WARN", "asked for john", "plugin=crm", "host=example.com", "user=john@example.com"}} {
			if lines := s.log.find(want...); len(lines) == 0 {
				t.Errorf("no line with %q in\n%s", want, s.log)
			}
		}
	})
}
