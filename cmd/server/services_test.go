package main

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// TestScriptSecrets: what a script sends and never sees, from the configuration to the backend; a new secret counts from
// the reload on.
func TestScriptSecrets(t *testing.T) {
	inBoth(t, func(t *testing.T, option string) {
		var mu sync.Mutex
		var sent []string
		backend := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			mu.Lock()
			defer mu.Unlock()
			sent = append(sent, r.Header.Get("Authorization")+" "+r.URL.Query().Get("key"))
			fmt.Fprintf(w, `{"marie@example.com": {"name": %q}}`, r.Header.Get("Authorization"))
		}))
		t.Cleanup(backend.Close)
		p := newPlace(t, "")
		text := func(secret string) string {
			return withScript(option+fmt.Sprintf("\nrosterd_plugin_secrets = { crm_token = %q }", secret)) + fmt.Sprintf("crm_url = %q\n", backend.URL)
		}
		p.text = text("first+secret")
		p.module(t, "crm", `
local http = require "net.http"
local url = module:get_option_string("crm_url")
module:provides("roster", {
	fetch = function(user)
		local res = assert(http.request(url .. "/?key={{secret:crm_token}}", { headers = { Authorization = "Bearer {{secret:crm_token}}" } }))
		module:log("info", "asked %s: %s", res.request.url, res.body)
		if user == "nosy" then return { [module:get_option("rosterd_plugin_secrets").crm_token .. "@example.com"] = {} } end
		if user == "wrong" then return http.request(url, { headers = { A = "{{secret:crm}}" } }) end
		return res
	end;
})`)
		s := p.serve(t)
		s.login(t, "john@example.com").wantRoster("marie@example.com|Bearer {{secret:crm_token}}|both|")
		s.wantReloaded(t, text("second+secret"))
		s.login(t, "jim@example.com").wantRoster("marie@example.com|Bearer {{secret:crm_token}}|both|")
		s.quiet = true // the failures below
		for user, want := range map[string]string{"nosy": "rosterd_plugin_secrets: it is a secret of the server", "wrong": "there is no secret"} {
			s.login(t, user+"@example.com")
			if _, err := s.log.wait(testContext(t), func(line string) bool { return strings.Contains(line, want) }); err != nil {
				t.Errorf("%s: %v", user, err)
			}
		}
		mu.Lock()
		defer mu.Unlock()
		if len(sent) < 2 || sent[0] != "Bearer first+secret first+secret" || sent[len(sent)-1] != "Bearer second+secret second+secret" {
			t.Errorf("sent was %q", sent)
		}
		if log := s.log.String(); strings.Contains(log, "+secret") || strings.Contains(log, "%2Bsecret") {
			t.Errorf("a secret is in the log:\n%s", log)
		}
	})
}

// TestScriptFigures: what scripts do, and what their processes take, can be read at /metrics.
func TestScriptFigures(t *testing.T) {
	t.Parallel()
	p := newPlace(t, withScript(""))
	const script = `
module:provides("roster", { fetch = function(user)
	if user == "jim" then return nil, "not-found" end
	if user == "ann" then error("oh") end
	return { ["marie@example.com"] = {} }
end })`
	p.module(t, "crm", script)
	s := p.serve(t)
	s.quiet = true
	s.login(t, "john@example.com").wantRoster("marie@example.com||both|")
	s.post(t, `["john", "john"]`)
	s.login(t, "jim@example.com")
	s.post(t, `["jim"]`)
	s.login(t, "ann@example.com")
	s.post(t, `["ann"]`)
	p.module(t, "crm", script+"\n")
	s.reload(t)
	p.module(t, "crm", "not Lua")
	s.reload(t)
	_, body := s.request(t, "GET", "/metrics", "")
	for _, want := range []string{
		`rosterd_plugin_calls_total\{host="example.com",outcome="ok",plugin="crm",work="roster"\} [2-9]`,
		`rosterd_plugin_calls_total\{host="example.com",outcome="unknown-user",plugin="crm",work="roster"\} [1-9]`,
		`rosterd_plugin_calls_total\{host="example.com",outcome="trap",plugin="crm",work="roster"\} [1-9]`,
		`rosterd_plugin_call_duration_seconds_count\{host="example.com",plugin="crm",work="roster"\} [4-9]`,
		`rosterd_plugin_restarts_total\{host="example.com",plugin="crm"\} 0`,
		`rosterd_plugins_retired 1`,
		`rosterd_reloads_total\{outcome="ok"\} 1`,
		`rosterd_reloads_total\{outcome="error"\} 1`,
	} {
		if !regexp.MustCompile(`(?m)^` + want + `\d*$`).MatchString(body) {
			t.Errorf("no %s", want)
		}
	}
	m := regexp.MustCompile(`(?m)^rosterd_plugin_memory_bytes\{host="example.com",plugin="crm"\} (\S+)$`).FindStringSubmatch(body)
	if m == nil {
		t.Fatalf("no memory in\n%s", body)
	}
	if bytes, err := strconv.ParseFloat(m[1], 64); err != nil || bytes < 1<<20 {
		t.Errorf("memory is %s", m[1])
	}
}

// TestSavedSurvivesKill: what a script was told is saved is there after the death of the server.
func TestSavedSurvivesKill(t *testing.T) {
	inBoth(t, func(t *testing.T, option string) {
		p := newPlace(t, withScript(option))
		p.module(t, "crm", `
local store = module:open_store("seen")
module:provides("roster", { fetch = function() return {} end })
module:provides("http", { route = {
	["POST /set"] = function(event) assert(store:set("last", event.request.body)) return "saved" end;
	["GET /get"] = function() return tostring(store:get("last")) end;
} })`)
		proc := p.spawn(t)
		t.Cleanup(proc.end)
		ask := func(method, path, body string) string {
			t.Helper()
			req, err := http.NewRequestWithContext(testContext(t), method, "http://"+p.address(p.http)+"/crm"+path, strings.NewReader(body))
			if err != nil {
				t.Fatal(err)
			}
			req.Host = "example.com"
			res, err := web.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			defer res.Body.Close()
			text, err := io.ReadAll(res.Body)
			if err != nil || res.StatusCode != http.StatusOK {
				t.Fatalf("%s %s: %s, %v", method, path, res.Status, err)
			}
			return string(text)
		}
		equal(t, "before", ask("GET", "/get", ""), "nil")
		for round := range 3 {
			var want string
			for i := range 5 {
				want = fmt.Sprintf("value %d of round %d", i, round)
				equal(t, "set", ask("POST", "/set", want), "saved")
			}
			proc.signal(t, syscall.SIGKILL)
			if err := proc.Wait(); err == nil || !strings.Contains(err.Error(), "killed") {
				t.Fatal(err)
			}
			proc = p.child()
			if err := proc.Start(); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(proc.end)
			proc.waitFor(t, "service=http ")
			equal(t, "after the kill", ask("GET", "/get", ""), want)
		}
		proc.signal(t, syscall.SIGKILL)
		proc.Wait()
	})
}
