package stream_test

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"testing"
	"time"

	"rosterd/xmppcore/stream"
)

// cutAfter is a connection that is reset once so many bytes were written to it.
type cutAfter struct {
	net.Conn
	left int
	how  func(net.Conn)
}

func (c *cutAfter) Write(p []byte) (int, error) {
	n := min(len(p), c.left)
	c.left -= n
	if _, err := c.Conn.Write(p[:n]); err != nil {
		return 0, err
	}
	if c.left == 0 {
		c.how(c.Conn)
		return n, io.ErrShortWrite
	}
	return n, nil
}

// However clients leave, and whatever they say, there is a place for the next one.
func TestPlacesComeBack(t *testing.T) {
	w := newWorld(t, func(w *world) {
		w.server.Limits = stream.Limits{Logins: 1, Turn: -1, PerAddress: -1, Authenticate: 200 * time.Millisecond, Close: 50 * time.Millisecond}
		serve := w.server.Host
		w.server.Host = func(domain string) *stream.Host {
			if domain == "panic.example" {
				panic("a mistake of ours")
			}
			return serve(domain)
		}
	})
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer ln.Close()
	w.addr = ln.Addr().String()
	panicked := errors.New("panicked")
	go func() {
		for {
			nc, err := ln.Accept()
			if err != nil {
				return
			}
			go func() {
				defer func() {
					if recover() != nil {
						nc.Close()
						w.ended <- panicked
					}
				}()
				w.ended <- w.server.Serve(t.Context(), nc, w)
			}()
		}
	}()
	reset := func(nc net.Conn) { nc.(*net.TCPConn).SetLinger(0); nc.Close() }
	half := func(nc net.Conn) { nc.(*net.TCPConn).CloseWrite() }
	silence := func(net.Conn) {}
	begun := func() net.Conn {
		nc := w.raw()
		w.write(nc, header+starttls)
		w.until(nc, "<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>")
		return nc
	}
	count := 0
	for _, how := range []func(net.Conn){reset, half, silence, func(nc net.Conn) { io.WriteString(nc, "\x15\x03\x03\x00\x02\x02\x28 garbage") }} {
		for _, at := range []int{1, 5, 100, len(header), len(header) + 10} { // of the plain stream
			nc := w.raw()
			(&cutAfter{nc, at, how}).Write([]byte(header + login))
			count++
		}
		for _, at := range []int{1, 5, 6, 100, 300, 400, 500} { // of the handshake, and what follows it
			c := tls.Client(&cutAfter{begun(), at, how}, &tls.Config{InsecureSkipVerify: true})
			go func() {
				if c.Handshake() == nil {
					io.WriteString(c, header)
				}
			}()
			count++
		}
	}
	nc := w.raw()
	w.write(nc, "<stream:stream to='panic.example' version='1.0' xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>")
	count++
	failures := 0
	for range count {
		if err := <-w.ended; errors.Is(err, panicked) {
			failures++
		}
	}
	if failures != 1 {
		t.Errorf("%d panics", failures)
	}
	w.busy().Leave()
	if c := w.server.Desk().Counts(); c.Waiting != 0 {
		t.Errorf("%+v", c)
	}
}
