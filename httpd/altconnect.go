package httpd

import (
	"encoding/json"
	"fmt"
	"html"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
)

// AltConnect is where else clients reach a VirtualHost, for its host-meta documents (XEP-0156, RFC 6415): whole URLs, ""
// for what is not there.
type AltConnect struct {
	WebSocket string // wss://…
	BOSH      string // https://…
}

// link is a Link of a host-meta document.
type link struct {
	Rel  string `json:"rel"`
	Href string `json:"href"`
}

// links are in the order of preference: a WebSocket costs less.
func (a AltConnect) links() ([]link, error) {
	list := make([]link, 0, 2)
	for _, l := range []link{{"urn:xmpp:alt-connections:websocket", a.WebSocket}, {"urn:xmpp:alt-connections:xbosh", a.BOSH}} {
		if l.Href == "" {
			continue
		}
		u, err := url.Parse(l.Href)
		if err != nil || u.Host == "" {
			return nil, fmt.Errorf("%s: %q is no whole URL", l.Rel, l.Href)
		}
		l.Href = u.String() // all ASCII, without anything that XML could not hold
		list = append(list, l)
	}
	return list, nil
}

// hostMeta holds both documents of a VirtualHost (RFC 6415 §2, appendix A).
type hostMeta struct {
	xrd, json []byte
}

// newHostMeta is nil for a host that is reached nowhere else.
func newHostMeta(a AltConnect) (*hostMeta, error) {
	links, err := a.links()
	if err != nil || len(links) == 0 {
		return nil, err
	}
	xrd := []byte("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<XRD xmlns=\"http://docs.oasis-open.org/ns/xri/xrd-1.0\">\n")
	for _, l := range links {
		xrd = fmt.Appendf(xrd, "  <Link rel=\"%s\" href=\"%s\"/>\n", l.Rel, html.EscapeString(l.Href))
	}
	jrd, err := json.Marshal(map[string][]link{"links": links})
	return &hostMeta{xrd: append(xrd, "</XRD>\n"...), json: jrd}, err
}

const hostMetaPath = "/.well-known/host-meta"

// hostMetaOf is what a request for one of the two documents gets, nil for all other requests.
func (t *table) hostMetaOf(r *http.Request) *hostMeta {
	if t == nil || r.URL.Path != hostMetaPath && r.URL.Path != hostMetaPath+".json" {
		return nil
	}
	key := hostKey(r.Host)
	if meta := t.meta[key]; meta != nil || t.sites[key] != nil || t.fallback == nil {
		return meta
	}
	return t.meta[hostKey(t.fallback.name)]
}

// setMeta makes the documents of all hosts. They belong to the VirtualHost's own name, where clients look for them;
// an http_host has them as well if it is that of one VirtualHost only.
func (t *table) setMeta(hosts []Host) error {
	t.meta = make(map[string]*hostMeta)
	own := make(map[string]bool)
	for _, h := range hosts {
		meta, err := newHostMeta(h.AltConnect)
		if err != nil {
			return fmt.Errorf("host-meta of VirtualHost %q: %w", h.Name, err)
		}
		own[hostKey(h.Name)] = true
		t.meta[hostKey(h.Name)] = meta
	}
	sharing := make(map[string]int)
	for _, h := range hosts {
		sharing[hostKey(or(h.HTTPHost, h.Name))]++
	}
	for _, h := range hosts {
		if key := hostKey(or(h.HTTPHost, h.Name)); !own[key] && sharing[key] == 1 {
			t.meta[key] = t.meta[hostKey(h.Name)]
		}
	}
	return nil
}

// serve answers anybody's page: the addresses are public (XEP-0156 §3, RFC 6415 §5).
func (m *hostMeta) serve(s *Server, w http.ResponseWriter, r *http.Request) {
	routed(w, "host-meta")
	anybody := CORS{Enabled: true, Origins: []string{"*"}}
	anybody.guard(s, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Access-Control-Allow-Origin", "*")
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			w.Header().Set("Allow", "GET, HEAD, OPTIONS")
			s.methodNotAllowed(w, r)
			return
		}
		if strings.HasSuffix(r.URL.Path, ".json") {
			s.write(w, r, http.StatusOK, m.json)
			return
		}
		s.writeAs(w, r, "application/xrd+xml", http.StatusOK, m.xrd)
	})).ServeHTTP(w, r)
}

// ExternalURL is the URL of a path of the HTTP server, as clients outside reach it: below base, the http_external_url
// option, if there is one; else at host and one of our own ports, HTTPS (0 if it is not served) before HTTP. path
// is as http_paths has it, vhost what $host stands for. socket makes it ws or wss instead of http or https.
func ExternalURL(base, host string, httpsPort, httpPort int, path, vhost string, socket bool) (string, error) {
	u := &url.URL{Scheme: "https", Host: withPort(host, httpsPort, 443)}
	if httpsPort == 0 {
		u = &url.URL{Scheme: "http", Host: withPort(host, httpPort, 80)}
	}
	if base != "" {
		var err error
		if u, err = url.Parse(base); err != nil {
			return "", fmt.Errorf("http_external_url: %w", err)
		}
		if u.Scheme != "https" && u.Scheme != "http" || u.Host == "" {
			return "", fmt.Errorf("http_external_url %q is no http or https URL", base)
		}
		u = &url.URL{Scheme: u.Scheme, Host: u.Host, Path: strings.TrimSuffix(u.Path, "/")}
	}
	u.Path += or(basePath(path, vhost), "/")
	if socket {
		u.Scheme = strings.Replace(u.Scheme, "http", "ws", 1)
	}
	return u.String(), nil
}

func withPort(host string, port, usual int) string {
	host = hostKey(host) // A-labels: what every client can look up
	if a, err := netip.ParseAddr(host); err == nil && a.Is6() {
		host = "[" + host + "]"
	}
	if port == usual {
		return host
	}
	return fmt.Sprintf("%s:%d", host, port)
}
