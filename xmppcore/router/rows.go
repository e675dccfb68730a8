package router

import (
	"context"
	"sync"

	"rosterd/engine/addr"
)

// rows put in a row what is done to the roster of each user, online or not. Who has done something to one user's and
// goes on to another's joins the row there before it leaves the one here, so that what follows from two changes comes
// in the order of the changes. There is no deadlock: who waits in a row has no place in another. Nobody waits longer than
// his context lasts, whatever the one at the head is waiting for. The zero value is ready.
type rows struct {
	mu   sync.Mutex
	last map[addr.Bare]chan struct{} // closed when who came last has left
}

// visit is somebody at the head of a row.
type visit struct {
	rows  *rows
	user  addr.Bare
	place chan struct{} // closed when it has left
}

// enter returns at the head of a user's row, or with the error of ctx, and then in no row.
func (r *rows) enter(ctx context.Context, user addr.Bare) (*visit, error) {
	v := &visit{rows: r}
	return v, v.await(ctx, v.join(user))
}

// goOn returns at the head of another user's row, or with the error of ctx, and then in no row.
func (v *visit) goOn(ctx context.Context, user addr.Bare) error {
	here := *v
	ready := v.join(user)
	here.end()
	return v.await(ctx, ready)
}

// await waits for the head of the row. Who gives up leaves when he would have been there: those behind him do not
// overtake those before him.
func (v *visit) await(ctx context.Context, ready <-chan struct{}) error {
	select {
	case <-ready:
		return nil
	default:
	}
	select {
	case <-ready:
		return nil
	case <-ctx.Done():
	}
	gone := *v
	v.place = nil
	go func() {
		<-ready
		gone.end()
	}()
	return context.Cause(ctx)
}

// end leaves the row, if there is one.
func (v *visit) end() {
	if v.place == nil {
		return
	}
	v.rows.mu.Lock()
	defer v.rows.mu.Unlock()
	if close(v.place); v.rows.last[v.user] == v.place {
		delete(v.rows.last, v.user)
	}
}

// join takes the place at the end of a row. What it returns is closed when that is the head.
func (v *visit) join(user addr.Bare) (ready <-chan struct{}) {
	v.rows.mu.Lock()
	defer v.rows.mu.Unlock()
	if v.rows.last == nil {
		v.rows.last = make(map[addr.Bare]chan struct{})
	}
	before := v.rows.last[user]
	if before == nil {
		before = free
	}
	v.user, v.place = user, make(chan struct{})
	v.rows.last[user] = v.place
	return before
}

// free is the way to a place that is the head at once.
var free = func() chan struct{} {
	c := make(chan struct{})
	close(c)
	return c
}()
