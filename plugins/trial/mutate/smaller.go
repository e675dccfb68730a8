package mutate

import (
	"bytes"
	"slices"
)

// Smaller takes from a body what does not matter for still, which tells whether a smaller one does what the body does. It asks at
// most tries times.
func Smaller(b []byte, tries int, still func([]byte) bool) []byte {
	s := &shrinking{left: tries, still: still}
	if v, ok := parse(b); ok {
		if written := v.append(nil); bytes.Equal(written, b) || s.ask(written) {
			s.prune(v)
			b = v.append(nil)
		}
	}
	return s.cut(b)
}

// shrinking is how often Smaller may still ask.
type shrinking struct {
	left  int
	still func([]byte) bool
}

func (s *shrinking) ask(b []byte) bool {
	s.left--
	return s.left >= 0 && s.still(b)
}

// cut leaves out parts, the large ones first.
func (s *shrinking) cut(b []byte) []byte {
	for size := len(b) / 2; size > 0; size /= 2 {
		for at := 0; at+size <= len(b) && s.left > 0; {
			if less := slices.Concat(b[:at], b[at+size:]); s.ask(less) {
				b = less
			} else {
				at += size
			}
		}
	}
	return b
}

// prune takes values out of a document, the outer ones first.
func (s *shrinking) prune(root *value) {
	for list := []*value{root}; len(list) > 0 && s.left > 0; list = list[1:] {
		v := list[0]
		s.hoist(root, v)
		for size := len(v.kids); size > 0; size /= 2 {
			for at := 0; at+size <= len(v.kids) && s.left > 0; {
				before := *v
				v.kids, v.keys = slices.Clone(v.kids), slices.Clone(v.keys)
				if v.remove(at, at+size); !s.ask(root.append(nil)) {
					*v = before
					at += size
				}
			}
		}
		list = append(list, v.kids...)
	}
	s.hoist(root, root) // now that less is beside what matters
}

// hoist puts a value in the place of those around it that hold nothing else.
func (s *shrinking) hoist(root, v *value) {
	var chain []*value
	for w := v; len(w.kids) == 1; w = w.kids[0] {
		chain = append(chain, w.kids[0])
	}
	for size := len(chain); size > 0; size /= 2 {
		for len(chain) >= size && s.left > 0 {
			before := *v
			if *v = *chain[size-1]; !s.ask(root.append(nil)) {
				*v = before
				break
			}
			chain = chain[size:]
		}
	}
}
