package xep

import (
	"regexp"
	"strings"

	"rosterd/engine/addr"
	"rosterd/xmppcore/registry"
	"rosterd/xmppcore/scan"
	"rosterd/xmppcore/stanza"
)

// MOTD sends each client that becomes available the message of the day, from an address. The text is one of a
// configuration: that its lines are indented there is not meant.
func MOTD(from addr.JID, text string) Extension {
	content := body(indented.ReplaceAllString(strings.TrimSpace(text), "\n"))
	return Extension{Shown: func(res *registry.Resource, _ *scan.Stanza, initial bool) {
		if initial {
			res.AppendOwn(func(dst []byte) []byte {
				return stanza.AppendMessage(dst, "", from.String(), res.Full.String(), content)
			})
		}
	}}
}

var indented = regexp.MustCompile(`\n[ \t]+`)

// body is that of a message.
func body(text string) []byte {
	return append(stanza.AppendText([]byte("<body>"), text), "</body>"...)
}
