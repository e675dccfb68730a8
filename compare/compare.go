// Package compare logs in at two XMPP servers as the same user, asks both the same, and says where the answers differ. It
// is how somebody who moves from one server to another sees, before the move, what will not be the same after it.
//
// It speaks through a client library of other people, and knows nothing of this server but what is written in expected.go.
package compare

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"
)

// A Target is a server to log in at.
type Target struct {
	Address string // HOST:PORT
	Direct  bool   // TLS from the first byte (XEP-0368); else STARTTLS
	Refresh string // URL of the HTTP server, where POST /roster_admin/refresh is; none if empty
}

// ParseTarget reads HOST:PORT, xmpp://HOST:PORT or, for direct TLS, xmpps://HOST:PORT. The port may be left out.
func ParseTarget(s string) (Target, error) {
	t, port := Target{Address: s}, "5222"
	if scheme, rest, ok := strings.Cut(s, "://"); ok {
		switch t.Address = strings.TrimSuffix(rest, "/"); scheme {
		case "xmpp":
		case "xmpps":
			t.Direct, port = true, "5223"
		default:
			return Target{}, fmt.Errorf("server %q: %s is not xmpp or xmpps", s, scheme)
		}
	}
	host, named, err := net.SplitHostPort(t.Address)
	if err != nil {
		host, named = strings.Trim(t.Address, "[]"), port
	}
	if host == "" || named == "" || strings.ContainsAny(host, "/@? ") {
		return Target{}, fmt.Errorf("server %q is not HOST:PORT", s)
	}
	t.Address = net.JoinHostPort(host, named)
	return t, nil
}

// local tells whether a server is on this machine: there nobody is in between who could listen.
func (t Target) local() bool {
	host, _, err := net.SplitHostPort(t.Address)
	if err != nil {
		host = t.Address // without a port
	}
	ip := net.ParseIP(host)
	return (host == "localhost" || ip != nil && ip.IsLoopback())
}

// Options are who logs in, and how far to trust whom.
type Options struct {
	User     string // bare JID
	Password string
	Token    string                      // bearer token of a refresh, if there is one
	Insecure bool                        // take any certificate; those of servers on this machine are taken in any case
	Change   func(context.Context) error // changes the user's roster, before the servers are told to refresh; nil: nothing changes
	Timeout  time.Duration               // for each answer; 10 s if zero
}

// trust is how a server's certificate is looked at.
func (o Options) trust(t Target, domain string) *tls.Config {
	return &tls.Config{ServerName: domain, MinVersion: tls.VersionTLS12, InsecureSkipVerify: o.Insecure || t.local()}
}

// facts are what a server was seen to do, in words: a feature, a contact, the error of an answer.
type facts []string

// A seen is what was learned of one server, by what it was learned from.
type seen struct {
	software string
	order    []string
	by       map[string]facts
}

func (s *seen) add(probe string, f ...string) {
	if s.by == nil {
		s.by = map[string]facts{}
	}
	if _, known := s.by[probe]; !known {
		s.order = append(s.order, probe)
	}
	s.by[probe] = append(s.by[probe], f...)
}

// Compare logs in at both servers and compares them. An error means that one could not be asked: nothing is known.
func Compare(ctx context.Context, a, b Target, o Options) (Report, error) {
	if o.Timeout <= 0 {
		o.Timeout = 10 * time.Second
	}
	var peers [2]*peer
	for i, t := range []Target{a, b} {
		p, err := dial(ctx, t, o)
		if err != nil {
			return Report{}, fmt.Errorf("%s: %w", t.Address, err)
		}
		defer p.close()
		if peers[i] = p; p.refused == nil {
			if err := p.ask(ctx); err != nil {
				return Report{}, fmt.Errorf("%s: %w", t.Address, err)
			}
		}
	}
	switch refused := peers[0].refused; {
	case refused != nil && peers[1].refused != nil:
		return Report{}, fmt.Errorf("neither server lets us in: %w (%s); %w (%s)", refused, a.Address, peers[1].refused, b.Address)
	case refused == nil && peers[1].refused == nil:
		if err := refresh(ctx, peers, o); err != nil {
			return Report{}, err
		}
	}
	r := Report{Servers: [2]Server{peers[0].server(), peers[1].server()}, User: o.User}
	r.compare(&peers[0].seen, &peers[1].seen)
	return r, nil
}

// without are the facts of a that b has not, as often as they are.
func (a facts) without(b facts) (rest facts) {
	left := slices.Clone(b)
	for _, f := range a {
		if i := slices.Index(left, f); i >= 0 {
			left = slices.Delete(left, i, i+1)
			continue
		}
		rest = append(rest, f)
	}
	slices.Sort(rest)
	return rest
}
