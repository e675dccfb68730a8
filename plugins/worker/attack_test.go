//go:build linux

package worker

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"rosterd/engine"
	"rosterd/plugins"
)

var sink [][]byte

// misbehaviours of a plugin, by the name of the user that it is asked for. They run in the child.
var misbehaviours = map[string]func(ctx context.Context, s *stage) error{
	"loop": func(context.Context, *stage) error {
		for n := 0; ; n++ {
			runtime.KeepAlive(n)
		}
	},
	"deaf": func(context.Context, *stage) error { select {} },
	"obedient": func(ctx context.Context, _ *stage) error {
		<-ctx.Done()
		return &engine.FaultError{Kind: "deadline", Err: fmt.Errorf("mod_stage.stage:5: %w", ctx.Err())}
	},
	"memory": func(context.Context, *stage) error {
		for {
			b := make([]byte, 1<<20)
			for i := 0; i < len(b); i += 512 {
				b[i] = 1
			}
			sink = append(sink, b)
		}
	},
	"huge": func(context.Context, *stage) error {
		b := make([]byte, 1<<40)
		b[1<<39] = 1
		return nil
	},
	"exit":  func(context.Context, *stage) error { os.Exit(3); return nil },
	"exit0": func(context.Context, *stage) error { os.Exit(0); return nil },
	"signal": func(context.Context, *stage) error {
		_ = syscall.Kill(os.Getpid(), syscall.SIGSEGV)
		select {}
	},
	"panic":  func(context.Context, *stage) error { panic("boo") },
	"goexit": func(context.Context, *stage) error { runtime.Goexit(); return nil },
	"panic-elsewhere": func(context.Context, *stage) error {
		go panic("boo")
		select {}
	},
	"recursion": func(ctx context.Context, s *stage) error { return deeper(ctx, 1) },
	"print": func(context.Context, *stage) error {
		for range 1000 {
			fmt.Println("hello\x05\x00\x00\x00")
			fmt.Fprintln(os.Stderr, "hello")
		}
		return nil
	},
	"rubbish-frames": func(_ context.Context, s *stage) error {
		_, _ = s.child.out.Write([]byte(strings.Repeat("rubbish", 100)))
		select {}
	},
	"large-frame": func(_ context.Context, s *stage) error {
		b := begin(kindResult, 1)
		copy(b[5:], "\xff\xff\xff\xff")
		_, _ = s.child.out.Write(b)
		select {}
	},
	"forged-result": func(_ context.Context, s *stage) error {
		s.child.send(begin(kindResult, 1<<31))
		select {}
	},
	"ready-again": func(_ context.Context, s *stage) error {
		for range 3 {
			s.child.send(appendReadiness(appendBool(begin(kindReady, 0), true), readiness{}))
		}
		select {}
	},
	"result-of-load": func(_ context.Context, s *stage) error {
		s.child.send(begin(kindResult, 0))
		select {}
	},
	"short-result": func(ctx context.Context, s *stage) error {
		r := s.child.of(ctx)
		s.child.send(append(begin(kindResult, r.id), 1, 2, 3))
		select {}
	},
	"full-jid-result": func(ctx context.Context, s *stage) error {
		r := s.child.of(ctx)
		s.child.send(append(begin(kindResult, r.id), "\x01\x00\x00\x00\x00\x00\x01\x03\x07a@b.c/d\x00\x00"...))
		select {}
	},
	"mute": func(_ context.Context, s *stage) error {
		_ = s.child.out.(io.Closer).Close()
		select {}
	},
	"log-flood": func(ctx context.Context, s *stage) error {
		for i := range 100_000 {
			s.svc.Log(ctx, 100, strings.Repeat("x", 5000), "n", i, "long", strings.Repeat("y", 5000))
		}
		return nil
	},
	"raw-log-flood": func(ctx context.Context, s *stage) error {
		r := s.child.of(ctx)
		for range 100_000 {
			s.child.send(appendTexts(appendText(appendInt(begin(kindLog, r.id), 0), "x"), nil))
		}
		select {}
	},
	"stray-flood": func(ctx context.Context, s *stage) error {
		for range 100_000 {
			s.child.send(appendTexts(appendText(appendInt(begin(kindLog, 1<<30), 0), "x"), nil))
		}
		select {}
	},
	"requests": func(ctx context.Context, s *stage) error {
		for range maxRequests {
			if _, err := s.svc.HTTP(ctx, plugins.HTTPRequest{URL: "http://localhost/at-once"}); err != nil {
				return err
			}
		}
		_, err := s.svc.HTTP(ctx, plugins.HTTPRequest{URL: "http://localhost/at-once"})
		return err
	},
	"large-request": func(ctx context.Context, s *stage) error {
		_, err := s.svc.HTTP(ctx, plugins.HTTPRequest{URL: "http://localhost/at-once", Body: make([]byte, 2<<20)})
		return err
	},
	"parallel-host-calls": func(ctx context.Context, s *stage) error {
		r := s.child.of(ctx)
		for n := range 100 {
			s.child.send(appendTexts(append(appendUint(begin(kindHostCall, r.id), uint64(n)), hostRefresh), []string{"john"}))
		}
		select {}
	},
	"unknown-service": func(ctx context.Context, s *stage) error {
		_, err := s.child.of(ctx).ask(ctx, 99, nil)
		return err
	},
	"many-options": func(ctx context.Context, s *stage) error {
		c := &config{child: s.child, known: map[string]option{}}
		for n := 0; ; n++ {
			c.Option(fmt.Sprint(n))
		}
	},
	"stopped": func(context.Context, *stage) error {
		_ = syscall.Kill(os.Getpid(), syscall.SIGSTOP)
		select {}
	},
	"waits-for-http": func(ctx context.Context, s *stage) error {
		_, err := s.svc.HTTP(ctx, plugins.HTTPRequest{URL: "http://localhost/never"})
		<-context.WithoutCancel(ctx).Done() // and does not end
		return err
	},
	"waited-for-http": func(ctx context.Context, s *stage) error {
		_, err := s.svc.HTTP(ctx, plugins.HTTPRequest{URL: "http://localhost/never"})
		return &engine.TemporaryError{Err: err}
	},
	"permanent": func(context.Context, *stage) error {
		return fmt.Errorf("really: %w", &engine.PermanentError{Err: fmt.Errorf("never: %w", plugins.ErrRefused)})
	},
	"after": func(context.Context, *stage) error {
		return &engine.TemporaryError{RetryAfter: time.Hour, Err: errors.New("later")}
	},
	"unknown": func(context.Context, *stage) error { return fmt.Errorf("%w: nobody", engine.ErrUnknownUser) },
}

//go:noinline
func deeper(ctx context.Context, n int) error {
	var frame [1 << 10]byte
	frame[n%len(frame)] = 1
	if n < 0 {
		return nil
	}
	err := deeper(ctx, n+1)
	runtime.KeepAlive(&frame)
	return err
}

// TestMisbehaviour: each call has the outcome that it deserves, and those beside it, which are all in the midst of
// something, have theirs.
func TestMisbehaviour(t *testing.T) {
	const short = 400 * time.Millisecond
	for _, c := range []struct {
		name     string
		deadline time.Duration // minute
		is       func(error) bool
		contains string
		restarts bool
	}{
		{name: "loop", deadline: short, is: faulty("deadline"), contains: "mod_stage.stage: roster of loop@example.com: context deadline exceeded", restarts: true},
		{name: "deaf", deadline: short, is: faulty("deadline"), contains: "context deadline exceeded", restarts: true},
		{name: "stopped", deadline: short, is: faulty("deadline"), contains: "context deadline exceeded", restarts: true},
		{name: "waits-for-http", deadline: time.Second, is: temporary, contains: "the backend took", restarts: true},
		{name: "waited-for-http", deadline: time.Second, is: temporary, contains: "context deadline exceeded"},
		{name: "memory", is: faulty("memory"), contains: "the worker, in which nothing else ran, ran out of memory", restarts: true},
		{name: "huge", is: faulty("memory"), contains: "ran out of memory", restarts: true},
		{name: "recursion", is: faulty("memory"), contains: "ran out of memory", restarts: true},
		{name: "exit", is: faulty("crash"), contains: "exit status 3", restarts: true},
		{name: "exit0", is: faulty("crash"), contains: "exit status 0", restarts: true},
		{name: "signal", is: faulty("crash"), contains: "mod_stage.stage: roster of signal@example.com", restarts: true},
		{name: "panic", is: faulty("trap"), contains: "panic: boo"},
		{name: "goexit", is: faulty("trap"), contains: "without an answer"},
		{name: "panic-elsewhere", is: faulty("crash"), contains: "panic: boo", restarts: true},
		{name: "print"},
		{name: "rubbish-frames", is: faulty("protocol"), contains: "broke the rules: a frame of kind 114", restarts: true},
		{name: "large-frame", is: faulty("protocol"), contains: "4294967295 bytes", restarts: true},
		{name: "forged-result", is: faulty("protocol"), contains: "which it does not run", restarts: true},
		{name: "result-of-load", is: faulty("protocol"), contains: "which it does not run", restarts: true},
		{name: "ready-again", is: faulty("protocol"), contains: "ready twice", restarts: true},
		{name: "short-result", is: faulty("protocol"), contains: "a roster that cannot be read"},
		{name: "full-jid-result"},
		{name: "mute", is: faulty("protocol"), contains: "closed its output", restarts: true},
		{name: "log-flood"},
		{name: "raw-log-flood", is: faulty("protocol"), contains: "log lines of one call", restarts: true},
		{name: "stray-flood", is: faulty("protocol"), contains: "calls that are over", restarts: true},
		{name: "requests", is: func(err error) bool { return errors.Is(err, plugins.ErrLimit) }, contains: "more than 8 HTTP requests"},
		{name: "large-request", is: func(err error) bool { return errors.Is(err, plugins.ErrLimit) }},
		{name: "parallel-host-calls", is: faulty("protocol"), contains: "at a time", restarts: true},
		{name: "unknown-service", is: faulty("protocol"), contains: "a service of kind 99", restarts: true},
		{name: "many-options", is: faulty("protocol"), contains: "options", restarts: true},
		{name: "permanent", contains: "really: never: refused by policy", is: func(err error) bool {
			var p *engine.PermanentError
			return errors.As(err, &p) && errors.Is(err, plugins.ErrRefused)
		}},
		{name: "after", contains: "later", is: func(err error) bool {
			var p *engine.TemporaryError
			return errors.As(err, &p) && p.RetryAfter == time.Hour
		}},
		{name: "unknown", contains: "nobody", is: func(err error) bool { return errors.Is(err, engine.ErrUnknownUser) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := &world{refresh: func(ctx context.Context, _ []string) (plugins.Refreshed, error) {
				<-ctx.Done()
				return plugins.Refreshed{}, ctx.Err()
			}}
			beside := newBystanders(w)
			p := opening{limits: plugins.Limits{Memory: 16 << 20, Calls: 5}}.must(t, w)
			beside.start(t, p, 3)
			if c.deadline == 0 {
				c.deadline = minute
			}
			ctx, cancel := context.WithTimeout(t.Context(), c.deadline)
			defer cancel()
			began := time.Now()
			_, err := p.Fetch(ctx, as(c.name))
			switch {
			case c.is == nil && err != nil, c.is != nil && (err == nil || !c.is(err)):
				t.Errorf("got %T %v", err, err)
			case err != nil && !strings.Contains(err.Error(), c.contains):
				t.Errorf("got %v, want %q in it", err, c.contains)
			}
			if ctx.Err() == nil && c.deadline != minute && c.name != "waited-for-http" {
				t.Errorf("answered after %v, before the deadline", time.Since(began))
			}
			if c.restarts {
				await(t, next(p, 1), "the next worker")
			}
			if restarted := beside.finish(t, p); restarted != c.restarts {
				t.Errorf("started again: %v, want %v", restarted, c.restarts)
			}
			if n := len(w.logged()); n > 2*maxLines { // it may have been tried twice
				t.Errorf("%d log lines", n)
			}
			for _, line := range w.logged() {
				if len(line) > 3*maxLine {
					t.Errorf("a log line of %d bytes", len(line))
				}
			}
		})
	}
}

// bystanders are calls that wait for HTTP while something happens beside them.
type bystanders struct {
	arrived chan struct{}
	release chan struct{}
	all     sync.WaitGroup
}

func newBystanders(w *world) *bystanders {
	b := &bystanders{arrived: make(chan struct{}, 1000), release: make(chan struct{})}
	plain := (&world{}).HTTP
	w.http = func(ctx context.Context, r plugins.HTTPRequest) (*plugins.HTTPResponse, error) {
		switch {
		case strings.HasSuffix(r.URL, "/never"):
			<-ctx.Done()
			return nil, ctx.Err()
		case !strings.HasSuffix(r.URL, "/at-once"):
			b.arrived <- struct{}{}
			select {
			case <-b.release:
			case <-ctx.Done():
				return nil, ctx.Err()
			}
		}
		return plain(ctx, r)
	}
	return b
}

// start has n calls under way.
func (b *bystanders) start(t *testing.T, p *Plugin, n int) {
	t.Helper()
	for i := range n {
		b.all.Go(func() {
			ctx, cancel := context.WithTimeout(t.Context(), 2*minute)
			defer cancel()
			if a, err := p.Fetch(ctx, as(fmt.Sprintf("http-%d", i))); err != nil || a.Roster.Len() != 1 {
				t.Errorf("a call beside it: %v, %v", a, err)
			}
		})
	}
	for range n {
		await(t, b.arrived, "the calls beside it")
	}
}

// finish ends the calls, and tells whether the worker was started again.
func (b *bystanders) finish(t *testing.T, p *Plugin) bool {
	t.Helper()
	close(b.release)
	b.all.Wait()
	if _, err := p.Fetch(t.Context(), as("plain")); err != nil {
		t.Errorf("a call after it: %v", err)
	}
	return p.Usage().Restarts > 0
}

// TestHostCallFlood: the services of one call are called so often and no more.
func TestHostCallFlood(t *testing.T) {
	proc := &process{plugin: &Plugin{svc: &world{}}, loader: &call{}}
	proc.outbox.init()
	proc.outbox.close()
	c := &call{ctx: t.Context()}
	f := frame{kind: kindHostCall, call: 1, payload: string(appendText(appendText(append(appendUint(nil, 1), hostLoad), "a"), "b"))}
	for n := range maxHostCalls + 1 {
		c.running = 0
		err := proc.takeHostCall(c, f)
		if beyond := n == maxHostCalls; beyond != (err != nil) {
			t.Fatalf("after %d: %v", n, err)
		}
	}
	proc.plugin.running.Wait()
}

// TestEditsAreNotRepeated: what may have changed something is not done again.
func TestEditsAreNotRepeated(t *testing.T) {
	w := &world{}
	p := opening{}.must(t, w)
	for _, name := range []string{"exit", "memory", "rubbish-frames"} {
		_, err := p.Handle(t.Context(), plugins.Call{Route: 2, Path: "/act", Body: []byte(name)})
		if !temporary(err) || !strings.Contains(err.Error(), "the worker of plugin stage") {
			t.Errorf("%s: %T %v", name, err, err)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if _, err := p.Handle(ctx, plugins.Call{Route: 2, Path: "/act", Body: []byte("loop")}); !faulty("deadline")(err) {
		t.Errorf("loop: %T %v", err, err)
	}
	if _, err := p.Fetch(t.Context(), as("plain")); err != nil {
		t.Error(err)
	}
}

// TestObedient: a plugin that sees to its deadline can say what it was about, and its worker lives on.
func TestObedient(t *testing.T) {
	p := opening{}.must(t, &world{})
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	_, err := p.Fetch(ctx, as("obedient"))
	if !faulty("deadline")(err) || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%T %v", err, err)
	}
	ctx, cancel = context.WithCancel(t.Context())
	arrived := make(chan error, 1)
	go func() {
		_, err := p.Fetch(ctx, as("obedient"))
		arrived <- err
	}()
	cancel()
	if err := await(t, arrived, "the cancelled call"); !errors.Is(err, context.Canceled) && !temporary(err) {
		t.Errorf("%T %v", err, err)
	}
	if _, err := p.Fetch(t.Context(), as("plain")); err != nil || p.Usage().Restarts != 0 {
		t.Error(err, p.Usage())
	}
}

// TestSuspects: of many calls in a worker that ended by itself, the one that did it is found.
func TestSuspects(t *testing.T) {
	w := &world{}
	beside := newBystanders(w)
	p := opening{limits: plugins.Limits{Calls: 12, Memory: 8 << 20}}.must(t, w)
	beside.start(t, p, 8)
	results := make(chan error, 3)
	names := []string{"exit", "memory", "exit0"}
	for _, name := range names {
		go func() {
			_, err := p.Fetch(t.Context(), as(name))
			results <- err
		}()
	}
	var said, errs []string
	close(beside.release)
	for range names {
		err := await(t, results, "the outcome")
		var f *engine.FaultError
		if !errors.As(err, &f) {
			t.Fatalf("%T %v", err, err)
		}
		said, errs = append(said, f.Kind), append(errs, err.Error())
	}
	slices.Sort(said)
	if !slices.Equal(said, []string{"crash", "crash", "memory"}) {
		t.Errorf("kinds %q: %q", said, errs)
	}
	beside.all.Wait()
}
