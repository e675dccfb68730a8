//go:build linux

package worker

import (
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// processorTime of another process, in ticks of the kernel.
func processorTime(t testing.TB, pid int) time.Duration {
	t.Helper()
	b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(b), ") ")
	fields := strings.Fields(rest)
	var ticks int64
	for _, f := range fields[11:13] { // utime and stime
		n, err := strconv.ParseInt(f, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		ticks += n
	}
	return time.Duration(ticks) * time.Second / 100 // USER_HZ
}

// used is the processor time of this process.
func used(t testing.TB) time.Duration {
	t.Helper()
	var r syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &r); err != nil {
		t.Fatal(err)
	}
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}

// BenchmarkWorker shows what the pipe costs, as processor time of parent and child together: the child has the rosters
// ready.
func BenchmarkWorker(b *testing.B) {
	for _, n := range []int{0, 10, 100, 1000} {
		name := fmt.Sprintf("contacts=%d", n)
		if n == 0 {
			name = "no-op"
		}
		b.Run(name, func(b *testing.B) {
			p := opening{}.must(b, &world{})
			r := as(fmt.Sprintf("people-%d", n))
			call := func() error { _, err := p.Fetch(b.Context(), r); return err }
			if n == 0 {
				call = func() error { _, err := p.Tick(b.Context(), 0); return err }
			}
			if err := call(); err != nil {
				b.Fatal(err)
			}
			pid := p.pid()
			parent, child := used(b), processorTime(b, pid)
			b.ReportAllocs()
			for b.Loop() {
				if err := call(); err != nil {
					b.Fatal(err)
				}
			}
			parent, child = used(b)-parent, processorTime(b, pid)-child
			b.ReportMetric(float64(parent.Nanoseconds())/float64(b.N), "parent-ns/op")
			b.ReportMetric(float64(child.Nanoseconds())/float64(b.N), "child-ns/op")
			b.ReportMetric(float64((parent+child).Nanoseconds())/float64(b.N), "cpu-ns/op")
		})
	}
}

// BenchmarkStart is from the fork to the plugin being open.
func BenchmarkStart(b *testing.B) {
	for b.Loop() {
		p, _, err := opening{}.open(b.Context(), &world{})
		if err != nil {
			b.Fatal(err)
		}
		_ = p.Close()
		<-p.done
	}
}

// TestGrowth: 1,000 calls with services in a row leave nothing behind, here or in the child.
func TestGrowth(t *testing.T) {
	p := opening{}.must(t, &world{})
	round := func() {
		for range 1000 {
			if _, err := p.Fetch(t.Context(), as("http")); err != nil {
				t.Fatal(err)
			}
		}
	}
	measure := func() (heap, goroutines int64) {
		a, err := p.Fetch(t.Context(), as("heap"))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := fmt.Sscan(a.Rev, &heap, &goroutines); err != nil {
			t.Fatal(err)
		}
		return heap, goroutines
	}
	round()
	heap, goroutines := measure()
	parent := runtime.NumGoroutine()
	began := time.Now()
	round()
	t.Logf("1000 fetches, each with a request over HTTP, took %v", time.Since(began))
	if h, g := measure(); h > heap+256<<10 || g > goroutines {
		t.Errorf("the child has %d bytes and %d goroutines, before %d and %d", h, g, heap, goroutines)
	}
	settle(t, func() string {
		if n := runtime.NumGoroutine(); n > parent+1 {
			return fmt.Sprintf("%d goroutines here, before %d", n, parent)
		}
		return ""
	})
	if m := p.Usage().Memory; m > 512<<20 {
		t.Errorf("the child holds %d MiB", m>>20)
	}
}
