// Package plugins_test runs the examples: what each README shows, against a server that answers as the README says, and
// the cases in each folder tests.
package plugins_test

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"rosterd/config"
	"rosterd/engine"
	"rosterd/engine/addr"
	"rosterd/engine/roster"
	"rosterd/plugins"
	"rosterd/plugins/lua"
	"rosterd/plugins/wasm"
	"rosterd/plugins/worker"
)

// TestMain is the process of a script as well, which the tests start as the server does.
func TestMain(m *testing.M) {
	if len(os.Args) == 2 && os.Args[1] == "plugin-worker" {
		os.Exit(worker.Main(engines()))
	}
	os.Exit(run(m))
}

// native is a folder of compiled code, which the modules of all tests share.
var native string

func run(m *testing.M) int {
	var err error
	if native, err = os.MkdirTemp("", "rosterd-native"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(native)
	return m.Run()
}

func engines() map[string]plugins.Opener {
	return map[string]plugins.Opener{".lua": lua.Open, ".wasm": wasm.Open}
}

// placements are where a script runs: nil is this process.
var placements = map[string]plugins.Opener{
	"inproc":  nil,
	"process": worker.Opener(worker.Settings{Log: slog.New(slog.DiscardHandler)}),
}

const (
	generous = 20 * time.Second // bounds what must not hang
	secret   = "correct horse"  // what the READMEs' files of secrets hold
)

var john = addr.MustBare("john@example.com")

// block is a fenced part of a README.
type block struct{ info, text string }

var fence = regexp.MustCompile("(?ms)^```(\\w+)\n(.*?)^```$")

func blocks(readme string) (list []block) {
	for _, m := range fence.FindAllStringSubmatch(readme, -1) {
		list = append(list, block{m[1], m[2]})
	}
	return list
}

// exchange is an HTTP request with its answer, as a README prints them.
type exchange struct {
	method, path string
	header       http.Header
	body         string
	status       int
	answerHeader http.Header
	answer       string
	seen         int
}

// readExchange reads what the log of a client might show: request line, header, body; status line, header, body.
func readExchange(t *testing.T, text string) *exchange {
	t.Helper()
	asked, answered, ok := strings.Cut(text, "\nHTTP/1.1 ")
	if !ok {
		t.Fatalf("an exchange without an answer:\n%s", text)
	}
	x := &exchange{}
	var first string
	first, x.header, x.body = message(asked)
	if _, err := fmt.Sscanf(first, "%s %s HTTP/1.1", &x.method, &x.path); err != nil {
		t.Fatalf("%q: %v", first, err)
	}
	x.body = strings.TrimSuffix(x.body, "\n")
	first, x.answerHeader, x.answer = message(answered)
	if _, err := fmt.Sscanf(first, "%d", &x.status); err != nil {
		t.Fatalf("%q: %v", first, err)
	}
	return x
}

func message(text string) (first string, h http.Header, body string) {
	head, body, _ := strings.Cut(text, "\n\n")
	lines := strings.Split(strings.TrimSpace(head), "\n")
	h = http.Header{}
	for _, line := range lines[1:] {
		name, value, _ := strings.Cut(line, ": ")
		h.Add(name, value)
	}
	return lines[0], h, body
}

// backend plays the servers of a README, each under an address of its own.
type backend struct {
	t         *testing.T
	exchanges []*exchange
	mu        sync.Mutex // guards seen
}

// serve answers for one host and returns its address.
func (b *backend) serve(host string) string {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			b.t.Error(err)
		}
		for _, x := range b.exchanges {
			if x.asks(host, r, string(body)) {
				b.mu.Lock()
				x.seen++
				b.mu.Unlock()
				for name, values := range x.answerHeader {
					w.Header()[name] = values
				}
				w.WriteHeader(x.status)
				_, _ = io.WriteString(w, x.answer)
				return
			}
		}
		b.t.Errorf("no exchange of the README is %s %s at %s with %v and %q", r.Method, r.RequestURI, host, r.Header, body)
		w.WriteHeader(http.StatusInternalServerError)
	}))
	b.t.Cleanup(srv.Close)
	return srv.URL
}

// asks tells whether a request is the one of the exchange: it may have more header fields.
func (x *exchange) asks(host string, r *http.Request, body string) bool {
	if x.method != r.Method || x.path != r.RequestURI || x.header.Get("Host") != host || x.body != body {
		return false
	}
	for name := range x.header {
		if name != "Host" && x.header.Get(name) != r.Header.Get(name) {
			return false
		}
	}
	return true
}

var (
	origin   = regexp.MustCompile(`https?://([^/"]+)`)
	fileLine = regexp.MustCompile(`FileLine\("([^"]+)"\)`)
)

// place is a directory with the configuration of a README, and the example's code where the configuration expects it.
func place(t *testing.T, file, lines string, b *backend) *config.Config {
	t.Helper()
	dir := t.TempDir()
	code, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	write := func(file string, content []byte) {
		if err := os.WriteFile(filepath.Join(dir, file), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(dir, "modules"), 0o750); err != nil {
		t.Fatal(err)
	}
	write(filepath.Join("modules", filepath.Base(file)), code)
	for _, m := range fileLine.FindAllStringSubmatch(lines, -1) {
		write(m[1], []byte(secret+"\n"))
	}
	servers := map[string]string{}
	lines = origin.ReplaceAllStringFunc(lines, func(url string) string {
		host := origin.FindStringSubmatch(url)[1]
		if servers[host] == "" {
			servers[host] = b.serve(host)
		}
		return servers[host]
	})
	write("prosody.cfg.lua", []byte("data_path = \"data\"\n"+lines))
	cfg, err := config.Load(filepath.Join(dir, "prosody.cfg.lua"), config.LoadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

// opened is an example's script, opened as the server opens it.
type opened struct {
	*plugins.Opened
	mu        sync.Mutex
	refreshed []string
}

func open(t *testing.T, name string, cfg *config.Config, isolate plugins.Opener) *opened {
	t.Helper()
	o := &opened{}
	m := &plugins.Manager{
		Version: "test", Engines: engines(), Shipped: lua.Shipped(), Isolate: isolate, Cache: native,
		Paths: config.PluginPaths.Get(cfg.Global()), Log: slog.New(slog.DiscardHandler),
		Refresh: func(_ context.Context, _ string, users []string) (plugins.Refreshed, error) {
			o.mu.Lock()
			defer o.mu.Unlock()
			o.refreshed = append(o.refreshed, users...)
			return plugins.Refreshed{Updated: len(users)}, nil
		},
	}
	h := cfg.Host("example.com")
	p, err := m.Open(t.Context(), name, h.Name, plugins.ConfigFunc(func(name string) (any, string, bool) {
		v, pos, ok := h.PluginOption(name)
		return v, pos.String(), ok
	}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	})
	o.Opened = p
	return o
}

// examples are the folders beside this file that hold a script. The others are compiled first: make test-clients.
func examples(t *testing.T) (names []string) {
	t.Helper()
	scripts, err := filepath.Glob("*/mod_*.lua")
	if err != nil || len(scripts) == 0 {
		t.Fatal("no scripts", err)
	}
	for _, s := range scripts {
		names = append(names, filepath.Dir(s))
	}
	return names
}

func read(t testing.TB, path ...string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(path...))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// TestReadmes does what each README says: with its configuration, its backend's answers give its roster.
func TestReadmes(t *testing.T) {
	for _, name := range examples(t) {
		for where, isolate := range placements {
			t.Run(name+"/"+where, func(t *testing.T) {
				t.Parallel()
				tryReadme(t, name, filepath.Join(name, "mod_"+name+".lua"), isolate)
			})
		}
	}
}

// tryReadme does what the README of an example says, whose code is in a file.
func tryReadme(t *testing.T, name, code string, isolate plugins.Opener) {
	t.Helper()
	readme := blocks(read(t, name, "README.md"))
	b := &backend{t: t}
	lines := ""
	for _, bl := range readme {
		switch bl.info {
		case "lua":
			lines += bl.text
		case "http":
			b.exchanges = append(b.exchanges, readExchange(t, bl.text))
		}
	}
	cfg := place(t, code, lines, b)
	for _, d := range config.Check(cfg) {
		if d.Severity != config.Note && (d.Name == name || strings.HasPrefix(d.Name, name+"_") || d.Severity == config.Refused) {
			t.Errorf("check says: %v", d)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), generous)
	defer cancel()
	if told := play(ctx, t, open(t, name, cfg, isolate), b, readme); told == 0 {
		t.Error("the README shows no result")
	}
	for _, x := range b.exchanges {
		if x.seen != 1 {
			t.Errorf("%s %s took place %d times", x.method, x.path, x.seen)
		}
	}
}

// play goes through a README and compares what it says with what is. It counts what it has compared.
func play(ctx context.Context, t *testing.T, p *opened, b *backend, all []block) (told int) {
	t.Helper()
	var last *exchange
	n := 0
	for _, bl := range all {
		switch bl.info {
		case "http":
			last = b.exchanges[n]
			n++
			if p.Info().Path != "" && strings.HasPrefix(last.path, p.Info().Path+"/") {
				handle(ctx, t, p, last)
				told++
			}
		case "json":
			a, err := p.Fetch(ctx, engine.Request{User: john, Reason: engine.ReasonLogin})
			if err != nil {
				t.Fatal(err)
			}
			want, bad, err := roster.DecodeJSON(john, []byte(bl.text), roster.Limits{})
			if err != nil || len(bad) > 0 {
				t.Fatal(err, bad)
			}
			equal(t, "the roster", string(a.Roster.EncodeJSON()), string(want.EncodeJSON()))
			if len(a.Dropped) > 0 {
				t.Errorf("left out: %v", a.Dropped)
			}
			told++
		case "text":
			got := strings.Join(slices.Sorted(slices.Values(p.refreshed)), ", ")
			if p.Info().Auth {
				got = verdict(p.Authenticate(ctx, john, passwordIn(t, last)))
			}
			equal(t, "what came of it", got, strings.TrimSpace(bl.text))
			told++
		}
	}
	return told
}

// handle gives a request from outside to the script.
func handle(ctx context.Context, t *testing.T, p *opened, x *exchange) {
	t.Helper()
	x.seen++
	routes := p.Info().Routes
	route := slices.IndexFunc(routes, func(r plugins.Route) bool { return r.Method == x.method && p.Info().Path+r.Path == x.path })
	if route < 0 {
		t.Fatalf("%s %s is none of %v below %s", x.method, x.path, routes, p.Info().Path)
	}
	reply, err := p.Handle(ctx, plugins.Call{Route: route, Method: x.method, Path: x.path, Host: x.header.Get("Host"), Header: x.header, Body: []byte(x.body)})
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "the status", cmp.Or(reply.Status, http.StatusOK), x.status)
	equal(t, "the answer", string(reply.Body), strings.TrimSpace(x.answer))
	for field := range x.answerHeader {
		equal(t, field, reply.Header.Get(field), x.answerHeader.Get(field))
	}
}

var password = regexp.MustCompile(`"password":"([^"]*)"`)

func passwordIn(t *testing.T, x *exchange) string {
	t.Helper()
	if x == nil || password.FindString(x.body) == "" {
		t.Fatal("no password in the request")
	}
	return password.FindStringSubmatch(x.body)[1]
}

// verdict is an answer about a password in the words of the READMEs.
func verdict(err error) string {
	var temporary *engine.TemporaryError
	switch {
	case err == nil:
		return "john is in"
	case errors.Is(err, engine.ErrDenied):
		return "john is refused"
	case errors.As(err, &temporary):
		return "nobody knows: " + temporary.Err.Error()
	}
	return err.Error()
}

func equal[T comparable](t *testing.T, what string, got, want T) {
	t.Helper()
	if got != want {
		t.Errorf("%s is\n%v\nnot\n%v", what, got, want)
	}
}

var option = regexp.MustCompile(`module:get_option_?\w*\("(\w+)"`)

// TestOptionsExplained: whoever reads the README knows every option, and how to try the example.
func TestOptionsExplained(t *testing.T) {
	for _, name := range examples(t) {
		readme := read(t, name, "README.md")
		for _, m := range option.FindAllStringSubmatch(read(t, name, "mod_"+name+".lua"), -1) {
			if !strings.Contains(readme, "| `"+m[1]+"` |") {
				t.Errorf("%s: README.md does not explain %s", name, m[1])
			}
		}
		if !strings.Contains(readme, "rosterd plugin test examples/plugins/"+name+"\n") {
			t.Errorf("%s: README.md does not say how to try it", name)
		}
	}
}

// TestTenLines: the backend in README.md at the top is the one that is tested here, and has ten lines of code.
func TestTenLines(t *testing.T) {
	code := read(t, "friends", "mod_friends.lua")
	top := blocks(read(t, "..", "..", "README.md"))
	if !slices.Contains(top, block{"lua", code}) {
		t.Error("README.md does not show examples/plugins/friends/mod_friends.lua as it is")
	}
	lines := slices.DeleteFunc(strings.Split(strings.TrimSpace(code), "\n"), func(l string) bool { return l == "" })
	if len(lines) > 12 {
		t.Errorf("%d lines", len(lines))
	}
	if bytes.Contains([]byte(code), []byte("\t")) {
		t.Error("tabs, which a README shows too wide")
	}
}
