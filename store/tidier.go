package store

import (
	"context"
	"sync"
	"time"
)

const (
	// worthwhile is how many pages of SQLite's log are worth it that they are taken over into the file: 4 MiB.
	worthwhile = 1000
	// enough is for how many it is done while others write, too: 64 MiB.
	enough = 16 << 10
	// neverMore is when who writes has to do it himself, because the tidier does not get to it.
	neverMore = 64 << 10
	// kept is how many bytes of the log's file stay when it begins anew: 16 MiB. What they are needed for need not be
	// asked of the file system again, and after a storm the rest goes back to it.
	kept = 16 << 20
	// calm is for how long nobody has written when it is quiet.
	calm = time.Second
	// glance is what lies between two looks at how many there are.
	glance = 100 * time.Millisecond
)

// tidier takes over what is in SQLite's write-ahead log into the file (a checkpoint) in a goroutine of its own, when nobody
// writes. By default who writes does so for each 4 MiB, and waits for the disk twice: in a storm of logins that is
// some times a second, and on a single processor all others wait as well, since a system call keeps it for up to 20 ms
// until Go's scheduler sees that it takes long.
type tidier struct {
	left func(context.Context) int // pages that are still to be taken over
	tidy func(context.Context)     // takes them over

	wake chan struct{} // somebody has written; holds one
	stop context.CancelFunc
	done sync.WaitGroup
}

func startTidier(left func(context.Context) int, tidy func(context.Context)) *tidier {
	t := &tidier{left: left, tidy: tidy, wake: make(chan struct{}, 1)}
	ctx, stop := context.WithCancel(context.Background())
	t.stop = stop
	t.done.Go(func() { t.run(ctx) })
	return t
}

// wrote tells that somebody has written. A nil tidier has nothing to do.
func (t *tidier) wrote() {
	if t != nil {
		signal(t.wake)
	}
}

func (t *tidier) close() {
	if t != nil {
		t.stop()
		t.done.Wait()
	}
}

func (t *tidier) run(ctx context.Context) {
	for {
		select {
		case <-t.wake:
		case <-ctx.Done():
			return
		}
		n := t.left(ctx)
		for n >= worthwhile && n < enough && t.goesOn(ctx) {
			n = t.left(ctx)
		}
		if n >= worthwhile && ctx.Err() == nil {
			t.tidy(ctx)
		}
		pause(ctx, glance)
	}
}

// goesOn waits until it has been quiet for a while, or for a moment if somebody writes. It tells which.
func (t *tidier) goesOn(ctx context.Context) bool {
	quiet := time.NewTimer(calm)
	defer quiet.Stop()
	select {
	case <-t.wake:
		return pause(ctx, glance)
	case <-quiet.C:
	case <-ctx.Done():
	}
	return false
}

// pause is false if ctx ends before it is over.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// checkpoint does what a checkpoint of that mode does, and tells how many pages are not taken over after it.
func (s *Store) checkpoint(ctx context.Context, mode string) (left int, err error) {
	var busy, logged, taken int
	err = s.checks.QueryRowContext(ctx, `PRAGMA wal_checkpoint(`+mode+`)`).Scan(&busy, &logged, &taken)
	return logged - taken, err
}

// unlogged is how many pages are in the log alone.
func (s *Store) unlogged(ctx context.Context) int {
	n, err := s.checkpoint(ctx, "NOOP")
	if err != nil {
		s.tidied(ctx, err)
	}
	return n
}

// tidy takes over all pages. Others write meanwhile, but for a moment at the end: the log begins anew only when nothing is left.
func (s *Store) tidy(ctx context.Context) {
	_, err := s.checkpoint(ctx, "PASSIVE")
	if err == nil {
		s.turn.Lock()
		defer s.turn.Unlock()
		_, err = s.checkpoint(ctx, "PASSIVE")
	}
	s.tidied(ctx, err)
}

// tidied notes how a checkpoint went, and says it when that has changed: while they fail the log grows, and who reads gets
// slower.
func (s *Store) tidied(ctx context.Context, err error) {
	switch {
	case ctx.Err() != nil: // the store is closed
		return
	case err != nil && !s.untidy:
		s.log.Error("a database's log is not taken over into its file: it grows", "database", s.path, "err", err)
	case err == nil && s.untidy:
		s.log.Info("a database's log is taken over again", "database", s.path)
	}
	s.untidy = err != nil
}
