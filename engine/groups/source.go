package groups

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Source is where groups are kept: a file, a directory, a database. It is asked by one goroutine at a time, and ends when
// ctx does. What it gave the last time, the same pointer, says that nothing has changed. An error says nothing about the
// groups.
type Source interface {
	Groups(ctx context.Context) (*Set, []Problem, error)
}

// SourceFunc lets a function be a Source.
type SourceFunc func(context.Context) (*Set, []Problem, error)

// Groups calls f.
func (f SourceFunc) Groups(ctx context.Context) (*Set, []Problem, error) { return f(ctx) }

// Feed has the groups of a source as it last gave them. Its fields do not change once it is used.
type Feed struct {
	Source  Source
	Name    string        // of the source, for the log
	Every   time.Duration // how often Due says that it is time to ask again; 0: always
	Timeout time.Duration // of one question; 0: none
	Log     *slog.Logger  // nil means slog.Default

	// Live are the groups. There are none as long as nobody has been able to say what groups there are.
	Live atomic.Pointer[Set]

	once sync.Once
	turn chan struct{} // held by who asks
	told []Problem     // guarded by turn

	mu    sync.Mutex // guards the fields below
	begun uint64     // questions
	asked time.Time  // when the last one began
	busy  bool
	err   error // of the last one that has ended
	odd   string
	fails int // in a row
}

// ErrUnknown is that nobody has been able to say yet what groups there are.
var ErrUnknown = errors.New("the groups are not known yet")

// firstPause is how long a source is left alone that has failed once, if that is not longer than usual.
const firstPause = 2 * time.Second

// Due tells whether it is time to ask again, and nobody is asking.
func (f *Feed) Due(now time.Time) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return !f.busy && now.Sub(f.asked) >= f.pause()
}

// pause is the time from one question to the next.
func (f *Feed) pause() time.Duration {
	if f.fails == 0 {
		return f.Every
	}
	return min(f.Every, firstPause<<min(f.fails-1, 10))
}

// Now are the groups. Those that have never been known are asked for, unless that has just failed: without them the error
// wraps ErrUnknown.
func (f *Feed) Now(ctx context.Context) (*Set, error) {
	if s := f.Live.Load(); s != nil {
		return s, nil
	}
	f.mu.Lock()
	err, rests := f.err, f.fails > 0 && time.Since(f.asked) < f.pause()
	f.mu.Unlock()
	if !rests {
		err = f.Renew(ctx)
	}
	if s := f.Live.Load(); s != nil {
		return s, nil
	}
	return nil, fmt.Errorf("%w: %w", ErrUnknown, err)
}

// Renew asks the source, or waits for somebody who has begun to ask it after the call. What fails leaves the groups as
// they were, is said once, and is returned.
func (f *Feed) Renew(ctx context.Context) error {
	f.once.Do(func() { f.turn = make(chan struct{}, 1) })
	f.mu.Lock()
	seen := f.begun
	f.mu.Unlock()
	select {
	case f.turn <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-f.turn }()
	if known, err := f.begin(seen); known {
		return err
	}
	return f.ask(ctx)
}

// begin is for who has the turn. If somebody has asked since the question of that number, the answer is known; that
// somebody did not wait for it says nothing.
func (f *Feed) begin(seen uint64) (known bool, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.begun > seen && !errors.Is(f.err, context.Canceled) {
		return true, f.err
	}
	f.begun++
	f.asked, f.busy = time.Now(), true
	return false, nil
}

func (f *Feed) ask(ctx context.Context) error {
	asking, cancel := ctx, context.CancelFunc(func() {})
	if f.Timeout > 0 {
		asking, cancel = context.WithTimeout(ctx, f.Timeout)
	}
	now, problems, err := f.question(asking)
	cancel()
	f.ended(err)
	before := f.Live.Load()
	if err != nil || now == before {
		return err
	}
	f.tell(problems)
	f.Live.Store(now)
	if before == nil || before.version != now.version {
		f.log().Info("groups read", "source", f.Name, "groups", now.Groups(), "members", now.Members())
	}
	return nil
}

// question asks. A source that panics has failed.
func (f *Feed) question(ctx context.Context) (s *Set, problems []Problem, err error) {
	defer func() {
		if p := recover(); p != nil {
			f.log().Error("a source of groups panicked", "source", f.Name, "panic", p, "stack", string(debug.Stack()))
			err = fmt.Errorf("panic: %v", p)
		}
	}()
	return f.Source.Groups(ctx)
}

// tell says what is left out, if that is something else than before. It is called by who has the turn.
func (f *Feed) tell(problems []Problem) {
	if slices.Equal(problems, f.told) {
		return
	}
	f.told = problems
	for _, p := range problems {
		if p.Line == 0 {
			f.log().Warn("part of the groups left out", "source", f.Name, "reason", p.Reason)
		} else {
			f.log().Warn("part of the groups left out", "source", f.Name, "line", p.Line, "reason", p.Reason)
		}
	}
}

// ended says what has failed, and that it does so no more.
func (f *Feed) ended(err error) {
	f.mu.Lock()
	was := f.odd
	f.busy, f.err = false, err
	switch {
	case err == nil:
		f.odd, f.fails = "", 0
	case errors.Is(err, context.Canceled): // who asked has gone
	default:
		f.odd, f.fails = err.Error(), f.fails+1
	}
	odd := f.odd
	f.mu.Unlock()
	switch {
	case odd == was:
	case odd == "":
		f.log().Info("groups can be read again", "source", f.Name)
	case f.Live.Load() == nil:
		f.log().Error("groups cannot be read: nobody has a roster until they can", "source", f.Name, "error", err)
	default:
		f.log().Error("groups cannot be read: they stay as they were", "source", f.Name, "error", err)
	}
}

func (f *Feed) log() *slog.Logger { return cmp.Or(f.Log, slog.Default()) }
