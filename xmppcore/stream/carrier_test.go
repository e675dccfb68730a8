package stream_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"testing"

	"rosterd/xmppcore/scan"
	"rosterd/xmppcore/stanza"
	"rosterd/xmppcore/stream"
)

// veiled is a Carrier that is nothing else: no Pacer, and no connection of ours.
type veiled struct {
	stream.Carrier
	secure bool
}

func (v veiled) Secure() bool { return v.secure }

// carried negotiates over a Carrier that is not TCP's. The client sends text and
// reads until the end.
func (w *world) carried(secure bool, from netip.Addr, text string) string {
	theirs, ours := net.Pipe()
	c := veiled{stream.NewCarrier(ours, w.server.Limits), secure}
	go func() { w.ended <- w.server.ServeCarrier(context.Background(), c, from, w) }()
	go io.WriteString(theirs, text)
	b, err := io.ReadAll(theirs)
	must(w.t, err)
	must(w.t, theirs.Close())
	return string(b)
}

// Any Carrier does for logging in. Only TCP's can begin TLS.
func TestServeCarrier(t *testing.T) {
	w := newWorld(t, func(w *world) { w.host.RequireTLS = true })
	got := w.carried(false, netip.Addr{}, header+starttls)
	if strings.Contains(got, "<starttls") || strings.Contains(got, "<mechanism>") || !strings.Contains(got, "<failure xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>") {
		t.Errorf("without encryption: got %s", got)
	}
	<-w.ended
	got = w.carried(true, netip.Addr{}, header+login+header+bind+message+end)
	if !strings.HasSuffix(got, "</jid></bind></iq>"+end) {
		t.Errorf("got %s", got)
	}
	s := <-w.sessions
	must(t, <-s.end)
	must(t, <-w.ended)
	if got := <-s.got; got != message || !s.Transport.Secure() {
		t.Errorf("got %s, secure %v", got, s.Transport.Secure())
	}
}

// placed is a Carrier of a client at an address.
type placed struct {
	stream.Carrier
	at netip.AddrPort
}

func (p placed) RemoteAddr() net.Addr { return net.TCPAddrFromAddrPort(p.at) }

// The log has the address of a client whose login fails, whatever it is counted under.
func TestAddressOfFailedLogin(t *testing.T) {
	for at, want := range map[string]string{
		"192.0.2.1:5222": "192.0.2.1", "[::ffff:192.0.2.1]:5222": "192.0.2.1",
		"[2001:db8::7:8]:5222": "2001:db8::7:8", // which counts as one
		"10.0.0.7:5222":        "10.0.0.7",      // which is not counted
	} {
		var log bytes.Buffer
		w := newWorld(t, func(w *world) {
			w.server.Trusted = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}
			w.host.Auth.Log = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
		})
		theirs, ours := net.Pipe()
		c := placed{stream.NewCarrier(ours, w.server.Limits), netip.MustParseAddrPort(at)}
		go func() { w.ended <- w.server.ServeCarrier(context.Background(), c, c.at.Addr(), w) }()
		go io.WriteString(theirs, header+saslAuth("PLAIN", "\x00romeo\x00nurse")+end)
		_, err := io.ReadAll(theirs)
		must(t, errors.Join(err, theirs.Close()))
		<-w.ended
		if line := log.String(); !strings.Contains(line, `msg="login failed" address=`+want+" ") {
			t.Errorf("%s: logged %s", at, line)
		}
	}
}

// What comes over a Carrier counts at the door like a connection.
func TestCarrierPerAddress(t *testing.T) {
	w := newWorld(t, func(w *world) { w.server.Limits.PerAddress = 1 }).listen()
	must(t, w.dial().Open(w.ctx()))
	if got := w.carried(true, netip.MustParseAddr("::ffff:127.0.0.1"), ""); streamError(t, got) != "policy-violation" {
		t.Errorf("got %s", got)
	}
	<-w.ended
	if got := w.carried(true, netip.MustParseAddr("192.0.2.1"), header+end); streamError(t, got) != "" {
		t.Errorf("from another address: got %s", got)
	}
	<-w.ended
}

// A mistake of ours costs the stream that ran into it, and nobody else's.
func TestPanic(t *testing.T) {
	layers(t, func(t *testing.T, encrypted bool) {
		w := newWorld(t, func(w *world) {
			w.handle = func(s *session, st *scan.Stanza) error {
				if string(st.Name) == "iq" {
					panic("a mistake")
				}
				s.got <- string(st.Raw)
				return nil
			}
		}).listen()
		other, bystander := w.bound(encrypted)
		nc, s := w.bound(encrypted)
		if got := w.exchange(nc, message+"<iq/>"+message); streamError(t, got) != "internal-server-error" {
			t.Errorf("got %s", got)
		}
		var p *stream.Panic
		var se *stanza.StreamError
		if err := <-s.end; !errors.As(err, &p) || p.Value != "a mistake" || !strings.Contains(string(p.Stack), "carrier_test.go") || !errors.As(err, &se) {
			t.Errorf("Run returned %v", err)
		}
		w.write(other, message)
		if got := <-bystander.got; got != message {
			t.Errorf("got %s", got)
		}
	})
}
