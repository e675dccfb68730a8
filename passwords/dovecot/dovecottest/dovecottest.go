// Package dovecottest runs a Dovecot of somebody else's making, for tests: its authentication service alone, in a folder of
// its own.
package dovecottest

import (
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"rosterd/daemontest"
)

// Server is a Dovecot that ends with the test.
type Server struct {
	Socket string
	*daemontest.Daemon
}

// Start serves users by name and password. More is what else stands in its configuration.
func Start(t testing.TB, users map[string]string, more string) *Server {
	t.Helper()
	folder := daemontest.Folder(t, "dv")
	if err := os.Chmod(folder, 0o711); err != nil { // who asks is somebody else, too
		t.Fatal(err)
	}
	name, group, err := names()
	if err != nil {
		t.Fatal(err)
	}
	var book strings.Builder
	for u, p := range users {
		fmt.Fprintf(&book, "%s:%s\n", u, p)
	}
	conf := filepath.Join(folder, "dovecot.conf")
	for file, text := range map[string]string{
		filepath.Join(folder, "users"): book.String(),
		conf:                           strings.NewReplacer("FOLDER", folder, "USER", name, "GROUP", group, "MORE", more).Replace(configuration),
	} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	owner := daemontest.User(t, unprivileged)
	daemontest.Give(t, folder, owner)
	c := exec.Command("/usr/sbin/dovecot", "-F", "-c", conf)
	c.Dir, c.SysProcAttr = folder, &syscall.SysProcAttr{Credential: owner}
	return &Server{
		Socket: filepath.Join(folder, "run", "auth-client"),
		// It listens when it says so. An authentication service goes on for those who have a connection: all of it has to end.
		Daemon: daemontest.Start(t, c, daemontest.Options{Line: "starting up", Group: true}),
	}
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

// unprivileged is who Dovecot runs as if we are root.
const unprivileged = "nobody"

// names are those of who Dovecot runs as.
func names() (name, group string, err error) {
	u, err := user.Current()
	if err == nil && u.Uid == "0" {
		u, err = user.Lookup(unprivileged)
	}
	if err != nil {
		return "", "", err
	}
	g, err := user.LookupGroupId(u.Gid)
	if err != nil {
		return "", "", err
	}
	return u.Username, g.Name, nil
}
