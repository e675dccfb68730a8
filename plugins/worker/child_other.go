//go:build unix && !linux

package worker

import (
	"os"
	"runtime"
	"runtime/debug"
	"syscall"
)

// harden does what every Unix can.
func harden() (in, out *os.File, err error) {
	runtime.GOMAXPROCS(1)
	if err := syscall.Setrlimit(syscall.RLIMIT_CORE, &syscall.Rlimit{}); err != nil {
		return nil, nil, err
	}
	in, out = os.Stdin, os.Stdout
	os.Stdout = os.Stderr // whatever prints does not print among the frames
	return in, out, nil
}

// limitMemory has the garbage collector try harder; nothing here ends a process that takes too much.
func limitMemory(more int64) error {
	debug.SetMemoryLimit(more / 4 * 3)
	return nil
}
