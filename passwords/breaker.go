package passwords

import (
	"fmt"
	"time"
)

// breaker keeps a source that only fails from being asked. After so many failures in a row it opens, and questions end
// at once; after a pause one is let through to probe, and while probes fail the pauses grow. Whoever owns it locks.
type breaker struct {
	limit int // failures in a row that open it; negative: it never opens

	faults  int    // in a row
	first   string // who the first of them was about
	several bool   // and not only about him: somebody's strange password is not an outage
	last    error

	open    bool
	until   time.Time // then a question may probe
	pause   time.Duration
	probing bool
	epoch   int // counts openings and closings: what was asked before says nothing after
}

const (
	firstPause = 5 * time.Second
	lastPause  = 2 * time.Minute
)

// change is what an answer did to a breaker.
type change uint8

const (
	none change = iota
	tripped
	closed
)

// attempt is a question that the breaker has let through.
type attempt struct {
	who   string
	probe bool
	epoch int
}

func (b *breaker) begin(who string, now time.Time) (attempt, error) {
	if b.open && (b.probing || now.Before(b.until)) {
		return attempt{}, fmt.Errorf("%w for another %v: %w", ErrUnasked, max(0, b.until.Sub(now)).Round(time.Second), b.last)
	}
	b.probing = b.open
	return attempt{who: who, probe: b.open, epoch: b.epoch}, nil
}

// answered closes it, whatever the answer was.
func (b *breaker) answered(a attempt) change {
	if a.epoch != b.epoch {
		return none
	}
	was := b.open
	*b = breaker{limit: b.limit, epoch: b.epoch}
	if !was {
		return none
	}
	b.epoch++
	return closed
}

// given is for a question that was given up before there was an answer.
func (b *breaker) given(a attempt) {
	if a.probe && a.epoch == b.epoch {
		b.probing = false
	}
}

func (b *breaker) failed(a attempt, err error, now time.Time) change {
	switch {
	case a.epoch != b.epoch:
		return none
	case a.probe:
		b.probing, b.last = false, err
		b.pause = min(2*b.pause, lastPause)
		b.until = now.Add(b.pause)
		return none
	}
	if b.faults == 0 {
		b.first = a.who
	}
	b.several = b.several || b.first != a.who
	b.faults++
	b.last = err
	if b.limit < 0 || b.faults < b.limit || !b.several {
		return none
	}
	b.open, b.pause = true, firstPause
	b.until = now.Add(b.pause)
	b.epoch++
	return tripped
}
