package xmpptest

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync/atomic"

	"github.com/coder/websocket"

	"rosterd/xmppcore/scan"
)

const (
	nsFraming   = "urn:ietf:params:xml:ns:xmpp-framing"
	subprotocol = "xmpp"
)

// DialWebSocket connects to a WebSocket at an address that begins with ws or http,
// or wss or https, of a server with any certificate. The result is for New.
func DialWebSocket(ctx context.Context, url string) (net.Conn, error) {
	web := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
	options := &websocket.DialOptions{HTTPClient: web, Subprotocols: []string{subprotocol}}
	ws, response, err := websocket.Dial(ctx, url, options)
	if err != nil {
		return nil, err
	}
	if got := response.Header.Get("Sec-WebSocket-Protocol"); got != subprotocol {
		ws.CloseNow()
		return nil, fmt.Errorf("server speaks %q, not xmpp", got)
	}
	ws.SetReadLimit(64 << 20) // the result of a roster get is one message
	return Over(&webSocket{ws: ws, state: response.TLS}), nil
}

// webSocket is a Link (RFC 7395).
type webSocket struct {
	ws    *websocket.Conn
	state *tls.ConnectionState // nil without TLS
	ended atomic.Bool          // <close/> is sent
}

func (w *webSocket) Open(ctx context.Context, h *scan.Header) error {
	open := "<open xmlns='" + nsFraming + "'"
	for _, a := range [][2]string{{"to", h.To}, {"from", h.From}, {"version", h.Version}, {"xml:lang", h.Lang}} {
		if a[1] != "" {
			open += " " + a[0] + "='" + escape(a[1]) + "'"
		}
	}
	return w.Send(ctx, open+"/>")
}

func (w *webSocket) Send(ctx context.Context, text string) error {
	return w.ws.Write(ctx, websocket.MessageText, []byte(text))
}

func (w *webSocket) End(ctx context.Context) error {
	if w.ended.Swap(true) {
		return nil
	}
	return w.Send(ctx, "<close xmlns='"+nsFraming+"'/>")
}

// Receive checks that each message is one element that means something alone. It
// answers the end of the stream.
func (w *webSocket) Receive(ctx context.Context) (string, error) {
	typ, b, err := w.ws.Read(ctx)
	if code := websocket.CloseStatus(err); code >= 0 || errors.Is(err, net.ErrClosed) {
		return "", io.EOF
	}
	if err != nil {
		return "", err
	}
	if typ != websocket.MessageText {
		return "", fmt.Errorf("server sent a message that is not text: %q", brief(string(b)))
	}
	text := string(b)
	e, err := standalone(text)
	switch {
	case err != nil:
		return "", err
	case e.Is(nsFraming, "open"):
		return StreamHeader("from", e.Attr("from"), "to", e.Attr("to"), "id", e.Attr("id"),
			"version", e.Attr("version"), "xml:lang", e.Attr("xml:lang")), nil
	case e.Is(nsFraming, "close"):
		return StreamEnd, w.End(ctx)
	}
	return text, nil
}

// TLS is for channel binding.
func (w *webSocket) TLS() *tls.ConnectionState { return w.state }

func (w *webSocket) Close() error { return w.ws.CloseNow() }
