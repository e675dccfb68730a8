package config

import (
	"fmt"
	"net/url"
	"strings"
)

// hosts checks what each served host needs.
func (ck *checker) hosts() {
	if len(ck.Config.hosts) == 0 {
		ck.add(Refused, CodeHosts, nil, "", Pos{File: ck.File}, "there is no VirtualHost to serve", "declare one: VirtualHost \"example.com\"")
	}
	for _, s := range append([]*section{ck.global.section}, ck.sections...) {
		ck.switchedOff(s)
	}
	for _, h := range ck.Config.hosts {
		ck.rosters(h)
		ck.groups(h)
		ck.rosterEdit(h)
		ck.push(h)
		ck.storage(h)
		ck.authentication(h)
		ck.plaintext(h)
		ck.login(h)
		ck.files(h)
	}
}

// files: without a directory there is nothing to serve, in Prosody neither.
func (ck *checker) files(h *Host) {
	m, on := h.Module("http_files")
	if _, _, set := HTTPFilesDir.Lookup(h); on && !set && h.find(HTTPFilesDir.Name, ScopeHost) == nil {
		ck.once(Note, CodeMoot, h, m.Name, m.Pos, `module "http_files" serves nothing: http_files_dir is not set (as in Prosody)`, "")
	}
}

// sharedAlone tells that the rosters of a host are made of groups, which nobody edits.
func sharedAlone(h *Host) bool {
	_, shared := h.SharedGroups()
	return shared
}

// rosters: exactly one module supplies the rosters of a host.
func (ck *checker) rosters(h *Host) {
	providers := h.Providers()
	stored, edited := h.Module("roster")
	switch {
	case len(providers) > 1:
		ck.add(Refused, CodeRoster, h, "", h.Pos(), fmt.Sprintf("%s has two sources of rosters: %s and %s", h.section.title(), named(providers[0]), named(providers[1])), "leave one of them")
	case len(providers) == 1 && edited:
		ck.add(Refused, CodeRoster, h, "roster", stored.Pos, fmt.Sprintf("%s has two sources of rosters: %s and %s", h.section.title(), named(providers[0]), named(stored)),
			"under the host, write modules_disabled = { \"roster\" }")
	case len(providers) == 1 && providers[0].File != "":
	case len(providers) == 1:
		ck.backend(h, providers[0])
	case edited, sharedAlone(h), h.Anonymous():
	default:
		hint := "enable http_roster_admin, or roster for rosters that users edit"
		for _, m := range h.Modules() {
			if p := ck.plugins[m.Name]; p != nil && m.Pos != (Pos{}) { // what Prosody loads unasked is not meant to
				hint = fmt.Sprintf("%s is in %s, but %s", named(m), p.file, p.useless())
			}
		}
		ck.add(Refused, CodeRoster, h, "", h.Pos(), fmt.Sprintf("%s: no module supplies its rosters", h.section.title()), hint)
	}
}

// rosterEdit: what would let users edit rosters, and does not.
func (ck *checker) rosterEdit(h *Host) {
	how, pos, set := RosterEdit.Lookup(h)
	if !set || how == "refuse" {
		return
	}
	if len(h.Providers()) == 0 {
		ck.once(Note, CodeMoot, h, RosterEdit.Name, pos, fmt.Sprintf("rosterd_roster_edit has no effect on %s: no backend supplies its rosters", h.section.title()), "")
		return
	}
	if m, on := h.Module("block_subscriptions"); on {
		ck.once(Warn, CodeOption, h, RosterEdit.Name, pos, fmt.Sprintf("rosterd_roster_edit: users of %s cannot ask anybody for a subscription, nor answer, since %s drops that", h.section.title(), named(m)),
			"under the host, write modules_disabled = { \"block_subscriptions\" }")
	}
}

func named(m Module) string { return fmt.Sprintf("module %q (%s)", m.Name, m.Pos) }

// authentication: falling back to another provider would let other people in.
func (ck *checker) authentication(h *Host) {
	if _, own := ownProvider(authModule(h)); own && h.cfg.plugins[authModule(h)] == nil {
		return // whoever makes it looks at its options
	}
	if m, found := h.Authenticator(); found || internalAccounts(h) {
		if !h.Has(m.Name) { // else it is in modules_enabled, and looked at there
			ck.beside(h, m)
		}
		return
	}
	_, pos, _ := Authentication.Lookup(h)
	name := Authentication.Get(h)
	ck.once(Refused, CodeAccounts, h, Authentication.Name, pos, fmt.Sprintf("authentication: the provider %q is not available; these are: %s", name, providerNames()),
		ck.notAvailable(h, name))
}

// backend checks the URL that rosters come from.
func (ck *checker) backend(h *Host, m Module) {
	if m.Name != "http_roster_admin" {
		return
	}
	raw, pos, set := HTTPRosterURL.Lookup(h)
	if !set {
		if h.find(HTTPRosterURL.Name, ScopeHost) == nil {
			ck.add(Refused, CodeBackend, h, HTTPRosterURL.Name, m.Pos, fmt.Sprintf("%s: module %q needs http_roster_url", h.section.title(), m.Name), "")
		}
		return // an unreadable one has been refused
	}
	u, err := url.Parse(strings.ReplaceAll(raw, "%s", "user"))
	switch {
	case err != nil:
		ck.once(Refused, CodeBackend, h, HTTPRosterURL.Name, pos, "http_roster_url is no URL: "+urlFault(err), "")
	case u.Scheme != "http" && u.Scheme != "https" || u.Host == "":
		ck.once(Refused, CodeBackend, h, HTTPRosterURL.Name, pos, "http_roster_url has to start with http:// or https:// and a host", "")
	case !strings.Contains(raw, "%s"):
		ck.once(Refused, CodeBackend, h, HTTPRosterURL.Name, pos, "http_roster_url has no %s for the username", "")
	}
}

// urlFault is the error without the URL, which may hold a password.
func urlFault(err error) string {
	if ue, ok := err.(*url.Error); ok {
		return ue.Err.Error()
	}
	return "it cannot be parsed"
}

// login: whatever keeps everybody out is said before the first user says it.
func (ck *checker) login(h *Host) {
	secure := C2SRequireEncryption.Get(h)
	for _, name := range []string{"c2s", "saslauth"} {
		if !h.Has(name) {
			ck.add(Warn, CodeLogin, h, name, h.Pos(), fmt.Sprintf("%s: nobody can log in, since module %q is not enabled", h.section.title(), name), "")
			return
		}
	}
	if !h.Has("tls") {
		if secure {
			ck.add(Warn, CodeLogin, h, "tls", h.Pos(), fmt.Sprintf("%s: nobody can log in, since encryption is required and module \"tls\" is not enabled", h.section.title()), "")
		}
		return
	}
	if _, err := h.Certificate(STARTTLS, 0); err != nil {
		what := "clients cannot use TLS"
		if secure {
			what = "nobody can log in, since encryption is required"
		}
		ck.add(Warn, CodeLogin, h, "certificates", h.Pos(), fmt.Sprintf("%s: %s: %v", h.section.title(), what, err), "")
	}
}

// web: two hosts cannot have the same path under one HTTP name, since nobody could say which of them is meant.
func (ck *checker) web() {
	type place struct{ host, path string }
	type tenant struct {
		host   *Host
		module HTTPModule
	}
	taken := make(map[place]tenant)
	for _, h := range ck.Config.hosts {
		name, pos, set := HTTPHost.Lookup(h)
		if !set {
			name, pos = HTTPHost.Get(h), h.Pos()
		}
		for _, m := range h.HTTPModules() {
			at := place{strings.ToLower(name), m.Path}
			first, clash := taken[at]
			switch {
			case !clash:
				taken[at] = tenant{h, m}
			case m.Shared && first.module.Name == m.Name:
			case first.module.Name == m.Name:
				ck.once(Refused, CodePlace, h, HTTPHost.Name, pos, fmt.Sprintf("%s and %s would both be served at %s on %s", first.host.section.title(), h.section.title(), at.path, name),
					"give each an http_host of its own, or put $host into http_paths")
			default:
				ck.once(Refused, CodePlace, h, HTTPHost.Name, pos, fmt.Sprintf("%s of %s and %s of %s would both be served at %s on %s",
					first.module.Name, first.host.section.title(), m.Name, h.section.title(), at.path, name), "give them other paths in http_paths")
			}
		}
	}
}

// longestSocket is how long the path of a unix socket can be (sun_path is 108 bytes on Linux, 104 elsewhere).
const longestSocket = 103

// socket: a path that the system does not take would refuse the start.
func (ck *checker) socket() {
	path, pos, set := AdminSocket.Lookup(ck.global)
	if len(path) <= longestSocket {
		return
	}
	if !set {
		pos = Pos{File: ck.File}
	}
	ck.add(Refused, CodeValue, nil, AdminSocket.Name, pos, fmt.Sprintf("rosterd_admin_socket: %s is longer than the %d bytes that the path of a socket can have", path, longestSocket),
		"set it to a shorter path, such as one in /run")
}

// network: refreshes that anybody may send.
func (ck *checker) network() {
	for _, h := range ck.Config.hosts {
		if !h.TakesNotices() || RefreshToken.Get(h) != "" || RefreshHMACSecret.Get(h) != "" || RefreshClientCA.Get(h) != "" {
			continue
		}
		services := []string{"http"}
		for _, port := range HTTPSPorts.Get(ck.global) { // it cannot listen without
			if _, err := h.Certificate(HTTPS, port); err == nil && len(services) == 1 {
				services = append(services, "https")
			}
		}
		for _, service := range services {
			for _, l := range ck.Listeners(service) {
				if loopback(l.Address) {
					continue
				}
				sev, pos := Warn, l.Pos
				if l.Implicit {
					sev, pos = Note, Pos{File: ck.File}
				}
				ck.once(sev, CodeOpen, nil, service+"_interfaces", pos, fmt.Sprintf("%s listens beyond this machine, and refreshes need no token", service),
					"set rosterd_refresh_token, or "+service+"_interfaces = { \"127.0.0.1\" }")
				break
			}
		}
	}
}

// switchedOff: Prosody takes no value but false itself for a host that is not to be served.
func (ck *checker) switchedOff(s *section) {
	st := s.set[enabledOption.Name]
	if st == nil || st.value.v == false {
		return
	}
	if v, ok := boolean(&reading{cfg: ck.Config}, st.value); ok && !v {
		ck.diags = append(ck.diags, Diag{Severity: Warn, Code: CodeValueOdd, Pos: st.pos, Host: strings.TrimPrefix(s.host, "*"), Name: st.name,
			Message: fmt.Sprintf("enabled: %s is taken for false, and the host is not served; Prosody serves it", st.value.describe()), Hint: "write enabled = false, or take the line out"})
	}
}
