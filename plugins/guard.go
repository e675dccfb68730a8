package plugins

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"syscall"
)

// guard knows which servers a plugin may ask: those of the URLs that the operator wrote into the plugin's own
// options, and those that rosterd_plugin_http_allow names.
type guard struct {
	mu      sync.RWMutex
	own     map[string]bool // origins of URLs in options: they get the backend's credentials
	allowed map[string]bool // origins, or host names for any port, of rosterd_plugin_http_allow
	hosts   map[string]bool // host names of both
	ports   bool            // redirects may lead to other ports of those hosts, as in what came with rosterd
}

// origin is scheme, host and port (RFC 6454 §4). Credentials go by it.
func origin(u *url.URL) string {
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	return u.Scheme + "://" + net.JoinHostPort(strings.ToLower(u.Hostname()), port)
}

// hostKey is the name by which the dialer knows a host; all names of this machine's loopback are one.
func hostKey(name string) string {
	name = strings.TrimSuffix(strings.ToLower(name), ".")
	if a, err := netip.ParseAddr(name); name == "localhost" || err == nil && a.Unmap().IsLoopback() {
		return "localhost"
	}
	return name
}

// learn allows the servers of all HTTP URLs in an option's value.
func (g *guard) learn(value any) {
	switch t := value.(type) {
	case string:
		if !strings.HasPrefix(t, "http://") && !strings.HasPrefix(t, "https://") {
			return
		}
		if u, err := url.Parse(strings.Join(literals(t), placeholder)); err == nil && checkURL(u) == nil {
			g.mu.Lock()
			g.own[origin(u)] = true
			g.hosts[hostKey(u.Hostname())] = true
			g.mu.Unlock()
		}
	case []any:
		for _, v := range t {
			g.learn(v)
		}
	case map[string]any:
		for _, v := range t {
			g.learn(v)
		}
	}
}

// allow reads an entry of rosterd_plugin_http_allow: "https://crm.example:8443", "crm.example".
func (g *guard) allow(entry string) error {
	if !strings.Contains(entry, "://") {
		entry = strings.TrimSuffix(strings.TrimPrefix(entry, "["), "]")
		if entry == "" || strings.ContainsAny(entry, "/:@?# ") && net.ParseIP(entry) == nil {
			return fmt.Errorf("%q is neither a host name nor scheme://host:port", entry)
		}
		g.allowed[hostKey(entry)], g.hosts[hostKey(entry)] = true, true
		return nil
	}
	u, err := url.Parse(entry)
	if err != nil || checkURL(u) != nil || strings.Trim(u.Path, "/") != "" || u.User != nil || u.RawQuery != "" {
		return fmt.Errorf("%q is neither a host name nor scheme://host:port", entry)
	}
	g.allowed[origin(u)], g.hosts[hostKey(u.Hostname())] = true, true
	return nil
}

// first says whether a plugin may send a request there.
func (g *guard) first(u *url.URL) error {
	g.mu.RLock()
	defer g.mu.RUnlock()
	if o := origin(u); g.own[o] || g.allowed[o] || g.allowed[hostKey(u.Hostname())] {
		return nil
	}
	return fmt.Errorf("%w: no option of the plugin names a URL of %s://%s, nor does rosterd_plugin_http_allow", ErrRefused, u.Scheme, u.Host)
}

// trusted tells whether u is at a server that gets the backend's credentials.
func (g *guard) trusted(u *url.URL) bool {
	g.mu.RLock()
	defer g.mu.RUnlock()
	return g.own[origin(u)]
}

// redirect says whether an answer may lead from one URL to the next, and whether only to a public address: a
// server that we ask must not make us ask its neighbours in our network.
func (g *guard) redirect(from, to *url.URL) (public bool, err error) {
	switch {
	case checkURL(to) != nil:
		return false, fmt.Errorf("redirect to %s, which is no HTTP URL", redacted(to))
	case from.Scheme == "https" && to.Scheme == "http":
		return false, fmt.Errorf("%w: redirect from https to %s", ErrRefused, redacted(to))
	}
	g.mu.RLock()
	defer g.mu.RUnlock()
	return !g.neighbour(to), nil
}

// neighbour tells whether a redirect may lead to u whatever its address: to a server that is allowed, or to the usual
// ports of its machine. What else listens there was not meant.
func (g *guard) neighbour(u *url.URL) bool {
	o := origin(u)
	switch {
	case g.own[o], g.allowed[o], g.allowed[hostKey(u.Hostname())]:
		return true
	}
	port := u.Port()
	return g.hosts[hostKey(u.Hostname())] && (g.ports || port == "" || port == "80" || port == "443")
}

type publicOnly struct{}

// control looks at the address itself, after DNS, so that no name can lead around it.
func control(ctx context.Context, _, address string, _ syscall.RawConn) error {
	if ctx.Value(publicOnly{}) == nil {
		return nil
	}
	ap, err := netip.ParseAddrPort(address)
	if err != nil {
		return fmt.Errorf("%w: address %s", ErrRefused, address)
	}
	if !public(ap.Addr()) {
		return fmt.Errorf("%w: a redirect leads to %s, which is no public address; rosterd_plugin_http_allow may name its host", ErrRefused, address)
	}
	return nil
}

var shared = netip.MustParsePrefix("100.64.0.0/10") // RFC 6598: inside providers' networks

func public(a netip.Addr) bool {
	a = a.Unmap()
	return a.IsGlobalUnicast() && !a.IsPrivate() && !shared.Contains(a)
}

// redacted is u as logs may show it.
func redacted(u *url.URL) string {
	c := *u
	c.User = nil
	return c.String()
}
