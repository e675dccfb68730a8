package httpd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func TestReady(t *testing.T) {
	broken := errors.New("open /var/lib/x: no space left")
	tests := []struct {
		name   string
		parts  []Part
		drain  bool
		header []string
		status int
		want   string
	}{
		{name: "nothing is needed", status: 200, want: `{"status":"ready"}`},
		{name: "all is well", parts: []Part{{Name: "store"}, {Name: "backend of a.example", Minor: true}}, status: 200, want: `{"status":"ready","parts":[{"name":"store","ok":true},{"name":"backend of a.example","ok":true,"minor":true}]}`},
		{name: "a part is broken", parts: []Part{{Name: "store", Err: broken}, {Name: "listeners"}}, status: 503, want: `{"status":"not ready","parts":[{"name":"store","ok":false,"error":"open /var/lib/x: no space left"},{"name":"listeners","ok":true}]}`},
		{name: "a backend is down", parts: []Part{{Name: "backend of a.example", Err: broken, Minor: true}}, status: 200, want: `{"status":"ready","parts":[{"name":"backend of a.example","ok":false,"minor":true,"error":"open /var/lib/x: no space left"}]}`},
		{name: "strangers are not told why", parts: []Part{{Name: "store", Err: broken}}, header: []string{"X-Forwarded-For: 192.0.2.1"}, status: 503, want: `{"status":"not ready","parts":[{"name":"store","ok":false}]}`},
		{name: "nor who has backends", parts: []Part{{Name: "store"}, {Name: "backend of a.example", Err: broken, Minor: true}}, header: []string{"X-Forwarded-For: 192.0.2.1"}, status: 200, want: `{"status":"ready","parts":[{"name":"store","ok":true}]}`},
		{name: "about to stop", parts: []Part{{Name: "store"}}, drain: true, status: 503, want: `{"status":"stopping","parts":[{"name":"store","ok":true}]}`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := &Server{Trusted: loopback, Ready: func(context.Context) []Part { return tt.parts }}
			addr := start(t, s, oneHost(Refresh{}), "")
			if tt.drain {
				s.Drain()
				if got := ask(t, addr, "GET", "/roster_admin/refresh/offline", "example.com", ""); got.status != 200 {
					t.Errorf("nothing is served any more: %+v", got)
				}
			}
			for _, host := range []string{"example.com", "127.0.0.1:5280", ""} {
				got := ask(t, addr, "GET", "/readyz", host, "", tt.header...)
				if got.status != tt.status || got.body != tt.want {
					t.Errorf("GET /readyz of host %q: %d %s\nwant %d %s", host, got.status, got.body, tt.status, tt.want)
				}
			}
			if got := ask(t, addr, "GET", "/healthz", "", ""); got.status != 200 {
				t.Errorf("GET /healthz: %+v; the process lives", got)
			}
		})
	}
}

// Whoever asks may ask often: the parts are looked at once a second.
func TestReadyIsLookedAtOnceASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var c checks
		looks := 0
		look := func(ctx context.Context) []Part {
			if _, ok := ctx.Deadline(); !ok || ctx.Err() != nil {
				t.Error("looked at without a time limit, or for somebody who hung up")
			}
			looks++
			return []Part{{Name: fmt.Sprint(looks)}}
		}
		gone, cancel := context.WithCancel(t.Context())
		cancel()
		for _, step := range []struct {
			after time.Duration
			want  string
		}{{0, "1"}, {time.Second / 2, "1"}, {time.Second, "2"}} {
			<-time.After(step.after)
			var all sync.WaitGroup
			for range 3 {
				all.Go(func() {
					if got := c.parts(gone, look); len(got) != 1 || got[0].Name != step.want {
						t.Errorf("found %v, want look %s", got, step.want)
					}
				})
			}
			all.Wait()
		}
	})
}

func TestMetricsAreForOperators(t *testing.T) {
	figures := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "rosterd_sessions 7") })
	nets := func(s string) []netip.Prefix { return []netip.Prefix{netip.MustParsePrefix(s)} }
	tests := []struct {
		name   string
		from   []netip.Prefix
		client string // as a proxy names it
		status int
	}{
		{"loopback by default", nil, "", 200},
		{"any address of it", nil, "127.0.0.53", 200},
		{"through a proxy", nil, "192.0.2.1", 403},
		{"admitted", nets("192.0.2.0/24"), "192.0.2.1", 200},
		{"IPv4 in IPv6", nets("192.0.2.0/24"), "::ffff:192.0.2.1", 200},
		{"not admitted", nets("192.0.2.0/24"), "198.51.100.1", 403},
		{"loopback not admitted", nets("192.0.2.0/24"), "", 403},
		{"nobody", []netip.Prefix{}, "", 403},
		{"IPv6", nets("2001:db8::/32"), "2001:db8::1", 200},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var header []string
			if tt.client != "" {
				header = []string{"X-Forwarded-For: " + tt.client}
			}
			addr := start(t, &Server{Trusted: loopback, Metrics: figures, MetricsFrom: tt.from}, nil, "")
			for _, host := range []string{"example.com", ""} {
				got := ask(t, addr, "GET", "/metrics", host, "", header...)
				if got.status != tt.status || strings.Contains(got.body, "rosterd_sessions") != (tt.status == 200) {
					t.Errorf("answered %d %s, want %d", got.status, got.body, tt.status)
				}
				if tt.status == 403 {
					checkRefusal(t, got, "openmetrics_allow_ips")
				}
			}
		})
	}
	t.Run("after a reload", func(t *testing.T) {
		s := &Server{Metrics: figures}
		addr := start(t, s, nil, "")
		s.SetPeers(nil, nets("192.0.2.0/24"))
		if got := ask(t, addr, "GET", "/metrics", "x", ""); got.status != 403 {
			t.Errorf("answered %+v, want 403", got)
		}
	})
	t.Run("none", func(t *testing.T) {
		addr := start(t, &Server{}, nil, "")
		if got := ask(t, addr, "GET", "/metrics", "x", ""); got.status != 404 {
			t.Errorf("answered %+v, want 404", got)
		}
	})
}

func TestObserve(t *testing.T) {
	var mu sync.Mutex
	var observed []string
	take := func() []string {
		mu.Lock()
		defer mu.Unlock()
		all := observed
		observed = nil
		return all
	}
	s := &Server{Observe: func(route string, status int) {
		mu.Lock()
		defer mu.Unlock()
		observed = append(observed, fmt.Sprintf("%s %d", route, status))
	}}
	hosts := oneHost(Refresh{})
	hosts[0].Mounts = []Mount{
		{Name: "says", Path: "/says", Handler: says("hello")},
		{Name: "mute", Path: "/mute", Handler: http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})},
		{Name: "panics", Path: "/panics", Handler: http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic("now") })},
		{Name: "early", Path: "/early", Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusEarlyHints)
			w.WriteHeader(http.StatusTeapot)
		})},
		{Name: "upgrades", Path: "/upgrades", Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(http.StatusSwitchingProtocols)
			if err := http.NewResponseController(w).Flush(); err != nil {
				t.Error(err)
			}
			<-r.Context().Done()
		})},
	}
	addr := start(t, s, hosts, "")
	tests := []struct{ target, host, want string }{
		{"/says", "example.com", "says 200"},
		{"/mute", "example.com", "mute 200"},
		{"/panics", "example.com", "panics 500"},
		{"/roster_admin/refresh/offline", "example.com", "roster_admin 200"},
		{"/roster_admin/refresh", "example.com", "roster_admin 400"},
		{"/health", "example.com", "health 200"},
		{"/readyz", "example.com", "readyz 200"},
		{"/nothing", "example.com", " 404"},
	}
	for _, tt := range tests {
		ask(t, addr, "GET", tt.target, tt.host, "")
		if got := take(); !slices.Equal(got, []string{tt.want}) {
			t.Errorf("GET %s of %s: observed %q, want %q", tt.target, tt.host, got, tt.want)
		}
	}
	t.Run("the last of several statuses", func(t *testing.T) {
		c := dial(t, addr)
		c.send(request("GET", "/early", "example.com", ""))
		c.receive("GET")
		if got := c.receive("GET"); got.status != 418 {
			t.Errorf("answered %+v", got)
		}
		if got := take(); !slices.Equal(got, []string{"early 418"}) {
			t.Errorf("observed %q", got)
		}
	})
	t.Run("an upgrade, when it begins", func(t *testing.T) {
		c := dial(t, addr)
		c.send(request("GET", "/upgrades", "example.com", ""))
		c.receive("GET")
		if got := take(); !slices.Equal(got, []string{"upgrades 101"}) {
			t.Errorf("observed %q", got)
		}
	})
}

// Shutdown ends what is held and what is hijacked through the request's context, and waits for it.
func TestShutdownEndsLongRequests(t *testing.T) {
	held, hijacked := make(chan struct{}), make(chan struct{})
	var ended sync.Map
	hosts := []Host{{Name: "example.com", Mounts: []Mount{
		{Path: "/held", Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			close(held)
			<-r.Context().Done()
			ended.Store("held", true)
			_, _ = io.WriteString(w, "terminate")
		})},
		{Path: "/hijacked", Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			conn, _, err := http.NewResponseController(w).Hijack()
			if err != nil {
				t.Error(err)
				return
			}
			defer conn.Close()
			close(hijacked)
			<-r.Context().Done()
			_, _ = io.WriteString(conn, "good-bye")
			ended.Store("hijacked", true)
		})},
	}}}
	s := &Server{}
	addr := start(t, s, hosts, "")
	poll, socket := dial(t, addr), dial(t, addr)
	poll.send(request("GET", "/held", "example.com", ""))
	socket.send(request("GET", "/hijacked", "example.com", ""))
	<-held
	<-hijacked
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := s.Shutdown(ctx); err != nil {
		t.Fatalf("Shutdown: %v", err)
	}
	for _, name := range []string{"held", "hijacked"} {
		if _, ok := ended.Load(name); !ok {
			t.Errorf("Shutdown has not waited for what is %s", name)
		}
	}
	if got := poll.receive("GET"); got.body != "terminate" {
		t.Errorf("the held request was answered %+v", got)
	}
	if got, err := io.ReadAll(socket.in); err != nil || string(got) != "good-bye" {
		t.Errorf("the hijacked connection brought %q, %v", got, err)
	}
}
