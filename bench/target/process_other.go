//go:build !linux

package target

import (
	"errors"
	"os/exec"
	"runtime"
	"syscall"
	"time"
)

// What other systems tell of processes is not asked for: a server can be driven, and what it costs is not known.

// CPU is the time that this process has used; that of others is not known here.
func CPU(pid int) time.Duration {
	var u syscall.Rusage
	if pid != 0 || syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// Family is a process; what it has started cannot be found here.
func Family(pid int) []int { return []int{pid} }

// Memory is not known here.
func (s *Server) Memory() (Memory, error) {
	return Memory{}, errors.New("memory of other processes is known on Linux alone")
}

func loadProcessors() int { return runtime.NumCPU() }

func (s *Server) place(cmd *exec.Cmd, _ int) error {
	s.processors = runtime.NumCPU()
	return cmd.Start()
}

// UseAll has no say here.
func UseAll() error { return nil }

// UseOne has no say here.
func UseOne() error { return nil }

// Files is how many files a process may have open here.
func Files() int { return 1024 }

// Delayed is not known here.
func (s *Server) Delayed() time.Duration { return 0 }
