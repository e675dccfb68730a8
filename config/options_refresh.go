package config

import "math"

// HTTPConnectionsPerAddress bounds what one address may hold open.
var HTTPConnectionsPerAddress = declare(Spec{Name: "rosterd_http_connections_per_address", Scope: ScopeGlobal, Risk: Security,
	Doc: "HTTP connections of one address at a time (IPv6: one /64), but for WebSockets and those of trusted_proxies"}, integer(1, math.MaxInt32), 1000)
