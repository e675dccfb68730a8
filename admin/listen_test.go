package admin_test

import (
	"context"
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"rosterd/admin"
)

func TestListen(t *testing.T) {
	old := syscall.Umask(0) // the mode does not depend on it; nothing else in this package makes files meanwhile
	defer syscall.Umask(old)
	path := filepath.Join(shortDir(t), "s")
	ln, err := admin.Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Lstat(path)
	if err != nil || info.Mode() != fs.ModeSocket|0o600 {
		t.Fatalf("mode %v, %v", info.Mode(), err)
	}
	if _, err := admin.Listen(path); !errors.Is(err, admin.ErrInUse) {
		t.Errorf("a second server: %v", err)
	}
	if err := ln.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("after the end: %v", err)
	}
}

func TestListenReplacesTheDead(t *testing.T) {
	path := filepath.Join(shortDir(t), "s")
	dead, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	dead.(*net.UnixListener).SetUnlinkOnClose(false)
	dead.Close()
	if _, err := os.Lstat(path); err != nil {
		t.Fatalf("nothing was left behind: %v", err)
	}
	if _, err := (admin.Client{Socket: path}).Get(context.Background(), "a@b"); !errors.Is(err, admin.ErrNotRunning) {
		t.Errorf("asking the dead: %v", err)
	}
	ln, err := admin.Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	ln.Close()
}

func TestListenRefuses(t *testing.T) {
	dir := shortDir(t)
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct{ path, want string }{
		"a file":            {file, "is no socket"},
		"no such directory": {filepath.Join(dir, "none", "s"), "no such file"},
		"a long name":       {filepath.Join(dir, strings.Repeat("x", 100)), "longer than"},
	} {
		t.Run(name, func(t *testing.T) {
			ln, err := admin.Listen(c.path)
			if err == nil {
				ln.Close()
			}
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %s", err, c.want)
			}
		})
	}
	if b, err := os.ReadFile(file); err != nil || string(b) != "precious" {
		t.Errorf("the file now holds %q, %v", b, err)
	}
	if _, err := (admin.Client{Socket: filepath.Join(dir, "nobody")}).Get(t.Context(), "a@b"); !errors.Is(err, admin.ErrNotRunning) {
		t.Errorf("asking nobody: %v", err)
	}
}
