package stream

import (
	"os"
	"runtime"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// lot is where idle connections are parked: one goroutine waits for all of them. The runtime could do so for each with a
// goroutine of its own, which is more than all the rest of an idle session.
type lot struct {
	epoll int             // the descriptor of an epoll instance, open as long as the process lives
	ready syscall.RawConn // that, which the runtime waits for like for any other

	mu     sync.Mutex
	places []place // by descriptor
	times  int32   // that somebody was parked
	closed bool
}

// place is one descriptor's. An event that is about somebody who was there before has another ticket.
type place struct {
	c      *conn // nil: not parked. Who takes it out of here is the one who goes on with it
	ticket int32
}

// theLot is set by the first who parks.
var (
	theLot  *lot // nil: there can be none
	opening sync.Once
)

func openLot() {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return
	}
	if err := unix.SetNonblock(fd, true); err != nil {
		unix.Close(fd)
		return
	}
	f := os.NewFile(uintptr(fd), "epoll")
	ready, err := f.SyscallConn()
	if err != nil {
		f.Close()
		return
	}
	theLot = &lot{epoll: fd, ready: ready}
	go theLot.keep(f)
}

// park leaves an idle connection alone until there are bytes, or the end, or unpark is called: then serve goes on. It is
// false if that cannot be done, or is not worth while any more.
func (c *conn) park() bool {
	opening.Do(openLot)
	l := theLot
	if l == nil {
		return false
	}
	parked := false
	if err := c.wire.raw.Control(func(fd uintptr) { parked = l.enter(c, int(fd)) }); err != nil {
		return false
	}
	if parked && c.closing.Load() { // and whoever closes has perhaps not found it here
		return !l.take(c)
	}
	return parked
}

// unpark goes on with a connection that is parked.
func (c *conn) unpark() {
	if c.parks.Load() && theLot.take(c) {
		go c.serve()
	}
}

// enter is called while the descriptor cannot be closed.
func (l *lot) enter(c *conn, fd int) bool {
	op, event := unix.EPOLL_CTL_MOD, unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLRDHUP | unix.EPOLLONESHOT, Fd: int32(fd)}
	if !c.parks.Swap(true) {
		op = unix.EPOLL_CTL_ADD // it leaves with the end of the socket
	}
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		return false
	}
	if fd >= len(l.places) {
		l.places = append(l.places, make([]place, fd+1-len(l.places))...)
	}
	l.times++
	event.Pad = l.times
	c.place = int32(fd)
	before := l.places[fd].c
	l.places[fd] = place{c, l.times}
	l.mu.Unlock()
	if before != nil { // its socket is closed, and whoever closed it has not come to unpark it yet
		go before.serve()
	}
	if err := unix.EpollCtl(l.epoll, op, fd, &event); err != nil {
		return !l.take(c)
	}
	return true
}

// take takes a connection out of its place. It is false if somebody else has, or it was in none.
func (l *lot) take(c *conn) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if int(c.place) >= len(l.places) || l.places[c.place].c != c {
		return false
	}
	l.places[c.place].c = nil
	return true
}

// called takes out whom an event is about, nil if that is nobody who is here.
func (l *lot) called(e *unix.EpollEvent) *conn {
	l.mu.Lock()
	defer l.mu.Unlock()
	p := &l.places[e.Fd]
	if p.ticket != e.Pad {
		return nil
	}
	c := p.c
	p.c = nil
	return c
}

// keep waits for events as long as the process lives. f is the epoll instance, which must not be collected.
func (l *lot) keep(f *os.File) {
	defer runtime.KeepAlive(f)
	events := make([]unix.EpollEvent, 128)
	for {
		n, err := l.wait(events)
		for i := range events[:n] {
			if c := l.called(&events[i]); c != nil {
				go c.serve()
			}
		}
		if err != nil {
			l.close()
			return
		}
	}
}

func (l *lot) wait(events []unix.EpollEvent) (n int, err error) {
	failed := l.ready.Read(func(fd uintptr) bool {
		for {
			if n, err = unix.EpollWait(int(fd), events, 0); err != unix.EINTR {
				return n != 0
			}
		}
	})
	if failed != nil {
		err = failed
	}
	return max(n, 0), err
}

// close has all go on who are parked: each waits for itself from now on.
func (l *lot) close() {
	l.mu.Lock()
	l.closed = true
	places := l.places
	l.places = nil
	l.mu.Unlock()
	for _, p := range places {
		if p.c != nil {
			go p.c.serve()
		}
	}
}
