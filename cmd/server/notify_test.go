package main

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"rosterd/engine/enginetest"
)

// manager is the other end of NOTIFY_SOCKET.
type manager struct {
	t      *testing.T
	name   string
	socket *net.UnixConn
}

func newManager(t *testing.T, name string) *manager {
	t.Helper()
	socket, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: name, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { socket.Close() })
	if err := socket.SetReadDeadline(time.Now().Add(atMost)); err != nil {
		t.Fatal(err)
	}
	return &manager{t, name, socket}
}

// next is what the server says next, apart from being alive.
func (m *manager) next() string {
	m.t.Helper()
	b := make([]byte, 4096)
	for {
		n, err := m.socket.Read(b)
		if err != nil {
			m.t.Fatal(err)
		}
		if s := string(b[:n]); s != "WATCHDOG=1" {
			return s
		}
	}
}

// TestNotify: systemd is told when the server is ready, reloads and stops.
func TestNotify(t *testing.T) {
	t.Parallel()
	p := newPlace(t, open(enginetest.Serve(t, nil).Template()))
	m := newManager(t, filepath.Join(t.TempDir(), "notify"))
	proc := p.spawn(t, "NOTIFY_SOCKET="+m.name)
	equal(t, "after the start", m.next(), "READY=1\nSTATUS=serving")
	proc.signal(t, syscall.SIGHUP)
	if s := m.next(); !regexp.MustCompile(`^RELOADING=1\nMONOTONIC_USEC=[1-9][0-9]*$`).MatchString(s) {
		t.Errorf("at a reload: %q", s)
	}
	equal(t, "after a reload", m.next(), "READY=1\nSTATUS=serving")
	p.text += "\nVirtualHost = = 5\n"
	p.write(t)
	proc.signal(t, syscall.SIGHUP)
	m.next()
	if s := m.next(); !strings.HasPrefix(s, "READY=1\nSTATUS=serving with the configuration of before") {
		t.Errorf("after a reload that failed: %q", s)
	}
	proc.signal(t, syscall.SIGTERM)
	equal(t, "at the end", m.next(), "STOPPING=1")
	if err := proc.Wait(); err != nil {
		t.Errorf("%v\n%s", err, proc.log)
	}
}

// TestNotifyFails: a supervisor that cannot be told is a line in the log, and no reason to stop.
func TestNotifyFails(t *testing.T) {
	t.Parallel()
	p := newPlace(t, open(enginetest.Serve(t, nil).Template()))
	proc := p.spawn(t, "NOTIFY_SOCKET="+filepath.Join(p.dir, "nobody"))
	proc.waitFor(t, "systemd is not told how the server is")
	(&program{place: p}).login(t, "john@example.com").alive()
}

// TestSupervisor: what the environment says, and what then is left in it.
func TestSupervisor(t *testing.T) {
	socket := fmt.Sprintf("@rosterd-test-%d", os.Getpid()) // abstract
	m := newManager(t, socket)
	for _, tt := range []struct {
		name, socket, period, pid string
		alive                     time.Duration
		fails                     bool
	}{
		{"nobody", "", "", "", 0, false},
		{"no watchdog", socket, "", "", 0, false},
		{"a watchdog", socket, "20000", "", 10 * time.Millisecond, false},
		{"our watchdog", socket, "20000", fmt.Sprint(os.Getpid()), 10 * time.Millisecond, false},
		{"the watchdog of another process", socket, "20000", "1", 0, false},
		{"nonsense", socket, "soon", "", 0, true},
		{"no time", socket, "0", "", 0, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Setenv("NOTIFY_SOCKET", tt.socket)
			t.Setenv("WATCHDOG_USEC", tt.period)
			t.Setenv("WATCHDOG_PID", tt.pid)
			s, err := takeSupervisor()
			if (err != nil) != tt.fails || s.alive != tt.alive {
				t.Fatalf("%+v, %v", s, err)
			}
			if left := os.Getenv("NOTIFY_SOCKET") + os.Getenv("WATCHDOG_USEC") + os.Getenv("WATCHDOG_PID"); left != "" {
				t.Errorf("left in the environment: %s", left)
			}
			stop := s.watch()
			defer stop()
			if tt.alive == 0 {
				return
			}
			b := make([]byte, 100)
			for range 2 {
				n, err := m.socket.Read(b)
				equal(t, "what it says", fmt.Sprint(string(b[:n]), err), "WATCHDOG=1<nil>")
			}
		})
	}
}
