//go:build unix

package stream

import "syscall"

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
