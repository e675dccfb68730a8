package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// values is what is in the tables: how many, and what they count for.
func (s *Store) values(t *testing.T) (rows, bytes int) {
	t.Helper()
	if err := s.db.QueryRow(`SELECT count(*), (SELECT ifnull(sum(bytes), 0) FROM plugin_size) FROM plugin_value`).Scan(&rows, &bytes); err != nil {
		t.Fatal(err)
	}
	return rows, bytes
}

// TestValueSize: what counts is what is there, whatever was done to it.
func TestValueSize(t *testing.T) {
	for name, s := range stores(t) {
		t.Run(name, func(t *testing.T) {
			save := func(host, key, value string, gone bool) {
				t.Helper()
				b := []byte(value)
				if gone {
					b = nil
				}
				if err := s.SaveValue(t.Context(), host, "crm", "st", key, b, 0); err != nil {
					t.Fatal(err)
				}
			}
			want := func(rows, bytes int) {
				t.Helper()
				if r, b := s.values(t); r != rows || b != bytes {
					t.Errorf("%d values of %d bytes, want %d of %d", r, b, rows, bytes)
				}
			}
			save("a.example", "key", "value", false)
			want(1, 10)
			save("a.example", "key", "longer value", false)
			want(1, 17)
			save("b.example", "\x00\xff", "", false)
			want(2, 21)
			save("a.example", "key", "", true)
			want(1, 4)
			save("a.example", "key", "", true)
			want(1, 4)
			save("b.example", "\x00\xff", strings.Repeat("x", MaxValues-4), false)
			want(1, MaxValues)
			if err := s.SaveValue(t.Context(), "b.example", "crm", "", "k", []byte{}, 0); !errors.Is(err, ErrFull) ||
				!strings.Contains(err.Error(), "values of plugin crm of b.example in "+s.path+": no room: 1048576 bytes are kept and 1 more would be beyond 1 MiB") {
				t.Errorf("one byte more: %v", err)
			}
			want(1, MaxValues)
		})
	}
}

func TestValueExpiry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "db")
		s := open(t, path)
		for i, ttl := range []time.Duration{0, time.Hour, 2 * time.Hour} {
			if err := s.SaveValue(t.Context(), "a.example", "crm", "", fmt.Sprint(i), []byte("x"), ttl); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(time.Hour)
		if _, ok, err := s.LoadValue(t.Context(), "a.example", "crm", "", "1"); ok || err != nil {
			t.Errorf("found %v, %v", ok, err)
		}
		if rows, _ := s.values(t); rows != 3 {
			t.Errorf("reading writes: %d values", rows)
		}
		if err := s.SaveValue(t.Context(), "b.example", "hr", "", "k", nil, 0); err != nil { // of another one's, and nothing
			t.Fatal(err)
		}
		if rows, bytes := s.values(t); rows != 2 || bytes != 4 {
			t.Errorf("after a save %d values of %d bytes are there", rows, bytes)
		}
		time.Sleep(time.Hour)
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		s = open(t, path)
		if rows, bytes := s.values(t); rows != 1 || bytes != 2 {
			t.Errorf("after a start %d values of %d bytes are there", rows, bytes)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	})
}

// TestValuesAtOnce: many save, while rosters are written and others read.
func TestValuesAtOnce(t *testing.T) {
	for name, s := range stores(t) {
		t.Run(name, func(t *testing.T) {
			var all sync.WaitGroup
			for i := range 8 {
				all.Go(func() {
					key := fmt.Sprint(i)
					for j := range 20 {
						want := []byte(fmt.Sprint(j))
						err := errors.Join(s.SaveValue(t.Context(), "a.example", "crm", "", key, want, 0), s.SaveRoster(t.Context(), romeo, want))
						if got, ok, lerr := s.LoadValue(t.Context(), "a.example", "crm", "", key); err != nil || lerr != nil || !ok || !bytes.Equal(got, want) {
							t.Errorf("%s: %q, %v, want %q; %v, %v", key, got, ok, want, err, lerr)
						}
					}
				})
			}
			all.Wait()
			if rows, bytes := s.values(t); rows != 8 || bytes != 8*3 {
				t.Errorf("%d values of %d bytes", rows, bytes)
			}
		})
	}
}

func TestValueCancelled(t *testing.T) {
	for name, s := range stores(t) {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			if err := s.SaveValue(ctx, "a.example", "crm", "", "k", []byte("x"), 0); !errors.Is(err, context.Canceled) {
				t.Errorf("saved: %v", err)
			}
			if _, _, err := s.LoadValue(ctx, "a.example", "crm", "", "k"); !errors.Is(err, context.Canceled) {
				t.Errorf("loaded: %v", err)
			}
			if _, ok, err := s.LoadValue(t.Context(), "a.example", "crm", "", "k"); ok || err != nil {
				t.Errorf("afterwards: %v, %v", ok, err)
			}
			if err := s.SaveValue(t.Context(), "a.example", "crm", "", "k", []byte("x"), 0); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestValuesOfAClosedStore(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "db"))
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	_, _, err := s.LoadValue(t.Context(), "a.example", "crm", "", "k")
	if serr := s.SaveValue(t.Context(), "a.example", "crm", "", "k", []byte("x"), 0); err == nil || serr == nil {
		t.Errorf("errors %v, %v", err, serr)
	}
}

// TestMigrateToValues: a database of the version before there were values gets them, and keeps what it has.
func TestMigrateToValues(t *testing.T) {
	path := filepath.Join(t.TempDir(), "db")
	s := filled(t, path)
	if _, err := s.db.Exec(`DROP TABLE plugin_value; DROP TABLE plugin_size; DROP TABLE keyed; DROP TABLE log; DROP TABLE entry; PRAGMA user_version = 2`); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if c, err := Backup(t.Context(), path, path+".copy", false); err != nil || c != (Contents{1, 1}) {
		t.Errorf("a backup of what is not migrated yet: %+v, %v", c, err)
	}
	s = open(t, path)
	if err := s.SaveValue(t.Context(), "a.example", "crm", "", "k", []byte("x"), 0); err != nil {
		t.Error(err)
	}
	if _, ok, err := s.LoadRoster(t.Context(), juliet); !ok || err != nil {
		t.Errorf("roster: %v, %v", ok, err)
	}
}

func BenchmarkValues(b *testing.B) {
	s, err := Open(filepath.Join(b.TempDir(), "db"), quiet)
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	value := make([]byte, 100)
	b.Run("save", func(b *testing.B) {
		for b.Loop() {
			if err := s.SaveValue(b.Context(), "a.example", "crm", "", "k", value, time.Hour); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("load", func(b *testing.B) {
		for b.Loop() {
			if _, ok, err := s.LoadValue(b.Context(), "a.example", "crm", "", "k"); !ok || err != nil {
				b.Fatal(err)
			}
		}
	})
}
