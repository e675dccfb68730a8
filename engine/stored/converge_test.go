package stored_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"testing"

	"rosterd/engine"
	"rosterd/engine/addr"
	"rosterd/engine/roster"
	"rosterd/engine/stored"
)

// told is what a watcher knows: the roster of each user in this life of his.
type told struct {
	t *testing.T

	mu      sync.Mutex // guards the fields below
	rosters map[addr.Bare]roster.Roster
}

func (w *told) watch(ev engine.Event) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if ev.Gone() {
		return
	}
	if ev.Err != nil {
		w.t.Errorf("no roster of %s: %v", ev.User, ev.Err)
	}
	if was := w.rosters[ev.User]; !ev.First && !was.Apply(ev.Changes...).Equal(ev.To) {
		w.t.Errorf("the changes of %s do not lead from what was told to what is", ev.User)
	}
	w.rosters[ev.User] = ev.To
}

// Many who edit at once, each of several rosters, while users come and go: once all edits are answered, whoever is
// online has been told the roster that is kept.
func TestToldIsKept(t *testing.T) {
	const users, editors, edits = 5, 8, 60
	r := &stored.Rosters{Values: &kept{}, Limits: stored.Limits{Items: 3, Requests: 2}}
	w := &told{t: t, rosters: make(map[addr.Bare]roster.Roster)}
	e := engine.New(map[string]engine.Host{"example.com": {Backend: r, OneSided: true}}, w.watch, slog.New(slog.DiscardHandler))
	defer func() {
		if err := e.Close(context.Background()); err != nil {
			t.Error(err)
		}
	}()
	var attached [users]*engine.Resource
	for i := range users {
		attached[i] = attach(t, e, i)
	}
	var all sync.WaitGroup
	for n := range editors {
		all.Go(func() {
			rng := rand.New(rand.NewPCG(7, uint64(n)))
			for range edits {
				editSomething(t, e, rng, users)
			}
		})
	}
	all.Go(func() { // one of them comes and goes
		for range 50 {
			attached[0].Release()
			attached[0] = attach(t, e, 0)
		}
	})
	all.Wait()
	for i := range users {
		user := jid(fmt.Sprint("u", i))
		if i == 0 {
			e.Refresh(t.Context(), "example.com", []string{user.Local()}) // is told after the login
		}
		ans, err := r.Fetch(t.Context(), engine.Request{User: user})
		if err != nil {
			t.Fatal(err)
		}
		w.mu.Lock()
		got := w.rosters[user]
		w.mu.Unlock()
		if !got.Equal(ans.Roster) {
			t.Errorf("%s was told %v, kept is %v", user, got.Items(), ans.Roster.Items())
		}
	}
}

func attach(t *testing.T, e *engine.Engine, i int) *engine.Resource {
	r, err := e.Attach(jid(fmt.Sprint("u", i)))
	if err != nil {
		t.Error(err)
	}
	return r
}

func editSomething(t *testing.T, e *engine.Engine, rng *rand.Rand, users int) {
	actions := []engine.Action{engine.Set, engine.Remove, engine.OutSubscribe, engine.OutSubscribed, engine.OutUnsubscribe, engine.OutUnsubscribed,
		engine.InSubscribe, engine.InSubscribed, engine.InUnsubscribe, engine.InUnsubscribed}
	ed := engine.Edit{
		User: jid(fmt.Sprint("u", rng.IntN(users))), Contact: jid(fmt.Sprint("c", rng.IntN(5))), Action: actions[rng.IntN(len(actions))],
		Item: roster.Item{Name: fmt.Sprint(rng.IntN(3))}, Stanza: []byte("<s/>"),
	}
	done, err := e.Edit(t.Context(), ed)
	if err != nil && !errors.Is(err, engine.ErrNoItem) && !errors.Is(err, engine.ErrFull) {
		t.Errorf("%s %s %s: %v", ed.User, ed.Action, ed.Contact, err)
	}
	if err == nil && done.New != nil && done.New.JID != ed.Contact {
		t.Errorf("an edit of %s answered with %v", ed.Contact, done.New)
	}
}
