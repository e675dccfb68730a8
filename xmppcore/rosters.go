package xmppcore

import (
	"rosterd/engine"
	"rosterd/engine/roster"
	"rosterd/xmppcore/rosterproto"
)

// RosterChanged is the engine's Watcher: it takes what happened to a roster through the turn of its owner.
func (s *Server) RosterChanged(ev engine.Event) {
	a := s.registry.Account(ev.User)
	if a == nil {
		return
	}
	a.Turn.Do(func() {
		if ev.Gone() {
			return
		}
		if ev.Err != nil {
			rosterproto.Refuse(a, ev.Err)
			return
		}
		s.presence.Changed(a, ev.From, ev.To, ev.Changes, func(c []roster.Change) {
			rosterproto.Push(a, c)
			rosterproto.Answer(a)
		})
	})
}
