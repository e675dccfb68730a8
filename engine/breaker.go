package engine

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"rosterd/engine/addr"
)

// breaker keeps a host's backend from being asked while it only fails. After so many faults in a row it opens, and
// calls fail at once. After a pause one call is let through to probe; while probes fail the pauses grow. The first
// call that the backend answers closes it.
type breaker struct {
	host string

	mu      sync.Mutex // guards the fields below
	limit   int        // faults in a row that open it; 0: it never opens
	faults  int        // in a row
	first   addr.Bare  // whose call was the first of them
	several bool       // and not only his
	last    error

	open    bool
	since   time.Time
	until   time.Time     // then a call may probe
	sign    time.Time     // then a refresh may, which is a sign of life
	probing chan struct{} // closed when the probe has ended; nil: there is none
	probes  int           // that failed
	refused int           // who was told to come back after until
}

const (
	firstPause = 5 * time.Second
	lastPause  = 5 * time.Minute
	// signPause is between two probes of refreshes.
	signPause = 250 * time.Millisecond
	// returnGap is between two users who come back once the breaker may close: a hundred a second.
	returnGap = 10 * time.Millisecond
	// lastReturn is how long after that they are spread at most.
	lastReturn = 5 * time.Minute
)

// BreakerState is how a host's backend has fared of late.
type BreakerState struct {
	Open      bool
	Faults    int       // in a row
	Since     time.Time // when it opened
	Until     time.Time // when the backend is asked next
	Probing   bool      // it is being asked
	LastError error
}

// openError is what calls end with while the breaker is open.
type openError struct {
	host  string
	since time.Time
	last  error
}

func (e *openError) Error() string {
	return fmt.Sprintf("the backend of %s is not asked since %s: last error: %v", e.host, e.since.UTC().Format(time.RFC3339), e.last)
}

// attempt is a call that the breaker has let through.
type attempt struct {
	b     *breaker
	user  addr.Bare
	probe bool
	ended bool // guarded by the breaker's lock
}

// refuses tells why a call would not be let through now, and what probe there is to wait for.
func (b *breaker) refuses(why Reason) (probe <-chan struct{}, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.verdict(why)
}

// verdict is refuses under the lock.
func (b *breaker) verdict(why Reason) (probe <-chan struct{}, err error) {
	if !b.open {
		return nil, nil
	}
	now := time.Now()
	if b.probing == nil && (!now.Before(b.until) || why == ReasonRefresh && !now.Before(b.sign)) {
		return nil, nil
	}
	return b.probing, &TemporaryError{RetryAfter: max(0, b.until.Sub(now)), Err: &openError{b.host, b.since, b.last}}
}

// begin lets a call through, as a probe if the breaker is open.
func (b *breaker) begin(u addr.Bare, why Reason) (try *attempt, probe <-chan struct{}, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if probe, err = b.verdict(why); err != nil {
		return nil, probe, err
	}
	if b.open {
		b.probing = make(chan struct{})
		b.wait(firstPause) // for whoever comes meanwhile
	}
	return &attempt{b: b, user: u, probe: b.open}, nil, nil
}

// wait sets the time of the next probe. Under the lock.
func (b *breaker) wait(pause time.Duration) {
	now := time.Now()
	b.until, b.sign, b.refused = now.Add(pause), now.Add(signPause), 0
}

// change is what the end of a call did to the breaker.
type change uint8

const (
	none change = iota
	tripped
	healed
)

// end counts the outcome of a call, once.
func (a *attempt) end(err error) change {
	b := a.b
	b.mu.Lock()
	defer b.mu.Unlock()
	if a.ended {
		return none
	}
	a.ended = true
	if a.probe && b.probing != nil {
		close(b.probing)
		b.probing = nil
	}
	switch {
	case !blames(err):
		return b.heal()
	case b.open:
		b.last = err
		if a.probe {
			b.probes++
			b.wait(b.pause())
		}
		return none
	}
	return b.blame(a.user, err)
}

// heal forgets all faults. Under the lock.
func (b *breaker) heal() change {
	c := none
	if b.open {
		c = healed
	}
	b.faults, b.several, b.last = 0, false, nil
	b.open, b.probes = false, 0
	return c
}

// blame counts a fault. Those of one user alone do not open the breaker, however many: the roster of one that the
// backend always fails for must not keep the others from theirs. Under the lock.
func (b *breaker) blame(u addr.Bare, err error) change {
	if b.faults == 0 {
		b.first = u
	}
	b.faults++
	b.several = b.several || b.first != u
	b.last = err
	if b.limit == 0 || b.faults < b.limit || !b.several && b.limit > 1 {
		return none
	}
	b.open, b.since, b.probes = true, time.Now(), 0
	b.wait(b.pause())
	return tripped
}

// pause grows with the probes that failed, is spread by chance, and is at least what the backend asks for. Under the
// lock.
func (b *breaker) pause() time.Duration {
	p := min(firstPause<<min(b.probes, 16), lastPause)
	p = p*3/4 + rand.N(p/2)
	if t := (*TemporaryError)(nil); errors.As(b.last, &t) {
		p = max(p, t.RetryAfter)
	}
	return min(p, lastPause)
}

// comeBack is how long somebody who was refused had better wait: until after the next probe, one behind the other.
func (b *breaker) comeBack() time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	behind := returnGap * time.Duration(b.refused) % lastReturn
	b.refused++
	return max(0, time.Until(b.until)) + behind + rand.N(time.Second)
}

// set takes another limit; another backend begins with a clean record.
func (b *breaker) set(limit int, other bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.limit = max(0, limit)
	if other || b.limit == 0 {
		b.heal()
	}
}

func (b *breaker) state() BreakerState {
	b.mu.Lock()
	defer b.mu.Unlock()
	s := BreakerState{Open: b.open, Faults: b.faults, LastError: b.last}
	if b.open {
		s.Since, s.Until, s.Probing = b.since, b.until, b.probing != nil
	}
	return s
}

// blames tells whether an error speaks of the backend as a whole. An answer about one user does not, nor does a
// plugin's mistake that has nothing to do with time.
func blames(err error) bool {
	var fault *FaultError
	var permanent *PermanentError
	switch {
	case err == nil:
		return false
	case errors.Is(err, context.DeadlineExceeded):
		return true
	case errors.Is(err, ErrUnknownUser), errors.Is(err, ErrDenied), errors.As(err, &permanent):
		return false
	case errors.As(err, &fault):
		return fault.Kind == "deadline" || fault.Kind == "trap"
	}
	return true
}
