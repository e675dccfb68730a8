package main

import (
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// limitProcess limits memory, processor time, and what could be written to disk, of this process and its children.
// RLIMIT_DATA counts what is written to, not the address space, of which the Go runtime reserves freely.
func (l isolation) limitProcess() error {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return err
	}
	_, rest, _ := strings.Cut(string(status), "VmData:")
	kib, _, _ := strings.Cut(strings.TrimSpace(rest), " ")
	have, err := strconv.ParseUint(kib, 10, 64)
	if err != nil {
		return fmt.Errorf("/proc/self/status has no VmData: %w", err)
	}
	for resource, limit := range map[int]uint64{
		unix.RLIMIT_DATA:  have<<10 + l.memory,
		unix.RLIMIT_CPU:   l.cpu,
		unix.RLIMIT_CORE:  0,
		unix.RLIMIT_FSIZE: 0,
	} {
		if err := unix.Setrlimit(resource, &unix.Rlimit{Cur: limit, Max: limit}); err != nil {
			return fmt.Errorf("limit %d to %d: %w", resource, limit, err)
		}
	}
	return nil
}
