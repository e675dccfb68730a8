package stream_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"math/big"
	"net"
	"os/exec"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	melliumsasl "mellium.im/sasl"
	"mellium.im/xmpp"
	"mellium.im/xmpp/jid"

	"rosterd/xmppcore/xmpptest"
)

// offered are the channel bindings of the features (XEP-0440).
func offered(f xmpptest.Element) (list []string) {
	e, _ := f.Find("urn:xmpp:sasl-cb:0", "sasl-channel-binding")
	for _, c := range e.Children {
		list = append(list, c.Attr("type"))
	}
	return list
}

// anotherCertificate is one for the same domain.
func anotherCertificate(t testing.TB, key crypto.Signer) tls.Certificate {
	t.Helper()
	tmpl := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{domain}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, key.Public(), key)
	must(t, err)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

func newECDSA(t *testing.T) crypto.Signer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	return key
}

func TestChannelBinding(t *testing.T) {
	for name, version := range map[string]uint16{"TLS 1.2": tls.VersionTLS12, "TLS 1.3": tls.VersionTLS13} {
		for _, binding := range []string{"tls-exporter", "tls-server-end-point"} {
			t.Run(name+"/"+binding, func(t *testing.T) {
				w := newWorld(t, nil).listen()
				c := w.dial()
				c.TLS, c.BindTo = &tls.Config{InsecureSkipVerify: true, MaxVersion: version}, binding
				must(t, c.Open(w.ctx()))
				if list := offered(c.Features); list != nil || slices.Contains(c.Mechanisms(), "SCRAM-SHA-1-PLUS") {
					t.Errorf("in the clear %v is offered", list)
				}
				must(t, c.StartTLS(w.ctx()))
				must(t, c.Open(w.ctx()))
				if list := offered(c.Features); strings.Join(list, " ") != "tls-exporter tls-server-end-point" {
					t.Errorf("offered %v", list)
				}
				must(t, c.Authenticate(w.ctx(), "SCRAM-SHA-1-PLUS", "romeo", password))
				must(t, c.Open(w.ctx()))
				must(t, c.Bind(w.ctx(), "orchard"))
				must(t, c.Close(w.ctx()))
			})
		}
	}
}

// A certificate that takes the place of another between the handshake and the login is not the one that the client
// has seen.
func TestCertificateReplaced(t *testing.T) {
	var current atomic.Pointer[tls.Certificate]
	first, second := anotherCertificate(t, newECDSA(t)), anotherCertificate(t, newECDSA(t))
	current.Store(&first)
	chooses := map[string]func() *tls.Config{
		"by certificate": func() *tls.Config {
			return &tls.Config{GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return current.Load(), nil }}
		},
		"by configuration": func() *tls.Config {
			return &tls.Config{GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
				return &tls.Config{Certificates: []tls.Certificate{*current.Load()}}, nil
			}}
		},
	}
	for name, config := range chooses {
		t.Run(name, func(t *testing.T) {
			current.Store(&first)
			w := newWorld(t, func(w *world) { w.host.TLS = config() }).listen()
			begin := func() *xmpptest.Client {
				c := w.dial()
				c.BindTo = "tls-server-end-point"
				must(t, c.Open(w.ctx()))
				must(t, c.StartTLS(w.ctx()))
				must(t, c.Open(w.ctx()))
				return c
			}
			before := begin()
			current.Store(&second)
			after := begin()
			must(t, before.Authenticate(w.ctx(), "SCRAM-SHA-1-PLUS", "romeo", password))
			must(t, after.Authenticate(w.ctx(), "SCRAM-SHA-1-PLUS", "romeo", password))
		})
	}
}

// Somebody in between has a certificate and a connection of his own. The password that he passes on is of no use.
func TestManInTheMiddle(t *testing.T) {
	for _, binding := range []string{"tls-exporter", "tls-server-end-point"} {
		t.Run(binding, func(t *testing.T) {
			w := newWorld(t, nil).listen()
			theirs, ours, other := w.encrypted(), w.addr, anotherCertificate(t, newECDSA(t))
			ln, err := net.Listen("tcp", "127.0.0.1:0")
			must(t, err)
			defer ln.Close()
			go func() { // passes on everything, behind TLS of his own
				nc, err := ln.Accept()
				if err != nil {
					return
				}
				between := tls.Server(nc, &tls.Config{Certificates: []tls.Certificate{other}})
				go copyAll(theirs, between)
				copyAll(between, theirs)
			}()
			w.addr = ln.Addr().String()
			c := w.dial()
			w.addr = ours
			c.BindTo = binding
			must(t, c.Handshake(w.ctx()))
			must(t, c.Open(w.ctx()))
			var f *xmpptest.Failure
			if err := c.Authenticate(w.ctx(), "SCRAM-SHA-1-PLUS", "romeo", password); !errors.As(err, &f) || f.Condition != "not-authorized" {
				t.Errorf("through somebody else: %v", err)
			}
		})
	}
}

func copyAll(to, from net.Conn) {
	b := make([]byte, 4096)
	for {
		n, err := from.Read(b)
		if err != nil {
			to.Close()
			return
		}
		if _, err := to.Write(b[:n]); err != nil {
			return
		}
	}
}

// For Ed25519 there is no hash, so there is no end-point.
func TestEd25519(t *testing.T) {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	must(t, err)
	w := newWorld(t, func(w *world) {
		w.host.TLS = &tls.Config{Certificates: []tls.Certificate{anotherCertificate(t, key)}}
	}).listen()
	got := w.talkTLS(header + end)
	if !strings.Contains(got, "-PLUS") || !strings.Contains(got, "'tls-exporter'") || strings.Contains(got, "end-point") {
		t.Errorf("got %s", got)
	}
}

// python runs a client in Debian's Python, whose OpenSSL can leave out what Go's client always has.
func python(t *testing.T, w *world, options string) string {
	t.Helper()
	script := `
import socket, ssl, sys
host, port = sys.argv[1].rsplit(":", 1)
s = socket.create_connection((host, int(port)), timeout=60)
def until(text):
    got = b""
    while not got.endswith(text):
        b = s.recv(1)
        if not b: sys.exit("closed after %r" % got)
        got += b
    return got.decode()
s.sendall(sys.argv[2].encode())
until(b"<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>")
c = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
c.check_hostname, c.verify_mode = False, ssl.CERT_NONE
` + options + `
s = c.wrap_socket(s, server_hostname="example.com")
s.sendall(sys.argv[3].encode())
print(s.version(), until(b"</stream:features>"))
`
	out, err := exec.CommandContext(w.ctx(), "/usr/bin/python3", "-c", script, w.addr, header+starttls, header).CombinedOutput()
	if err != nil {
		t.Fatalf("Debian's python3: %v\n%s", err, out)
	}
	return string(out)
}

// Without extended master secret two connections may have the same keys (RFC 7627 §1), so nothing is exported.
func TestWithoutExtendedMasterSecret(t *testing.T) {
	const exporter, endPoint = "<channel-binding type='tls-exporter'/>", "<channel-binding type='tls-server-end-point'/>"
	tests := []struct{ name, options, version, want string }{
		{"TLS 1.2 without", "c.maximum_version = ssl.TLSVersion.TLSv1_2\nc.options |= 1 # SSL_OP_NO_EXTENDED_MASTER_SECRET", "TLSv1.2", endPoint},
		{"TLS 1.2", "c.maximum_version = ssl.TLSVersion.TLSv1_2", "TLSv1.2", exporter + endPoint},
		{"TLS 1.3", "", "TLSv1.3", exporter + endPoint},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t, nil).listen()
			got := python(t, w, tt.options)
			if !strings.HasPrefix(got, tt.version) || !strings.Contains(got, "SCRAM-SHA-1-PLUS") || !strings.Contains(got, "urn:xmpp:sasl-cb:0'>"+tt.want+"</") {
				t.Errorf("got %s", got)
			}
		})
	}
}

// An independent client binds its login to TLS 1.3. (In TLS 1.2 it knows tls-unique only, which is not offered.)
func TestMelliumChannelBinding(t *testing.T) {
	w := newWorld(t, func(w *world) { w.host.RequireTLS = true }).listen()
	me := jid.MustParse("romeo@example.com/orchard")
	session, err := xmpp.NewClientSession(w.ctx(), me, w.raw(),
		xmpp.StartTLS(&tls.Config{InsecureSkipVerify: true}),
		xmpp.SASL("", password, melliumsasl.ScramSha1Plus),
		xmpp.BindResource(),
	)
	must(t, err)
	s := <-w.sessions
	if s.User.String() != "romeo@example.com" {
		t.Errorf("bound as %s", s.User)
	}
	go session.Serve(nil)
	must(t, session.Close())
	must(t, <-s.end)
}
