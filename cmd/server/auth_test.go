package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"rosterd/config"
	"rosterd/engine/enginetest"
	"rosterd/xmppcore/xmpptest"
)

// application knows the passwords of a site's users, and is asked in any of the three ways. "down" breaks it.
type application struct {
	*httptest.Server

	mu        sync.Mutex // guards the fields below
	passwords map[string]string
	asked     []string
}

func newApplication(t *testing.T) *application {
	t.Helper()
	a := &application{passwords: map[string]string{"john": "from the application", "marie": "hers"}}
	a.Server = httptest.NewServer(a)
	t.Cleanup(a.Close)
	return a
}

func (a *application) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.asked = append(a.asked, r.URL.Path)
	user, password, basic := r.BasicAuth()
	if body, _ := io.ReadAll(r.Body); len(body) > 0 {
		var doc struct{ Username, Password string }
		if err := json.Unmarshal(body, &doc); err != nil {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		user, password = doc.Username, doc.Password
	} else if !basic {
		user, password = r.FormValue("user"), r.FormValue("pass")
	}
	known, is := a.passwords[user]
	switch right := is && known == password; {
	case user == "down":
		w.WriteHeader(http.StatusBadGateway)
	case strings.HasSuffix(r.URL.Path, "/user_exists"):
		fmt.Fprint(w, is)
	case basic && !right:
		w.WriteHeader(http.StatusUnauthorized)
	default:
		fmt.Fprint(w, right)
	}
}

// providedBy is a host whose passwords are known elsewhere.
func providedBy(provider, url string, more ...string) string {
	return fmt.Sprintf("authentication = %q\nhttp_auth_url = %q\nauth_custom_http = { post_url = %q }\nc2s_require_encryption = false\nallow_unencrypted_plain_auth = true\n", provider, url, url) +
		"modules_enabled = { \"saslauth\", \"roster\", \"disco\" }\n" + strings.Join(more, "\n") + "\nVirtualHost \"example.com\"\n"
}

// saslCondition is how a login fails; "" if it does not.
func (s *program) saslCondition(t testing.TB, domain, user, password string) string {
	t.Helper()
	c := s.connect(t, domain)
	err := c.Login(c.ctx, user, password, "")
	var failed *xmpptest.Failure
	if err != nil && !errors.As(err, &failed) {
		t.Fatal(err)
	}
	if failed == nil {
		return ""
	}
	return failed.Condition
}

// TestListOutside: accounts that are kept where another one is asked are listed as what they are.
func TestListOutside(t *testing.T) {
	t.Parallel()
	p := newPlace(t, providedBy("http", "http://localhost/"))
	p.c2s, p.http, p.https = 5222, 5280, 5281
	p.write(t)
	p.account(t, "john@example.com")
	p.wantCommand(t, "", "john@example.com  prosody  password  does not count: authentication is not internal\n", "user", "list")
	if _, err := os.Stat(filepath.Join(p.data(), "rosterd.sqlite")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a list has made a database: %v", err)
	}
}

// TestOutsideProviders: an application says who is who, in each of the ways.
func TestOutsideProviders(t *testing.T) {
	t.Parallel()
	for provider, path := range map[string]string{"http": "/api/$host/", "http_async": "/of/$host/$user", "custom_http": "/check"} {
		t.Run(provider, func(t *testing.T) {
			t.Parallel()
			a := newApplication(t)
			s := newPlace(t, providedBy(provider, a.URL+path)).serve(t)
			s.quiet = true // the outage below is an error
			for _, tt := range []struct{ user, password, want string }{
				{"john", "from the application", ""},
				{"john", "wrong", "not-authorized"},
				{"nobody", "from the application", "not-authorized"},
				{"down", "from the application", "temporary-auth-failure"},
			} {
				if got := s.saslCondition(t, "example.com", tt.user, tt.password); got != tt.want {
					t.Errorf("%s with %s: %q, want %q", tt.user, tt.password, got, tt.want)
				}
			}
			want := map[string]string{"http": "/api/example.com/check_password", "http_async": "/of/example.com/john", "custom_http": "/check"}[provider]
			a.mu.Lock()
			equal(t, "what was asked first", a.asked[0], want)
			a.mu.Unlock()
			status, out, said := s.command(t, "secret\n", "user", "add", "jim@example.com")
			if status != exitFailed || !strings.Contains(said, provider) {
				t.Errorf("user add exits with %d: %s%s", status, out, said)
			}
		})
	}
}

// TestOutsideProviderAfterReload: what is asked after a reload is what the configuration says then, and a wrong one
// changes nothing.
func TestOutsideProviderAfterReload(t *testing.T) {
	t.Parallel()
	a, b := newApplication(t), newApplication(t)
	b.passwords["john"] = "another"
	s := newPlace(t, providedBy("http", a.URL)).serve(t)
	s.wantReloaded(t, providedBy("http", b.URL))
	equal(t, "the old password", s.saslCondition(t, "example.com", "john", "from the application"), "not-authorized")
	equal(t, "the new one", s.saslCondition(t, "example.com", "john", "another"), "")
	s.text = providedBy("http", "ftp://x")
	s.write(t)
	s.quiet = true
	if line := s.reload(t); !strings.Contains(line, "not reloaded") || len(s.log.find("http_auth_url: it has to start")) == 0 {
		t.Errorf("reloaded with a URL that cannot be asked: %s", line)
	}
	equal(t, "after that", s.saslCondition(t, "example.com", "john", "another"), "")
}

// TestOutsideProviderCached: with the option, and only then, a yes outlives the application for a while.
func TestOutsideProviderCached(t *testing.T) {
	t.Parallel()
	for option, want := range map[string]string{"": "temporary-auth-failure", "rosterd_auth_cache = 600": ""} {
		t.Run(option, func(t *testing.T) {
			t.Parallel()
			a := newApplication(t)
			s := newPlace(t, providedBy("http", a.URL, option)).serve(t)
			s.quiet = true
			equal(t, "while it is there", s.saslCondition(t, "example.com", "john", "from the application"), "")
			a.CloseClientConnections()
			a.Close()
			equal(t, "when it is gone", s.saslCondition(t, "example.com", "john", "from the application"), want)
			equal(t, "another password", s.saslCondition(t, "example.com", "john", "wrong"), "temporary-auth-failure")
			_, figures := s.request(t, "GET", "/metrics", "")
			cached := "0"
			if want == "" {
				cached = "1"
			}
			for _, line := range []string{`rosterd_auth_questions_total{host="example.com",outcome="ok"} 1`, `rosterd_auth_questions_total{host="example.com",outcome="cached"} ` + cached, `rosterd_auth_breaker_open{host="example.com"} 0`} {
				if !strings.Contains(figures, line+"\n") {
					t.Errorf("the figures lack %s", line)
				}
			}
		})
	}
}

// TestOutsideUsers: messages wait for those of whom the application knows, though they have never come.
func TestOutsideUsers(t *testing.T) {
	t.Parallel()
	a := newApplication(t)
	s := newPlace(t, strings.Replace(providedBy("http", a.URL), `"disco"`, `"disco", "offline"`, 1)).serve(t)
	john := s.connect(t, "example.com")
	john.must(john.Login(john.ctx, "john", "from the application", "a"))
	john.send("<message to='nobody@example.com' type='chat' id='1'><body>x</body></message>")
	e, err := john.Expect(john.ctx, "an error", func(e xmpptest.Element) bool { return e.Name.Local == "message" })
	if err != nil || refusal(e) != "cancel/service-unavailable" {
		t.Errorf("%v, %v", e, err)
	}
	john.send("<message to='marie@example.com' type='chat' id='2'><body>for later</body></message>")
	john.alive()
	marie := s.connect(t, "example.com")
	marie.must(marie.Login(marie.ctx, "marie", "hers", "a"))
	marie.send("<presence/>")
	if _, err := marie.Expect(marie.ctx, "the message", func(e xmpptest.Element) bool { return e.Name.Local == "message" }); err != nil {
		t.Error(err)
	}
}

// TestProvidersRefused: what a provider cannot work with refuses the start, with the line.
func TestProvidersRefused(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ text, want string }{
		{`authentication = "http"`, `prosody.cfg.lua:8  http_auth_url: authentication = "http" needs it`},
		{"\n" + `authentication = "http_async"`, `prosody.cfg.lua:9  http_auth_url: authentication = "http_async" needs it`},
		{`authentication = "http"` + "\n" + `http_auth_url = "localhost/x"`, `prosody.cfg.lua:9  http_auth_url: it has to start with http:// or https:// and a host`},
		{`authentication = "http"` + "\n" + `http_auth_url = "http://x"; http_auth_credentials = "geheim"`, `prosody.cfg.lua:9  http_auth_credentials: it has to be USER:PASSWORD`},
		{`authentication = "custom_http"`, `prosody.cfg.lua:8  auth_custom_http: authentication = "custom_http" needs it`},
		{`authentication = "custom_http"; auth_custom_http = { post_url = "x" }`, `prosody.cfg.lua:8  auth_custom_http: it has to start with`},
		{`authentication = "custom_http"; auth_custom_http = { url = "x" }`, `prosody.cfg.lua:8  auth_custom_http: takes { post_url`},
	} {
		p := newPlace(t, "\nmodules_enabled = { 'roster', 'saslauth' }\nVirtualHost 'example.com'\n")
		p.head, p.c2s, p.http, p.https = tt.text, 5222, 5280, 5281
		p.write(t)
		status, out, said := p.command(t, "", "check")
		if status == exitOK || !strings.Contains(out+said, tt.want) || strings.Contains(out+said, "geheim") {
			t.Errorf("%s: check exits with %d:\n%s%s\nwant %s", tt.text, status, out, said, tt.want)
		}
		if status, _, said := p.command(t, "", "serve"); status == exitOK || !strings.Contains(said, strings.SplitN(tt.want, ": ", 2)[1]) {
			t.Errorf("%s: serve exits with %d: %s", tt.text, status, said)
		}
	}
}

// TestProviders: config and the program know the same ones.
func TestProviders(t *testing.T) {
	t.Parallel()
	for _, name := range config.OutsideProviders() {
		if providers[name] == nil {
			t.Errorf("authentication = %q is known, and nothing makes it", name)
		}
	}
	if len(config.OutsideProviders()) != len(providers) {
		t.Errorf("%d providers, of which config knows %q", len(providers), config.OutsideProviders())
	}
}

// TestAnonymousUsers: whoever comes is somebody else each time, has an empty roster, or what the backend says, and
// leaves nothing behind.
func TestAnonymousUsers(t *testing.T) {
	t.Parallel()
	backend := enginetest.Serve(t, nil)
	p := newPlace(t, `modules_enabled = { "saslauth", "disco", "private", "offline", "message" }
c2s_require_encryption = false
VirtualHost "guest.example"
  authentication = "anonymous"
VirtualHost "old.example"
  anonymous_login = true
  authentication = "internal_plain"
  allow_anonymous_storage = true
`+openHost("backend.example", backend.Template(), `authentication = "anonymous"`))
	s := p.serve(t)
	enter := func(domain string) *client {
		c := s.connect(t, domain)
		c.must(c.Login(c.ctx, "", "", ""))
		return c
	}
	one, two := enter("guest.example"), enter("guest.example")
	if one.JID == two.JID || !strings.HasSuffix(strings.Split(one.JID, "/")[0], "@guest.example") {
		t.Errorf("%s and %s", one.JID, two.JID)
	}
	c := s.connect(t, "guest.example")
	c.must(c.Open(c.ctx))
	equal(t, "mechanisms", c.Mechanisms(), []string{"ANONYMOUS"})
	one.wantRoster()
	one.appear()
	two.appear()
	two.send("<message to='%s' type='chat'><body>hello</body></message>", one.JID)
	if _, err := one.Expect(one.ctx, "the message", func(e xmpptest.Element) bool { return e.Name.Local == "message" }); err != nil {
		t.Error(err)
	}
	gone := strings.Split(one.JID, "/")[0]
	one.leave()
	two.send("<message to='%s' type='chat'><body>still there?</body></message>", gone)
	e, err := two.Expect(two.ctx, "an error", func(e xmpptest.Element) bool { return e.Name.Local == "message" })
	if err != nil || refusal(e) != "cancel/service-unavailable" {
		t.Errorf("%v, %v", e, err)
	}
	for domain, kept := range map[string]bool{"guest.example": false, "old.example": true} {
		c := enter(domain)
		for _, ask := range []string{"<query xmlns='jabber:iq:private'><a xmlns='b'>kept</a></query>", "<query xmlns='jabber:iq:private'><a xmlns='b'/></query>"} {
			kind := "set"
			if !strings.Contains(ask, "kept") {
				kind = "get"
			}
			e, err := c.IQ(c.ctx, kind, "", ask)
			if err != nil || e.Attr("type") != "result" || kind == "get" && strings.Contains(e.String(), "kept") != kept {
				t.Errorf("%s of private storage at %s: %v, %v", kind, domain, e, err)
			}
		}
	}
	equal(t, "somebody with a password", s.saslCondition(t, "old.example", "john", "x"), "")
	asked := enter("backend.example")
	asked.wantRoster()
	name, _, _ := strings.Cut(asked.JID, "@")
	if n := len(backend.Requests(name)); n != 1 {
		t.Errorf("the backend was asked %d times", n)
	}
	if status, out, said := p.command(t, "secret\n", "user", "add", "jim@guest.example"); status != exitFailed || !strings.Contains(said, "anonymous") {
		t.Errorf("user add exits with %d: %s%s", status, out, said)
	}
}

// TestUpgradeUsers: from internal_plain to internal_hashed on request, and everybody keeps his password.
func TestUpgradeUsers(t *testing.T) {
	t.Parallel()
	p := fromProsody(t, enginetest.Serve(t, nil))
	p.c2s, p.http, p.https = 5222, 5280, 5281
	p.write(t)
	status, _, said := p.command(t, "", "user", "upgrade", "plain.example")
	if status != exitFailed || !strings.Contains(said, "prosody.cfg.lua:") || !strings.Contains(said, "internal_hashed") {
		t.Errorf("of a host that keeps passwords: %d %s", status, said)
	}
	p.text = strings.Replace(p.text, "internal_plain\"", "internal_hashed\"; default_iteration_count = 4096", 1)
	s := p.serve(t)
	for _, want := range []string{"plain.example: 4 passwords hashed, 0 accounts left as they were\n", "plain.example: 0 passwords hashed, 4 accounts left as they were\n"} {
		status, out, said := p.command(t, "", "user", "upgrade", "plain.example")
		if status != exitOK || out != want {
			t.Errorf("%d %q %s, want %q", status, out, said, want)
		}
		s.secureLogin(t, "juliet@plain.example", "R0m30MyR0m30")
	}
	if _, out, _ := p.command(t, "", "user", "list", "plain.example"); !strings.Contains(out, "SCRAM-SHA-1") {
		t.Error(out)
	}
}

// TestProviderOverridden: a module of one's own in the place of rosterd's asks what the option names.
func TestProviderOverridden(t *testing.T) {
	t.Parallel()
	a := newApplication(t)
	p := newPlace(t, "plugin_paths = { \"modules\" }\nrosterd_plugin_isolation = \"inproc\"\nrosterd_plugin_override = { \"auth_http\" }\n"+providedBy("http", a.URL+"/script"))
	p.module(t, "auth_http", `
local http = require "net.http"
local url = module:get_option_string("http_auth_url")
local secret = module:get_option_string("http_auth_credentials", "none")
module:provides("auth", { test_password = function(user, password)
	local res = assert(http.request(url .. "/own?" .. http.formencode { user = user, pass = password }))
	return res.body == "true" and secret == "none"
end })`)
	s := p.serve(t)
	equal(t, "the right password", s.saslCondition(t, "example.com", "john", "from the application"), "")
	equal(t, "another", s.saslCondition(t, "example.com", "john", "x"), "not-authorized")
	a.mu.Lock()
	defer a.mu.Unlock()
	equal(t, "what was asked", a.asked, []string{"/script/own", "/script/own"})
}

// TestNoMechanismLeft: a line that comes along from a server with SCRAM keeps everybody out where passwords are elsewhere.
func TestNoMechanismLeft(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ text, want string }{
		{`authentication = "http"; http_auth_url = "http://x"; disable_sasl_mechanisms = { "PLAIN", "DIGEST-MD5" }`, `authentication = "http" can offer: PLAIN`},
		{`authentication = "anonymous"; disable_sasl_mechanisms = { "ANONYMOUS" }`, `authentication = "anonymous" can offer: ANONYMOUS`},
		{`authentication = "internal_hashed"; disable_sasl_mechanisms = { "PLAIN" }`, ""},
		{`authentication = "http"; http_auth_url = "http://x"; disable_sasl_mechanisms = { "DIGEST-MD5" }`, ""},
		{`authentication = "anonymous"; disable_sasl_mechanisms = { "PLAIN" }`, ""},
	} {
		p := newPlace(t, "modules_enabled = { 'roster', 'saslauth', 'tls' }\nVirtualHost 'example.com'\n")
		p.head, p.c2s, p.http, p.https = tt.text, 5222, 5280, 5281
		p.certify(t, "example.com")
		p.write(t)
		_, out, _ := p.command(t, "", "check")
		if said := strings.Contains(out, "nobody can log in"); said != (tt.want != "") || !strings.Contains(out, tt.want) || said && !strings.Contains(out, "prosody.cfg.lua:8") {
			t.Errorf("%s: check says\n%s", tt.text, out)
		}
	}
}

// TestAnonymousOverridden: where a module of one's own is in the place of rosterd's anonymous users, it says who gets in.
func TestAnonymousOverridden(t *testing.T) {
	t.Parallel()
	p := newPlace(t, `plugin_paths = { "modules" }
modules_enabled = { "saslauth", "roster", "disco" }
c2s_require_encryption = false
allow_unencrypted_plain_auth = true
rosterd_plugin_isolation = "inproc"
rosterd_plugin_override = { "auth_anonymous" }
VirtualHost "guest.example"
  authentication = "anonymous"
`)
	p.module(t, "auth_anonymous", `module:provides("auth", { test_password = function(user, password) return password == "ticket" end })`)
	s := p.serve(t)
	c := s.connect(t, "guest.example")
	c.must(c.Open(c.ctx))
	equal(t, "mechanisms", c.Mechanisms(), []string{"PLAIN"})
	equal(t, "with a ticket", s.saslCondition(t, "guest.example", "john", "ticket"), "")
	equal(t, "without", s.saslCondition(t, "guest.example", "john", "x"), "not-authorized")
}
