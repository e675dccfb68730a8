package xmppcore

import (
	"context"
	"slices"

	"rosterd/engine/addr"
	"rosterd/engine/roster"
	"rosterd/xmppcore/caps"
	"rosterd/xmppcore/pep"
	"rosterd/xmppcore/vcard"
	"rosterd/xmppcore/xep"
)

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
	s.pep.Go = func(f func(context.Context)) bool {
		if !s.begin() {
			return false
		}
		go func() {
			defer s.work.Done()
			f(s.ctx)
		}()
		return true
	}
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
	if has("vcard") && !has("vcard_legacy") {
		cards := &vcard.Cards{Store: h.Stores.Keyed("vcard"), Log: s.log}
		list = append(list, cards.Extension())
	}
	return list, events
}
