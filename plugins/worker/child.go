package worker

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"rosterd/engine"
	"rosterd/plugins"
)

// base is what a child may take beside its calls: for the runtime, the engine and the collector's slack.
const base = 96 << 20

// maxOrder bounds what a child reads before it knows its limits.
const maxOrder = 16 << 20

// Main is the child: it opens one plugin with the engine for the ending of its file, and serves calls until its input
// ends. It returns the exit status.
func Main(engines map[string]plugins.Opener) int {
	// Its end is the end of its input. A service manager's SIGTERM to all processes of the service must not take away
	// what the parent needs in order to finish.
	signal.Ignore(syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP)
	in, out, err := harden()
	if err == nil {
		c := &child{out: out, max: maxOrder, calls: map[uint32]*running{}}
		err = c.serve(newFrameReader(in, c.limit), engines)
	}
	if err != nil && !errors.Is(err, io.EOF) {
		fmt.Fprintln(os.Stderr, "plugin-worker, which rosterd starts for itself:", err)
		return 1
	}
	return 0
}

// child is the process that runs the plugin.
type child struct {
	max    int64 // bytes of a frame to us; changes before the second one is read
	result int   // bytes of a frame from us
	loader *running
	plugin atomic.Pointer[plugins.Plugin]

	write sync.Mutex // held for each frame
	out   io.Writer

	mu    sync.Mutex // guards the field below
	calls map[uint32]*running
}

// running is a call, or the loading and what belongs to no call.
type running struct {
	child  *child
	id     uint32
	cancel context.CancelFunc
	lines  atomic.Int32
	places chan struct{} // of host calls at a time

	mu      sync.Mutex // guards the fields below
	number  uint64
	waiting map[uint64]chan string
}

func (c *child) limit(k kind) int64 {
	switch k {
	case kindLoad, kindCall, kindHostReply:
		return c.max
	case kindCancel:
		return 1
	}
	return 0
}

func (c *child) serve(frames *frameReader, engines map[string]plugins.Opener) error {
	first, err := frames.next()
	if err != nil {
		return err
	}
	if first.kind != kindLoad {
		return breachf("a frame of kind %d before the plugin", first.kind)
	}
	o, err := decodeOrder(first.payload)
	if err != nil {
		return err
	}
	if err := limitMemory(memoryFor(o.host.Limits, o.calls)); err != nil {
		return err
	}
	c.max, c.result = maxToChild(o.host.Limits), int(maxFromChild(o.host.Limits))
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	c.loader = c.start(0, cancel)
	go c.load(ctx, o, engines)
	for {
		f, err := frames.next()
		if err != nil {
			return err
		}
		if err := c.take(ctx, f); err != nil {
			return err
		}
	}
}

func (c *child) take(ctx context.Context, f frame) error {
	switch f.kind {
	case kindCall:
		d := decoder{s: f.payload}
		ctx, cancel := withTimeout(ctx, d.duration())
		r := c.start(f.call, cancel)
		go r.serve(context.WithValue(ctx, callKey{}, r), &d)
	case kindCancel:
		if r := c.find(f.call); r != nil {
			r.cancel()
		}
	case kindHostReply:
		if r := c.find(f.call); r != nil {
			return r.replied(f.payload)
		}
	default:
		return breachf("a second plugin")
	}
	return nil
}

// withTimeout is context.WithTimeout, of which 0 is none.
func withTimeout(ctx context.Context, d time.Duration) (context.Context, context.CancelFunc) {
	if d <= 0 {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, d)
}

func (c *child) start(id uint32, cancel context.CancelFunc) *running {
	r := &running{child: c, id: id, cancel: cancel, places: make(chan struct{}, maxHostCallsAtOnce), waiting: map[uint64]chan string{}}
	c.mu.Lock()
	c.calls[id] = r
	c.mu.Unlock()
	return r
}

func (c *child) find(id uint32) *running {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.calls[id]
}

// send writes a frame. If there is nobody to read it, the input ends as well.
func (c *child) send(b []byte) {
	c.write.Lock()
	defer c.write.Unlock()
	_, _ = c.out.Write(seal(b))
}

func (c *child) load(ctx context.Context, o order, engines map[string]plugins.Opener) {
	s := plugins.Services(&services{child: c})
	if o.staged {
		s = staged{s, c}
	}
	ctx = context.WithValue(ctx, callKey{}, c.loader)
	p, err := open(ctx, o, engines, plugins.NewOptions(&config{child: c, known: map[string]option{}}), s)
	b := begin(kindReady, 0)
	if err != nil {
		c.send(appendError(appendBool(b, false), err))
		return
	}
	c.plugin.Store(&p)
	c.send(appendReadiness(appendBool(b, true), readiness{p.Info(), p.Generation()}))
}

func open(ctx context.Context, o order, engines map[string]plugins.Opener, opts *plugins.Options, s plugins.Services) (p plugins.Plugin, err error) {
	defer recovered(&err)
	engine, ok := engines[filepath.Ext(o.src.File)]
	if !ok {
		return nil, fmt.Errorf("plugin %s: nothing runs %s", o.src.Name, o.src.File)
	}
	return engine(ctx, o.src, o.host, opts, s)
}

// recovered makes an error of a panic, so that the calls beside it go on.
func recovered(err *error) {
	if p := recover(); p != nil {
		*err = &engine.FaultError{Kind: "trap", Err: fmt.Errorf("panic: %v\n%s", p, debug.Stack())}
	}
}

func (r *running) serve(ctx context.Context, d *decoder) {
	result := appendError([]byte{0}, &engine.FaultError{Kind: "trap", Err: errors.New("the call ended without an answer")})
	defer func() { // also of runtime.Goexit
		r.cancel()
		r.child.mu.Lock()
		delete(r.child.calls, r.id)
		r.child.mu.Unlock()
		r.child.send(append(begin(kindResult, r.id), result...))
	}()
	b, err := r.child.perform(ctx, d)
	if err == nil && len(b) > r.child.result {
		err = &engine.FaultError{Kind: "protocol", Err: fmt.Errorf("an answer of %d bytes, more than %d", len(b), r.child.result)}
	}
	if err != nil {
		b = appendError(appendBool(nil, false), err)
	}
	result = b
}

func (c *child) perform(ctx context.Context, d *decoder) (b []byte, err error) {
	defer recovered(&err)
	p := *c.plugin.Load()
	b = appendBool(make([]byte, 0, 512), true)
	switch op := d.byte(); op {
	case opFetch:
		req := d.request()
		if err := d.end("a request"); err != nil {
			return nil, err
		}
		a, err := p.Fetch(ctx, req)
		return appendAnswer(b, a), err
	case opAuthenticate:
		user, password := d.user(), d.text()
		if err := d.end("a password"); err != nil {
			return nil, err
		}
		return b, p.Authenticate(ctx, user, password)
	case opHandle:
		call := d.handled()
		if err := d.end("a request over HTTP"); err != nil {
			return nil, err
		}
		reply, err := p.Handle(ctx, call)
		return appendReply(b, reply), err
	case opEdit:
		e := d.edit()
		if err := d.end("an edit"); err != nil {
			return nil, err
		}
		return b, p.Edit(ctx, e)
	case opCard:
		user := d.user()
		if err := d.end("a user"); err != nil {
			return nil, err
		}
		card, err := p.Card(ctx, user)
		return appendCard(b, card), err
	case opTick:
		timer := int(d.int())
		if err := d.end("a timer"); err != nil {
			return nil, err
		}
		again, err := p.Tick(ctx, timer)
		return appendInt(b, int64(again)), err
	default:
		return nil, breachf("a call of kind %d", op)
	}
}

// callKey finds the running call in its context.
type callKey struct{}

func (c *child) of(ctx context.Context) *running {
	if r, ok := ctx.Value(callKey{}).(*running); ok {
		return r
	}
	return c.loader
}

// ask has the parent do something and waits for what comes of it.
func (r *running) ask(ctx context.Context, what byte, body []byte) (*decoder, error) {
	if len(body) > maxHostCall-64 {
		return nil, fmt.Errorf("%w: a request of %d bytes, more than %d", plugins.ErrLimit, len(body), maxHostCall-64)
	}
	select {
	case r.places <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	reply := make(chan string, 1)
	r.mu.Lock()
	r.number++
	n := r.number
	r.waiting[n] = reply
	r.mu.Unlock()
	r.child.send(append(append(appendUint(begin(kindHostCall, r.id), n), what), body...))
	select {
	case text := <-reply:
		d := &decoder{s: text}
		if !d.bool() {
			return nil, d.error()
		}
		return d, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (r *running) replied(payload string) error {
	d := decoder{s: payload}
	n := d.uint()
	r.mu.Lock()
	reply := r.waiting[n]
	delete(r.waiting, n)
	r.mu.Unlock()
	if d.bad || reply == nil {
		return breachf("a reply that nobody asked for")
	}
	<-r.places
	reply <- d.s
	return nil
}

// config asks the parent for the configuration of the host.
type config struct {
	child *child

	mu    sync.Mutex // held while the parent is asked
	known map[string]option
}

type option struct {
	value   any
	pos     string
	ok      bool
	refused error
}

// Option is what the parent's configuration says.
func (c *config) Option(name string) (any, string, bool) {
	o := c.ask(name)
	return o.value, o.pos, o.ok
}

// Refused is why the parent does not say it, nil if it does.
func (c *config) Refused(name string) error { return c.ask(name).refused }

// ask asks the parent, once.
func (c *config) ask(name string) option {
	c.mu.Lock()
	defer c.mu.Unlock()
	o, asked := c.known[name]
	if !asked {
		d, err := c.child.loader.ask(context.Background(), hostOption, appendText(nil, name))
		var refused *plugins.OptionError
		if errors.As(err, &refused) {
			o.refused, err = refused, nil
		} else if err == nil {
			o = option{ok: d.bool(), pos: d.text(), value: d.value(maxDepth)}
			err = d.end("an option")
		}
		if err != nil { // Config knows no errors, and no plugin may run on half a configuration
			panic(fmt.Errorf("option %s: %w", name, err))
		}
		c.known[name] = o
	}
	return o
}

// services are those of the parent. Clock and chance are the same in every process.
type services struct{ child *child }

var _ plugins.Services = (*services)(nil)

// HTTP has the parent's guarded client send the request.
func (s *services) HTTP(ctx context.Context, r plugins.HTTPRequest) (*plugins.HTTPResponse, error) {
	var timeout time.Duration
	if end, ok := ctx.Deadline(); ok {
		timeout = max(1, time.Until(end))
	}
	d, err := s.child.of(ctx).ask(ctx, hostHTTP, appendHTTPRequest(appendInt(nil, int64(timeout)), r))
	if err != nil {
		return nil, err
	}
	res := d.httpResponse()
	return res, d.end("an HTTP response")
}

// Load asks the parent's store.
func (s *services) Load(ctx context.Context, store, key string) (value []byte, ok bool, err error) {
	d, err := s.child.of(ctx).ask(ctx, hostLoad, appendText(appendText(nil, store), key))
	if err != nil {
		return nil, false, err
	}
	ok, value = d.bool(), d.bytes()
	return value, ok, d.end("a value")
}

// Save writes to the parent's store.
func (s *services) Save(ctx context.Context, store, key string, value []byte, ttl time.Duration) error {
	d, err := s.child.of(ctx).ask(ctx, hostSave, appendInt(appendBytes(appendText(appendText(nil, store), key), value), int64(ttl)))
	if err != nil {
		return err
	}
	return d.end("a receipt")
}

// Refresh asks the parent's engine.
func (s *services) Refresh(ctx context.Context, users []string) (plugins.Refreshed, error) {
	d, err := s.child.of(ctx).ask(ctx, hostRefresh, appendTexts(nil, users))
	if err != nil {
		return plugins.Refreshed{}, err
	}
	r := plugins.Refreshed{Updated: int(d.int()), Errors: int(d.int())}
	return r, d.end("a refresh")
}

// Log writes to the parent's log, as many lines of a call as it takes.
func (s *services) Log(ctx context.Context, level slog.Level, msg string, args ...any) {
	r := s.child.of(ctx)
	if r.lines.Add(1) > maxLines {
		return
	}
	var pairs []string
	rec := slog.NewRecord(time.Time{}, level, msg, 0)
	rec.Add(args...)
	rec.Attrs(func(a slog.Attr) bool {
		pairs = append(pairs, cut(a.Key, maxLine), cut(a.Value.String(), maxLine))
		return len(pairs) < 2*maxAttrs
	})
	s.child.send(appendTexts(appendText(appendInt(begin(kindLog, r.id), int64(level)), cut(msg, maxLine)), pairs))
}

// Now is the time of this machine.
func (s *services) Now() time.Time { return time.Now() }

// Random comes from the kernel.
func (s *services) Random(b []byte) { _, _ = rand.Read(b) } // never fails

// Close is the parent's business.
func (s *services) Close() {}

// staged has the parent's clock and chance too, so that a trial may set them.
type staged struct {
	plugins.Services
	child *child
}

// Now asks the parent what time it is.
func (s staged) Now() time.Time {
	d, err := s.child.loader.ask(context.Background(), hostNow, nil)
	if err != nil { // the parent has gone; so will this process
		return time.Time{}
	}
	return time.Unix(0, d.int())
}

// Random has the parent choose.
func (s staged) Random(b []byte) {
	d, err := s.child.loader.ask(context.Background(), hostRandom, appendInt(nil, int64(len(b))))
	if err != nil {
		return
	}
	copy(b, d.bytes())
}
