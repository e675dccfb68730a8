package wasm

import (
	"context"
	"fmt"

	"github.com/tetratelabs/wazero/experimental"
)

// memory is the linear memory of an instance. Its place is set aside for as much as it may become, and so it grows where it
// is: a copy each time would cost several times what it has.
type memory struct {
	region  region
	most    uint64 // bytes
	refused bool   // it has been asked for more than there is for it
}

// newMemory sets aside what a module may use, and makes what it begins with.
func newMemory(begin, most uint64) (*memory, error) {
	if begin > most {
		return nil, fmt.Errorf("the memory begins with %d KiB, more than %d", begin>>10, most>>10)
	}
	r, err := reserve(most)
	m := &memory{region: r, most: most}
	if err == nil && begin > 0 && m.region.grow(begin) == nil {
		m.Free()
		err = fmt.Errorf("the system does not have %d KiB", begin>>10)
	}
	return m, err
}

// withMemory is a context with which an instance gets this memory. The runtime looks for it there, and nowhere else.
func (m *memory) withMemory(ctx context.Context) context.Context {
	return experimental.WithMemoryAllocator(ctx, m)
}

// Allocate is called once, before the instance runs.
func (m *memory) Allocate(_, _ uint64) experimental.LinearMemory { return m }

// Reallocate is nil if there is not so much, which a module is told.
func (m *memory) Reallocate(size uint64) []byte {
	if size > m.most {
		m.refused = true
		return nil
	}
	b := m.region.grow(size)
	m.refused = m.refused || b == nil
	return b
}

// Free is called when the instance is closed. Nobody looks into the memory any more.
func (m *memory) Free() {
	m.region.free()
	m.region = region{}
}
