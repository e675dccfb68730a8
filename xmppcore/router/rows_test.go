package router

import (
	"context"
	"errors"
	"runtime"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"rosterd/engine/addr"
)

var romeo, juliet = addr.MustBare("romeo@example.com"), addr.MustBare("juliet@example.com")

// head is enter for who waits as long as it takes.
func (r *rows) head(user addr.Bare) *visit {
	v, err := r.enter(context.Background(), user)
	if err != nil {
		panic(err)
	}
	return v
}

// Who waits behind somebody who hangs gives up in time, and so does who goes on to him; those behind them neither
// overtake him nor wait for them afterwards.
func TestRowsGiveUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var r rows
		hangs := r.head(juliet)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if _, err := r.enter(ctx, juliet); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("entered behind somebody who hangs: %v", err)
		}
		v := r.head(romeo)
		if err := v.goOn(ctx, juliet); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("went on behind somebody who hangs: %v", err)
		}
		v.end()
		r.head(romeo).end()
		var third bool
		go func() {
			v := r.head(juliet)
			third = true
			v.end()
		}()
		synctest.Wait()
		if third {
			t.Error("overtook somebody who hangs")
		}
		hangs.end()
		synctest.Wait()
		if !third {
			t.Error("waits for those who gave up")
		}
		if len(r.last) != 0 {
			t.Errorf("%d rows are left", len(r.last))
		}
	})
}

// Who goes on to a row waits there, and nobody waits for him in the row that he has left.
func TestRowsWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var r rows
		var done []string
		busy := r.head(juliet)
		for _, name := range []string{"first", "second"} {
			go func() {
				v := r.head(romeo)
				v.goOn(context.Background(), juliet)
				done = append(done, name)
				v.end()
			}()
			synctest.Wait()
		}
		if len(done) > 0 {
			t.Errorf("done while somebody else was: %v", done)
		}
		r.head(romeo).end()
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

// What follows at the other's from changes at one's comes in the order of the changes, whoever changes something at the
// same time; and nobody waits for ever.
func TestRowsKeepOrder(t *testing.T) {
	var r rows
	var all sync.WaitGroup
	var heads [2]int    // at the head of the two rows; each is that of who is there
	var begun [2]int    // changes here, by row
	var followed [2]int // the last that has come to the other, by the row it comes from
	users := [2]addr.Bare{romeo, juliet}
	alone := func(row int, do func()) {
		if heads[row]++; heads[row] != 1 {
			t.Errorf("%d at the head of a row", heads[row])
		}
		runtime.Gosched()
		do()
		heads[row]--
	}
	for i := range 2000 {
		here := i % 2
		all.Go(func() {
			var number int
			v := r.head(users[here])
			alone(here, func() { begun[here]++; number = begun[here] })
			v.goOn(context.Background(), users[1-here])
			alone(1-here, func() {
				if number != followed[here]+1 {
					t.Errorf("%d comes after %d", number, followed[here])
				}
				followed[here] = number
			})
			v.end()
		})
	}
	all.Wait()
	if len(r.last) != 0 {
		t.Errorf("%d rows are left", len(r.last))
	}
}
