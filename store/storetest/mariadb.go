package storetest

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"rosterd/daemontest"
	"rosterd/store"
)

// MariaDB is a server that speaks MySQL's protocol, in a folder of its own, which ends with the test.
type MariaDB struct {
	folder string
	owner  *syscall.Credential // it does not run as root
}

// StartMariaDB makes a server's tables and serves them on a socket.
func StartMariaDB(t testing.TB) *MariaDB {
	t.Helper()
	m := &MariaDB{folder: daemontest.Folder(t, "maria"), owner: daemontest.User(t, "mysql")}
	daemontest.Give(t, m.folder, m.owner)
	install := m.command(t, "mariadb-install-db", "--no-defaults", "--datadir="+m.data(), "--auth-root-authentication-method=normal", "--skip-test-db")
	if out, err := install.CombinedOutput(); err != nil {
		t.Fatalf("%v: %v\n%s", install, err, out)
	}
	daemontest.Start(t, m.command(t, "mariadbd", "--no-defaults", "--datadir="+m.data(), "--socket="+m.socket(), "--skip-networking",
		"--pid-file="+filepath.Join(m.folder, "pid"), "--innodb-flush-log-at-trx-commit=0", "--innodb-buffer-pool-size=8M"),
		daemontest.Options{Line: "ready for connections"})
	return m
}

func (m *MariaDB) data() string { return filepath.Join(m.folder, "data") }

func (m *MariaDB) socket() string { return filepath.Join(m.folder, "socket") }

// command is one of its programs. The server is where only root's path leads.
func (m *MariaDB) command(t testing.TB, name string, args ...string) *exec.Cmd {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		path = filepath.Join("/usr/sbin", name)
		if _, err := os.Stat(path); err != nil {
			t.Fatalf("%v: make test-clients installs MariaDB", err)
		}
	}
	c := exec.Command(path, args...)
	c.Dir, c.Env = m.folder, append(os.Environ(), "LC_ALL=C")
	c.SysProcAttr = &syscall.SysProcAttr{Credential: m.owner}
	return c
}

// Database makes an empty database, with a user of that name who has a password, and says where it is.
func (m *MariaDB) Database(t testing.TB, name string) store.Server {
	t.Helper()
	m.Exec(t, fmt.Sprintf("CREATE DATABASE %s CHARACTER SET utf8mb4; CREATE USER %[1]s@localhost IDENTIFIED BY 'sesame'; GRANT ALL ON %[1]s.* TO %[1]s@localhost", name))
	return store.Server{Database: name, Username: name, Password: "sesame", Host: m.socket()}
}

// Exec does something as the owner of the server.
func (m *MariaDB) Exec(t testing.TB, query string) {
	t.Helper()
	c := m.command(t, "mariadb", "--no-defaults", "--default-character-set=utf8mb4", "--socket="+m.socket(), "-u", "root", "-e", query)
	if out, err := c.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}
