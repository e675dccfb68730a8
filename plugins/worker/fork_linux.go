package worker

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// executable is the program that runs, whatever has become of its file.
func executable() (string, error) { return "/proc/self/exe", nil }

// isolate says how a child stands apart: Ctrl-C in a terminal is for the parent alone, and the child ends with it.
func isolate(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}

// forks is the thread that all children come from. They end when it does (PR_SET_PDEATHSIG goes by the thread, not by
// the process), so it stays for the life of the process. What it gives up, its children have not got.
var forks = sync.OnceValue(func() chan<- func(error) {
	jobs := make(chan func(error))
	go func() {
		runtime.LockOSThread()
		err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
		for job := range jobs {
			job(err)
		}
	}()
	return jobs
})

func fork(cmd *exec.Cmd) error {
	done := make(chan error, 1)
	forks() <- func(err error) {
		if err != nil {
			done <- fmt.Errorf("no_new_privs: %w", err)
			return
		}
		done <- cmd.Start()
	}
	return <-done
}

// resident is how much memory a process holds; 0 if that is unknown.
func resident(pid int) int64 {
	b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/statm")
	if err != nil {
		return 0
	}
	fields := strings.Fields(string(b))
	if len(fields) < 2 {
		return 0
	}
	pages, _ := strconv.ParseInt(fields[1], 10, 64)
	return pages * int64(os.Getpagesize())
}

// peak is how much memory a process held at most.
func peak(s *os.ProcessState) int64 {
	if r, ok := s.SysUsage().(*syscall.Rusage); ok {
		return r.Maxrss << 10
	}
	return 0
}
