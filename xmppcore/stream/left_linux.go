package stream

import "golang.org/x/sys/unix"

// leftFD tells whether the peer has ended its direction, or all of the connection. Bytes that came before do not hide that.
func leftFD(fd uintptr) bool {
	fds := [1]unix.PollFd{{Fd: int32(fd), Events: unix.POLLRDHUP}}
	n, err := unix.Poll(fds[:], 0)
	return err == nil && n > 0
}
