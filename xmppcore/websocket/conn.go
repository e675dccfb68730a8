package websocket

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/coder/websocket"

	"rosterd/xmppcore/admission"
	"rosterd/xmppcore/scan"
	"rosterd/xmppcore/stanza"
	"rosterd/xmppcore/stream"
)

var stanzas = sync.Pool{New: func() any { return new(scan.Stanza) }}

// conn is one client's stream: while it is negotiated, and then, as a Transport,
// until it ends. An idle one is this struct, the library's, TLS state if there is
// any, and one goroutine inside stream.Sense.
type conn struct {
	wire   wire
	ws     *websocket.Conn
	br     *bufio.Reader // what ws reads from
	limits *stream.Limits
	every  time.Duration // for pings
	remote net.Addr
	from   netip.Addr
	secure bool
	// proxied says that a proxy speaks for the client: what TLS there may be is not
	// the client's.
	proxied bool
	closing atomic.Bool
	dead    atomic.Bool // a ping was not answered

	// Of the goroutine that reads: Serve's, then those of Run.
	scanner   scan.Scanner
	message   []byte // at hand, in a chunk if it fits
	inside    bool   // a message
	ended     bool   // the peer has closed the stream
	lost      bool   // nothing can be read any more
	code      uint16 // of our Close frame, if it is a special one
	handle    func(*scan.Stanza) error
	attendant func()     // sends what attend returns to idle
	idle      chan error // from the goroutine that attends to the one in Run

	mu      sync.Mutex  // guards what tells who closes: who is last, Run or Close
	timer   *time.Timer // of the pings
	asked   int64       // wire.heard when a ping was sent; 0: none since
	running bool
	over    bool // Run is
	written bool // Close has written what there is to say
}

var (
	_ stream.Carrier  = (*conn)(nil)
	_ stream.Pacer    = (*conn)(nil)
	_ stream.Activity = (*conn)(nil)
	_ stream.Asker    = (*conn)(nil)
	_ stream.Visiting = (*conn)(nil)
)

func (c *conn) RemoteAddr() net.Addr { return c.remote }
func (c *conn) Secure() bool         { return c.secure }
func (c *conn) Name() string         { return "websocket" }
func (c *conn) LastRead() time.Time  { return time.Unix(0, c.wire.heard.Load()) }

// TLS implements stream.Carrier.
func (c *conn) TLS() *tls.ConnectionState {
	t, ok := c.wire.Conn.(*tls.Conn)
	if !ok || c.proxied {
		return nil
	}
	state := t.ConnectionState()
	return &state
}

// Visitor implements stream.Visiting.
func (c *conn) Visitor() *admission.Visitor { return admission.Admitted(c.wire.Conn) }

// Allow implements stream.Carrier.
func (c *conn) Allow(n int) { c.wire.left = n }

// Interrupt implements stream.Carrier.
func (c *conn) Interrupt() { c.wire.Conn.SetReadDeadline(time.Unix(1, 0)) }

// Pace implements stream.Pacer.
func (c *conn) Pace() { c.wire.rate = stream.NewRate(c.limits) }

// Unlimit implements stream.Pacer.
func (c *conn) Unlimit() { c.wire.rate.Lift() }

// Run implements stream.Transport. As with TCP, its goroutine does no more than
// wait for the first byte while the session is idle.
func (c *conn) Run(handle func(*scan.Stanza) error) error {
	if !c.begin(handle) {
		return net.ErrClosed
	}
	if c.wire.socket == nil {
		return c.finish(c.attend())
	}
	err := c.delegate()
	for err == nil {
		if err = stream.Sense(c.wire.socket); err == nil {
			err = c.delegate()
		}
	}
	return c.finish(err)
}

// delegate lets another goroutine attend to the session until it is idle.
func (c *conn) delegate() error {
	go c.attendant()
	return <-c.idle
}

func (c *conn) begin(handle func(*scan.Stanza) error) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.running || c.over || c.written {
		return false
	}
	c.running = true
	c.handle = handle
	c.idle = make(chan error)
	c.attendant = func() { c.idle <- c.attend() }
	c.wire.left = boundless
	if c.every > 0 {
		c.timer = time.AfterFunc(c.every, c.ping)
	}
	return true
}

// attend handles what comes, until nothing has come for a while.
func (c *conn) attend() (err error) {
	defer stream.Recover(&err)
	st := stanzas.Get().(*scan.Stanza)
	defer putStanza(st)
	for {
		err := c.await()
		if err == nil {
			err = c.inner(st)
		}
		if err == nil {
			err = c.pass(st)
		}
		switch {
		case errors.Is(err, errIdle):
			return nil
		case err != nil && !errors.Is(err, errControl):
			return err
		}
	}
}

// await blocks until there is the beginning of a frame. It returns errIdle if
// there has been none for a while; then there is nothing inside the TLS either.
func (c *conn) await() error {
	if c.br.Buffered() > 0 || c.wire.early != nil {
		return nil
	}
	c.release()
	c.wire.expire()
	c.wire.patient = true
	_, err := c.br.Peek(1)
	c.wire.patient = false
	if err != nil && !between(err) {
		c.lost = true
	}
	return err
}

// between tells whether a read has ended with whole frames, and can go on.
func between(err error) bool { return errors.Is(err, errIdle) || errors.Is(err, errControl) }

// pass gives a stanza to its handler. The peer's stream error is none: the end
// of the stream follows it. What comes after our <close/> is nobody's.
func (c *conn) pass(st *scan.Stanza) error {
	if c.closing.Load() || string(st.Space) == scan.NSStream && string(st.Name) == "error" {
		return nil
	}
	return c.handle(st)
}

func putStanza(st *scan.Stanza) {
	if cap(st.Children) <= 64 {
		stanzas.Put(st)
	}
}

// finish ends Run and, if Close has left that to it, the connection.
func (c *conn) finish(err error) error {
	c.mu.Lock()
	c.running, c.over = false, true
	written := c.written
	if c.timer != nil {
		c.timer.Stop()
	}
	c.mu.Unlock()
	if errors.Is(err, scan.ErrEnd) {
		err = nil
	}
	if written {
		c.hangUp()
	}
	switch {
	case c.dead.Load():
		return &stanza.StreamError{Condition: stanza.StreamConnectionTimeout, Text: "a WebSocket ping was not answered"}
	case err != nil && c.closing.Load():
		return net.ErrClosed
	}
	return err
}

// Write implements stream.Transport: each element becomes a message.
func (c *conn) Write(b []byte) error {
	if c.closing.Load() {
		return net.ErrClosed
	}
	return c.write(b)
}

var buffers = sync.Pool{New: func() any { b := make([]byte, 0, 2048); return &b }}

// flushed is how much is framed before it is written.
const flushed = 64 << 10

func (c *conn) write(b []byte) error {
	keep := buffers.Get().(*[]byte)
	out := (*keep)[:0]
	var err error
	for e := range stanza.Elements(b) {
		if out = appendText(out, e); len(out) >= flushed {
			if err = c.wire.send(out); err != nil {
				break
			}
			out = out[:0]
		}
	}
	if err == nil && len(out) > 0 {
		err = c.wire.send(out)
	}
	if cap(out) <= 2*flushed {
		*keep = out
		buffers.Put(keep)
	}
	if err != nil {
		c.Abort()
	}
	return err
}

// Close implements stream.Transport: the error, <close/>, the peer's <close/>
// (RFC 7395 §3.6), and then the closing handshake of the WebSocket.
func (c *conn) Close(se *stanza.StreamError) {
	if c.closing.Swap(true) {
		return
	}
	c.wire.rate.Lift()
	c.wire.bound(c.limits.Close)
	var b []byte
	if se != nil {
		b = stanza.AppendStreamError(b, se)
	}
	if c.write(append(b, "<close xmlns='"+NSFraming+"'/>"...)) != nil {
		return
	}
	c.mu.Lock()
	running := c.running
	c.written = true
	c.mu.Unlock()
	if !running {
		c.hangUp()
	}
}

// hangUp waits for the peer's <close/> and closes the WebSocket, and the
// connection. All that has a deadline.
func (c *conn) hangUp() {
	defer c.Abort()
	c.wire.left = maxLinger
	for !c.ended && !c.lost {
		c.discard()
	}
	code := c.code
	if code == 0 {
		code = uint16(websocket.StatusNormalClosure)
	}
	if c.wire.hangUp(code) {
		c.wire.drain()
	}
}

// discard reads a message, and looks only whether it is <close/>.
func (c *conn) discard() {
	var st scan.Stanza
	if err := c.next(&st); errors.Is(err, scan.ErrEnd) {
		c.ended = true
	}
	c.release()
}

// Abort implements stream.Transport.
func (c *conn) Abort() {
	c.closing.Store(true)
	c.wire.rate.Lift()
	c.wire.Conn.Close()
}

// Asks implements stream.Asker.
func (c *conn) Asks() time.Duration { return c.every }

// ping is called when the client may have been silent for too long. Bytes of any
// sort are a sign of life.
func (c *conn) ping() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.over || c.closing.Load() {
		return
	}
	heard := c.wire.heard.Load()
	silent := time.Since(time.Unix(0, heard))
	switch {
	case silent < c.every:
		c.timer.Reset(c.every - silent)
		return
	case c.asked == heard:
		c.dead.Store(true)
		c.Abort()
		return
	}
	asked, err := c.wire.ping()
	if err != nil {
		c.Abort()
		return
	}
	if asked {
		c.asked = heard
	}
	c.timer.Reset(c.every)
}

// pinged keeps what the library is not to answer at once: many pings are
// answered once, and by the side that writes.
func (c *conn) pinged(_ context.Context, payload []byte) bool {
	c.wire.owed = append(c.wire.owed[:0], payload...)
	if c.wire.owed == nil {
		c.wire.owed = []byte{}
	}
	c.rest()
	return false
}

func (c *conn) ponged(context.Context, []byte) { c.rest() }

// rest lets the library come back from a control frame behind which there is
// nothing: it would go on waiting, and keep a goroutine busy with that.
func (c *conn) rest() {
	c.wire.pause = !c.inside && c.br.Buffered() == 0 && c.wire.early == nil
}

// inner is next inside a stream.
func (c *conn) inner(st *scan.Stanza) error {
	err := c.next(st)
	if err == nil && string(st.Space) == NSFraming {
		return &stanza.StreamError{Condition: stanza.StreamBadFormat, Text: "<" + string(st.Name) + "/> inside the stream"}
	}
	return err
}

// next reads a message that is an element. It returns scan.ErrEnd for <close/>,
// and errControl for what is no message.
func (c *conn) next(st *scan.Stanza) error {
	for {
		if err := c.read(); err != nil {
			c.lost = !between(err)
			return err
		}
		n, err := scan.Prolog(c.message)
		if err == nil && n == len(c.message) {
			continue // white space that is to keep the connection alive
		}
		if err == nil {
			err = c.element(c.message[n:], st)
		}
		return stream.Refused(err)
	}
}

// element reads the one element that a message is (RFC 7395 §3.3.3).
func (c *conn) element(b []byte, st *scan.Stanza) error {
	n, err := c.scanner.Next(b, st)
	switch {
	case errors.Is(err, scan.ErrMore), errors.Is(err, scan.ErrEnd):
		return illFormed("a message is a whole element")
	case err != nil:
		return err
	case len(bytes.TrimLeft(b[n:], " \t\r\n")) > 0:
		return illFormed("a message is one element")
	case string(st.Space) == NSFraming && string(st.Name) == "close":
		c.ended = true
		return scan.ErrEnd
	}
	return nil
}

func illFormed(text string) error {
	return &stanza.StreamError{Condition: stanza.StreamNotWellFormed, Text: text}
}

// read reads a message into c.message.
func (c *conn) read() error {
	typ, r, err := c.ws.Reader(context.Background())
	if err != nil {
		return reason(err)
	}
	if typ != websocket.MessageText {
		c.code = uint16(websocket.StatusUnsupportedData)
		return &stanza.StreamError{Condition: stanza.StreamBadFormat, Text: "a message that is not text (RFC 7395 §3.2)"}
	}
	c.inside = true
	err = c.readAll(r)
	c.inside = false
	if err != nil {
		return reason(err)
	}
	return nil
}

func (c *conn) readAll(r io.Reader) error {
	if c.message == nil {
		c.message = chunks.Get().(*[chunk]byte)[:0]
	}
	b := c.message[:0]
	for {
		if len(b) == cap(b) {
			if len(b) > c.limits.Stanza {
				return &stanza.StreamError{Condition: stanza.StreamPolicyViolation, Text: fmt.Sprintf("message longer than %d bytes", c.limits.Stanza)}
			}
			old := b
			b = append(b, 0)[:len(b)]
			recycle(old)
		}
		n, err := r.Read(b[len(b):cap(b)])
		b = b[:len(b)+n]
		c.message = b
		switch {
		case errors.Is(err, io.EOF) && c.wire.over:
			return io.ErrUnexpectedEOF // which the library does not tell from the end of a message
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		}
	}
}

// release gives the memory of the last message back.
func (c *conn) release() {
	recycle(c.message)
	c.message = nil
}

func recycle(b []byte) {
	if cap(b) == chunk {
		chunks.Put((*[chunk]byte)(b[:chunk]))
	}
}

// reason is an error of the library's, in our words where we have some.
func reason(err error) error {
	if se, ok := errors.AsType[*stanza.StreamError](err); ok {
		return se
	}
	if code := websocket.CloseStatus(err); code >= 0 {
		return fmt.Errorf("the client closed its WebSocket and not the stream (status %d): %w", code, io.EOF)
	}
	return err
}
