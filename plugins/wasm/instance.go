package wasm

import (
	"context"
	"fmt"
	"time"

	"github.com/tetratelabs/wazero/api"
)

// instance is a module with a memory of its own. It has one call at a time.
type instance struct {
	plugin    *Plugin
	mod       api.Module
	mem       api.Memory
	fuel      api.MutableGlobal
	functions [ops]api.Function
	stack     [1]uint64
	calls     int
	since     time.Time // when it became idle
	input     []byte    // room for what the next call is asked
	output    []byte    // and for what it answers
	call      *call     // nil between calls
}

// instantiate makes an instance and has it read its options. A context's end and the fuel are looked at from its first
// instruction on.
func (p *Plugin) instantiate(c *call) (*instance, error) {
	in := &instance{plugin: p, call: c}
	c.in = in
	mod, err := p.runtime.InstantiateModule(c, p.compiled, in.system())
	if err != nil {
		return nil, err
	}
	in.mod, in.mem = mod, mod.Memory()
	c.bind(mod)
	in.fuel, _ = mod.ExportedGlobal(fuelGlobal).(api.MutableGlobal)
	if err := in.prepare(c); err != nil {
		in.close()
		return nil, err
	}
	return in, nil
}

// prepare calls _initialize and rosterd_init.
func (in *instance) prepare(c *call) error {
	if f := in.mod.ExportedFunction(initialize); f != nil {
		if err := f.CallWithStack(c, nil); err != nil {
			return fmt.Errorf("%s: %w", initialize, err)
		}
	}
	if in.mod.ExportedFunction(opInit.export()) == nil {
		in.call = nil
		return nil
	}
	c.input = in.appendInput(c)
	code, err := in.run(c, opInit)
	if err != nil {
		return err
	}
	in.calls = 0
	if code == 0 {
		return nil
	}
	if c.failed.text != "" {
		return wrong("rosterd_init returned %d: %s", code, c.failed.text)
	}
	return wrong("rosterd_init returned %d: it refuses the configuration, and does not say why", code)
}

// run calls an export that says how it went.
func (in *instance) run(c *call, o op) (int32, error) {
	in.call, c.in, c.mod, c.mem = c, in, in.mod, in.mem
	in.calls++
	if in.functions[o] == nil {
		in.functions[o] = in.mod.ExportedFunction(o.export())
	}
	if in.fuel != nil {
		c.granted = int64(in.fuel.Get())
	}
	err := in.functions[o].CallWithStack(c, in.stack[:])
	if in.fuel != nil {
		in.plugin.used.Add(c.granted - int64(in.fuel.Get()))
	}
	in.measure()
	in.call = nil
	return api.DecodeI32(in.stack[0]), err
}

func (in *instance) measure() {
	size := int64(in.mem.Size())
	for peak := &in.plugin.peak; ; {
		if was := peak.Load(); size <= was || peak.CompareAndSwap(was, size) {
			return
		}
	}
}

func (in *instance) close() { _ = in.mod.Close(context.Background()) } // it has nothing to write
