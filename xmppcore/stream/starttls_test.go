package stream_test

import (
	"bufio"
	"crypto/tls"
	"net"
	"strings"
	"testing"

	"rosterd/xmppcore/auth"
	"rosterd/xmppcore/stream"
)

const (
	offerTLS   = "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'></starttls>"
	requireTLS = "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'><required/></starttls>"
	offerSASL  = "<mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><mechanism>SCRAM-SHA-1</mechanism><mechanism>PLAIN</mechanism></mechanisms>"
	offerBound = "<mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><mechanism>SCRAM-SHA-1-PLUS</mechanism><mechanism>SCRAM-SHA-1</mechanism><mechanism>PLAIN</mechanism></mechanisms>" +
		"<sasl-channel-binding xmlns='urn:xmpp:sasl-cb:0'><channel-binding type='tls-exporter'/><channel-binding type='tls-server-end-point'/></sasl-channel-binding>"
	offerSCRAM  = "<mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><mechanism>SCRAM-SHA-1</mechanism></mechanisms>"
	offerBind   = "<bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/><session xmlns='urn:ietf:params:xml:ns:xmpp-session'><optional/></session>"
	offerLimits = "<limits xmlns='urn:xmpp:stream-limits:0'><max-bytes>262144</max-bytes></limits>"
)

func features(s string) string { return "<stream:features>" + s + "</stream:features>" }

func TestFeatures(t *testing.T) {
	tests := []struct {
		name          string
		change        func(*stream.Host)
		plain, secure string // "" for secure: there is no TLS
	}{
		{"everything", func(h *stream.Host) {}, offerTLS + offerSASL, offerBound},
		{"TLS required", func(h *stream.Host) { h.RequireTLS = true }, requireTLS, offerBound},
		{"no password in the clear", func(h *stream.Host) { h.AllowPlainUnencrypted = false }, offerTLS + offerSCRAM, offerBound},
		{"no channel binding", func(h *stream.Host) { h.Auth = &auth.Host{Domain: domain, Disabled: []string{"SCRAM-SHA-1-PLUS"}} }, offerTLS + offerSASL, offerSASL},
		{"no TLS", func(h *stream.Host) { h.TLS = nil }, offerSASL, ""},
		{"no TLS but required", func(h *stream.Host) { h.TLS, h.RequireTLS = nil, true }, "", ""},
		{"no mechanism", func(h *stream.Host) {
			h.Auth = &auth.Host{Domain: domain, Disabled: []string{"PLAIN", "SCRAM-SHA-1", "SCRAM-SHA-1-PLUS"}}
		}, offerTLS, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t, func(w *world) { tt.change(w.host) }).listen()
			if got := w.talk(header + end); !strings.HasSuffix(got, features(tt.plain)+end) {
				t.Errorf("got %s, want %s", got, tt.plain)
			}
			if tt.secure == "" {
				return
			}
			if got := w.talkTLS(header + end); !strings.HasSuffix(got, features(tt.secure)+end) {
				t.Errorf("got %s, want %s inside TLS", got, tt.secure)
			}
		})
	}
}

func TestFeaturesOfTheHostAfterAuthentication(t *testing.T) {
	const ver = "<ver xmlns='urn:xmpp:features:rosterver'/>"
	w := newWorld(t, func(w *world) { w.host.Features = []byte(ver) }).listen()
	if got := w.talk(header + login + header + end); !strings.HasSuffix(got, features(offerBind+ver+offerLimits)+end) {
		t.Errorf("got %s", got)
	}
}

// What is sent in the clear behind <starttls/> is not part of the encrypted
// stream (RFC 6120 §5.4.3.3): whoever put it there must not have a say in it.
func TestInjectionBeforeTLS(t *testing.T) {
	w := newWorld(t, nil).listen()
	nc := w.raw()
	w.write(nc, header+starttls+header+login)
	w.until(nc, "<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>")
	client := tls.Client(nc, &tls.Config{InsecureSkipVerify: true})
	must(t, client.HandshakeContext(w.ctx()))
	got := w.exchange(client, header+end)
	if strings.Contains(got, "success") || strings.Count(got, "<stream:stream") != 1 || !strings.HasSuffix(got, features(offerBound)+end) {
		t.Errorf("got %s", got)
	}
}

func TestTLSRefused(t *testing.T) {
	const failure = "<failure xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>" + end
	without := newWorld(t, func(w *world) { w.host.TLS = nil }).listen()
	if got := without.talk(header + starttls); !strings.HasSuffix(got, features(offerSASL)+failure) {
		t.Errorf("without TLS: got %s", got)
	}
	with := newWorld(t, nil).listen()
	if got := with.talkTLS(header + starttls); !strings.HasSuffix(got, features(offerBound)+failure) {
		t.Errorf("TLS inside TLS: got %s", got)
	}
}

// After <proceed/> there is no stream to write an error to.
func TestNoHandshake(t *testing.T) {
	w := newWorld(t, nil).listen()
	nc := w.raw()
	w.write(nc, header+starttls)
	w.until(nc, "<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>")
	if got := w.exchange(nc, header+login); strings.Contains(got, "<") {
		t.Errorf("XML in place of a handshake: %q", got)
	}
	if err := <-w.ended; err == nil || !strings.Contains(err.Error(), "TLS handshake") {
		t.Errorf("Serve returned %v", err)
	}
}

func TestTLSVersionTooOld(t *testing.T) {
	w := newWorld(t, func(w *world) { w.host.TLS.MinVersion = tls.VersionTLS13 }).listen()
	nc := w.raw()
	w.write(nc, header+starttls)
	w.until(nc, "<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>")
	client := tls.Client(nc, &tls.Config{InsecureSkipVerify: true, MaxVersion: tls.VersionTLS12})
	if err := client.HandshakeContext(w.ctx()); err == nil {
		t.Error("TLS 1.2 was accepted")
	}
	if err := <-w.ended; err == nil || !strings.Contains(err.Error(), "TLS handshake") {
		t.Errorf("Serve returned %v", err)
	}
}

func TestServeTLS(t *testing.T) {
	w := newWorld(t, func(w *world) { w.host.RequireTLS = true })
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer ln.Close()
	go func() {
		nc, err := ln.Accept()
		if err == nil {
			err = w.server.ServeTLS(w.ctx(), nc, w.host.TLS, w)
		}
		w.ended <- err
	}()
	w.addr = ln.Addr().String()
	c := w.dial()
	must(t, c.Handshake(w.ctx()))
	must(t, c.Login(w.ctx(), "romeo", password, "orchard"))
	s := <-w.sessions
	if !s.Transport.Secure() || c.JID != "romeo@example.com/orchard" {
		t.Errorf("%s is bound, encrypted: %v", c.JID, s.Transport.Secure())
	}
	must(t, c.Close(w.ctx()))
	must(t, <-s.end)
}

// The bytes of a stanza may be cut into TLS records and TCP segments in any way.
func TestTLSInPieces(t *testing.T) {
	w := newWorld(t, nil).listen()
	nc, s := w.bound(true)
	const message = "<message to='juliet@example.com'><body>O &amp; é</body></message>"
	for i := range len(message) {
		w.write(nc, message[i:i+1])
	}
	if got := <-s.got; got != message {
		t.Errorf("got %s", got)
	}
	out := bufio.NewWriterSize(nc, 1<<16)
	for range 100 {
		out.WriteString(message)
	}
	must(t, out.Flush())
	for range 100 {
		if got := <-s.got; got != message {
			t.Fatalf("got %s", got)
		}
	}
}
