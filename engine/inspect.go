package engine

import (
	"context"
	"errors"
	"slices"
	"time"

	"rosterd/engine/addr"
	"rosterd/engine/roster"
)

// Fetched is what became of one fetch, for metrics.
type Fetched struct {
	Host    string
	Reason  Reason
	Took    time.Duration // with the wait for a place
	Err     error         // nil if the roster was had
	Kind    Kind
	Dropped int // contacts left out
	Changes int // contacts added, changed or removed
}

// Kind sorts what becomes of fetches.
type Kind string

// The kinds.
const (
	KindOK          Kind = "ok"
	KindUnchanged   Kind = "unchanged"    // the backend said that the revision we hold is still good
	KindTemporary   Kind = "temporary"    // TemporaryError, or any other error
	KindPermanent   Kind = "permanent"    // PermanentError
	KindDenied      Kind = "denied"       // ErrDenied
	KindUnknownUser Kind = "unknown-user" // ErrUnknownUser, also where an empty roster was made of it
	KindFault       Kind = "fault"        // FaultError
	KindTimeout     Kind = "timeout"      // no answer in time
	KindBreaker     Kind = "breaker"      // the backend was not asked
	KindHeld        Kind = "held"         // the shrink guard holds the answer
)

// Kinds are all of them.
var Kinds = []Kind{KindOK, KindUnchanged, KindTemporary, KindPermanent, KindDenied, KindUnknownUser, KindFault, KindTimeout, KindBreaker, KindHeld}

// Observer is called after every fetch whose user is still there, from many goroutines at once. It must not wait.
type Observer func(Fetched)

// Observe sets who is told of fetches, before the first Attach.
func (e *Engine) Observe(o Observer) { e.observe = o }

func (e *Engine) observed(u *user, f *flight, ans Answer, cause error, took time.Duration) {
	if e.observe == nil {
		return
	}
	kind := kindOf(cause)
	if kind == KindOK && ans.Unchanged {
		kind = KindUnchanged
	}
	e.observe(Fetched{Host: u.addr.Domain(), Reason: f.reason, Took: took, Err: f.err, Kind: kind, Dropped: len(ans.Dropped), Changes: len(f.change)})
}

func kindOf(err error) Kind {
	var open *openError
	var held *HeldError
	var permanent *PermanentError
	var fault *FaultError
	switch {
	case err == nil:
		return KindOK
	case errors.As(err, &held):
		return KindHeld
	case errors.As(err, &open):
		return KindBreaker
	case errors.Is(err, context.DeadlineExceeded):
		return KindTimeout
	case errors.Is(err, ErrUnknownUser):
		return KindUnknownUser
	case errors.Is(err, ErrDenied):
		return KindDenied
	case errors.As(err, &permanent):
		return KindPermanent
	case errors.As(err, &fault):
		return KindFault
	}
	return KindTemporary
}

// notes are what only an operator asks for. Most users have none.
type notes struct {
	lastErr error
	failed  time.Time
	bad     []roster.BadItem // of the last answer, the first of them
	more    int              // how many there were beside those
}

// mostNoted is how many contacts that were left out are remembered for a user.
const mostNoted = 20

// note changes the notes, making them if need be. Under the user's lock.
func (u *user) note(change func(*notes)) {
	n := u.notes
	if n == nil {
		n = &notes{}
	}
	if change(n); n.lastErr != nil || len(n.bad) > 0 {
		u.notes = n
	} else {
		u.notes = nil
	}
}

// dropped notes what a good answer left out. One that says that nothing changed leaves out what the last one did.
func (n *notes) dropped(ans Answer) {
	if !ans.Unchanged {
		n.bad = slices.Clone(ans.Dropped[:min(len(ans.Dropped), mostNoted)])
		n.more = len(ans.Dropped) - len(n.bad)
	}
}

// Inspection is what is known of one user's roster and where it comes from.
type Inspection struct {
	User       addr.Bare
	Resources  int    // that are online
	State      string // "fresh", "stale": the last good one, since something failed; "absent": none is served; "offline"
	Fetching   bool   // a fetch is under way
	Roster     roster.Roster
	Own        *Owned // which of it is whose, where the users of the host have contacts of their own beside the managed ones
	Rev        string
	Fetched    time.Time // when the backend last said what Roster holds; zero: never
	FreshUntil time.Time // a login until then needs no fetch; zero: every first login fetches
	ServeUntil time.Time // the last good roster is served until then when the backend fails; zero: without limit
	Kept       bool      // it outlives the session: a keeper has it, or it is where its user edits it

	LastError error // zero if nothing has failed since the user came online
	FailedAt  time.Time
	NextTry   time.Time // zero: none is due

	Dropped     []roster.BadItem // contacts that the last answer named and that could not be used; the first of them
	DroppedMore int              // how many there were beside those
	Held        *Held            // an answer that the shrink guard holds back

	Breaker BreakerState // of the host
}

// Owned is what a user keeps beside what the backend supplies.
type Owned struct {
	Contacts roster.Roster // of the roster
	Hidden   roster.Roster // by those that the backend has too; they are back when it no longer does
}

// owned sorts what is a user's own. It is nil where nobody has any.
func (e *Engine) owned(h *host, user addr.Bare, managed roster.Roster) *Owned {
	if h.conf().Own == nil {
		return nil
	}
	own, err := h.conf().own(e.ctx, user)
	if err != nil {
		e.log.Error("reading the contacts of a user's own", "user", user, "error", err)
		return &Owned{}
	}
	var shown, hidden []roster.Item
	for i := range own.All() {
		if _, both := managed.Get(i.JID); both {
			hidden = append(hidden, i)
		} else {
			shown = append(shown, i)
		}
	}
	o := &Owned{}
	o.Contacts, _ = roster.New(user, shown...)
	o.Hidden, _ = roster.New(user, hidden...)
	return o
}

// Inspect looks at a user, online or not. It is false if the host is not served, or nothing is known of the user. Who
// edits his roster has it where it is kept: that is read if he is offline.
func (e *Engine) Inspect(user addr.Bare) (Inspection, bool) {
	u := e.find(user)
	if u == nil {
		h := e.host(user.Domain())
		if h == nil {
			return Inspection{}, false
		}
		u = newUser(user, h, nil)
		if h.near() {
			e.read(u)
		} else {
			e.remember(u)
		}
	}
	s := e.shard(user)
	s.mu.Lock()
	n := int(u.attached)
	s.mu.Unlock()
	u.mu.Lock()
	managed := u.managed
	u.mu.Unlock()
	own := e.owned(u.host, user, managed)
	u.mu.Lock()
	defer u.mu.Unlock()
	i := Inspection{
		User: user, Own: own, Resources: n, State: u.state.String(), Fetching: u.running != nil,
		Roster: u.roster, Rev: u.rev, Fetched: u.fetched, FreshUntil: u.terms().FreshUntil, ServeUntil: u.terms().ServeUntil,
		Kept: u.kept || u.host.near(), NextTry: u.retry.at(), Breaker: u.host.breaker.state(),
	}
	if u.held != nil {
		held := *u.held
		i.Held = &held
	}
	if u.notes != nil {
		i.LastError, i.FailedAt = u.notes.lastErr, u.notes.failed
		i.Dropped, i.DroppedMore = slices.Clone(u.notes.bad), u.notes.more
	}
	if n == 0 {
		i.State = "offline"
	}
	if own != nil && u.fetched.IsZero() && u.state == absent { // what is known of the roster
		i.Roster = own.Contacts
	}
	return i, n > 0 || !u.fetched.IsZero() || i.LastError != nil || i.Roster.Len() > 0
}

// read asks the backend for the roster of somebody who is offline.
func (e *Engine) read(u *user) {
	c := u.host.conf()
	ctx, cancel := context.WithTimeout(e.ctx, c.Timeout)
	defer cancel()
	r := call(ctx, c.Backend, Request{User: u.addr, Reason: ReasonTest})
	u.mu.Lock()
	defer u.mu.Unlock()
	u.note(func(n *notes) {
		if n.dropped(r.ans); r.err != nil {
			n.lastErr, n.failed = r.err, time.Now()
		}
	})
	if r.err == nil {
		u.roster, u.managed, u.fetched = r.ans.Roster, r.ans.Roster, time.Now()
	}
}

func (s state) String() string { return [...]string{"absent", "stale", "fresh"}[s] }

// Census counts the users of a host who are online, by the state of their rosters.
type Census struct{ Fresh, Stale, Absent, Held int }

// HostState is how one host fares.
type HostState struct {
	Census
	Breaker BreakerState
	Calls   int // to the backend, under way
	Waiting int // for one of the parallel calls
}

// Hosts is how each host fares. It looks at everybody who is online.
func (e *Engine) Hosts() map[string]HostState {
	all := make(map[string]HostState)
	for name, h := range *e.hosts.Load() {
		s := HostState{Breaker: h.breaker.state()}
		s.Calls, s.Waiting = h.places.count()
		all[name] = s
	}
	for i := range e.shards {
		for _, u := range e.shards[i].everybody() {
			s, ok := all[u.addr.Domain()]
			if !ok {
				continue
			}
			u.mu.Lock()
			s.count(u)
			u.mu.Unlock()
			all[u.addr.Domain()] = s
		}
	}
	return all
}

// count is under the user's lock.
func (c *Census) count(u *user) {
	switch u.state {
	case fresh:
		c.Fresh++
	case stale:
		c.Stale++
	default:
		c.Absent++
	}
	if u.held != nil {
		c.Held++
	}
}

func (s *shard) everybody() []*user {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := make([]*user, 0, len(s.users))
	for _, u := range s.users {
		list = append(list, u)
	}
	return list
}

// count is how many calls are under way, and how many wait.
func (p *places) count() (taken, waiting int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.taken, p.first.Len() + p.then.Len()
}
