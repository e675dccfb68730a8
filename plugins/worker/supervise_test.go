//go:build linux

package worker

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"rosterd/engine"
	"rosterd/plugins"
)

func command(t testing.TB, args ...string) *exec.Cmd {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return exec.CommandContext(t.Context(), exe, args...)
}

// pid is that of the process that runs now.
func (p *Plugin) pid() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.proc == nil {
		return 0
	}
	return p.proc.cmd.Process.Pid
}

// lines is a log that a test reads.
type lines struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// TestKilled: kill -9 in the midst of 100 calls costs those one more try and nothing else.
func TestKilled(t *testing.T) {
	const n = 100
	w := &world{}
	var requests atomic.Int32
	arrived := make(chan struct{}, 2*n)
	w.http = func(ctx context.Context, r plugins.HTTPRequest) (*plugins.HTTPResponse, error) {
		if requests.Add(1) > n {
			return (&world{}).HTTP(ctx, r)
		}
		arrived <- struct{}{}
		<-ctx.Done() // the call ends with its worker
		return nil, ctx.Err()
	}
	log := &lines{}
	p := opening{limits: plugins.Limits{Calls: n}, log: log}.must(t, w)
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() {
			if a, err := p.Fetch(t.Context(), as(fmt.Sprintf("http-%d", i))); err != nil || a.Roster.Len() != 1 {
				t.Errorf("%v, %v", a, err)
			}
		})
	}
	for range n {
		await(t, arrived, "the calls")
	}
	if err := syscall.Kill(p.pid(), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	all.Wait()
	if got := requests.Load(); got != 2*n {
		t.Errorf("%d requests of %d calls, want two of each", got, n)
	}
	if u := p.Usage(); u.Restarts != 1 {
		t.Errorf("%d restarts", u.Restarts)
	}
	if s := log.String(); strings.Count(s, "level=WARN") != 1 || !strings.Contains(s, "the worker of a plugin has ended and is started again") || !strings.Contains(s, "killed from outside") || !strings.Contains(s, "plugin=stage host=example.com") {
		t.Errorf("log:\n%s", s)
	}
}

// TestKilledTwice: a call is not tried for ever.
func TestKilledTwice(t *testing.T) {
	w := &world{}
	arrived := make(chan struct{}, 9)
	w.http = func(ctx context.Context, r plugins.HTTPRequest) (*plugins.HTTPResponse, error) {
		arrived <- struct{}{}
		<-ctx.Done()
		return nil, ctx.Err()
	}
	p := opening{}.must(t, w)
	done := make(chan error, 1)
	go func() {
		_, err := p.Fetch(t.Context(), as("http"))
		done <- err
	}()
	for range 2 {
		await(t, arrived, "the call")
		if err := syscall.Kill(p.pid(), syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
	}
	if err := await(t, done, "the outcome"); !temporary(err) || !strings.Contains(err.Error(), "the worker of plugin stage was killed from outside") {
		t.Errorf("%T %v", err, err)
	}
}

// TestStopped: nobody waits at a worker that does not read, whatever is to be written to it.
func TestStopped(t *testing.T) {
	p := opening{limits: plugins.Limits{Calls: 16}}.must(t, &world{})
	if err := syscall.Kill(p.pid(), syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			_, err := p.Handle(ctx, plugins.Call{Body: make([]byte, 1<<20)}) // much more than a pipe holds
			if !faulty("deadline")(err) {
				t.Errorf("%T %v", err, err)
			}
		})
	}
	all.Wait()
	if _, err := p.Fetch(t.Context(), as("plain")); err != nil {
		t.Error(err)
	}
	if u := p.Usage(); u.Restarts != 1 {
		t.Errorf("%d restarts", u.Restarts)
	}
}

// TestQueue: more calls than may run at a time wait for their turn, and no longer than they may.
func TestQueue(t *testing.T) {
	w := &world{}
	beside := newBystanders(w)
	p := opening{limits: plugins.Limits{Calls: 3}}.must(t, w)
	beside.start(t, p, 3)
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if _, err := p.Fetch(ctx, as("plain")); !temporary(err) || !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "has 3 calls under way") {
		t.Errorf("%T %v", err, err)
	}
	waiting := make(chan error, 1)
	go func() {
		_, err := p.Fetch(t.Context(), as("plain"))
		waiting <- err
	}()
	beside.finish(t, p)
	if err := await(t, waiting, "the call that waited"); err != nil {
		t.Error(err)
	}
}

// TestBackoff: workers that end again and again are started later and later; calls that cannot wait so long are told.
func TestBackoff(t *testing.T) {
	log := &lines{}
	p := opening{log: log}.must(t, &world{})
	for n := range 6 {
		proc := await(t, next(p, n), "the next worker")
		_ = proc.cmd.Process.Kill()
		<-proc.gone
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := p.Fetch(ctx, as("plain")); !temporary(err) || !strings.Contains(err.Error(), "the worker of plugin stage") {
		t.Errorf("%T %v", err, err)
	}
	if _, err := p.Fetch(t.Context(), as("plain")); err != nil {
		t.Errorf("a call that can wait: %v", err)
	}
	for _, in := range []string{"in=0s", "in=100ms", "in=200ms", "in=400ms", "in=800ms"} {
		if !strings.Contains(log.String(), in) {
			t.Errorf("no line with %s:\n%s", in, log)
		}
	}
	proc := await(t, next(p, 6), "the worker")
	_ = proc.cmd.Process.Kill()
	<-proc.gone
	await(t, next(p, 7), "the next worker")
	if strings.Count(log.String(), "in=0s") != 2 {
		t.Errorf("after a call that was completed the pause is not 0 again:\n%s", log)
	}
}

// next is the process after so many restarts.
func next(p *Plugin, restarts int) <-chan *process {
	found := make(chan *process, 1)
	go func() {
		for {
			p.mu.Lock()
			proc, n, changed := p.proc, p.restarts, p.changed
			p.mu.Unlock()
			if proc != nil && n >= int64(restarts) {
				found <- proc
				return
			}
			select {
			case <-changed:
			case <-p.life.Done():
				return
			}
		}
	}()
	return found
}

// TestCannotBeOpenedAgain: calls are told, and it is tried again.
func TestCannotBeOpenedAgain(t *testing.T) {
	w, log := &world{}, &lines{}
	p := opening{code: "once here", log: log}.must(t, w)
	if err := syscall.Kill(p.pid(), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	_, err := p.Fetch(t.Context(), as("plain"))
	if !temporary(err) || !strings.Contains(err.Error(), "the worker of plugin stage cannot be started again: only once") {
		t.Errorf("%T %v", err, err)
	}
	if err := w.Save(t.Context(), "", "here", nil, 0); err != nil {
		t.Fatal(err)
	}
	await(t, next(p, 1), "the worker")
	if _, err := p.Fetch(t.Context(), as("plain")); err != nil {
		t.Error(err)
	}
	if !strings.Contains(log.String(), "the worker of a plugin cannot be started again") {
		t.Errorf("log:\n%s", log)
	}
}

// TestNotTheSame: what was opened again has to be what it was.
func TestNotTheSame(t *testing.T) {
	opts := map[string]any{"n": "one"}
	var mu sync.Mutex
	cfg := plugins.ConfigFunc(func(name string) (any, string, bool) {
		mu.Lock()
		defer mu.Unlock()
		return opts[name], "", true
	})
	src := plugins.Source{Name: "o", File: "o.options", Code: []byte("n")}
	opened, err := Opener(Settings{})(t.Context(), src, plugins.Host{Name: "example.com"}, plugins.NewOptions(cfg), &world{})
	if err != nil {
		t.Fatal(err)
	}
	p := opened.(*Plugin)
	defer func() { _ = p.Close(); await(t, p.done, "the end") }()
	mu.Lock()
	opts["n"] = "two"
	mu.Unlock()
	p.is.info.Roster = true // so that a call goes to the worker
	if err := syscall.Kill(p.pid(), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if _, err := p.Fetch(t.Context(), as("plain")); !temporary(err) || !strings.Contains(err.Error(), "does not supply the same as before") {
		t.Errorf("%T %v", err, err)
	}
}

// TestClose: calls that run end well, new ones are refused, and nothing is left.
func TestClose(t *testing.T) {
	forks() <- func(error) {} // the thread that forks stays
	goroutines, files := runtime.NumGoroutine(), descriptors(t)
	w := &world{}
	beside := newBystanders(w)
	p, _, err := opening{}.open(t.Context(), w)
	if err != nil {
		t.Fatal(err)
	}
	beside.start(t, p, 3)
	if _, err := p.Fetch(t.Context(), as("exit")); !faulty("crash")(err) { // and a worker of before
		t.Error(err)
	}
	pid := p.pid()
	for range 2 {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	}
	if _, err := p.Fetch(t.Context(), as("plain")); !temporary(err) || !strings.Contains(err.Error(), "is closed") {
		t.Errorf("%T %v", err, err)
	}
	close(beside.release)
	beside.all.Wait()
	await(t, p.done, "the end")
	if w.closed != 1 {
		t.Errorf("the services were closed %d times", w.closed)
	}
	if pid != 0 && syscall.Kill(pid, 0) == nil {
		t.Error("the worker is still there")
	}
	settle(t, func() string {
		if n := runtime.NumGoroutine(); n > goroutines {
			return fmt.Sprintf("%d goroutines, before %d", n, goroutines)
		}
		if n := descriptors(t); n > files {
			return fmt.Sprintf("%d descriptors, before %d", n, files)
		}
		return ""
	})
}

// settle waits until f has nothing to complain of: goroutines that are done need a moment to be gone.
func settle(t *testing.T, f func() string) {
	t.Helper()
	for end := time.Now().Add(minute); ; runtime.Gosched() {
		complaint := f()
		if complaint == "" {
			return
		}
		if time.Now().After(end) {
			t.Fatal(complaint)
		}
	}
}

func descriptors(t *testing.T) int {
	t.Helper()
	names, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(names)
}

// TestCloseDuringBackoff: it ends at once.
func TestCloseDuringBackoff(t *testing.T) {
	p := opening{}.must(t, &world{})
	for n := range 5 {
		proc := await(t, next(p, n), "the next worker")
		_ = proc.cmd.Process.Kill()
		<-proc.gone
	}
	_ = p.Close()
	await(t, p.done, "the end")
}

// TestCloseStuck: a worker that is in a loop which nobody waits for ends as well.
func TestCloseStuck(t *testing.T) {
	p := opening{}.must(t, &world{})
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if _, err := p.Fetch(ctx, as("loop")); !faulty("deadline")(err) {
		t.Error(err)
	}
	_ = p.Close()
	await(t, p.done, "the end")
}

// TestThreadEnds: the end of the thread from which a worker was opened is not the end of the worker.
func TestThreadEnds(t *testing.T) {
	opened := make(chan *Plugin)
	var locked sync.WaitGroup // several, for the main thread never ends
	locked.Add(3)
	for range 3 {
		go func() {
			runtime.LockOSThread() // and ends with the goroutine
			locked.Done()
			locked.Wait()
			p, _, err := opening{}.open(t.Context(), &world{})
			if err != nil {
				t.Error(err)
			}
			opened <- p
		}()
	}
	for range 3 {
		p := await(t, opened, "the worker")
		defer func() { _ = p.Close(); await(t, p.done, "the end") }()
		proc := await(t, next(p, 0), "the process")
		select {
		case <-proc.gone:
			t.Error("the worker has ended")
		case <-time.After(200 * time.Millisecond):
		}
		if _, err := p.Fetch(t.Context(), as("plain")); err != nil || p.Usage().Restarts != 0 {
			t.Error(err, p.Usage())
		}
	}
}

// parent is a server in a process of its own, for TestParentDies: it prints the numbers of its worker and of the
// descriptor by which it speaks to it.
func parent() int {
	p, _, err := opening{}.open(context.Background(), &world{})
	if err != nil {
		fmt.Println(err)
		return 1
	}
	pipe, err := p.proc.in.SyscallConn()
	if err != nil {
		fmt.Println(err)
		return 1
	}
	_ = pipe.Control(func(fd uintptr) { fmt.Println(p.pid(), fd) })
	_, _ = io.Copy(io.Discard, os.Stdin)
	return 0
}

// TestParentDies: the worker ends with its parent, also if it is stopped, or if somebody else holds its input open.
func TestParentDies(t *testing.T) {
	for _, how := range []string{"plainly", "stopped", "input held"} {
		t.Run(how, func(t *testing.T) {
			cmd := command(t, "parent")
			in, err := cmd.StdinPipe()
			if err != nil {
				t.Fatal(err)
			}
			defer in.Close()
			out, err := cmd.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			line, _ := bufio.NewReader(out).ReadString('\n')
			var pid, pipe int
			if _, err := fmt.Sscan(line, &pid, &pipe); err != nil {
				t.Fatalf("%q", line)
			}
			fd, err := unix.PidfdOpen(pid, 0)
			if err != nil {
				t.Fatal(err)
			}
			defer unix.Close(fd)
			switch how {
			case "stopped":
				if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
					t.Fatal(err)
				}
			case "input held":
				held, err := os.OpenFile(fmt.Sprintf("/proc/%d/fd/%d", cmd.Process.Pid, pipe), os.O_WRONLY, 0)
				if err != nil {
					t.Fatal(err)
				}
				defer held.Close()
			}
			if err := cmd.Process.Kill(); err != nil {
				t.Fatal(err)
			}
			_ = cmd.Wait()
			if !ends(t, fd) {
				_ = syscall.Kill(pid, syscall.SIGKILL)
				t.Error("the worker is still there")
			}
		})
	}
}

// ends waits until a process has ended.
func ends(t *testing.T, pidfd int) bool {
	t.Helper()
	for end := time.Now().Add(minute); time.Now().Before(end); {
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(pidfd), Events: unix.POLLIN}}, int(time.Until(end).Milliseconds()))
		if n == 1 {
			return true
		}
		if err != nil && !errors.Is(err, unix.EINTR) {
			t.Fatal(err)
		}
	}
	return false
}

// TestInputEnds: the end of the input is enough, in the midst of a loop too; and a SIGTERM to all is not.
func TestInputEnds(t *testing.T) {
	cmd := command(t, "plugin-worker")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	o := order{src: plugins.Source{Name: "s", File: "x.stage"}, host: plugins.Host{Name: "example.com", Limits: bounded(plugins.Limits{})}, calls: 2}
	send := func(b []byte) {
		if _, err := in.Write(seal(b)); err != nil {
			t.Fatal(err)
		}
	}
	send(appendOrder(begin(kindLoad, 0), o))
	frames := newFrameReader(out, func(kind) int64 { return 1 << 20 })
	if f, err := frames.next(); err != nil || f.kind != kindReady {
		t.Fatal(f, err)
	}
	send(appendRequest(append(appendInt(begin(kindCall, 1), 0), opFetch), engine.Request{User: as("loop").User}))
	for _, s := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP} {
		if err := cmd.Process.Signal(s); err != nil {
			t.Fatal(err)
		}
	}
	send(appendRequest(append(appendInt(begin(kindCall, 2), 0), opFetch), engine.Request{User: as("plain").User}))
	if f, err := frames.next(); err != nil || f.kind != kindResult || f.call != 2 {
		t.Fatal(f, err)
	}
	_ = in.Close()
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
}
