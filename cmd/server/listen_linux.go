package main

import (
	"context"
	"net"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// What Go asks of each connection that it accepts, if it is let.
const (
	keepAliveAfter = 15 * time.Second
	keepAliveCount = 9
)

// listen opens a door whose connections inherit from it that a silent peer is looked after. To say so of each anew is four
// system calls more in a login.
func listen(network, address string) (net.Listener, error) {
	l := net.ListenConfig{KeepAlive: -1, Control: keepAlive}
	if !strings.HasPrefix(network, "tcp") {
		return net.Listen(network, address)
	}
	return l.Listen(context.Background(), network, address)
}

func keepAlive(_, _ string, socket syscall.RawConn) (err error) {
	refused := socket.Control(func(fd uintptr) {
		for _, o := range []struct{ level, name, value int }{
			{unix.SOL_SOCKET, unix.SO_KEEPALIVE, 1},
			{unix.IPPROTO_TCP, unix.TCP_KEEPIDLE, int(keepAliveAfter / time.Second)},
			{unix.IPPROTO_TCP, unix.TCP_KEEPINTVL, int(keepAliveAfter / time.Second)},
			{unix.IPPROTO_TCP, unix.TCP_KEEPCNT, keepAliveCount},
		} {
			if err == nil {
				err = unix.SetsockoptInt(int(fd), o.level, o.name, o.value)
			}
		}
	})
	if refused != nil {
		return refused
	}
	return err
}
