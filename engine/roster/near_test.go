package roster

import (
	"fmt"
	"sync"
	"testing"

	"rosterd/engine/addr"
)

// people are so many contacts of one roster, of every subscription.
func people(n int) Roster {
	var items []Item
	for i := range n {
		items = append(items, Item{JID: person(i), Subscription: Subscription(i % 4)})
	}
	r, _ := New(addr.Bare{}, items...)
	return r
}

func person(i int) addr.Bare { return addr.MustBare(fmt.Sprintf("u%03d@example.com", i)) }

// Wherever the hint leads, what is found is what Get finds.
func TestNear(t *testing.T) {
	for _, n := range []int{20, crowded - 1, crowded, 100} {
		list := people(n)
		for hint := -2; hint < n+3; hint++ {
			for i := range n + 1 {
				want, _ := list.Get(person(i))
				h := hint
				if got := list.Near(person(i), &h); got != want.Subscription || i < n && h != i {
					t.Errorf("%d contacts: %s near %d: %v, and %d", n, person(i), hint, got, h)
				}
			}
		}
	}
	if got := (Roster{}).Near(person(0), new(int)); got != None {
		t.Errorf("%v in an empty roster", got)
	}
}

// What has changed is found in the roster that has it, and not in the one before.
func TestNearAfterAChange(t *testing.T) {
	before := people(100)
	old, _ := before.Get(person(7))
	if got := before.Near(person(7), new(int)); got != old.Subscription || got == None {
		t.Fatalf("%v before", got)
	}
	other, hint := old, 7
	other.Subscription = None
	if got := before.Apply(Change{Contact: person(7), Old: &old, New: &other}).Near(person(7), &hint); got != None {
		t.Errorf("%v after", got)
	}
	if got := before.Apply(Change{Contact: person(7), Old: &old}).Near(person(8), &hint); got != Subscription(8%4) || hint != 7 {
		t.Errorf("%v, at %d, when the one before has gone", got, hint)
	}
	if got := before.Near(person(7), &hint); got != old.Subscription {
		t.Errorf("%v in the roster before", got)
	}
}

// Many may look into a roster that nobody has looked into before.
func TestNearAtOnce(t *testing.T) {
	list := people(200)
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			hint := 0
			for i := range 200 {
				if got := list.Near(person((i+g)%200), &hint); got != Subscription((i+g)%200%4) {
					t.Errorf("%s: %v", person((i+g)%200), got)
				}
			}
		})
	}
	wg.Wait()
}
