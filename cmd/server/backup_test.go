package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"rosterd/daemontest"
	"rosterd/engine/enginetest"
)

// inDatabase keeps the accounts of a host in the database alone.
const inDatabase = `storage = { accounts = "rosterd" }`

// TestBackup: what a backup holds can log in where it is restored, as docs/OPERATING.md says it is done.
func TestBackup(t *testing.T) {
	t.Parallel()
	backend := enginetest.Serve(t, map[string]string{"john": rosterOfJohn})
	p := newPlace(t, open(backend.Template(), inDatabase))
	s := p.serve(t)
	database, copied := filepath.Join(p.data(), "rosterd.sqlite"), filepath.Join(p.dir, "copy.sqlite")
	for _, user := range []string{"john", "mary"} {
		p.wantCommand(t, password+"\n", user+"@example.com added (sqlite)\n", "user", "add", user+"@example.com")
	}
	s.secureLogin(t, "john@example.com", password).wantRoster("jane@example.com|Jane|both|Friends")
	equal(t, "exit status", s.exit(t), exitOK) // what was kept is now in the file

	s = p.serve(t)
	p.wantCommand(t, "", copied+": 2 accounts, 1 rosters\n", "backup", copied)
	status, _, stderr := p.command(t, "", "backup", copied)
	if status != exitFailed || !strings.Contains(stderr, copied) || !strings.Contains(stderr, "--force") {
		t.Errorf("a second time: exit %d, %s", status, stderr)
	}
	p.wantCommand(t, "changed\n", "password of john@example.com changed (sqlite)\n", "user", "passwd", "john@example.com")
	p.wantCommand(t, "", "mary@example.com deleted (sqlite)\n", "user", "delete", "mary@example.com")
	equal(t, "exit status", s.exit(t), exitOK)

	for _, file := range []string{"", "-wal", "-shm"} {
		if err := os.RemoveAll(database + file); err != nil {
			t.Fatal(err)
		}
	}
	content, err := os.ReadFile(copied)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(database, content, 0o600); err != nil {
		t.Fatal(err)
	}
	backend.Close()
	s = p.serve(t)
	s.secureLogin(t, "mary@example.com", password)
	s.secureLogin(t, "john@example.com", password).wantRoster("jane@example.com|Jane|both|Friends")
	if err := os.Remove(copied); err != nil {
		t.Fatal(err)
	}
	p.wantCommand(t, "", copied+": 2 accounts, 1 rosters\n", "backup", copied, "--force") // there is nothing to replace
}

// TestBackupFails: what keeps a backup from being made is said, and where accounts are that are not in it.
func TestBackupFails(t *testing.T) {
	t.Parallel()
	p := fromProsody(t, enginetest.Serve(t, nil))
	p.c2s, p.http, p.https = daemontest.Port(t), daemontest.Port(t), daemontest.Port(t)
	p.write(t)
	copied := filepath.Join(p.dir, "copy.sqlite")
	for _, tt := range []struct {
		name, want string
		status     int
		args       []string
	}{
		{"no file", "usage:", exitUsage, nil},
		{"two files", "usage:", exitUsage, []string{copied, copied}},
		{"no database yet", filepath.Join(p.data(), "rosterd.sqlite") + ": no such file", exitFailed, []string{copied}},
	} {
		status, _, stderr := p.command(t, "", append([]string{"backup"}, tt.args...)...)
		if status != tt.status || !strings.Contains(stderr, tt.want) {
			t.Errorf("%s: exit %d, %s", tt.name, status, stderr)
		}
	}
	status, _, stderr := p.command(t, "secret\n", "user", "add", "new@example.com")
	equal(t, "user add, which makes the database", fmt.Sprint(status, stderr), "0")
	status, out, stderr := p.command(t, "", "backup", copied)
	if folder := filepath.Join(p.data(), "example%2ecom", "accounts"); status != exitOK || !strings.Contains(out, folder) || strings.Contains(out, "new.example") {
		t.Errorf("exit %d, %s%s", status, out, stderr)
	}
}
