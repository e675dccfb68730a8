package httpd

import (
	"fmt"
	"net/http"
	"net/netip"
	"strings"
	"testing"
)

// seen answers with the client's address and scheme, as a handler sees them.
var seen = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
	fmt.Fprintf(w, "%s %s", r.RemoteAddr, r.URL.Scheme)
})

var (
	loopback = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}
	inside   = append(loopback, netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fd00::/8"))
)

func TestForwarded(t *testing.T) {
	hosts := []Host{{Name: "example.com", Mounts: []Mount{{Path: "/seen", Handler: seen}}}}
	near := start(t, &Server{Trusted: inside}, hosts, "")
	nobody := start(t, &Server{}, hosts, "")
	tests := []struct {
		name   string
		addr   string // near unless given
		header []string
		want   string // "peer" stands for the connection's own address
	}{
		{name: "no proxy", want: "peer http"},
		{name: "one address", header: []string{"X-Forwarded-For: 192.0.2.7"}, want: "192.0.2.7:0 http"},
		{name: "nobody is trusted", addr: nobody, header: []string{"X-Forwarded-For: 192.0.2.7", "X-Forwarded-Proto: https"}, want: "peer http"},
		{name: "what the client wrote itself", header: []string{"X-Forwarded-For: 127.0.0.1, 192.0.2.7"}, want: "192.0.2.7:0 http"},
		{name: "two proxies", header: []string{"X-Forwarded-For: 198.51.100.1, 192.0.2.7, 10.1.2.3"}, want: "192.0.2.7:0 http"},
		{name: "a field each", header: []string{"X-Forwarded-For: 198.51.100.1", "X-Forwarded-For: 192.0.2.7", "X-Forwarded-For: 10.1.2.3"}, want: "192.0.2.7:0 http"},
		{name: "proxies only", header: []string{"X-Forwarded-For: 10.9.9.9, 10.1.2.3"}, want: "10.9.9.9:0 http"},
		{name: "IPv6", header: []string{"X-Forwarded-For: 2001:DB8:0::7"}, want: "[2001:db8::7]:0 http"},
		{name: "IPv6 in brackets", header: []string{"X-Forwarded-For: [2001:db8::7]"}, want: "[2001:db8::7]:0 http"},
		{name: "IPv6 with a port", header: []string{"X-Forwarded-For: [2001:db8::7]:4711"}, want: "[2001:db8::7]:0 http"},
		{name: "IPv6 proxy", header: []string{"X-Forwarded-For: 192.0.2.7, fd00::9"}, want: "192.0.2.7:0 http"},
		{name: "IPv4 with a port", header: []string{"X-Forwarded-For: 192.0.2.7:4711"}, want: "192.0.2.7:0 http"},
		{name: "IPv4 in IPv6", header: []string{"X-Forwarded-For: ::ffff:192.0.2.7"}, want: "192.0.2.7:0 http"},
		{name: "proxy as IPv4 in IPv6", header: []string{"X-Forwarded-For: 192.0.2.7, ::ffff:10.0.0.1"}, want: "192.0.2.7:0 http"},
		{name: "interface", header: []string{"X-Forwarded-For: fe80::1%eth0"}, want: "[fe80::1]:0 http"},
		{name: "empty elements", header: []string{"X-Forwarded-For: , 192.0.2.7 ,, \t,"}, want: "192.0.2.7:0 http"},
		{name: "empty", header: []string{"X-Forwarded-For:"}, want: "peer http"},
		{name: "unknown", header: []string{"X-Forwarded-For: unknown"}, want: "peer http"},
		{name: "the way is lost behind a proxy", header: []string{"X-Forwarded-For: 192.0.2.7, unknown, 10.1.2.3"}, want: "10.1.2.3:0 http"},
		{name: "IPv4 in brackets", header: []string{"X-Forwarded-For: [192.0.2.7]"}, want: "peer http"},
		{name: "a name", header: []string{"X-Forwarded-For: localhost"}, want: "peer http"},
		{name: "number", header: []string{"X-Forwarded-For: 2130706433"}, want: "peer http"},
		{name: "leading zeros", header: []string{"X-Forwarded-For: 192.0.2.007"}, want: "peer http"},
		{name: "port too large", header: []string{"X-Forwarded-For: 192.0.2.7:70000"}, want: "peer http"},
		{name: "markup", header: []string{"X-Forwarded-For: <script>alert(1)</script>"}, want: "peer http"},
		{name: "RFC 7239 is not read", header: []string{"Forwarded: for=192.0.2.7;proto=https"}, want: "peer http"},
		{name: "X-Real-IP is not read", header: []string{"X-Real-IP: 192.0.2.7"}, want: "peer http"},
		{name: "long", header: []string{"X-Forwarded-For: " + strings.Repeat("198.51.100.1,", 500) + "192.0.2.7"}, want: "192.0.2.7:0 http"},
		{name: "many", header: strings.Split(strings.Repeat("X-Forwarded-For: 10.0.0.1\n", 300)+"X-Forwarded-For: 10.0.0.2", "\n"), want: "10.0.0.1:0 http"},
		{name: "HTTPS", header: []string{"X-Forwarded-Proto: https"}, want: "peer https"},
		{name: "HTTPS in capitals", header: []string{"X-Forwarded-Proto: HTTPS"}, want: "peer https"},
		{name: "WebSocket over TLS", header: []string{"X-Forwarded-Proto: wss"}, want: "peer https"},
		{name: "HTTPS all the way", header: []string{"X-Forwarded-Proto: https, https"}, want: "peer https"},
		{name: "HTTP part of the way", header: []string{"X-Forwarded-Proto: https,http"}, want: "peer http"},
		{name: "HTTP in another field", header: []string{"X-Forwarded-Proto: https", "X-Forwarded-Proto: http"}, want: "peer http"},
		{name: "another scheme", header: []string{"X-Forwarded-Proto: on"}, want: "peer http"},
		{name: "empty scheme", header: []string{"X-Forwarded-Proto: ,"}, want: "peer http"},
		{name: "both", header: []string{"X-Forwarded-For: 192.0.2.7", "X-Forwarded-Proto: https"}, want: "192.0.2.7:0 https"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := dial(t, or(tt.addr, near))
			c.send(request("GET", "/seen", "example.com", "", tt.header...))
			want := strings.Replace(tt.want, "peer", c.conn.LocalAddr().String(), 1)
			if got := c.receive("GET"); got.body != want {
				t.Errorf("seen as %q, want %q", got.body, want)
			}
		})
	}
	t.Run("absolute form says nothing of the scheme", func(t *testing.T) {
		c := dial(t, nobody)
		c.send(request("GET", "https://example.com/seen", "example.com", ""))
		if got := c.receive("GET"); !strings.HasSuffix(got.body, " http") {
			t.Errorf("seen as %q", got.body)
		}
	})
	t.Run("nobody is trusted any more", func(t *testing.T) {
		s := &Server{Trusted: inside}
		addr := start(t, s, hosts, "")
		s.SetPeers(nil, nil)
		c := dial(t, addr)
		c.send(request("GET", "/seen", "example.com", "", "X-Forwarded-For: 192.0.2.7"))
		if got := c.receive("GET"); strings.HasPrefix(got.body, "192.0.2.7") {
			t.Errorf("seen as %q", got.body)
		}
	})
}

// FuzzForwarded: whatever stands in the header, the client is the peer or an address that is written there, and
// nothing that is written before an address which is no proxy's counts.
func FuzzForwarded(f *testing.F) {
	for _, seed := range []string{"", ",", "192.0.2.7", "10.0.0.1", "[::1]:80", "[::1", "::ffff:1.2.3.4", "fe80::1%x,1.1.1.1", "a,,b", "10.0.0.1,10.0.0.2\n10.0.0.3"} {
		f.Add(seed, "198.51.100.9")
	}
	p := &peers{trusted: inside}
	peer := netip.MustParseAddr("127.0.0.1")
	f.Fuzz(func(t *testing.T, header, before string) {
		fields := strings.Split(header, "\n")
		got := p.client(peer, fields)
		if got != peer && !p.trusts(got) {
			if with := p.client(peer, append([]string{before}, fields...)); with != got {
				t.Errorf("%q is %v, and %v after %q", header, got, with, before)
			}
		}
		if !got.IsValid() || got.Zone() != "" || got.Is4In6() {
			t.Errorf("%q is %v", header, got)
		}
		with := p.client(peer, append(fields, "192.0.2.7, 10.0.0.1"))
		if want := netip.MustParseAddr("192.0.2.7"); with != want {
			t.Errorf("after %q the client is %v, want %v", header, with, want)
		}
		_ = forwardedScheme(fields)
	})
}
