package stored

import (
	"context"
	"encoding/json"
	"fmt"

	"rosterd/engine"
	"rosterd/engine/addr"
	"rosterd/engine/roster"
)

// book is all that is kept of one user, as it is read.
type book struct {
	records  map[addr.Bare]record
	memory   memory
	imported bool // the records come from elsewhere and are not kept here yet
	bad      []roster.BadItem
}

// memory is what is kept beside the contacts, under the key "".
type memory struct {
	Own   bool   `json:"own"` // the roster is kept here, whatever there is elsewhere
	Edits []made `json:"edits,omitempty"`
}

// made is an edit of late, so that it is not made twice.
type made struct {
	ID      string          `json:"id"`
	Contact string          `json:"contact"`
	Old     *item           `json:"old,omitempty"`
	New     *item           `json:"new,omitempty"`
	Route   []engine.Action `json:"route,omitempty"`
	Deliver bool            `json:"deliver,omitempty"`
	Answer  engine.Action   `json:"answer,omitempty"`
}

// remembered is how many edits a book knows of.
const remembered = 8

func (r *Rosters) open(ctx context.Context, user addr.Bare) (*book, error) {
	values, err := r.Values.All(ctx, user)
	if err != nil {
		return nil, fmt.Errorf("roster of %s: %w", user, err)
	}
	b := &book{records: make(map[addr.Bare]record, len(values)+1)}
	if doc, ok := values[""]; ok {
		if err := json.Unmarshal(doc, &b.memory); err != nil {
			return nil, &engine.PermanentError{Err: fmt.Errorf("roster of %s: what is kept beside it: %w", user, err)}
		}
	}
	if r.Import != nil && !b.memory.Own {
		return b, r.take(ctx, user, b)
	}
	for key, doc := range values {
		if key == "" {
			continue
		}
		contact, rec, err := decode(key, doc)
		if err != nil {
			b.bad = append(b.bad, roster.BadItem{JID: key, Reason: err.Error()})
			continue
		}
		b.records[contact] = rec
	}
	return b, nil
}

// take reads a roster from elsewhere.
func (r *Rosters) take(ctx context.Context, user addr.Bare, b *book) error {
	entries, bad, err := r.Import(ctx, user)
	if err != nil {
		return err
	}
	b.fill(user, entries)
	b.bad = bad
	return nil
}

// fill puts into an empty book what comes from elsewhere.
func (b *book) fill(user addr.Bare, entries []Entry) {
	b.imported = true
	for n, e := range entries {
		if e.Contact == user {
			continue // Prosody has made some of them
		}
		rec := record{Item: itemOf(e.Item)}
		if e.Asks && !rec.state().From() {
			rec.Request = &request{Seq: int64(n + 1), Stanza: e.Stanza}
		}
		if rec.Item != nil && rec.state().To() {
			rec.Item.Ask = false
		}
		if !rec.equal(record{}) {
			b.records[e.Contact] = rec
		}
	}
}

func decode(key string, doc []byte) (contact addr.Bare, rec record, err error) {
	if contact, err = addr.ParseBare(key); err != nil {
		return contact, rec, fmt.Errorf("not a valid JID: %w", err)
	}
	if err = json.Unmarshal(doc, &rec); err != nil {
		return contact, rec, fmt.Errorf("not a contact: %w", err)
	}
	if rec.Item != nil {
		if _, err = roster.ParseSubscription(rec.Item.Subscription); err != nil {
			return contact, rec, err
		}
	}
	if s := rec.state(); !s.Valid() {
		return contact, rec, fmt.Errorf("asked for what is there already: %s", s)
	}
	return contact, rec, nil
}

func (b *book) made(id string) (engine.Edited, bool) {
	for _, m := range b.memory.Edits {
		if m.ID != id || id == "" {
			continue
		}
		contact, err := addr.ParseBare(m.Contact)
		if err != nil {
			return engine.Edited{}, false
		}
		return engine.Edited{Old: m.Old.of(contact), New: m.New.of(contact), Route: m.Route, Deliver: m.Deliver, Answer: m.Answer}, true
	}
	return engine.Edited{}, false
}

// seq is the greatest number of a request.
func (b *book) seq() (most int64) {
	for _, rec := range b.records {
		if rec.Request != nil {
			most = max(most, rec.Request.Seq)
		}
	}
	return most
}

func (b *book) count() (items, requests, bytes int) {
	for _, rec := range b.records {
		if rec.Item != nil {
			items++
		}
		if rec.Request != nil {
			requests++
		}
		bytes += rec.size()
	}
	return items, requests, bytes
}

// changed is what is to be kept once an edit is made: the contact that it was about, or all of them if they come from
// elsewhere.
func (b *book) changed(e engine.Edit, done engine.Edited) (map[string][]byte, error) {
	values := make(map[string][]byte)
	if b.imported {
		if err := b.into(values); err != nil {
			return nil, err
		}
	} else if err := b.records[e.Contact].into(values, e.Contact); err != nil {
		return nil, err
	}
	m := memory{Own: true, Edits: b.memory.Edits}
	if e.ID != "" {
		m.Edits = append(m.Edits, made{e.ID, e.Contact.String(), itemOf(done.Old), itemOf(done.New), done.Route, done.Deliver, done.Answer})
		m.Edits = m.Edits[max(0, len(m.Edits)-remembered):]
	}
	var err error
	values[""], err = json.Marshal(m)
	return values, err
}
