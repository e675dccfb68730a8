package xep

import (
	"slices"

	"rosterd/xmppcore/router"
	"rosterd/xmppcore/stanza"
)

const (
	nsInfo  = "http://jabber.org/protocol/disco#info"
	nsItems = "http://jabber.org/protocol/disco#items"
)

// Item is an entity that a domain points to (XEP-0030 §4).
type Item struct{ JID, Name string }

// Disco is XEP-0030 for a domain with a display name (may be ""), what its other extensions announce and items,
// and for its accounts, which are registered or anonymous.
func Disco(name, accounts string, others []Extension, items []Item) Extension {
	own, all := Extension{AccountFeatures: []string{nsInfo, nsItems}}, Extension{Features: []string{nsInfo, nsItems}}
	own.AccountIdentities = []Identity{{"account", accounts}}
	for _, x := range others {
		all.Features = append(all.Features, x.Features...)
		all.Form = append(all.Form, x.Form...)
		own.AccountFeatures = append(own.AccountFeatures, x.AccountFeatures...)
		own.AccountIdentities = append(own.AccountIdentities, x.AccountIdentities...)
		if x.Nodes != nil {
			own.Nodes = x.Nodes
		}
	}
	i, l := router.Payload{Space: nsInfo, Name: "query"}, router.Payload{Space: nsItems, Name: "query"}
	account := router.Handlers{
		i: nodes(info(own.AccountIdentities, "", own.AccountFeatures, nil), false, own.Nodes),
		l: nodes(list(nil), true, own.Nodes),
	}
	return Extension{
		Features: []string{nsInfo, nsItems},
		Server:   router.Handlers{i: node(info([]Identity{{"server", "im"}}, name, all.Features, all.Form)), l: node(list(items))},
		Account:  account,
		Contact:  account,
	}
}

// NodeHandler answers a query about a node, be it later, with reply of what there is: disco#items if list, else disco#info. Node ""
// is asked for items alone.
type NodeHandler func(q *router.Query, list bool, reply func(answer []byte) []byte) *stanza.Error

// node answers for the entity itself; it has no nodes (XEP-0030 §3.2, §7).
func node(payload []byte) router.Handler { return nodes(payload, false, nil) }

// nodes answers for an entity, and leaves it to another to answer for its nodes.
func nodes(payload []byte, items bool, of NodeHandler) router.Handler {
	return func(q *router.Query) *stanza.Error {
		if q.Set {
			return &stanza.Error{Condition: stanza.BadRequest}
		}
		node, _ := q.Payload.Attr("node")
		switch {
		case node == "" && (of == nil || !items):
			q.Result(payload)
			return nil
		case of == nil:
			return &stanza.Error{Condition: stanza.ItemNotFound}
		}
		space := nsInfo
		if items {
			space = nsItems
		}
		return of(q, items, func(answer []byte) []byte {
			b := append([]byte("<query xmlns='"), space...)
			b = append(b, '\'')
			if node != "" {
				b = stanza.AppendAttr(b, "node", node)
			}
			return append(append(append(b, '>'), answer...), "</query>"...)
		})
	}
}

func info(identities []Identity, name string, features []string, forms []byte) []byte {
	b := []byte("<query xmlns='" + nsInfo + "'>")
	for _, i := range identities {
		b = append(b, "<identity"...)
		b = stanza.AppendAttr(b, "category", i.Category)
		b = stanza.AppendAttr(b, "type", i.Type)
		if name != "" {
			b = stanza.AppendAttr(b, "name", name)
		}
		b = append(b, "/>"...)
	}
	slices.Sort(features)
	for _, f := range slices.Compact(features) {
		b = append(stanza.AppendAttr(append(b, "<feature"...), "var", f), "/>"...)
	}
	return append(append(b, forms...), "</query>"...)
}

func list(items []Item) []byte {
	b := []byte("<query xmlns='" + nsItems + "'>")
	for _, i := range items {
		b = stanza.AppendAttr(append(b, "<item"...), "jid", i.JID)
		if i.Name != "" {
			b = stanza.AppendAttr(b, "name", i.Name)
		}
		b = append(b, "/>"...)
	}
	return append(b, "</query>"...)
}
