package admission

import (
	"context"
	"crypto/tls"
	"net"
)

// Handshakes is a listener for a server that makes TLS of its connections by itself, as one of HTTPS does, by a
// config whose GetConfigForClient is Choose.
type Handshakes struct {
	net.Listener
	Desk *Desk
}

// Accept returns a *Conn.
func (h Handshakes) Accept() (net.Conn, error) {
	nc, err := h.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &Conn{Conn: nc, desk: h.Desk}, nil
}

// Choose is choose once the client has its turn. The handshake of who is told ErrLate fails.
func (h Handshakes) Choose(choose func(*tls.ClientHelloInfo) (*tls.Config, error)) func(*tls.ClientHelloInfo) (*tls.Config, error) {
	return func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		if c, ok := hello.Conn.(*Conn); ok {
			if err := c.begin(hello.Context()); err != nil {
				return nil, err
			}
		}
		return choose(hello)
	}
}

// Conn is a connection below TLS. It has a place while its handshake is computed, which begins when the client has
// said hello: who says nothing does not wait for one.
type Conn struct {
	net.Conn
	desk *Desk

	// Of the goroutine that shakes hands, then of the one that reads:
	visit    *Visitor        // during the handshake
	under    context.Context // its
	admitted *Visitor        // of what follows; nil if that is taken, or there is none
}

// NetConn is what is below.
func (c *Conn) NetConn() net.Conn { return c.Conn }

// begin waits for the first place, which is given back when the handshake's context has ended at the latest: crypto/tls
// ends it with the handshake, whatever becomes of that.
func (c *Conn) begin(ctx context.Context) error {
	v := c.desk.Arrive()
	if err := v.Enter(ctx); err != nil {
		return err
	}
	c.visit, c.under = v, ctx
	c.admitted = &Visitor{desk: v.desk, number: v.number, ready: make(chan struct{}, 1), admitted: true}
	context.AfterFunc(ctx, v.Leave)
	return nil
}

// Read gives the place back while a handshake waits for its client.
func (c *Conn) Read(p []byte) (int, error) {
	if c.visit == nil {
		return c.Conn.Read(p)
	}
	if c.under.Err() != nil { // it is over
		c.visit, c.under = nil, nil
		return c.Conn.Read(p)
	}
	c.visit.Rest()
	n, err := c.Conn.Read(p)
	c.visit.Return(c.under)
	if c.under.Err() != nil {
		c.visit.Leave() // perhaps it has left before it returned
	}
	return n, err
}

// Admitted is a visitor for a login by a connection whose handshake was waited for, who has no need to wait for a first place
// again: what is begun is finished. Each has one, and others none: it is nil for them.
func Admitted(nc net.Conn) *Visitor {
	if t, ok := nc.(*tls.Conn); ok {
		nc = t.NetConn()
	}
	c, ok := nc.(*Conn)
	if !ok {
		return nil
	}
	v := c.admitted
	c.admitted = nil
	return v
}

type connection struct{}

// Within is for http.Server.ConnContext: the requests of a connection know it, for AdmittedIn.
func Within(ctx context.Context, nc net.Conn) context.Context {
	return context.WithValue(ctx, connection{}, nc)
}

// AdmittedIn is Admitted for the connection of a request. Connections that carry several requests at a time are not
// for it.
func AdmittedIn(ctx context.Context) *Visitor {
	nc, _ := ctx.Value(connection{}).(net.Conn)
	return Admitted(nc)
}
