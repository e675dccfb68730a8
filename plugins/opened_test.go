package plugins

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"rosterd/engine"
	"rosterd/engine/addr"
)

// worker is a plugin that takes its time, and notices what happens after its end.
type worker struct {
	takes   time.Duration
	err     error
	deaf    bool // to the end of its context
	running atomic.Int64
	closed  atomic.Int64
	late    atomic.Int64 // calls that ran while it was closed
}

func (w *worker) work(ctx context.Context) error {
	w.running.Add(1)
	defer w.running.Add(-1)
	done := ctx.Done()
	if w.deaf {
		done = nil
	}
	select {
	case <-time.After(w.takes):
	case <-done:
		return ctx.Err()
	}
	if w.closed.Load() > 0 {
		w.late.Add(1)
		return errors.New("the plugin is closed")
	}
	return w.err
}

// TestErrorsHidePasswords: what a script says when it cannot ask goes into a log, and it may well say what it would have
// asked.
func TestErrorsHidePasswords(t *testing.T) {
	user := addr.MustParse("john@example.com").Bare()
	const password = "r0m30 &juliet"
	for name, tt := range map[string]struct{ err, want error }{
		"in a URL":  {&engine.TemporaryError{RetryAfter: time.Second, Err: errors.New("GET http://x/?p=r0m30+%26juliet&q=r0m30%20%26juliet: refused")}, errors.New("GET http://x/?p={{password}}&q={{password}}: refused")},
		"as it is":  {&engine.FaultError{Kind: "trap", Err: errors.New("cannot check r0m30 &juliet")}, errors.New("plugin fault (trap): cannot check {{password}}")},
		"denied":    {fmt.Errorf("%w: not %s", engine.ErrDenied, password), errors.New(engine.ErrDenied.Error() + ": not {{password}}")},
		"not in it": {&engine.FaultError{Kind: "trap", Err: errors.New("cannot check")}, errors.New("plugin fault (trap): cannot check")},
		"no error":  {nil, nil},
	} {
		o := &Opened{Plugin: &worker{err: tt.err}}
		err := o.Authenticate(t.Context(), user, password)
		if fmt.Sprint(err) != fmt.Sprint(tt.want) || errors.Is(err, engine.ErrDenied) != errors.Is(tt.err, engine.ErrDenied) {
			t.Errorf("%s: %v, want %v", name, err, tt.want)
		}
		var fault, faultBefore *engine.FaultError
		if errors.As(err, &fault) != errors.As(tt.err, &faultBefore) || fault != nil && (fault.Kind != "trap" || strings.Contains(fault.Error(), "r0m30")) {
			t.Errorf("%s: fault %v", name, fault)
		}
		var temporary, temporaryBefore *engine.TemporaryError
		if errors.As(err, &temporary) != errors.As(tt.err, &temporaryBefore) || temporary != nil && (temporary.RetryAfter != time.Second || strings.Contains(temporary.Error(), "r0m30")) {
			t.Errorf("%s: temporary %v", name, temporary)
		}
	}
	o := &Opened{Plugin: &worker{err: errors.New("cannot")}}
	if err := o.Authenticate(t.Context(), user, "a"); err.Error() != "cannot" {
		t.Errorf("of a password that is in every word: %v", err)
	}
}

func (w *worker) Info() Info         { return Info{Roster: true} }
func (w *worker) Generation() string { return "1" }
func (w *worker) Usage() Usage       { return Usage{Memory: 5, Restarts: 2} }
func (w *worker) Close() error       { w.closed.Add(1); return nil }
func (w *worker) Fetch(ctx context.Context, _ engine.Request) (engine.Answer, error) {
	return engine.Answer{Rev: "r"}, w.work(ctx)
}
func (w *worker) Authenticate(ctx context.Context, _ addr.Bare, _ string) error { return w.work(ctx) }
func (w *worker) Handle(ctx context.Context, _ Call) (Reply, error) {
	return Reply{Status: 201}, w.work(ctx)
}
func (w *worker) Edit(ctx context.Context, _ engine.Edit) error { return w.work(ctx) }
func (w *worker) Card(ctx context.Context, _ addr.Bare) (engine.Card, error) {
	return engine.Card{}, w.work(ctx)
}
func (w *worker) Tick(ctx context.Context, timer int) (time.Duration, error) {
	return time.Duration(timer) * time.Second, w.work(ctx)
}

func opened(p Plugin, observe func(Called)) *Opened {
	return &Opened{Plugin: p, source: Source{Name: "crm"}, host: "example.com", observe: observe}
}

func callAll(ctx context.Context, p Plugin) []error {
	_, fetch := p.Fetch(ctx, engine.Request{})
	_, handle := p.Handle(ctx, Call{})
	_, tick := p.Tick(ctx, 3)
	return []error{fetch, p.Authenticate(ctx, addr.Bare{}, "x"), handle, tick}
}

func TestOpenedObserves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var seen []Called
		w := &worker{takes: 3 * time.Second, err: engine.ErrDenied}
		o := opened(w, func(c Called) { seen = append(seen, c) })
		for i, err := range callAll(t.Context(), o) {
			if err != engine.ErrDenied {
				t.Errorf("call %d: %v", i, err)
			}
		}
		w.err = nil
		if a, err := o.Fetch(t.Context(), engine.Request{}); a.Rev != "r" || err != nil {
			t.Errorf("fetch: %+v, %v", a, err)
		}
		if r, err := o.Handle(t.Context(), Call{}); r.Status != 201 || err != nil {
			t.Errorf("handle: %+v, %v", r, err)
		}
		if again, err := o.Tick(t.Context(), 3); again != 3*time.Second || err != nil {
			t.Errorf("tick: %v, %v", again, err)
		}
		if u := o.Usage(); u != (Usage{5, 2}) {
			t.Errorf("usage %+v", u)
		}
		if u := opened(Nothing{}, nil).Usage(); u != (Usage{}) {
			t.Errorf("usage of what has no process of its own: %+v", u)
		}
		var got []string
		for _, c := range seen {
			if c.Plugin != "crm" || c.Host != "example.com" || c.Took != 3*time.Second {
				t.Errorf("observed %+v", c)
			}
			got = append(got, string(c.Work)+" "+c.Outcome())
		}
		want := []string{"roster denied", "auth denied", "http denied", "timer denied", "roster ok", "http ok", "timer ok"}
		if !slices.Equal(slices.Sorted(slices.Values(got[:4])), slices.Sorted(slices.Values(want[:4]))) || !slices.Equal(got[4:], want[4:]) {
			t.Errorf("observed %v, want %v", got, want)
		}
	})
}

// panics is a plugin with a mistake that its engine did not catch.
type panics struct{ Nothing }

func (panics) Fetch(context.Context, engine.Request) (engine.Answer, error) { panic("oh") }

func TestOpenedPanic(t *testing.T) {
	var seen []Called
	o := opened(panics{}, func(c Called) { seen = append(seen, c) })
	func() {
		defer func() {
			if p := recover(); p != "oh" {
				t.Errorf("recovered %v", p)
			}
		}()
		_, _ = o.Fetch(t.Context(), engine.Request{})
	}()
	if len(seen) != 1 || seen[0].Outcome() != "trap" {
		t.Errorf("observed %+v", seen)
	}
	if err := o.Drain(t.Context(), 0); err != nil { // would wait for ever if the call still counted
		t.Error(err)
	}
}

func TestOutcomes(t *testing.T) {
	timeout, cancel := context.WithTimeout(t.Context(), 0)
	defer cancel()
	fault := func(kind string) error {
		return fmt.Errorf("user: %w", &engine.FaultError{Kind: kind, Err: context.DeadlineExceeded})
	}
	seen := map[string]bool{}
	for want, err := range map[string]error{
		"ok": nil, "unknown-user": fmt.Errorf("x: %w", engine.ErrUnknownUser), "denied": engine.ErrDenied, "timeout": timeout.Err(),
		"temporary": errors.New("anything else"), "permanent": &engine.PermanentError{Err: ErrUnsupported}, "canceled": context.Canceled,
		"deadline": fault("deadline"), "instructions": fault("instructions"), "memory": fault("memory"), "trap": fault("trap"),
		"protocol": fault("protocol"), "fault": fault("a kind of another version"),
	} {
		if got := (Called{Err: err}).Outcome(); got != want {
			t.Errorf("%v: %s, want %s", err, got, want)
		}
		seen[want] = true
	}
	for _, o := range Outcomes {
		if !seen[o] {
			t.Errorf("nothing comes to %s", o)
		}
	}
	if len(seen) != len(Outcomes) {
		t.Errorf("outcomes are %v", Outcomes)
	}
	if got := (Called{Err: fmt.Errorf("%w: %w", &engine.TemporaryError{Err: errors.New("x")}, context.DeadlineExceeded)}).Outcome(); got != "timeout" {
		t.Errorf("a temporary error because of a timeout is %s", got)
	}
}

func TestDrain(t *testing.T) {
	const idle = 10 * time.Second
	for _, tt := range []struct {
		name  string
		calls map[time.Duration]time.Duration // when they begin, and how long they take
		limit time.Duration                   // of the context; 0 is none
		deaf  bool
		want  time.Duration // when it is closed
		err   string
	}{
		{name: "nothing runs", want: idle},
		{name: "a call runs", calls: map[time.Duration]time.Duration{-time.Second: 4 * time.Second}, want: 3*time.Second + idle},
		{name: "one that was about to begin", calls: map[time.Duration]time.Duration{time.Second: 2 * time.Second}, want: 3*time.Second + idle},
		{name: "one after the other", calls: map[time.Duration]time.Duration{time.Second: time.Second, 9 * time.Second: 5 * time.Second, 15 * time.Second: time.Second}, want: 16*time.Second + idle},
		{name: "some at once", calls: map[time.Duration]time.Duration{time.Second: time.Second, 2 * time.Second: 20 * time.Second, 3 * time.Second: time.Second}, want: 22*time.Second + idle},
		{name: "no more time, but nothing runs", limit: 4 * time.Second, want: 4 * time.Second},
		{name: "no more time while it is idle", calls: map[time.Duration]time.Duration{0: 3 * time.Second}, limit: 4 * time.Second, want: 4 * time.Second},
		{name: "a call that does not end", calls: map[time.Duration]time.Duration{0: time.Hour}, limit: 15 * time.Second, deaf: true, want: 15 * time.Second,
			err: "plugin crm of example.com: calls have not ended: context deadline exceeded"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := &worker{deaf: tt.deaf}
				o := opened(w, nil)
				start := time.Now()
				ctx := context.Background()
				var calls sync.WaitGroup
				for at, takes := range tt.calls {
					calls.Go(func() {
						time.Sleep(time.Second + at)
						w := &worker{takes: takes, deaf: tt.deaf}
						if err := o.call(WorkRoster, func() error { return w.work(ctx) }); err != nil {
							t.Errorf("the call at %v: %v", at, err)
						}
					})
				}
				time.Sleep(time.Second)
				synctest.Wait()
				if tt.limit > 0 {
					var cancel context.CancelFunc
					ctx, cancel = context.WithTimeout(ctx, tt.limit)
					defer cancel()
				}
				err := o.Drain(ctx, idle)
				if got := time.Since(start) - time.Second; got != tt.want {
					t.Errorf("closed after %v, want %v", got, tt.want)
				}
				if tt.err == "" && err != nil || tt.err != "" && (err == nil || err.Error() != tt.err) {
					t.Errorf("error %v, want %q", err, tt.err)
				}
				if n := w.closed.Load(); n != 1 {
					t.Errorf("closed %d times", n)
				}
				for i, err := range callAll(ctx, o) {
					if temporary := new(engine.TemporaryError); !errors.As(err, &temporary) || !strings.Contains(err.Error(), "plugin crm of example.com is closed") {
						t.Errorf("call %d after the end: %v", i, err)
					}
				}
				if err := errors.Join(o.Close(), o.Drain(ctx, idle)); err != nil || w.closed.Load() != 1 {
					t.Errorf("closed again: %v, %d times", err, w.closed.Load())
				}
				calls.Wait()
			})
		})
	}
}

// TestSwapsLoseNothing: calls take hold of the plugin that is served, think for a moment, and call it; meanwhile others
// take its place, again and again. No call fails, no plugin is closed under a call, and all are closed in the end.
func TestSwapsLoseNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const swaps, callers, calls = 200, 50, 40
		var made []*worker
		var current atomic.Pointer[Opened]
		fresh := func() {
			w := &worker{takes: rand.N(3 * time.Second)}
			made = append(made, w)
			current.Store(opened(w, nil))
		}
		fresh()
		var retired Retired
		var all sync.WaitGroup
		for range callers {
			all.Go(func() {
				for range calls {
					o := current.Load()
					time.Sleep(rand.N(afterlife)) // as a client may
					for i, err := range callAll(t.Context(), o) {
						if err != nil {
							t.Errorf("call %d: %v", i, err)
						}
					}
				}
			})
		}
		all.Go(func() {
			for range swaps {
				time.Sleep(rand.N(10 * time.Second))
				old := current.Load()
				fresh()
				retired.Retire(old, slog.New(slog.DiscardHandler))
				retired.Retire(old, slog.New(slog.DiscardHandler)) // does no harm
			}
		})
		all.Wait()
		time.Sleep(longestAfterlife)
		synctest.Wait()
		if n := len(retired.Plugins()); n != 0 {
			t.Errorf("%d plugins were not closed in their own time", n)
		}
		retired.Close()
		for i, w := range made {
			want := int64(1)
			if i == len(made)-1 {
				want = 0
			}
			if w.closed.Load() != want || w.late.Load() != 0 || w.running.Load() != 0 {
				t.Errorf("plugin %d of %d was closed %d times, %d calls came late, %d run", i, len(made), w.closed.Load(), w.late.Load(), w.running.Load())
			}
		}
	})
}

func TestRetiredClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log strings.Builder
		logger := slog.New(slog.NewTextHandler(&log, nil))
		idle, busy := &worker{}, &worker{takes: time.Hour, deaf: true}
		var retired Retired
		started := make(chan struct{})
		hangs := opened(busy, nil)
		var all sync.WaitGroup
		all.Go(func() {
			close(started)
			_, _ = hangs.Fetch(t.Context(), engine.Request{})
		})
		<-started
		synctest.Wait()
		retired.Retire(opened(idle, nil), logger)
		retired.Retire(hangs, logger)
		if n := len(retired.Plugins()); n != 2 {
			t.Errorf("%d are open", n)
		}
		start := time.Now()
		retired.Close()
		if took := time.Since(start); took != 0 {
			t.Errorf("Close took %v", took)
		}
		after := &worker{}
		retired.Retire(opened(after, nil), logger)
		for name, w := range map[string]*worker{"idle": idle, "busy": busy, "after": after} {
			if n := w.closed.Load(); n != 1 {
				t.Errorf("%s: closed %d times", name, n)
			}
		}
		if n := strings.Count(log.String(), "plugin of before was not closed"); n != 1 || !strings.Contains(log.String(), "calls have not ended") {
			t.Errorf("logged %s", &log)
		}
		all.Wait()
	})
}

func TestRetiredNeverEnding(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &worker{takes: time.Hour, deaf: true}
		o := opened(w, nil)
		var all sync.WaitGroup
		all.Go(func() { _, _ = o.Fetch(t.Context(), engine.Request{}) })
		synctest.Wait()
		var retired Retired
		retired.Retire(o, slog.New(slog.DiscardHandler))
		time.Sleep(longestAfterlife - time.Second)
		synctest.Wait()
		if w.closed.Load() != 0 {
			t.Error("closed too early")
		}
		time.Sleep(time.Second)
		synctest.Wait()
		if w.closed.Load() != 1 {
			t.Error("not closed")
		}
		all.Wait()
	})
}

// clings is a plugin that cannot be closed.
type clings struct{ Nothing }

func (clings) Close() error { return errors.New("it does not let go") }

func TestOpenedClose(t *testing.T) {
	if err := opened(clings{}, nil).Close(); err == nil {
		t.Error("the error is lost")
	}
	if err := opened(clings{}, nil).Drain(t.Context(), 0); err == nil {
		t.Error("the error is lost")
	}
	if err := (&Opened{Plugin: Nothing{}}).Close(); err != nil {
		t.Error(err)
	}
}

func BenchmarkOpened(b *testing.B) {
	run := func(b *testing.B, p Plugin) {
		b.ReportAllocs()
		for b.Loop() {
			_, _ = p.Handle(b.Context(), Call{Method: http.MethodPost})
		}
	}
	b.Run("bare", func(b *testing.B) { run(b, Nothing{}) })
	b.Run("opened", func(b *testing.B) { run(b, opened(Nothing{}, func(Called) {})) })
}
