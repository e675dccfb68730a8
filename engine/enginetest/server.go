package enginetest

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
)

// Server is a backend: it serves rosters over HTTP at /contacts/USERNAME and at
// /contacts?user=USERNAME. It remembers every request, and misbehaves where it
// is told to. All its methods may be called at any time.
type Server struct {
	// URL is "http://ADDRESS", without a path.
	URL string

	http  *http.Server
	ended chan struct{} // closed when http.Serve has returned
	calls sync.WaitGroup

	mu       sync.Mutex        // guards the fields below
	rosters  map[string]string // by username, as JSON
	faults   map[string]Fault
	etags    bool
	requests []Request
	news     chan struct{} // closed and replaced when requests grows
}

// Request is a request that a Server got.
type Request struct {
	User   string // percent-decoded
	Method string
	Target string // of the request line, as it was sent
	Header http.Header
	Conn   string // tells connections apart
}

// Listen starts a Server on a TCP address such as "127.0.0.1:0". Close ends it.
func Listen(address string, rosters map[string]string) (*Server, error) {
	l, err := net.Listen("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("sample backend: %w", err)
	}
	s := &Server{
		URL:     "http://" + l.Addr().String(),
		ended:   make(chan struct{}),
		rosters: make(map[string]string),
		faults:  make(map[string]Fault),
		news:    make(chan struct{}),
	}
	for user, roster := range rosters {
		s.rosters[user] = roster
	}
	s.http = &http.Server{Handler: http.HandlerFunc(s.serve)}
	go func() {
		defer close(s.ended)
		_ = s.http.Serve(l) // ErrServerClosed, or what Close makes of it
	}()
	return s, nil
}

// Serve starts a Server on a loopback port for the time of a test.
func Serve(t testing.TB, rosters map[string]string) *Server {
	t.Helper()
	s, err := Listen("127.0.0.1:0", rosters)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

// Close stops listening, closes all connections and waits for their end.
func (s *Server) Close() {
	_ = s.http.Close()
	<-s.ended
	s.calls.Wait()
}

// Template is what http_roster_url is set to.
func (s *Server) Template() string { return s.URL + "/contacts/%s" }

// QueryTemplate is the same with the username in the query.
func (s *Server) QueryTemplate() string { return s.URL + "/contacts?user=%s" }

// Set makes roster, in the standard JSON form or anything else, what is served
// for user.
func (s *Server) Set(user, roster string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rosters[user] = roster
}

// Delete makes user unknown: 404.
func (s *Server) Delete(user string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.rosters, user)
}

// SetETags makes answers carry an ETag, and requests with a matching
// If-None-Match be answered with 304 (RFC 9110 §13.1.2).
func (s *Server) SetETags(on bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.etags = on
}

// SetFault makes f answer all requests for user from now on, "" standing for
// every user who has none of his own; nil ends it. Requests in progress go on as
// they have begun.
func (s *Server) SetFault(user string, f Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if f == nil {
		delete(s.faults, user)
	} else {
		s.faults[user] = f
	}
}

// Requests returns the requests for user so far, "" standing for all.
func (s *Server) Requests(user string) []Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.of(user)
}

// of needs s.mu.
func (s *Server) of(user string) []Request {
	return slices.DeleteFunc(slices.Clone(s.requests), func(r Request) bool { return user != "" && r.User != user })
}

// WaitRequests returns when n requests for user have arrived since the Server
// started, "" standing for all users. They need not be answered yet.
func (s *Server) WaitRequests(ctx context.Context, user string, n int) ([]Request, error) {
	for {
		s.mu.Lock()
		requests, news := s.of(user), s.news
		s.mu.Unlock()
		if len(requests) >= n {
			return requests, nil
		}
		select {
		case <-news:
		case <-ctx.Done():
			return requests, fmt.Errorf("%d of %d requests for %q came: %w", len(requests), n, user, ctx.Err())
		}
	}
}

func (s *Server) serve(w http.ResponseWriter, r *http.Request) {
	s.calls.Add(1)
	defer s.calls.Done()
	user, ok := username(r)
	if !ok {
		http.NotFound(w, r)
		return
	}
	s.mu.Lock()
	s.requests = append(s.requests, Request{User: user, Method: r.Method, Target: r.RequestURI, Header: r.Header.Clone(), Conn: r.RemoteAddr})
	close(s.news)
	s.news = make(chan struct{})
	roster, known := s.rosters[user]
	fault := s.faults[user]
	if fault == nil {
		fault = s.faults[""]
	}
	x := &Exchange{ResponseWriter: w, Request: r, Roster: roster, known: known, etag: s.etags}
	s.mu.Unlock()
	if fault != nil {
		fault(x)
	} else {
		x.Serve()
	}
}

func username(r *http.Request) (user string, ok bool) {
	if r.URL.Path == "/contacts" {
		return r.URL.Query().Get("user"), r.URL.Query().Has("user")
	}
	return strings.CutPrefix(r.URL.Path, "/contacts/")
}

// Exchange is one request while it is being answered.
type Exchange struct {
	http.ResponseWriter
	Request *http.Request
	Roster  string // of the user, as it was when the request came
	known   bool
	etag    bool
}

// Serve answers as if there were no fault.
func (x *Exchange) Serve() {
	if !x.known {
		http.NotFound(x, x.Request)
		return
	}
	header := x.Header()
	header.Set("Content-Type", "application/json")
	if x.etag {
		sum := sha256.Sum256([]byte(x.Roster))
		tag := `"` + hex.EncodeToString(sum[:8]) + `"`
		header.Set("ETag", tag)
		if x.Request.Header.Get("If-None-Match") == tag {
			x.WriteHeader(http.StatusNotModified)
			return
		}
	}
	_, _ = x.Write([]byte(x.Roster)) // an error means that the client has gone
}

// takeOver gives the connection to do, and closes it.
func (x *Exchange) takeOver(do func(*net.TCPConn)) {
	conn, _, err := http.NewResponseController(x.ResponseWriter).Hijack()
	if err != nil {
		panic(err) // HTTP/1 connections of our own listener can be hijacked
	}
	tcp, ok := conn.(*net.TCPConn)
	if !ok {
		panic(errors.New("sample backend: not a TCP connection"))
	}
	defer tcp.Close()
	do(tcp)
}
