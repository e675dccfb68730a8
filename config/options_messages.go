package config

import "math"

// Messages for users who are not there (module offline).
var (
	OfflineMessages = declare(Spec{Name: "rosterd_offline_messages", Owner: "offline",
		Doc: "messages that wait for a user who is offline; more are returned"}, integer(1, math.MaxInt32), 1000)
	OfflineSize = declare(Spec{Name: "rosterd_offline_size", Owner: "offline",
		Doc: "bytes of messages that wait for a user who is offline; more are returned"}, size(64*kib, 1024*mib), 4*mib)
)
