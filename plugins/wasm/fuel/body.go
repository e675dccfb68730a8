package fuel

import (
	"fmt"

	"rosterd/plugins/wasm/module"
)

// Instructions that are inserted.
const (
	ifThen     = 0x04
	elseThen   = 0x05
	end        = 0x0b
	call       = 0x10
	sel        = 0x1b
	localGet   = 0x20
	localTee   = 0x22
	globalGet  = 0x23
	globalSet  = 0x24
	i32Const   = 0x41
	i64Const   = 0x42
	i32Less    = 0x49 // unsigned
	i64AtLeast = 0x59
	i64Sub     = 0x7d
	i64Shl     = 0x86
	i64Shr     = 0x88 // unsigned
	i64Extend  = 0xad // unsigned
	noType     = 0x40
)

// mostLocals is more than any compiler makes, and keeps what is charged for them small.
const mostLocals = 50_000

func (r *rewriter) code() error {
	added, _ := r.added()
	r.number(uint32(len(r.m.Code) + added))
	for i := range r.m.Code {
		start := len(r.out)
		if err := r.body(i); err != nil {
			return fmt.Errorf("function %d: %w", r.m.ImportedFuncs()+i, err)
		}
		r.sized(start)
	}
	if r.pieces {
		r.pieceBodies()
	}
	return nil
}

// body writes the module's own function i.
func (r *rewriter) body(i int) error {
	b := &r.m.Code[i]
	t := r.m.FuncType(r.tick + uint32(i))
	declared := b.LocalCount()
	locals := uint64(len(t.Params)) + declared
	if locals >= mostLocals {
		return fmt.Errorf("%d locals, more than %d", locals, mostLocals-1)
	}
	if err := r.plan.make(r, b.Code, locals); err != nil {
		return err
	}
	r.locals(b)
	// Locals that the function sets to zero, and has to keep somewhere during calls; and results, for which whoever calls has
	// room. One of those is what an instruction has.
	r.charge(r.plan.cost[0] + int64(declared) + int64(max(1, len(t.Results))-1))
	from := int32(0)
	for _, p := range r.plan.places {
		r.out = append(r.out, b.Code[from:p.from]...)
		from = p.to
		old := b.Code[p.from:p.to]
		switch p.op {
		case module.OpCall, module.OpRefFunc:
			r.op(byte(p.op), r.function(p.index))
		case module.OpLoop:
			r.out = append(r.out, old...)
			r.charge(r.plan.cost[p.index])
		case module.OpMemoryFill, module.OpMemoryCopy:
			r.inPieces(p.op, old, uint32(locals))
		default:
			r.chargeLength(p.op, uint32(locals))
			r.out = append(r.out, old...)
		}
	}
	r.out = append(r.out, b.Code[from:]...)
	return nil
}

// locals writes the declarations of locals, and one more if lengths are to be charged.
func (r *rewriter) locals(b *module.Body) {
	old := b.Raw[:len(b.Raw)-len(b.Code)]
	if !r.plan.lengths {
		r.out = append(r.out, old...)
		return
	}
	r.more(old, 1)
	r.out = append(r.out, 1, byte(module.I32))
}

// charge writes code that takes so many units.
func (r *rewriter) charge(units int64) {
	r.op(globalGet, r.fuel)
	r.i64(units)
	r.take()
}

// chargeLength writes code that takes what the length on the stack costs, which it leaves there. No memory
// grows by more than 65,536 pages, whatever is asked for.
func (r *rewriter) chargeLength(op module.Opcode, local uint32) {
	r.op(localTee, local)
	r.op(globalGet, r.fuel)
	r.op(localGet, local)
	switch op {
	case module.OpMemoryGrow:
		r.out = append(r.out, i32Const, 0x80, 0x80, 0x04)
		r.op(localGet, local)
		r.out = append(r.out, i32Const, 0x80, 0x80, 0x04, i32Less, sel, i64Extend)
		r.i64(pageShift)
		r.out = append(r.out, i64Shl)
	case module.OpMemoryFill, module.OpMemoryCopy, module.OpMemoryInit:
		r.out = append(r.out, i64Extend)
		r.i64(bytesShift)
		r.out = append(r.out, i64Shr)
	default:
		r.out = append(r.out, i64Extend)
	}
	r.take()
}

// take writes the end of a charge: it subtracts, stores, and ticks if that went below zero.
//
// The tick stands in the else: wazero's allocator of registers takes what is in them after an if from the branch that it sees first. With
// the tick there, everything that is in use would be read from the stack again after each charge.
func (r *rewriter) take() {
	r.out = append(r.out, i64Sub)
	r.op(globalSet, r.fuel)
	r.op(globalGet, r.fuel)
	r.out = append(r.out, i64Const, 0, i64AtLeast, ifThen, noType, elseThen)
	r.op(call, r.tick)
	r.out = append(r.out, end)
}

func (r *rewriter) op(op byte, index uint32) {
	r.out = append(r.out, op)
	r.number(index)
}

// i32 and i64 write constants, which are not negative.
func (r *rewriter) i32(v int32) {
	r.out = append(r.out, i32Const)
	r.signed(int64(v))
}

func (r *rewriter) i64(v int64) {
	r.out = append(r.out, i64Const)
	r.signed(v)
}

// signed writes a number that is not negative, where it might be.
func (r *rewriter) signed(v int64) {
	for v >= 0x40 {
		r.out = append(r.out, byte(v)|0x80)
		v >>= 7
	}
	r.out = append(r.out, byte(v))
}
