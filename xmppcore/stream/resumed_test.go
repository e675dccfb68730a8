package stream_test

import (
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"net"
	"strings"
	"testing"

	"rosterd/xmppcore/stream"
)

// resuming is a connection after STARTTLS of a client that keeps tickets.
func resuming(w *world, config *tls.Config) *tls.Conn {
	w.t.Helper()
	nc := w.raw()
	w.write(nc, header+starttls)
	w.until(nc, "<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>")
	return tls.Client(nc, config)
}

// A session that is resumed offers what the first one has, and is bound to the certificate of that.
func TestResumed(t *testing.T) {
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		t.Run(tls.VersionName(version), func(t *testing.T) {
			w := newWorld(t, nil).listen()
			config := &tls.Config{InsecureSkipVerify: true, ServerName: domain, MaxVersion: version, ClientSessionCache: tls.NewLRUClientSessionCache(10)}
			connect := func(resumed bool) {
				t.Helper()
				c := resuming(w, config)
				if got := w.exchange(c, header+end); !strings.HasSuffix(got, features(offerBound)+end) {
					t.Errorf("got %s", got)
				}
				if c.ConnectionState().DidResume != resumed {
					t.Errorf("resumed: %v, want %v", !resumed, resumed)
				}
			}
			connect(false)
			connect(true)
			w.host.TLS = serverTLS() // read anew, the same one
			w.server.Reconfigure(w.server.Limits, nil)
			connect(true)
			connect(true) // by the ticket of a session that was resumed
			w.host.TLS = &tls.Config{Certificates: []tls.Certificate{anotherCertificate(t, newECDSA(t))}}
			connect(false)
			connect(true)
		})
	}
}

// oneSession is a cache that offers each server what the last one gave.
type oneSession struct{ last *tls.ClientSessionState }

func (o *oneSession) Get(string) (*tls.ClientSessionState, bool) { return o.last, o.last != nil }
func (o *oneSession) Put(_ string, s *tls.ClientSessionState)    { o.last = s }

// A ticket of one host is none of another with a certificate of its own, where TLS comes first, either.
func TestNotResumedElsewhere(t *testing.T) {
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		t.Run(tls.VersionName(version), func(t *testing.T) {
			w := newWorld(t, nil)
			hosts := map[string]*tls.Config{
				"a.example": {Certificates: []tls.Certificate{anotherCertificate(t, newECDSA(t))}},
				"b.example": {Certificates: []tls.Certificate{anotherCertificate(t, newECDSA(t))}},
			}
			config := &tls.Config{GetConfigForClient: func(hello *tls.ClientHelloInfo) (*tls.Config, error) { return hosts[hello.ServerName], nil }}
			cache := new(oneSession)
			ln, err := net.Listen("tcp", "127.0.0.1:0")
			must(t, err)
			defer ln.Close()
			for i, to := range []struct {
				host    string
				resumed bool
			}{{"a.example", false}, {"a.example", true}, {"b.example", false}, {"b.example", true}, {"a.example", false}} {
				theirs, err := net.Dial("tcp", ln.Addr().String())
				must(t, err)
				go func() {
					ours, err := ln.Accept()
					if err != nil {
						w.ended <- err
						return
					}
					w.ended <- w.server.ServeTLS(t.Context(), ours, config, w)
				}()
				c := tls.Client(theirs, &tls.Config{InsecureSkipVerify: true, ServerName: to.host, MaxVersion: version, ClientSessionCache: cache})
				w.write(c, header)
				w.until(c, "</stream:features>")
				state := c.ConnectionState()
				if state.DidResume != to.resumed {
					t.Errorf("%d, %s: resumed: %v", i, to.host, state.DidResume)
				}
				if !bytes.Equal(state.PeerCertificates[0].Raw, hosts[to.host].Certificates[0].Certificate[0]) {
					t.Errorf("%d, %s: another certificate", i, to.host)
				}
				theirs.Close()
				<-w.ended
			}
		})
	}
}

// What the login is bound to is right: a client checks it against the certificate that it has seen the first time.
func TestResumedBinding(t *testing.T) {
	w := newWorld(t, nil).listen()
	cache := tls.NewLRUClientSessionCache(10)
	for i, binding := range []string{"tls-exporter", "tls-server-end-point", "tls-exporter", "tls-server-end-point"} {
		c := w.dial()
		c.TLS = &tls.Config{InsecureSkipVerify: true, ServerName: domain, ClientSessionCache: cache}
		c.BindTo = binding
		must(t, c.Open(w.ctx()))
		must(t, c.StartTLS(w.ctx()))
		must(t, c.Open(w.ctx()))
		must(t, c.Authenticate(w.ctx(), "SCRAM-SHA-1-PLUS", "romeo", password))
		if c.Resumed() != (i > 0) {
			t.Errorf("login %d, resumed: %v", i, c.Resumed())
		}
	}
}

// BenchmarkHandshake is what a handshake costs both sides, and what a ticket saves of it.
func BenchmarkHandshake(b *testing.B) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	must(b, err)
	for _, bb := range []struct {
		name string
		cert tls.Certificate
	}{{"ECDSA", certificate()}, {"RSA", anotherCertificate(b, key)}} {
		for _, resume := range []bool{false, true} {
			name := bb.name
			config := &tls.Config{InsecureSkipVerify: true, ServerName: domain}
			if resume {
				name += " resumed"
				config.ClientSessionCache = tls.NewLRUClientSessionCache(1)
			}
			b.Run(name, func(b *testing.B) {
				server := stream.Resuming(&tls.Config{Certificates: []tls.Certificate{bb.cert}})
				ln, err := net.Listen("tcp", "127.0.0.1:0")
				must(b, err)
				defer ln.Close()
				go func() {
					for {
						nc, err := ln.Accept()
						if err != nil {
							return
						}
						tls.Server(nc, server()).Write([]byte("x"))
						nc.Close()
					}
				}()
				for b.Loop() {
					c, err := tls.Dial("tcp", ln.Addr().String(), config)
					must(b, err)
					_, err = c.Read(make([]byte, 1))
					must(b, err)
					c.Close()
				}
			})
		}
	}
}
