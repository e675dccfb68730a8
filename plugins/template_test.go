package plugins

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
)

// names are user names that have meaning somewhere on the way: facts of what the reference got wrong.
var names = []string{
	"alice", `john\20doe`, "jörg", `a\2fb`, "100%", "p%41", "x#y", "q?r=1", "a+b", "a b", "a/b", "a&b=c;d", "%s", "%d", "%%",
	"~tilde", "a:b@c", "...", "日本語", "quote\"'<>", "%2e%2e", "a\tb", "{x}|^`",
}

func TestTemplateReachesTheBackendAsThatUser(t *testing.T) {
	got := make(chan string, 1)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name := r.URL.Query().Get("u")
		if name == "" {
			name = strings.TrimSuffix(strings.TrimPrefix(r.URL.Path, "/kontäkte a%20b/"), ".json")
		}
		got <- name
	}))
	defer srv.Close()
	templates := map[string]string{
		"path":               "/kont\u00e4kte a%2520b/%s.json?x=%20%zz",
		"query":              "/contacts?v=1%2B1&u=%s",
		"query, then more":   "/contacts?u=%s&limit=100%",
		"twice":              "/kontäkte a%2520b/%s.json?again=%s",
		"with Prosody's %%":  "/contacts?discount=10%%&u=%s",
		"fragment not asked": "/contacts?u=%s#top",
	}
	for what, tmpl := range templates {
		tp, err := ParseURLTemplate(srv.URL + tmpl)
		if err != nil {
			t.Errorf("%s: %v", what, err)
			continue
		}
		for _, name := range names {
			u, err := tp.Fill(name)
			if err != nil {
				t.Errorf("%s: %q: %v", what, name, err)
				continue
			}
			res, err := http.Get(u)
			if err != nil {
				t.Errorf("%s: %q: %v", what, name, err)
				continue
			}
			res.Body.Close()
			if n := <-got; n != name {
				t.Errorf("%s: GET %s asks for %q, want %q", what, u, n, name)
			}
		}
	}
}

func TestTemplateFill(t *testing.T) {
	tests := []struct{ template, name, want string }{
		{"http://localhost/contacts/%s", "romeo", "http://localhost/contacts/romeo"},
		{"http://localhost/contacts/%s", "jörg", "http://localhost/contacts/j%C3%B6rg"},
		{"http://localhost/contacts/%s", "a+b/c", "http://localhost/contacts/a%2Bb%2Fc"},
		{"http://localhost/contacts/%s", "%s", "http://localhost/contacts/%25s"},
		{"https://u:p%40ss@[::1]:8443/?src=a%20b&u=%s", "x", "https://u:p%40ss@[::1]:8443/?src=a%20b&u=x"},
		{"http://localhost/%s/%s.json", "a.b", "http://localhost/a.b/a.b.json"},
		{"http://localhost/?p=100%%&u=%s", "x", "http://localhost/?p=100%&u=x"},
		{"http://localhost/%s..", ".", "http://localhost/..."},
	}
	for _, tt := range tests {
		tp, err := ParseURLTemplate(tt.template)
		if err != nil {
			t.Errorf("%s: %v", tt.template, err)
			continue
		}
		if got, err := tp.Fill(tt.name); got != tt.want || err != nil {
			t.Errorf("%s with %q: %q, %v; want %q", tt.template, tt.name, got, err, tt.want)
		}
	}
}

func TestTemplateDotSegments(t *testing.T) {
	tests := []struct {
		template, name string
		ok             bool
	}{
		{"http://localhost/contacts/%s", ".", false},
		{"http://localhost/contacts/%s", "..", false},
		{"http://localhost/contacts/%s", "...", true},
		{"http://localhost/contacts/%s/roster", "..", false},
		{"http://localhost/contacts/%s.json", "..", true},
		{"http://localhost/contacts/.%s", ".", false},
		{"http://localhost/contacts?u=%s", "..", true},
	}
	for _, tt := range tests {
		tp, err := ParseURLTemplate(tt.template)
		if err != nil {
			t.Fatal(err)
		}
		if u, err := tp.Fill(tt.name); (err == nil) != tt.ok {
			t.Errorf("%s with %q: %q, %v; want ok %v", tt.template, tt.name, u, err, tt.ok)
		}
	}
}

func TestTemplateRefused(t *testing.T) {
	tests := []struct{ template, err string }{
		{"", "no %s in it"},
		{"http://localhost/contacts", "no %s in it"},
		{"http://localhost/contacts/%S", "no %s in it"},
		{"http://localhost/contacts/%%s", "no %s in it"},
		{"/contacts/%s", "not an http:// or https:// URL"},
		{"ftp://localhost/%s", "not an http:// or https:// URL"},
		{"http:///contacts/%s", "without a host"},
		{"http://%s.example.com/", "in the path and in the query only"},
		{"http://%s@example.com/", "in the path and in the query only"},
		{"http://example.com/#%s", "in the path and in the query only"},
		{"http://example.com:%s/", "not a URL"},
		{"%s://example.com/", "not a URL"},
		{"http://localhost/%d/%s", "invalid URL escape"},
		{"http://localhost/%4%s", "invalid URL escape"},
		{"http://localhost/?x=%4%s", "would swallow a part of the name"},
		{"http://localhost/?x=%%%s", "would swallow a part of the name"},
		{"http://user:geheim@local host/%s", "not a URL"},
	}
	for _, tt := range tests {
		_, err := ParseURLTemplate(tt.template)
		if err == nil || !strings.Contains(err.Error(), tt.err) {
			t.Errorf("%s: error %v, want %q", tt.template, err, tt.err)
		}
		if err != nil && strings.Contains(err.Error(), "geheim") {
			t.Errorf("%s: the error shows the password: %v", tt.template, err)
		}
	}
}

func FuzzTemplate(f *testing.F) {
	for _, n := range names {
		f.Add("http://localhost/contacts/%s", n)
		f.Add("http://localhost/?a=%20&u=%s&b=%%", n)
	}
	f.Fuzz(func(t *testing.T, template, name string) {
		tp, err := ParseURLTemplate(template)
		if err != nil {
			return
		}
		filled, err := tp.Fill(name)
		if err != nil {
			return
		}
		u, err := url.Parse(filled)
		if err != nil {
			t.Fatalf("%q with %q: %v", template, name, err)
		}
		plain, err := tp.Fill("x")
		if err != nil {
			t.Fatal(err)
		}
		p, err := url.Parse(plain)
		if err != nil {
			t.Fatal(err)
		}
		// The name changes neither the server nor the shape of the URL.
		if u.Host != p.Host || u.Scheme != p.Scheme || u.User.String() != p.User.String() {
			t.Errorf("%q with %q goes to %s, with x to %s", template, name, u, p)
		}
		if a, b := strings.Count(u.EscapedPath(), "/"), strings.Count(p.EscapedPath(), "/"); a != b {
			t.Errorf("%q with %q has %d segments, with x %d", template, name, a, b)
		}
		if a, b := strings.Count(u.RawQuery, "&"), strings.Count(p.RawQuery, "&"); a != b {
			t.Errorf("%q with %q has %d parameters, with x %d", template, name, a, b)
		}
	})
}
