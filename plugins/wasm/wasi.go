package wasm

import (
	"bytes"
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/imports/wasi_snapshot_preview1"
	"github.com/tetratelabs/wazero/sys"
)

// wasiModule is what toolchains for servers import their system from.
const wasiModule = wasi_snapshot_preview1.ModuleName

// wasiImports are the functions of it that a module may import. What most of them do is the runtime's; there are no files,
// no arguments and no environment for them, and nobody sleeps.
func wasiImports() []function {
	f := func(name, params, results string, call func(*call, args) uint64) function {
		return function{module: wasiModule, name: name, params: types(params), results: types(results), call: call}
	}
	return []function{
		f("args_get", "ii", "i", nil),
		f("args_sizes_get", "ii", "i", nil),
		f("clock_res_get", "ii", "i", nil),
		f("clock_time_get", "ili", "i", nil),
		f("environ_get", "ii", "i", nil),
		f("environ_sizes_get", "ii", "i", nil),
		f("fd_close", "i", "i", nil),
		f("fd_fdstat_get", "ii", "i", nil),
		f("fd_fdstat_set_flags", "ii", "i", nil),
		f("fd_prestat_dir_name", "iii", "i", nil),
		f("fd_prestat_get", "ii", "i", nil),
		f("fd_read", "iiii", "i", nil),
		f("fd_seek", "ilii", "i", nil),
		f("fd_write", "iiii", "i", nil),
		f("poll_oneoff", "iiii", "i", nil),
		f("proc_exit", "i", "", procExit),
		f("random_get", "ii", "i", nil),
		f("sched_yield", "", "i", nil),
	}
}

// ofRuntime is a function of WASI as the runtime has it. Some take their time over long lists, and nothing of what they do is counted:
// each one looks whether the call is still wanted.
func ofRuntime(name string) api.GoModuleFunc {
	f := runtimesWASI()[name].GoFunction().(api.GoModuleFunction)
	return func(ctx context.Context, mod api.Module, stack []uint64) {
		callOf(ctx).stillWanted()
		f.Call(ctx, mod, stack)
	}
}

// runtimesWASI are all that the runtime has.
var runtimesWASI = sync.OnceValue(func() map[string]api.FunctionDefinition {
	ctx := context.Background()
	b := wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfigInterpreter()).NewHostModuleBuilder(wasiModule)
	wasi_snapshot_preview1.NewFunctionExporter().ExportFunctions(b)
	m, err := b.Compile(ctx)
	if err != nil {
		panic(err) // it is always the same
	}
	return m.ExportedFunctions()
})

// procExit ends the call, and leaves it to us to close the instance.
func procExit(_ *call, a args) uint64 {
	trapf("trap", "the module called proc_exit(%d)", a.u32(0))
	return 0
}

// system is what the functions of WASI do with the world for an instance.
func (in *instance) system() wazero.ModuleConfig {
	p := in.plugin
	in.consoles = [...]*console{{in: in, level: slog.LevelInfo}, {in: in, level: slog.LevelWarn}}
	return wazero.NewModuleConfig().WithName("").WithStartFunctions().
		WithStdout(in.consoles[0]).
		WithStderr(in.consoles[1]).
		WithRandSource(randomSource{in}).
		WithWalltime(p.walltime, sys.ClockResolution(time.Microsecond)).
		WithNanotime(p.nanotime, sys.ClockResolution(1))
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
