package xep

import (
	"rosterd/xmppcore/router"
	"rosterd/xmppcore/stanza"
)

const nsVersion = "jabber:iq:version"

// Version is XEP-0092, without the operating system, which is nobody's business.
func Version(name, version string) Extension {
	b := stanza.AppendText([]byte("<query xmlns='"+nsVersion+"'><name>"), name)
	b = stanza.AppendText(append(b, "</name><version>"...), version)
	b = append(b, "</version></query>"...)
	h := router.Handlers{{Space: nsVersion, Name: "query"}: getOnly(func(q *router.Query) { q.Result(b) })}
	return Extension{Features: []string{nsVersion}, Server: h}
}
