// Package dovecottest runs a Dovecot of somebody else's making, for tests: its authentication service alone, in a folder of
// its own.
package dovecottest

import (
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// Server is a Dovecot that ends with the test.
type Server struct {
	Socket string
	folder string
	owner  *syscall.Credential // it does not run as root
	cmd    *exec.Cmd
	log    *strings.Builder
}

// Start serves users by name and password. More is what else stands in its configuration.
func Start(t testing.TB, users map[string]string, more string) *Server {
	t.Helper()
	folder, err := os.MkdirTemp("", "dv") // short, and open for another user: t.TempDir is neither
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(folder); err != nil {
			t.Error(err)
		}
	})
	if err := os.Chmod(folder, 0o711); err != nil { // who asks is somebody else, too
		t.Fatal(err)
	}
	s := &Server{folder: folder, Socket: filepath.Join(folder, "run", "auth-client")}
	name, group, err := s.unprivileged()
	if err != nil {
		t.Fatal(err)
	}
	var book strings.Builder
	for u, p := range users {
		fmt.Fprintf(&book, "%s:%s\n", u, p)
	}
	s.write(t, "users", book.String())
	s.write(t, "dovecot.conf", strings.NewReplacer("FOLDER", folder, "USER", name, "GROUP", group, "MORE", more).Replace(configuration))
	s.Serve(t)
	t.Cleanup(func() { s.Stop(t) })
	return s
}

const configuration = `
base_dir = FOLDER/run
state_dir = FOLDER/run
log_path = /dev/stderr
protocols =
ssl = no
default_internal_user = USER
default_internal_group = GROUP
default_login_user = USER
auth_failure_delay = 0
passdb {
  driver = passwd-file
  args = scheme=PLAIN FOLDER/users
}
userdb {
  driver = static
  args = uid=USER gid=GROUP home=/nonexistent
}
service anvil {
  chroot =
}
service stats {
  chroot =
}
service auth {
  chroot =
  unix_listener auth-client {
    mode = 0666
  }
}
MORE
`

// unprivileged finds out who Dovecot is to run as: us, or nobody if we are root.
func (s *Server) unprivileged() (name, group string, err error) {
	u, err := user.Current()
	if err != nil {
		return "", "", err
	}
	if u.Uid == "0" {
		if u, err = user.Lookup("nobody"); err != nil {
			return "", "", err
		}
		uid, err := strconv.ParseUint(u.Uid, 10, 32)
		if err != nil {
			return "", "", err
		}
		gid, err := strconv.ParseUint(u.Gid, 10, 32)
		if err != nil {
			return "", "", err
		}
		s.owner = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
		if err := os.Chown(s.folder, int(uid), int(gid)); err != nil {
			return "", "", err
		}
	}
	g, err := user.LookupGroupId(u.Gid)
	if err != nil {
		return "", "", err
	}
	return u.Username, g.Name, nil
}

func (s *Server) write(t testing.TB, name, text string) {
	t.Helper()
	file := filepath.Join(s.folder, name)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if s.owner != nil {
		if err := os.Chown(file, int(s.owner.Uid), int(s.owner.Gid)); err != nil {
			t.Fatal(err)
		}
	}
}

// Serve starts it, again if it was stopped, and returns when it listens.
func (s *Server) Serve(t testing.TB) {
	t.Helper()
	s.cmd = exec.Command("/usr/sbin/dovecot", "-F", "-c", filepath.Join(s.folder, "dovecot.conf"))
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Credential: s.owner, Setpgid: true}
	s.cmd.Dir = s.folder
	stderr, err := s.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.cmd.Start(); err != nil {
		t.Fatalf("%v: make test-clients installs it", err)
	}
	s.log = &strings.Builder{}
	buf := make([]byte, 4096)
	for !strings.Contains(s.log.String(), "starting up") { // it listens by then
		n, err := stderr.Read(buf)
		s.log.Write(buf[:n])
		if err != nil {
			t.Fatalf("Dovecot: %v\n%s", s.cmd.Wait(), s.log)
		}
	}
	go func() { // until it ends
		for {
			if _, err := stderr.Read(buf); err != nil {
				return
			}
		}
	}()
}

// Stop ends it.
func (s *Server) Stop(t testing.TB) {
	t.Helper()
	if s.cmd == nil {
		return
	}
	// All of it: an authentication service goes on for those who have a connection.
	if err := syscall.Kill(-s.cmd.Process.Pid, syscall.SIGTERM); err != nil {
		t.Error(err)
	}
	_ = s.cmd.Wait() // its status is that of the signal
	s.cmd = nil
}
