//go:build unix && !race

package stream_test

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"rosterd/engine/addr"
	"rosterd/store/credential"
)

// descriptor is a TCP connection that costs the heap nothing.
type descriptor int

func connect(t testing.TB, address string) descriptor {
	t.Helper()
	to, err := net.ResolveTCPAddr("tcp", address)
	must(t, err)
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM, 0)
	must(t, err)
	t.Cleanup(func() { syscall.Close(fd) })
	must(t, syscall.Connect(fd, &syscall.SockaddrInet4{Port: to.Port, Addr: [4]byte(to.IP.To4())}))
	return descriptor(fd)
}

func (d descriptor) Read(p []byte) (int, error) {
	n, err := syscall.Read(int(d), p)
	if n == 0 && err == nil {
		err = io.EOF
	}
	return max(n, 0), err
}

func (d descriptor) Write(p []byte) (int, error) { return syscall.Write(int(d), p) }

// pipe lets crypto/tls use a descriptor.
type pipe struct {
	descriptor
	net.Conn // never used: nil
}

func (p pipe) Read(b []byte) (int, error)  { return p.descriptor.Read(b) }
func (p pipe) Write(b []byte) (int, error) { return p.descriptor.Write(b) }

// idle binds a resource, sends a stanza, and forgets all about it but the
// descriptor.
func (w *world) idle(encrypted bool) {
	fd := connect(w.t, w.addr)
	read := func(r io.Reader, text string) {
		b := make([]byte, 8192)
		for n := 0; !strings.Contains(string(b[:n]), text); {
			m, err := r.Read(b[n:])
			if err != nil {
				w.t.Fatalf("waiting for %s: %v after %s", text, err, b[:n])
			}
			n += m
		}
	}
	rest := header + login + header + bind + message
	if !encrypted {
		io.WriteString(fd, rest)
		read(fd, "</jid></bind></iq>")
	} else {
		io.WriteString(fd, header+starttls)
		read(fd, "<proceed")
		c := tls.Client(pipe{descriptor: fd}, &tls.Config{InsecureSkipVerify: true})
		must(w.t, c.Handshake())
		io.WriteString(c, rest)
		read(c, "</jid></bind></iq>")
	}
	<-(<-w.sessions).got
}

// passwords are accounts that all have the same one.
type passwords struct{}

func (passwords) Credentials(context.Context, addr.Bare) (credential.Credentials, error) {
	return credential.Credentials{Password: password, HasPassword: true}, nil
}

// perSession is what one idle session keeps of heap and stacks.
func perSession(t testing.TB, encrypted bool) float64 {
	w := newWorld(t, nil)
	w.backlog = 1
	w.host.Auth.Accounts, w.host.Auth.StoresPasswords = passwords{}, true // quick to check
	w.listen()
	for range 20 {
		w.idle(encrypted) // whatever is made once
	}
	const n = 500
	before := inUse()
	for range n {
		w.idle(encrypted)
	}
	return float64(inUse()-before) / n
}

// inUse is the memory that is in use when the collector has done what it can:
// stacks shrink by half in each round, pools are emptied in two.
func inUse() int64 {
	for range 6 {
		runtime.GC()
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	println(m.HeapAlloc, m.StackInuse, m.HeapInuse)
	return int64(m.HeapAlloc + m.StackInuse)
}

func TestIdleSession(t *testing.T) {
	limits := map[bool]float64{false: 6 << 10, true: 24 << 10}
	for encrypted, limit := range limits {
		got := perSession(t, encrypted)
		t.Logf("encrypted %v: %.0f bytes", encrypted, got)
		if got > limit {
			t.Errorf("an idle session keeps %.0f bytes, at most %.0f are allowed (encrypted: %v)", got, limit, encrypted)
		}
	}
}
