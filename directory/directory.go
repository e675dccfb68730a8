// Package directory asks LDAP servers (RFC 4511): whether a password is a user's, who is in which group, and what an entry
// says. It only reads.
package directory

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	ber "github.com/go-asn1-ber/asn1-ber"
	"github.com/go-ldap/ldap/v3"
)

// ErrRefused is wrapped by the errors of those who know that a password is not a user's, or that there is no such user.
var ErrRefused = errors.New("wrong password or no such user")

// Settings say where a directory is, and who asks.
type Settings struct {
	// Servers are asked in their order: the next one if one cannot be reached.
	Servers  []Server
	StartTLS bool
	TLS      *tls.Config // for StartTLS and ldaps; nil: the system's authorities
	// DN and Password are of the entry that asks; both "": nobody in particular.
	DN, Password string
}

// Directory is one that is asked by many at once. It keeps some connections.
type Directory struct {
	settings Settings

	mu     sync.Mutex // guards the fields below
	closed bool
	first  int              // server to begin with
	idle   map[role][]*conn // those used last are last
}

// role is what a connection is for: who binds as somebody else does not search any more.
type role uint8

const (
	searching role = iota
	binding
)

// Limits of what a server may send, and of connections that are kept.
const (
	maxMessage = 16 << 20 // bytes of one message
	maxAnswer  = 64 << 20 // bytes of all messages of one answer
	maxOne     = 4 << 20  // bytes of one about a single entry
	maxNesting = 32
	maxIdle    = 4           // connections of a role
	idleTime   = time.Minute // firewalls forget those that are silent for long
)

func init() {
	ber.MaxPacketLengthBytes, ber.MaxNestingDepth = maxMessage, maxNesting
	ldap.Logger(log.New(io.Discard, "", 0)) // what it has to say is in its errors
}

// New is a directory. Nobody is contacted before something is asked.
func New(s Settings) *Directory { return &Directory{settings: s, idle: make(map[role][]*conn)} }

// Close closes the connections that are kept, and keeps no more.
func (d *Directory) Close() error {
	d.mu.Lock()
	idle := d.idle
	d.closed, d.idle = true, make(map[role][]*conn)
	d.mu.Unlock()
	for _, list := range idle {
		for _, c := range list {
			c.cut()
		}
	}
	return nil
}

// conn is a connection to a server.
type conn struct {
	*ldap.Conn
	role   role
	server Server
	raw    *bounded
	since  time.Time // it has been idle
}

// cut ends the connection and whatever is asked on it.
func (c *conn) cut() {
	_ = c.raw.Close() // first: what waits for the server does so no more
	_ = c.Close()
}

// bounded is a connection that only so much comes from.
type bounded struct {
	net.Conn
	left atomic.Int64
}

var errTooMuch = errors.New("the answer is too large")

func (b *bounded) Read(p []byte) (int, error) {
	n, err := b.Conn.Read(p)
	if b.left.Add(-int64(n)) < 0 {
		return 0, errTooMuch
	}
	return n, err
}

// with calls f with a connection, which is cut when ctx ends, or when so many bytes have come. A connection that was kept
// and has died meanwhile gives way to a fresh one.
func (d *Directory) with(ctx context.Context, role role, bytes int64, f func(*conn) error) error {
	for {
		c, kept, err := d.take(ctx, role)
		if err != nil {
			return err
		}
		c.raw.left.Store(bytes)
		stop := context.AfterFunc(ctx, func() { _ = c.raw.Close() })
		err = f(c)
		switch {
		case !stop():
			c.cut()
			return fmt.Errorf("%v: %w", c.server, cmp.Or(ctx.Err(), err))
		case !c.dead(err):
			d.put(c)
			return err
		}
		c.cut()
		if c.raw.left.Load() < 0 {
			return fmt.Errorf("%v: %w", c.server, errTooMuch)
		}
		if !kept {
			d.avoid(c.server)
			return fmt.Errorf("%v: %w", c.server, err)
		}
	}
}

// dead tells whether nothing more can be asked on a connection, after an error.
func (c *conn) dead(err error) bool {
	if c.IsClosing() || c.raw.left.Load() < 0 {
		return true
	}
	e, ok := errors.AsType[*ldap.Error](err)
	return ok && (e.ResultCode >= ldap.ErrorNetwork || e.ResultCode == ldap.LDAPResultBusy || e.ResultCode == ldap.LDAPResultUnavailable)
}

// take is a connection that was kept, or else a new one.
func (d *Directory) take(ctx context.Context, role role) (c *conn, kept bool, err error) {
	for {
		d.mu.Lock()
		list := d.idle[role]
		if len(list) == 0 {
			d.mu.Unlock()
			c, err = d.dial(ctx, role)
			return c, false, err
		}
		c = list[len(list)-1]
		d.idle[role] = list[:len(list)-1]
		d.mu.Unlock()
		if time.Since(c.since) < idleTime && !c.IsClosing() {
			return c, true, nil
		}
		c.cut()
	}
}

func (d *Directory) put(c *conn) {
	d.mu.Lock()
	keep := !d.closed && len(d.idle[c.role]) < maxIdle
	if keep {
		c.since = time.Now()
		d.idle[c.role] = append(d.idle[c.role], c)
	}
	d.mu.Unlock()
	if !keep {
		c.cut()
	}
}

// avoid begins with another server than this one the next time.
func (d *Directory) avoid(s Server) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.settings.Servers[d.first] == s {
		d.first = (d.first + 1) % len(d.settings.Servers)
	}
}

// dial connects to the first server that can be reached.
func (d *Directory) dial(ctx context.Context, role role) (*conn, error) {
	d.mu.Lock()
	first, servers := d.first, d.settings.Servers
	d.mu.Unlock()
	var failed []string
	var last error
	for i := range servers {
		k := (first + i) % len(servers)
		share, cancel := shareOf(ctx, len(servers)-i)
		c, err := d.connect(share, servers[k], role)
		cancel()
		if err == nil {
			d.mu.Lock()
			d.first = k
			d.mu.Unlock()
			return c, nil
		}
		failed, last = append(failed, fmt.Sprintf("%v: %v", servers[k], err)), err
		if ctx.Err() != nil {
			return nil, fmt.Errorf("%s: %w", strings.Join(failed, "; "), ctx.Err())
		}
	}
	return nil, &unreachable{strings.Join(failed, "; "), last}
}

// unreachable says why of each server.
type unreachable struct {
	text string
	last error
}

func (e *unreachable) Error() string { return e.text }
func (e *unreachable) Unwrap() error { return e.last }

// shareOf leaves as much time for each of n.
func shareOf(ctx context.Context, n int) (context.Context, context.CancelFunc) {
	end, ok := ctx.Deadline()
	if !ok || n == 1 {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, time.Until(end)/time.Duration(n))
}

// connect opens a connection and, to search, says who is asking.
func (d *Directory) connect(ctx context.Context, s Server, role role) (*conn, error) {
	var dialer net.Dialer
	raw, err := dialer.DialContext(ctx, s.Network, s.Address)
	if err != nil {
		return nil, err
	}
	c := &conn{role: role, server: s, raw: &bounded{Conn: raw}}
	c.raw.left.Store(maxOne)
	stop := context.AfterFunc(ctx, func() { _ = c.raw.Close() })
	err = d.greet(ctx, c)
	if !stop() {
		err = cmp.Or(ctx.Err(), err)
	}
	if err != nil {
		if c.Conn != nil {
			_ = c.Close()
		}
		_ = c.raw.Close()
		return nil, err
	}
	return c, nil
}

func (d *Directory) greet(ctx context.Context, c *conn) error {
	s := d.settings
	if c.server.TLS {
		secured := tls.Client(c.raw, s.tls(c.server))
		if err := secured.HandshakeContext(ctx); err != nil {
			return fmt.Errorf("TLS: %w", err)
		}
		c.Conn = ldap.NewConn(secured, true)
	} else {
		c.Conn = ldap.NewConn(c.raw, false)
	}
	c.Start()
	if s.StartTLS && !c.server.TLS {
		if err := c.StartTLS(s.tls(c.server)); err != nil {
			return fmt.Errorf("StartTLS: %w", err)
		}
	}
	if c.role == binding || s.DN == "" {
		return nil
	}
	if err := c.Bind(s.DN, s.Password); err != nil {
		return fmt.Errorf("bind as %q: %w", s.DN, err)
	}
	return nil
}

func (s Settings) tls(server Server) *tls.Config {
	c := s.TLS.Clone()
	if c == nil {
		c = &tls.Config{}
	}
	c.ServerName = cmp.Or(c.ServerName, server.Name)
	return c
}
