package main

import (
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"rosterd/engine/enginetest"
)

// TestPidFile: whose pidfile it is shows in the lock of a living process, and in nothing else.
func TestPidFile(t *testing.T) {
	t.Parallel()
	for name, content := range map[string]string{
		"none": "", "another program has that number now": fmt.Sprintln(os.Getppid()), "longer": "12345678901234567890\n\n\n", "nonsense": "nobody\n",
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "run", "rosterd.pid")
			if content != "" {
				if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			remove, err := writePidFile(path)
			if err != nil {
				t.Fatal(err)
			}
			b, err := os.ReadFile(path)
			equal(t, "content", fmt.Sprint(string(b), err), fmt.Sprintln(os.Getpid())+"<nil>")
			remove()
			if _, err := os.Stat(path); !os.IsNotExist(err) {
				t.Errorf("it is still there: %v", err)
			}
		})
	}
}

// TestPidFileOfTheLiving: a second server does not start, names the first, and leaves its pidfile alone; once the first
// was killed, it starts.
func TestPidFileOfTheLiving(t *testing.T) {
	t.Parallel()
	p := newPlace(t, open(enginetest.Serve(t, nil).Template()))
	p.head = `pidfile = "rosterd.pid"`
	proc := p.spawn(t)
	path, pid := filepath.Join(p.data(), "rosterd.pid"), proc.Process.Pid
	_, err := writePidFile(path)
	equal(t, "error", fmt.Sprint(err), fmt.Sprintf("pidfile %s names process %d, which is running", path, pid))
	b, err := os.ReadFile(path)
	equal(t, "content", fmt.Sprint(string(b), err), fmt.Sprintln(pid)+"<nil>")
	proc.signal(t, syscall.SIGKILL)
	_ = proc.Wait() // says that it was killed
	remove, err := writePidFile(path)
	if err != nil {
		t.Fatal(err)
	}
	remove()
}
