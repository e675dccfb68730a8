//go:build unix

package stream

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// pollable tells whether readFD and writeFD work on the descriptors of a
// syscall.RawConn.
const pollable = true

// readFD reads once without blocking: Go's sockets never block.
func readFD(fd uintptr, p []byte) (n int, again bool, err error) {
	for {
		n, err = syscall.Read(int(fd), p)
		if err != syscall.EINTR {
			return max(n, 0), err == syscall.EAGAIN, err
		}
	}
}

// writeFD writes once without blocking.
func writeFD(fd uintptr, p []byte) (n int, again bool, err error) {
	for {
		n, err = syscall.Write(int(fd), p)
		if err != syscall.EINTR {
			return max(n, 0), err == syscall.EAGAIN, err
		}
	}
}

// readyFD tells whether a read would find something: bytes, the end, or an error.
func readyFD(fd uintptr) bool {
	fds := [1]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
	for {
		n, err := unix.Poll(fds[:], 0)
		if err != unix.EINTR {
			return n != 0
		}
	}
}
