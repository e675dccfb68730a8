package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"rosterd/engine/enginetest"
	"rosterd/xmppcore/xmpptest"
)

// prosodyData is what Prosody 0.12.3 and 13 wrote: see the README there.
const prosodyData = "../../store/testdata"

// fromProsody is a place with hosts like those of that Prosody, and its data folder.
func fromProsody(t *testing.T, backend *enginetest.Server) *place {
	t.Helper()
	host := func(name, more string) string { return openHost(name, backend.Template(), more) }
	p := newPlace(t, `authentication = "internal_hashed"
modules_enabled = { "saslauth", "tls", "disco", "ping" }
`+host("example.com", "")+host("sha256.example", `password_hash = "SHA-256"`)+host("plain.example", `authentication = "internal_plain"`)+host("müller.example", "")+
		host("new.example", "")+host("database.example", `storage = { accounts = "rosterd" }`))
	p.certify(t, "example.com", "sha256.example", "plain.example", "xn--mller-kva.example", "new.example", "database.example")
	for _, version := range []string{"prosody-0.12.3", "prosody-13"} {
		if err := os.CopyFS(filepath.Join(p.dir, version), os.DirFS(filepath.Join(prosodyData, version))); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.CopyFS(p.data(), os.DirFS(filepath.Join(prosodyData, "prosody-0.12.3"))); err != nil {
		t.Fatal(err)
	}
	return p
}

// TestProsodyAccounts: who logged in at Prosody logs in here with the same password and every mechanism that is
// offered, whichever way Prosody kept it.
func TestProsodyAccounts(t *testing.T) {
	t.Parallel()
	const juliet = "R0m30MyR0m30"
	s := fromProsody(t, enginetest.Serve(t, nil)).serve(t)
	for _, tt := range []struct {
		jid, password string
		mechanisms    []string
	}{
		{"juliet@example.com", juliet, []string{"SCRAM-SHA-1-PLUS", "SCRAM-SHA-1", "PLAIN"}},
		{"juliet@sha256.example", juliet, []string{"SCRAM-SHA-256-PLUS", "SCRAM-SHA-256", "PLAIN"}},
		{"juliet@plain.example", juliet, []string{"SCRAM-SHA-1-PLUS", "SCRAM-SHA-256-PLUS", "SCRAM-SHA-512-PLUS", "SCRAM-SHA-1", "SCRAM-SHA-256", "SCRAM-SHA-512", "PLAIN"}},
		{"juliet@müller.example", juliet, []string{"SCRAM-SHA-1-PLUS", "SCRAM-SHA-1", "PLAIN"}},
		{"romeo@example.com", "wherefore", []string{"SCRAM-SHA-1-PLUS", "SCRAM-SHA-1", "PLAIN"}},
	} {
		t.Run(tt.jid, func(t *testing.T) {
			user, domain, _ := strings.Cut(tt.jid, "@")
			for _, mechanism := range tt.mechanisms {
				c := s.connect(t, domain)
				c.must(c.Open(c.ctx))
				c.must(c.StartTLS(c.ctx))
				c.must(c.Open(c.ctx))
				equal(t, "mechanisms", sorted(c.Mechanisms()), sorted(tt.mechanisms))
				var failure *xmpptest.Failure
				if err := c.Authenticate(c.ctx, mechanism, user, tt.password+"x"); !errors.As(err, &failure) || failure.Condition != "not-authorized" {
					t.Errorf("%s with a wrong password: %v", mechanism, err)
				}
				c.must(c.Authenticate(c.ctx, mechanism, user, tt.password))
				c.must(c.Open(c.ctx))
				c.must(c.Bind(c.ctx, "desk"))
				equal(t, "full JID", c.JID, tt.jid+"/desk")
				c.alive()
				c.leave()
			}
		})
	}
}

// TestPasswordOfProsodyAccount: a new password is written where the account is, in Prosody's own form.
func TestPasswordOfProsodyAccount(t *testing.T) {
	t.Parallel()
	p := fromProsody(t, enginetest.Serve(t, nil))
	s := p.serve(t)
	read := func(host, user string) string {
		text, err := os.ReadFile(filepath.Join(p.data(), prosodyName(host), "accounts", prosodyName(user)+".dat"))
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	for _, tt := range []struct{ host, has, lacks string }{
		{"example.com", `["stored_key"] = "`, "password"},
		{"sha256.example", `["stored_key"] = "`, "password"},
		{"plain.example", `["password"] = "another one"`, "stored_key"},
	} {
		t.Run(tt.host, func(t *testing.T) {
			before := read(tt.host, "juliet")
			p.wantCommand(t, "another one\n", "password of juliet@"+tt.host+" changed (prosody)\n", "user", "passwd", "juliet@"+tt.host)
			after := read(tt.host, "juliet")
			if after == before || !strings.Contains(after, tt.has) || strings.Contains(after, tt.lacks) || !strings.HasPrefix(after, "return {\n") {
				t.Errorf("the file is now\n%s\nand was\n%s", after, before)
			}
			c := s.connect(t, tt.host)
			if err := c.Login(c.ctx, "juliet", "R0m30MyR0m30", ""); err == nil {
				t.Error("the old password still works")
			}
			s.secureLogin(t, "juliet@"+tt.host, "another one").leave()
		})
	}
}

// TestPlaces: where new users go, what a list shows, and that a deleted user does not come back.
func TestPlaces(t *testing.T) {
	t.Parallel()
	p := fromProsody(t, enginetest.Serve(t, nil))
	s := p.serve(t)
	for user, place := range map[string]string{
		"nurse@example.com":      "prosody", // accounts of that host are there already
		"nurse@new.example":      "sqlite",
		"nurse@database.example": "sqlite",
		"nurse@müller.example":   "prosody",
	} {
		p.wantCommand(t, password+"\n", user+" added ("+place+")\n", "user", "add", user)
		s.secureLogin(t, user, password).leave()
	}
	_, out, _ := p.command(t, "", "user", "list", "example.com")
	for _, want := range []string{"juliet@example.com prosody SCRAM-SHA-1", "nurse@example.com prosody SCRAM-SHA-1", "zoë@example.com prosody SCRAM-SHA-1"} {
		if !strings.Contains(strings.Join(strings.Fields(out), " "), want) {
			t.Errorf("the list does not have %q:\n%s", want, out)
		}
	}
	status, _, stderr := p.command(t, password+"\n", "user", "add", "juliet@example.com")
	if status != exitFailed || !strings.Contains(stderr, "juliet@example.com") {
		t.Errorf("adding a user of Prosody's: exit %d, %s", status, stderr)
	}
	p.wantCommand(t, "", "juliet@example.com deleted (prosody)\n", "user", "delete", "juliet@example.com")
	c := s.connect(t, "example.com")
	if err := c.Login(c.ctx, "juliet", "R0m30MyR0m30", ""); err == nil {
		t.Error("a deleted user logs in")
	}
	if _, err := os.Stat(filepath.Join(p.data(), "example%2ecom", "accounts", "juliet.dat")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the file of a deleted user: %v", err)
	}
}

// TestOddAccounts: files that cannot be used are named, and let nobody in; nor do disabled accounts.
func TestOddAccounts(t *testing.T) {
	t.Parallel()
	p := fromProsody(t, enginetest.Serve(t, nil))
	tybalt, err := os.ReadFile(filepath.Join(p.dir, "prosody-13", "example%2ecom", "accounts", "tybalt.dat"))
	if err != nil {
		t.Fatal(err)
	}
	p.accountFile(t, "tybalt", "example.com", string(tybalt))
	broken := p.accountFile(t, "broken", "example.com", "return { this is no Lua literal")
	p.accountFile(t, "empty", "example.com", "return {};\n")
	s := p.serve(t)
	for _, tt := range []struct{ user, password, condition string }{
		{"tybalt", "wherefore", ""}, {"broken", password, "temporary-auth-failure"}, {"empty", "", ""}, {"empty", password, "not-authorized"},
	} {
		c := s.connect(t, "example.com")
		c.must(c.Open(c.ctx))
		c.must(c.StartTLS(c.ctx))
		c.must(c.Open(c.ctx))
		var failure *xmpptest.Failure
		if err := c.Authenticate(c.ctx, "PLAIN", tt.user, tt.password); !errors.As(err, &failure) || tt.condition != "" && failure.Condition != tt.condition {
			t.Errorf("%s: %v, want %s", tt.user, err, tt.condition)
		}
	}
	if lines := s.log.find(broken); len(lines) == 0 {
		t.Errorf("the log does not name %s", broken)
	}
	s.quiet = true // an account that cannot be read is an error in the log
	status, out, stderr := p.command(t, "", "user", "list", "example.com")
	if status != exitFailed || !strings.Contains(stderr, broken) {
		t.Errorf("exit %d, %s", status, stderr)
	}
	all := strings.Join(strings.Fields(out), " ")
	for _, want := range []string{"tybalt@example.com prosody SCRAM-SHA-1 disabled", "broken@example.com prosody none unusable", "empty@example.com prosody none"} {
		if !strings.Contains(all, want) {
			t.Errorf("the list does not have %q:\n%s", want, out)
		}
	}
}

// TestUsersWithoutPlugins: accounts are managed whatever becomes of the modules, which are not opened for that.
func TestUsersWithoutPlugins(t *testing.T) {
	t.Parallel()
	p := newPlace(t, withScript(""))
	p.module(t, "crm", `error("opened")
module:provides("roster", { fetch = print })`)
	p.file(t, "prosody.cfg.lua", fmt.Sprintf("data_path = %q\n%s", p.data(), p.text))
	p.wantCommand(t, password+"\n", "john@example.com added (sqlite)\n", "user", "add", "john@example.com")
	p.wantCommand(t, "", "john@example.com deleted (sqlite)\n", "user", "delete", "john@example.com")
	if status, out, _ := p.command(t, "", "check"); status != exitUsage || !strings.Contains(out, "opened") {
		t.Errorf("check exits with %d, %s", status, out)
	}
}
