//go:build unix && !race

package stream_test

import (
	"net"
	"runtime"
	"syscall"
	"testing"
)

// idle binds a resource, sends a stanza and then keeps the socket alone, which
// costs the heap nothing.
func (w *world) idle(encrypted bool) (fd int) {
	raw, err := net.Dial("tcp", w.addr)
	must(w.t, err)
	defer raw.Close()
	nc := raw
	if encrypted {
		nc = w.encrypt(raw)
	}
	w.write(nc, header+login+header+bind+message)
	w.until(nc, "</jid></bind></iq>")
	<-(<-w.sessions).got
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
		w.host.Auth.Accounts, w.host.Auth.StoresPasswords = passwords{}, true
	}).listen()
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
		fds = append(fds, w.idle(encrypted))
	}
	return float64(inUse(2*n)-before) / n
}

// inUse is the memory that is in use when no session has a goroutine any more,
// or each has one where it cannot be parked, and the collector has done what it
// can: pools are emptied in two rounds.
func inUse(sessions int) int64 {
	others := 10
	if runtime.GOOS != "linux" {
		others += sessions
	}
	for runtime.NumGoroutine() > others {
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
	for encrypted, limit := range map[bool]float64{false: 2 << 10, true: 12 << 10} {
		got := perSession(t, encrypted)
		t.Logf("encrypted %v: %.0f bytes", encrypted, got)
		if got > limit {
			t.Errorf("an idle session keeps %.0f bytes, at most %.0f are allowed (encrypted: %v)", got, limit, encrypted)
		}
	}
}
