package migrate

import (
	"context"
	"fmt"
	"time"

	"rosterd/engine/addr"
	"rosterd/engine/stored"
	"rosterd/store"
	"rosterd/store/dat"
	"rosterd/store/prosody"
	"rosterd/xmppcore/archive"
	"rosterd/xmppcore/vcard"
)

// reader makes what rosterd keeps of what Prosody has kept in a store. What it cannot take it skips.
type reader func(o *one, name string, d prosody.Document) (map[string]group, error)

var readers = map[string]reader{
	"roster": readRoster, "vcard": readCard, "private": readPrivate, "blocklist": readBlocklist, "archive_prefs": readPreferences,
}

// values takes the stores of values but "pep".
func (o *one) values(ctx context.Context) error {
	for _, kind := range []string{"roster", "vcard", "private", "blocklist", "archive_prefs"} {
		name := kind
		if kind == "archive_prefs" {
			name = o.Archive + "_prefs"
		}
		if !o.takes(name) {
			continue
		}
		d, err := o.From[name].Table(ctx, o.Name, o.name, name)
		if err == nil && d.Table == nil && kind == "blocklist" {
			d, err = o.privacy(ctx)
		}
		groups := map[string]group{}
		switch {
		case err != nil:
		case d.Table != nil:
			groups, err = readers[kind](o, name, d)
		case kind == "vcard":
			groups, err = o.published(ctx, name)
		}
		switch {
		case err != nil && o.bad(name, err):
			continue
		case err != nil:
			return err
		}
		if err := o.merge(ctx, name, groups, name); err != nil {
			return err
		}
	}
	return nil
}

func (o *one) skipAt(name string, at prosody.Place, format string, args ...any) {
	o.skip(name, &prosody.Error{Place: at, Reason: fmt.Sprintf(format, args...)})
}

func readRoster(o *one, name string, d prosody.Document) (map[string]group, error) {
	contacts, bad, err := store.ProsodyContacts(o.user, d.Table)
	if err != nil {
		return nil, &prosody.Error{Place: d.Place, Reason: err.Error()}
	}
	for _, b := range bad {
		o.skipAt(name, d.At(d.Table, b.JID), "%q: %s", b.JID, b.Reason)
	}
	list := make([]stored.Entry, len(contacts))
	for i, c := range contacts {
		list[i] = stored.Entry{Contact: c.JID, Item: c.Item, Asks: c.Asks, Stanza: c.Stanza}
	}
	values, err := stored.Taken(o.user, list)
	return each(name, values), err
}

// each makes a group of each value.
func each(name string, values map[string][]byte) map[string]group {
	groups := map[string]group{}
	for key, value := range values {
		groups[key] = group{{name, key}: value}
	}
	return groups
}

func readCard(o *one, name string, d prosody.Document) (map[string]group, error) {
	card, err := elementOf(d.Table)
	switch {
	case err != nil:
		return nil, &prosody.Error{Place: d.Place, Reason: err.Error()}
	case card.name != "vCard" || card.space != vcard.NS:
		return nil, &prosody.Error{Place: d.Place, Reason: fmt.Sprintf("<%s xmlns=%q> is no vCard", card.name, card.space)}
	case len(card.text) > vcard.MaxCard:
		return nil, &prosody.Error{Place: d.Place, Reason: fmt.Sprintf("a vCard has at most %d bytes", vcard.MaxCard)}
	}
	return map[string]group{"": {{name, ""}: card.text}}, nil
}

// readPrivate reads elements under their names and namespaces.
func readPrivate(o *one, name string, d prosody.Document) (map[string]group, error) {
	values := map[string][]byte{}
	for _, f := range d.Table.Fields {
		t, ok := f.Value.(*dat.Table)
		if !ok {
			o.skipAt(name, d.At(d.Table, f.Key), "%q is no element", fmt.Sprint(f.Key))
			continue
		}
		e, err := elementOf(t)
		if err != nil {
			o.skipAt(name, d.At(d.Table, f.Key), "%q: %v", fmt.Sprint(f.Key), err)
			continue
		}
		values[e.name+":"+e.space] = e.text
	}
	return each(name, values), nil
}

// readBlocklist reads addresses, each with when it was blocked if that is known. When the list was made is under false.
func readBlocklist(o *one, name string, d prosody.Document) (map[string]group, error) {
	made := time.Unix(0, 0)
	if about, ok := d.Table.Get(false).(*dat.Table); ok {
		made = timeOf(about.Get("created"), made)
	}
	values := map[string][]byte{"": []byte(made.UTC().Format(time.RFC3339))}
	for _, f := range d.Table.Fields {
		jid, ok := f.Key.(string)
		if !ok || f.Value == false {
			continue
		}
		j, err := addr.Parse(jid)
		if err != nil {
			o.skipAt(name, d.At(d.Table, f.Key), "%q is nobody's address", jid)
			continue
		}
		values[j.String()] = []byte(timeOf(f.Value, made).UTC().Format(time.RFC3339))
	}
	if len(values) == 1 {
		return nil, nil
	}
	return each(name, values), nil
}

// timeOf is a time in seconds, or else another one.
func timeOf(v dat.Value, or time.Time) time.Time {
	switch n := v.(type) {
	case int64:
		if n > 0 && n < 1<<33 {
			return time.Unix(n, 0)
		}
	case float64:
		if n > 0 && n < 1<<33 {
			return time.Unix(int64(n), 0)
		}
	}
	return or
}

// privacy is whom a user has blocked before there were blocklists: those whom the default privacy list denies, which
// Prosody would move when the user comes.
func (o *one) privacy(ctx context.Context) (d prosody.Document, err error) {
	src := o.From["blocklist"]
	if d, err = src.Table(ctx, o.Name, o.name, "privacy"); err != nil || d.Table == nil {
		return d, err
	}
	lists, _ := d.Table.Get("lists").(*dat.Table)
	name, _ := d.Table.Get("default").(string)
	d.Table = nil
	if lists == nil || name == "" {
		return d, nil
	}
	list, _ := lists.Get(name).(*dat.Table)
	if list == nil {
		return d, nil
	}
	items, _ := list.Get("items").(*dat.Table)
	if items == nil {
		return d, nil
	}
	d.Table = &dat.Table{}
	for _, f := range items.Fields {
		item, _ := f.Value.(*dat.Table)
		if item == nil || item.Get("type") != "jid" || item.Get("action") != "deny" {
			continue
		}
		if jid, ok := item.Get("value").(string); ok && d.Table.Get(jid) == nil {
			d.Table.Fields = append(d.Table.Fields, dat.Field{Key: jid, Value: true})
		}
	}
	return d, nil
}

// readPreferences reads with whom what is said is archived: under false what is true of those who are not named.
func readPreferences(o *one, name string, d prosody.Document) (map[string]group, error) {
	p := &archive.Preferences{}
	switch v := d.Table.Get(false).(type) {
	case bool:
		p.Default = map[bool]archive.Policy{true: archive.Always, false: archive.Never}[v]
	case string:
		p.Default = archive.Policy(v)
	}
	switch p.Default {
	case archive.Always, archive.Never, archive.Roster:
	default:
		return nil, &prosody.Error{Place: d.Place, Reason: "who is not named is archived neither always nor never, nor if in the roster"}
	}
	for _, f := range d.Table.Fields {
		jid, ok := f.Key.(string)
		wanted, is := f.Value.(bool)
		if !ok {
			continue
		}
		j, err := addr.Parse(jid)
		switch {
		case err != nil || !is:
			o.skipAt(name, d.At(d.Table, f.Key), "%q: not an address with true or false", jid)
		case wanted:
			p.Always = append(p.Always, j)
		default:
			p.Never = append(p.Never, j)
		}
	}
	sortJIDs(p.Always)
	sortJIDs(p.Never)
	return map[string]group{"": {{name, ""}: archive.Encoded(p)}}, nil
}
