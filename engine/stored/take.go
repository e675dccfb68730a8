package stored

import (
	"context"
	"encoding/json"
	"fmt"

	"rosterd/engine/addr"
	"rosterd/engine/roster"
)

// Taken is what is kept of a roster that comes from elsewhere, once it is the user's own: the values for a store.
func Taken(user addr.Bare, entries []Entry) (map[string][]byte, error) {
	r := Rosters{Import: func(context.Context, addr.Bare) ([]Entry, []roster.BadItem, error) { return entries, nil, nil }}
	b := &book{records: make(map[addr.Bare]record, len(entries))}
	if err := r.take(context.Background(), user, b); err != nil {
		return nil, err
	}
	values := make(map[string][]byte, len(b.records)+1)
	put := func(key string, v any) (err error) {
		if values[key], err = json.Marshal(v); err != nil {
			err = fmt.Errorf("roster of %s: %w", user, err)
		}
		return err
	}
	for contact, rec := range b.records {
		if err := put(contact.String(), rec); err != nil {
			return nil, err
		}
	}
	return values, put("", memory{Own: true})
}
