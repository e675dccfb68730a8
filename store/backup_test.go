package store

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"rosterd/engine/addr"
	"rosterd/store/credential"
)

// filled is a store with an account, a value of a plugin and, committed, a roster.
func filled(t *testing.T, path string) *Store {
	t.Helper()
	s := open(t, path)
	if err := errors.Join(s.AddUser(t.Context(), juliet, derive(t, "SHA-1", "secret")), s.SaveRoster(t.Context(), juliet, []byte("{}")),
		s.SaveValue(t.Context(), juliet.Domain(), "crm", "st", "key", []byte("value"), 0)); err != nil {
		t.Fatal(err)
	}
	commit(t, s)
	return s
}

// commit returns when what was queued is in the file.
func commit(t *testing.T, s *Store) {
	t.Helper()
	for {
		s.rosters.mu.Lock()
		backlog, settled := s.rosters.backlog, s.rosters.settled
		s.rosters.mu.Unlock()
		if backlog == 0 {
			return
		}
		<-settled
	}
}

func names(t *testing.T, dir string) (list []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		list = append(list, e.Name())
	}
	return list
}

// TestBackup: a copy is whole whether or not somebody has the database open, and is a store like any other.
func TestBackup(t *testing.T) {
	for _, tt := range []struct {
		name string
		open bool
		to   string
	}{
		{"while it is open", true, "copy"},
		{"while it is closed", false, "copy"},
		{"an odd name", true, "file:a?b#c%20d 'e"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			path, dir := filepath.Join(t.TempDir(), "db"), t.TempDir()
			s := filled(t, path)
			if !tt.open {
				if err := s.Close(); err != nil {
					t.Fatal(err)
				}
			}
			to := filepath.Join(dir, tt.to)
			c, err := Backup(t.Context(), path, to, false)
			if want := (Contents{Accounts: 1, Rosters: 1}); c != want || err != nil {
				t.Fatalf("backup: %+v, %v", c, err)
			}
			if got := names(t, dir); !slices.Equal(got, []string{tt.to}) {
				t.Errorf("there is %q", got)
			}
			if info, err := os.Stat(to); err != nil || info.Mode().Perm() != 0o600 {
				t.Errorf("mode %v, %v", info.Mode(), err)
			}
			restored := open(t, to)
			if c, err := restored.Credentials(t.Context(), juliet); err != nil || !c.Verify("secret") {
				t.Errorf("the account: %v, %v", c, err)
			}
			if doc, ok, err := restored.LoadRoster(t.Context(), juliet); string(doc) != "{}" || !ok || err != nil {
				t.Errorf("the roster: %q, %v, %v", doc, ok, err)
			}
			if v, ok, err := restored.LoadValue(t.Context(), juliet.Domain(), "crm", "st", "key"); string(v) != "value" || !ok || err != nil {
				t.Errorf("the value: %q, %v, %v", v, ok, err)
			}
		})
	}
}

// TestBackupReplaces: a file that is there is replaced only if that is wanted, and then by the new copy.
func TestBackupReplaces(t *testing.T) {
	dir := t.TempDir()
	path, to := filepath.Join(dir, "db"), filepath.Join(dir, "copy")
	s := filled(t, path)
	if err := os.WriteFile(to, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Backup(t.Context(), path, to, false); !errors.Is(err, fs.ErrExist) || !strings.Contains(err.Error(), to) {
		t.Errorf("without a word: %v", err)
	}
	if b, err := os.ReadFile(to); string(b) != "precious" || err != nil {
		t.Errorf("the file is now %q, %v", b, err)
	}
	if err := put(to+".other", to, false); err == nil {
		t.Error("what is not there was put")
	}
	if c, err := Backup(t.Context(), path, to, true); c.Accounts != 1 || err != nil {
		t.Errorf("to replace: %+v, %v", c, err)
	}
	if err := s.AddUser(t.Context(), romeo, credential.Credentials{}); err != nil {
		t.Fatal(err)
	}
	if c, err := Backup(t.Context(), path, to, true); c.Accounts != 2 || err != nil {
		t.Errorf("once more: %+v, %v", c, err)
	}
}

// TestBackupRaces: a file that appears meanwhile is not replaced either.
func TestBackupRaces(t *testing.T) {
	dir := t.TempDir()
	tmp, to := filepath.Join(dir, "tmp"), filepath.Join(dir, "copy")
	for _, f := range []string{tmp, to} {
		if err := os.WriteFile(f, []byte(f), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := put(tmp, to, false); !errors.Is(err, fs.ErrExist) {
		t.Errorf("error %v", err)
	}
	if b, err := os.ReadFile(to); string(b) != to || err != nil {
		t.Errorf("the file is now %q, %v", b, err)
	}
}

// TestBackupRefuses: what cannot be backed up leaves nothing behind.
func TestBackupRefuses(t *testing.T) {
	from := t.TempDir()
	sound := filepath.Join(from, "db")
	filled(t, sound)
	file := func(name, content string) string {
		path := filepath.Join(from, name)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	foreign := filepath.Join(from, "foreign")
	s := open(t, foreign)
	if _, err := s.db.Exec(`PRAGMA application_id = 1`); err != nil {
		t.Fatal(err)
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	for _, tt := range []struct {
		name, from, to, want string
		ctx                  context.Context
	}{
		{"no database", filepath.Join(from, "nothing"), "copy", "no such file", t.Context()},
		{"an empty file", file("empty", ""), "copy", "nothing in it", t.Context()},
		{"no database at all", file("garbage", strings.Repeat("no database", 1000)), "copy", "not a database", t.Context()},
		{"of another program", foreign, "copy", "another program", t.Context()},
		{"no such folder", sound, "nowhere/copy", "no such file", t.Context()},
		{"given up", sound, "copy", "canceled", gone},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			_, err := Backup(tt.ctx, tt.from, filepath.Join(dir, tt.to), false)
			if err == nil || !strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), tt.from) {
				t.Errorf("error %v", err)
			}
			if left := names(t, dir); len(left) > 0 {
				t.Errorf("left behind: %q", left)
			}
		})
	}
	if _, err := os.Stat(filepath.Join(from, "nothing")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a database was made: %v", err)
	}
}

// TestBackupFindsDamage: a copy that is not sound does not pass for a backup.
func TestBackupFindsDamage(t *testing.T) {
	dir := t.TempDir()
	path, copied := filepath.Join(dir, "db"), filepath.Join(dir, "copy")
	s := open(t, path)
	for i := range 500 {
		if err := s.SaveRoster(t.Context(), addr.MustBare(fmt.Sprintf("user%d@example.com", i)), make([]byte, 500)); err != nil {
			t.Fatal(err)
		}
	}
	commit(t, s)
	if _, err := Backup(t.Context(), path, copied, false); err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(copied, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	const page = 4096
	_, err = f.WriteAt(make([]byte, 5*page), 5*page)
	if err := errors.Join(err, f.Close()); err != nil {
		t.Fatal(err)
	}
	if _, err := inspect(t.Context(), copied); err == nil || !strings.Contains(err.Error(), copied) {
		t.Errorf("error %v", err)
	}
}

// TestBackupMeanwhile: who writes is not kept from it, and the copy is the database of one moment: accounts are added
// in pairs, and never is there one without the other.
func TestBackupMeanwhile(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "db")
	s := filled(t, path)
	stop, done := make(chan struct{}), make(chan error, 1)
	go func() {
		for i := 0; ; i++ {
			select {
			case <-stop:
				done <- nil
				return
			default:
			}
			_, err := s.db.Exec(`INSERT INTO account (host, name, created, changed) VALUES ('example.com', ?, 0, 0), ('example.net', ?, 0, 0)`, i, i)
			if err != nil {
				done <- err
				return
			}
		}
	}()
	for i := range 10 {
		c, err := Backup(t.Context(), path, filepath.Join(dir, fmt.Sprint("copy", i)), false)
		if err != nil || c.Accounts%2 != 1 || c.Rosters != 1 {
			t.Errorf("%+v, %v", c, err)
		}
	}
	close(stop)
	if err := <-done; err != nil {
		t.Errorf("writing meanwhile: %v", err)
	}
}
