package wasm

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"strings"
	"time"

	"github.com/tetratelabs/wazero/api"

	"rosterd/engine"
	"rosterd/plugins"
)

// Limits of one call.
const (
	maxFuel      = 200_000_000_000
	tickFuel     = 1_000_000            // between two looks at the clock: a fraction of a millisecond of most code, 25 of one that waits for memory at every step
	slice        = 2 * time.Millisecond // of a call, before others get their turn
	maxHostCalls = 100_000
	maxRequests  = 8
	maxLines     = 64
	maxLine      = 1024
)

// call is one piece of work for a module: what it is asked, what it answers, and what it leaves behind. It is the context
// that the module runs in, by which imports find it.
type call struct {
	context.Context
	plugin   *Plugin
	op       op
	user     engine.Request // for a roster; of auth, only the user is set
	rev      string         // for the module: the revision that we hold
	password string
	webhook  *plugins.Call
	edit     *engine.Edit
	loading  bool // the plugin is being opened: what it says in rosterd_init is said once

	in       *instance
	mod      api.Module
	mem      api.Memory
	input    []byte
	output   []byte
	failed   failure
	lastErr  error // of an import
	answers  []*plugins.HTTPResponse
	response *plugins.HTTPResponse // 0: what the module is to look at

	started time.Time
	waited  time.Duration // for HTTP, and for rosters
	httpErr error         // of the last request that failed
	asked   int           // HTTP requests
	lines   int           // logged
	imports int           // called
	weight  int           // bytes that imports have looked at, since the last look at the clock
	cheap   int           // called of those that do not count
	kernel  *kernel       // of a plugin for Extism
	granted int64         // fuel, so far
	yielded time.Time     // when others last got their turn
}

// failure is what a module said by fail.
type failure struct {
	code  int32
	after time.Duration
	text  string
}

type callKey struct{}

// Value finds the call in contexts that are made of it.
func (c *call) Value(key any) any {
	if key == (callKey{}) {
		return c
	}
	return c.Context.Value(key)
}

// callOf finds the call in what an import is called with.
func callOf(ctx context.Context) *call {
	if c, ok := ctx.(*call); ok {
		return c
	}
	return ctx.Value(callKey{}).(*call)
}

// enter is for each import: it binds the call to the instance, which may still be in its start function, and ends a call
// that has had enough.
func (c *call) enter(mod api.Module) {
	if c.mod != mod {
		c.bind(mod)
	}
	if c.imports++; c.imports > maxHostCalls {
		trapf("instructions", "more than %d calls of imports", maxHostCalls)
	}
	if c.imports%64 == 0 { // a context's end is no cheap question
		c.stillWanted()
	}
}

func (c *call) bind(mod api.Module) {
	c.mod = mod
	c.mem = mod.Memory() // a module without one is refused
}

// stillWanted ends the call with its context.
func (c *call) stillWanted() {
	if err := c.Err(); err != nil {
		panic(&trap{err: context.Cause(c)})
	}
}

// tick is what the module calls when its fuel is used up: it gets more, as long as somebody waits for it. The
// collector, which compiled code never lets in, is let in here, and now and then others are.
func (c *call) tick(mod api.Module) {
	if c.mod != mod {
		c.bind(mod)
	}
	c.stillWanted()
	g := c.in.fuel
	if g == nil {
		g = fuelOf(mod)
	}
	used := c.granted - int64(g.Get())
	if used > c.plugin.fuel {
		trapf("instructions", "more than %d million instructions", c.plugin.fuel/1_000_000)
	}
	// The collector gets in by the call of this function. To let others run wakes up a processor for them, which costs as much as
	// a short call does in all.
	switch now := time.Now(); {
	case c.yielded.IsZero():
		c.yielded = now
	case now.Sub(c.yielded) > slice:
		runtime.Gosched()
		c.yielded = now
	}
	g.Set(uint64(tickFuel))
	c.granted = used + tickFuel
}

// subject is what a call is about, for errors and logs.
func (c *call) subject() string {
	switch c.op {
	case opInit:
		return "init for " + c.plugin.host
	case opAuth:
		return "auth of " + c.user.User.String()
	case opEdit:
		return "edit of the roster of " + c.user.User.String()
	case opCard:
		return "vCard of " + c.user.User.String()
	case opWebhook:
		return fmt.Sprintf("http %s %s for %s", c.webhook.Method, c.webhook.Path, c.plugin.host)
	}
	return "roster of " + c.user.User.String()
}

// log writes a line of the module. What it says in rosterd_init is said once, when it is opened.
func (c *call) log(level slog.Level, line string) {
	if c.op == opInit && !c.loading || c.lines >= maxLines {
		return
	}
	c.lines++
	line = brief(line)
	svc := c.plugin.svc
	switch c.op {
	case opInit:
		svc.Log(c, level, line)
	case opWebhook:
		svc.Log(c, level, line, "call", string(c.op.work()), "route", c.webhook.Method+" "+c.plugin.info.Path)
	default:
		svc.Log(c, level, line, "user", c.user.User.String(), "call", string(c.op.work()))
	}
}

// run has the module do a call and says what it came to. If its output counts, read is what takes it, before the instance
// is anybody else's.
func (p *Plugin) run(c *call, read func() error) error {
	asked := p.svc.Now()
	if err := p.pool.enter(c, p); err != nil {
		return err
	}
	defer p.pool.leave(p)
	c.started = c.started.Add(p.svc.Now().Sub(asked)) // to wait for others is no part of it
	in, err := p.pool.get(p, c)
	if err != nil {
		return p.failure(c, err)
	}
	code, err := in.run(c)
	if err != nil {
		in.close()
		return p.failure(c, err)
	}
	if err = c.verdict(code); err == nil && read != nil {
		if err = read(); err != nil {
			err = p.failure(c, err)
		}
	}
	var fault *engine.FaultError
	if errors.As(err, &fault) { // who knows what it does next
		in.close()
	} else {
		p.pool.put(p, in)
	}
	return err
}

// What exports return.
const (
	returnOK int32 = iota
	returnNotFound
	returnTemporary
	returnPermanent
	returnDenied
)

// verdict is what a module's result means.
func (c *call) verdict(code int32) error {
	var text string
	var after time.Duration
	if c.failed.code == code {
		text, after = c.failed.text, c.failed.after
	}
	switch code {
	case returnOK:
		return nil
	case returnNotFound:
		if c.op == opEdit {
			return because(engine.ErrNoItem, text)
		}
		return because(engine.ErrUnknownUser, text)
	case returnTemporary:
		return &engine.TemporaryError{RetryAfter: after, Err: c.why(code, text)}
	case returnPermanent:
		return &engine.PermanentError{Err: c.why(code, text)}
	case returnDenied:
		if c.op == opEdit {
			return plugins.Veto(text)
		}
		return because(engine.ErrDenied, text)
	}
	return c.plugin.failure(c, wrong("%s returned %d, which is none of 0 to 4", c.plugin.export(c.op), code))
}

// why is the reason that the module has given, with the error of a request if that is what it passes on.
func (c *call) why(code int32, text string) error {
	switch {
	case text == "" && c.httpErr != nil, c.httpErr != nil && text == brief(c.httpErr.Error()):
		return c.httpErr
	case text == "" && c.failed.text != "":
		return fmt.Errorf("%s says so of the %s, and not why: fail was called for %d (%s), and %d was returned", c.plugin.file, c.op.work(), c.failed.code, c.failed.text, code)
	case text == "":
		return fmt.Errorf("%s says so of the %s, and not why", c.plugin.file, c.op.work())
	case c.httpErr != nil && strings.Contains(text, c.httpErr.Error()):
		return &passedOn{text, c.httpErr}
	}
	return errors.New(text)
}

// passedOn is an error of a request in a module's words.
type passedOn struct {
	text string
	err  error
}

func (e *passedOn) Error() string { return e.text }
func (e *passedOn) Unwrap() error { return e.err }

func because(err error, text string) error {
	if text == "" {
		return err
	}
	return fmt.Errorf("%w: %s", err, text)
}
