package httpd

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"rosterd/engine"
)

// patience is how long a test waits for what must happen; nothing waits that
// long when all is well.
const patience = 20 * time.Second

// refresherFunc lets a function be a Refresher.
type refresherFunc func(ctx context.Context, host string, names []string) engine.Summary

func (f refresherFunc) Refresh(ctx context.Context, host string, names []string) engine.Summary {
	return f(ctx, host, names)
}

// outcomes is a Refresher for which every name's outcome is the name, up to a
// hyphen: "failed-alice" fails.
func outcomes(_ context.Context, host string, names []string) (s engine.Summary) {
	for _, name := range names {
		outcome, _, _ := strings.Cut(name, "-")
		r := engine.Result{Name: name, Outcome: engine.Outcome(outcome)}
		switch r.Outcome {
		case engine.Updated:
			r.Changes = 2
		case engine.Failed, engine.Pending:
			r.Error = "why it " + outcome + " on " + host
		case engine.Unchanged, engine.Offline:
		default:
			r.Outcome, r.Error = engine.Invalid, "not a valid localpart"
		}
		s.Results = append(s.Results, r)
	}
	return s
}

// call is one call of a recorder.
type call struct {
	host  string
	names []string
}

// calls is a Refresher that remembers how it was called.
type calls struct {
	mu  sync.Mutex
	all []call
}

func (c *calls) Refresh(ctx context.Context, host string, names []string) engine.Summary {
	c.mu.Lock()
	c.all = append(c.all, call{host, names})
	c.mu.Unlock()
	return outcomes(ctx, host, names)
}

func (c *calls) take() []call {
	c.mu.Lock()
	defer c.mu.Unlock()
	all := c.all
	c.all = nil
	return all
}

// oneHost is example.com with a refresh API.
func oneHost(r Refresh) []Host {
	if r.Refresher == nil {
		r.Refresher = refresherFunc(outcomes)
	}
	return []Host{{Name: "example.com", Refresh: &r}}
}

// start serves hosts on a loopback port until the test ends, and returns its address.
func start(t testing.TB, s *Server, hosts []Host, defaultHost string) string {
	t.Helper()
	if s.Log == nil {
		s.Log = slog.New(slog.DiscardHandler)
	}
	if err := s.SetHosts(hosts, defaultHost); err != nil {
		t.Fatal(err)
	}
	return listen(t, s, s.Serve)
}

func listen(t testing.TB, s *Server, serve func(net.Listener) error) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- serve(l) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := s.Shutdown(ctx); err != nil {
			t.Errorf("Shutdown: %v", err)
		}
		if err := <-ended; !errors.Is(err, ErrServerClosed) {
			t.Errorf("Serve returned %v, want ErrServerClosed", err)
		}
	})
	return l.Addr().String()
}

// client is a connection that sends exactly what it is told.
type client struct {
	t    testing.TB
	conn net.Conn
	in   *bufio.Reader
}

func dial(t testing.TB, addr string) *client {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	return &client{t: t, conn: conn, in: bufio.NewReader(conn)}
}

// send sends text, whose lines end as the test's source does, as HTTP wants it.
func (c *client) send(text string) {
	c.t.Helper()
	if _, err := io.WriteString(c.conn, text); err != nil {
		c.t.Fatal(err)
	}
}

type reply struct {
	status int
	header http.Header
	body   string
}

func (c *client) receive(method string) reply {
	c.t.Helper()
	resp, err := http.ReadResponse(c.in, &http.Request{Method: method})
	if err != nil {
		c.t.Fatalf("no answer: %v", err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		c.t.Fatalf("answer cut short: %v", err)
	}
	return reply{status: resp.StatusCode, header: resp.Header, body: string(body)}
}

// closed waits for the server to close the connection.
func (c *client) closed() {
	c.t.Helper()
	rest, err := io.ReadAll(c.in)
	if err != nil || len(rest) > 0 {
		c.t.Fatalf("read %q, %v; want the connection closed", rest, err)
	}
}

// request is the text of a request with a body, if there is any.
func request(method, target, host, body string, header ...string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s HTTP/1.1\r\nHost: %s\r\n", method, target, host)
	for _, line := range header {
		b.WriteString(line + "\r\n")
	}
	if body != "" {
		fmt.Fprintf(&b, "Content-Length: %d\r\n", len(body))
	}
	b.WriteString("\r\n" + body)
	return b.String()
}

func ask(t testing.TB, addr, method, target, host, body string, header ...string) reply {
	t.Helper()
	c := dial(t, addr)
	c.send(request(method, target, host, body, header...))
	return c.receive(method)
}

func TestHealth(t *testing.T) {
	addr := start(t, &Server{}, nil, "")
	for _, host := range []string{"example.com", "127.0.0.1:5280", ""} {
		if got := ask(t, addr, "GET", "/health", host, ""); got.status != 200 || got.body != `{"status":"ok"}` {
			t.Errorf("GET /health of host %q: %d %s", host, got.status, got.body)
		}
	}
	if got := ask(t, addr, "HEAD", "/health", "x", ""); got.status != 200 || got.body != "" || got.header.Get("Content-Length") != "15" {
		t.Errorf("HEAD /health: %+v", got)
	}
	if got := ask(t, addr, "POST", "/health", "x", "{}"); got.status != 405 || got.header.Get("Allow") != "GET, HEAD, OPTIONS" {
		t.Errorf("POST /health: %+v", got)
	}
}

func TestServesNothingBeforeSetHosts(t *testing.T) {
	s := &Server{Log: slog.New(slog.DiscardHandler)}
	addr := listen(t, s, s.Serve)
	if got := ask(t, addr, "GET", "/", "example.com", ""); got.status != 404 {
		t.Errorf("answered %+v, want 404", got)
	}
}

func TestSlowHeaderIsCutOff(t *testing.T) {
	addr := start(t, &Server{ReadHeaderTimeout: 100 * time.Millisecond}, nil, "")
	c := dial(t, addr)
	c.send("GET /health HTTP/1.1\r\nHost: exam")
	c.closed()
}

// ReadTimeout is for reading: an answer may take longer.
func TestSlowHandlerIsNotCutOff(t *testing.T) {
	const timeout = 500 * time.Millisecond
	slow := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		select {
		case <-r.Context().Done():
			t.Error("the client is taken for gone")
		case <-time.After(2 * timeout):
		}
		_, _ = w.Write(body)
	})
	addr := start(t, &Server{ReadTimeout: timeout}, []Host{{Name: "example.com", Mounts: []Mount{{Path: "/slow", Handler: slow}}}}, "")
	c := dial(t, addr)
	for _, body := range []string{"", "late"} {
		c.send(request("POST", "/slow", "example.com", body))
		if got := c.receive("POST"); got.status != 200 || got.body != body {
			t.Errorf("answered %+v", got)
		}
	}
}

func TestIdleConnectionIsClosed(t *testing.T) {
	addr := start(t, &Server{IdleTimeout: 100 * time.Millisecond}, nil, "")
	c := dial(t, addr)
	c.send(request("GET", "/health", "x", ""))
	c.receive("GET")
	c.closed()
}

func TestLargeHeaderIsRefused(t *testing.T) {
	addr := start(t, &Server{}, nil, "")
	if got := ask(t, addr, "GET", "/health", "x", "", "X-Long: "+strings.Repeat("a", 30<<10)); got.status != 431 {
		t.Errorf("answered %d, want 431", got.status)
	}
}

func TestUnusualRequests(t *testing.T) {
	addr := start(t, &Server{}, oneHost(Refresh{}), "")
	tests := []struct {
		name, request string
		status        int
	}{
		{"HTTP/1.0 without Host", "GET /roster_admin/refresh/updated HTTP/1.0\r\n\r\n", 200},
		{"HTTP/1.1 without Host", "GET /roster_admin/refresh/updated HTTP/1.1\r\n\r\n", 400}, // RFC 9112 §3.2
		{"two Hosts", "GET /roster_admin/refresh/updated HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400},
		{"empty Host", "GET /roster_admin/refresh/updated HTTP/1.1\r\nHost:\r\n\r\n", 200},
		{"absolute form", "GET http://example.com/roster_admin/refresh/updated HTTP/1.1\r\nHost: example.com\r\n\r\n", 200},
		{"absolute form without a path", "GET http://example.com HTTP/1.1\r\nHost: example.com\r\n\r\n", 404},
		{"asterisk form", "OPTIONS * HTTP/1.1\r\nHost: example.com\r\n\r\n", 200},
		{"CONNECT", "CONNECT example.com:80 HTTP/1.1\r\nHost: example.com\r\n\r\n", 404},
		{"no absolute path", "GET roster_admin/refresh/updated HTTP/1.1\r\nHost: example.com\r\n\r\n", 400},
		{"bad escape", "GET /roster_admin/refresh/%zz HTTP/1.1\r\nHost: example.com\r\n\r\n", 400},
		{"lone LF", "GET /roster_admin/refresh/updated HTTP/1.1\nHost: example.com\n\n", 200},
		{"not HTTP", "<stream:stream to='example.com'>\r\n\r\n", 400},
		{"length and chunks", "POST /roster_admin/refresh HTTP/1.1\r\nHost: x\r\nContent-Length: x\r\nTransfer-Encoding: chunked\r\n\r\n", 400},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := dial(t, addr)
			c.send(tt.request)
			if got := c.receive("GET"); got.status != tt.status {
				t.Errorf("answered %d %s, want %d", got.status, got.body, tt.status)
			}
		})
	}
}

func TestPipelinedRequestsAreAnsweredInOrder(t *testing.T) {
	addr := start(t, &Server{}, oneHost(Refresh{}), "")
	c := dial(t, addr)
	c.send(request("POST", "/roster_admin/refresh", "example.com", `["updated"]`) +
		request("PUT", "/roster_admin/refresh", "example.com", "") +
		request("POST", "/roster_admin/refresh", "example.com", `{"a":1}`) +
		request("GET", "/roster_admin/refresh/failed", "example.com", "") +
		request("GET", "/health", "example.com", ""))
	for i, want := range []int{200, 405, 400, 200, 200} {
		if got := c.receive("GET"); got.status != want {
			t.Errorf("answer %d: %d %s, want %d", i, got.status, got.body, want)
		}
	}
}

func TestPanicIsAnsweredAndLogged(t *testing.T) {
	log := new(lockedBuffer)
	s := &Server{Log: slog.New(slog.NewTextHandler(log, nil))}
	hosts := []Host{{
		Name: "example.com",
		Refresh: &Refresh{Refresher: refresherFunc(func(_ context.Context, _ string, names []string) engine.Summary {
			if names[0] == "few" {
				return engine.Summary{}
			}
			panic("the refresher's hat is on fire")
		})},
		Mounts: []Mount{
			{Path: "/early", Handler: http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic("early") })},
			{Path: "/late", Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				_, _ = io.WriteString(w, strings.Repeat("begun ", 1000))
				panic("late")
			})},
		},
	}}
	addr := start(t, s, hosts, "")
	tests := []struct{ name, path, logged string }{
		{"in a mount", "/early", "panic=early"},
		{"in the refresher", "/roster_admin/refresh/alice", "TestPanicIsAnsweredAndLogged"},
		{"a result missing", "/roster_admin/refresh/few", "0 results for 1 names"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := ask(t, addr, "GET", tt.path, "example.com", "")
			if got.status != 500 || got.header.Get("Content-Type") != "application/json" || strings.Contains(got.body, "hat") {
				t.Errorf("answered %+v, want 500 as JSON without the cause", got)
			}
			if !strings.Contains(log.String(), tt.logged) {
				t.Errorf("the log lacks %q:\n%s", tt.logged, log)
			}
		})
	}
	t.Run("after the answer has begun", func(t *testing.T) {
		c := dial(t, addr)
		c.send(request("GET", "/late", "example.com", ""))
		resp, err := http.ReadResponse(c.in, nil)
		if err == nil {
			_, err = io.ReadAll(resp.Body)
			resp.Body.Close()
		}
		if err == nil {
			t.Error("an answer that was cut short looks complete")
		}
		if !strings.Contains(log.String(), "panic=late") {
			t.Errorf("not logged:\n%s", log)
		}
	})
}

func TestAccessLogHoldsNoSecrets(t *testing.T) {
	log := new(lockedBuffer)
	s := &Server{Log: slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug}))}
	addr := start(t, s, oneHost(Refresh{Token: "sesame"}), "")
	ask(t, addr, "GET", "/roster_admin/refresh/updated?key=sesame", "example.com", "", "Authorization: Bearer sesame")
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := s.Shutdown(ctx); err != nil { // the line is written after the answer
		t.Fatal(err)
	}
	for _, want := range []string{"level=DEBUG", "method=GET", "host=example.com", "path=/roster_admin/refresh/updated", "status=200"} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("the log lacks %q:\n%s", want, log)
		}
	}
	if strings.Contains(log.String(), "sesame") {
		t.Errorf("the log holds the token:\n%s", log)
	}
}

func TestTLSChoosesTheCertificateByName(t *testing.T) {
	certs := map[string]*tls.Certificate{"example.com": certificate(t, "example.com"), "example.org": certificate(t, "example.org")}
	config := &tls.Config{GetCertificate: func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
		if c := certs[hello.ServerName]; c != nil {
			return c, nil
		}
		return nil, errors.New("no such host")
	}}
	s := &Server{}
	plain := start(t, s, oneHost(Refresh{}), "")
	addr := listen(t, s, func(l net.Listener) error { return s.ServeTLS(l, config) })

	for name, cert := range certs {
		pool := x509.NewCertPool()
		pool.AddCert(cert.Leaf)
		conn, err := tls.Dial("tcp", addr, &tls.Config{RootCAs: pool, ServerName: name, NextProtos: []string{"h2", "http/1.1"}})
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if proto := conn.ConnectionState().NegotiatedProtocol; proto != "http/1.1" {
			t.Errorf("%s: ALPN chose %q", name, proto)
		}
		c := &client{t: t, conn: conn, in: bufio.NewReader(conn)}
		c.send(request("GET", "/roster_admin/refresh/updated", "example.com", ""))
		if got := c.receive("GET"); got.status != 200 {
			t.Errorf("%s: %+v", name, got)
		}
		conn.Close()
	}
	if got := ask(t, addr, "GET", "/health", "example.com", ""); got.status != 400 {
		t.Errorf("plain HTTP on the TLS port: %+v, want 400", got)
	}
	if got := ask(t, plain, "GET", "/roster_admin/refresh/updated", "example.com", ""); got.status != 200 {
		t.Errorf("plain HTTP beside TLS: %+v", got)
	}
}

func certificate(t *testing.T, name string) *tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{name}, NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}
}

func TestShutdown(t *testing.T) {
	t.Run("answers a refresh in progress with what it has", func(t *testing.T) {
		called := make(chan struct{})
		s := &Server{}
		addr := start(t, s, oneHost(Refresh{Refresher: refresherFunc(func(ctx context.Context, _ string, names []string) engine.Summary {
			close(called)
			<-ctx.Done()
			return pending(names)
		})}), "")
		c := dial(t, addr)
		c.send(request("GET", "/roster_admin/refresh/alice", "example.com", ""))
		<-called
		ended := make(chan error, 1)
		go func() {
			ctx, cancel := context.WithTimeout(context.Background(), 4*time.Second)
			defer cancel()
			ended <- s.Shutdown(ctx)
		}()
		if got := c.receive("GET"); got.status != 200 || !strings.Contains(got.body, `"pending"`) {
			t.Errorf("answered %+v", got)
		}
		if err := <-ended; err != nil {
			t.Errorf("Shutdown: %v", err)
		}
		if _, err := net.Dial("tcp", addr); err == nil {
			t.Error("still listening")
		}
	})
	t.Run("ends with its context", func(t *testing.T) {
		called, release := make(chan struct{}), make(chan struct{})
		s := &Server{}
		addr := start(t, s, oneHost(Refresh{Refresher: refresherFunc(func(ctx context.Context, _ string, names []string) engine.Summary {
			close(called)
			<-release
			return pending(names)
		})}), "")
		c := dial(t, addr)
		c.send(request("GET", "/roster_admin/refresh/alice", "example.com", ""))
		<-called
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		if err := s.Shutdown(ctx); !errors.Is(err, context.Canceled) {
			t.Errorf("Shutdown: %v, want its context's error", err)
		}
		c.closed()
		close(release)
	})
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}
