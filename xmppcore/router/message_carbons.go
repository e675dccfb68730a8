package router

import (
	"rosterd/xmppcore/registry"
	"rosterd/xmppcore/scan"
	"rosterd/xmppcore/session"
	"rosterd/xmppcore/stanza"
)

const (
	nsCarbons = "urn:xmpp:carbons:2"
	nsForward = "urn:xmpp:forward:0"
	nsHints   = "urn:xmpp:hints"
	nsMUCUser = "http://jabber.org/protocol/muc#user"
)

// chatter are the namespaces of what clients say to each other without a body (XEP-0280 §6.1).
var chatter = []string{
	"http://jabber.org/protocol/chatstates", "urn:xmpp:receipts", "urn:xmpp:chat-markers:0", "jabber:x:conference",
	"urn:xmpp:jingle-message:0", "urn:xmpp:jingle-message:1", "urn:xmpp:reactions:0", "urn:xmpp:message-retract:1",
}

// copied tells whether a message is one that the other clients of its sender or recipient get copies of (XEP-0280
// §6.1, §8; XEP-0334 §4.2).
func copied(st *scan.Stanza, typ string) bool {
	switch {
	case typ == stanza.TypeGroupchat || typ == stanza.TypeError || typ == stanza.TypeHeadline:
		return false
	case has(st, nsCarbons, "private") || has(st, nsHints, "no-copy"):
		return false
	case typ == stanza.TypeChat || has(st, scan.NSClient, "body"):
		return true
	}
	for _, space := range chatter {
		if has(st, space, "") {
			return true
		}
	}
	return mediated(st)
}

// mediated tells whether a message is an invitation of a room (XEP-0045 §7.8.2).
func mediated(st *scan.Stanza) bool {
	x, ok := st.Find(nsMUCUser, "x")
	if !ok {
		return false
	}
	_, ok = x.Find(nsMUCUser, "invite")
	return ok
}

// unmark takes away what says that there are to be no copies: that was for servers (XEP-0280 §8).
func (l *letter) unmark() {
	if has(l.st, nsCarbons, "private") {
		l.drop(func(i int) bool { return child(l.st, i, nsCarbons, "private") })
	}
}

// copySent gives the sender's other clients copies, with the ID that the message has in their archive.
func (l *letter) copySent(id string) {
	me := l.from.Resource
	a := me.Account
	a.Lock()
	defer a.Unlock()
	wanted := false
	for _, to := range a.Resources() {
		wanted = wanted || to.Carbons && to != me
	}
	if !wanted || !copied(l.st, l.typ) {
		return
	}
	own := letter{from: l.from, st: l.st, typ: l.typ}
	if id != "" {
		own.unforge(a.User)
		own.edit.Add = appendStanzaID(nil, a.User, id)
	}
	for _, to := range a.Resources() {
		if to.Carbons && to != me {
			own.copy(to, "sent")
		}
	}
}

// copyReceived gives, under the account's lock, copies to those clients that do not get the message itself: res does,
// or if that is nil, all that listen.
func (l *letter) copyReceived(a *registry.Account, res *registry.Resource) {
	eligible := false
	for _, to := range a.Resources() {
		if !to.Carbons || to == res || res == nil && to.Listens() || to == l.from.Resource {
			continue
		}
		if !eligible {
			// What a room sends to one of its occupants is for that client (XEP-0280 §6.1).
			if !copied(l.st, l.typ) || res != nil && has(l.st, nsMUCUser, "x") {
				return
			}
			eligible = true
		}
		l.copy(to, "received")
	}
}

// copy sends a carbon copy (XEP-0280 §6.2, §7).
func (l *letter) copy(to *registry.Resource, direction string) {
	l.append(to.Session, func(dst []byte) []byte { return l.appendCopy(dst, to.Session, direction) })
}

func (l *letter) appendCopy(dst []byte, to *session.Session, direction string) []byte {
	own := to.Full.Bare().String()
	dst = append(dst, "<message"...)
	dst = stanza.AppendAttr(dst, "from", own)
	dst = stanza.AppendAttr(dst, "to", to.Full.String())
	if l.typ != "" {
		dst = stanza.AppendAttr(dst, "type", l.typ)
	}
	dst = append(append(dst, "><"...), direction...)
	dst = append(dst, " xmlns='"+nsCarbons+"'><forwarded xmlns='"+nsForward+"'>"...)
	dst = stanza.AppendForwarded(dst, l.st, l.from.JID.String(), own, l.edit)
	dst = append(append(dst, "</forwarded></"...), direction...)
	return append(dst, "></message>"...)
}
