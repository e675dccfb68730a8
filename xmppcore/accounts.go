package xmppcore

import (
	"rosterd/engine/addr"
	"rosterd/xmppcore/stanza"
	"rosterd/xmppcore/xep"
)

// ownAccounts answers what the users of a host want of their accounts.
func (s *Server) ownAccounts(h *host) xep.Extension {
	m := *h.Accounts
	m.Deleted = s.Deleted
	return m.Extension()
}

// Deleted is for a user whose account is no longer there: the streams end, and nothing of what was stored stays in
// memory, where the next one of that name would find it. Streams end first, and what they had is dropped after them.
func (s *Server) Deleted(user addr.Bare) {
	h := s.host(user.Domain())
	s.expel(user)
	if h.blocks != nil {
		h.blocks.Forget(user)
	}
	if h.router != nil && h.router.Messages != nil {
		for _, kept := range []any{h.router.Messages.Archive, h.router.Messages.Offline} {
			if f, ok := kept.(interface{ Forget(addr.Bare) }); ok {
				f.Forget(user)
			}
		}
	}
	s.pep.Forget(user)
	if h != nobody && h.Cards != nil {
		h.Cards.Forget(user)
	}
}

// expel ends the streams of a user who does not exist any more (XEP-0077 §3.2). His resources are nobody's at once:
// nothing reaches them while their clients take the time that limits allow to hear of the error and to close.
func (s *Server) expel(user addr.Bare) {
	a := s.registry.Account(user)
	if a == nil {
		return
	}
	gone := &stanza.StreamError{Condition: stanza.StreamNotAuthorized, Text: "the account is deleted"}
	a.Turn.Do(func() {
		for _, res := range a.Resources() { // leave changes another copy of the list
			res.Disown()
			s.leave(res)
			res.Close(gone)
		}
	})
}
