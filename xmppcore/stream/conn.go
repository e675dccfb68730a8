package stream

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"rosterd/xmppcore/scan"
	"rosterd/xmppcore/stanza"
)

const endTag = "</stream:stream>"

// maxLinger is how much is read and thrown away while the peer is expected to
// close its side.
const maxLinger = 1 << 20

// attention is how long a goroutine waits for more before it leaves an idle
// session alone.
const attention = 50 * time.Millisecond

var stanzas = sync.Pool{New: func() any { return new(scan.Stanza) }}

// conn is one client's connection: while it is negotiated, and then, as a
// Transport, until it ends. An idle one is this struct, the socket, and TLS state if
// there is any; it is parked in the lot.
type conn struct {
	wire    wire
	tls     *tls.Conn         // nil before STARTTLS
	served  *x509.Certificate // in its handshake
	limits  *Limits           // of the server, with defaults
	rate    *Rate
	heard   atomic.Int64 // Unix nanoseconds
	closing atomic.Bool
	left    int32 // bytes that the client may still send while the stream is negotiated

	// Of the goroutine that reads: Serve's, then those of RunThen; at the very end the
	// one that lingers, which keeps its hands off in.
	scanner scan.Scanner
	in      input
	expires int64 // Unix nanoseconds; 0 if reads have no deadline of ours
	handle  func(*scan.Stanza) error
	then    func(error) // called with what Run returns
	parks   atomic.Bool // was in the lot, is perhaps
	place   int32       // there, guarded by its lock

	mu      sync.Mutex // guards what tells who closes the socket: who is last, Run or Close
	running bool
	ended   bool // Run is over
	written bool // Close has ended our direction
}

var (
	_ Transport = (*conn)(nil)
	_ Activity  = (*conn)(nil)
	_ Sparing   = (*conn)(nil)
)

func newConn(nc net.Conn, l *Limits) *conn {
	c := &conn{limits: l}
	c.scanner.Limits = scan.Limits{Stanza: l.Stanza, Depth: l.Depth, Attrs: l.Attributes}
	c.wire.init(nc, l.WriteStall)
	c.heard.Store(time.Now().UnixNano())
	return c
}

func (c *conn) RemoteAddr() net.Addr { return c.wire.RemoteAddr() }
func (c *conn) Secure() bool         { return c.tls != nil }
func (c *conn) Name() string         { return "tcp" }
func (c *conn) LastRead() time.Time  { return time.Unix(0, c.heard.Load()) }

// startTLS makes the connection an encrypted one. What the client has sent in
// the clear until now is forgotten: it is not part of the encrypted stream, and
// anybody may have written it (RFC 6120 §5.4.3.3). Sessions are resumed by
// tickets that keys makes and reads.
func (c *conn) startTLS(ctx context.Context, config, keys *tls.Config) error {
	c.in.discard()
	s := serving{keys: keys}
	t := tls.Server(&c.wire, s.noting(config))
	if err := t.HandshakeContext(ctx); err != nil {
		c.Abort() // nothing can be said in the clear any more
		return fmt.Errorf("TLS handshake: %w", err)
	}
	c.tls, c.served = t, s.certificate(t.ConnectionState())
	c.wire.eager = c.wire.raw != nil
	return nil
}

// Run implements Transport.
func (c *conn) Run(handle func(*scan.Stanza) error) error {
	done := make(chan error, 1)
	go c.RunThen(handle, func(err error) { done <- err })
	return <-done
}

// RunThen implements Sparing. While the session is idle it has no goroutine or, where that cannot be, one that does no
// more than wait for the first byte: stacks that have grown do not shrink below 4 KB again, and the handlers need more
// than what it was born with.
func (c *conn) RunThen(handle func(*scan.Stanza) error, then func(error)) {
	if !c.begin(handle) {
		then(net.ErrClosed)
		return
	}
	c.then = then
	c.serve()
}

// serve attends to the session until it is idle, and leaves it alone then. Nothing else of the reading side runs
// meanwhile.
func (c *conn) serve() {
	grow()
	if err := c.attend(); err != nil {
		c.then(c.finish(err))
	} else if !c.park() {
		go c.wait()
	}
}

// wait is what is done for a session that cannot be parked.
func (c *conn) wait() {
	if err := Sense(c.wire.raw); err != nil {
		c.then(c.finish(err))
		return
	}
	go c.serve()
}

// grow has the stack of a new goroutine grow at once to what a stanza takes. Step by step, what is on it by then would be
// moved each time, which was a twentieth of a login.
//
//go:noinline
func grow() byte {
	var room [5 << 10]byte
	return room[first]
}

var first int // no constant, or there would be no room

// attend handles what comes, until nothing has come for a while.
func (c *conn) attend() (err error) {
	defer Recover(&err)
	for {
		if err := c.burst(); err != nil {
			return err
		}
		c.expire()
		switch err := c.await(); {
		case err == nil:
		case c.expired(err):
			c.in.release()
			return nil
		default:
			return err
		}
	}
}

// expire makes reads end after attention at the latest, and before half of it at
// no time: to set a deadline costs as much as to handle a stanza.
func (c *conn) expire() {
	if c.wire.raw == nil || c.heard.Load() < c.expires-int64(attention/2) {
		return
	}
	now := time.Now().UnixNano()
	c.expires = now + int64(attention)
	c.setReadDeadline(time.Unix(0, c.expires))
}

// expired tells whether expire is the reason of an error. If so, reads have no
// deadline any more.
func (c *conn) expired(err error) bool {
	if c.expires == 0 || c.closing.Load() || !errors.Is(err, os.ErrDeadlineExceeded) {
		return false
	}
	c.expires = 0
	return c.setReadDeadline(time.Time{})
}

// setReadDeadline tells whether the deadline is set: once Close has set its own,
// no other is.
func (c *conn) setReadDeadline(t time.Time) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return !c.written && c.wire.SetReadDeadline(t) == nil
}

func (c *conn) begin(handle func(*scan.Stanza) error) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.running || c.ended || c.written {
		return false
	}
	c.running = true
	c.handle = handle
	return true
}

// finish ends Run and, if Close has left that to it, the connection.
func (c *conn) finish(err error) error {
	c.in.discard()
	c.mu.Lock()
	c.running, c.ended = false, true
	written := c.written
	c.mu.Unlock()
	if errors.Is(err, scan.ErrEnd) {
		err = nil
	}
	if written {
		if err != nil {
			c.linger()
		}
		c.Abort()
	}
	if err != nil && c.closing.Load() {
		return net.ErrClosed
	}
	return err
}

// await blocks until there is input. It holds no buffer meanwhile, if the
// connection lets it.
func (c *conn) await() error {
	if c.wire.raw == nil {
		return c.more()
	}
	if c.tls == nil {
		if err := c.wire.await(); err != nil {
			return err
		}
		b, n := c.wire.take()
		c.in.adopt(b, n)
		c.took(n)
		return nil
	}
	for {
		n, err := c.read(c.in.room())
		if n > 0 {
			c.in.w += n
			c.took(n)
			return nil
		}
		c.in.release()
		if again(err) {
			err = c.wire.await()
		}
		if err != nil {
			return err
		}
	}
}

// more reads behind the input there is, and keeps that while it waits.
func (c *conn) more() error {
	n, err := c.receive(c.in.room())
	c.in.w += n
	return err
}

// receive reads at least one byte. It blocks.
func (c *conn) receive(p []byte) (int, error) {
	for {
		n, err := c.read(p)
		if n > 0 {
			c.took(n)
			return n, nil
		}
		if again(err) {
			err = c.wire.await()
		}
		if err != nil && !c.expired(err) {
			return 0, err
		}
	}
}

func (c *conn) read(p []byte) (int, error) {
	if c.tls != nil {
		return c.tls.Read(p)
	}
	return c.wire.Conn.Read(p)
}

// took notes that n bytes have come, and waits if they were too many.
func (c *conn) took(n int) {
	if n > 0 {
		c.heard.Store(time.Now().UnixNano())
		c.rate.Pause(n)
	}
}

func again(err error) bool {
	if err == nil {
		return false
	}
	_, ok := errors.AsType[errAgain](err)
	return ok
}

// burst handles the stanzas that are there, and the rest of one that has begun.
func (c *conn) burst() error {
	if c.in.empty() {
		c.in.release() // the negotiation's buffer
		return nil
	}
	st := stanzas.Get().(*scan.Stanza)
	defer putStanza(st)
	for !c.in.empty() {
		n, err := c.scanner.Next(c.in.bytes(), st)
		if err == nil {
			err = c.pass(st)
			c.in.advance(n)
		} else if errors.Is(err, scan.ErrMore) {
			if c.in.advance(n); c.in.empty() {
				break
			}
			err = c.more()
		} else {
			err = Refused(err)
		}
		if err != nil {
			return err
		}
	}
	c.in.release()
	return nil
}

// pass gives a stanza to its handler. The peer's stream error is none: the end
// of the stream follows it. What comes after our end tag is nobody's.
func (c *conn) pass(st *scan.Stanza) error {
	if c.closing.Load() || string(st.Space) == scan.NSStream && string(st.Name) == "error" {
		return nil
	}
	return c.handle(st)
}

// putStanza keeps st for the next burst, but not the memory of a huge one.
func putStanza(st *scan.Stanza) {
	if cap(st.Children) <= 64 {
		stanzas.Put(st)
	}
}

// Write implements Transport. Nothing goes out behind the end tag.
func (c *conn) Write(b []byte) error {
	if c.closing.Load() {
		return net.ErrClosed
	}
	return c.write(b)
}

func (c *conn) write(b []byte) error {
	var err error
	if c.tls != nil {
		_, err = c.tls.Write(b)
	} else {
		_, err = c.wire.Write(b)
	}
	if err != nil {
		c.Abort()
	}
	return err
}

// Close implements Transport.
func (c *conn) Close(se *stanza.StreamError) {
	if c.closing.Swap(true) {
		return
	}
	c.rate.Lift()
	limit := time.Now().Add(c.limits.Close)
	c.wire.last.Store(limit.UnixNano())
	var b []byte
	if se != nil {
		b = stanza.AppendStreamError(b, se)
	}
	if c.write(append(b, endTag...)) != nil || !c.closeWrite() {
		c.Abort()
		return
	}
	c.mu.Lock()
	running := c.running
	c.written = true
	err := c.wire.SetReadDeadline(limit)
	c.mu.Unlock()
	switch {
	case err != nil:
		c.Abort()
	case running:
		c.unpark()
	default:
		c.linger()
		c.Abort()
	}
}

// closeWrite tells the peer that nothing follows.
func (c *conn) closeWrite() bool {
	if c.tls != nil && c.tls.CloseWrite() != nil {
		return false
	}
	return c.wire.closeWrite()
}

// linger reads what the peer still sends until it closes its side. A socket that
// is closed with unread bytes in it is reset, and what we wrote last is lost.
func (c *conn) linger() {
	b := chunks.Get().(*[chunk]byte)
	defer chunks.Put(b)
	for left := maxLinger; left > 0; {
		n, err := c.receive(b[:])
		if err != nil {
			return
		}
		left -= n
	}
}

// Abort implements Transport.
func (c *conn) Abort() {
	c.closing.Store(true)
	c.rate.Lift()
	c.wire.Conn.Close()
	c.unpark()
}
