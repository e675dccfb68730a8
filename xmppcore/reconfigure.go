package xmppcore

import (
	"cmp"

	"rosterd/xmppcore/block"
	"rosterd/xmppcore/pep"
	"rosterd/xmppcore/router"
	"rosterd/xmppcore/session"
	"rosterd/xmppcore/stanza"
	"rosterd/xmppcore/stream"
	"rosterd/xmppcore/xep"
)

// serving is what a Server serves at a time. It does not change: another one takes its place.
type serving struct {
	hosts  map[string]*host // by prepared domain
	outbox *session.Limits
}

// host is a Host as those see it who use it.
type host struct {
	*Host
	stream *stream.Host
	pep    *pep.Host // nil: its users publish nothing
	router *router.Host
	blocks *block.Lists      // nil: its users cannot block anybody
	last   *xep.LastActivity // nil: nobody may ask when its users were last seen
}

// nobody is the host of domains that are not served.
var nobody = new(host)

func (s *Server) newServing(c Config) *serving {
	c.Outbox.Counts = &s.counts.outboxes
	v := &serving{hosts: make(map[string]*host, len(c.Hosts)), outbox: session.NewLimits(c.Outbox)}
	for i := range c.Hosts {
		h := &c.Hosts[i]
		h.MaxSessions = cmp.Or(h.MaxSessions, 20)
		s.welcoming(h)
		v.hosts[h.Domain] = s.newHost(h)
	}
	return v
}

func (s *Server) newHost(h *Host) *host {
	v := &host{Host: h, stream: h.streamHost(), blocks: s.lists(h), last: s.lastActivity(h)}
	more, events := s.personal(h)
	v.pep = events
	if v.blocks != nil {
		more = append(more, s.blocking(v.blocks))
	}
	more = append(more, s.greetings(h)...)
	more = append(more, s.details(v)...)
	messages, list := s.messages(h)
	v.router = h.routerHost(s.version, append(more, list...)...)
	v.router.Messages = messages
	if v.blocks != nil {
		v.router.Blocks, v.router.SilentBlocks = v.blocks, h.Blocking.Silent
	}
	return v
}

// host is what serves a prepared domain now, or nobody.
func (s *Server) host(domain string) *host {
	if h := s.serving.Load().hosts[domain]; h != nil {
		return h
	}
	return nobody
}

// Reconfigure makes the hosts, the limits and the trusted proxies those of c: for streams that begin from now on, and
// at once for what their hosts answer. The streams of hosts that are gone are closed with host-gone (RFC 6120
// §4.9.3.5), the others stay. The rest of c does not count.
func (s *Server) Reconfigure(c Config) {
	s.negotiator.Reconfigure(c.Stream, c.Trusted)
	s.serving.Store(s.newServing(c))
	s.components.Reconfigure(c.Components)
	gone := &stanza.StreamError{Condition: stanza.StreamHostGone}
	for res := range s.registry.All() {
		h := s.host(res.Full.Domain())
		if h == nobody {
			res.Close(gone)
			continue
		}
		s.reblock(res.Account, h.blocks)
	}
}
