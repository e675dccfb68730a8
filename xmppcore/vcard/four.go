package vcard

import (
	"context"
	"log/slog"

	"rosterd/xmppcore/pep"
	"rosterd/xmppcore/router"
	"rosterd/xmppcore/stanza"
	"rosterd/xmppcore/xep"
)

const (
	nsFour   = "urn:ietf:params:xml:ns:vcard-4.0"
	nodeFour = "urn:xmpp:vcard4"
)

// Four answers for vCards of the new form, which are published (XEP-0292), with requests like those for the old one.
func Four(events Events, log *slog.Logger) xep.Extension {
	answer := func(q *router.Query) *stanza.Error {
		ctx, cancel := context.WithTimeout(context.Background(), storeTimeout)
		defer cancel()
		owner := q.To.Bare()
		if q.Set {
			if q.Sender.Bare() != owner {
				return &stanza.Error{Condition: stanza.Forbidden}
			}
			p := pep.Published{ID: "current", Payload: q.Payload.AppendAlone(nil)}
			if err := events.Publish(ctx, owner, nodeFour, p, false); err != nil {
				return failed(log, "pep", owner, err)
			}
			q.Result(nil)
			return nil
		}
		p, _, err := events.Last(ctx, owner, q.Sender, nodeFour)
		switch {
		case err != nil:
			return failed(log, "pep", owner, err)
		case p.Payload == nil:
			return &stanza.Error{Condition: stanza.ItemNotFound}
		}
		q.Result(p.Payload)
		return nil
	}
	h := router.Handlers{{Space: nsFour, Name: "vcard"}: answer}
	return xep.Extension{Account: h, Public: h, AccountFeatures: []string{nsFour}}
}
