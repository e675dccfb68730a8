package main

import (
	"cmp"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// crm is a backend that decides what users may do with their rosters: PUT and DELETE of http_roster_url/CONTACT.
type crm struct {
	*httptest.Server
	mu      sync.Mutex
	rosters map[string]map[string]map[string]any
	edits   []string // method, path, body
	header  []http.Header
}

func newCRM(t *testing.T) *crm {
	c := &crm{rosters: map[string]map[string]map[string]any{"romeo": {}, "juliet": {}}}
	c.Server = httptest.NewServer(c)
	t.Cleanup(c.Close)
	return c
}

func (c *crm) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c.mu.Lock()
	defer c.mu.Unlock()
	user, contact, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/contacts/"), "/")
	if contact == "" {
		w.Header().Set("ETag", `"`+user+`"`)
		json.NewEncoder(w).Encode(c.rosters[user])
		return
	}
	body, _ := io.ReadAll(r.Body)
	c.edits = append(c.edits, strings.TrimSpace(r.Method+" "+r.URL.RequestURI()+" "+string(body)))
	c.header = append(c.header, r.Header)
	var wanted map[string]any
	json.Unmarshal(body, &wanted)
	switch name, _, _ := strings.Cut(contact, "@"); {
	case name == "veto":
		http.Error(w, "ask your\nmanager\x00", http.StatusForbidden)
	case name == "taken":
		w.Header().Set("Content-Type", "text/html")
		w.WriteHeader(http.StatusConflict)
		io.WriteString(w, "<h1>no</h1>")
	case name == "down":
		w.WriteHeader(http.StatusServiceUnavailable)
	case name == "unknown":
		w.WriteHeader(http.StatusNotFound)
	case name == "cut":
		panic(http.ErrAbortHandler)
	case r.Method == http.MethodDelete:
		delete(c.rosters[user], contact)
		w.WriteHeader(http.StatusNoContent)
	default:
		item := map[string]any{"subscription": "none", "groups": wanted["groups"], "name": cmp.Or(wanted["name"], any(""))}
		if wanted["action"] == "subscribe" { // both sides belong to it
			item["subscription"] = "both"
			c.rosters[name][user+"@example.com"] = map[string]any{"name": "by the manager"}
		}
		c.rosters[user][contact] = item
	}
}

func (c *crm) took(t *testing.T, want ...string) http.Header {
	t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	equal(t, "edits", c.edits, want)
	var last http.Header
	if len(c.header) > 0 {
		last = c.header[len(c.header)-1]
	}
	c.edits, c.header = nil, nil
	return last
}

// TestWriteback: the backend is asked for what users want of their rosters, once, and its no is theirs; by the standard
// backend, and by scripts in a process of their own and in the server's.
func TestWriteback(t *testing.T) {
	script := `local http, json = require "net.http", require "util.json"
local url = module:get_option_string("http_roster_url")
local function to(name) return (url:gsub("%%s", name)) end
module:provides("roster", {
	fetch = function(name) return http.request(to(name)) end,
	edit = function(name, change)
		assert(change.jid == name.."@example.com" and change.host == "example.com" and #change.id > 10)
		if change.contact == "veto@example.com" then return nil, "denied", "ask your manager" end
		if change.contact == "unknown@example.com" then return nil, "not-found" end
		if change.contact == "taken@example.com" then return nil, "denied" end
		if change.contact == "down@example.com" then return nil, "temporary", "not now" end
		local res, err = http.request(to(name).."/"..change.contact, { method = change.action == "remove" and "DELETE" or "PUT",
			headers = { ["Idempotency-Key"] = change.id },
			body = json.encode { action = change.action, name = change.name, groups = change.groups } })
		if not res then return nil, "temporary", err end
		return res.code < 300
	end })`
	for _, tt := range []struct{ name, module, option string }{
		{"standard", "http_roster_admin", ""},
		{"isolated", "crm", ""},
		{"in the server's process", "crm", `rosterd_plugin_isolation = "inproc"`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			backend := newCRM(t)
			text := strings.ReplaceAll(open(backend.URL+"/contacts/%s", `rosterd_roster_edit = "writeback"`, tt.option), `"block_subscriptions"`, "")
			p := newPlace(t, "plugin_paths = { \"mods\" }\n"+strings.ReplaceAll(text, `"http_roster_admin"`, `"`+tt.module+`"`))
			mods := filepath.Join(p.dir, "mods")
			if err := os.MkdirAll(mods, 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(mods, "mod_crm.lua"), []byte(script), 0o644); err != nil {
				t.Fatal(err)
			}
			s := p.serve(t)
			romeo, juliet := s.login(t, "romeo@example.com/orchard"), s.login(t, "juliet@example.com/balcony")
			romeo.wantRoster()
			juliet.wantRoster()
			romeo.appear()
			juliet.appear()

			equal(t, "answer", romeo.set("<item jid='juliet@example.com' name='J'><group>Loves</group></item>"), "result")
			romeo.wantPushes("juliet@example.com|J|none|Loves")
			backend.mu.Lock()
			keys := map[string]bool{backend.header[0].Get("Idempotency-Key"): true}
			backend.mu.Unlock()
			if tt.module == "http_roster_admin" {
				h := backend.took(t, `PUT /contacts/romeo/juliet%40example.com {"action":"set","groups":["Loves"],"name":"J","subscription":"none"}`)
				equal(t, "If-Match", h.Get("If-Match"), `"romeo"`)
				equal(t, "Content-Type", h.Get("Content-Type"), "application/json")
			}
			romeo.send("<presence to='juliet@example.com' type='subscribe'/>")
			romeo.wantPushes("juliet@example.com|J|both|Loves")
			juliet.wantPushes("romeo@example.com|by the manager|both|") // the other side of the pair
			romeo.wantPresence("juliet@example.com/balcony", "")
			juliet.wantPresence("romeo@example.com/orchard", "")
			backend.mu.Lock()
			last := backend.header[len(backend.header)-1]
			keys[last.Get("Idempotency-Key")] = true
			equal(t, "keys", len(maps.Clone(keys)), 2)
			backend.edits, backend.header = nil, nil
			backend.mu.Unlock()

			for item, want := range map[string]string{
				"<item jid='veto@example.com'/>":    "cancel/not-allowed",
				"<item jid='taken@example.com'/>":   "cancel/not-allowed",
				"<item jid='unknown@example.com'/>": "cancel/item-not-found",
				"<item jid='down@example.com'/>":    "wait/remote-server-timeout",
				"<item jid='cut@example.com'/>":     "wait/remote-server-timeout",
			} {
				equal(t, item, romeo.set(item), want)
			}
			answer, err := romeo.IQ(romeo.ctx, "set", "", "<query xmlns='jabber:iq:roster'><item jid='veto@example.com'/></query>")
			romeo.must(err)
			if !strings.Contains(answer.String(), "ask your manager") {
				t.Errorf("no reason in %s", answer)
			}
			romeo.send("<presence to='veto@example.com' type='subscribe' id='v'/>")
			bounced, err := romeo.Next(romeo.ctx)
			romeo.must(err)
			equal(t, "subscribe", refusal(bounced), "cancel/not-allowed")

			equal(t, "answer", romeo.set("<item jid='juliet@example.com' subscription='remove'/>"), "result")
			romeo.wantPresence("juliet@example.com/balcony", "unavailable")
			romeo.wantPushes("juliet@example.com||remove|")
		})
	}
}

// TestWritebackNeedsAnEditor: a host whose plugin takes no edits does not start, and check says so with the line.
func TestWritebackNeedsAnEditor(t *testing.T) {
	t.Parallel()
	p := newPlace(t, withScript(`rosterd_roster_edit = "writeback"`))
	p.c2s, p.http = 5222, 5280
	p.module(t, "crm", `module:provides("roster", { fetch = function() return {} end })`)
	p.write(t)
	_, out, stderr := p.command(t, "", "check")
	if out += stderr; !strings.Contains(out, `rosterd_roster_edit: module "crm" of example.com takes no edits`) || !strings.Contains(out, "prosody.cfg.lua:") {
		t.Errorf("check says\n%s", out)
	}
}

// TestRosterEditIsReloaded: SIGHUP changes what edits mean, for who is online too. The users' own contacts are shown where
// they count, and kept where not.
func TestRosterEditIsReloaded(t *testing.T) {
	t.Parallel()
	backend := newCRM(t)
	backend.rosters["romeo"]["nurse@example.com"] = map[string]any{"name": "Nurse", "subscription": "none"}
	with := func(edit string) string {
		text := open(backend.URL+"/contacts/%s", `rosterd_roster_edit = "`+edit+`"`)
		return strings.ReplaceAll(text, `, "block_subscriptions"`, "")
	}
	p := newPlace(t, with("refuse"))
	s := p.serve(t)
	romeo := s.login(t, "romeo@example.com/orchard")
	nurse := "nurse@example.com|Nurse|none|"
	romeo.wantRoster(nurse)
	const juliet, paris = "<item jid='juliet@example.com' name='J'/>", "<item jid='paris@example.com' name='P'/>"
	refused := func() {
		t.Helper()
		equal(t, "answer", romeo.set(juliet), "cancel/service-unavailable")
		backend.took(t)
	}
	refused()

	s.wantReloaded(t, with("writeback"))
	equal(t, "answer", romeo.set(juliet), "result")
	romeo.wantPushes("juliet@example.com|J|none|")
	if h := backend.took(t, `PUT /contacts/romeo/juliet%40example.com {"action":"set","name":"J","subscription":"none"}`); h.Get("If-Match") != `"romeo"` {
		t.Errorf("the edit is of a roster %s", h.Get("If-Match"))
	}

	s.wantReloaded(t, with("personal"))
	equal(t, "answer", romeo.set(juliet), "cancel/not-allowed")
	equal(t, "answer", romeo.set(paris), "result")
	romeo.wantPushes("paris@example.com|P|none|")
	backend.took(t)

	s.wantReloaded(t, with("writeback"))
	romeo.wantPushes("paris@example.com||remove|") // it is the user's own, of which the backend knows nothing
	romeo.wantRoster("juliet@example.com|J|none|", nurse)
	equal(t, "answer", romeo.set("<item jid='paris@example.com' subscription='remove'/>"), "cancel/item-not-found")
	backend.took(t)

	s.wantReloaded(t, with("personal"))
	romeo.wantPushes("paris@example.com|P|none|")

	s.wantReloaded(t, with("refuse"))
	romeo.wantPushes("paris@example.com||remove|")
	refused()
}
