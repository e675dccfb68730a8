package wasm_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"rosterd/engine"
	"rosterd/engine/roster"
	"rosterd/plugins"
	"rosterd/plugins/wasm/module/asm"
)

// shows is a module whose export fails with what it is asked, and whose body is response 0.
func shows(export string, returns int32) []byte {
	g := newGuest("input_len", "input_read", "fail", "http_body_len", "http_body_read")
	c := asm.Code{}.I32(dst).I32(0).Call(g.imported["input_len"]).Call(g.imported["input_read"]).LocalSet(0)
	c = c.I32(0).I32(dst).LocalGet(0).I32Add().I32(0).I32(30).Call(g.imported["http_body_read"]).LocalSet(1)
	c = c.LocalGet(1).I32(0).Op(0x48).If().I32(0).LocalSet(1).End() // i32.lt_s: there is none
	c = c.I32(returns).I32(0).I32(dst).LocalGet(0).LocalGet(1).I32Add().Call(g.imported["fail"])
	return g.export(export, c.I32(returns)).Bytes()
}

// TestAuth is about passwords.
func TestAuth(t *testing.T) {
	tests := []struct {
		returns int32
		kind    string
		text    string
	}{
		{0, "ok", ""},
		{1, "unknown", `{"op":"auth","user":"john@example.com","local":"john","host":"example.com","password":"p\"ä"}`},
		{2, "temporary 0s", `{"op":"auth"`},
		{3, "permanent", `{"op":"auth"`},
		{4, "denied", `{"op":"auth"`},
		{5, "protocol", "crm.wasm: auth of john@example.com: rosterd_auth returned 5"},
	}
	for _, tt := range tests {
		p := open(t, shows("rosterd_auth", tt.returns), setting{}, &world{})
		err := p.Authenticate(t.Context(), user(t, "john@example.com"), `p"ä`)
		if kindOf(err) != tt.kind || err != nil && !strings.Contains(err.Error(), tt.text) {
			t.Errorf("%d: %v", tt.returns, err)
		}
		if i := p.Info(); !i.Auth || i.Roster || i.Routes != nil {
			t.Errorf("supplies %+v", i)
		}
		if _, err := p.Fetch(t.Context(), john(t)); !errors.Is(err, plugins.ErrUnsupported) {
			t.Error(err)
		}
		if _, err := p.Handle(t.Context(), plugins.Call{}); !errors.Is(err, plugins.ErrUnsupported) {
			t.Error(err)
		}
		if _, err := p.Tick(t.Context(), 0); !errors.Is(err, plugins.ErrUnsupported) {
			t.Error(err)
		}
	}
	if err := open(t, writes(empty, 0), setting{}, &world{}).Authenticate(t.Context(), user(t, "john@example.com"), ""); !errors.Is(err, plugins.ErrUnsupported) {
		t.Error(err)
	}
}

// request is one from outside.
func request() plugins.Call {
	return plugins.Call{
		Route: 1, Method: "POST", Path: "/crm/a/b", Rest: "a/b", Query: "x=1&y=%20", Host: "www.example.com", Header: http.Header{"X-A": {"1", "2"}},
		Body: []byte("the body"), From: netip.MustParseAddr("192.0.2.1"), Secure: true,
	}
}

// TestWebhook is about requests from outside.
func TestWebhook(t *testing.T) {
	const asked = `{"op":"webhook","host":"example.com","method":"POST","path":"/crm/a/b","rest":"a/b","query":"x=1\u0026y=%20","from":"192.0.2.1",` +
		`"secure":true,"headers":{"host":"www.example.com","x-a":"1, 2"}}the body`
	tests := []struct {
		name    string
		code    []byte
		refresh func([]string) (plugins.Refreshed, error)
		status  int
		header  string
		body    string
		kind    string // of the error
		text    string
	}{
		{name: "nothing", code: webhook(""), status: 204},
		{name: "an empty object", code: webhook("{}"), status: 204},
		{name: "an answer", code: webhook(`{"status":418,"headers":{"x-a":"b"},"body":"tea"}`), status: 418, header: "map[X-A:[b]]", body: "tea"},
		{name: "a body", code: webhook(`{"body":"tea"}`), body: "tea"},
		{name: "a header", code: webhook(`{"headers":{"x-a":"b"}}`), status: 204, header: "map[X-A:[b]]"},
		{name: "a refresh", code: webhook(`{"refresh":["john","marie@example.com"]}`), refresh: done(2, 0), header: "map[Content-Type:[application/json]]", body: `{"status":"ok","message":"roster update complete","updated":2,"errors":0}`},
		{name: "a refresh that half worked", code: webhook(`{"refresh":["john","marie@example.com"]}`), refresh: done(1, 1), header: "map[Content-Type:[application/json]]", body: `{"status":"ok","message":"roster update complete","updated":1,"errors":1}`},
		{name: "a refresh that did not work", code: webhook(`{"refresh":["john","marie@example.com"]}`), refresh: done(0, 2), header: "map[Content-Type:[application/json]]", body: `{"status":"error","message":"roster update failed","updated":0,"errors":2}`},
		{name: "a refresh of nobody", code: webhook(`{"refresh":[]}`), status: 204},
		{name: "a refresh and an answer", code: webhook(`{"refresh":["john","marie@example.com"],"status":202}`), refresh: done(2, 0), status: 202},
		{name: "a refresh that cannot be", code: webhook(`{"refresh":["john","marie@example.com"]}`), refresh: func([]string) (plugins.Refreshed, error) { return plugins.Refreshed{}, errors.New("busy") }, kind: "temporary 0s", text: "busy"},
		{name: "not found", code: shows("rosterd_webhook", 1), status: 404},
		{name: "denied", code: shows("rosterd_webhook", 4), status: 403},
		{name: "temporary", code: shows("rosterd_webhook", 2), kind: "temporary 0s", text: asked},
		{name: "permanent", code: shows("rosterd_webhook", 3), kind: "permanent", text: asked},
		{name: "another result", code: shows("rosterd_webhook", 5), kind: "protocol", text: "crm.wasm: http POST /crm/a/b for example.com: rosterd_webhook returned 5"},
		{name: "no JSON", code: webhook("ok"), kind: "protocol", text: `invalid character 'o'`},
		{name: "an array", code: webhook(`[]`), kind: "protocol", text: "the output is no JSON object"},
		{name: "status 99", code: webhook(`{"status":99}`), kind: "protocol", text: "status 99 is none from 200 to 599"},
		{name: "status 600", code: webhook(`{"status":600}`), kind: "protocol", text: "status is no integer from 0 to 599"},
		{name: "a status that is a text", code: webhook(`{"status":"200"}`), kind: "protocol", text: "status is no integer"},
		{name: "a header that is a list", code: webhook(`{"headers":[]}`), kind: "protocol", text: "headers is no object"},
		{name: "a header field with a line break", code: webhook(`{"headers":{"x-a":"b\nc"}}`), kind: "protocol", text: `header field "X-A" cannot be sent`},
		{name: "a header field without a name", code: webhook(`{"headers":{"x a":"b"}}`), kind: "protocol", text: `header field "x a" cannot be sent`},
		{name: "a body that is an object", code: webhook(`{"body":{}}`), kind: "protocol", text: "body is no string"},
		{name: "a name that is a number", code: webhook(`{"refresh":[1]}`), kind: "protocol", text: "a name in refresh is no string"},
		{name: "names that are none", code: webhook(`{"refresh":"john"}`), kind: "protocol", text: "refresh is no array"},
		{name: "a field that nobody knows", code: webhook(`{"reply":"x"}`), kind: "protocol", text: `a field "reply" is not known`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var asked []string
			p := open(t, tt.code, setting{}, &world{refresh: func(users []string) (plugins.Refreshed, error) {
				asked = users
				return tt.refresh(users)
			}})
			r, err := p.Handle(t.Context(), request())
			if tt.kind != "" {
				if kindOf(err) != tt.kind || !strings.Contains(err.Error(), tt.text) {
					t.Fatalf("%s: %v", kindOf(err), err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			header := ""
			if len(r.Header) > 0 {
				header = fmt.Sprint(map[string][]string(r.Header))
			}
			if r.Status != tt.status || header != tt.header || string(r.Body) != tt.body {
				t.Errorf("%d %s %q", r.Status, header, r.Body)
			}
			if tt.refresh != nil && !slices.Equal(asked, []string{"john", "marie"}) {
				t.Errorf("%q were refreshed", asked)
			}
		})
	}
}

// TestWebhookRefuses is about why a request was refused: whoever asked is not told, and the log is.
func TestWebhookRefuses(t *testing.T) {
	for code, want := range map[int]string{
		1: "[INFO 404 Not Found: no such hook call http route POST /crm]",
		4: "[INFO 403 Forbidden: no such hook call http route POST /crm]",
	} {
		g, w := newGuest("fail"), &world{}
		c := g.call(nil, "fail", code, 0, "no such hook").I32(int32(code))
		r, err := open(t, g.export("rosterd_webhook", c).Bytes(), setting{}, w).Handle(t.Context(), request())
		if got := fmt.Sprint(w.lines); err != nil || len(r.Body) > 0 || got != want {
			t.Errorf("%v, %q, %s, want %s", err, r.Body, got, want)
		}
	}
}

func done(updated, errors int) func([]string) (plugins.Refreshed, error) {
	return func([]string) (plugins.Refreshed, error) {
		return plugins.Refreshed{Updated: updated, Errors: errors}, nil
	}
}

// webhook is a module that answers every request with that output.
func webhook(out string) []byte {
	g := newGuest("output_write")
	return g.export("rosterd_webhook", g.call(nil, "output_write", out).Drop().I32(0)).Bytes()
}

// TestRoutes is about where a webhook is.
func TestRoutes(t *testing.T) {
	p := open(t, webhook(""), setting{}, &world{})
	i := p.Info()
	var routes []string
	for _, r := range i.Routes {
		routes = append(routes, r.Method+" "+r.Path)
	}
	want := []string{"GET ", "POST ", "PUT ", "PATCH ", "DELETE ", "GET /*", "POST /*", "PUT /*", "PATCH /*", "DELETE /*"}
	if i.Path != "/crm" || i.App != "crm" || i.Roster || i.Auth || !slices.Equal(routes, want) {
		t.Errorf("%+v", i)
	}
	if _, err := p.Handle(t.Context(), plugins.Call{Route: len(want)}); !errors.Is(err, plugins.ErrUnsupported) {
		t.Error(err)
	}
}

// TestRefreshFetches has a webhook name users whose rosters the same plugin fetches meanwhile, though it may do one thing at
// a time.
func TestRefreshFetches(t *testing.T) {
	g := newGuest("output_write")
	g.export("rosterd_fetch", g.call(nil, "output_write", empty).Drop().I32(0))
	g.export("rosterd_webhook", g.call(nil, "output_write", `{"refresh":["john"]}`).Drop().I32(0))
	w := &world{}
	p := open(t, g.Bytes(), setting{host: plugins.Host{Limits: plugins.Limits{Calls: 1}}}, w)
	w.refresh = func([]string) (plugins.Refreshed, error) {
		_, err := p.Fetch(t.Context(), john(t))
		return plugins.Refreshed{Updated: 1}, err
	}
	if _, err := p.Handle(t.Context(), request()); err != nil {
		t.Error(err)
	}
}

// mapping is a module for rosterd_transform that writes the body of the answer, or shows what it is asked.
func mapping() []byte {
	g := newGuest("output_write", "http_body_len", "http_body_read")
	c := asm.Code{}.I32(0).I32(dst).I32(0).I32(0).Call(g.imported["http_body_len"]).Call(g.imported["http_body_read"]).LocalSet(0)
	return g.export("rosterd_transform", c.I32(dst).LocalGet(0).Call(g.imported["output_write"]).Drop().I32(0)).Bytes()
}

// TestTransform is about rosters for which rosterd asks the backend.
func TestTransform(t *testing.T) {
	const marie = `{"items":[{"jid":"marie@example.com"}]}`
	header := func(name, value string) http.Header { return http.Header{name: {value}} }
	tests := []struct {
		name string
		res  plugins.HTTPResponse
		err  error
		held string
		kind string
		text string // of the error
		kept string // what is kept of the answer
	}{
		{name: "contacts", res: plugins.HTTPResponse{Status: 200, Body: []byte(marie)}, kind: "ok"},
		{name: "another good status", res: plugins.HTTPResponse{Status: 206, Body: []byte(marie)}, kind: "ok"},
		{name: "a revision of the backend's", res: plugins.HTTPResponse{Status: 200, Body: []byte(marie), Revision: "etag=1"}, kind: "ok", kept: "etag=1"},
		{name: "a revision of the plugin's", res: plugins.HTTPResponse{Status: 200, Body: []byte(`{"items":[],"rev":"7"}`)}, kind: "ok", kept: "7"},
		{name: "revisions of both", res: plugins.HTTPResponse{Status: 200, Body: []byte(`{"items":[],"rev":"7"}`), Revision: "etag=1"}, kind: "ok", kept: "etag=1"},
		{name: "a time of the backend's", res: plugins.HTTPResponse{Status: 200, Body: []byte(marie), Header: header("Cache-Control", "max-age=60")}, kind: "ok", kept: " 1m0s"},
		{name: "times of both", res: plugins.HTTPResponse{Status: 200, Body: []byte(`{"items":[],"max_age":5}`), Header: header("Cache-Control", "max-age=60")}, kind: "ok", kept: " 5s"},
		{name: "nothing has changed", res: plugins.HTTPResponse{Status: 304, Revision: "etag=1"}, held: "etag=1", kind: "ok", kept: "etag=1 unchanged"},
		{name: "nothing has changed, says the plugin", res: plugins.HTTPResponse{Status: 200, Body: []byte(`{"unchanged":true}`)}, held: "7", kind: "ok", kept: "7 unchanged"},
		{name: "304 to who holds nothing", res: plugins.HTTPResponse{Status: 304}, kind: "temporary 0s", text: "GET http://crm/john → 304 Not Modified"},
		{name: "no such user", res: plugins.HTTPResponse{Status: 404}, kind: "unknown", text: "GET http://crm/john → 404 Not Found"},
		{name: "wrong credentials", res: plugins.HTTPResponse{Status: 401}, kind: "permanent", text: "401 Unauthorized: the backend refuses our credentials"},
		{name: "not allowed", res: plugins.HTTPResponse{Status: 403}, kind: "permanent", text: "403 Forbidden: the backend refuses our credentials"},
		{name: "not now", res: plugins.HTTPResponse{Status: 503, Header: header("Retry-After", "30")}, kind: "temporary 30s", text: "503 Service Unavailable"},
		{name: "a redirect", res: plugins.HTTPResponse{Status: 302}, kind: "temporary 0s", text: "302 Found"},
		{name: "no answer", err: errors.New("connection refused"), kind: "temporary 0s", text: "connection refused"},
		{name: "no time left", err: fmt.Errorf("no answer in time: %w", context.DeadlineExceeded), kind: "temporary 0s", text: "no answer in time"},
		{name: "an answer that the plugin does not understand", res: plugins.HTTPResponse{Status: 200, Body: []byte("<html>")}, kind: "protocol", text: "rosterd_transform wrote neither JSON"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var asked plugins.HTTPRequest
			w := &world{http: func(_ context.Context, r plugins.HTTPRequest) (*plugins.HTTPResponse, error) {
				asked = r
				res := tt.res
				res.Method, res.URL = "GET", r.URL
				return &res, tt.err
			}}
			p := open(t, mapping(), setting{options: map[string]any{"crm_url": "http://crm/%s"}}, w)
			r := john(t)
			if tt.held != "" {
				r.Rev = p.Generation() + ":" + tt.held
			}
			a, err := p.Fetch(t.Context(), r)
			if kindOf(err) != tt.kind || err != nil && !strings.Contains(err.Error(), tt.text) {
				t.Fatalf("%s: %v", kindOf(err), err)
			}
			if asked.URL != "http://crm/john" || asked.Revision != tt.held {
				t.Errorf("asked %+v", asked)
			}
			if got := keptOf(p.Generation(), a); got != tt.kept {
				t.Errorf("kept %q, want %q", got, tt.kept)
			}
		})
	}
	t.Run("what it is asked", func(t *testing.T) {
		w := &world{http: answers(map[string]*plugins.HTTPResponse{"http://crm/john": {Status: 200, Header: http.Header{"X-A": {"b"}}, Body: []byte("the body")}})}
		p := open(t, shows("rosterd_transform", 3), setting{options: map[string]any{"crm_url": "http://crm/%s"}}, w)
		_, err := p.Fetch(t.Context(), john(t))
		const want = `{"op":"transform","user":"john@example.com","local":"john","host":"example.com","reason":"login","rev":"","status":200,"headers":{"x-a":"b"}}the body`
		if kindOf(err) != "permanent" || err.Error() != want {
			t.Error(err)
		}
	})
	t.Run("a name that has no place in a path", func(t *testing.T) {
		p := open(t, mapping(), setting{options: map[string]any{"crm_url": "http://crm/%s"}}, &world{})
		if _, err := p.Fetch(t.Context(), engine.Request{User: user(t, "..@example.com")}); kindOf(err) != "permanent" {
			t.Error(err)
		}
	})
}

// TestTransformURL is about whom rosterd asks.
func TestTransformURL(t *testing.T) {
	tests := []struct {
		name    string
		options map[string]any
		asked   string
		err     string
	}{
		{name: "its own", options: map[string]any{"crm_url": "http://crm/%s", "http_roster_url": "http://other/%s"}, asked: "http://crm/john"},
		{name: "that of http_roster_admin", options: map[string]any{"http_roster_url": "http://other/%s"}, asked: "http://other/john"},
		{name: "none", err: "crm.wasm: option crm_url is not set, nor is http_roster_url"},
		{name: "one without a user", options: map[string]any{"crm_url": "http://crm/"}, err: "crm.wasm: rosterd.cfg.lua:1: option crm_url: no %s in it"},
		{name: "a list", options: map[string]any{"crm_url": []any{"a", "b"}}, err: "option crm_url: a list of 2"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var asked string
			p, err := tryOpen(t, mapping(), setting{options: tt.options}, &world{http: func(_ context.Context, r plugins.HTTPRequest) (*plugins.HTTPResponse, error) {
				asked = r.URL
				return &plugins.HTTPResponse{Status: 404}, nil
			}})
			if tt.err != "" {
				if err == nil || !strings.Contains(err.Error(), tt.err) {
					t.Error(err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			_, _ = p.Fetch(t.Context(), john(t))
			if asked != tt.asked {
				t.Errorf("asked %s, want %s", asked, tt.asked)
			}
		})
	}
}

// TestGeneration changes with the code, and with the options that were read, whenever that was.
func TestGeneration(t *testing.T) {
	early := func() *guest {
		g := newGuest("config_get", "output_write")
		return g.export("rosterd_init", g.call(nil, "config_get", "a", 0, 0).Drop().I32(0)).
			export("rosterd_fetch", g.call(g.call(nil, "config_get", "b", 0, 0).Drop(), "output_write", `{"items":[],"rev":"7"}`).Drop().I32(0))
	}
	code := early().Bytes()
	base := map[string]any{"a": "1", "b": "1", "c": "1", "u": "http://john:secret@crm/x"}
	with := func(name string, v any) map[string]any {
		m := map[string]any{name: v}
		for k, v := range base {
			if _, ok := m[k]; !ok {
				m[k] = v
			}
		}
		return m
	}
	opened := func(code []byte, options map[string]any, fetched bool) (generation, rev string) {
		p := open(t, code, setting{options: options}, &world{})
		if fetched {
			a, err := p.Fetch(t.Context(), john(t))
			if err != nil {
				t.Fatal(err)
			}
			rev = a.Rev
		}
		return p.Generation(), rev
	}
	g0, _ := opened(code, base, false)
	g1, rev := opened(code, base, true)
	if rev != g1+":7" {
		t.Errorf("revision %q of generation %q", rev, g1)
	}
	for _, tt := range []struct {
		name    string
		options map[string]any
		fetched bool
		want    string // that it is the same as
	}{
		{"the same", base, false, g0},
		{"an option that nobody reads", with("c", "2"), false, g0},
		{"an option that is read later", with("b", "2"), false, g0},
		{"an option", with("a", "2"), false, ""},
		{"the same, and read", base, true, g1},
		{"an option that was read later", with("b", "2"), true, ""},
	} {
		g, _ := opened(code, tt.options, tt.fetched)
		if tt.want != "" && g != tt.want || tt.want == "" && (g == g0 || g == g1) {
			t.Errorf("%s: %s, not as %s (of %s and %s)", tt.name, g, tt.want, g0, g1)
		}
	}
	if g, _ := opened(append(slices.Clone(code), 0, 2, 1, 'x'), base, false); g == g0 { // a custom section
		t.Error("other code, the same generation")
	}
	t.Run("a password in a URL is no part of it", func(t *testing.T) {
		g := newGuest("config_get", "output_write")
		g.export("rosterd_init", g.call(nil, "config_get", "u", 0, 0).Drop().I32(0))
		code := g.export("rosterd_fetch", g.call(nil, "output_write", empty).Drop().I32(0)).Bytes()
		a, _ := opened(code, base, false)
		b, _ := opened(code, with("u", "http://john:hunter2@crm/x"), false)
		c, _ := opened(code, with("u", "http://john:secret@crm/y"), false)
		if a != b || a == c {
			t.Error(a, b, c)
		}
	})
	t.Run("a revision of another generation is none", func(t *testing.T) {
		p := open(t, shows("rosterd_fetch", 3), setting{}, &world{})
		for rev, want := range map[string]string{p.Generation() + ":7": `"rev":"7"`, "other:7": `"rev":""`, "7": `"rev":""`, p.Generation() + ":a:b": `"rev":"a:b"`} {
			r := john(t)
			r.Rev = rev
			if _, err := p.Fetch(t.Context(), r); !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %v", rev, err)
			}
		}
	})
}

// TestInit is about what a module reads when it is opened.
func TestInit(t *testing.T) {
	module := func(c func(g *guest) asm.Code) []byte {
		g := newGuest("fail", "log", "output_write", "kv_set", "config_get")
		g.export("rosterd_init", c(g))
		return g.export("rosterd_fetch", g.call(nil, "output_write", empty).Drop().I32(0)).Bytes()
	}
	t.Run("it refuses, and says why", func(t *testing.T) {
		_, err := tryOpen(t, module(func(g *guest) asm.Code { return g.call(nil, "fail", 3, 0, "crm_url is not set").I32(3) }), setting{}, &world{})
		if err == nil || err.Error() != "crm.wasm: rosterd_init returned 3: crm_url is not set" {
			t.Error(err)
		}
	})
	t.Run("it refuses, and does not say why", func(t *testing.T) {
		_, err := tryOpen(t, module(func(g *guest) asm.Code { return asm.Code{}.I32(1) }), setting{}, &world{})
		if err == nil || err.Error() != "crm.wasm: rosterd_init returned 1: it refuses the configuration, and does not say why" {
			t.Error(err)
		}
	})
	t.Run("it traps", func(t *testing.T) {
		w := &world{}
		_, err := tryOpen(t, module(func(g *guest) asm.Code { return asm.Code{}.Unreachable() }), setting{}, w)
		if err == nil || !strings.HasPrefix(err.Error(), "crm.wasm: unreachable") {
			t.Error(err)
		}
		if w.closed != 0 {
			t.Error("the services were closed, which is for the caller")
		}
	})
	t.Run("what it says there is said once", func(t *testing.T) {
		w := &world{}
		p := open(t, module(func(g *guest) asm.Code { return g.call(nil, "log", 1, "ready").I32(0) }), setting{host: plugins.Host{Limits: plugins.Limits{Fresh: true}}}, w)
		for range 3 {
			if _, err := p.Fetch(t.Context(), john(t)); err != nil {
				t.Fatal(err)
			}
		}
		if got := w.said(); !slices.Equal(got, []string{"INFO ready"}) {
			t.Errorf("%q", got)
		}
	})
	t.Run("it fails later", func(t *testing.T) {
		code := module(func(g *guest) asm.Code {
			return g.call(nil, "config_get", "a", 0, 0) // -1 without the option, 0 with an empty one
		})
		values := map[string]any{"a": ""}
		p := open(t, code, setting{host: plugins.Host{Limits: plugins.Limits{Fresh: true}}, options: values}, &world{})
		delete(values, "a")
		if _, err := p.Fetch(t.Context(), john(t)); kindOf(err) != "protocol" || !strings.Contains(err.Error(), "crm.wasm: roster of john@example.com: rosterd_init returned -1") {
			t.Errorf("%s: %v", kindOf(err), err)
		}
	})
}

// TestSecondInstance waits in one call, so that another needs an instance of its own.
func TestSecondInstance(t *testing.T) {
	g := newGate()
	p := open(t, asking(), setting{}, &world{http: g.http})
	errs := make(chan error, 2)
	for range 2 {
		go func() { _, err := p.Fetch(t.Context(), john(t)); errs <- err }()
	}
	for range 2 {
		select {
		case <-g.arrived:
		case <-time.After(time.Minute):
			t.Fatal("they do not wait side by side")
		}
	}
	close(g.open)
	for range 2 {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
}

// TestEdit is about what users want of their rosters.
func TestEdit(t *testing.T) {
	const asked = `{"op":"edit","user":"john@example.com","local":"john","host":"example.com","id":"17","action":"remove","contact":"joe@example.net","name":"J\"","subscription":"to","groups":["a"],` +
		`"ask":"subscribe","approved":true,"rev":"","etag":""}`
	for returns, want := range map[int32]string{0: "", 1: "no such contact: " + asked, 2: asked, 3: asked, 4: "the backend does not allow it: " + asked, 5: "edit of the roster of john@example.com: rosterd_edit returned 5"} {
		both := newGuest("input_len", "input_read", "fail")
		c := asm.Code{}.I32(dst).I32(0).Call(both.imported["input_len"]).Call(both.imported["input_read"]).LocalSet(0)
		c = c.I32(returns).I32(0).I32(dst).LocalGet(0).Call(both.imported["fail"])
		both.export("rosterd_edit", c.I32(returns))
		p := open(t, both.export("rosterd_fetch", asm.Code{}.I32(0)).Bytes(), setting{}, &world{})
		err := p.Edit(t.Context(), engine.Edit{ID: "17", User: user(t, "john@example.com"), Contact: user(t, "joe@example.net"), Action: engine.Remove, Rev: "another",
			Item: roster.Item{Name: `J"`, Groups: []string{"a"}, Subscription: roster.To, Ask: true, Approved: true}})
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%d: %v, want %s", returns, err, want)
		}
		var veto *engine.VetoError
		if errors.As(err, &veto) != (returns == 4) || errors.Is(err, engine.ErrNoItem) != (returns == 1) {
			t.Errorf("%d: %v", returns, err)
		}
		if i := p.Info(); !i.Edit || !i.Roster {
			t.Errorf("supplies %+v", i)
		}
	}
	if err := open(t, writes(empty, 0), setting{}, &world{}).Edit(t.Context(), engine.Edit{User: user(t, "john@example.com")}); !errors.Is(err, plugins.ErrUnsupported) {
		t.Error(err)
	}
}
