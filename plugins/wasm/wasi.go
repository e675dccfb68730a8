package wasm

import (
	"bytes"
	"log/slog"
	"slices"
	"time"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/imports/wasi_snapshot_preview1"
	"github.com/tetratelabs/wazero/sys"
)

// wasiModule is what toolchains for servers import their system from.
const wasiModule = wasi_snapshot_preview1.ModuleName

// wasi are the functions of it that a module may import. What they do is the runtime's; there are no files, no arguments
// and no environment for them, and nobody sleeps.
var wasi = map[string]signature{
	"args_get":            {"ii", "i"},
	"args_sizes_get":      {"ii", "i"},
	"clock_res_get":       {"ii", "i"},
	"clock_time_get":      {"ili", "i"},
	"environ_get":         {"ii", "i"},
	"environ_sizes_get":   {"ii", "i"},
	"fd_close":            {"i", "i"},
	"fd_fdstat_get":       {"ii", "i"},
	"fd_fdstat_set_flags": {"ii", "i"},
	"fd_prestat_dir_name": {"iii", "i"},
	"fd_prestat_get":      {"ii", "i"},
	"fd_read":             {"iiii", "i"},
	"fd_seek":             {"ilii", "i"},
	"fd_write":            {"iiii", "i"},
	"poll_oneoff":         {"iiii", "i"},
	"proc_exit":           {"i", ""},
	"random_get":          {"ii", "i"},
	"sched_yield":         {"", "i"},
}

// signature is a function type, a letter for each value: i for i32, l for i64.
type signature struct{ params, results string }

func types(letters string) []api.ValueType {
	list := make([]api.ValueType, len(letters))
	for i, c := range []byte(letters) {
		if list[i] = i32; c == 'l' {
			list[i] = i64
		}
	}
	return list
}

// system is what the functions of WASI do with the world for an instance.
func (in *instance) system() wazero.ModuleConfig {
	p := in.plugin
	return wazero.NewModuleConfig().WithName("").WithStartFunctions().
		WithStdout(&console{in: in, level: slog.LevelInfo}).
		WithStderr(&console{in: in, level: slog.LevelWarn}).
		WithRandSource(randomSource{in}).
		WithWalltime(p.walltime, sys.ClockResolution(time.Microsecond)).
		WithNanotime(p.nanotime, sys.ClockResolution(1))
}

// known tells whether there is an import of this name.
func known(module, name string) bool {
	if module == wasiModule {
		_, ok := wasi[name]
		return ok
	}
	return slices.ContainsFunc(imports, func(f function) bool { return f.module == module && f.name == name })
}

// console makes lines of the log of what a module writes to standard output or error.
type console struct {
	in    *instance
	level slog.Level
	line  []byte
}

func (w *console) Write(b []byte) (int, error) {
	w.in.call.stillWanted()
	n := len(b)
	for len(b) > 0 {
		line, rest, ended := bytes.Cut(b, []byte{'\n'})
		w.line = append(w.line, line[:min(len(line), max(0, maxLine+1-len(w.line)))]...)
		if b = rest; ended {
			w.flush()
		}
	}
	return n, nil
}

// flush logs the line that has begun.
func (w *console) flush() {
	if len(w.line) > 0 {
		w.in.call.log(w.level, string(w.line))
		w.line = w.line[:0]
	}
}

// randomSource gives WASI's random numbers.
type randomSource struct{ in *instance }

func (r randomSource) Read(b []byte) (int, error) {
	r.in.call.stillWanted()
	r.in.plugin.svc.Random(b)
	return len(b), nil
}

func (p *Plugin) walltime() (sec int64, nsec int32) {
	now := p.svc.Now()
	return now.Unix(), int32(now.Nanosecond())
}

// nanotime is never 0, which runtimes take for a clock that does not work.
func (p *Plugin) nanotime() int64 { return int64(p.svc.Now().Sub(p.started)) + 1 }
