package main

import (
	"rosterd/config"
	"rosterd/xmppcore"
)

// blocking is what the users of a host can block; nil: nothing.
func blocking(h *config.Host) *xmppcore.Blocking {
	if !h.Has("blocklist") && !h.Has("blocking") {
		return nil
	}
	return &xmppcore.Blocking{Keep: config.BlocklistCache.Get(h), Silent: !config.BounceBlocked.Get(h)}
}
