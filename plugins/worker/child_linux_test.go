package worker

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// surroundings are what a plugin finds around itself.
type surroundings struct {
	Env        []string
	Dir        string
	Files      []string // open ones, by what they are
	Group      bool     // leads a process group
	Parent     int
	NoNewPrivs bool // in every thread
	Dumpable   bool
	Core, Data uint64
	Procs      int
	Stdin      string
}

func look() (s surroundings, err error) {
	s.Env, s.Procs = os.Environ(), runtime.GOMAXPROCS(0)
	s.Dir, _ = os.Getwd()
	s.Group, s.Parent = syscall.Getpgrp() == os.Getpid(), os.Getppid()
	names, err := filepath.Glob("/proc/self/fd/*")
	if err != nil {
		return s, err
	}
	for _, n := range names {
		if target, err := os.Readlink(n); err == nil {
			kind, _, _ := strings.Cut(target, ":[")
			if strings.HasPrefix(target, "/sys/fs/cgroup/") {
				kind = "runtime"
			}
			s.Files = append(s.Files, kind)
		}
	}
	s.Stdin, _ = os.Readlink("/proc/self/fd/0")
	stderr, _ := os.Readlink("/proc/self/fd/2")
	s.Stdin = fmt.Sprint(s.Stdin == stderr)
	threads, err := filepath.Glob("/proc/self/task/*/status")
	if err != nil {
		return s, err
	}
	s.NoNewPrivs = len(threads) > 0
	for _, file := range threads {
		if b, err := os.ReadFile(file); err == nil && !strings.Contains(string(b), "NoNewPrivs:\t1") {
			s.NoNewPrivs = false
		}
	}
	d, err := unix.PrctlRetInt(unix.PR_GET_DUMPABLE, 0, 0, 0, 0)
	if err != nil {
		return s, err
	}
	s.Dumpable = d != 0
	var l unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_CORE, &l); err != nil {
		return s, err
	}
	s.Core = l.Max
	if err := unix.Getrlimit(unix.RLIMIT_DATA, &l); err != nil {
		return s, err
	}
	s.Data = l.Max
	return s, nil
}

// TestSurroundings: a child has nothing of its parent's.
func TestSurroundings(t *testing.T) {
	t.Setenv("ROSTERD_SECRET", "x")
	fd, err := unix.Open("/etc/passwd", unix.O_RDONLY, 0) // survives exec
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	p := opening{}.must(t, &world{})
	a, err := p.Fetch(t.Context(), as("look"))
	if err != nil {
		t.Fatal(err)
	}
	var got surroundings
	if err := json.Unmarshal([]byte(a.Rev), &got); err != nil {
		t.Fatal(err)
	}
	if got.Data == ^uint64(0) {
		t.Error("there is no limit of memory")
	}
	for _, f := range got.Files {
		if f != "pipe" && f != "runtime" && !strings.HasPrefix(f, "anon_inode") && !strings.HasPrefix(f, "/proc/") {
			t.Errorf("%s is open", f)
		}
	}
	got.Data, got.Files = 0, nil
	want := surroundings{Env: []string{}, Dir: "/", Group: true, Parent: os.Getpid(), NoNewPrivs: true, Procs: 1, Stdin: "true"}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}
