package plugins

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/fstest"
	"testing/iotest"
	"time"
	"unicode/utf8"
)

// What the defaults are.
const (
	maxAnswer = 16 << 20
	maxConns  = 16
)

// open gives the services that a plugin with these options gets, after it has read its option url.
func open(t *testing.T, values map[string]any) *services {
	t.Helper()
	return openWithin(t, values, Limits{})
}

func openWithin(t *testing.T, values map[string]any, lim Limits) *services {
	t.Helper()
	var got *services
	m := &Manager{
		Version: "1.2",
		Shipped: fstest.MapFS{"mod_test.code": {Data: []byte("x")}},
		Log:     slog.New(slog.DiscardHandler),
		Limits:  func(string) Limits { return lim },
		Engines: map[string]Opener{".code": func(_ context.Context, _ Source, _ Host, o *Options, svc Services) (Plugin, error) {
			o.Get("url")
			got = svc.(*services)
			return nil, nil
		}},
	}
	if _, err := m.Open(t.Context(), "test", "example.com", config(values)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(got.Close)
	return got
}

func get(t *testing.T, svc Services, url string) *HTTPResponse {
	t.Helper()
	res, err := svc.HTTP(t.Context(), HTTPRequest{URL: url})
	if err != nil {
		t.Fatal(err)
	}
	return res
}

// server answers with h and hands over what it was asked.
func server(t *testing.T, h http.HandlerFunc) (base string, asked chan *http.Request) {
	asked = make(chan *http.Request, 100)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked <- r
		h(w, r)
	}))
	t.Cleanup(srv.Close)
	return srv.URL, asked
}

func TestRequestHeader(t *testing.T) {
	base, asked := server(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(204) })
	svc := open(t, map[string]any{
		"url":                     base + "/%s",
		"rosterd_backend_headers": map[string]any{"x-api-key": "geheim", "Host": "crm.example"},
	})
	withUser := strings.Replace(base, "http://", "http://jim:p%40ss@", 1)
	res, err := svc.HTTP(t.Context(), HTTPRequest{URL: withUser + "/a%2Fb?c=%20", Header: http.Header{"Accept": {"text/csv"}}})
	if err != nil {
		t.Fatal(err)
	}
	r := <-asked
	for name, want := range map[string]string{
		"User-Agent": "rosterd/1.2", "Accept": "text/csv", "Accept-Encoding": "gzip", "X-Api-Key": "geheim",
		"Authorization": "Basic amltOnBAc3M=", "Content-Length": "", "If-None-Match": "",
	} {
		if got := r.Header.Get(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	if r.Method != "GET" || r.RequestURI != "/a%2Fb?c=%20" || r.Host != "crm.example" {
		t.Errorf("%s %s of %s", r.Method, r.RequestURI, r.Host)
	}
	if want := "GET " + base + "/a%2Fb?c=%20 → 204 No Content"; res.String() != want {
		t.Errorf("response is %q, want %q", res, want)
	}
	get(t, svc, base)
	if r := <-asked; r.Header.Get("Accept") != "application/json" || r.Header.Get("Authorization") != "" {
		t.Errorf("without userinfo: %v", r.Header)
	}
}

func TestRequestBody(t *testing.T) {
	base, _ := server(t, func(w http.ResponseWriter, r *http.Request) {
		var b bytes.Buffer
		_, _ = b.ReadFrom(r.Body)
		fmt.Fprintf(w, "%s %s %q", r.Method, r.Header.Get("Content-Type"), b.String())
	})
	svc := open(t, map[string]any{"url": base})
	res, err := svc.HTTP(t.Context(), HTTPRequest{Method: "POST", URL: base, Header: http.Header{"content-type": {"text/plain"}}, Body: []byte("hi")})
	if err != nil || string(res.Body) != `POST text/plain "hi"` {
		t.Errorf("%q, %v", res.Body, err)
	}
	if _, err := svc.HTTP(t.Context(), HTTPRequest{Method: "POST", URL: base, Body: make([]byte, maxRequest+1)}); err == nil {
		t.Error("a request of any size passes")
	}
}

func TestCompression(t *testing.T) {
	zip := func(s string) []byte {
		var b bytes.Buffer
		z := gzip.NewWriter(&b)
		_, _ = z.Write([]byte(s))
		_ = z.Close()
		return b.Bytes()
	}
	tests := []struct {
		name, encoding string
		body           []byte
		status         int
		want, err      string
	}{
		{"plain", "", []byte("text"), 200, "text", ""},
		{"identity", "identity", []byte("text"), 200, "text", ""},
		{"gzip", "gzip", zip("text"), 200, "text", ""},
		{"x-gzip", "X-GZIP", zip("text"), 200, "text", ""},
		{"gzip of nothing", "gzip", nil, 200, "", ""},
		{"gzip without a body", "gzip", nil, 204, "", ""},
		{"not gzip", "gzip", []byte("this is text"), 200, "", "in the body of a 200 answer: gzip: invalid header"},
		{"cut short", "gzip", zip("text")[:12], 200, "", "unexpected EOF"},
		{"bomb", "gzip", zip(strings.Repeat("x", maxAnswer+1)), 200, "", "larger than 16 MiB, the limit for an answer"},
		{"up to the limit", "gzip", zip(strings.Repeat("x", maxAnswer)), 200, strings.Repeat("x", maxAnswer), ""},
		{"brotli", "br", []byte("text"), 200, "", `content encoding "br", which was not asked for`},
		{"twice", "gzip, gzip", zip(string(zip("text"))), 200, "", `content encoding "gzip, gzip"`},
	}
	for _, tt := range tests {
		for _, ask := range []string{"gzip", "identity"} { // some compress whatever they are asked
			t.Run(tt.name+", asked for "+ask, func(t *testing.T) {
				base, _ := server(t, func(w http.ResponseWriter, _ *http.Request) {
					if tt.encoding != "" {
						w.Header().Set("Content-Encoding", tt.encoding)
					}
					w.WriteHeader(tt.status)
					_, _ = w.Write(tt.body)
				})
				svc := open(t, map[string]any{"url": base})
				res, err := svc.HTTP(t.Context(), HTTPRequest{URL: base + "/x", Header: http.Header{"Accept-Encoding": {ask}}})
				if tt.err != "" {
					if err == nil || !strings.Contains(err.Error(), tt.err) || !strings.HasPrefix(err.Error(), "GET "+base+"/x: ") {
						t.Fatalf("error %v, want %q", err, tt.err)
					}
					return
				}
				if err != nil || string(res.Body) != tt.want {
					t.Errorf("%.20q, %v", res.Body, err)
				}
			})
		}
	}
}

func TestAnswerTooLarge(t *testing.T) {
	for name, length := range map[string]string{"announced": fmt.Sprint(maxAnswer + 1), "chunked": ""} {
		t.Run(name, func(t *testing.T) {
			base, _ := server(t, func(w http.ResponseWriter, _ *http.Request) {
				if length != "" {
					w.Header().Set("Content-Length", length)
				}
				for range maxAnswer>>20 + 1 {
					if _, err := w.Write(make([]byte, 1<<20)); err != nil {
						return
					}
				}
			})
			_, err := open(t, map[string]any{"url": base}).HTTP(t.Context(), HTTPRequest{URL: base})
			if err == nil || !strings.Contains(err.Error(), "larger than 16 MiB") {
				t.Errorf("error %v", err)
			}
		})
	}
}

// TestReadUpTo: answers of all sizes, however they come, and what they cost.
func TestReadUpTo(t *testing.T) {
	const limit = 5 << 20
	all := make([]byte, limit+1)
	for i := range all {
		all[i] = byte(i * 7 >> 3)
	}
	broken := errors.New("broken")
	for _, n := range []int{0, 1, 4<<10 - 1, 4 << 10, 4<<10 + 1, 12 << 10, 1 << 20, 1<<20 + 1, limit - 1, limit, limit + 1} {
		for name, src := range map[string]func() io.Reader{
			"at once":    func() io.Reader { return bytes.NewReader(all[:n]) },
			"bit by bit": func() io.Reader { return iotest.HalfReader(iotest.DataErrReader(bytes.NewReader(all[:n]))) },
		} {
			for _, claimed := range []int{-1, n, 0, limit} {
				got, err := readUpTo(src(), int64(claimed), limit, growing(t.Context()))
				if n > limit && (err == nil || !strings.Contains(err.Error(), "larger than 5 MiB")) || n <= limit && (err != nil || !bytes.Equal(got, all[:n])) {
					t.Errorf("%d bytes %s, claimed %d: %d bytes, %v", n, name, claimed, len(got), err)
				}
			}
			if n <= limit {
				if _, err := readUpTo(io.MultiReader(src(), iotest.ErrReader(broken)), -1, limit, growing(t.Context())); err != broken {
					t.Errorf("%d bytes %s: error %v", n, name, err)
				}
			}
		}
	}
	allocated := testing.AllocsPerRun(10, func() {
		if _, err := readUpTo(bytes.NewReader(all[:1000]), 1000, limit, growing(t.Context())); err != nil {
			t.Error(err)
		}
	})
	if allocated > 4 {
		t.Errorf("a small answer of known size takes %v allocations", allocated)
	}
}

func TestAnswerLimitOfTheHost(t *testing.T) {
	base, _ := server(t, func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, strings.Repeat("x", len(r.URL.Path))) })
	svc := openWithin(t, map[string]any{"url": base}, Limits{Answer: 10})
	if res := get(t, svc, base+"/123456789"); len(res.Body) != 10 {
		t.Errorf("body of %d bytes", len(res.Body))
	}
	if _, err := svc.HTTP(t.Context(), HTTPRequest{URL: base + "/1234567890"}); err == nil || !strings.Contains(err.Error(), "larger than 10 bytes, the limit for an answer") {
		t.Errorf("error %v", err)
	}
}

func TestRedirects(t *testing.T) {
	var base string
	handler := func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/relative":
			http.Redirect(w, r, "end", http.StatusMovedPermanently)
		case "/absolute":
			http.Redirect(w, r, base+"/end", http.StatusFound)
		case "/303":
			http.Redirect(w, r, "/end", http.StatusSeeOther)
		case "/307":
			http.Redirect(w, r, "/relative", http.StatusTemporaryRedirect)
		case "/308":
			http.Redirect(w, r, "/307", http.StatusPermanentRedirect)
		case "/4th":
			http.Redirect(w, r, "/308", http.StatusFound)
		case "/loop":
			http.Redirect(w, r, "/loop", http.StatusFound)
		case "/nowhere":
			w.WriteHeader(http.StatusFound)
		case "/ftp":
			http.Redirect(w, r, "ftp://localhost/", http.StatusFound)
		default:
			fmt.Fprint(w, r.URL.Path)
		}
	}
	base, _ = server(t, handler)
	svc := open(t, map[string]any{"url": base})
	for path, want := range map[string]string{
		"/relative": "200 /end", "/absolute": "200 /end", "/303": "200 /end", "/307": "200 /end", "/308": "200 /end",
		"/nowhere": "302 ",
	} {
		res := get(t, svc, base+path)
		if got := fmt.Sprintf("%d %s", res.Status, res.Body); got != want {
			t.Errorf("%s: %s, want %s", path, got, want)
		}
		if res.URL != base+path {
			t.Errorf("%s: the response names %s", path, res.URL)
		}
	}
	for path, want := range map[string]string{
		"/4th": "more than 3 redirects", "/loop": "more than 3 redirects", "/ftp": "no HTTP URL",
	} {
		if _, err := svc.HTTP(t.Context(), HTTPRequest{URL: base + path}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", path, err, want)
		}
	}
	if res, err := svc.HTTP(t.Context(), HTTPRequest{Method: "POST", URL: base + "/relative", Body: []byte("x")}); err != nil || res.Status != 301 {
		t.Errorf("a POST is not sent elsewhere: %v, %v", res, err)
	}
}

// Credentials go to the server that they are for and to no other, even where a redirect leads there.
func TestRedirectKeepsCredentials(t *testing.T) {
	other, askedOther := server(t, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "other") })
	base, asked := server(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/here":
			http.Redirect(w, r, "/end", http.StatusFound)
		case "/there":
			http.Redirect(w, r, strings.Replace(other, "http://", "http://mallory:x@", 1)+"/end", http.StatusFound)
		}
	})
	svc := open(t, map[string]any{"url": base, "rosterd_backend_headers": map[string]any{"X-Api-Key": "geheim"}, "rosterd_plugin_http_allow": []any{other}})
	ask := func(path string) {
		t.Helper()
		_, err := svc.HTTP(t.Context(), HTTPRequest{
			URL: strings.Replace(base, "http://", "http://jim:secret@", 1) + path, Header: http.Header{"X-Token": {"own"}},
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	const all = "Basic amltOnNlY3JldA== geheim own"
	sent := func(r *http.Request) string {
		return strings.TrimSpace(r.Header.Get("Authorization") + " " + r.Header.Get("X-Api-Key") + " " + r.Header.Get("X-Token"))
	}
	ask("/here")
	for range 2 {
		if got := sent(<-asked); got != all {
			t.Errorf("at home: %q, want %q", got, all)
		}
	}
	ask("/there")
	if got := sent(<-asked); got != all {
		t.Errorf("at home: %q, want %q", got, all)
	}
	r := <-askedOther
	if got := sent(r); got != "" {
		t.Errorf("elsewhere: %q", got)
	}
	if r.Header.Get("Accept") != "application/json" || r.Header.Get("User-Agent") != "rosterd/1.2" {
		t.Errorf("elsewhere: %v", r.Header)
	}
}

// A redirect does not open what else listens on a machine that a script may ask, unless somebody allows it.
func TestRedirectToAnotherPort(t *testing.T) {
	g := &guard{own: map[string]bool{}, allowed: map[string]bool{}, hosts: map[string]bool{}}
	g.learn("http://crm.example:8080/%s")
	if err := g.allow("hr.example"); err != nil {
		t.Fatal(err)
	}
	from, err := url.Parse("http://crm.example:8080/a")
	if err != nil {
		t.Fatal(err)
	}
	for to, public := range map[string]bool{
		"http://crm.example:8080/b": false, "http://crm.example/b": false, "https://crm.example/b": false, "https://crm.example:443/": false,
		"http://crm.example:9200/": true, "https://crm.example:8443/": true, "http://hr.example:9200/": false, "http://other.example/": true,
	} {
		u, err := url.Parse(to)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := g.redirect(from, u); err != nil || got != public {
			t.Errorf("to %s: public only %v, %v", to, got, err)
		}
	}
	g.ports = true
	if got, err := g.redirect(from, &url.URL{Scheme: "http", Host: "crm.example:9200"}); err != nil || got {
		t.Errorf("for what came with rosterd: public only %v, %v", got, err)
	}
}

func TestRedirectNotDownToPlainHTTP(t *testing.T) {
	plainURL, asked := server(t, func(http.ResponseWriter, *http.Request) {})
	srv := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, plainURL, http.StatusFound)
	}))
	defer srv.Close()
	svc := open(t, map[string]any{"url": srv.URL})
	svc.client.transport.TLSClientConfig = srv.Client().Transport.(*http.Transport).TLSClientConfig
	if _, err := svc.HTTP(t.Context(), HTTPRequest{URL: srv.URL}); !errors.Is(err, ErrRefused) {
		t.Errorf("error %v, want a refusal", err)
	}
	if len(asked) > 0 {
		t.Error("the plain server was asked")
	}
}

// A server on a public network must not make us ask its neighbours in ours.
func TestRedirectIntoOurNetwork(t *testing.T) {
	inside, asked := server(t, func(http.ResponseWriter, *http.Request) {})
	g := &guard{own: map[string]bool{}, allowed: map[string]bool{}, hosts: map[string]bool{}}
	g.learn("https://backend.example.net/%s")
	from, _ := url.Parse("http://backend.example.net/x")
	to, _ := url.Parse(inside)
	public, err := g.redirect(from, to)
	if err != nil || !public {
		t.Fatalf("public %v, %v", public, err)
	}
	g.learn(inside) // so that the request itself may go there, and only the address is wrong
	c := newHTTPClient("x", nil, g, Limits{}.withDefaults())
	defer c.transport.CloseIdleConnections()
	_, err = c.do(context.WithValue(t.Context(), publicOnly{}, true), HTTPRequest{URL: inside})
	if !errors.Is(err, ErrRefused) || !strings.Contains(err.Error(), "no public address") {
		t.Errorf("error %v", err)
	}
	if len(asked) > 0 {
		t.Error("the server inside was asked")
	}
}

func TestPublicAddresses(t *testing.T) {
	for s, want := range map[string]bool{
		"93.184.216.34:80": true, "[2606:2800:220:1::1]:80": true,
		"127.0.0.1:80": false, "[::1]:80": false, "[::ffff:127.0.0.1]:80": false, "10.1.2.3:80": false, "192.168.0.1:80": false,
		"172.16.0.1:80": false, "169.254.169.254:80": false, "100.64.0.1:80": false, "0.0.0.0:80": false, "[fe80::1]:80": false,
		"[fd00::1]:80": false, "224.0.0.1:80": false, "[::ffff:10.0.0.1]:80": false, "no address": false,
	} {
		err := control(context.WithValue(t.Context(), publicOnly{}, true), "tcp", s, nil)
		if (err == nil) != want {
			t.Errorf("%s: %v, want public %v", s, err, want)
		}
		if err := control(t.Context(), "tcp", s, nil); err != nil {
			t.Errorf("%s without a redirect: %v", s, err)
		}
	}
}

// What a plugin asks for is named in errors, as far as it fits there.
func TestErrorsAreShort(t *testing.T) {
	long := strings.Repeat("x", 50_000)
	for name, r := range map[string]HTTPRequest{
		"host":     {URL: "http://" + long + "/"},
		"scheme":   {URL: long + ":"},
		"escape":   {URL: "http://%" + long + "/"},
		"path":     {URL: "http://one.example/" + long + "?{{secret:" + long + "}}"},
		"method":   {URL: "http://one.example/", Method: long},
		"field":    {URL: "http://one.example/", Header: http.Header{long + "\n": {""}}},
		"no UTF-8": {URL: "http://" + strings.Repeat("\u00e4", 50_000) + "/"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := open(t, map[string]any{"url": "http://one.example/"}).HTTP(t.Context(), r)
			if err == nil || len(err.Error()) > maxReason+3 || !utf8.ValidString(err.Error()) {
				t.Fatalf("%.100v of %d bytes", err, len(fmt.Sprint(err)))
			}
			if name == "host" && !errors.Is(err, ErrRefused) {
				t.Errorf("the reason is lost: %v", err)
			}
		})
	}
}

func TestOnlyServersThatTheOperatorNamed(t *testing.T) {
	values := map[string]any{
		"url":                       []any{"http://one.example:8080/%s", map[string]any{"x": "https://two.example/p%20q"}, "http://bad host/"},
		"unread":                    "http://three.example/",
		"rosterd_backend_headers":   map[string]any{"Referer": "http://four.example/"},
		"rosterd_plugin_http_allow": []any{"five.example", "https://six.example:8443", "[2001:db8::1]"},
	}
	g := open(t, values).client.guard
	for u, want := range map[string]bool{
		"http://one.example:8080/": true, "http://ONE.example:8080/": true, "http://one.example/": false, "https://one.example:8080/": false,
		"https://two.example/": true, "https://two.example:443/": true, "http://three.example/": false, "http://four.example/": false,
		"http://five.example/": true, "https://five.example:1/": true, "https://six.example:8443/": true, "https://six.example/": false,
		"http://localhost/": false, "http://[2001:db8::1]:99/": true,
	} {
		p, err := url.Parse(u)
		if err != nil {
			t.Fatal(err)
		}
		if err := g.first(p); (err == nil) != want || err != nil && !errors.Is(err, ErrRefused) {
			t.Errorf("%s: %v, want allowed %v", u, err, want)
		}
	}
}

func TestBadServiceOptions(t *testing.T) {
	m := &Manager{Engines: map[string]Opener{".code": nil}, Shipped: fstest.MapFS{"mod_test.code": {}}}
	for name, tt := range map[string]struct {
		option string
		value  any
		err    string
	}{
		"headers as text":    {"rosterd_backend_headers", "X-Api-Key: geheim", "a string where a table such as"},
		"headers as a list":  {"rosterd_backend_headers", []any{"X-Api-Key: geheim"}, "a list where a table such as"},
		"header in a header": {"rosterd_backend_headers", map[string]any{"X-Key": "geheim\r\nX-Evil: 1"}, "X-Key holds a line break"},
		"bad name":           {"rosterd_backend_headers", map[string]any{"X Key": "geheim"}, "is no name of an HTTP header field"},
		"framing":            {"rosterd_backend_headers", map[string]any{"content-length": "geheim"}, "Content-Length is not for plugins to set"},
		"value of no text":   {"rosterd_backend_headers", map[string]any{"X-Key": true}, "the value of X-Key is a boolean"},
		"allow a path":       {"rosterd_plugin_http_allow", "http://a.example/x", "neither a host name nor"},
		"allow a pattern":    {"rosterd_plugin_http_allow", "a.example:80", "neither a host name nor"},
		"allow a table":      {"rosterd_plugin_http_allow", map[string]any{"a": "b"}, "a table with names"},
	} {
		_, err := m.Open(t.Context(), "test", "example.com", config(map[string]any{tt.option: tt.value}))
		if err == nil || !strings.Contains(err.Error(), tt.err) || !strings.Contains(err.Error(), "prosody.cfg.lua:7: option "+tt.option) {
			t.Errorf("%s: error %v, want %q", name, err, tt.err)
		}
		if err != nil && strings.Contains(err.Error(), "geheim") {
			t.Errorf("%s: the error shows a secret: %v", name, err)
		}
	}
}

func TestErrorsHideCredentials(t *testing.T) {
	base, _ := server(t, func(w http.ResponseWriter, r *http.Request) {
		panic(http.ErrAbortHandler)
	})
	svc := open(t, map[string]any{"url": base, "rosterd_backend_headers": map[string]any{"Authorization": "Bearer geheim"}})
	for _, u := range []string{
		strings.Replace(base, "http://", "http://jim:geheim@", 1) + "/x", // cut off
		"http://jim:geheim@[::1/x", "http://jim:geheim@host:port/", "http://jim:geheim@elsewhere.example/", "gopher://jim:geheim@host/",
	} {
		_, err := svc.HTTP(t.Context(), HTTPRequest{URL: u})
		if err == nil || strings.Contains(err.Error(), "geheim") || strings.Contains(err.Error(), "jim") {
			t.Errorf("%s: %v", u, err)
		}
	}
	_, err := svc.HTTP(t.Context(), HTTPRequest{URL: base, Header: http.Header{"X-Token": {"geheim\n"}}})
	if err == nil || strings.Contains(err.Error(), "geheim") {
		t.Errorf("bad header: %v", err)
	}
}

func TestRevalidation(t *testing.T) {
	const modified = "Sat, 21 Nov 2026 10:00:00 GMT"
	for name, validator := range map[string][3]string{
		"ETag":          {"ETag", `"v 1&=+"`, "If-None-Match"},
		"weak ETag":     {"ETag", `W/"1"`, "If-None-Match"},
		"Last-Modified": {"Last-Modified", modified, "If-Modified-Since"},
	} {
		t.Run(name, func(t *testing.T) {
			base, asked := server(t, func(w http.ResponseWriter, r *http.Request) {
				if r.Header.Get(validator[2]) == validator[1] {
					w.WriteHeader(http.StatusNotModified)
					return
				}
				w.Header().Set(validator[0], validator[1])
				fmt.Fprint(w, "text")
			})
			svc := open(t, map[string]any{"url": base})
			first := get(t, svc, base+"/a")
			if first.Status != 200 || first.Revision == "" {
				t.Fatalf("%s with revision %q", first, first.Revision)
			}
			again := func(path, rev string) *HTTPResponse {
				res, err := svc.HTTP(t.Context(), HTTPRequest{URL: base + path, Revision: rev})
				if err != nil {
					t.Fatal(err)
				}
				return res
			}
			if res := again("/a", first.Revision); res.Status != 304 || res.Revision != first.Revision {
				t.Errorf("%s with revision %q, want 304 with %q", res, res.Revision, first.Revision)
			}
			if res := again("/b", first.Revision); res.Status != 200 {
				t.Errorf("%s: the revision of another URL counts", res)
			}
			if res := again("/a", "nonsense%zz"); res.Status != 200 {
				t.Errorf("%s after a broken revision", res)
			}
			for range len(asked) {
				<-asked
			}
		})
	}
	for name, h := range map[string]http.Header{
		"none":             {},
		"no date":          {"Last-Modified": {"yesterday"}},
		"a very long ETag": {"Etag": {`"` + strings.Repeat("x", 2000) + `"`}},
	} {
		if rev := revision("http://localhost/", h); rev != "" {
			t.Errorf("%s: revision %q", name, rev)
		}
	}
}

func TestFreshness(t *testing.T) {
	const century = 1 << 31 * time.Second
	for name, tt := range map[string]struct {
		h    http.Header
		want Freshness
	}{
		"nothing said":       {http.Header{}, Freshness{}},
		"max-age":            {http.Header{"Cache-Control": {"private, Max-Age=60"}}, Freshness{MaxAge: time.Minute}},
		"two fields":         {http.Header{"Cache-Control": {"private", `max-age="60"`}}, Freshness{MaxAge: time.Minute}},
		"spaces":             {http.Header{"Cache-Control": {"max-age = 60 , stale-if-error = 5"}}, Freshness{MaxAge: time.Minute, StaleIfError: 5 * time.Second, Bounded: true}},
		"on its way already": {http.Header{"Cache-Control": {"max-age=60"}, "Age": {"20"}}, Freshness{MaxAge: 40 * time.Second}},
		"too old":            {http.Header{"Cache-Control": {"max-age=60"}, "Age": {"90"}}, Freshness{}},
		"no-cache":           {http.Header{"Cache-Control": {"max-age=60, no-cache"}}, Freshness{}},
		"no-store":           {http.Header{"Cache-Control": {"no-store, max-age=60"}}, Freshness{}},
		"PHP with a session": {http.Header{"Cache-Control": {"no-cache, must-revalidate"}, "Expires": {"Thu, 19 Nov 1981 08:52:00 GMT"}, "Pragma": {"no-cache"}}, Freshness{}},
		"must-revalidate":    {http.Header{"Cache-Control": {"max-age=60, must-revalidate"}}, Freshness{MaxAge: time.Minute}},
		"stale-if-error":     {http.Header{"Cache-Control": {"max-age=60, stale-if-error=86400"}}, Freshness{MaxAge: time.Minute, StaleIfError: 24 * time.Hour, Bounded: true}},
		"never stale":        {http.Header{"Cache-Control": {"stale-if-error=0"}}, Freshness{Bounded: true}},
		"nonsense":           {http.Header{"Cache-Control": {"max-age=soon, stale-if-error, stale-if-error=later"}}, Freshness{}},
		"negative":           {http.Header{"Cache-Control": {"max-age=-5, stale-if-error=-5"}}, Freshness{}},
		"huge":               {http.Header{"Cache-Control": {"max-age=18446744073709551615"}}, Freshness{MaxAge: century}},
		"beyond huge":        {http.Header{"Cache-Control": {"max-age=99999999999999999999999999"}}, Freshness{MaxAge: century}},
	} {
		r := &HTTPResponse{Header: tt.h}
		if got := r.Freshness(); got != tt.want {
			t.Errorf("%s: %+v, want %+v", name, got, tt.want)
		}
	}
}

func FuzzFreshness(f *testing.F) {
	for _, s := range []string{"", "max-age=60, stale-if-error=86400", `private, max-age="5", no-store`, "max-age=99999999999999999999,,=,stale-if-error"} {
		f.Add(s, "20")
	}
	f.Fuzz(func(t *testing.T, control, age string) {
		r := &HTTPResponse{Header: http.Header{"Cache-Control": {control}, "Age": {age}}}
		if got := r.Freshness(); got.MaxAge < 0 || got.StaleIfError < 0 || got.StaleIfError > 0 && !got.Bounded {
			t.Errorf("%q, age %q: %+v", control, age, got)
		}
	})
}

func TestRetryAfter(t *testing.T) {
	now := time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)
	for name, tt := range map[string]struct {
		value string
		want  time.Duration
	}{
		"nothing said":   {"", 0},
		"seconds":        {"120", 2 * time.Minute},
		"at a date":      {"Sun, 22 Nov 2026 10:01:30 GMT", 90 * time.Second},
		"at a past date": {"Sun, 22 Nov 2026 09:00:00 GMT", 0},
		"nonsense":       {"soon", 0},
		"negative":       {"-5", 0},
	} {
		r := &HTTPResponse{Header: http.Header{"Retry-After": {tt.value}}}
		if got := r.RetryAfter(now); got != tt.want {
			t.Errorf("%s: %v, want %v", name, got, tt.want)
		}
	}
}

// Connections are kept, and there are never more than maxConns to one server.
func TestConnectionPool(t *testing.T) {
	var now, most atomic.Int64
	conns := make(chan struct{}, 1000)
	release := make(chan struct{})
	arrived := make(chan struct{}, 1000)
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n := now.Add(1)
		defer now.Add(-1)
		for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
		}
		arrived <- struct{}{}
		<-release
	}))
	srv.Config.ConnState = func(_ net.Conn, s http.ConnState) {
		if s == http.StateNew {
			conns <- struct{}{}
		}
	}
	srv.Start()
	defer srv.Close()
	svc := open(t, map[string]any{"url": srv.URL})
	const calls = 5 * maxConns
	done := make(chan error, calls)
	for range calls {
		go func() {
			_, err := svc.HTTP(t.Context(), HTTPRequest{URL: srv.URL})
			done <- err
		}()
	}
	for range maxConns {
		<-arrived
	}
	close(release)
	for range calls {
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	}
	if n := most.Load(); n != maxConns {
		t.Errorf("%d requests at a time, want %d", n, maxConns)
	}
	if n := len(conns); n != maxConns {
		t.Errorf("%d connections for %d requests, want %d", n, calls, maxConns)
	}
}

// A server that has closed a connection which was kept alive is asked again on a new one.
func TestKeptConnectionIsGone(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				r := bufio.NewReader(c)
				if _, err := http.ReadRequest(r); err == nil {
					fmt.Fprint(c, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
				}
				_, _ = http.ReadRequest(r) // and no answer
			}()
		}
	}()
	base := "http://" + l.Addr().String()
	svc := open(t, map[string]any{"url": base})
	for range 5 {
		if res := get(t, svc, base); string(res.Body) != "{}" {
			t.Errorf("%s: %q", res, res.Body)
		}
	}
}

// A server that restarts is asked once more, for what only reads.
func TestBrokenConnections(t *testing.T) {
	for _, tt := range []struct {
		name   string
		r      HTTPRequest
		breaks []string // what becomes of the first connections; those after them are answered
		hurry  bool     // the call has no time for a pause
		asked  int
		err    string
	}{
		{name: "reset", breaks: []string{"reset"}, asked: 2},
		{name: "reset after the request", breaks: []string{"read, reset"}, asked: 2},
		{name: "closed after the request", breaks: []string{"read, close"}, asked: 2},
		{name: "refused", breaks: []string{"refuse"}, asked: 2},
		{name: "HEAD", r: HTTPRequest{Method: http.MethodHead}, breaks: []string{"reset"}, asked: 2},
		{name: "not for ever", breaks: []string{"reset", "refuse"}, asked: 2, err: "connection refused"},
		{name: "nothing that writes", r: HTTPRequest{Method: http.MethodPost, Body: []byte("{}")}, breaks: []string{"read, close"}, asked: 1, err: "EOF"},
		{name: "no time left", breaks: []string{"refuse"}, hurry: true, asked: 1, err: "connection refused"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			breaks := make(chan string, len(tt.breaks)+1)
			go answerAll(l, breaks)
			tt.r.URL = "http://" + l.Addr().String()
			svc := open(t, map[string]any{"url": tt.r.URL})
			var asked atomic.Int64
			dial := svc.client.transport.DialContext
			svc.client.transport.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
				n := int(asked.Add(1))
				switch {
				case n > len(tt.breaks):
					breaks <- "answer"
				case tt.breaks[n-1] == "refuse":
					return nil, &net.OpError{Op: "dial", Net: network, Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)}
				default:
					breaks <- tt.breaks[n-1]
				}
				return dial(ctx, network, address)
			}
			if tt.hurry {
				svc.client.pause = time.Hour
			}
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			res, err := svc.HTTP(ctx, tt.r)
			if tt.err == "" && (err != nil || res.Status != http.StatusOK) || tt.err != "" && (err == nil || !strings.Contains(err.Error(), tt.err)) {
				t.Errorf("%v, %v; want %q", res, err, tt.err)
			}
			if n := int(asked.Load()); n != tt.asked {
				t.Errorf("%d connections, want %d", n, tt.asked)
			}
		})
	}
}

// answerAll breaks connections as it is told, and answers the others.
func answerAll(l net.Listener, breaks <-chan string) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		how := <-breaks
		if how != "reset" {
			_, _ = http.ReadRequest(bufio.NewReader(c))
		}
		switch {
		case strings.HasSuffix(how, "reset"):
			_ = c.(*net.TCPConn).SetLinger(0)
		case how == "answer":
			fmt.Fprint(c, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
		}
		c.Close()
	}
}

func TestCallsEndWithTheirContext(t *testing.T) {
	started := make(chan struct{}, 10)
	base, _ := server(t, func(_ http.ResponseWriter, r *http.Request) {
		started <- struct{}{}
		<-r.Context().Done()
	})
	svc := open(t, map[string]any{"url": base})
	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-started; cancel() }()
	if _, err := svc.HTTP(ctx, HTTPRequest{URL: base}); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	ctx, cancel = context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := svc.HTTP(ctx, HTTPRequest{URL: base}); !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "no answer in time") {
		t.Errorf("deadline: %v", err)
	}
}
