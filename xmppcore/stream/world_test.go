package stream_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"errors"
	"io"
	"math/big"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"rosterd/engine/addr"
	"rosterd/store/credential"
	"rosterd/xmppcore/auth"
	"rosterd/xmppcore/scan"
	"rosterd/xmppcore/stanza"
	"rosterd/xmppcore/stream"
	"rosterd/xmppcore/xmpptest"
)

const (
	domain   = "example.com"
	password = "wherefore"
	header   = "<?xml version='1.0'?><stream:stream to='example.com' version='1.0' xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>"
	end      = "</stream:stream>"
	starttls = "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>"
	bind     = "<iq type='set' id='b1'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><resource>orchard</resource></bind></iq>"
)

var login = saslAuth("PLAIN", "\x00romeo\x00"+password)

func saslAuth(mechanism, data string) string {
	return "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='" + mechanism + "'>" +
		base64.StdEncoding.EncodeToString([]byte(data)) + "</auth>"
}

// accounts are those of romeo and juliet.
type accounts struct{}

func (accounts) Credentials(_ context.Context, user addr.Bare) (credential.Credentials, error) {
	if user.Domain() != domain || user.Local() != "romeo" && user.Local() != "juliet" {
		return credential.Credentials{}, credential.ErrNoUser
	}
	return kept(), nil
}

var kept = sync.OnceValue(func() credential.Credentials {
	s, err := credential.Derive(credential.SHA1, password, []byte("salt"), 4096)
	if err != nil {
		panic(err)
	}
	return credential.Credentials{SCRAM: &s}
})

// passwords are accounts that all have the same one, which is quick to check.
type passwords struct{}

func (passwords) Credentials(context.Context, addr.Bare) (credential.Credentials, error) {
	return credential.Credentials{Password: password, HasPassword: true}, nil
}

var certificate = sync.OnceValue(func() tls.Certificate {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		Subject:      pkix.Name{CommonName: domain},
		DNSNames:     []string{domain},
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().Add(24 * time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		panic(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
})

func serverTLS() *tls.Config { return &tls.Config{Certificates: []tls.Certificate{certificate()}} }

// world is a server and what became of its streams.
type world struct {
	t      testing.TB
	server *stream.Server
	host   *stream.Host
	addr   string

	refuse   func(stream.BindRequest) *stanza.Error
	handle   func(*session, *scan.Stanza) error // instead of sending to got
	backlog  int                                // of session.got
	sessions chan *session
	ended    chan error // what Serve has returned
}

// session is what took a stream over.
type session struct {
	stream.BindRequest
	got chan string // stanzas
	end chan error  // what Run has returned
}

// newWorld makes a server that offers STARTTLS and allows everything without it.
// Its limits are out of the way.
func newWorld(t testing.TB, change func(*world)) *world {
	w := &world{
		t: t,
		host: &stream.Host{
			Domain:                domain,
			TLS:                   serverTLS(),
			AllowPlainUnencrypted: true,
			Auth:                  &auth.Host{Domain: domain, Accounts: accounts{}, Iterations: 4096},
		},
		server:   &stream.Server{Limits: stream.Limits{PerAddress: -1, Authenticate: -1, Bind: -1, Close: time.Minute}},
		backlog:  1000,
		sessions: make(chan *session, 100),
		ended:    make(chan error, 1000),
	}
	w.server.Host = func(d string) *stream.Host {
		if d == domain {
			return w.host
		}
		return nil
	}
	if change != nil {
		change(w)
	}
	return w
}

// listen lets the world take TCP connections.
func (w *world) listen() *world {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		w.t.Fatal(err)
	}
	w.addr = ln.Addr().String()
	ctx, stop := context.WithCancel(context.Background())
	var work sync.WaitGroup
	work.Go(func() {
		for {
			nc, err := ln.Accept()
			if err != nil {
				return
			}
			work.Go(func() { w.ended <- w.server.Serve(ctx, nc, w) })
		}
	})
	w.t.Cleanup(func() {
		stop()
		ln.Close()
		work.Wait()
	})
	return w
}

// Bind is the Acceptor: a session that only tells what it gets.
func (w *world) Bind(r stream.BindRequest) *stanza.Error {
	if w.refuse != nil {
		if e := w.refuse(r); e != nil {
			return e
		}
	}
	s := &session{BindRequest: r, got: make(chan string, w.backlog), end: make(chan error, 1)}
	resource := r.Resource
	if resource == "" {
		resource = "made-here"
	}
	full, err := r.User.WithResource(resource)
	if err != nil {
		return &stanza.Error{Condition: stanza.BadRequest}
	}
	jid := stanza.AppendText([]byte("<bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><jid>"), full.String())
	if err := r.Transport.Write(stanza.AppendResult(nil, r.ID, "", "", append(jid, "</jid></bind>"...))); err != nil {
		return nil
	}
	go s.run(w.handle)
	w.sessions <- s
	return nil
}

func (s *session) run(handle func(*session, *scan.Stanza) error) {
	stream.RunThen(s.Transport, func(st *scan.Stanza) error {
		if handle != nil {
			return handle(s, st)
		}
		if _, ok := st.Find("urn:xmpp:ping", "ping"); ok {
			return s.Transport.Write(stanza.AppendResult(nil, stanza.ID(st), "", "", nil))
		}
		s.got <- string(st.Raw)
		return nil
	}, func(err error) {
		s.end <- err
		se, _ := errors.AsType[*stanza.StreamError](err)
		s.Transport.Close(se)
	})
}

// ctx ends a test that hangs.
func (w *world) ctx() context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	w.t.Cleanup(cancel)
	return ctx
}

func (w *world) dial() *xmpptest.Client {
	w.t.Helper()
	c, err := xmpptest.Dial(w.ctx(), w.addr, domain)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { c.Disconnect() })
	return c
}

// raw is a TCP connection that gives up after a minute.
func (w *world) raw() net.Conn {
	w.t.Helper()
	nc, err := net.Dial("tcp", w.addr)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { nc.Close() })
	nc.SetDeadline(time.Now().Add(time.Minute))
	return nc
}

// talk sends text and returns all that comes back until the server closes.
func (w *world) talk(text string) string {
	w.t.Helper()
	return w.exchange(w.raw(), text)
}

// talkTLS is talk after STARTTLS.
func (w *world) talkTLS(text string) string {
	w.t.Helper()
	return w.exchange(w.encrypted(), text)
}

// encrypted is a connection after STARTTLS.
func (w *world) encrypted() net.Conn {
	w.t.Helper()
	return w.encrypt(w.raw())
}

func (w *world) encrypt(nc net.Conn) net.Conn {
	w.t.Helper()
	w.write(nc, header+starttls)
	w.until(nc, "<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>")
	t := tls.Client(nc, &tls.Config{InsecureSkipVerify: true})
	if err := t.Handshake(); err != nil {
		w.t.Fatal(err)
	}
	return t
}

func (w *world) exchange(nc net.Conn, text string) string {
	w.t.Helper()
	w.write(nc, text)
	b, err := io.ReadAll(nc)
	if err != nil {
		w.t.Fatalf("after %q: %v", b, err)
	}
	must(w.t, nc.Close())
	return string(b)
}

func (w *world) write(nc net.Conn, text string) {
	w.t.Helper()
	if _, err := io.WriteString(nc, text); err != nil {
		w.t.Fatal(err)
	}
}

// until reads byte by byte up to and including text.
func (w *world) until(nc net.Conn, text string) string {
	w.t.Helper()
	var got strings.Builder
	b := make([]byte, 1)
	for !strings.HasSuffix(got.String(), text) {
		if _, err := nc.Read(b); err != nil {
			w.t.Fatalf("waiting for %q: %v after %q", text, err, got.String())
		}
		got.Write(b)
	}
	return got.String()
}

// bound is a connection with a bound resource, and its session.
func (w *world) bound(encrypted bool) (net.Conn, *session) {
	w.t.Helper()
	nc := w.raw()
	if encrypted {
		nc = w.encrypted()
	}
	w.write(nc, header+login+header+bind)
	w.until(nc, "</jid></bind></iq>")
	return nc, <-w.sessions
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
