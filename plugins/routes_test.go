package plugins

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"rosterd/engine"
)

// webbed is a plugin with routes that says how it was called.
type webbed struct {
	Nothing
	routes []Route
	handle func(ctx context.Context, c Call) (Reply, error)
}

func (p webbed) Info() Info { return Info{Routes: p.routes} }

func (p webbed) Handle(ctx context.Context, c Call) (Reply, error) { return p.handle(ctx, c) }

func TestRoutes(t *testing.T) {
	routes := []Route{{"POST", "/changed"}, {"GET", "/user/*"}, {"GET", "/user/me"}, {"PUT", ""}, {"GET", "/user/deep/*"}, {"GET", "/fail"}, {"GET", "/later"}, {"GET", "/odd"}, {"GET", "/header"}}
	p := webbed{routes: routes, handle: func(_ context.Context, c Call) (Reply, error) {
		switch routes[c.Route].Path {
		case "/fail":
			return Reply{}, &engine.FaultError{Kind: "trap", Err: errors.New("secret details")}
		case "/later":
			return Reply{}, &engine.TemporaryError{RetryAfter: 2 * time.Second, Err: errors.New("secret details")}
		case "/odd":
			return Reply{Status: 7}, nil
		case "/header":
			return Reply{Header: http.Header{"X-A": {"a\r\nb"}}}, nil
		}
		return Reply{Header: http.Header{"X-Plugin": {"yes"}}, Body: fmt.Appendf(nil, "%s %q %s ?%s %s %v", routes[c.Route].Path, c.Rest, c.Path, c.Query, c.Body, c.From)}, nil
	}}
	for _, tt := range []struct {
		name, method, path, body string
		status                   int
		want                     string // in the answer
	}{
		{"the very path", "POST", "/crm/changed?a=b", "{}", 200, `/changed "" /crm/changed ?a=b {} 192.0.2.1`},
		{"with a slash more", "POST", "/crm/changed/", "", 404, "nothing here"},
		{"all below", "GET", "/crm/user/jim/x", "", 200, `/user/* "jim/x"`},
		{"the very path first", "GET", "/crm/user/me", "", 200, `/user/me ""`},
		{"the longest first", "GET", "/crm/user/deep/er", "", 200, `/user/deep/* "er"`},
		{"HEAD is GET", "HEAD", "/crm/user/me", "", 200, ""},
		{"the path itself", "PUT", "/crm", "", 200, ` "" /crm`},
		{"another method", "DELETE", "/crm/changed", "", 405, "only POST"},
		{"another path", "GET", "/crm/none", "", 404, "nothing here"},
		{"too much", "POST", "/crm/changed", strings.Repeat("x", maxCallBody+1), 413, "KiB"},
		{"a fault", "GET", "/crm/fail", "", 500, "the plugin failed"},
		{"temporary", "GET", "/crm/later", "", 503, "not now"},
		{"a status that is none", "GET", "/crm/odd", "", 500, "the plugin failed"},
		{"a header that is none", "GET", "/crm/header", "", 500, "the plugin failed"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var said strings.Builder
			h := http.StripPrefix("/crm", Routes(p, slog.New(slog.NewTextHandler(&said, nil))))
			w := httptest.NewRecorder()
			h.ServeHTTP(w, httptest.NewRequest(tt.method, tt.path, strings.NewReader(tt.body)))
			if w.Code != tt.status || !strings.Contains(w.Body.String(), tt.want) || strings.Contains(w.Body.String(), "secret") {
				t.Errorf("answer %d %s", w.Code, w.Body)
			}
			if failed := w.Code == 500 || w.Code == 503; failed != (said.Len() > 0) {
				t.Errorf("the log says %q", said.String())
			}
			if w.Code == 405 && w.Header().Get("Allow") != "POST" || w.Code == 503 && w.Header().Get("Retry-After") == "" || w.Code == 200 && w.Header().Get("X-Plugin") != "yes" {
				t.Errorf("header %v", w.Header())
			}
		})
	}
}

// More callers than a plugin answers at once wait, until one has its answer or they go.
func TestRoutesAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		let := make(chan struct{})
		running := 0
		var mu sync.Mutex
		p := webbed{routes: []Route{{"GET", "/"}}, handle: func(ctx context.Context, _ Call) (Reply, error) {
			mu.Lock()
			running++
			mu.Unlock()
			<-let
			return Reply{}, nil
		}}
		h := Routes(p, slog.New(slog.DiscardHandler))
		codes := make(chan int, 10)
		for range 10 {
			go func() {
				w := httptest.NewRecorder()
				h.ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
				codes <- w.Code
			}()
		}
		synctest.Wait()
		mu.Lock()
		if running != maxCallers {
			t.Errorf("%d at once", running)
		}
		mu.Unlock()
		close(let)
		for range 10 {
			if c := <-codes; c != 200 {
				t.Errorf("answer %d", c)
			}
		}
	})
}

// TestRoutesAndSlowClients: who sends or takes slowly keeps nobody else out.
func TestRoutesAndSlowClients(t *testing.T) {
	large := make([]byte, 16<<20) // more than there is between the two ends of a connection
	p := webbed{routes: []Route{{"POST", "/"}, {"GET", "/large"}}, handle: func(_ context.Context, c Call) (Reply, error) {
		if c.Route == 1 {
			return Reply{Body: large}, nil
		}
		return Reply{Body: c.Body}, nil
	}}
	srv := httptest.NewServer(Routes(p, slog.New(slog.DiscardHandler)))
	defer srv.Close()
	defer srv.CloseClientConnections()
	for _, request := range []string{"POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 100\r\n\r\n", "GET /large HTTP/1.1\r\nHost: x\r\n\r\n"} {
		for range maxCallers {
			c, err := net.Dial("tcp", srv.Listener.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			_ = c.SetDeadline(time.Now().Add(10 * time.Second)) // it is a TCP connection
			if _, err := io.WriteString(c, request); err != nil {
				t.Fatal(err)
			}
			// The handler is at work once it has asked for the body, or has begun to answer.
			if _, err := io.ReadFull(c, make([]byte, 10)); err != nil {
				t.Fatal(err)
			}
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	r, _ := http.NewRequestWithContext(ctx, "POST", srv.URL, strings.NewReader("mine"))
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if b, err := io.ReadAll(res.Body); string(b) != "mine" || err != nil {
		t.Errorf("%q, %v", b, err)
	}
}

// TestRepliesAreNotGuessed: what a script repeats of a request is no page because it begins like one.
func TestRepliesAreNotGuessed(t *testing.T) {
	for name, tt := range map[string]struct {
		reply Reply
		want  string
	}{
		"a text":     {Reply{Body: []byte("<script>alert(1)</script>")}, "text/plain; charset=utf-8 nosniff"},
		"a page":     {Reply{Header: http.Header{"content-type": {"text/html"}}, Body: []byte("<p>")}, "text/html "},
		"without it": {Reply{Status: 204}, " "},
	} {
		p := webbed{routes: []Route{{"GET", "/"}}, handle: func(context.Context, Call) (Reply, error) { return tt.reply, nil }}
		w := httptest.NewRecorder()
		Routes(p, slog.New(slog.DiscardHandler)).ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
		if got := w.Header().Get("Content-Type") + " " + w.Header().Get("X-Content-Type-Options"); got != tt.want {
			t.Errorf("%s: %q, want %q", name, got, tt.want)
		}
	}
}

// ticking is a plugin with timers.
type ticking struct {
	Nothing
	timers []time.Duration
	tick   func(timer int) (time.Duration, error)
}

func (p ticking) Info() Info { return Info{Timers: p.timers} }

func (p ticking) Tick(_ context.Context, timer int) (time.Duration, error) { return p.tick(timer) }

func TestTimers(t *testing.T) {
	for _, tt := range []struct {
		name  string
		first time.Duration
		again []time.Duration // what it says at each call; 0 after that
		fail  int             // the call that fails, from 1
		want  string          // seconds at which it is called
	}{
		{"once", 5 * time.Second, nil, 0, "5"},
		{"at once is a moment later", 0, nil, 0, "1"},
		{"again and again", 2 * time.Second, []time.Duration{3 * time.Second, 10 * time.Second}, 0, "2 5 15"},
		{"never more than each second", time.Second, []time.Duration{time.Millisecond, time.Millisecond}, 0, "1 2 3"},
		{"after a failure as before", 2 * time.Second, []time.Duration{4 * time.Second, 0, 4 * time.Second}, 2, "2 6 10 14"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				start := time.Now()
				var called []string
				p := ticking{timers: []time.Duration{tt.first}, tick: func(int) (time.Duration, error) {
					called = append(called, fmt.Sprint(time.Since(start).Seconds()))
					if len(called) == tt.fail {
						return 0, errors.New("no")
					}
					if n := len(called); n <= len(tt.again) {
						return tt.again[n-1], nil
					}
					return 0, nil
				}}
				RunTimers(t.Context(), p, slog.New(slog.DiscardHandler))
				if got := strings.Join(called, " "); got != tt.want {
					t.Errorf("called at %s, want %s", got, tt.want)
				}
			})
		})
	}
}

func TestTimersEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() {
			RunTimers(ctx, ticking{timers: []time.Duration{time.Hour, time.Minute}, tick: func(int) (time.Duration, error) { return time.Minute, nil }}, slog.New(slog.DiscardHandler))
			close(done)
		}()
		time.Sleep(10 * time.Minute)
		cancel()
		<-done
	})
}
