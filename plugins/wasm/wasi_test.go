package wasm_test

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"rosterd/plugins/wasm/module/asm"
)

// iovec puts the place of a text into memory, as fd_write wants it.
func (g *guest) iovec(text string) (ptr int32) {
	at, n := g.text(text)
	le := func(v int32) []byte { return []byte{byte(v), byte(v >> 8), byte(v >> 16), byte(v >> 24)} }
	ptr, _ = g.text(string(append(le(at), le(n)...)))
	return ptr
}

// TestWASI calls what toolchains import of the system.
func TestWASI(t *testing.T) {
	const (
		badf    = 8
		invalid = 28
		nosys   = 52
		fault   = 21
	)
	tests := []struct {
		name  string
		steps []step
		want  int64
		dst   string
	}{
		{"no arguments", []step{do("wasi:args_sizes_get", dst, dst+4)}, 0, ""},
		{"nothing of them", []step{do("wasi:args_get", dst, dst+4)}, 0, ""},
		{"no environment", []step{do("wasi:environ_sizes_get", dst, dst+4)}, 0, ""},
		{"nothing of it", []step{do("wasi:environ_get", dst, dst+4)}, 0, ""},
		{"the time", []step{do("wasi:clock_time_get", 0, int64(1), dst)}, 0, "\x00\x45\x16\x8c\x06\x10\x22\x11"},
		{"the time since the start", []step{do("wasi:clock_time_get", 1, int64(1), dst)}, 0, "\x01"},
		{"a clock that there is not", []step{do("wasi:clock_time_get", 9, int64(1), dst)}, invalid, ""},
		{"how good the clock is", []step{do("wasi:clock_res_get", 0, dst)}, 0, "\xe8\x03"},
		{"random numbers", []step{do("wasi:random_get", dst, 3)}, 0, "\x04\x04\x04"},
		{"random numbers for nowhere", []step{do("wasi:random_get", -1, 3)}, fault, ""},
		{"others run", []step{do("wasi:sched_yield")}, 0, ""},
		{"no files", []step{do("wasi:fd_prestat_get", 3, dst)}, badf, ""},
		{"no names of files", []step{do("wasi:fd_prestat_dir_name", 3, dst, 10)}, badf, ""},
		{"nothing to read", []step{do("wasi:fd_read", 0, dst, 0, dst)}, 0, ""},
		{"nothing to read in a file", []step{do("wasi:fd_read", 3, dst, 1, dst)}, badf, ""},
		{"nothing to seek", []step{do("wasi:fd_seek", 3, int64(0), 0, dst)}, badf, ""},
		{"a write to nowhere", []step{do("wasi:fd_write", 3, dst, 0, dst)}, badf, ""},
		{"a flag", []step{do("wasi:fd_fdstat_set_flags", 3, 0)}, badf, ""},
		{"nothing to close", []step{do("wasi:fd_close", 3)}, badf, ""},
		{"subscriptions of nothing", []step{do("wasi:poll_oneoff", 0, dst, 0, dst)}, invalid, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := &world{now: func() time.Time { return time.Unix(0, 0x1122_1006_8c16_4500) }}
			p := open(t, probe("rosterd_fetch", tt.steps...), setting{}, w)
			if _, err := p.Fetch(t.Context(), john(t)); err != nil {
				t.Fatal(err)
			}
			if w.result() != tt.want || w.dst() != tt.dst {
				t.Errorf("%d and %q, want %d and %q", w.result(), w.dst(), tt.want, tt.dst)
			}
		})
	}
}

// TestConsole makes lines of the log of what is written.
func TestConsole(t *testing.T) {
	run := func(t *testing.T, then asm.Code, writes ...any) ([]string, error) {
		t.Helper()
		g := newGuest("output_write", "wasi:fd_write")
		var c asm.Code
		for i := 0; i < len(writes); i += 2 {
			c = g.call(c, "wasi:fd_write", writes[i], int(g.iovec(writes[i+1].(string))), 1, 8).Drop()
		}
		w := &world{}
		p := open(t, g.export("rosterd_fetch", g.call(c, "output_write", empty).Drop().Add(then).I32(0)).Bytes(), setting{}, w)
		_, err := p.Fetch(t.Context(), john(t))
		return w.said(), err
	}
	const who = " user john@example.com call roster"
	tests := []struct {
		name   string
		writes []any
		want   []string
	}{
		{"a line", []any{1, "hello\n"}, []string{"INFO hello" + who}},
		{"an error", []any{2, "oh\n"}, []string{"WARN oh" + who}},
		{"a line in pieces", []any{1, "he", 2, "oh", 1, "llo\n"}, []string{"INFO hello" + who, "WARN oh" + who}},
		{"lines", []any{1, "a\nb\n\nc"}, []string{"INFO a" + who, "INFO b" + who, "INFO c" + who}},
		{"a line that is too long", []any{1, strings.Repeat("x", 3000) + "\ny\n"}, []string{"INFO " + strings.Repeat("x", 1024) + "…" + who, "INFO y" + who}},
		{"more lines than there may be", []any{1, strings.Repeat("x\n", 100)}, slices.Repeat([]string{"INFO x" + who}, 64)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := run(t, nil, tt.writes...)
			if err != nil || !slices.Equal(got, tt.want) {
				t.Errorf("%q, want %q (%v)", got, tt.want, err)
			}
		})
	}
	t.Run("before a trap", func(t *testing.T) {
		got, err := run(t, asm.Code{}.Unreachable(), 2, "panic: oh")
		if kindOf(err) != "trap" || !slices.Equal(got, []string{"WARN panic: oh" + who}) {
			t.Errorf("%q %v", got, err)
		}
	})
}

// TestExit is about modules that end themselves.
func TestExit(t *testing.T) {
	for _, status := range []int{0, 1, -1} {
		p := open(t, probe("rosterd_fetch", do("wasi:proc_exit", status)), setting{}, &world{})
		for range 2 {
			_, err := p.Fetch(t.Context(), john(t))
			if want := fmt.Sprintf("the module called proc_exit(%d)", uint32(status)); kindOf(err) != "trap" || !strings.Contains(err.Error(), want) {
				t.Error(err)
			}
		}
	}
}

// TestPoll has nobody sleep, and nobody get at what is not his.
func TestPoll(t *testing.T) {
	clock := make([]byte, 48)                              // a subscription to the clock
	copy(clock[24:], []byte{0, 0, 0, 0, 0, 0, 0, 1, 0, 0}) // in 2^56 ns
	stdin := make([]byte, 48)
	stdin[8] = 1
	for name, subscriptions := range map[string][][]byte{"the clock": {clock}, "standard input": {stdin}, "both": {clock, stdin}} {
		t.Run(name, func(t *testing.T) {
			g := newGuest("output_write", "wasi:poll_oneoff")
			at, _ := g.text(string(bytes.Join(subscriptions, nil)))
			c := g.call(nil, "wasi:poll_oneoff", int(at), dst, len(subscriptions), dst+4096).Drop()
			p := open(t, g.export("rosterd_fetch", g.call(c, "output_write", empty).Drop().I32(0)).Bytes(), setting{}, &world{})
			if _, err := p.Fetch(t.Context(), john(t)); err != nil {
				t.Error(err)
			}
		})
	}
	t.Run("more than there is room for", func(t *testing.T) {
		for _, n := range []int{0x05555556, -1, 1 << 16} { // times 48 is a little more than 2^32
			p := open(t, probe("rosterd_fetch", do("wasi:poll_oneoff", 0, dst, n, dst)), setting{}, &world{})
			if _, err := p.Fetch(t.Context(), john(t)); err != nil && kindOf(err) != "trap" || err != nil && strings.Contains(err.Error(), "goroutine") {
				t.Error(err)
			}
		}
	})
}

// TestLongLists ends calls of what goes through lists as long as the memory, of which nothing comes.
func TestLongLists(t *testing.T) {
	const zeros, ones, size = 1 << 16, 32 << 16, 31 << 16
	for name, args := range map[string][]any{
		"wasi:poll_oneoff": {ones, ones, size / 48, 8}, // nobody ever writes to standard input
		"wasi:fd_read":     {0, zeros, size / 8, 8},
		"wasi:fd_write":    {1, zeros, size / 8, 8},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
			defer cancel()
			g := newGuest(name)
			c := asm.Code{}.I32(62).MemoryGrow().Drop().I32(ones).I32(1).I32(size).MemoryFill()
			p := open(t, g.export("rosterd_fetch", g.call(c.Loop(), name, args...).Drop().Br(0).End().I32(0)).Bytes(), setting{}, &world{})
			if _, err := p.Fetch(ctx, john(t)); kindOf(err) != "deadline" {
				t.Errorf("%s: %v", kindOf(err), err)
			}
		})
	}
}
