package store

import (
	"context"
	"database/sql"
	"encoding/binary"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"rosterd/engine/addr"
	"rosterd/store/credential"
)

// noted tells whether a reader can begin without a note of how far it reads: there is one of the last frame of the log
// (https://sqlite.org/walformat.html, §2.1).
func noted(t *testing.T, path string) (frames uint32, ok bool) {
	t.Helper()
	b, err := os.ReadFile(path + "-shm")
	if err != nil {
		t.Fatal(err)
	}
	u32 := func(at int) uint32 { return binary.NativeEndian.Uint32(b[at:]) }
	frames = u32(16)
	return frames, slices.Contains([]uint32{u32(104), u32(108), u32(112), u32(116)}, frames)
}

// Whatever was written, nobody who reads afterwards has to write to mapped memory.
func TestNoted(t *testing.T) {
	path := filepath.Join(t.TempDir(), "data.sqlite")
	s, err := Open(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	ctx, user := t.Context(), addr.MustBare("romeo@example.com")
	c := func(password string) credential.Credentials {
		return credential.Credentials{Password: password, HasPassword: true}
	}
	for _, w := range []struct {
		name  string
		write func() error
	}{
		{"an account", func() error { return s.AddUser(ctx, user, c("x")) }},
		{"a password", func() error { return s.SetPassword(ctx, user, c("y")) }},
		{"a value", func() error { return s.SaveValue(ctx, "example.com", "p", "s", "k", []byte{1}, 0) }},
		{"no value any more", func() error { return s.SaveValue(ctx, "example.com", "p", "s", "k", nil, 0) }},
		{"a secret", func() error { _, err := s.Secret(ctx, "x"); return err }},
		{"what a user stores", func() error {
			return s.Stores("example.com").Keyed("private").Change(ctx, user, map[string][]byte{"": {1}})
		}},
		{"a roster", func() error {
			if err := s.SaveFresh(ctx, user, []byte("{}"), time.Now().Add(time.Hour)); err != nil {
				return err
			}
			for {
				s.rosters.mu.Lock()
				settled, left := s.rosters.settled, len(s.rosters.queued)+len(s.rosters.writing)
				s.rosters.mu.Unlock()
				if left == 0 {
					return nil
				}
				<-settled
			}
		}},
		{"what is stale", func() error { return s.Spoil(ctx, []addr.Bare{user}) }},
		{"no account any more", func() error { return s.DeleteUser(ctx, user) }},
	} {
		before, _ := noted(t, path)
		if err := w.write(); err != nil {
			t.Fatalf("%s: %v", w.name, err)
		}
		if frames, ok := noted(t, path); !ok || frames == before {
			t.Errorf("%s: %d frames after %d, noted: %t", w.name, frames, before, ok)
		}
	}
}

// Who reads for long does not hold those who write.
func TestReadersDoNotHoldTheWriter(t *testing.T) {
	s, err := Open(filepath.Join(t.TempDir(), "data.sqlite"), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for range sqliteReaders {
		rows, err := s.db.QueryContext(t.Context(), `SELECT value FROM json_each('[1,2]')`)
		if err != nil {
			t.Fatal(err)
		}
		defer rows.Close()
		rows.Next()
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	if err := s.tables.writer.change(ctx, func(context.Context, *sql.Tx, *batch) error { return nil }); err != nil {
		t.Error(err)
	}
}
