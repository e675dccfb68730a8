package target

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// CPU is the time that a process has used, to the nanosecond (clock_getcpuclockid(3)); 0 is this process.
func CPU(pid int) time.Duration {
	clock := int32(unix.CLOCK_PROCESS_CPUTIME_ID)
	if pid != 0 {
		clock = int32(^pid)<<3 | 2 // CPUCLOCK_SCHED of the process
	}
	var t unix.Timespec
	if err := unix.ClockGettime(clock, &t); err != nil {
		return 0 // it has ended
	}
	return time.Duration(t.Nano())
}

// Family is a process and all that it has started, and they.
func Family(pid int) []int {
	list := []int{pid}
	files, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid)) // the pattern is a constant
	for _, file := range files {
		children, err := os.ReadFile(file)
		if err != nil {
			continue // the thread is gone
		}
		for _, field := range strings.Fields(string(children)) {
			if child, err := strconv.Atoi(field); err == nil {
				list = append(list, Family(child)...)
			}
		}
	}
	return list
}

// Memory is what all processes of the server hold now.
func (s *Server) Memory() (m Memory, err error) {
	for _, pid := range Family(s.PID()) {
		rss, pss, err := memoryOf(pid)
		if err != nil {
			return m, fmt.Errorf("memory of %s: %w", s.Kind, err)
		}
		m.RSS, m.PSS = m.RSS+rss, m.PSS+pss
	}
	return m, nil
}

func memoryOf(pid int) (rss, pss int64, err error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
	if err != nil {
		return 0, 0, err
	}
	for lines := bufio.NewScanner(bytes.NewReader(b)); lines.Scan(); {
		var n int64
		if k, err := fmt.Sscanf(lines.Text(), "Rss: %d kB", &n); err == nil && k == 1 {
			rss = n << 10
		} else if k, err := fmt.Sscanf(lines.Text(), "Pss: %d kB", &n); err == nil && k == 1 {
			pss = n << 10
		}
	}
	return rss, pss, nil
}

// Delayed is how long threads of the server have waited for a processor so far, because others had it: each other, or
// somebody else (proc_pid_schedstat(5)).
func (s *Server) Delayed() (all time.Duration) {
	for _, pid := range Family(s.PID()) {
		files, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", pid)) // the pattern is a constant
		for _, file := range files {
			var ran, waited int64
			b, err := os.ReadFile(file)
			if err != nil {
				continue // the thread is gone
			}
			if _, err := fmt.Sscan(string(b), &ran, &waited); err == nil {
				all += time.Duration(waited)
			}
		}
	}
	return all
}

// processors are those that this program could use when it began.
var processors = sync.OnceValues(func() (set unix.CPUSet, err error) {
	err = unix.SchedGetaffinity(0, &set)
	return set, err
})

// split divides the processors between a server and the load program; a single one is for both.
func split(all bool) (server, load unix.CPUSet, err error) {
	set, err := processors()
	if err != nil || all || set.Count() < 2 {
		return set, set, err
	}
	server, load = divide(set)
	return server, load, nil
}

// divide takes the first of some processors.
func divide(set unix.CPUSet) (first, others unix.CPUSet) {
	others = set
	for cpu := 0; first.Count() == 0; cpu++ {
		if set.IsSet(cpu) {
			first.Set(cpu)
			others.Clear(cpu)
		}
	}
	return first, others
}

// loadProcessors is how many the load program can use now.
func loadProcessors() int {
	var set unix.CPUSet
	if err := unix.SchedGetaffinity(0, &set); err != nil {
		return runtime.NumCPU()
	}
	return set.Count()
}

// place starts a program on the processors that it shall have, with as many open files as are allowed, and has the load
// program use the others.
func (s *Server) place(cmd *exec.Cmd, want int) error {
	server, load, err := split(want != 0)
	if err != nil {
		return err
	}
	s.processors = server.Count()
	if err := useProcessors(load); err != nil {
		return err
	}
	return startOn(cmd, server)
}

// startOn starts a program from a thread that uses those processors, which a new process inherits.
func startOn(cmd *exec.Cmd, set unix.CPUSet) error {
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Pdeathsig = syscall.SIGKILL // whatever ends this program ends the server
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var before unix.CPUSet
	if err := unix.SchedGetaffinity(0, &before); err != nil {
		return err
	}
	if err := unix.SchedSetaffinity(0, &set); err != nil {
		return err
	}
	err := cmd.Start()
	return errors.Join(err, unix.SchedSetaffinity(0, &before))
}

// mostFiles is how many files a process shall have open, where it may.
const mostFiles = 1 << 18

// openFiles lets this process, and what it starts from now on, have as many open as they may.
func openFiles() error {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return fmt.Errorf("open files: %w", err)
	}
	more := unix.Rlimit{Cur: max(limit.Cur, mostFiles), Max: max(limit.Max, mostFiles)}
	if unix.Setrlimit(unix.RLIMIT_NOFILE, &more) == nil {
		return nil
	}
	limit.Cur = limit.Max // more is for the superuser
	return unix.Setrlimit(unix.RLIMIT_NOFILE, &limit)
}

// Files is how many files a process may have open here.
func Files() int {
	var limit unix.Rlimit
	if err := errors.Join(openFiles(), unix.Getrlimit(unix.RLIMIT_NOFILE, &limit)); err != nil {
		return 1024
	}
	return int(min(limit.Cur, mostFiles))
}

// UseAll gives this process back the processors that it has left to a server.
func UseAll() error {
	set, err := processors()
	if err != nil {
		return err
	}
	return useProcessors(set)
}

// UseOne has this process, and what it starts from now on, use a single processor.
func UseOne() error {
	set, err := processors()
	if err != nil {
		return err
	}
	first, _ := divide(set)
	return useProcessors(first)
}

// useProcessors has all threads of this process, and what it starts from now on, use those processors.
func useProcessors(set unix.CPUSet) error {
	if err := openFiles(); err != nil {
		return err
	}
	runtime.GOMAXPROCS(set.Count())
	for { // until no thread is left that was started meanwhile by one that still had others
		left, err := giveProcessors(&set)
		if err != nil || left == 0 {
			return err
		}
	}
}

// giveProcessors has all threads use set, and tells how many did not.
func giveProcessors(set *unix.CPUSet) (others int, err error) {
	threads, err := os.ReadDir("/proc/self/task")
	if err != nil {
		return 0, err
	}
	for _, t := range threads {
		id, err := strconv.Atoi(t.Name())
		if err != nil {
			return 0, err
		}
		var has unix.CPUSet
		if err := unix.SchedGetaffinity(id, &has); err == nil && has == *set {
			continue
		}
		others++
		if err := unix.SchedSetaffinity(id, set); err != nil && !errors.Is(err, unix.ESRCH) {
			return 0, fmt.Errorf("processors of thread %d: %w", id, err)
		}
	}
	return others, nil
}
