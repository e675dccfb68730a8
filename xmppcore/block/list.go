// Package block keeps whom users have blocked (XEP-0191): what a list is and whom it means, where lists are kept, and
// those of users to whom somebody writes while they are not there.
package block

import (
	"iter"
	"maps"
	"slices"

	"rosterd/engine/addr"
)

// List is whom a user has blocked. It does not change; nil is an empty one.
type List struct {
	items map[string]addr.JID // by the address as it is written
}

// New is a list of addresses.
func New(items ...addr.JID) *List { return (*List)(nil).with(items) }

func (l *List) with(items []addr.JID) *List {
	n := &List{items: make(map[string]addr.JID, l.Len()+len(items))}
	for j := range l.All() {
		n.items[j.String()] = j
	}
	for _, j := range items {
		n.items[j.String()] = j
	}
	return n
}

func (l *List) without(items []addr.JID) *List {
	n := &List{items: make(map[string]addr.JID, l.Len())}
	for j := range l.All() {
		if !slices.Contains(items, j) {
			n.items[j.String()] = j
		}
	}
	return n
}

// Len is how many addresses are on the list.
func (l *List) Len() int {
	if l == nil {
		return 0
	}
	return len(l.items)
}

// All yields the addresses, sorted as they are written.
func (l *List) All() iter.Seq[addr.JID] {
	return func(yield func(addr.JID) bool) {
		if l == nil {
			return
		}
		for _, s := range slices.Sorted(maps.Keys(l.items)) {
			if !yield(l.items[s]) {
				return
			}
		}
	}
}

// Has tells whether the list means an address (XEP-0191 §6): it has the address itself, its bare JID, or its domain.
// It allocates nothing.
func (l *List) Has(j addr.JID) bool {
	if l.Len() == 0 {
		return false
	}
	if l.names(j.String()) {
		return true
	}
	return j.Local() != "" && l.names(j.Bare().String()) || l.names(j.Domain())
}

func (l *List) names(s string) bool {
	_, ok := l.items[s]
	return ok
}

// Beyond yields the addresses of l that are not on another list.
func (l *List) Beyond(other *List) iter.Seq[addr.JID] {
	return func(yield func(addr.JID) bool) {
		for j := range l.All() {
			if (other == nil || !other.names(j.String())) && !yield(j) {
				return
			}
		}
	}
}
