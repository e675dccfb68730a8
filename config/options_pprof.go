package config

import (
	"net"
	"net/netip"
	"strconv"
)

// Pprof is where profiles are taken.
var Pprof = declare(Spec{Name: "rosterd_pprof", Scope: ScopeGlobal, Risk: Security,
	Doc: "address and port at which Go's profiles can be taken, such as \"127.0.0.1:6060\"; loopback only"}, loopbackDoor, "")

// loopbackDoor reads an address of loopback with a port. A name may lead elsewhere tomorrow, so none is taken.
func loopbackDoor(r *reading, v Value) (string, bool) {
	s, ok := text(r, v)
	if !ok || s == "" {
		return "", ok
	}
	host, port, err := net.SplitHostPort(s)
	a, badAddress := netip.ParseAddr(host)
	n, badPort := strconv.ParseUint(port, 10, 16)
	if err != nil || badAddress != nil || badPort != nil || n == 0 || a.Zone() != "" {
		r.fail(v, "takes an address and a port, such as \"127.0.0.1:6060\", not %s", r.show(v))
		return "", false
	}
	if !a.Unmap().IsLoopback() {
		r.fail(v, "takes addresses of this machine's loopback only, not %s: profiles show what the server does, and to take them costs it time", a)
		return "", false
	}
	return net.JoinHostPort(a.Unmap().String(), strconv.FormatUint(n, 10)), true
}

// pprof is where profiles can be taken, if anywhere.
func (c *Config) pprof() []Listener {
	address, pos, set := Pprof.Lookup(c.global)
	if !set || address == "" {
		return nil
	}
	return []Listener{{Network: "tcp", Address: address, Pos: pos}}
}
