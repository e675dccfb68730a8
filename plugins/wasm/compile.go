package wasm

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"golang.org/x/sys/cpu"

	"rosterd/plugins/wasm/fuel"
	"rosterd/plugins/wasm/module"
)

const pageSize = 64 << 10

// compile makes the runtime of a plugin, which is its own: closing it frees all that the plugin had. Compiled code comes
// from the folder cache, if there is one. If nothing can be kept there, for want of room above all, it is made each time.
func (p *Plugin) compile(ctx context.Context, m *module.Module, name [sha256.Size]byte, cache string) error {
	p.extism = isExtism(m)
	code, err := fuelled(m)
	if err != nil {
		return err
	}
	if cache == "" {
		return p.compileWith(ctx, code, nil)
	}
	kept := p.compileKept(ctx, code, cache, name)
	var open *privacyError
	if kept == nil || errors.As(kept, &open) {
		return kept
	}
	p.release()
	err = p.compileWith(ctx, code, nil)
	if err == nil { // else it was not for want of room
		p.journal(ctx).Warn("compiled code cannot be kept", "folder", cache, "error", kept.Error())
	}
	return err
}

func (p *Plugin) compileKept(ctx context.Context, code []byte, cache string, name [sha256.Size]byte) error {
	f, err := openFolder(ctx, p, cache, name)
	if err != nil {
		return err
	}
	if p.cache, err = wazero.NewCompilationCacheWithDir(f.path); err != nil {
		return err
	}
	if err := p.compileWith(ctx, code, p.cache); err != nil {
		return err
	}
	return f.seal()
}

func (p *Plugin) compileWith(ctx context.Context, code []byte, cache wazero.CompilationCache) error {
	config := p.engine(ctx).WithCoreFeatures(api.CoreFeaturesV2)
	if cache != nil {
		config = config.WithCompilationCache(cache)
	}
	p.runtime = wazero.NewRuntimeWithConfig(ctx, config)
	var err error
	if p.compiled, err = p.runtime.CompileModule(ctx, code); err != nil {
		return errors.New(brief(strings.Join(strings.Fields(err.Error()), " "))) // it has lines, and names of the module's choice
	}
	memory := p.compiled.ExportedMemories()["memory"]
	if memory == nil {
		return errors.New("no memory is exported as memory")
	}
	p.begin, p.most = uint64(memory.Min())*pageSize, uint64(p.limits.Memory)/pageSize*pageSize
	if most, ok := memory.Max(); ok {
		p.most = min(p.most, uint64(most)*pageSize)
	}
	return p.link(ctx)
}

// engine compiles, wherever that is possible. To interpret is for machines on which it is not, and is said.
func (p *Plugin) engine(ctx context.Context) wazero.RuntimeConfig {
	err := compiles()
	if err == nil {
		return wazero.NewRuntimeConfigCompiler()
	}
	p.journal(ctx).Warn("modules cannot be compiled on this machine: this one is interpreted", "error", err.Error())
	return wazero.NewRuntimeConfigInterpreter()
}

// nothing is a module with one function, which does nothing.
const nothing = "\x00asm\x01\x00\x00\x00" + "\x01\x04\x01\x60\x00\x00" + "\x03\x02\x01\x00" + "\x0a\x04\x01\x02\x00\x0b"

// compiles tries whether there is a compiler for this processor, and whether we may make code: a service manager that
// denies memory that is both written and executed does not let us.
var compiles = sync.OnceValue(func() (err error) {
	if runtime.GOARCH == "amd64" && !cpu.X86.HasSSE41 {
		return errors.New("the processor has no SSE4.1")
	}
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("%s/%s: %v", runtime.GOOS, runtime.GOARCH, r)
		}
	}()
	ctx := context.Background()
	r := wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfigCompiler())
	_, err = r.CompileModule(ctx, []byte(nothing))
	return errors.Join(err, r.Close(ctx))
})

// The names of what modules get so that they can be stopped.
const (
	fuelModule = "rosterd_fuel"
	fuelTick   = "tick"
	fuelGlobal = "rosterd_fuel"
)

// fuelled is the module with the counting of what it does built in.
func fuelled(m *module.Module) ([]byte, error) {
	return fuel.Rewrite(m, fuel.Options{Module: fuelModule, Name: fuelTick, Global: fuelGlobal})
}

// link makes the modules that the plugin imports from.
func (p *Plugin) link(ctx context.Context) error {
	tick := api.GoModuleFunc(func(ctx context.Context, mod api.Module, _ []uint64) { callOf(ctx).tick(mod) })
	b := p.runtime.NewHostModuleBuilder(fuelModule)
	b.NewFunctionBuilder().WithGoModuleFunction(tick, nil, nil).Export(fuelTick)
	if _, err := b.Instantiate(ctx); err != nil {
		return err
	}
	var from []string
	for _, f := range p.compiled.ImportedFunctions() {
		if module, _, _ := f.Import(); module != fuelModule && !slices.Contains(from, module) {
			from = append(from, module)
		}
	}
	for _, module := range from {
		b := p.runtime.NewHostModuleBuilder(module)
		for _, f := range imports {
			if f.module == module {
				b.NewFunctionBuilder().WithGoModuleFunction(f.host(), f.params, f.results).Export(f.name)
			}
		}
		if _, err := b.Instantiate(ctx); err != nil {
			return fmt.Errorf("imports from %s: %w", module, err)
		}
	}
	return nil
}
