package store

import (
	"log/slog"
	"sync"
	"time"
)

// stall knows whether a database has stopped: a commit does not come back, or who asks is sent away. It says so once, and
// once when that has passed. Nil knows nothing.
type stall struct {
	log   *slog.Logger
	where string // the database

	mu    sync.Mutex // guards the fields below
	parts int        // commits and desks that have stopped
	since time.Time
}

// begin is for a commit or a desk that has stopped.
func (s *stall) begin() {
	if s == nil {
		return
	}
	s.mu.Lock()
	s.parts++
	first := s.parts == 1
	if first {
		s.since = time.Now()
	}
	s.mu.Unlock()
	if first {
		s.log.Error("a database has stopped: nothing comes back from it", "database", s.where)
	}
}

// end is for one that goes on.
func (s *stall) end() {
	if s == nil {
		return
	}
	s.mu.Lock()
	s.parts--
	last, since := s.parts == 0, s.since
	s.mu.Unlock()
	if last {
		s.log.Info("a database that had stopped goes on", "database", s.where, "after", time.Since(since).Round(time.Millisecond))
	}
}

// watch is for a commit that begins. It has come back when the returned function is called.
func (s *stall) watch() (back func()) {
	t := time.AfterFunc(stalling, s.begin)
	return func() {
		if !t.Stop() {
			s.end()
		}
	}
}

func (s *stall) now() bool {
	if s == nil {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.parts > 0
}
