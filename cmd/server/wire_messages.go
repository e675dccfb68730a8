package main

import (
	"rosterd/config"
	"rosterd/xmppcore"
	"rosterd/xmppcore/xep"
)

// messages is what a host keeps of messages, as far as its modules do.
func messages(h *config.Host) xmppcore.Messages {
	return xmppcore.Messages{
		Offline: xep.OfflineLimits{Messages: config.OfflineMessages.Get(h), Bytes: config.OfflineSize.Get(h)},
	}
}
