package vm

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	lua "github.com/yuin/gopher-lua"
)

// Of several runs under which the heap grows, the one that makes it grow is stopped: not those that wait, nor those
// that do little.
func TestWhoIsToBlameForTheHeap(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	const bomb = "local t while true do t = { t } end" // an array would grow no more at MaxArrayIndex
	limits := Limits{Instructions: 1 << 60, HeapBytes: 32 << 20}
	count, err := Compile("count.lua", []byte("local n = 0 for i = 1, 1000 do n = n + i end"))
	if err != nil {
		t.Fatal(err)
	}
	began, over := make(chan struct{}), make(chan struct{})
	var others sync.WaitGroup
	for range 3 {
		others.Go(func() {
			s := New(limits)
			defer s.Close()
			err := s.Run(ctx, func(L *lua.LState) error {
				began <- struct{}{}
				select { // as for an answer over HTTP
				case <-over:
				case <-ctx.Done():
				}
				L.Push(L.NewFunctionFromProto(count))
				L.Call(0, 0)
				return nil
			})
			if err != nil {
				t.Errorf("a run that waited: %v", err)
			}
		})
	}
	for range 3 {
		<-began
	}
	for range 2 {
		s := New(limits)
		if err := run(t, ctx, s, bomb); !errors.Is(err, ErrMemory) {
			t.Errorf("the run that took the memory: %v", err)
		}
		s.Close()
	}
	close(over)
	others.Wait()
}

// Garbage is not what a run has taken, nor is what others let go of.
func TestGarbageIsNoGrowth(t *testing.T) {
	s := New(Limits{Instructions: 20_000_000, HeapBytes: 16 << 20})
	defer s.Close()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := run(t, ctx, s, "local s = string.rep('x', 1e6) for i = 1, 500 do local t = s .. i end"); err != nil {
		t.Error(err)
	}
}
