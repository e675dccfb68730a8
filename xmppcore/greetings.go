package xmppcore

import (
	"rosterd/engine/addr"
	"rosterd/xmppcore/xep"
)

// Greetings are what a host says to its users on its own.
type Greetings struct {
	MOTD     string   // module motd; "": nothing
	MOTDFrom addr.JID // who says that

	Welcome string // module welcome: to users who have registered; "": nothing

	Announce bool        // module announce
	Admins   []addr.Bare // who make announcements
}

// greetings are the modules that speak for a host.
func (s *Server) greetings(h *Host) (list []xep.Extension) {
	g := h.Greetings
	if g.MOTD != "" {
		list = append(list, xep.MOTD(g.MOTDFrom, g.MOTD))
	}
	if g.Announce {
		list = append(list, xep.Announce(&s.registry, g.Admins, s.log))
	}
	return list
}

// Welcome greets a user who has just registered, where the host does that.
func (s *Server) Welcome(user addr.Bare) {
	h := s.host(user.Domain())
	if h == nobody || h.Greetings.Welcome == "" {
		return
	}
	from, err := addr.ParseBare(h.Domain)
	if err == nil { // it is prepared
		s.router.Say(from.Full(), user, xep.Welcome(h.Greetings.Welcome, user))
	}
}

// welcoming has whoever registers at a host greeted.
func (s *Server) welcoming(h *Host) {
	if h.Door == nil || h.Greetings.Welcome == "" {
		return
	}
	door := *h.Door // others may serve it, too
	door.Registered = s.Welcome
	h.Door = &door
}
