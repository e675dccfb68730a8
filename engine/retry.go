package engine

import (
	"errors"
	"math/rand/v2"
	"time"
)

const (
	// maxRetry is the longest pause between two tries.
	maxRetry = 5 * time.Minute
	// maxRetryAfter is how long a backend may ask us to leave it alone (Retry-After, RFC 9110 §10.2.3).
	maxRetryAfter = time.Hour
)

// patient tells whether who asks is content with any fetch that is under way, and with a roster that is fresh.
func (r Reason) patient() bool { return r == ReasonLogin || r == ReasonRetry }

// again has a fetch that failed tried once more after a while, so that who is online during an outage comes by
// the roster when it is over without doing anything. Pauses are spread by chance: an outage ends for everybody at
// once, and the backend should not have everybody back at once. Under the user's lock.
func (e *Engine) again(u *user, err error) {
	first := u.host.conf().Retry
	if first < 0 {
		return
	}
	var temporary *TemporaryError
	var open *openError
	var wait time.Duration
	switch {
	case errors.As(err, &open): // the backend was not asked: no failure of this user's
		wait = u.host.breaker.comeBack()
	case errors.As(err, &temporary) && temporary.RetryAfter > 0:
		asked := min(temporary.RetryAfter, maxRetryAfter)
		wait = max(asked+rand.N(asked/4+1), pause(first, int(u.retries)))
		u.retries++
	default:
		wait = pause(first, int(u.retries))
		u.retries++
	}
	e.retryIn(u, wait)
}

// retryIn sets the time of the next try. Under the user's lock.
func (e *Engine) retryIn(u *user, wait time.Duration) {
	if u.gone() || u.host.removed.Load() || u.host.conf().Retry < 0 {
		return
	}
	u.calm()
	u.retry = &try{time.Now().Add(wait), time.AfterFunc(wait, func() { e.ask(u, ReasonRetry) })}
}

// pause is how long to wait after so many failures before.
func pause(first time.Duration, failures int) time.Duration {
	p := min(first<<min(failures, 16), maxRetry)
	return p/2 + rand.N(p)
}

// calm takes the next try back. Under the user's lock.
func (u *user) calm() {
	if u.retry != nil {
		u.retry.timer.Stop()
		u.retry = nil
	}
}

// try is one that will be made.
type try struct {
	when  time.Time
	timer *time.Timer
}

// at is when it is, zero if there is none.
func (t *try) at() time.Time {
	if t == nil {
		return time.Time{}
	}
	return t.when
}
