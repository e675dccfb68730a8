// Package httpd is the HTTP(S) server: it finds the VirtualHost a request is for
// and hands the request to what is mounted there, first of all the refresh API
// by which a backend says that rosters changed.
//
// A Server listens on any number of listeners. What it serves is a list of
// [Host] values, given by [Server.SetHosts] and replaced as a whole, so that a
// reload never shows half of a configuration. Whatever answers, nothing of one
// VirtualHost can be reached through the name of another.
//
// The context of a request ends when the client hangs up, as net/http has it, and when Shutdown begins. A handler that
// holds a request (BOSH) or has hijacked its connection (WebSocket) for longer than an answer takes must heed it:
// Shutdown waits for it. What such handlers belong to is best shut down before, so that its streams end with a good-bye.
//
// Only HTTP/1.1 (and 1.0) is spoken: WebSocket and BOSH are defined on it, and
// those who post refreshes gain nothing from HTTP/2.
package httpd

import (
	"context"
	"crypto/tls"
	"log"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/julienschmidt/httprouter"
)

// ErrServerClosed is what Serve and ServeTLS return after Shutdown.
var ErrServerClosed = http.ErrServerClosed

// Server is one HTTP server for several listeners and VirtualHosts. Its zero
// value is ready: it knows no host yet. Fields are set before the first Serve.
type Server struct {
	Log *slog.Logger // nil means slog.Default()

	// Trusted are the proxies whose X-Forwarded-For and X-Forwarded-Proto are believed. Handlers see what they
	// said in RemoteAddr and URL.Scheme of the request. SetPeers changes it.
	Trusted []netip.Prefix

	// Metrics answers GET /metrics to clients of MetricsFrom, which nil makes loopback; SetPeers changes that. Without
	// Metrics the path is like any other.
	Metrics     http.Handler
	MetricsFrom []netip.Prefix

	// PerAddress is how many connections one address may have at a time (IPv6: one /64); 0 means 1,000, less than that any
	// number. Trusted may have any number, and those that were hijacked do not count. SetPerAddress changes it.
	PerAddress int

	// Ready looks at what the server needs, for GET /readyz; nil means nothing. It is not called more than once at a
	// time, nor more than once a second.
	Ready func(context.Context) []Part

	// Observe, if set, is told of every answer when it begins: what answered (the Name of a Mount, "roster_admin",
	// "host-meta", "health", "readyz", "metrics", or "" for what nobody serves) and the status.
	Observe func(route string, status int)

	ReadHeaderTimeout time.Duration // TLS handshake, and request line with header; 0 means 10 s
	ReadTimeout       time.Duration // the whole request with its body; 0 means 30 s
	WriteTimeout      time.Duration // sending one answer of ours; 0 means 30 s
	IdleTimeout       time.Duration // between two requests of a connection; 0 means 2 min
	MaxHeaderBytes    int           // 0 means 16 KiB

	// ConnContext is http.Server's; it may be nil. Requests of a connection come one after the other.
	ConnContext func(context.Context, net.Conn) context.Context

	table atomic.Pointer[table] // nil until SetHosts
	peers atomic.Pointer[peers] // nil until setup

	crowd    crowd
	unsigned room

	draining atomic.Bool // Drain or Shutdown was called
	checks   checks

	once      sync.Once // guards the making of the fields below
	http      *http.Server
	root      *httprouter.Router
	refreshes context.Context // what every call of a Refresher lives under
	cut       context.CancelFunc
	calls     sync.WaitGroup  // of Refreshers
	requests  context.Context // of every request
	interrupt context.CancelFunc
	handlers  sync.WaitGroup // also of connections that were hijacked
}

func (s *Server) setup() {
	s.once.Do(func() {
		s.refreshes, s.cut = context.WithCancel(context.Background())
		s.root = s.newRoot()
		s.requests, s.interrupt = context.WithCancel(context.Background())
		s.setPeers(s.Trusted, s.MetricsFrom)
		s.crowd.most.Store(int64(or(s.PerAddress, defaultPerAddress)))
		s.http = &http.Server{
			Handler:           s,
			ReadHeaderTimeout: or(s.ReadHeaderTimeout, 10*time.Second),
			ReadTimeout:       or(s.ReadTimeout, 30*time.Second),
			IdleTimeout:       or(s.IdleTimeout, 2*time.Minute),
			MaxHeaderBytes:    or(s.MaxHeaderBytes, 16<<10),
			ErrorLog:          log.New(serverLog{s}, "", 0),
			Protocols:         new(http.Protocols),
			ConnState:         s.connection,
			ConnContext:       s.ConnContext,
			BaseContext:       func(net.Listener) context.Context { return s.requests },
		}
		s.http.Protocols.SetHTTP1(true)
	})
}

// Serve answers plain HTTP on l until Shutdown, then returns ErrServerClosed. It
// closes l. It may be called for several listeners at once.
func (s *Server) Serve(l net.Listener) error {
	s.setup()
	return s.http.Serve(l)
}

// ServeTLS is Serve for HTTPS. The certificate is the one that config chooses,
// usually by the name the client asks for (RFC 6066 §3). Where a refresh API
// wants client certificates, the handshake asks for one.
func (s *Server) ServeTLS(l net.Listener, config *tls.Config) error {
	config = config.Clone()
	config.NextProtos = []string{"http/1.1"} // RFC 7301: whoever insists on h2 is told at once
	return s.Serve(tls.NewListener(l, s.askCertificates(config)))
}

// Shutdown closes the listeners, ends the context of every request, waits for all handlers and closes the connections.
// Refreshes that still run when half of ctx's time is over are answered with what they have reached; when ctx ends,
// what is left is cut off and ctx's error returned.
func (s *Server) Shutdown(ctx context.Context) error {
	s.setup()
	s.Drain()
	s.interrupt()
	defer s.cut()
	if deadline, ok := ctx.Deadline(); ok {
		half := time.AfterFunc(time.Until(deadline)/2, s.cut)
		defer half.Stop()
	}
	if err := s.http.Shutdown(ctx); err != nil {
		s.http.Close()
		return err
	}
	s.cut()
	returned := make(chan struct{})
	go func() { defer close(returned); s.handlers.Wait(); s.calls.Wait() }()
	select {
	case <-returned:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (s *Server) log() *slog.Logger {
	if s.Log == nil {
		return slog.Default()
	}
	return s.Log
}

// serverLog takes what net/http has to say. Failed handshakes are what port
// scanners leave behind; the rest (accept errors) an operator must see.
type serverLog struct{ s *Server }

func (l serverLog) Write(line []byte) (int, error) {
	level := slog.LevelWarn
	if strings.HasPrefix(string(line), "http: TLS handshake error") {
		level = slog.LevelDebug
	}
	l.s.log().Log(context.Background(), level, strings.TrimSpace(string(line)))
	return len(line), nil
}

func or[T comparable](value, fallback T) T {
	var zero T
	if value == zero {
		return fallback
	}
	return value
}
