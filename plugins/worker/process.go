package worker

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"rosterd/plugins"
)

const (
	// grace is how long a child has for ending a call that nobody waits for, or itself.
	grace = 250 * time.Millisecond
	// patience is how long a child that says nothing more may take to end.
	patience = 2 * time.Second
)

// maxToChild and maxFromChild bound the frames of calls and results.
func maxToChild(l plugins.Limits) int64   { return max(maxOrder, l.Answer+1<<20) }
func maxFromChild(l plugins.Limits) int64 { return l.Answer + 1<<20 }

// memoryFor is what a process may take for so many calls at a time.
func memoryFor(l plugins.Limits, calls int) int64 { return base + int64(calls)*l.Memory }

// process is one child, as its parent sees it.
type process struct {
	plugin  *Plugin
	cmd     *exec.Cmd
	in, out *os.File
	stderr  excerpt
	outbox  outbox
	memory  int64           // that it may take
	ctx     context.Context // ends with the process
	cancel  context.CancelFunc
	ready   chan readiness // cap 1
	refused chan error     // cap 1: why the plugin cannot be opened
	http    chan struct{}  // places of requests at a time
	gone    chan struct{}  // closed when it has ended and its calls know

	completed atomic.Bool // a call

	mu      sync.Mutex // guards the fields below
	loader  *call      // what belongs to no call
	calls   map[uint32]*call
	last    uint32
	strays  int
	options int
	killed  *death // by us, and why
	dead    *death
}

// death is how a process ended.
type death struct {
	err      error
	innocent bool   // no call did it
	kind     string // of the fault, if one did
}

// call is one call in a process.
type call struct {
	id      uint32
	what    string
	ctx     context.Context // ends with the call
	cancel  context.CancelFunc
	started time.Time
	done    chan outcome // cap 1
	release func()       // of its place; called once, when the process does not run it any more
	timer   *time.Timer  // until the process is killed, once nobody waits

	mu      sync.Mutex // guards the fields below
	host    int        // calls of services, ever
	running int        // at the moment
	http    int        // requests, ever
	waiting int        // for HTTP, at the moment
	since   time.Time
	waited  time.Duration
	lines   int
}

// outcome is the payload of a result, or how the process ended before there was one.
type outcome struct {
	payload string
	death   *death
}

// start forks a child and has it open the plugin.
func (p *Plugin) start(ctx context.Context, calls int) (*process, readiness, error) {
	proc, err := p.spawn(calls)
	if err != nil {
		return nil, readiness{}, err
	}
	most := cmp.Or(p.settings.Load, defaultLoad)
	ctx, cancel := context.WithTimeout(ctx, most)
	defer cancel()
	o := order{p.src, p.host, calls, p.settings.Staged}
	proc.outbox.put(appendOrder(begin(kindLoad, 0), o), nil)
	select {
	case r := <-proc.ready:
		return proc, r, nil
	case err = <-proc.refused:
	case <-proc.gone:
		select {
		case err = <-proc.refused: // and then it ended
		default:
			err = proc.dead.loading(p.src.File)
		}
	case <-ctx.Done():
		err = fmt.Errorf("%s: while it is loaded: %w", p.src.File, ctx.Err())
		if errors.Is(err, context.DeadlineExceeded) {
			err = fault("deadline", fmt.Errorf("%s: it was not loaded in %v; a large module takes long the first time, on a machine that is busy: try again: %w",
				p.src.File, most, ctx.Err()))
		}
	}
	proc.kill(&death{err: errors.New("was not loaded"), innocent: true})
	return nil, readiness{}, err
}

// spawn starts the program. All that belongs to the process ends with it, and p.running counts it.
func (p *Plugin) spawn(calls int) (*process, error) {
	args := p.settings.Command
	if len(args) == 0 {
		exe, err := executable()
		if err != nil {
			return nil, fmt.Errorf("worker: %w", err)
		}
		args = []string{exe, "plugin-worker"}
	}
	childIn, in, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("worker: %w", err)
	}
	out, childOut, err := os.Pipe()
	if err != nil {
		closeAll(childIn, in)
		return nil, fmt.Errorf("worker: %w", err)
	}
	proc := &process{
		plugin: p, in: in, out: out, memory: memoryFor(p.host.Limits, calls), calls: map[uint32]*call{},
		ready: make(chan readiness, 1), refused: make(chan error, 1), gone: make(chan struct{}), http: make(chan struct{}, max(calls, maxHostCallsAtOnce)),
	}
	proc.cmd = &exec.Cmd{
		Path: args[0], Args: args, Env: []string{}, Dir: "/",
		Stdin: childIn, Stdout: childOut, Stderr: &proc.stderr, WaitDelay: grace,
	}
	isolate(proc.cmd)
	err = fork(proc.cmd)
	closeAll(childIn, childOut)
	if err != nil {
		closeAll(in, out)
		return nil, fmt.Errorf("worker %s: %w", args[0], err)
	}
	proc.ctx, proc.cancel = context.WithCancel(context.Background())
	proc.loader = &call{ctx: proc.ctx, cancel: func() {}, started: time.Now(), release: func() {}}
	proc.calls[0] = proc.loader
	proc.outbox.init()
	p.running.Go(func() { proc.outbox.drain(in) })
	p.running.Go(proc.live)
	return proc, nil
}

func closeAll(files ...*os.File) {
	for _, f := range files {
		_ = f.Close()
	}
}

// live reads what the child says until it ends, and tells its calls.
func (proc *process) live() {
	exited := make(chan error, 1)
	proc.plugin.running.Go(func() {
		err := proc.cmd.Wait()
		_ = proc.out.SetReadDeadline(time.Now().Add(grace)) // somebody else may hold the other end
		exited <- err
	})
	err := proc.read()
	var b *breach
	if errors.As(err, &b) {
		proc.kill(&death{err: fmt.Errorf("broke the rules: %w", err), kind: "protocol"})
	}
	var state error
	var mute *death
	select {
	case state = <-exited:
	case <-time.After(patience):
		mute = &death{err: errors.New("closed its output"), kind: "protocol"}
		_ = proc.cmd.Process.Kill()
		state = <-exited
	}
	proc.cancel()
	proc.outbox.close()
	closeAll(proc.in, proc.out)
	proc.mu.Lock()
	proc.dead = cmp.Or(proc.killed, mute, proc.verdict(state))
	calls := proc.calls
	proc.calls = nil
	proc.mu.Unlock()
	for _, c := range calls {
		c.end(outcome{death: proc.dead})
	}
	close(proc.gone)
}

// verdict says why a process ended that we did not kill.
func (proc *process) verdict(err error) *death {
	said := proc.stderr.String()
	if status, ok := proc.cmd.ProcessState.Sys().(syscall.WaitStatus); ok && status.Signaled() && status.Signal() == syscall.SIGKILL {
		return &death{err: errors.New("was killed from outside"), innocent: true}
	}
	d := &death{err: fmt.Errorf("ended: %s", proc.cmd.ProcessState), kind: "crash"}
	if err != nil && proc.cmd.ProcessState.Success() {
		d.err = fmt.Errorf("ended: %w", err)
	}
	if proc.starved(said) {
		d.kind, d.err = "memory", errors.New("ran out of memory")
	}
	if first, _, _ := strings.Cut(strings.TrimSpace(said), "\n"); first != "" && d.kind == "crash" {
		d.err = fmt.Errorf("%w: %s", d.err, cut(first, 200))
	}
	return d
}

// starved tells whether a process ended for want of memory: it says so, or its runtime stumbled over memory that it did
// not get before it could say so.
func (proc *process) starved(said string) bool {
	low := strings.ToLower(said)
	for _, sign := range []string{"out of memory", "cannot allocate memory", "failed to allocate"} {
		if strings.Contains(low, sign) {
			return true
		}
	}
	state := proc.cmd.ProcessState
	return state.ExitCode() == 2 && !strings.HasPrefix(said, "panic:") && peak(state) > proc.memory/4*3
}

// kill ends the process at once. The first reason is the one that counts.
func (proc *process) kill(why *death) {
	proc.mu.Lock()
	if proc.killed == nil {
		proc.killed = why
	}
	proc.mu.Unlock()
	_ = proc.cmd.Process.Kill() // it may have ended by itself
}

// end has the child end by itself, which it does when its input ends.
func (proc *process) end() {
	proc.mu.Lock()
	if proc.killed == nil {
		proc.killed = &death{err: errors.New("was ended"), innocent: true}
	}
	proc.mu.Unlock()
	proc.outbox.close()
	_ = proc.in.Close()
	t := time.AfterFunc(grace, func() { _ = proc.cmd.Process.Kill() })
	<-proc.gone
	t.Stop()
}

// begin sends a call to the child. It is false if there is none any more.
func (proc *process) begin(ctx context.Context, r request, release func()) (*call, bool) {
	c := &call{what: r.what, started: time.Now(), done: make(chan outcome, 1), release: release}
	c.ctx, c.cancel = context.WithCancel(ctx)
	proc.mu.Lock()
	if proc.calls == nil || proc.killed != nil {
		proc.mu.Unlock()
		c.cancel()
		return nil, false
	}
	for proc.last++; proc.calls[proc.last] != nil; { // 0 is the loader
		proc.last++
	}
	c.id = proc.last
	proc.calls[c.id] = c
	proc.mu.Unlock()
	b := appendInt(begin(kindCall, c.id), int64(childTime(ctx)))
	proc.outbox.put(append(append(b, r.op), r.body...), nil)
	return c, true
}

// childTime is how long a call may take in the child: a little less than here, so that a plugin that sees to its
// deadline can say what it was about.
func childTime(ctx context.Context) time.Duration {
	end, ok := ctx.Deadline()
	if !ok {
		return 0
	}
	left := time.Until(end)
	return max(1, left-min(left/20, 25*time.Millisecond))
}

// leave is for a caller who does not wait any longer. A child that does not end the call in time is killed.
func (proc *process) leave(c *call) {
	proc.mu.Lock()
	defer proc.mu.Unlock()
	if proc.calls[c.id] != c {
		return
	}
	proc.outbox.put(begin(kindCancel, c.id), nil)
	c.timer = time.AfterFunc(grace, func() {
		if proc.runs(c) {
			proc.kill(&death{err: fmt.Errorf("was killed: %s did not end when its time was over", c.what), innocent: true})
		}
	})
}

func (proc *process) runs(c *call) bool {
	proc.mu.Lock()
	defer proc.mu.Unlock()
	return proc.calls[c.id] == c
}

// end gives a call its outcome.
func (c *call) end(o outcome) {
	if c.timer != nil {
		c.timer.Stop()
	}
	c.cancel()
	c.release()
	if c.done != nil {
		c.done <- o
	}
}

// loading is a death as the reason why a plugin cannot be opened.
func (d *death) loading(file string) error {
	err := fmt.Errorf("%s: while it was loaded, its worker %w", file, d.err)
	if d.innocent {
		return err
	}
	return fault(d.kind, err)
}

// excerpt keeps the beginning and the end of what a child writes to stderr: a fatal error stands at the beginning of a
// long trace.
type excerpt struct {
	mu         sync.Mutex
	head, tail []byte
	left       int // bytes between the two
}

const maxExcerpt = 2 << 10

func (e *excerpt) Write(p []byte) (int, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	n := len(p)
	if room := maxExcerpt - len(e.head); room > 0 {
		k := min(room, len(p))
		e.head, p = append(e.head, p[:k]...), p[k:]
	}
	e.tail = append(e.tail, p[max(0, len(p)-maxExcerpt):]...)
	e.left += max(0, len(p)-maxExcerpt)
	if more := len(e.tail) - maxExcerpt; more > 0 {
		e.tail = bytes.Clone(e.tail[more:])
		e.left += more
	}
	return n, nil
}

func (e *excerpt) String() string {
	e.mu.Lock()
	defer e.mu.Unlock()
	between := ""
	if e.left > 0 {
		between = fmt.Sprintf("\n… %d bytes …\n", e.left)
	}
	return strings.ToValidUTF8(string(e.head)+between+string(e.tail), "\uFFFD")
}
