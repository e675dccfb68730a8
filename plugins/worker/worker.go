// Package worker runs plugins in processes of their own: code that loops, takes memory without bound or crashes ends a
// child of the server and nothing else. It knows no language; the child is the server's own program, which hands its
// engines to Main.
//
// Parent and child speak in frames over the child's stdin and stdout. The child asks its parent for options, HTTP and
// what is kept between calls, and is not trusted: what it sends is bounded, and a roster is checked as one from a
// backend. It has no environment, no descriptors, no right to dump core or to gain privileges, a process group of its
// own, and ends with its parent.
//
// A cap on its memory and the end by a signal when the parent is killed exist on Linux only. Elsewhere the garbage
// collector is told the limit, which code that keeps what it takes goes beyond; and a child sees the end of its
// parent by the end of its input, which is at once as well.
package worker

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"rosterd/engine"
	"rosterd/engine/addr"
	"rosterd/engine/roster"
	"rosterd/plugins"
)

// Settings are how workers are started. The zero value is fit for use.
type Settings struct {
	Command []string      // nil: this program with the argument "plugin-worker", which calls Main
	Load    time.Duration // how long a plugin may take to be opened; 0: a minute
	Log     *slog.Logger  // nil: slog.Default()
	Staged  bool          // clock and chance are those of the Services, which for each look costs a way there and back
}

const (
	// defaultLoad is for a large module that has to be compiled, on a slow machine that has other things to do: Go's own
	// library takes seconds on a fast one.
	defaultLoad = time.Minute
	// maxLonely is how many processes there may be for calls that run alone: most suspects are innocent, and some wait
	// for a slow backend.
	maxLonely = 4
)

// Plugin is one whose code runs in a child.
type Plugin struct {
	settings Settings
	src      plugins.Source
	host     plugins.Host
	opts     *plugins.Options
	svc      plugins.Services
	log      *slog.Logger
	is       readiness

	places  chan struct{} // of calls at a time
	edits   chan struct{} // of those that may change something; some places are left for the fetches that they cause
	lonely  chan struct{} // of calls that each run alone in a process
	running sync.WaitGroup
	done    chan struct{}   // closed when all has ended
	life    context.Context // until it is closed and no call is left
	end     context.CancelFunc

	mu       sync.Mutex // guards the fields below
	closed   bool
	active   int // calls, those that wait included
	proc     *process
	changed  chan struct{} // closed when proc changes, or could not be started
	next     time.Time     // when the next start is
	failures int           // to start
	failure  error         // the last one
	restarts int64
}

var _ plugins.Plugin = (*Plugin)(nil)

// Opener opens plugins in children.
func Opener(s Settings) plugins.Opener {
	return func(ctx context.Context, src plugins.Source, h plugins.Host, opts *plugins.Options, svc plugins.Services) (plugins.Plugin, error) {
		h.Limits = bounded(h.Limits)
		p := &Plugin{
			settings: s, src: src, host: h, opts: opts, svc: svc,
			log:     cmp.Or(s.Log, slog.Default()).With("plugin", src.Name, "host", h.Name),
			places:  make(chan struct{}, h.Limits.Calls),
			edits:   make(chan struct{}, h.Limits.Calls/2),
			lonely:  make(chan struct{}, maxLonely),
			done:    make(chan struct{}),
			changed: make(chan struct{}),
		}
		p.life, p.end = context.WithCancel(context.Background())
		proc, is, err := p.start(ctx, h.Limits.Calls)
		if err != nil {
			p.end()
			p.running.Wait()
			return nil, err
		}
		p.proc, p.is = proc, is
		go p.supervise(proc)
		return p, nil
	}
}

// bounded has the defaults of package plugins. Two calls is the least: one may wait for a fetch that it causes.
func bounded(l plugins.Limits) plugins.Limits {
	l.Answer = cmp.Or(max(l.Answer, 0), 16<<20)
	l.Calls = max(2, cmp.Or(max(l.Calls, 0), 24))
	l.Memory = cmp.Or(max(l.Memory, 0), 64<<20)
	return l
}

// Info is what the plugin supplies.
func (p *Plugin) Info() plugins.Info { return p.is.info }

// Generation changes with the code and the options that it was opened with.
func (p *Plugin) Generation() string { return p.is.generation }

// Usage is what the child holds now, and how often it was started again.
func (p *Plugin) Usage() (u plugins.Usage) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if u.Restarts = p.restarts; p.proc != nil {
		u.Memory = resident(p.proc.cmd.Process.Pid)
	}
	return u
}

// Fetch asks the child for a roster.
func (p *Plugin) Fetch(ctx context.Context, r engine.Request) (engine.Answer, error) {
	if !p.is.info.Roster {
		return plugins.Nothing{}.Fetch(ctx, r)
	}
	what := "roster of " + r.User.String()
	d, err := p.do(ctx, request{op: opFetch, body: appendRequest(nil, r), what: what})
	if err != nil {
		return engine.Answer{}, err
	}
	a, err := d.answer(r.User, roster.Limits{Items: p.host.Limits.Contacts})
	return a, p.wrong(what, err)
}

// Edit has the child take an edit to the backend. It is sent once, whatever happens.
func (p *Plugin) Edit(ctx context.Context, e engine.Edit) error {
	if !p.is.info.Edit {
		return plugins.Nothing{}.Edit(ctx, e)
	}
	what := "edit of the roster of " + e.User.String()
	d, err := p.do(ctx, request{op: opEdit, body: appendEdit(nil, e), edit: true, what: what})
	if err != nil {
		return err
	}
	return p.wrong(what, d.end("a verdict"))
}

// Card asks the child for the vCard of a user, and does not trust what it says.
func (p *Plugin) Card(ctx context.Context, user addr.Bare) (engine.Card, error) {
	if !p.is.info.Card {
		return plugins.Nothing{}.Card(ctx, user)
	}
	what := "vCard of " + user.String()
	d, err := p.do(ctx, request{op: opCard, body: appendText(nil, user.String()), what: what})
	if err != nil {
		return engine.Card{}, err
	}
	c, err := d.card(user)
	return c, p.wrong(what, err)
}

// Authenticate asks the child about a password.
func (p *Plugin) Authenticate(ctx context.Context, user addr.Bare, password string) error {
	if !p.is.info.Auth {
		return plugins.ErrUnsupported
	}
	what := "password of " + user.String()
	d, err := p.do(ctx, request{op: opAuthenticate, body: appendText(appendText(nil, user.String()), password), what: what})
	if err != nil {
		return err
	}
	return p.wrong(what, d.end("a verdict"))
}

// Handle has the child answer a request. It is sent once, whatever happens.
func (p *Plugin) Handle(ctx context.Context, c plugins.Call) (plugins.Reply, error) {
	if c.Route < 0 || c.Route >= len(p.is.info.Routes) {
		return plugins.Reply{}, plugins.ErrUnsupported
	}
	what := c.Method + " " + c.Path
	body := appendHandled(nil, c)
	if most := maxToChild(p.host.Limits) - 64; int64(len(body)) > most {
		return plugins.Reply{}, &engine.PermanentError{Err: fmt.Errorf("%s: %s: %w: a request of %d bytes, more than %d", p.src.File, what, plugins.ErrLimit, len(body), most)}
	}
	d, err := p.do(ctx, request{op: opHandle, body: body, edit: true, what: what})
	if err != nil {
		return plugins.Reply{}, err
	}
	r := d.reply()
	return r, p.wrong(what, d.end("a reply"))
}

// Tick has the child do what is due. It is sent once, whatever happens.
func (p *Plugin) Tick(ctx context.Context, timer int) (time.Duration, error) {
	if timer < 0 || timer >= len(p.is.info.Timers) {
		return 0, plugins.ErrUnsupported
	}
	what := fmt.Sprintf("timer %d", timer)
	d, err := p.do(ctx, request{op: opTick, body: appendInt(nil, int64(timer)), edit: true, what: what})
	if err != nil {
		return 0, err
	}
	again := d.duration()
	return again, p.wrong(what, d.end("a time"))
}

// wrong makes a fault of a result that cannot be read.
func (p *Plugin) wrong(what string, err error) error {
	if err == nil {
		return nil
	}
	return fault("protocol", fmt.Errorf("%s: %s: %w", p.src.File, what, err))
}

func fault(kind string, err error) error { return &engine.FaultError{Kind: kind, Err: err} }

// temporary is an error of a worker that is not there now.
func (p *Plugin) temporary(what string, err error) error {
	return &engine.TemporaryError{Err: fmt.Errorf("%s: %s: the worker of plugin %s %w", p.src.File, what, p.src.Name, err)}
}

// request is what a child is called for.
type request struct {
	op   byte
	body []byte
	edit bool   // it may change something, and is never sent twice
	what string // for errors
}

// do runs a call in the child. If the child ends in the midst of it, the call is tried again: once beside others if no
// call can have done it, and alone if this one may.
func (p *Plugin) do(ctx context.Context, r request) (*decoder, error) {
	if !p.enter() {
		return nil, p.temporary(r.what, errors.New("is closed"))
	}
	defer p.exit()
	suspect, again := false, false
	for {
		run := p.together
		if suspect {
			run = p.alone
		}
		o, err := run(ctx, r)
		if err != nil {
			return nil, err
		}
		switch d := o.death; {
		case d == nil:
			return p.result(r, o.payload)
		case r.edit, d.innocent && again:
			return nil, p.temporary(r.what, d.err)
		case !d.innocent && suspect:
			return nil, fault(d.kind, fmt.Errorf("%s: %s: the worker, in which nothing else ran, %w", p.src.File, r.what, d.err))
		case d.innocent:
			again = true
		default:
			suspect = true
		}
	}
}

func (p *Plugin) result(r request, payload string) (*decoder, error) {
	d := &decoder{s: payload}
	if d.bool() {
		return d, nil
	}
	err := d.error()
	if e := d.end("an error"); e != nil {
		return nil, p.wrong(r.what, e)
	}
	return nil, err
}

// together runs a call beside others.
func (p *Plugin) together(ctx context.Context, r request) (outcome, error) {
	release, err := p.place(ctx, r)
	if err != nil {
		return outcome{}, err
	}
	for {
		proc, err := p.current(ctx)
		if err != nil {
			release()
			return outcome{}, p.temporary(r.what, err)
		}
		if c, ok := proc.begin(ctx, r, release); ok {
			return p.await(ctx, proc, c, r)
		}
		select { // it has ended just now
		case <-proc.gone:
		case <-ctx.Done():
		}
	}
}

// place waits until fewer calls run than may.
func (p *Plugin) place(ctx context.Context, r request) (release func(), err error) {
	taken := make([]chan struct{}, 0, 2)
	release = func() {
		for _, c := range taken {
			<-c
		}
	}
	wanted := []chan struct{}{p.edits, p.places}
	if !r.edit {
		wanted = wanted[1:]
	}
	for _, c := range wanted {
		select {
		case c <- struct{}{}:
			taken = append(taken, c)
		case <-ctx.Done():
			release()
			return nil, p.temporary(r.what, fmt.Errorf("has %d calls under way: %w", p.host.Limits.Calls, context.Cause(ctx)))
		}
	}
	return release, nil
}

// alone runs a call in a process of its own, in which it can harm nobody.
func (p *Plugin) alone(ctx context.Context, r request) (outcome, error) {
	select {
	case p.lonely <- struct{}{}:
	case <-ctx.Done():
		return outcome{}, p.temporary(r.what, fmt.Errorf("has ended during this call, and others are tried again before it: %w", context.Cause(ctx)))
	}
	proc, _, err := p.start(ctx, 1)
	if err != nil {
		<-p.lonely
		return outcome{}, p.temporary(r.what, fmt.Errorf("has ended during this call, and cannot be started again: %w", err))
	}
	p.running.Go(func() {
		<-proc.gone
		<-p.lonely
	})
	c, ok := proc.begin(ctx, r, func() {})
	if !ok {
		<-proc.gone
		return outcome{death: proc.dead}, nil
	}
	o, err := p.await(ctx, proc, c, r)
	if o.death == nil {
		p.running.Go(proc.end)
	}
	return o, err
}

// await waits for a call as long as its caller does.
func (p *Plugin) await(ctx context.Context, proc *process, c *call, r request) (outcome, error) {
	select {
	case o := <-c.done:
		return o, nil
	case <-ctx.Done():
	}
	select {
	case o := <-c.done:
		return o, nil
	default:
	}
	proc.leave(c)
	return outcome{}, p.late(ctx, c, r)
}

// late is a call that did not end in time. A backend that took most of it is to blame, and not the plugin.
func (p *Plugin) late(ctx context.Context, c *call, r request) error {
	err := fmt.Errorf("%s: %s: %w", p.src.File, r.what, ctx.Err())
	if !errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	took := time.Since(c.started)
	if waited, now := c.backend(); now || waited > took/2 {
		return &engine.TemporaryError{Err: fmt.Errorf("%w: of %v the backend took %v", err, took.Round(time.Millisecond), waited.Round(time.Millisecond))}
	}
	return fault("deadline", err)
}
