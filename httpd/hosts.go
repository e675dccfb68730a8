package httpd

import (
	"fmt"
	"maps"
	"net/http"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"golang.org/x/net/idna"
)

// Host is what one VirtualHost serves.
type Host struct {
	Name     string   // of the VirtualHost: a prepared domain
	HTTPHost string   // http_host: the Host header it is reached by; "" means Name
	Refresh  *Refresh // nil where no backend holds the rosters
	Mounts   []Mount

	AltConnect AltConnect // what /.well-known/host-meta and host-meta.json say; they are not there if it is empty
}

// Mount puts a handler under a path of a VirtualHost.
type Mount struct {
	Name string // of the module, as http_paths has it: what answers are counted under
	// Path is as http_paths has it: "/files", also "files/"; $host stands for
	// the VirtualHost's name.
	Path string
	// Handler sees the path below Path, always with a leading slash. It may
	// move the connection's deadlines or hijack it through an
	// [http.ResponseController]. ReadTimeout holds until the request's body has
	// been read; there is no deadline for writing.
	Handler http.Handler
	// CORS lets pages of other origins use the mount: their preflights are answered, and answers carry the headers.
	CORS CORS
	// Shared is what serves all VirtualHosts alike. Where some share an http_host, the first one's stands for those
	// of all that have this Name and Path, with its CORS.
	Shared bool
	// AnyName mounts are reached under names, too, that are those of no VirtualHost, such as an address: the handler finds
	// in the request which VirtualHost is meant, and tells by itself who may do what there. Where some that are not
	// Shared have one path, none is.
	AnyName bool
}

// SetHosts replaces all that is served. defaultHost, the http_default_host
// option, names the host for requests whose Host header names none here; failing
// that, the only host with a Refresh gets them. An error names the host and the
// path that cannot be; then nothing has changed.
func (s *Server) SetHosts(hosts []Host, defaultHost string) error {
	s.setup()
	next := &table{sites: make(map[string]*site)}
	own := make(map[string]*site) // by VirtualHost
	for _, h := range hosts {
		vhost, err := s.newSite(h)
		if err != nil {
			return err
		}
		if own[hostKey(h.Name)] != nil {
			return fmt.Errorf("HTTP of VirtualHost %q: given twice", h.Name)
		}
		own[hostKey(h.Name)] = vhost
		name := hostKey(or(h.HTTPHost, h.Name))
		if next.sites[name], err = next.sites[name].with(vhost); err != nil {
			return err
		}
	}
	// A VirtualHost with an http_host of its own is found by its name as well,
	// unless that name is another one's http_host.
	for name, vhost := range own {
		if next.sites[name] == nil {
			next.sites[name] = vhost
		}
	}
	next.anywhere = anywhere(own)
	if err := next.setMeta(hosts); err != nil {
		return err
	}
	next.fallback, next.anyName = s.fallback(hosts, own, next.sites, defaultHost)
	s.table.Store(next)
	return nil
}

// anywhere is what is reached by names of nobody's.
func anywhere(own map[string]*site) *site {
	all := new(site)
	taken := make(map[string]bool)
	for _, name := range slices.Sorted(maps.Keys(own)) {
		for _, m := range own[name].mounts {
			if !m.anyName {
				continue
			}
			at := slices.IndexFunc(all.mounts, func(o mount) bool { return o.prefix == m.prefix })
			switch {
			case at < 0 && !taken[m.prefix]:
				all.mounts = append(all.mounts, m)
			case at >= 0 && !(m.shared && all.mounts[at].shared && m.route == all.mounts[at].route):
				all.mounts = slices.Delete(all.mounts, at, at+1)
				taken[m.prefix] = true
			}
		}
	}
	all.sort()
	return all
}

func (s *Server) fallback(hosts []Host, own, sites map[string]*site, defaultHost string) (fallback *site, anyName bool) {
	if defaultHost != "" {
		if site := sites[hostKey(defaultHost)]; site != nil {
			return site, true
		}
		s.log().Warn("http_default_host names no VirtualHost that is served here", "http_default_host", defaultHost)
	}
	var only *site
	for _, h := range hosts {
		if h.Refresh == nil {
			continue
		}
		if only != nil {
			return nil, false
		}
		only = own[hostKey(h.Name)]
	}
	return only, false
}

// table says who answers to which name. It does not change once it is stored.
type table struct {
	sites    map[string]*site     // by hostKey
	fallback *site                // may be nil
	anyName  bool                 // the configuration names it: it is meant for all names
	anywhere *site                // under all names that are not in sites
	meta     map[string]*hostMeta // by hostKey; nil where there is none
}

// site returns what is served to requests with that Host header, nil if nothing.
func (t *table) site(host string) *site {
	if t == nil {
		return nil
	}
	if site := t.sites[hostKey(host)]; site != nil {
		return site
	}
	return t.fallback
}

// site is what one HTTP host name serves: as a rule one VirtualHost, several
// where they share an http_host and differ by $host in their paths.
type site struct {
	name         string
	mounts       []mount // longest prefix first
	certificates bool    // clients may have to show one
}

type mount struct {
	prefix  string // "" or "/path", without a slash at its end
	owner   string // the VirtualHost
	route   string // the module
	shared  bool   // it does as well as another one of that module
	anyName bool
	handler http.Handler
}

func (s *Server) newSite(h Host) (*site, error) {
	site := &site{name: h.Name}
	if h.Refresh != nil {
		path := or(h.Refresh.Path, "/roster_admin")
		site.certificates = h.Refresh.ClientCAs != nil
		api := newRefreshAPI(s, h.Name, basePath(path, h.Name), *h.Refresh)
		if err := site.add(mount{owner: h.Name, route: "roster_admin", handler: api}, path); err != nil {
			return nil, err
		}
	}
	for _, m := range h.Mounts {
		if err := site.add(mount{owner: h.Name, route: m.Name, shared: m.Shared, anyName: m.AnyName, handler: m.CORS.guard(s, m.Handler)}, m.Path); err != nil {
			return nil, err
		}
	}
	return site, nil
}

func (t *site) add(m mount, path string) error {
	m.prefix = basePath(path, m.owner)
	if slices.Contains(ownPaths, m.prefix) {
		return fmt.Errorf("HTTP path %s of VirtualHost %q: taken by the server itself", m.prefix, m.owner)
	}
	for _, other := range t.mounts {
		switch {
		case m.prefix != other.prefix:
		case m.shared && other.shared && m.route == other.route:
			return nil
		default:
			return fmt.Errorf("HTTP path %s of VirtualHost %q: taken by VirtualHost %q under the same HTTP host name", or(m.prefix, "/"), m.owner, other.owner)
		}
	}
	t.mounts = append(t.mounts, m)
	t.sort()
	return nil
}

func (t *site) sort() {
	slices.SortFunc(t.mounts, func(a, b mount) int { return len(b.prefix) - len(a.prefix) })
}

// with returns a site that serves what t, which may be nil, and other serve.
func (t *site) with(other *site) (*site, error) {
	if t == nil {
		return other, nil
	}
	both := &site{name: t.name, mounts: slices.Clone(t.mounts), certificates: t.certificates || other.certificates}
	for _, m := range other.mounts {
		if err := both.add(m, or(m.prefix, "/")); err != nil {
			return nil, err
		}
	}
	return both, nil
}

// find returns the mount that path is under, and what of path is below it.
func (t *site) find(path string) (m *mount, rest string) {
	for i := range t.mounts {
		rest, ok := strings.CutPrefix(path, t.mounts[i].prefix)
		if ok && (rest == "" || rest[0] == '/') {
			return &t.mounts[i], or(rest, "/")
		}
	}
	return nil, ""
}

// find returns the mount that a request is for, and what of its path is below it; nil with why there is none.
func (t *table) find(r *http.Request) (m *mount, rest, why string) {
	site := t.site(r.Host)
	if site != nil {
		m, rest = site.find(r.URL.Path)
	}
	if t != nil && t.sites[hostKey(r.Host)] == nil {
		if any, below := t.anywhere.find(r.URL.Path); any != nil && (m == nil || len(any.prefix) > len(m.prefix)) {
			return any, below, ""
		}
	}
	switch {
	case m != nil:
		return m, rest, ""
	case site == nil:
		return nil, "", fmt.Sprintf("no VirtualHost is served as %q here", r.Host)
	}
	return nil, "", fmt.Sprintf("nothing is served at %s on %s", r.URL.Path, site.name)
}

// below returns r as a handler mounted at prefix sees it.
func below(r *http.Request, prefix, rest string) *http.Request {
	r2 := *r
	r2.URL = new(url.URL)
	*r2.URL = *r.URL
	r2.URL.Path = rest
	// Empty where the client escaped parts of the prefix; then EscapedPath
	// makes one from Path.
	r2.URL.RawPath, _ = strings.CutPrefix(r.URL.RawPath, prefix)
	if r2.URL.RawPath == r.URL.RawPath && prefix != "" {
		r2.URL.RawPath = ""
	}
	return &r2
}

var pathVariable = regexp.MustCompile(`\$[0-9A-Za-z]+`)

// basePath reads a path as Prosody's mod_http does: a slash before, none at the
// end, and $host replaced; other variables stay as they are.
func basePath(path, host string) string {
	path = strings.TrimSuffix(path, "/")
	if path != "" && path[0] != '/' {
		path = "/" + path
	}
	return pathVariable.ReplaceAllStringFunc(path, func(name string) string {
		if name == "$host" {
			return host
		}
		return name
	})
}

// hostKey makes Host headers and configured names comparable: without the port
// (RFC 9110 §7.2), case, the root's dot, and with IDNs as A-labels (RFC 5890
// §2.3.2.1), which is how clients send them.
func hostKey(host string) string {
	if inner, ok := strings.CutPrefix(host, "["); ok {
		inner, rest, closed := strings.Cut(inner, "]")
		if closed && (rest == "" || rest[0] == ':') {
			host = inner
		}
	} else if strings.Count(host, ":") == 1 {
		host, _, _ = strings.Cut(host, ":")
	}
	if ip, err := netip.ParseAddr(host); err == nil {
		return ip.WithZone("").Unmap().String()
	}
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	if ascii, err := idna.Lookup.ToASCII(host); err == nil {
		return ascii
	}
	return host
}
