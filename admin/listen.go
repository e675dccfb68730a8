package admin

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"syscall"
	"time"
)

// ErrInUse says that another server answers at the socket.
var ErrInUse = errors.New("another server answers there")

// maxPath is how long the name of a socket may be where names are shortest (sockaddr_un of the BSDs; Linux takes four
// bytes more).
const maxPath = 103

// Listen opens the socket, which nobody but its owner can open from then on (mode 0600). One that a dead server has
// left behind is replaced. It is removed when the listener is closed.
func Listen(path string) (net.Listener, error) {
	if len(path) > maxPath {
		return nil, fmt.Errorf("%s: %d bytes, longer than the name of a socket may be (%d)", path, len(path), maxPath)
	}
	if err := makeRoom(path); err != nil {
		return nil, err
	}
	// The mode of the unbound socket is that of the file which bind makes (on Linux), so that there is no moment
	// in which others may open it.
	c := net.ListenConfig{Control: func(_, _ string, raw syscall.RawConn) (err error) {
		if failed := raw.Control(func(fd uintptr) { err = syscall.Fchmod(int(fd), 0o600) }); failed != nil {
			return failed
		}
		return err
	}}
	ln, err := c.Listen(context.Background(), "unix", path)
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(path, 0o600); err != nil {
		ln.Close()
		return nil, err
	}
	return ln, nil
}

// makeRoom removes the socket of a server that is no more.
func makeRoom(path string) error {
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case info.Mode()&fs.ModeSocket == 0:
		return fmt.Errorf("%s is there, and is no socket", path)
	}
	nc, err := net.DialTimeout("unix", path, time.Second)
	if err == nil {
		nc.Close()
		return fmt.Errorf("%s: %w", path, ErrInUse)
	}
	if !errors.Is(err, syscall.ECONNREFUSED) { // which is what the sockets of the dead say
		return fmt.Errorf("a socket that cannot be looked into: %w", err)
	}
	return os.Remove(path)
}
