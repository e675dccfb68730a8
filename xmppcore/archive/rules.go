package archive

import (
	"bytes"

	"rosterd/xmppcore/scan"
	"rosterd/xmppcore/stanza"
)

const (
	nsMAM      = "urn:xmpp:mam:2"
	nsForward  = "urn:xmpp:forward:0"
	nsDelay    = "urn:xmpp:delay"
	nsForm     = "jabber:x:data"
	nsRSM      = "http://jabber.org/protocol/rsm"
	nsHints    = "urn:xmpp:hints"
	nsStanzaID = "urn:xmpp:sid:0"
	nsMUCUser  = "http://jabber.org/protocol/muc#user"
)

// speech are the children that make a message one to be archived.
var speech = []struct{ space, name string }{
	{nsHints, "store"}, {scan.NSClient, "body"}, {scan.NSClient, "subject"}, {"urn:xmpp:eme:0", "encryption"},
	{"urn:xmpp:receipts", ""}, {"urn:xmpp:chat-markers:0", ""}, {"jabber:x:conference", "x"},
	{"urn:xmpp:jingle-message:0", ""}, {"urn:xmpp:jingle-message:1", ""}, {"urn:xmpp:reactions:0", ""}, {"urn:xmpp:message-retract:1", ""},
}

// Wants tells whether a message is for archives (XEP-0313 §6.1, XEP-0334 §4.1, §4.3): what people say, not what only
// counts now. What rooms say is in theirs.
func (a *Archive) Wants(st *scan.Stanza) bool {
	switch typ, _ := st.Attr("type"); typ {
	case stanza.TypeHeadline, stanza.TypeGroupchat:
		return false
	case stanza.TypeError: // only an answer to a client, which tells that what it said did not arrive
		return bytes.IndexByte(st.Get("to"), '/') >= 0
	}
	wanted := false
	for i := range st.Children {
		c := &st.Children[i]
		if string(c.Space) == nsHints && (string(c.Name) == "no-store" || string(c.Name) == "no-permanent-store") {
			return false
		}
		for _, s := range speech {
			wanted = wanted || string(c.Space) == s.space && (s.name == "" || string(c.Name) == s.name)
		}
	}
	return wanted || invites(st)
}

// invites tells whether a message is an invitation of a room (XEP-0045 §7.8.2).
func invites(st *scan.Stanza) bool {
	x, ok := st.Find(nsMUCUser, "x")
	if !ok {
		return false
	}
	_, ok = x.Find(nsMUCUser, "invite")
	return ok
}
