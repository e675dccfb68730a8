package push

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"

	"rosterd/engine/addr"
)

// caller is who makes a call: what he has shown, before it is known for which host it is.
type caller struct {
	token string    // "" if he brings none
	admin addr.Bare // whose password he has; zero: nobody's
	from  netip.Addr
	plain bool // nothing about the request says that a web page makes it, or a proxy passes it on
}

// Why a caller is nobody.
var (
	errNobody  = errors.New("a user and the password are needed, or a token")
	errUnknown = errors.New("the password could not be checked")
	errPage    = errors.New("not for web pages")
)

// caller looks at what a request brings. Names without a domain are of the host home, which may be "".
func (a *API) caller(r *http.Request, home string) (c caller, err error) {
	if host, _, err := net.SplitHostPort(r.RemoteAddr); err == nil {
		c.from, _ = netip.ParseAddr(host)
		c.from = c.from.Unmap().WithZone("")
	}
	c.plain = a.plain(r)
	header := r.Header.Get("Authorization")
	scheme, value, _ := strings.Cut(header, " ")
	switch {
	case header == "":
		return c, nil
	case strings.EqualFold(scheme, "Bearer"):
		c.token = strings.Trim(value, " ")
	case strings.EqualFold(scheme, "Basic"):
		c.admin, err = a.login(r, value, home, c.from)
	case home == "":
		return c, errNobody
	default:
		c.token = header // Openfire's shared secret
	}
	return c, err
}

// login is HTTP's Basic authentication (RFC 7617) with a user's JID.
func (a *API) login(r *http.Request, value, home string, from netip.Addr) (addr.Bare, error) {
	if crossOrigin(r) { // a browser remembers passwords
		return addr.Bare{}, errPage
	}
	text, err := base64.StdEncoding.DecodeString(strings.Trim(value, " "))
	name, password, ok := strings.Cut(string(text), ":")
	if err != nil || !ok || name == "" || password == "" {
		return addr.Bare{}, errNobody
	}
	if !strings.Contains(name, "@") && home != "" {
		name += "@" + home
	}
	user, err := addr.ParseBare(name)
	if err != nil || user.Local() == "" {
		return addr.Bare{}, errNobody
	}
	switch err := a.Password(r.Context(), user, password, from); {
	case errors.Is(err, ErrRefused):
		return addr.Bare{}, errNobody
	case err != nil:
		return addr.Bare{}, errUnknown // who knows why has said so
	}
	return user, nil
}

// may tells whether the caller changes rosters of a host.
func (h *Host) may(c caller) bool {
	switch {
	case c.token != "":
		return h.Token != "" && equal(c.token, h.Token)
	case !c.admin.IsZero():
		return slices.Contains(h.Admins, c.admin)
	}
	return c.plain && c.from.IsValid() && slices.ContainsFunc(h.Allow, func(p netip.Prefix) bool { return p.Contains(c.from) })
}

// equal takes as long for any two strings of their lengths.
func equal(a, b string) bool {
	x, y := sha256.Sum256([]byte(a)), sha256.Sum256([]byte(b))
	return subtle.ConstantTimeCompare(x[:], y[:]) == 1
}

// protection tells requests that some other site's page made a browser send.
var protection = http.NewCrossOriginProtection()

func crossOrigin(r *http.Request) bool {
	asPost := *r // it would let any GET pass
	asPost.Method = http.MethodPost
	return protection.Check(&asPost) != nil
}

// plain tells whether a request that shows nothing may be taken for that of an application on a machine that is
// trusted: a browser there sends requests for any page that is open in it, also to us, whatever name a stranger has made
// lead here (DNS rebinding).
func (a *API) plain(r *http.Request) bool {
	if r.Header.Get("Origin") != "" || crossOrigin(r) || passedOn(r) {
		return false
	}
	host := strings.ToLower(strings.TrimSuffix(r.Host, "."))
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	_, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return err == nil || !strings.Contains(host, ".") || strings.HasSuffix(host, ".localhost") || a.called(host)
}

// called tells whether one of the hosts has a name.
func (a *API) called(name string) bool {
	for _, h := range a.Hosts {
		if strings.EqualFold(h.Web, name) || h.Name == name {
			return true
		}
	}
	return false
}

// passedOn tells requests that a proxy says it has passed on: the address that they come from is the proxy's.
func passedOn(r *http.Request) bool {
	return slices.ContainsFunc([]string{"Forwarded", "Via", "X-Forwarded-For", "X-Real-Ip"}, func(name string) bool { return len(r.Header[name]) > 0 })
}
