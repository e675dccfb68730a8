//go:build clients

package store_test

import (
	"errors"
	"log/slog"
	"strings"
	"testing"

	"rosterd/engine/addr"
	"rosterd/store"
	"rosterd/store/credential"
	"rosterd/store/storetest"
)

var quiet = slog.New(slog.DiscardHandler)

func openPostgres(t *testing.T, at store.Server) *store.Postgres {
	t.Helper()
	p, err := store.OpenPostgres(t.Context(), at, quiet)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Close(); err != nil && !errors.Is(err, store.ErrClosed) {
			t.Error(err)
		}
	})
	return p
}

// TestPostgres: one server, and a database for each test.
func TestPostgres(t *testing.T) {
	server := storetest.StartPostgres(t)
	t.Run("stores", func(t *testing.T) {
		storetest.Test(t, func(t *testing.T) func(string) store.Stores { return openPostgres(t, server.Database(t)).Stores })
	})
	for name, test := range map[string]func(*testing.T, *storetest.Postgres){
		"accounts": postgresAccounts, "schema": postgresSchema, "refused": postgresRefuses, "it comes back": postgresComesBack,
	} {
		t.Run(name, func(t *testing.T) { test(t, server) })
	}
}

func postgresAccounts(t *testing.T, server *storetest.Postgres) {
	ctx, p, juliet := t.Context(), openPostgres(t, server.Database(t)), addr.MustBare("juliet@example.com")
	a := &store.Accounts{Hosts: map[string]store.Host{"example.com": {Postgres: p}, "example.net": {Postgres: p, StorePasswords: true}}}
	if _, err := a.SetPassword(ctx, juliet, "x"); !errors.Is(err, credential.ErrNoUser) {
		t.Errorf("password of nobody: %v", err)
	}
	place, err := a.Add(ctx, juliet, "one")
	if err != nil || place != store.PostgreSQL {
		t.Fatalf("added at %s, %v", place, err)
	}
	if _, err := a.Add(ctx, juliet, "two"); !errors.Is(err, store.ErrUserExists) {
		t.Errorf("added again: %v", err)
	}
	if _, err := a.Add(ctx, addr.MustBare("juliet@example.net"), "plain"); err != nil {
		t.Error(err)
	}
	if c, err := a.Credentials(ctx, juliet); err != nil || !c.Verify("one") || c.Disabled {
		t.Errorf("credentials %v, %v", c, err)
	}
	if _, err := a.SetPassword(ctx, juliet, "two"); err != nil {
		t.Error(err)
	}
	if c, err := a.Credentials(ctx, juliet); err != nil || !c.Verify("two") || c.Verify("one") {
		t.Errorf("credentials %v, %v", c, err)
	}
	for password, done := range map[string]bool{"another": false, "plain": true} { // in any order
		if did, err := p.HashPassword(ctx, addr.MustBare("juliet@example.net"), password, credential.Credentials{}); did != done || err != nil {
			t.Errorf("hash of %s: %v, %v", password, did, err)
		}
	}
	stores := p.Stores("example.com")
	if err := stores.Keyed("private").Change(ctx, juliet, map[string][]byte{"": []byte("x")}); err != nil {
		t.Error(err)
	}
	if _, err := stores.Log("archive").Append(ctx, juliet, store.Entry{Stanza: []byte("x")}); err != nil {
		t.Error(err)
	}
	list, err := a.List(ctx, "example.com")
	if err != nil || len(list) != 1 || list[0].User != juliet || list[0].Place != store.PostgreSQL || list[0].Kept != "SCRAM-SHA-1" {
		t.Errorf("list %v, %v", list, err)
	}
	if places, err := a.Delete(ctx, juliet); err != nil || len(places) != 1 || places[0] != store.PostgreSQL {
		t.Errorf("deleted at %v, %v", places, err)
	}
	if _, err := a.Delete(ctx, juliet); !errors.Is(err, credential.ErrNoUser) {
		t.Errorf("deleted twice: %v", err)
	}
	if all, err := stores.Keyed("private").All(ctx, juliet); len(all) != 0 || err != nil {
		t.Errorf("what was stored is still there: %q, %v", all, err)
	}
	if found, err := stores.Log("archive").Find(ctx, juliet, store.Query{}); len(found.Entries) != 0 || err != nil {
		t.Errorf("what was stored is still there: %v, %v", found, err)
	}
}

// postgresSchema: a schema is made once, and only by whom it is allowed.
func postgresSchema(t *testing.T, server *storetest.Postgres) {
	at := server.Database(t)
	fixed := at
	fixed.Fixed = true
	if _, err := store.OpenPostgres(t.Context(), fixed, quiet); err == nil || !strings.Contains(err.Error(), "sql_manage_tables") {
		t.Errorf("made although it is forbidden: %v", err)
	}
	first := openPostgres(t, at)
	id, err := first.Stores("example.com").Log("archive").Append(t.Context(), addr.MustBare("juliet@example.com"), store.Entry{Stanza: []byte("x")})
	if err != nil {
		t.Fatal(err)
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	again := openPostgres(t, fixed)
	p, err := again.Stores("example.com").Log("archive").Find(t.Context(), addr.MustBare("juliet@example.com"), store.Query{IDs: []string{id}})
	if err != nil || len(p.Entries) != 1 {
		t.Errorf("after opening again %v, %v", p, err)
	}
	if err := again.Close(); err != nil {
		t.Fatal(err)
	}
	server.In(t, at, "UPDATE rosterd.version SET version = 99")
	if _, err := store.OpenPostgres(t.Context(), at, quiet); err == nil || !strings.Contains(err.Error(), "newer version") {
		t.Errorf("a newer schema: %v", err)
	}
}

func postgresRefuses(t *testing.T, server *storetest.Postgres) {
	at := server.Database(t)
	nobody, nowhere, nothing := at, at, at
	nobody.Username, nobody.Password = "nobody'\\", "its 'secret"
	nowhere.Host = at.Host + "/none"
	nothing.Database = "none"
	for _, s := range []store.Server{nobody, nowhere, nothing} {
		_, err := store.OpenPostgres(t.Context(), s, quiet)
		if err == nil || !strings.Contains(err.Error(), s.Host) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %v", s, err)
		}
	}
}

// postgresComesBack: what was appended while the server cut everybody is there afterwards.
func postgresComesBack(t *testing.T, server *storetest.Postgres) {
	at := server.Database(t)
	p := openPostgres(t, at)
	l, juliet := p.Stores("example.com").Log("offline"), addr.MustBare("juliet@example.com")
	add := func(text string) {
		t.Helper()
		if _, err := l.Append(t.Context(), juliet, store.Entry{Stanza: []byte(text)}); err != nil {
			t.Fatal(err)
		}
	}
	add("before")
	if err := l.Sync(t.Context()); err != nil {
		t.Fatal(err)
	}
	server.Exec(t, "ALTER DATABASE "+at.Database+" ALLOW_CONNECTIONS false")
	server.Exec(t, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '"+at.Database+"'")
	add("meanwhile")
	if err := l.Sync(t.Context()); err == nil {
		t.Error("it was written to a server that lets nobody in")
	}
	if err := p.Writable(t.Context()); err == nil {
		t.Error("it says that it can be written to")
	}
	server.Exec(t, "ALTER DATABASE "+at.Database+" ALLOW_CONNECTIONS true")
	if err := l.Sync(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := p.Writable(t.Context()); err != nil {
		t.Error(err)
	}
	found, err := l.Find(t.Context(), juliet, store.Query{})
	if err != nil || len(found.Entries) != 2 || string(found.Entries[1].Stanza) != "meanwhile" {
		t.Errorf("found %v, %v", found, err)
	}
}
