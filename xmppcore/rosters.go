package xmppcore

import (
	"runtime/debug"

	"rosterd/engine"
	"rosterd/engine/roster"
	"rosterd/xmppcore/rosterproto"
)

// RosterChanged is the engine's Watcher: it takes what happened to a roster through the turn of its owner. A mistake
// of ours costs the owner's view of that change, and nobody else anything.
func (s *Server) RosterChanged(ev engine.Event) {
	defer func() {
		if p := recover(); p != nil {
			s.log.Error("a change of a roster made the server fail", "user", ev.User, "panic", p, "stack", string(debug.Stack()))
		}
	}()
	a := s.registry.Account(ev.User)
	if a == nil {
		return
	}
	if !ev.First {
		s.changing.Lock()
		defer s.changing.Unlock()
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
			a.SetHistory(ev.History)
			rosterproto.Push(a, c)
			s.counts.push(a, len(c))
			rosterproto.Answer(a)
		})
	})
}
