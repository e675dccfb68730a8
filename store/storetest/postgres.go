package storetest

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

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
	p := &Postgres{}
	var err error
	if p.folder, err = os.MkdirTemp("", "pg"); err != nil { // short, and open for another user: t.TempDir is neither
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(p.folder); err != nil {
			t.Error(err)
		}
	})
	if p.owner, err = owned(p.folder, "postgres"); err != nil {
		t.Fatal(err)
	}
	init := p.command(t, "initdb", "-D", p.data(), "-U", "rosterd", "-A", "trust", "-E", "UTF8", "--no-sync", "--locale=C.UTF-8")
	if out, err := init.CombinedOutput(); err != nil {
		t.Fatalf("%v: %v\n%s", init, err, out)
	}
	t.Cleanup(p.serve(t))
	return p
}

func (p *Postgres) data() string { return filepath.Join(p.folder, "data") }

// owned gives the folder to a user whom Debian's package has made, if we are root, and says who runs what works there.
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
	if p.owner != nil {
		c.SysProcAttr = &syscall.SysProcAttr{Credential: p.owner}
	}
	return c
}

// serve starts the server and returns when it lets people in.
func (p *Postgres) serve(t testing.TB) (stop func()) {
	t.Helper()
	c := p.command(t, "postgres", "-D", p.data(), "-k", p.folder, "-c", "listen_addresses=", "-c", "fsync=off")
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
		if strings.Contains(lines.Text(), "ready to accept connections") {
			rest := make(chan struct{})
			go func() { defer close(rest); _, _ = io.Copy(io.Discard, stderr) }()
			return func() {
				_ = c.Process.Signal(syscall.SIGINT)
				<-rest
				_ = c.Wait()
			}
		}
	}
	t.Fatalf("PostgreSQL does not start: %v\n%s", c.Wait(), &log)
	return nil
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
