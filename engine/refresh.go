package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"rosterd/engine/addr"
)

// Outcome says what became of one name of a refresh.
type Outcome string

// The outcomes. Failed, held, invalid and pending count as errors, the others as updated.
const (
	Updated   Outcome = "updated"
	Unchanged Outcome = "unchanged"
	Offline   Outcome = "offline" // nobody there to tell; the next login fetches anew
	Failed    Outcome = "failed"  // the last good roster stays
	HeldBack  Outcome = "held"    // the answer removes so much that the last good roster stays until somebody looks
	Invalid   Outcome = "invalid" // no username
	Pending   Outcome = "pending" // not done by the deadline; it goes on
)

// Result is what became of one name.
type Result struct {
	Name    string
	Outcome Outcome
	Changes int // contacts added, changed or removed
	Error   string
}

// Fail is r, as failed for that reason unless it counts as an error anyhow.
func (r Result) Fail(err error) Result {
	switch r.Outcome {
	case Updated, Unchanged, Offline:
		r.Outcome, r.Error = Failed, err.Error()
	}
	return r
}

// Landed is told of a name of a refresh when it is done; at is where it stands among the names. It is called from many
// goroutines at once, and must not wait. Of what is pending when the refresh is answered, or has just been done, it is told later.
type Landed func(at int, r Result)

// Summary is the answer to a refresh; Updated and Errors together are the number of names, but for Fail.
type Summary struct {
	Updated, Errors int
	Results         []Result // in the order of the names
}

// Fail counts as failed what has not, such as where something is missing of every roster. Where nobody was named it is
// one error of nobody's.
func (s *Summary) Fail(err error) {
	for i, r := range s.Results {
		if failed := r.Fail(err); failed.Outcome != r.Outcome {
			s.Results[i] = failed
			s.Updated, s.Errors = s.Updated-1, s.Errors+1
		}
	}
	if len(s.Results) == 0 {
		s.Errors = 1
	}
}

// Refresh fetches the rosters of those named users of a host who are online, and returns when what changed
// has been told to the watcher, or when ctx ends; what is not done by then goes on. Names are localparts as the
// backend writes them.
//
// Those who are offline have their kept rosters marked, so that their next login fetches however fresh they are.
// That is done before anything is fetched, and on disk before the answer: it holds after a crash too.
//
// Where a change made or ended a pair whose other side is online here and was not named, that one is
// refreshed too, once: else it would see presence from somebody who is not in its roster, or none from
// somebody who is.
func (e *Engine) Refresh(ctx context.Context, hostname string, names []string) Summary {
	return e.RefreshEach(ctx, hostname, names, nil)
}

// RefreshEach is Refresh that tells of each name as soon as it is done: of all of them before it returns, unless ctx has
// ended. Then it may still be about to tell of one that is not pending in the summary any more. Landed may be nil.
func (e *Engine) RefreshEach(ctx context.Context, hostname string, names []string, landed Landed) Summary {
	results := make([]Result, len(names))
	users := make([]addr.Bare, len(names)) // zero where the name is none
	for i, name := range names {
		results[i].Name = name
		u, err := bareOf(name, hostname)
		if err != nil {
			results[i].Outcome, results[i].Error = Invalid, err.Error()
			if landed != nil {
				landed(i, results[i])
			}
			continue
		}
		users[i] = u
	}
	h := e.host(hostname)
	r := e.newRefresh(h, len(names))
	r.names, r.landed = names, landed
	if h != nil {
		r.spoil(h, users)
	}
	r.start(users)
	select {
	case <-r.done:
	case <-ctx.Done():
	}
	return r.summary(results, users)
}

func bareOf(local, domain string) (addr.Bare, error) {
	l, err := addr.PrepareLocal(local)
	if err != nil {
		return addr.Bare{}, err
	}
	return addr.NewBare(l, domain)
}

// refresh is one request to refresh, with the other sides it brings along. It may outlive the request. A few
// goroutines go through the users, since one for each would be too many where everybody is named.
type refresh struct {
	e    *Engine
	done chan struct{} // closed when all have landed

	names    []string
	landed   Landed // nil: nobody wants to be told
	unspoilt error  // why kept rosters could not be marked as stale

	again map[addr.Bare][]int // where users stand who are named once more; as it is when the workers begin

	mu      sync.Mutex            // guards the fields below
	asked   map[addr.Bare]*flight // nil for who still waits
	waiting []wanted
	workers int
	most    int // workers at a time
	room    int // how many other sides may still come
	cut     bool
}

type wanted struct {
	user addr.Bare
	why  Reason
	at   int // where he stands among the names; unnamed: nowhere
}

const unnamed = -1

func (e *Engine) newRefresh(h *host, users int) *refresh {
	r := &refresh{e: e, done: make(chan struct{}), asked: make(map[addr.Bare]*flight, users), room: e.otherSides, most: 64}
	if h != nil {
		r.most += 2 * h.conf().Parallel // some of those asked wait for a place, so that none stays free
	}
	return r
}

// start asks for all who are online, and tells of the others.
func (r *refresh) start(users []addr.Bare) {
	for _, at := range r.ask(users) {
		r.tell(users[at], at)
	}
}

// ask wants all who are online. Of the others it returns where they stand.
func (r *refresh) ask(users []addr.Bare) (done []int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for at, u := range users {
		if u.IsZero() {
			continue
		}
		if _, known := r.asked[u]; known {
			if r.again == nil {
				r.again = make(map[addr.Bare][]int)
			}
			r.again[u] = append(r.again[u], at)
			continue
		}
		if r.asked[u] = tooLate; r.e.Online(u) {
			r.want(u, ReasonRefresh, at)
		}
		if r.landed != nil && r.asked[u] != nil {
			done = append(done, at)
		}
	}
	if r.workers == 0 {
		close(r.done)
	}
	return done
}

// tell says what became of a user who has landed, wherever he is named.
func (r *refresh) tell(u addr.Bare, at int) {
	if r.landed == nil || at == unnamed {
		return
	}
	r.mu.Lock()
	f := r.asked[u]
	r.mu.Unlock()
	result := Result{Name: r.names[at]}
	f.result(&result, r.unspoilt)
	r.landed(at, result)
	for _, at := range r.again[u] {
		result.Name = r.names[at]
		r.landed(at, result)
	}
}

// want has a user asked for. Under the lock.
func (r *refresh) want(u addr.Bare, why Reason, at int) {
	switch {
	case r.workers == r.most:
	case r.e.begin():
		r.workers++
		go r.work()
	case r.workers == 0:
		r.asked[u] = closed
		return
	}
	r.asked[u] = nil
	r.waiting = append(r.waiting, wanted{u, why, at})
}

// work asks for one user after the other, and for the other sides of those that were named. Flights always
// land, so it also does what the request no longer waits for.
func (r *refresh) work() {
	defer r.e.work.Done()
	r.mu.Lock()
	defer r.mu.Unlock()
	for len(r.waiting) > 0 {
		next := r.waiting[0]
		r.waiting = r.waiting[1:]
		f := r.e.request(next.user, next.why)
		r.asked[next.user] = f
		r.mu.Unlock()
		<-f.done
		r.tell(next.user, next.at)
		r.mu.Lock()
		if h := r.e.host(next.user.Domain()); next.why == ReasonRefresh && h != nil && !h.conf().OneSided {
			r.follow(f.others)
		}
	}
	if r.workers--; r.workers > 0 {
		return
	}
	if r.cut {
		r.e.log.Warn("a refresh touched more pairs than are refreshed on both sides", "limit", r.e.otherSides)
	}
	close(r.done)
}

// spoil marks the kept rosters of users, whether they are online or not: who is may leave before the fetch. What was
// asked for before this, and is answered after it, is not kept as fresh.
func (r *refresh) spoil(h *host, users []addr.Bare) {
	users = slices.DeleteFunc(slices.Clone(users), addr.Bare.IsZero)
	for _, u := range users {
		r.e.refreshes.of(u).Add(1)
	}
	keeper, ok := h.conf().Keeper.(FreshKeeper)
	if !ok || len(users) == 0 {
		return
	}
	if err := keeper.Spoil(r.e.ctx, users); err != nil && r.e.ctx.Err() == nil {
		r.unspoilt = fmt.Errorf("marking kept rosters as stale: %w", err)
		r.e.log.Error("kept rosters cannot be marked as stale: users who are offline may be served old ones until those are no longer fresh", "users", len(users), "error", err)
	}
}

// request asks for a user who may have left meanwhile.
func (e *Engine) request(u addr.Bare, why Reason) *flight {
	if w := e.find(u); w != nil {
		return e.ask(w, why)
	}
	return tooLate
}

// follow wants the other sides of changed pairs. Under the lock.
func (r *refresh) follow(contacts []addr.Bare) {
	for _, c := range contacts {
		if _, known := r.asked[c]; known || !r.e.Online(c) {
			continue
		}
		if r.room == 0 {
			r.cut = true
			return
		}
		r.room--
		r.want(c, ReasonOtherSide, unnamed)
	}
}

// catchUp refreshes the other sides of what a login found changed in a roster that had been stale. Nobody waits
// for them.
func (e *Engine) catchUp(u *user, f *flight) {
	if f.reason != ReasonLogin || len(f.change) == 0 || u.host.conf().OneSided {
		return
	}
	r := e.newRefresh(u.host, 1)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.asked[u.addr] = f
	r.follow(paired(f.change))
}

func (r *refresh) summary(results []Result, users []addr.Bare) (s Summary) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i := range results {
		if !users[i].IsZero() {
			r.asked[users[i]].result(&results[i], r.unspoilt)
		}
		switch results[i].Outcome {
		case Failed, HeldBack, Invalid, Pending:
			s.Errors++
		default:
			s.Updated++
		}
	}
	s.Results = results
	return s
}

// result is what became of f, which is nil while it waits to be asked for. Unspoilt is why the kept rosters of those
// who are offline could not be marked as stale.
func (f *flight) result(r *Result, unspoilt error) {
	var held *HeldError
	switch {
	case f == nil || !isClosed(f.done):
		r.Outcome, r.Error = Pending, "not done by the deadline; it goes on"
	case f.gone && unspoilt != nil:
		r.Outcome, r.Error = Failed, unspoilt.Error()
	case f.gone:
		r.Outcome = Offline
	case errors.As(f.err, &held):
		r.Outcome, r.Error = HeldBack, held.Error()
	case f.err != nil:
		r.Outcome, r.Error = Failed, f.err.Error()
	case len(f.change) == 0:
		r.Outcome = Unchanged
	default:
		r.Outcome, r.Changes = Updated, len(f.change)
	}
}
