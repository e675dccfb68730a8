package enginetest

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"rosterd/engine"
	"rosterd/engine/addr"
	"rosterd/engine/roster"
)

// TestHTTPBackend is TestBackend for one that fetches the standard JSON form
// over HTTP, and tests what such a one promises besides. newBackend makes one
// for a URL in which %s stands for the username.
func TestHTTPBackend(t *testing.T, newBackend func(t *testing.T, template string) engine.Backend) {
	TestBackend(t, func(t *testing.T, rosters map[string]string) engine.Backend {
		return newBackend(t, Serve(t, rosters).Template())
	})
	for _, p := range httpPromises() {
		t.Run(p.name, func(t *testing.T) {
			s := Serve(t, map[string]string{"romeo": romeo, "juliet": juliet})
			b := newBackend(t, s.Template())
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			if err := p.check(ctx, s, b); err != nil {
				t.Error(err)
			}
		})
	}
	t.Run("usernames in the query", func(t *testing.T) {
		s := Serve(t, ownRosters())
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		if err := checkOwnRosters(ctx, newBackend(t, s.QueryTemplate())); err != nil {
			t.Error(err)
		}
	})
}

const (
	romeo  = `{"juliet@example.com": {"name": "Juliet"}}`
	juliet = `{"romeo@example.com": {"name": "Romeo"}}`
)

// httpPromise is one thing that a backend must do with such a server.
type httpPromise struct {
	name  string
	check func(context.Context, *Server, engine.Backend) error
}

func httpPromises() []httpPromise {
	list := []httpPromise{
		{"one plain request", checkRequest},
		{"usernames are encoded", checkEncoding},
		{"connections are kept", checkKeepAlive},
		{"what changed is seen", checkChange},
		{"revalidation", checkRevalidation},
		{"max-age", checkMaxAge},
		{"retry-after", checkRetryAfter},
		{"a user without an answer holds up nobody else", checkIndependence},
	}
	for _, f := range tolerated {
		list = append(list, httpPromise{"reads " + f.name, f.checkTolerated})
	}
	for _, f := range failures {
		list = append(list, httpPromise{"fails on " + f.name, f.checkFailure})
	}
	for _, f := range hangs {
		list = append(list, httpPromise{"ends with its context on " + f.name, f.checkHang})
	}
	return list
}

type namedFault struct {
	name  string
	fault Fault
}

// tolerated are odd ways to answer that all mean the roster.
var tolerated = []namedFault{
	{"chunks", Chunked},
	{"an answer of HTTP/1.0", HTTP10},
	{"gzip", Gzip},
	{"another content type", func(x *Exchange) { Body("text/html", x.Roster)(x) }},
	{"a byte order mark", func(x *Exchange) { Body("application/json", "\uFEFF"+x.Roster)(x) }},
	{"white space around", func(x *Exchange) { Body("application/json", " \r\n"+x.Roster+"\n\n")(x) }},
	{"301", redirected(http.StatusMovedPermanently)},
	{"302", redirected(http.StatusFound)},
	{"307", redirected(http.StatusTemporaryRedirect)},
	{"308", redirected(http.StatusPermanentRedirect)},
}

// redirected sends everybody to a path with a query first.
func redirected(code int) Fault {
	return func(x *Exchange) {
		if x.Request.URL.RawQuery == "" {
			Redirect(code, x.Request.URL.EscapedPath()+"?moved=1")(x)
		} else {
			x.Serve()
		}
	}
}

// failures are answers that are no roster.
var failures = []namedFault{
	{"201", Status(http.StatusCreated)},
	{"204", Status(http.StatusNoContent)},
	{"304 though it has nothing", Status(http.StatusNotModified)},
	{"301 to nowhere", Status(http.StatusMovedPermanently)},
	{"redirects without end", func(x *Exchange) { Redirect(http.StatusFound, x.Request.URL.EscapedPath())(x) }},
	{"400", Status(http.StatusBadRequest)},
	{"401", Status(http.StatusUnauthorized)},
	{"403", Status(http.StatusForbidden)},
	{"429", Status(http.StatusTooManyRequests)},
	{"500", Status(http.StatusInternalServerError)},
	{"503", Status(http.StatusServiceUnavailable)},
	{"an empty body", Body("application/json", "")},
	{"null", Body("application/json", "null")},
	{"true", Body("application/json", "true")},
	{"a number", Body("application/json", "5")},
	{"a string", Body("application/json", `"juliet@example.com"`)},
	{"an array", Body("application/json", `["juliet@example.com"]`)},
	{"an HTML page", Body("text/html", "<!DOCTYPE html><title>It works!</title>")},
	{"JSON cut short", Body("application/json", `{"juliet@example.com": {"na`)},
	{"trailing garbage", Body("application/json", `{} {`)},
	{"deep nesting", Body("application/json", strings.Repeat(`{"a":`, 100_000))},
	{"gzip that is none", func(x *Exchange) { x.Header().Set("Content-Encoding", "gzip"); x.Serve() }},
	{"another protocol", NotHTTP},
	{"a connection closed", Close},
	{"a connection reset", Reset},
	{"a body cut short", CloseInBody},
	{"a body cut short by a reset", ResetInBody},
	{"a body without end", Endless},
	{"a compressed body without end", EndlessGzip},
}

var hangs = []namedFault{
	{"no answer", Hang},
	{"half an answer", HangInBody},
}

// served fetches and wants the usual roster.
func served(ctx context.Context, b engine.Backend, user, rev string) (engine.Answer, error) {
	ans, err := fetch(ctx, b, user, rev)
	if err != nil {
		return ans, err
	}
	want, _ := roster.New(addr.Bare{}, contact("juliet@example.com", "Juliet"))
	if user == "juliet" {
		want, _ = roster.New(addr.Bare{}, contact("romeo@example.com", "Romeo"))
	}
	return ans, same(ans, want)
}

func (f namedFault) checkTolerated(ctx context.Context, s *Server, b engine.Backend) error {
	s.SetFault("romeo", f.fault)
	_, err := served(ctx, b, "romeo", "")
	return err
}

// checkFailure wants an error that names what was asked for, and no harm done.
func (f namedFault) checkFailure(ctx context.Context, s *Server, b engine.Backend) error {
	s.SetFault("romeo", f.fault)
	ans, err := fetch(ctx, b, "romeo", "")
	switch {
	case err == nil:
		return fmt.Errorf("no error, but a roster of %d contacts, unchanged %v", ans.Roster.Len(), ans.Unchanged)
	case errors.Is(err, engine.ErrUnknownUser):
		return fmt.Errorf("the error is ErrUnknownUser: %w", err)
	case ctx.Err() != nil:
		return fmt.Errorf("only the context ended it: %w", err)
	case !strings.Contains(err.Error(), "/contacts/romeo"):
		return fmt.Errorf("the error does not say which URL failed: %w", err)
	}
	s.SetFault("romeo", nil)
	if _, err := served(ctx, b, "romeo", ""); err != nil {
		return fmt.Errorf("after the failure: %w", err)
	}
	return nil
}

// checkHang ends the context once the server is asked.
func (f namedFault) checkHang(ctx context.Context, s *Server, b engine.Backend) error {
	s.SetFault("romeo", f.fault)
	call, cancel := context.WithCancel(ctx)
	defer cancel()
	var err error
	done := make(chan error, 1)
	go func() {
		_, err := s.WaitRequests(ctx, "romeo", 1)
		cancel()
		done <- err
	}()
	if e := within(ctx, func() { _, err = fetch(call, b, "romeo", "") }); e != nil {
		return e
	}
	if e := <-done; e != nil {
		return e
	}
	if err == nil {
		return errors.New("no error although the context ended before the answer")
	}
	s.SetFault("romeo", nil)
	if _, err := served(ctx, b, "romeo", ""); err != nil {
		return fmt.Errorf("after the hang: %w", err)
	}
	return nil
}

func checkRequest(ctx context.Context, s *Server, b engine.Backend) error {
	if _, err := served(ctx, b, "romeo", ""); err != nil {
		return err
	}
	requests := s.Requests("")
	if len(requests) != 1 {
		return fmt.Errorf("%d requests, want one", len(requests))
	}
	r := requests[0]
	switch accept := r.Header.Get("Accept"); {
	case r.Method != http.MethodGet:
		return fmt.Errorf("method %s, want GET", r.Method)
	case r.Target != "/contacts/romeo":
		return fmt.Errorf("target %s, want /contacts/romeo", r.Target)
	case !strings.Contains(accept, "application/json"):
		return fmt.Errorf("accept %q, want application/json", accept)
	case r.Header.Get("User-Agent") == "":
		return errors.New("no User-Agent")
	case r.Header.Get("If-None-Match") != "" || r.Header.Get("If-Modified-Since") != "":
		return errors.New("a conditional request though nothing is held")
	}
	return nil
}

// checkEncoding wants nothing but unreserved characters and percent-encodings
// in the place of the username (RFC 3986 §2.3).
func checkEncoding(ctx context.Context, s *Server, b engine.Backend) error {
	for _, user := range usernames {
		if _, err := fetch(ctx, b, user, ""); !errors.Is(err, engine.ErrUnknownUser) && user != "romeo" {
			return fmt.Errorf("user %q: %w, want ErrUnknownUser", user, err)
		}
		requests := s.Requests("")
		target := requests[len(requests)-1].Target
		name, ok := strings.CutPrefix(target, "/contacts/")
		plain, err := url.PathUnescape(name)
		if !ok || err != nil || plain != user {
			return fmt.Errorf("user %q is asked for as %q", user, target)
		}
		if i := strings.IndexFunc(name, reserved); i >= 0 {
			return fmt.Errorf("user %q is asked for as %q, with %q as it is", user, target, name[i])
		}
	}
	return nil
}

func reserved(r rune) bool {
	return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune("-._~%", r)
}

// checkKeepAlive wants a connection that is used again. Not each needs to be: net/http gives one up whose writer does not
// come to say within 50 ms that it has written.
func checkKeepAlive(ctx context.Context, s *Server, b engine.Backend) error {
	const most = 50
	conns := make(map[string]bool)
	for range most {
		for _, user := range []string{"romeo", "juliet"} {
			if _, err := served(ctx, b, user, ""); err != nil {
				return err
			}
		}
		for _, r := range s.Requests("") {
			conns[r.Conn] = true
		}
		if len(conns) < len(s.Requests("")) {
			return nil
		}
	}
	return fmt.Errorf("%d connections for as many requests one after the other, want one", len(conns))
}

func checkChange(ctx context.Context, s *Server, b engine.Backend) error {
	if _, err := served(ctx, b, "romeo", ""); err != nil {
		return err
	}
	s.Set("romeo", `{"nurse@example.com": {"name": "Nurse"}}`)
	ans, err := fetch(ctx, b, "romeo", "")
	if err != nil {
		return err
	}
	want, _ := roster.New(addr.Bare{}, contact("nurse@example.com", "Nurse"))
	if err := same(ans, want); err != nil {
		return err
	}
	s.Delete("romeo")
	if _, err := fetch(ctx, b, "romeo", ""); !errors.Is(err, engine.ErrUnknownUser) {
		return fmt.Errorf("after 404: %w, want ErrUnknownUser", err)
	}
	return nil
}

// checkRevalidation: RFC 9110 §13.1.2.
func checkRevalidation(ctx context.Context, s *Server, b engine.Backend) error {
	s.SetETags(true)
	first, err := served(ctx, b, "romeo", "")
	if err != nil {
		return err
	}
	if first.Rev == "" {
		return errors.New("no revision, though the answer has an ETag")
	}
	again, err := fetch(ctx, b, "romeo", first.Rev)
	if err != nil {
		return err
	}
	if r := s.Requests("romeo"); !again.Unchanged || r[len(r)-1].Header.Get("If-None-Match") == "" {
		return fmt.Errorf("given the revision: unchanged %v, If-None-Match %q", again.Unchanged, r[len(r)-1].Header.Get("If-None-Match"))
	}
	s.Set("romeo", `{"nurse@example.com": {"name": "Nurse"}}`)
	ans, err := fetch(ctx, b, "romeo", first.Rev)
	if err != nil {
		return err
	}
	want, _ := roster.New(addr.Bare{}, contact("nurse@example.com", "Nurse"))
	if ans.Rev == first.Rev {
		return errors.New("the revision is the same although the ETag is not")
	}
	return same(ans, want)
}

func checkMaxAge(ctx context.Context, s *Server, b engine.Backend) error {
	for value, want := range map[string]time.Duration{"": 0, "max-age=60": time.Minute, "no-store": 0, "public, max-age=0": 0} {
		s.SetFault("romeo", With("Cache-Control", value))
		ans, err := served(ctx, b, "romeo", "")
		if err != nil {
			return err
		}
		if ans.MaxAge != want {
			return fmt.Errorf("MaxAge is %v after Cache-Control %q, want %v", ans.MaxAge, value, want)
		}
	}
	return nil
}

func checkRetryAfter(ctx context.Context, s *Server, b engine.Backend) error {
	s.SetFault("romeo", Status(http.StatusServiceUnavailable, "Retry-After", "120"))
	_, err := fetch(ctx, b, "romeo", "")
	var temporary *engine.TemporaryError
	if !errors.As(err, &temporary) || temporary.RetryAfter != 2*time.Minute {
		return fmt.Errorf("error %#v, want a TemporaryError with RetryAfter 2 min", err)
	}
	return nil
}

func checkIndependence(ctx context.Context, s *Server, b engine.Backend) error {
	hold, release := Hold()
	defer release()
	s.SetFault("romeo", hold)
	held := make(chan error, 1)
	go func() {
		_, err := served(ctx, b, "romeo", "")
		held <- err
	}()
	if _, err := s.WaitRequests(ctx, "romeo", 1); err != nil {
		return err
	}
	if _, err := served(ctx, b, "juliet", ""); err != nil {
		return fmt.Errorf("while another one waits: %w", err)
	}
	release()
	if err := <-held; err != nil {
		return fmt.Errorf("the one that waited: %w", err)
	}
	return nil
}
