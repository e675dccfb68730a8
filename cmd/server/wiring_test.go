package main

import (
	"path/filepath"
	"testing"
	"time"

	"rosterd/config"
	"rosterd/engine/addr"
	"rosterd/xmppcore/xmpptest"
)

// TestIterations: default_iteration_count is that of new passwords, and of the keys that are shown for users who do
// not exist.
func TestIterations(t *testing.T) {
	t.Parallel()
	p := newPlace(t, "default_iteration_count = 5000\nVirtualHost \"few.example\"\nVirtualHost \"many.example\"\ndefault_iteration_count = 12000\n")
	p.file(t, "prosody.cfg.lua", p.text)
	cfg, err := config.Load(p.config(), config.LoadOptions{LookupEnv: func(name string) (string, bool) {
		return filepath.Join(p.dir, "data"), name == "PROSODY_DATADIR"
	}})
	if err != nil {
		t.Fatal(err)
	}
	db, err := openStore(cfg, quiet)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	users := accounts(cfg, db)
	for host, want := range map[string]int{"few.example": 5000, "many.example": 12000} {
		u := addr.MustBare("john@" + host)
		if _, err := users.Add(t.Context(), u, password); err != nil {
			t.Fatal(err)
		}
		c, err := users.Credentials(t.Context(), u)
		if err != nil || c.SCRAM == nil {
			t.Fatalf("%s: %v, %v", u, c, err)
		}
		equal(t, "iterations of "+u.String(), c.SCRAM.Iterations, want)
		equal(t, "iterations for nobody at "+host, saslHost(cfg.Host(host), users).Iterations, want)
	}
}

// TestGuestsWait: a session of an anonymous user does not wait for its client, who would come back as somebody else; others
// do as smacks_hibernation_time says.
func TestGuestsWait(t *testing.T) {
	t.Parallel()
	p := newPlace(t, "modules_enabled = { 'smacks' }\nVirtualHost 'h.example'\nVirtualHost 'guest.example'\nauthentication = 'anonymous'\n")
	p.write(t)
	cfg, err := config.Load(p.config(), config.LoadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for host, want := range map[string]time.Duration{"h.example": 10 * time.Minute, "guest.example": 0} {
		equal(t, host, streamManagement(cfg.Host(host)).Hibernation, want)
	}
}

// TestGuestsKept: rosters of groups outlive the source's outage, but not those of anonymous users, whose names are new each
// time.
func TestGuestsKept(t *testing.T) {
	t.Parallel()
	p := newPlace(t, `modules_enabled = { "groups_sql" }
groups_sql = { driver = "SQLite3", database = "staff.sqlite" }
groups_sql_query = "SELECT team, login FROM staff"
rosterd_keep_rosters = true
VirtualHost "h.example"
VirtualHost "guest.example"
authentication = "anonymous"
`)
	p.write(t)
	cfg, err := config.Load(p.config(), config.LoadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	hosts := (&plan{cfg: cfg}).engineHosts(&databases{})
	for host, want := range map[string]bool{"h.example": true, "guest.example": false} {
		equal(t, host, hosts[host].Keeper != nil, want)
	}
}

// TestGuestsGone: what is not resumable is not promised to be.
func TestGuestsGone(t *testing.T) {
	t.Parallel()
	s := newPlace(t, `modules_enabled = { "saslauth", "smacks" }
c2s_require_encryption = false
VirtualHost "guest.example"
  authentication = "anonymous"
`).serve(t)
	c := s.connect(t, "guest.example")
	c.must(c.Login(c.ctx, "", "", ""))
	c.send("<enable xmlns='urn:xmpp:sm:3' resume='true'/>")
	e, err := c.Expect(c.ctx, "enabled", func(e xmpptest.Element) bool { return e.Name.Local == "enabled" })
	if err != nil || e.Attr("resume") != "" || e.Attr("id") != "" {
		t.Errorf("%v, %v", e, err)
	}
}
