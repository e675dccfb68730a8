package auth

import (
	"cmp"
	"context"
	"errors"
	"hash/maphash"
	"log/slog"
	"net/netip"
	"sync"
	"time"

	"rosterd/engine/addr"
)

// FailureLimits say how many wrong passwords there may be. Zero fields mean the defaults.
type FailureLimits struct {
	PerAccount int           // for one account in Period; default 10
	PerAddress int           // from one address in Period, whatever the account; default 50
	Period     time.Duration // default one minute
}

// Throttle slows down those who guess passwords, and nobody else if it can be helped: only wrong passwords count, and
// nobody can lock somebody out of where he has logged in before.
//
//   - An address (IPv6: a /64) that was wrong too often is refused at once, before its password is looked at.
//   - An account whose password was guessed at too often, by whomever, lets no more than its share of further
//     attempts be checked. Whoever was wrong himself is refused; an address that was not waits for its turn.
//   - Where an account has logged in before, its attempts are counted for that address and account alone. What others
//     do to the address or to the account is not felt there.
//
// One Throttle serves all hosts. Nil is one without limits.
type Throttle struct {
	log *slog.Logger

	mu      sync.Mutex // guards the fields below
	limits  FailureLimits
	buckets recent[place, *bucket]
	good    recent[place, struct{}] // where somebody has logged in
	stats   ThrottleStats
}

// ThrottleStats count since the start, for metrics.
type ThrottleStats struct {
	Failures       uint64 // wrong passwords, and names of nobody
	RefusedAddress uint64 // attempts that were refused because of the address
	RefusedAccount uint64 // because of the account
	Delayed        uint64 // attempts that had to wait for their turn
}

// A place is where failures are counted: an address, an account, or an account at an address.
type place struct {
	user uint64 // a hash, because names may be long; 0 is any
	from netip.Addr
}

var seed = maphash.MakeSeed()

func placeOf(user addr.Bare, from netip.Addr) place {
	return place{maphash.String(seed, user.String()) | 1, network(from)}
}

// A bucket is full of failures that may still happen. It fills with time.
type bucket struct {
	full  time.Time // when it will be full again
	wrong time.Time // the last failure
	said  bool      // that it is empty, since it was full
}

const (
	// patience is how long an attempt may have to wait for its turn. It is less than clients have for logging in.
	patience = 8 * time.Second
	// remembered places, times two: 16 MB or so at the most.
	remembered = 1 << 15
)

// NewThrottle makes a Throttle. It logs when a limit is reached; nil means slog.Default.
func NewThrottle(l FailureLimits, log *slog.Logger) *Throttle {
	t := &Throttle{log: log}
	if log == nil {
		t.log = slog.Default()
	}
	t.buckets.most, t.good.most = remembered, remembered
	t.Limit(l)
	return t
}

// Limit changes the limits. What was counted stays.
func (t *Throttle) Limit(l FailureLimits) {
	l.PerAccount, l.PerAddress = cmp.Or(l.PerAccount, 10), cmp.Or(l.PerAddress, 50)
	l.Period = cmp.Or(l.Period, time.Minute)
	t.mu.Lock()
	defer t.mu.Unlock()
	t.limits = l
}

// Stats returns the counts until now.
func (t *Throttle) Stats() ThrottleStats {
	if t == nil {
		return ThrottleStats{}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.stats
}

var (
	errAddressThrottled = errors.New("too many failed logins from this address")
	errAccountThrottled = errors.New("too many failed logins of this account")
)

// barred is the error for an address that has to wait. It spares the work that comes before the password.
func (t *Throttle) barred(user addr.Bare, from netip.Addr) error {
	if t == nil {
		return nil
	}
	at := placeOf(user, from)
	t.mu.Lock()
	v := t.atDoor(at, time.Now())
	t.mu.Unlock()
	return t.report(user, v)
}

// admit lets a password be checked, after a while if need be. The attempt must be ended. The error is an *Error.
func (t *Throttle) admit(ctx context.Context, user addr.Bare, from netip.Addr) (*attempt, error) {
	if t == nil {
		return nil, nil
	}
	at := placeOf(user, from)
	v := t.judge(ctx, at)
	if err := t.report(user, v); err != nil {
		return nil, err
	}
	a := &attempt{throttle: t, at: at, own: v.own, charged: v.charged}
	if v.wait == 0 {
		return a, nil
	}
	turn := time.NewTimer(v.wait)
	defer turn.Stop()
	select {
	case <-turn.C:
		return a, nil
	case <-ctx.Done():
		err := &Error{Condition: TemporaryAuthFailure, User: user, Err: ctx.Err()}
		a.end(err)
		return nil, err
	}
}

// A verdict is what becomes of an attempt.
type verdict struct {
	own     *bucket // of the account at the address
	charged []charge
	wait    time.Duration
	limit   place // that was reached; zero if none was
	first   bool  // for the first time since it was not
	refused error
}

// charge is what an attempt takes out of a bucket at once, so that many at a time are not one.
type charge struct {
	of     place
	bucket *bucket
	step   time.Duration
}

// judge decides, and charges an attempt that may go on.
func (t *Throttle) judge(ctx context.Context, at place) verdict {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := time.Now()
	if v := t.atDoor(at, now); v.refused != nil {
		return v
	}
	step, gate := t.limits.Period/time.Duration(t.limits.PerAccount), at
	if !t.isGood(at) {
		gate = place{user: at.user}
	}
	b := t.bucket(gate, now)
	v := verdict{own: t.bucket(at, now), charged: []charge{{gate, b, step}}}
	if v.wait = b.wait(now, step, t.limits.Period); v.wait > 0 {
		v.limit, v.first = gate, b.say()
		himself := at != gate && now.Sub(v.own.wrong) < t.limits.Period
		if himself || endless(ctx, v.wait, step, now) {
			v.refused = errAccountThrottled
			t.stats.RefusedAccount++
			return v
		}
		t.stats.Delayed++
		v.wait = min(v.wait, patience)
	}
	if gate != at {
		address := place{from: at.from}
		v.charged = append(v.charged, charge{at, v.own, step}, charge{address, t.bucket(address, now), t.addressStep()})
	}
	for _, c := range v.charged {
		c.bucket.take(now, c.step)
	}
	return v
}

// endless tells that there is no use in waiting: another waits already and would have to go on for ever if there were
// always one more, or the client has no time.
func endless(ctx context.Context, wait, step time.Duration, now time.Time) bool {
	deadline, bounded := ctx.Deadline()
	return wait > max(step, patience) || bounded && deadline.Before(now.Add(min(wait, patience)))
}

// atDoor refuses an address that has to wait.
func (t *Throttle) atDoor(at place, now time.Time) (v verdict) {
	if !at.from.IsValid() || t.isGood(at) {
		return v
	}
	b := t.bucket(place{from: at.from}, now)
	if b.wait(now, t.addressStep(), t.limits.Period) == 0 {
		return v
	}
	t.stats.RefusedAddress++
	return verdict{limit: place{from: at.from}, first: b.say(), refused: errAddressThrottled}
}

func (t *Throttle) addressStep() time.Duration {
	return t.limits.Period / time.Duration(t.limits.PerAddress)
}

func (t *Throttle) isGood(at place) bool {
	_, good := t.good.get(at)
	return good
}

func (t *Throttle) bucket(p place, now time.Time) *bucket {
	b, ok := t.buckets.get(p)
	if !ok {
		b = new(bucket)
		t.buckets.put(p, b)
	}
	b.said = b.said && b.full.After(now)
	return b
}

// report logs a limit that was reached, once, and makes the error.
func (t *Throttle) report(user addr.Bare, v verdict) error {
	if v.first {
		var where []any
		if v.limit.from.IsValid() {
			where = append(where, "address", spelled(v.limit.from))
		}
		if v.limit.user != 0 {
			where = append(where, "user", user.String())
		}
		t.log.Warn("too many failed logins", where...)
	}
	if v.refused == nil {
		return nil
	}
	return &Error{Condition: TemporaryAuthFailure, User: user, Err: v.refused}
}

// attempt is a password that is being checked.
type attempt struct {
	throttle *Throttle
	at       place
	own      *bucket
	charged  []charge
}

// end takes the outcome. Whatever was not a wrong password costs nothing.
func (a *attempt) end(err error) {
	if a == nil {
		return
	}
	t := a.throttle
	t.mu.Lock()
	defer t.mu.Unlock()
	if e, ok := errors.AsType[*Error](err); ok && e.Condition == NotAuthorized {
		t.stats.Failures++
		a.own.wrong = time.Now()
		return
	}
	now := time.Now()
	for _, c := range a.charged {
		t.giveBack(c, now)
	}
	if err == nil && a.at.from.IsValid() {
		t.good.put(a.at, struct{}{})
	}
}

// giveBack undoes a charge, with the lock held.
func (t *Throttle) giveBack(c charge, now time.Time) {
	if c.bucket.full = c.bucket.full.Add(-c.step); c.bucket.untouched(now) {
		t.buckets.drop(c.of) // most users never get a password wrong
	}
}

// A deposit is what an address leaves for an exchange that costs a derivation before there is a proof. Who only begins
// such exchanges is one who is wrong.
type deposit struct {
	throttle *Throttle
	charge   charge
}

func (t *Throttle) deposit(user addr.Bare, from netip.Addr) *deposit {
	if t == nil {
		return nil
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	at, now := placeOf(user, from), time.Now()
	if !at.from.IsValid() || t.isGood(at) {
		return nil
	}
	address := place{from: at.from}
	d := &deposit{t, charge{address, t.bucket(address, now), t.addressStep()}}
	d.charge.bucket.take(now, d.charge.step)
	return d
}

// back returns it to who goes on.
func (d *deposit) back() {
	if d == nil {
		return
	}
	d.throttle.mu.Lock()
	defer d.throttle.mu.Unlock()
	d.throttle.giveBack(d.charge, time.Now())
}

// wait is how long it takes until one more failure is one of those allowed in a period.
func (b *bucket) wait(now time.Time, step, period time.Duration) time.Duration {
	return max(0, max(0, b.full.Sub(now))+step-period)
}

func (b *bucket) take(now time.Time, step time.Duration) {
	if b.full.Before(now) {
		b.full = now
	}
	b.full = b.full.Add(step)
}

// untouched tells whether the bucket is what a new one would be. Nobody has taken anything out of it then, so nobody
// is going to change it.
func (b *bucket) untouched(now time.Time) bool {
	return !b.full.After(now) && b.wrong.IsZero() && !b.said
}

// say is true once until the bucket is full again.
func (b *bucket) say() bool {
	first := !b.said
	b.said = true
	return first
}

// network is what failures are counted under: the hosts of an IPv6 network are one.
func network(a netip.Addr) netip.Addr {
	a = a.Unmap().WithZone("")
	if a.Is6() {
		return netip.PrefixFrom(a, 64).Masked().Addr()
	}
	return a
}

func spelled(a netip.Addr) string {
	if a.Is6() {
		return netip.PrefixFrom(a, 64).String()
	}
	return a.String()
}
