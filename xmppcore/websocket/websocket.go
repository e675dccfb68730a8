// Package websocket carries XMPP streams over WebSocket (RFC 7395): one element a
// message, <open/> and <close/> instead of a stream header and its end tag. What
// is negotiated inside, and what stanzas mean, is its callers' business.
package websocket

import (
	"bufio"
	"net"
	"net/http"
	"net/netip"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/coder/websocket"

	"rosterd/xmppcore/scan"
	"rosterd/xmppcore/stream"
)

// NSFraming is the namespace of <open/> and <close/> (RFC 7395 §3.3.2).
const NSFraming = "urn:ietf:params:xml:ns:xmpp-framing"

const subprotocol = "xmpp" // RFC 7395 §3.1

// Handler upgrades HTTP requests to WebSockets and hands over their streams. Its
// fields are set before the first request.
type Handler struct {
	// Serve negotiates a stream, of a client that connects from an address, the zero
	// one if nobody knows. It owns the Carrier.
	Serve func(c stream.Carrier, from netip.Addr)

	// Limits are those of streams that begin now, with defaults; nil: the defaults.
	Limits func() *stream.Limits

	// Ping is how long a client may be silent before it is asked for a sign of life,
	// and then until its connection is closed; 0: for ever.
	Ping time.Duration

	// Origin tells whether web pages of the origin that a request names may connect
	// (RFC 6455 §10.2); nil: those of any.
	Origin func(r *http.Request) bool

	Host   string // VirtualHost, for those who open the address in a browser
	Secure bool   // all streams count as encrypted: a proxy does that (consider_websocket_secure)
}

// ServeHTTP implements http.Handler. It returns when a resource is bound or the
// stream is over. It takes from the request what the HTTP server knows of the
// client behind proxies: RemoteAddr, without a port if a proxy has said it, and
// URL.Scheme.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch {
	case r.Method != http.MethodGet && r.Method != http.MethodHead:
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, "a WebSocket begins with GET", http.StatusMethodNotAllowed)
	case !hasToken(r.Header, "Upgrade", "websocket"):
		h.explain(w)
	case !hasToken(r.Header, "Sec-WebSocket-Protocol", subprotocol):
		http.Error(w, `this WebSocket speaks XMPP: the request has to name the subprotocol "xmpp" (RFC 7395)`, http.StatusBadRequest)
	case h.Origin != nil && !h.Origin(r):
		http.Error(w, "pages of this origin may not connect", http.StatusForbidden)
	default:
		if c := h.accept(w, r); c != nil {
			h.Serve(c, c.from)
		}
	}
}

// explain is the answer to somebody who looks what is here.
func (h *Handler) explain(w http.ResponseWriter) {
	text := "This is where chat programs connect over WebSocket (XMPP, RFC 7395).\n"
	if h.Host != "" {
		text = "This is where chat programs of " + h.Host + " connect over WebSocket (XMPP, RFC 7395).\n"
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Write([]byte(text)) // to whom it may concern
}

// accept answers the request. It returns nil if that is no WebSocket now.
func (h *Handler) accept(w http.ResponseWriter, r *http.Request) *conn {
	c := &conn{limits: h.limits(), every: h.Ping}
	up := &upgrade{ResponseWriter: w, conn: c}
	ws, err := websocket.Accept(up, r, &websocket.AcceptOptions{
		Subprotocols:       []string{subprotocol},
		InsecureSkipVerify: true, // Origin has been asked
		// No compression: its windows cost an idle session more memory than all the
		// rest, and what is compressed together with secrets gives them away by its
		// length.
		CompressionMode: websocket.CompressionDisabled,
		OnPingReceived:  c.pinged,
		OnPongReceived:  c.ponged,
	})
	if err != nil {
		return nil // the client has been told
	}
	// The library would close a Conn that is forgotten; ours are not, and a finalizer
	// keeps what points in circles for ever.
	runtime.SetFinalizer(ws, nil)
	ws.SetReadLimit(-1) // readAll has one
	c.ws, c.br = ws, up.br
	l := c.limits
	c.scanner.Limits = scan.Limits{Stanza: l.Stanza, Depth: l.Depth, Attrs: l.Attributes}
	c.begun(r, h.Secure)
	return c
}

func (h *Handler) limits() *stream.Limits {
	if h.Limits != nil {
		return h.Limits()
	}
	l := stream.Limits{}.Defaults()
	return &l
}

// begun takes from the request who the client is.
func (c *conn) begun(r *http.Request, secure bool) {
	c.secure = secure || r.URL.Scheme == "https" || r.URL.Scheme == "" && r.TLS != nil
	c.remote = c.wire.Conn.RemoteAddr()
	at, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return // no address of TCP
	}
	c.from = at.Addr()
	if at.Port() == 0 {
		c.proxied = true
		c.remote = net.TCPAddrFromAddrPort(at)
	}
}

// upgrade gives the library the connection below a response as it is to be used:
// with next to no buffers, since an idle session would keep them.
type upgrade struct {
	http.ResponseWriter
	conn *conn
	br   *bufio.Reader
}

// Hijack implements http.Hijacker.
func (u *upgrade) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	nc, rw, err := http.NewResponseController(u.ResponseWriter).Hijack()
	if err != nil {
		return nil, nil, err
	}
	if err := nc.SetDeadline(time.Time{}); err != nil { // those of the HTTP server
		nc.Close()
		return nil, nil, err
	}
	early, err := rw.Reader.Peek(rw.Reader.Buffered())
	if err != nil {
		nc.Close()
		return nil, nil, err
	}
	w := &u.conn.wire
	w.init(nc, early, u.conn.limits)
	u.br = bufio.NewReaderSize(w, 16)
	return w, bufio.NewReadWriter(u.br, bufio.NewWriterSize(w, maxControl)), nil
}

// hasToken tells whether a header that is a list has that token, whatever its
// case.
func hasToken(h http.Header, name, token string) bool {
	return slices.ContainsFunc(h.Values(name), func(list string) bool {
		for t := range strings.SplitSeq(list, ",") {
			if strings.EqualFold(strings.TrimSpace(t), token) {
				return true
			}
		}
		return false
	})
}
