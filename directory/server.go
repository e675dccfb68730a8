package directory

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strings"
)

// Server is where one is reached.
type Server struct {
	Network, Address string // "tcp" or "unix", as net.Dial takes them
	Name             string // that its certificate has to have
	TLS              bool   // from the beginning (ldaps)
}

func (s Server) String() string {
	switch {
	case s.Network == "unix":
		return "ldapi://" + url.PathEscape(s.Address)
	case s.TLS:
		return "ldaps://" + s.Address
	}
	return "ldap://" + s.Address
}

// ParseServers reads what OpenLDAP's library takes for a host: names, each with a port or without, or URLs such as
// ldap://host:389, ldaps://host or ldapi://%2Frun%2Fslapd%2Fldapi, with spaces or commas in between.
func ParseServers(list string) (servers []Server, err error) {
	for _, word := range strings.FieldsFunc(list, func(c rune) bool { return c == ' ' || c == ',' || c == '\t' || c == '\n' }) {
		s, err := parseServer(word)
		if err != nil {
			return nil, fmt.Errorf("%q: %w", word, err)
		}
		servers = append(servers, s)
	}
	if len(servers) == 0 {
		return nil, errors.New("no server is named")
	}
	return servers, nil
}

func parseServer(word string) (s Server, err error) {
	scheme, rest, ok := strings.Cut(word, "://")
	if !ok {
		scheme, rest = "ldap", word
	}
	rest, more, _ := strings.Cut(rest, "/")
	switch {
	case strings.Trim(more, "/") != "":
		return s, errors.New("nothing but a server is taken here")
	case strings.EqualFold(scheme, "ldapi"):
		path, err := url.PathUnescape(rest)
		if err != nil || path == "" {
			return s, errors.New("ldapi takes the path of a socket, with %2F for its slashes")
		}
		return Server{Network: "unix", Address: path, Name: "localhost"}, nil
	case strings.EqualFold(scheme, "ldaps"):
		s.TLS = true
	case !strings.EqualFold(scheme, "ldap"):
		return s, errors.New("ldap, ldaps and ldapi are")
	}
	u, err := url.Parse("ldap://" + rest)
	if err != nil || u.User != nil || u.RawQuery != "" || u.Fragment != "" || strings.Contains(rest, "%") {
		return s, errors.New("it is no name of a server with a port")
	}
	s.Network, s.Name = "tcp", u.Hostname()
	if _, err := netip.ParseAddr(s.Name); err != nil && strings.ContainsAny(s.Name, ":[]") {
		return s, errors.New("it is no name of a server with a port")
	}
	port := u.Port()
	if port == "" && s.TLS {
		port = "636"
	} else if port == "" {
		port = "389"
	}
	if s.Name == "" {
		s.Name = "localhost"
	}
	s.Address = net.JoinHostPort(s.Name, port)
	return s, nil
}
