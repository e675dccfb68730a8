package roster

import (
	"hash/maphash"
	"sort"

	"rosterd/engine/addr"
)

// Near is the subscription of a contact, None if he is none. It looks first where the hint says, and beside it, and leaves
// there where it has looked last: in the rosters of people who are all contacts of each other, a contact stands in nearly
// the same place.
func (r Roster) Near(c addr.Bare, hint *int) Subscription {
	items := r.items()
	if len(items) < crowded {
		for _, k := range beside(*hint) {
			if k >= 0 && k < len(items) && items[k].JID == c {
				*hint = k
				return items[k].Subscription
			}
		}
	} else {
		marks, m := r.d.marked(), markOf(c)
		for _, k := range beside(*hint) {
			if k >= 0 && k < len(marks) && marks[k]&^subscribed == m {
				*hint = k
				return Subscription(marks[k] & subscribed)
			}
		}
	}
	k, ok := sort.Find(len(items), func(k int) int { return c.Compare(items[k].JID) })
	if *hint = k; ok {
		return items[k].Subscription
	}
	return None
}

func beside(hint int) [3]int { return [...]int{hint, hint - 1, hint + 1} }

// crowded is how many contacts a roster has at least for marks to be worth their memory.
const crowded = 64

// mark stands for an item where nothing else is asked but whether it is a certain contact's: of thousands of large
// rosters, each looked at once, neither the item nor its text is in a cache of the processor, and a mark shares its line
// with those beside it. It is a hash of the address, in whose last two bits there is the subscription. The hash is keyed
// with a secret of the process: that two addresses out of a roster have the same is a matter of one in 2^62, and of nobody's
// choice.
type mark uint64

const subscribed = mark(Both)

var secret = maphash.MakeSeed()

func markOf(c addr.Bare) mark { return mark(maphash.String(secret, c.String())) &^ subscribed }

// marked is the marks of all items, in their order. They are made when they are asked for first, perhaps more than once.
func (d *doc) marked() []mark {
	if m := d.marks.Load(); m != nil {
		return *m
	}
	m := make([]mark, len(d.items))
	for k := range d.items {
		m[k] = markOf(d.items[k].JID) | mark(d.items[k].Subscription)
	}
	d.marks.Store(&m)
	return m
}
