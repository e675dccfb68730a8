//go:build unix && !race

package websocket_test

import (
	"crypto/tls"
	"net"
	"runtime"
	"syscall"
	"testing"
	"time"
)

// idle binds a resource, sends a stanza, answers a ping and then keeps the socket
// alone, which costs the heap nothing.
func (w *world) idle() (fd int) {
	w.t.Helper()
	raw, err := net.Dial("tcp", w.web.Listener.Addr().String())
	must(w.t, err)
	defer raw.Close()
	nc := raw
	if w.web.TLS != nil {
		nc = tls.Client(raw, &tls.Config{InsecureSkipVerify: true})
	}
	c := w.shake(nc, text(open)+text(login)+text(open)+text(bind)+text(message)+framed(final|opPing, "hello")+framed(final|opPong, ""))
	c.until(bound)
	c.frame()
	<-(<-w.sessions).got
	<-w.from
	<-w.ended
	sc, err := raw.(*net.TCPConn).SyscallConn()
	must(w.t, err)
	must(w.t, sc.Control(func(of uintptr) { fd, err = syscall.Dup(int(of)) }))
	must(w.t, err)
	return fd
}

// perSession is what one idle session keeps of heap and stacks.
func perSession(t *testing.T, encrypted bool) float64 {
	w := newWorld(t, func(w *world) {
		w.backlog = 1
		w.handler.Ping = time.Hour
	}).listen(encrypted)
	const n = 300
	fds := make([]int, 0, 2*n)
	defer func() {
		for _, fd := range fds {
			syscall.Close(fd)
		}
	}()
	var before int64
	for i := range 2 * n {
		if i == n { // whatever is made once has been made
			before = inUse(n)
		}
		fds = append(fds, w.idle())
	}
	return float64(inUse(2*n)-before) / n
}

// inUse is the memory that is in use when there is one goroutine for each
// session again, and the collector has done what it can: pools are emptied in
// two rounds.
func inUse(sessions int) int64 {
	const others = 10
	for runtime.NumGoroutine() > sessions+others {
		runtime.Gosched()
	}
	for range 4 {
		runtime.GC()
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc + m.StackInuse)
}

func TestIdleSession(t *testing.T) {
	for encrypted, limit := range map[bool]float64{false: 8 << 10, true: 16 << 10} {
		got := perSession(t, encrypted)
		t.Logf("encrypted %v: %.0f bytes", encrypted, got)
		if got > limit {
			t.Errorf("an idle session keeps %.0f bytes, at most %.0f are allowed (encrypted: %v)", got, limit, encrypted)
		}
	}
}
