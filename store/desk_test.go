package store

import (
	"context"
	"database/sql"
	"errors"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"rosterd/engine/addr"
)

// A question that nobody answers holds who asked it as long as he wants to wait, and who comes later not at all.
func TestStalledDesk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(2)
		defer d.close()
		thaw := make(chan struct{})
		stopped := func(context.Context) (int, error) { <-thaw; return 1, nil }
		begun := time.Now()
		late := make(chan error, 2)
		for range cap(late) {
			go func() {
				_, err := ask(t.Context(), d, stopped)
				late <- err
			}()
		}
		synctest.Wait()
		short, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		if _, err := ask(short, d, stopped); !errors.Is(err, context.DeadlineExceeded) || time.Since(begun) != 2*time.Second {
			t.Errorf("one who waits two seconds is told %v after %v", err, time.Since(begun))
		}
		time.Sleep(stalling)
		synctest.Wait()
		go ask(t.Context(), d, stopped) // it tries whether there are still answers
		time.Sleep(2 * suspicion)
		at := time.Now()
		if _, err := ask(t.Context(), d, stopped); !errors.Is(err, ErrStalled) || time.Since(at) != 0 {
			t.Errorf("one who comes when nothing moves is told %v after %v", err, time.Since(at))
		}
		for range cap(late) {
			if err := <-late; !errors.Is(err, ErrStalled) {
				t.Errorf("who said nothing of how long he waits is told %v", err)
			}
		}
		if took := time.Since(begun); took != longest {
			t.Errorf("he waited %v", took)
		}
		close(thaw)
		synctest.Wait()
		if got, err := ask(t.Context(), d, stopped); got != 1 || err != nil {
			t.Errorf("after the thaw: %d, %v", got, err)
		}
	})
}

// One question that takes long, or that somebody gives up, says nothing about others.
func TestSlowQuestion(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(2)
		defer d.close()
		slow := make(chan struct{})
		patient, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		go d.do(patient, func(context.Context) error { <-slow; return nil })
		for range 3 {
			time.Sleep(2 * stalling)
			for range 10 {
				if err := d.do(t.Context(), func(context.Context) error { return nil }); err != nil {
					t.Fatalf("beside a slow question: %v", err)
				}
			}
		}
		close(slow)
		gone, leave := context.WithCancel(t.Context())
		leave()
		if err := d.do(gone, func(ctx context.Context) error { return ctx.Err() }); !errors.Is(err, context.Canceled) {
			t.Errorf("who has gone is told %v", err)
		}
		time.Sleep(2 * stalling)
		for range 2 {
			go d.do(t.Context(), func(context.Context) error { time.Sleep(time.Second); return nil })
		}
		synctest.Wait()
		if err := d.do(t.Context(), func(context.Context) error { return nil }); err != nil {
			t.Errorf("after one who has gone: %v", err)
		}
	})
}

// While nothing is committed or answered, a refresh is not held by the rosters that it marks: who is online is fetched all
// the same.
func TestSpoilOnAStalledDisk(t *testing.T) {
	user := addr.MustBare("romeo@example.com")
	for name, stall := range map[string]func(t *testing.T, s *Store) (thaw func()){
		"a commit that does not come back": func(t *testing.T, s *Store) func() {
			w := s.rosters
			w.mu.Lock()
			defer w.mu.Unlock()
			w.writing = map[addr.Bare]rosterChange{user: {doc: []byte("{}"), fresh: 1}}
			return func() { w.settle(nil) }
		},
		"a look that does not come back": func(t *testing.T, s *Store) func() {
			thaw := make(chan struct{})
			for range sqliteReaders {
				go s.desk.do(t.Context(), func(context.Context) error { <-thaw; return nil })
			}
			synctest.Wait()
			return func() { close(thaw) }
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, err := OpenMemory(nil)
				if err != nil {
					t.Fatal(err)
				}
				defer s.Close()
				thaw := stall(t, s)
				defer thaw()
				begun := time.Now()
				spoilt := make(chan error, 1)
				go func() { spoilt <- s.Spoil(t.Context(), []addr.Bare{user}) }()
				time.Sleep(2 * longest)
				select {
				case err := <-spoilt:
					if !errors.Is(err, ErrStalled) {
						t.Errorf("after %v: %v", time.Since(begun), err)
					}
				default:
					t.Error("it still waits")
				}
			})
		})
	}
}

// The room for what waits is full for a moment, long after the last commit: that is no disk that has stopped.
func TestFullAfterAPause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newRosterWriter(nil, nil, slog.New(slog.DiscardHandler))
		w.most = 1
		if err := w.flush(); err != nil { // of nothing, as after a commit that took what came meanwhile with it
			t.Fatal(err)
		}
		time.Sleep(2 * stalling)
		for _, name := range []string{"romeo", "juliet"} {
			if _, err := w.tryPut(addr.MustBare(name+"@example.com"), rosterChange{doc: []byte("{}")}); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
	})
}

// While a commit does not come back, entries are queued as far as there is room, and whoever needs the disk hears of it.
// Nothing that was queued is lost.
func TestStalledCommit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, err := OpenMemory(nil)
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		w := s.tables.writer
		w.most = 4000
		user := addr.MustBare("romeo@example.com")
		log, values := s.Stores("example.com").Log("archive"), s.Stores("example.com").Keyed("private")
		thaw := make(chan struct{})
		begun := time.Now()
		go w.change(t.Context(), func(context.Context, *sql.Tx, *batch) error { <-thaw; return nil })
		synctest.Wait()
		kept := 0
		put := func() error {
			_, err := log.Append(t.Context(), user, Entry{Time: time.Now(), With: "juliet@example.com", Stanza: make([]byte, 500)})
			if err == nil {
				kept++
			}
			return err
		}
		for err == nil {
			err = put()
		}
		if took := time.Since(begun); !errors.Is(err, ErrStalled) || kept == 0 || took > stalling+time.Second {
			t.Fatalf("%d entries are taken, then %v after %v", kept, err, took)
		}
		at := time.Now()
		time.Sleep(time.Millisecond)
		_, find := log.Find(t.Context(), user, Query{})
		for what, err := range map[string]error{
			"an entry more": put(), "a change": values.Change(t.Context(), user, map[string][]byte{"": {1}}), "a look at what is queued": find,
		} {
			if !errors.Is(err, ErrStalled) {
				t.Errorf("%s: %v", what, err)
			}
		}
		if took := time.Since(at); took > time.Second {
			t.Errorf("that took %v", took)
		}
		synced := make(chan error, 1)
		go func() { synced <- log.Sync(t.Context()) }()
		synctest.Wait()
		close(thaw)
		if err := <-synced; err != nil {
			t.Error(err)
		}
		if page, err := log.Find(t.Context(), user, Query{}); err != nil || len(page.Entries) != kept {
			t.Errorf("%d of %d entries are there: %v", len(page.Entries), kept, err)
		}
	})
}
