package storetest

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/user"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// folder is one that ends with the test, of a user whom Debian's package has made if we are root, and says who runs what
// works there: such servers do not run as root. Its name is short, for sockets, and others may look into it: t.TempDir is
// neither.
func folder(t testing.TB, name, owner string) (path string, as *syscall.Credential) {
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
	if as, err = owned(path, owner); err != nil {
		t.Fatal(err)
	}
	return path, as
}

// owned gives a folder to a user, if we are root.
func owned(folder, name string) (*syscall.Credential, error) {
	if os.Geteuid() != 0 {
		return nil, nil
	}
	u, err := user.Lookup(name)
	if err != nil {
		return nil, err
	}
	uid, err := strconv.ParseUint(u.Uid, 10, 32)
	if err != nil {
		return nil, err
	}
	gid, err := strconv.ParseUint(u.Gid, 10, 32)
	if err != nil {
		return nil, err
	}
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, os.Chown(folder, int(uid), int(gid))
}

// start starts a server, and returns when it says that it is ready. A signal ends it.
func start(t testing.TB, c *exec.Cmd, ready string, end syscall.Signal) (stop func()) {
	t.Helper()
	stderr, err := c.StderrPipe()
	if err == nil {
		err = c.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	var log strings.Builder
	lines := bufio.NewScanner(stderr)
	for lines.Scan() {
		fmt.Fprintln(&log, lines.Text())
		if strings.Contains(lines.Text(), ready) {
			rest := make(chan struct{})
			go func() { defer close(rest); _, _ = io.Copy(io.Discard, stderr) }()
			return func() {
				_ = c.Process.Signal(end)
				<-rest
				_ = c.Wait()
			}
		}
	}
	t.Fatalf("%s does not start: %v\n%s", c.Path, c.Wait(), &log)
	return nil
}
