package passwords

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"rosterd/engine/addr"
)

var anna, berta = addr.MustBare("anna@example.com"), addr.MustBare("berta@example.com")

var silent = slog.New(slog.DiscardHandler)

// known is a source that lets in who says right, and is asked things one may look at.
type known struct {
	asked atomic.Int64
	fail  atomic.Pointer[error]
	until chan struct{} // nil: at once
}

func (k *known) CheckPassword(ctx context.Context, _ addr.Bare, password string) error {
	k.asked.Add(1)
	if k.until != nil {
		select {
		case <-k.until:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	if err := k.fail.Load(); err != nil {
		return *err
	}
	if password != "right" {
		return fmt.Errorf("%w: not %s", ErrRefused, "right")
	}
	return nil
}

func (k *known) failing(err error) { k.fail.Store(&err) }

func TestAnswers(t *testing.T) {
	k := &known{}
	g := Guard(k, Limits{}, silent)
	if err := g.CheckPassword(t.Context(), anna, "right"); err != nil {
		t.Error(err)
	}
	if err := g.CheckPassword(t.Context(), anna, "wrong"); !errors.Is(err, ErrRefused) {
		t.Error(err)
	}
	odd := errors.New("odd")
	k.failing(odd)
	if err := g.CheckPassword(t.Context(), anna, "right"); !errors.Is(err, odd) || errors.Is(err, ErrRefused) {
		t.Error(err)
	}
	if _, err := g.UserExists(t.Context(), anna); !errors.Is(err, ErrUnknown) {
		t.Error(err)
	}
	if _, err := g.CheckToken(t.Context(), "example.com", "x"); !errors.Is(err, ErrUnknown) {
		t.Error(err)
	}
	if got, want := g.Stats(), (Stats{Asked: 3, Accepted: 1, Refused: 1, Failed: 1}); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
}

// Who asks the same at the same time gets the same answer; who asks something else is asked about himself.
func TestEqualQuestions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := &known{until: make(chan struct{})}
		g := Guard(k, Limits{}, silent)
		var yes, no atomic.Int64
		var all sync.WaitGroup
		for _, q := range []struct {
			user     addr.Bare
			password string
		}{{anna, "right"}, {anna, "right"}, {anna, "right"}, {anna, "wrong"}, {berta, "right"}} {
			all.Go(func() {
				if g.CheckPassword(t.Context(), q.user, q.password) == nil {
					yes.Add(1)
				} else {
					no.Add(1)
				}
			})
		}
		synctest.Wait()
		close(k.until)
		all.Wait()
		if k.asked.Load() != 3 || yes.Load() != 4 || no.Load() != 1 {
			t.Errorf("asked %d times, %d in, %d refused", k.asked.Load(), yes.Load(), no.Load())
		}
	})
}

// A yes is kept for as long as the option says, a no never, and nothing at all by default.
func TestCache(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, tt := range []struct {
			cache time.Duration
			steps string // password, then the seconds to wait
			asked int64
		}{
			{0, "right 0 right 0", 2},
			{time.Minute, "right 0 right 59 right 0", 1},
			{time.Minute, "right 60 right 0 right 0", 2},
			{time.Minute, "wrong 0 wrong 0", 2},
			{time.Minute, "right 0 wrong 0 right 0", 2},
			{time.Minute, "right 61 right 30 right 0", 2},
		} {
			k := &known{}
			g := Guard(k, Limits{Cache: tt.cache}, silent)
			steps := strings.Fields(tt.steps)
			for i := 0; i < len(steps); i += 2 {
				err := g.CheckPassword(t.Context(), anna, steps[i])
				if (err == nil) != (steps[i] == "right") {
					t.Errorf("%s: %v", tt.steps, err)
				}
				pause, err := time.ParseDuration(steps[i+1] + "s")
				if err != nil {
					t.Fatal(err)
				}
				time.Sleep(pause) // of the bubble's clock
			}
			if k.asked.Load() != tt.asked {
				t.Errorf("%v, %s: asked %d times, want %d", tt.cache, tt.steps, k.asked.Load(), tt.asked)
			}
		}
	})
}

// What is kept is bounded.
func TestCacheFull(t *testing.T) {
	var k kept
	now := time.Now()
	for i := range mostKept + 5 {
		var q question
		q[0], q[1], q[2] = byte(i), byte(i>>8), byte(i>>16)
		k.put(q, answer{}, now, now.Add(time.Hour))
	}
	if len(k.answers) != mostKept || len(k.row) != mostKept {
		t.Errorf("%d answers, %d in the row", len(k.answers), len(k.row))
	}
	if _, ok := k.get(question{4}, now); ok {
		t.Error("the oldest is still there")
	}
	if _, ok := k.get(question{5}, now); !ok {
		t.Error("one that is not too old is gone")
	}
	k.put(question{1: 0xff, 2: 0xff}, answer{}, now.Add(2*time.Hour), now.Add(3*time.Hour))
	if len(k.answers) != 1 {
		t.Errorf("%d answers, of which all but one are too old", len(k.answers))
	}
}

// A source that does not answer keeps nobody longer than the deadline, and no more questions than its places.
func TestSlowSource(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stuck := make(chan struct{})
		g := Guard(SourceFunc(func(context.Context, addr.Bare, string) error { <-stuck; return nil }), Limits{Timeout: time.Second, Parallel: 1, Breaker: -1}, silent)
		begun := time.Now()
		if err := g.CheckPassword(t.Context(), anna, "right"); !errors.Is(err, context.DeadlineExceeded) || time.Since(begun) != time.Second {
			t.Errorf("after %v: %v", time.Since(begun), err)
		}
		begun = time.Now()
		if err := g.CheckPassword(t.Context(), berta, "right"); !errors.Is(err, errBusy) || time.Since(begun) != time.Second {
			t.Errorf("after %v: %v", time.Since(begun), err)
		}
		if s := g.Stats(); s.Asked != 1 {
			t.Errorf("%+v", s)
		}
		close(stuck)
		synctest.Wait()
		if err := g.CheckPassword(t.Context(), berta, "right"); err != nil {
			t.Errorf("once it answers: %v", err)
		}
	})
}

// When the last one who waits has gone, the source is told, and its place is free.
func TestClientGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := &known{until: make(chan struct{})}
		g := Guard(k, Limits{Parallel: 1, Breaker: 1}, silent)
		ctx, cancel := context.WithCancel(t.Context())
		var all sync.WaitGroup
		for range 2 {
			all.Go(func() {
				if err := g.CheckPassword(ctx, anna, "right"); !errors.Is(err, context.Canceled) {
					t.Error(err)
				}
			})
		}
		synctest.Wait()
		cancel()
		all.Wait()
		synctest.Wait()
		close(k.until)
		if err := g.CheckPassword(t.Context(), anna, "right"); err != nil {
			t.Errorf("the next one: %v", err)
		}
		if s := g.Stats(); s.Failed != 0 || s.Asked != 2 || s.Joined != 1 {
			t.Errorf("%+v", s)
		}
	})
}

// After failures in a row nobody is asked, then one at a time, until there is an answer.
func TestBreaker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := &known{}
		g := Guard(k, Limits{Breaker: 3}, silent)
		k.failing(errors.New("down"))
		for range 10 { // one user's strange password is no outage
			_ = g.CheckPassword(t.Context(), anna, "right")
		}
		if k.asked.Load() != 10 {
			t.Fatalf("asked %d times", k.asked.Load())
		}
		_ = g.CheckPassword(t.Context(), berta, "right")
		if !g.Stats().Open {
			t.Fatal("not open after failures of two users")
		}
		for range 10 {
			if err := g.CheckPassword(t.Context(), berta, "right"); err == nil || errors.Is(err, ErrRefused) || !errors.Is(err, ErrUnasked) || !strings.Contains(err.Error(), "down") {
				t.Errorf("while open: %v", err)
			}
		}
		if k.asked.Load() != 11 {
			t.Fatalf("asked %d times", k.asked.Load())
		}
		time.Sleep(firstPause) // of the bubble's clock
		_ = g.CheckPassword(t.Context(), anna, "right")
		_ = g.CheckPassword(t.Context(), anna, "right")
		if k.asked.Load() != 12 {
			t.Fatalf("asked %d times, one probe is enough", k.asked.Load())
		}
		time.Sleep(2 * firstPause)
		k.fail.Store(nil)
		if err := g.CheckPassword(t.Context(), anna, "wrong"); !errors.Is(err, ErrRefused) {
			t.Errorf("the probe: %v", err)
		}
		if err := g.CheckPassword(t.Context(), anna, "right"); err != nil {
			t.Errorf("after an answer: %v", err)
		}
	})
}

// What was asked before the breaker opened says nothing when it comes later.
func TestLateFailure(t *testing.T) {
	b := breaker{limit: 2}
	now := time.Now()
	begin := func(who string) attempt {
		a, err := b.begin(who, now)
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	late, one, two := begin("late"), begin("one"), begin("two")
	b.failed(one, errBusy, now)
	if b.failed(two, errBusy, now) != tripped {
		t.Fatal("not open")
	}
	if b.answered(late) != none || !b.open {
		t.Error("an old answer has closed it")
	}
	now = b.until
	probe := begin("probe")
	b.given(probe)
	if b.answered(begin("probe")) != closed || b.open {
		t.Error("a probe after one that was given up has not closed it")
	}
}

// holder is a source that can be closed, and tokens and users can be asked of.
type holder struct {
	known
	closed atomic.Bool
}

func (h *holder) Close() error { h.closed.Store(true); return nil }

func (h *holder) UserExists(_ context.Context, u addr.Bare) (bool, error) {
	h.asked.Add(1)
	return u == anna, nil
}

func (h *holder) CheckToken(_ context.Context, host, token string) (addr.Bare, error) {
	h.asked.Add(1)
	if token != "annas" || host != "example.com" {
		return addr.Bare{}, ErrRefused
	}
	return anna, nil
}

func TestUsersAndTokens(t *testing.T) {
	h := &holder{}
	g := Guard(h, Limits{Cache: time.Hour}, silent)
	for range 2 {
		if ok, err := g.UserExists(t.Context(), anna); !ok || err != nil {
			t.Error(ok, err)
		}
		if ok, err := g.UserExists(t.Context(), berta); ok || err != nil {
			t.Error(ok, err)
		}
		if u, err := g.CheckToken(t.Context(), "example.com", "annas"); u != anna || err != nil {
			t.Error(u, err)
		}
		if u, err := g.CheckToken(t.Context(), "example.org", "annas"); !u.IsZero() || !errors.Is(err, ErrRefused) {
			t.Error(u, err)
		}
	}
	if h.asked.Load() != 6 { // a no is not kept
		t.Errorf("asked %d times", h.asked.Load())
	}
	if err := g.CheckPassword(t.Context(), anna, "annas"); !errors.Is(err, ErrRefused) {
		t.Errorf("a token that is known passes for a password: %v", err)
	}
}

// Closing waits for the questions under way, but not for ever.
func TestClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &holder{known: known{until: make(chan struct{})}}
		g := Guard(h, Limits{Timeout: time.Second}, silent)
		go g.CheckPassword(t.Context(), anna, "right")
		synctest.Wait()
		done := make(chan error)
		go func() { done <- g.Close() }()
		synctest.Wait()
		if h.closed.Load() {
			t.Error("closed while it is asked")
		}
		close(h.until)
		if err := <-done; err != nil || !h.closed.Load() {
			t.Error(err, h.closed.Load())
		}
		begun := time.Now()
		if err := g.CheckPassword(t.Context(), berta, "right"); err != nil || time.Since(begun) > 0 {
			t.Errorf("asked too late, after %v: %v", time.Since(begun), err)
		}
	})
}

// No password is kept, only a hash under a key that nobody else has.
func TestQuestion(t *testing.T) {
	g, other := Guard(&known{}, Limits{}, silent), Guard(&known{}, Limits{}, silent)
	if g.question("password", "a", "b") == other.question("password", "a", "b") {
		t.Error("the key is not random")
	}
	seen := map[question]string{}
	for _, parts := range [][3]string{{"password", "a", "b"}, {"password", "ab", ""}, {"password", "", "ab"}, {"token", "a", "b"}, {"passworda", "", "b"}} {
		q := g.question(parts[0], parts[1], parts[2])
		if was, taken := seen[q]; taken {
			t.Errorf("%q and %s are one", parts, was)
		}
		seen[q] = fmt.Sprintf("%q", parts)
	}
}

// BenchmarkGuard is what a question costs beside the source's own work.
func BenchmarkGuard(b *testing.B) {
	g := Guard(&known{}, Limits{}, silent)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			_ = g.CheckPassword(b.Context(), anna, "right")
		}
	})
}

// A source that panics has failed, and everybody else goes on.
func TestPanic(t *testing.T) {
	g := Guard(SourceFunc(func(context.Context, addr.Bare, string) error { panic("odd") }), Limits{Parallel: 1}, silent)
	for range 2 { // also its place is free again
		if err := g.CheckPassword(t.Context(), anna, "geheim"); err == nil || errors.Is(err, ErrRefused) || !strings.Contains(err.Error(), "odd") {
			t.Error(err)
		}
	}
	if s := g.Stats(); s.Failed != 2 {
		t.Errorf("%+v", s)
	}
}

// once is a source whose passwords are good for one login.
type once struct{ known }

func (*once) Once() {}

// TestOnceKept: nothing is kept of an answer that nobody else may have.
func TestOnceKept(t *testing.T) {
	g := Guard(&once{}, Limits{Cache: time.Minute}, silent)
	if err := g.CheckPassword(t.Context(), anna, "right"); err != nil {
		t.Fatal(err)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if n := len(g.kept.row); n != 0 {
		t.Errorf("%d answers are kept", n)
	}
}
