package main

import (
	"rosterd/config"
	"rosterd/xmppcore"
	"rosterd/xmppcore/session"
	"rosterd/xmppcore/xep"
)

// streamManagement is what module smacks offers on a host, nil if that does not have it.
func streamManagement(h *config.Host) *xmppcore.StreamManagement {
	if !h.Has("smacks") {
		return nil
	}
	hibernation := config.SmacksHibernation.Get(h)
	if h.Anonymous() { // who comes back is somebody else, and cannot resume it
		hibernation = 0
	}
	return &xmppcore.StreamManagement{
		Management: session.Management{
			Hibernation: hibernation, Unacked: config.SmacksUnacked.Get(h), Inactive: config.SmacksInactive.Get(h),
		},
		Hibernated: config.SmacksHibernated.Get(h), Old: config.SmacksOld.Get(h),
	}
}

// clientState is what waits for a client that nobody looks at, nil where module csi_simple is not enabled.
func clientState(h *config.Host) *session.Inactivity {
	if !h.Has("csi_simple") {
		return nil
	}
	return &session.Inactivity{
		Most: config.CSIQueueSize.Get(h), Linger: config.CSIResumeDelay.Get(h), Waits: xep.CanWait(config.CSIImportant.Get(h)...),
	}
}
