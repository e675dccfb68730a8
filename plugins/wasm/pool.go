package wasm

import (
	"context"
	"fmt"
	"sync"
	"time"

	"rosterd/engine"
)

const (
	// maxIdle is how long an instance waits for the next call.
	maxIdle = time.Minute
	// maxCalls is how many calls an instance serves.
	maxCalls = 1000
)

// pool are the instances of a plugin that wait for the next call: a list, so that it is known when each of them goes.
type pool struct {
	places chan struct{} // of calls

	mu      sync.Mutex // guards the fields below
	idle    []*instance
	running int // calls
	closed  bool
	sweeper *time.Timer // runs while anything is idle
}

// enter takes a place among the calls, or waits for one.
func (o *pool) enter(ctx context.Context, p *Plugin) error {
	select {
	case o.places <- struct{}{}:
	default:
		select {
		case o.places <- struct{}{}:
		case <-ctx.Done():
			return &engine.TemporaryError{Err: fmt.Errorf("%s: %d calls run, and none of them has ended: %w", p.file, cap(o.places), context.Cause(ctx))}
		}
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.closed {
		<-o.places
		return &engine.TemporaryError{Err: fmt.Errorf("plugin %s is closed", p.name)}
	}
	o.running++
	return nil
}

func (o *pool) leave(p *Plugin) {
	<-o.places
	o.mu.Lock()
	o.running--
	last := o.closed && o.running == 0
	o.mu.Unlock()
	if last {
		p.release()
	}
}

// get is the instance that was used last, or a new one.
func (o *pool) get(p *Plugin, c *call) (*instance, error) {
	o.mu.Lock()
	if n := len(o.idle); n > 0 {
		in := o.idle[n-1]
		o.idle[n-1] = nil
		o.idle = o.idle[:n-1]
		o.mu.Unlock()
		return in, nil
	}
	o.mu.Unlock()
	return p.instantiate(&call{Context: c.Context, plugin: p, op: opInit, started: c.started})
}

// put keeps an instance for the next call, unless it has served its time or has grown too large.
func (o *pool) put(p *Plugin, in *instance) {
	o.mu.Lock()
	keep := !o.closed && !p.limits.Fresh && in.calls < maxCalls && int64(in.mem.Size()) <= p.limits.Memory/4*3
	if keep {
		in.since = time.Now()
		o.idle = append(o.idle, in)
		if o.sweeper == nil {
			o.sweeper = time.AfterFunc(maxIdle, o.sweep)
		}
	}
	o.mu.Unlock()
	if !keep {
		in.close()
	}
}

// sweep closes instances that nobody has used for a while. The list is in the order of their last use.
func (o *pool) sweep() {
	o.mu.Lock()
	now, n := time.Now(), 0
	for n < len(o.idle) && now.Sub(o.idle[n].since) >= maxIdle {
		n++
	}
	old := o.idle[:n:n]
	o.idle = append([]*instance(nil), o.idle[n:]...)
	if len(o.idle) > 0 && !o.closed {
		o.sweeper.Reset(maxIdle - now.Sub(o.idle[0].since))
	} else {
		o.sweeper = nil
	}
	o.mu.Unlock()
	for _, in := range old {
		in.close()
	}
}

// close closes what is idle. It tells whether that is new, and whether nothing runs; else the last call to leave lets go of
// the rest.
func (o *pool) close() (first, quiet bool) {
	o.mu.Lock()
	if o.closed {
		o.mu.Unlock()
		return false, false
	}
	idle := o.idle
	o.idle, o.closed = nil, true
	if o.sweeper != nil {
		o.sweeper.Stop()
	}
	quiet = o.running == 0
	o.mu.Unlock()
	for _, in := range idle {
		in.close()
	}
	return true, quiet
}
