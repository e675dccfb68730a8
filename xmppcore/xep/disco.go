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
// and for its accounts.
func Disco(name string, others []Extension, items []Item) Extension {
	features := []string{nsInfo, nsItems}
	var forms []byte
	for _, x := range others {
		features = append(features, x.Features...)
		forms = append(forms, x.Form...)
	}
	slices.Sort(features)
	server := node(info("server", "im", name, slices.Compact(features), forms))
	account := node(info("account", "registered", "", []string{nsInfo, nsItems}, nil))
	none := node([]byte("<query xmlns='" + nsItems + "'/>"))
	i, l := router.Payload{Space: nsInfo, Name: "query"}, router.Payload{Space: nsItems, Name: "query"}
	return Extension{
		Features: []string{nsInfo, nsItems},
		Server:   router.Handlers{i: server, l: node(list(items))},
		Account:  router.Handlers{i: account, l: none},
		Contact:  router.Handlers{i: account, l: none},
	}
}

// node answers for the entity itself; it has no nodes (XEP-0030 §3.2, §7).
func node(payload []byte) router.Handler {
	return func(q *router.Query) *stanza.Error {
		if q.Set {
			return &stanza.Error{Condition: stanza.BadRequest}
		}
		if n, _ := q.Payload.Attr("node"); n != "" {
			return &stanza.Error{Condition: stanza.ItemNotFound}
		}
		q.Result(payload)
		return nil
	}
}

func info(category, typ, name string, features []string, forms []byte) []byte {
	b := []byte("<query xmlns='" + nsInfo + "'><identity")
	b = stanza.AppendAttr(b, "category", category)
	b = stanza.AppendAttr(b, "type", typ)
	if name != "" {
		b = stanza.AppendAttr(b, "name", name)
	}
	b = append(b, "/>"...)
	for _, f := range features {
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
