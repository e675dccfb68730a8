package mutate

import (
	"bytes"
	"slices"
)

// Smaller takes from a body what does not matter for still, which tells whether a smaller one does what the body does. It asks at
// most tries times.
func Smaller(b []byte, tries int, still func([]byte) bool) []byte {
	left := tries
	ask := func(b []byte) bool {
		left--
		return left >= 0 && still(b)
	}
	if v, ok := parse(b); ok {
		if written := v.append(nil); bytes.Equal(written, b) || ask(written) {
			prune(v, func() bool { return ask(v.append(nil)) })
			b = v.append(nil)
		}
	}
	return cut(b, ask)
}

// cut leaves out parts, the large ones first.
func cut(b []byte, still func([]byte) bool) []byte {
	for size := len(b) / 2; size > 0; size /= 2 {
		for at := 0; at+size <= len(b); {
			if less := slices.Concat(b[:at], b[at+size:]); still(less) {
				b = less
			} else {
				at += size
			}
		}
	}
	return b
}

// prune takes values out of a document, the outer ones first. still looks at the document as it is at the moment.
func prune(root *value, still func() bool) {
	for list := []*value{root}; len(list) > 0; list = list[1:] {
		v := list[0]
		hoist(v, still)
		for size := len(v.kids); size > 0; size /= 2 {
			for at := 0; at+size <= len(v.kids); {
				before := *v
				v.kids, v.keys = slices.Clone(v.kids), slices.Clone(v.keys)
				if v.remove(at, at+size); !still() {
					*v = before
					at += size
				}
			}
		}
		list = append(list, v.kids...)
	}
	hoist(root, still) // now that less is beside what matters
}

// hoist puts a value in the place of those around it that hold nothing else.
func hoist(v *value, still func() bool) {
	var chain []*value
	for w := v; len(w.kids) == 1; w = w.kids[0] {
		chain = append(chain, w.kids[0])
	}
	for size := len(chain); size > 0; size /= 2 {
		for len(chain) >= size {
			before := *v
			if *v = *chain[size-1]; !still() {
				*v = before
				break
			}
			chain = chain[size:]
		}
	}
}
