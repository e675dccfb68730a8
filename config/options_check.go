package config

// The option of Check itself. See accept.go.
var acceptOption = declare(Spec{Name: "rosterd_accept", Scope: ScopeInherited, Risk: Security,
	Doc: "what check says and you accept, by code: SEC002, or SEC002@firewall for one option or module; under a host, what is said of that host"}, listOf(acceptanceItem), nil)
