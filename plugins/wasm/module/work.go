package module

import (
	"errors"
	"fmt"
)

// Compilers are made for what other compilers write. What nobody writes can
// take them a thousand times as long: time and memory of wazero's grow with the
// square of the blocks of a function, with the product of blocks and locals,
// and with that of nested loops and locals. So functions are weighed, each for
// itself. What weighs much takes longer than its parts would. A unit of work is
// about a microsecond of compiling, at the worst; ordinary code takes less. See
// TestWorstFunctions.
const (
	MaxFunctionWork = 300_000   // what one function may take, which bounds the memory
	MaxWork         = 5_000_000 // what all may take, which bounds the time

	weightPerUnit = 4       // of a small function
	squarePerUnit = 400_000 // of weight, and so of a large one
	pathsPerUnit  = 200     // pairs of blocks
	nestedPerUnit = 50      // a local in a loop in a loop
)

// Weights. Those of instructions are for the dearest of their kind.
const (
	weightFunction = 10
	weightBlock    = 5 // of a basic block
	weightLabel    = 9 // of br_table
	weightValue    = 3 // that a call gives; one that it takes has an instruction of its own
	weightLoad     = 15
	weightStore    = 3
	weightDivision = 16
	weightTruncate = 20
	weightVector   = 6
	weightPlain    = 2
	weightCall     = 7
	weightIndirect = 40
	weightBulk     = 60
	bulkBlocks     = 6 // a bulk instruction is compiled to a loop, and fuel is charged before it
	loopBlocks     = 5 // a loop looks at its fuel in each round

	// How much of these weighs one.
	bytesPerWeight = 8
	varsPerWeight  = 4
	manyVars       = 256 // as often again is each of so many dearer
	heldPerWeight  = 4   // values on the stack at the end of a block

	mostWeight = 1 << 30 // what is counted, so that squares stay numbers
)

// A scanner weighs functions and looks for instructions that are refused.
type scanner struct {
	m    *Module
	say  func(offset int, format string, args ...any)
	code Instructions

	// of the function at hand
	vars    int64 // parameters and locals
	weight  int64 // of instructions
	blocks  int64 // basic blocks
	labels  int64 // of br_table
	edges   int64 // between blocks, by which locals are handed on
	carried int64 // values beside locals that are handed on
	nested  int64 // for each loop the loops around it
	held    int64 // values on the stack, at each end of a basic block
	loops   int64 // that are open
	height  int64 // of the stack
	frames  []frame
}

// A frame is an open block.
type frame struct {
	op      Opcode
	base    int64 // height of the stack below its parameters
	params  int64
	results int64
}

// arity is how many values a branch to the frame carries (§3.1.2).
func (f frame) arity() int64 {
	if f.op == OpLoop {
		return f.params
	}
	return f.results
}

// function weighs one, and says what in it is refused.
func (s *scanner) function(f function, b *Body) int64 {
	t := s.m.FuncType(f.index)
	*s = scanner{m: s.m, say: s.say, frames: s.frames[:0]}
	s.vars = int64(len(t.Params)) + int64(b.LocalCount())
	s.frames = append(s.frames, frame{results: int64(len(t.Results))})
	s.code.Reset(b.Code)
	grows := false
	for s.code.Next() {
		if s.code.Op == OpTableGrow && !grows {
			grows = true
			s.say(b.Offset+s.code.Start, "%s grows a table, and table.grow is refused", f)
		}
		if err := s.instruction(b.Code); err != nil {
			s.say(b.Offset+s.code.Start, "%s: %s", f, err)
			return s.work(b)
		}
	}
	if err := s.code.Err(); err != nil {
		s.say(b.Offset+s.code.Start, "%s: %s", f, s.why(b.Code, err))
	}
	return s.work(b)
}

// work weighs what was counted.
func (s *scanner) work(b *Body) int64 {
	w := weightFunction + s.vars/varsPerWeight + int64(len(b.Code))/bytesPerWeight + s.weight
	w += s.blocks*weightBlock + s.labels*weightLabel
	w += (s.edges*s.vars*(1+s.vars/manyVars) + s.carried) * 3 / 2
	w += s.held / heldPerWeight
	w = min(w, mostWeight)
	return w/weightPerUnit + w*w/squarePerUnit +
		s.blocks*(s.blocks+s.labels)/pathsPerUnit + s.nested*s.vars/nestedPerUnit
}

// why says what an instruction that is not known belongs to, if it is known
// elsewhere.
func (s *scanner) why(code []byte, err error) string {
	if s.code.Start < len(code) {
		if f := proposal(code[s.code.Start]); f != "" {
			return fmt.Sprintf("instruction 0x%x is one of %s, not of core 2.0", code[s.code.Start], f)
		}
	}
	if inner := errors.Unwrap(err); inner != nil {
		err = inner
	}
	return err.Error()
}

func proposal(op byte) string {
	switch op {
	case 0x06, 0x07, 0x08, 0x09, 0x0a, 0x18, 0x19, 0x1f:
		return "exceptions"
	case 0x12, 0x13:
		return "tail calls"
	case 0x14, 0x15, 0xd3, 0xd4, 0xd5, 0xd6:
		return "typed references"
	case 0xfb:
		return "garbage collection"
	case 0xfe:
		return "threads"
	}
	return ""
}

// split begins so many basic blocks, and hands on the locals and some values by
// so many edges that others join.
func (s *scanner) split(blocks, edges, values int64) {
	s.blocks += blocks
	s.edges += edges
	s.carried += edges * values
	s.held += blocks * s.height
}

// instruction counts the one at hand.
func (s *scanner) instruction(code []byte) error {
	switch op := s.code.Op; op {
	case OpBlock, OpLoop, OpIf:
		return s.open(op)
	case OpElse:
		f := s.top()
		s.split(1, 1, f.results)
		s.height = f.base + f.params
	case OpEnd:
		s.close()
	case OpBr:
		return s.branch(1)
	case OpBrIf:
		s.push(-1)
		return s.branch(1)
	case OpBrTable:
		c := cursor{code: code, pos: s.code.Start + 1, end: s.code.End}
		n := int64(c.u32()) + 1
		s.labels += n
		s.push(-1)
		return s.branch(n)
	case OpReturn, OpUnreachable:
		s.split(1, 0, 0)
		s.dead()
	case OpCall:
		if int64(s.code.Index) >= int64(s.m.FuncCount()) {
			return fmt.Errorf("it calls function %d, and there are %d", s.code.Index, s.m.FuncCount())
		}
		s.call(s.m.FuncType(s.code.Index), weightCall)
	case OpCallIndirect:
		if int64(s.code.Index) >= int64(len(s.m.Types)) {
			return fmt.Errorf("it calls functions of type %d, and there are %d", s.code.Index, len(s.m.Types))
		}
		s.push(-1)
		s.call(s.m.Types[s.code.Index], weightIndirect)
	default:
		s.plain(op)
	}
	return nil
}

// open begins a block (§5.4.1).
func (s *scanner) open(op Opcode) error {
	f := frame{op: op}
	switch t := s.code.Block; {
	case t >= int64(len(s.m.Types)):
		return fmt.Errorf("a block has type %d, and there are %d", t, len(s.m.Types))
	case t >= 0:
		f.params, f.results = int64(len(s.m.Types[t].Params)), int64(len(s.m.Types[t].Results))
	case t != -64:
		f.results = 1
	}
	switch op {
	case OpIf:
		s.push(-1)
		s.split(2, 1, f.params)
	case OpLoop:
		s.split(loopBlocks, 2, f.params)
		s.nested += s.loops
		s.loops++
	}
	s.weight += f.params + f.results
	f.base = max(s.height-f.params, s.top().base)
	s.height = f.base + f.params
	s.frames = append(s.frames, f)
	return nil
}

// close ends a block, or the function.
func (s *scanner) close() {
	f := s.top()
	if f.op == OpLoop {
		s.loops--
	}
	s.height = f.base + f.results
	s.split(1, 1, f.results)
	if len(s.frames) > 1 {
		s.frames = s.frames[:len(s.frames)-1]
	}
}

func (s *scanner) top() frame { return s.frames[len(s.frames)-1] }

// branch is one of so many ways.
func (s *scanner) branch(ways int64) error {
	if int64(s.code.Index) >= int64(len(s.frames)) {
		return fmt.Errorf("it branches out of block %d, and is in %d", s.code.Index, len(s.frames)-1)
	}
	blocks := int64(1)
	if s.code.Op == OpBrIf {
		blocks = 2 // where it goes on, and where the branch starts from
	}
	s.split(blocks, ways, s.frames[len(s.frames)-1-int(s.code.Index)].arity())
	if s.code.Op != OpBrIf {
		s.dead()
	}
	return nil
}

// dead is where nothing comes to: the stack holds what one likes.
func (s *scanner) dead() { s.height = s.top().base }

func (s *scanner) call(t FuncType, weight int64) {
	s.weight += weight + int64(len(t.Params)+weightValue*len(t.Results))
	s.push(int64(len(t.Results) - len(t.Params)))
}

func (s *scanner) push(n int64) { s.height = max(s.height+n, s.top().base) }

// plain is any other instruction.
func (s *scanner) plain(op Opcode) {
	s.push(int64(effect(op)))
	switch {
	case op >= 0xfd00:
		s.weight += weightVector
	case op >= OpMemoryInit && op <= OpTableFill, op == OpMemoryGrow:
		s.weight += weightBulk
		s.split(bulkBlocks, 1, 0)
	case op >= 0xfc00 || op >= 0xa8 && op <= 0xb1:
		s.weight += weightTruncate
	case op >= 0x28 && op <= 0x35 || op == OpTableGet || op == OpTableSet:
		s.weight += weightLoad
	case op >= 0x36 && op <= OpMemorySize:
		s.weight += weightStore
	case op >= 0x6d && op <= 0x70 || op >= 0x7f && op <= 0x82:
		s.weight += weightDivision
	case op >= 0x45 || op == OpGlobalSet || op == 0x1b || op == 0x1c:
		s.weight += weightPlain
	}
}
