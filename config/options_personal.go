package config

import "math"

// Personal eventing (module pep), and what moves what was there before into it.
var (
	PEPMaxItems = declare(Spec{Name: "pep_max_items",
		Doc: "items that a node of personal eventing may have, 1 to 10000"}, integer(1, 10_000), 256)
	PEPServiceCache = declare(Spec{Name: "pep_service_cache_size",
		Doc: "users whose nodes of personal eventing stay in memory, without what is large in them"}, integer(1, math.MaxInt32), 1000)
	UpgradeVCards = declare(Spec{Name: "upgrade_legacy_vcards",
		Doc: "with vcard_legacy: a picture in a vCard of before becomes the user's avatar at login"}, boolean, true)
	UpgradeBookmarks = declare(Spec{Name: "upgrade_legacy_bookmarks",
		Doc: "with bookmarks: those that are private data of a user are moved to where they now belong"}, boolean, true)
)
