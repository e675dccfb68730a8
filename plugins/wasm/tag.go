package wasm

import (
	"crypto/sha256"
	"strings"
	"sync"
	"sync/atomic"

	"rosterd/plugins"
)

// tag is the fingerprint of a module, which may read an option late.
type tag struct {
	code [sha256.Size]byte
	opts *plugins.Options
	now  atomic.Pointer[string]

	mu    sync.Mutex // guards the field below
	names map[string]bool
}

func newTag(code []byte, opts *plugins.Options) *tag {
	t := &tag{code: sha256.Sum256(code), opts: opts, names: map[string]bool{}}
	t.compute()
	return t
}

func (t *tag) String() string { return *t.now.Load() }

// Bounds of what is remembered of a module: how many options it asks for, and the length of a name.
const maxOptions, maxOption = 1000, 256

// read is told of every option that is asked for, and tells whether it may be.
func (t *tag) read(name string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.names[name] {
		return true
	}
	if len(t.names) == maxOptions || len(name) > maxOption {
		return false
	}
	t.names[name] = true
	t.opts.Get(name) // which counts from now on
	t.compute()
	return true
}

func (t *tag) compute() {
	s := plugins.Fingerprint(t.code[:], t.opts)
	t.now.Store(&s)
}

// held is the revision in rev, if it is one of this generation.
func (t *tag) held(rev string) string {
	if of, rev, ok := strings.Cut(rev, ":"); ok && of == t.String() {
		return rev
	}
	return ""
}
