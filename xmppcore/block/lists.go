package block

import (
	"context"
	"fmt"
	"hash/maphash"
	"log/slog"
	"sync"
	"time"

	"rosterd/engine/addr"
	"rosterd/store"
)

// Limits of one user's list: a message to somebody who is offline has it read.
const (
	maxItems = 1000
	maxBytes = 64 << 10 // of the addresses together
)

// ErrFull says that a list would become longer than it may.
var ErrFull = fmt.Errorf("more than %d addresses or %d bytes on a list", maxItems, maxBytes)

// patience is how long a list may take to be read on behalf of somebody who writes to its owner.
const patience = 10 * time.Second

// Lists are the lists of a host's users. Each address is a key of its own in the store, and what stands there the time
// when it was blocked. Under "" stands when the list was first changed here.
type Lists struct {
	// Import, if it is set, is whom a user had blocked elsewhere. It counts until the list is changed for the first time,
	// and is taken over with that.
	Import func(user addr.Bare) ([]addr.JID, error)

	store store.Keyed
	most  int // in a generation of the cache
	log   *slog.Logger

	editing [16]sync.Mutex // of a user each: held from reading a list to having told of the change

	mu         sync.Mutex // guards the fields below
	young, old map[addr.Bare]*List
	changes    uint64 // how often a list has changed
}

// NewLists are those that a store has, of which at least so many are kept in memory, and at most twice as many.
func NewLists(s store.Keyed, keep int, log *slog.Logger) *Lists {
	return &Lists{store: s, most: max(keep, 1), log: log}
}

// Load reads the list of a user.
func (l *Lists) Load(ctx context.Context, user addr.Bare) (*List, error) {
	kept, own, err := l.kept(ctx, user)
	if err != nil || own || l.Import == nil {
		return kept, err
	}
	items, err := l.Import(user)
	return New(items...), err
}

// kept is what the store has; own tells whether the list was ever changed here.
func (l *Lists) kept(ctx context.Context, user addr.Bare) (list *List, own bool, err error) {
	values, err := l.store.All(ctx, user)
	if err != nil {
		return nil, false, fmt.Errorf("blocklist of %s: %w", user, err)
	}
	var items []addr.JID
	for key := range values {
		if key == "" {
			continue
		}
		j, err := addr.Parse(key)
		if err != nil {
			return nil, false, fmt.Errorf("blocklist of %s: %w", user, err)
		}
		items = append(items, j)
	}
	return New(items...), len(values) > 0, nil
}

// Changes counts how often a list has changed: what was loaded is as it was if this is as it was before.
func (l *Lists) Changes() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.changes
}

// Blocked tells whether a user who need not be online has blocked an address. A list that cannot be read blocks
// everybody: what it would have kept out must not come in.
func (l *Lists) Blocked(owner addr.Bare, other addr.JID) bool {
	list, changes, ok := l.cached(owner)
	if !ok {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		var err error
		if list, err = l.Load(ctx, owner); err != nil {
			l.log.Error("reading whom a user has blocked", "user", owner, "error", err)
			return true
		}
		l.keep(owner, list, changes)
	}
	return list.Has(other)
}

// Edit changes the list of a user, and has what it has become told before the next change of that list. It returns
// ErrFull, or what the store says; then nothing has changed.
func (l *Lists) Edit(ctx context.Context, user addr.Bare, e Edit, tell func(*List)) error {
	mu := &l.editing[maphash.Comparable(seed, user)%uint64(len(l.editing))]
	mu.Lock()
	defer mu.Unlock()
	list, err := l.Load(ctx, user)
	if err != nil {
		return err
	}
	next, err := e.apply(list)
	if err != nil {
		return err
	}
	values, err := l.values(ctx, user, next)
	if err != nil {
		return err
	}
	if len(values) > 0 {
		l.Forget(user)
		if err := l.store.Change(ctx, user, values); err != nil {
			return fmt.Errorf("blocklist of %s: %w", user, err)
		}
		l.Forget(user) // who has read the old list meanwhile does not put it back
	}
	tell(next)
	return nil
}

var seed = maphash.MakeSeed()

// Edit is a change of a list.
type Edit struct {
	Block   []addr.JID
	Unblock []addr.JID
	All     bool // unblock all
}

// apply returns what becomes of a list.
func (e Edit) apply(from *List) (to *List, err error) {
	to = from.with(e.Block).without(e.Unblock)
	if e.All {
		to = New()
	}
	size := 0
	for j := range to.All() {
		size += len(j.String())
	}
	if len(e.Block) > 0 && (to.Len() > maxItems || size > maxBytes) {
		return nil, ErrFull
	}
	return to, nil
}

// values are what has to change in the store for a list to be kept.
func (l *Lists) values(ctx context.Context, user addr.Bare, to *List) (map[string][]byte, error) {
	kept, own, err := l.kept(ctx, user)
	if err != nil {
		return nil, err
	}
	values, now := make(map[string][]byte), []byte(time.Now().UTC().Format(time.RFC3339))
	for j := range to.Beyond(kept) {
		values[j.String()] = now
	}
	for j := range kept.Beyond(to) {
		values[j.String()] = nil
	}
	if !own {
		values[""] = now
	}
	return values, nil
}

// Forget drops what is known of a user without asking the store, such as one who is deleted.
func (l *Lists) Forget(user addr.Bare) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.changes++
	delete(l.young, user)
	delete(l.old, user)
}

// cached also returns how many changes there have been, for keep.
func (l *Lists) cached(user addr.Bare) (list *List, changes uint64, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if list, ok = l.young[user]; ok {
		return list, l.changes, true
	}
	if list, ok = l.old[user]; ok {
		l.put(user, list)
	}
	return list, l.changes, ok
}

// keep puts a list that was read into the cache, unless any has changed since.
func (l *Lists) keep(user addr.Bare, list *List, changes uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.changes == changes {
		l.put(user.Clone(), list)
	}
}

// put has two generations: whatever is used is in the younger one, and when that is full the other goes.
func (l *Lists) put(user addr.Bare, list *List) {
	if _, ok := l.young[user]; !ok && len(l.young) >= l.most {
		l.young, l.old = nil, l.young
	}
	if l.young == nil {
		l.young = make(map[addr.Bare]*List)
	}
	l.young[user] = list
}
