package store

import (
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"rosterd/engine/addr"
)

func TestFresh(t *testing.T) {
	until := time.Date(2026, 11, 22, 10, 0, 0, 123456789, time.UTC)
	for name, s := range stores(t) {
		t.Run(name, func(t *testing.T) {
			for _, written := range []bool{false, true} {
				expect := func(step string, user addr.Bare, want time.Time) {
					t.Helper()
					if written {
						s.rosters.allWritten()
					}
					if got, err := s.Fresh(t.Context(), user); !got.Equal(want) || err != nil {
						t.Errorf("%s (written: %v): fresh until %v, want %v; %v", step, written, got, want, err)
					}
				}
				do := func(err error) {
					t.Helper()
					if err != nil {
						t.Fatal(err)
					}
				}
				ctx := t.Context()
				do(s.DeleteRoster(ctx, juliet))
				expect("unknown", juliet, time.Time{})
				do(s.SaveFresh(ctx, juliet, []byte("one"), until))
				do(s.SaveFresh(ctx, romeo, []byte("one"), until))
				expect("saved", juliet, until)
				do(s.SaveFresh(ctx, juliet, []byte("two"), until.Add(time.Hour)))
				expect("saved again", juliet, until.Add(time.Hour))
				do(s.Spoil(ctx, []addr.Bare{juliet, addr.MustBare("nobody@" + juliet.Domain())}))
				expect("spoilt", juliet, time.Time{})
				expect("another one", romeo, until)
				if doc, ok, err := s.LoadRoster(ctx, juliet); string(doc) != "two" || !ok || err != nil {
					t.Errorf("the document of a spoilt roster: %q, %v, %v", doc, ok, err)
				}
				do(s.SaveRoster(ctx, romeo, []byte("two")))
				expect("saved without a time", romeo, time.Time{})
				do(s.SaveFresh(ctx, romeo, nil, until))
				do(s.DeleteRoster(ctx, romeo))
				expect("deleted", romeo, time.Time{})
				do(s.Spoil(ctx, nil))
			}
			if err := s.Spoil(t.Context(), []addr.Bare{juliet, addr.MustBare("juliet@elsewhere.example")}); err == nil {
				t.Error("users of two hosts")
			}
		})
	}
}

// A refresh of everybody that was answered holds after a crash: what Spoil has done does not wait in a queue.
func TestSpoilIsOnDisk(t *testing.T) {
	path := filepath.Join(t.TempDir(), "db")
	s := open(t, path)
	until := time.Now().Add(time.Hour)
	var all []addr.Bare
	for i := range 100_000 {
		all = append(all, addr.MustBare(fmt.Sprintf("user%d@example.com", i)))
	}
	for _, u := range all[:1000] {
		if err := s.SaveFresh(t.Context(), u, []byte("{}"), until); err != nil {
			t.Fatal(err)
		}
	}
	s.rosters.allWritten()
	if err := s.Spoil(t.Context(), all[1:]); err != nil {
		t.Fatal(err)
	}
	other := open(t, path) // while the first still has it open
	for i, want := range map[int]bool{0: true, 1: false, 999: false, 1000: false} {
		got, err := other.Fresh(t.Context(), all[i])
		if got.IsZero() == want || err != nil {
			t.Errorf("user %d: %v, %v", i, got, err)
		}
	}
	if err := errors.Join(other.Close(), s.Close()); err != nil {
		t.Error(err)
	}
}

// What is spoilt while it is being committed stays so, whether that works or not.
func TestSpoilDuringCommit(t *testing.T) {
	for _, c := range []struct {
		name string
		err  error
	}{{"it works", nil}, {"it fails", errors.New("the disk is full")}} {
		t.Run(c.name, func(t *testing.T) {
			w := newRosterWriter(nil, nil, slog.New(slog.DiscardHandler))
			w.writing = map[addr.Bare]rosterChange{juliet: {doc: []byte("one"), fresh: 1}, romeo: {doc: []byte("one"), fresh: 1}}
			if settled, _, _ := w.spoil([]addr.Bare{other}); settled != nil {
				t.Error("there is nothing to wait for")
			}
			settled, _, none := w.spoil([]addr.Bare{juliet, other})
			if none {
				t.Error("nobody has looked")
			}
			select {
			case <-settled:
				t.Error("nobody waits for the commit")
			default:
			}
			if got, _ := w.waiting(juliet); got.fresh != 0 {
				t.Error("fresh while it is committed")
			}
			if got, _ := w.waiting(romeo); got.fresh != 1 {
				t.Error("somebody else was spoilt")
			}
			w.settle(c.err)
			<-settled
			if got, ok := w.waiting(juliet); ok != (c.err != nil) || got.fresh != 0 {
				t.Errorf("afterwards %+v, %v", got, ok)
			}
			if len(w.spoiled) != 0 {
				t.Error("the mark outlives its commit")
			}
		})
	}
}

// What was taken from the queue is spoilt on disk too, although its transaction has not begun.
func TestSpoilBeforeCommit(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "db"))
	defer s.Close()
	w, batch := s.rosters, map[addr.Bare]rosterChange{juliet: {doc: []byte("one"), fresh: 1}}
	w.mu.Lock()
	w.writing = batch
	w.mu.Unlock()
	spoilt := make(chan error, 1)
	go func() { spoilt <- s.Spoil(t.Context(), []addr.Bare{juliet}) }()
	for marked := false; !marked; runtime.Gosched() {
		w.mu.Lock()
		marked = w.spoiled[juliet]
		w.mu.Unlock()
	}
	err := w.commit(batch)
	w.settle(err)
	if err := errors.Join(err, <-spoilt); err != nil {
		t.Fatal(err)
	}
	if until, err := s.Fresh(t.Context(), juliet); !until.IsZero() || err != nil {
		t.Errorf("fresh until %v, %v", until, err)
	}
}

// A user who is deleted, by whatever process, leaves nothing.
func TestFreshGoesWithItsRoster(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "db"))
	defer s.Close()
	if err := s.SaveFresh(t.Context(), juliet, []byte("one"), time.Now()); err != nil {
		t.Fatal(err)
	}
	s.rosters.allWritten()
	if _, err := s.db.Exec(deleteRoster, juliet.Domain(), juliet.Local()); err != nil {
		t.Fatal(err)
	}
	if until, err := s.Fresh(t.Context(), juliet); !until.IsZero() || err != nil {
		t.Errorf("%v, %v", until, err)
	}
}

// Where nothing is fresh nobody looks a second time, until something is.
func TestSpoilLooksOnce(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "db"))
	spoil := func(users ...addr.Bare) {
		t.Helper()
		if err := s.Spoil(t.Context(), users); err != nil {
			t.Fatal(err)
		}
	}
	fresh := func(user addr.Bare) {
		t.Helper()
		if err := s.SaveFresh(t.Context(), user, nil, time.Now().Add(time.Hour)); err != nil {
			t.Fatal(err)
		}
	}
	stale := func(user addr.Bare) {
		t.Helper()
		if until, err := s.Fresh(t.Context(), user); !until.IsZero() || err != nil {
			t.Errorf("%s: fresh until %v, %v", user, until, err)
		}
	}
	none := func(user addr.Bare) (none bool) {
		_, _, none = s.rosters.spoil([]addr.Bare{user})
		return none
	}
	if none(juliet) {
		t.Error("nobody has looked")
	}
	spoil(juliet)
	if !none(juliet) || none(addr.MustBare("juliet@elsewhere.example")) {
		t.Error("one look tells of its host, and of no other")
	}
	fresh(juliet)
	spoil(juliet) // in the queue
	s.rosters.allWritten()
	stale(juliet)
	fresh(juliet)
	s.rosters.allWritten()
	spoil(juliet)
	stale(juliet)

	_, seen, _ := s.rosters.spoil([]addr.Bare{juliet}) // a look that begins here, and is slow
	fresh(juliet)
	s.rosters.allWritten()
	s.rosters.noneIsFresh(juliet.Domain(), seen)
	spoil(juliet)
	stale(juliet)
}

// What Spoil finds stale may be so only in what the disk has not got yet: rosters are committed without waiting for it.
func TestSpoilWaitsForTheDisk(t *testing.T) {
	until := time.Now().Add(time.Hour)
	fresh := func(s *Store, u addr.Bare) error { return s.SaveFresh(t.Context(), u, []byte("{}"), until) }
	stale := func(s *Store, u addr.Bare) error { return s.SaveRoster(t.Context(), u, []byte("{}")) }
	gone := func(s *Store, u addr.Bare) error { return s.DeleteRoster(t.Context(), u) }
	spoil := func(s *Store, u addr.Bare) error { return s.Spoil(t.Context(), []addr.Bare{u}) }
	type step = func(*Store, addr.Bare) error
	elsewhere := func(do step) step {
		return func(s *Store, u addr.Bare) error { return do(s, addr.MustBare(u.Local()+"@elsewhere.example")) }
	}
	for _, c := range []struct {
		name   string
		before []step
		writes bool
	}{
		{"never fresh", []step{stale}, false},
		{"fresh", []step{fresh}, true},
		{"no longer", []step{fresh, stale}, true},
		{"no longer, and nobody had been before", []step{spoil, fresh, stale}, true},
		{"no longer there", []step{fresh, gone}, true},
		{"spoilt before", []step{fresh, stale, spoil}, false},
		{"spoilt before, and kept since", []step{fresh, stale, spoil, stale}, false},
		{"no longer a second time", []step{fresh, stale, spoil, fresh, stale}, true},
		{"of another host", []step{elsewhere(fresh), elsewhere(stale)}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := open(t, filepath.Join(t.TempDir(), "db"))
			s.tidier.close()
			s.tidier = nil
			for _, do := range c.before {
				if err := do(s, juliet); err != nil {
					t.Fatal(err)
				}
				s.rosters.allWritten()
			}
			before := s.unlogged(t.Context())
			if err := spoil(s, juliet); err != nil {
				t.Fatal(err)
			}
			if after := s.unlogged(t.Context()); (after > before) != c.writes {
				t.Errorf("%d pages in the log before, %d after", before, after)
			}
			if got, err := s.Fresh(t.Context(), juliet); !got.IsZero() || err != nil {
				t.Errorf("fresh until %v, %v", got, err)
			}
		})
	}
}

// allWritten waits until nothing is queued.
func (w *rosterWriter) allWritten() {
	for {
		w.mu.Lock()
		n, settled := len(w.queued)+len(w.writing), w.settled
		w.mu.Unlock()
		if n == 0 {
			return
		}
		<-settled
	}
}
