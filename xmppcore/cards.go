package xmppcore

import (
	"rosterd/engine"
	"rosterd/engine/addr"
	"rosterd/xmppcore/pep"
	"rosterd/xmppcore/registry"
	"rosterd/xmppcore/scan"
	"rosterd/xmppcore/vcard"
	"rosterd/xmppcore/xep"
)

// givenCards are the extensions of a host whose backend says who its users are.
func (s *Server) givenCards(h *Host, events *pep.Host, has func(...string) bool) (list []xep.Extension) {
	given := &vcard.Given{Cards: h.Cards, Log: s.log, Go: s.pep.Go}
	if events != nil {
		events.Given = given
	}
	presence := has("vcard_legacy")
	if has("vcard", "vcard_legacy") {
		x := given.Extension()
		if presence {
			x.Dress = s.dressGiven(given)
			x.Shown = s.dressedLate(h.Cards)
			x.AccountFeatures = append(x.AccountFeatures, "urn:xmpp:pep-vcard-conversion:0") // XEP-0398 §2
		}
		list = append(list, x)
	}
	if has("vcard4") {
		list = append(list, given.Four())
	}
	h.Cards.Watch(func(user addr.Bare, m engine.CardMark, first bool) {
		if a := s.registry.Account(user); a != nil && presence {
			a.Turn.Do(func() { s.wear(a, m.Hash) })
		}
		switch {
		case events == nil:
		case first && m.Hash == "":
			s.pep.NothingThere(user)
		default:
			s.pep.Tell(user, vcard.NodeMetadata, vcard.Metadata(m))
		}
	})
	return list
}

func (s *Server) dressGiven(given *vcard.Given) func(*registry.Resource, *scan.Stanza) *scan.Stanza {
	return func(res *registry.Resource, st *scan.Stanza) *scan.Stanza {
		dressed, err := given.Dress(res.Account.User, st)
		if err != nil {
			s.log.Error("presence cannot be read again", "user", res.Account.User, "error", err)
			return st
		}
		return dressed
	}
}

// dressedLate puts a hash into a presence that became known while that was on its way to be shown.
func (s *Server) dressedLate(cards *engine.Cards) func(*registry.Resource, *scan.Stanza, bool) {
	return func(res *registry.Resource, st *scan.Stanza, _ bool) {
		mark, known := cards.Known(res.Account.User)
		if !known {
			return // who learns it sees the presence
		}
		if _, changed, err := vcard.Redressed(res.Presence.Stanza(), mark.Hash); err == nil && changed {
			a := res.Account
			a.Turn.Post(func() { s.wear(a, mark.Hash) })
		}
	}
}

// Online tells whether a user has a bound resource.
func (s *Server) Online(user addr.Bare) bool { return s.registry.Account(user) != nil }
