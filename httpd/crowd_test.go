package httpd

import (
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"syscall"
	"testing"
)

// refused waits for the server to close a connection that it has not read from.
func (c *client) refused() {
	c.t.Helper()
	if _, err := c.conn.Read(make([]byte, 1)); !errors.Is(err, io.EOF) && !errors.Is(err, syscall.ECONNRESET) {
		c.t.Fatalf("read: %v; want the connection closed", err)
	}
}

func (c *client) serves() {
	c.t.Helper()
	c.send(request("GET", "/health", "example.com", ""))
	if got := c.receive("GET"); got.status != 200 {
		c.t.Fatalf("answered %+v", got)
	}
}

func TestConnectionsPerAddress(t *testing.T) {
	s := &Server{PerAddress: 2}
	addr := start(t, s, oneHost(Refresh{}), "")
	first, second := dial(t, addr), dial(t, addr)
	first.serves()
	second.serves()
	dial(t, addr).refused()
	if n := s.Refused(); n != 1 {
		t.Errorf("%d refused", n)
	}
	first.serves() // those that are in stay
	first.send("GET /health HTTP/1.1\r\nHost: example.com\r\nConnection: close\r\n\r\n")
	first.receive("GET")
	first.closed()
	for dialled := false; !dialled; { // once it is noticed that the first has left
		c := dial(t, addr)
		c.send(request("GET", "/health", "example.com", ""))
		_, err := c.in.Peek(1)
		dialled = err == nil
	}
	s.SetPerAddress(1)
	second.serves()
	dial(t, addr).refused()
	s.SetPeers([]netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, nil)
	dial(t, addr).serves() // a proxy, whose clients are many
	s.SetPeers(nil, nil)
	dial(t, addr).refused()
	s.SetPerAddress(-1)
	dial(t, addr).serves()
}

// Who speaks TLS is counted before the handshake, and a connection that was taken over not any more.
func TestConnectionsThatWereHijacked(t *testing.T) {
	s := &Server{PerAddress: 1}
	taken := make(chan net.Conn)
	addr := start(t, s, []Host{{Name: "example.com", Mounts: []Mount{{Name: "x", Path: "/x", Handler: hijacker(taken)}}}}, "")
	c := dial(t, addr)
	c.send(request("GET", "/x", "example.com", ""))
	conn := <-taken
	defer conn.Close()
	dial(t, addr).serves()
}

func TestOrigins(t *testing.T) {
	for _, tt := range []struct{ name, addr, counted string }{
		{"IPv4", "192.0.2.7:1", "192.0.2.7"},
		{"IPv4 as IPv6 has it", "[::ffff:192.0.2.7]:1", "192.0.2.7"},
		{"IPv6", "[2001:db8:1:2:3:4:5:6]:1", "2001:db8:1:2::"},
		{"of an interface", "[fe80::1%lo]:1", "fe80::"},
	} {
		o, ok := block(remote{addr: tt.addr})
		if !ok || o.counted.String() != tt.counted {
			t.Errorf("%s: counted under %v, %v; want %s", tt.name, o.counted, ok, tt.counted)
		}
	}
	if _, ok := block(remote{addr: "@"}); ok {
		t.Error("a unix socket has an address")
	}
}

// remote is a connection of which only that is known.
type remote struct {
	net.Conn
	addr string
}

func (r remote) RemoteAddr() net.Addr { return r }
func (r remote) Network() string      { return "tcp" }
func (r remote) String() string       { return r.addr }

func hijacker(taken chan<- net.Conn) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			panic(err)
		}
		taken <- conn
	})
}
