package config

import (
	"fmt"
	"slices"
	"strings"
)

// lacking says what keeps a module of rosterd's own from doing its work on hosts that have it from here.
func (ck *checker) lacking(h *Host, m Module) {
	var hosts []*Host
	for _, host := range ck.Config.hosts {
		if own, ok := host.Module(m.Name); ok && own.Pos == m.Pos {
			hosts = append(hosts, host)
		}
	}
	for _, lack := range lacks[m.Name] {
		without := map[string][]*Host{}
		var reasons []string // in the order of the hosts
		for _, host := range hosts {
			if lack.on(host) {
				why := lack.why(host)
				if without[why] == nil {
					reasons = append(reasons, why)
				}
				without[why] = append(without[why], host)
			}
		}
		for _, why := range reasons {
			where := ""
			if len(without[why]) < len(hosts) {
				where = " on " + hostNames(without[why])
			}
			ck.add(Note, CodeMoot, h, m.Name, m.Pos, fmt.Sprintf("module %q%s%s%s", m.Name, lack.what, where, why), "")
		}
	}
}

// lack is what a module does not do on some hosts, and why.
type lack struct {
	on   func(*Host) bool
	what string
	why  func(*Host) string
}

var (
	notRegistering = lack{func(h *Host) bool {
		return !AllowRegistration.Get(h) && h.find(AllowRegistration.Name, ScopeHost) == nil
	}, ": nobody can register", because(", since allow_registration is not true")}
	notManaging = lack{func(h *Host) bool { return !internalAccounts(h) }, ": users cannot change their passwords or delete their accounts",
		func(h *Host) string {
			return ", since " + elsewhere(h, "those")
		}}
)

// shadowed: Prosody drops vcard beside vcard_legacy.
func (ck *checker) shadowed(h *Host, m Module) {
	var hosts []*Host
	for _, host := range ck.Config.hosts {
		if (h == ck.global || h == host) && host.Has("vcard_legacy") {
			hosts = append(hosts, host)
		}
	}
	switch {
	case m.Name != "vcard" || len(hosts) == 0:
	case ck.anyHas(h, m.Name):
		ck.add(Note, CodeMoot, h, m.Name, m.Pos, fmt.Sprintf(`module "vcard" has no effect on %s beside "vcard_legacy", which serves vCards, too`, hostNames(hosts)), "")
	default:
		ck.add(Note, CodeMoot, h, m.Name, m.Pos, `module "vcard" has no effect beside "vcard_legacy", which serves vCards, too`, "")
	}
}

func because(s string) func(*Host) string { return func(*Host) string { return s } }

var lacks = map[string][]lack{
	"register": {notRegistering, notManaging}, "register_ibr": {notRegistering}, "user_account_management": {notManaging},
}

func hostNames(hosts []*Host) string {
	var list []string
	for _, h := range hosts {
		list = append(list, h.Name)
	}
	slices.Sort(list)
	return strings.Join(list, ", ")
}

// unshown: vCards of the backend that nothing shows to clients.
func (ck *checker) unshown(h *Host, st *setting) {
	var without []*Host
	all := true
	for _, host := range ck.Config.hosts {
		if _, pos, _ := VCardURL.Lookup(host); pos != st.pos || VCardURL.Get(host) == "" || !host.Has("http_roster_admin") {
			continue
		}
		if slices.ContainsFunc([]string{"vcard", "vcard_legacy", "vcard4", "pep"}, host.Has) {
			all = false
		} else {
			without = append(without, host)
		}
	}
	if len(without) == 0 {
		return
	}
	where := ""
	if !all {
		where = " on " + hostNames(without)
	}
	ck.add(Note, CodeMoot, h, st.name, st.pos, st.name+" has no effect"+where+": nobody is shown vCards", `modules "vcard_legacy", "vcard4" and "pep" show them, with avatars`)
}

// memoryLimit: a bound of stores in memory where there are none.
func (ck *checker) memoryLimit(h *Host, st *setting) {
	inMemory := func(h *Host) bool {
		return slices.ContainsFunc(h.kept(), func(store string) bool { return h.Driver(store) == InMemory })
	}
	if !slices.ContainsFunc(ck.Config.hosts, inMemory) {
		ck.add(Note, CodeMoot, h, st.name, st.pos, st.name+` has no effect: no store is kept by "memory"`, "archive_expires_after bounds archives that are on disk")
	}
}
