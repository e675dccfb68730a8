package config

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
)

// authProviders are the values of authentication that come with rosterd, but for those whose accounts are rosterd's own.
// The module of such a provider is auth_NAME.
var authProviders = map[string]string{
	"anonymous":   "whoever comes gets a name for as long as the session lasts",
	"custom_http": "passwords are checked by a POST of JSON",
	"dovecot":     "passwords are checked by Dovecot's authentication service",
	"ldap":        "passwords are checked by an LDAP server",
	"ldap2":       "passwords are checked by the LDAP server of the table ldap",
	"http":        "passwords are checked by a web application",
	"http_async":  "passwords are checked by asking for a page with them (Basic authentication)",

	"jwt":            "signed tokens, by OAUTHBEARER and as passwords",
	"oauthbearer":    "tokens that an authorization server is asked about, by OAUTHBEARER and as passwords",
	"oauth_external": "tokens of an authorization server by OAUTHBEARER, and passwords that it gives tokens for",
	"token":          "one-time tokens of an application, as passwords",
}

// Passwords that somebody else knows.
var (
	AuthBackendTimeout = declareFor(Spec{Name: "rosterd_auth_backend_timeout", Risk: Security,
		Doc: "how long who knows the passwords may take for an answer, and how long a login waits until it is asked; that of rosterd_backend_timeout"},
		period(10*time.Millisecond, 10*time.Minute), func(h *Host) time.Duration { return BackendTimeout.Get(h) })
	AuthParallel = declareFor(Spec{Name: "rosterd_auth_parallel", Risk: Security,
		Doc: "passwords that are asked about at a time; that of rosterd_backend_parallel"}, integer(1, 10_000),
		func(h *Host) int { return BackendParallel.Get(h) })
	AuthBreaker = declareFor(Spec{Name: "rosterd_auth_breaker", Risk: Security,
		Doc: "failures in a row after which nobody is asked about passwords for a while, 0 for never; that of rosterd_backend_breaker"}, integer(0, math.MaxInt32),
		func(h *Host) int { return BackendBreaker.Get(h) })
	AuthCache = declare(Spec{Name: "rosterd_auth_cache", Risk: Security,
		Doc: "for how long who has logged in is let in again with the same password without a question, although it may not count any more; 0 for not at all"},
		period(0, 24*time.Hour), 0)

	HTTPAuthURL = declare(Spec{Name: "http_auth_url", Risk: Security,
		Doc: "of authentication = \"http\", the URL below which check_password and user_exists are; of \"http_async\", that of a page, with $user; $host stands for the VirtualHost"}, text, "")
	HTTPAuthCredentials = declare(Spec{Name: "http_auth_credentials", Risk: Security, Secret: true, Owner: "auth_http",
		Doc: "USER:PASSWORD that is sent along with these questions"}, text, "")
	CustomHTTPAuth = declare(Spec{Name: "auth_custom_http", Risk: Security, Owner: "auth_custom_http",
		Doc: "{ post_url = URL } of what checks passwords for authentication = \"custom_http\", or the URL alone"}, postURL, "")
	AnonymousStorage = declare(Spec{Name: "allow_anonymous_storage", Risk: Security, Owner: "auth_anonymous",
		Doc: "what anonymous users store is kept, after they have gone, too"}, boolean, false)
)

// postURL reads a URL, or a table with one.
func postURL(r *reading, v Value) (string, bool) {
	t := v.Table()
	if t == nil {
		return nonEmpty(r, v)
	}
	url := ""
	for _, f := range t.Fields {
		if keyText(f.Key) != "post_url" {
			r.warn(f.Value, "%q means nothing here", keyText(f.Key))
			continue
		}
		var ok bool
		if url, ok = nonEmpty(r, f.Value); !ok {
			return "", false
		}
	}
	if url == "" {
		r.fail(v, "takes { post_url = \"https://…\" }")
	}
	return url, url != ""
}

// AuthProvider is who says who the users of the host are. anonymous_login goes before authentication, as in Prosody.
func (h *Host) AuthProvider() string {
	if AnonymousLogin.Get(h) {
		return "anonymous"
	}
	return Authentication.Get(h)
}

// authPos is where the file says so.
func (h *Host) authPos() Pos {
	if _, pos, set := AnonymousLogin.Lookup(h); set && AnonymousLogin.Get(h) {
		return pos
	}
	_, pos, _ := Authentication.Lookup(h)
	return pos
}

// KeepsAccounts tells whether the accounts of the host are rosterd's own.
func (h *Host) KeepsAccounts() bool { return internalAccounts(h) }

// Anonymous tells whether the users of the host have no accounts at all. A module of one's own of that name knows passwords.
func (h *Host) Anonymous() bool {
	return h.AuthProvider() == "anonymous" && !h.cfg.overridden(authModule(h))
}

// OutsideProvider is the provider of rosterd's own that asks somebody else about the users of the host.
func (h *Host) OutsideProvider() (name string, pos Pos, ok bool) {
	name = h.AuthProvider()
	_, known := authProviders[name]
	return name, h.authPos(), known && name != "anonymous" && !h.cfg.overridden(authModule(h))
}

// ownProvider is the provider that comes with rosterd and whose module has that name.
func ownProvider(module string) (name string, ok bool) {
	name, ok = strings.CutPrefix(module, "auth_")
	if !ok {
		return "", false
	}
	_, ok = authProviders[name]
	return name, ok
}

// providerNames are the values of authentication that need no plugin.
func providerNames() string {
	names := []string{"internal_hashed", "internal_plain"}
	for name := range authProviders {
		names = append(names, name)
	}
	slices.Sort(names)
	return strings.Join(names, ", ")
}

// httpAuthURL: two providers read it, and one of them has to be chosen.
func (ck *checker) httpAuthURL(h *Host, st *setting) {
	for _, host := range ck.Hosts() {
		if (h == ck.global || h == host) && (host.Has("auth_http") || host.Has("auth_http_async")) {
			return
		}
	}
	ck.add(Note, CodeMoot, h, st.name, st.pos, fmt.Sprintf(`%s has no effect: no host has authentication = "http" or "http_async"`, st.name), "")
}

// ownModules are the names of those modules of rosterd's own in whose place a file in plugin_paths is not used.
func ownModules() (names []string) {
	for name, m := range moduleTable {
		if m.kind == Honoured || m.kind == Provider {
			names = append(names, name)
		}
	}
	for name := range authProviders {
		names = append(names, "auth_"+name)
	}
	slices.Sort(names)
	return names
}

// elsewhere says why rosterd cannot change the accounts of a host.
func elsewhere(h *Host, accounts string) string {
	if h.Anonymous() {
		return "its users are anonymous and have none"
	}
	return fmt.Sprintf("%s are where authentication = %q says", accounts, h.AuthProvider())
}

// OutsideProviders are the providers that come with rosterd and ask somebody else.
func OutsideProviders() (names []string) {
	for name := range authProviders {
		if name != "anonymous" {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}
