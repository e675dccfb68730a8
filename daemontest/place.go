package daemontest

import (
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

// taken are ports that tests of this process have used.
var taken sync.Map

// Port is one of loopback's that nobody listens on. It is below those that the system gives to connections, so that nobody
// gets it by chance meanwhile.
func Port(t testing.TB) int {
	t.Helper()
	for range 1000 {
		port := 10_000 + rand.IntN(20_000)
		if _, used := taken.LoadOrStore(port, true); used {
			continue
		}
		if free(port) {
			return port
		}
	}
	t.Fatal("no free port on loopback")
	return 0
}

// free lets nobody fork meanwhile: until it executes its program, a child listens with us, also after we have closed.
func free(port int) bool {
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	ln, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
	if err != nil {
		return false
	}
	return ln.Close() == nil
}
