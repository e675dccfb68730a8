package config

import (
	"net"
	"net/netip"
	"strconv"

	"rosterd/engine/addr"
)

// A Listener is an address to listen on.
type Listener struct {
	Network  string // "tcp4" or "tcp6"; "tcp" where a name is given instead of an address
	Address  string // host:port, for net.Listen
	Pos      Pos    // where the port is named, or else the address; zero if both are defaults
	Implicit bool   // the file does not name the address: a machine without that protocol may skip it
}

func (l Listener) String() string { return l.Address }

// A service is something that listens, and the options that say where.
type service struct {
	ports      *Option[[]int]
	interfaces *Option[[]string]
	private    bool // on loopback unless the service's own interfaces say otherwise
}

var services = map[string]service{
	"c2s":            {ports: C2SPorts, interfaces: C2SInterfaces},
	"c2s_direct_tls": {ports: C2SDirectTLSPorts, interfaces: C2SDirectTLSInterfaces},
	"http":           {ports: HTTPPorts, interfaces: HTTPInterfaces, private: true},
	"https":          {ports: HTTPSPorts, interfaces: HTTPSInterfaces},
	"component":      {ports: ComponentPorts, interfaces: ComponentInterfaces, private: true},
}

// Listeners returns where a service listens: "c2s", "c2s_direct_tls", "http", "https", "component" or "pprof". An empty list of
// ports closes it; without a component to connect, nobody listens for one.
func (c *Config) Listeners(name string) []Listener {
	if name == "pprof" {
		return c.pprof()
	}
	s, ok := services[name]
	if !ok || name == "component" && len(c.external) == 0 {
		return nil
	}
	numbers, at, _ := s.ports.Lookup(c.global)
	addresses, pos, implicit := c.interfaces(s)
	if at.IsZero() {
		at = pos
	}
	var list []Listener
	seen := map[string]bool{}
	for _, a := range addresses {
		for _, n := range numbers {
			l := listener(a, n)
			if seen[l.Address] {
				continue
			}
			seen[l.Address] = true
			l.Pos, l.Implicit = at, implicit
			list = append(list, l)
		}
	}
	return list
}

// interfaces finds the addresses of a service, most specific option first. The general ones do not
// reach private services.
func (c *Config) interfaces(s service) (addresses []string, pos Pos, implicit bool) {
	general := Interfaces
	if s.private {
		general = LocalInterfaces
	}
	for _, o := range []*Option[[]string]{s.interfaces, general} {
		if list, pos, set := o.Lookup(c.global); set {
			return list, pos, false
		}
	}
	v4, v6 := "*", "::"
	if s.private {
		v4, v6 = "127.0.0.1", "::1"
	}
	if UseIPv4.Get(c.global) {
		addresses = append(addresses, v4)
	}
	if UseIPv6.Get(c.global) {
		addresses = append(addresses, v6)
	}
	return addresses, Pos{}, true
}

func listener(iface string, port int) Listener {
	if iface == "*" {
		iface = "0.0.0.0"
	}
	l := Listener{Network: "tcp", Address: net.JoinHostPort(iface, strconv.Itoa(port))}
	if a, err := netip.ParseAddr(iface); err == nil {
		l.Network = "tcp6"
		if a.Is4() {
			l.Network = "tcp4"
		}
	}
	return l
}

// iface reads an address to listen on: "*" is all of IPv4, "::" all of IPv6.
func iface(r *reading, v Value) (string, bool) {
	s, ok := text(r, v)
	if !ok {
		return "", false
	}
	if s == "*" {
		return s, true
	}
	if a, err := netip.ParseAddr(s); err == nil {
		return a.String(), true
	}
	if _, err := addr.PrepareDomain(s); err != nil {
		r.fail(v, "takes addresses to listen on, not %s", v.describe())
		return "", false
	}
	return s, true
}

// ports reads a port or a list of them, numbers or strings of digits. Each counts once.
func ports(r *reading, v Value) ([]int, bool) {
	list := []int{}
	seen := map[int]bool{}
	for _, e := range r.items(v) {
		f, ok := r.number(e)
		if !ok {
			continue
		}
		n := int(f)
		if float64(n) != f || n < 1 || n > 65535 {
			r.fail(e, "takes port numbers, not %s", e.describe())
			continue
		}
		if !seen[n] {
			seen[n] = true
			list = append(list, n)
		}
	}
	return list, true
}

// loopback reports whether host:port is reached from this machine only.
func loopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return false
	}
	if host == "localhost" {
		return true
	}
	a, err := netip.ParseAddr(host)
	return err == nil && a.IsLoopback()
}
