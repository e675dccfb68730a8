// Package admission says whose login the processors work at when everybody comes at once: as many at a time as there
// are processors, and whoever has come first. So those who are let in get through before the next ones begin, what
// is done for users who are there already gets its turn between, and a storm takes as long as its work.
//
// Nobody needs to know how much the machine can do. Before a place is given to somebody who waits, everything is worked
// at that could be worked at by then (see mark): the more there is, the fewer come in.
//
// A place is held while there is something to compute, and given back whenever the client is waited for: who is slow,
// or says nothing, holds none.
package admission

import (
	"container/heap"
	"container/list"
	"context"
	"errors"
	"runtime"
	"sync"
	"time"
)

// DefaultWait is how long somebody waits at most for the first place.
const DefaultWait = 3 * time.Second

const (
	// silence is how long a client may say nothing before others who want to come in are more important: one that has not
	// said anything yet, and one that has.
	silence = time.Second
	pause   = 5 * time.Second
	// breath is what lies between two connections that are taken to be told that there are too many. To tell that
	// costs a tenth of a login or more; those who are not taken yet wait in the kernel for nothing. There is room for 256
	// there (cmd/server), so that the last of them is told after three quarters of a second.
	breath = 3 * time.Millisecond
	// calm is how long nobody has come who had others before him when it is said that there is no press any more.
	calm = time.Second
)

// ErrLate is for who cannot have a place in time: more wait already than can be served.
var ErrLate = errors.New("too many log in at this moment")

// Desk hands out places. The zero Desk has as many as there are processors, and DefaultWait.
type Desk struct {
	mu     sync.Mutex // guards the fields below, and those of all visitors
	places int        // 0: GOMAXPROCS
	wait   time.Duration
	busy   int           // places that are held
	giving bool          // give runs
	last   uint64        // the number of the visitor who came last
	inside turns         // those of them who wait for a place again
	fresh  list.List     // of visitors who wait for the first one
	quiet  list.List     // of visitors whose clients are waited for and have not said anything yet, the longest first
	slow   list.List     // of those that have
	pace   time.Duration // between two who are admitted, as those who wait for it see it
	press  time.Time     // when somebody came last who had others before him

	counts Counts

	round round // of the goroutine that gives
}

// Counts are what a Desk has seen.
type Counts struct {
	Waiting int // who wait for their first place now

	// Since the start:
	Admitted int64         // who have got one
	Waited   time.Duration // for it, all of them together
	Late     int64         // who were told to come back, because others had been waiting for too long
	Silent   int64         // whose clients said nothing while others wanted to come in
	Slowed   time.Duration // that Breath has asked for, all together
}

// Configure sets the places, 0 for as many as processors, and how long somebody waits for the first one, 0 for
// DefaultWait, negative for as long as it takes. It may be called at any time.
func (d *Desk) Configure(places int, wait time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.places, d.wait = places, wait
	d.call()
}

// Counts are those until now.
func (d *Desk) Counts() Counts {
	d.mu.Lock()
	defer d.mu.Unlock()
	c := d.counts
	c.Waiting = d.fresh.Len()
	return c
}

// Breath is what to wait before somebody else is taken in who would only be told that there are too many; full says
// that this is so for another reason than the places. It is counted as Slowed.
func (d *Desk) Breath(full bool) time.Duration {
	d.mu.Lock()
	defer d.mu.Unlock()
	if full && d.longestQuiet(time.Now()) == nil || d.crowded(time.Now()) {
		d.counts.Slowed += breath
		return breath
	}
	return 0
}

// Press tells whether somebody has others before him, or came lately and had: some of those who come now have waited for so
// long that they have left.
func (d *Desk) Press() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.fresh.Len() > 1 || !d.press.IsZero() && time.Since(d.press) < calm
}

// Oust chooses a client that has said nothing for a while, and takes leave of it: it is to be cut, once. It is nil if
// there is none. Should it say something before that, it does not go on until it is cut: it might be logged in by then.
func (d *Desk) Oust() (cut func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	v := d.longestQuiet(time.Now())
	if v == nil {
		return nil
	}
	d.counts.Silent++
	v.forget()
	abort, out := v.cut, make(chan struct{})
	v.out = out
	return func() {
		abort()
		close(out)
	}
}

func (d *Desk) longestQuiet(now time.Time) *Visitor {
	for _, of := range []struct {
		l    *list.List
		most time.Duration
	}{{&d.quiet, silence}, {&d.slow, pause}} {
		if first := of.l.Front(); first != nil && now.Sub(first.Value.(*Visitor).since) >= of.most {
			return first.Value.(*Visitor)
		}
	}
	return nil
}

// crowded tells that who comes now would have to wait for more than a quarter of the time: the first in the queue has
// done so already, or there are as many as that, at the pace of late. Nobody knows how long a client has waited before
// it was accepted, and the pace may change: so who is taken in has time in hand, and does not give up when it is his turn.
func (d *Desk) crowded(now time.Time) bool {
	first, most := d.fresh.Front(), d.patience()/4
	return first != nil && most > 0 && (now.Sub(first.Value.(*Visitor).since) > most || d.pace*time.Duration(d.fresh.Len()) > most)
}

func (d *Desk) patience() time.Duration {
	if d.wait == 0 {
		return DefaultWait
	}
	return d.wait
}

// call has places given to those who wait, if there are places.
func (d *Desk) call() {
	if !d.giving && d.needed() {
		d.giving = true
		go d.give()
	}
}

// needed tells whether somebody waits for a place that is there.
func (d *Desk) needed() bool {
	return d.busy < d.most() && len(d.inside)+d.fresh.Len() > 0
}

func (d *Desk) most() int {
	if d.places > 0 {
		return d.places
	}
	return runtime.GOMAXPROCS(0)
}

// give gives the places that are free, once everything else that waits for a processor has had one, and does so again
// while that is needed.
func (d *Desk) give() {
	for {
		d.round.mark()
		d.mu.Lock()
		for range d.most() {
			if d.needed() {
				d.serve()
			}
		}
		if !d.needed() {
			d.giving = false
			d.mu.Unlock()
			return
		}
		d.mu.Unlock()
	}
}

// serve gives a place to who was inside first, else to who has waited longest.
func (d *Desk) serve() {
	var v *Visitor
	if len(d.inside) > 0 {
		v = heap.Pop(&d.inside).(*Visitor)
	} else {
		v = d.fresh.Front().Value.(*Visitor)
		v.forget()
		d.admit(v)
	}
	d.busy++
	v.state = holding
	v.ready <- struct{}{}
}

func (d *Desk) admit(v *Visitor) {
	d.counts.Admitted++
	waited := time.Since(v.since)
	d.counts.Waited += waited
	d.pace += (waited/time.Duration(v.ahead+1) - d.pace) / 8
}

// Visitor is a client on its way to being logged in. One goroutine at a time uses it. A nil Visitor has all the places
// it wants.
type Visitor struct {
	desk   *Desk
	number uint64
	ready  chan struct{} // has one in it when a place was given that was waited for

	admitted bool // before, with the same number

	// Guarded by the desk's lock:
	state state
	since time.Time     // arrival; or when the client began to be waited for
	in    *list.List    // which of the desk's lists this visitor is in, nil if in none
	at    *list.Element // where in that
	index int           // in the desk's turns
	ahead int           // how many waited for their first place before; set by Enter alone
	cut   func()
	out   chan struct{} // closed when who was ousted is cut; nil of others
}

type state int

const (
	away    state = iota // without a place, and wants none
	waiting              // for one
	holding
)

// Arrive is called when a client comes.
func (d *Desk) Arrive() *Visitor {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.last++
	return &Visitor{desk: d, number: d.last, ready: make(chan struct{}, 1), since: time.Now()}
}

// Enter waits for the first place. The error is ErrLate or the context's.
func (v *Visitor) Enter(ctx context.Context) error {
	if v == nil {
		return nil
	}
	if v.admitted {
		v.Return(ctx)
		return context.Cause(ctx)
	}
	d := v.desk
	d.mu.Lock()
	now := time.Now()
	if v.ahead = d.fresh.Len(); v.ahead > 0 {
		d.press = now
	}
	if d.crowded(now) {
		d.counts.Late++
		d.mu.Unlock()
		return ErrLate
	}
	v.state = waiting
	v.list(&d.fresh)
	d.call()
	over := d.patience()
	d.mu.Unlock()
	var late <-chan time.Time
	if over > 0 {
		t := time.NewTimer(over)
		defer t.Stop()
		late = t.C
	}
	select {
	case <-v.ready:
		return nil
	case <-late:
	case <-ctx.Done():
	}
	if v.withdraw() {
		return nil
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.counts.Late++
	return ErrLate
}

// Queued tells whether the visitor had others before it when it entered.
func (v *Visitor) Queued() bool { return v != nil && v.ahead > 0 }

// withdraw ends the waiting. It is true if there is a place after all.
func (v *Visitor) withdraw() bool {
	d := v.desk
	d.mu.Lock()
	defer d.mu.Unlock()
	if v.state == holding {
		<-v.ready
		return true
	}
	v.state = away
	if v.in != nil {
		v.forget()
	} else {
		heap.Remove(&d.inside, v.index)
	}
	return false
}

// Rest gives the place back, if there is one, while something else is waited for than the client.
func (v *Visitor) Rest() {
	if v == nil {
		return
	}
	v.desk.mu.Lock()
	defer v.desk.mu.Unlock()
	v.rest()
}

func (v *Visitor) rest() {
	if v.state == holding {
		v.state = away
		v.desk.busy--
		v.desk.call()
	}
}

// Listen gives the place back while the client is waited for, which has been heard of before or has not. If that takes
// long, the client may have to make room for others: cut is called then, by whoever they are, and nothing else is done
// for it.
func (v *Visitor) Listen(heard bool, cut func()) {
	if v == nil {
		return
	}
	v.desk.mu.Lock()
	defer v.desk.mu.Unlock()
	v.rest()
	if v.in == nil && v.out == nil {
		v.cut, v.since = cut, time.Now()
		if heard {
			v.list(&v.desk.slow)
		} else {
			v.list(&v.desk.quiet)
		}
	}
}

// Return waits for a place after Rest or Listen. When ctx ends, or the client was cut, there is none, and no need of one:
// the login is over.
func (v *Visitor) Return(ctx context.Context) {
	if v == nil {
		return
	}
	d := v.desk
	d.mu.Lock()
	v.forget()
	if out := v.out; out != nil {
		d.mu.Unlock()
		select {
		case <-out:
		case <-ctx.Done():
		}
		return
	}
	if v.state == holding {
		d.mu.Unlock()
		return
	}
	if len(d.inside) == 0 && d.busy < d.most() {
		d.busy++
		v.state = holding
		d.mu.Unlock()
		return
	}
	v.state = waiting
	heap.Push(&d.inside, v)
	d.call()
	d.mu.Unlock()
	select {
	case <-v.ready:
	case <-ctx.Done():
		v.withdraw()
	}
}

// Leave gives up everything. It may be called more than once.
func (v *Visitor) Leave() {
	if v == nil {
		return
	}
	v.desk.mu.Lock()
	defer v.desk.mu.Unlock()
	v.forget()
	v.rest()
}

func (v *Visitor) list(l *list.List) { v.in, v.at = l, l.PushBack(v) }

// forget takes the visitor off the list it is in.
func (v *Visitor) forget() {
	if v.in != nil {
		v.in.Remove(v.at)
		v.in, v.at = nil, nil
	}
}

// turns are visitors, the first to arrive first.
type turns []*Visitor

func (t turns) Len() int           { return len(t) }
func (t turns) Less(i, j int) bool { return t[i].number < t[j].number }
func (t turns) Swap(i, j int) {
	t[i], t[j] = t[j], t[i]
	t[i].index, t[j].index = i, j
}

func (t *turns) Push(x any) {
	v := x.(*Visitor)
	v.index = len(*t)
	*t = append(*t, v)
}

func (t *turns) Pop() any {
	old := *t
	v := old[len(old)-1]
	old[len(old)-1] = nil
	*t = old[:len(old)-1]
	return v
}
