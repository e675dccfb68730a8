package wasm

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"rosterd/plugins"
)

// tag changes with the code and with the options that it has read, so that no revision outlives them. A module may read an
// option late.
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

// read is told of every option before it is read, and tells whether it may be.
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
	t.compute()
	return true
}

func (t *tag) compute() {
	h := sha256.New()
	h.Write(t.code[:])
	names := make([]string, 0, len(t.names))
	for name := range t.names {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		v, _ := t.opts.Get(name)
		fmt.Fprintf(h, "\x00%s\x00%v", name, withoutUserinfo(v))
	}
	s := base64.RawURLEncoding.EncodeToString(h.Sum(nil)[:9])
	t.now.Store(&s)
}

// withoutUserinfo keeps passwords out of what is kept with the rosters.
func withoutUserinfo(v any) any {
	s, ok := v.(string)
	if !ok {
		return v
	}
	scheme, rest, found := strings.Cut(s, "://")
	if !found {
		return v
	}
	authority, path, _ := strings.Cut(rest, "/")
	if i := strings.LastIndexByte(authority, '@'); i >= 0 {
		authority = authority[i+1:]
	}
	return scheme + "://" + authority + "/" + path
}

// held is the revision in rev, if it is one of this generation.
func (t *tag) held(rev string) string {
	if of, rev, ok := strings.Cut(rev, ":"); ok && of == t.String() {
		return rev
	}
	return ""
}
