package worker

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// harden takes from the process what it needs not, and hands out the two ends of its pipes. Descriptors 0 and 1 are
// stderr then, so that whatever prints does not print among the frames.
func harden() (in, out *os.File, err error) {
	runtime.GOMAXPROCS(1)
	if err := closeInherited(); err != nil {
		return nil, nil, err
	}
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0); err != nil {
		return nil, nil, fmt.Errorf("not dumpable: %w", err)
	}
	if err := unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{}); err != nil {
		return nil, nil, fmt.Errorf("no core: %w", err)
	}
	if in, err = moved(0, "stdin"); err != nil {
		return nil, nil, err
	}
	if out, err = moved(1, "stdout"); err != nil {
		return nil, nil, err
	}
	for fd := range 2 {
		if err := unix.Dup3(2, fd, 0); err != nil {
			return nil, nil, fmt.Errorf("descriptor %d: %w", fd, err)
		}
	}
	return in, out, nil
}

// closeInherited closes what came through exec: above 2, whatever is not marked to be closed by exec. All that this
// process has opened itself is so marked, the descriptors of Go's runtime too, which close_range(2) would take away.
func closeInherited() error {
	names, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return err
	}
	for _, n := range names {
		fd, err := strconv.Atoi(n.Name())
		if err != nil || fd <= 2 {
			continue
		}
		if flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err == nil && flags&unix.FD_CLOEXEC == 0 {
			if err := unix.Close(fd); err != nil {
				return fmt.Errorf("close descriptor %d: %w", fd, err)
			}
		}
	}
	return nil
}

// moved is fd at another number. It does not block, so that nobody who waits at it keeps a thread.
func moved(fd int, name string) (*os.File, error) {
	n, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 3)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	if err := unix.SetNonblock(n, true); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return os.NewFile(uintptr(n), name), nil
}

// limitMemory lets the process take so much more than it has now. RLIMIT_DATA counts what is written to, not the
// address space, of which the Go runtime reserves freely.
func limitMemory(more int64) error {
	have, err := dataSize()
	if err != nil {
		return err
	}
	limit := uint64(have + more)
	if err := unix.Setrlimit(unix.RLIMIT_DATA, &unix.Rlimit{Cur: limit, Max: limit}); err != nil {
		return fmt.Errorf("RLIMIT_DATA of %d: %w", limit, err)
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	debug.SetMemoryLimit(int64(m.Sys) + more/4*3)
	// Next to nothing lives here from call to call: as often as it would by itself, collections were a tenth of the work.
	debug.SetGCPercent(400)
	return nil
}

// dataSize is what RLIMIT_DATA counts.
func dataSize() (int64, error) {
	b, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(b)) {
		if rest, ok := strings.CutPrefix(line, "VmData:"); ok {
			kib, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(rest), " kB"), 10, 64)
			return kib << 10, err
		}
	}
	return 0, errors.New("/proc/self/status has no VmData")
}
