package store

import (
	"bytes"
	"context"
	"database/sql"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"rosterd/engine/addr"
)

// When the log is taken over, by how much is in it and who writes.
func TestTidierWaits(t *testing.T) {
	for _, c := range []struct {
		name   string
		pages  int           // that each who writes adds
		every  time.Duration // between them
		writes int
		want   time.Duration // when it is done; 0: it is not
	}{
		{"a little", 10, time.Millisecond, 5, 0},
		{"much, and nobody writes any more", worthwhile, time.Millisecond, 1, calm},
		{"much, while others write", worthwhile, 300 * time.Millisecond, 8, 7*300*time.Millisecond + glance + calm},
		{"too much to wait", enough / 2, 300 * time.Millisecond, 20, 300*time.Millisecond + glance},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				pages, start, when := make(chan int, 1), time.Now(), time.Duration(0)
				pages <- 0
				tidier := startTidier(func(context.Context) int {
					n := <-pages
					pages <- n
					return n
				}, func(context.Context) {
					if <-pages; when == 0 {
						when = time.Since(start)
					}
					pages <- 0
				})
				for range c.writes {
					pages <- <-pages + c.pages
					tidier.wrote()
					time.Sleep(c.every)
				}
				time.Sleep(2 * calm)
				tidier.close()
				if when != c.want {
					t.Errorf("it was done after %v, want %v", when, c.want)
				}
			})
		})
	}
}

// Who writes much makes no checkpoint, and the tidier leaves nothing.
func TestTidy(t *testing.T) {
	path := filepath.Join(t.TempDir(), "data.sqlite")
	s, err := Open(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	s.tidier.close() // it would do the same in a while
	batch := map[addr.Bare]rosterChange{}
	for i := range 300 {
		batch[addr.MustBare(fmt.Sprintf("u%d@example.com", i))] = rosterChange{doc: make([]byte, 16<<10)}
	}
	if err := s.rosters.commit(batch); err != nil {
		t.Fatal(err)
	}
	if n := s.unlogged(t.Context()); n < worthwhile {
		t.Errorf("%d pages are left in the log after a commit, want more than %d", n, worthwhile)
	}
	s.tidy(t.Context())
	if n := s.unlogged(t.Context()); n != 0 {
		t.Errorf("%d pages are left in the log", n)
	}
	size := func() int64 {
		info, err := os.Stat(path + "-wal")
		if err != nil {
			t.Fatal(err)
		}
		return info.Size()
	}
	before := size()
	if err := s.rosters.commit(batch); err != nil {
		t.Fatal(err)
	}
	if after := size(); after != before {
		t.Errorf("the log has grown from %d to %d bytes: it did not begin anew", before, after)
	}
}

// After a storm the log's file gives back what it needed for that, when it begins anew.
func TestLogShrinks(t *testing.T) {
	path := filepath.Join(t.TempDir(), "data.sqlite")
	s, err := Open(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	s.tidier.close()
	write := func(n int) (size int64) {
		t.Helper()
		batch := map[addr.Bare]rosterChange{}
		doc := bytes.Repeat([]byte{byte(n)}, 16<<10) // what is the same is not written again
		for i := range n {
			batch[addr.MustBare(fmt.Sprintf("u%d@example.com", i))] = rosterChange{doc: doc}
		}
		if err := s.rosters.commit(batch); err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(path + "-wal")
		if err != nil {
			t.Fatal(err)
		}
		return info.Size()
	}
	if size := write(kept/16384 + 200); size <= kept {
		t.Fatalf("the log has only %d bytes", size)
	}
	s.tidy(t.Context())
	if size := write(1); size != kept {
		t.Errorf("it has %d bytes when it began anew, want %d", size, kept)
	}
}

// That checkpoints fail is said once, and so is that they do not any more.
func TestUntidy(t *testing.T) {
	log := &lines{}
	s, err := Open(filepath.Join(t.TempDir(), "data.sqlite"), slog.New(log))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	s.tidier.close()
	s.tidier = nil
	try := func() {
		for range 3 {
			s.unlogged(t.Context())
			s.tidy(t.Context())
		}
	}
	try()
	if got := log.String(); got != "" {
		t.Errorf("logged %q", got)
	}
	if err := s.checks.Close(); err != nil {
		t.Fatal(err)
	}
	ended, end := context.WithCancel(t.Context())
	end()
	s.tidy(ended)
	if got := log.String(); got != "" {
		t.Errorf("logged at the end %q", got)
	}
	const failed, again = "ERROR a database's log is not taken over into its file: it grows", "INFO a database's log is taken over again"
	if try(); log.String() != failed {
		t.Errorf("logged %q", log)
	}
	if s.checks, err = sql.Open("sqlite", dsn(s.path, "NORMAL")); err != nil {
		t.Fatal(err)
	}
	if try(); log.String() != failed+"\n"+again {
		t.Errorf("logged %q", log)
	}
}
