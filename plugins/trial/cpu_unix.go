//go:build unix

package trial

import (
	"syscall"
	"time"
)

const (
	ofSelf     = syscall.RUSAGE_SELF
	ofChildren = syscall.RUSAGE_CHILDREN // of those that have ended
)

// cpu is the processor time that was used, by the program and for it.
func cpu(who int) time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(who, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
