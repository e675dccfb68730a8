package stream

import (
	"net/netip"
)

// Server negotiates client streams (RFC 6120 §4–§7). Its fields are set before
// the first Serve and not changed afterwards.
type Server struct {
	// Host returns the host that serves a prepared domain, nil if there is none. It
	// is asked once for each connection, so what it returns may change over time.
	Host func(domain string) *Host

	Limits  Limits
	Trusted []netip.Prefix // addresses to which Limits.PerAddress does not apply: proxies
}
