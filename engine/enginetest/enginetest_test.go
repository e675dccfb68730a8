package enginetest

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"rosterd/engine"
	"rosterd/engine/addr"
	"rosterd/engine/roster"
)

// memory is the simplest backend: it has all rosters in it.
type memory map[string]string

func (m memory) Fetch(_ context.Context, r engine.Request) (engine.Answer, error) {
	doc, ok := m[r.User.Local()]
	if !ok {
		return engine.Answer{}, engine.ErrUnknownUser
	}
	decoded, dropped, err := roster.DecodeJSON(r.User, []byte(doc), roster.Limits{})
	return engine.Answer{Roster: decoded, Dropped: dropped}, err
}

// remote is a small HTTP backend; its fields leave out what it should do.
type remote struct {
	template string
	client   *http.Client

	unescaped, deaf, trusting, forgetful bool
	lock                                 *sync.Mutex // held during every request, if there is one
}

func newRemote(t *testing.T, template string) *remote {
	transport := new(http.Transport)
	t.Cleanup(transport.CloseIdleConnections)
	return &remote{template: template, client: &http.Client{Transport: transport}}
}

func (b *remote) Fetch(ctx context.Context, r engine.Request) (engine.Answer, error) {
	if b.lock != nil {
		b.lock.Lock()
		defer b.lock.Unlock()
	}
	if b.deaf {
		ctx = context.WithoutCancel(ctx)
	}
	name := strings.ReplaceAll(url.QueryEscape(r.User.Local()), "+", "%20")
	if b.unescaped {
		name = r.User.Local()
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.ReplaceAll(b.template, "%s", name), nil)
	if err != nil {
		return engine.Answer{}, err
	}
	req.Header.Set("Accept", "application/json")
	rev, conditional := strings.CutPrefix(r.Rev, r.User.String()+" ")
	if conditional {
		req.Header.Set("If-None-Match", rev)
	}
	resp, err := b.client.Do(req)
	if err != nil {
		return engine.Answer{}, err
	}
	defer resp.Body.Close()
	return b.read(r, resp, conditional)
}

func (b *remote) read(r engine.Request, resp *http.Response, conditional bool) (engine.Answer, error) {
	var ans engine.Answer
	if tag := resp.Header.Get("ETag"); tag != "" && !b.forgetful {
		ans.Rev = r.User.String() + " " + tag
	}
	if age, ok := strings.CutPrefix(resp.Header.Get("Cache-Control"), "max-age="); ok {
		seconds, _ := strconv.Atoi(age)
		ans.MaxAge = time.Duration(seconds) * time.Second
	}
	retryAfter, _ := strconv.Atoi(resp.Header.Get("Retry-After"))
	switch {
	case resp.StatusCode == http.StatusOK, b.trusting:
	case resp.StatusCode == http.StatusNotModified && conditional:
		ans.Unchanged = true
		return ans, nil
	case resp.StatusCode == http.StatusNotFound:
		return ans, engine.ErrUnknownUser
	default:
		return ans, &engine.TemporaryError{
			RetryAfter: time.Duration(retryAfter) * time.Second,
			Err:        fmt.Errorf("GET %s: %s", resp.Request.URL, resp.Status),
		}
	}
	body, err := b.body(resp)
	if err == nil {
		ans.Roster, ans.Dropped, err = roster.DecodeJSON(r.User, body, roster.Limits{})
	}
	if err != nil && !b.trusting {
		return ans, fmt.Errorf("GET %s: %w", resp.Request.URL, err)
	}
	return ans, nil
}

func (b *remote) body(resp *http.Response) ([]byte, error) {
	in := io.Reader(resp.Body)
	if resp.Header.Get("Content-Encoding") == "gzip" {
		z, err := gzip.NewReader(in)
		if err != nil {
			return nil, err
		}
		in = z
	}
	const most = 1 << 20
	body, err := io.ReadAll(io.LimitReader(in, most+1))
	if len(body) > most {
		return nil, errors.New("too large")
	}
	return body, err
}

func TestTestBackend(t *testing.T) {
	TestBackend(t, func(_ *testing.T, rosters map[string]string) engine.Backend { return memory(rosters) })
}

func TestTestHTTPBackend(t *testing.T) {
	TestHTTPBackend(t, func(t *testing.T, template string) engine.Backend { return newRemote(t, template) })
}

// A test that cannot fail tests nothing: each of these backends breaks a promise.
func TestBrokenPromisesAreNoticed(t *testing.T) {
	around := func(change func(engine.Request, engine.Answer, error) (engine.Answer, error)) func(memory) engine.Backend {
		return func(m memory) engine.Backend {
			return engine.BackendFunc(func(ctx context.Context, r engine.Request) (engine.Answer, error) {
				ans, err := m.Fetch(ctx, r)
				return change(r, ans, err)
			})
		}
	}
	someoneElse, _ := roster.New(addr.Bare{}, contact("paris@example.com", "Paris"))
	tests := []struct {
		promise string
		backend func(memory) engine.Backend
	}{
		{"each user has his own roster", func(m memory) engine.Backend {
			return engine.BackendFunc(func(ctx context.Context, r engine.Request) (engine.Answer, error) {
				return m.Fetch(ctx, engine.Request{User: bare(strings.Split(r.User.Local(), "#")[0])})
			})
		}},
		{"many calls at once", around(func(r engine.Request, a engine.Answer, err error) (engine.Answer, error) {
			return engine.Answer{Roster: someoneElse}, err
		})},
		{"an unknown user", around(func(_ engine.Request, a engine.Answer, _ error) (engine.Answer, error) { return a, nil })},
		{"an unknown user", around(func(_ engine.Request, a engine.Answer, err error) (engine.Answer, error) {
			if err != nil {
				err = errors.New("404")
			}
			return a, err
		})},
		{"a large roster", around(func(r engine.Request, a engine.Answer, err error) (engine.Answer, error) {
			return engine.Answer{Roster: someoneElse}, err
		})},
		{"whatever the reason", around(func(r engine.Request, a engine.Answer, err error) (engine.Answer, error) {
			if r.Reason == engine.ReasonOtherSide {
				err = errors.New("what is that?")
			}
			return a, err
		})},
		{"a revision is of the roster it came with", around(func(r engine.Request, a engine.Answer, err error) (engine.Answer, error) {
			a.Unchanged = r.Rev != ""
			return a, err
		})},
		{"a revision is of the roster it came with", around(func(r engine.Request, a engine.Answer, err error) (engine.Answer, error) {
			a.Rev, a.Unchanged = r.User.Domain()+a.Roster.Version(), strings.HasPrefix(r.Rev, r.User.Domain())
			return a, err
		})},
		{"a context that has ended", func(m memory) engine.Backend {
			return engine.BackendFunc(func(ctx context.Context, r engine.Request) (engine.Answer, error) {
				if ctx.Err() != nil {
					select {}
				}
				return m.Fetch(ctx, r)
			})
		}},
		{"reads groups as an array", around(func(r engine.Request, a engine.Answer, err error) (engine.Answer, error) {
			a.Roster, _ = roster.New(addr.Bare{}, contact("juliet@example.com", ""))
			return a, err
		})},
		{"reads all but the owner", around(func(r engine.Request, a engine.Answer, err error) (engine.Answer, error) {
			a.Dropped = nil
			return a, err
		})},
	}
	for _, tt := range tests {
		t.Run(tt.promise, func(t *testing.T) {
			for _, p := range promises() {
				if p.name != tt.promise {
					continue
				}
				ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
				defer cancel()
				if err := p.check(ctx, tt.backend(p.rosters)); err == nil {
					t.Error("not noticed")
				}
				return
			}
			t.Fatal("no such promise")
		})
	}
}

func TestBrokenHTTPPromisesAreNoticed(t *testing.T) {
	tests := []struct {
		name   string
		change func(*remote)
		broken []string
	}{
		{"does not encode", func(b *remote) { b.unescaped = true }, []string{"usernames are encoded"}},
		{"does not hear its context", func(b *remote) { b.deaf = true }, []string{"ends with its context on no answer", "ends with its context on half an answer"}},
		{"takes everything for a roster", func(b *remote) { b.trusting = true }, []string{"fails on 500", "fails on 204", "fails on an HTML page", "fails on a body cut short", "fails on 304 though it has nothing"}},
		{"forgets ETags", func(b *remote) { b.forgetful = true }, []string{"revalidation"}},
		{"does not follow redirects", func(b *remote) {
			b.client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
		}, []string{"reads 302"}},
		{"opens connections anew", func(b *remote) { b.client.Transport = &http.Transport{DisableKeepAlives: true} }, []string{"connections are kept"}},
		{"asks one after the other", func(b *remote) { b.lock = new(sync.Mutex) }, []string{"a user without an answer holds up nobody else"}},
		{"asks for another form", func(b *remote) { b.client.Transport = headerRemover{} }, []string{"one plain request"}},
	}
	for _, tt := range tests {
		for _, promise := range tt.broken {
			t.Run(tt.name+"/"+promise, func(t *testing.T) {
				s := Serve(t, map[string]string{"romeo": romeo, "juliet": juliet})
				b := newRemote(t, s.Template())
				tt.change(b)
				for _, p := range httpPromises() {
					if p.name != promise {
						continue
					}
					ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
					defer cancel()
					if err := p.check(ctx, s, b); err == nil {
						t.Error("not noticed")
					}
					return
				}
				t.Fatal("no such promise")
			})
		}
	}
}

type headerRemover struct{}

func (headerRemover) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Del("Accept")
	return http.DefaultTransport.RoundTrip(r)
}

func TestServer(t *testing.T) {
	s := Serve(t, map[string]string{"romeo": romeo})
	get := func(target string, header ...string) (status int, body string, resp *http.Response) {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.URL+target, nil)
		if err != nil {
			t.Fatal(err)
		}
		for i := 0; i+1 < len(header); i += 2 {
			req.Header.Set(header[i], header[i+1])
		}
		resp, err = http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		text, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode, string(text), resp
	}
	wants := func(target string, status int, body string) {
		t.Helper()
		if code, text, _ := get(target); code != status || !strings.Contains(text, body) {
			t.Errorf("GET %s: %d %q, want %d %q", target, code, text, status, body)
		}
	}
	wants("/contacts/romeo", 200, romeo)
	wants("/contacts?user=romeo", 200, romeo)
	wants("/contacts/%72omeo", 200, romeo)
	wants("/contacts/juliet", 404, "")
	wants("/elsewhere", 404, "")
	wants("/contacts", 404, "")

	s.Set("j/ü", juliet)
	wants("/contacts/j%2F%C3%BC", 200, juliet)
	s.Delete("j/ü")
	wants("/contacts/j%2F%C3%BC", 404, "")

	s.SetFault("", Status(503))
	s.SetFault("romeo", With("X-Extra", "1"))
	wants("/contacts/juliet", 503, "503 Service Unavailable")
	if _, body, resp := get("/contacts/romeo"); body != romeo || resp.Header.Get("X-Extra") != "1" {
		t.Errorf("With: %q %v", body, resp.Header)
	}
	s.SetFault("romeo", nil)
	wants("/contacts/romeo", 503, "")
	s.SetFault("", nil)

	s.SetETags(true)
	_, _, resp := get("/contacts/romeo")
	if code, body, _ := get("/contacts/romeo", "If-None-Match", resp.Header.Get("ETag")); code != 304 || body != "" {
		t.Errorf("with its ETag: %d %q", code, body)
	}
	s.Set("romeo", juliet)
	if code, _, _ := get("/contacts/romeo", "If-None-Match", resp.Header.Get("ETag")); code != 200 {
		t.Errorf("with an old ETag: %d", code)
	}

	requests := s.Requests("j/ü")
	if len(requests) != 2 || requests[0].Target != "/contacts/j%2F%C3%BC" || requests[0].Method != "GET" || requests[0].Header.Get("User-Agent") == "" {
		t.Errorf("requests are %+v", requests)
	}
	if all := s.Requests(""); len(all) != 12 {
		t.Errorf("%d requests, want 12", len(all))
	}
}

func TestHold(t *testing.T) {
	s := Serve(t, map[string]string{"romeo": romeo})
	hold, release := Hold()
	s.SetFault("romeo", hold)
	answers := make(chan string, 2)
	for range 2 {
		go func() {
			resp, err := http.Get(s.URL + "/contacts/romeo")
			if err != nil {
				answers <- err.Error()
				return
			}
			defer resp.Body.Close()
			body, _ := io.ReadAll(resp.Body)
			answers <- string(body)
		}()
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if _, err := s.WaitRequests(ctx, "romeo", 2); err != nil {
		t.Fatal(err)
	}
	select {
	case a := <-answers:
		t.Fatalf("answered %q before the release", a)
	default:
	}
	release()
	release()
	for range 2 {
		if a := <-answers; a != romeo {
			t.Errorf("answered %q", a)
		}
	}
}

func TestWaitRequestsEndsWithItsContext(t *testing.T) {
	s := Serve(t, nil)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.WaitRequests(ctx, "romeo", 1); !errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), `0 of 1 requests for "romeo"`) {
		t.Errorf("WaitRequests: %v", err)
	}
}

// Close ends also what hangs, and leaves no goroutine.
func TestServerCloseEndsHangs(t *testing.T) {
	s, err := Listen("127.0.0.1:0", map[string]string{"romeo": romeo})
	if err != nil {
		t.Fatal(err)
	}
	failed := make(chan error, 2)
	for user, f := range map[string]Fault{"romeo": HangInBody, "juliet": Hang} {
		s.SetFault(user, f)
		go func() {
			resp, err := http.Get(s.URL + "/contacts/" + user)
			if err == nil {
				_, err = io.Copy(new(bytes.Buffer), resp.Body)
				resp.Body.Close()
			}
			failed <- err
		}()
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if _, err := s.WaitRequests(ctx, "", 2); err != nil {
		t.Fatal(err)
	}
	s.Close()
	for range 2 {
		if err := <-failed; err == nil {
			t.Error("a request that hung was answered")
		}
	}
}

func TestListenSaysWhere(t *testing.T) {
	if _, err := Listen("192.0.2.1:0", nil); err == nil || !strings.Contains(err.Error(), "192.0.2.1") {
		t.Errorf("Listen: %v", err)
	}
}
