package config

// Rosters that users edit. How many contacts one may have says rosterd_roster_items.
var (
	RosterSize = declare(Spec{Name: "rosterd_roster_size", Risk: Security,
		Doc: "bytes that are kept of one roster that its user edits"}, size(16*kib, 1<<30), 4*mib)
	PendingRequests = declare(Spec{Name: "rosterd_pending_requests", Risk: Security,
		Doc: "subscription requests that wait for one user's answer; further ones are denied"}, integer(1, 100_000), 500)
	GroupsFile = declare(Spec{Name: "groups_file", Owner: "groups",
		Doc: "file of shared groups, whose members have each other as contacts"}, configPath, "")
)
