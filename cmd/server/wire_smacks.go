package main

import (
	"rosterd/config"
	"rosterd/xmppcore"
	"rosterd/xmppcore/session"
)

// streamManagement is what module smacks offers on a host, nil if that does not have it.
func streamManagement(h *config.Host) *xmppcore.StreamManagement {
	if !h.Has("smacks") {
		return nil
	}
	return &xmppcore.StreamManagement{
		Management: session.Management{
			Hibernation: config.SmacksHibernation.Get(h), Unacked: config.SmacksUnacked.Get(h), Inactive: config.SmacksInactive.Get(h),
		},
		Hibernated: config.SmacksHibernated.Get(h), Old: config.SmacksOld.Get(h),
	}
}
