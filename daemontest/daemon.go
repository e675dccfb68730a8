// Package daemontest runs servers that others have written, for tests: each in a folder of its own, as a user without
// rights, and no longer than its test.
package daemontest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"testing"
	"time"
)

// atMost bounds every wait. None that succeeds depends on it.
const atMost = 90 * time.Second

// Options say when a server is ready, and how it ends.
type Options struct {
	Line    string         // it prints this
	Address string         // it accepts connections there, host:port, after it has printed its line
	End     syscall.Signal // 0: SIGTERM
	Group   bool           // others that it starts may outlive it: all of its process group end
}

// Daemon is a server that runs, or can be run again.
type Daemon struct {
	command *exec.Cmd
	options Options
	process *process // the last one
}

// Start starts a server, and returns when it is ready. It ends with the test; one that fails shows what it has printed.
func Start(t testing.TB, c *exec.Cmd, o Options) *Daemon {
	t.Helper()
	d := &Daemon{command: c, options: o}
	d.Serve(t)
	t.Cleanup(func() {
		d.Stop(t)
		if t.Failed() {
			t.Logf("%s has printed:\n%s", c.Path, &d.process.output)
		}
	})
	return d
}

// Serve starts it again after Stop, for no longer than the test that it was first started for.
func (d *Daemon) Serve(t testing.TB) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), atMost)
	defer cancel()
	c := d.command
	p, err := start(ctx, &exec.Cmd{Path: c.Path, Args: c.Args, Env: c.Env, Dir: c.Dir, Stdin: c.Stdin, ExtraFiles: c.ExtraFiles, SysProcAttr: c.SysProcAttr, Err: c.Err}, d.options)
	if err != nil {
		t.Fatal(err)
	}
	d.process = p
}

// Stop ends it. That it has ended before is a failure, and that it has to be forced is another.
func (d *Daemon) Stop(t testing.TB) {
	t.Helper()
	if d.process.stopped {
		return
	}
	d.process.stopped = true
	ctx, cancel := context.WithTimeout(context.Background(), atMost)
	defer cancel()
	if err := d.process.end(ctx); err != nil {
		t.Error(err)
	}
}

type process struct {
	cmd     *exec.Cmd
	options Options
	pipe    *os.File // what it prints
	output  output
	ended   chan struct{} // closed when it has ended, and with it those who print where it does
	stopped bool
}

func start(ctx context.Context, c *exec.Cmd, o Options) (*process, error) {
	if o.End == 0 {
		o.End = syscall.SIGTERM
	}
	if o.Group {
		if c.SysProcAttr == nil {
			c.SysProcAttr = &syscall.SysProcAttr{}
		}
		c.SysProcAttr.Setpgid = true
	}
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	c.Stdout, c.Stderr = w, w
	err = c.Start()
	w.Close()
	if err != nil {
		r.Close()
		return nil, fmt.Errorf("%w: make test-clients installs what tests need", err)
	}
	p := &process{cmd: c, options: o, pipe: r, output: output{line: []byte(o.Line), found: make(chan struct{})}, ended: make(chan struct{})}
	go p.drain()
	if err := p.ready(ctx); err != nil {
		p.kill()
		return nil, fmt.Errorf("%s does not start: %w\n%s", c.Path, err, &p.output)
	}
	return p, nil
}

// drain reads to the end before it waits for the process, so that its number and that of its group are nobody else's.
func (p *process) drain() {
	defer close(p.ended)
	defer p.pipe.Close()
	_, _ = io.Copy(&p.output, p.pipe)
	_ = p.cmd.Wait() // ProcessState says the same
}

func (p *process) ready(ctx context.Context) error {
	if p.options.Line != "" {
		select {
		case <-p.output.found:
		case <-p.ended:
			return p.gone()
		case <-ctx.Done():
			return fmt.Errorf("no %q: %w", p.options.Line, ctx.Err())
		}
	}
	if p.options.Address == "" {
		return nil
	}
	again := time.NewTicker(5 * time.Millisecond)
	defer again.Stop()
	for {
		c, err := (&net.Dialer{}).DialContext(ctx, "tcp", p.options.Address)
		if err == nil {
			return c.Close()
		}
		select {
		case <-again.C:
		case <-p.ended:
			return p.gone()
		case <-ctx.Done():
			return errors.Join(err, ctx.Err())
		}
	}
}

// gone needs that it has ended.
func (p *process) gone() error { return fmt.Errorf("it has ended: %v", p.cmd.ProcessState) }

// end ends it, by force if it has not when ctx is done.
func (p *process) end(ctx context.Context) error {
	select {
	case <-p.ended:
		return fmt.Errorf("%s: %w", p.cmd.Path, p.gone())
	default:
	}
	p.signal(p.options.End)
	select {
	case <-p.ended:
		return nil
	case <-ctx.Done():
	}
	p.kill()
	return fmt.Errorf("%s does not end when told by a signal (%v): %w", p.cmd.Path, p.options.End, ctx.Err())
}

// kill returns when it has ended.
func (p *process) kill() {
	select {
	case <-p.ended:
		return
	default:
	}
	p.signal(syscall.SIGKILL)
	const rest = 10 * time.Second                    // of what it has printed
	_ = p.pipe.SetReadDeadline(time.Now().Add(rest)) // somebody outside its group may hold the other end
	<-p.ended
}

// signal reaches whoever has not ended yet.
func (p *process) signal(s syscall.Signal) {
	if p.options.Group {
		_ = syscall.Kill(-p.cmd.Process.Pid, s)
	} else {
		_ = p.cmd.Process.Signal(s)
	}
}

// output keeps the end of what a server prints, and looks for a line in it.
type output struct {
	line  []byte
	found chan struct{} // closed when the line has come

	mu   sync.Mutex // guards the fields below
	text []byte
	seen bool
}

const kept = 64 << 10

func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.text = append(o.text, b...)
	if !o.seen && bytes.Contains(o.text, o.line) {
		o.seen = true
		close(o.found)
	}
	o.text = o.text[max(0, len(o.text)-kept):]
	return len(b), nil
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return string(o.text)
}
