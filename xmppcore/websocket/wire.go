package websocket

import (
	"crypto/tls"
	"encoding/binary"
	"errors"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"rosterd/xmppcore/stream"
)

// chunk is how much is read at once. It is what the HTTP server may have read too
// much, too.
const chunk = 4096

var chunks = sync.Pool{New: func() any { return new([chunk]byte) }}

// piece is how much is written with one deadline.
const piece = 16 << 10

// attention is how long a goroutine waits for more before it leaves an idle
// session alone.
const attention = 50 * time.Millisecond

// maxLinger is how much is read and thrown away while the peer is expected to
// close its side.
const maxLinger = 1 << 20

// boundless is how many bytes a client may send that is not in negotiations.
const boundless = -1

// wire is the connection below the WebSocket. The library reads from it, and
// writes its answers to Close frames and to broken ones; all else is written by
// us. It holds no buffer while there is nothing in it.
type wire struct {
	net.Conn
	socket syscall.RawConn // below it all; nil if it cannot be waited for
	limits *stream.Limits
	heard  atomic.Int64 // Unix nanoseconds
	last   atomic.Int64 // if not 0, when writes end in any case, in Unix nanoseconds

	// Of the reading goroutine.
	early   *[chunk]byte // what is read and not yet used is early[r:w]
	r, w    int
	left    int // bytes that the client may still send
	rate    *stream.Rate
	expires int64  // Unix nanoseconds; 0 if reads have no deadline of ours
	patient bool   // a Read may end for want of bytes
	pause   bool   // the next Read that would need the connection ends at once
	over    bool   // a read has failed
	owed    []byte // what the answer to the last ping is to hold; nil: none is owed

	sending sync.Mutex // guards the field below; held while frames are written
	ended   bool       // our Close frame is written

	reading sync.Mutex // guards the field below
	limited bool       // bound has set a deadline that stays
}

// What ends a read between two frames.
var (
	errIdle    = errors.New("websocket: nothing has come for a while")
	errControl = errors.New("websocket: a control frame has come")
)

func (w *wire) init(nc net.Conn, early []byte, l *stream.Limits) {
	w.Conn, w.limits = nc, l
	w.socket = stream.Socket(below(nc))
	w.heard.Store(time.Now().UnixNano())
	if len(early) > 0 {
		w.early = chunks.Get().(*[chunk]byte)
		w.w = copy(w.early[:], early)
	}
}

// below is the socket under TLS and whatever else there is.
func below(nc net.Conn) net.Conn {
	for {
		c, ok := nc.(interface{ NetConn() net.Conn })
		if !ok {
			return nc
		}
		nc = c.NetConn()
	}
}

// Read is for the library, on the reading goroutine.
func (w *wire) Read(p []byte) (int, error) {
	if w.r == w.w {
		if err := w.fill(); err != nil {
			return 0, err
		}
	}
	n := copy(p, w.early[w.r:w.w])
	if w.r += n; w.r == w.w {
		w.release()
	}
	return n, nil
}

func (w *wire) release() {
	if w.early != nil {
		chunks.Put(w.early)
	}
	w.early, w.r, w.w = nil, 0, 0
}

// fill reads from the connection. It blocks.
func (w *wire) fill() error {
	if w.pause {
		w.pause = false
		return errControl
	}
	if w.left == 0 {
		return stream.TooMuch()
	}
	if err := w.answer(); err != nil {
		return err
	}
	w.early = chunks.Get().(*[chunk]byte)
	n, err := w.receive(w.early[:])
	if err != nil {
		w.release()
		w.over = err != errIdle
		return err
	}
	w.w = n
	if w.left != boundless {
		w.left -= n
	}
	return nil
}

func (w *wire) receive(b []byte) (int, error) {
	if w.left != boundless {
		b = b[:min(len(b), w.left)]
	}
	for {
		n, err := w.Conn.Read(b)
		if n > 0 {
			w.heard.Store(time.Now().UnixNano())
			w.rate.Pause(n)
			return n, nil
		}
		switch {
		case !w.expired(err):
			return 0, err
		case w.patient:
			return 0, errIdle
		}
	}
}

// expire makes reads end after attention at the latest, and before half of it at
// no time: to set a deadline costs as much as to handle a stanza.
func (w *wire) expire() {
	if w.socket == nil || w.heard.Load() < w.expires-int64(attention/2) {
		return
	}
	now := time.Now().UnixNano()
	w.expires = now + int64(attention)
	w.setReadDeadline(time.Unix(0, w.expires))
}

// expired tells whether expire is the reason of an error. If so, reads have no
// deadline any more.
func (w *wire) expired(err error) bool {
	if w.expires == 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
		return false
	}
	w.expires = 0
	return w.setReadDeadline(time.Time{})
}

// setReadDeadline tells whether the deadline is set: after bound none is.
func (w *wire) setReadDeadline(t time.Time) bool {
	w.reading.Lock()
	defer w.reading.Unlock()
	return !w.limited && w.Conn.SetReadDeadline(t) == nil
}

// bound makes writes end after d at the latest, and reads after half of that, so
// that something can be said to a client that says nothing.
func (w *wire) bound(d time.Duration) {
	w.reading.Lock()
	defer w.reading.Unlock()
	w.limited = true
	now := time.Now()
	w.last.Store(now.Add(d).UnixNano())
	w.Conn.SetReadDeadline(now.Add(d / 2)) // fails if it is closed, and then nobody reads
}

// Write is for the library, which writes whole control frames. Behind a Close
// frame there is no other.
func (w *wire) Write(p []byte) (int, error) {
	w.sending.Lock()
	defer w.sending.Unlock()
	if w.ended || len(p) == 0 {
		return len(p), nil
	}
	w.ended = p[0]&0x0F == opClose
	return len(p), w.write(p)
}

// send writes whole frames. It is net.ErrClosed behind a Close frame.
func (w *wire) send(frames []byte) error {
	w.sending.Lock()
	defer w.sending.Unlock()
	if w.ended {
		return net.ErrClosed
	}
	return w.write(frames)
}

// write writes p. The peer may take its time as long as it takes something.
func (w *wire) write(p []byte) error {
	for len(p) > 0 {
		n := min(len(p), piece)
		if err := w.Conn.SetWriteDeadline(w.patience()); err != nil {
			return err
		}
		if _, err := w.Conn.Write(p[:n]); err != nil {
			return err
		}
		p = p[n:]
	}
	return nil
}

// patience is the deadline of a write that begins now.
func (w *wire) patience() time.Time {
	t := time.Now().Add(w.limits.WriteStall)
	if last := w.last.Load(); last != 0 && last < t.UnixNano() {
		t = time.Unix(0, last)
	}
	return t
}

// answer sends the pong that is owed. Of many pings the last is answered (RFC
// 6455 §5.5.3).
func (w *wire) answer() error {
	if w.owed == nil {
		return nil
	}
	pong := appendFrame(nil, opPong, w.owed)
	w.owed = nil
	if err := w.send(pong); err != nil && !errors.Is(err, net.ErrClosed) {
		return err
	}
	return nil
}

// ping asks for a sign of life. While something is being written it does
// nothing: that has a limit of its own.
func (w *wire) ping() (asked bool, err error) {
	if !w.sending.TryLock() {
		return false, nil
	}
	defer w.sending.Unlock()
	if w.ended {
		return false, nil
	}
	return true, w.write(appendFrame(nil, opPing, nil))
}

// hangUp ends our direction with a Close frame, unless it has one. It tells
// whether the peer can see the end.
func (w *wire) hangUp(code uint16) bool {
	w.sending.Lock()
	defer w.sending.Unlock()
	if !w.ended {
		w.ended = true
		if w.write(appendFrame(nil, opClose, binary.BigEndian.AppendUint16(nil, code))) != nil {
			return false
		}
	}
	return closeWrite(w.Conn)
}

func closeWrite(nc net.Conn) bool {
	if t, ok := nc.(*tls.Conn); ok {
		if t.CloseWrite() != nil {
			return false
		}
	}
	c, ok := below(nc).(interface{ CloseWrite() error })
	return ok && c.CloseWrite() == nil
}

// drain reads what the peer still sends until it closes its side. A socket that
// is closed with unread bytes in it is reset, and what we wrote last is lost.
func (w *wire) drain() {
	w.release()
	w.left = boundless
	if w.Conn.SetReadDeadline(time.Unix(0, w.last.Load())) != nil {
		return
	}
	b := chunks.Get().(*[chunk]byte)
	defer chunks.Put(b)
	for left := maxLinger; left > 0; {
		n, err := w.receive(b[:])
		if err != nil {
			return
		}
		left -= n
	}
}
