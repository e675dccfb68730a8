package stream

import (
	"io"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// chunk is how much is read at once.
const chunk = 4096

var chunks = sync.Pool{New: func() any { return new([chunk]byte) }}

// wire is the connection below TLS. On a socket it can wait for bytes without
// holding a buffer for them, which is what an idle session does nearly always,
// and lets a write take as long as the peer makes progress.
type wire struct {
	net.Conn
	raw   syscall.RawConn // nil if this is no socket whose readiness can be waited for
	stall time.Duration   // how long a write may make no progress
	last  atomic.Int64    // if not 0, when writes end in any case, in Unix nanoseconds
	turn  *turn           // of the client while it logs in

	// Used by the reading goroutine.
	eager  bool         // Read returns errAgain instead of blocking
	wait   bool         // onReadable is to wait
	dry    bool         // the last read took all there was
	into   []byte       // where onReadable reads to; nil: a chunk of its own
	early  *[chunk]byte // that chunk
	off, n int          // early[off:n] is not used yet
	rerr   error

	// Used by the writing goroutine.
	out     []byte // what onWritable has still to write
	stalled bool   // there is a write deadline
	werr    error
}

// ready has functions of the wire that is read or written just now: they are made once, and an idle wire has none.
type ready struct {
	w           *wire
	read, write func(fd uintptr) bool // onReadable and onWritable
}

var readies = sync.Pool{New: func() any {
	r := new(ready)
	r.read = func(fd uintptr) bool { return r.w.onReadable(fd) }
	r.write = func(fd uintptr) bool { return r.w.onWritable(fd) }
	return r
}}

// readReady calls onReadable until it is true.
func (w *wire) readReady() error {
	r := readies.Get().(*ready)
	r.w = w
	err := w.raw.Read(r.read)
	r.w = nil
	readies.Put(r)
	return err
}

// writeReady calls onWritable until it is true.
func (w *wire) writeReady() error {
	r := readies.Get().(*ready)
	r.w = w
	err := w.raw.Write(r.write)
	r.w = nil
	readies.Put(r)
	return err
}

func (w *wire) init(nc net.Conn, stall time.Duration) {
	w.Conn, w.stall = nc, stall
	w.raw = Socket(nc)
}

// Socket is what is below a TCP connection, nil if it is none whose readiness can
// be waited for.
func Socket(nc net.Conn) syscall.RawConn {
	tcp, ok := nc.(*net.TCPConn)
	if !ok || !pollable {
		return nil
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return nil
	}
	return raw
}

// errAgain is what a Read that would block returns. crypto/tls takes up a
// record where it left it after an error that is temporary.
type errAgain struct{}

func (errAgain) Error() string   { return "nothing to read yet" }
func (errAgain) Timeout() bool   { return true }
func (errAgain) Temporary() bool { return true }

// Sense blocks until there are bytes, or the end. It reads nothing, allocates
// nothing and needs few and small frames: a goroutine that does no more than this
// lives on the smallest stack there is.
func Sense(socket syscall.RawConn) error { return socket.Read(readyFD) }

// left tells whether the peer has ended the connection or its direction of it, whatever there is still to read.
func (w *wire) left() (left bool) {
	return w.raw != nil && (w.raw.Control(func(fd uintptr) { left = leftFD(fd) }) != nil || left)
}

// await blocks until there are bytes and reads the first chunk of them. Only
// for sockets.
func (w *wire) await() error {
	w.wait, w.into = true, nil
	if err := w.readReady(); err != nil {
		return err
	}
	return w.rerr
}

// take hands over the chunk that await has filled.
func (w *wire) take() (*[chunk]byte, int) {
	b, n := w.early, w.n
	w.early, w.off, w.n = nil, 0, 0
	return b, n
}

// onReadable reads once. It is called with the descriptor ready, or perhaps
// not; false makes the runtime wait until it is.
func (w *wire) onReadable(fd uintptr) bool {
	p := w.into
	if p == nil {
		w.early = chunks.Get().(*[chunk]byte)
		p = w.early[:]
	}
	n, again, err := readFD(fd, p)
	w.dry = n < len(p)
	if n == 0 && !again && err == nil {
		err = io.EOF
	}
	if n > 0 {
		err = nil
	} else if w.into == nil {
		chunks.Put(w.early)
		w.early = nil
	}
	if again && w.wait {
		return false
	}
	if again {
		err = errAgain{}
	}
	w.off, w.n, w.rerr = 0, n, err
	return true
}

// Read is for crypto/tls.
func (w *wire) Read(p []byte) (int, error) {
	switch {
	case w.early != nil:
		n := copy(p, w.early[w.off:w.n])
		if w.off += n; w.off == w.n {
			chunks.Put(w.early)
			w.early = nil
		}
		return n, nil
	case !w.eager: // in the handshake
		w.turn.listen()
		n, err := w.Conn.Read(p)
		w.turn.begun(n)
		w.turn.heard()
		return n, err
	case w.dry || len(p) == 0:
		w.dry = false
		return 0, errAgain{}
	}
	w.wait, w.into = false, p
	err := w.readReady()
	w.into = nil
	if err != nil {
		return 0, err
	}
	n := w.n
	w.n = 0
	return n, w.rerr
}

// Write writes all of p. The peer may take its time as long as it takes
// something.
func (w *wire) Write(p []byte) (int, error) {
	if w.raw == nil {
		if err := w.SetWriteDeadline(w.patience()); err != nil {
			return 0, err
		}
		return w.Conn.Write(p)
	}
	w.out, w.werr = p, nil
	err := w.writeReady()
	n := len(p) - len(w.out)
	w.out = nil
	if err == nil {
		err = w.werr
	}
	if w.stalled && err == nil {
		w.stalled = false
		err = w.SetWriteDeadline(time.Time{})
	}
	return n, err
}

func (w *wire) onWritable(fd uintptr) bool {
	for len(w.out) > 0 {
		n, again, err := writeFD(fd, w.out)
		switch {
		case n > 0:
			w.out = w.out[n:]
		case again:
			w.turn.rest()
			w.stalled = true
			w.werr = w.SetWriteDeadline(w.patience())
			return w.werr != nil
		default:
			w.werr = err
			return true
		}
	}
	return true
}

// patience is the deadline of a write that makes no progress now.
func (w *wire) patience() time.Time {
	t := time.Now().Add(w.stall)
	if last := w.last.Load(); last != 0 && last < t.UnixNano() {
		t = time.Unix(0, last)
	}
	return t
}

// closeWrite ends our direction of the connection. It tells whether that was
// possible.
func (w *wire) closeWrite() bool {
	c, ok := w.Conn.(interface{ CloseWrite() error })
	return ok && c.CloseWrite() == nil
}
