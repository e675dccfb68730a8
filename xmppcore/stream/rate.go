package stream

import (
	"sync"
	"time"
)

// Rate slows the reading of a stream down to a number of bytes a second, some
// of which may have been saved up. nil does not.
type Rate struct {
	perSecond float64
	most      float64 // that can be saved up
	saved     float64 // negative: to be waited for
	at        time.Time

	once sync.Once
	off  chan struct{} // closed when nobody is to wait any longer
}

// NewRate is what l says of a client's rate. Its defaults must be filled in.
func NewRate(l *Limits) *Rate { return newRate(l.Rate, l.Burst) }

func newRate(perSecond int, burst time.Duration) *Rate {
	if perSecond >= countless {
		return nil
	}
	most := float64(perSecond) * burst.Seconds()
	return &Rate{perSecond: float64(perSecond), most: most, saved: most, at: time.Now(), off: make(chan struct{})}
}

// spend takes n bytes and returns how long to wait before the next.
func (r *Rate) spend(n int, now time.Time) time.Duration {
	r.saved = min(r.most, r.saved+r.perSecond*now.Sub(r.at).Seconds()) - float64(n)
	r.at = now
	if r.saved >= 0 {
		return 0
	}
	return time.Duration(-r.saved / r.perSecond * float64(time.Second))
}

// Pause spends n bytes and waits until they are paid for, or until Lift. One
// goroutine at a time.
func (r *Rate) Pause(n int) {
	if r == nil {
		return
	}
	d := r.spend(n, time.Now())
	if d == 0 {
		return
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-r.off:
	}
}

// Lift ends all waiting.
func (r *Rate) Lift() {
	if r != nil {
		r.once.Do(func() { close(r.off) })
	}
}
