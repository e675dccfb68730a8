package daemontest

import (
	"io"
	"io/fs"
	"math/rand/v2"
	"net"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"testing"
)

// Folder is one that ends with the test. Its name is short, for sockets, and others can be let into it: t.TempDir is
// neither.
func Folder(t testing.TB, name string) string {
	t.Helper()
	path, err := os.MkdirTemp("", name)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(path); err != nil {
			t.Error(err)
		}
	})
	return path
}

// User is who a server runs as if we are root, as a rule a user whom Debian's package has made; nil: who we are.
func User(t testing.TB, name string) *syscall.Credential {
	t.Helper()
	if os.Geteuid() != 0 {
		return nil
	}
	u, err := user.Lookup(name)
	if err != nil {
		t.Fatalf("%v: make test-clients installs what tests need", err)
	}
	uid, err := strconv.ParseUint(u.Uid, 10, 32)
	if err != nil {
		t.Fatal(err)
	}
	gid, err := strconv.ParseUint(u.Gid, 10, 32)
	if err != nil {
		t.Fatal(err)
	}
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
}

// Give gives a folder, and all that is in it by now, to a User.
func Give(t testing.TB, folder string, to *syscall.Credential) {
	t.Helper()
	if to == nil {
		return
	}
	if err := filepath.WalkDir(folder, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Lchown(path, int(to.Uid), int(to.Gid))
	}); err != nil {
		t.Fatal(err)
	}
}

// Port is one of loopback's that nobody listens on, and that no other test gets until this one ends. It is below those
// that the system gives to connections, and not one of those that the benchmarks take, so that nobody gets it by chance
// meanwhile.
func Port(t testing.TB) int {
	t.Helper()
	for range 1000 {
		port := 10_000 + rand.IntN(15_000)
		kept, err := reserve(port)
		if err != nil {
			continue
		}
		if free(port) {
			t.Cleanup(func() { kept.Close() })
			return port
		}
		kept.Close()
	}
	t.Fatal("no free port on loopback")
	return 0
}

// reserve keeps a port from tests of all processes, without listening on it: by a socket with its number for a name,
// which ends with the process at the latest. Between a look at a port and the server's start on it, tests of another
// package would find it free as well.
func reserve(port int) (io.Closer, error) {
	return net.Listen("unix", "@rosterd-test-port-"+strconv.Itoa(port))
}

// free lets nobody fork meanwhile: until it executes its program, a child listens with us, also after we have closed.
func free(port int) bool {
	firstFork()
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	ln, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
	if err != nil {
		return false
	}
	return ln.Close() == nil
}

// firstFork has the one fork of a process that keeps to no ForkLock behind it: before it starts or looks for its first
// process, Go forks a child to see what the kernel can do (os.checkPidfd, Go 1.23 and later).
var firstFork = sync.OnceFunc(func() {
	if self, err := os.FindProcess(os.Getpid()); err == nil {
		self.Release()
	}
})
