package migrate

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"rosterd/store/dat"
	"rosterd/store/prosody"
	"rosterd/xmppcore/pep"
)

// The stores of what users publish: nodes, and in Prosody a store of stanzas for the items of each node, whose name
// begins like that. Where those are, the name of the third says.
const (
	nodesStore = "pep"
	itemsOf    = "pep_"
	itemsStore = "pep_data"
)

func isItems(name string) bool { return strings.HasPrefix(name, itemsOf) }

// maxPublished bounds what of a user is in memory.
const maxPublished = 64 << 20

// nodes takes what the user has published.
func (o *one) nodes(ctx context.Context) error {
	if !o.takes(nodesStore) || o.To[itemsStore] == nil {
		return nil
	}
	d, err := o.From[nodesStore].Table(ctx, o.Name, o.name, nodesStore)
	switch {
	case err != nil && o.bad(nodesStore, err):
		return nil
	case err != nil:
		return err
	}
	groups, left := map[string]group{}, maxPublished
	if d.Table != nil {
		for _, f := range d.Table.Fields {
			if err := o.node(ctx, d, f, groups, &left); err != nil {
				return err
			}
		}
	}
	return o.merge(ctx, nodesStore, groups, nodesStore, itemsStore)
}

// node reads one node with its items.
func (o *one) node(ctx context.Context, d prosody.Document, f dat.Field, groups map[string]group, left *int) error {
	at := d.At(d.Table, f.Key)
	name, ok := f.Key.(string)
	if !ok {
		o.skipAt(nodesStore, at, "%v is no name of a node", f.Key)
		return nil
	}
	t := pep.Taken{Name: name}
	switch v := f.Value.(type) {
	case *dat.Table:
		o.configure(&t, v, at)
	case bool: // of old: that it is kept
	default:
		o.skipAt(nodesStore, at, "node %q is a %T", name, v)
		return nil
	}
	src := o.From[itemsStore]
	if src == nil {
		src = o.From[nodesStore]
	}
	for item, err := range src.Items(ctx, o.Name, o.name, itemsOf+name) {
		if err != nil {
			return err
		}
		var p piece
		if item.Err == nil {
			p, item.Err = pieceOf(item.Stanza)
		}
		if *left -= len(p.text); item.Err == nil && *left < 0 {
			item.Err = errors.New("the user has published more than can be taken")
		}
		if item.Err != nil {
			o.skipItem(nodesStore, item)
			continue
		}
		t.Items = append(t.Items, pep.TakenItem{ID: item.Key, Time: item.Time, Payload: p.text})
	}
	doc, payloads, changed, err := t.Values(o.MaxItems)
	for _, what := range changed {
		o.r.skip(o.Name, nodesStore, o.user.String(), &prosody.Error{Place: at, Reason: fmt.Sprintf("node %q: %s", name, what)})
	}
	if err != nil {
		o.skipAt(nodesStore, at, "node %q: %v", name, err)
		return nil
	}
	g := group{{nodesStore, name}: doc}
	for key, payload := range payloads {
		g[place{itemsStore, key}] = payload
	}
	groups[name] = g
	return nil
}

// formNames are the names of fields that are kept under others.
var formNames = map[string]string{
	"payload_type": "type", "notify_items": "deliver_notifications", "include_payload": "deliver_payloads",
}

// configure reads how a node behaves. Who is shut out of it must not be let in: it is nobody else's then.
func (o *one) configure(t *pep.Taken, v *dat.Table, at prosody.Place) {
	note := func(what string) {
		o.r.skip(o.Name, nodesStore, o.user.String(), &prosody.Error{Place: at, Reason: fmt.Sprintf("node %q: %s", t.Name, what)})
	}
	if c, ok := v.Get("config").(*dat.Table); ok {
		t.Config = map[string][]string{}
		for _, f := range c.Fields {
			name, _ := f.Key.(string)
			name = strings.TrimPrefix(name, "pubsub#")
			if other := formNames[name]; other != "" {
				name = other
			}
			if values := texts(f.Value); values != nil {
				t.Config["pubsub#"+name] = values
			}
		}
	}
	if a, ok := v.Get("affiliations").(*dat.Table); ok {
		others := false
		for _, f := range a.Fields {
			t.Closed = t.Closed || f.Value == "outcast"
			others = others || f.Key != o.user.String()
		}
		switch {
		case t.Closed:
			note("somebody was shut out of it, which is not possible here: only its owner may see it now")
		case others:
			note("who else might do what with it is left (affiliations)")
		}
	}
	if s, ok := v.Get("subscribers").(*dat.Table); ok && len(s.Fields) > 0 {
		note("who had subscribed to it beside the contacts is left (subscribers)")
	}
}

// texts are the values of a field of a form.
func texts(v dat.Value) []string {
	switch v := v.(type) {
	case string:
		return []string{v}
	case bool:
		return []string{strconv.FormatBool(v)}
	case int64:
		return []string{strconv.FormatInt(v, 10)}
	case float64:
		return []string{strconv.FormatFloat(v, 'f', -1, 64)}
	case *dat.Table:
		list := []string{}
		for _, f := range v.Fields {
			if s, ok := f.Value.(string); ok {
				list = append(list, s)
			}
		}
		return list
	}
	return nil
}
