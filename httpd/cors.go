package httpd

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// CORS says which pages of other origins a browser may let use a mount (Fetch standard §3.2, CORS protocol). Pages of
// the same origin always may. Its zero value lets no others.
type CORS struct {
	Enabled     bool
	Origins     []string // such as "https://chat.example.com"; "*" is all of them
	Methods     []string // besides GET, HEAD, POST and OPTIONS
	Headers     []string // of requests, besides Content-Type and those that need no permission
	Credentials bool     // cookies and the like are sent along
}

// corsMaxAge is how long a browser may remember a permission, in seconds: Prosody's access_control_max_age.
const corsMaxAge = "7200"

// Allows tells whether r may be served: no page made it (no Origin header), or one that may. It is what a WebSocket
// handler has to ask, since browsers do not (RFC 6455 §10.2).
func (c CORS) Allows(r *http.Request) bool {
	origin := r.Header.Get("Origin")
	return origin == "" || sameOrigin(origin, r) || c.lets(origin)
}

// lets tells whether pages of another origin may.
func (c CORS) lets(origin string) bool {
	return c.Enabled && (c.any() || slices.ContainsFunc(c.Origins, func(o string) bool { return equalOrigin(o, origin) }))
}

func (c CORS) any() bool { return slices.Contains(c.Origins, "*") }

// sameOrigin compares hosts and ports only, as browsers write them. The scheme would need every proxy to say what its
// client spoke, and whoever can serve a page on the other scheme of our name and port is us.
func sameOrigin(origin string, r *http.Request) bool {
	u, err := url.Parse(origin)
	return err == nil && u.Host != "" && strings.EqualFold(u.Host, r.Host)
}

// equalOrigin is for what somebody wrote into a configuration, perhaps with a slash at the end, the usual port, or in
// letters that browsers do not send.
func equalOrigin(configured, origin string) bool {
	a, errA := url.Parse(configured)
	b, errB := url.Parse(origin)
	return errA == nil && errB == nil && b.Host != "" && a.Scheme == b.Scheme && hostKey(a.Host) == hostKey(b.Host) && portOf(a) == portOf(b)
}

func portOf(u *url.URL) string {
	return or(u.Port(), map[string]string{"http": "80", "https": "443"}[u.Scheme])
}

// allow puts the headers on an answer that let the page read it.
func (c CORS) allow(header http.Header, r *http.Request) (allowed bool) {
	origin := r.Header.Get("Origin")
	everybody := c.any() && !c.Credentials
	if !everybody {
		header.Add("Vary", "Origin")
	}
	if origin == "" || !c.lets(origin) {
		return false
	}
	if everybody {
		origin = "*"
	}
	header.Set("Access-Control-Allow-Origin", origin)
	if c.Credentials {
		header.Set("Access-Control-Allow-Credentials", "true")
	}
	return true
}

// isPreflight is a browser's question before a request of a page's (Fetch standard §3.2.2).
func isPreflight(r *http.Request) bool {
	return r.Method == http.MethodOptions && r.Header.Get("Origin") != "" && r.Header.Get("Access-Control-Request-Method") != ""
}

// guard is next with CORS: preflights are answered for it.
func (c CORS) guard(s *Server, next http.Handler) http.Handler {
	if !c.Enabled {
		return next
	}
	methods := strings.Join(distinctStrings([]string{"GET", "HEAD", "POST", "OPTIONS"}, c.Methods), ", ")
	headers := strings.Join(distinctStrings([]string{"Content-Type"}, c.Headers), ", ")
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		header := w.Header()
		allowed := c.allow(header, r)
		switch {
		case !isPreflight(r):
			next.ServeHTTP(w, r)
		case !allowed && !sameOrigin(r.Header.Get("Origin"), r):
			s.refuse(w, r, http.StatusForbidden, "pages of "+clip(r.Header.Get("Origin"), 256)+" may not use this (http_cors_override)")
		default:
			header.Set("Access-Control-Allow-Methods", methods)
			header.Set("Access-Control-Allow-Headers", headers)
			header.Set("Access-Control-Max-Age", corsMaxAge)
			w.WriteHeader(http.StatusNoContent)
		}
	})
}

func distinctStrings(first, more []string) []string {
	all := slices.Clone(first)
	for _, m := range more {
		if !slices.ContainsFunc(all, func(s string) bool { return strings.EqualFold(s, m) }) {
			all = append(all, m)
		}
	}
	return all
}
