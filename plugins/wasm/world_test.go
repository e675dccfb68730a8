package wasm_test

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"rosterd/engine"
	"rosterd/plugins"
	"rosterd/plugins/wasm"
	"rosterd/plugins/wasm/module/asm"
)

// world is what a plugin is given, and remembers what the plugin does with it.
type world struct {
	http    func(ctx context.Context, r plugins.HTTPRequest) (*plugins.HTTPResponse, error)
	refresh func(users []string) (plugins.Refreshed, error)
	now     func() time.Time
	fails   error // of the store

	mu     sync.Mutex // guards the fields below
	lines  []string
	kept   map[string]string
	ttl    time.Duration
	closed int
}

func (w *world) HTTP(ctx context.Context, r plugins.HTTPRequest) (*plugins.HTTPResponse, error) {
	if w.http == nil {
		return nil, fmt.Errorf("%w: nobody is to be asked", plugins.ErrRefused)
	}
	return w.http(ctx, r)
}

func (w *world) Load(_ context.Context, store, key string) ([]byte, bool, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	v, ok := w.kept[store+"/"+key]
	return []byte(v), ok, w.fails
}

func (w *world) Save(_ context.Context, store, key string, value []byte, ttl time.Duration) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.fails != nil {
		return w.fails
	}
	if w.ttl = ttl; value == nil {
		delete(w.kept, store+"/"+key)
		return nil
	}
	if w.kept == nil {
		w.kept = map[string]string{}
	}
	w.kept[store+"/"+key] = string(value)
	return nil
}

func (w *world) Refresh(_ context.Context, users []string) (plugins.Refreshed, error) {
	return w.refresh(users)
}

func (w *world) Log(_ context.Context, level slog.Level, msg string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.lines = append(w.lines, strings.TrimSpace(fmt.Sprintln(append([]any{level, msg}, args...)...)))
}

func (w *world) said() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.lines)
}

func (w *world) Random(b []byte) {
	for i := range b {
		b[i] = 4 // chosen by fair dice roll
	}
}

func (w *world) Now() time.Time {
	if w.now == nil {
		return time.Now()
	}
	return w.now()
}

func (w *world) Close() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.closed++
}

// options are those of a configuration.
func options(values map[string]any) *plugins.Options {
	return plugins.NewOptions(plugins.ConfigFunc(func(name string) (any, string, bool) {
		v, ok := values[name]
		return v, "rosterd.cfg.lua:1", ok
	}))
}

// setting is for whom a module is opened, and with what.
type setting struct {
	host    plugins.Host
	options map[string]any
}

func openIn(t testing.TB, code []byte, values map[string]any, svc plugins.Services) (*wasm.Plugin, error) {
	t.Helper()
	return tryOpen(t, code, setting{options: values}, svc)
}

func tryOpen(t testing.TB, code []byte, s setting, svc plugins.Services) (*wasm.Plugin, error) {
	t.Helper()
	return openWithin(context.Background(), t, code, s, svc)
}

func openWithin(ctx context.Context, t testing.TB, code []byte, s setting, svc plugins.Services) (*wasm.Plugin, error) {
	t.Helper()
	s.host.Name = "example.com"
	p, err := wasm.Open(ctx, plugins.Source{Name: "crm", File: "crm.wasm", Code: code}, s.host, options(s.options), svc)
	if err != nil {
		return nil, err
	}
	t.Cleanup(func() { p.Close() })
	return p.(*wasm.Plugin), nil
}

func open(t testing.TB, code []byte, s setting, svc plugins.Services) *wasm.Plugin {
	t.Helper()
	p, err := tryOpen(t, code, s, svc)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func john(t testing.TB) engine.Request {
	return engine.Request{User: user(t, "john@example.com"), Reason: engine.ReasonLogin}
}

// signatures of imports, as the assembler writes them.
var signatures = map[string]string{
	"input_len": ":i", "input_read": "iii:i", "output_write": "ii:i", "fail": "iiii:", "error_text": "ii:i", "config_get": "iiii:i",
	"http_request": "iiii:i", "http_status": "i:i", "http_header": "iiiii:i", "http_rev": "iii:i", "http_body_len": "i:i",
	"http_body_read": "iiii:i", "http_close": "i:i", "kv_get": "iiii:i", "kv_set": "iiiii:i", "kv_delete": "ii:i", "log": "iii:", "now_ms": ":l",
	"random": "ii:i",
}

var wasiSignatures = map[string]string{
	"args_get": "ii:i", "args_sizes_get": "ii:i", "clock_res_get": "ii:i", "clock_time_get": "ili:i", "environ_get": "ii:i",
	"environ_sizes_get": "ii:i", "fd_close": "i:i", "fd_fdstat_get": "ii:i", "fd_fdstat_set_flags": "ii:i", "fd_prestat_dir_name": "iii:i",
	"fd_prestat_get": "ii:i", "fd_read": "iiii:i", "fd_seek": "ilii:i", "fd_write": "iiii:i", "poll_oneoff": "iiii:i", "proc_exit": "i:",
	"random_get": "ii:i", "sched_yield": ":i",
}

// guest is a module in the making: what is in its memory, and exports that call imports.
type guest struct {
	asm.Module
	imported map[string]uint32
	top      int32 // what is used of the memory
	texts    map[string]int32
}

// newGuest imports what it may call: of rosterd_v1, or of WASI with "wasi:" before the name.
func newGuest(names ...string) *guest {
	g := &guest{imported: map[string]uint32{}, top: 16, texts: map[string]int32{}}
	for _, name := range names {
		if wasi, ok := strings.CutPrefix(name, "wasi:"); ok {
			g.imported[name] = g.Import("wasi_snapshot_preview1", wasi, wasiSignatures[wasi])
		} else {
			g.imported[name] = g.Import("rosterd_v1", name, signatures[name])
		}
	}
	g.Memory(2, 64)
	g.ExportMemory("memory")
	g.Export("rosterd_abi_v1", g.Func(":", "", nil))
	return g
}

// text puts a text into memory.
func (g *guest) text(s string) (ptr, n int32) {
	at, ok := g.texts[s]
	if !ok {
		at = g.top
		g.texts[s] = at
		g.Data(at, []byte(s))
		g.top += int32(len(s)+15) &^ 15
	}
	return at, int32(len(s))
}

// call calls an import. An argument is an int32, an int64, or a string, which is its place and its length.
func (g *guest) call(c asm.Code, name string, args ...any) asm.Code {
	f, ok := g.imported[name]
	if !ok {
		panic(name + " is not imported")
	}
	for _, a := range args {
		switch a := a.(type) {
		case string:
			ptr, n := g.text(a)
			c = c.I32(ptr).I32(n)
		case int64:
			c = c.I64(a)
		case int:
			c = c.I32(int32(a))
		}
	}
	return c.Call(f)
}

// export exports what returns a number.
func (g *guest) export(name string, c asm.Code) *guest {
	g.Export(name, g.Func(":i", "ii", c))
	return g
}

// writes is a fetch that writes something and returns a number.
func writes(out string, returns int32) []byte {
	g := newGuest("output_write")
	return g.export("rosterd_fetch", g.call(nil, "output_write", out).Drop().I32(returns)).Bytes()
}

const empty = `{"items": []}`
