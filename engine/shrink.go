package engine

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"rosterd/engine/addr"
	"rosterd/engine/roster"
)

const (
	// smallRoster is how many contacts a roster has at least that the shrink guard looks after: of fewer, half is
	// one contact who was deleted.
	smallRoster = 4
	// heldFor is how long an answer is held that the backend does not change.
	heldFor = time.Hour
)

// Held is an answer that would have removed more contacts than the shrink guard lets pass. It comes through when
// somebody releases it, when the backend still answers so an hour later, and not at all when the backend answers
// something else.
type Held struct {
	Version string    `json:"version"` // of the roster that was answered
	Since   time.Time `json:"since"`   // when that was first
	Removed int       `json:"removed"` // contacts that it lacks
	Of      int       `json:"of"`      // contacts there are
}

// HeldError is what a fetch ends with whose answer is held.
type HeldError struct {
	Held
	again bool // it was held before
}

func (e *HeldError) Error() string {
	return fmt.Sprintf("held back: the answer removes %d of %d contacts", e.Removed, e.Of)
}

// wait is how long until a second identical answer would come through.
func (e *HeldError) wait() time.Duration {
	return max(0, time.Until(e.Since.Add(heldFor))) + rand.N(lastReturn)
}

// guard holds an answer that removes too much of a roster that is known. The error is a *HeldError.
func (e *Engine) guard(u *user, ans Answer) error {
	percent := u.host.conf().ShrinkGuard
	if percent <= 0 || ans.Unchanged {
		return nil
	}
	u.mu.Lock()
	from, before, release := u.managed, u.held, u.release
	removed, of := u.missing(ans.Roster)
	u.mu.Unlock()
	if from.Len() < smallRoster {
		return nil
	}
	if removed*100 <= of*percent {
		return nil
	}
	now := Held{Version: ans.Roster.Version(), Since: time.Now(), Removed: removed, Of: of}
	again := before != nil && before.Version == now.Version && !before.Since.After(now.Since) // or it were held until a clock that was fast is right
	if again {
		now.Since = before.Since
		if release || time.Since(now.Since) >= heldFor {
			return nil
		}
	}
	e.stats.Held.Add(1)
	if !again {
		u.mu.Lock()
		u.held = &now
		u.mu.Unlock()
		e.keep(u)
	}
	return &HeldError{now, again}
}

// missing counts the contacts that an answer lacks, of those that the user has not removed himself. Under the lock.
func (u *user) missing(to roster.Roster) (n, of int) {
	for i := range u.managed.All() {
		if _, ok := u.parting[i.JID]; ok {
			continue
		}
		of++
		if _, ok := to.Get(i.JID); !ok {
			n++
		}
	}
	return n, of
}

// part notes that a user wants to remove a contact, and leaves it to the backend: until an answer lacks the contact, the
// shrink guard does not count it.
func (e *Engine) part(user, contact addr.Bare) {
	u := e.find(user)
	if u == nil {
		return
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	if _, ok := u.managed.Get(contact); !ok {
		return
	}
	if u.parting == nil {
		u.parting = make(map[addr.Bare]struct{})
	}
	u.parting[contact] = struct{}{}
}

// stay takes part back: the backend has refused it.
func (e *Engine) stay(user, contact addr.Bare) {
	if u := e.find(user); u != nil {
		u.mu.Lock()
		defer u.mu.Unlock()
		delete(u.parting, contact)
	}
}

// parted forgets contacts who are gone. Under the lock.
func (u *user) parted(to roster.Roster) {
	for contact := range u.parting {
		if _, ok := to.Get(contact); !ok {
			delete(u.parting, contact)
		}
	}
	if len(u.parting) == 0 {
		u.parting = nil
	}
}

// ErrNothingHeld says that no answer is held for a user.
var ErrNothingHeld = errors.New("no answer is held back")

// ReleaseHeld lets a held answer through: the backend is asked once more, and if it says the same the roster is
// that from then on, whether the user is online or not. What it says instead is judged as ever. The error is
// ErrNothingHeld, or that the host is not served.
func (e *Engine) ReleaseHeld(ctx context.Context, user addr.Bare) (Result, error) {
	r, err := e.attach(user)
	if err != nil {
		return Result{}, err
	}
	defer r.Release()
	u := r.u
	e.remember(u)
	u.mu.Lock()
	held := u.held != nil
	u.release = held
	u.mu.Unlock()
	if !held {
		return Result{}, fmt.Errorf("%w for %s", ErrNothingHeld, user)
	}
	s := e.Refresh(ctx, user.Domain(), []string{user.Local()})
	if s.Results[0].Outcome == Pending {
		return s.Results[0], nil // it goes on, and the release holds for it
	}
	u.mu.Lock()
	u.release = false
	u.mu.Unlock()
	return s.Results[0], nil
}
