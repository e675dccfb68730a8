package httpd

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"time"

	"github.com/julienschmidt/httprouter"
)

// newRoot routes what belongs to the server itself; the rest belongs to a host.
func (s *Server) newRoot() *httprouter.Router {
	root := newRouter()
	get := func(path string, handle httprouter.Handle) {
		root.GET(path, handle)
		root.HEAD(path, handle)
	}
	get("/health", s.health)
	get("/healthz", s.health)
	get("/readyz", s.ready)
	if s.Metrics != nil {
		get("/metrics", s.serveMetrics)
	}
	root.MethodNotAllowed = http.HandlerFunc(s.methodNotAllowed)
	root.NotFound = http.HandlerFunc(s.serveHost)
	return root
}

// newRouter returns a router that answers what it is asked and redirects nobody:
// few of those who post follow a redirect with the body they sent.
func newRouter() *httprouter.Router {
	router := httprouter.New()
	router.RedirectTrailingSlash = false
	router.RedirectFixedPath = false
	return router
}

// ServeHTTP answers one request of any listener.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.setup()
	s.handlers.Add(1)
	defer s.handlers.Done()
	start := time.Now()
	rec := &recorder{ResponseWriter: w, observe: s.Observe}
	r = r.WithContext(r.Context()) // a copy: net/http looks at the body of its own
	r.Body = &requestBody{ReadCloser: r.Body, ended: r.ContentLength == 0}
	r = s.unproxied(r)
	defer s.logAccess(rec, r, start)
	defer rec.answered(http.StatusOK) // what net/http says for a handler that said nothing
	defer s.recoverPanic(rec, r)
	s.root.ServeHTTP(rec, r)
}

func (s *Server) serveHost(w http.ResponseWriter, r *http.Request) {
	table := s.table.Load()
	if meta := table.hostMetaOf(r); meta != nil {
		meta.serve(s, w, r)
		return
	}
	m, rest, why := table.find(r)
	if m == nil {
		s.refuse(w, r, http.StatusNotFound, why)
		return
	}
	routed(w, m.route)
	m.handler.ServeHTTP(w, below(r, m.prefix, rest))
}

func (s *Server) methodNotAllowed(w http.ResponseWriter, r *http.Request) {
	s.refuse(w, r, http.StatusMethodNotAllowed, fmt.Sprintf("%s is not possible here, but %s", r.Method, w.Header().Get("Allow")))
}

// recoverPanic turns a panic into an answer and a log line. An answer that has
// begun cannot be taken back: the connection is aborted, so that nobody takes it
// for complete.
func (s *Server) recoverPanic(rec *recorder, r *http.Request) {
	v := recover()
	if v == nil {
		return
	}
	if err, ok := v.(error); ok && errors.Is(err, http.ErrAbortHandler) {
		panic(v)
	}
	stack := debug.Stack()
	if p, ok := v.(calledPanic); ok {
		v, stack = p.value, p.stack
	}
	s.log().Error("panic while answering an HTTP request",
		"method", r.Method, "host", r.Host, "path", r.URL.Path, "panic", fmt.Sprint(v), "stack", string(stack))
	if rec.status != 0 {
		panic(http.ErrAbortHandler)
	}
	s.refuse(rec, r, http.StatusInternalServerError, "internal error; the server's log has the cause")
}

// calledPanic is a panic of another goroutine on its way to recoverPanic.
type calledPanic struct {
	value any
	stack []byte
}

// logAccess writes no query and no header: they may hold secrets.
func (s *Server) logAccess(rec *recorder, r *http.Request, start time.Time) {
	log := s.log()
	if !log.Enabled(context.Background(), slog.LevelDebug) {
		return
	}
	log.Debug("HTTP request", "method", r.Method, "host", r.Host, "path", r.URL.Path, "route", rec.route, "status", rec.status,
		"bytes", rec.bytes, "duration", time.Since(start), "remote", r.RemoteAddr, "tls", r.TLS != nil)
}

// recorder remembers what was answered. [http.ResponseController] reaches the
// connection through Unwrap, so a mounted handler can hijack it or flush.
type recorder struct {
	http.ResponseWriter
	observe func(route string, status int) // may be nil
	route   string                         // "" for what belongs to nobody
	status  int                            // 0 until the header is written
	bytes   int64
}

// routed tells the recorder behind w who answers.
func routed(w http.ResponseWriter, route string) {
	if rec, ok := w.(*recorder); ok {
		rec.route = route
	}
}

// answered takes the first status as the answer's. It is observed then and not at the end, which for a WebSocket may be
// days later.
func (rec *recorder) answered(status int) {
	if rec.status != 0 {
		return
	}
	rec.status = status
	if rec.observe != nil {
		rec.observe(rec.route, status)
	}
}

func (rec *recorder) Unwrap() http.ResponseWriter { return rec.ResponseWriter }

func (rec *recorder) WriteHeader(status int) {
	if status >= 200 || status == http.StatusSwitchingProtocols {
		rec.answered(status)
	}
	rec.ResponseWriter.WriteHeader(status)
}

func (rec *recorder) Write(p []byte) (int, error) {
	rec.answered(http.StatusOK)
	n, err := rec.ResponseWriter.Write(p)
	rec.bytes += int64(n)
	return n, err
}
