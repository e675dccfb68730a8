package module

// effect says by how much an instruction that is not about control makes the
// stack higher (§3.3).
func effect(op Opcode) int8 {
	switch {
	case op < 0x100:
		return effects[op]
	case op&0xff00 == 0xfd00:
		return vectorEffects[op&0xff]
	case op <= 0xfc07: // truncations
		return 0
	}
	switch op {
	case OpMemoryInit, OpMemoryCopy, OpMemoryFill, OpTableInit, OpTableCopy, OpTableFill:
		return -3
	case OpTableGrow:
		return -1
	case OpTableSize:
		return 1
	}
	return 0 // data.drop, elem.drop
}

// An effectRange gives from, to and what lies between the same effect.
type effectRange struct {
	from, to int
	by       int8
}

func effectTable(ranges []effectRange) (t [256]int8) {
	for _, r := range ranges {
		for op := r.from; op <= r.to; op++ {
			t[op] = r.by
		}
	}
	return t
}

var effects = effectTable([]effectRange{
	{0x1a, 0x1a, -1}, // drop
	{0x1b, 0x1c, -2}, // select
	{0x20, 0x20, +1}, // local.get
	{0x21, 0x21, -1}, // local.set
	{0x23, 0x23, +1}, // global.get
	{0x24, 0x24, -1}, // global.set
	{0x26, 0x26, -2}, // table.set
	{0x36, 0x3e, -2}, // stores
	{0x3f, 0x3f, +1}, // memory.size
	{0x41, 0x44, +1}, // constants
	{0x46, 0x4f, -1}, // comparisons, of i32 and on
	{0x51, 0x66, -1},
	{0x6a, 0x78, -1}, // arithmetic of two numbers
	{0x7c, 0x8a, -1},
	{0x92, 0x98, -1},
	{0xa0, 0xa6, -1},
	{0xd0, 0xd0, +1}, // ref.null
	{0xd2, 0xd2, +1}, // ref.func
})

var vectorEffects = effectTable([]effectRange{
	{11, 11, -2},     // v128.store
	{12, 12, +1},     // v128.const
	{13, 14, -1},     // shuffle, swizzle
	{0x17, 0x17, -1}, // replace_lane
	{0x1a, 0x1a, -1},
	{0x1c, 0x1c, -1},
	{0x1e, 0x1e, -1},
	{0x20, 0x20, -1},
	{0x22, 0x4c, -1}, // replace_lane, comparisons
	{0x4e, 0x51, -1}, // and, andnot, or, xor
	{0x52, 0x52, -2}, // bitselect
	{0x54, 0x57, -1}, // load_lane
	{0x58, 0x5b, -2}, // store_lane
	{0x65, 0x66, -1}, // narrow
	{0x6b, 0x73, -1}, // shifts, add, sub
	{0x76, 0x79, -1}, // min, max
	{0x7b, 0x7b, -1}, // avgr
	{0x82, 0x82, -1}, // q15mulr_sat
	{0x85, 0x86, -1}, // narrow
	{0x8b, 0x93, -1},
	{0x95, 0x99, -1},
	{0x9b, 0x9f, -1},
	{0xab, 0xab, -1},
	{0xac, 0xb1, -1},
	{0xb5, 0xbf, -1},
	{0xcb, 0xdf, -1},
	{0xe4, 0xeb, -1},
	{0xf0, 0xf7, -1},
})
