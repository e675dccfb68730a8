package main

import (
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"rosterd/engine/enginetest"
	"rosterd/xmppcore/xmpptest"
)

// optionCase is an option that somebody set, and what becomes different by it.
type optionCase struct {
	name   string
	head   string // global lines
	option string // a line of the VirtualHost
	check  func(t *testing.T, s *program, backend *enginetest.Server)
}

var optionCases = []optionCase{
	{name: "rosterd_max_sessions", option: "rosterd_max_sessions = 2", check: func(t *testing.T, s *program, _ *enginetest.Server) {
		first := s.login(t, "john@example.com/1")
		s.login(t, "john@example.com/2")
		c := s.authenticated(t, "john")
		equal(t, "the third", c.bind("3"), "wait/resource-constraint")
		first.leave()
		s.hasLeft(t, "john@example.com")
		equal(t, "the third, when one has left", c.bind("3"), "john@example.com/3")
		s.login(t, "jane@example.com") // others are counted for themselves
	}},
	{name: "conflict_resolve unset", check: func(t *testing.T, s *program, _ *enginetest.Server) {
		old := s.login(t, "john@example.com/desk")
		equal(t, "the new one", s.login(t, "john@example.com/desk").JID, "john@example.com/desk")
		old.wantStreamError("conflict")
	}},
	{name: "conflict_resolve kick_new", option: `conflict_resolve = "kick_new"`, check: func(t *testing.T, s *program, _ *enginetest.Server) {
		old := s.login(t, "john@example.com/desk")
		c := s.authenticated(t, "john")
		equal(t, "the new one", c.bind("desk"), "cancel/conflict")
		equal(t, "with another resource", c.bind("hall"), "john@example.com/hall")
		old.alive()
	}},
	{name: "conflict_resolve increment", option: `conflict_resolve = "increment"`, check: func(t *testing.T, s *program, _ *enginetest.Server) {
		old := s.login(t, "john@example.com/desk")
		equal(t, "the new one", s.authenticated(t, "john").bind("desk"), "john@example.com/desk #1")
		old.alive()
	}},
	{name: "conflict_resolve random", option: `conflict_resolve = "random"`, check: func(t *testing.T, s *program, _ *enginetest.Server) {
		old := s.login(t, "john@example.com/desk")
		if got := s.authenticated(t, "john").bind("desk"); got == "john@example.com/desk" || !strings.HasPrefix(got, "john@example.com/") {
			t.Errorf("the new one is %s", got)
		}
		old.alive()
	}},

	{name: "rosterd_auth_attempts", head: "rosterd_auth_attempts = 2", check: func(t *testing.T, s *program, _ *enginetest.Server) {
		c := s.connect(t, "example.com")
		c.must(c.Open(c.ctx))
		for range 2 {
			if err := c.Authenticate(c.ctx, "PLAIN", "john", "guessed"); err == nil {
				t.Fatal("logged in")
			}
		}
		c.wantStreamError("policy-violation")
	}},
	{name: "rosterd_auth_timeout", head: "rosterd_auth_timeout = 1", check: func(t *testing.T, s *program, _ *enginetest.Server) {
		c := s.connect(t, "example.com")
		if err := c.Open(c.ctx); err == nil { // on a slow machine time is up before
			t.Logf("features: %s", c.Features)
		}
		c.wantStreamError("connection-timeout")
	}},
	{name: "rosterd_bind_timeout", head: "rosterd_bind_timeout = 1", check: func(t *testing.T, s *program, _ *enginetest.Server) {
		s.account(t, "john@example.com")
		c := s.connect(t, "example.com")
		c.must(c.Open(c.ctx))
		c.must(c.Authenticate(c.ctx, "PLAIN", "john", password))
		if err := c.Open(c.ctx); err == nil { // on a slow machine time is up before
			t.Logf("features: %s", c.Features)
		}
		c.wantStreamError("connection-timeout")
	}},
	{name: "rosterd_connections_per_address", head: "rosterd_connections_per_address = 2; trusted_proxies = {}", check: func(t *testing.T, s *program, _ *enginetest.Server) {
		s.login(t, "john@example.com") // does not count any more
		for range 2 {
			c := s.connect(t, "example.com")
			c.must(c.Open(c.ctx))
		}
		c := s.connect(t, "example.com")
		if err := c.Open(c.ctx); err == nil {
			t.Error("a third one is let in")
		}
	}},
	{name: "trusted_proxies", head: `rosterd_connections_per_address = 2; trusted_proxies = { "127.0.0.0/8" }`, check: func(t *testing.T, s *program, _ *enginetest.Server) {
		for range 4 {
			c := s.connect(t, "example.com")
			c.must(c.Open(c.ctx))
		}
	}},
	{name: "rosterd_http_connections_per_address", head: "rosterd_http_connections_per_address = 2; trusted_proxies = {}", check: func(t *testing.T, s *program, _ *enginetest.Server) {
		for n := range 3 {
			c, err := net.Dial("tcp", fmt.Sprint("127.0.0.1:", s.http))
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			_, err = io.WriteString(c, "GET /health HTTP/1.1\r\nHost: example.com\r\n\r\n")
			if err == nil {
				_, err = c.Read(make([]byte, 1))
			}
			if (err == nil) != (n < 2) {
				t.Errorf("connection %d: %v", n, err)
			}
		}
	}},
	{name: "rosterd_preauth_bytes", head: "rosterd_preauth_bytes = 4096", check: func(t *testing.T, s *program, _ *enginetest.Server) {
		c := s.connect(t, "example.com")
		c.must(c.Open(c.ctx))
		c.send("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>%s", strings.Repeat("A", 8192))
		c.wantStreamError("policy-violation")
	}},

	{name: "rosterd_stanza_size", head: "rosterd_stanza_size = 20000", check: func(t *testing.T, s *program, _ *enginetest.Server) {
		john, jane := s.login(t, "john@example.com"), s.login(t, "jane@example.com/hall")
		john.send("<message to='jane@example.com/hall' id='1'><body>%s</body></message>", strings.Repeat("x", 19_000))
		john.alive()
		_, err := jane.Expect(jane.ctx, "a message", func(e xmpptest.Element) bool { return e.Attr("id") == "1" })
		jane.must(err)
		john.send("<message to='jane@example.com/hall' id='2'><body>%s</body></message>", strings.Repeat("x", 20_000))
		john.wantStreamError("policy-violation")
		jane.wantNothing()
	}},
	{name: "rosterd_stanza_depth", head: "rosterd_stanza_depth = 8", check: func(t *testing.T, s *program, _ *enginetest.Server) {
		c := s.login(t, "john@example.com")
		c.send("<message to='jane@example.com'>%s%s</message>", strings.Repeat("<x>", 20), strings.Repeat("</x>", 20))
		c.wantStreamError("policy-violation")
	}},
	{name: "rosterd_stanza_attributes", head: "rosterd_stanza_attributes = 8", check: func(t *testing.T, s *program, _ *enginetest.Server) {
		c := s.login(t, "john@example.com")
		var many strings.Builder
		for i := range 20 {
			fmt.Fprintf(&many, " a%d=''", i)
		}
		c.send("<message to='jane@example.com'><x%s/></message>", &many)
		c.wantStreamError("policy-violation")
	}},

	{name: "rosterd_backend_max_answer", option: "rosterd_backend_max_answer = 2000", check: func(t *testing.T, s *program, backend *enginetest.Server) {
		backend.Set("john", `{"a@example.com": {"name": "`+strings.Repeat("x", 2000)+`"}}`)
		s.login(t, "john@example.com").wantNoRoster("wait/internal-server-error")
		backend.Set("jane", `{"a@example.com": {"name": "`+strings.Repeat("x", 1000)+`"}}`)
		equal(t, "contacts", len(s.login(t, "jane@example.com").roster()), 1)
	}},
	{name: "rosterd_roster_items", option: "rosterd_roster_items = 2", check: func(t *testing.T, s *program, backend *enginetest.Server) {
		backend.Set("john", `{"a@example.com": {}, "b@example.com": {}, "c@example.com": {}}`)
		s.login(t, "john@example.com").wantNoRoster("wait/internal-server-error")
		backend.Set("jane", `{"a@example.com": {}, "b@example.com": {}}`)
		equal(t, "contacts", len(s.login(t, "jane@example.com").roster()), 2)
	}},

	{name: "modules", option: `modules_enabled = { "http_roster_admin", "version", "time" }; modules_disabled = { "roster", "ping", "disco" }`, check: func(t *testing.T, s *program, _ *enginetest.Server) {
		c := s.login(t, "john@example.com")
		for payload, want := range map[string]string{
			"<query xmlns='jabber:iq:version'/>":                     "result",
			"<time xmlns='urn:xmpp:time'/>":                          "result",
			"<ping xmlns='urn:xmpp:ping'/>":                          "cancel/service-unavailable",
			"<query xmlns='http://jabber.org/protocol/disco#info'/>": "cancel/service-unavailable",
		} {
			answer, err := c.IQ(c.ctx, "get", "example.com", payload)
			c.must(err)
			got := answer.Attr("type")
			if got == "error" {
				got = refusal(answer)
			}
			equal(t, payload, got, want)
		}
	}},
	{name: "disco_items", option: `disco_items = { { "files.example.net", "Files" } }`, check: func(t *testing.T, s *program, _ *enginetest.Server) {
		c := s.login(t, "john@example.com")
		answer, err := c.IQ(c.ctx, "get", "example.com", "<query xmlns='http://jabber.org/protocol/disco#items'/>")
		c.must(err)
		item, _ := answer.Path("query", "item")
		equal(t, "item", item.Attr("jid")+" "+item.Attr("name"), "files.example.net Files")
	}},
	{name: "enabled", option: openHost("off.example", "http://127.0.0.1:1/%s", "enabled = false"), check: func(t *testing.T, s *program, _ *enginetest.Server) {
		c := s.connect(t, "off.example")
		c.must(c.Send(c.ctx, "<stream:stream to='off.example' version='1.0' xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>"))
		c.must(c.ReadHeader(c.ctx))
		c.wantStreamError("host-unknown")
	}},
	{name: "rosterd_database", head: `rosterd_database = "elsewhere/accounts.sqlite"`, check: func(t *testing.T, s *program, _ *enginetest.Server) {
		if _, err := os.Stat(filepath.Join(s.data(), "elsewhere", "accounts.sqlite")); err != nil {
			t.Error(err)
		}
		if _, err := os.Stat(filepath.Join(s.data(), "rosterd.sqlite")); err == nil {
			t.Error("there is one in the usual place, too")
		}
	}},
}

// TestOptionsWork: what an option promises happens.
func TestOptionsWork(t *testing.T) {
	for _, tt := range optionCases {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			backend := enginetest.Serve(t, nil)
			p := newPlace(t, open(backend.Template(), tt.option))
			p.head = tt.head
			tt.check(t, p.serve(t), backend)
		})
	}
}

// authenticated is a client that has logged in and may bind a resource.
func (s *program) authenticated(t testing.TB, user string) *client {
	t.Helper()
	s.account(t, user+"@example.com")
	c := s.connect(t, "example.com")
	c.must(c.Open(c.ctx))
	c.must(c.Authenticate(c.ctx, "PLAIN", user, password))
	c.must(c.Open(c.ctx))
	return c
}

// bind is the full JID that binding a resource came to, or what it was refused with.
func (c *client) bind(resource string) string {
	c.t.Helper()
	answer, err := c.IQ(c.ctx, "set", "", "<bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><resource>"+resource+"</resource></bind>")
	c.must(err)
	if jid, ok := answer.Path("bind", "jid"); ok {
		return jid.Text
	}
	return refusal(answer)
}

// TestTLSOptions: which certificate, and which versions.
func TestTLSOptions(t *testing.T) {
	for _, tt := range []struct {
		name, option, head string
		max                uint16
		fails              bool
	}{
		{"certificates", "", `certificates = "elsewhere"`, 0, false},
		{"certificate, a file", `certificate = "elsewhere/example.com.crt"`, "", 0, false},
		{"certificate, a folder", `certificate = "elsewhere"`, "", 0, false},
		{"ssl", `ssl = { certificate = "elsewhere/example.com.crt", key = "elsewhere/example.com.key" }`, "", 0, false},
		{"TLS 1.2", "", `certificates = "elsewhere"`, tls.VersionTLS12, false},
		{"TLS 1.1", "", `certificates = "elsewhere"`, tls.VersionTLS11, true},
		{"tls_profile modern and TLS 1.2", "", `certificates = "elsewhere"; tls_profile = "modern"`, tls.VersionTLS12, true},
		{"tls_profile modern and TLS 1.3", "", `certificates = "elsewhere"; tls_profile = "modern"`, tls.VersionTLS13, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p := newPlace(t, seed+tt.option+"\n")
			p.head = tt.head
			p.certify(t, "example.com")
			rename(t, filepath.Join(p.dir, "certs"), filepath.Join(p.dir, "elsewhere"))
			s := p.serve(t)
			if err := os.CopyFS(filepath.Join(p.dir, "certs"), os.DirFS(filepath.Join(p.dir, "elsewhere"))); err != nil { // to trust it
				t.Fatal(err)
			}
			c := s.connect(t, "example.com")
			c.TLS = p.trust(t, "example.com")
			c.TLS.MaxVersion = tt.max
			if tt.max == tls.VersionTLS11 {
				c.TLS.MinVersion = tls.VersionTLS10
			}
			c.must(c.Open(c.ctx))
			switch err := c.StartTLS(c.ctx); {
			case tt.fails && err == nil:
				t.Error("the handshake succeeds")
			case !tt.fails:
				c.must(err)
				c.must(c.Open(c.ctx))
			}
		})
	}
}
