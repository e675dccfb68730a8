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
	tx, err := s.db.BeginTx(ctx, nil) // takes the lock for writing at once: see dsn
	if err != nil {
		return fmt.Errorf("write to %s: %w", s.path, err)
	}
	if err := tx.Rollback(); err != nil {
		return fmt.Errorf("write to %s: %w", s.path, err)
	}
	return nil
}
