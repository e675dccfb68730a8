// Package target starts the programs that are driven, and says what they cost: rosterd, Debian's Prosody with a module
// of our own that asks the same web application for rosters, and the throwaway prototype. The web application is
// there, too.
package target

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"time"
)

const (
	// Domain is the one host that is served.
	Domain = "localhost"
	// Password is everybody's.
	Password = "secret"
	// All has a server use all processors, beside the load program.
	All = -1
)

// Settings are what a scenario wants of a server. The zero value has no accounts, and plain TCP alone.
type Settings struct {
	Users          []string // localparts of the accounts; the password of each is Password
	Modules        []string // by Prosody's names, besides those that every scenario needs
	Authentication string   // "internal_hashed", which "" means, or "internal_plain"
	TLS            bool     // STARTTLS on the port that there is, and a port for direct TLS
	RSA            bool     // the certificate for that is one of RSA, else of ECDSA
	WebSocket      bool     // with TLS too, if there is that
	Lines          string   // more of the configuration's global section, for rosterd alone
	Processors     int      // 0 is one: it is on the first processor, and the load program and the backend are on the others; All
	Env            []string // of the process, as os.Environ has it
}

// Kind is a program that can be driven. Start returns when clients can connect.
type Kind struct {
	Name  string // "rosterd", "rosterd, rosters not kept", "prosody", "prosody, no Nagle", "prototype"
	Start func(ctx context.Context, s Settings) (*Server, error)
}

// Server is a running program. Addresses are host:port, "" for doors that are not open.
type Server struct {
	Kind      string
	Addr      string   // XMPP over TCP, with STARTTLS if there is TLS
	TLSAddr   string   // direct TLS (XEP-0368)
	WebSocket string   // the URL
	HTTPS     string   // where that path is served with TLS, if there is TLS
	HTTP      string   // where refreshes are posted; the header Host must be Domain
	PProf     string   // of rosterd alone
	Backend   *Backend // nil for the prototype, which has no rosters

	dir        string
	processors int // that it may use
	cmd        *exec.Cmd
	log        *tail
	ended      chan struct{} // closed when the process has
}

// Password is that of an account.
func (s *Server) Password(user string) string {
	if s.Kind == Prototype {
		return "pw-" + user
	}
	return Password
}

// Log is the end of what the server has printed.
func (s *Server) Log() string { return s.log.String() }

// PID is the server's process. Those that it has started are counted with it.
func (s *Server) PID() int { return s.cmd.Process.Pid }

// Stop ends the server and the backend, and waits until both have.
func (s *Server) Stop() {
	if s.cmd != nil {
		_ = s.cmd.Process.Kill() // it may have ended
		<-s.ended
	}
	if s.Backend != nil {
		s.Backend.Close()
	}
	if s.dir != "" {
		os.RemoveAll(s.dir)
	}
}

// start runs the program until Stop, on the processors that it shall have.
func (s *Server) start(ctx context.Context, want Settings, cmd *exec.Cmd) error {
	s.log = &tail{}
	cmd.Stdout, cmd.Stderr = s.log, s.log
	cmd.Env = append(os.Environ(), want.Env...)
	if err := s.place(cmd, want.Processors); err != nil {
		return fmt.Errorf("start %s: %w", s.Kind, err)
	}
	s.cmd, s.ended = cmd, make(chan struct{})
	ended := context.AfterFunc(ctx, func() { _ = cmd.Process.Kill() })
	go func() {
		_ = cmd.Wait() // it is killed
		ended()
		close(s.ended)
	}()
	for _, addr := range []string{s.Addr, s.TLSAddr, s.HTTP, s.HTTPS} {
		if addr == "" {
			continue
		}
		if err := s.await(ctx, addr); err != nil {
			return fmt.Errorf("%s does not listen on %s: %w\n%s", s.Kind, addr, err, s.Log())
		}
	}
	return nil
}

const startTimeout = 30 * time.Second

// await returns when something accepts connections there.
func (s *Server) await(ctx context.Context, addr string) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	for {
		c, err := net.Dial("tcp", addr)
		if err == nil {
			return c.Close()
		}
		select {
		case <-s.ended:
			return errors.New("it has ended")
		case <-ctx.Done():
			return errors.Join(ctx.Err(), err)
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// free is an address that nobody listens on, below the ports that the system gives to connections.
func free() string {
	for {
		addr := net.JoinHostPort("127.0.0.1", fmt.Sprint(nextPort()))
		if ln, err := net.Listen("tcp", addr); err == nil {
			ln.Close()
			return addr
		}
	}
}

func port(addr string) string {
	_, p, _ := net.SplitHostPort(addr) // of our own making
	return p
}

// tail keeps the end of what a server prints.
type tail struct {
	mu sync.Mutex
	b  []byte
}

func (t *tail) Write(b []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.b = append(t.b, b...)
	t.b = t.b[max(0, len(t.b)-4096):]
	return len(b), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(t.b)
}

// compile builds a program.
func compile(ctx context.Context, dir, out, pkg string) error {
	cmd := exec.CommandContext(ctx, "go", "build", "-o", out, pkg)
	cmd.Dir = dir
	if b, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("go build %s: %w\n%s", pkg, err, b)
	}
	return nil
}

// own gives a folder and all that is in it to a user.
func own(dir string, to *syscall.Credential) error {
	if to == nil {
		return nil
	}
	return filepath.Walk(dir, func(path string, _ os.FileInfo, err error) error {
		if err != nil {
			return err
		}
		return os.Lchown(path, int(to.Uid), int(to.Gid))
	})
}
