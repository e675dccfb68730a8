package migrate

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"rosterd/engine/addr"
	"rosterd/store"
	"rosterd/store/dat"
	"rosterd/store/prosody"
	"rosterd/xmppcore/scan"
	"rosterd/xmppcore/stanza"
)

// limits are those of what Prosody has taken of its clients.
var limits = scan.Limits{Stanza: 64 << 20, Depth: 200, Attrs: 256, Prefixes: 64}

const nsDelay = "urn:xmpp:delay"

// piece is one element that stands alone.
type piece struct {
	space, name string
	text        []byte
}

// elementOf is an element as Prosody keeps it.
func elementOf(t *dat.Table) (piece, error) {
	text, err := prosody.Element(t)
	if err != nil {
		return piece{}, err
	}
	return pieceOf(text)
}

func pieceOf(text []byte) (piece, error) {
	sc, st := scan.Scanner{Limits: limits}, scan.Stanza{}
	whole := slices.Concat([]byte("<iq>"), text, []byte("</iq>"))
	n, err := sc.Next(whole, &st)
	switch {
	case err != nil:
		return piece{}, fmt.Errorf("not XML: %w", err)
	case n != len(whole) || len(st.Children) != 1:
		return piece{}, errors.New("not one element")
	}
	e := st.Element(0)
	return piece{string(e.Space), string(e.Name), e.AppendAlone(nil)}, nil
}

// message reads a message.
func message(text []byte) (*scan.Stanza, error) {
	sc, st := scan.Scanner{Limits: limits}, &scan.Stanza{}
	n, err := sc.Next(text, st)
	switch {
	case err != nil:
		return nil, fmt.Errorf("not XML: %w", err)
	case n != len(text):
		return nil, errors.New("more than one element")
	case string(st.Name) != "message" || string(st.Space) != scan.NSClient:
		return nil, fmt.Errorf("<%s> is no message", st.Name)
	}
	return st, nil
}

// address is one of the addresses of a stanza, or else another one.
func address(st *scan.Stanza, name string, or addr.JID) (addr.JID, error) {
	text, ok := st.Attr(name)
	if !ok {
		return or, nil
	}
	j, err := addr.Parse(text)
	if err != nil {
		return j, fmt.Errorf("%s: %w", name, err)
	}
	return j, nil
}

// archive takes what the user has said and heard. What was taken before is known by its ID.
func (o *one) archive(ctx context.Context) error {
	name := o.Archive
	if !o.takes(name) {
		return nil
	}
	stamp, err := o.From[name].Stamp(ctx, o.Name, o.name, name)
	if err != nil {
		return err
	}
	was, err := o.remembered(ctx, name)
	switch {
	case err != nil || stamp == "":
		return err
	case stamp == was.Stamp:
		o.add(name, Counts{Users: 1, Same: was.Count})
		return nil // nothing has come since
	}
	i, err := o.to(ctx, name)
	if err != nil {
		return err
	}
	c := Counts{Users: 1}
	for item, err := range o.From[name].Items(ctx, o.Name, o.name, name) {
		if err != nil {
			return err
		}
		var e store.Entry
		if err := item.Err; err == nil {
			e, item.Err = o.said(item)
		}
		if item.Err != nil {
			o.skipItem(name, item)
			stamp = "" // it is looked at again, and told of again
			continue
		}
		added, err := i.Add(ctx, name, e)
		switch {
		case err != nil:
			return err
		case added:
			c.New++
		default:
			c.Same++
		}
	}
	o.add(name, c)
	return o.remember(ctx, name, taken{Stamp: stamp, Count: c.New + c.Same})
}

func (o *one) skipItem(name string, item prosody.Item) {
	if e, ok := errors.AsType[*prosody.Error](item.Err); ok {
		o.skip(name, e)
		return
	}
	o.skipAt(name, item.Place, "%v", item.Err)
}

// said is an entry of the archive.
func (o *one) said(item prosody.Item) (e store.Entry, err error) {
	st, err := message(item.Stanza)
	if err != nil {
		return e, err
	}
	from, err1 := address(st, "from", o.user.Full())
	to, err2 := address(st, "to", o.user.Full())
	if err := errors.Join(err1, err2); err != nil {
		return e, err
	}
	with := from
	if from.Bare() == o.user {
		with = to
	}
	if item.With != "" && with.Bare().String() != item.With {
		if j, err := addr.Parse(item.With); err == nil {
			with = j
		}
	}
	text := stanza.AppendForwarded(nil, st, from.String(), to.String(), stanza.Edit{})
	return store.Entry{ID: item.Key, Time: item.Time, With: with.String(), Stanza: text}, nil
}

// offline takes the messages that wait for the user, but for those that were taken before: they may have been delivered.
func (o *one) offline(ctx context.Context) error {
	const name = "offline"
	if !o.takes(name) {
		return nil
	}
	was, err := o.remembered(ctx, name)
	if err != nil {
		return err
	}
	i, err := o.to(ctx, name)
	if err != nil {
		return err
	}
	c, now := Counts{}, taken{}
	for item, err := range o.From[name].Items(ctx, o.Name, o.name, name) {
		if err != nil {
			return err
		}
		c.Users = 1
		id := printOf([]byte(item.Key))
		if item.Err == nil && slices.Contains(was.Waiting, id) {
			now.Waiting = append(now.Waiting, id)
			c.Same++
			continue
		}
		var e store.Entry
		if item.Err == nil {
			e, item.Err = o.waiting(item)
		}
		if item.Err != nil {
			o.skipItem(name, item)
			continue
		}
		now.Waiting = append(now.Waiting, id)
		added, err := i.Add(ctx, name, e)
		switch {
		case err != nil:
			return err
		case added:
			c.New++
		default:
			c.Same++
		}
	}
	o.add(name, c)
	if len(now.Waiting)+len(was.Waiting) == 0 {
		return nil
	}
	return o.remember(ctx, name, now)
}

// waiting is a message that waits, with the time when it came (XEP-0160 §3).
func (o *one) waiting(item prosody.Item) (e store.Entry, err error) {
	st, err := message(item.Stanza)
	if err != nil {
		return e, err
	}
	from, err := address(st, "from", o.user.Full())
	if err != nil {
		return e, err
	}
	var add stanza.Edit
	if !o.delayed(st) {
		add.Add = fmt.Appendf(nil, "<delay xmlns='%s' from='%s' stamp='%s'/>", nsDelay, stanza.AppendText(nil, o.user.Domain()), item.Time.UTC().Format(time.RFC3339))
	}
	return store.Entry{ID: item.Key, Time: item.Time, Stanza: stanza.AppendEdited(nil, st, from.String(), add)}, nil
}

// delayed tells whether the message says itself when it came to this server.
func (o *one) delayed(st *scan.Stanza) bool {
	for n := range st.Children {
		c := &st.Children[n]
		if string(c.Space) != nsDelay || string(c.Name) != "delay" {
			continue
		}
		if by, _ := st.Element(n).Attr("from"); by == o.user.Domain() {
			return true
		}
	}
	return false
}

func sortJIDs(list []addr.JID) {
	slices.SortFunc(list, func(a, b addr.JID) int { return cmp.Compare(a.String(), b.String()) })
}
