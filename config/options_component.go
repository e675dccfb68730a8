package config

// External components (XEP-0114).
var (
	ComponentPorts = declare(Spec{Name: "component_ports", Aliases: []string{"component_port"}, Old: true, Scope: ScopeGlobal, Risk: Security, Owner: externalModule,
		Doc: "ports for external components"}, ports, []int{5347})
	ComponentInterfaces = declare(Spec{Name: "component_interfaces", Aliases: []string{"component_interface"}, Old: true, Scope: ScopeGlobal, Risk: Security, Owner: externalModule,
		Doc: "addresses for external components; loopback unless named"}, listOf(iface), nil)
	ComponentSecret = declare(Spec{Name: "component_secret", Risk: Security, Secret: true, Owner: externalModule,
		Doc: "what an external component has to know to connect"}, nonEmpty, "")
	ComponentConflict = declare(Spec{Name: "component_conflict_resolve", Owner: externalModule,
		Doc: "who stays when a component connects twice"}, oneOf("kick_new", "kick_old"), "kick_new")
	ComponentStanzaSize = declare(Spec{Name: "component_stanza_size_limit", Scope: ScopeGlobal, Risk: Security, Owner: externalModule,
		Doc: "bytes of one stanza of a component"}, size(10_000, 64*mib), 512*kib)
	ValidateFromAddresses = declare(Spec{Name: "validate_from_addresses", Risk: Security, Owner: externalModule,
		Doc: "a component sends from addresses of its own domain only"}, boolean, true)
)
