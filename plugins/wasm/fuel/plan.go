package fuel

import (
	"encoding/binary"
	"fmt"

	"rosterd/plugins/wasm/module"
)

// What instructions cost that are more than a few of the machine's. Those that leave the compiled code for Go and come back
// take as long as a good many others.
const (
	costBulk  = 8  // besides what the length costs
	costLeave = 32 // memory.grow, ref.func, calls of imports
)

// A unit is good for eight bytes, or for one element of a table. A page has 64 KiB.
const (
	bytesShift = 3
	pageShift  = 16 - bytesShift
)

// A constant length up to this is charged with the function or loop around it, and not on its own.
const smallLength = 1024

// A plan says what is to be inserted into a function.
type plan struct {
	places  []place
	cost    []int64 // of the function without its loops, then of each loop without those in it
	lengths bool    // whether there are instructions charged by length: they need a local

	open []int32             // for each open block the function or loop that it belongs to, as index of cost
	read module.Instructions // kept for its memory
}

// A place is where the code is changed: between from and to, of which the code in between is copied by whoever changes it.
type place struct {
	from, to int32
	op       module.Opcode
	index    uint32 // of a loop in cost; of a function
}

// make reads the code of a function that has so many locals, parameters included.
func (p *plan) make(r *rewriter, code []byte, locals uint64) error {
	p.places, p.lengths = p.places[:0], false
	p.cost = append(p.cost[:0], 1)
	p.open = append(p.open[:0], 0)
	p.read.Reset(code)
	constant := -1 // where the instruction before starts, if it is i32.const
	for p.read.Next() {
		i := &p.read.Instruction
		if err := p.bounds(r, i, locals); err != nil {
			return err
		}
		in := p.open[len(p.open)-1]
		p.cost[in]++
		switch i.Op {
		case module.OpBlock, module.OpIf:
			p.open = append(p.open, in)
		case module.OpLoop:
			in = int32(len(p.cost))
			p.cost = append(p.cost, 1)
			p.open = append(p.open, in)
			p.add(uint32(in))
		case module.OpEnd:
			p.open = p.open[:len(p.open)-1]
		case module.OpCall, module.OpRefFunc:
			if i.Op == module.OpRefFunc || i.Index < r.tick {
				p.cost[in] += costLeave
			}
			p.add(i.Index)
		case module.OpMemoryGrow, module.OpTableGrow:
			p.cost[in] += costLeave
			p.length()
		case module.OpMemoryFill, module.OpMemoryCopy, module.OpMemoryInit, module.OpTableFill, module.OpTableCopy, module.OpTableInit:
			p.cost[in] += costBulk
			if n, ok := constantLength(code, constant); ok {
				p.cost[in] += unitsOf(i.Op, n)
			} else {
				p.length()
			}
		}
		constant = -1
		if i.Op == module.OpI32Const {
			constant = i.Start
		}
	}
	return p.read.Err()
}

// bounds refuses indices that are not the module's, and might be that of something which is added.
func (p *plan) bounds(r *rewriter, i *module.Instruction, locals uint64) error {
	what, index, there := "", int64(i.Index), int64(0)
	switch i.Op {
	case module.OpLocalGet, module.OpLocalSet, module.OpLocalTee:
		what, there = "local", int64(locals)
	case module.OpGlobalGet, module.OpGlobalSet:
		what, there = "global", int64(r.fuel)
	case module.OpCall, module.OpRefFunc:
		what, there = "function", int64(r.m.FuncCount())
	case module.OpCallIndirect:
		what, there = "type", int64(len(r.m.Types))
	case module.OpBlock, module.OpLoop, module.OpIf:
		what, index, there = "type", i.Block, int64(len(r.m.Types))
	default:
		return nil
	}
	if index < there {
		return nil
	}
	return fmt.Errorf("code at offset %d: there is no %s %d", i.Start, what, index)
}

// add marks the instruction just read.
func (p *plan) add(index uint32) {
	p.places = append(p.places, place{from: int32(p.read.Start), to: int32(p.read.End), op: p.read.Op, index: index})
}

// length marks the instruction just read as one that is charged by its length.
func (p *plan) length() {
	p.lengths = true
	p.add(0)
}

// unitsOf is what a length costs.
func unitsOf(op module.Opcode, length int64) int64 {
	switch op {
	case module.OpMemoryFill, module.OpMemoryCopy, module.OpMemoryInit:
		return length >> bytesShift
	}
	return length
}

// constantLength is the length that the i32.const at start gives, if it is small.
func constantLength(code []byte, start int) (int64, bool) {
	if start < 0 {
		return 0, false
	}
	// Small numbers have one or two bytes; a sign in the last makes it a big one.
	n, size := binary.Uvarint(code[start+1:])
	if size > 2 || n > smallLength || code[start+size]&0x40 != 0 {
		return 0, false
	}
	return int64(n), true
}
