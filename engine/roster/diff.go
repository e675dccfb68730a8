package roster

import (
	"slices"

	"rosterd/engine/addr"
)

// Change is one contact that is not the same in two rosters. Old is nil for an added contact, New for a
// removed one. Version is that of the roster once this change and those before it are applied.
type Change struct {
	Contact  addr.Bare
	Old, New *Item
	Version  string
}

// Diff lists what turns from into to: first what was added or changed, then what was removed, each in the
// order of the JIDs.
func Diff(from, to Roster) []Change {
	if from.d == to.d || from.Equal(to) {
		return nil
	}
	var changed, removed []Change
	a, b := from.items(), to.items()
	for len(a) > 0 || len(b) > 0 {
		switch order(a, b) {
		case -1:
			removed = append(removed, Change{Contact: a[0].JID, Old: &a[0]})
			a = a[1:]
		case 1:
			changed = append(changed, Change{Contact: b[0].JID, New: &b[0]})
			b = b[1:]
		default:
			if !a[0].Equal(b[0]) {
				changed = append(changed, Change{Contact: b[0].JID, Old: &a[0], New: &b[0]})
			}
			a, b = a[1:], b[1:]
		}
	}
	changes := slices.Concat(changed, removed)
	s, last := from.sum(), len(changes)-1
	for i := range changes {
		if i < last {
			s = changes[i].step(s)
		} else {
			s = to.sum() // most often there is one change, and its hash takes longer than to find it
		}
		changes[i].Version = s.String()
	}
	return changes
}

// order compares the heads of two sorted lists; an exhausted list comes last.
func order(a, b []Item) int {
	switch {
	case len(a) == 0:
		return 1
	case len(b) == 0:
		return -1
	}
	return a[0].JID.Compare(b[0].JID)
}

func (c Change) step(s sum) sum { return s.minus(share(c.Old)).plus(share(c.New)) }

// Apply makes changes to r. Applying Diff(a, b) to a gives b.
func (r Roster) Apply(changes ...Change) Roster {
	next := make([]Item, 0, r.Len()+len(changes))
	touched := make(map[addr.Bare]bool, len(changes))
	s := r.sum()
	for _, c := range changes {
		touched[c.Contact] = true
		s = c.step(s)
		if c.New != nil {
			next = append(next, *c.New)
		}
	}
	for _, i := range r.items() {
		if !touched[i.JID] {
			next = append(next, i)
		}
	}
	slices.SortFunc(next, func(a, b Item) int { return a.JID.Compare(b.JID) })
	return Roster{&doc{items: next, sum: s, room: r.room()}}
}
