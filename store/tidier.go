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

// checkpoint does what a checkpoint of that mode does, and tells how many pages are not taken over after it. What fails
// here fails for who writes next, too, who says so.
func (s *Store) checkpoint(ctx context.Context, mode string) (left int) {
	var busy, logged, taken int
	if s.checks.QueryRowContext(ctx, `PRAGMA wal_checkpoint(`+mode+`)`).Scan(&busy, &logged, &taken) != nil {
		return 0
	}
	return logged - taken
}

// unlogged is how many pages are in the log alone.
func (s *Store) unlogged(ctx context.Context) int { return s.checkpoint(ctx, "NOOP") }

// tidy takes over all pages. Others write meanwhile, but for a moment at the end: the log begins anew only when nothing is left.
func (s *Store) tidy(ctx context.Context) {
	s.checkpoint(ctx, "PASSIVE")
	s.turn.Lock()
	defer s.turn.Unlock()
	s.checkpoint(ctx, "PASSIVE")
}
