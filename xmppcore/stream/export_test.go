package stream

import "net"

// NewCarrier is the Carrier of a connection, as TCP's is made.
func NewCarrier(nc net.Conn, l Limits) Carrier {
	l = l.Defaults()
	return newConn(nc, &l)
}
