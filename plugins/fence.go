package plugins

import (
	"errors"
	"maps"
	"net/url"
	"slices"
)

// Fenced is what the services of a Manager also tell: which servers a plugin may ask. It changes while the plugin
// reads its options.
type Fenced interface {
	// Servers lists them, as "https://crm.example:443", or as a host name where any port of it may be asked.
	Servers() []string
	// Allows says why a request may not go to a URL; nil if it may.
	Allows(rawURL string) error
}

var _ Fenced = (*services)(nil)

func (s *services) Servers() []string { return s.client.guard.servers() }

func (s *services) Allows(rawURL string) error {
	u, err := url.Parse(rawURL)
	if err != nil {
		return errors.New("not a URL: " + urlReason(err))
	}
	if err := checkURL(u); err != nil {
		return err
	}
	return s.client.guard.first(u)
}

func (g *guard) servers() []string {
	g.mu.RLock()
	defer g.mu.RUnlock()
	list := slices.AppendSeq(slices.Collect(maps.Keys(g.own)), maps.Keys(g.allowed))
	slices.Sort(list)
	return slices.Compact(list)
}
