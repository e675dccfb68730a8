package wasm

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/imports/wasi_snapshot_preview1"
)

const pageSize = 64 << 10

// compile makes the runtime of a plugin, which is its own: closing it frees all that the plugin had.
func (p *Plugin) compile(ctx context.Context, code []byte, cache string) error {
	config := wazero.NewRuntimeConfigCompiler().WithCoreFeatures(api.CoreFeaturesV2).
		WithMemoryLimitPages(uint32(min(max(p.limits.Memory/pageSize, 1), 65536)))
	p.runtime = wazero.NewRuntimeWithConfig(ctx, config)
	var err error
	if p.compiled, err = p.runtime.CompileModule(ctx, code); err != nil {
		return err
	}
	return p.link(ctx)
}

// link makes the modules that the plugin imports from.
func (p *Plugin) link(ctx context.Context) error {
	var from []string
	for _, f := range p.compiled.ImportedFunctions() {
		if module, _, _ := f.Import(); !slices.Contains(from, module) {
			from = append(from, module)
		}
	}
	for _, module := range from {
		b := p.runtime.NewHostModuleBuilder(module)
		switch {
		case module == wasi_snapshot_preview1.ModuleName:
			wasi_snapshot_preview1.NewFunctionExporter().ExportFunctions(b)
		default:
			for _, f := range imports {
				if f.module == module {
					b.NewFunctionBuilder().WithGoModuleFunction(f.host(), f.params, f.results).Export(f.name)
				}
			}
		}
		if _, err := b.Instantiate(ctx); err != nil {
			return fmt.Errorf("imports from %s: %w", module, err)
		}
	}
	if p.compiled.ExportedFunctions()[marker] == nil {
		return errors.New("no function " + marker)
	}
	return nil
}
