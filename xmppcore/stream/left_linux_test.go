package stream_test

import (
	"io"
	"net"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"rosterd/xmppcore/stream"
)

// pair is a connection over TCP, the second being the server's.
func (w *world) pair() (client, server *net.TCPConn) {
	w.t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	must(w.t, err)
	defer ln.Close()
	theirs, err := net.Dial("tcp", ln.Addr().String())
	must(w.t, err)
	ours, err := ln.Accept()
	must(w.t, err)
	w.t.Cleanup(func() { theirs.Close(); ours.Close() })
	return theirs.(*net.TCPConn), ours.(*net.TCPConn)
}

// hears waits until the end of the other side has come.
func (w *world) hears(nc *net.TCPConn) {
	w.t.Helper()
	raw, err := nc.SyscallConn()
	must(w.t, err)
	must(w.t, raw.Control(func(fd uintptr) {
		for {
			if n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLRDHUP}}, 60_000); err != unix.EINTR {
				if n != 1 || err != nil {
					w.t.Errorf("the end did not come: %v", err)
				}
				return
			}
		}
	}))
}

// waiting returns when so many wait for their first place.
func (w *world) waiting(n int) {
	for w.server.Desk().Counts().Waiting != n {
		runtime.Gosched()
	}
}

// Nothing is done for who has left before his turn came, whatever he has said before. Where nobody waits, who has only closed his
// direction is answered.
func TestWhoHasLeft(t *testing.T) {
	for _, tt := range []struct {
		name  string
		queue int  // who wait before him
		late  bool // he leaves while he waits, not before
		half  bool // he still listens
		full  bool // there is no room at the door
		left  bool
	}{
		{name: "in the kernel's queue", queue: 2, left: true},
		{name: "in the kernel's queue, by half", queue: 2, half: true, left: true},
		{name: "in the kernel's queue, and there is no room", queue: 2, full: true, left: true},
		{name: "at the desk", queue: 2, late: true, left: true},
		{name: "at the desk, the second", queue: 1, late: true, left: true},
		{name: "nobody waits", half: true},
		{name: "only one is worked at", half: true, late: true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t, func(w *world) {
				w.server.Limits = stream.Limits{Logins: 1, Turn: -1, Unauthenticated: 1, PerAddress: -1}
			})
			w.server.Bounds()
			theirs, ours := w.pair()
			leave := func() {
				must(t, theirs.CloseWrite())
				if !tt.half {
					theirs.Close()
				}
				w.hears(ours)
			}
			release := func() {}
			if tt.queue > 0 || tt.late {
				release = w.busy().Leave
			}
			for i := range tt.queue {
				v := w.server.Desk().Arrive()
				go func() {
					if v.Enter(t.Context()) == nil {
						v.Leave()
					}
				}()
				w.waiting(i + 1)
			}
			if tt.full {
				other, accepted := w.pair()
				over := make(chan error, 1)
				go func() { over <- w.server.Serve(t.Context(), accepted, w) }()
				w.waiting(tt.queue + 1)
				defer func() { other.Close(); <-over }()
			}
			w.write(theirs, header)
			if !tt.late {
				leave()
			}
			ended := make(chan error, 1)
			go func() { ended <- w.server.Serve(t.Context(), ours, w) }()
			if tt.late {
				w.waiting(tt.queue + 1)
				leave()
				release()
			}
			if tt.half {
				b, _ := io.ReadAll(theirs)
				if answered := strings.Contains(string(b), "</stream:features>"); answered == tt.left {
					t.Errorf("got %q", b)
				}
			}
			if err := <-ended; (err != nil && strings.Contains(err.Error(), "left before its turn")) != tt.left {
				t.Errorf("ended: %v", err)
			}
			if n := w.server.Counts().Left.Load(); (n == 1) != tt.left {
				t.Errorf("%d have left", n)
			}
			if n := w.server.Counts().Refused.Load(); n > 0 {
				t.Errorf("%d were told that there is no room", n)
			}
			if !tt.late {
				release()
			}
		})
	}
}
