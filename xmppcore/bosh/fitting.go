package bosh

import (
	"bytes"

	"rosterd/xmppcore/stanza"
)

// fitting returns how much of what waits leaves with one response: not much more than most, and no presence behind a
// roster push. Converse.js goes through all that a response holds in one go, while it makes a contact of a push only
// afterwards: presence of a contact who was just added would stop it from handling presence at all.
func fitting(b []byte) int {
	if len(b) <= most && !bytes.Contains(b, rosterNamespace) {
		return len(b)
	}
	n, pushed := 0, false
	for e := range stanza.Elements(b) {
		if n > 0 && (n+len(e) > most || pushed && bytes.HasPrefix(e, []byte("<presence"))) {
			break
		}
		pushed = pushed || bytes.HasPrefix(e, []byte("<iq")) && bytes.Contains(e, rosterNamespace)
		n += len(e)
	}
	return n
}

var rosterNamespace = []byte("jabber:iq:roster")
