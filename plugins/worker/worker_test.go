//go:build linux

package worker

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/netip"
	"os"
	"reflect"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"rosterd/engine"
	"rosterd/engine/addr"
	"rosterd/engine/roster"
	"rosterd/plugins"
)

// TestMain is the worker and the parent of one too: they are started as this program.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 {
		switch os.Args[1] {
		case "plugin-worker":
			os.Exit(Main(map[string]plugins.Opener{".stage": openStage, ".options": openOptions}))
		case "parent":
			os.Exit(parent())
		}
	}
	os.Exit(m.Run())
}

// stage is a plugin that does what the name of a user, of a route or its own code says.
type stage struct {
	plugins.Nothing
	child *child
	svc   plugins.Services
	info  plugins.Info
}

func openStage(ctx context.Context, src plugins.Source, h plugins.Host, opts *plugins.Options, svc plugins.Services) (plugins.Plugin, error) {
	s := &stage{svc: svc, child: childOf(svc), info: plugins.Info{
		Roster: true, Auth: true, Path: "/stage", Timers: []time.Duration{time.Minute, time.Hour},
		Routes: []plugins.Route{{Method: "POST", Path: "/echo"}, {Method: "POST", Path: "/refresh"}, {Method: "POST", Path: "/act"}},
	}}
	for line := range strings.Lines(string(src.Code)) {
		word, name, _ := strings.Cut(strings.TrimSpace(line), " ")
		switch word {
		case "act":
			if _, err := s.act(ctx, name); err != nil {
				return nil, err
			}
		case "need":
			if _, ok, err := opts.Integer(name); err != nil || !ok {
				return nil, fmt.Errorf("%s: %w", src.File, err)
			}
		case "once": // the second time it cannot be opened
			if _, had, err := svc.Load(ctx, "", name); err != nil || had {
				return nil, errors.Join(errors.New("only once"), err)
			}
			if err := svc.Save(ctx, "", name, []byte{}, 0); err != nil {
				return nil, err
			}
		}
	}
	return s, nil
}

func childOf(svc plugins.Services) *child {
	if s, ok := svc.(staged); ok {
		return s.child
	}
	return svc.(*services).child
}

func (s *stage) Info() plugins.Info { return s.info }
func (s *stage) Generation() string { return "stage 1" }

func (s *stage) Fetch(ctx context.Context, r engine.Request) (engine.Answer, error) {
	return s.act(ctx, r.User.Local())
}

func (s *stage) Authenticate(_ context.Context, user addr.Bare, password string) error {
	switch password {
	case "right for " + user.Local():
		return nil
	case "unknown":
		return engine.ErrUnknownUser
	}
	return fmt.Errorf("%w: wrong", engine.ErrDenied)
}

func (s *stage) Handle(ctx context.Context, c plugins.Call) (plugins.Reply, error) {
	switch c.Route {
	case 0:
		text, err := json.Marshal(c)
		return plugins.Reply{Status: 201, Header: http.Header{"X-A": {"1", "2"}}, Body: text}, err
	case 1:
		r, err := s.svc.Refresh(ctx, strings.Fields(string(c.Body)))
		return plugins.Reply{Body: fmt.Appendf(nil, "%d %d", r.Updated, r.Errors)}, err
	}
	_, err := s.act(ctx, string(c.Body))
	return plugins.Reply{}, err
}

func (s *stage) Tick(_ context.Context, timer int) (time.Duration, error) {
	return time.Duration(timer) * time.Minute, nil
}

// act is what a user's name stands for; see misbehaviours for the others.
func (s *stage) act(ctx context.Context, name string) (engine.Answer, error) {
	if f, ok := misbehaviours[name]; ok {
		return engine.Answer{}, f(ctx, s)
	}
	name, number, _ := strings.Cut(name, "-")
	switch name {
	case "people":
		n, err := strconv.Atoi(number)
		if err != nil {
			return engine.Answer{}, err
		}
		if a, made := crowds.Load(n); made {
			return a.(engine.Answer), nil
		}
		crowds.Store(n, people(n))
		return s.act(ctx, name+"-"+number)
	case "look":
		found, err := look()
		text, _ := json.Marshal(found)
		return engine.Answer{Rev: string(text)}, err
	case "heap":
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return engine.Answer{Rev: fmt.Sprint(m.HeapAlloc, " ", runtime.NumGoroutine())}, nil
	case "http":
		res, err := s.svc.HTTP(ctx, plugins.HTTPRequest{Method: "POST", URL: "http://localhost/", Header: http.Header{"X-A": {"1"}}, Body: []byte("x"), Revision: "r", Redirects: 2, Timeout: time.Second})
		if err != nil {
			return engine.Answer{}, &engine.TemporaryError{Err: err}
		}
		ro, dropped, err := roster.DecodeJSON(addr.MustBare("http@example.com"), res.Body, roster.Limits{})
		return engine.Answer{Roster: ro, Dropped: dropped, Rev: res.Revision}, err
	case "when":
		b := make([]byte, 4)
		s.svc.Random(b)
		return engine.Answer{}, &engine.TemporaryError{Err: fmt.Errorf("%s %x", s.svc.Now().UTC().Format(time.RFC3339Nano), b)}
	case "unchanged":
		return engine.Answer{Unchanged: true, Rev: "r2", MaxAge: time.Hour, StaleIfError: time.Minute, Bounded: true}, nil
	}
	return people(3), nil
}

var crowds sync.Map // of answers by their size: they are made once

func people(n int) engine.Answer {
	items := make([]roster.Item, n)
	for i := range items {
		items[i] = roster.Item{JID: addr.MustBare(fmt.Sprintf("user%d@example.com", i)), Name: fmt.Sprintf("Vorname Nachname %d", i),
			Subscription: roster.Subscription(i % 4), Groups: []string{"Friends", fmt.Sprintf("Team %d", i%10)}, Ask: i%2 == 0, Approved: i%3 == 0}
	}
	r, dropped := roster.New(addr.Bare{}, items...)
	return engine.Answer{Roster: r, Dropped: append(dropped, roster.BadItem{JID: "x@@", Reason: "not a valid JID"}), Rev: "rev", MaxAge: time.Minute, StaleIfError: time.Hour}
}

// world is Services in the parent.
type world struct {
	http    func(ctx context.Context, r plugins.HTTPRequest) (*plugins.HTTPResponse, error)
	refresh func(ctx context.Context, users []string) (plugins.Refreshed, error)
	memory  plugins.Memory

	mu     sync.Mutex
	lines  []string
	closed int
}

func (w *world) HTTP(ctx context.Context, r plugins.HTTPRequest) (*plugins.HTTPResponse, error) {
	if w.http == nil {
		return &plugins.HTTPResponse{Method: r.Method, URL: r.URL, Status: 200, Header: http.Header{}, Body: []byte(`{"a@example.com":{"name":"A"}}`), Revision: "r1"}, nil
	}
	return w.http(ctx, r)
}

func (w *world) Load(ctx context.Context, store, key string) ([]byte, bool, error) {
	return w.memory.LoadValue(ctx, "h", "p", store, key)
}

func (w *world) Save(ctx context.Context, store, key string, v []byte, ttl time.Duration) error {
	return w.memory.SaveValue(ctx, "h", "p", store, key, v, ttl)
}

func (w *world) Refresh(ctx context.Context, users []string) (plugins.Refreshed, error) {
	if w.refresh == nil {
		return plugins.Refreshed{Updated: len(users), Errors: 1}, nil
	}
	return w.refresh(ctx, users)
}

func (w *world) Log(_ context.Context, level slog.Level, msg string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.lines = append(w.lines, fmt.Sprint(append([]any{level, msg}, args...)...))
}

func (w *world) logged() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.lines)
}

func (w *world) Now() time.Time { return time.Now() }
func (w *world) Random([]byte)  {}

func (w *world) Close() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.closed++
}

// opening is how a test opens a worker; zero fields are sensible.
type opening struct {
	code   string
	file   string
	limits plugins.Limits
	opts   map[string]any
	log    io.Writer
	load   time.Duration
}

func (o opening) open(ctx context.Context, w *world) (*Plugin, *plugins.Options, error) {
	if o.limits.Calls == 0 {
		o.limits.Calls = 8
	}
	opts := plugins.NewOptions(plugins.ConfigFunc(func(name string) (any, string, bool) {
		v, ok := o.opts[name]
		return v, "prosody.cfg.lua:7", ok
	}))
	if o.log == nil {
		o.log = io.Discard
	}
	if o.file == "" {
		o.file = "mod_stage.stage"
	}
	src := plugins.Source{Name: "stage", File: o.file, Code: []byte(o.code)}
	open := Opener(Settings{Log: slog.New(slog.NewTextHandler(o.log, nil)), Load: o.load})
	p, err := open(ctx, src, plugins.Host{Name: "example.com", Limits: o.limits}, opts, w)
	if err != nil {
		return nil, opts, err
	}
	return p.(*Plugin), opts, nil
}

// must opens a worker that is closed, and has ended, before the test ends.
func (o opening) must(t testing.TB, w *world) *Plugin {
	t.Helper()
	p, _, err := o.open(t.Context(), w)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
		await(t, p.done, "the end of the worker")
	})
	return p
}

// minute is more than anything here takes on the slowest machine.
const minute = time.Minute

func await[T any](t testing.TB, c <-chan T, what string) (v T) {
	t.Helper()
	select {
	case v = <-c:
	case <-time.After(minute):
		t.Fatalf("waited in vain for %s", what)
	}
	return v
}

func as(name string) engine.Request {
	return engine.Request{User: addr.MustBare(name + "@example.com"), Reason: engine.ReasonLogin, Rev: "r0"}
}

func TestFetch(t *testing.T) {
	var asked plugins.HTTPRequest
	w := &world{}
	w.http = func(ctx context.Context, r plugins.HTTPRequest) (*plugins.HTTPResponse, error) {
		asked = r
		return &plugins.HTTPResponse{Status: 200, Body: []byte(`{"a@example.com":{"name":"A"},"b@@":{}}`), Revision: "etag"}, nil
	}
	p := opening{}.must(t, w)
	t.Run("roster", func(t *testing.T) {
		a, err := p.Fetch(t.Context(), as("plain"))
		if want := people(3); err != nil || !reflect.DeepEqual(a, want) {
			t.Errorf("got %+v, %v; want %+v", a, err, want)
		}
	})
	t.Run("unchanged", func(t *testing.T) {
		a, err := p.Fetch(t.Context(), as("unchanged"))
		want := engine.Answer{Unchanged: true, Rev: "r2", MaxAge: time.Hour, StaleIfError: time.Minute, Bounded: true}
		if err != nil || !reflect.DeepEqual(a, want) {
			t.Errorf("got %+v, %v; want %+v", a, err, want)
		}
	})
	t.Run("over HTTP", func(t *testing.T) {
		a, err := p.Fetch(t.Context(), as("http"))
		if err != nil || a.Roster.Len() != 1 || a.Rev != "etag" || len(a.Dropped) != 1 || a.Dropped[0].JID != "b@@" {
			t.Errorf("got %+v, %v", a, err)
		}
		want := plugins.HTTPRequest{Method: "POST", URL: "http://localhost/", Header: http.Header{"X-A": {"1"}}, Body: []byte("x"), Revision: "r", Redirects: 2, Timeout: time.Second}
		if !reflect.DeepEqual(asked, want) {
			t.Errorf("asked %+v, want %+v", asked, want)
		}
	})
	t.Run("what it is", func(t *testing.T) {
		want := (&stage{}).Generation()
		if p.Generation() != want || len(p.Info().Routes) != 3 || p.Info().Routes[0] != (plugins.Route{Method: "POST", Path: "/echo"}) || !slices.Equal(p.Info().Timers, []time.Duration{time.Minute, time.Hour}) {
			t.Errorf("got %q %+v", p.Generation(), p.Info())
		}
		if u := p.Usage(); u.Memory < 1<<20 || u.Restarts != 0 {
			t.Errorf("usage %+v", u)
		}
	})
}

func TestAuthenticate(t *testing.T) {
	p := opening{}.must(t, &world{})
	for _, c := range []struct {
		password string
		want     error
	}{{"right for john", nil}, {"unknown", engine.ErrUnknownUser}, {"wrong", engine.ErrDenied}} {
		if err := p.Authenticate(t.Context(), addr.MustBare("john@example.com"), c.password); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", c.password, err, c.want)
		}
	}
}

func TestHandle(t *testing.T) {
	p := opening{}.must(t, &world{})
	call := plugins.Call{Route: 0, Method: "POST", Path: "/stage/echo", Rest: "rest", Query: "a=b", Host: "h", Header: http.Header{"A": {"1", "2"}, "B": {""}}, Body: []byte("{}"), From: netip.MustParseAddr("fe80::1%eth0"), Secure: true}
	r, err := p.Handle(t.Context(), call)
	var echo plugins.Call
	if err != nil || json.Unmarshal(r.Body, &echo) != nil || !reflect.DeepEqual(echo, call) || r.Status != 201 || !slices.Equal(r.Header["X-A"], []string{"1", "2"}) {
		t.Errorf("got %+v %v: %+v, want %+v", r, err, echo, call)
	}
	r, err = p.Handle(t.Context(), plugins.Call{Route: 1, Body: []byte("john aaron")})
	if err != nil || string(r.Body) != "2 1" {
		t.Errorf("refresh: %q, %v", r.Body, err)
	}
	for _, route := range []int{-1, 3} {
		if _, err := p.Handle(t.Context(), plugins.Call{Route: route}); !errors.Is(err, plugins.ErrUnsupported) {
			t.Errorf("route %d: %v", route, err)
		}
	}
	if _, err := p.Handle(t.Context(), plugins.Call{Body: make([]byte, 32<<20)}); !errors.Is(err, plugins.ErrLimit) {
		t.Errorf("32 MiB: %v", err)
	}
}

// TestRefreshFetches: all the calls that may change something are under way, and cause fetches of the same plugin.
func TestRefreshFetches(t *testing.T) {
	w := &world{}
	p := opening{limits: plugins.Limits{Calls: 4}}.must(t, w)
	w.refresh = func(ctx context.Context, users []string) (plugins.Refreshed, error) {
		_, err := p.Fetch(ctx, as("plain"))
		return plugins.Refreshed{Updated: 1}, err
	}
	ctx, cancel := context.WithTimeout(t.Context(), minute)
	defer cancel()
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			if _, err := p.Handle(ctx, plugins.Call{Route: 1, Body: []byte("john")}); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
}

func TestTick(t *testing.T) {
	p := opening{}.must(t, &world{})
	if again, err := p.Tick(t.Context(), 1); err != nil || again != time.Minute {
		t.Error(again, err)
	}
	if _, err := p.Tick(t.Context(), 2); !errors.Is(err, plugins.ErrUnsupported) {
		t.Error(err)
	}
}

// openOptions is a plugin that hands back its options.
func openOptions(_ context.Context, src plugins.Source, h plugins.Host, opts *plugins.Options, svc plugins.Services) (plugins.Plugin, error) {
	o := &optionPlugin{}
	for name := range strings.FieldsSeq(string(src.Code)) {
		v, ok := opts.Get(name)
		o.generation += fmt.Sprintf("%s=%#v,%v,%s;", name, v, ok, opts.Pos(name))
	}
	return o, nil
}

type optionPlugin struct {
	plugins.Nothing
	generation string
}

func (o *optionPlugin) Generation() string { return o.generation }

// TestOptions: values and places survive the pipe, and the parent knows what was read.
func TestOptions(t *testing.T) {
	set := map[string]any{
		"text": "ä\x00\xff", "yes": true, "no": false, "int": int64(-1 << 62), "float": 0.1, "whole": float64(3),
		"list": []any{"a", int64(1), []any{}}, "table": map[string]any{"k": map[string]any{"d": 1.5}}, "empty": []any{},
	}
	names := "absent empty float int list no table text whole yes"
	p, opts, err := opening{code: names, file: "mod_o.options", opts: set}.open(t.Context(), &world{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = p.Close(); await(t, p.done, "the end") }()
	want := ""
	for name := range strings.FieldsSeq(names) {
		v, ok := set[name]
		want += fmt.Sprintf("%s=%#v,%v,%s;", name, v, ok, map[bool]string{true: "prosody.cfg.lua:7", false: "prosody.cfg.lua:7"}[ok])
	}
	if p.Generation() != want {
		t.Errorf("got  %s\nwant %s", p.Generation(), want)
	}
	if got := strings.Join(opts.Read(), " "); got != names {
		t.Errorf("the parent knows that %q were read", got)
	}
	if _, err := p.Fetch(t.Context(), as("x")); !errors.Is(err, plugins.ErrUnsupported) {
		t.Errorf("a roster that is not supplied: %v", err)
	}
	if err := p.Authenticate(t.Context(), as("x").User, ""); !errors.Is(err, plugins.ErrUnsupported) {
		t.Errorf("a password that is not supplied: %v", err)
	}
}

func TestLoadErrors(t *testing.T) {
	for _, c := range []struct {
		name, code, file string
		opts             map[string]any
		load             time.Duration
		is               func(error) bool
		contains         string
	}{
		{name: "an option", code: "need n", opts: map[string]any{"n": "x"}, contains: "prosody.cfg.lua:7: option n: a string where a number is expected", is: func(err error) bool {
			var o *plugins.OptionError
			return errors.As(err, &o) && o.Name == "n" && o.Pos == "prosody.cfg.lua:7"
		}},
		{name: "a value of a strange type", code: "need n", opts: map[string]any{"n": struct{}{}}, contains: "option n: a value of type struct {}"},
		{name: "no engine", file: "mod_x.py", contains: "nothing runs mod_x.py"},
		{name: "a crash", code: "act exit", contains: "mod_stage.stage: while it was loaded, its worker ended: exit status 3", is: faulty("crash")},
		{name: "a panic", code: "act panic", contains: "panic: boo", is: faulty("trap")},
		{name: "out of memory", code: "act huge", contains: "ran out of memory", is: faulty("memory")},
		{name: "a loop", code: "act loop", load: 500 * time.Millisecond, contains: "mod_stage.stage: it was not loaded in 500ms; a large module takes long the first time, on a machine that is busy: try again: context deadline exceeded", is: faulty("deadline")},
		{name: "rubbish", code: "act rubbish-frames", contains: "broke the rules", is: faulty("protocol")},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := &world{}
			p, _, err := opening{code: c.code, file: c.file, opts: c.opts, load: c.load}.open(t.Context(), w)
			if err == nil {
				_ = p.Close()
				t.Fatal("it is open")
			}
			if !strings.Contains(err.Error(), c.contains) || c.is != nil && !c.is(err) {
				t.Errorf("got %T %v", err, err)
			}
			if w.closed != 0 {
				t.Error("the services were closed, which are the caller's if a plugin cannot be opened")
			}
		})
	}
	t.Run("no program", func(t *testing.T) {
		open := Opener(Settings{Command: []string{"/nonexistent/rosterd"}})
		if _, err := open(t.Context(), plugins.Source{File: "x.stage"}, plugins.Host{}, plugins.NewOptions(nil), &world{}); err == nil || !strings.Contains(err.Error(), "/nonexistent/rosterd") {
			t.Error(err)
		}
	})
	t.Run("a program that is no worker", func(t *testing.T) {
		open := Opener(Settings{Command: []string{"/bin/echo"}})
		if _, err := open(t.Context(), plugins.Source{File: "x.stage"}, plugins.Host{}, plugins.NewOptions(nil), &world{}); err == nil {
			t.Error("it is open")
		}
	})
}

func faulty(kind string) func(error) bool {
	return func(err error) bool {
		var f *engine.FaultError
		return errors.As(err, &f) && f.Kind == kind
	}
}

func temporary(err error) bool {
	var t *engine.TemporaryError
	return errors.As(err, &t)
}

// TestByHand: who starts the worker by hand is told what it is.
func TestByHand(t *testing.T) {
	cmd := command(t, "plugin-worker")
	cmd.Stdin = strings.NewReader("hello, what do you do?")
	out, err := cmd.CombinedOutput()
	if err == nil || !bytes.Contains(out, []byte("plugin-worker, which rosterd starts for itself")) {
		t.Errorf("%s%v", out, err)
	}
}

// TestRefusedOptions: what no plugin may read is refused here as in the server's process, and is no fault.
func TestRefusedOptions(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(dir+"/o.stage", []byte("need secret_number"), 0o600); err != nil {
		t.Fatal(err)
	}
	m := &plugins.Manager{
		Engines: map[string]plugins.Opener{".stage": nil}, Isolate: Opener(Settings{Log: slog.New(slog.DiscardHandler)}), Paths: []string{dir},
		Secret: func(name string) bool { return strings.HasPrefix(name, "secret_") }, Log: slog.New(slog.DiscardHandler),
	}
	cfg := plugins.ConfigFunc(func(name string) (any, string, bool) { return "x4711", "", name == "secret_number" })
	_, err := m.Open(t.Context(), "o", "example.com", cfg)
	var refused *plugins.OptionError
	if !errors.As(err, &refused) || refused.Name != "secret_number" || faulty("trap")(err) || strings.Contains(err.Error(), "4711") {
		t.Errorf("%v", err)
	}
}
