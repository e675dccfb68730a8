package config

import (
	"fmt"
	"math"
	"net/netip"
)

// Applications that push (modules http_ejabberd_api, http_openfire_api): they change rosters by the calls of ejabberd's
// HTTP API and of Openfire's REST plugin.
var (
	PushToken = declare(Spec{Name: "rosterd_push_token", Risk: Security, Secret: true,
		Doc: "what applications bring that change rosters: a bearer token to ejabberd's API, the shared secret to Openfire's"}, token, "")
	PushAllow = declare(Spec{Name: "rosterd_push_allow", Risk: Security,
		Doc: "addresses and networks from which applications change rosters without bringing anything"}, listOf(network), nil)
	PushItems = declare(Spec{Name: "rosterd_push_items", Risk: Security,
		Doc: "contacts that one call of an application may change, in all rosters together"}, integer(1, math.MaxInt32), 1_000_000)
	PushBody = declare(Spec{Name: "rosterd_push_body", Scope: ScopeGlobal, Risk: Security,
		Doc: "bytes of the body of such a call"}, size(kib, 1<<30), mib)
	PushFiles = declare(Spec{Name: "rosterd_push_files", Risk: Security, Owner: "http_ejabberd_api",
		Doc: "folder of the files that push_roster and push_roster_all name; without it they are refused"}, configPath, "")
	EjabberdVersion = declare(Spec{Name: "rosterd_ejabberd_api_version", Owner: "http_ejabberd_api",
		Doc: "version of ejabberd's API that a path without one means: 0 is that of ejabberd 23, from 1 on get_roster has groups as lists"}, integer(0, 100), 0)
)

// pushModules are those by which applications change rosters.
var pushModules = []string{"http_ejabberd_api", "http_openfire_api"}

// pushModule is one of them that is enabled on the host.
func (h *Host) pushModule() (Module, bool) {
	for _, name := range pushModules {
		if m, ok := h.Module(name); ok {
			return m, true
		}
	}
	return Module{}, false
}

// FixedRosters tells whether the rosters of the host are kept here, and not for its users to edit: rosterd_roster_edit
// says "refuse".
func (h *Host) FixedRosters() bool {
	how, _, set := RosterEdit.Lookup(h)
	return set && how == "refuse" && h.StoresRosters()
}

// PushHTTPModules are what the host serves to applications that change rosters.
func (h *Host) PushHTTPModules() (list []HTTPModule) {
	if h.Has("http_ejabberd_api") {
		list = append(list, HTTPModule{"ejabberd_api", h.HTTPPath("ejabberd_api", "/api"), true})
	}
	if h.Has("http_openfire_api") {
		list = append(list, HTTPModule{Name: "openfire_api", Path: h.HTTPPath("openfire_api", "/plugins")})
	}
	return list
}

// push says what keeps applications from changing rosters, and where they can although nobody says who they are.
func (ck *checker) push(h *Host) {
	m, on := h.pushModule()
	if _, pos, _ := RosterEdit.Lookup(h); h.FixedRosters() && !on {
		ck.once(Warn, CodeOption, h, RosterEdit.Name, pos, fmt.Sprintf("rosterd_roster_edit: nobody changes the rosters of %s", h.section.title()),
			"enable http_ejabberd_api or http_openfire_api, by which applications do, or leave the option out")
	}
	if !on {
		return
	}
	if !h.StoresRosters() {
		where := "are not kept here"
		if list := h.Providers(); len(list) > 0 {
			where = "come from " + named(list[0])
		}
		ck.once(Warn, CodeModule, h, m.Name, m.Pos, fmt.Sprintf("module %q: its calls are refused, since the rosters of %s %s", m.Name, h.section.title(), where),
			"applications change rosters that are kept here: enable module roster instead")
	}
	allow, pos, _ := PushAllow.Lookup(h)
	if PushToken.Get(h) == "" && len(allow) == 0 && len(Admins.Get(h)) == 0 {
		ck.once(Warn, CodeModule, h, m.Name, m.Pos, fmt.Sprintf("module %q: no application may call it", m.Name), "set rosterd_push_token, or admins, with whose names and passwords it may")
	}
	for _, p := range allow {
		if wide(p) {
			ck.once(Warn, CodeValueOdd, h, PushAllow.Name, pos, fmt.Sprintf("rosterd_push_allow: anybody in %s changes rosters", p), "name the machines of applications")
		}
	}
}

// wide tells whether a network has more than machines of one's own in it.
func wide(p netip.Prefix) bool {
	a := p.Addr()
	private := a.IsPrivate() || a.IsLoopback() || a.IsLinkLocalUnicast()
	return !private && (a.Is4() && p.Bits() < 24 || a.Is6() && p.Bits() < 48)
}
