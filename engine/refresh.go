package engine

import (
	"context"
	"maps"
	"sync"

	"rosterd/engine/addr"
	"rosterd/engine/roster"
)

// Outcome says what became of one name of a refresh.
type Outcome string

// The outcomes. Failed, invalid and pending count as errors, the others as updated.
const (
	Updated   Outcome = "updated"
	Unchanged Outcome = "unchanged"
	Offline   Outcome = "offline" // nobody there to tell; the next login fetches anew
	Failed    Outcome = "failed"  // the last good roster stays
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

// Summary is the answer to a refresh; Updated and Errors together are the number of names.
type Summary struct {
	Updated, Errors int
	Results         []Result // in the order of the names
}

// otherSides bounds how many contacts one refresh makes the engine fetch beside those it named.
const otherSides = 10_000

// Refresh fetches the rosters of those named users of a host who are online, and returns when what changed
// has been told to the watcher, or when ctx ends; what is not done by then goes on. Names are localparts as the
// backend writes them.
//
// Where a change made or ended a pair whose other side is online here and was not named, that one is
// refreshed too, once: else it would see presence from somebody who is not in its roster, or none from
// somebody who is.
func (e *Engine) Refresh(ctx context.Context, hostname string, names []string) Summary {
	r := &refresh{e: e, asked: make(map[addr.Bare]*flight, len(names)), room: otherSides}
	results := make([]Result, len(names))
	flights := make([]*flight, len(names))
	for i, name := range names {
		results[i] = Result{Name: name, Outcome: Offline}
		u, err := bareOf(name, hostname)
		if err != nil {
			results[i].Outcome, results[i].Error = Invalid, err.Error()
			continue
		}
		flights[i] = r.ask(u, ReasonRefresh)
	}
	if e.begin() {
		done := make(chan struct{})
		go func() {
			defer e.work.Done()
			defer close(done)
			r.finish()
		}()
		select {
		case <-done:
		case <-ctx.Done():
		}
	}
	return summarize(results, flights)
}

func bareOf(local, domain string) (addr.Bare, error) {
	l, err := addr.PrepareLocal(local)
	if err != nil {
		return addr.Bare{}, err
	}
	return addr.NewBare(l, domain)
}

// refresh is one request to refresh, with the other sides it brings along. It may outlive the request.
type refresh struct {
	e *Engine

	mu    sync.Mutex            // guards the fields below once finish runs
	asked map[addr.Bare]*flight // nil for who is offline
	room  int                   // how many other sides may still be asked
}

func (r *refresh) ask(u addr.Bare, why Reason) *flight {
	if f, ok := r.asked[u]; ok {
		return f
	}
	var f *flight
	if w := r.e.find(u); w != nil {
		f = r.e.ask(w, why)
	}
	r.asked[u] = f
	return f
}

// finish waits for all flights and, as they land, for those of the other sides. Flights always land, so the
// other sides of those that the request did not wait for are asked too.
func (r *refresh) finish() {
	var wg sync.WaitGroup
	for u, f := range maps.Clone(r.asked) {
		if f == nil || r.e.hosts[u.Domain()].OneSided {
			continue
		}
		wg.Go(func() {
			<-f.done
			r.follow(f.change)
		})
	}
	wg.Wait()
	for _, f := range r.asked {
		if f != nil {
			<-f.done
		}
	}
	if r.room == 0 {
		r.e.log.Warn("a refresh touched more pairs than are refreshed on both sides", "limit", otherSides)
	}
}

func (r *refresh) follow(changes []roster.Change) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, c := range paired(changes) {
		if _, known := r.asked[c]; !known && r.room > 0 && r.ask(c, ReasonOtherSide) != nil {
			r.room--
		}
	}
}

// catchUp refreshes the other sides of what a login found changed in a roster that had been stale. Nobody waits
// for them.
func (e *Engine) catchUp(u *user, f *flight) {
	if f.reason != ReasonLogin || len(f.change) == 0 || u.host.OneSided {
		return
	}
	r := &refresh{e: e, asked: map[addr.Bare]*flight{u.addr: f}, room: otherSides}
	r.follow(f.change)
}

// paired lists the contacts whose pair with the user was made, ended or turned.
func paired(changes []roster.Change) (who []addr.Bare) {
	for _, c := range changes {
		if c.Old == nil || c.New == nil || c.Old.Subscription != c.New.Subscription {
			who = append(who, c.Contact)
		}
	}
	return who
}

func summarize(results []Result, flights []*flight) (s Summary) {
	for i, f := range flights {
		if r := &results[i]; f != nil {
			f.result(r)
		}
		switch results[i].Outcome {
		case Failed, Invalid, Pending:
			s.Errors++
		default:
			s.Updated++
		}
	}
	s.Results = results
	return s
}

func (f *flight) result(r *Result) {
	switch {
	case !isClosed(f.done):
		r.Outcome, r.Error = Pending, "not done by the deadline; it goes on"
	case f.gone:
		r.Outcome = Offline
	case f.err != nil:
		r.Outcome, r.Error = Failed, f.err.Error()
	case len(f.change) == 0:
		r.Outcome = Unchanged
	default:
		r.Outcome, r.Changes = Updated, len(f.change)
	}
}
