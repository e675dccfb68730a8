package lua_test

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"rosterd/engine"
	"rosterd/engine/addr"
)

// marie is a roster in the standard form, and as show writes it.
const (
	marie      = `{"marie@example.com":{"name":"Marie","groups":["Friends"]}}`
	marieShown = `marie@example.com "Marie" both ["Friends"]`
)

// tcp is a server that does as it likes with each connection, once it has read a request from it.
func tcp(t *testing.T, serve func(c *net.TCPConn)) (base string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				if _, err := http.ReadRequest(bufio.NewReader(c)); err == nil {
					serve(c.(*net.TCPConn))
				}
			}()
		}
	}()
	t.Cleanup(func() { l.Close(); <-done })
	return "http://" + l.Addr().String()
}

// writes is a tcp server's whole answer.
func writes(s string) func(*net.TCPConn) {
	return func(c *net.TCPConn) { _, _ = io.WriteString(c, s) }
}

// answers is an HTTP server's answer with this status and these header fields, in pairs.
func answers(status int, body string, header ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		for i := 0; i < len(header); i += 2 {
			w.Header().Set(header[i], header[i+1])
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

func zipped(s string) string {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	_, _ = io.WriteString(z, s)
	_ = z.Close()
	return b.String()
}

// until keeps a connection as it is until its other side is closed.
func until(c *net.TCPConn) { _, _ = io.Copy(io.Discard, c) }

// Whatever a backend does, the answer comes, and says what happened.
func TestBackendAnswers(t *testing.T) {
	const length = "Content-Length: 59\r\n"
	if len(marie) != 59 {
		t.Fatalf("the roster has %d bytes", len(marie))
	}
	closed := func() string {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		return "http://" + l.Addr().String()
	}
	tests := []struct {
		name  string
		http  http.HandlerFunc
		tcp   func(*net.TCPConn)
		url   string // where neither is given
		want  string
		kind  string
		err   string
		retry time.Duration
	}{
		{name: "200", http: answers(200, marie), want: marieShown},
		{name: "of no declared type", http: answers(200, marie, "Content-Type", "text/html"), want: marieShown},
		{name: "empty object", http: answers(200, "{}"), want: ""},
		{name: "empty array, as PHP writes it", http: answers(200, "[]"), want: ""},
		{name: "chunked", tcp: writes("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n" + marie[:1] + "\r\n3a\r\n" + marie[1:] + "\r\n0\r\n\r\n"), want: marieShown},
		{name: "HTTP/1.0", tcp: writes("HTTP/1.0 200 OK\r\nContent-Type: application/json\r\n\r\n" + marie), want: marieShown},
		{name: "until the connection ends", tcp: writes("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + marie), want: marieShown},
		{name: "100 first", tcp: writes("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n" + length + "\r\n" + marie), want: marieShown},
		{name: "gzip", http: answers(200, zipped(marie), "Content-Encoding", "gzip"), want: marieShown},
		{name: "slowly", tcp: func(c *net.TCPConn) {
			for _, b := range []byte("HTTP/1.1 200 OK\r\n" + length + "\r\n" + marie) {
				if _, err := c.Write([]byte{b}); err != nil {
					return
				}
			}
		}, want: marieShown},

		{name: "201", http: answers(201, marie), kind: "temporary", err: "/contacts/jim → 201 Created"},
		{name: "204", http: answers(204, ""), kind: "temporary", err: "/contacts/jim → 204 No Content"},
		{name: "206", http: answers(206, marie), kind: "temporary", err: "/contacts/jim → 206 Partial Content"},
		{name: "304 though nothing was asked", http: answers(304, ""), kind: "temporary", err: "/contacts/jim → 304 Not Modified"},
		{name: "301 to nowhere", http: answers(301, ""), kind: "temporary", err: "/contacts/jim → 301 Moved Permanently"},
		{name: "302 in a circle", http: answers(302, "", "Location", "/contacts/jim"), kind: "temporary", err: "more than 3 redirects"},
		{name: "300", http: answers(300, ""), kind: "temporary", err: "/contacts/jim → 300 Multiple Choices"},
		{name: "400", http: answers(400, "no"), kind: "temporary", err: "/contacts/jim → 400 Bad Request"},
		{name: "401", http: answers(401, "no"), kind: "permanent", err: "/contacts/jim → 401 Unauthorized: the backend refuses our credentials"},
		{name: "403", http: answers(403, "no"), kind: "permanent", err: "/contacts/jim → 403 Forbidden: the backend refuses our credentials"},
		{name: "404", http: answers(404, "<html>"), kind: "unknown user", err: "/contacts/jim → 404 Not Found"},
		{name: "410", http: answers(410, ""), kind: "temporary", err: "/contacts/jim → 410 Gone"},
		{name: "429", http: answers(429, "", "Retry-After", "17"), kind: "temporary", err: "/contacts/jim → 429 Too Many Requests", retry: 17 * time.Second},
		{name: "500", http: answers(500, "<html>"), kind: "temporary", err: "/contacts/jim → 500 Internal Server Error"},
		{name: "503", http: answers(503, "", "Retry-After", "3"), kind: "temporary", err: "/contacts/jim → 503 Service Unavailable", retry: 3 * time.Second},
		{name: "of no known status", tcp: writes("HTTP/1.1 799 Odd\r\nContent-Length: 0\r\n\r\n"), kind: "temporary", err: "/contacts/jim → 799"},

		{name: "no body", http: answers(200, ""), kind: "temporary", err: "/contacts/jim → 200 OK: not a roster: an empty answer"},
		{name: "HTML", http: answers(200, "<!DOCTYPE html><p>Log in"), kind: "temporary", err: `→ 200 OK: not a roster: invalid character '<'`},
		{name: "null", http: answers(200, "null"), kind: "temporary", err: "→ 200 OK: not a roster"},
		{name: "number", http: answers(200, "5"), kind: "temporary", err: "→ 200 OK: not a roster"},
		{name: "array", http: answers(200, `["marie@example.com"]`), kind: "temporary", err: "→ 200 OK: not a roster"},
		{name: "JSON and more", http: answers(200, marie+"x"), kind: "temporary", err: "→ 200 OK: not a roster"},
		{name: "cut JSON", http: answers(200, marie[:20]), kind: "temporary", err: "→ 200 OK: not a roster"},
		{name: "deep", http: answers(200, strings.Repeat("[", 5000)), kind: "temporary", err: "→ 200 OK: not a roster"},

		{name: "refused", url: closed(), kind: "temporary", err: "connection refused"},
		{name: "no such host", url: "http://backend.invalid", kind: "temporary", err: "GET http://backend.invalid/contacts/jim: dial tcp"},
		{name: "accepted, then closed", tcp: func(*net.TCPConn) {}, kind: "temporary", err: "/contacts/jim: EOF"},
		{name: "reset", tcp: func(c *net.TCPConn) { _ = c.SetLinger(0) }, kind: "temporary", err: "connection reset"},
		{name: "closed in the body", tcp: writes("HTTP/1.1 200 OK\r\n" + length + "\r\n" + marie[:20]), kind: "temporary", err: "in the body of a 200 answer: unexpected EOF"},
		{name: "reset in the body", tcp: func(c *net.TCPConn) {
			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\n"+length+"\r\n"+marie[:20])
			_ = c.SetLinger(0)
		}, kind: "temporary"},
		{name: "closed in a chunk", tcp: writes("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3b\r\n" + marie[:20]), kind: "temporary", err: "unexpected EOF"},
		{name: "closed in the header", tcp: writes("HTTP/1.1 200 OK\r\nContent-Le"), kind: "temporary", err: "/contacts/jim: "},
		{name: "not HTTP", tcp: writes("220 mail.example.com ESMTP\r\n"), kind: "temporary", err: "malformed HTTP"},
		{name: "a header without end", tcp: func(c *net.TCPConn) {
			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\n")
			for {
				if _, err := io.WriteString(c, "X-Filler: "+strings.Repeat("x", 1000)+"\r\n"); err != nil {
					return
				}
			}
		}, kind: "temporary", err: "/contacts/jim: "},
		{name: "a body without end", tcp: func(c *net.TCPConn) {
			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\n\r\n")
			for {
				if _, err := c.Write(make([]byte, 1<<16)); err != nil {
					return
				}
			}
		}, kind: "temporary", err: "larger than 16 MiB, the limit for an answer"},
		{name: "gzip that is none", http: answers(200, marie, "Content-Encoding", "gzip"), kind: "temporary", err: "gzip: invalid header"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			base := tt.url
			switch {
			case tt.tcp != nil:
				base = tcp(t, tt.tcp)
			case tt.http != nil:
				srv := httptest.NewServer(tt.http)
				defer srv.Close()
				base = srv.URL
			}
			p := standard(t, options{"http_roster_url": base + "/contacts/%s"})
			a, err := fetch(t, p, request("jim"))
			if kind := errorKind(err); kind != tt.kind {
				t.Fatalf("%q: %v; want %q", kind, err, tt.kind)
			}
			if err != nil {
				if !strings.Contains(err.Error(), tt.err) || !strings.Contains(err.Error(), "GET "+base+"/contacts/jim") {
					t.Errorf("error %v, want %s", err, tt.err)
				}
				var temporary *engine.TemporaryError
				if errors.As(err, &temporary) && temporary.RetryAfter != tt.retry {
					t.Errorf("retry after %v, want %v", temporary.RetryAfter, tt.retry)
				}
				return
			}
			if got := show(a.Roster); got != tt.want {
				t.Errorf("roster %s, want %s", got, tt.want)
			}
		})
	}
}

// A backend that keeps us waiting costs the deadline of the call and no more.
func TestBackendNeverAnswers(t *testing.T) {
	const json = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
	hold := func(start string) func(*net.TCPConn, func()) {
		return func(c *net.TCPConn, pass func()) { _, _ = io.WriteString(c, start); pass(); until(c) }
	}
	tests := map[string]func(c *net.TCPConn, pass func()){
		"nothing":           hold(""),
		"half a header":     hold("HTTP/1.1 200 OK\r\nContent-"),
		"half a body":       hold(json + "Content-Length: 59\r\n\r\n" + marie[:9]),
		"a chunk, no end":   hold(json + "Transfer-Encoding: chunked\r\n\r\n1\r\n{\r\n"),
		"100 and then none": hold("HTTP/1.1 100 Continue\r\n\r\n"),
		"always some more":  func(c *net.TCPConn, pass func()) { drip(c, json+"Content-Length: 1000000\r\n\r\n", pass) },
		"headers for ever":  func(c *net.TCPConn, pass func()) { drip(c, "HTTP/1.1 200 OK\r\nX-Filler: ", pass) },
	}
	for name, serve := range tests {
		t.Run(name, func(t *testing.T) {
			ctx := &deadline{Context: context.Background(), over: make(chan struct{})}
			base := tcp(t, func(c *net.TCPConn) { serve(c, ctx.pass) })
			p := standard(t, options{"http_roster_url": base + "/%s"})
			_, err := p.Fetch(ctx, request("jim"))
			if kind := errorKind(err); kind != "temporary" || !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "GET "+base+"/jim: no answer in time") {
				t.Errorf("%q: %v", kind, err)
			}
		})
	}
}

// deadline is a context whose time is over when a test says so.
type deadline struct {
	context.Context
	once sync.Once
	over chan struct{}
}

func (d *deadline) pass()                 { d.once.Do(func() { close(d.over) }) }
func (d *deadline) Done() <-chan struct{} { return d.over }
func (d *deadline) Err() error {
	select {
	case <-d.over:
		return context.DeadlineExceeded
	default:
		return nil
	}
}

// drip writes start and then a byte now and then; after some of them the time is over.
func drip(c *net.TCPConn, start string, pass func()) {
	_, _ = io.WriteString(c, start)
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for n := 0; ; n++ {
		<-tick.C
		if _, err := c.Write([]byte(" ")); err != nil {
			return
		}
		if n == 20 {
			pass()
		}
	}
}

func TestCancelledFetch(t *testing.T) {
	asked := make(chan struct{})
	base := tcp(t, func(c *net.TCPConn) { close(asked); until(c) })
	p := standard(t, options{"http_roster_url": base + "/%s"})
	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-asked; cancel() }()
	if _, err := p.Fetch(ctx, request("jim")); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
}

// The backend sees the user that logged in and no other, in a path and in a query.
func TestUserNames(t *testing.T) {
	asked := make(chan *http.Request, 1)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked <- r
		fmt.Fprint(w, marie)
	}))
	defer srv.Close()
	inPath := standard(t, options{"http_roster_url": srv.URL + "/contacts/%s?src=a%20b"})
	inQuery := standard(t, options{"http_roster_url": srv.URL + "/contacts?src=a%20b&user=%s"})
	for _, tt := range []struct{ user, path string }{
		{`alice`, `/contacts/alice`}, {`john\20doe`, `/contacts/john%5C20doe`}, {`jörg`, `/contacts/j%C3%B6rg`}, {`a\2fb`, `/contacts/a%5C2fb`},
		{`100%`, `/contacts/100%25`}, {`p%41`, `/contacts/p%2541`}, {`x#y`, `/contacts/x%23y`}, {`q?r=1`, `/contacts/q%3Fr%3D1`},
		{`a+b`, `/contacts/a%2Bb`}, {`%s`, `/contacts/%25s`}, {`%d`, `/contacts/%25d`}, {`%%`, `/contacts/%25%25`}, {`a;b=c`, `/contacts/a%3Bb%3Dc`},
		{`...`, `/contacts/...`}, {`日本`, `/contacts/%E6%97%A5%E6%9C%AC`},
	} {
		if _, err := fetch(t, inPath, request(tt.user)); err != nil {
			t.Errorf("%s: %v", tt.user, err)
			continue
		}
		r := <-asked
		if r.RequestURI != tt.path+"?src=a%20b" || r.URL.Path != "/contacts/"+tt.user || r.URL.Query().Get("src") != "a b" {
			t.Errorf("%s: the backend sees %s, which is %q", tt.user, r.RequestURI, r.URL.Path)
		}
		if _, err := fetch(t, inQuery, request(tt.user)); err != nil {
			t.Errorf("%s: %v", tt.user, err)
			continue
		}
		r = <-asked
		if r.URL.Path != "/contacts" || len(r.URL.Query()) != 2 || r.URL.Query().Get("user") != tt.user || r.URL.Query().Get("src") != "a b" {
			t.Errorf("%s: the backend sees %s", tt.user, r.RequestURI)
		}
	}
	for _, dots := range []string{".", ".."} {
		if _, err := fetch(t, inPath, request(dots)); errorKind(err) != "permanent" || len(asked) > 0 {
			t.Errorf("%s: %v", dots, err)
		}
		if _, err := fetch(t, inQuery, request(dots)); err != nil || (<-asked).URL.Query().Get("user") != dots {
			t.Errorf("%s in the query: %v", dots, err)
		}
	}
}

func TestStandardModuleOptions(t *testing.T) {
	for value, want := range map[any]string{
		"http://localhost/contacts":    "no %s in it",
		"localhost/contacts/%s":        "not an http:// or https:// URL",
		"http://jim:geheim@[::1/%s":    "not a URL",
		true:                           "not an http:// or https:// URL",
		"http://localhost/%d/foo/%s":   "invalid URL escape",
		"http://%s.example.com/roster": "in the path and in the query only",
	} {
		_, _, err := tryOpen(t, "http_roster_admin", "", options{"http_roster_url": value})
		if value == true {
			want = "no %s in it"
		}
		if err == nil || !strings.Contains(err.Error(), "mod_http_roster_admin.lua:") ||
			!strings.Contains(err.Error(), "prosody.cfg.lua:7: option http_roster_url: ") || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: error %v\n want %s", value, err, want)
		}
		if err != nil && strings.Contains(err.Error(), "geheim") {
			t.Errorf("%v: the error shows a password: %v", value, err)
		}
	}
	if _, _, err := tryOpen(t, "http_roster_admin", "", nil); err != nil {
		t.Errorf("without http_roster_url the module asks http://localhost/%%s, as in Prosody: %v", err)
	}
}

func TestCredentials(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		user, password, _ := r.BasicAuth()
		if user != "rosterd" || password != "geh:eim" || r.Header.Get("X-Api-Key") != "geheim" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		fmt.Fprint(w, marie)
	}))
	defer srv.Close()
	url := strings.Replace(srv.URL, "http://", "http://rosterd:geh%3Aeim@", 1) + "/%s"
	p := standard(t, options{"http_roster_url": url, "rosterd_backend_headers": map[string]any{"X-Api-Key": "geheim"}})
	if a, err := fetch(t, p, request("jim")); err != nil || show(a.Roster) != marieShown {
		t.Errorf("%s, %v", show(a.Roster), err)
	}
	p = standard(t, options{"http_roster_url": url})
	_, err := fetch(t, p, request("jim"))
	if errorKind(err) != "permanent" || !strings.Contains(err.Error(), "GET "+srv.URL+"/jim → 401 Unauthorized") {
		t.Errorf("without the key: %v", err)
	}
}

func TestRevalidation(t *testing.T) {
	etag := `"1"`
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("ETag", etag)
		w.Header().Set("Cache-Control", "max-age=60")
		if r.Header.Get("If-None-Match") == etag {
			w.WriteHeader(http.StatusNotModified)
			return
		}
		fmt.Fprint(w, marie)
	}))
	defer srv.Close()
	p := standard(t, options{"http_roster_url": srv.URL + "/%s"})
	first, err := fetch(t, p, request("jim"))
	if err != nil || first.Unchanged || first.Rev == "" || first.MaxAge != time.Minute {
		t.Fatalf("first: %+v, %v", first, err)
	}
	held := request("jim")
	held.Rev = first.Rev
	if a, err := fetch(t, p, held); err != nil || !a.Unchanged || a.Rev != first.Rev || a.MaxAge != time.Minute {
		t.Errorf("unchanged: %+v, %v", a, err)
	}
	other := request("jill")
	other.Rev = first.Rev
	if a, err := fetch(t, p, other); err != nil || a.Unchanged || show(a.Roster) != marieShown {
		t.Errorf("a revision of another user's: %+v, %v", a, err)
	}
	same := standard(t, options{"http_roster_url": srv.URL + "/%s"})
	if a, err := fetch(t, same, held); err != nil || !a.Unchanged {
		t.Errorf("after a restart: %+v, %v", a, err)
	}
	changed := standard(t, options{"http_roster_url": srv.URL + "/%s?v=2"})
	if a, err := fetch(t, changed, held); err != nil || a.Unchanged || a.Rev == first.Rev {
		t.Errorf("after a change of options: %+v, %v", a, err)
	}
	etag = `"2"`
	if a, err := fetch(t, p, held); err != nil || a.Unchanged || a.Rev == first.Rev {
		t.Errorf("changed: %+v, %v", a, err)
	}
}

// What a script does with responses before it hands them over.
func TestResponsesInLua(t *testing.T) {
	asked := make(chan string, 10)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		asked <- fmt.Sprintf("%s %s %s %s", r.Method, r.URL, r.Header.Get("X-Test"), body)
		w.Header().Add("X-Many", "one")
		w.Header().Add("X-Many", "two")
		switch r.URL.Path {
		case "/nested":
			fmt.Fprint(w, `{"data":{"people":[{"mail":"marie@example.com","full":"Marie","tags":["Friends"]}]}}`)
		case "/500":
			w.WriteHeader(500)
		case "/html":
			fmt.Fprint(w, "<html>")
		default:
			fmt.Fprint(w, marie)
		}
	}))
	defer srv.Close()
	const people = `map = function(body, username, req)
		assert(username == "jim" and req.jid == "jim@example.com");
		local t = {};
		for _, p in ipairs(body.data.people) do t[#t+1] = { jid = p.mail, name = p.full, groups = p.tags } end
		return t;
	end`
	tests := []struct {
		name, fetch, more string
		want, kind, err   string
	}{
		{name: "as it is", fetch: `return http.request(url)`, want: marieShown},
		{name: "looked at", fetch: `local r = http.request(url); assert(r.code == 200 and #r.body == 59 and r.headers["x-many"] == "one, two"); return r`, want: marieShown},
		{name: "its request", fetch: `local r = http.request(url); assert(r.request.url == url and r.request.method == "GET"); return r`, want: marieShown},
		{name: "two, the first is returned", fetch: `local a = http.request(url); local b = http.request(url.."/500"); return a`, want: marieShown},
		{name: "two, the second is returned", fetch: `local a = http.request(url); local b = http.request(url.."/500"); return b`, kind: "temporary", err: "/500 → 500 Internal Server Error"},
		{name: "body changed", fetch: `local r = http.request(url); r.body = r.body:gsub("Marie", "Mary"); return r`, want: `marie@example.com "Mary" both ["Friends"]`},
		{name: "code changed", fetch: `local r = http.request(url); r.code = 404; return r`, kind: "unknown user", err: " → 404 Not Found"},
		{name: "code is no number", fetch: `local r = http.request(url); r.code = "200"; return r`, kind: "fault protocol", err: "an HTTP response whose code is a string"},
		{name: "body is no text", fetch: `local r = http.request(url); r.body = {}; return r`, kind: "fault protocol", err: "an HTTP response whose body is a table"},
		{name: "decoded", fetch: `return require "util.json".decode(http.request(url).body)`, want: marieShown},
		{name: "mapped", fetch: `return http.request(url.."/nested")`, more: people, want: marieShown},
		{name: "mapped, but 500", fetch: `return http.request(url.."/500")`, more: people, kind: "temporary", err: "/500 → 500 Internal Server Error"},
		{name: "mapped, but not JSON", fetch: `return http.request(url.."/html")`, more: people, kind: "temporary", err: "/html → 200 OK: not JSON: invalid character '<'"},
		{name: "mapped wrongly", fetch: `return http.request(url)`, more: `map = function() return 5 end`, kind: "temporary", err: " → 200 OK: mod_test.lua: roster of jim@example.com: map returned a number"},
		{name: "mapped to nothing", fetch: `return http.request(url)`, more: `map = function() end`, kind: "temporary", err: "map returned nil without a reason"},
		{name: "mapped to a refusal", fetch: `return http.request(url)`, more: `map = function() return nil, "not-found" end`, kind: "unknown user"},
		{name: "mapped to a response", fetch: `r = http.request(url); return r`, more: `map = function() return r end`, kind: "temporary", err: "map returned an HTTP response"},
		{name: "mapped, but of another shape", fetch: `return http.request(url)`, more: people, kind: "temporary", err: " → 200 OK: mod_test.lua: roster of jim@example.com: mod_test.lua:8: "},
		{name: "mapped to a name that is none", fetch: `return http.request(url)`, more: `map = function() return { { jid = "a@b", name = {} } } end`, kind: "temporary", err: "map returned items[1].name: a table, not a string"},
		{name: "of another shape without map", fetch: `return { { jid = "a@b", name = {} } }`, kind: "fault protocol", err: "fetch returned items[1].name: a table, not a string"},
		{name: "contacts are not mapped", fetch: `return {}`, more: people, want: ""},
		{name: "POST", fetch: `return http.request(url, { body = "hi", headers = { ["X-Test"] = "t" } })`, want: marieShown},
		{name: "method", fetch: `return http.request(url, { method = "PUT", body = "hi" })`, want: marieShown},
		{name: "refused by policy", fetch: `return nil, "temporary", select(2, http.request("http://other.example/"))`, kind: "temporary", err: "refused by policy"},
		{name: "no URL", fetch: `return nil, "temporary", select(2, http.request("nonsense"))`, kind: "temporary", err: "not an http:// or https:// URL"},
		{name: "URL is a table", fetch: `return http.request({})`, kind: "fault trap", err: "mod_test.lua:4"},
		{name: "callback that nobody waits for", fetch: `return http.request(url, nil, function() end)`, kind: "fault protocol", err: "fetch returned an HTTP request, not its response"},
		{name: "callback is text", fetch: `return http.request(url, nil, "x")`, kind: "fault trap", err: "mod_test.lua:4"},
		{name: "unknown field", fetch: `return http.request(url, { sslctx = {} })`, kind: "fault trap", err: "not available in rosterd: field sslctx of net.http.request"},
		{name: "unknown part", fetch: `return http.request(url).httpversion`, kind: "fault trap", err: "not available in rosterd: field httpversion of an HTTP response"},
		{name: "bad header", fetch: `return http.request(url, { headers = { A = {} } })`, kind: "fault trap", err: "net.http.request: A is a table, not a string"},
		{name: "too many requests", fetch: `for i = 1, 9 do http.request(url) end`, kind: "fault trap", err: "more than 8 HTTP requests in one call"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := script(t, "local http = require 'net.http'\nlocal url = module:get_option_string('url')\nmodule:provides('roster', { fetch = function()\n"+
				tt.fetch+"\nend, "+tt.more+" })", options{"url": srv.URL})
			a, err := fetch(t, p, request("jim"))
			if kind := errorKind(err); kind != tt.kind || err != nil && !strings.Contains(err.Error(), tt.err) {
				t.Fatalf("%q: %v; want %q: %s", kind, err, tt.kind, tt.err)
			}
			if got := show(a.Roster); got != tt.want {
				t.Errorf("roster %s, want %s", got, tt.want)
			}
			var requests []string
			for range len(asked) {
				requests = append(requests, <-asked)
			}
			switch {
			case tt.name == "POST" && requests[0] != "POST / t hi", tt.name == "method" && requests[0] != "PUT /  hi":
				t.Errorf("the server was asked %q", requests)
			}
		})
	}
}

// What a user wants of one contact asks for that contact, wherever the URL has what is not a part of its path.
func TestStandardBackendEdits(t *testing.T) {
	asked := make(chan string, 1)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { asked <- r.Method + " " + r.RequestURI }))
	defer srv.Close()
	for url, want := range map[string]string{
		"/contacts/%s":          `/contacts/jim/a%2520%3f%23%c3%b6%40b.example`,
		"/contacts/%s/":         `/contacts/jim/a%2520%3f%23%c3%b6%40b.example`,
		"/contacts?user=%s&a=/": `/contacts/a%2520%3f%23%c3%b6%40b.example?user=jim&a=/`,
		"/contacts/%s#all":      `/contacts/jim/a%2520%3f%23%c3%b6%40b.example`,
		"/contacts/%s?a#all?":   `/contacts/jim/a%2520%3f%23%c3%b6%40b.example?a`,
	} {
		err := standard(t, options{"http_roster_url": srv.URL + url}).Edit(soon(t), engine.Edit{
			ID: "1", User: addr.MustBare("jim@example.com"), Contact: addr.MustBare("a%20?#ö@b.example"), Action: engine.Remove,
		})
		if err != nil {
			t.Errorf("%s: %v", url, err)
		} else if got := <-asked; got != "DELETE "+want {
			t.Errorf("%s: %s, want DELETE %s", url, got, want)
		}
	}
}
