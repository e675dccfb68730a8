package stored

import (
	"encoding/json"
	"fmt"

	"rosterd/engine/addr"
)

// Taken is what is kept of a roster that comes from elsewhere, once it is the user's own: the values for a store.
func Taken(user addr.Bare, entries []Entry) (map[string][]byte, error) {
	b := &book{records: make(map[addr.Bare]record, len(entries))}
	b.fill(user, entries)
	values := make(map[string][]byte, len(b.records)+1)
	err := b.into(values)
	if err == nil {
		values[""], err = json.Marshal(memory{Own: true})
	}
	if err != nil {
		return nil, fmt.Errorf("roster of %s: %w", user, err)
	}
	return values, nil
}
