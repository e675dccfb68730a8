package worker

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"time"
)

// Workers that end before they have completed a call are started again later and later.
const (
	firstPause = 100 * time.Millisecond
	maxPause   = 30 * time.Second
)

// supervise keeps a process running until the plugin is closed and no call is left.
func (p *Plugin) supervise(proc *process) {
	defer close(p.done)
	defer p.svc.Close()
	defer p.running.Wait()
	pause := time.Duration(0)
	for {
		select {
		case <-proc.gone:
		case <-p.life.Done():
			proc.end()
			return
		}
		if proc.completed.Load() {
			pause = 0
		}
		p.log.Warn("the worker of a plugin has ended and is started again", "pid", proc.cmd.Process.Pid, "error", proc.dead.err, "in", pause, "stderr", proc.stderr.String())
		p.lost(pause)
		for proc = nil; proc == nil; {
			if !p.pause(pause) {
				return
			}
			pause = min(max(2*pause, firstPause), maxPause)
			proc = p.restart(pause)
		}
	}
}

// pause waits before the next start. It is false if there is to be none.
func (p *Plugin) pause(d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-p.life.Done():
		return false
	}
}

// restart starts a process that is to the world as the first one was. It is nil if there is none.
func (p *Plugin) restart(pause time.Duration) *process {
	proc, is, err := p.start(p.life, p.host.Limits.Calls)
	if err == nil && !reflect.DeepEqual(is, p.is) {
		proc.kill(&death{err: errors.New("is not what it was"), innocent: true})
		err = errors.New("the plugin does not supply the same as before when it is opened again")
	}
	if err != nil {
		if p.life.Err() == nil {
			p.log.Warn("the worker of a plugin cannot be started again", "error", err, "in", pause)
		}
		p.failed(err, pause)
		return nil
	}
	p.began(proc)
	return proc
}

func (p *Plugin) lost(pause time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.proc, p.next = nil, time.Now().Add(pause)
	p.broadcast()
}

func (p *Plugin) failed(err error, pause time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.failures++
	p.failure, p.next = err, time.Now().Add(pause)
	p.broadcast()
}

func (p *Plugin) began(proc *process) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.proc, p.failure = proc, nil
	p.restarts++
	p.broadcast()
}

// broadcast wakes all who wait for a process. The lock is held.
func (p *Plugin) broadcast() {
	close(p.changed)
	p.changed = make(chan struct{})
}

// current is the process for a call: the one that runs, or the next if that comes in time and can be started. The
// error completes "the worker of plugin NAME".
func (p *Plugin) current(ctx context.Context) (*process, error) {
	failures := -1
	for {
		p.mu.Lock()
		proc, changed, next, failure, failed := p.proc, p.changed, p.next, p.failure, p.failures
		p.mu.Unlock()
		if proc != nil && !proc.ended() {
			return proc, nil
		}
		if failures < 0 {
			failures = failed
		}
		end, ok := ctx.Deadline()
		switch {
		case failure != nil && (failed > failures || ok && next.After(end)):
			return nil, fmt.Errorf("cannot be started again: %w", failure)
		case proc == nil && ok && next.After(end):
			return nil, fmt.Errorf("has ended too often, and is started again in %v", time.Until(next).Round(time.Millisecond))
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, fmt.Errorf("was not started again in time: %w", context.Cause(ctx))
		}
	}
}

// ended tells whether a process takes no more calls.
func (proc *process) ended() bool {
	proc.mu.Lock()
	defer proc.mu.Unlock()
	return proc.calls == nil || proc.killed != nil
}

// enter counts a call. It is false once the plugin is closed.
func (p *Plugin) enter() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return false
	}
	p.active++
	return true
}

func (p *Plugin) exit() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.active--; p.closed && p.active == 0 {
		p.end()
	}
}

// Close refuses new calls. Those that run end by their own deadlines, and then the child does; nobody waits for it.
func (p *Plugin) Close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed = true; p.active == 0 {
		p.end()
	}
	return nil
}
