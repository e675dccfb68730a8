package stored

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"rosterd/engine"
	"rosterd/engine/addr"
	"rosterd/engine/roster"
)

var _ engine.Assigner = (*Rosters)(nil)

// Assign puts contacts into a roster as an application wants them. Beside what engine.Assigner says, the error wraps
// engine.ErrFull where the user would have more than the limits allow.
func (r *Rosters) Assign(ctx context.Context, a engine.Assignment) (changed int, err error) {
	b, err := r.open(ctx, a.User)
	if err != nil {
		return 0, err
	}
	put, remove, err := a.Decide(b.roster(a.User))
	if err != nil {
		return 0, err
	}
	values := make(map[string][]byte)
	before := b.total()
	change := func(contact addr.Bare, next record) error {
		old := b.records[contact]
		if next.equal(old) {
			return nil
		}
		b.records[contact] = next
		changed++
		return next.into(values, contact)
	}
	for _, contact := range remove {
		if rec := b.records[contact]; rec.Item != nil {
			if err := change(contact, record{}); err != nil {
				return 0, fmt.Errorf("roster of %s: %w", a.User, err)
			}
		}
	}
	for _, i := range put {
		next, err := b.records[i.JID].assigned(a.User, i)
		if err == nil {
			err = change(i.JID, next)
		}
		if err != nil {
			return 0, fmt.Errorf("%s in the roster of %s: %w", i.JID, a.User, err)
		}
	}
	if changed == 0 {
		return 0, nil
	}
	if err := r.holds(before, b.total()); err != nil {
		return 0, fmt.Errorf("roster of %s: %w", a.User, err)
	}
	if b.imported {
		if err := b.into(values); err != nil {
			return 0, fmt.Errorf("roster of %s: %w", a.User, err)
		}
	}
	m := b.memory
	m.Own = true
	if values[""], err = json.Marshal(m); err != nil {
		return 0, fmt.Errorf("roster of %s: %w", a.User, err)
	}
	if err := r.Values.Change(ctx, a.User, values); err != nil {
		return 0, fmt.Errorf("roster of %s: %w", a.User, err)
	}
	return changed, nil
}

// total is how much there is in a book.
type total struct{ items, bytes int }

func (b *book) total() (t total) {
	t.items, _, t.bytes = b.count()
	return t
}

// holds tells whether what a roster has become is within the limits, or at least no more than it was.
func (r *Rosters) holds(before, after total) error {
	if most := cmp.Or(r.Limits.Items, 5000); after.items > most && after.items > before.items {
		return fmt.Errorf("%w: more than %d contacts", engine.ErrFull, most)
	}
	if most := cmp.Or(r.Limits.Bytes, 2<<20); after.bytes > most && after.bytes > before.bytes {
		return fmt.Errorf("%w: more than %d bytes", engine.ErrFull, most)
	}
	return nil
}

// assigned is the record with what an application says of the contact. Requests that have thereby been answered are gone.
func (r record) assigned(user addr.Bare, i roster.Item) (record, error) {
	if i.JID == user || i.JID.IsZero() {
		return r, fmt.Errorf("%w: nobody is a contact of his own", engine.ErrDenied)
	}
	next, err := r.set(i)
	if err != nil {
		return r, err
	}
	s := next.state()
	s.Subscription = i.Subscription
	s.PendingOut = s.PendingOut && !s.To()
	s.PendingIn = s.PendingIn && !s.From()
	return next.in(s), nil
}

// into puts the record among values as it is kept.
func (r record) into(values map[string][]byte, contact addr.Bare) (err error) {
	if r.equal(record{}) {
		values[contact.String()] = nil
		return nil
	}
	values[contact.String()], err = json.Marshal(r)
	return err
}

// into puts all records among values as they are kept.
func (b *book) into(values map[string][]byte) error {
	for contact, rec := range b.records {
		if err := rec.into(values, contact); err != nil {
			return err
		}
	}
	return nil
}

// roster is what the book has of contacts.
func (b *book) roster(user addr.Bare) roster.Roster {
	items := make([]roster.Item, 0, len(b.records))
	for contact, rec := range b.records {
		if i := rec.item(contact); i != nil {
			items = append(items, *i)
		}
	}
	slices.SortFunc(items, func(x, y roster.Item) int { return x.JID.Compare(y.JID) })
	list, bad := roster.New(user, items...)
	b.bad = append(b.bad, bad...)
	return list
}
