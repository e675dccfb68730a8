package wasm

import (
	"encoding/binary"
	"math/bits"
	"sort"
)

// An arena is the memory that Extism gives its plugins beside their own: blocks, named by their offsets, through which
// every text passes between a plugin and its host. It lasts for one call.
//
// Loads and stores are checked against the arena and not against the block: that is what Extism promises, and plugins
// may read and write what the host has no part in. Offset 0 is no block, and its bytes are not there.
type arena struct {
	bytes  []byte
	blocks []block      // in the order of their offsets
	freed  [33][]uint32 // blocks to use again, by the bits of their size
	taken  int          // of limit
	limit  int          // bytes that blocks may take, each with blockCost
	host   int          // by which blocks of the host may still raise limit

	refused bool  // alloc has failed in this call
	output  span  // what the plugin answers
	input   block // what it is asked
}

// A block is what alloc gives: room for size bytes, of which used were asked for. used is 0 if it was freed.
type block struct{ at, size, used uint32 }

type span struct{ at, n uint32 }

const (
	// arenaStart keeps offset 0 free, and what is stored there by those who do not look at what alloc says.
	arenaStart = 64
	// arenaLimit bounds the blocks that a plugin allocates.
	arenaLimit = 8 << 20
	// blockCost is what a block is charged beyond its bytes, so that very small ones do not take more than they count for.
	blockCost = 16
)

// newArena makes the arena of a call. What the host puts into it, answers of servers above all, may take most bytes
// more than arenaLimit.
func newArena(most int) arena {
	return arena{bytes: make([]byte, arenaStart, 8<<10), limit: arenaLimit, host: most}
}

// setInput gives the plugin what it is asked.
func (a *arena) setInput(b []byte) bool {
	at, ok := a.put(b)
	if ok && at > 0 {
		a.input = a.blocks[a.find(at)]
	}
	return ok
}

// alloc makes a block of n bytes, and 0 if n is 0 or beyond the limit.
func (a *arena) alloc(n uint64) uint64 {
	if n == 0 {
		return 0
	}
	if n <= uint64(a.limit) {
		if i, ok := a.again(uint32(n)); ok {
			a.blocks[i].used = uint32(n)
			return uint64(a.blocks[i].at)
		}
		size := (int(n) + 7) &^ 7
		if a.taken+size+blockCost <= a.limit {
			a.taken += size + blockCost
			return uint64(a.extend(size, int(n)))
		}
	}
	a.refused = true
	return 0
}

func (a *arena) extend(size, n int) uint32 {
	at := len(a.bytes)
	a.bytes = append(a.bytes, make([]byte, size)...)
	a.blocks = append(a.blocks, block{uint32(at), uint32(size), uint32(n)})
	return uint32(at)
}

// again finds a freed block for n bytes: the last one of the first size that has one.
func (a *arena) again(n uint32) (i uint32, ok bool) {
	for class := bits.Len32(n); class < len(a.freed); class++ {
		list := a.freed[class]
		if len(list) == 0 {
			continue
		}
		i = list[len(list)-1]
		if a.blocks[i].size >= n {
			a.freed[class] = list[:len(list)-1]
			return i, true
		}
	}
	return 0, false
}

// free lets go of a block. What is no block is left alone, as in Extism. The block of the output is not used again:
// Extism's kits free it before they return.
func (a *arena) free(at uint64) {
	i := a.find(at)
	if i < 0 {
		return
	}
	b := &a.blocks[i]
	b.used = 0
	if b.at == a.input.at {
		a.input.used = 0
	}
	if end := a.output.at + a.output.n; a.output.n == 0 || end <= b.at || a.output.at >= b.at+b.size {
		class := bits.Len32(b.size)
		a.freed[class] = append(a.freed[class], uint32(i))
	}
}

// find is the index of the block in use that begins at an offset, or -1.
func (a *arena) find(at uint64) int {
	i := sort.Search(len(a.blocks), func(i int) bool { return uint64(a.blocks[i].at) >= at })
	if i < len(a.blocks) && uint64(a.blocks[i].at) == at && a.blocks[i].used > 0 {
		return i
	}
	return -1
}

// block is the bytes of a block in use.
func (a *arena) block(at uint64) ([]byte, bool) {
	i := a.find(at)
	if i < 0 {
		return nil, false
	}
	b := a.blocks[i]
	return a.bytes[b.at : b.at+b.used : b.at+b.used], true
}

// length is that of a block in use, or 0.
func (a *arena) length(at uint64) uint64 {
	if i := a.find(at); i >= 0 {
		return uint64(a.blocks[i].used)
	}
	return 0
}

// put makes a block of the host's. There is none for no bytes.
func (a *arena) put(b []byte) (at uint64, ok bool) {
	if len(b) == 0 {
		return 0, true
	}
	more := (len(b)+7)&^7 + blockCost
	if more > a.host {
		return 0, false
	}
	a.host -= more
	a.limit += more
	if at = a.alloc(uint64(len(b))); at == 0 {
		return 0, false
	}
	copy(a.bytes[at:], b)
	return at, true
}

// in says whether n bytes from an offset are there.
func (a *arena) in(at, n uint64) bool {
	return at >= arenaStart && at <= uint64(len(a.bytes)) && n <= uint64(len(a.bytes))-at
}

func (a *arena) load8(at uint64) (uint8, bool) {
	if at-arenaStart >= uint64(len(a.bytes))-arenaStart {
		return 0, false
	}
	return a.bytes[at], true
}

func (a *arena) load64(at uint64) (uint64, bool) {
	if !a.in(at, 8) {
		return 0, false
	}
	return binary.LittleEndian.Uint64(a.bytes[at:]), true
}

func (a *arena) store8(at uint64, v uint8) bool {
	if at-arenaStart >= uint64(len(a.bytes))-arenaStart {
		return false
	}
	a.bytes[at] = v
	return true
}

func (a *arena) store64(at, v uint64) bool {
	if !a.in(at, 8) {
		return false
	}
	binary.LittleEndian.PutUint64(a.bytes[at:], v)
	return true
}

// setOutput says which bytes the answer is when the call is over.
func (a *arena) setOutput(at, n uint64) bool {
	if n == 0 {
		a.output = span{}
		return true
	}
	if !a.in(at, n) {
		return false
	}
	a.output = span{uint32(at), uint32(n)}
	return true
}

// result is the output as it is now.
func (a *arena) result() []byte { return a.bytes[a.output.at : a.output.at+a.output.n] }
