package router

import (
	"context"
	"time"

	"rosterd/engine/addr"
	"rosterd/xmppcore/registry"
	"rosterd/xmppcore/scan"
	"rosterd/xmppcore/stanza"
)

const (
	nsDelay      = "urn:xmpp:delay"
	nsChatStates = "http://jabber.org/protocol/chatstates"
)

// Offline keeps messages for users who are not there (XEP-0160).
type Offline interface {
	registry.Syncer
	// Put adds a stanza, as it is to be delivered, to those that wait for a user. It is false if too many do.
	Put(ctx context.Context, user addr.Bare, stanza []byte) (bool, error)
	// Each hands what waits for a user to f, the oldest first, until that is false. f must not keep it.
	Each(ctx context.Context, user addr.Bare, f func(id string, stanza []byte) bool) error
	// Drop forgets what does not wait any more.
	Drop(ctx context.Context, user addr.Bare, ids []string) error
}

// offlinePatience is how long one user's messages wait for the store, and for those before them.
const offlinePatience = 10 * time.Second

func offlinePatiently() (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.Background(), offlinePatience)
}

// waits tells whether a message is kept for a user who is not there (XEP-0160 §3, XEP-0334 §4.1).
func waits(st *scan.Stanza, typ string) bool {
	switch {
	case typ == stanza.TypeError || typ == stanza.TypeGroupchat || typ == stanza.TypeHeadline:
		return false
	case has(st, nsHints, "no-store"):
		return false
	}
	for i := range st.Children {
		said := !child(st, i, nsChatStates, "") && !child(st, i, scan.NSClient, "thread") && !child(st, i, nsHints, "")
		if said && !child(st, i, nsDelay, "delay") { // which is ours, where a client has not taken the message
			return true
		}
	}
	return false
}

// keep holds a message for somebody who is not there, or finds that it is in the archive. Where it is false, the
// sender has to be told that the message went nowhere.
func (r *Router) keep(l *letter, m *Messages, user addr.Bare) bool {
	if m.Offline == nil || !waits(l.st, l.typ) || r.Registry.Account(user) == nil && !m.exists(user) {
		return l.archived
	}
	ctx, cancel := offlinePatiently()
	defer cancel()
	v, err := r.doors.enter(ctx, user)
	if err != nil {
		m.Failed("keeping a message for a user who is offline", user, err)
		return l.archived
	}
	defer v.end()
	if a := r.Registry.Account(user); a != nil && l.toAvailable(a, false) {
		return true // who has come meanwhile
	}
	ok, err := m.Offline.Put(ctx, user, l.stored(user))
	if err != nil {
		m.Failed("keeping a message for a user who is offline", user, err)
	}
	if ok && err == nil {
		l.from.unsynced(m.Offline)
		return true
	}
	return l.archived
}

// stored is the message as it is delivered later, with the time when it came (XEP-0160 §3, XEP-0203).
func (l *letter) stored(user addr.Bare) []byte {
	e := l.edit
	if len(e.Drop) > 0 || !delayed(l.st, user) { // what has been kept before is as it was then
		e.Add = append(e.Add[:len(e.Add):len(e.Add)], "<delay xmlns='"+nsDelay+"'"...)
		e.Add = append(stanza.AppendAttr(e.Add, "from", user.Domain()), " stamp='"...)
		e.Add = append(time.Now().UTC().AppendFormat(e.Add, "2006-01-02T15:04:05Z"), "'/>"...)
	}
	return stanza.AppendEdited(nil, l.st, l.from.JID.String(), e)
}

// undelay takes away what says in the name of the recipient's server when the message came: only that knows
// (XEP-0203 §4).
func (l *letter) undelay(domain string) {
	if !has(l.st, nsDelay, "delay") {
		return
	}
	l.drop(func(i int) bool {
		if !child(l.st, i, nsDelay, "delay") {
			return false
		}
		by, _ := l.st.Element(i).Attr("from")
		return by == domain
	})
}

// delayed tells whether a message has been kept before: the client that took it then has not read it.
func delayed(st *scan.Stanza, user addr.Bare) bool {
	for i := range st.Children {
		if child(st, i, nsDelay, "delay") {
			if by, _ := st.Element(i).Attr("from"); by == user.Domain() {
				return true
			}
		}
	}
	return false
}

// archivedBy tells whether a stanza that was stored is in the archive of a user, too.
func archivedBy(b []byte, user addr.Bare) bool {
	sc := scan.Scanner{Limits: beyond}
	var st scan.Stanza
	if _, err := sc.Next(b, &st); err != nil {
		return false
	}
	return marked(&st, user)
}

// marked tells whether a message that was routed has an ID of its recipient's archive.
func marked(st *scan.Stanza, user addr.Bare) bool {
	for i := range st.Children {
		if child(st, i, nsStanzaID, "stanza-id") {
			if by, _ := st.Element(i).Attr("by"); by == user.String() {
				return true
			}
		}
	}
	return false
}

// waited tells whether a message that the client of a resource did not take had been kept: no other client has it.
func waited(res *registry.Resource, st *scan.Stanza) bool { return delayed(st, res.Account.User) }

// again finds another place for a message that the client of a resource, which has left, did not take. Where it is
// false, the sender has to be told.
func (r *Router) again(res *registry.Resource, from addr.JID, st *scan.Stanza) bool {
	user := res.Account.User
	h := r.Host(user.Domain())
	if from == user.Full() || h == nil || h.Messages == nil { // a copy, or what the archive gave
		return false
	}
	l := letter{from: Origin{JID: from}, st: st, typ: typeOf(st), archived: h.Messages.Archive != nil && marked(st, user)}
	if l.typ != "" && l.typ != stanza.TypeNormal && l.typ != stanza.TypeChat {
		return false
	}
	if res.Disowned() || h.Messages.Offline != nil && !h.Messages.exists(user) { // deleted, though other clients of his may still be leaving
		return false
	}
	l.spread = h.Messages.Carbons && copied(st, l.typ)
	return r.keep(&l, h.Messages, user)
}
