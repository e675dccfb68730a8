//go:build unix

package main

import (
	"net"
	"strings"
	"syscall"
)

// backlog is how many clients may wait in the kernel to be accepted. While too many log in, few are taken, and how long
// they have waited there is not known: that must be short beside rosterd_logins_wait. Who finds no room comes again by
// himself, after a second first (RFC 6298 §2), and costs nothing meanwhile.
const backlog = 256

// shorten bounds that. A listener of another kind, or a kernel that does not let it, is used as it is.
func shorten(service string, ln net.Listener) {
	l, ok := ln.(syscall.Conn)
	if !ok || !strings.HasPrefix(service, "c2s") {
		return
	}
	if raw, err := l.SyscallConn(); err == nil {
		_ = raw.Control(func(fd uintptr) { _ = syscall.Listen(int(fd), backlog) })
	}
}
