package admission

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// desk is one with a number of places.
func desk(places int, wait time.Duration) *Desk {
	d := new(Desk)
	d.Configure(places, wait)
	return d
}

// story notes who got a place, in which order.
type story struct {
	t    *testing.T
	mu   sync.Mutex
	told []string
}

func (s *story) note(who string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.told = append(s.told, who)
}

func (s *story) want(names ...string) {
	s.t.Helper()
	synctest.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	if !slices.Equal(s.told, names) {
		s.t.Errorf("places went to %q, want %q", s.told, names)
	}
}

func (s *story) enter(who string, v *Visitor) {
	go func() {
		if err := v.Enter(context.Background()); err == nil {
			s.note(who)
		} else {
			s.note(who + ": " + err.Error())
		}
	}()
	synctest.Wait()
}

func (s *story) back(who string, v *Visitor) {
	go func() {
		v.Return(context.Background())
		s.note(who)
	}()
	synctest.Wait()
}

func TestOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, d := &story{t: t}, desk(1, -1)
		first, second, third, fourth := d.Arrive(), d.Arrive(), d.Arrive(), d.Arrive()
		s.enter("first", first)
		s.enter("second", second)
		s.enter("third", third)
		s.want("first")
		first.Listen(false, nil)
		s.want("first", "second")
		s.enter("fourth", fourth)
		s.back("first again", first) // has come before those who wait for the first time
		second.Rest()
		s.want("first", "second", "first again")
		s.back("second again", second)
		first.Leave()
		first.Leave()
		s.want("first", "second", "first again", "second again")
		second.Leave()
		s.want("first", "second", "first again", "second again", "third")
		if c := d.Counts(); c.Waiting != 1 || c.Admitted != 3 {
			t.Errorf("%+v", c)
		}
		third.Leave()
		synctest.Wait()
		fourth.Leave()
	})
}

func TestLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, d := &story{t: t}, desk(1, 4*time.Second)
		holder := d.Arrive()
		s.enter("holder", holder)
		s.enter("patient", d.Arrive())
		time.Sleep(time.Second)
		if d.Breath(false) != 0 {
			t.Error("crowded before a quarter of the time is over")
		}
		s.enter("in time", d.Arrive())
		time.Sleep(time.Second)
		if d.Breath(false) == 0 {
			t.Error("not crowded")
		}
		s.enter("newcomer", d.Arrive())
		s.want("holder", "newcomer: "+ErrLate.Error())
		time.Sleep(2 * time.Second)
		s.want("holder", "newcomer: "+ErrLate.Error(), "patient: "+ErrLate.Error())
		holder.Leave()
		s.want("holder", "newcomer: "+ErrLate.Error(), "patient: "+ErrLate.Error(), "in time")
		if c := d.Counts(); c.Late != 2 || c.Waiting != 0 || c.Waited != 3*time.Second || c.Slowed != breath {
			t.Errorf("%+v", c)
		}
	})
}

// Where each takes a tenth of a second, no more are taken in than have their turn within a second.
func TestPace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := desk(1, 4*time.Second)
		work := func(v *Visitor) {
			if v.Enter(t.Context()) == nil {
				time.Sleep(100 * time.Millisecond)
				v.Leave()
			}
		}
		var taken, late, most int
		for range 1000 { // for ten seconds, ten times as many as can be served
			go work(d.Arrive())
			synctest.Wait()
			if c := d.Counts(); c.Admitted > 50 { // until then it had to learn
				most, late = max(most, c.Waiting), int(c.Late)
			}
			time.Sleep(10 * time.Millisecond)
		}
		time.Sleep(4 * time.Second)
		c := d.Counts()
		taken = int(c.Admitted)
		if taken < 100 || most > 12 || late < 800 || int(c.Late) != late {
			t.Errorf("%d were served, %d waited at a time, %d were told to come back when they came, %d after they had waited", taken, most, late, int(c.Late)-late)
		}
	})
}

func TestOust(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := desk(1, -1)
		var cut []string
		visit := func(name string) *Visitor {
			v := d.Arrive()
			if err := v.Enter(t.Context()); err != nil {
				t.Fatal(err)
			}
			v.Listen(false, func() { cut = append(cut, name) })
			return v
		}
		oust := func() bool {
			f := d.Oust()
			if f != nil {
				f()
			}
			return f != nil
		}
		visit("first")
		second := visit("second")
		visit("third")
		if oust() {
			t.Error("a client was cut that had no time to answer")
		}
		time.Sleep(silence)
		second.Return(t.Context())
		second.Listen(true, func() { cut = append(cut, "second") })
		if d.Breath(true) != 0 {
			t.Error("full, though somebody can give way")
		}
		for oust() {
		}
		if d.Breath(true) == 0 {
			t.Error("not full")
		}
		time.Sleep(pause - silence)
		if oust() {
			t.Error("a client was cut that is only slow")
		}
		time.Sleep(silence)
		if d.Breath(true) != 0 || !oust() {
			t.Error("one that has said something stays for ever")
		}
		if !slices.Equal(cut, []string{"first", "third", "second"}) || d.Counts().Silent != 3 {
			t.Errorf("cut were %q, counted %d", cut, d.Counts().Silent)
		}
	})
}

// Who says something when he was chosen, but is not cut yet, is not let in to be cut then.
func TestOustedDoesNotGoOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := desk(1, -1)
		v := d.Arrive()
		if err := v.Enter(t.Context()); err != nil {
			t.Fatal(err)
		}
		over, wentOn := false, false
		v.Listen(false, func() { over = true })
		time.Sleep(silence)
		cut := d.Oust()
		if cut == nil {
			t.Fatal("nobody is chosen")
		}
		go func() {
			v.Return(t.Context())
			if wentOn = true; !over {
				t.Error("it goes on, and is cut then")
			}
		}()
		synctest.Wait()
		cut()
		synctest.Wait()
		if !wentOn || d.busy != 0 {
			t.Errorf("gone on: %v, places held: %d", wentOn, d.busy)
		}
		v.Listen(true, func() { t.Error("cut twice") })
		time.Sleep(pause)
		if d.Oust() != nil {
			t.Error("chosen twice")
		}
	})
}

func TestEndOfContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := desk(1, time.Hour)
		holder := d.Arrive()
		if err := holder.Enter(t.Context()); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancelCause(t.Context())
		why := errors.New("shutdown")
		inside := &Visitor{desk: d, ready: make(chan struct{}, 1)}
		var err error
		go func() { err = d.Arrive().Enter(ctx) }()
		returned := false
		go func() { inside.Return(ctx); returned = true }()
		synctest.Wait()
		cancel(why)
		synctest.Wait()
		if err != why || !returned {
			t.Errorf("Enter returned %v, Return %v", err, returned)
		}
		inside.Leave() // gives nothing back
		holder.Leave()
		if d.busy != 0 || d.fresh.Len() != 0 || len(d.inside) != 0 {
			t.Errorf("%d places are held, %d and %d wait", d.busy, d.fresh.Len(), len(d.inside))
		}
	})
}

func TestMorePlaces(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, d := &story{t: t}, desk(1, -1)
		for _, who := range []string{"a", "b", "c"} {
			s.enter(who, d.Arrive())
		}
		s.want("a")
		d.Configure(2, -1)
		s.want("a", "b")
		d.Configure(3, -1)
		s.want("a", "b", "c")
	})
}

// Whatever they do, no more have a place than there are, and in the end none.
func TestPlaces(t *testing.T) {
	const places, visitors = 3, 50
	d := desk(places, time.Hour)
	var held atomic.Int32
	work := func() {
		if n := held.Add(1); n > places {
			t.Errorf("%d places are held", n)
		}
		held.Add(-1)
	}
	var all sync.WaitGroup
	for range visitors {
		all.Go(func() {
			v := d.Arrive()
			defer v.Leave()
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			if v.Enter(ctx) != nil {
				return
			}
			for range 50 {
				work()
				if rand.IntN(2) == 0 {
					v.Rest()
				} else {
					v.Listen(false, func() {})
				}
				if rand.IntN(40) == 0 {
					go cancel()
				}
				v.Return(ctx)
				if ctx.Err() != nil {
					return
				}
			}
		})
	}
	all.Wait()
	if d.busy != 0 || d.fresh.Len() != 0 || d.quiet.Len()+d.slow.Len() != 0 || len(d.inside) != 0 {
		t.Errorf("%d places are held, %d, %d and %d are left", d.busy, d.fresh.Len(), d.quiet.Len()+d.slow.Len(), len(d.inside))
	}
}

func TestNobody(t *testing.T) {
	var v *Visitor
	if err := v.Enter(t.Context()); err != nil {
		t.Error(err)
	}
	v.Listen(false, nil)
	v.Return(t.Context())
	v.Rest()
	v.Leave()
}

func BenchmarkVisit(b *testing.B) {
	d := desk(1, 0)
	b.ReportAllocs()
	for b.Loop() {
		v := d.Arrive()
		v.Enter(b.Context())
		for range 4 {
			v.Listen(false, nil)
			v.Return(b.Context())
		}
		v.Leave()
	}
}

// There is a press while somebody has others before him, and for a moment afterwards.
func TestPress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, d := &story{t: t}, desk(1, -1)
		want := func(press bool, when string) {
			t.Helper()
			if d.Press() != press {
				t.Errorf("%s: press %v", when, !press)
			}
		}
		queued := func(want bool, v *Visitor) {
			t.Helper()
			if v.Queued() != want {
				t.Errorf("queued %v", !want)
			}
		}
		want(false, "nobody is there")
		first, second, third := d.Arrive(), d.Arrive(), d.Arrive()
		s.enter("first", first)
		s.enter("second", second)
		want(false, "one waits for who is worked at")
		s.enter("third", third)
		want(true, "one waits for one who waits")
		time.Sleep(calm)
		want(true, "he still does, and nobody has come")
		queued(false, nil)
		queued(false, second)
		queued(true, third)
		for _, v := range []*Visitor{first, second, third} {
			v.Leave()
			synctest.Wait()
		}
		want(false, "a while after they have had their turn")
		fourth, fifth, sixth := d.Arrive(), d.Arrive(), d.Arrive()
		s.enter("fourth", fourth)
		s.enter("fifth", fifth)
		s.enter("sixth", sixth)
		for _, v := range []*Visitor{fourth, fifth, sixth} {
			v.Leave()
			synctest.Wait()
		}
		want(true, "all have just had their turn")
		time.Sleep(calm)
		want(false, "a while later")
	})
}
