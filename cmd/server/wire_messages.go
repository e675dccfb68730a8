package main

import (
	"rosterd/config"
	"rosterd/xmppcore"
	"rosterd/xmppcore/archive"
	"rosterd/xmppcore/xep"
)

// messages is what a host keeps of messages, as far as its modules do.
func messages(h *config.Host) xmppcore.Messages {
	m := xmppcore.Messages{
		Offline:      xep.OfflineLimits{Messages: config.OfflineMessages.Get(h), Bytes: config.OfflineSize.Get(h)},
		ArchiveStore: config.ArchiveStore.Get(h),
		Archive: archive.Options{
			Policy: archive.Policy(config.ArchivePolicy.Get(h)), Smart: config.ArchiveSmart.Get(h), Results: config.ArchiveResults.Get(h),
			NoTotal: !config.ArchiveTotal.Get(h), Drop: config.ArchiveDrop.Get(h), Entries: config.ArchiveMessages.Get(h), Bytes: int64(config.ArchiveSize.Get(h)),
		},
	}
	if age := config.ArchiveExpires.Get(h); age != config.Forever {
		m.Archive.Expires = age
	}
	return m
}
