package engine

import (
	"math/rand/v2"
	"time"
)

// maxRetry is the longest pause between two tries.
const maxRetry = 5 * time.Minute

// patient tells whether who asks is content with any fetch that is under way, and with a roster that is fresh.
func (r Reason) patient() bool { return r == ReasonLogin || r == ReasonRetry }

// again has a fetch that failed tried once more after a while, so that who is online during an outage comes by
// the roster when it is over without doing anything. Pauses are spread by chance: an outage ends for everybody at
// once, and the backend should not have everybody back at once. Under the user's lock.
func (e *Engine) again(u *user) {
	if u.host.Retry < 0 || u.gone() {
		return
	}
	u.calm()
	u.retry = time.AfterFunc(pause(u.host.Retry, u.retries), func() { e.ask(u, ReasonRetry) })
	u.retries++
}

// pause is how long to wait after so many failures before.
func pause(first time.Duration, failures int) time.Duration {
	p := min(first<<min(failures, 16), maxRetry)
	return p/2 + rand.N(p)
}

// calm takes the next try back. Under the user's lock.
func (u *user) calm() {
	if u.retry != nil {
		u.retry.Stop()
		u.retry = nil
	}
}
