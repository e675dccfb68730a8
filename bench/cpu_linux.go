package main

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// cpuOf is the CPU time that a process has used, to the nanosecond (clock_getcpuclockid(3)); 0 is this process.
func cpuOf(pid int) time.Duration {
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

// childProcesses are those of this process.
func childProcesses() map[int]bool {
	found := map[int]bool{}
	lists, _ := filepath.Glob("/proc/self/task/*/children") // the pattern is a constant
	for _, file := range lists {
		list, err := os.ReadFile(file)
		if err != nil {
			continue // the thread is gone
		}
		for _, field := range strings.Fields(string(list)) {
			if pid, err := strconv.Atoi(field); err == nil {
				found[pid] = true
			}
		}
	}
	return found
}
