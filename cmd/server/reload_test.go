package main

import (
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"rosterd/config"
	"rosterd/daemontest"
	"rosterd/engine/enginetest"
	"rosterd/plugins"
)

// reload has the program read its configuration anew, and waits for what it says of that.
func (s *program) reload(t testing.TB) (line string) {
	t.Helper()
	before := len(s.log.find("msg=\"configuration reloaded\"")) + len(s.log.find("configuration not reloaded"))
	select {
	case s.hangup <- syscall.SIGHUP:
	case <-testContext(t).Done():
		t.Fatal("the program does not listen")
	}
	seen := 0
	line, err := s.log.wait(testContext(t), func(line string) bool {
		if strings.Contains(line, "msg=\"configuration reloaded\"") || strings.Contains(line, "configuration not reloaded") {
			seen++
		}
		return seen > before
	})
	if err != nil {
		t.Fatal(err)
	}
	return line
}

// wantReloaded rewrites the configuration and has it served.
func (s *program) wantReloaded(t testing.TB, text string) {
	t.Helper()
	s.text = text
	s.write(t)
	if line := s.reload(t); !strings.Contains(line, "configuration reloaded") {
		t.Fatal(line)
	}
}

// serial is the served certificate's.
func (s *program) serial(t testing.TB, port int) string {
	t.Helper()
	c, err := tls.Dial("tcp", s.address(port), &tls.Config{InsecureSkipVerify: true, ServerName: "example.com"})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	return c.ConnectionState().PeerCertificates[0].SerialNumber.String()
}

func TestReload(t *testing.T) {
	t.Parallel()
	first := enginetest.Serve(t, map[string]string{"john": rosterOfJohn})
	second := enginetest.Serve(t, map[string]string{"john": `{"mary@example.com": {"name": "Mary"}}`})
	p := newPlace(t, open(first.Template()))
	p.secure = true
	p.certify(t, "example.com")
	s := p.serve(t)
	john := s.login(t, "john@example.com/desk")
	john.wantRoster("jane@example.com|Jane|both|Friends")
	asked := len(first.Requests("john"))

	t.Run("nothing new", func(t *testing.T) {
		s.wantReloaded(t, s.text)
		john.alive()
		equal(t, "requests", len(first.Requests("john")), asked)
	})
	t.Run("a certificate", func(t *testing.T) {
		before := s.serial(t, s.https)
		if err := os.RemoveAll(filepath.Join(s.dir, "certs")); err != nil {
			t.Fatal(err)
		}
		s.certify(t, "example.com")
		equal(t, "before the reload", s.serial(t, s.https), before)
		s.wantReloaded(t, s.text)
		if after := s.serial(t, s.https); after == before {
			t.Errorf("HTTPS still shows the certificate %s", after)
		}
		c := s.connect(t, "example.com")
		c.must(c.Open(c.ctx))
		c.must(c.StartTLS(c.ctx))
		john.alive()
	})
	t.Run("a port", func(t *testing.T) {
		old := s.http
		s.http = daemontest.Port(t)
		s.wantReloaded(t, s.text)
		if _, err := net.Dial("tcp", s.address(old)); err == nil {
			t.Error("the old port is still open")
		}
		if answer, _ := s.request(t, http.MethodGet, "/health", ""); answer.StatusCode != http.StatusOK {
			t.Errorf("the new port answers %s", answer.Status)
		}
	})
	t.Run("another backend", func(t *testing.T) {
		s.wantReloaded(t, open(second.Template()))
		var got []string
		for range 2 { // Jane is removed and Mary is added, unasked
			push, err := john.ExpectPush(john.ctx)
			john.must(err)
			got = append(got, shorts(push)...)
		}
		equal(t, "pushes", strings.Join(got, " "), "mary@example.com|Mary|both| jane@example.com||remove|")
	})
	t.Run("another host", func(t *testing.T) {
		s.wantReloaded(t, open(second.Template())+openHost("example.org", first.Template()))
		other := s.login(t, "john@example.org")
		other.wantRoster("jane@example.com|Jane|both|Friends")
		s.wantReloaded(t, open(second.Template()))
		other.wantStreamError("host-gone")
		john.alive()
	})
}

// TestReloadRefused: what cannot be served as a whole changes nothing.
func TestReloadRefused(t *testing.T) {
	t.Parallel()
	backend := enginetest.Serve(t, map[string]string{"john": rosterOfJohn})
	elsewhere := enginetest.Serve(t, map[string]string{"john": `{}`})
	p := newPlace(t, open(backend.Template()))
	p.certify(t, "example.com")
	s := p.serve(t)
	s.quiet = true
	john := s.login(t, "john@example.com/desk")
	john.wantRoster("jane@example.com|Jane|both|Friends")
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	good := open(elsewhere.Template()) // would be another backend
	cert := filepath.Join(s.dir, "certs", "example.com.crt")
	port := strconv.Itoa(taken.Addr().(*net.TCPAddr).Port)
	for _, c := range []struct {
		name, text string
		spoil      func()
		want       string
	}{
		{"no Lua", good + "\nthis is no Lua", nil, "prosody.cfg.lua:"},
		{"refused by check", good + "\nrosterd_nonsense = 1", nil, "1 setting is refused"},
		{"a port of somebody else", "c2s_ports = { " + port + " }\n" + good, nil, "address already in use"},
		{"a port of our own at another address", "c2s_interfaces = { \"*\" }\n" + good, nil, "rosterd itself has that port, at 127.0.0.1:"},
		{"another database", "rosterd_database = 'other.sqlite'\n" + good, nil, "rosterd_database cannot change"},
		{"two hosts at one place", good + openHost("example.org", backend.Template(), "http_host = 'example.com'"), nil, "1 setting is refused"},
		{"a broken certificate", good, func() {
			if err := os.WriteFile(cert, []byte("-----BEGIN CERTIFICATE-----\n"), 0o600); err != nil {
				t.Fatal(err)
			}
		}, "1 setting is refused"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s.text = c.text
			s.write(t)
			if c.spoil != nil {
				c.spoil()
			}
			if line := s.reload(t); !strings.Contains(line, "configuration not reloaded") || !strings.Contains(line, c.want) {
				t.Fatalf("got %s", line)
			}
			john.wantRoster("jane@example.com|Jane|both|Friends")
			s.refresh(t, "john")
			equal(t, "requests elsewhere", len(elsewhere.Requests("john")), 0)
			s.login(t, "john@example.com/other").wantRoster("jane@example.com|Jane|both|Friends")
		})
	}
	s.certify(t, "example.com")
	s.wantReloaded(t, open(backend.Template()))
	john.alive()
}

// TestReloadWithoutCertificate: a certificate that is being renewed, and is not there for a moment, shuts nobody out.
func TestReloadWithoutCertificate(t *testing.T) {
	t.Parallel()
	p := newPlace(t, seed)
	p.secure = true
	p.certify(t, "example.com")
	s := p.serve(t)
	s.quiet = true
	before := s.serial(t, s.https)
	if err := os.RemoveAll(filepath.Join(s.dir, "certs")); err != nil {
		t.Fatal(err)
	}
	if line := s.reload(t); !strings.Contains(line, "configuration not reloaded") || !strings.Contains(line, "example.com has lost its certificate") {
		t.Errorf("got %s", line)
	}
	equal(t, "still shown", s.serial(t, s.https), before)
}

// clinging is a backend that cannot be closed.
type clinging struct{ plugins.Nothing }

func (clinging) Close() error { return errors.New("it does not let go") }

// TestReloadOfWhatClings: what goes wrong with the configuration of before, once that of now is served, does not make a
// reload one that has changed nothing.
func TestReloadOfWhatClings(t *testing.T) {
	t.Parallel()
	first, second := enginetest.Serve(t, nil), enginetest.Serve(t, nil)
	p := newPlace(t, open(first.Template()))
	p.head = `log = "rosterd.log"`
	p.c2s, p.http = daemontest.Port(t), daemontest.Port(t)
	p.write(t)
	said := newJournal()
	cfg, err := config.Load(p.config(), config.LoadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	logs, err := openLogs(console{err: said}, cfg.Global())
	if err != nil {
		t.Fatal(err)
	}
	d, err := start(t.Context(), cfg, slog.New(slog.NewTextHandler(said, nil)))
	if err != nil {
		t.Fatal(err)
	}
	d.plan.plugins["example.com"].modules["clinging"] = &plugins.Opened{Plugin: clinging{}}
	if err := logs.Close(); err != nil { // and so cannot be closed again
		t.Fatal(err)
	}
	p.head, p.text = `log = "other.log"`, open(second.Template())
	p.write(t)
	if err := d.reload(t.Context(), p.config(), logs); err != nil {
		t.Errorf("reload: %v", err)
	}
	if err := errors.Join(d.stop(), logs.Close()); err != nil {
		t.Error(err)
	}
	for _, want := range []string{"it does not let go", "rosterd.log"} {
		if !strings.Contains(said.String(), want) {
			t.Errorf("nothing of %q in\n%s", want, said.String())
		}
	}
}
