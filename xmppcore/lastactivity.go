package xmppcore

import (
	"context"
	"slices"
	"time"

	"rosterd/engine/addr"
	"rosterd/xmppcore/registry"
	"rosterd/xmppcore/xep"
)

// lastActivity knows when the users of h were last available, nil if nobody may ask.
func (s *Server) lastActivity(h *Host) *xep.LastActivity {
	if h.Stores == nil || !slices.Contains(h.Modules, "lastactivity") {
		return nil
	}
	return &xep.LastActivity{
		Store: h.Stores.Keyed("lastactivity"), Now: time.Now, Log: s.log, Online: s.available, Exists: h.Auth.Exists,
		Grants: func(ctx context.Context, user, viewer addr.Bare) (bool, error) {
			i, ok, err := s.engine.Contact(ctx, user, viewer)
			return ok && i.Subscription.From(), err
		},
	}
}

// available tells whether a user is.
func (s *Server) available(user addr.Bare) bool {
	a := s.registry.Account(user)
	if a == nil {
		return false
	}
	a.Lock()
	defer a.Unlock()
	return slices.ContainsFunc(a.Resources(), func(r *registry.Resource) bool { return r.Available })
}

// left has it kept when a user was last available, beside the turn of the account unless the server is about to end.
func (s *Server) left(user addr.Bare, status string) {
	l := s.host(user.Domain()).last
	if l == nil {
		return
	}
	if write := l.Left(user, status); write != nil {
		s.aside(write)
	}
}
