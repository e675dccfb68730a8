package config

import (
	"strings"
	"testing"

	"rosterd/config/known"
)

// own leaves the automatic modules out, unless they are missing.
func own(h *Host) string {
	var names []string
	for _, m := range h.Modules() {
		names = append(names, m.Name)
	}
	set := " " + strings.Join(names, " ") + " "
	for _, name := range automatic {
		if strings.Contains(set, " "+name+" ") {
			set = strings.Replace(set, " "+name+" ", " ", 1)
		} else {
			set += "-" + name + " "
		}
	}
	return strings.TrimSpace(set)
}

func TestModuleSets(t *testing.T) {
	for _, c := range []struct{ name, src, want string }{
		{"nothing but the automatic ones", "", ""},
		{"the global list", "modules_enabled = { 'a', 'b' }", "a b"},
		{"a host's list adds", "modules_enabled = { 'a' }\nVirtualHost 'h.example'\nmodules_enabled = { 'b' }", "a b"},
		{"an empty list of a host changes nothing", "modules_enabled = { 'a' }\nVirtualHost 'h.example'\nmodules_enabled = {}", "a"},
		{"disabled globally", "modules_enabled = { 'a', 'b' }\nmodules_disabled = { 'a', 's2s' }", "b -s2s"},
		{"disabled globally, enabled by the host", "modules_enabled = { 'a' }\nmodules_disabled = { 'a' }\nVirtualHost 'h.example'\nmodules_enabled = { 'a' }", "a"},
		{"disabled by the host", "modules_enabled = { 'a', 'b' }\nVirtualHost 'h.example'\nmodules_disabled = { 'a', 'offline' }", "b -offline"},
		{"the host's disabled list wins over its enabled one", "VirtualHost 'h.example'\nmodules_enabled = { 'a' }\nmodules_disabled = { 'a' }", ""},
		{"the host's lists are not replaced by those of another", "VirtualHost 'i.example'\nmodules_enabled = { 'a' }\nVirtualHost 'h.example'", ""},
		{"order and repetition do not matter", "modules_enabled = { 'b', 'a', 'b' }", "a b"},
		{"a hole ends the list", "modules_enabled = { 'a', nil, 'b' }", "a"},
		{"a name instead of a list is an empty list", "modules_enabled = 'a'", ""},
		{"entries that are no names", "modules_enabled = { 'a', 5, false, x = 'y' }", "a"},
		{"vcard gives way to vcard_legacy", "modules_enabled = { 'vcard', 'vcard_legacy' }", "vcard_legacy"},
	} {
		t.Run(c.name, func(t *testing.T) {
			src := c.src
			if !strings.Contains(src, "VirtualHost 'h.example'") {
				src += "\nVirtualHost 'h.example'"
			}
			if got := own(mustLoad(t, src).Host("h.example")); got != c.want {
				t.Errorf("set is %q, want %q", got, c.want)
			}
		})
	}
}

func TestModulePlaces(t *testing.T) {
	c := mustLoad(t, "modules_enabled = {\n'c2s',\n'ping' }\nVirtualHost 'h.example'\nmodules_enabled = { 'ping',\n'time' }")
	h := c.Hosts()[0]
	for name, line := range map[string]int{"c2s": 2, "ping": 3, "time": 6, "presence": 0} {
		m, ok := h.Module(name)
		if !ok || m.Pos.Line != line {
			t.Errorf("%s is at line %d, want %d", name, m.Pos.Line, line)
		}
	}
	if h.Has("mam") {
		t.Error("the host has mam")
	}
}

// Every module of the registry is one that exists, or is explained here.
func TestRegistryOfModules(t *testing.T) {
	gone := map[string]bool{"groups_ldap": true, "groups_sql": true, "compression": true, "console": true, "darknet": true, "privacy": true, "otr": true}
	for _, ours := range pushModules {
		gone[ours] = true
	}
	check := func(name string) {
		if _, ok := known.LookupModule(name); !ok && !gone[name] {
			t.Errorf("no such module: %s", name)
		}
	}
	for name, s := range moduleTable {
		check(name)
		if s.doc == "" {
			t.Errorf("%s has no explanation", name)
		}
		if restrictions[name] != "" || refusals[name] != "" {
			t.Errorf("%s is in two tables", name)
		}
	}
	for name := range restrictions {
		check(name)
	}
	for name := range refusals {
		check(name)
	}
	if kind, _ := LookupModule("http_roster_admin"); kind != Provider {
		t.Error("http_roster_admin provides no rosters")
	}
}
