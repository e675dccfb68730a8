// Package fuel rewrites WebAssembly modules so that what they do is counted and can be stopped.
//
// Code that a compiler has made of a module cannot be interrupted: a loop in it runs for as long as it likes, and meanwhile
// holds up Go's garbage collector and with it everybody else. A rewritten module counts by itself. It has a global, the
// fuel, which goes down before the work is done: by a unit for each instruction at the entry of a function and in each round
// of a loop, branches not taken included, and by their length before instructions that fill, copy or grow. Those that fill or copy much are done in pieces. Below zero it calls
// an import, the tick, which fills up the fuel, or ends the call by a panic, and can let others run meanwhile.
//
// Apart from that a rewritten module computes what the original does. The same run takes the same fuel, to the unit.
package fuel

import (
	"errors"
	"fmt"

	"rosterd/plugins/wasm/module"
)

// Options name what a rewritten module has more than the one that it was made of. Neither may be there already.
type Options struct {
	Module, Name string // of the tick, an imported function () -> ()
	Global       string // under which the fuel, a mutable i64, is exported
}

// Rewrite returns m with counting built in, as a binary.
//
// The fuel begins at zero, so that a start function ticks before it does anything. The tick finds the fuel at less than zero:
// it adds to it what the module may use until the next tick, and what it added is what was used. If it leaves the fuel below zero
// it is called again at the next charge.
//
// Of the custom sections only the names of functions are kept, for traces: offsets in others would no longer be right.
//
// Rewrite does not validate: whoever compiles the result does, and finds the faults of m in it. An error says that m has instructions
// beyond core 2.0, indices that would lead to what Rewrite adds, or takes one of its names.
func Rewrite(m *module.Module, o Options) ([]byte, error) {
	r := &rewriter{
		m:       m,
		options: o,
		tick:    uint32(m.ImportedFuncs()),
		fuel:    uint32(m.ImportedGlobals() + len(m.Globals)),
		pieces:  inPieces(m),
		out:     make([]byte, 0, m.Size+m.Size/4+1024),
	}
	if err := r.reserved(); err != nil {
		return nil, err
	}
	if err := r.sections(); err != nil {
		return nil, err
	}
	return r.out, nil
}

type rewriter struct {
	m       *module.Module
	options Options
	tick    uint32 // the index of the tick: the last of the imported functions
	fuel    uint32 // the index of the fuel: the last of the globals
	pieces  bool   // there are functions that fill and copy piece by piece
	out     []byte
	plan    plan // of the function at hand
}

// reserved refuses modules that would get at the tick or at the fuel by name.
func (r *rewriter) reserved() error {
	for i := range r.m.Imports {
		if m := &r.m.Imports[i]; m.Module == r.options.Module && m.Name == r.options.Name {
			return fmt.Errorf("import %s.%s: the name is reserved", m.Module, m.Name)
		}
	}
	if _, taken := r.m.Export(r.options.Global); taken {
		return fmt.Errorf("export %s: the name is reserved", r.options.Global)
	}
	return nil
}

// function is the new index of function i: the module's own follow the tick.
func (r *rewriter) function(i uint32) uint32 {
	if i >= r.tick {
		return i + 1
	}
	return i
}

var errTags = errors.New("tags of exceptions: not in core 2.0")
