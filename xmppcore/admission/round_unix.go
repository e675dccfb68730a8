//go:build unix

package admission

import (
	"os"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"
)

// round is a pipe to ourselves.
type round struct {
	r, w   *os.File
	socket syscall.RawConn // r
	reads  func(fd uintptr) bool
	asked  bool
}

// mark returns when what could be worked at when it was called has had its turn. The system says what can be read in the
// order in which it came, the goroutines that it wakes run in that order, and so the byte that is written here comes
// after all that others have written before.
func (m *round) mark() {
	if m.r == nil && !m.open() {
		runtime.Gosched()
		return
	}
	m.asked = false
	_ = m.socket.Read(m.reads) // never fails: nobody closes it
}

func (m *round) open() bool {
	r, w, err := os.Pipe()
	if err != nil {
		return false // no descriptors are left; another time
	}
	socket, err := r.SyscallConn()
	if err != nil {
		r.Close()
		w.Close()
		return false
	}
	m.r, m.w, m.socket, m.reads = r, w, socket, m.read
	return true
}

// read writes when it is called first, and asks to be called again when there is something to read.
func (m *round) read(fd uintptr) bool {
	if !m.asked {
		m.asked = true
		_, err := m.w.Write([]byte{0})
		return err != nil
	}
	var b [1]byte
	_, err := unix.Read(int(fd), b[:])
	return err != unix.EAGAIN && err != unix.EINTR
}
