package xmppcore

import (
	"rosterd/engine/addr"
	"rosterd/xmppcore/registry"
	"rosterd/xmppcore/stanza"
	"rosterd/xmppcore/xep"
)

// ownAccounts answers what the users of a host want of their accounts.
func (s *Server) ownAccounts(h *host) xep.Extension {
	m := *h.Accounts
	m.Deleted = func(user addr.Bare) {
		if h.blocks != nil {
			h.blocks.Forget(user)
		}
		s.pep.Forget(user)
		s.expel(user)
	}
	return m.Extension()
}

// expel ends the streams of a user who does not exist any more (XEP-0077 §3.2).
func (s *Server) expel(user addr.Bare) {
	for _, res := range s.resources(user) {
		res.Close(&stanza.StreamError{Condition: stanza.StreamNotAuthorized, Text: "the account is deleted"})
	}
}

func (s *Server) resources(user addr.Bare) []*registry.Resource {
	a := s.registry.Account(user)
	if a == nil {
		return nil
	}
	a.Lock()
	defer a.Unlock()
	return a.Resources()
}
