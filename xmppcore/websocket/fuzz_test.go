package websocket_test

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// hijacked is a response over a pipe.
type hijacked struct {
	http.ResponseWriter
	nc net.Conn
}

func (h hijacked) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	return h.nc, bufio.NewReadWriter(bufio.NewReader(h.nc), bufio.NewWriter(h.nc)), nil
}

// pipe opens a WebSocket over a pipe. The result is closed when the handler has
// returned.
func (w *world) pipe() (theirs net.Conn, done chan struct{}) {
	theirs, ours := net.Pipe()
	request, err := http.ReadRequest(bufio.NewReader(strings.NewReader(upgrade + "\r\n")))
	must(w.t, err)
	done = make(chan struct{})
	go func() {
		defer close(done)
		w.handler.ServeHTTP(hijacked{httptest.NewRecorder(), ours}, request)
	}()
	return theirs, done
}

// piped is a client over a pipe with a bound resource, and its session.
func (w *world) piped() (*client, *session, chan struct{}) {
	w.t.Helper()
	theirs, done := w.pipe()
	c := &client{t: w.t, nc: theirs, br: bufio.NewReader(theirs)}
	go io.WriteString(theirs, text(open)+text(login)+text(open)+text(bind))
	c.until(bound)
	return c, <-w.sessions, done
}

// Without a socket all works the same, but for the memory of idle sessions.
func TestPipe(t *testing.T) {
	w := newWorld(t, nil)
	c, s, done := w.piped()
	go io.WriteString(c.nc, framed(final|opPing, "")+text(message))
	if op, _ := c.frame(); op != opPong {
		t.Errorf("got opcode %d", op)
	}
	if got := <-s.got; got != message {
		t.Errorf("got %s", got)
	}
	go io.WriteString(c.nc, text(end))
	if got := c.rest(); got != end+"\nclosed 1000\n" {
		t.Errorf("got %s", got)
	}
	must(t, <-s.end)
	<-done
}

// Whatever a client sends, the stream ends when the connection does, and nothing
// is passed on that is no element.
func FuzzClient(f *testing.F) {
	for _, seed := range []string{
		text(message), text(message) + text(end), framed(opText, message[:9]) + framed(final|opPing, "?") + framed(lastFragment, message[9:]),
		fragmented("<presence/>"), framed(final|opBinary, "x"), framed(final|opClose, "\x03\xe8"), framed(final|opPong, "") + text(" "),
		text("<?xml version='1.0'?><presence/>"), text(open), "\x81", "\x81\xff\x7f", framed(final|3, ""), text(message + message),
	} {
		f.Add(true, []byte(seed))
		f.Add(false, []byte(seed))
	}
	f.Fuzz(func(t *testing.T, in bool, b []byte) {
		w := newWorld(t, func(w *world) {
			w.server.Limits.Close = 1
			w.backlog = len(b)
		})
		defer w.stop()
		theirs, done := w.pipe()
		read := make(chan struct{})
		go func() {
			defer close(read)
			io.Copy(io.Discard, theirs)
		}()
		if in {
			io.WriteString(theirs, text(open)+text(login)+text(open)+text(bind))
			s := <-w.sessions
			defer func() {
				<-s.end
				for len(s.got) > 0 {
					if got := <-s.got; !strings.HasPrefix(got, "<") || !strings.HasSuffix(got, ">") {
						t.Errorf("got %q", got)
					}
				}
			}()
		}
		theirs.Write(b)
		theirs.Close()
		<-done
		<-read
	})
}
