package httpd

import (
	"net"
	"net/http"
	"net/netip"
	"sync"
	"sync/atomic"
)

// crowd counts the connections of each address, but for those that were hijacked: who has a WebSocket is counted, and
// known, elsewhere.
type crowd struct {
	most    atomic.Int64 // of one address; below 0: any number
	refused atomic.Int64

	mu   sync.Mutex
	from map[netip.Addr]int
}

const defaultPerAddress = 1000

// SetPerAddress replaces PerAddress, for connections that are opened from then on.
func (s *Server) SetPerAddress(n int) {
	s.setup()
	s.crowd.most.Store(int64(or(n, defaultPerAddress)))
}

// Refused is how many connections were closed because there were too many of their addresses.
func (s *Server) Refused() int64 { return s.crowd.refused.Load() }

// connection follows the life of each: one too many is closed before a byte of it is read, or its handshake computed.
func (s *Server) connection(c net.Conn, state http.ConnState) {
	switch state {
	case http.StateNew:
		if from, ok := block(c); !s.crowd.enter(from) && ok && !s.peers.Load().trusts(from.addr) {
			s.crowd.refused.Add(1)
			s.log().Debug("too many HTTP connections of one address", "address", from.addr, "limit", s.crowd.most.Load())
			c.Close()
		}
	case http.StateClosed, http.StateHijacked:
		from, _ := block(c)
		s.crowd.leave(from)
	}
}

// origin is where a connection comes from: the address, and what it is counted under.
type origin struct{ addr, counted netip.Addr }

// block is the origin of a connection. Of IPv6 a /64 is one, as who has one address has them all.
func block(c net.Conn) (o origin, ok bool) {
	ap, err := netip.ParseAddrPort(c.RemoteAddr().String())
	if err != nil {
		return o, false
	}
	o.addr = plain(ap.Addr())
	o.counted = o.addr
	if o.addr.Is6() {
		p, err := o.addr.Prefix(64)
		if err != nil {
			return o, false
		}
		o.counted = p.Addr()
	}
	return o, true
}

// enter counts a connection. It is false if that is one too many; it counts all the same until leave.
func (c *crowd) enter(o origin) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.from == nil {
		c.from = make(map[netip.Addr]int)
	}
	c.from[o.counted]++
	most := c.most.Load()
	return most < 0 || int64(c.from[o.counted]) <= most
}

func (c *crowd) leave(o origin) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.from[o.counted]--; c.from[o.counted] <= 0 {
		delete(c.from, o.counted)
	}
}
