package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"rosterd/daemontest"
	"rosterd/engine/enginetest"
	"rosterd/xmppcore/xmpptest"
)

// issue writes a certificate and its key below certs: NAME.crt and NAME.key.
func (p *place) issue(t testing.TB, name string, from, until time.Duration, domains ...string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	serial, err := rand.Int(rand.Reader, big.NewInt(1<<62))
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{SerialNumber: serial, DNSNames: domains, NotBefore: time.Now().Add(from), NotAfter: time.Now().Add(until)}
	cert, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(p.dir, "certs", name)
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		t.Fatal(err)
	}
	for end, block := range map[string]*pem.Block{".crt": {Type: "CERTIFICATE", Bytes: cert}, ".key": {Type: "PRIVATE KEY", Bytes: secret}} {
		if err := os.WriteFile(file+end, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

const day = 24 * time.Hour

// direct is a configuration with a port where TLS comes first.
func (p *place) direct(t testing.TB, head string) (port int) {
	port = daemontest.Port(t)
	p.head = fmt.Sprintf("c2s_direct_tls_ports = { %d }\nc2s_direct_tls_interfaces = { \"127.0.0.1\" }\n%s", port, head)
	return port
}

func threeHosts(backend *enginetest.Server) string {
	return strings.Replace(open(backend.Template()), "example.com", "blue.example", 1) +
		openHost("red.example", backend.Template()) + openHost("bücher.example", backend.Template())
}

// shown is the name in the certificate that a port shows.
func (s *program) shown(t testing.TB, port int, config *tls.Config) (string, error) {
	t.Helper()
	config = config.Clone()
	config.InsecureSkipVerify = true
	c, err := tls.Dial("tcp", s.address(port), config)
	if err != nil {
		return "", err
	}
	defer c.Close()
	return c.ConnectionState().PeerCertificates[0].DNSNames[0], nil
}

// The name that a client asks for chooses the certificate, also on ports that are replaced.
func TestServerNames(t *testing.T) {
	t.Parallel()
	p := newPlace(t, threeHosts(enginetest.Serve(t, nil)))
	p.secure = true
	port := p.direct(t, "")
	p.issue(t, "a", -day, 90*day, "blue.example")
	p.issue(t, "b", -day, 90*day, "red.example")
	p.issue(t, "c", -day, 90*day, "xn--bcher-kva.example")
	s := p.serve(t)
	tests := []struct {
		name   string
		config *tls.Config
		want   string // "" is none
	}{
		{"the first", &tls.Config{ServerName: "blue.example"}, "blue.example"},
		{"another", &tls.Config{ServerName: "red.example"}, "red.example"},
		{"upper case", &tls.Config{ServerName: "RED.example"}, "red.example"},
		{"an internationalised domain", &tls.Config{ServerName: "xn--bcher-kva.example"}, "xn--bcher-kva.example"},
		{"one that is not here", &tls.Config{ServerName: "green.example"}, "blue.example"},
		{"none", &tls.Config{}, "blue.example"},
		{"TLS 1.2", &tls.Config{ServerName: "red.example", MaxVersion: tls.VersionTLS12}, "red.example"},
		{"TLS 1.1", &tls.Config{ServerName: "red.example", MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}, ""},
		{"another protocol", &tls.Config{ServerName: "red.example", NextProtos: []string{"xmpp-server"}}, ""},
	}
	for _, tt := range tests {
		for service, at := range map[string]struct {
			port     int
			protocol string
		}{"direct TLS": {port, "xmpp-client"}, "HTTPS": {s.https, "http/1.1"}} {
			t.Run(tt.name+"/"+service, func(t *testing.T) {
				got, err := s.shown(t, at.port, tt.config)
				if got != tt.want || (err != nil) != (tt.want == "") {
					t.Errorf("shown %q, %v, want %q", got, err, tt.want)
				}
				if config := tt.config.Clone(); tt.want != "" {
					config.NextProtos = []string{at.protocol}
					if got, err := s.shown(t, at.port, config); got != tt.want {
						t.Errorf("with %s: shown %q, %v", at.protocol, got, err)
					}
				}
			})
		}
	}
	t.Run("replaced", func(t *testing.T) {
		p.issue(t, "b", -day, 90*day, "red.example", "blue.example")
		p.issue(t, "a", -day, 80*day, "blue.example")
		s.wantReloaded(t, s.text)
		for name, port := range map[string]int{"direct TLS": port, "HTTPS": s.https} {
			if got, err := s.shown(t, port, &tls.Config{ServerName: "blue.example"}); got != "red.example" {
				t.Errorf("%s: shown %q, %v", name, got, err)
			}
		}
	})
	t.Run("gone", func(t *testing.T) {
		if err := os.RemoveAll(filepath.Join(p.dir, "certs")); err != nil {
			t.Fatal(err)
		}
		s.wantReloaded(t, s.text)
		for _, port := range []int{port, s.https} {
			if got, err := s.shown(t, port, &tls.Config{ServerName: "blue.example"}); err == nil {
				t.Errorf("still shown %q", got)
			}
		}
		equal(t, "lines", len(s.log.find("no certificate: no direct TLS"))+len(s.log.find("no certificate: no HTTPS")), 2)
	})
}

// A login where TLS comes first, bound to the certificate that was shown; also one on whose way another name was asked for.
func TestDirectTLS(t *testing.T) {
	t.Parallel()
	backend := enginetest.Serve(t, map[string]string{"john": rosterOfJohn})
	p := newPlace(t, strings.Replace(threeHosts(backend), "disable_sasl_mechanisms", "-- ", 1))
	port := p.direct(t, "debug = true")
	p.certify(t, "blue.example", "red.example")
	s := p.serve(t)
	for _, name := range []string{"red.example", "blue.example"} {
		for _, binding := range []string{"tls-exporter", "tls-server-end-point"} {
			t.Run(name+"/"+binding, func(t *testing.T) {
				s.account(t, "john@red.example")
				ctx := testContext(t)
				dialled, err := xmpptest.Dial(ctx, s.address(port), "red.example")
				if err != nil {
					t.Fatal(err)
				}
				defer dialled.Disconnect()
				c := &client{dialled, t, ctx}
				c.TLS, c.BindTo = p.trust(t, name), binding
				c.TLS.NextProtos = []string{"xmpp-client"}
				c.must(c.Handshake(ctx))
				c.must(c.Open(ctx))
				if _, ok := c.Features.Find("urn:ietf:params:xml:ns:xmpp-tls", "starttls"); ok {
					t.Error("STARTTLS inside TLS")
				}
				c.must(c.Authenticate(ctx, "SCRAM-SHA-512-PLUS", "john", password))
				c.must(c.Open(ctx))
				c.must(c.Bind(ctx, "desk"))
				c.wantRoster("jane@example.com|Jane|both|Friends")
				c.leave()
			})
		}
	}
	plain, err := xmpptest.Dial(testContext(t), s.address(port), "red.example")
	if err != nil {
		t.Fatal(err)
	}
	defer plain.Disconnect()
	if err := plain.Open(testContext(t)); err == nil {
		t.Error("a stream without TLS")
	}
	if _, err := s.log.wait(testContext(t), func(line string) bool {
		return strings.Contains(line, "level=DEBUG") && strings.Contains(line, "TLS handshake")
	}); err != nil {
		t.Errorf("the failed handshake is not in the log: %v", err)
	}
}

// The settings of direct TLS are its own.
func TestDirectTLSVersion(t *testing.T) {
	t.Parallel()
	p := newPlace(t, open(enginetest.Serve(t, nil).Template()))
	p.secure = true
	port := p.direct(t, "c2s_direct_tls_ssl = { protocol = 'tlsv1_3' }")
	p.certify(t, "example.com")
	s := p.serve(t)
	if _, err := s.shown(t, port, &tls.Config{MaxVersion: tls.VersionTLS12}); err == nil {
		t.Error("TLS 1.2 on a port for TLS 1.3")
	}
	if _, err := s.shown(t, port, &tls.Config{}); err != nil {
		t.Error(err)
	}
	if _, err := s.shown(t, s.https, &tls.Config{MaxVersion: tls.VersionTLS12}); err != nil {
		t.Error("HTTPS:", err)
	}
}

// What clients will not accept is said by check and by the log.
func TestCertificateFlaws(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name        string
		host        string
		from, until time.Duration
		domains     []string
		check, log  string // "" is nothing
	}{
		{"a good one", "", -day, 15 * day, []string{"example.com"}, "", ""},
		{"a wildcard", "", -day, 15 * day, []string{"*.com"}, "", ""},
		{"soon", "", -day, 13 * day, []string{"example.com"}, "its STARTTLS certificate expires soon: it is valid until 20", "certificate expires soon"},
		{"expired", "", -2 * day, -day, []string{"example.com"}, "its STARTTLS certificate has expired: it is valid until 20", "certificate has expired"},
		{"early", "", day, 90 * day, []string{"example.com"}, "its STARTTLS certificate is not valid before 20", "certificate is not valid yet"},
		{"another name", "", -day, 90 * day, []string{"example.org"}, "its STARTTLS certificate does not name example.com, so clients refuse it: it names [example.org]", "certificate does not name the host"},
		{"no name", "", -day, 90 * day, nil, "its STARTTLS certificate does not name example.com, so clients refuse it: it names []", "certificate does not name the host"},
		{"not that of the web", `http_host = "web.example.com"`, -day, 90 * day, []string{"example.com"}, "its HTTPS certificate does not name web.example.com", "certificate does not name the host"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p := newPlace(t, open(enginetest.Serve(t, nil).Template(), tt.host))
			p.secure = true
			p.issue(t, "example.com", tt.from, tt.until, tt.domains...) // found by the name of the file
			s := p.serve(t)
			_, out, _ := p.command(t, "", "check")
			var said []string
			for line := range strings.Lines(out) {
				if strings.Contains(line, "[SEC006]") {
					said = append(said, line)
				}
			}
			want := 1
			if tt.check == "" {
				want = 0
			}
			if len(said) != want || want == 1 && (!strings.Contains(said[0], tt.check) || !strings.HasPrefix(said[0], "WARN")) {
				t.Errorf("check says %q, want %q", said, tt.check)
			}
			logged := s.log.find("level=WARN", "msg=\"certificate ")
			if len(logged) != want || want == 1 && !strings.Contains(logged[0], tt.log) {
				t.Errorf("logged %q, want %q", logged, tt.log)
			}
		})
	}
}

// The certificate of HTTPS may be one for each port.
func TestHTTPSCertificateByPort(t *testing.T) {
	t.Parallel()
	p := newPlace(t, open(enginetest.Serve(t, nil).Template()))
	p.secure = true
	p.certify(t, "example.com")
	p.issue(t, "web/own", -day, 90*day, "web.example.net")
	other := daemontest.Port(t)
	p.text = fmt.Sprintf("https_ports = { %d }\nhttps_certificate = { [%d] = 'certs/web/own.crt' }\n%s", other, other, p.text)
	s := p.serve(t)
	if got, err := s.shown(t, other, &tls.Config{ServerName: "example.com"}); got != "web.example.net" {
		t.Errorf("shown %q, %v", got, err)
	}
}

// Guessing is slowed down, however often one connects.
func TestFailedLogins(t *testing.T) {
	t.Parallel()
	p := newPlace(t, open(enginetest.Serve(t, nil).Template()))
	p.head = "trusted_proxies = {}\nrosterd_auth_failures_per_account = 2\nrosterd_auth_failures_per_address = 4\nrosterd_auth_failures_period = '1 h'"
	s := p.serve(t)
	for _, user := range []string{"john", "jane", "mary"} {
		s.account(t, user+"@example.com")
	}
	steps := []struct{ user, password, want string }{
		{"jane", password, ""},
		{"john", "guess", "not-authorized"},
		{"john", "guess", "not-authorized"},
		{"john", "guess", "temporary-auth-failure"},
		{"john", password, "temporary-auth-failure"},
		{"nobody", "guess", "not-authorized"},
		{"nobody", "guess", "not-authorized"},
		{"mary", password, "temporary-auth-failure"}, // the address
		{"jane", password, ""},                       // who has been there before
	}
	for i, step := range steps {
		c := s.connect(t, "example.com")
		c.must(c.Open(c.ctx))
		var f *xmpptest.Failure
		got := ""
		if err := c.Authenticate(c.ctx, "PLAIN", step.user, step.password); errors.As(err, &f) {
			got = f.Condition
		} else {
			c.must(err)
		}
		equal(t, fmt.Sprintf("step %d: %s", i, step.user), got, step.want)
		c.Disconnect()
	}
	equal(t, "lines", len(s.log.find(`msg="too many failed logins"`)), 2)
	if len(s.log.find(`msg="too many failed logins"`, "user=john@example.com")) != 1 || len(s.log.find(`msg="too many failed logins"`, "address=127.0.0.1")) != 1 {
		t.Error("not the lines that were expected")
	}
}
