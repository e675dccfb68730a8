//go:build !linux

package main

import "time"

// cpuOf is the CPU time of this process; that of others is not known here.
func cpuOf(pid int) time.Duration {
	if pid != 0 {
		return 0
	}
	return cpuTime()
}

// useProcessors has no say here.
func useProcessors(bool) error { return nil }

// childProcesses cannot be found here, so that nothing is measured in a worker.
func childProcesses() map[int]bool { return nil }
