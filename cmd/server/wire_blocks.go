package main

import (
	"rosterd/config"
	"rosterd/engine/addr"
	"rosterd/store"
	"rosterd/xmppcore"
)

// blocking is what the users of a host can block; nil: nothing. Whom they have blocked in Prosody, whose data folder has
// it, stays blocked until they say otherwise.
func blocking(h *config.Host) *xmppcore.Blocking {
	if !h.Has("blocklist") && !h.Has("blocking") {
		return nil
	}
	b := &xmppcore.Blocking{Keep: config.BlocklistCache.Get(h), Silent: !config.BounceBlocked.Get(h)}
	if h.StorageDriver("blocklist") == "internal" {
		folder := config.DataPath.Get(h)
		b.Import = func(user addr.Bare) ([]addr.JID, error) { return store.ProsodyBlocklist(folder, user) }
	}
	return b
}
