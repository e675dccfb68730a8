package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
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

// processors are those that this process may use.
var processors = sync.OnceValues(func() (set unix.CPUSet, err error) {
	err = unix.SchedGetaffinity(0, &set)
	return set, err
})

// useProcessors has this process, and what it starts from now on, use all of the processors, or only the first.
func useProcessors(all bool) error {
	set, err := processors()
	if err != nil {
		return err
	}
	if !all {
		var one unix.CPUSet
		for cpu := 0; one.Count() == 0; cpu++ {
			if set.IsSet(cpu) {
				one.Set(cpu)
			}
		}
		set = one
	}
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
