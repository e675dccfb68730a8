package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unsafe"

	"rosterd/engine/addr"
	"rosterd/store/credential"
)

func TestRosters(t *testing.T) {
	for name, s := range stores(t) {
		t.Run(name, func(t *testing.T) {
			ctx := t.Context()
			expect := func(user addr.Bare, want string, there bool) {
				t.Helper()
				doc, ok, err := s.LoadRoster(ctx, user)
				if string(doc) != want || ok != there || err != nil {
					t.Errorf("%s: %q, %v, %v", user, doc, ok, err)
				}
			}
			save := func(user addr.Bare, doc []byte) {
				t.Helper()
				if err := s.SaveRoster(ctx, user, doc); err != nil {
					t.Fatal(err)
				}
			}
			expect(juliet, "", false)
			save(juliet, []byte("one"))
			expect(juliet, "one", true)
			save(juliet, []byte("two"))
			save(romeo, nil)
			expect(juliet, "two", true)
			expect(romeo, "", true)
			expect(other, "", false)
			if err := s.DeleteRoster(ctx, juliet); err != nil {
				t.Error(err)
			}
			expect(juliet, "", false)
			if err := s.AddUser(ctx, romeo, derive(t, "SHA-1", "a")); err != nil {
				t.Error(err)
			}
			if err := s.DeleteUser(ctx, romeo); err != nil {
				t.Error(err)
			}
			expect(romeo, "", false)
		})
	}
}

func TestCloseWrites(t *testing.T) {
	path := filepath.Join(t.TempDir(), "db")
	s := open(t, path)
	for i := range 1000 {
		user := addr.MustBare(fmt.Sprintf("user%d@example.com", i))
		if err := s.SaveRoster(t.Context(), user, []byte(user.String())); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.SaveRoster(t.Context(), juliet, nil); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := s.SaveRoster(t.Context(), juliet, nil); !errors.Is(err, ErrClosed) {
		t.Errorf("after close: %v", err)
	}
	if err := s.Close(); !errors.Is(err, ErrClosed) {
		t.Errorf("closed twice: %v", err)
	}
	s = open(t, path)
	for i := range 1000 {
		user := addr.MustBare(fmt.Sprintf("user%d@example.com", i))
		if doc, ok, err := s.LoadRoster(t.Context(), user); string(doc) != user.String() || !ok || err != nil {
			t.Fatalf("%s: %q, %v, %v", user, doc, ok, err)
		}
	}
	if doc, ok, err := s.LoadRoster(t.Context(), juliet); len(doc) > 0 || !ok || err != nil {
		t.Errorf("a roster of no bytes: %q, %v, %v", doc, ok, err)
	}
}

// writer is a rosterWriter whose commits run when the test calls flush.
func writer(t *testing.T, log *slog.Logger) (*rosterWriter, *Store) {
	t.Helper()
	s := open(t, filepath.Join(t.TempDir(), "db"))
	return newRosterWriter(s.bulk, &s.turn, log), s
}

// breakRosters makes writing fail until the function that it returns is called.
func breakRosters(t *testing.T, s *Store) (repair func()) {
	t.Helper()
	run := func(sql string) {
		if _, err := s.db.Exec(sql); err != nil {
			t.Fatal(err)
		}
	}
	run(`CREATE TRIGGER broken BEFORE INSERT ON roster BEGIN SELECT RAISE(ABORT, 'the disk is full'); END`)
	return func() { run(`DROP TRIGGER broken`) }
}

func TestWriteFails(t *testing.T) {
	var log bytes.Buffer
	w, s := writer(t, slog.New(slog.NewTextHandler(&log, nil)))
	repair := breakRosters(t, s)
	put := func(user addr.Bare, doc string) error {
		return w.put(t.Context(), user, rosterChange{doc: []byte(doc)})
	}
	if err := errors.Join(put(juliet, "one"), put(romeo, "one")); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := w.flush(); err == nil || !strings.Contains(err.Error(), "the disk is full") {
			t.Fatalf("flush: %v", err)
		}
	}
	if n := strings.Count(log.String(), "the disk is full"); n != 1 {
		t.Errorf("logged %d times: %s", n, &log)
	}
	if c, ok := w.waiting(juliet); !ok || string(c.doc) != "one" {
		t.Errorf("after the failure %q, %v is waiting", c.doc, ok)
	}
	w.most = w.backlog // full: now nobody is made to wait for a disk that fails
	if err := put(other, "one"); err == nil || !strings.Contains(err.Error(), "the disk is full") {
		t.Errorf("queue is full: %v", err)
	}
	if err := put(juliet, "two"); err != nil {
		t.Errorf("one that is queued already: %v", err)
	}
	repair()
	if err := w.flush(); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(log.String(), "kept again") || w.backlog != 0 || len(w.queued) != 0 {
		t.Errorf("%d bytes are left, log: %s", w.backlog, &log)
	}
	for user, want := range map[addr.Bare]string{juliet: "two", romeo: "one"} {
		if doc, ok, err := s.LoadRoster(t.Context(), user); string(doc) != want || !ok || err != nil {
			t.Errorf("%s: %q, %v, %v", user, doc, ok, err)
		}
	}
}

// What is saved for later is made for each commit, and for who asks before.
func TestSaveLater(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "db"))
	w := newRosterWriter(s.bulk, &s.turn, quiet)
	made := map[string]int{}
	put := func(user addr.Bare, doc string) {
		t.Helper()
		c := rosterChange{room: len(doc), fresh: 1, write: func(all []byte) []byte {
			made[doc]++
			return append(all, doc...)
		}}
		if err := w.put(t.Context(), user, c); err != nil {
			t.Fatal(err)
		}
	}
	expect := func(want map[addr.Bare]string) {
		t.Helper()
		for user, want := range want {
			if doc, ok, err := s.LoadRoster(t.Context(), user); string(doc) != want || !ok || err != nil {
				t.Errorf("%s: %q, %v, %v", user, doc, ok, err)
			}
		}
	}
	put(juliet, "replaced")
	put(juliet, "one")
	put(romeo, "another")
	if c, ok := w.waiting(juliet); !ok || string(c.document()) != "one" {
		t.Errorf("%q, %v is waiting", c.document(), ok)
	}
	if err := w.put(t.Context(), other, rosterChange{doc: []byte("made before")}); err != nil {
		t.Fatal(err)
	}
	if want := len("one") + len("another") + len("made before") + 3*256; w.backlog != want {
		t.Errorf("%d bytes wait, want %d", w.backlog, want)
	}
	repair := breakRosters(t, s)
	if w.flush() == nil {
		t.Fatal("the commit works")
	}
	repair()
	for range 2 { // the second is of nothing
		if err := w.flush(); err != nil || w.backlog != 0 {
			t.Fatal(err, w.backlog)
		}
	}
	expect(map[addr.Bare]string{juliet: "one", romeo: "another", other: "made before"})
	if made["replaced"] != 0 || made["another"] < 1 || made["another"] > 2 { // who comes first in the commit that fails is not told
		t.Errorf("made: %v", made)
	}
	put(juliet, "x")
	put(romeo, strings.Repeat("y", 2*roomToKeep))
	if err := w.flush(); err != nil {
		t.Fatal(err)
	}
	if cap(w.made) > roomToKeep {
		t.Errorf("%d bytes are kept for the next commit", cap(w.made))
	}
	expect(map[addr.Bare]string{juliet: "x", romeo: strings.Repeat("y", 2*roomToKeep)})

	until := time.Now().Add(time.Hour)
	for _, until := range []time.Time{until, {}} {
		write := func(all []byte) []byte { return append(all, "public"...) }
		if err := s.SaveLater(t.Context(), juliet, 0, write, until); err != nil { // size is a guess
			t.Fatal(err)
		}
		s.rosters.allWritten()
		expect(map[addr.Bare]string{juliet: "public"})
		if got, err := s.Fresh(t.Context(), juliet); !got.Equal(until) || err != nil {
			t.Errorf("fresh until %v, want %v, %v", got, until, err)
		}
	}
}

// The documents of a commit are made one after the other in the same memory, whatever they were said to take, and each is
// kept as it was. What was large is not held.
func TestDocuments(t *testing.T) {
	for _, c := range []struct {
		name       string
		said, size int
	}{
		{"as large as said", 1000, 1000},
		{"smaller", 3000, 1000},
		{"larger", 10, 1000},
		{"nothing said", 0, 1000},
		{"of no bytes", 0, 0},
		{"large", 2 * roomToKeep, 2 * roomToKeep},
	} {
		t.Run(c.name, func(t *testing.T) {
			w, s := writer(t, quiet)
			places := map[*byte]bool{}
			doc := func(i int) []byte { return bytes.Repeat([]byte{byte('a' + i)}, c.size) }
			user := func(i int) addr.Bare { return addr.MustBare(fmt.Sprintf("u%d@example.com", i)) }
			for i := range 10 {
				write := func(all []byte) []byte {
					all = append(all, doc(i)...)
					places[unsafe.SliceData(all)] = true
					return all
				}
				if err := w.put(t.Context(), user(i), rosterChange{room: c.said, write: write}); err != nil {
					t.Fatal(err)
				}
			}
			if err := errors.Join(w.put(t.Context(), juliet, rosterChange{doc: []byte("made before")}), w.flush()); err != nil {
				t.Fatal(err)
			}
			if n := len(places); n != 1 {
				t.Errorf("ten documents were made in %d places", n)
			}
			if cap(w.made) > roomToKeep {
				t.Errorf("%d bytes are kept for the next commit", cap(w.made))
			}
			for i := range 10 {
				if got, ok, err := s.LoadRoster(t.Context(), user(i)); !bytes.Equal(got, doc(i)) || !ok || err != nil {
					t.Errorf("%d: %d bytes %.10q, %v, %v", i, len(got), got, ok, err)
				}
			}
			if got, _, err := s.LoadRoster(t.Context(), juliet); string(got) != "made before" || err != nil {
				t.Errorf("%q, %v", got, err)
			}
		})
	}
}

// Who is forgotten waits for the commit that has to do with him, wherever that is, and for no other.
func TestForgetWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newRosterWriter(nil, nil, quiet)
		w.writing = map[addr.Bare]rosterChange{juliet: {doc: []byte("one")}}
		if err := w.written(t.Context(), romeo); err != nil {
			t.Error(err)
		}
		done := make(chan error, 1)
		go func() { done <- w.written(t.Context(), juliet) }()
		synctest.Wait()
		if len(done) > 0 {
			t.Error("does not wait for the commit")
		}
		w.settle(nil)
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// Who is forgotten is not in the file again with what a commit was about to write.
func TestForgetDuringCommit(t *testing.T) {
	type step = func(*Store, context.Context, addr.Bare) error
	for _, c := range []struct {
		name    string
		written addr.Bare
		forget  step
		stays   bool
	}{
		{"forgotten", juliet, (*Store).Forget, false},
		{"deleted", juliet, (*Store).DeleteUser, false},
		{"another one is written", romeo, (*Store).Forget, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, err := OpenMemory(quiet)
				if err != nil {
					t.Fatal(err)
				}
				defer s.Close()
				if err := s.AddUser(t.Context(), juliet, credential.Credentials{}); err != nil {
					t.Fatal(err)
				}
				begun, goOn := make(chan bool), make(chan bool)
				err = s.SaveLater(t.Context(), c.written, 3, func(all []byte) []byte {
					begun <- true
					<-goOn
					return append(all, "one"...)
				}, time.Time{})
				if err != nil {
					t.Fatal(err)
				}
				<-begun
				done := make(chan error, 1)
				go func() { done <- c.forget(s, t.Context(), juliet) }()
				synctest.Wait()
				close(goOn)
				if err := <-done; err != nil {
					t.Error(err)
				}
				synctest.Wait()
				var n int
				if err := s.db.QueryRow(`SELECT count(*) FROM roster WHERE name = ?`, c.written.Local()).Scan(&n); (n > 0) != c.stays || err != nil {
					t.Errorf("%d rosters of %s, %v", n, c.written, err)
				}
			})
		})
	}
}

// What was saved while a commit failed is newer than what is put back.
func TestNewerWins(t *testing.T) {
	w, _ := writer(t, quiet)
	if err := w.put(t.Context(), juliet, rosterChange{doc: []byte("old")}); err != nil {
		t.Fatal(err)
	}
	w.writing, w.queued = w.queued, map[addr.Bare]rosterChange{}
	if c, ok := w.waiting(juliet); !ok || string(c.doc) != "old" {
		t.Errorf("during the commit: %q, %v", c.doc, ok)
	}
	if err := w.put(t.Context(), juliet, rosterChange{doc: []byte("newer")}); err != nil {
		t.Fatal(err)
	}
	if c, _ := w.waiting(juliet); string(c.doc) != "newer" {
		t.Errorf("during the commit: %q", c.doc)
	}
	w.settle(errors.New("failed"))
	if c, _ := w.waiting(juliet); string(c.doc) != "newer" || w.backlog != c.size() {
		t.Errorf("after the commit: %q, %d bytes", c.doc, w.backlog)
	}
}

func TestBacklog(t *testing.T) {
	w, _ := writer(t, quiet)
	w.most = 1
	if err := w.put(t.Context(), juliet, rosterChange{gone: true}); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := w.put(ctx, romeo, rosterChange{gone: true}); !errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), romeo.String()) {
		t.Errorf("full: %v", err)
	}
	done := make(chan error)
	go func() { done <- w.put(t.Context(), romeo, rosterChange{gone: true}) }()
	if err := w.flush(); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// The first failure is retried by the goroutine; close gives up and says so.
func TestCloseFails(t *testing.T) {
	s, err := Open(filepath.Join(t.TempDir(), "db"), quiet)
	if err != nil {
		t.Fatal(err)
	}
	breakRosters(t, s)
	if err := s.SaveRoster(t.Context(), juliet, []byte("one")); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err == nil || !strings.Contains(err.Error(), "the disk is full") {
		t.Errorf("close: %v", err)
	}
}

// Of a roster that is as long as the one before, only the pages that differ are written: the engine makes them so.
func TestSaveInPlace(t *testing.T) {
	w, s := writer(t, quiet)
	const page, pages = 4096, 25
	doc := bytes.Repeat([]byte("x"), pages*page)
	// written is what has been added to the log of the database.
	written := func(doc []byte) int64 {
		t.Helper()
		if _, err := s.db.Exec(`PRAGMA wal_checkpoint(TRUNCATE)`); err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(w.put(t.Context(), juliet, rosterChange{doc: doc}), w.flush()); err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(s.path + "-wal")
		if err != nil {
			t.Fatal(err)
		}
		return info.Size() / page
	}
	written(doc)
	other := bytes.Clone(doc)
	other[0], other[len(doc)/2] = 'y', 'y'
	if n := written(other); n > 3 {
		t.Errorf("%d pages were written for two that differ", n)
	}
	if n := written(append(other, 'x')); n < pages {
		t.Errorf("%d pages were written for a roster of another length: this test sees nothing", n)
	}
	if got, _, err := s.LoadRoster(t.Context(), juliet); err != nil || len(got) != len(doc)+1 || got[0] != 'y' {
		t.Errorf("%d bytes, %v", len(got), err)
	}
}

func BenchmarkSaveRoster(b *testing.B) {
	s, err := Open(filepath.Join(b.TempDir(), "db"), quiet)
	if err != nil {
		b.Fatal(err)
	}
	doc := bytes.Repeat([]byte("x"), 10_000)
	for i := range b.N {
		user := addr.MustBare(fmt.Sprintf("user%d@example.com", i%10_000))
		if err := s.SaveRoster(b.Context(), user, doc); err != nil {
			b.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		b.Fatal(err)
	}
}

func BenchmarkCredentials(b *testing.B) {
	s, err := Open(filepath.Join(b.TempDir(), "db"), quiet)
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	for b.Loop() {
		_, _ = s.Credentials(b.Context(), juliet)
	}
}
