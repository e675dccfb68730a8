package store

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"rosterd/engine/addr"
	"rosterd/store/credential"
)

var quiet = slog.New(slog.DiscardHandler)

func TestMain(m *testing.M) {
	if path := os.Getenv("STORE_TEST_WRITE_AND_WAIT"); path != "" {
		writeAndWait(path)
	}
	os.Exit(m.Run())
}

func open(t *testing.T, path string) *Store {
	t.Helper()
	s, err := Open(path, quiet)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil && !errors.Is(err, ErrClosed) {
			t.Error(err)
		}
	})
	return s
}

// stores are a file, one with an odd name, and memory.
func stores(t *testing.T) map[string]*Store {
	t.Helper()
	memory, err := OpenMemory(quiet)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := memory.Close(); err != nil {
			t.Error(err)
		}
	})
	return map[string]*Store{
		"file":   open(t, filepath.Join(t.TempDir(), "new folder", "rosterd.sqlite")),
		"name":   open(t, filepath.Join(t.TempDir(), "a?b#c%20d&e.sqlite")),
		"memory": memory,
	}
}

var (
	juliet = addr.MustBare("juliet@example.com")
	romeo  = addr.MustBare("romeo@example.com")
	other  = addr.MustBare("juliet@example.net")
)

func derive(t *testing.T, h credential.Hash, password string) credential.Credentials {
	t.Helper()
	keys, err := credential.Derive(h, password, credential.NewSalt(), 1)
	if err != nil {
		t.Fatal(err)
	}
	return credential.Credentials{SCRAM: &keys}
}

func TestUsers(t *testing.T) {
	for name, s := range stores(t) {
		t.Run(name, func(t *testing.T) {
			ctx := t.Context()
			if _, err := s.Credentials(ctx, juliet); !errors.Is(err, credential.ErrNoUser) || !strings.Contains(err.Error(), "juliet@example.com") {
				t.Errorf("before: %v", err)
			}
			if err := s.SetPassword(ctx, juliet, derive(t, "SHA-1", "a")); !errors.Is(err, credential.ErrNoUser) {
				t.Errorf("password of nobody: %v", err)
			}
			if err := s.AddUser(ctx, juliet, derive(t, "SHA-256", "a")); err != nil {
				t.Fatal(err)
			}
			if err := s.AddUser(ctx, juliet, derive(t, "SHA-256", "b")); !errors.Is(err, ErrUserExists) {
				t.Errorf("added twice: %v", err)
			}
			c, err := s.Credentials(ctx, juliet)
			if err != nil || c.String() != "SCRAM-SHA-256" || !c.Verify("a") || c.Verify("b") {
				t.Errorf("credentials %v, %v", c, err)
			}
			if err := s.SetPassword(ctx, juliet, credential.Credentials{Password: "secret", HasPassword: true}); err != nil {
				t.Error(err)
			}
			c, err = s.Credentials(ctx, juliet)
			if err != nil || c.String() != "password" || !c.Verify("secret") || c.SCRAM != nil {
				t.Errorf("credentials %v, %v", c, err)
			}
			if _, err := s.Credentials(ctx, other); !errors.Is(err, credential.ErrNoUser) {
				t.Errorf("the same name at another host: %v", err)
			}
			if err := s.AddUser(ctx, addr.MustBare("abel@example.com"), credential.Credentials{Disabled: true}); err != nil {
				t.Error(err)
			}
			if err := s.SetPassword(ctx, addr.MustBare("abel@example.com"), derive(t, "SHA-1", "a")); err != nil {
				t.Error(err)
			}
			list, err := s.Users(ctx, "example.com")
			want := "[{abel@example.com sqlite SCRAM-SHA-1 true false <nil>} {juliet@example.com sqlite password false false <nil>}]"
			if got := fmt.Sprint(list); got != want || err != nil {
				t.Errorf("list %s, %v", got, err)
			}
			if err := s.DeleteUser(ctx, juliet); err != nil {
				t.Error(err)
			}
			if err := s.DeleteUser(ctx, juliet); !errors.Is(err, credential.ErrNoUser) {
				t.Errorf("deleted twice: %v", err)
			}
		})
	}
}

// Keys that do not fit are an error, not a user who cannot log in for no reason.
func TestBrokenRow(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "db"))
	if err := s.AddUser(t.Context(), juliet, derive(t, "SHA-1", "a")); err != nil {
		t.Fatal(err)
	}
	if _, err := s.db.Exec(`UPDATE account SET stored_key = x'00'`); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Credentials(t.Context(), juliet); err == nil || !strings.Contains(err.Error(), s.path) || errors.Is(err, credential.ErrNoUser) {
		t.Errorf("error %v", err)
	}
	if list, err := s.Users(t.Context(), "example.com"); err != nil || len(list) != 1 || list[0].Err == nil {
		t.Errorf("list %v, %v", list, err)
	}
}

func TestSecret(t *testing.T) {
	path := filepath.Join(t.TempDir(), "db")
	s := open(t, path)
	first, err := s.Secret(t.Context(), "salt")
	if err != nil || len(first) != 32 {
		t.Fatalf("secret of %d bytes, %v", len(first), err)
	}
	if other, err := s.Secret(t.Context(), "other"); err != nil || bytes.Equal(other, first) {
		t.Errorf("another is the same (%v)", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if again, err := open(t, path).Secret(t.Context(), "salt"); err != nil || !bytes.Equal(again, first) {
		t.Errorf("after reopening it is another (%v)", err)
	}
}

func TestPrivate(t *testing.T) {
	path := filepath.Join(t.TempDir(), "db")
	s := open(t, path)
	if err := s.AddUser(t.Context(), juliet, derive(t, "SHA-1", "a")); err != nil {
		t.Fatal(err)
	}
	for _, suffix := range []string{"", "-wal", "-shm"} {
		info, err := os.Stat(path + suffix)
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", suffix, info.Mode(), err)
		}
	}
}

// Who runs the server as a user of its own may still use "rosterd user" as root, even before the first start. Only
// root can give a folder to somebody else; for others it is their own.
func TestDatabaseBelongsToWhomItsFolderDoes(t *testing.T) {
	dir := t.TempDir()
	if os.Geteuid() == 0 {
		if err := os.Chown(dir, 65534, 65534); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.Stat(dir)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "rosterd.sqlite")
	open(t, path)
	for _, name := range []string{path, path + "-wal", path + "-shm"} {
		if is, err := os.Stat(name); err != nil || owner(is) != owner(want) {
			t.Errorf("%s belongs to %v (%v), its folder to %v", name, is, err, owner(want))
		}
	}
}

func TestOpenRefuses(t *testing.T) {
	dir := t.TempDir()
	newer := filepath.Join(dir, "newer")
	s := open(t, newer)
	if _, err := s.db.Exec(`PRAGMA user_version = 99`); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	foreign := filepath.Join(dir, "foreign")
	s = open(t, foreign)
	if _, err := s.db.Exec(`PRAGMA application_id = 1`); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	garbage := filepath.Join(dir, "garbage")
	if err := os.WriteFile(garbage, bytes.Repeat([]byte("no database"), 1000), 0o600); err != nil {
		t.Fatal(err)
	}
	tests := []struct{ name, path, want string }{
		{"newer", newer, "schema 99 is of a newer version"},
		{"foreign", foreign, "another program"},
		{"garbage", garbage, "not a database"},
		{"folder", dir, "is a directory"},
		{"in a file", filepath.Join(garbage, "x"), "not a directory"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := Open(tt.path, quiet)
			if err == nil || !strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), filepath.Dir(tt.path)) {
				t.Errorf("error %v", err)
			}
		})
	}
	if got, err := os.ReadFile(garbage); err != nil || !bytes.HasPrefix(got, []byte("no database")) {
		t.Errorf("the file was changed: %.20q, %v", got, err)
	}
}

// A server and the command line, say.
func TestTwoAtOnce(t *testing.T) {
	path := filepath.Join(t.TempDir(), "db")
	var wg sync.WaitGroup
	for i := range 2 {
		wg.Go(func() { // opened at once, too: one of them makes the tables
			s, err := Open(path, quiet)
			if err != nil {
				t.Error(err)
				return
			}
			for j := range 20 {
				user := addr.MustBare(fmt.Sprintf("user%d-%d@example.com", i, j))
				if err := errors.Join(s.AddUser(t.Context(), user, credential.Credentials{}), s.SaveRoster(t.Context(), user, []byte("{}"))); err != nil {
					t.Error(err)
				}
			}
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	s := open(t, path)
	if list, err := s.Users(t.Context(), "example.com"); err != nil || len(list) != 40 {
		t.Errorf("%d users, %v", len(list), err)
	}
	if _, ok, err := s.LoadRoster(t.Context(), addr.MustBare("user1-19@example.com")); !ok || err != nil {
		t.Errorf("roster there: %v, %v", ok, err)
	}
}

// A lookup that is given up leaves the connection, and with it a store in memory, as it was.
func TestCancelled(t *testing.T) {
	for name, s := range stores(t) {
		t.Run(name, func(t *testing.T) {
			if err := s.AddUser(t.Context(), juliet, credential.Credentials{}); err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			if _, err := s.Credentials(ctx, juliet); !errors.Is(err, context.Canceled) {
				t.Errorf("cancelled: %v", err)
			}
			if _, err := s.Credentials(t.Context(), juliet); err != nil {
				t.Error(err)
			}
		})
	}
}

// writeAndWait is a process that is killed: it says when its account and its value are written.
func writeAndWait(path string) {
	s, err := Open(path, quiet)
	if err == nil {
		err = s.AddUser(context.Background(), juliet, credential.Credentials{Password: "secret", HasPassword: true})
	}
	if err == nil {
		err = s.SaveValue(context.Background(), juliet.Domain(), "crm", "", "key", []byte("value"), 0)
	}
	fmt.Println("written:", err)
	_, _ = io.Copy(io.Discard, os.Stdin)
	os.Exit(3)
}

func TestKilled(t *testing.T) {
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "db")
	cmd := exec.Command(exe)
	cmd.Env = append(os.Environ(), "STORE_TEST_WRITE_AND_WAIT="+path)
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdin, err := cmd.StdinPipe() // never written to: the process waits
	if err != nil {
		t.Fatal(err)
	}
	defer stdin.Close()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil || line != "written: <nil>\n" {
		t.Errorf("process says %q, %v", line, err)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err == nil {
		t.Error("process was not killed")
	}
	if c, err := open(t, path).Credentials(t.Context(), juliet); err != nil || !c.Verify("secret") {
		t.Errorf("after the kill: %v, %v", c, err)
	}
	if v, ok, err := open(t, path).LoadValue(t.Context(), juliet.Domain(), "crm", "", "key"); string(v) != "value" || !ok || err != nil {
		t.Errorf("value after the kill: %q, %v, %v", v, ok, err)
	}
}
