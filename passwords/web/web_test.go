package web

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"rosterd/engine/addr"
	"rosterd/passwords"
)

// told is a server that answers as it is told, and keeps what it was asked.
type told struct {
	*httptest.Server
	status int
	body   string
	asked  []string
}

func serve(t *testing.T) *told {
	t.Helper()
	a := &told{status: http.StatusOK}
	a.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		said := r.Method + " " + r.URL.RequestURI()
		if name, password, ok := r.BasicAuth(); ok {
			said += " as " + name + " with " + password
		}
		if len(body) > 0 {
			said += fmt.Sprintf(" says %s, %s", r.Header.Get("Content-Type"), body)
		}
		a.asked = append(a.asked, said)
		if a.status/100 == 3 {
			w.Header().Set("Location", "/elsewhere")
		}
		w.WriteHeader(a.status)
		io.WriteString(w, a.body)
	}))
	t.Cleanup(a.Close)
	return a
}

// outcome is what comes of a question, in a word.
func outcome(err error) string {
	switch {
	case err == nil:
		return "in"
	case errors.Is(err, passwords.ErrRefused):
		return "refused"
	default:
		return "unknown"
	}
}

// sources are the three that ask an application at a URL.
func sources(c *Client, url string) map[string]passwords.Source {
	return map[string]passwords.Source{
		"application": &Application{Client: c, URL: url + "/api/"}, "page": &Page{Client: c, URL: url + "/of/$user?n=$user"}, "post": &Post{Client: c, URL: url + "/check"},
	}
}

func TestQuestions(t *testing.T) {
	a := serve(t)
	a.body = "true"
	c := NewClient("test", 4)
	defer c.Close()
	list := sources(c, a.URL)
	list["application with credentials"] = &Application{Client: c, URL: a.URL, Credentials: "us:our:secret"}
	for _, tt := range []struct{ source, user, password, want string }{
		{"application", "anna@example.com", "right", "GET /api/check_password?pass=right&server=example.com&user=anna"},
		{"application", "anna@example.com", "a&b=c d+é%", "GET /api/check_password?pass=a%26b%3Dc+d%2B%C3%A9%25&server=example.com&user=anna"},
		{"application", "a+b?c#d=e%f@müller.example", "x", "GET /api/check_password?pass=x&server=m%C3%BCller.example&user=a%2Bb%3Fc%23d%3De%25f"},
		{"application with credentials", "anna@example.com", "x", "GET /check_password?pass=x&server=example.com&user=anna as us with our:secret"},
		{"page", "anna@example.com", "right", "GET /of/anna?n=anna as anna with right"},
		{"page", "anna@example.com", "a:b é", "GET /of/anna?n=anna as anna with a:b é"},
		{"page", "..+b?c#d@example.com", "x", "GET /of/..%2Bb%3Fc%23d?n=..%2Bb%3Fc%23d as ..+b?c#d with x"},
		{"post", "anna@example.com", `a"b`, `POST /check says application/x-www-form-urlencoded, {"username":"anna","password":"a\"b"}`},
	} {
		a.asked = nil
		err := list[tt.source].CheckPassword(t.Context(), addr.MustBare(tt.user), tt.password)
		if got := strings.Join(a.asked, "\n"); got != tt.want || err != nil {
			t.Errorf("%s, %s: asked %q, want %q; %v", tt.source, tt.user, got, tt.want, err)
		}
	}
}

// What answers mean. Nobody gets in by an answer that is not a yes, and nobody is told that a password is wrong because
// an application is down.
func TestAnswers(t *testing.T) {
	a := serve(t)
	c := NewClient("test", 4)
	defer c.Close()
	for _, tt := range []struct {
		status int
		body   string
		want   map[string]string
	}{
		{200, "true", map[string]string{"application": "in", "page": "in", "post": "in"}},
		{200, "true\n", map[string]string{"application": "refused", "page": "in", "post": "refused"}},
		{200, "false", map[string]string{"application": "refused", "page": "in", "post": "refused"}},
		{200, "", map[string]string{"application": "refused", "page": "in", "post": "refused"}},
		{200, `"true"`, map[string]string{"application": "refused", "page": "in", "post": "refused"}},
		{200, strings.Repeat("true", maxAnswer), map[string]string{"application": "unknown", "page": "unknown", "post": "unknown"}},
		{204, "", map[string]string{"application": "refused", "page": "in", "post": "refused"}},
		{302, "true", map[string]string{"application": "unknown", "page": "unknown", "post": "unknown"}},
		{400, "true", map[string]string{"application": "refused", "page": "refused", "post": "refused"}},
		{401, "true", map[string]string{"application": "refused", "page": "refused", "post": "refused"}},
		{403, "", map[string]string{"application": "refused", "page": "refused", "post": "refused"}},
		{404, "", map[string]string{"application": "refused", "page": "refused", "post": "refused"}},
		{429, "true", map[string]string{"application": "unknown", "page": "unknown", "post": "unknown"}},
		{500, "true", map[string]string{"application": "unknown", "page": "unknown", "post": "unknown"}},
		{503, "", map[string]string{"application": "unknown", "page": "unknown", "post": "unknown"}},
	} {
		a.status, a.body = tt.status, tt.body
		for name, s := range sources(c, a.URL) {
			a.asked = nil
			err := s.CheckPassword(t.Context(), addr.MustBare("anna@example.com"), "geheim")
			if got := outcome(err); got != tt.want[name] || len(a.asked) != 1 {
				t.Errorf("%s: %d %.10q: %s, want %s; asked %q; %v", name, tt.status, tt.body, got, tt.want[name], a.asked, err)
			}
			if err != nil && strings.Contains(err.Error(), "geheim") {
				t.Errorf("%s tells the password: %v", name, err)
			}
		}
	}
	a.status, a.body = 401, ""
	err := (&Application{Client: c, URL: a.URL, Credentials: "us:x"}).CheckPassword(t.Context(), addr.MustBare("anna@example.com"), "x")
	if outcome(err) != "unknown" {
		t.Errorf("our credentials are refused: %v", err)
	}
}

func TestUserExists(t *testing.T) {
	a := serve(t)
	c := NewClient("test", 4)
	defer c.Close()
	app := &Application{Client: c, URL: a.URL}
	for _, tt := range []struct {
		status int
		body   string
		want   string
	}{{200, "true", "true <nil>"}, {200, "false", "false <nil>"}, {404, "", "false <nil>"}, {500, "true", "error"}} {
		a.status, a.body, a.asked = tt.status, tt.body, nil
		yes, err := app.UserExists(t.Context(), addr.MustBare("anna@example.com"))
		got := fmt.Sprint(yes, err)
		if err != nil {
			got = "error"
		}
		if got != tt.want || strings.Join(a.asked, " ") != "GET /user_exists?server=example.com&user=anna" {
			t.Errorf("%d %q: %s, want %s; asked %q", tt.status, tt.body, got, tt.want, a.asked)
		}
	}
}

// A server that is not there, and one whose name cannot be a URL's.
func TestNobodyThere(t *testing.T) {
	a := serve(t)
	a.Close()
	c := NewClient("test", 4)
	defer c.Close()
	for name, s := range sources(c, a.URL) {
		if err := s.CheckPassword(t.Context(), addr.MustBare("anna@example.com"), "geheim"); outcome(err) != "unknown" || strings.Contains(err.Error(), "geheim") {
			t.Errorf("%s: %v", name, err)
		}
	}
	for url, ok := range map[string]bool{"http://x": true, "https://u:p@x/y": true, "ftp://x": false, "x/y": false, "http://": false, "http://geheim\x7f": false} {
		err := CheckURL(url)
		if (err == nil) != ok || err != nil && strings.Contains(err.Error(), "geheim") {
			t.Errorf("%q: %v", url, err)
		}
	}
}

// Who sends a password that web servers take for an attack is nobody, and no outage.
func TestLongPassword(t *testing.T) {
	a := serve(t)
	a.body = "true"
	c := NewClient("test", 4)
	defer c.Close()
	long, some := strings.Repeat("%", 6<<10), strings.Repeat("x", 2<<10)
	for name, s := range sources(c, a.URL) {
		a.asked = nil
		err := s.CheckPassword(t.Context(), addr.MustBare("anna@example.com"), long)
		if got, want := outcome(err), map[bool]string{true: "in", false: "refused"}[name == "post"]; got != want || (len(a.asked) == 0) != (want == "refused") {
			t.Errorf("%s: %s, asked %d times; %v", name, got, len(a.asked), err)
		}
		if err := s.CheckPassword(t.Context(), addr.MustBare("anna@example.com"), some); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Whose name leads to another page, which may be there for everybody, is nobody.
func TestOtherPage(t *testing.T) {
	a := serve(t)
	c := NewClient("test", 4)
	defer c.Close()
	for _, name := range []string{".", ".."} {
		user, err := addr.NewBare(name, "example.com")
		if err != nil {
			t.Fatal(err)
		}
		if err := (&Page{Client: c, URL: a.URL + "/of/$user"}).CheckPassword(t.Context(), user, "x"); outcome(err) != "refused" || len(a.asked) != 0 {
			t.Errorf("%s: %v; asked %q", name, err, a.asked)
		}
	}
}

// Whatever a user is called and his password is, the application gets just that.
func FuzzQuestions(f *testing.F) {
	f.Add("anna", "right")
	f.Add("a?b#c%d", "x&pass=right")
	var got string
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		switch name, password, basic := r.BasicAuth(); {
		case basic:
			got = r.URL.Path + " " + r.URL.Query().Get("n") + " " + name + " " + password
		case r.Method == http.MethodPost:
			var doc struct{ Username, Password string }
			if err := json.NewDecoder(r.Body).Decode(&doc); err != nil {
				got = err.Error()
				return
			}
			got = doc.Username + " " + doc.Password
		default:
			got = fmt.Sprint(r.URL.Path, r.URL.Query())
		}
	}))
	f.Cleanup(server.Close)
	c := NewClient("test", 1)
	f.Cleanup(func() { c.Close() })
	f.Fuzz(func(t *testing.T, local, password string) {
		user, err := addr.NewBare(local, "example.com")
		if err != nil || strings.Trim(user.Local(), ".") == "" || password != strings.ToValidUTF8(password, "") {
			return
		}
		name := user.Local()
		for source, want := range map[string]string{
			"application": fmt.Sprint("/api/check_password", map[string][]string{"user": {name}, "server": {"example.com"}, "pass": {password}}),
			"page":        "/of/" + name + " " + name + " " + name + " " + password,
			"post":        name + " " + password,
		} {
			got = ""
			_ = sources(c, server.URL)[source].CheckPassword(t.Context(), user, password)
			if got != want {
				t.Errorf("%s was asked %q, want %q", source, got, want)
			}
		}
	})
}
