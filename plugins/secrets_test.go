package plugins

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"
)

// outside gives the services of a plugin that does not ship with rosterd, after it has read its option url.
func outside(t *testing.T, values map[string]any) *services {
	t.Helper()
	m, dir := manager(t, map[string]string{"one/mod_crm.lua": "x"})
	_ = dir
	var got *services
	m.Engines[".lua"] = func(_ context.Context, _ Source, _ Host, o *Options, svc Services) (Plugin, error) {
		o.Get("url")
		got = svc.(*services)
		return Nothing{}, nil
	}
	if _, err := m.Open(t.Context(), "crm", "example.com", config(values)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(got.Close)
	return got
}

const token = "s3cret/t+ken" // of which a URL needs another form

func TestSecrets(t *testing.T) {
	base, asked := server(t, func(http.ResponseWriter, *http.Request) {})
	svc := outside(t, map[string]any{
		"url": base, "rosterd_plugin_secrets": map[string]any{"crm_token": token, "a.b-c": "{{secret:crm_token}}", "s": "x"},
	})
	for _, tt := range []struct {
		name      string
		query     string
		header    string
		body      string
		wantQuery string
		wantField string
	}{
		{name: "none", query: "?a=b", header: "x", wantQuery: "a=b", wantField: "x"},
		{name: "in a header field", header: "Bearer {{secret:crm_token}}", wantField: "Bearer " + token},
		{name: "in the query", query: "?a=b&t={{secret:crm_token}}&c=%20", wantQuery: "a=b&t=s3cret%2Ft%2Bken&c=%20"},
		{name: "in both, often", query: "?{{secret:s}}={{secret:s}}{{secret:crm_token}}", header: "{{secret:s}}{{secret:s}}", wantQuery: "x=xs3cret%2Ft%2Bken", wantField: "xx"},
		{name: "a secret that looks like one", header: "{{secret:a.b-c}}", wantField: "{{secret:crm_token}}"},
		{name: "a body stays as it is", body: "{{secret:crm_token}}"},
		{name: "other braces", query: "?a={{x}}", header: "{secret:s}} {{ secret:s }}", wantQuery: "a={{x}}", wantField: "{secret:s}} {{ secret:s }}"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := HTTPRequest{Method: "POST", URL: base + "/x" + tt.query, Header: http.Header{"X-Token": {tt.header}}, Body: []byte(tt.body)}
			res, err := svc.HTTP(t.Context(), r)
			if err != nil {
				t.Fatal(err)
			}
			got := <-asked
			if got.URL.RawQuery != tt.wantQuery || got.Header.Get("X-Token") != tt.wantField {
				t.Errorf("sent %s with %q, want %s with %q", got.URL.RawQuery, got.Header.Get("X-Token"), tt.wantQuery, tt.wantField)
			}
			if res.URL != r.URL || r.Header.Get("X-Token") != tt.header {
				t.Errorf("the plugin sees %s and %q", res.URL, r.Header)
			}
		})
	}
}

// TestSecretsRefused: nothing is sent, and what is wrong is said.
func TestSecretsRefused(t *testing.T) {
	base, asked := server(t, func(http.ResponseWriter, *http.Request) {})
	other, askedOther := server(t, func(http.ResponseWriter, *http.Request) {})
	svc := outside(t, map[string]any{"url": base, "rosterd_plugin_secrets": map[string]any{"crm_token": token, "line": "a\nbbbbbbbbb"}})
	for _, tt := range []struct{ name, url, header, want string }{
		{"unknown in a header field", base, "{{secret:crm}}", `header field X-Token: there is no secret "crm" in rosterd_plugin_secrets`},
		{"unknown in the query", base + "?a={{secret:CRM_TOKEN}}", "", `there is no secret "CRM_TOKEN" in rosterd_plugin_secrets`},
		{"no name", base, "{{secret:}}", `there is no secret ""`},
		{"not closed", base, "{{secret:crm_token}", "{{secret: without }} after the name"},
		{"not closed, after one that is", base + "?a={{secret:crm_token}}{{secret:", "", "{{secret: without }} after the name"},
		{"in the path", base + "/{{secret:crm_token}}", "", "in the query of a URL and in the value of a header field only"},
		{"in the fragment", base + "/#{{secret:crm_token}}", "", "in the query of a URL and in the value of a header field only"},
		{"as a password", strings.Replace(base, "://", "://jim:%7B%7Bsecret:crm_token%7D%7D@", 1), "", "in the query of a URL and in the value of a header field only"},
		{"with a line break", base, "{{secret:line}}", "the value of header field X-Token holds a line break"},
		{"to a server that nobody named", other, "{{secret:crm_token}}", "refused by policy"},
		{"to one that nobody named, unknown", other, "{{secret:nothing}}", "refused by policy"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := svc.HTTP(t.Context(), HTTPRequest{URL: tt.url, Header: http.Header{"x-token": {tt.header}}})
			if err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), token) || strings.Contains(err.Error(), "bbb") {
				t.Errorf("error %v, want %q", err, tt.want)
			}
			if len(asked)+len(askedOther) > 0 {
				t.Error("something was sent")
			}
		})
	}
}

// TestSecretsAllowedServer: those that rosterd_plugin_http_allow names get secrets too.
func TestSecretsAllowedServer(t *testing.T) {
	base, asked := server(t, func(http.ResponseWriter, *http.Request) {})
	svc := outside(t, map[string]any{"rosterd_plugin_http_allow": base, "rosterd_plugin_secrets": map[string]any{"t": token}})
	if _, err := svc.HTTP(t.Context(), HTTPRequest{URL: base, Header: http.Header{"X-Token": {"{{secret:t}}"}}}); err != nil {
		t.Fatal(err)
	}
	if got := (<-asked).Header.Get("X-Token"); got != token {
		t.Errorf("sent %q", got)
	}
}

// TestSecretsStayAtHome: a redirect to another server takes none along, and the way back does not bring them back.
func TestSecretsStayAtHome(t *testing.T) {
	var home, away string
	away, askedAway := server(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/back" {
			http.Redirect(w, r, home+"/end?from=away", http.StatusFound)
		}
	})
	home, asked := server(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/near":
			http.Redirect(w, r, "/end?"+r.URL.RawQuery, http.StatusFound)
		case "/away":
			http.Redirect(w, r, away+"/end", http.StatusFound)
		case "/back":
			http.Redirect(w, r, away+"/back", http.StatusFound)
		case "/theft":
			http.Redirect(w, r, away+"/end?"+r.URL.RawQuery, http.StatusFound)
		}
	})
	svc := outside(t, map[string]any{
		"url": home, "rosterd_plugin_http_allow": away, "rosterd_plugin_secrets": map[string]any{"t": token}, "rosterd_backend_headers": map[string]any{"X-Key": "key"},
	})
	sent := func(asked chan *http.Request) (list []string) {
		for range len(asked) {
			r := <-asked
			list = append(list, strings.TrimSpace(fmt.Sprintln(r.URL.Path, r.URL.Query().Get("t"), r.Header.Get("X-Token"), r.Header.Get("X-Key"))))
		}
		return list
	}
	const all = " " + token + " " + token + " key"
	for _, tt := range []struct {
		path, err  string
		home, away []string
	}{
		{path: "/near", home: []string{"/near" + all, "/end" + all}},
		{path: "/away", home: []string{"/away" + all}, away: []string{"/end"}},
		{path: "/back", home: []string{"/back" + all, "/end"}, away: []string{"/back"}},
		{path: "/theft", home: []string{"/theft" + all}, err: "refused by policy: redirect to another server"},
	} {
		t.Run(tt.path, func(t *testing.T) {
			res, err := svc.HTTP(t.Context(), HTTPRequest{URL: home + tt.path + "?t={{secret:t}}", Header: http.Header{"X-Token": {"{{secret:t}}"}}, Redirects: 3})
			if tt.err == "" && err != nil || tt.err != "" && (err == nil || !strings.Contains(err.Error(), tt.err)) {
				t.Errorf("error %v, want %q", err, tt.err)
			}
			if err != nil && strings.Contains(err.Error(), "s3cret") || res != nil && strings.Contains(fmt.Sprint(res), "s3cret") {
				t.Errorf("the plugin sees it: %v, %v", res, err)
			}
			if got := sent(asked); !slices.Equal(got, tt.home) {
				t.Errorf("home was sent %q, want %q", got, tt.home)
			}
			if got := sent(askedAway); !slices.Equal(got, tt.away) {
				t.Errorf("another server was sent %q, want %q", got, tt.away)
			}
		})
	}
}

// TestSecretsAreNotRepeated: servers that say what they were sent do not tell plugins.
func TestSecretsAreNotRepeated(t *testing.T) {
	base, _ := server(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Was", r.Header.Get("X-Token"))
		w.Header().Set("ETag", `"`+r.Header.Get("X-Token")+`"`)
		w.Header().Set("Location", "/x?"+r.URL.RawQuery)
		w.WriteHeader(http.StatusFound)
		fmt.Fprintf(w, "wrong token %s in %s; short: x", r.Header.Get("X-Token"), r.URL)
	})
	svc := outside(t, map[string]any{"url": base, "rosterd_plugin_secrets": map[string]any{"t": token, "short": "x"}})
	res, err := svc.HTTP(t.Context(), HTTPRequest{URL: base + "/?t={{secret:t}}", Header: http.Header{"X-Token": {"{{secret:t}}"}, "X-Short": {"{{secret:short}}"}}})
	if err != nil {
		t.Fatal(err)
	}
	if all := fmt.Sprint(res, res.Header, string(res.Body), res.Revision); strings.Contains(all, "s3cret") {
		t.Errorf("the plugin sees %s", all)
	}
	if want := "wrong token {{secret:t}} in /?t={{secret:t}}; short: x"; string(res.Body) != want {
		t.Errorf("body %q, want %q", res.Body, want)
	}
	if got := res.Header.Get("Location"); got != "/x?t={{secret:t}}" {
		t.Errorf("Location %q", got)
	}
}

// TestCredentialsAreNotRepeated: what goes along with every request is not the plugin's to know either, and a server may
// remember what an earlier one brought.
func TestCredentialsAreNotRepeated(t *testing.T) {
	const basic = "am9objp0MHBzM2NyM3Q=" // john:t0ps3cr3t
	var before string
	base, _ := server(t, func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "%s|%v", before, r.Header)
		before = r.Header.Get("X-Sign")
	})
	svc := outside(t, map[string]any{
		"url": base, "rosterd_plugin_secrets": map[string]any{"t": token},
		"rosterd_backend_headers": map[string]any{"Authorization": "Basic " + basic, "X-Api-Key": "another/s3cret", "X-Tenant": "example.com", "Host": "backend.example.com"},
	})
	r := HTTPRequest{URL: base, Header: http.Header{"X-Sign": {"{{secret:t}}"}}}
	for range 2 {
		res, err := svc.HTTP(t.Context(), r)
		if err != nil {
			t.Fatal(err)
		}
		if got := string(res.Body); strings.Contains(got, "s3cret") || strings.Contains(got, basic) || !strings.Contains(got, "example.com") {
			t.Errorf("the plugin sees %s", got)
		}
		r.Header = nil
	}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { // as PHP writes JSON
		fmt.Fprintf(w, `{"key":"%s"}`, strings.ReplaceAll(r.Header.Get("X-Api-Key"), "/", `\/`))
	}))
	defer srv.Close()
	svc = outside(t, map[string]any{"url": srv.URL, "rosterd_backend_headers": map[string]any{"X-Api-Key": "another/s3cret"}})
	if res, err := svc.HTTP(t.Context(), HTTPRequest{URL: srv.URL}); err != nil || strings.Contains(string(res.Body), "s3cret") {
		t.Errorf("%v, %v", res, err)
	}
}

// TestRequestsNobodyMayMake: another name than the URL's would have a server that serves many hand the secrets to
// whoever owns that one, and TRACE is there to repeat them.
func TestRequestsNobodyMayMake(t *testing.T) {
	base, asked := server(t, func(http.ResponseWriter, *http.Request) {})
	svc := outside(t, map[string]any{"url": base, "rosterd_backend_headers": map[string]any{"Host": "backend.example"}})
	for want, r := range map[string]HTTPRequest{
		"header field Host":  {Header: http.Header{"Host": {"mallory.example"}}},
		"header field host":  {Header: http.Header{"host": {"mallory.example"}}},
		"method TRACE":       {Method: "TRACE"},
		"method CONNECT":     {Method: "CONNECT"},
		"method track":       {Method: "track"},
		"header field Prox":  {Header: http.Header{"Proxy-Authorization": {"x"}}},
		"header field Upgra": {Header: http.Header{"Upgrade": {"h2c"}}},
	} {
		r.URL = base
		if _, err := svc.HTTP(t.Context(), r); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "not for plugins") {
			t.Errorf("%s: %v", want, err)
		}
	}
	if len(asked) > 0 {
		t.Fatal("the server was asked")
	}
	if _, err := svc.HTTP(t.Context(), HTTPRequest{URL: base}); err != nil || (<-asked).Host != "backend.example" {
		t.Errorf("the operator's own name: %v", err)
	}
}

// TestErrorsHideSecrets: whatever goes wrong on the way.
func TestErrorsHideSecrets(t *testing.T) {
	var loop string
	mux := http.NewServeMux()
	mux.HandleFunc("/loop", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "/loop?"+r.URL.RawQuery, http.StatusFound)
	})
	mux.HandleFunc("/down", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "ftp://x/?"+r.URL.RawQuery, http.StatusFound)
	})
	mux.HandleFunc("/cut", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
	mux.HandleFunc("/encoding", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Encoding", r.Header.Get("X-Token"))
	})
	srv := httptest.NewServer(mux)
	defer srv.Close()
	srv.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	loop = srv.URL
	svc := outside(t, map[string]any{"url": loop, "rosterd_plugin_secrets": map[string]any{"t": token}})
	for _, path := range []string{"/loop", "/down", "/cut", "/encoding"} {
		_, err := svc.HTTP(t.Context(), HTTPRequest{URL: loop + path + "?t={{secret:t}}", Header: http.Header{"X-Token": {"{{secret:t}}"}}, Redirects: 2})
		if err == nil || strings.Contains(err.Error(), "s3cret") || !strings.Contains(err.Error(), "{{secret:t}}") {
			t.Errorf("%s: %v", path, err)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 0)
	defer cancel()
	_, err := svc.HTTP(ctx, HTTPRequest{URL: loop + "/loop?t={{secret:t}}"})
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("out of time: %v", err)
	}
	var u used
	u.add("t", token)
	if err := u.error(fmt.Errorf("%s: %w", token, io.ErrUnexpectedEOF)); !errors.Is(err, io.ErrUnexpectedEOF) || err.Error() != "{{secret:t}}: unexpected EOF" || errors.Unwrap(err) != nil {
		t.Errorf("error %#v", err)
	}
}

func TestBadSecrets(t *testing.T) {
	m := &Manager{Engines: map[string]Opener{".code": nil}, Shipped: fstest.MapFS{"mod_test.code": {}}}
	for name, tt := range map[string]struct {
		value any
		want  string
	}{
		"text":   {"geheim", "a string where a table such as { crm_token"},
		"number": {map[string]any{"a": int64(5)}, "the value of a is a number, not a string"},
		"empty":  {map[string]any{"a": ""}, "a is empty"},
		"braces": {map[string]any{"a}}": "geheim"}, `"a}}" is no name of a secret`},
	} {
		_, err := m.Open(t.Context(), "test", "example.com", config(map[string]any{"rosterd_plugin_secrets": tt.value}))
		if err == nil || !strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), "prosody.cfg.lua:7: option rosterd_plugin_secrets") || strings.Contains(err.Error(), "geheim") {
			t.Errorf("%s: error %v, want %q", name, err, tt.want)
		}
	}
}

// TestSecretsInTemplates: the operator's URL has them where a request may.
func TestSecretsInTemplates(t *testing.T) {
	tmpl, err := ParseURLTemplate("http://localhost/%s?t={{secret:t}}&x={y}")
	if err != nil {
		t.Fatal(err)
	}
	if got, err := tmpl.Fill("{{secret:t}}"); err != nil || got != "http://localhost/%7B%7Bsecret%3At%7D%7D?t={{secret:t}}&x=%7By%7D" {
		t.Errorf("%s, %v", got, err)
	}
	for _, s := range []string{"http://localhost/{{secret:t}}/%s", "http://localhost/%s#{{secret:t}}"} {
		if _, err := ParseURLTemplate(s); !errors.Is(err, errMisplaced) {
			t.Errorf("%s: %v", s, err)
		}
	}
}

// TestServerSecrets: no plugin reads what only the server is to know.
func TestServerSecrets(t *testing.T) {
	m, _ := manager(t, map[string]string{"one/mod_crm.lua": "x"})
	m.Secret = func(name string) bool { return name == "rosterd_other" }
	values := map[string]any{"crm_token": "own", "rosterd_roster_items": int64(5)}
	hidden := []string{"rosterd_backend_headers", "rosterd_plugin_secrets", "rosterd_refresh_token", "rosterd_refresh_hmac_secret", "rosterd_other"}
	for _, name := range hidden {
		values[name] = map[string]any{"X": "geheim"}
	}
	m.Engines[".lua"] = func(_ context.Context, _ Source, _ Host, o *Options, svc Services) (Plugin, error) {
		for _, name := range hidden {
			if v, ok := o.Get(name); v != nil || ok {
				t.Errorf("%s is %v", name, v)
			}
			for getter, read := range map[string]func() error{
				"string": func() error { _, _, err := o.String(name); return err }, "number": func() error { _, _, err := o.Number(name); return err },
				"array": func() error { _, _, err := o.Array(name); return err }, "set": func() error { _, _, err := o.Set(name); return err },
				"period": func() error { _, _, err := o.Period(name); return err }, "enum": func() error { _, _, err := o.Enum(name, "x"); return err },
				"refused": func() error { return o.Refused(name) },
			} {
				if err := read(); err == nil || !strings.Contains(err.Error(), "option "+name+": it is a secret of the server") || strings.Contains(err.Error(), "geheim") {
					t.Errorf("%s of %s: %v", getter, name, err)
				}
			}
		}
		if v, ok := o.Get("crm_token"); v != "own" || !ok || o.Refused("crm_token") != nil {
			t.Errorf("crm_token is %v", v)
		}
		if n, ok, err := o.Integer("rosterd_roster_items"); n != 5 || !ok || err != nil {
			t.Errorf("rosterd_roster_items is %v, %v", n, err)
		}
		if got := o.Read(); !slices.Equal(got, []string{"crm_token", "rosterd_roster_items"}) {
			t.Errorf("read %q", got)
		}
		return fake{svc: svc}, nil
	}
	p, err := m.Open(t.Context(), "crm", "example.com", config(values))
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	if NewOptions(config(values)).Refused("rosterd_refresh_token") == nil { // as in a process of its own
		t.Error("not refused without a manager")
	}
}

// TestRedirectsWhenAsked: of a plugin from outside.
func TestRedirectsWhenAsked(t *testing.T) {
	base, asked := server(t, func(w http.ResponseWriter, r *http.Request) {
		if n := len(r.URL.Path); n > 1 {
			http.Redirect(w, r, r.URL.Path[:n-1], http.StatusFound)
		}
	})
	svc := outside(t, map[string]any{"url": base})
	for _, tt := range []struct {
		path   string
		follow int
		want   string
		sent   int
	}{
		{"/", 0, "200", 1}, {"/1", 0, "302", 1}, {"/1", 1, "200", 2}, {"/123", 3, "200", 4},
		{"/12", 1, "more than 1 redirects, the last to " + base + "/", 2}, {"/1234", 3, "more than 3 redirects", 4},
		{"/1", 4, "beyond a limit: 4 redirects, which may be 0 to 3", 0}, {"/1", -1, "beyond a limit: -1 redirects", 0},
	} {
		t.Run(fmt.Sprint(tt.path, tt.follow), func(t *testing.T) {
			res, err := svc.HTTP(t.Context(), HTTPRequest{URL: base + tt.path, Redirects: tt.follow})
			got := fmt.Sprint(err)
			if err == nil {
				got = fmt.Sprint(res.Status)
			}
			if !strings.Contains(got, tt.want) || len(asked) != tt.sent {
				t.Errorf("%s after %d requests, want %s after %d", got, len(asked), tt.want, tt.sent)
			}
			for range len(asked) {
				<-asked
			}
		})
	}
}

func TestRequestLimits(t *testing.T) {
	base, asked := server(t, func(http.ResponseWriter, *http.Request) {})
	svc := outside(t, map[string]any{"url": base})
	for name, tt := range map[string]struct {
		r    HTTPRequest
		want string
	}{
		"body":     {HTTPRequest{Method: "POST", Body: make([]byte, maxRequest+1)}, "beyond a limit: a body of 262145 bytes, more than 256 KiB"},
		"header":   {HTTPRequest{Header: http.Header{"X": {strings.Repeat("x", maxHead)}}}, "beyond a limit: URL and header of "},
		"timeout":  {HTTPRequest{Timeout: -time.Second}, "a timeout of -1s"},
		"the most": {HTTPRequest{Method: "POST", Body: make([]byte, maxRequest), Timeout: time.Minute}, ""},
	} {
		tt.r.URL = base
		_, err := svc.HTTP(t.Context(), tt.r)
		if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("%s: %v, want %q", name, err, tt.want)
		}
	}
	if len(asked) != 1 {
		t.Errorf("%d requests were sent", len(asked))
	}
}

// TestRequestTimeout: one that takes too long ends alone, the call goes on.
func TestRequestTimeout(t *testing.T) {
	release := make(chan struct{})
	base, _ := server(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/slow" {
			<-release
		}
	})
	defer close(release)
	svc := outside(t, map[string]any{"url": base})
	_, err := svc.HTTP(t.Context(), HTTPRequest{URL: base + "/slow", Timeout: time.Millisecond})
	if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "no answer in time") {
		t.Errorf("error %v", err)
	}
	get(t, svc, base+"/fast")
}

func FuzzSecrets(f *testing.F) {
	for _, s := range []string{"", "x", "{{secret:a}}", "{{secret:a}}{{secret:b}}", "{{secret:a", "{{secret:{{secret:a}}}}", "{{secret:zz}}", "?t={{secret:a}}&u=%zz", "}}{{"} {
		f.Add(s)
	}
	s := secrets{"a": "geheimnis", "b": "{{secret:a}}"}
	f.Fuzz(func(t *testing.T, text string) {
		var use used
		plain, err := s.into(text, func(v string) string { return v }, &use)
		if err != nil {
			if strings.Contains(err.Error(), "geheimnis") && !strings.Contains(text, "geheimnis") {
				t.Errorf("%q: the error shows a secret: %v", text, err)
			}
			return
		}
		if !strings.Contains(text, secretOpens) && (plain != text || len(use.forms) > 0) {
			t.Errorf("%q became %q", text, plain)
		}
		if want := strings.NewReplacer("{{secret:a}}", "geheimnis", "{{secret:b}}", "{{secret:a}}").Replace(text); plain != want {
			t.Errorf("%q became %q, want %q", text, plain, want)
		}
		u, err := url.Parse("http://localhost/?" + text)
		if err != nil {
			return
		}
		real, err := s.intoURL(u, &used{})
		if err != nil {
			return
		}
		if _, err := url.Parse(real.String()); err != nil || real.Host != u.Host || real.Path != u.Path {
			t.Errorf("%q became %s: %v", text, real, err)
		}
	})
}

// FuzzAllow: an entry of rosterd_plugin_http_allow allows what it names, or is refused.
func FuzzAllow(f *testing.F) {
	for _, s := range []string{"crm.example", "https://crm.example:8443", "[2001:db8::1]", "a b", "http://u:p@x/", "://", "localhost:80", "::1", "http://[::1]", "*", "HTTP://X"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, entry string) {
		g := &guard{own: map[string]bool{}, allowed: map[string]bool{}, hosts: map[string]bool{}}
		if err := g.allow(entry); err != nil {
			if len(g.allowed)+len(g.hosts) > 0 {
				t.Errorf("%q is refused, and allows %v", entry, g.allowed)
			}
			return
		}
		if len(g.allowed) != 1 || len(g.hosts) != 1 {
			t.Errorf("%q allows %v of %v", entry, g.allowed, g.hosts)
		}
		for _, other := range []string{"http://other.example/", "https://169.254.169.254/latest"} {
			u, err := url.Parse(other)
			if err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(strings.ToLower(entry), u.Hostname()) && g.first(u) == nil {
				t.Errorf("%q allows %s", entry, other)
			}
		}
	})
}
