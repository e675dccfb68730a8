package config

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the golden files of check anew")

// What check says of whole files. The golden files are its output, the directory replaced.
func TestCheckGolden(t *testing.T) {
	t.Chdir("testdata")
	names, err := filepath.Glob("*.cfg.lua")
	if err != nil || len(names) == 0 {
		t.Fatal("no files", err)
	}
	for _, name := range names {
		t.Run(name, func(t *testing.T) {
			c, err := Load(name, LoadOptions{LookupEnv: environment(nil)})
			if err != nil {
				t.Fatal(err)
			}
			var b strings.Builder
			for _, d := range Check(c) {
				b.WriteString(strings.ReplaceAll(d.String(), c.Dir, "DIR") + "\n")
			}
			golden := strings.TrimSuffix(name, ".cfg.lua") + ".golden"
			if *update {
				if err := os.WriteFile(golden, []byte(b.String()), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if b.String() != string(want) {
				t.Errorf("check says\n%s\nwant\n%s", b.String(), want)
			}
		})
	}
}

// The seed configuration starts, once there is a certificate where Prosody would look for one; all
// that remains is said honestly.
func TestSeedStarts(t *testing.T) {
	seed, err := os.ReadFile("testdata/seed.cfg.lua")
	if err != nil {
		t.Fatal(err)
	}
	dir := files{"prosody.cfg.lua": string(seed), "certs/example.com.crt": "x", "certs/example.com.key": "x"}.write(t)
	c, err := Load(filepath.Join(dir, "prosody.cfg.lua"), LoadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	diags := Check(c)
	var warned []string
	for _, d := range diags {
		if d.Severity != Note {
			warned = append(warned, d.Name)
		}
	}
	if got := strings.Join(warned, " "); got != "" {
		t.Errorf("more than a note: %q in\n%v", got, diags)
	}
	h := c.Hosts()[0]
	for _, m := range []string{"http_roster_admin", "block_subscriptions", "saslauth", "tls", "disco", "ping", "presence"} {
		if !h.Has(m) {
			t.Errorf("module %s is not enabled", m)
		}
	}
	if h.Has("roster") || len(h.Providers()) != 1 || h.StorageDriver("roster") != "memory" || HTTPRosterURL.Get(h) != "http://localhost/contacts/%s" {
		t.Error("the host is not what the file says")
	}
}

// Two hosts in one place under one HTTP name are refused where that is written, and not when the server starts.
func TestHostsInOnePlace(t *testing.T) {
	two := `
		VirtualHost "a.example"
		http_roster_url = "http://localhost/a/%s"
		VirtualHost "b.example"
		http_roster_url = "http://localhost/b/%s"
		`
	for _, c := range []struct{ what, config, want string }{
		{"names of their own", two, ""},
		{"one name for all", "\nhttp_host = \"www.example\"" + two, ":2"},
		{"the name of the other", two + `http_host = "A.example"`, ":6"},
		{"told apart by path", "\nhttp_host = \"www.example\"\nhttp_paths = { roster_admin = \"/$host\" }" + two, ""},
	} {
		t.Run(c.what, func(t *testing.T) {
			var got string
			for _, d := range Check(mustLoad(t, `modules_disabled = { "roster" } modules_enabled = { "http_roster_admin" }`+c.config)) {
				if d.Code == CodePlace {
					got += strings.TrimPrefix(d.Pos.String(), d.Pos.File)
				}
			}
			if got != c.want {
				t.Errorf("refused at %q, want %q", got, c.want)
			}
		})
	}
}

// http_default_host may be any name that a host is served under.
func TestDefaultHost(t *testing.T) {
	for name, found := range map[string]bool{"a.example": true, "A.example": true, "chat.example": true, "b.example": false} {
		c := mustLoad(t, `http_default_host = "`+name+`"
			VirtualHost "a.example"
			http_host = "chat.example"`)
		for _, d := range Check(c) {
			if d.Name == "http_default_host" && found {
				t.Errorf("%s", d)
			}
			found = found || d.Name == "http_default_host"
		}
		if !found {
			t.Errorf("nothing is said of %s", name)
		}
	}
}

// On loopback without TLS there is nothing to warn of but what is missing.
func TestSeedWithoutTLS(t *testing.T) {
	c := mustLoad(t, `
		modules_enabled = { "saslauth", "tls", "disco", "ping" }
		c2s_require_encryption = false
		allow_unencrypted_plain_auth = true
		c2s_interfaces = { "127.0.0.1" }
		VirtualHost "example.com"
		modules_enabled = { "http_roster_admin" }
		http_roster_url = "http://localhost/contacts/%s"`)
	for _, d := range Check(c) {
		if d.Severity == Refused || d.Severity == Warn && d.Code != CodeLogin {
			t.Errorf("%s", d)
		}
	}
}

func TestExitCode(t *testing.T) {
	for _, c := range []struct {
		diags  []Diag
		strict bool
		want   int
	}{
		{nil, false, 0}, {nil, true, 0}, {[]Diag{{Severity: Note}}, true, 0}, {[]Diag{{Severity: Note}, {Severity: Warn}}, false, 1},
		{[]Diag{{Severity: Warn}}, true, 2}, {[]Diag{{Severity: Refused}, {Severity: Warn}}, false, 2},
	} {
		if got := ExitCode(c.diags, c.strict); got != c.want {
			t.Errorf("ExitCode(%v, %v) = %d, want %d", c.diags, c.strict, got, c.want)
		}
	}
}

func TestDiagForms(t *testing.T) {
	d := Diag{Severity: Refused, Code: CodeValue, Pos: Pos{"prosody.cfg.lua", 7}, Host: "h.example", Name: "x", Message: "x: y", Hint: "z"}
	if got := d.String(); got != "REFUSED  prosody.cfg.lua:7  x: y [VAL001]\n         hint: z" {
		t.Errorf("printed as %q", got)
	}
	b, err := json.Marshal(d)
	if err != nil {
		t.Fatal(err)
	}
	if got := string(b); got != `{"severity":"refused","code":"VAL001","pos":{"file":"prosody.cfg.lua","line":7},"host":"h.example","name":"x","message":"x: y","hint":"z"}` {
		t.Errorf("as JSON %s", got)
	}
	var back Diag
	if err := json.Unmarshal(b, &back); err != nil || !reflect.DeepEqual(back, d) {
		t.Errorf("read back %v, %v", back, err)
	}
	if got := (Diag{Severity: Note, Code: CodeQuiet, Message: "m"}).String(); got != "NOTE     m [QUI001]" {
		t.Errorf("printed as %q", got)
	}
}

// Every line of a file that is not honoured is spoken of.
func TestNothingIsSilent(t *testing.T) {
	t.Chdir("testdata")
	for _, name := range []string{"debian.cfg.lua", "open.cfg.lua"} {
		c, err := Load(name, LoadOptions{LookupEnv: environment(nil)})
		if err != nil {
			t.Fatal(err)
		}
		var said strings.Builder
		for _, d := range Check(c) {
			said.WriteString(d.String() + "\n")
		}
		mentioned := func(name string, pos Pos) bool {
			for line := range strings.Lines(said.String()) {
				if strings.Contains(line, name) && (strings.Contains(line, pos.String()) || strings.Contains(line, name+":"+placeIn(c.File, pos))) {
					return true
				}
			}
			return false
		}
		for _, h := range append([]*Host{c.global}, c.hosts...) {
			for option, st := range h.section.set {
				if registry[option] == nil && !mentioned(option, st.pos) {
					t.Errorf("%s: nothing is said of %s at %s", name, option, st.pos)
				}
			}
			for _, m := range h.Modules() {
				if kind := moduleInfo(m.Name).kind; kind != Honoured && kind != Provider && !m.Pos.IsZero() && h != c.global && !mentioned(m.Name, m.Pos) {
					t.Errorf("%s: nothing is said of module %s at %s", name, m.Name, m.Pos)
				}
			}
		}
	}
}

func TestRosterEdit(t *testing.T) {
	const url = "http_roster_url = 'http://localhost/%s' modules_enabled = { 'http_roster_admin' } "
	for _, tt := range []struct {
		name, config     string
		personal, edited bool
		says             string
	}{
		{name: "unless it is said", config: url},
		{name: "refused", config: url + "rosterd_roster_edit = 'refuse'"},
		{name: "personal", config: url + "rosterd_roster_edit = 'personal' rosterd_pending_requests = 5", personal: true, edited: true},
		{name: "personal, and dropped", config: url + "rosterd_roster_edit = 'personal' modules_enabled = { 'http_roster_admin', 'block_subscriptions' }", personal: true, edited: true,
			says: `warn :1 rosterd_roster_edit: users of VirtualHost "h.example" cannot ask anybody for a subscription, nor answer, since module "block_subscriptions" (`},
		{name: "rosters that users edit", config: "modules_enabled = { 'roster' } rosterd_roster_edit = 'personal'", edited: true,
			says: `note :1 rosterd_roster_edit has no effect on VirtualHost "h.example": no backend supplies its rosters`},
		{name: "written back", config: url + "rosterd_roster_edit = 'writeback'", edited: true},
		{name: "a store of their own", config: url + "rosterd_roster_edit = 'personal' storage = { roster_own = 'nosuch' }", personal: true, edited: true,
			says: `refused :1 there is no storage driver "nosuch"`},
		{name: "a store that nobody needs", config: url + "storage = { roster_own = 'nosuch' }"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := mustLoad(t, tt.config+"\nVirtualHost 'h.example'")
			h := c.Host("h.example")
			if h.PersonalRosters() != tt.personal || (h.KeepsContacts() || h.WritesBack()) != tt.edited {
				t.Errorf("personal %v, edited %v", h.PersonalRosters(), h.KeepsContacts() || h.WritesBack())
			}
			var said []string
			for _, d := range Check(c) {
				if d.Name == RosterEdit.Name || d.Name == "storage" || d.Name == PendingRequests.Name {
					said = append(said, fmt.Sprintf("%s :%d %s", d.Severity, d.Pos.Line, d.Message))
				}
			}
			if tt.says == "" && len(said) > 0 || tt.says != "" && (len(said) != 1 || !strings.HasPrefix(said[0], tt.says)) {
				t.Errorf("said %q, want %q", said, tt.says)
			}
		})
	}
}

// One source of rosters is enough, and there has to be one.
func TestSourcesOfRosters(t *testing.T) {
	const url = "http_roster_url = 'http://localhost/%s' "
	for _, tt := range []struct {
		name, config   string
		stored, shared bool
		says           string // about rosters; "" if all is well
	}{
		{name: "a backend", config: url + "modules_enabled = { 'http_roster_admin' }"},
		{name: "users edit them", config: "modules_enabled = { 'roster' }", stored: true},
		{name: "users edit them, with groups", config: "modules_enabled = { 'roster', 'groups' } groups_file = 'groups.txt'", stored: true, shared: true},
		{name: "groups alone", config: "modules_enabled = { 'groups' } groups_file = 'groups.txt'", shared: true},
		{name: "groups without a file", config: "modules_enabled = { 'roster', 'groups' }", stored: true,
			says: `note :1 module "groups" serves nothing: groups_file is not set (as in Prosody)`},
		{name: "groups alone without a file", config: "modules_enabled = { 'groups' }", says: `refused :2 VirtualHost "h.example": no module supplies its rosters`},
		{name: "groups and a backend", config: url + "modules_enabled = { 'http_roster_admin', 'groups' } groups_file = 'groups.txt'",
			says: `warn :1 module "groups": the groups of groups_file do not appear in the rosters of module "http_roster_admin"`},
		{name: "none", config: "", says: `refused :2 VirtualHost "h.example": no module supplies its rosters`},
		{name: "both", config: url + "modules_enabled = { 'http_roster_admin', 'roster' }", says: `refused :1 VirtualHost "h.example" has two sources of rosters`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := mustLoad(t, tt.config+"\nVirtualHost 'h.example'")
			h := c.Host("h.example")
			_, shared := h.SharedGroups()
			if h.StoresRosters() != tt.stored || shared != tt.shared || shared && filepath.Base(GroupsFile.Get(h)) != "groups.txt" {
				t.Errorf("stored %v, shared %v %q", h.StoresRosters(), shared, GroupsFile.Get(h))
			}
			var said []string
			for _, d := range Check(c) {
				if d.Code == CodeRoster || d.Name == "groups" || d.Name == "roster" {
					said = append(said, fmt.Sprintf("%s :%d %s", d.Severity, d.Pos.Line, d.Message))
				}
			}
			if tt.says == "" && len(said) > 0 || tt.says != "" && (len(said) == 0 || !strings.HasPrefix(said[0], tt.says)) {
				t.Errorf("said %q, want %q", said, tt.says)
			}
		})
	}
}
