package daemontest

import (
	"errors"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

func TestFolder(t *testing.T) {
	t.Parallel()
	var path string
	t.Run("its life", func(t *testing.T) {
		path = Folder(t, "dt")
		file := filepath.Join(path, "below", "file")
		for _, err := range []error{os.Mkdir(filepath.Dir(file), 0o700), os.WriteFile(file, nil, 0o600)} {
			if err != nil {
				t.Fatal(err)
			}
		}
		who := User(t, "nobody")
		if (who == nil) != (os.Geteuid() != 0) {
			t.Errorf("it runs as %v", who)
		}
		Give(t, path, who)
		for _, name := range []string{path, filepath.Dir(file), file} {
			info, err := os.Stat(name)
			if err != nil {
				t.Fatal(err)
			}
			if got := info.Sys().(*syscall.Stat_t); who != nil && (got.Uid != who.Uid || got.Gid != who.Gid) {
				t.Errorf("%s belongs to %d and %d", name, got.Uid, got.Gid)
			}
		}
	})
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("it is left: %v", err)
	}
}

// TestPort: nobody listens there, not even a program that was just being started beside.
func TestPort(t *testing.T) {
	t.Parallel()
	started := make(chan struct{})
	go func() {
		defer close(started)
		for range 50 {
			if err := exec.Command("true").Run(); err != nil {
				t.Error(err)
			}
		}
	}()
	defer func() { <-started }()
	seen := map[int]bool{}
	for range 100 {
		port := Port(t)
		if ln, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port))); err != nil {
			t.Error(err)
		} else {
			ln.Close()
		}
		if seen[port] {
			t.Errorf("%d twice", port)
		}
		seen[port] = true
	}
}

// TestPortOfAnotherProcess: tests of several packages run at once, each in a process of its own.
func TestPortOfAnotherProcess(t *testing.T) {
	t.Parallel()
	const name = "ROSTERD_TEST_PORT"
	if port := os.Getenv(name); port != "" {
		number, err := strconv.Atoi(port)
		if err != nil {
			t.Fatal(err)
		}
		if kept, err := reserve(number); err != nil {
			t.Log(err)
		} else {
			kept.Close()
			t.Log("to be had")
		}
		return
	}
	var port int
	other := func() string {
		cmd := exec.Command(os.Args[0], "-test.v", "-test.run=^"+t.Name()+"$")
		cmd.Env = append(os.Environ(), name+"="+strconv.Itoa(port))
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		return string(out)
	}
	t.Run("taken", func(t *testing.T) {
		port = Port(t)
		if out := other(); !strings.Contains(out, "address already in use") {
			t.Error(out)
		}
	})
	if out := other(); !strings.Contains(out, "to be had") {
		t.Error(out)
	}
}
