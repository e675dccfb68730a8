package module

import (
	"errors"
	"fmt"
)

// Opcode names an instruction: its byte, or prefix and number, as 0xfc0b for memory.fill.
type Opcode uint16

// The instructions that somebody here has to know by name (Core 2.0 §5.4).
const (
	OpUnreachable  Opcode = 0x00
	OpBlock        Opcode = 0x02
	OpLoop         Opcode = 0x03
	OpIf           Opcode = 0x04
	OpElse         Opcode = 0x05
	OpEnd          Opcode = 0x0b
	OpBr           Opcode = 0x0c
	OpBrIf         Opcode = 0x0d
	OpBrTable      Opcode = 0x0e
	OpReturn       Opcode = 0x0f
	OpCall         Opcode = 0x10
	OpCallIndirect Opcode = 0x11
	OpLocalGet     Opcode = 0x20
	OpLocalSet     Opcode = 0x21
	OpLocalTee     Opcode = 0x22
	OpGlobalGet    Opcode = 0x23
	OpGlobalSet    Opcode = 0x24
	OpTableGet     Opcode = 0x25
	OpTableSet     Opcode = 0x26
	OpMemorySize   Opcode = 0x3f
	OpMemoryGrow   Opcode = 0x40
	OpI32Const     Opcode = 0x41
	OpI64Const     Opcode = 0x42
	OpF32Const     Opcode = 0x43
	OpF64Const     Opcode = 0x44
	OpRefNull      Opcode = 0xd0
	OpRefFunc      Opcode = 0xd2
	OpMemoryInit   Opcode = 0xfc08
	OpDataDrop     Opcode = 0xfc09
	OpMemoryCopy   Opcode = 0xfc0a
	OpMemoryFill   Opcode = 0xfc0b
	OpTableInit    Opcode = 0xfc0c
	OpElemDrop     Opcode = 0xfc0d
	OpTableCopy    Opcode = 0xfc0e
	OpTableGrow    Opcode = 0xfc0f
	OpTableSize    Opcode = 0xfc10
	OpTableFill    Opcode = 0xfc11
	OpV128Const    Opcode = 0xfd0c
)

// Instruction is one instruction of a body or of a constant expression.
type Instruction struct {
	Op         Opcode
	Start, End int    // where it stands in the code that is read
	Index      uint32 // first index: label, local, global, function, type, table, segment; the lane of a lane instruction
	Other      uint32 // second index: the table of call_indirect and table.init, the source of table.copy; the outermost label of br_table
	Block      int64  // of block, loop, if: index of a type, or a negative value type (§5.3.5), -64 for none
	Depth      int    // how many blocks are open around it; for else and end without the one that they belong to
}

// Instructions reads code, one instruction after the other:
//
//	code := module.FunctionCode(body)
//	for code.Next() {
//		… code.Op …
//	}
//	if err := code.Err(); err != nil {
//
// It knows all of core 2.0 and takes nothing else, nor another length of a number than the shortest where
// decoders may differ in what they make of it: who reads code with it and who compiles it see the same.
// It does not validate: types, the range of indices and whether an else has its if are the compiler's matter.
type Instructions struct {
	Instruction

	code  []byte
	pos   int
	depth int // blocks that are open; -1 after the last end
	body  bool
	err   error
}

// FunctionCode reads the instructions of a function, without its locals. They must fill code.
func FunctionCode(code []byte) *Instructions { return &Instructions{code: code, body: true} }

// ConstantCode reads a constant expression at the start of code. What follows it starts at End of the last instruction.
func ConstantCode(code []byte) *Instructions { return &Instructions{code: code} }

// Reset reads the instructions of another function.
func (r *Instructions) Reset(code []byte) { *r = Instructions{code: code, body: true} }

// Err is what was wrong with the code, once Next has returned false.
func (r *Instructions) Err() error { return r.err }

var (
	errShort   = errors.New("unexpected end of code")
	errNumber  = errors.New("malformed number")
	errZero    = errors.New("reserved byte is not zero")
	errRefType = errors.New("unknown reference type")
)

// Next reads the next instruction. It returns false after the end that closes the code, and at the first error.
func (r *Instructions) Next() bool {
	if r.err != nil || r.depth < 0 {
		return false
	}
	start := r.pos
	r.Start, r.Index, r.Other = start, 0, 0
	if start >= len(r.code) {
		return r.fail(errShort)
	}
	op := r.code[start]
	r.pos++
	form := plain[op]
	r.Op = Opcode(op)
	if form == formPrefix {
		if form = r.prefixed(op); r.err != nil {
			return false
		}
	}
	r.Depth = r.depth
	switch form {
	case formNone:
	case formIndex:
		r.Index = r.number()
	case formMemory:
		r.memory()
	case formI32:
		r.skipNumber(5)
	case formI64:
		r.skipNumber(10)
	case formBlock:
		r.depth++
		r.Block = r.blockType()
	case formElse:
		r.Depth--
	case formEnd:
		r.end()
	default:
		r.immediates(form)
	}
	r.End = r.pos
	return r.err == nil
}

// end closes a block, or the code.
func (r *Instructions) end() {
	r.depth--
	r.Depth = max(r.depth, 0)
	if r.depth < 0 && r.body && r.pos != len(r.code) {
		r.fail(errors.New("code behind the last end"))
	}
}

// prefixed reads the number behind a prefix.
func (r *Instructions) prefixed(prefix byte) form {
	if r.pos >= len(r.code) {
		r.fail(errShort)
		return formNone
	}
	op := r.code[r.pos]
	r.pos++
	r.Op = Opcode(prefix)<<8 | Opcode(op)
	if prefix == 0xfc {
		if int(op) >= len(misc) {
			r.fail(fmt.Errorf("unknown instruction %#x", uint16(r.Op)))
			return formNone
		}
		return misc[op]
	}
	// A number of two bytes: there are decoders that look at the first alone, and take the 1 for a nop.
	if op >= 0x80 {
		if r.pos >= len(r.code) || r.code[r.pos] != 1 {
			r.fail(errNumber)
			return formNone
		}
		r.pos++
	}
	form := vector[op]
	if form == formInvalid {
		r.fail(fmt.Errorf("unknown instruction %#x", uint16(r.Op)))
	}
	return form
}

// immediates reads what the rarer instructions have behind them.
func (r *Instructions) immediates(f form) {
	switch f {
	case formTwo:
		r.Index, r.Other = r.number(), r.number()
	case formLabels:
		r.labels()
	case formSelect:
		if r.number() != 1 {
			r.fail(errors.New("select of more than one type"))
		} else if t := r.byte(); !isValueType(t) {
			r.fail(fmt.Errorf("unknown value type %#x", t))
		}
	case formRefType:
		if t := r.byte(); t != 0x70 && t != 0x6f {
			r.fail(errRefType)
		}
	case formLane:
		r.Index = uint32(r.byte())
	case formMemoryLane:
		r.memory()
		r.Index = uint32(r.byte())
	case formZero:
		r.zero()
	case formZeroZero:
		r.zero()
		r.zero()
	case formIndexZero:
		r.Index = r.number()
		r.zero()
	case form4:
		r.skip(4)
	case form8:
		r.skip(8)
	case form16:
		r.skip(16)
	default:
		r.fail(fmt.Errorf("unknown instruction %#x", uint16(r.Op)))
	}
}

// labels skips those of br_table. Index is the default, Other the outermost of all.
func (r *Instructions) labels() {
	count := r.number()
	if int64(count) > int64(len(r.code)-r.pos) {
		r.fail(errShort)
		return
	}
	for range count {
		r.Other = max(r.Other, r.number())
	}
	r.Index = r.number()
	r.Other = max(r.Other, r.Index)
}

// memory skips alignment and offset. Bit 6 of the alignment would say that the index of a memory follows.
func (r *Instructions) memory() {
	if align := r.number(); align > 4 {
		r.fail(fmt.Errorf("alignment of 2^%d", align))
		return
	}
	r.number()
}

func (r *Instructions) blockType() int64 {
	if r.pos < len(r.code) && r.code[r.pos] < 0x80 {
		b := r.code[r.pos]
		r.pos++
		if b < 0x40 {
			return int64(b)
		}
		if b != 0x40 && !isValueType(b) {
			r.fail(fmt.Errorf("unknown block type %#x", b))
		}
		return int64(b) - 0x80
	}
	// A signed number of 33 bits, and not negative: what is comes in one byte.
	start := r.pos
	var v uint64
	for shift := 0; shift < 35; shift += 7 {
		b := r.byte()
		v |= uint64(b&0x7f) << shift
		if b < 0x80 {
			if b&0x40 != 0 || v > 1<<32-1 {
				break
			}
			return int64(v)
		}
	}
	r.pos = min(start, len(r.code))
	r.fail(errNumber)
	return 0
}

func isValueType(b byte) bool {
	return b >= 0x7b && b <= 0x7f || b == 0x70 || b == 0x6f
}

// number reads an unsigned number of 32 bits.
func (r *Instructions) number() uint32 {
	if r.pos < len(r.code) && r.code[r.pos] < 0x80 {
		r.pos++
		return uint32(r.code[r.pos-1])
	}
	var v uint32
	for shift := 0; shift < 35; shift += 7 {
		b := r.byte()
		if r.err != nil {
			return 0
		}
		if shift == 28 && b > 0x0f {
			break
		}
		v |= uint32(b&0x7f) << shift
		if b < 0x80 {
			return v
		}
	}
	r.fail(errNumber)
	return 0
}

// skipNumber skips a signed number of at most so many bytes.
func (r *Instructions) skipNumber(most int) {
	for range most {
		if r.byte() < 0x80 {
			return
		}
	}
	r.fail(errNumber)
}

func (r *Instructions) byte() byte {
	if r.pos >= len(r.code) {
		r.fail(errShort)
		return 0
	}
	r.pos++
	return r.code[r.pos-1]
}

func (r *Instructions) zero() {
	if r.byte() != 0 {
		r.fail(errZero)
	}
}

func (r *Instructions) skip(n int) {
	if n > len(r.code)-r.pos {
		r.fail(errShort)
		return
	}
	r.pos += n
}

// fail keeps the first error, with the offset of its instruction.
func (r *Instructions) fail(err error) bool {
	if r.err == nil {
		r.err = fmt.Errorf("code at offset %d: %w", r.Start, err)
	}
	return false
}

// form is what stands behind an opcode.
type form uint8

const (
	formInvalid form = iota
	formNone
	formPrefix
	formBlock
	formElse
	formEnd
	formIndex
	formTwo
	formLabels
	formSelect
	formRefType
	formMemory
	formMemoryLane
	formLane
	formZero
	formZeroZero
	formIndexZero
	formI32
	formI64
	form4
	form8
	form16
)

var (
	plain  = plainForms()
	misc   = [...]form{0: formNone, 1: formNone, 2: formNone, 3: formNone, 4: formNone, 5: formNone, 6: formNone, 7: formNone, 8: formIndexZero, 9: formIndex, 10: formZeroZero, 11: formZero, 12: formTwo, 13: formIndex, 14: formTwo, 15: formIndex, 16: formIndex, 17: formIndex}
	vector = vectorForms()
)

func plainForms() (f [256]form) {
	set := func(what form, from, to int) {
		for op := from; op <= to; op++ {
			f[op] = what
		}
	}
	set(formNone, 0x00, 0x01)  // unreachable, nop
	set(formBlock, 0x02, 0x04) // block, loop, if
	f[0x05] = formElse
	f[0x0b] = formEnd
	set(formIndex, 0x0c, 0x0d) // br, br_if
	f[0x0e] = formLabels
	f[0x0f] = formNone         // return
	f[0x10] = formIndex        // call
	f[0x11] = formTwo          // call_indirect
	set(formNone, 0x1a, 0x1b)  // drop, select
	f[0x1c] = formSelect       // select t
	set(formIndex, 0x20, 0x26) // local.get … table.set
	set(formMemory, 0x28, 0x3e)
	set(formZero, 0x3f, 0x40) // memory.size, memory.grow
	f[0x41] = formI32
	f[0x42] = formI64
	f[0x43] = form4
	f[0x44] = form8
	set(formNone, 0x45, 0xc4) // comparisons, arithmetic, conversions
	f[0xd0] = formRefType     // ref.null
	f[0xd1] = formNone        // ref.is_null
	f[0xd2] = formIndex       // ref.func
	set(formPrefix, 0xfc, 0xfd)
	return f
}

func vectorForms() (f [256]form) {
	for op := range f {
		switch {
		case op <= 0x0b, op == 0x5c, op == 0x5d:
			f[op] = formMemory
		case op == 0x0c, op == 0x0d: // v128.const, i8x16.shuffle
			f[op] = form16
		case op >= 0x15 && op <= 0x22:
			f[op] = formLane
		case op >= 0x54 && op <= 0x5b:
			f[op] = formMemoryLane
		default:
			f[op] = formNone
		}
	}
	for _, op := range []byte{0x9a, 0xa2, 0xa5, 0xa6, 0xaf, 0xb0, 0xb2, 0xb3, 0xb4, 0xbb, 0xc2, 0xc5, 0xc6, 0xcf, 0xd0, 0xd2, 0xd3, 0xd4, 0xe2, 0xee} {
		f[op] = formInvalid
	}
	return f
}
