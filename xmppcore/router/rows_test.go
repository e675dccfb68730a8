package router

import (
	"slices"
	"sync"
	"testing"
	"testing/synctest"

	"rosterd/engine/addr"
)

var romeo, juliet = addr.MustBare("romeo@example.com"), addr.MustBare("juliet@example.com")

// What follows at a contact from two changes of a user comes in the order of the changes.
func TestRowsKeepOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var r rows
		var done []string
		busy := r.enter(juliet)
		first := r.enter(romeo)
		go func() {
			second := r.enter(romeo)
			second.goOn(juliet)
			done = append(done, "second")
			second.end()
		}()
		synctest.Wait()
		go func() {
			first.goOn(juliet)
			done = append(done, "first")
			first.end()
		}()
		synctest.Wait()
		busy.end()
		synctest.Wait()
		if !slices.Equal(done, []string{"first", "second"}) {
			t.Errorf("done: %v", done)
		}
		if len(r.last) != 0 {
			t.Errorf("%d rows are left", len(r.last))
		}
	})
}

// Users who change what they are to each other at the same time do not wait for each other for ever, and nobody is at
// the head of a row with another.
func TestRowsPass(t *testing.T) {
	var r rows
	var wg sync.WaitGroup
	heads := map[addr.Bare]int{}
	var mu sync.Mutex
	at := func(user addr.Bare, by int) {
		mu.Lock()
		defer mu.Unlock()
		if heads[user] += by; heads[user] > 1 {
			t.Errorf("%d at the head of the row of %s", heads[user], user)
		}
	}
	for i := range 200 {
		wg.Go(func() {
			here, there := romeo, juliet
			if i%2 == 0 {
				here, there = juliet, romeo
			}
			v := r.enter(here)
			at(here, 1)
			at(here, -1)
			v.goOn(there)
			at(there, 1)
			at(there, -1)
			v.goOn(here)
			at(here, 1)
			at(here, -1)
			v.end()
		})
	}
	wg.Wait()
	if len(r.last) != 0 {
		t.Errorf("%d rows are left", len(r.last))
	}
}
