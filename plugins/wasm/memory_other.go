//go:build !unix

package wasm

// region is a slice that is copied when it grows.
type region struct{ b []byte }

func reserve(uint64) (region, error) { return region{}, nil }

func (r *region) grow(size uint64) []byte {
	if size > uint64(cap(r.b)) {
		b := make([]byte, size)
		copy(b, r.b)
		r.b = b
	}
	r.b = r.b[:size]
	return r.b
}

func (r *region) free() {}
