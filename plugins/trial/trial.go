package trial

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"rosterd/engine"
	"rosterd/plugins"
)

// Trial is a case and how it is tried.
type Trial struct {
	Subject Subject
	Case    *Case
	Manager *plugins.Manager // of this trial alone: with the engines; its other fields are set as the case wants them
	Config  plugins.Config   // nil: the case's options
	Live    bool             // with the real network, and what the case has recorded is not looked at
	Still   bool             // the clock stands still and randomness repeats itself, also where it is live
	Time    time.Duration    // for a call; 5 s if zero
}

// defaultTime is rosterd_backend_timeout's default.
const defaultTime = 5 * time.Second

// Opened is a plugin that is open for calls of a trial.
type Opened struct {
	*plugins.Opened
	Read   []string // options that it and its services have asked for, in the order of the alphabet
	Loaded []Line   // what it logged meanwhile
	Took   time.Duration

	trial  Trial
	world  *world
	keeper *keeper
	mu     sync.Mutex // guards what is read, while the plugin is opened
}

// Open opens the plugin.
func (t Trial) Open(ctx context.Context) (*Opened, error) {
	now := time.Now
	if !t.Live || t.Still {
		at := t.Case.clock()
		now = func() time.Time { return at }
	}
	o := &Opened{trial: t, keeper: newKeeper(now)}
	asked := map[string]bool{}
	cfg := cmp.Or(t.Config, plugins.Config(t.Case.Options))
	m := t.Manager
	t.Subject.place(m)
	m.Now, m.Keeper, m.Log = now, o.keeper, slog.New(slog.DiscardHandler)
	m.Wrap = func(svc plugins.Services) plugins.Services {
		o.world = &world{Services: svc, now: now, live: t.Live, real: t.Live && !t.Still, ended: make(chan struct{})}
		o.world.begin(t.Case.Seed, nil)
		return o.world
	}
	start := time.Now()
	p, err := m.Open(ctx, t.Subject.Name, t.Case.Host, plugins.ConfigFunc(func(name string) (any, string, bool) {
		o.mu.Lock()
		asked[name] = true
		o.mu.Unlock()
		return cfg.Option(name)
	}))
	o.mu.Lock()
	o.Read = slices.Sorted(maps.Keys(asked))
	o.mu.Unlock()
	if err != nil {
		return nil, &OpenError{Read: o.Read, Err: errors.New(strings.TrimPrefix(err.Error(), fmt.Sprintf("plugin %s for %s: ", t.Subject.Name, t.Case.Host)))}
	}
	o.Took = time.Since(start)
	o.keeper.opened()
	o.Opened, o.Loaded = p, o.world.lines
	return o, nil
}

// longestEnd is how long a plugin may take to end.
const longestEnd = 10 * time.Second

// Close closes the plugin, and waits until it has ended: it may have a process of its own.
func (o *Opened) Close() error {
	if err := o.Opened.Close(); err != nil {
		return err
	}
	late := time.NewTimer(longestEnd)
	defer late.Stop()
	select {
	case <-o.world.ended:
		return nil
	case <-late.C:
		return fmt.Errorf("plugin %s has not ended %v after it was closed", o.trial.Subject.Name, longestEnd)
	}
}

// OpenError is a plugin that cannot be opened. Each line of it says one thing.
type OpenError struct {
	Err  error
	Read []string // options that it and its services had asked for until then, in the order of the alphabet
}

func (e *OpenError) Error() string { return e.Err.Error() }
func (e *OpenError) Unwrap() error { return e.Err }

// Servers are those that the plugin may ask.
func (o *Opened) Servers() []string {
	if fence, ok := o.world.Services.(plugins.Fenced); ok {
		return fence.Servers()
	}
	return nil
}

// Allows says why the plugin may not ask for a URL; nil if it may.
func (o *Opened) Allows(url string) error {
	if fence, ok := o.world.Services.(plugins.Fenced); ok {
		return fence.Allows(url)
	}
	return nil
}

func (c *Case) clock() time.Time {
	if c.Now.IsZero() {
		return defaultNow
	}
	return c.Now
}

// Outcome is what a call came to.
type Outcome struct {
	Answer engine.Answer // of a call of fetch
	Reply  plugins.Reply // of http
	Card   engine.Card   // of vcard
	Again  time.Duration // of timer
	Err    error

	Asked     []Asked
	Logged    []Line
	Refreshed []string
	Problems  []string // with what is recorded
	Kept      Store    // what the expectation names of the store, as it is

	Took, Waited time.Duration // the whole call, and of it for HTTP
	Allocated    int64         // bytes, in this process
	Costs
}

// Costs are what a plugin's machine counts; 0 is what it does not count.
type Costs struct {
	Instructions int64 // or units of fuel
	HostCalls    int64 // of functions of ours
	Memory       int64 // bytes that it had at the most, in this call or before
}

// Counting is a plugin that counts the instructions of all its calls.
type Counting interface{ Instructions() int64 }

// Calling is one that counts the functions of ours that it calls.
type Calling interface{ HostCalls() int64 }

// Sized is one that knows the size of its memory, as it was at the most.
type Sized interface{ MemoryPeak() int64 }

// costs are those until now.
func (o *Opened) costs() (c Costs) {
	if p, ok := o.Plugin.(Counting); ok {
		c.Instructions = p.Instructions()
	}
	if p, ok := o.Plugin.(Calling); ok {
		c.HostCalls = p.HostCalls()
	}
	if p, ok := o.Plugin.(Sized); ok {
		c.Memory = p.MemoryPeak()
	}
	return c
}

// since are those of what was done after others.
func (c Costs) since(before Costs) Costs {
	return Costs{c.Instructions - before.Instructions, c.HostCalls - before.HostCalls, c.Memory}
}

// Call makes the case's call.
func (o *Opened) Call(ctx context.Context) (Outcome, error) {
	before := allocated()
	out, err := o.call(ctx, o.trial.Case)
	out.Allocated = allocated() - before
	return out, err
}

// call makes the call of a case with the same host, options and clock, and leaves out what takes time to measure.
func (o *Opened) call(ctx context.Context, c *Case) (out Outcome, err error) {
	if err := o.fill(ctx, c.Store); err != nil {
		return out, err
	}
	o.world.begin(c.Seed, c.HTTP)
	ctx, cancel := context.WithTimeout(ctx, cmp.Or(o.trial.Time, defaultTime))
	defer cancel()
	before, start := o.costs(), time.Now()
	o.make(ctx, c, &out)
	out.Took = time.Since(start)
	out.Costs = o.costs().since(before)
	w := o.world
	w.mu.Lock()
	defer w.mu.Unlock()
	out.Asked, out.Logged, out.Refreshed, out.Waited = w.asked, w.lines, w.refreshed, w.waited
	if !o.trial.Live {
		out.Problems = w.tape.problems()
	}
	if c.Expect != nil {
		out.Kept, err = o.kept(ctx, c.Expect.Store)
	}
	return out, err
}

func allocated() int64 {
	var m runtime.MemStats // package metrics is less exact
	runtime.ReadMemStats(&m)
	return int64(m.TotalAlloc)
}

func (o *Opened) make(ctx context.Context, c *Case, out *Outcome) {
	switch c.Call {
	case CallTimer:
		if n := len(o.Info().Timers); c.Timer >= n {
			out.Err = &engine.PermanentError{Err: fmt.Errorf("there is no timer %d: the plugin has %d", c.Timer, n)}
			return
		}
		out.Again, out.Err = o.Tick(ctx, c.Timer)
		return
	case CallHTTP:
		out.Reply, out.Err = o.handle(ctx, c.Request)
		return
	}
	user, err := c.user()
	if err != nil {
		out.Err = err
		return
	}
	if c.Call == CallAuth {
		out.Err = o.Authenticate(ctx, user, *c.Password)
		return
	}
	if c.Call == CallEdit {
		out.Err = o.edit(ctx, user, c.Edit)
		return
	}
	if c.Call == CallCard {
		out.Card, out.Err = o.Card(ctx, user)
		return
	}
	out.Answer, out.Err = o.Fetch(ctx, engine.Request{User: user, Reason: engine.Reason(cmp.Or(c.Reason, string(engine.ReasonLogin)))})
}

// handle sends a request the way that the server sends it.
func (o *Opened) handle(ctx context.Context, in *Incoming) (plugins.Reply, error) {
	own := o.ownPath()
	path := in.Path
	if rest, ok := strings.CutPrefix(path, own+"/"); ok {
		path = "/" + rest
	} else if path == own {
		path = "/"
	}
	r, err := http.NewRequestWithContext(ctx, cmp.Or(in.Method, http.MethodPost), path, bytes.NewReader(in.bytes()))
	if err != nil {
		return plugins.Reply{}, err
	}
	r.URL.RawQuery = in.Query
	r.RequestURI = own + path
	if in.Query != "" {
		r.RequestURI += "?" + in.Query
	}
	r.Host, r.RemoteAddr = o.trial.Case.Host, "127.0.0.1:1"
	for name, values := range in.Headers {
		r.Header[http.CanonicalHeaderKey(name)] = values
	}
	heard := &listener{Plugin: o}
	w := &writer{header: http.Header{}}
	plugins.Routes(heard, slog.New(slog.DiscardHandler)).ServeHTTP(w, r)
	return w.reply(), heard.err
}

// ownPath is where the plugin's routes are if no configuration says otherwise.
func (o *Opened) ownPath() string {
	info := o.Info()
	return cmp.Or(strings.TrimSuffix(info.Path, "/"), "/"+cmp.Or(info.App, strings.TrimPrefix(o.trial.Subject.Name, "http_")))
}

// listener remembers the error that the server only logs.
type listener struct {
	plugins.Plugin
	err error
}

func (l *listener) Handle(ctx context.Context, c plugins.Call) (r plugins.Reply, err error) {
	r, l.err = l.Plugin.Handle(ctx, c)
	return r, l.err
}

// writer keeps an answer.
type writer struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (w *writer) Header() http.Header { return w.header }

func (w *writer) WriteHeader(status int) { w.status = cmp.Or(w.status, status) }

func (w *writer) Write(b []byte) (int, error) {
	w.WriteHeader(http.StatusOK)
	return w.body.Write(b)
}

func (w *writer) reply() plugins.Reply {
	return plugins.Reply{Status: cmp.Or(w.status, http.StatusOK), Header: w.header, Body: w.body.Bytes()}
}

func (o *Opened) fill(ctx context.Context, s Store) error {
	for store, values := range s {
		for key, v := range values {
			if err := o.world.Save(ctx, store, key, v, 0); err != nil {
				return fmt.Errorf("store %s, key %q: %w", store, key, err)
			}
		}
	}
	return nil
}

// kept reads what wanted names.
func (o *Opened) kept(ctx context.Context, wanted Store) (Store, error) {
	is := Store{}
	for store, values := range wanted {
		for key := range values {
			v, ok, err := o.world.Load(ctx, store, key)
			if err != nil {
				return nil, fmt.Errorf("store %s, key %q: %w", store, key, err)
			}
			if !ok {
				continue
			}
			if is[store] == nil {
				is[store] = map[string]json.RawMessage{}
			}
			is[store][key] = v
		}
	}
	return is, nil
}

// Path is where a route is served if no configuration says otherwise.
func (o *Opened) Path(r plugins.Route) string {
	return o.ownPath() + "/" + strings.TrimPrefix(r.Path, "/")
}
