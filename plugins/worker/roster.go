package worker

import (
	"fmt"

	"rosterd/engine"
	"rosterd/engine/addr"
	"rosterd/engine/roster"
)

// An answer travels flat: what is said of the roster, what was left out of it, then the contacts, each with its flags
// in front.
const (
	flagUnchanged = 1 << iota
	flagBounded
)

const (
	flagSubscription = 1<<2 - 1
	flagApproved     = 1 << 2
	flagAsk          = 1 << 3
	flagsOfItem      = flagSubscription | flagApproved | flagAsk
)

const (
	maxRev     = 8 << 10 // bytes of a revision
	maxDropped = 10_000  // contacts that were left out and are named
	maxGroups  = 1024    // of a contact; the builder has a stricter limit
)

func appendAnswer(b []byte, a engine.Answer) []byte {
	var flags byte
	if a.Unchanged {
		flags |= flagUnchanged
	}
	if a.Bounded {
		flags |= flagBounded
	}
	b = appendText(append(b, flags), a.Rev)
	b = appendInt(appendInt(b, int64(a.MaxAge)), int64(a.StaleIfError))
	if more := len(a.Dropped) - maxDropped; more > 0 {
		a.Dropped = append(a.Dropped[:maxDropped:maxDropped], roster.BadItem{JID: "…", Reason: fmt.Sprintf("and %d more", more)})
	}
	b = appendUint(b, uint64(len(a.Dropped)))
	for _, bad := range a.Dropped {
		b = appendText(appendText(b, bad.JID), bad.Reason)
	}
	items := a.Roster.Items()
	if a.Unchanged {
		items = nil
	}
	b = appendUint(b, uint64(len(items)))
	for k := range items {
		b = appendItem(b, &items[k])
	}
	return b
}

func appendItem(b []byte, i *roster.Item) []byte {
	flags := byte(i.Subscription)
	if i.Approved {
		flags |= flagApproved
	}
	if i.Ask {
		flags |= flagAsk
	}
	b = appendText(appendText(append(b, flags), i.JID.String()), i.Name)
	return appendTexts(b, i.Groups)
}

// answer reads the roster of owner and checks each contact as if it came from the backend itself.
func (d *decoder) answer(owner addr.Bare, lim roster.Limits) (a engine.Answer, err error) {
	flags := d.byte()
	if flags&^(flagUnchanged|flagBounded) != 0 {
		d.fail()
	}
	a.Unchanged, a.Bounded = flags&flagUnchanged != 0, flags&flagBounded != 0
	if a.Rev = d.text(); len(a.Rev) > maxRev {
		d.fail()
	}
	a.MaxAge, a.StaleIfError = d.duration(), d.duration()
	b := roster.NewBuilder(owner, lim)
	dropped := d.count(2)
	if dropped > maxDropped+1 {
		return a, breachf("%d contacts left out, more than %d", dropped, maxDropped)
	}
	for range dropped {
		b.Bad(d.text(), cut(d.text(), maxLine))
	}
	n := d.count(4)
	if lim.Items > 0 && n > lim.Items {
		return a, breachf("a roster of %d contacts, more than %d", n, lim.Items)
	}
	b.Grow(n)
	var room roster.Room
	for k := range n {
		jid, i := d.item(&room, n-k)
		b.Add(jid, i)
	}
	if err := d.end("a roster"); err != nil {
		return engine.Answer{}, err
	}
	if a.Roster, a.Dropped, err = b.Roster(); err != nil {
		return engine.Answer{}, &breach{err.Error()}
	}
	return a, nil
}

// item reads a contact, its groups into room. So many more follow, this one included.
func (d *decoder) item(room *roster.Room, more int) (jid string, i roster.Item) {
	flags := d.byte()
	if flags&^flagsOfItem != 0 {
		d.fail()
	}
	jid = d.text()
	i.Name = d.text()
	i.Subscription = roster.Subscription(flags & flagSubscription)
	i.Approved, i.Ask = flags&flagApproved != 0, flags&flagAsk != 0
	n := d.count(1)
	if n > maxGroups {
		d.fail()
		n = 0
	}
	i.Groups = room.Groups(n, more)
	for k := range i.Groups {
		i.Groups[k] = d.text()
	}
	return jid, i
}
