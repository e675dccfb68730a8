package worker

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"rosterd/plugins"
)

// What a child may ask its parent to do.
const (
	hostOption byte = 1 + iota
	hostHTTP
	hostLoad
	hostSave
	hostRefresh
	hostNow // only where the order says so, as the next
	hostRandom
)

// What the services of a call are worth at most. A child of ours keeps to it; one that does not is killed.
const (
	maxHostCalls       = 100_000
	maxHostCallsAtOnce = 16
	maxRequests        = 8 // over HTTP
	maxHostCall        = 1 << 20
	maxOptions         = 10_000 // that are asked for, in a process
	maxLines           = 64
	maxLine            = 1024
	maxAttrs           = 8
	maxStrays          = 10_000 // frames of calls that are over, in a process
)

// limit is for frames from the child.
func (proc *process) limit(k kind) int64 {
	switch k {
	case kindReady:
		return 1 << 20
	case kindResult:
		return maxFromChild(proc.plugin.host.Limits) + 64
	case kindHostCall:
		return maxHostCall
	case kindLog:
		return 64 << 10
	}
	return 0
}

// read does what the child says, until it says no more or something wrong.
func (proc *process) read() error {
	frames := newFrameReader(proc.out, proc.limit)
	for {
		f, err := frames.next()
		if err == nil {
			err = proc.take(f)
		}
		if err != nil {
			return err
		}
	}
}

func (proc *process) take(f frame) error {
	switch f.kind {
	case kindReady:
		return proc.takeReady(f)
	case kindResult:
		return proc.takeResult(f)
	}
	c, err := proc.find(f.call)
	if c == nil || err != nil {
		return err
	}
	if f.kind == kindLog {
		return proc.takeLog(c, f.payload)
	}
	return proc.takeHostCall(c, f)
}

func (proc *process) takeReady(f frame) error {
	d := decoder{s: f.payload}
	if !d.bool() {
		err := d.error()
		if e := d.end("an error"); e != nil {
			return e
		}
		select {
		case proc.refused <- err:
			return nil
		default:
			return breachf("is ready twice")
		}
	}
	r := d.readiness()
	if err := d.end("what it supplies"); err != nil {
		return err
	}
	select {
	case proc.ready <- r:
		return nil
	default:
		return breachf("is ready twice")
	}
}

func (proc *process) takeResult(f frame) error {
	proc.mu.Lock()
	c := proc.calls[f.call]
	if c == nil || c == proc.loader {
		proc.mu.Unlock()
		return breachf("a result of call %d, which it does not run", f.call)
	}
	delete(proc.calls, f.call)
	proc.mu.Unlock()
	proc.completed.Store(true)
	c.end(outcome{payload: f.payload})
	return nil
}

// find is the call of a frame, nil if the call is over: what a plugin started may outlive it.
func (proc *process) find(id uint32) (*call, error) {
	proc.mu.Lock()
	defer proc.mu.Unlock()
	c := proc.calls[id]
	if c == nil {
		if proc.strays++; proc.strays > maxStrays {
			return nil, breachf("more than %d frames of calls that are over", maxStrays)
		}
	}
	return c, nil
}

func (proc *process) takeLog(c *call, payload string) error {
	c.mu.Lock()
	c.lines++
	n := c.lines
	c.mu.Unlock()
	switch {
	case n > maxStrays:
		return breachf("more than %d log lines of one call", maxStrays)
	case n > maxLines:
		return nil
	}
	d := decoder{s: payload}
	level, msg, pairs := d.int(), d.text(), d.texts()
	if err := d.end("a log line"); err != nil {
		return err
	}
	if len(pairs)%2 != 0 || len(pairs) > 2*maxAttrs {
		return breachf("a log line of %d attributes", len(pairs)/2)
	}
	args := make([]any, len(pairs))
	for i, s := range pairs {
		args[i] = cut(s, maxLine)
	}
	proc.plugin.svc.Log(c.ctx, slog.Level(max(-8, min(level, 8))), cut(msg, maxLine), args...)
	return nil
}

func (proc *process) takeHostCall(c *call, f frame) error {
	d := &decoder{s: f.payload}
	n, what := d.uint(), d.byte()
	c.mu.Lock()
	c.host++
	c.running++
	host, running := c.host, c.running
	c.mu.Unlock()
	switch {
	case host > maxHostCalls && c != proc.loader:
		return breachf("more than %d calls of services in one call", maxHostCalls)
	case running > 2*maxHostCallsAtOnce: // one counts until its reply is written, and the next may come before that
		return breachf("more than %d calls of services at a time", maxHostCallsAtOnce)
	}
	held := new(plugins.Hold) // of an answer that is here until the child has taken it
	job, err := proc.job(c, what, d, held)
	if err != nil {
		return err
	}
	stop := func() bool { return true }
	if what == hostHTTP {
		stop = context.AfterFunc(proc.ctx, held.Release) // it may never take it
	}
	reply := func() {
		b := appendUint(begin(kindHostReply, f.call), n)
		body, err := job(appendBool(b, true))
		if err != nil {
			body = appendError(appendBool(b, false), err)
		}
		proc.outbox.put(body, func() {
			if what == hostHTTP && err == nil {
				<-proc.http
			}
			stop()
			held.Release()
			c.mu.Lock()
			c.running--
			c.mu.Unlock()
		})
	}
	if what == hostOption { // does not wait
		reply()
		return nil
	}
	proc.plugin.running.Go(reply)
	return nil
}

// job is what a child wants done. Its result is put behind b, so that a large one is not copied again.
type job func(b []byte) ([]byte, error)

// job reads a host call, and says what is to be done.
func (proc *process) job(c *call, what byte, d *decoder, held *plugins.Hold) (job, error) {
	switch svc := proc.plugin.svc; what {
	case hostOption:
		name := d.text()
		if err := d.end("an option"); err != nil {
			return nil, err
		}
		return proc.option(name)
	case hostHTTP:
		timeout, r := d.duration(), d.httpRequest()
		return func(b []byte) ([]byte, error) { return proc.request(c, timeout, r, b, held) }, d.end("an HTTP request")
	case hostLoad:
		store, key := d.text(), d.text()
		return func(b []byte) ([]byte, error) {
			value, ok, err := svc.Load(c.ctx, store, key)
			return appendBytes(appendBool(b, ok), value), err
		}, d.end("a key")
	case hostSave:
		store, key, value, ttl := d.text(), d.text(), d.bytes(), d.duration()
		return func(b []byte) ([]byte, error) { return b, svc.Save(c.ctx, store, key, value, ttl) }, d.end("a value")
	case hostRefresh:
		users := d.texts()
		return func(b []byte) ([]byte, error) {
			r, err := svc.Refresh(c.ctx, users)
			return appendInt(appendInt(b, int64(r.Updated)), int64(r.Errors)), err
		}, d.end("a refresh")
	case hostNow, hostRandom:
		if proc.plugin.settings.Staged {
			return proc.staged(what, d)
		}
	}
	return nil, breachf("wants a service of kind %d", what)
}

// staged is the clock and the chance of the services.
func (proc *process) staged(what byte, d *decoder) (job, error) {
	if what == hostNow {
		now := proc.plugin.svc.Now()
		return func(b []byte) ([]byte, error) { return appendInt(b, now.UnixNano()), nil }, d.end("a look at the clock")
	}
	n := d.int()
	if n < 0 || n > maxHostCall {
		return nil, breachf("asks for %d random bytes", n)
	}
	random := make([]byte, n)
	proc.plugin.svc.Random(random)
	return func(b []byte) ([]byte, error) { return appendBytes(b, random), nil }, d.end("a length")
}

// option asks the parent's Options, so that they know what was read, and which servers may be asked.
func (proc *process) option(name string) (job, error) {
	proc.mu.Lock()
	proc.options++
	n := proc.options
	proc.mu.Unlock()
	if n > maxOptions || len(name) > maxName {
		return nil, breachf("asks for more than %d options, or for one of more than %d bytes", maxOptions, maxName)
	}
	if err := proc.plugin.opts.Refused(name); err != nil {
		return func([]byte) ([]byte, error) { return nil, err }, nil
	}
	value, ok := proc.plugin.opts.Get(name)
	pos := proc.plugin.opts.Pos(name)
	return func(b []byte) ([]byte, error) { return appendValue(appendText(appendBool(b, ok), pos), value) }, nil
}

// request sends one over HTTP, and keeps the time that the call waits for others than its plugin. An answer keeps its place
// until the child has taken it: it is held here for so long.
func (proc *process) request(c *call, timeout time.Duration, r plugins.HTTPRequest, b []byte, held *plugins.Hold) (_ []byte, err error) {
	if !c.wait() {
		return nil, fmt.Errorf("%w: more than %d HTTP requests in one call", plugins.ErrLimit, maxRequests)
	}
	defer c.waitedEnough()
	ctx, cancel := withTimeout(c.ctx, timeout)
	defer cancel()
	select {
	case proc.http <- struct{}{}:
		defer func() {
			if err != nil {
				<-proc.http
			}
		}()
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	res, err := proc.plugin.svc.HTTP(plugins.Holding(ctx, held), r)
	if err != nil {
		return nil, err
	}
	b = appendHTTPResponse(slices.Grow(b, len(res.Body)+1024), res)
	if most := maxToChild(proc.plugin.host.Limits) - 64; int64(len(b)) > most {
		return nil, fmt.Errorf("%w: an answer of %d bytes, more than %d", plugins.ErrLimit, len(b), most)
	}
	return b, nil
}

func (c *call) wait() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.http++; c.http > maxRequests {
		return false
	}
	if c.waiting++; c.waiting == 1 {
		c.since = time.Now()
	}
	return true
}

func (c *call) waitedEnough() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.waiting--; c.waiting == 0 {
		c.waited += time.Since(c.since)
	}
}

// backend is how long the call has waited for HTTP so far, and whether it does now.
func (c *call) backend() (waited time.Duration, now bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if waited = c.waited; c.waiting > 0 {
		waited += time.Since(c.since)
	}
	return waited, c.waiting > 0
}
