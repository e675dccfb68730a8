// Package archive keeps what users say and hear, and answers what they ask about it (XEP-0313). It knows of no
// sessions: the router gives it messages, and requests.
package archive

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"rosterd/engine/addr"
	"rosterd/store"
	"rosterd/xmppcore/router"
	"rosterd/xmppcore/scan"
	"rosterd/xmppcore/stanza"
)

// Options are how a host archives. Zero fields mean the defaults.
type Options struct {
	Policy  Policy        // of who has not said (default_archive_policy); Always
	Smart   bool          // nothing is archived for who has never asked the archive (mam_smart_enable)
	Results int           // most messages of one answer (max_archive_query_results); 50
	NoTotal bool          // answers do not say how many there are in all (mam_include_total = false)
	Drop    []string      // namespaces of what is not kept of a message (dont_archive_namespaces)
	Entries int           // most messages of a user, of which the oldest go; 100,000
	Bytes   int64         // most bytes of them all, but that one message is always kept; 256 MiB
	Expires time.Duration // age at which messages go (archive_expires_after); 0: never

	Failed func(error) // is told why a client was not answered; may be nil
}

// Archive is the archive of a host.
type Archive struct {
	Options
	log      store.Log
	prefs    *preferences
	contacts Contacts

	mu     sync.Mutex
	counts map[addr.Bare]amount // of users who were written to of late
}

// amount is what a user has.
type amount struct {
	entries int
	bytes   int64
}

// Contacts tells whether a user has somebody in the roster. It is asked for those whose policy is Roster.
type Contacts func(ctx context.Context, user, other addr.Bare) (bool, error)

var _ router.Archive = (*Archive)(nil)

// maxCounts is for how many users it is remembered how much there is.
const maxCounts = 10_000

// New makes an archive of a log and of a store for what users prefer.
func New(log store.Log, prefs store.Keyed, contacts Contacts, o Options) *Archive {
	o.Policy, o.Results, o.Entries = cmp.Or(o.Policy, Always), cmp.Or(o.Results, 50), cmp.Or(o.Entries, 100_000)
	o.Bytes = cmp.Or(o.Bytes, 256<<20)
	return &Archive{
		Options: o, log: log, contacts: contacts, counts: map[addr.Bare]amount{},
		prefs: &preferences{store: prefs, known: map[addr.Bare]*Preferences{}},
	}
}

// Sync waits for the disk.
func (a *Archive) Sync(ctx context.Context) error { return a.log.Sync(ctx) }

// Keep archives a message of a user, if there is anything in it to archive and the user wants that.
func (a *Archive) Keep(ctx context.Context, user addr.Bare, from, to addr.JID, st *scan.Stanza) (id string, err error) {
	with := from
	if from.Bare() == user {
		with = to
	}
	if !a.Wants(st) {
		return "", nil
	}
	if ok, err := a.allows(ctx, user, with); !ok || err != nil {
		return "", err
	}
	drop := a.dropped(st, user)
	if len(drop) == len(st.Children) {
		return "", nil
	}
	text := stanza.AppendForwarded(nil, st, from.String(), to.String(), stanza.Edit{Drop: drop})
	id, err = a.log.Append(ctx, user, store.Entry{Time: time.Now(), With: with.String(), Stanza: text})
	switch {
	case errors.Is(err, store.ErrDisabled):
		return "", nil
	case err != nil:
		return "", err
	}
	if err := a.bound(ctx, user, len(text)); err != nil {
		return id, fmt.Errorf("removing the oldest: %w", err)
	}
	return id, nil
}

// dropped are the children that are not kept: IDs that only this archive gives (XEP-0359 §3.2), and what the host does
// not want to have.
func (a *Archive) dropped(st *scan.Stanza, user addr.Bare) (drop []int) {
	for i := range st.Children {
		c := &st.Children[i]
		forged := false
		if string(c.Space) == nsStanzaID && string(c.Name) == "stanza-id" {
			by, _ := st.Element(i).Attr("by")
			j, err := addr.Parse(by)
			forged = err != nil || j == user.Full()
		}
		if forged || contains(a.Drop, c.Space) {
			drop = append(drop, i)
		}
	}
	return drop
}

func contains(list []string, b []byte) bool {
	for _, s := range list {
		if s == string(b) {
			return true
		}
	}
	return false
}

// allows tells whether a user wants what is said with somebody to be archived.
func (a *Archive) allows(ctx context.Context, user addr.Bare, with addr.JID) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, moment)
	defer cancel()
	p, err := a.prefs.of(ctx, user)
	if err != nil {
		return false, err
	}
	switch a.effective(p).decide(with) {
	case Always:
		return true, nil
	case Never:
		return false, nil
	}
	return a.contacts(ctx, user, with.Bare())
}

// moment is how long a message waits for what has to be read before it is archived. Others are behind it.
const moment = 3 * time.Second

// effective is what counts for a user.
func (a *Archive) effective(p *Preferences) *Preferences {
	switch {
	case p != nil:
		return p
	case a.Smart:
		return &Preferences{Default: Never}
	}
	return &Preferences{Default: a.Policy}
}

// bound counts an entry of so many bytes, and removes the oldest of a user who has too many: a hundredth at once, so
// that it is seldom.
func (a *Archive) bound(ctx context.Context, user addr.Bare, size int) error {
	has, err := a.count(ctx, user, size)
	switch {
	case errors.Is(err, store.ErrStalled) || errors.Is(err, context.DeadlineExceeded):
		return nil // the entry waits to be written, and the next one will be counted
	case err != nil:
		return err
	}
	much := amount{over(has.entries, a.Entries), over(has.bytes, a.Bytes)}
	if much == (amount{}) {
		return nil
	}
	ids, err := a.oldest(ctx, user, much, min(has.entries-1, maxRemoved))
	if err != nil {
		return err
	}
	a.forget(user)
	_, err = a.log.Delete(ctx, user, ids, time.Time{})
	return err
}

// over is how much has to go of what there is, 0 if it is not too much.
func over[N int | int64](is, most N) N {
	if is <= most {
		return 0
	}
	return is - most + most/100
}

// maxRemoved is how many entries go at once, and fewPage how many of them are looked at: they may be large.
const (
	maxRemoved = 1000
	fewPage    = 20
)

// oldest finds the first entries of a user that are so much together, but no more than most.
func (a *Archive) oldest(ctx context.Context, user addr.Bare, much amount, most int) (ids []string, err error) {
	for last := ""; ; {
		page, err := a.log.Find(ctx, user, store.Query{Max: fewPage, After: last})
		if err != nil {
			return nil, err
		}
		for _, e := range page.Entries {
			if len(ids) >= most || much.entries <= 0 && much.bytes <= 0 {
				return ids, nil
			}
			ids, last = append(ids, e.ID), e.ID
			much.entries, much.bytes = much.entries-1, much.bytes-int64(len(e.Stanza))
		}
		if page.Complete {
			return ids, nil
		}
	}
}

// count is what a user has, the entry that has just come included.
func (a *Archive) count(ctx context.Context, user addr.Bare, size int) (amount, error) {
	a.mu.Lock()
	n, ok := a.counts[user]
	if ok {
		n = amount{n.entries + 1, n.bytes + int64(size)}
		a.counts[user] = n
	}
	a.mu.Unlock()
	if ok {
		return n, nil
	}
	ctx, cancel := context.WithTimeout(ctx, moment)
	defer cancel()
	page, err := a.log.Find(ctx, user, store.Query{Max: 1, Count: true, Size: true})
	if err != nil {
		return amount{}, err
	}
	n = amount{page.Total, page.Size}
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.counts) >= maxCounts {
		clear(a.counts)
	}
	a.counts[user] = n
	return n, nil
}

// Forget drops what is known of a user who was deleted: the name may soon be somebody else's.
func (a *Archive) Forget(user addr.Bare) {
	a.forget(user)
	a.prefs.forget(user)
}

func (a *Archive) forget(user addr.Bare) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.counts, user)
}

// Expire removes what is too old of a host's users, and returns how much that was. It ends early with ctx.
func (a *Archive) Expire(ctx context.Context, host string, now time.Time) (n int, err error) {
	if a.Expires == 0 {
		return 0, nil
	}
	for ctx.Err() == nil {
		gone, err := a.log.Expire(ctx, host, now.Add(-a.Expires), maxRemoved)
		n += gone
		if err != nil && !errors.Is(err, context.Canceled) {
			return n, err
		}
		if gone < maxRemoved {
			break
		}
	}
	if n > 0 {
		a.mu.Lock()
		defer a.mu.Unlock()
		clear(a.counts)
	}
	return n, nil
}
