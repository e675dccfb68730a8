// Package roster holds contact lists as plain values: what an item is, what a roster is, how one differs
// from the next (RFC 6121 §2), and how a backend writes one as JSON. It does no I/O.
package roster

import (
	"encoding/base64"
	"encoding/binary"
	"iter"
	"math/bits"
	"slices"
	"sort"
	"sync/atomic"

	"crypto/sha256"

	"rosterd/engine/addr"
)

// Item is one contact (RFC 6121 §2.1.2). Groups are sorted, without repetition and without empty names.
type Item struct {
	JID          addr.Bare
	Name         string // the handle, "" if there is none
	Groups       []string
	Subscription Subscription
	Ask          bool // ask='subscribe': a request of ours is pending out
	Approved     bool // pre-approved (RFC 6121 §3.4)
}

// Equal tells whether two items are the same on the wire.
func (i Item) Equal(o Item) bool {
	return i.JID == o.JID && i.Name == o.Name && i.Subscription == o.Subscription && i.Ask == o.Ask &&
		i.Approved == o.Approved && slices.Equal(i.Groups, o.Groups)
}

// Roster is an immutable contact list, sorted by JID. The zero value is the empty roster.
type Roster struct{ d *doc }

type doc struct {
	items []Item
	sum   sum
	room  int // of how many contacts there are texts in the memory that it shares; less than there are items: nobody knows
	marks atomic.Pointer[[]mark]
}

// New builds the roster of owner from items. It leaves out, and names, what may not stand in it: the
// owner itself and, of items with the same JID, all but the last. Items must be prepared; see Builder for
// anything that comes from outside. A zero owner is not checked for.
func New(owner addr.Bare, items ...Item) (Roster, []BadItem) {
	b := NewBuilder(owner, Limits{Items: len(items) + 1})
	for _, i := range items {
		b.add(i.JID, i)
	}
	r, bad, _ := b.Roster()
	return r, bad
}

// Len is the number of contacts.
func (r Roster) Len() int { return len(r.items()) }

// Get finds the item of a contact.
func (r Roster) Get(c addr.Bare) (Item, bool) {
	if i := r.find(c); i != nil {
		return *i, true
	}
	return Item{}, false
}

// All walks the items in the order of their JIDs.
func (r Roster) All() iter.Seq[Item] { return slices.Values(r.items()) }

// Items is the sorted list itself, for readers in a hurry. It must not be changed.
func (r Roster) Items() []Item { return r.items() }

// Equal tells whether two rosters hold the same items.
func (r Roster) Equal(o Roster) bool { return r.sum() == o.sum() && r.Len() == o.Len() }

// Version names the contents: equal rosters have equal versions, on every node and after every restart
// (RFC 6121 §2.6). It is never empty.
func (r Roster) Version() string { return r.sum().String() }

// Grants tells whether the owner's roster lets c see the owner's presence (subscription from or both).
func (r Roster) Grants(c addr.Bare) bool { i := r.find(c); return i != nil && i.Subscription.From() }

// Wants tells whether the owner's roster shows c's presence to the owner (subscription to or both).
func (r Roster) Wants(c addr.Bare) bool { i := r.find(c); return i != nil && i.Subscription.To() }

func (r Roster) items() []Item {
	if r.d == nil {
		return nil
	}
	return r.d.items
}

// room is how many contacts' texts a roster may keep in memory.
func (r Roster) room() int {
	if r.d == nil {
		return 0
	}
	return max(r.d.room, len(r.d.items))
}

func (r Roster) sum() sum {
	if r.d == nil {
		return sum{}
	}
	return r.d.sum
}

func (r Roster) find(c addr.Bare) *Item {
	items := r.items()
	if k, ok := sort.Find(len(items), func(k int) int { return c.Compare(items[k].JID) }); ok {
		return &items[k]
	}
	return nil
}

// sum is the total of the items' hashes modulo 2^128. Adding or removing one contact changes it by that
// contact's hash alone, so that each push of a large change can carry its own version at the price of one item.
type sum struct{ hi, lo uint64 }

func (s sum) plus(o sum) sum {
	lo, carry := bits.Add64(s.lo, o.lo, 0)
	hi, _ := bits.Add64(s.hi, o.hi, carry)
	return sum{hi, lo}
}

func (s sum) minus(o sum) sum {
	lo, borrow := bits.Sub64(s.lo, o.lo, 0)
	hi, _ := bits.Sub64(s.hi, o.hi, borrow)
	return sum{hi, lo}
}

func (s sum) bytes() (b [16]byte) {
	binary.BigEndian.PutUint64(b[:8], s.hi)
	binary.BigEndian.PutUint64(b[8:], s.lo)
	return b
}

func (s sum) String() string {
	b := s.bytes()
	return base64.RawURLEncoding.EncodeToString(b[:])
}

// hash is taken over length-prefixed fields, so that no two items write the same bytes.
func (i Item) hash() sum {
	var buf [256]byte
	b := appendField(buf[:0], i.JID.String())
	b = appendField(b, i.Name)
	flags := byte(i.Subscription)
	if i.Ask {
		flags |= 4
	}
	if i.Approved {
		flags |= 8
	}
	b = append(b, flags)
	for _, g := range i.Groups {
		b = appendField(b, g)
	}
	h := sha256.Sum256(b)
	return sum{binary.BigEndian.Uint64(h[:8]), binary.BigEndian.Uint64(h[8:16])}
}

func appendField(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}
