//go:build unix

package store

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"rosterd/engine/addr"
	"rosterd/store/credential"
)

// accounts are those of three hosts: one in SQLite alone, one whose accounts Prosody has, and one for which
// Prosody's folder has none.
func accounts(t *testing.T) *Accounts {
	t.Helper()
	data := copyOf(t, prosody012)
	return &Accounts{
		Store: open(t, filepath.Join(t.TempDir(), "db")),
		Hosts: map[string]Host{
			"example.net":   {Hash: credential.SHA256, Iterations: 20},
			"example.com":   {DataPath: data, Iterations: 20},
			"plain.example": {DataPath: data, StorePasswords: true},
			"new.example":   {DataPath: data, Iterations: 20},
		},
	}
}

func TestAdd(t *testing.T) {
	a := accounts(t)
	if err := os.WriteFile(folder(a.Hosts["example.com"].DataPath).file(addr.MustBare("broken@example.com")), []byte("return {"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := a.Store.AddUser(t.Context(), addr.MustBare("benvolio@example.com"), credential.Credentials{}); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		user, password string
		place          Place
		kept           string
		err            error
	}{
		{"juliet@example.net", "secret", SQLite, "SCRAM-SHA-256", nil},
		{"juliet@example.net", "secret", SQLite, "", ErrUserExists},
		{"nurse@example.com", "secret", Prosody, "SCRAM-SHA-1", nil},
		{"nurse@example.com", "secret", Prosody, "", ErrUserExists},
		{"juliet@example.com", "secret", Prosody, "", ErrUserExists},
		{"broken@example.com", "secret", Prosody, "", ErrUserExists},
		{"benvolio@example.com", "secret", SQLite, "", ErrUserExists},
		{"nurse@plain.example", "I\u00adX", Prosody, "password", nil},
		{"juliet@new.example", "secret", SQLite, "SCRAM-SHA-1", nil},
		{"paris@example.com", "", "", "", credential.ErrPassword},
		{"paris@example.com", "a\nb", "", "", credential.ErrPassword},
	}
	for _, tt := range tests {
		t.Run(tt.user, func(t *testing.T) {
			user := addr.MustBare(tt.user)
			place, err := a.Add(t.Context(), user, tt.password)
			if place != tt.place || !errors.Is(err, tt.err) {
				t.Fatalf("%s, %v, want %s, %v", place, err, tt.place, tt.err)
			}
			if err != nil {
				if !strings.Contains(err.Error(), tt.user) {
					t.Errorf("error names nobody: %v", err)
				}
				return
			}
			c, err := a.Credentials(t.Context(), user)
			if err != nil || c.String() != tt.kept || !c.Verify(tt.password) {
				t.Errorf("%v, %v, want %s", c, err, tt.kept)
			}
			if c.SCRAM != nil && c.SCRAM.Iterations != 20 {
				t.Errorf("%d iterations", c.SCRAM.Iterations)
			}
		})
	}
	if c, err := a.Credentials(t.Context(), addr.MustBare("nurse@plain.example")); err != nil || c.Password != "IX" {
		t.Errorf("the password is not prepared: %q, %v", c.Password, err)
	}
	for _, user := range []string{"example.com", "juliet@elsewhere.example"} {
		if _, err := a.Add(t.Context(), addr.MustBare(user), "secret"); err == nil || !strings.Contains(err.Error(), "elsewhere.example") && !strings.Contains(err.Error(), "localpart") {
			t.Errorf("%s: %v", user, err)
		}
	}
}

func TestSetPassword(t *testing.T) {
	a := accounts(t)
	both := addr.MustBare("romeo@example.com")
	if err := a.Store.AddUser(t.Context(), both, derive(t, "SHA-1", "in sqlite")); err != nil {
		t.Fatal(err)
	}
	if err := a.Store.AddUser(t.Context(), other, derive(t, "SHA-1", "old")); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name, user string
		place      Place
		kept       string
		iterations int
	}{
		{"in SQLite", "juliet@example.net", SQLite, "SCRAM-SHA-256", 20},
		{"in a file: the count does not go down", "juliet@example.com", Prosody, "SCRAM-SHA-1", 10000},
		{"a plain password", "juliet@plain.example", Prosody, "password", 0},
		{"in both", "romeo@example.com", SQLite, "SCRAM-SHA-1", 20},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			user := addr.MustBare(tt.user)
			place, err := a.SetPassword(t.Context(), user, "another")
			if place != tt.place || err != nil {
				t.Fatalf("%s, %v", place, err)
			}
			c, err := a.Credentials(t.Context(), user)
			if err != nil || c.String() != tt.kept || !c.Verify("another") || iterations(c) != tt.iterations {
				t.Errorf("%v with %d iterations, %v", c, iterations(c), err)
			}
		})
	}
	if c, err := folder(a.Hosts["example.com"].DataPath).credentials(both); err != nil || !c.Verify("wherefore") {
		t.Errorf("the file that does not count was changed: %v", err)
	}
	if _, err := a.SetPassword(t.Context(), addr.MustBare("nobody@example.com"), "x"); !errors.Is(err, credential.ErrNoUser) {
		t.Errorf("nobody: %v", err)
	}
	if _, err := a.SetPassword(t.Context(), juliet, ""); !errors.Is(err, credential.ErrPassword) {
		t.Errorf("no password: %v", err)
	}
	broken := folder(a.Hosts["example.com"].DataPath).file(juliet)
	if err := os.WriteFile(broken, []byte("return {\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := a.SetPassword(t.Context(), juliet, "x"); err == nil || !strings.Contains(err.Error(), broken+": line 2") {
		t.Errorf("broken: %v", err)
	}
	if got, err := os.ReadFile(broken); err != nil || string(got) != "return {\n" {
		t.Errorf("the broken file was changed: %q, %v", got, err)
	}
}

// A password that is kept as it is becomes a hash of it, in either place, once; who is disabled stays so.
func TestUpgrade(t *testing.T) {
	a := accounts(t)
	data := a.Hosts["plain.example"].DataPath
	a.Hosts["plain.example"] = Host{DataPath: data, Iterations: 20}
	plain := credential.Credentials{Password: "kept", HasPassword: true}
	if err := a.Store.AddUser(t.Context(), addr.MustBare("romeo@example.net"), plain); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		user, password string
		place          Place
		done           bool
		kept           string
	}{
		{"juliet@plain.example", "R0m30MyR0m30", Prosody, true, "SCRAM-SHA-1"},
		{"romeo@example.net", "kept", SQLite, true, "SCRAM-SHA-256"},
		{"romeo@example.com", "wherefore", Prosody, false, "SCRAM-SHA-1"},
	} {
		user := addr.MustBare(tt.user)
		before, err := a.Credentials(t.Context(), user)
		if err != nil {
			t.Fatal(err)
		}
		for _, done := range []bool{tt.done, false} {
			if place, did, err := a.Upgrade(t.Context(), user); place != tt.place || did != done || err != nil {
				t.Errorf("%s: %s, %v, %v", user, place, did, err)
			}
		}
		c, err := a.Credentials(t.Context(), user)
		if err != nil || c.String() != tt.kept || !c.Verify(tt.password) || c.HasPassword || c.Disabled != before.Disabled {
			t.Errorf("%s: %v, %v; was %v", user, c, err, before)
		}
	}
	if _, _, err := a.Upgrade(t.Context(), addr.MustBare("nobody@example.com")); !errors.Is(err, credential.ErrNoUser) {
		t.Error(err)
	}
	a.Hosts["plain.example"] = Host{DataPath: data, StorePasswords: true}
	if _, _, err := a.Upgrade(t.Context(), addr.MustBare("juliet@plain.example")); err == nil || !strings.Contains(err.Error(), "kept as they are") {
		t.Error(err)
	}
}

// A password is not hashed any more where it was changed since it was read, or the user deleted.
func TestHashPassword(t *testing.T) {
	a := accounts(t)
	files := folder(a.Hosts["plain.example"].DataPath)
	inFolder, inDatabase, plain := addr.MustBare("juliet@plain.example"), addr.MustBare("juliet@example.net"), credential.Credentials{Password: "new", HasPassword: true}
	if err := a.Store.AddUser(t.Context(), inDatabase, credential.Credentials{Password: "old", HasPassword: true, Disabled: true}); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(a.Store.SetPassword(t.Context(), inDatabase, plain), files.setPassword(inFolder, plain)); err != nil {
		t.Fatal(err)
	}
	for _, step := range []struct {
		password string
		done     bool
		kept     string
	}{{"old", false, "password"}, {"", false, "password"}, {"new", true, "SCRAM-SHA-1"}, {"new", false, "SCRAM-SHA-1"}, {"", false, "SCRAM-SHA-1"}} {
		hashed := derive(t, credential.SHA1, "new")
		if done, err := a.Store.HashPassword(t.Context(), inDatabase, step.password, hashed); done != step.done || err != nil {
			t.Errorf("%q in the database: %v, %v", step.password, done, err)
		}
		if done, err := files.hashPassword(inFolder, step.password, hashed); done != step.done || err != nil {
			t.Errorf("%q in the folder: %v, %v", step.password, done, err)
		}
		for user, disabled := range map[addr.Bare]bool{inFolder: false, inDatabase: true} {
			if c, err := a.Credentials(t.Context(), user); err != nil || c.String() != step.kept || !c.Verify("new") || c.Disabled != disabled {
				t.Errorf("%s after %q: %v, %v", user, step.password, c, err)
			}
		}
	}
	if err := a.Store.DeleteUser(t.Context(), inDatabase); err != nil {
		t.Fatal(err)
	}
	if done, err := a.Store.HashPassword(t.Context(), inDatabase, "new", derive(t, credential.SHA1, "new")); done || err != nil {
		t.Errorf("of nobody: %v, %v", done, err)
	}
}

func TestDelete(t *testing.T) {
	a := accounts(t)
	both := addr.MustBare("romeo@example.com")
	for _, user := range []addr.Bare{both, other} {
		if err := a.Store.AddUser(t.Context(), user, credential.Credentials{}); err != nil {
			t.Fatal(err)
		}
	}
	for _, user := range []addr.Bare{both, other, juliet} {
		if err := a.Store.SaveRoster(t.Context(), user, []byte("{}")); err != nil {
			t.Fatal(err)
		}
	}
	for user, want := range map[addr.Bare]string{both: "[sqlite prosody]", other: "[sqlite]", juliet: "[prosody]"} {
		places, err := a.Delete(t.Context(), user)
		if fmt.Sprint(places) != want || err != nil {
			t.Errorf("%s: %v, %v", user, places, err)
		}
		if _, err := a.Credentials(t.Context(), user); !errors.Is(err, credential.ErrNoUser) {
			t.Errorf("%s is still there: %v", user, err)
		}
		if _, ok, err := a.Store.LoadRoster(t.Context(), user); ok || err != nil {
			t.Errorf("roster of %s: %v, %v", user, ok, err)
		}
		if _, err := a.Delete(t.Context(), user); !errors.Is(err, credential.ErrNoUser) {
			t.Errorf("%s deleted twice: %v", user, err)
		}
	}
}

// TestDeleteCutShort: whatever keeps a deletion from its end, no older account and no roster of the deleted one comes to
// light, and the same call can be made again.
func TestDeleteCutShort(t *testing.T) { // romeo is in both places
	for _, tt := range []struct {
		name   string
		user   addr.Bare
		hinder func(t *testing.T, a *Accounts) (undo func())
	}{
		{"the file cannot be removed", romeo, func(t *testing.T, a *Accounts) func() {
			path := folder(a.Hosts["example.com"].DataPath).file(romeo)
			rename := func(from, to string) {
				if err := os.Rename(from, to); err != nil {
					t.Fatal(err)
				}
			}
			rename(path, path+".moved")
			if err := os.MkdirAll(filepath.Join(path, "not empty"), 0o700); err != nil {
				t.Fatal(err)
			}
			return func() {
				if err := os.RemoveAll(path); err != nil {
					t.Fatal(err)
				}
				rename(path+".moved", path)
			}
		}},
		{"the roster cannot be deleted, both places", romeo, hinderRosters},
		{"the roster cannot be deleted, database", other, hinderRosters},
		{"the roster cannot be deleted, folder", juliet, hinderRosters},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a := accounts(t)
			for _, user := range []addr.Bare{romeo, other} {
				if err := a.Store.AddUser(t.Context(), user, derive(t, "SHA-1", "newer")); err != nil {
					t.Fatal(err)
				}
			}
			if err := a.Store.SaveRoster(t.Context(), tt.user, []byte("{}")); err != nil {
				t.Fatal(err)
			}
			commit(t, a.Store)
			before, err := a.Credentials(t.Context(), tt.user)
			if err != nil {
				t.Fatal(err)
			}
			undo := tt.hinder(t, a)
			if places, err := a.Delete(t.Context(), tt.user); err == nil || errors.Is(err, credential.ErrNoUser) {
				t.Errorf("deleted: %v, %v", places, err)
			}
			undo()
			if after, err := a.Credentials(t.Context(), tt.user); err != nil || !reflect.DeepEqual(after, before) {
				t.Errorf("the account is now %v, %v", after, err)
			}
			if _, err := a.Delete(t.Context(), tt.user); err != nil {
				t.Errorf("again: %v", err)
			}
			if _, err := a.Credentials(t.Context(), tt.user); !errors.Is(err, credential.ErrNoUser) {
				t.Errorf("the account is still there: %v", err)
			}
			var rosters int
			if err := a.Store.db.QueryRow(`SELECT count(*) FROM roster`).Scan(&rosters); err != nil || rosters != 0 {
				t.Errorf("%d rosters are in the file when the call has returned, %v", rosters, err)
			}
		})
	}
}

// hinderRosters makes deleting rosters fail until undo is called.
func hinderRosters(t *testing.T, a *Accounts) (undo func()) {
	t.Helper()
	run := func(sql string) {
		if _, err := a.Store.db.Exec(sql); err != nil {
			t.Fatal(err)
		}
	}
	run(`CREATE TRIGGER hinder BEFORE DELETE ON roster BEGIN SELECT RAISE(ABORT, 'not now'); END`)
	return func() { run(`DROP TRIGGER hinder`) }
}

func TestList(t *testing.T) {
	a := accounts(t)
	both := addr.MustBare("romeo@example.com")
	if err := a.Store.AddUser(t.Context(), both, derive(t, "SHA-256", "x")); err != nil {
		t.Fatal(err)
	}
	if err := a.Store.AddUser(t.Context(), addr.MustBare("abel@example.com"), credential.Credentials{}); err != nil {
		t.Fatal(err)
	}
	list, err := a.List(t.Context(), "example.com")
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, acc := range list {
		line := fmt.Sprintf("%s %s %s", acc.User.Local(), acc.Place, acc.Kept)
		if acc.Shadowed {
			line += " shadowed"
		}
		got = append(got, line)
	}
	want := []string{
		"abel sqlite none", "juliet prosody SCRAM-SHA-1", "mercutio prosody SCRAM-SHA-1", "o.mal-ley_1 prosody SCRAM-SHA-1",
		"romeo sqlite SCRAM-SHA-256", "romeo prosody SCRAM-SHA-1 shadowed", "sq prosody SCRAM-SHA-1", "zoë prosody SCRAM-SHA-1",
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("%s", strings.Join(got, "\n"))
	}
	for _, domain := range []string{"example.net", "new.example"} {
		if list, err := a.List(t.Context(), domain); err != nil || len(list) != 0 {
			t.Errorf("%s: %v, %v", domain, list, err)
		}
	}
	if _, err := a.List(t.Context(), "elsewhere.example"); err == nil {
		t.Error("a list of no host")
	}
}

// SQLite that fails is an error, and does not make Prosody's file count.
func TestSQLiteFails(t *testing.T) {
	a := accounts(t)
	if err := a.Store.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := a.Credentials(t.Context(), juliet); err == nil || errors.Is(err, credential.ErrNoUser) {
		t.Errorf("credentials: %v", err)
	}
	if _, err := a.Add(t.Context(), addr.MustBare("nurse@example.com"), "x"); err == nil {
		t.Error("added")
	}
	if _, err := a.Delete(t.Context(), juliet); err == nil || errors.Is(err, credential.ErrNoUser) {
		t.Errorf("deleted: %v", err)
	}
}
