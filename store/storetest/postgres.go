package storetest

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"syscall"
	"testing"

	"rosterd/daemontest"
	"rosterd/store"
)

// Postgres is a server of PostgreSQL in a folder of its own, which ends with the test.
type Postgres struct {
	folder string
	owner  *syscall.Credential // it does not run as root
	count  int
}

// StartPostgres makes a cluster and serves it on a socket.
func StartPostgres(t testing.TB) *Postgres {
	t.Helper()
	p := &Postgres{folder: daemontest.Folder(t, "pg"), owner: daemontest.User(t, "postgres")}
	daemontest.Give(t, p.folder, p.owner)
	init := p.command(t, "initdb", "-D", p.data(), "-U", "rosterd", "-A", "trust", "-E", "UTF8", "--no-sync", "--locale=C.UTF-8")
	if out, err := init.CombinedOutput(); err != nil {
		t.Fatalf("%v: %v\n%s", init, err, out)
	}
	daemontest.Start(t, p.command(t, "postgres", "-D", p.data(), "-k", p.folder, "-c", "listen_addresses=", "-c", "fsync=off"),
		daemontest.Options{Line: "ready to accept connections", End: syscall.SIGINT})
	return p
}

func (p *Postgres) data() string { return filepath.Join(p.folder, "data") }

// command is one of PostgreSQL's programs, which Debian has in a folder for each version.
func (p *Postgres) command(t testing.TB, name string, args ...string) *exec.Cmd {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/" + name)
		if len(found) == 0 {
			t.Fatalf("%v: make test-clients installs PostgreSQL", err)
		}
		path = slices.Max(found)
	}
	c := exec.Command(path, args...)
	c.Dir, c.Env = p.folder, append(os.Environ(), "LC_ALL=C")
	c.SysProcAttr = &syscall.SysProcAttr{Credential: p.owner}
	return c
}

// Database makes an empty database and says where it is.
func (p *Postgres) Database(t testing.TB) store.Server {
	t.Helper()
	p.count++
	name := fmt.Sprint("test", p.count)
	p.Exec(t, "CREATE DATABASE "+name)
	return store.Server{Database: name, Username: "rosterd", Host: p.folder}
}

// Exec does something as the owner of the server.
func (p *Postgres) Exec(t testing.TB, query string) {
	t.Helper()
	p.In(t, store.Server{Database: "postgres"}, query)
}

// In does something in a database.
func (p *Postgres) In(t testing.TB, at store.Server, query string) {
	t.Helper()
	c := p.command(t, "psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", "-h", p.folder, "-U", "rosterd", "-d", at.Database, "-c", query)
	if out, err := c.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v: %s", query, err, out)
	}
}
