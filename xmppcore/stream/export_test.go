package stream

import (
	"crypto/tls"
	"net"
)

// NewCarrier is the Carrier of a connection, as TCP's is made.
func NewCarrier(nc net.Conn, l Limits) Carrier {
	l = l.Defaults()
	return newConn(nc, &l)
}

// Resuming makes the configs of handshakes, as for clients.
func Resuming(config *tls.Config) func() *tls.Config {
	keys := new(tls.Config)
	return func() *tls.Config { s := serving{keys: keys}; return s.noting(config) }
}
