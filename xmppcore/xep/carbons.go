package xep

import (
	"rosterd/xmppcore/router"
	"rosterd/xmppcore/stanza"
)

const nsCarbons = "urn:xmpp:carbons:2"

// Carbons is how clients turn copies of messages on and off (XEP-0280 §4, §5). The router makes them.
func Carbons() Extension {
	turn := func(on bool) router.Handler {
		return func(q *router.Query) *stanza.Error {
			if !q.Set {
				return &stanza.Error{Condition: stanza.BadRequest}
			}
			q.From.Account.Lock()
			q.From.Carbons = on
			q.From.Account.Unlock()
			q.Result(nil)
			return nil
		}
	}
	return Extension{
		Features: []string{nsCarbons, "urn:xmpp:carbons:rules:0"},
		Account:  router.Handlers{{Space: nsCarbons, Name: "enable"}: turn(true), {Space: nsCarbons, Name: "disable"}: turn(false)},
	}
}
