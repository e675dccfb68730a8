package websocket_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"regexp"
	"strings"
	"testing"
	"time"

	"rosterd/engine/addr"
	"rosterd/store/credential"
	"rosterd/xmppcore/admission"
	"rosterd/xmppcore/auth"
	"rosterd/xmppcore/scan"
	"rosterd/xmppcore/stanza"
	"rosterd/xmppcore/stream"
	"rosterd/xmppcore/websocket"
)

const (
	domain  = "example.com"
	open    = "<open xmlns='urn:ietf:params:xml:ns:xmpp-framing' to='example.com' version='1.0'/>"
	end     = "<close xmlns='urn:ietf:params:xml:ns:xmpp-framing'/>"
	bind    = "<iq xmlns='jabber:client' type='set' id='b1'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><resource>orchard</resource></bind></iq>"
	bound   = "<iq xmlns='jabber:client' type='result' id='b1'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><jid>romeo@example.com/orchard</jid></bind></iq>"
	message = "<message xmlns='jabber:client' to='juliet@example.com'><body>Art thou not Romeo?</body></message>"
	reply   = "<message from='juliet@example.com/balcony'><body>By whose direction?</body></message>"
)

// login is PLAIN, of romeo.
var login = "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>" +
	base64.StdEncoding.EncodeToString([]byte("\x00romeo\x00wherefore")) + "</auth>"

const success = "<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>"

// received is a message of ours as it stands alone.
func received(element string) string {
	return string(stanza.AppendStandalone(nil, []byte(element)))
}

type accounts struct{}

func (accounts) Credentials(context.Context, addr.Bare) (credential.Credentials, error) {
	return credential.Credentials{Password: "wherefore", HasPassword: true}, nil
}

// world is a server and what became of its streams.
type world struct {
	t       testing.TB
	server  *stream.Server
	host    *stream.Host
	handler *websocket.Handler
	around  func(http.Handler) http.Handler // the handler
	ctx     context.Context
	stop    context.CancelFunc
	web     *httptest.Server

	handle   func(*session, *scan.Stanza) error // instead of sending to got
	backlog  int                                // of session.got
	sessions chan *session
	from     chan netip.Addr
	ended    chan error // what ServeCarrier has returned
}

type session struct {
	stream.BindRequest
	got chan string // stanzas
	end chan error  // what Run has returned
}

// newWorld makes a server whose limits are out of the way.
func newWorld(t testing.TB, change func(*world)) *world {
	w := &world{
		t: t,
		host: &stream.Host{
			Domain: domain, AllowPlainUnencrypted: true,
			Auth: &auth.Host{Domain: domain, Accounts: accounts{}, StoresPasswords: true, Iterations: 4096},
		},
		server:   &stream.Server{Limits: stream.Limits{PerAddress: -1, Authenticate: -1, Bind: -1, Close: time.Minute}},
		around:   func(h http.Handler) http.Handler { return h },
		backlog:  1000,
		sessions: make(chan *session, 1000),
		from:     make(chan netip.Addr, 1000),
		ended:    make(chan error, 1000),
	}
	w.server.Host = func(d string) *stream.Host {
		if d == domain {
			return w.host
		}
		return nil
	}
	w.ctx, w.stop = context.WithCancel(context.Background())
	w.handler = &websocket.Handler{Limits: w.server.Bounds, Serve: func(c stream.Carrier, from netip.Addr) {
		w.from <- from
		w.ended <- w.server.ServeCarrier(w.ctx, c, from, w)
	}}
	if change != nil {
		change(w)
	}
	return w
}

// listen lets the world take HTTP connections.
func (w *world) listen(encrypted bool) *world {
	w.web = httptest.NewUnstartedServer(w.around(w.handler))
	if encrypted {
		turns := admission.Handshakes{Listener: w.web.Listener, Desk: w.server.Desk()}
		w.web.Listener = turns
		w.web.TLS = &tls.Config{GetConfigForClient: turns.Choose(func(*tls.ClientHelloInfo) (*tls.Config, error) { return nil, nil })}
		w.web.StartTLS()
	} else {
		w.web.Start()
	}
	w.t.Cleanup(func() {
		w.stop()
		w.web.Close()
	})
	return w
}

// Bind is the Acceptor: a session that only tells what it gets.
func (w *world) Bind(r stream.BindRequest) *stanza.Error {
	s := &session{BindRequest: r, got: make(chan string, w.backlog), end: make(chan error, 1)}
	jid := "<bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><jid>" + r.User.String() + "/" + r.Resource + "</jid></bind>"
	if r.Transport.Write(stanza.AppendResult(nil, r.ID, "", "", []byte(jid))) != nil {
		return nil
	}
	go s.run(w.handle)
	w.sessions <- s
	return nil
}

func (s *session) run(handle func(*session, *scan.Stanza) error) {
	err := s.Transport.Run(func(st *scan.Stanza) error {
		if handle != nil {
			return handle(s, st)
		}
		s.got <- string(st.Raw)
		return nil
	})
	s.end <- err
	se, _ := errors.AsType[*stanza.StreamError](err)
	s.Transport.Close(se)
}

// client speaks WebSocket by hand, so that it can say what no library would.
type client struct {
	t  testing.TB
	nc net.Conn
	br *bufio.Reader
}

// raw is a connection to the HTTP server that gives up after a minute.
func (w *world) raw() net.Conn {
	w.t.Helper()
	nc, err := net.Dial("tcp", w.web.Listener.Addr().String())
	must(w.t, err)
	if w.web.TLS != nil {
		nc = tls.Client(nc, &tls.Config{InsecureSkipVerify: true})
	}
	w.t.Cleanup(func() { nc.Close() })
	must(w.t, nc.SetDeadline(time.Now().Add(time.Minute)))
	return nc
}

const upgrade = "GET /xmpp-websocket HTTP/1.1\r\nHost: example.com\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n" +
	"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: xmpp\r\n"

// dial opens a WebSocket.
func (w *world) dial() *client {
	w.t.Helper()
	return w.shake(w.raw(), "")
}

// shake opens a WebSocket; early follows the request at once.
func (w *world) shake(nc net.Conn, early string) *client {
	w.t.Helper()
	c := &client{t: w.t, nc: nc, br: bufio.NewReader(nc)}
	c.write(upgrade + "Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n" + early)
	response, err := http.ReadResponse(c.br, nil)
	must(w.t, err)
	h := response.Header
	if response.StatusCode != http.StatusSwitchingProtocols || h.Get("Sec-WebSocket-Accept") != "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" ||
		h.Get("Sec-WebSocket-Protocol") != "xmpp" || h.Get("Sec-WebSocket-Extensions") != "" {
		w.t.Fatalf("%s, %v", response.Status, h)
	}
	return c
}

// bound is a client with a bound resource, and its session.
func (w *world) bound() (*client, *session) {
	w.t.Helper()
	c := w.dial()
	c.say(open, login, open, bind)
	for c.next() != bound {
	}
	return c, <-w.sessions
}

// final is the bit of a frame that ends a message.
const final = 0x80

const (
	opContinuation = iota
	opText
	opBinary
	opClose = iota + 5
	opPing
	opPong

	lastFragment = final // of opContinuation, which is 0
)

// framed is a masked frame. The first byte is final|op, or something wrong.
func framed(first byte, payload string) string {
	b := []byte{first, final}
	switch n := len(payload); {
	case n < 126:
		b[1] |= byte(n)
	case n < 1<<16:
		b[1] |= 126
		b = binary.BigEndian.AppendUint16(b, uint16(n))
	default:
		b[1] |= 127
		b = binary.BigEndian.AppendUint64(b, uint64(n))
	}
	mask := []byte{1, 2, 3, 4}
	b = append(b, mask...)
	for i := range len(payload) {
		b = append(b, payload[i]^mask[i%4])
	}
	return string(b)
}

func text(s string) string { return framed(final|opText, s) }

func (c *client) write(s string) {
	c.t.Helper()
	if _, err := io.WriteString(c.nc, s); err != nil {
		c.t.Fatal(err)
	}
}

// say sends each as a message.
func (c *client) say(messages ...string) {
	c.t.Helper()
	for _, m := range messages {
		c.write(text(m))
	}
}

// frame reads a frame, of which there must be one.
func (c *client) frame() (op byte, payload string) {
	c.t.Helper()
	op, payload, err := c.read()
	must(c.t, err)
	return op, payload
}

func (c *client) read() (op byte, payload string, err error) {
	var h [2]byte
	if _, err := io.ReadFull(c.br, h[:]); err != nil {
		return 0, "", err
	}
	n := uint64(h[1])
	var long [8]byte
	switch n {
	case 126:
		_, err = io.ReadFull(c.br, long[6:])
		n = binary.BigEndian.Uint64(long[:])
	case 127:
		_, err = io.ReadFull(c.br, long[:])
		n = binary.BigEndian.Uint64(long[:])
	}
	if err == nil && (h[0]&^0x0F != final || n > 64<<20) {
		err = fmt.Errorf("a server's frame that begins with %x", h)
	}
	if err != nil {
		return 0, "", err
	}
	var b bytes.Buffer
	_, err = io.CopyN(&b, c.br, int64(n))
	return h[0] & 0x0F, b.String(), err
}

// next reads a frame that must be a message.
func (c *client) next() string {
	c.t.Helper()
	op, payload := c.frame()
	if op != opText {
		c.t.Fatalf("got opcode %d, %q", op, payload)
	}
	return payload
}

// until reads messages up to and including one.
func (c *client) until(want string) {
	c.t.Helper()
	for {
		if c.next() == want {
			return
		}
	}
}

// rest is what comes until the server closes, one message a line, and codes for
// Close frames. A connection that is reset is an end, too.
func (c *client) rest() string {
	var b strings.Builder
	for {
		op, payload, err := c.read()
		switch {
		case err != nil:
			c.nc.Close()
			return b.String()
		case op == opText:
			b.WriteString(payload + "\n")
		case op == opClose && len(payload) >= 2:
			fmt.Fprintf(&b, "closed %d\n", binary.BigEndian.Uint16([]byte(payload)))
		default:
			fmt.Fprintf(&b, "opcode %d %q\n", op, payload)
		}
	}
}

var streamErrorForm = regexp.MustCompile(`(?:^|\n)<stream:error xmlns='jabber:client' xmlns:stream='http://etherx\.jabber\.org/streams'><([a-z-]+) xmlns='urn:ietf:params:xml:ns:xmpp-streams'/>(?:<text [^>]*>[^<]*</text>)?</stream:error>\n` +
	regexp.QuoteMeta(end) + `\nclosed (\d+)\n$`)

// failed returns the condition of the stream error that a conversation ends with
// before <close/> and the Close frame, and the code of that.
func failed(got string) (condition, code string) {
	m := streamErrorForm.FindStringSubmatch(got)
	if m == nil {
		return "", ""
	}
	return m[1], m[2]
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
