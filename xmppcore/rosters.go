package xmppcore

import (
	"runtime/debug"

	"rosterd/engine"
	"rosterd/engine/roster"
	"rosterd/xmppcore/rosterproto"
	"rosterd/xmppcore/router"
	"rosterd/xmppcore/stanza"
	"rosterd/xmppcore/xep"
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
		s.pep.RosterChanged(a, ev.From, ev.To, ev.First)
	})
}

// rosterFeatures are what streams announce of rosters.
func (h *Host) rosterFeatures() []byte {
	if h.Editable && !h.Writeback {
		return []byte(rosterproto.Feature + rosterproto.PreApproval)
	}
	return []byte(rosterproto.Feature)
}

// rosters answers roster gets and sets (RFC 6121 §2). Sets are refused where the backend alone may change rosters.
func (h *Host) rosters() xep.Extension {
	set := refuseSet
	if h.Editable {
		set = setRoster
	}
	query := router.Payload{Space: rosterproto.NS, Name: "query"}
	x := xep.Extension{Account: router.Handlers{query: func(q *router.Query) *stanza.Error {
		if q.Set {
			return set(q)
		}
		var refused *stanza.Error
		q.From.Account.Turn.Do(func() { refused = rosterproto.Get(q.From, q.ID, q.Payload) })
		return refused
	}}}
	if h.Editable {
		x.Public = router.Handlers{query: foreign}
	}
	return x
}

func refuseSet(*router.Query) *stanza.Error {
	return &stanza.Error{Condition: stanza.ServiceUnavailable, Text: engine.ErrReadOnly.Error()}
}

func setRoster(q *router.Query) *stanza.Error {
	s, refused := rosterproto.DecodeSet(q.Payload)
	switch {
	case refused != nil:
		return refused
	case s.Item.JID == q.Sender.Bare():
		return &stanza.Error{Condition: stanza.NotAllowed, Text: "nobody is a contact of his own"}
	}
	action := engine.Set
	if s.Remove {
		action = engine.Remove
	}
	if refused := q.Edit(action, s.Item); refused != nil {
		return refused
	}
	q.Result(nil)
	return nil
}

// foreign answers who would change (RFC 6121 §2.3.3) or read another user's roster.
func foreign(q *router.Query) *stanza.Error {
	if q.Set {
		return &stanza.Error{Condition: stanza.Forbidden}
	}
	return &stanza.Error{Condition: stanza.ServiceUnavailable}
}
