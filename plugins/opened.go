package plugins

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"rosterd/engine"
	"rosterd/engine/addr"
)

// Opened is a plugin that remembers what it was made of, tells of every call, and can be closed without losing one.
type Opened struct {
	Plugin
	source   Source
	host     string
	isolated bool
	limits   Limits
	options  [2]*Options // the plugin's, and those of its services
	observe  func(Called)

	mu      sync.Mutex // guards the fields below
	running int        // calls
	ended   time.Time  // when the last of them did
	quiet   chan struct{}
	closed  bool
}

var (
	_ Plugin = (*Opened)(nil)
	_ Used   = (*Opened)(nil)
)

// Same tells whether Open would make the same plugin of a module: from the same code, in the same place, with the same
// limits and with the same values of all the options that were read until now.
func (o *Opened) Same(m *Manager, name, host string, cfg Config) bool {
	src, err := m.Find(name)
	if err != nil || src.Name != o.source.Name || src.File != o.source.File || !bytes.Equal(src.Code, o.source.Code) {
		return false
	}
	if m.limits(host) != o.limits || m.isolates(src, host) != o.isolated {
		return false
	}
	for _, opts := range o.options {
		if !opts.same(cfg) {
			return false
		}
	}
	return true
}

// Name is that of the module.
func (o *Opened) Name() string { return o.source.Name }

// Isolated tells whether it runs in a process of its own.
func (o *Opened) Isolated() bool { return o.isolated }

// Host is for whom the plugin was opened.
func (o *Opened) Host() string { return o.host }

// Fetch fetches a roster.
func (o *Opened) Fetch(ctx context.Context, r engine.Request) (ans engine.Answer, err error) {
	err = o.call(WorkRoster, func() (err error) {
		ans, err = o.Plugin.Fetch(ctx, r)
		return err
	})
	return ans, err
}

// Edit takes an edit of a roster to the backend.
func (o *Opened) Edit(ctx context.Context, e engine.Edit) error {
	return o.call(WorkEdit, func() error { return o.Plugin.Edit(ctx, e) })
}

// Card asks for the vCard of a user.
func (o *Opened) Card(ctx context.Context, user addr.Bare) (card engine.Card, err error) {
	err = o.call(WorkCard, func() (err error) {
		card, err = o.Plugin.Card(ctx, user)
		return err
	})
	return card, err
}

// Authenticate asks who somebody is. Its errors do not show the password.
func (o *Opened) Authenticate(ctx context.Context, user addr.Bare, password string) error {
	err := o.call(WorkAuth, func() error { return o.Plugin.Authenticate(ctx, user, password) })
	if err == nil || len(password) < shortestPassword {
		return err
	}
	var u used
	u.learn("{{password}}", password)
	return u.error(err)
}

// shortestPassword is the length from which on a password can be told from other text.
const shortestPassword = 4

// Handle has a request from outside answered.
func (o *Opened) Handle(ctx context.Context, c Call) (r Reply, err error) {
	err = o.call(WorkHTTP, func() (err error) {
		r, err = o.Plugin.Handle(ctx, c)
		return err
	})
	return r, err
}

// Tick has a timer do its work.
func (o *Opened) Tick(ctx context.Context, timer int) (again time.Duration, err error) {
	err = o.call(WorkTimer, func() (err error) {
		again, err = o.Plugin.Tick(ctx, timer)
		return err
	})
	return again, err
}

// Usage is what the plugin takes of the machine, as far as it knows.
func (o *Opened) Usage() Usage {
	if u, ok := o.Plugin.(Used); ok {
		return u.Usage()
	}
	return Usage{}
}

// errNoAnswer is what becomes of a call that panics or ends its goroutine.
var errNoAnswer = &engine.FaultError{Kind: "trap", Err: errors.New("the call ended without an answer")}

// call counts a call and tells of it, unless the plugin is closed already.
func (o *Opened) call(w Work, f func() error) (err error) {
	if err := o.enter(); err != nil {
		return err
	}
	start := time.Now()
	err = errNoAnswer
	defer func() {
		took := o.leave(start)
		if o.observe != nil {
			o.observe(Called{Plugin: o.source.Name, Host: o.host, Work: w, Took: took, Err: err})
		}
	}()
	return f()
}

func (o *Opened) enter() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.closed {
		return &engine.TemporaryError{Err: fmt.Errorf("plugin %s of %s is closed", o.source.Name, o.host)}
	}
	o.running++
	return nil
}

func (o *Opened) leave(start time.Time) (took time.Duration) {
	now := time.Now()
	o.mu.Lock()
	defer o.mu.Unlock()
	o.running--
	o.ended = now
	if o.running == 0 && o.quiet != nil {
		close(o.quiet)
		o.quiet = nil
	}
	return now.Sub(start)
}

// Close closes the plugin at once, whatever runs in it.
func (o *Opened) Close() error {
	o.mu.Lock()
	closed := o.closed
	o.closed = true
	o.mu.Unlock()
	if closed {
		return nil
	}
	return o.Plugin.Close()
}

// Drain closes the plugin once nothing has run in it for as long as idle, which leaves time for calls that are about to
// begin: who makes them took hold of the plugin a moment before another one took its place. When ctx ends the plugin is
// closed whatever runs in it; then the error is one of ctx as well.
func (o *Opened) Drain(ctx context.Context, idle time.Duration) error {
	for start := time.Now(); ; {
		quiet, left, ended := o.end(start, idle)
		switch {
		case ended:
			return o.Plugin.Close()
		case quiet == nil && left <= 0:
			return nil // closed by somebody else
		}
		var up <-chan time.Time
		if quiet == nil {
			up = time.After(left)
		}
		select {
		case <-quiet:
		case <-up:
		case <-ctx.Done():
			if quiet != nil {
				return errors.Join(fmt.Errorf("plugin %s of %s: calls have not ended: %w", o.source.Name, o.host, context.Cause(ctx)), o.Close())
			}
			idle = 0
		}
	}
}

// end ends the plugin for new calls, if it has been idle for long enough. Else it tells what to wait for: that
// nothing runs, or how much longer nothing has to.
func (o *Opened) end(start time.Time, idle time.Duration) (quiet <-chan struct{}, left time.Duration, ended bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	switch {
	case o.closed:
		return nil, 0, false
	case o.running > 0:
		if o.quiet == nil {
			o.quiet = make(chan struct{})
		}
		return o.quiet, 0, false
	case o.ended.After(start):
		start = o.ended
	}
	if left = idle - time.Since(start); left > 0 {
		return nil, left, false
	}
	o.closed = true
	return nil, 0, true
}

// Bounds of how long a plugin that was exchanged stays open.
const (
	// afterlife is how long it has to be idle: as long as a client may take between the moment when its stream chose a
	// host and the one when it has sent its password.
	afterlife = time.Minute
	// longestAfterlife is how long it may be busy: calls that have not ended by then ignore their deadlines.
	longestAfterlife = 5 * time.Minute
)

// Retired are plugins that others have taken the place of. The zero value is ready for use.
type Retired struct {
	mu      sync.Mutex // guards the fields below
	open    map[*Opened]context.CancelFunc
	closing sync.WaitGroup
	closed  bool
}

// Retire closes a plugin in its own time, and returns at once: calls in it end as they would have, and so do those
// that are about to begin. It tells log what went wrong. After Close it closes the plugin at once.
func (r *Retired) Retire(o *Opened, log *slog.Logger) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		if err := o.Close(); err != nil {
			retiredBadly(o, log, err)
		}
		return
	}
	if r.open[o] != nil {
		return
	}
	if r.open == nil {
		r.open = make(map[*Opened]context.CancelFunc)
	}
	ctx, cancel := context.WithTimeout(context.Background(), longestAfterlife)
	r.open[o] = cancel
	r.closing.Go(func() {
		if err := o.Drain(ctx, afterlife); err != nil {
			retiredBadly(o, log, err)
		}
		cancel()
		r.mu.Lock()
		delete(r.open, o)
		r.mu.Unlock()
	})
}

func retiredBadly(o *Opened, log *slog.Logger, err error) {
	log.Warn("plugin of before was not closed", "plugin", o.source.Name, "host", o.host, "error", err)
}

// Plugins are those that are still open.
func (r *Retired) Plugins() []*Opened {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Collect(maps.Keys(r.open))
}

// Close closes them all now, whatever runs in them, and waits until they are closed.
func (r *Retired) Close() {
	r.mu.Lock()
	r.closed = true
	for _, cancel := range r.open {
		cancel()
	}
	r.mu.Unlock()
	r.closing.Wait()
}
