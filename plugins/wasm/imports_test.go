package wasm_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"rosterd/engine"
	"rosterd/plugins"
	"rosterd/plugins/wasm/module/asm"
)

// step calls an import; see guest.call. The place "dst" of the memory is what a probe shows of it.
type step struct {
	name string
	args []any
}

func do(name string, args ...any) step { return step{name, args} }

const (
	dst      = 65536 // where probes have imports write
	shown    = 64    // bytes of it
	pages    = 2     // of a guest's memory
	end      = pages << 16
	resultAt = 8
)

// probe is a module that takes steps, and keeps the result of the last one and what it has written under "result" and "dst".
func probe(export string, steps ...step) []byte {
	names := []string{"output_write", "kv_set"}
	for _, s := range steps {
		if !slices.Contains(names, s.name) {
			names = append(names, s.name)
		}
	}
	g := newGuest(names...)
	var c asm.Code
	for i, s := range steps {
		last := i == len(steps)-1
		results := strings.SplitN(signature(s.name), ":", 2)[1]
		if last && results != "" {
			c = c.I32(resultAt)
		}
		c = g.call(c, s.name, s.args...)
		switch {
		case results == "":
		case !last:
			c = c.Drop()
		case results == "l":
			c = c.Op(0x37, 3, 0) // i64.store
		default:
			c = c.I32Store(0)
		}
	}
	c = g.call(c, "kv_set", "result", resultAt, 8, 0).Drop()
	c = g.call(c, "kv_set", "dst", dst, shown, 0).Drop()
	c = g.call(c, "output_write", empty).Drop().I32(0)
	return g.export(export, c).Bytes()
}

func signature(name string) string {
	if wasi, ok := strings.CutPrefix(name, "wasi:"); ok {
		return wasiSignatures[wasi]
	}
	return signatures[name]
}

func (w *world) result() int64 {
	return int64(int32(binary.LittleEndian.Uint64(append([]byte(w.kept["kv/result"]), make([]byte, 8)...))))
}

func (w *world) dst() string { return strings.TrimRight(w.kept["kv/dst"], "\x00") }

// answers is a backend that answers with what stands under the method and the URL.
func answers(m map[string]*plugins.HTTPResponse) func(context.Context, plugins.HTTPRequest) (*plugins.HTTPResponse, error) {
	return func(_ context.Context, r plugins.HTTPRequest) (*plugins.HTTPResponse, error) {
		if res := m[r.URL]; res != nil {
			return res, nil
		}
		return nil, fmt.Errorf("%w: %s", plugins.ErrRefused, r.URL)
	}
}

var hello = answers(map[string]*plugins.HTTPResponse{"http://a/": {
	Status: 203, Header: http.Header{"X-Team": {"red", "blue"}, "Etag": {`"1"`}}, Body: []byte("hello, world"), Revision: "etag=1",
}})

var get = do("http_request", `{"url":"http://a/"}`, "")

const johnIsAsked = `{"op":"fetch","user":"john@example.com","local":"john","host":"example.com","reason":"login","rev":""}`

// TestImports calls every import with arguments that make sense and with such that do not.
func TestImports(t *testing.T) {
	list := []any{"a", int64(2), true, "<b>"}
	values := map[string]any{
		"text": "härter", "yes": true, "number": int64(5269), "part": 2.5, "list": list, "table": map[string]any{"b": "2", "a": int64(1)},
		"one": []any{"x"}, "none": []any{}, "rosterd_refresh_token": "hunter2",
	}
	tests := []struct {
		name   string
		steps  []step
		want   int64
		dst    string
		lines  []string
		http   func(context.Context, plugins.HTTPRequest) (*plugins.HTTPResponse, error)
		store  error
		kept   map[string]string
		remain map[string]string // nil: not looked at
	}{
		{name: "how long the input is", steps: []step{do("input_len")}, want: int64(len(johnIsAsked))},
		{name: "the input", steps: []step{do("input_read", dst, 0, 17)}, want: 17, dst: `{"op":"fetch","us`},
		{name: "a part of the input", steps: []step{do("input_read", dst, 1, 4)}, want: 4, dst: `"op"`},
		{name: "the end of the input", steps: []step{do("input_read", dst, len(johnIsAsked)-3, 30)}, want: 3, dst: `""}`},
		{name: "nothing of the input", steps: []step{do("input_read", dst, 0, 0)}},
		{name: "behind the input", steps: []step{do("input_read", dst, len(johnIsAsked), 30)}},
		{name: "far behind the input", steps: []step{do("input_read", dst, -1, 30)}},

		{name: "output", steps: []step{do("output_write", `  `)}},
		{name: "output of nothing", steps: []step{do("output_write", 0, 0)}},
		{name: "output of nothing at the end of the memory", steps: []step{do("output_write", end, 0)}},

		{name: "no error yet", steps: []step{do("error_text", dst, 64)}, want: -1},
		{name: "an error", steps: []step{do("config_get", "nothing", 0, 0), do("error_text", dst, 64)}, want: 25, dst: "option nothing is not set"},
		{name: "how long an error is", steps: []step{do("config_get", "nothing", 0, 0), do("error_text", 0, 0)}, want: 25},
		{name: "an error stays", steps: []step{do("config_get", "nothing", 0, 0), do("input_len"), do("error_text", dst, 64)}, want: 25, dst: "option nothing is not set"},

		{name: "text", steps: []step{do("config_get", "text", dst, 64)}, want: 7, dst: "härter"},
		{name: "text that just fits", steps: []step{do("config_get", "text", dst, 7)}, want: 7, dst: "härter"},
		{name: "text that does not fit", steps: []step{do("config_get", "text", dst, 6)}, want: 7},
		{name: "how long a text is", steps: []step{do("config_get", "text", 0, 0)}, want: 7},
		{name: "a boolean", steps: []step{do("config_get", "yes", dst, 64)}, want: 4, dst: "true"},
		{name: "an integer", steps: []step{do("config_get", "number", dst, 64)}, want: 4, dst: "5269"},
		{name: "a fraction", steps: []step{do("config_get", "part", dst, 64)}, want: 3, dst: "2.5"},
		{name: "a list", steps: []step{do("config_get", "list", dst, 64)}, want: 18, dst: `["a",2,true,"<b>"]`},
		{name: "a list of one", steps: []step{do("config_get", "one", dst, 64)}, want: 5, dst: `["x"]`},
		{name: "an empty list", steps: []step{do("config_get", "none", dst, 64)}, want: 2, dst: `[]`},
		{name: "a table", steps: []step{do("config_get", "table", dst, 64)}, want: 15, dst: `{"a":1,"b":"2"}`},
		{name: "no option", steps: []step{do("config_get", "nothing", dst, 64)}, want: -1},
		{name: "no name of an option", steps: []step{do("config_get", "", dst, 64)}, want: -1},
		{name: "what is said of that", steps: []step{do("config_get", "", 0, 0), do("error_text", dst, 64)}, want: 43, dst: "config_get: the name of the option is empty"},
		{name: "what is said of a request that is empty", steps: []step{do("http_request", "", ""), do("error_text", dst, 64)}, want: 34, dst: "http_request: the request is empty"},
		{name: "a secret of the server", steps: []step{do("config_get", "rosterd_refresh_token", dst, 64)}, want: -2},

		{name: "a request", steps: []step{get}, want: 1, http: hello},
		{name: "another request", steps: []step{get, get}, want: 2, http: hello},
		{name: "a handle is not given out again", steps: []step{get, do("http_close", 1), get}, want: 2, http: hello},
		{name: "a request to nobody", steps: []step{do("http_request", `{"url":"http://b/"}`, "")}, want: -2, http: hello},
		{name: "why a request was refused", steps: []step{do("http_request", `{"url":"http://b/"}`, ""), do("error_text", dst, 64)}, want: 28, dst: "refused by policy: http://b/", http: hello},
		{name: "no request", steps: []step{do("http_request", "", "")}, want: -5},
		{name: "a request without a URL", steps: []step{do("http_request", `{"method":"GET"}`, "")}, want: -5},
		{name: "a request that is no object", steps: []step{do("http_request", `["http://a/"]`, "")}, want: -5},
		{name: "a request that goes on", steps: []step{do("http_request", `{"url":"http://a/"} {}`, "")}, want: -5},
		{name: "a request with a URL twice", steps: []step{do("http_request", `{"url":"http://a/","url":"http://b/"}`, "")}, want: -5, http: hello},
		{name: "a request with a field that nobody knows", steps: []step{do("http_request", `{"url":"http://a/","proxy":"x"}`, "")}, want: -5, http: hello},
		{name: "a request whose header is a list", steps: []step{do("http_request", `{"url":"http://a/","headers":["a"]}`, "")}, want: -5, http: hello},
		{name: "a header field that is a number", steps: []step{do("http_request", `{"url":"http://a/","headers":{"a":1}}`, "")}, want: -5, http: hello},
		{name: "half a millisecond", steps: []step{do("http_request", `{"url":"http://a/","timeout_ms":0.5}`, "")}, want: -5, http: hello},
		{name: "time that has passed", steps: []step{do("http_request", `{"url":"http://a/","timeout_ms":-1}`, "")}, want: -5, http: hello},
		{name: "too many redirects", steps: []step{do("http_request", `{"url":"http://a/","redirects":4}`, "")}, want: -5, http: hello},
		{name: "a request deep down", steps: []step{do("http_request", strings.Repeat("[", 5000), "")}, want: -5, http: hello},
		{name: "the ninth request", steps: []step{get, get, get, get, get, get, get, get, get}, want: -3, http: hello},
		{name: "no network", steps: []step{get}, want: -4, http: failing(errors.New("connection refused"))},
		{name: "a request that takes too long", steps: []step{get}, want: -6, http: failing(context.DeadlineExceeded)},
		{name: "an answer that is too large", steps: []step{get}, want: -3, http: failing(plugins.ErrLimit)},
		{name: "a request that cannot be sent", steps: []step{get}, want: -5, http: failing(plugins.ErrInvalid)},

		{name: "a status", steps: []step{get, do("http_status", 1)}, want: 203, http: hello},
		{name: "the status of nothing", steps: []step{do("http_status", 1)}, want: -1},
		{name: "the status of the body that a fetch has not", steps: []step{do("http_status", 0)}, want: -1},
		{name: "the status of handle -1", steps: []step{get, do("http_status", -1)}, want: -1, http: hello},
		{name: "a status that was let go", steps: []step{get, do("http_close", 1), do("http_status", 1)}, want: -1, http: hello},
		{name: "a header field", steps: []step{get, do("http_header", 1, "etag", dst, 64)}, want: 3, dst: `"1"`, http: hello},
		{name: "a header field that occurs twice", steps: []step{get, do("http_header", 1, "x-TEAM", dst, 64)}, want: 9, dst: "red, blue", http: hello},
		{name: "no header field", steps: []step{get, do("http_header", 1, "age", dst, 64)}, want: -1, http: hello},
		{name: "a header field of nothing", steps: []step{do("http_header", 1, "age", dst, 64)}, want: -1},
		{name: "a revision", steps: []step{get, do("http_rev", 1, dst, 64)}, want: 6, dst: "etag=1", http: hello},
		{name: "no revision", steps: []step{get, do("http_rev", 1, dst, 64)}, want: -1, http: answers(map[string]*plugins.HTTPResponse{"http://a/": {}})},
		{name: "a revision of nothing", steps: []step{do("http_rev", 1, dst, 64)}, want: -1},
		{name: "how long a body is", steps: []step{get, do("http_body_len", 1)}, want: 12, http: hello},
		{name: "how long the body of nothing is", steps: []step{do("http_body_len", 7)}, want: -1},
		{name: "a body", steps: []step{get, do("http_body_read", 1, dst, 0, 64)}, want: 12, dst: "hello, world", http: hello},
		{name: "a part of a body", steps: []step{get, do("http_body_read", 1, dst, 7, 3)}, want: 3, dst: "wor", http: hello},
		{name: "behind a body", steps: []step{get, do("http_body_read", 1, dst, 12, 3)}, want: 0, http: hello},
		{name: "the body of nothing", steps: []step{do("http_body_read", 1, dst, 0, 64)}, want: -1},
		{name: "to let go of an answer", steps: []step{get, do("http_close", 1)}, want: 0, http: hello},
		{name: "to let go of it again", steps: []step{get, do("http_close", 1), do("http_close", 1)}, want: -1, http: hello},
		{name: "to let go of nothing", steps: []step{do("http_close", 0)}, want: -1},

		{name: "a value", steps: []step{do("kv_get", "k", dst, 64)}, want: 5, dst: "value", kept: map[string]string{"kv/k": "value"}},
		{name: "a value that does not fit", steps: []step{do("kv_get", "k", dst, 4)}, want: 5, kept: map[string]string{"kv/k": "value"}},
		{name: "an empty value", steps: []step{do("kv_get", "k", dst, 4)}, want: 0, kept: map[string]string{"kv/k": ""}},
		{name: "no value", steps: []step{do("kv_get", "k", dst, 64)}, want: -1},
		{name: "a store that does not answer", steps: []step{do("kv_get", "k", dst, 64)}, want: -4, store: errors.New("disk full")},
		{name: "a value is kept", steps: []step{do("kv_set", "k", "v", 60)}, remain: map[string]string{"kv/k": "v"}},
		{name: "an empty value is kept", steps: []step{do("kv_set", "k", "", 0)}, remain: map[string]string{"kv/k": ""}},
		{name: "a value that is too large", steps: []step{do("kv_set", "k", "v", 0)}, want: -3, store: plugins.ErrLimit},
		{name: "a value is forgotten", steps: []step{do("kv_delete", "k")}, kept: map[string]string{"kv/k": "value"}, remain: map[string]string{}},
		{name: "no value is forgotten", steps: []step{do("kv_delete", "k")}, remain: map[string]string{}},
		{name: "a value that cannot be forgotten in time", steps: []step{do("kv_delete", "k")}, want: -6, store: context.DeadlineExceeded},

		{name: "a line", steps: []step{do("log", 1, "häuser")}, lines: []string{"INFO häuser user john@example.com call roster"}},
		{name: "levels", steps: []step{do("log", 0, "a"), do("log", 2, "b"), do("log", 3, "c")},
			lines: []string{"DEBUG a user john@example.com call roster", "WARN b user john@example.com call roster", "ERROR c user john@example.com call roster"}},
		{name: "a level that is none", steps: []step{do("log", -1, "a")}, lines: []string{"ERROR a user john@example.com call roster"}},
		{name: "a line that is no text", steps: []step{do("log", 1, "a\xff")}, lines: []string{"INFO a\uFFFD user john@example.com call roster"}},
		{name: "a line that is too long", steps: []step{do("log", 1, strings.Repeat("x", 1025))}, lines: []string{"INFO " + strings.Repeat("x", 1024) + "… user john@example.com call roster"}},

		{name: "the time", steps: []step{do("now_ms")}, want: 1_234_567_890_123 & 0xffffffff},
		{name: "random numbers", steps: []step{do("random", dst, 4)}, want: 0, dst: "\x04\x04\x04\x04"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := &world{http: tt.http, now: func() time.Time { return time.UnixMilli(1_234_567_890_123) }, kept: maps.Clone(tt.kept)}
			store := &failingStore{world: w, err: tt.store}
			p, err := openIn(t, probe("rosterd_fetch", tt.steps...), values, store)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := p.Fetch(t.Context(), john(t)); err != nil {
				t.Fatal(err)
			}
			want := tt.want
			if strings.HasSuffix(signature(tt.steps[len(tt.steps)-1].name), ":l") {
				want = int64(int32(want))
			}
			if got := w.result(); got != want {
				t.Errorf("the result is %d, want %d", got, want)
			}
			if got := w.dst(); got != tt.dst {
				t.Errorf("%q was written, want %q", got, tt.dst)
			}
			if !slices.Equal(w.said(), tt.lines) {
				t.Errorf("said %q, want %q", w.said(), tt.lines)
			}
			delete(w.kept, "kv/result")
			delete(w.kept, "kv/dst")
			if tt.remain != nil && !maps.Equal(w.kept, tt.remain) {
				t.Errorf("kept %q, want %q", w.kept, tt.remain)
			}
		})
	}
}

func failing(err error) func(context.Context, plugins.HTTPRequest) (*plugins.HTTPResponse, error) {
	return func(context.Context, plugins.HTTPRequest) (*plugins.HTTPResponse, error) {
		return nil, fmt.Errorf("GET http://a/: %w", err)
	}
}

// failingStore fails for all but what probes keep.
type failingStore struct {
	*world
	err error
}

func (s *failingStore) Load(ctx context.Context, store, key string) ([]byte, bool, error) {
	if s.err != nil {
		return nil, false, s.err
	}
	return s.world.Load(ctx, store, key)
}

func (s *failingStore) Save(ctx context.Context, store, key string, value []byte, ttl time.Duration) error {
	if s.err != nil && key != "result" && key != "dst" {
		return s.err
	}
	return s.world.Save(ctx, store, key, value, ttl)
}

// pointers are the places among an import's arguments where a pointer stands, and its length.
var pointers = map[string][][2]int{
	"input_read": {{0, 2}}, "output_write": {{0, 1}}, "fail": {{2, 3}}, "error_text": {{0, 1}}, "config_get": {{0, 1}, {2, 3}},
	"http_request": {{0, 1}, {2, 3}}, "http_header": {{1, 2}, {3, 4}}, "http_rev": {{1, 2}}, "http_body_read": {{1, 3}},
	"kv_get": {{0, 1}, {2, 3}}, "kv_set": {{0, 1}, {2, 3}}, "kv_delete": {{0, 1}}, "log": {{1, 2}}, "random": {{0, 1}},
}

// TestPointers leads every import out of the memory.
func TestPointers(t *testing.T) {
	for name, places := range pointers {
		for _, at := range places {
			for _, bad := range [][2]int{{end, 1}, {end - 1, 2}, {0, end + 1}, {-1, 1}, {-16, 32}, {16, -16}, {-1, -1}, {-1, 0}} {
				t.Run(fmt.Sprintf("%s %d and %d", name, bad[0], bad[1]), func(t *testing.T) {
					args := make([]any, len(strings.SplitN(signatures[name], ":", 2)[0]))
					for i := range args {
						args[i] = 0
					}
					args[at[0]], args[at[1]] = bad[0], bad[1]
					w := &world{http: hello}
					p := open(t, probe("rosterd_fetch", do(name, args...)), setting{}, w)
					_, err := p.Fetch(t.Context(), john(t))
					var fault *engine.FaultError
					if !errors.As(err, &fault) || fault.Kind != "trap" || !strings.Contains(err.Error(), "a pointer that leads out of the memory") {
						t.Fatal(err)
					}
				})
			}
		}
	}
}

// TestImportsInInit are those that a module gets at while it reads its options.
func TestImportsInInit(t *testing.T) {
	for _, s := range []step{get, do("kv_get", "k", dst, 64), do("kv_set", "k", "v", 0), do("kv_delete", "k")} {
		t.Run(s.name, func(t *testing.T) {
			g := newGuest("output_write", s.name)
			c := g.call(nil, s.name, s.args...)
			g.export("rosterd_init", c.I32(2).I32Add()) // 0 if it is -2
			g.export("rosterd_fetch", g.call(nil, "output_write", empty).Drop().I32(0))
			open(t, g.Bytes(), setting{}, &world{http: hello})
		})
	}
}
