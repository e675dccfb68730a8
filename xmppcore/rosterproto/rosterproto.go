// Package rosterproto speaks the roster part of RFC 6121 §2 with clients: get, set, push and versions. What a set asks
// for is read here, and done by others.
package rosterproto

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"sync/atomic"

	"rosterd/engine"
	"rosterd/engine/roster"
	"rosterd/xmppcore/registry"
	"rosterd/xmppcore/scan"
	"rosterd/xmppcore/stanza"
)

// NS is the namespace of rosters.
const NS = "jabber:iq:roster"

// Feature is the stream feature that announces versions (RFC 6121 §2.6.1).
const Feature = "<ver xmlns='urn:xmpp:features:rosterver'/>"

// maxAsked is how many roster gets of a resource may wait at a time. Each will be answered with a whole roster.
const maxAsked = 10

// Get answers a roster get (RFC 6121 §2.2); in the turn of the resource's account. Where the roster is not
// there yet, the answer follows with Answer or Refuse.
func Get(res *registry.Resource, id string, query scan.Element) *stanza.Error {
	if len(res.Asked) >= maxAsked {
		return &stanza.Error{Condition: stanza.ResourceConstraint, Text: "too many roster gets wait for an answer"}
	}
	ver, versioned := query.Attr("ver")
	res.Asked = append(res.Asked, registry.Asked{ID: id, Ver: ver, Versioned: versioned})
	if _, loaded := res.Account.Roster(); loaded {
		answer(res.Account)
	}
	res.Roster.Load() // does nothing while the roster is fresh
	return nil
}

func answer(a *registry.Account) {
	a.Lock()
	defer a.Unlock()
	Answer(a)
}

// Answer gives the roster, or what is new in it, to those resources that wait for it, which are interested from now on. In the turn
// and under the lock.
func Answer(a *registry.Account) {
	r, _ := a.Roster()
	for _, res := range a.Resources() {
		asked := res.Asked
		res.Asked = nil
		for _, q := range asked {
			past := a.History()
			if res.Interested {
				past = roster.History{} // it may have been pushed more since it asked: steps would lead it back in between
			}
			res.Interested = true
			res.AppendOwn(func(dst []byte) []byte { return AppendAnswer(dst, q, res.Full.String(), r, past) })
		}
	}
}

// Refuse tells those resources that wait for the roster why there is none (RFC 6120 §8.3). In the turn.
func Refuse(a *registry.Account, cause error) {
	for _, res := range a.Resources() {
		asked := res.Asked
		res.Asked = nil
		for _, q := range asked {
			res.AppendOwn(func(dst []byte) []byte {
				dst = append(dst, "<iq type='error'"...)
				dst = stanza.AppendAttr(dst, "id", q.ID)
				dst = stanza.AppendAttr(dst, "to", res.Full.String())
				dst = append(dst, '>')
				return append(stanza.AppendErrorElement(dst, condition(cause)), "</iq>"...)
			})
		}
	}
}

// condition is what a client learns; the log has the cause.
func condition(err error) stanza.Error {
	switch {
	case errors.Is(err, engine.ErrDenied):
		return stanza.Error{Type: stanza.Cancel, Condition: stanza.Forbidden}
	case errors.Is(err, context.DeadlineExceeded):
		return stanza.Error{Type: stanza.Wait, Condition: stanza.RemoteServerTimeout}
	default:
		return stanza.Error{Type: stanza.Wait, Condition: stanza.InternalServerError}
	}
}

// AppendResult appends the result of a roster get: empty if the client holds this version (RFC 6121 §2.6.3).
// The version is named only to clients that asked with one, since only they keep it.
func AppendResult(dst []byte, q registry.Asked, to string, r roster.Roster) []byte {
	var version string
	if q.Versioned {
		if version = r.Version(); version == q.Ver {
			return appendEmptyResult(dst, q, to)
		}
	}
	dst = appendResultTag(dst, q, to)
	dst = append(dst, "><query xmlns='jabber:iq:roster'"...)
	if q.Versioned {
		dst = stanza.AppendAttr(dst, "ver", version)
	}
	dst = append(dst, '>')
	items := r.Items()
	dst = slices.Grow(dst, room(items)) // else a large one is copied from one buffer to the next, some ten times
	for i := range items {
		dst = AppendItem(dst, &items[i])
	}
	return append(dst, "</query></iq>"...)
}

// room is what items take and the end of a result, as far as nothing in them has to be escaped.
func room(items []roster.Item) int {
	const item, group = len("<item jid='' name='' subscription='both' ask='subscribe' approved='true'></item>"), len("<group></group>")
	n := len("</query></iq>") + len(items)*item
	for i := range items {
		n += len(items[i].JID.String()) + len(items[i].Name)
		for _, g := range items[i].Groups {
			n += len(g) + group
		}
	}
	return n
}

func appendResultTag(dst []byte, q registry.Asked, to string) []byte {
	dst = append(dst, "<iq type='result'"...)
	dst = stanza.AppendAttr(dst, "id", q.ID)
	return stanza.AppendAttr(dst, "to", to)
}

func appendEmptyResult(dst []byte, q registry.Asked, to string) []byte {
	return append(appendResultTag(dst, q, to), "/>"...)
}

// AppendItem appends one item (RFC 6121 §2.1.2).
func AppendItem(dst []byte, i *roster.Item) []byte {
	dst = append(dst, "<item jid='"...)
	dst = append(dst, i.JID.String()...) // a prepared bare JID has nothing to escape (RFC 7622 §3.3.1)
	dst = append(dst, '\'')
	if i.Name != "" {
		dst = stanza.AppendAttr(dst, "name", i.Name)
	}
	dst = append(dst, " subscription='"...)
	dst = append(dst, i.Subscription.String()...)
	dst = append(dst, '\'')
	if i.Ask {
		dst = append(dst, " ask='subscribe'"...)
	}
	if i.Approved {
		dst = append(dst, " approved='true'"...)
	}
	if len(i.Groups) == 0 {
		return append(dst, "/>"...)
	}
	dst = append(dst, '>')
	for _, g := range i.Groups {
		dst = append(dst, "<group>"...)
		dst = stanza.AppendText(dst, g)
		dst = append(dst, "</group>"...)
	}
	return append(dst, "</item>"...)
}

var pushes atomic.Uint64

// Push tells the interested resources of changes, one contact a push (RFC 6121 §2.1.6). In the turn.
func Push(a *registry.Account, changes []roster.Change) {
	for _, c := range changes {
		id := pushes.Add(1)
		for _, res := range a.Resources() {
			if res.Interested {
				res.AppendOwn(func(dst []byte) []byte { return AppendPush(dst, id, res.Full.String(), c) })
			}
		}
	}
}

// AppendPush appends the push of one change, with the version of the roster after it.
func AppendPush(dst []byte, id uint64, to string, c roster.Change) []byte {
	dst = append(dst, "<iq type='set' id='push"...)
	dst = strconv.AppendUint(dst, id, 36)
	dst = append(dst, '\'')
	dst = stanza.AppendAttr(dst, "to", to)
	dst = append(dst, "><query xmlns='jabber:iq:roster'"...)
	dst = stanza.AppendAttr(dst, "ver", c.Version)
	dst = append(dst, '>')
	if c.New != nil {
		dst = AppendItem(dst, c.New)
	} else {
		dst = append(dst, "<item jid='"...)
		dst = append(dst, c.Contact.String()...)
		dst = append(dst, "' subscription='remove'/>"...)
	}
	return append(dst, "</query></iq>"...)
}
