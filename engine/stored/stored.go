// Package stored keeps rosters that those may change to whom they belong (RFC 6121 §2 and §3): each contact is a value in
// a store of the user, beside what the contact has asked for.
package stored

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"rosterd/engine"
	"rosterd/engine/addr"
	"rosterd/engine/roster"
)

// Values is the store, such as one that keeps "roster" in the database: values of a user by key.
type Values interface {
	All(ctx context.Context, user addr.Bare) (map[string][]byte, error)
	// Change sets values, and removes those that are nil: all of it or nothing. When it returns, it is on disk.
	Change(ctx context.Context, user addr.Bare, values map[string][]byte) error
}

// Limits bound what is kept of one user. Zero fields mean the defaults.
type Limits struct {
	Items    int // contacts; 5,000
	Requests int // subscription requests that wait for an answer; 500
	Bytes    int // of all that is kept; 2 MiB
}

// Bounds of one contact and one request, in bytes, and of a contact's groups.
const (
	maxItem   = 8 << 10
	maxStanza = 8 << 10
	maxGroups = 64
)

// Entry is what is known of one contact, in a roster that comes from elsewhere.
type Entry struct {
	Contact addr.Bare
	Item    *roster.Item // nil: he is not in the roster
	Asks    bool         // and waits for an answer
	Stanza  []byte       // of Asks
}

// Rosters are those of the users of one host. Edits of one user must come one after the other, as those of an
// [engine.Engine] do.
type Rosters struct {
	Values Values
	Limits Limits

	// Import is the roster that a user has had elsewhere, empty if he has none, and what of it was left out. It is
	// served until the first change, and taken over with it. May be nil.
	Import func(ctx context.Context, user addr.Bare) ([]Entry, []roster.BadItem, error)
}

var (
	_ engine.Backend = (*Rosters)(nil)
	_ engine.Editor  = (*Rosters)(nil)
)

// Fetch is the user's roster. Who has none has an empty one.
func (r *Rosters) Fetch(ctx context.Context, req engine.Request) (engine.Answer, error) {
	b, err := r.open(ctx, req.User)
	if err != nil {
		return engine.Answer{}, err
	}
	list := b.roster(req.User)
	return engine.Answer{Roster: list, Dropped: b.bad}, nil
}

// Pending are the requests that wait for the user's answer, the oldest first.
func (r *Rosters) Pending(ctx context.Context, user addr.Bare) ([]engine.PendingRequest, error) {
	b, err := r.open(ctx, user)
	if err != nil {
		return nil, err
	}
	var asked []addr.Bare
	for contact, rec := range b.records {
		if rec.Request != nil {
			asked = append(asked, contact)
		}
	}
	slices.SortFunc(asked, func(x, y addr.Bare) int {
		return cmp.Or(cmp.Compare(b.records[x].Request.Seq, b.records[y].Request.Seq), x.Compare(y))
	})
	list := make([]engine.PendingRequest, len(asked))
	for i, contact := range asked {
		list[i] = engine.PendingRequest{From: contact, Stanza: b.records[contact].Request.Stanza}
	}
	return list, nil
}

// Edit makes one change. Beside what engine.Editor says, the error wraps engine.ErrFull where the user would have more
// than the limits allow. A request that finds no room any more is answered as one that is denied.
func (r *Rosters) Edit(ctx context.Context, e engine.Edit) (engine.Edited, error) {
	b, err := r.open(ctx, e.User)
	if err != nil {
		return engine.Edited{}, err
	}
	if done, ok := b.made(e.ID); ok {
		return done, nil
	}
	if e.Contact == e.User || e.Contact.IsZero() {
		return engine.Edited{}, fmt.Errorf("%w: %q is no contact of %s", engine.ErrDenied, e.Contact, e.User)
	}
	old := b.records[e.Contact]
	next, done, err := old.edit(e, b.seq()+1)
	if err != nil {
		return engine.Edited{}, fmt.Errorf("%s %s in the roster of %s: %w", e.Action, e.Contact, e.User, err)
	}
	if next.equal(old) {
		return done, nil
	}
	b.records[e.Contact] = next
	err = r.room(b, old, next)
	if next.Request != nil && old.Request == nil && errors.Is(err, engine.ErrFull) {
		item := old.item(e.Contact)
		return engine.Edited{Old: item, New: item, Answer: engine.OutUnsubscribed}, nil
	}
	if err != nil {
		return engine.Edited{}, fmt.Errorf("roster of %s: %w", e.User, err)
	}
	values, err := b.changed(e, done)
	if err != nil {
		return engine.Edited{}, fmt.Errorf("roster of %s: %w", e.User, err)
	}
	if err := r.Values.Change(ctx, e.User, values); err != nil {
		return engine.Edited{}, fmt.Errorf("roster of %s: %w", e.User, err)
	}
	return done, nil
}

// room tells whether a changed record leaves the roster within the limits, or at least makes it no larger.
func (r *Rosters) room(b *book, old, next record) error {
	items, requests, bytes := b.count()
	switch {
	case next.Item != nil && old.Item == nil && items > cmp.Or(r.Limits.Items, 5000):
		return fmt.Errorf("%w: more than %d contacts", engine.ErrFull, cmp.Or(r.Limits.Items, 5000))
	case next.Request != nil && old.Request == nil && requests > cmp.Or(r.Limits.Requests, 500):
		return fmt.Errorf("%w: more than %d subscription requests", engine.ErrFull, cmp.Or(r.Limits.Requests, 500))
	case next.size() > old.size() && bytes > cmp.Or(r.Limits.Bytes, 2<<20):
		return fmt.Errorf("%w: more than %d bytes", engine.ErrFull, cmp.Or(r.Limits.Bytes, 2<<20))
	}
	return nil
}

// Leave is what has to become of the rosters of others when a user is deleted, as edits of theirs: nobody who is given
// his name later may have his subscriptions (RFC 6121 §3.2, §3.3). It changes nothing.
func (r *Rosters) Leave(ctx context.Context, user addr.Bare) ([]engine.Edit, error) {
	b, err := r.open(ctx, user)
	if err != nil {
		return nil, err
	}
	var edits []engine.Edit
	for contact, rec := range b.records {
		for _, k := range rec.state().Remove() {
			edits = append(edits, engine.Edit{User: contact, Contact: user, Action: arriving[k]})
		}
	}
	slices.SortStableFunc(edits, func(x, y engine.Edit) int { return x.User.Compare(y.User) })
	return edits, nil
}
