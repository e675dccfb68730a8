package httpd

import (
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// unproxied returns r as its client sent it: RemoteAddr is the client's address, with port 0 where only a proxy
// knows it, and URL.Scheme is "https" or "http", what the client spoke. A proxy that is trusted says both in
// X-Forwarded-For and X-Forwarded-Proto; nobody else is asked. r must be a copy that may be changed.
func (s *Server) unproxied(r *http.Request) *http.Request {
	url := *r.URL
	r.URL = &url
	url.Scheme = "http"
	if r.TLS != nil {
		url.Scheme = "https"
	}
	peer, ok := peerAddr(r)
	if !ok || !s.peers.Load().trusts(peer) {
		return r
	}
	if client := s.peers.Load().client(peer, r.Header.Values("X-Forwarded-For")); client != peer {
		r.RemoteAddr = netip.AddrPortFrom(client, 0).String()
	}
	if scheme := forwardedScheme(r.Header.Values("X-Forwarded-Proto")); scheme != "" {
		url.Scheme = scheme
	}
	return r
}

// peers are the neighbours that are more than clients.
type peers struct {
	trusted []netip.Prefix // proxies
	metrics []netip.Prefix // who may read /metrics
}

func (p *peers) trusts(a netip.Addr) bool { return within(p.trusted, a) }

// client walks back the way of a request, from the peer to the first address that is no proxy of ours: that one is
// vouched for, and what stands before it anybody may have written. If there is none, it is the farthest.
func (p *peers) client(peer netip.Addr, forwardedFor []string) netip.Addr {
	client := peer
	for _, field := range slices.Backward(forwardedFor) {
		for field != "" {
			var element string
			if i := strings.LastIndexByte(field, ','); i >= 0 {
				field, element = field[:i], field[i+1:]
			} else {
				field, element = "", field
			}
			element = strings.Trim(element, " \t")
			if element == "" { // RFC 9110 §5.6.1.2
				continue
			}
			a, ok := forwardedAddr(element)
			if !ok { // "unknown", say: the way is lost here
				return client
			}
			client = a
			if !p.trusts(a) {
				return client
			}
		}
	}
	return client
}

// forwardedAddr reads an element of X-Forwarded-For, which has no specification: an address, an IPv6 one perhaps in
// brackets, perhaps with a port.
func forwardedAddr(s string) (netip.Addr, bool) {
	if a, err := netip.ParseAddr(s); err == nil {
		return plain(a), true
	}
	if ap, err := netip.ParseAddrPort(s); err == nil {
		return plain(ap.Addr()), true
	}
	if inner, ok := strings.CutPrefix(s, "["); ok {
		if inner, ok = strings.CutSuffix(inner, "]"); ok {
			if a, err := netip.ParseAddr(inner); err == nil && a.Is6() {
				return plain(a), true
			}
		}
	}
	return netip.Addr{}, false
}

// forwardedScheme is what the client spoke, by what the proxies on the way said of it, each of its own side; "" if
// they said nothing. One that heard anything but TLS is enough for "http": somebody could listen there.
func forwardedScheme(said []string) (scheme string) {
	for _, field := range said {
		for element := range strings.SplitSeq(field, ",") {
			switch strings.ToLower(strings.Trim(element, " \t")) {
			case "": // RFC 9110 §5.6.1.2
			case "https", "wss":
				scheme = "https"
			default:
				return "http"
			}
		}
	}
	return scheme
}

// peerAddr is the address of who made the request; without one, of a unix socket say, nobody knows.
func peerAddr(r *http.Request) (netip.Addr, bool) {
	ap, err := netip.ParseAddrPort(r.RemoteAddr)
	return plain(ap.Addr()), err == nil
}

// plain makes addresses comparable with networks: IPv4 as such, without an interface.
func plain(a netip.Addr) netip.Addr { return a.Unmap().WithZone("") }

func within(nets []netip.Prefix, a netip.Addr) bool {
	return slices.ContainsFunc(nets, func(p netip.Prefix) bool { return p.Contains(a) })
}
