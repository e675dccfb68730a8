package config

// PresenceRate paces what groups do to their members' clients.
var PresenceRate = declare(Spec{Name: "rosterd_presence_rate", Scope: ScopeGlobal,
	Doc: "how often a second a client is written to for the presence of others when that comes in crowds; what comes in between is written together, of each resource only what is not outdated; 0: each at once"}, integer(0, 1000), 4)
