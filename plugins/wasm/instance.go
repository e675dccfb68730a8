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
	memory    *memory
	fuel      api.MutableGlobal
	functions [ops]api.Function
	stack     [1]uint64
	calls     int
	since     time.Time // when it became idle
	input     []byte    // room for what the next call is asked
	output    []byte    // and for what it answers
	call      *call     // nil between calls
	consoles  [2]*console
}

// instantiate makes an instance and has it read its options. A context's end and the fuel are looked at from its first
// instruction on.
func (p *Plugin) instantiate(c *call) (*instance, error) {
	memory, err := newMemory(p.begin, p.most)
	if err != nil {
		return nil, &trap{"memory", err}
	}
	in := &instance{plugin: p, call: c, memory: memory}
	c.in = in
	mod, err := p.runtime.InstantiateModule(memory.withMemory(c), p.compiled, in.system())
	if err != nil {
		memory.Free() // if the module was too far from running to be closed
		return nil, err
	}
	in.mod, in.mem = mod, mod.Memory()
	c.bind(mod)
	in.fuel = fuelOf(mod)
	err = in.prepare(c)
	in.measure(c)
	if err != nil {
		in.close()
		return nil, err
	}
	return in, nil
}

// fuelOf is the fuel that a module is given when it is compiled.
func fuelOf(mod api.Module) api.MutableGlobal {
	return mod.ExportedGlobal(fuelGlobal).(api.MutableGlobal)
}

// prepare calls _initialize and rosterd_init.
func (in *instance) prepare(c *call) error {
	if in.plugin.extism {
		if err := in.startExtism(c); err != nil {
			return err
		}
	} else if f := in.mod.ExportedFunction(initialize); f != nil {
		if err := f.CallWithStack(c, nil); err != nil {
			return fmt.Errorf("%s: %w", initialize, err)
		}
	}
	if in.mod.ExportedFunction(in.plugin.export(opInit)) == nil {
		return nil
	}
	c.input = in.appendInput(c)
	code, err := in.invoke(c, opInit)
	if err != nil {
		return err
	}
	if code == 0 {
		return nil
	}
	if c.failed.text != "" {
		return wrong("%s returned %d: %s", in.plugin.export(opInit), code, c.failed.text)
	}
	return wrong("%s returned %d: it refuses the configuration, and does not say why", in.plugin.export(opInit), code)
}

// run does a call.
func (in *instance) run(c *call) (int32, error) {
	in.call, c.in, c.mod, c.mem = c, in, in.mod, in.mem
	c.granted, in.memory.refused = int64(in.fuel.Get()), false
	c.input, c.output = in.appendInput(c), in.output[:0]
	in.calls++
	code, err := in.invoke(c, c.op)
	if c.op == opAuth {
		clear(c.input) // there was a password in it
	}
	in.input, in.output = kept(c.input), kept(c.output)
	in.measure(c)
	return code, err
}

// shallow is as much fuel as leaves no stack worth mentioning: each frame of it costs as many units as it has values. The
// runtime's function keeps its stack, which may have grown to 100 MiB, and is exchanged for another one after more.
const shallow = 500_000

// maxKept is how much room for a question or an answer an instance keeps from call to call.
const maxKept = 256 << 10

func kept(room []byte) []byte {
	if cap(room) > maxKept {
		return nil
	}
	return room
}

// invoke calls an export that says how it went.
func (in *instance) invoke(c *call, o op) (int32, error) {
	if in.functions[o] == nil {
		in.functions[o] = in.mod.ExportedFunction(in.plugin.export(o))
	}
	if in.plugin.extism {
		c.boot()
	}
	err := in.functions[o].CallWithStack(c, in.stack[:])
	code := api.DecodeI32(in.stack[0])
	if in.plugin.extism && err == nil {
		code = c.halt(code)
	}
	return code, err
}

// measure is the end of a call: it notes what it took.
func (in *instance) measure(c *call) {
	for _, w := range in.consoles {
		w.flush()
	}
	in.call = nil
	p, used := in.plugin, c.granted-int64(in.fuel.Get())
	p.used.Add(used)
	if used > shallow {
		in.functions[c.op] = nil
	}
	p.hostCalls.Add(int64(c.imports + c.cheap))
	size := int64(in.mem.Size())
	for was := p.peak.Load(); size > was && !p.peak.CompareAndSwap(was, size); was = p.peak.Load() {
	}
}

func (in *instance) close() { _ = in.mod.Close(context.Background()) } // it has nothing to write
