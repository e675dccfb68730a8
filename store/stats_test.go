package store

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"rosterd/engine/addr"
)

func TestStats(t *testing.T) {
	w, s := writer(t, quiet)
	own := s.rosters
	s.rosters = w // whose commits run when they are told to
	defer func() { s.rosters = own }()
	repair := breakRosters(t, s)
	for _, user := range []addr.Bare{juliet, romeo} {
		if _, err := w.tryPut(user, rosterChange{doc: []byte("contacts")}); err != nil {
			t.Fatal(err)
		}
	}
	if got, want := s.Stats(), (Stats{Backlog: 2 * (len("contacts") + 256)}); got != want {
		t.Errorf("before: %+v, want %+v", got, want)
	}
	if err := w.flush(); err == nil {
		t.Fatal("nothing fails")
	}
	if got, want := s.Stats(), (Stats{Backlog: 2 * (len("contacts") + 256), Failures: 1}); got != want {
		t.Errorf("after a failure: %+v, want %+v", got, want)
	}
	if err := s.Writable(t.Context()); err == nil || !strings.Contains(err.Error(), "the disk is full") {
		t.Errorf("Writable: %v", err)
	}
	repair()
	if err := w.flush(); err != nil {
		t.Fatal(err)
	}
	if got, want := s.Stats(), (Stats{Failures: 1, Commits: 1, Written: 2}); got != want {
		t.Errorf("in the end: %+v, want %+v", got, want)
	}
	if err := s.Writable(t.Context()); err != nil {
		t.Errorf("Writable: %v", err)
	}
}

func TestWritable(t *testing.T) {
	path := filepath.Join(t.TempDir(), "db")
	s := open(t, path)
	if err := s.Writable(t.Context()); err != nil {
		t.Errorf("a new database: %v", err)
	}
	tx, err := s.db.Begin()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Writable(ctx); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("while somebody else writes: %v", err)
	}
	if err := tx.Rollback(); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := s.Writable(t.Context()); err == nil {
		t.Error("a closed store is writable")
	}
	if _, err := os.Stat(path); err != nil {
		t.Error(err)
	}
}
