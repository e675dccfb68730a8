package xep

import (
	"rosterd/xmppcore/router"
	"rosterd/xmppcore/stanza"
)

const nsPing = "urn:xmpp:ping"

// Ping is XEP-0199.
func Ping() Extension {
	h := router.Handlers{{Space: nsPing, Name: "ping"}: getOnly(func(q *router.Query) { q.Result(nil) })}
	return Extension{Features: []string{nsPing}, Server: h, Account: h}
}

// getOnly refuses sets.
func getOnly(answer func(*router.Query)) router.Handler {
	return func(q *router.Query) *stanza.Error {
		if q.Set {
			return &stanza.Error{Condition: stanza.BadRequest}
		}
		answer(q)
		return nil
	}
}
