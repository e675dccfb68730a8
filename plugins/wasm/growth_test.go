package wasm_test

import (
	"bytes"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"rosterd/plugins"
	"rosterd/plugins/wasm"
)

// TestGrowth opens, uses and closes a plugin many times, and calls one many times: nothing may stay behind, in Go's heap or
// beside it.
func TestGrowth(t *testing.T) {
	code := counting()
	cache := filepath.Join(t.TempDir(), "modules")
	once := func() {
		p, err := wasm.Open(t.Context(), plugins.Source{Name: "crm", File: "crm.wasm", Code: code}, plugins.Host{Cache: cache}, options(nil), &world{})
		if err != nil {
			t.Fatal(err)
		}
		for range 3 {
			if _, err := p.Fetch(t.Context(), john(t)); err != nil {
				t.Fatal(err)
			}
		}
		if err := p.Close(); err != nil {
			t.Fatal(err)
		}
	}
	measured(t, "opening and closing it 200 times", func(n int) {
		for range n {
			once()
		}
	}, 20, 200)
	p := open(t, code, setting{host: plugins.Host{Limits: plugins.Limits{Fresh: true}}}, &world{})
	measured(t, "1,000 instances", func(n int) {
		for range n {
			if _, err := p.Fetch(t.Context(), john(t)); err != nil {
				t.Fatal(err)
			}
		}
	}, 100, 1000)
}

// measured compares what is there after some rounds and after many.
func measured(t *testing.T, what string, rounds func(n int), some, many int) {
	t.Helper()
	rounds(some)
	heap, maps := taken(t)
	rounds(many)
	heap2, maps2 := taken(t)
	t.Logf("%s: the heap from %d to %d KiB, mappings from %d to %d", what, heap>>10, heap2>>10, maps, maps2)
	if heap2 > heap+2<<20 {
		t.Errorf("%s: the heap has grown by %d KiB", what, (heap2-heap)>>10)
	}
	if maps2 > maps+40 {
		t.Errorf("%s: there are %d more mappings", what, maps2-maps)
	}
}

// taken is what lives in the heap, and the number of mappings, where the system tells.
func taken(t *testing.T) (heap uint64, maps int) {
	t.Helper()
	runtime.GC()
	runtime.GC() // what the first one found may have been kept by a finalizer
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	if b, err := os.ReadFile("/proc/self/maps"); err == nil {
		maps = bytes.Count(b, []byte{'\n'})
	}
	return m.HeapAlloc, maps
}
