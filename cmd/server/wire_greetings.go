package main

import (
	"rosterd/config"
	"rosterd/xmppcore"
)

// greetings are what a host says to its users.
func greetings(h *config.Host) xmppcore.Greetings {
	g := xmppcore.Greetings{Announce: h.Has("announce"), Admins: config.Admins.Get(h)}
	if h.Has("motd") {
		g.MOTD, g.MOTDFrom = config.MOTDText.Get(h), config.MOTDFrom.Get(h)
	}
	if h.Has("welcome") {
		g.Welcome = config.WelcomeMessage.Get(h)
	}
	return g
}
