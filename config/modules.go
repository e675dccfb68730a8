package config

import (
	"maps"
	"slices"
)

// ModuleKind says what rosterd makes of a module.
type ModuleKind uint8

const (
	Missing  ModuleKind = iota // rosterd does not have it
	Honoured                   // does here what it does in Prosody
	Provider                   // honoured, and supplies the rosters of its hosts
	Quiet                      // has nothing to do here: its work is built in, or not needed
	Moot                       // serves something that is not there
)

// moduleSpec is a row of the one registry of modules.
type moduleSpec struct {
	kind ModuleKind
	doc  string
}

// A Module is an entry of a host's effective set.
type Module struct {
	Name string `json:"name"`
	Pos  Pos    `json:"pos,omitzero"`   // where the file asks for it; zero if Prosody loads it unasked
	File string `json:"file,omitempty"` // of a provider: its script in plugin_paths; "" if the module is rosterd's own
}

// LookupModule returns what rosterd makes of a module.
func LookupModule(name string) (kind ModuleKind, doc string) {
	s := moduleInfo(name)
	return s.kind, s.doc
}

// automatic are the modules that Prosody 13 loads on every host unasked.
var automatic = []string{"presence", "message", "iq", "offline", "c2s", "s2s", "s2s_auth_certs"}

// Has reports whether the module is in the host's effective set.
func (h *Host) Has(module string) bool {
	if name, ok := ownProvider(module); ok { // Prosody loads it where authentication says so, whatever is enabled
		return name == h.AuthProvider()
	}
	_, ok := h.modules[module]
	return ok
}

// Module returns an entry of the effective set.
func (h *Host) Module(name string) (Module, bool) {
	m, ok := h.modules[name]
	return m, ok
}

// Modules returns the effective set, sorted by name. That of the global section is what every host
// starts from.
func (h *Host) Modules() []Module {
	list := make([]Module, 0, len(h.modules))
	for _, name := range slices.Sorted(maps.Keys(h.modules)) {
		list = append(list, h.modules[name])
	}
	return list
}

// Providers returns the modules of the host that would supply its rosters: rosterd's own, and scripts in
// plugin_paths that say so. A script that only hooks roster-load does where nobody else does: beside others it would
// change their rosters in Prosody. Whether a script keeps its word is seen when it is opened.
func (h *Host) Providers() []Module {
	var list, hooked []Module
	for _, m := range h.Modules() {
		switch p := h.cfg.plugins[m.Name]; {
		case p != nil && (p.rosters || h.cfg.overridden(m.Name)):
			m.File = p.file
			list = append(list, m)
		case moduleTable[m.Name].kind == Provider:
			list = append(list, m)
		case p != nil && p.hooked:
			m.File = p.file
			hooked = append(hooked, m)
		}
	}
	if len(list) == 0 && !h.Has("roster") {
		return hooked
	}
	return list
}

// StoresRosters tells whether the users of the host edit their rosters, which rosterd keeps: module roster is enabled,
// and no other supplies them.
func (h *Host) StoresRosters() bool {
	return h.Has("roster") && len(h.Providers()) == 0 && !h.LDAPRosters()
}

// PersonalRosters tells whether the users of the host keep contacts of their own beside those that a module supplies.
func (h *Host) PersonalRosters() bool {
	return RosterEdit.Get(h) == "personal" && len(h.Providers()) > 0
}

// WritesBack tells whether the module that supplies the rosters of the host is asked for what users want of them.
func (h *Host) WritesBack() bool {
	return RosterEdit.Get(h) == "writeback" && len(h.Providers()) > 0
}

// KeepsContacts tells whether there are contacts that the users of the host have made themselves.
func (h *Host) KeepsContacts() bool {
	return h.StoresRosters() && !h.FixedRosters() || h.PersonalRosters()
}

// globalModules is what a host starts from: the automatic modules and the global list, without what
// is disabled globally.
func globalModules(global *section) map[string]Module {
	set := map[string]Module{}
	for _, name := range automatic {
		set[name] = Module{Name: name}
	}
	enable(set, global)
	disable(set, global)
	return set
}

// hostModules adds the host's own list and takes away what the host disables: that wins over
// everything, while what is disabled globally can be enabled again by a host.
func hostModules(base map[string]Module, host *section) map[string]Module {
	set := maps.Clone(base)
	enable(set, host)
	disable(set, host)
	if _, both := set["vcard_legacy"]; both {
		delete(set, "vcard") // Prosody drops it beside vcard_legacy
	}
	return set
}

func enable(set map[string]Module, s *section) {
	for _, m := range moduleList(s, "modules_enabled") {
		if have, ok := set[m.Name]; !ok || have.Pos.IsZero() {
			set[m.Name] = m
		}
	}
}

func disable(set map[string]Module, s *section) {
	for _, m := range moduleList(s, "modules_disabled") {
		delete(set, m.Name)
	}
}

// moduleList reads one of the two lists of a section itself, nothing inherited. The list ends at
// the first hole.
func moduleList(s *section, option string) []Module {
	st := s.set[option]
	if st == nil || st.value.Table() == nil {
		return nil
	}
	var list []Module
	for _, v := range st.value.Table().List {
		if name, ok := v.v.(string); ok {
			list = append(list, Module{Name: name, Pos: v.pos})
		}
	}
	return list
}
