package websocket_test

import (
	"bufio"
	"io"
	"net/http"
	"net/netip"
	"strings"
	"testing"

	"rosterd/xmppcore/stream"
	"rosterd/xmppcore/websocket"
)

func TestHandshake(t *testing.T) {
	without := func(line string) string {
		before, after, _ := strings.Cut(upgrade, line)
		_, after, _ = strings.Cut(after, "\r\n")
		return before + after
	}
	tests := []struct {
		name, request string
		status        int
		text          string // of the answer
	}{
		{"upgrade", upgrade, 101, ""},
		{"several subprotocols", strings.Replace(upgrade, "Protocol: xmpp", "Protocol: mqtt, XMPP", 1), 101, ""},
		{"several headers", upgrade + "Sec-WebSocket-Protocol: mqtt\r\n", 101, ""},
		{"allowed origin", upgrade + "Origin: https://chat.example.com\r\n", 101, ""},
		{"browser", "GET /xmpp-websocket HTTP/1.1\r\nHost: example.com\r\n", 200, "chat programs of verona.example connect"},
		{"HEAD", "HEAD /xmpp-websocket HTTP/1.1\r\nHost: example.com\r\n", 200, ""},
		{"POST", "POST /xmpp-websocket HTTP/1.1\r\nHost: example.com\r\nContent-Length: 0\r\n", 405, "GET"},
		{"other origin", upgrade + "Origin: https://evil.example\r\n", 403, "origin"},
		{"no subprotocol", without("Sec-WebSocket-Protocol"), 400, `subprotocol "xmpp"`},
		{"other subprotocol", strings.Replace(upgrade, "Protocol: xmpp", "Protocol: xmpp2", 1), 400, `subprotocol "xmpp"`},
		{"no key", without("Sec-WebSocket-Key"), 400, "Sec-WebSocket-Key"},
		{"bad key", strings.Replace(upgrade, "dGhl", "", 1), 400, "Sec-WebSocket-Key"},
		{"old version", strings.Replace(upgrade, "Version: 13", "Version: 8", 1), 400, "version"},
		{"HTTP/1.0", strings.Replace(upgrade, "HTTP/1.1", "HTTP/1.0", 1), 426, "HTTP/1.1"},
		{"no Connection", without("Connection"), 426, "Connection"},
		{"upgrade to something else", strings.Replace(upgrade, "Upgrade: websocket", "Upgrade: h2c", 1), 200, "chat programs"},
	}
	w := newWorld(t, func(w *world) {
		w.handler.Host = "verona.example"
		w.handler.Origin = func(r *http.Request) bool {
			o := r.Header.Get("Origin")
			return o == "" || o == "https://chat.example.com"
		}
	}).listen(false)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w.t = t
			nc := w.raw()
			_, err := io.WriteString(nc, tt.request+"\r\n")
			must(t, err)
			method, _, _ := strings.Cut(tt.request, " ")
			response, err := http.ReadResponse(bufio.NewReader(nc), &http.Request{Method: method})
			must(t, err)
			if response.StatusCode != tt.status {
				t.Fatalf("got %s", response.Status)
			}
			if tt.status == http.StatusSwitchingProtocols {
				return
			}
			body, err := io.ReadAll(response.Body)
			must(t, err)
			if !strings.Contains(string(body), tt.text) {
				t.Errorf("got %s", body)
			}
		})
	}
}

// What the HTTP server knows of the client, behind proxies or not, holds for the
// stream.
func TestRequest(t *testing.T) {
	local := netip.MustParseAddr("127.0.0.1")
	for _, tt := range []struct {
		name      string
		encrypted bool
		change    func(*http.Request)
		promised  bool // Handler.Secure
		from      netip.Addr
		address   string // "" is the client's
		secure    bool
		tls       bool
	}{
		{name: "plain", from: local},
		{name: "HTTPS", encrypted: true, from: local, secure: true, tls: true},
		{name: "promised", promised: true, from: local, secure: true},
		{name: "proxy", change: func(r *http.Request) { r.RemoteAddr = "192.0.2.7:0" },
			from: netip.MustParseAddr("192.0.2.7"), address: "192.0.2.7:0"},
		{name: "proxy with HTTPS outside", change: func(r *http.Request) { r.RemoteAddr, r.URL.Scheme = "[2001:db8::7]:0", "https" },
			from: netip.MustParseAddr("2001:db8::7"), address: "[2001:db8::7]:0", secure: true},
		{name: "proxy with HTTPS inside", encrypted: true, change: func(r *http.Request) { r.RemoteAddr = "192.0.2.7:0" },
			from: netip.MustParseAddr("192.0.2.7"), address: "192.0.2.7:0", secure: true},
		{name: "proxy with HTTPS inside only", encrypted: true, change: func(r *http.Request) { r.RemoteAddr, r.URL.Scheme = "192.0.2.7:0", "http" },
			from: netip.MustParseAddr("192.0.2.7"), address: "192.0.2.7:0"},
		{name: "no address", change: func(r *http.Request) { r.RemoteAddr = "@" }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t, func(w *world) {
				w.host.RequireTLS = tt.secure
				w.handler.Secure = tt.promised
				w.around = func(h http.Handler) http.Handler {
					return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
						if tt.change != nil {
							tt.change(r)
						}
						h.ServeHTTP(rw, r)
					})
				}
			}).listen(tt.encrypted)
			c, s := w.bound()
			want := tt.address
			if want == "" {
				want = c.nc.LocalAddr().String()
			}
			if state := s.Transport.(stream.Carrier).TLS(); (state != nil) != tt.tls {
				t.Errorf("TLS of the client's own: %v", state != nil)
			}
			if got := <-w.from; got != tt.from || s.Transport.RemoteAddr().String() != want || s.Transport.Secure() != tt.secure {
				t.Errorf("from %s, at %s, secure %v", got, s.Transport.RemoteAddr(), s.Transport.Secure())
			}
		})
	}
}

// Without limits there are the usual ones.
func TestZeroHandler(t *testing.T) {
	w := newWorld(t, func(w *world) { w.handler = &websocket.Handler{Serve: w.handler.Serve} }).listen(false)
	c, s := w.bound()
	c.say(message)
	if got := <-s.got; got != message {
		t.Errorf("got %s", got)
	}
}
