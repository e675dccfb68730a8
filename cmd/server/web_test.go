package main

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"rosterd/engine/enginetest"
	"rosterd/xmppcore/xmpptest"
)

// overWeb is how a web client connects: by an address of WebSocket or BOSH.
type overWeb struct {
	name, module, path string
	dial               func(ctx context.Context, url string) (net.Conn, error)
	scheme             string
}

var webWays = []overWeb{
	{"WebSocket", "websocket", "/xmpp-websocket", xmpptest.DialWebSocket, "ws://"},
	{"BOSH", "bosh", "/http-bind", xmpptest.DialBOSH, "http://"},
}

// connectOver opens a stream of a web client at a path.
func (s *program) connectOver(t testing.TB, way overWeb, path, domain string) *client {
	t.Helper()
	ctx := testContext(t)
	nc, err := way.dial(ctx, way.scheme+s.address(s.http)+path)
	if err != nil {
		t.Fatal(err)
	}
	c := xmpptest.New(nc, domain)
	t.Cleanup(func() { c.Disconnect() })
	return &client{c, t, ctx}
}

// TestWebClients: streams over HTTP do what those over TCP do, and meet those.
func TestWebClients(t *testing.T) {
	for _, way := range webWays {
		t.Run(way.name, func(t *testing.T) {
			t.Parallel()
			backend := enginetest.Serve(t, map[string]string{
				"john": `{"jane@example.com": {"name": "Jane", "groups": ["Friends"]}}`, "jane": `{"john@example.com": {}}`,
			})
			p := newPlace(t, open(backend.Template(), fmt.Sprintf("modules_enabled:append { %q }", way.module)))
			s := p.serve(t)
			s.account(t, "john@example.com")
			john := s.connectOver(t, way, way.path, "example.com")
			john.must(john.Login(john.ctx, "john", password, "web"))
			john.wantRoster("jane@example.com|Jane|both|Friends")
			john.appear()
			jane := s.login(t, "jane@example.com/desk")
			jane.wantRoster("john@example.com||both|")
			jane.appear()
			john.wantPresence("jane@example.com/desk", "")

			backend.Set("john", `{"jane@example.com": {"name": "Jane D."}, "joe@example.com": {}}`)
			s.refresh(t, "john")
			john.wantPushes("jane@example.com|Jane D.|both|", "joe@example.com||both|")
			jane.send("<message to='john@example.com/web' type='chat'><body>hello</body></message>")
			_, err := john.Expect(john.ctx, "the message", func(e xmpptest.Element) bool {
				body, ok := e.Path("body")
				return ok && body.Text == "hello"
			})
			john.must(err)

			s.stop()
			john.wantStreamError("system-shutdown")
			equal(t, "exit status", s.wait(t), exitOK)
		})
	}
}

// TestWebSecurity: plain HTTP counts as encrypted only where the file says that a proxy stands before it, or where one
// that is trusted says so.
func TestWebSecurity(t *testing.T) {
	for _, way := range webWays {
		for _, c := range []struct {
			name, line string
			want       bool
		}{
			{"plain", "", false},
			{"behind a proxy", "consider_" + way.module + "_secure = true", true},
		} {
			t.Run(way.name+"/"+c.name, func(t *testing.T) {
				t.Parallel()
				backend := enginetest.Serve(t, nil)
				p := newPlace(t, seedFor(backend.Template())+fmt.Sprintf("  modules_enabled:append { %q }", way.module))
				p.head = c.line
				p.certify(t, "example.com")
				s := p.serve(t)
				s.account(t, "john@example.com")
				john := s.connectOver(t, way, way.path, "example.com")
				err := john.Login(john.ctx, "john", password, "web")
				if (err == nil) != c.want {
					t.Errorf("the login ended with %v", err)
				}
			})
		}
	}
}

// TestWebPaths: where http_paths says, and hosts that share a name share the place.
func TestWebPaths(t *testing.T) {
	t.Parallel()
	backend := enginetest.Serve(t, nil)
	p := newPlace(t, open(backend.Template(), `http_host = "chat.example"`)+openHost("example.org", backend.Template(), `http_host = "chat.example"`,
		`http_paths = { roster_admin = "/rosters/$host" }`))
	p.head = `modules_enabled = { "websocket", "bosh" }
http_paths = { websocket = "/ws", bosh = "/bind" }
http_default_host = "chat.example"`
	p.text = strings.Replace(p.text, "modules_enabled = {", "modules_enabled:append {", 1)
	s := p.serve(t)
	for _, way := range webWays {
		path := map[string]string{"websocket": "/ws", "bosh": "/bind"}[way.module]
		for _, domain := range []string{"example.com", "example.org"} {
			s.account(t, "john@"+domain)
			john := s.connectOver(t, way, path, domain)
			john.must(john.Login(john.ctx, "john", password, way.name))
			john.leave()
		}
	}
	for _, host := range []string{"chat.example", "example.com", "example.org"} { // by their own names, too
		for _, path := range []string{"/ws", "/bind"} {
			if res, _ := s.request(t, "GET", path, "", "Host", host); res.StatusCode != http.StatusOK {
				t.Errorf("%s%s answers %s", host, path, res.Status)
			}
		}
	}
	if res, _ := s.request(t, "GET", "/xmpp-websocket", ""); res.StatusCode != http.StatusNotFound {
		t.Errorf("the usual path answers %s", res.Status)
	}
}

// TestHostMeta tells web clients where to connect (XEP-0156).
func TestHostMeta(t *testing.T) {
	for _, c := range []struct{ name, lines, want string }{
		{"our own ports", "", "ws://example.com:HTTP/xmpp-websocket http://example.com:HTTP/http-bind"},
		{"from outside", `http_external_url = "https://chat.example/xmpp/"`, "wss://chat.example/xmpp/xmpp-websocket https://chat.example/xmpp/http-bind"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			backend := enginetest.Serve(t, nil)
			s := newPlace(t, open(backend.Template(), `modules_enabled:append { "websocket", "bosh" }`, c.lines)).serve(t)
			want := strings.ReplaceAll(c.want, "HTTP", fmt.Sprint(s.http))
			for _, path := range []string{"/.well-known/host-meta", "/.well-known/host-meta.json"} {
				res, body := s.request(t, "GET", path, "", "Host", "example.com", "Origin", "https://elsewhere.example")
				if res.StatusCode != http.StatusOK || res.Header.Get("Access-Control-Allow-Origin") != "*" {
					t.Fatalf("%s: %s %v", path, res.Status, res.Header)
				}
				for _, url := range strings.Fields(want) {
					if !strings.Contains(body, url) {
						t.Errorf("%s lacks %s: %s", path, url, body)
					}
				}
			}
		})
	}
}

// TestWebOrigins: which pages may connect.
func TestWebOrigins(t *testing.T) {
	for _, c := range []struct {
		name, line, origin string
		want               bool
	}{
		{"anybody's, unless told otherwise", "", "https://elsewhere.example", true},
		{"of the list", `cross_domain_websocket = { "https://here.example" }`, "https://here.example", true},
		{"not of the list", `cross_domain_websocket = { "https://here.example" }`, "https://elsewhere.example", false},
		{"nobody's but our own", `cross_domain_websocket = false`, "https://elsewhere.example", false},
		{"our own", `cross_domain_websocket = false`, "http://example.com", true},
		{"no page", `cross_domain_websocket = false`, "", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			backend := enginetest.Serve(t, nil)
			s := newPlace(t, open(backend.Template(), `modules_enabled:append { "websocket" }`, c.line)).serve(t)
			header := []string{"Host", "example.com", "Connection", "Upgrade", "Upgrade", "websocket", "Sec-WebSocket-Version", "13",
				"Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Protocol", "xmpp"}
			if c.origin != "" {
				header = append(header, "Origin", c.origin)
			}
			want := http.StatusForbidden
			if c.want {
				want = http.StatusSwitchingProtocols
			}
			if got := s.handshake(t, header...); got != want {
				t.Errorf("got %d, want %d", got, want)
			}
		})
	}
}

// handshake asks for a WebSocket, and returns the status of the answer.
func (s *program) handshake(t testing.TB, header ...string) int {
	t.Helper()
	req, err := http.NewRequestWithContext(testContext(t), "GET", "http://"+s.address(s.http)+"/xmpp-websocket", nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	req.Host = req.Header.Get("Host")
	res, err := web.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	return res.StatusCode
}

// TestFilesServed: module http_files.
func TestFilesServed(t *testing.T) {
	t.Parallel()
	backend := enginetest.Serve(t, nil)
	p := newPlace(t, open(backend.Template(), `modules_enabled:append { "http_files" }`, `http_files_dir = "www"`))
	if err := os.Mkdir(filepath.Join(p.dir, "www"), 0o755); err != nil {
		t.Fatal(err)
	}
	p.file(t, "www/index.html", "<h1>Hello</h1>")
	s := p.serve(t)
	if res, body := s.request(t, "GET", "/files/", ""); res.StatusCode != http.StatusOK || body != "<h1>Hello</h1>" {
		t.Errorf("got %s %s", res.Status, body)
	}
	if res, _ := s.request(t, "GET", "/files/../prosody.cfg.lua", ""); res.StatusCode == http.StatusOK {
		t.Error("the configuration is served")
	}
}

// TestSignedRefresh: without the signature nobody is asked.
func TestSignedRefresh(t *testing.T) {
	t.Parallel()
	backend := enginetest.Serve(t, map[string]string{"john": `{}`})
	const secret = "a secret of some length"
	s := newPlace(t, open(backend.Template(), fmt.Sprintf("rosterd_refresh_hmac_secret = %q", secret))).serve(t)
	s.view(t, "john@example.com")
	const body = `["john"]`
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(body))
	asked := len(backend.Requests("john"))
	for _, header := range [][]string{{}, {"X-Hub-Signature-256", "sha256=" + strings.Repeat("00", 32)}} {
		if res, _ := s.request(t, "POST", "/roster_admin/refresh", body, header...); res.StatusCode/100 != 4 {
			t.Errorf("with %q: %s", header, res.Status)
		}
	}
	equal(t, "requests", len(backend.Requests("john")), asked)
	r := s.post(t, body, "X-Hub-Signature-256", "sha256="+hex.EncodeToString(mac.Sum(nil)))
	equal(t, "signed", fmt.Sprintf("%d %s %d", r.Code, r.Status, r.Updated), "200 ok 1")
}

// TestClientAuthorities: a file that cannot be read refuses the start, with its line.
func TestClientAuthorities(t *testing.T) {
	t.Parallel()
	for name, content := range map[string]string{"missing.pem": "", "empty.pem": "nothing"} {
		p := newPlace(t, open("http://localhost/%s", fmt.Sprintf("rosterd_refresh_client_ca = %q", name)))
		p.c2s, p.http, p.https = 1, 2, 3
		p.write(t)
		if content != "" {
			p.file(t, name, content)
		}
		status, out, _ := p.command(t, "", "check")
		if status != 2 || !strings.Contains(out, "REFUSED") || !strings.Contains(out, name) {
			t.Errorf("%s: %d\n%s", name, status, out)
		}
	}
}
