package config

import "fmt"

// GroupSource is where groups are.
type GroupSource string

// The sources.
const (
	GroupsInFile GroupSource = "groups_file"
	GroupsInLDAP GroupSource = "ldap"
)

// groupModules are the modules that put groups into rosters: where they are, and the option that says so.
var groupModules = []struct {
	name   string
	source GroupSource
	option string
	set    func(*Host) bool
}{
	{"groups", GroupsInFile, "groups_file", func(h *Host) bool { return GroupsFile.Get(h) != "" }},
	{"groups_ldap", GroupsInLDAP, "ldap", func(h *Host) bool { return LDAPTable.Get(h).GroupBase != "" }},
	{"groups_sql", GroupsInSQL, "groups_sql_query", func(h *Host) bool { return GroupsQuery.Get(h) != "" }},
}

// SharedGroups is where the groups are that are put into the rosters of the host: those that users edit, or empty ones. It
// is false if there are none.
func (h *Host) SharedGroups() (source GroupSource, ok bool) {
	if len(h.Providers()) > 0 {
		return "", false
	}
	if h.LDAPRosters() {
		return GroupsInLDAP, LDAPTable.Get(h).GroupBase != ""
	}
	for _, m := range groupModules {
		if h.Has(m.name) && m.set(h) {
			return m.source, true
		}
	}
	return "", false
}

// GroupsPos is the option that says where the groups of the host are, and where it is set.
func (h *Host) GroupsPos() (Pos, string) {
	source, _ := h.SharedGroups()
	for _, m := range groupModules {
		if m.source == source {
			if st := h.find(m.option, ScopeHost); st != nil {
				return st.pos, m.option
			}
			return h.Pos(), m.option
		}
	}
	return h.Pos(), ""
}

// TakesNotices tells whether somebody may have to say that rosters have changed: nobody has to of those that users edit,
// and of groups in a file, which is looked at.
func (h *Host) TakesNotices() bool {
	source, shared := h.SharedGroups()
	return len(h.Providers()) > 0 || shared && source != GroupsInFile
}

// groups: whose groups are nowhere has nothing to do, and a backend that is asked has the last word.
func (ck *checker) groups(h *Host) {
	first := Module{}
	if h.LDAPRosters() {
		first, _ = h.Module("roster")
	}
	for _, g := range groupModules {
		m, on := h.Module(g.name)
		providers := h.Providers()
		switch {
		case !on:
		case len(providers) > 0:
			ck.once(Warn, CodeModule, h, m.Name, m.Pos, fmt.Sprintf("module %q: the groups of %s do not appear in the rosters of module %q", m.Name, g.option, providers[0].Name), "")
		case !g.set(h):
			ck.once(Note, CodeMoot, h, m.Name, m.Pos, fmt.Sprintf("module %q serves nothing: %s is not set (as in Prosody)", m.Name, g.option), "")
		case first.Name == "roster" && g.source == GroupsInLDAP: // the same
		case first.Name != "":
			ck.add(Refused, CodeRoster, h, m.Name, m.Pos, fmt.Sprintf("%s has two sources of groups: %s and %s", h.section.title(), named(first), named(m)), "leave one of them")
		default:
			first = m
		}
	}
}
