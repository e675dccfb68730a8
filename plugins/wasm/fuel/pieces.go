package fuel

import "rosterd/plugins/wasm/module"

// One instruction may fill or copy all memory there is, and nothing interrupts it: with a gigabyte the collector, and
// everybody with it, would wait for a second. What is longer than a piece is therefore done by a function that is added,
// piece by piece, each charged on its own.
const (
	pieceShift = 20
	piece      = 1 << pieceShift
)

// Instructions of those functions.
const (
	loop       = 0x03
	brIf       = 0x0d
	localSet   = 0x21
	memorySize = 0x3f
	i32Greater = 0x4b // unsigned
	i32AtMost  = 0x4d // unsigned
	i64Greater = 0x56 // unsigned
	i32Add     = 0x6a
	i32Sub     = 0x6b
	i64Add     = 0x7c
	prefixBulk = 0xfc
)

// Those functions have three parameters: where to, from where or which byte, and how many.
const to, what, many = 0, 1, 2

// inPieces tells whether they are added. There is nothing to fill where there is no memory.
func inPieces(m *module.Module) bool {
	memory := len(m.Memories) > 0
	for i := range m.Imports {
		memory = memory || m.Imports[i].Kind == module.Memory
	}
	return memory && len(m.Functions) > 0
}

// added is how many functions and types are added beside the tick.
func (r *rewriter) added() (functions, types int) {
	if r.pieces {
		return 2, 1
	}
	return 0, 0
}

// inPieces writes a memory.fill or memory.copy whose length is not known: in one, or by the function that is added.
func (r *rewriter) inPieces(op module.Opcode, old []byte, local uint32) {
	if !r.pieces { // it is no valid module
		r.chargeLength(op, local)
		r.out = append(r.out, old...)
		return
	}
	r.op(localTee, local)
	r.op(localGet, local)
	r.i32(piece)
	r.out = append(r.out, i32Greater, ifThen)
	r.signed(int64(len(r.m.Types) + 1))
	r.op(call, r.pieceFunction(op))
	r.out = append(r.out, elseThen)
	r.chargeLength(op, local)
	r.out = append(r.out, old...)
	r.out = append(r.out, end)
}

// pieceFunction is the index of the function for an instruction: they follow the module's own.
func (r *rewriter) pieceFunction(op module.Opcode) uint32 {
	i := uint32(r.m.FuncCount()) + 1
	if op == module.OpMemoryCopy {
		i++
	}
	return i
}

// pieceBodies writes both functions.
func (r *rewriter) pieceBodies() {
	start := len(r.out)
	r.number(0)
	r.within(to, module.OpMemoryFill)
	r.forward(module.OpMemoryFill, to)
	r.rest(module.OpMemoryFill)
	r.sized(start)

	start = len(r.out)
	r.number(0)
	r.within(to, module.OpMemoryCopy)
	r.within(what, module.OpMemoryCopy)
	// What is to be read must not be written over before.
	r.op(localGet, to)
	r.op(localGet, what)
	r.out = append(r.out, i32AtMost, ifThen, noType)
	r.forward(module.OpMemoryCopy, to, what)
	r.out = append(r.out, elseThen)
	r.backward()
	r.out = append(r.out, end)
	r.rest(module.OpMemoryCopy)
	r.sized(start)
}

// within has the instruction itself trap, before anything is written, if what begins at a parameter leads out of the memory.
func (r *rewriter) within(begin uint32, op module.Opcode) {
	r.op(localGet, begin)
	r.out = append(r.out, i64Extend)
	r.op(localGet, many)
	r.out = append(r.out, i64Extend, i64Add, memorySize, 0, i64Extend)
	r.i64(16)
	r.out = append(r.out, i64Shl, i64Greater, ifThen, noType)
	r.all(op)
	r.out = append(r.out, end)
}

// all does the instruction with the parameters.
func (r *rewriter) all(op module.Opcode) {
	r.op(localGet, to)
	r.op(localGet, what)
	r.op(localGet, many)
	r.bulk(op)
}

// rest does what is left, which is no more than a piece.
func (r *rewriter) rest(op module.Opcode) {
	r.op(localGet, to)
	r.op(localGet, what)
	r.op(localGet, many)
	r.chargeLength(op, many)
	r.bulk(op)
	r.out = append(r.out, end)
}

// forward does all pieces but the last, which begin at these parameters.
func (r *rewriter) forward(op module.Opcode, at ...uint32) {
	r.out = append(r.out, loop, noType)
	r.charge(piece >> bytesShift)
	r.op(localGet, to)
	r.op(localGet, what)
	r.i32(piece)
	r.bulk(op)
	for _, begin := range at {
		r.op(localGet, begin)
		r.i32(piece)
		r.out = append(r.out, i32Add)
		r.op(localSet, begin)
	}
	r.shorter()
	r.again()
}

// backward copies all pieces but the first, from the end on.
func (r *rewriter) backward() {
	r.out = append(r.out, loop, noType)
	r.charge(piece >> bytesShift)
	r.shorter()
	for _, begin := range []uint32{to, what} {
		r.op(localGet, begin)
		r.op(localGet, many)
		r.out = append(r.out, i32Add)
	}
	r.i32(piece)
	r.bulk(module.OpMemoryCopy)
	r.again()
}

func (r *rewriter) shorter() {
	r.op(localGet, many)
	r.i32(piece)
	r.out = append(r.out, i32Sub)
	r.op(localSet, many)
}

// again ends a loop over what is longer than a piece.
func (r *rewriter) again() {
	r.op(localGet, many)
	r.i32(piece)
	r.out = append(r.out, i32Greater)
	r.op(brIf, 0)
	r.out = append(r.out, end)
}

func (r *rewriter) bulk(op module.Opcode) {
	if op == module.OpMemoryCopy {
		r.out = append(r.out, prefixBulk, 10, 0, 0)
		return
	}
	r.out = append(r.out, prefixBulk, 11, 0)
}
