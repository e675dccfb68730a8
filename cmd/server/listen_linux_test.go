package main

import (
	"net"
	"testing"

	"golang.org/x/sys/unix"
)

// Connections are looked after as those of any listener of Go's are, though nothing is said of each.
func TestKeepAliveIsInherited(t *testing.T) {
	ours, err := listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ours.Close()
	plain, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer plain.Close()
	if got, want := keptAlive(t, ours), keptAlive(t, plain); got != want || got[0] != 1 {
		t.Errorf("keep-alive, idle seconds, interval, count, no delay: %v, want %v", got, want)
	}
}

func keptAlive(t *testing.T, ln net.Listener) (values [5]int) {
	t.Helper()
	c, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	nc, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	socket, err := nc.(*net.TCPConn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	err = socket.Control(func(fd uintptr) {
		for i, o := range [][2]int{
			{unix.SOL_SOCKET, unix.SO_KEEPALIVE},
			{unix.IPPROTO_TCP, unix.TCP_KEEPIDLE}, {unix.IPPROTO_TCP, unix.TCP_KEEPINTVL}, {unix.IPPROTO_TCP, unix.TCP_KEEPCNT},
			{unix.IPPROTO_TCP, unix.TCP_NODELAY},
		} {
			v, err := unix.GetsockoptInt(int(fd), o[0], o[1])
			if err != nil {
				t.Error(err)
			}
			values[i] = v
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	return values
}
