package rosterproto

import (
	"fmt"
	"slices"

	"rosterd/engine/addr"
	"rosterd/engine/roster"
	"rosterd/xmppcore/scan"
	"rosterd/xmppcore/stanza"
)

// PreApproval is the stream feature that announces RFC 6121 §3.4.
const PreApproval = "<sub xmlns='urn:xmpp:features:pre-approval'/>"

// Bounds of what a client may set of a contact.
const (
	maxText   = 1023    // bytes of a name or a group
	maxItem   = 8 << 10 // bytes of all that
	maxGroups = 64
)

// Set is what a roster set asks for (RFC 6121 §2.3–2.5): Item's name and groups, or that the contact be removed.
type Set struct {
	Item   roster.Item // JID, Name and Groups; the rest is not a client's to set (§2.1.2)
	Remove bool
}

// DecodeSet reads the payload of a roster set. What it refuses has the condition of RFC 6121 §2.3.3, or where that has
// none, of RFC 6120 §8.3.3.
func DecodeSet(query scan.Element) (Set, *stanza.Error) {
	item, refused := only(query)
	if refused != nil {
		return Set{}, refused
	}
	jid, there := item.Attr("jid")
	j, err := addr.Parse(jid)
	switch {
	case !there:
		return Set{}, refuse(stanza.BadRequest, "an item has a jid")
	case err != nil:
		return Set{}, refuse(stanza.JIDMalformed, "the item's jid is not an address")
	case !j.IsBare():
		return Set{}, refuse(stanza.BadRequest, "a contact is a bare JID")
	}
	s := Set{Item: roster.Item{JID: j.Bare()}}
	if sub, _ := item.Attr("subscription"); sub == "remove" { // other values are ignored (§2.1.2.5)
		s.Remove = true
		return s, nil
	}
	s.Item.Name, _ = item.Attr("name")
	if len(s.Item.Name) > maxText {
		return Set{}, refuse(stanza.NotAcceptable, fmt.Sprintf("the name is longer than %d bytes", maxText))
	}
	if s.Item.Groups, refused = groups(item, maxItem-len(s.Item.Name)); refused != nil {
		return Set{}, refused
	}
	return s, nil
}

// only is the one item of a set.
func only(query scan.Element) (item scan.Element, refused *stanza.Error) {
	n := 0
	for e := range query.Elements() {
		item = e
		n++
	}
	if n != 1 || string(item.Space) != NS || string(item.Name) != "item" {
		return item, refuse(stanza.BadRequest, "a roster set has exactly one item")
	}
	return item, nil
}

// groups are those of an item, sorted, which may take so much room.
func groups(item scan.Element, room int) (list []string, refused *stanza.Error) {
	for e := range item.Elements() {
		if string(e.Space) != NS || string(e.Name) != "group" {
			continue
		}
		g := e.Text()
		switch {
		case g == "":
			return nil, refuse(stanza.NotAcceptable, "a group has a name")
		case len(g) > maxText:
			return nil, refuse(stanza.NotAcceptable, fmt.Sprintf("the name of a group is longer than %d bytes", maxText))
		case len(list) == maxGroups:
			return nil, refuse(stanza.NotAcceptable, fmt.Sprintf("more than %d groups", maxGroups))
		}
		if room -= len(g) + 4; room < 0 {
			return nil, refuse(stanza.NotAcceptable, fmt.Sprintf("the name and the groups are longer than %d bytes", maxItem))
		}
		list = append(list, g)
	}
	slices.Sort(list)
	if n := len(list); len(slices.Compact(list)) < n {
		return nil, refuse(stanza.BadRequest, "a group is named twice")
	}
	return list, nil
}

func refuse(c stanza.Condition, why string) *stanza.Error {
	return &stanza.Error{Condition: c, Text: why}
}
