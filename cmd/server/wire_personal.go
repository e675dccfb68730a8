package main

import (
	"rosterd/config"
	"rosterd/xmppcore"
)

// personal is how a host keeps what its users publish about themselves.
func personal(h *config.Host) xmppcore.Personal {
	return xmppcore.Personal{
		MaxItems: config.PEPMaxItems.Get(h), MaxBoxes: config.PEPServiceCache.Get(h),
		KeepOldVCards: !config.UpgradeVCards.Get(h), KeepOldBookmarks: !config.UpgradeBookmarks.Get(h),
	}
}
