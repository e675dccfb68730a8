//go:build unix

package wasm

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// region is a part of the address space, of which the beginning is in use. What is not costs nothing.
type region struct {
	all  []byte
	used uint64
}

func reserve(most uint64) (region, error) {
	all, err := unix.Mmap(-1, 0, int(max(most, 1)), unix.PROT_NONE, unix.MAP_ANON|unix.MAP_PRIVATE)
	if err != nil {
		return region{}, fmt.Errorf("to set aside %d KiB: %w", most>>10, err)
	}
	return region{all: all}, nil
}

// grow makes that much of it usable, or gives nil if the system does not have it.
func (r *region) grow(size uint64) []byte {
	switch {
	case size > uint64(len(r.all)):
		return nil
	case size > r.used:
		if err := unix.Mprotect(r.all[r.used:size], unix.PROT_READ|unix.PROT_WRITE); err != nil {
			return nil
		}
		r.used = size
	}
	return r.all[:size:size]
}

func (r *region) free() {
	if r.all != nil {
		_ = unix.Munmap(r.all) // it is there
	}
}
