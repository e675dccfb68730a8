package config

import "math"

// Blocking (module blocklist).
var (
	BlocklistCache = declare(Spec{Name: "blocklist_cache_size",
		Doc: "blocklists of users who are offline that stay in memory"}, integer(1, math.MaxInt32), 64)
	BounceBlocked = declare(Spec{Name: "bounce_blocked_messages",
		Doc: "messages of those whom a user has blocked are returned; else they are dropped"}, boolean, true)
)
