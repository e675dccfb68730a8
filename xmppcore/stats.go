package xmppcore

import (
	"cmp"
	"sync"
	"sync/atomic"

	"rosterd/xmppcore/admission"
	"rosterd/xmppcore/registry"
	"rosterd/xmppcore/scan"
	"rosterd/xmppcore/session"
	"rosterd/xmppcore/stanza"
	"rosterd/xmppcore/stream"
)

// Stats are what an operator wants to see of a server.
type Stats struct {
	Sessions map[Kind]int // bound resources
	Outboxes int          // bytes that wait for clients

	// Since the start:
	Stanzas              map[string]int64 // of clients, by "message", "presence" and "iq"
	Pushes               int64            // roster pushes, one for each resource
	Ended                map[string]int64 // sessions, by the condition of the stream error; "" without
	LoggedIn, Failed     int64            // SASL exchanges
	Admission            admission.Counts // of those who log in
	Refused, Cut         int64            // connections while too many were not authenticated: told so, and not even told
	Left                 int64            // clients that had left before the server began with them
	SoftLimit, HardLimit int64            // how often an outbox has reached them
	Held, Superseded     int64            // presence that came in crowds: written together, and not written for what came after it
	Resumed, NotResumed  int64            // requests to resume a session (XEP-0198)
	Expired              int64            // sessions that have waited for that until their time was over

	Components         map[string]bool // by domain: whether its program is connected
	Unsent, Unaccepted int64           // since the start, stanzas: for components that were not connected; of components, which must not send them
}

// Kind sorts sessions.
type Kind struct {
	Host      string
	Transport string // stream.Named's; "" for what has no name; "hibernating" for a session that waits for a stream
}

// Stats looks at all sessions.
func (s *Server) Stats() Stats {
	c, n := &s.counts, s.negotiator.Counts()
	stats := Stats{
		Sessions: make(map[Kind]int), Stanzas: make(map[string]int64), Ended: c.endings(), Pushes: c.pushes.Load(),
		Admission: s.Desk().Counts(),
		LoggedIn:  n.LoggedIn.Load(), Failed: n.Failed.Load(), Refused: n.Refused.Load(), Cut: n.Cut.Load(), Left: n.Left.Load(),
		SoftLimit: c.outboxes.Soft.Load(), HardLimit: c.outboxes.Hard.Load(),
		Held: c.outboxes.Held.Load(), Superseded: c.outboxes.Superseded.Load(),
		Resumed: c.resumed.Load(), NotResumed: c.notResumed.Load(), Expired: c.expired.Load(),
		Components: s.components.States(), Unsent: s.router.Unsent.Load(), Unaccepted: s.components.Refused.Load(),
	}
	for _, k := range []stanza.Kind{stanza.Message, stanza.Presence, stanza.IQ} {
		stats.Stanzas[k.String()] = c.stanzas[k].Load()
	}
	for res := range s.registry.All() {
		stats.Sessions[Kind{res.Full.Domain(), transport(res)}]++
		stats.Outboxes += res.Queued()
	}
	return stats
}

func transport(res *registry.Resource) string {
	if _, ok := res.Hibernates(); ok {
		return "hibernating"
	}
	return nameOf(res.Transport())
}

func nameOf(t stream.Transport) string {
	if t, ok := t.(*tapped); ok {
		return nameOf(t.Transport)
	}
	if n, ok := t.(stream.Named); ok {
		return n.Name()
	}
	return ""
}

// counts are those that nobody below keeps.
type counts struct {
	stanzas  [stanza.IQ + 1]atomic.Int64
	pushes   atomic.Int64
	outboxes session.Counts

	resumed, notResumed, expired atomic.Int64

	mu    sync.Mutex // guards ended
	ended map[string]int64
}

func (c *counts) stanza(st *scan.Stanza) { c.stanzas[stanza.KindOf(st)].Add(1) }

// push counts what n changes mean for an account's resources; in its turn.
func (c *counts) push(a *registry.Account, n int) {
	for _, res := range a.Resources() {
		if res.Interested {
			c.pushes.Add(int64(n))
		}
	}
}

func (c *counts) end(why *stanza.StreamError) {
	var condition string
	if why != nil {
		condition = string(cmp.Or(why.Condition, stanza.StreamUndefinedCondition))
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended == nil {
		c.ended = make(map[string]int64)
	}
	c.ended[condition]++
}

func (c *counts) endings() map[string]int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	all := make(map[string]int64, len(c.ended))
	for condition, n := range c.ended {
		all[condition] = n
	}
	return all
}
