package trial

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"rosterd/engine"
	"rosterd/engine/addr"
	"rosterd/engine/roster"
	"rosterd/plugins"
)

// play is a plugin in Go. Its functions may be nil.
type play struct {
	plugins.Nothing
	plugins.Services
	opts         *plugins.Options
	info         plugins.Info
	fetch        func(ctx context.Context, p *play, user addr.Bare) (engine.Answer, error)
	authenticate func(ctx context.Context, p *play, password string) error
	handle       func(ctx context.Context, p *play, c plugins.Call) (plugins.Reply, error)
	tick         func(ctx context.Context, p *play) (time.Duration, error)
	instructions int64
}

func (p *play) Info() plugins.Info  { return p.info }
func (p *play) Instructions() int64 { return p.instructions }
func (p *play) HostCalls() int64    { return p.instructions / 50 }
func (p *play) MemoryPeak() int64   { return 64 << 10 }
func (p *play) Close() error        { p.Services.Close(); return nil }
func (p *play) Fetch(ctx context.Context, r engine.Request) (engine.Answer, error) {
	p.instructions += 100
	return p.fetch(ctx, p, r.User)
}
func (p *play) Authenticate(ctx context.Context, _ addr.Bare, password string) error {
	return p.authenticate(ctx, p, password)
}
func (p *play) Handle(ctx context.Context, c plugins.Call) (plugins.Reply, error) {
	return p.handle(ctx, p, c)
}
func (p *play) Tick(ctx context.Context, _ int) (time.Duration, error) { return p.tick(ctx, p) }

// subject is a plugin in a folder of its own.
func subject(t testing.TB) Subject {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "mod_crm.go"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := Find(dir, ".go")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// manager opens a play.
func manager(p *play) *plugins.Manager {
	return &plugins.Manager{Engines: map[string]plugins.Opener{
		".go": func(_ context.Context, _ plugins.Source, _ plugins.Host, opts *plugins.Options, svc plugins.Services) (plugins.Plugin, error) {
			p.Services, p.opts = svc, opts
			_, _, err := opts.String("crm_url")
			return p, err
		},
	}}
}

// tried is the outcome of a case.
func tried(t testing.TB, p *play, text string) (*Case, Outcome) {
	t.Helper()
	c, err := Parse("x.json", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	o, err := Trial{Subject: subject(t), Case: c, Manager: manager(p)}.Open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer o.Close()
	out, err := o.Call(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return c, out
}

// get fetches the standard form over HTTP, and logs.
func get(ctx context.Context, p *play, user addr.Bare) (engine.Answer, error) {
	template, _, err := p.opts.String("crm_url")
	if err != nil {
		return engine.Answer{}, err
	}
	p.Log(ctx, slog.LevelInfo, "asking", "user", "hidden", "n", 1)
	res, err := p.HTTP(ctx, plugins.HTTPRequest{URL: strings.Replace(template, "%s", user.Local(), 1), Header: http.Header{"X-Api-Key": {"geheim-1"}}})
	switch {
	case err != nil:
		return engine.Answer{}, &engine.TemporaryError{Err: err}
	case res.Status == http.StatusNotFound:
		return engine.Answer{}, engine.ErrUnknownUser
	}
	r, bad, err := roster.DecodeJSON(user, res.Body, roster.Limits{})
	return engine.Answer{Roster: r, Dropped: bad}, err
}

const crm = `"options": {"crm_url": "http://crm.example/%s"}, "user": "john", `

// TestJudge: what is said of outcomes, word for word.
func TestJudge(t *testing.T) {
	found := `"http": [{"request": {"url": "http://crm.example/john"}, "response": {"json": {"marie@example.com": {"name": "Marie", "groups": ["A", "B"]}, "x y": {}, "zoe@example.com": {}}}}], `
	for _, c := range []struct{ name, text, want string }{
		{"as expected", `{` + crm + found + `"expect": {"roster": {"zoe@example.com": {}, "marie@example.com": {"name": "Marie", "groups": ["B", "A"]}}, "dropped": ["x y"], "log": ["asking n=1"]}}`, ""},
		{"another roster", `{` + crm + found + `"expect": {"roster": {"zoe@example.com": {}, "marie@example.com": {"name": "Maria", "subscription": "to", "ask": "subscribe"}, "abe@example.com": {"approved": true}}}}`, `
the roster differs (- expected, + got):
  - marie@example.com  to, asks        Maria  -
  + marie@example.com  both            Marie  A; B
  - abe@example.com    both, approved  -      -
  1 contact as expected
left out, which expect.dropped does not say:
  x y: not a valid JID`},
		{"dropped", `{` + crm + `"http": [{"request": {"url": "http://crm.example/john"}, "response": {"json": {}}}], "expect": {"roster": {}, "dropped": ["x y"]}}`, `
expect.dropped says x y, which is not left out`},
		{"no error", `{` + crm + found + `"expect": {"error": "not-found"}}`, `
should fail (not-found), but gives a roster of 2 contacts`},
		{"an error", `{` + crm + `"http": [{"request": {"url": "http://crm.example/john"}, "error": "connection refused"}], "expect": {"roster": {}}}`, `
failed: temporary: GET http://crm.example/john: connection refused`},
		{"another error", `{` + crm + `"http": [{"request": {"url": "http://crm.example/john"}, "error": "timeout"}], "expect": {"error": "not-found"}}`, `
failed with temporary, not with not-found: GET http://crm.example/john: no answer in time: context deadline exceeded`},
		{"the text of an error", `{` + crm + `"http": [{"request": {"url": "http://crm.example/john"}, "error": "timeout"}], "expect": {"error": "temporary", "contains": "refused"}}`, `
the error does not contain "refused": GET http://crm.example/john: no answer in time: context deadline exceeded`},
		{"nothing recorded", `{` + crm + `"expect": {"error": "temporary"}}`, `
asked, but not recorded: GET http://crm.example/john
  nothing is recorded`},
		{"something else recorded", `{` + crm + `"http": [
			{"request": {"url": "http://crm.example/jane"}, "response": {}, "optional": true}, {"request": {"method": "PUT", "url": "http://crm.example/john"}, "response": {}},
			{"request": {"url": "http://crm.example/john", "headers": {"X-Api-Key": "other"}}, "response": {}}, {"request": {"url": "http://crm.example/john", "body": "b"}, "response": {}},
			{"request": {"url": "http://crm.example/john", "json": {"b": 1}}, "response": {}}], "expect": {"error": "temporary"}}`, `
asked, but not recorded: GET http://crm.example/john
  recorded: GET http://crm.example/jane
  recorded: PUT http://crm.example/john
  recorded: GET http://crm.example/john (its header field X-Api-Key is "other", not "geheim-1")
  recorded: GET http://crm.example/john (its body is "b", not "")
  recorded: GET http://crm.example/john (its body is {"b": 1}, not )
recorded, but never asked for: PUT http://crm.example/john
recorded, but never asked for: GET http://crm.example/john
recorded, but never asked for: GET http://crm.example/john
recorded, but never asked for: GET http://crm.example/john`},
		{"no expectation", `{` + crm + found + `"seed": 1}`, "\nthe case expects nothing: --update fills in what comes of it"},
		{"log", `{` + crm + found + `"expect": {"roster": {"marie@example.com": {"name": "Marie", "groups": ["A", "B"]}, "zoe@example.com": {}}, "dropped": ["x y"], "log": ["bye"]}}`, "\nno line of the log has \"bye\""},
	} {
		t.Run(c.name, func(t *testing.T) {
			cs, out := tried(t, &play{fetch: get}, c.text)
			if got := strings.Join(cs.Judge(out), "\n"); got != strings.TrimPrefix(c.want, "\n") {
				t.Errorf("got\n%s\nwant\n%s", got, c.want)
			}
			if out.Costs != (Costs{100, 2, 64 << 10}) || len(out.Asked) != 1 {
				t.Errorf("%+v, %d requests", out.Costs, len(out.Asked))
			}
		})
	}
}

// TestUpdate: what is made of an outcome is what it then is judged by.
func TestUpdate(t *testing.T) {
	c, out := tried(t, &play{fetch: get}, `{`+crm+`"http": [{"request": {"url": "http://crm.example/john"}, "response": {"json": {"x y": {}, "marie@example.com": {}}}}], "expect": {"error": "denied", "contains": "x"}}`)
	c.Update(out)
	if problems := c.Judge(out); len(problems) > 0 || c.Expect.Error != "" {
		t.Errorf("%v, %+v", problems, c.Expect)
	}
	c, out = tried(t, &play{fetch: get}, `{`+crm+`"http": [{"request": {"url": "http://crm.example/john"}, "error": "reset"}], "expect": {"error": "denied", "contains": "reset"}}`)
	c.Update(out)
	if problems := c.Judge(out); len(problems) > 0 || c.Expect.Error != "temporary" || c.Expect.Contains != "reset" {
		t.Errorf("%v, %+v", problems, c.Expect)
	}
}

func TestRefusedByPolicy(t *testing.T) {
	p := &play{fetch: func(ctx context.Context, p *play, _ addr.Bare) (engine.Answer, error) {
		_, err := p.HTTP(ctx, plugins.HTTPRequest{URL: "http://other.example/"})
		return engine.Answer{}, &engine.TemporaryError{Err: err}
	}}
	c, out := tried(t, p, `{`+crm+`"expect": {"error": "temporary", "contains": "refused by policy"}}`)
	if problems := c.Judge(out); len(problems) > 0 {
		t.Error(problems)
	}
}

func TestAuth(t *testing.T) {
	p := &play{authenticate: func(_ context.Context, _ *play, password string) error {
		switch password {
		case "right":
			return nil
		case "down":
			return &engine.TemporaryError{Err: errors.New("no answer")}
		}
		return engine.ErrDenied
	}}
	for _, c := range []struct{ password, expect, want string }{
		{"right", `{"in": true}`, ""},
		{"wrong", `{"in": false}`, ""},
		{"wrong", `{"error": "denied"}`, ""},
		{"right", `{"in": false}`, "let in, and should be refused"},
		{"right", `{"error": "denied"}`, "should fail (denied), but lets the user in"},
		{"wrong", `{"in": true}`, "not let in: denied: the backend denies access"},
		{"down", `{"in": false}`, "should be refused, but failed: temporary: no answer"},
	} {
		cs, out := tried(t, p, fmt.Sprintf(`{"call": "auth", "user": "john", "password": %q, "expect": %s}`, c.password, c.expect))
		if got := strings.Join(cs.Judge(out), "\n"); got != c.want {
			t.Errorf("%s, %s: got %q, want %q", c.password, c.expect, got, c.want)
		}
		cs.Update(out)
		if problems := cs.Judge(out); len(problems) > 0 {
			t.Errorf("%s, %s, updated: %q", c.password, c.expect, problems)
		}
	}
}

// TestRequests: a request goes the way of the server's, wherever the case says that it goes.
func TestRequests(t *testing.T) {
	p := &play{info: plugins.Info{Path: "/hook", Routes: []plugins.Route{{Method: "POST", Path: "/changed"}, {Method: "GET", Path: "/x/*"}}}}
	p.handle = func(ctx context.Context, p *play, c plugins.Call) (plugins.Reply, error) {
		if string(c.Body) == "fail" {
			return plugins.Reply{}, &engine.FaultError{Kind: "trap", Err: errors.New("oops")}
		}
		if _, err := p.Refresh(ctx, []string{"john", "aaron"}); err != nil {
			return plugins.Reply{}, err
		}
		err := p.Save(ctx, "s", "last", []byte(`{"n":2}`), 0)
		return plugins.Reply{Status: 202, Header: http.Header{"X-A": {"1"}}, Body: fmt.Appendf(nil, `{"path": %q, "rest": %q, "query": %q, "route": %d}`, c.Path, c.Rest, c.Query, c.Route)}, err
	}
	for _, c := range []struct{ name, request, expect, want string }{
		{"with the plugin's path", `{"path": "/hook/changed", "query": "a=b"}`, `{"status": 202, "headers": {"X-A": "1"}, "json": {"path": "/hook/changed", "rest": "", "query": "a=b", "route": 0}, "refreshed": ["aaron", "john"], "store": {"s": {"last": {"n": 2}, "other": null}}}`, ""},
		{"below it", `{"method": "GET", "path": "/x/y"}`, `{"status": 202, "json": {"path": "/hook/x/y", "rest": "y", "query": "", "route": 1}}`, ""},
		{"no route", `{"path": "/nowhere"}`, `{"status": 404, "refreshed": []}`, ""},
		{"another method", `{"method": "PUT", "path": "/changed"}`, `{"status": 405, "headers": {"Allow": "POST"}}`, ""},
		{"a fault", `{"path": "/changed", "body": "fail"}`, `{"error": "fault", "contains": "oops"}`, ""},
		{"all wrong", `{"path": "/changed"}`, `{"status": 200, "headers": {"X-A": "2"}, "body": "", "refreshed": ["jane"], "store": {"s": {"last": {"n": 3}, "other": 1}, "t": {"last": 1}}}`, `
answers with status 202, not 200: "{\"path\": \"/hook/changed\", \"rest\": \"\", \"query\": \"\", \"route\": 0}"
header field X-A is "1", not "2"
the body is "{\"path\": \"/hook/changed\", \"rest\": \"\", \"query\": \"\", \"route\": 0}", not ""
refreshed are aaron, john, not jane
store s keeps {"n":2} as "last", not {"n": 3}
store s keeps nothing as "other", and should keep 1
store t keeps nothing as "last", and should keep 1`},
		{"kept", `{"path": "/changed"}`, `{"store": {"s": {"last": null}}}`, "\nstore s keeps {\"n\":2} as \"last\", and should keep nothing there"},
	} {
		t.Run(c.name, func(t *testing.T) {
			cs, out := tried(t, p, fmt.Sprintf(`{"call": "http", "request": %s, "expect": %s}`, c.request, c.expect))
			if got := strings.Join(cs.Judge(out), "\n"); got != strings.TrimPrefix(c.want, "\n") {
				t.Errorf("got\n%s\nwant\n%s", got, c.want)
			}
			cs.Update(out)
			if problems := cs.Judge(out); len(problems) > 0 {
				t.Errorf("updated: %q", problems)
			}
		})
	}
}

func TestTimer(t *testing.T) {
	p := &play{info: plugins.Info{Timers: []time.Duration{time.Minute}}, tick: func(context.Context, *play) (time.Duration, error) { return 90 * time.Second, nil }}
	for expect, want := range map[string]string{`{"again": 90}`: "", `{"again": 1.5}`: "wants to be called again in 1m30s, not in 1.5s", `{}`: "", `{"error": "fault"}`: "should fail (fault), but succeeds"} {
		cs, out := tried(t, p, `{"call": "timer", "expect": `+expect+`}`)
		if got := strings.Join(cs.Judge(out), "\n"); got != want {
			t.Errorf("%s: %q, want %q", expect, got, want)
		}
	}
	cs, out := tried(t, p, `{"call": "timer", "timer": 1, "expect": {"error": "permanent", "contains": "there is no timer 1: the plugin has 1"}}`)
	if problems := cs.Judge(out); len(problems) > 0 {
		t.Error(problems)
	}
}

// TestWorldIsTheSame: clock, randomness and store are the case's, and those of each call.
func TestWorldIsTheSame(t *testing.T) {
	p := &play{fetch: func(ctx context.Context, p *play, _ addr.Bare) (engine.Answer, error) {
		b := make([]byte, 8)
		p.Random(b)
		v, ok, err := p.Load(ctx, "s", "k")
		if err != nil || !ok {
			return engine.Answer{}, fmt.Errorf("%v %v", ok, err)
		}
		return engine.Answer{}, &engine.TemporaryError{Err: fmt.Errorf("%s %s %s", p.Now().UTC().Format(time.RFC3339), hex.EncodeToString(b), v)}
	}}
	said := map[string]bool{}
	for _, seed := range []int{1, 2, 1} {
		_, out := tried(t, p, fmt.Sprintf(`{"user": "john", "seed": %d, "now": "2026-02-03T04:05:06Z", "store": {"s": {"k": [1]}}}`, seed))
		said[out.Err.Error()] = true
		if s := out.Err.Error(); !strings.HasPrefix(s, "2026-02-03T04:05:06Z ") || !strings.HasSuffix(s, " [1]") {
			t.Errorf("%q", s)
		}
	}
	if len(said) != 2 {
		t.Errorf("two seeds: %v", said)
	}
}

// TestRecord: what is recorded gives the same without the network, and holds no secret.
func TestRecord(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Set-Cookie", "session=keks-1")
		w.Header().Set("Etag", `"7"`)
		switch r.URL.Path {
		case "/gone":
			w.WriteHeader(http.StatusNotFound)
		case "/binary":
			_, _ = w.Write([]byte("\xff\xfe geheim-1"))
		default:
			fmt.Fprintf(w, `{"marie@example.com": {"name": "geheim-1 %s"}}`, r.URL.Query().Get("token"))
		}
	}))
	defer srv.Close()
	host := strings.TrimPrefix(srv.URL, "http://")
	for _, c := range []struct{ name, user, kind string }{{"roster", "john", ""}, {"not found", "gone", "not-found"}, {"binary", "binary", "temporary"}} {
		t.Run(c.name, func(t *testing.T) {
			cfg := Options{
				"crm_url": "http://joe:passwort@" + host + "/%s?token=t0k+en&x=1", "rosterd_backend_headers": map[string]any{"Authorization": "Bearer inhaber"}, "unused": "u",
			}
			s := subject(t)
			o, err := Trial{Subject: s, Case: &Case{Call: CallFetch, Host: "example.com", User: c.user, Seed: 3}, Manager: manager(&play{fetch: get}), Config: cfg, Live: true, Still: true}.Open(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			defer o.Close()
			live, err := o.Call(t.Context())
			if err != nil || Kind(live.Err) != c.kind {
				t.Fatal(err, live.Err)
			}
			dir := filepath.Join(s.Dir, "tests")
			rec, err := o.Record(live, Stem(dir, c.user))
			if err != nil {
				t.Fatal(err)
			}
			file, err := rec.Write(dir, c.user)
			if err != nil {
				t.Fatal(err)
			}
			files, err := filepath.Glob(filepath.Join(dir, "*"))
			if err != nil {
				t.Fatal(err)
			}
			for _, f := range files {
				b, err := os.ReadFile(f)
				if err != nil {
					t.Fatal(err)
				}
				for _, secret := range []string{"geheim", "passwort", "t0k", "keks", "inhaber", "joe"} {
					if strings.Contains(string(b), secret) {
						t.Errorf("%s has %s:\n%s", f, secret, b)
					}
				}
			}
			again, err := Load(s.Dir, file)
			if err != nil {
				t.Fatal(err)
			}
			if again.Options["unused"] != nil {
				t.Error("an option that nobody read is recorded")
			}
			offline, err := Trial{Subject: s, Case: again, Manager: manager(&play{fetch: get})}.Open(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			defer offline.Close()
			out, err := offline.Call(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if problems := again.Judge(out); len(problems) > 0 {
				t.Error(strings.Join(problems, "\n"))
			}
			if Stem(dir, c.user) != c.user+"-2" {
				t.Errorf("the next is %s", Stem(dir, c.user))
			}
		})
	}
}

// TestRecordPassword: the password that was tried is not in the file, in whatever form it was sent.
func TestRecordPassword(t *testing.T) {
	const password = `p"ss wört`
	ask := func(ctx context.Context, p *play, password string) error {
		_, err := p.HTTP(ctx, plugins.HTTPRequest{
			Method: "POST", URL: "http://127.0.0.1:1/", Body: fmt.Appendf(nil, "%s&%s&%s", password, plugins.EncodeURL(password), inJSON(password)),
		})
		return &engine.TemporaryError{Err: err}
	}
	secret := password
	o, err := Trial{
		Subject: subject(t), Case: &Case{Call: CallAuth, Host: "example.com", User: "john", Password: &secret}, Manager: manager(&play{authenticate: ask}),
		Config: Options{"crm_url": "http://127.0.0.1:1"}, Live: true, Still: true,
	}.Open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer o.Close()
	out, err := o.Call(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	rec, err := o.Record(out, "x")
	if err != nil {
		t.Fatal(err)
	}
	b, err := rec.Case.Encode()
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(b), "ss w") || !strings.Contains(string(b), `"body": "REDACTED&REDACTED&REDACTED"`) {
		t.Errorf("%s", b)
	}
	short := "abc"
	o.trial.Case.Password = &short
	if _, err := o.Record(out, "x"); err == nil {
		t.Error("a password that cannot be recognized is recorded")
	}
}

func TestFind(t *testing.T) {
	dir := t.TempDir()
	for _, f := range []string{"one/mod_crm.lua", "two/mod_a.lua", "two/mod_b.lua", "none/crm.lua", "w[e]ird/mod_x.lua", "other/mod_x.txt",
		"bare/team.wasm", "marked/mod_team.wasm", "twice/team.wasm", "twice/mod_team.wasm", "unbuilt/Makefile", "hidden/.wasm"} {
		f = filepath.Join(dir, f)
		if err := os.MkdirAll(filepath.Dir(f), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(f, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for arg, want := range map[string]string{
		"one": "one/mod_crm.lua", "one/mod_crm.lua": "one/mod_crm.lua", "one/mod_crm": "one/mod_crm.lua", "w[e]ird": "w[e]ird/mod_x.lua",
		"two": "!more than one plugin in it", "none": "!no file mod_NAME.lua", "none/crm.lua": "!a plugin's file begins with mod_", "other/mod_x.txt": "!a plugin is a file mod_NAME.lua or mod_NAME.wasm or NAME.wasm", "gone": "!no such file",
		"bare": "bare/team.wasm", "bare/team": "bare/team.wasm", "marked": "marked/mod_team.wasm", "hidden/.wasm": "!a plugin is a file", "hidden": "!no file mod_NAME.lua",
		"twice/team.wasm": "!mod_team.wasm is beside it", "twice": "!more than one plugin in it", "unbuilt": "!is it built? make -C ",
	} {
		s, err := Find(filepath.Join(dir, arg), ".lua", ".wasm")
		wrong, fails := strings.CutPrefix(want, "!")
		switch {
		case fails && (err == nil || !strings.Contains(err.Error(), wrong)):
			t.Errorf("%s: %v, want %s", arg, err, wrong)
		case !fails && (err != nil || s.File != filepath.Join(dir, want)):
			t.Errorf("%s: %v, %v", arg, s, err)
		}
	}
}

// TestConcurrentRequests: time is not counted twice.
func TestConcurrentRequests(t *testing.T) {
	p := &play{fetch: func(ctx context.Context, p *play, _ addr.Bare) (engine.Answer, error) {
		var wg sync.WaitGroup
		for i := range 3 {
			wg.Go(func() { _, _ = p.HTTP(ctx, plugins.HTTPRequest{URL: fmt.Sprintf("http://crm.example/%d", i)}) })
		}
		wg.Wait()
		return engine.Answer{}, nil
	}}
	_, out := tried(t, p, `{`+crm+`"http": [{"request": {"url": "http://crm.example/0"}, "response": {}}, {"request": {"url": "http://crm.example/1"}, "response": {}}, {"request": {"url": "http://crm.example/2"}, "error": "x"}]}`)
	if len(out.Asked) != 3 || out.Waited > out.Took || len(out.Problems) > 0 {
		t.Errorf("%d requests, %v of %v, %v", len(out.Asked), out.Waited, out.Took, out.Problems)
	}
}

func TestBench(t *testing.T) {
	open := func(text string) *Opened {
		t.Helper()
		c, err := Parse("x.json", []byte(text))
		if err != nil {
			t.Fatal(err)
		}
		o, err := Trial{Subject: subject(t), Case: c, Manager: manager(&play{fetch: get})}.Open(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return o
	}
	b, problems, err := open(`{`+crm+`"http": [{"request": {"url": "http://crm.example/john"}, "response": {"json": {}}}], "expect": {"roster": {}}}`).Bench(t.Context(), 50, 0)
	if err != nil || len(problems) > 0 || b.Calls != 50 || b.Requests != 1 || b.Costs != (Costs{100, 2, 64 << 10}) || b.P50 > b.P99 || b.P99 > b.Max || b.P50 == 0 || b.Allocated == 0 {
		t.Errorf("%+v, %v, %v", b, problems, err)
	}
	b, problems, err = open(`{`+crm+`"expect": {"roster": {}}}`).Bench(t.Context(), 50, 0)
	if err != nil || len(problems) == 0 || b.Calls != 0 {
		t.Errorf("%+v, %v, %v", b, problems, err)
	}
}

// FuzzLike: what is recorded without a secret is like itself, and with the secret put back in.
func FuzzLike(f *testing.F) {
	f.Add("a", "b", "c")
	f.Add("REDACTED", "", "RED")
	f.Fuzz(func(t *testing.T, a, secret, b string) {
		if s := a + secret + b; !like(s, s) {
			t.Errorf("%q is not like itself", s)
		}
		if !like(a+Placeholder+b, a+secret+b) {
			t.Errorf("%q in %q and %q", secret, a, b)
		}
	})
}
