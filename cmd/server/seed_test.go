package main

import (
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"

	"rosterd/engine/enginetest"
	"rosterd/xmppcore/xmpptest"
)

const johns = `{"marie@example.com": {"name": "Marie", "groups": ["Friends"]}, "aaron@example.com": {"name": "Aaron"}}`

// TestSeed is the configuration of somebody who comes from Prosody: accounts, login, roster and a change.
func TestSeed(t *testing.T) {
	const plain = "c2s_require_encryption = false\nallow_unencrypted_plain_auth = true\n"
	for _, tt := range []struct {
		name, head string
		secure     bool
	}{
		{"as it stands, with a certificate", "", true},
		{"without TLS", plain, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			backend := enginetest.Serve(t, map[string]string{"john": johns})
			p := newPlace(t, seedFor(backend.Template()))
			p.head = tt.head
			if tt.secure {
				p.certify(t, "example.com")
			}
			s := p.serve(t)
			p.wantCommand(t, password+"\n", "john@example.com added (sqlite)\n", "user", "add", "john@example.com")
			c := s.secureLogin(t, "john@example.com/desk", password)
			_, offered := c.Features.Find("urn:ietf:params:xml:ns:xmpp-bind", "bind")
			equal(t, "binding is offered", offered, true)
			equal(t, "full JID", c.JID, "john@example.com/desk")
			c.wantRoster("aaron@example.com|Aaron|both|", "marie@example.com|Marie|both|Friends")
			backend.Set("john", `{"marie@example.com": {"name": "Marie Curie", "groups": ["Friends"]}}`)
			equal(t, "changes", s.refresh(t, "john").Results[0].Changes, 2)
			c.wantPushes("aaron@example.com||remove|", "marie@example.com|Marie Curie|both|Friends")
			c.leave()
		})
	}
}

// wantCommand runs a subcommand that must succeed with that output.
func (p *place) wantCommand(t testing.TB, stdin, want string, args ...string) {
	t.Helper()
	status, out, stderr := p.command(t, stdin, args...)
	if status != exitOK || out != want || stderr != "" {
		t.Fatalf("rosterd %q: exit %d\n%s%s\nwant\n%s", args, status, out, stderr, want)
	}
}

// TestMechanisms: one SCRAM hash, that of password_hash, because stored keys serve no other; PLAIN under TLS only,
// unless it was asked for.
func TestMechanisms(t *testing.T) {
	for _, tt := range []struct {
		name, head    string
		before, under []string // TLS
	}{
		{"the seed", "", nil, []string{"SCRAM-SHA-1-PLUS", "SCRAM-SHA-1", "PLAIN"}},
		{"another hash", `password_hash = "SHA-256"`, nil, []string{"SCRAM-SHA-256-PLUS", "SCRAM-SHA-256", "PLAIN"}},
		{"TLS if they like", "c2s_require_encryption = false", []string{"SCRAM-SHA-1"}, []string{"SCRAM-SHA-1-PLUS", "SCRAM-SHA-1", "PLAIN"}},
		{"without TLS", "c2s_require_encryption = false\nallow_unencrypted_plain_auth = true", []string{"SCRAM-SHA-1", "PLAIN"}, []string{"SCRAM-SHA-1-PLUS", "SCRAM-SHA-1", "PLAIN"}},
		{"passwords as they are", "c2s_require_encryption = false", []string{"SCRAM-SHA-512", "SCRAM-SHA-256", "SCRAM-SHA-1"}, []string{"SCRAM-SHA-512-PLUS", "SCRAM-SHA-256-PLUS", "SCRAM-SHA-1-PLUS", "SCRAM-SHA-512", "SCRAM-SHA-256", "SCRAM-SHA-1", "PLAIN"}},
		{"without PLAIN", `disable_sasl_mechanisms = { "PLAIN" }`, nil, []string{"SCRAM-SHA-1-PLUS", "SCRAM-SHA-1"}},
		{"without channel binding", `disable_sasl_mechanisms = { "SCRAM-SHA-1-PLUS" }`, nil, []string{"SCRAM-SHA-1", "PLAIN"}},
		{"channel binding alone", `disable_sasl_mechanisms = { "PLAIN", "SCRAM-SHA-1" }`, nil, []string{"SCRAM-SHA-1-PLUS"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p := newPlace(t, seed)
			p.head = tt.head
			if tt.name == "passwords as they are" {
				p.text = strings.Replace(seed, "internal_hashed", "internal_plain", 1)
			}
			p.certify(t, "example.com")
			c := p.serve(t).connect(t, "example.com")
			c.must(c.Open(c.ctx))
			equal(t, "before TLS", sorted(c.Mechanisms()), sorted(tt.before))
			c.must(c.StartTLS(c.ctx))
			c.must(c.Open(c.ctx))
			equal(t, "under TLS", sorted(c.Mechanisms()), sorted(tt.under))
		})
	}
}

func sorted(list []string) []string {
	list = append([]string{}, list...)
	slices.Sort(list)
	return list
}

// TestCheck: what `rosterd check` prints and exits with.
func TestCheck(t *testing.T) {
	for _, tt := range []struct {
		name, text  string
		certificate bool
		args        []string
		status      int
		want        []string // lines, %s is the file
	}{
		{"the seed", seed, true, nil, 0, []string{
			"Loaded %s",
			`NOTE     %s:4  module "http_files" serves nothing: http_files_dir is not set (as in Prosody) [MOO001]`,
			`NOTE     %s  1 setting accepted without effect: storage_memory:4 [QUI001]`,
			"Effective modules on example.com: block_subscriptions c2s disco http_files http_roster_admin iq message offline ping presence saslauth tls (12)",
			"Refused: 0, warnings: 0, notes: 4",
		}},
		{"the seed, strictly", seed, true, []string{"--strict"}, 0, []string{"Loaded %s"}},
		{"a warning, strictly", seed, false, []string{"--strict"}, 2, []string{`WARN     %s:3  VirtualHost "example.com": nobody can log in, since encryption is required: `}},
		{"without http_files", strings.Replace(seed, `, "http_files"`, "", 1), true, nil, 0, []string{"Loaded %s"}},
		{"no certificate", strings.Replace(seed, `, "http_files"`, "", 1), false, nil, 1, []string{`WARN     %s:3  VirtualHost "example.com": nobody can log in, since encryption is required: `}},
		{"an unknown module", strings.Replace(seed, "http_files", "http_fils", 1), true, nil, 1, []string{`WARN     %s:4  module "http_fils" is not known [UNK002]`}},
		{"the roster module, too", strings.NewReplacer(`"ping"`, `"ping", "roster"`, "modules_disabled", "-- modules_disabled").Replace(seed), true, nil, 2,
			[]string{`REFUSED  %s:2  VirtualHost "example.com" has two sources of rosters: `}},
		{"no rosters", strings.Replace(seed, `"http_roster_admin", `, "", 1), true, nil, 2, []string{`REFUSED  %s:3  VirtualHost "example.com": no module supplies its rosters [ROS001]`}},
		{"no backend", strings.Replace(seed, "http_roster_url", "-- http_roster_url", 1), true, nil, 2, []string{`REFUSED  %s:4  VirtualHost "example.com": module "http_roster_admin" needs http_roster_url [ROS002]`}},
		{"a component", seed + "Component \"conference.example.com\" \"muc\"\n", true, nil, 1, []string{`WARN     %s:8  Component "conference.example.com" "muc": rosterd has no components of its own, this host will not exist [FEA003]`}},
		{"a misspelt option of ours", "rosterd_refresh_tokn = \"x\"\n" + seed, true, nil, 2, []string{`REFUSED  %s:1  rosterd_refresh_tokn: rosterd has no such option [UNK001]`}},
		{"a restriction", strings.Replace(seed, `"ping"`, `"ping", "firewall"`, 1), true, nil, 1, []string{
			`WARN     %s:2  module "firewall" is not available: its rules are not applied [SEC002]`,
			"Effective modules on example.com: block_subscriptions c2s disco http_files http_roster_admin iq message offline ping presence saslauth tls (12); 1 requested module is not available",
		}},
		{"a restriction that is accepted", strings.Replace(seed, `"ping"`, `"ping", "firewall"`, 1), true, []string{"--strict", "--accept", "SEC002@firewall"}, 0, []string{
			`NOTE     %s:2  module "firewall" is not available: its rules are not applied [SEC002]`, "         accepted by --accept", "Refused: 0, warnings: 0, notes: 5 (1 accepted)",
		}},
		{"an acceptance too many", seed, true, []string{"--accept", "SEC002,SEC001@isolate_host"}, 1, []string{
			"WARN     --accept: there is nothing to accept by SEC002 [ACC001]", "WARN     --accept: there is nothing to accept by SEC001@isolate_host [ACC001]",
		}},
		{"what cannot be accepted", "c2s_ports = { 70000 }\n" + seed, true, []string{"--accept=VAL001"}, 2, []string{`REFUSED  %s:1  c2s_ports: `}},
		{"a port that is none", "c2s_ports = { 70000 }\n" + seed, true, nil, 2, []string{`REFUSED  %s:1  c2s_ports: `}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p := &place{dir: t.TempDir()}
			if tt.certificate {
				p.certify(t, "example.com")
			}
			if err := os.WriteFile(p.config(), []byte(tt.text), 0o600); err != nil {
				t.Fatal(err)
			}
			status, out, stderr := p.command(t, "", append([]string{"check"}, tt.args...)...)
			equal(t, "exit status", status, tt.status)
			equal(t, "standard error", stderr, "")
			for _, want := range tt.want {
				if want = strings.ReplaceAll(want, "%s", p.config()); !slices.ContainsFunc(strings.Split(out, "\n"), func(line string) bool { return strings.HasPrefix(line, want) }) {
					t.Errorf("no line %q in\n%s", want, out)
				}
			}
		})
	}
}

// TestCheckForPrograms: the same as JSON.
func TestCheckForPrograms(t *testing.T) {
	p := &place{dir: t.TempDir()}
	p.certify(t, "example.com")
	if err := os.WriteFile(p.config(), []byte(strings.Replace(seed, "http_files", "http_fils", 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	status, out, _ := p.command(t, "", "check", "--json")
	var report struct {
		Files       []string
		Diagnostics []struct {
			Severity, Code, Name string
			Pos                  struct {
				File string
				Line int
			}
		}
	}
	if err := json.Unmarshal([]byte(out), &report); err != nil {
		t.Fatalf("%v in\n%s", err, out)
	}
	equal(t, "exit status", status, 1)
	equal(t, "files", report.Files, []string{p.config()})
	if d := report.Diagnostics[0]; d.Severity != "warn" || d.Code != "UNK002" || d.Name != "http_fils" || d.Pos.Line != 4 || d.Pos.File != p.config() {
		t.Errorf("the first diagnostic is %+v", d)
	}
}

// TestServeSaysWhatCheckSays: nothing in the file is passed over silently at the start.
func TestServeSaysWhatCheckSays(t *testing.T) {
	t.Parallel()
	p := newPlace(t, seed)
	p.certify(t, "example.com")
	s := p.serve(t)
	_, out, _ := p.command(t, "", "check")
	for line := range strings.Lines(out) {
		if line = strings.TrimSuffix(line, "\n"); len(s.log.find(line)) != 1 {
			t.Errorf("at the start it does not say %q", line)
		}
	}
}

// TestUserCommands manages accounts, with passwords from standard input.
func TestUserCommands(t *testing.T) {
	backend := enginetest.Serve(t, map[string]string{"john": johns})
	p := newPlace(t, seedFor(backend.Template()))
	p.certify(t, "example.com")
	s := p.serve(t)
	refused := func(t *testing.T, user, password string) {
		t.Helper()
		c := s.connect(t, "example.com")
		if err := c.Login(c.ctx, user, password, ""); err == nil || !strings.Contains(err.Error(), "not-authorized") {
			t.Fatalf("login of %s with %q: %v, want not-authorized", user, password, err)
		}
	}
	p.wantCommand(t, "", "", "user", "list")
	p.wantCommand(t, "first\n", "john@example.com added (sqlite)\n", "user", "add", "John@EXAMPLE.com")
	p.wantCommand(t, "no newline", "jane@example.com added (sqlite)\n", "user", "add", "jane@example.com")
	s.secureLogin(t, "john@example.com", "first").leave()
	s.secureLogin(t, "jane@example.com", "no newline").leave()
	refused(t, "john", "second")

	p.wantCommand(t, "second\r\n", "password of john@example.com changed (sqlite)\n", "user", "passwd", "john@example.com")
	refused(t, "john", "first")
	s.secureLogin(t, "john@example.com", "second").leave()
	p.wantCommand(t, "", "jane@example.com  sqlite  SCRAM-SHA-1  \njohn@example.com  sqlite  SCRAM-SHA-1  \n", "user", "list")
	p.wantCommand(t, "", "jane@example.com  sqlite  SCRAM-SHA-1  \njohn@example.com  sqlite  SCRAM-SHA-1  \n", "user", "list", "example.com")
	p.wantCommand(t, "", "jane@example.com deleted (sqlite)\n", "user", "delete", "jane@example.com")
	refused(t, "jane", "no newline")

	for _, tt := range []struct {
		name, stdin string
		args        []string
		status      int
		want        string
	}{
		{"a name that is taken", "x\n", []string{"add", "john@example.com"}, exitFailed, "john@example.com"},
		{"nobody of that name", "x\n", []string{"passwd", "nobody@example.com"}, exitFailed, "nobody@example.com"},
		{"nobody to delete", "", []string{"delete", "nobody@example.com"}, exitFailed, "nobody@example.com"},
		{"an empty password", "\n", []string{"add", "empty@example.com"}, exitFailed, "an empty password"},
		{"no password at all", "", []string{"add", "empty@example.com"}, exitFailed, "an empty password"},
		{"another host", "x\n", []string{"add", "john@example.org"}, exitFailed, `no VirtualHost "example.org" in ` + p.config() + "; there is example.com"},
		{"no user", "x\n", []string{"add", "example.com"}, exitFailed, "no user before the @"},
		{"no address", "x\n", []string{"add", "@@"}, exitFailed, "@@"},
		{"a full JID", "x\n", []string{"add", "john@example.com/desk"}, exitFailed, "desk"},
		{"no argument", "", []string{"add"}, exitUsage, "usage:"},
		{"no command", "", nil, exitUsage, "usage:"},
		{"another command", "", []string{"rename", "a", "b"}, exitUsage, "usage:"},
		{"list of a host that is none", "", []string{"list", "example.org"}, exitFailed, `no VirtualHost "example.org"`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			status, out, stderr := p.command(t, tt.stdin, append([]string{"user"}, tt.args...)...)
			if status != tt.status || out != "" || !strings.Contains(stderr, tt.want) || !strings.HasPrefix(stderr, "rosterd user: ") {
				t.Errorf("exit %d, want %d\n%s%s\nwant %q", status, tt.status, out, stderr, tt.want)
			}
		})
	}
}

// TestSASLFailures: what clients are told, and that they can try again in the same stream.
func TestSASLFailures(t *testing.T) {
	t.Parallel()
	backend := enginetest.Serve(t, nil)
	p := newPlace(t, seedFor(backend.Template()))
	p.certify(t, "example.com")
	s := p.serve(t)
	p.wantCommand(t, password+"\n", "john@example.com added (sqlite)\n", "user", "add", "john@example.com")
	for _, mechanism := range []string{"SCRAM-SHA-1", "PLAIN"} {
		t.Run(mechanism, func(t *testing.T) {
			c := s.connect(t, "example.com")
			c.must(c.Open(c.ctx))
			c.must(c.StartTLS(c.ctx))
			c.must(c.Open(c.ctx))
			for _, user := range []string{"john", "nobody"} {
				err := c.Authenticate(c.ctx, mechanism, user, "guessed")
				if f, ok := err.(*xmpptest.Failure); !ok || f.Condition != "not-authorized" {
					t.Fatalf("%s: %v, want not-authorized", user, err)
				}
			}
			c.must(c.Authenticate(c.ctx, mechanism, "john", password))
		})
	}
	t.Run("PLAIN before TLS", func(t *testing.T) {
		c := s.connect(t, "example.com")
		c.must(c.Open(c.ctx))
		if err := c.Authenticate(c.ctx, "PLAIN", "john", password); err == nil {
			t.Error("the server took a password in the clear")
		}
	})
}

// TestUsage: wrong command lines are told so, with status 2.
func TestUsage(t *testing.T) {
	for _, tt := range []struct {
		name string
		args []string
		want string
	}{
		{"nothing", nil, "Usage:"},
		{"no such command", []string{"sreve"}, `rosterd: unknown command "sreve"`},
		{"an argument too many", []string{"serve", "x"}, `rosterd serve: unexpected argument "x"`},
		{"no such flag", []string{"serve", "--confg", "x"}, "flag provided but not defined: -confg"},
		{"no such file", []string{"serve", "--config", "nowhere.cfg.lua"}, "nowhere.cfg.lua"},
		{"check of no such file", []string{"check", "nowhere.cfg.lua"}, "nowhere.cfg.lua"},
		{"an argument of demo", []string{"demo", "x"}, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			out := newJournal()
			status := run(testContext(t), tt.args, console{in: strings.NewReader(""), out: out, err: out})
			if status != exitUsage || !strings.Contains(out.String(), tt.want) {
				t.Errorf("exit %d: %s", status, out)
			}
		})
	}
	out := newJournal()
	if status := run(testContext(t), []string{"version"}, console{in: strings.NewReader(""), out: out, err: out}); status != exitOK || out.String() != "rosterd "+fullVersion() {
		t.Errorf("version: exit %d: %s", status, out)
	}
}

// TestFindConfig: without --config, the usual places are looked in.
func TestFindConfig(t *testing.T) {
	t.Chdir(t.TempDir())
	if err := os.WriteFile("prosody.cfg.lua", []byte(seed), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := writeSelfSigned("certs", "example.com"); err != nil {
		t.Fatal(err)
	}
	out := newJournal()
	status := run(testContext(t), []string{"check"}, console{in: strings.NewReader(""), out: out, err: out})
	if status != exitOK || len(out.find("Loaded prosody.cfg.lua")) != 1 {
		t.Errorf("exit %d: %s", status, out)
	}
}
