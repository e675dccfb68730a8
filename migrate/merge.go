package migrate

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"

	"rosterd/store"
)

// place is where a value is.
type place struct{ store, key string }

// group are values that only mean something together; nil is none.
type group map[place][]byte

// prints are what is remembered of a group: of each value a digest.
type prints map[place]string

func printOf(value []byte) string {
	sum := sha256.Sum256(value)
	return base64.RawStdEncoding.EncodeToString(sum[:12])
}

func (g group) prints() prints {
	p := prints{}
	for at, value := range g {
		p[at] = printOf(value)
	}
	return p
}

// taken is what is remembered of a store of a user, so that it can be taken again.
type taken struct {
	Groups  map[string][]print `json:"groups,omitempty"`
	Stamp   string             `json:"stamp,omitempty"`   // of the stanzas that were taken, or of the account
	Count   int                `json:"count,omitempty"`   // of those that were there then
	Waiting []string           `json:"waiting,omitempty"` // IDs of messages that were taken and may have been delivered since
}

// print is one of prints, as it is stored.
type print struct {
	Store  string `json:"s"`
	Key    string `json:"k"`
	Digest string `json:"d"`
}

func (p prints) list() (list []print) {
	for at, digest := range p {
		list = append(list, print{at.store, at.key, digest})
	}
	slices.SortFunc(list, func(a, b print) int {
		return cmp.Or(cmp.Compare(a.Store, b.Store), cmp.Compare(a.Key, b.Key))
	})
	return list
}

func printsOf(list []print) prints {
	p := prints{}
	for _, x := range list {
		p[place{x.Store, x.Key}] = x.Digest
	}
	return p
}

// remembered is what is remembered of a store.
func (o *one) remembered(ctx context.Context, name string) (t taken, err error) {
	i, err := o.to(ctx, name)
	if err != nil {
		return t, err
	}
	all, err := i.Values(ctx, memory)
	if err != nil {
		return t, err
	}
	doc, ok := all[name]
	if !ok {
		return t, nil
	}
	if err := json.Unmarshal(doc, &t); err != nil {
		return t, fmt.Errorf("what is remembered of %s of %s: %w", name, o.user, err)
	}
	return t, nil
}

func (o *one) remember(ctx context.Context, name string, t taken) error {
	doc, err := json.Marshal(t)
	if err != nil {
		return err
	}
	i, err := o.to(ctx, name)
	if err != nil {
		return err
	}
	return i.Change(ctx, memory, map[string][]byte{name: doc})
}

// merge takes the groups of a store. Of a list, the user may have decided here already about the whole.
func (o *one) merge(ctx context.Context, name string, groups map[string]group, stores ...string) error {
	was, err := o.remembered(ctx, name)
	if err != nil {
		return err
	}
	here, err := o.here(ctx, stores)
	if err != nil {
		return err
	}
	c, now := Counts{}, taken{Groups: map[string][]print{}}
	if len(groups) > 0 {
		c.Users = 1
	}
	list := name == "roster" || name == "blocklist"
	_, own := here[place{name, ""}]
	own = own && list && len(was.Groups) == 0
	for _, key := range slices.Sorted(maps.Keys(groups)) {
		old, known := was.Groups[key]
		d := decide(groups[key], printsOf(old), known, own, here)
		if list && key == "" {
			d.Counts = Counts{} // it only says that there is a list
		}
		c.add(d.Counts)
		switch err := o.change(ctx, d.change); {
		case errors.Is(err, store.ErrLongKey):
			c.New, c.Changed = c.New-d.New, c.Changed-d.Changed
			o.skip(name, fmt.Errorf("%q is longer than the database can find again", key))
			continue
		case err != nil:
			return err
		}
		if d.now != nil {
			now.Groups[key] = d.now.list()
		}
	}
	for _, key := range slices.Sorted(maps.Keys(was.Groups)) {
		if _, ok := groups[key]; ok {
			continue
		}
		d := forget(printsOf(was.Groups[key]), here)
		c.add(d.Counts)
		if err := o.change(ctx, d.change); err != nil {
			return err
		}
		if d.now != nil {
			now.Groups[key] = d.now.list()
		}
	}
	o.add(name, c)
	if len(now.Groups) == 0 && len(was.Groups) == 0 {
		return nil
	}
	return o.remember(ctx, name, now)
}

// here is what the user has in stores of ours.
func (o *one) here(ctx context.Context, stores []string) (map[place][]byte, error) {
	here := map[place][]byte{}
	for _, name := range stores {
		i, err := o.to(ctx, name)
		if err != nil {
			return nil, err
		}
		all, err := i.Values(ctx, name)
		if err != nil {
			return nil, err
		}
		for key, value := range all {
			here[place{name, key}] = value
		}
	}
	return here, nil
}

// change writes a group, store by store.
func (o *one) change(ctx context.Context, g group) error {
	byStore := map[string]map[string][]byte{}
	for at, value := range g {
		if byStore[at.store] == nil {
			byStore[at.store] = map[string][]byte{}
		}
		byStore[at.store][at.key] = value
	}
	for _, name := range slices.Sorted(maps.Keys(byStore)) { // what is found by its name first: that may be too long
		i, err := o.to(ctx, name)
		if err != nil {
			return err
		}
		if err := i.Change(ctx, name, byStore[name]); err != nil {
			return err
		}
	}
	return nil
}

// decision is what becomes of a group.
type decision struct {
	Counts
	change group
	now    prints // is remembered; nil: nothing
}

// decide is for a group that is there. It was taken before if known; what is here stays where somebody has changed it.
func decide(there group, was prints, known, own bool, here map[place][]byte) decision {
	fresh := there.prints()
	switch {
	case known && maps.Equal(fresh, was), !known && !own && agrees(fresh, here):
		return decision{Counts: Counts{Same: 1}, now: fresh}
	case known && agrees(was, here):
		change := maps.Clone(there)
		for at := range was {
			if _, ok := there[at]; !ok {
				change[at] = nil
			}
		}
		return decision{Counts{Changed: 1}, change, fresh}
	case known:
		return decision{Counts: Counts{Kept: 1}, now: was}
	case own || anyOf(fresh, here):
		return decision{Counts: Counts{Kept: 1}}
	default:
		return decision{Counts{New: 1}, there, fresh}
	}
}

// forget is for a group that was taken and is no longer there.
func forget(was prints, here map[place][]byte) decision {
	if !agrees(was, here) {
		return decision{Counts: Counts{Kept: 1}, now: was}
	}
	change := group{}
	for at := range was {
		change[at] = nil
	}
	return decision{Counts: Counts{Removed: 1}, change: change}
}

// agrees tells whether what is here is what was taken.
func agrees(was prints, here map[place][]byte) bool {
	for at, digest := range was {
		if value, ok := here[at]; !ok || printOf(value) != digest {
			return false
		}
	}
	return true
}

func anyOf(p prints, here map[place][]byte) bool {
	for at := range p {
		if _, ok := here[at]; ok {
			return true
		}
	}
	return false
}
