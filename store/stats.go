package store

import (
	"context"
	"fmt"
)

// Stats are what an operator wants to see of a store.
type Stats struct {
	Backlog int // bytes of rosters that wait to be written, or are being written

	// Since the start:
	Commits, Failures int64 // attempts to write what has gathered
	Written           int64 // rosters that were written
}

// StoresStats are what an operator wants to see of the stores in one database.
type StoresStats struct {
	Backlog int  // bytes of entries that wait to be written, or are being written
	Stalled bool // the database has stopped: nothing comes back from it

	// Since the start:
	Commits, Failures int64 // attempts to write what has gathered
	Changes           int64 // that were written
}

// Add adds what is known of the stores in another database.
func (s *StoresStats) Add(o StoresStats) {
	s.Backlog += o.Backlog
	s.Stalled = s.Stalled || o.Stalled
	s.Commits += o.Commits
	s.Failures += o.Failures
	s.Changes += o.Changes
}

// StoresStats looks at the writing of what users store.
func (s *Store) StoresStats() StoresStats { return s.tables.writer.look() }

// StoresStats looks at the writing of what users store.
func (p *Postgres) StoresStats() StoresStats { return p.tables.writer.look() }

func (w *tableWriter) look() StoresStats {
	w.mu.Lock()
	defer w.mu.Unlock()
	s := w.stats
	s.Backlog, s.Stalled = w.backlog, w.stall.now()
	return s
}

// count is under w.mu.
func (s *StoresStats) count(changes int, err error) {
	if err != nil {
		s.Failures++
		return
	}
	s.Commits++
	s.Changes += int64(changes)
}

// Stats looks at the writing of rosters.
func (s *Store) Stats() Stats {
	w := s.rosters
	w.mu.Lock()
	defer w.mu.Unlock()
	stats := w.stats
	stats.Backlog = w.backlog
	return stats
}

// count is under w.mu.
func (s *Stats) count(batch int, err error) {
	if err != nil {
		s.Failures++
		return
	}
	s.Commits++
	s.Written += int64(batch)
}

// Writable tells whether the database can be written to: what was written last could be, and a transaction can begin
// now.
func (s *Store) Writable(ctx context.Context) error {
	s.rosters.mu.Lock()
	failed := s.rosters.failed
	s.rosters.mu.Unlock()
	if failed == nil {
		failed = s.tables.writer.failure()
	}
	if failed != nil {
		return fmt.Errorf("write to %s: %w", s.path, failed)
	}
	err := s.desk.do(ctx, func(ctx context.Context) error {
		tx, err := s.db.BeginTx(ctx, nil) // takes the lock for writing at once: see dsn
		if err != nil {
			return err
		}
		return tx.Rollback()
	})
	if err != nil {
		return fmt.Errorf("write to %s: %w", s.path, err)
	}
	return nil
}
