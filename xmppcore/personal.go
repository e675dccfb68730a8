package xmppcore

import (
	"context"
	"slices"
	"time"

	"rosterd/engine/addr"
	"rosterd/engine/roster"
	"rosterd/xmppcore/caps"
	"rosterd/xmppcore/pep"
	"rosterd/xmppcore/registry"
	"rosterd/xmppcore/router"
	"rosterd/xmppcore/scan"
	"rosterd/xmppcore/vcard"
	"rosterd/xmppcore/xep"
)

// personalTimeout is how long a client waits for what is stored of its user.
const personalTimeout = 10 * time.Second

// Personal says how a host keeps what its users publish about themselves. Zero fields mean the defaults.
type Personal struct {
	MaxItems         int  // of a node (pep_max_items); 256
	MaxBoxes         int  // users whose nodes stay in memory (pep_service_cache_size); 1000
	KeepOldVCards    bool // pictures in vCards of before are not made avatars (upgrade_legacy_vcards = false)
	KeepOldBookmarks bool // nor are bookmarks of before moved (upgrade_legacy_bookmarks = false)
}

// startPersonal puts together what personal eventing needs.
func (s *Server) startPersonal() {
	s.pep.Registry, s.pep.Log = &s.registry, s.log
	s.pep.Host = func(domain string) *pep.Host { return s.host(domain).pep }
	s.pep.Contact = func(ctx context.Context, owner, contact addr.Bare) (roster.Item, bool, error) {
		return s.engine.Contact(ctx, owner, contact)
	}
	s.pep.Blocked = func(owner addr.Bare, other addr.JID) bool {
		h := s.host(owner.Domain()).router
		return h != nil && h.Blocks != nil && h.Blocks.Blocked(owner, other)
	}
	s.pep.Go = func(f func(context.Context)) bool { return s.beside(func() { f(s.ctx) }) }
	s.caps = caps.Cache{Ask: s.router.Ask, Learned: s.pep.Learned}
}

// personal are the extensions of a host by which its users tell of themselves, and how what they publish is kept: nil
// where they publish nothing.
func (s *Server) personal(h *Host) (list []xep.Extension, events *pep.Host) {
	has := func(modules ...string) bool {
		return slices.ContainsFunc(modules, func(m string) bool { return slices.Contains(h.Modules, m) })
	}
	if h.Stores == nil {
		return nil, nil
	}
	if has("pep", "pep_plus", "pep_simple", "vcard_legacy", "vcard4", "bookmarks") { // the last three bring it along
		events = pep.NewHost(h.Stores, h.Personal.MaxItems, h.Personal.MaxBoxes)
		list = append(list, s.pep.Extension(), xep.Extension{Shown: s.caps.Shown})
	}
	if has("bookmarks") {
		events.Bookmarks = &pep.Bookmarks{Service: &s.pep}
		if !h.Personal.KeepOldBookmarks {
			events.Bookmarks.Old = h.Stores.Keyed("private")
		}
		list = append(list, events.Bookmarks.Extension())
	}
	if h.Cards != nil {
		return append(list, s.givenCards(h, events, has)...), events
	}
	cards := &vcard.Cards{Store: h.Stores.Keyed("vcard"), Log: s.log}
	switch {
	case has("vcard_legacy"):
		avatars := vcard.Published{Events: &s.pep}
		cards.Avatars = avatars
		x := cards.Extension()
		x.Dress = s.dress(cards, avatars, !h.Personal.KeepOldVCards)
		events.Changed = append(events.Changed, func(owner addr.Bare, node string) {
			if node == vcard.NodeMetadata {
				s.redress(owner, avatars)
			}
		})
		list = append(list, x)
	case has("vcard"):
		list = append(list, cards.Extension())
	}
	if has("vcard4") {
		list = append(list, vcard.Four(&s.pep, s.log))
	}
	return list, events
}

// elsewhere is private data that is had from what users publish.
func (h *host) elsewhere() map[router.Payload]xep.PrivateElement {
	if h.pep == nil || h.pep.Bookmarks == nil {
		return nil
	}
	return map[router.Payload]xep.PrivateElement{{Space: "storage:bookmarks", Name: "storage"}: h.pep.Bookmarks}
}

// dress puts the hash of a user's picture into his presence (XEP-0398 §4).
func (s *Server) dress(cards *vcard.Cards, avatars vcard.Published, upgrade bool) func(*registry.Resource, *scan.Stanza) *scan.Stanza {
	return func(res *registry.Resource, st *scan.Stanza) *scan.Stanza {
		ctx, cancel := context.WithTimeout(s.ctx, personalTimeout)
		defer cancel()
		user := res.Account.User
		if upgrade && !isAvailable(res) {
			if err := cards.Upgrade(ctx, user); err != nil {
				s.log.Error("a store failed", "store", "vcard", "user", user, "error", err)
			}
		}
		hash, err := avatars.Hash(ctx, user)
		if err == nil {
			var dressed *scan.Stanza
			if dressed, err = vcard.Dressed(st, hash); err == nil {
				return dressed
			}
		}
		s.log.Error("a store failed", "store", "pep", "user", user, "error", err)
		return st
	}
}

func isAvailable(res *registry.Resource) bool {
	res.Account.Lock()
	defer res.Account.Unlock()
	return res.Available
}

// redress broadcasts the presence of a user's resources again when he has another picture.
func (s *Server) redress(user addr.Bare, avatars vcard.Published) {
	a := s.registry.Account(user)
	if a == nil {
		return
	}
	ctx, cancel := context.WithTimeout(s.ctx, personalTimeout)
	defer cancel()
	hash, err := avatars.Hash(ctx, user)
	if err != nil {
		s.log.Error("a store failed", "store", "pep", "user", user, "error", err)
		return
	}
	a.Turn.Do(func() { s.wear(a, hash) })
}

// wear broadcasts the presence of an account's resources again where it has not this hash; in its turn.
func (s *Server) wear(a *registry.Account, hash string) {
	for _, res := range a.Resources() {
		if !res.Available {
			continue
		}
		if st, changed, err := vcard.Redressed(res.Presence.Stanza(), hash); err == nil && changed {
			s.presence.Available(res, st, res.Priority)
		}
	}
}
