// Package migrate takes over what Prosody has stored of its users: each user as a whole or not at all, and again as often
// as one likes. What has changed there since the last time changes here, unless the user has changed it here.
package migrate

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"rosterd/engine/addr"
	"rosterd/store"
	"rosterd/store/prosody"
)

// Target is a database that users are taken into.
type Target interface {
	Import(ctx context.Context, user addr.Bare, dry bool) (*store.Import, error)
}

// Host says what of a VirtualHost is taken, from where and to where. Stores have Prosody's names.
type Host struct {
	Name string // as it is here and there

	From map[string]prosody.Source // of a store
	To   map[string]Target         // of a store, "rosterd_seen" among them; nil: it is not kept
	Left map[string]string         // stores that are left, and why

	Foreign  bool   // who can log in is for somebody else to say
	Archive  string // name of the archive
	MaxItems int    // of a node that users publish in
	Dry      bool   // nothing is written
}

// Stores are those that can be taken, in the order in which they are. The archive may have another name.
var Stores = []string{"accounts", "roster", "vcard", "private", "blocklist", "archive_prefs", "pep", "offline", "archive"}

// memory is where it is kept what was taken, for the next time: under the name of each store.
const memory = "rosterd_import"

// Run takes over a host. What goes on is for each to hear of; an error ends it, and what is done is done.
func (h *Host) Run(ctx context.Context, r *Report) error {
	users, err := h.users(ctx, r)
	if err != nil {
		return err
	}
	for _, name := range users {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := h.user(ctx, name, r); err != nil {
			return err
		}
	}
	return nil
}

// users are all of whom there is something in one of the places, by name.
func (h *Host) users(ctx context.Context, r *Report) ([]string, error) {
	all, seen := map[string]bool{}, map[prosody.Source]bool{}
	for _, name := range slices.Sorted(maps.Keys(h.From)) {
		src := h.From[name]
		if src == nil || seen[src] {
			continue
		}
		seen[src] = true
		v, err := src.Inventory(ctx, h.Name, func(name string) bool { return h.From[name] == src || isItems(name) })
		if err != nil {
			return nil, fmt.Errorf("%s: %w", h.Name, err)
		}
		for _, user := range v.Users {
			all[user] = true
		}
		for _, err := range v.Bad {
			r.skip(h.Name, "", "", err)
		}
		h.leave(v, src, r)
	}
	return slices.Sorted(maps.Keys(all)), nil
}

// leave reports the stores that are not taken.
func (h *Host) leave(v prosody.Inventory, src prosody.Source, r *Report) {
	for name, n := range v.Stores {
		why, left := h.Left[name]
		switch {
		case left:
		case h.From[name] == src, isItems(name):
			continue
		case h.From[name] != nil:
			why = "Prosody does not look for it here: the option storage names another place"
		default:
			why = unknown(name)
		}
		r.Leave(Left{Host: h.Name, Store: name, Users: n, Where: src.String(), Why: why})
	}
}

// one is what is being done for one user.
type one struct {
	*Host
	user addr.Bare
	name string // as Prosody has it
	r    *Report

	open   map[Target]*store.Import
	counts map[string]Counts
	some   bool // there is anything
}

// user takes one user, or reports why not.
func (h *Host) user(ctx context.Context, name string, r *Report) error {
	user, err := addr.NewBare(name, h.Name)
	if err != nil || user.Local() != name {
		r.skip(h.Name, "", name, errors.New("no user can have such a name"))
		return nil
	}
	o := &one{Host: h, user: user, name: name, r: r, open: map[Target]*store.Import{}, counts: map[string]Counts{}}
	defer o.close()
	if ok, err := o.account(ctx); err != nil || !ok {
		return err
	}
	for _, take := range []func(context.Context) error{o.values, o.nodes, o.offline, o.archive, o.seen} {
		if err := take(ctx); err != nil {
			return err
		}
	}
	if err := o.commit(); err != nil {
		return err
	}
	o.flush()
	return nil
}

// to is the transaction in which a store is written.
func (o *one) to(ctx context.Context, name string) (*store.Import, error) {
	t := o.To[name]
	if i := o.open[t]; i != nil {
		return i, nil
	}
	i, err := t.Import(ctx, o.user, o.Dry)
	if err == nil {
		o.open[t] = i
	}
	return i, err
}

func (o *one) close() {
	for _, i := range o.open {
		i.Close()
	}
}

// commit has the account last: who has one has all the rest.
func (o *one) commit() error {
	last := o.open[o.To["accounts"]]
	for _, i := range o.open {
		if i == last {
			continue
		}
		if err := i.Commit(); err != nil {
			return err
		}
	}
	if last == nil {
		return nil
	}
	return last.Commit()
}

// takes tells whether a store is taken.
func (o *one) takes(name string) bool {
	_, left := o.Left[name]
	return o.From[name] != nil && !left
}

// add counts for a store.
func (o *one) add(name string, c Counts) {
	was := o.counts[name]
	was.add(c)
	o.counts[name] = was
	o.some = o.some || c.New+c.Changed+c.Same+c.Kept > 0
}

// flush reports what was counted.
func (o *one) flush() {
	for name, c := range o.counts {
		if c != (Counts{}) {
			o.r.count(o.Name, name, c)
		}
	}
}

// skip reports something that is not taken.
func (o *one) skip(name string, err error) {
	o.add(name, Counts{Skipped: 1})
	o.r.skip(o.Name, name, o.user.String(), err)
}

// bad tells whether an error is about what Prosody has, and reports it then. Others are ours.
func (o *one) bad(name string, err error) bool {
	if e, ok := errors.AsType[*prosody.Error](err); ok {
		o.skip(name, e)
		return true
	}
	return false
}

// seen says that a user has been here, where nobody could be asked whether there is such a user.
func (o *one) seen(ctx context.Context) error {
	const name = "rosterd_seen"
	if !o.Foreign || !o.some || o.To[name] == nil {
		return nil
	}
	i, err := o.to(ctx, name)
	if err != nil {
		return err
	}
	return i.Change(ctx, name, map[string][]byte{"": []byte("1")})
}
