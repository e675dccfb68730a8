package target

import (
	"os"
	"runtime"
	"slices"
	"testing"
)

// This program uses a single processor where it is told to, and all of them afterwards; it is of its own family, and has used time.
func TestProcessors(t *testing.T) {
	all := loadProcessors()
	for _, c := range []struct {
		use  func() error
		want int
	}{{UseAll, all}, {UseOne, 1}, {UseOne, 1}, {UseAll, all}} {
		if err := c.use(); err != nil {
			t.Fatal(err)
		}
		if n := loadProcessors(); n != c.want && runtime.GOOS == "linux" {
			t.Errorf("%d processors are used, not %d", n, c.want)
		}
	}
	if list := Family(os.Getpid()); !slices.Contains(list, os.Getpid()) {
		t.Errorf("the family of %d is %d", os.Getpid(), list)
	}
	if CPU(0) <= 0 {
		t.Error("no time was used")
	}
}
