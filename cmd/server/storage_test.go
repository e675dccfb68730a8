package main

import (
	"fmt"
	"strings"
	"testing"
)

// storing is a configuration with a host for each place where rosters can be kept.
func storing(hosts map[string]string) string {
	text := `authentication = "internal_plain"
c2s_require_encryption = false
allow_unencrypted_plain_auth = true
disable_sasl_mechanisms = { "SCRAM-SHA-1", "SCRAM-SHA-256", "SCRAM-SHA-512" }
modules_enabled = { "roster", "saslauth", "tls", "disco", "ping" }
`
	for name, lines := range hosts {
		text += fmt.Sprintf("VirtualHost %q\n  %s\n", name, lines)
	}
	return text
}

// TestStorage: what a host is to keep in memory is gone with the process, what it is to keep nowhere is refused.
func TestStorage(t *testing.T) {
	t.Parallel()
	p := newPlace(t, storing(map[string]string{
		"file.example":   "",
		"memory.example": `storage = { roster = "memory" }`,
		"none.example":   `storage = { roster = "none" }`,
	}))
	s := p.serve(t)
	const nurse = "nurse@example.com||none|"
	for _, x := range []struct{ host, answer, now string }{
		{"file.example", "result", nurse}, {"memory.example", "result", nurse}, {"none.example", "refused", ""},
	} {
		c := s.login(t, "juliet@"+x.host)
		c.wantRoster()
		if got := c.set("<item jid='nurse@example.com'/>"); (got == "result") != (x.answer == "result") {
			t.Errorf("%s: %s", x.host, got)
		}
		c.wantRoster(strings.Fields(x.now)...)
		c.leave()
	}
	equal(t, "exit status", s.exit(t), exitOK)
	s = p.serve(t)
	s.login(t, "juliet@file.example").wantRoster(nurse)
	s.login(t, "juliet@memory.example").wantRoster()
	s.login(t, "juliet@none.example").wantRoster()
}

// TestStorageRefused: a driver that is not there keeps the server from starting, with its place in the file.
func TestStorageRefused(t *testing.T) {
	t.Parallel()
	for name, x := range map[string]struct{ lines, want string }{
		"storage":    {`storage = { roster = "lmdb" }`, `the storage driver "lmdb" is not available`},
		"sql":        {`storage = "sql" sql = { driver = "MySQL", database = "x" }`, `sql: the driver "MySQL" is not available`},
		"PostgreSQL": {`storage = { roster = "sql" } sql = { driver = "PostgreSQL", database = "x", host = "/nowhere", username = "u", password = "hidden" }`, "database x of PostgreSQL at /nowhere"},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPlace(t, storing(map[string]string{"example.com": x.lines}))
			p.c2s, p.http = 1, 1 // never opened
			p.write(t)
			status, _, stderr := p.command(t, "", "serve")
			if status == exitOK || !strings.Contains(stderr, x.want) || !strings.Contains(stderr, "prosody.cfg.lua:") || strings.Contains(stderr, "hidden") {
				t.Errorf("exit %d: %s", status, stderr)
			}
		})
	}
}

// TestStoresAreCounted: what is written shows in /metrics, by the kind of database.
func TestStoresAreCounted(t *testing.T) {
	t.Parallel()
	p := newPlace(t, storing(map[string]string{"file.example": "", "memory.example": `storage = { roster = "memory" }`}))
	s := p.serve(t)
	for _, host := range []string{"file.example", "memory.example"} {
		c := s.login(t, "juliet@"+host)
		equal(t, "answer", c.set("<item jid='nurse@example.com'/>"), "result")
		c.leave()
	}
	_, body := s.request(t, "GET", "/metrics", "")
	for _, line := range []string{`rosterd_stores_changes_total{database="embedded"} `, `rosterd_stores_changes_total{database="memory"} `, `rosterd_stores_backlog_bytes{database="memory"} 0`} {
		if !strings.Contains(body, line) || strings.Contains(body, line+"0\n") {
			t.Errorf("no %q in\n%s", line, body)
		}
	}
}

// TestStorageReload: a store moves with a reload, and what is where it was is there after the way back. What is in memory
// outlives a reload.
func TestStorageReload(t *testing.T) {
	t.Parallel()
	file, memory := storing(map[string]string{"example.com": ""}), storing(map[string]string{"example.com": `storage = { roster = "memory" }`})
	s := newPlace(t, file).serve(t)
	add := func(contact string, want ...string) {
		t.Helper()
		c := s.login(t, "juliet@example.com")
		equal(t, "answer", c.set("<item jid='"+contact+"@example.com'/>"), "result")
		c.wantRoster(want...)
		c.leave()
	}
	add("file", "file@example.com||none|")
	s.wantReloaded(t, memory)
	add("memory", "memory@example.com||none|")
	s.wantReloaded(t, file)
	add("more", "file@example.com||none|", "more@example.com||none|")
	s.wantReloaded(t, memory)
	add("last", "last@example.com||none|", "memory@example.com||none|")
	s.quiet = true
	s.text = storing(map[string]string{"example.com": `storage = { roster = "sql" } sql = { driver = "PostgreSQL", database = "x", host = "/nowhere" }`})
	s.write(t)
	if line := s.reload(t); !strings.Contains(line, "not reloaded") || !strings.Contains(line, "/nowhere") {
		t.Error(line)
	}
}
