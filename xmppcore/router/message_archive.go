package router

import (
	"context"
	"slices"

	"rosterd/engine/addr"
	"rosterd/xmppcore/registry"
	"rosterd/xmppcore/scan"
	"rosterd/xmppcore/stanza"
)

const nsStanzaID = "urn:xmpp:sid:0"

// Archive keeps what users say and hear (XEP-0313).
type Archive interface {
	registry.Syncer
	// Wants tells whether a message is one to be archived, were it not for what its user prefers.
	Wants(st *scan.Stanza) bool
	// Keep puts a message into the archive of one of its sides, and returns the ID that it has there. It is "" if the
	// message is none that the archive wants, or the user does not.
	Keep(ctx context.Context, user addr.Bare, from, to addr.JID, st *scan.Stanza) (id string, err error)
}

// archive puts the message into a user's archive, if the host has one, and returns its ID there, if it is kept.
func (l *letter) archive(m *Messages, user addr.Bare, to addr.JID) (id string) {
	if m.Archive == nil {
		return ""
	}
	id, err := m.Archive.Keep(context.Background(), user, l.from.JID, to, l.st)
	if err != nil {
		m.Failed("archiving a message", user, err)
		return ""
	}
	if id != "" {
		l.from.unsynced(m.Archive)
	}
	return id
}

// unsynced notes that something the sender said is in a store, but perhaps not on disk.
func (o Origin) unsynced(s registry.Syncer) {
	if o.Resource != nil && !slices.Contains(o.Resource.Unsynced, s) {
		o.Resource.Unsynced = append(o.Resource.Unsynced, s)
	}
}

// unforge takes away IDs that only the server of a user gives (XEP-0359 §3.2).
func (l *letter) unforge(user addr.Bare) {
	if !has(l.st, nsStanzaID, "stanza-id") {
		return
	}
	l.drop(func(i int) bool {
		if !child(l.st, i, nsStanzaID, "stanza-id") {
			return false
		}
		by, _ := l.st.Element(i).Attr("by")
		j, err := addr.Parse(by)
		return err != nil || j == user.Full()
	})
}

func appendStanzaID(dst []byte, by addr.Bare, id string) []byte {
	dst = append(dst, "<stanza-id xmlns='"+nsStanzaID+"'"...)
	dst = stanza.AppendAttr(dst, "by", by.String())
	dst = stanza.AppendAttr(dst, "id", id)
	return append(dst, '/', '>')
}
