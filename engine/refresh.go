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
// has been told to the watcher, or when ctx ends. Names are localparts as the backend writes them.
//
// Where a change made or ended a pair whose other side is online here and was not named, that one is
// refreshed too, once: else it would see presence from somebody who is not in its roster, or none from
// somebody who is.
func (e *Engine) Refresh(ctx context.Context, hostname string, names []string) Summary {
	r := &refresh{e: e, ctx: ctx, asked: make(map[addr.Bare]*flight, len(names))}
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
	r.finish()
	return summarize(results, flights)
}

func bareOf(local, domain string) (addr.Bare, error) {
	l, err := addr.PrepareLocal(local)
	if err != nil {
		return addr.Bare{}, err
	}
	return addr.NewBare(l, domain)
}

// refresh is one request to refresh, with the other sides it brings along.
type refresh struct {
	e     *Engine
	ctx   context.Context
	asked map[addr.Bare]*flight // nil for who is offline
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

// finish waits for all flights and, as they land, for those of the other sides.
func (r *refresh) finish() {
	var mu sync.Mutex // guards asked and room until all have landed
	var wg sync.WaitGroup
	room := otherSides
	named := maps.Clone(r.asked)
	for u, f := range named {
		if f == nil || r.e.hosts[u.Domain()].OneSided {
			continue
		}
		wg.Go(func() {
			if !f.wait(r.ctx) {
				return
			}
			mu.Lock()
			defer mu.Unlock()
			for _, c := range paired(f.change) {
				if _, known := r.asked[c]; !known && room > 0 && r.ask(c, ReasonOtherSide) != nil {
					room--
				}
			}
		})
	}
	wg.Wait()
	for _, f := range r.asked {
		if f != nil {
			f.wait(r.ctx)
		}
	}
	if room == 0 {
		r.e.log.Warn("a refresh touched more pairs than are refreshed on both sides", "limit", otherSides)
	}
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

// wait tells whether the flight landed before ctx ended.
func (f *flight) wait(ctx context.Context) bool {
	select {
	case <-f.done:
		return true
	case <-ctx.Done():
		return f.landed()
	}
}

func (f *flight) landed() bool {
	select {
	case <-f.done:
		return true
	default:
		return false
	}
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
	case !f.landed():
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
