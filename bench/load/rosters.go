package load

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"

	"rosterd/bench/target"
)

// Names are n localparts.
func Names(prefix string, n int) []string {
	list := make([]string, n)
	for i := range list {
		list[i] = fmt.Sprintf("%s%d", prefix, i)
	}
	return list
}

// Strangers is a roster of contacts first … last-1, who are never online.
func Strangers(first, last int) []byte {
	doc := map[string]any{}
	for i := first; i < last; i++ {
		doc[fmt.Sprintf("contact%d@%s", i, target.Domain)] = contact(fmt.Sprintf("Contact Number %d", i))
	}
	return encode(doc)
}

// Friends is the roster of a user that has all the others.
func Friends(user string, all []string) []byte {
	doc := map[string]any{}
	for _, other := range all {
		if other != user {
			doc[other+"@"+target.Domain] = contact(other)
		}
	}
	return encode(doc)
}

// AllFriends gives each user of a backend all the others, as Friends does. What they have in common is there once.
func AllFriends(b *target.Backend, all []string) {
	all = slices.Sorted(slices.Values(all))
	doc, ends := []byte{'{'}, make([]int, len(all))
	for i, u := range all {
		if i > 0 {
			doc = append(doc, ',')
		}
		doc = fmt.Appendf(doc, "%q:%s", u+"@"+target.Domain, encode(contact(u)))
		ends[i] = len(doc)
	}
	doc = append(doc, '}')
	for i, u := range all {
		switch {
		case i > 0: // with the comma before it
			b.Set(u, doc[:ends[i-1]], doc[ends[i]:])
		case len(all) > 1:
			b.Set(u, doc[:1], doc[ends[0]+1:])
		default:
			b.Set(u, []byte("{}"))
		}
	}
}

// contact is one in the form that rosterd and Prosody's module both take. Its groups are an object, as that wants them.
func contact(name string) any {
	return map[string]any{"name": name, "groups": map[string]bool{"Friends": true}}
}

func encode(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err) // strings and numbers
	}
	return b
}

// Post refreshes users, and returns the answer. An answer that counts errors is one.
func Post(ctx context.Context, s *target.Server, users []string) (answer []byte, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+s.HTTP+"/roster_admin/refresh", bytes.NewReader(encode(users)))
	if err != nil {
		return nil, err
	}
	req.Host = target.Domain
	req.Header.Set("Content-Type", "application/json")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, fmt.Errorf("refresh of %d: %w", len(users), err)
	}
	defer res.Body.Close()
	if answer, err = io.ReadAll(res.Body); err != nil {
		return nil, fmt.Errorf("refresh of %d: %w", len(users), err)
	}
	var sum struct{ Errors, Updated *int }
	if err := json.Unmarshal(answer, &sum); err != nil || res.StatusCode != http.StatusOK || sum.Errors == nil || *sum.Errors > 0 {
		return answer, fmt.Errorf("refresh of %d: %s: %.300s", len(users), res.Status, answer)
	}
	return answer, nil
}
