package config

import (
	"fmt"
	"slices"
	"strings"
)

// externalModule is the module of a Component that is another program, which connects (XEP-0114).
const externalModule = "component"

// Components returns the enabled external components in the order of the file.
func (c *Config) Components() []*Host { return slices.Clone(c.external) }

// Inside returns the external components whose domains are one label below that of a host: Prosody names them in the
// host's service discovery.
func (c *Config) Inside(h *Host) (list []*Host) {
	for _, e := range c.external {
		if _, parent, ok := strings.Cut(e.Name, "."); ok && parent == h.Name {
			list = append(list, e)
		}
	}
	return list
}

func (c *Config) addComponent(h *Host) {
	if h.section.module != externalModule {
		return
	}
	h.modules = map[string]Module{externalModule: {Name: externalModule, Pos: h.Pos()}}
	c.external = append(c.external, h)
}

// external checks what an external component needs.
func (ck *checker) external(h *Host) {
	if h.find(ComponentSecret.Name, ScopeHost) == nil { // an unreadable one has been refused
		ck.add(Warn, CodeLogin, h, ComponentSecret.Name, h.Pos(), fmt.Sprintf("%s (external): nobody can connect as it, since component_secret is not set", h.section.title()), "")
	}
	for _, m := range moduleList(h.section, ModulesEnabled.Name) {
		ck.add(Note, CodeMoot, h, m.Name, m.Pos, fmt.Sprintf("module %q has no effect on an external component", m.Name), "")
	}
	if len(ck.Listeners("component")) == 0 {
		_, pos, _ := ComponentPorts.Lookup(ck.global)
		ck.once(Warn, CodeLogin, nil, ComponentPorts.Name, pos, "component_ports is empty: no component can connect", "")
	}
	for _, l := range ck.Listeners("component") {
		if !loopback(l.Address) {
			ck.once(Note, CodeOpen, nil, ComponentInterfaces.Name, l.Pos, "components connect from beyond this machine without TLS: who listens in on the way reads what they are sent", "")
			break
		}
	}
}
