package engine

import (
	"cmp"
	"errors"
	"maps"
	"reflect"
	"sync/atomic"
	"time"

	"rosterd/engine/addr"
)

// ErrNoHost is wrapped by what users of a host end with that is not, or no longer, served.
var ErrNoHost = errors.New("no roster provider")

// host is one VirtualHost while it is served. Its settings may be exchanged.
type host struct {
	settings atomic.Pointer[Host]
	places   places
	breaker  breaker
	removed  atomic.Bool
}

func newHost(name string, h Host) *host {
	n := &host{breaker: breaker{host: name}}
	n.set(h)
	return n
}

// conf is what holds for a call that begins now.
func (h *host) conf() *Host { return h.settings.Load() }

// set takes new settings. Another tells whether the backend is another one.
func (h *host) set(s Host) (another bool) {
	s = s.withDefaults()
	before := h.settings.Swap(&s)
	another = before != nil && !before.sameBackend(&s)
	h.places.resize(s.Parallel)
	h.breaker.set(s.Breaker, another)
	return another
}

func (h Host) withDefaults() Host {
	h.Timeout = cmp.Or(max(h.Timeout, 0), 5*time.Second)
	h.Parallel = cmp.Or(max(h.Parallel, 0), 16)
	h.Retry = cmp.Or(h.Retry, 5*time.Second)
	h.QueueTimeout = cmp.Or(max(h.QueueTimeout, 0), 10*time.Second)
	if g, ok := h.Backend.(Generational); ok && h.Generation == "" {
		h.Generation = g.Generation()
	}
	return h
}

// sameBackend goes by the generations, and where there are none by identity.
func (h *Host) sameBackend(o *Host) bool {
	if generation(h.Own) != generation(o.Own) { // a Writer changes no roster by itself
		return false
	}
	if h.Generation != "" || o.Generation != "" {
		return h.Generation == o.Generation
	}
	return reflect.ValueOf(h.Backend).Comparable() && h.Backend == o.Backend
}

// generation tells one Own from another, and from none.
func generation(o Own) string {
	switch g := o.(type) {
	case nil:
		return ""
	case Generational:
		return "own " + g.Generation()
	}
	return "own"
}

// host is nil if there is none of that name.
func (e *Engine) host(name string) *host { return (*e.hosts.Load())[name] }

// SetHosts takes another set of hosts, also while users are online. New limits hold for the calls that begin from
// then on. Where the backend is another one (Host.Generation), the rosters of those online are fetched anew, which
// nobody waits for. Users of a host that is gone keep what they have, and are not fetched again unless it comes back;
// the caller disconnects them.
func (e *Engine) SetHosts(hosts map[string]Host) {
	e.configure.Lock()
	defer e.configure.Unlock()
	before := *e.hosts.Load()
	after := make(map[string]*host, len(hosts))
	var changed []string
	for name, s := range hosts {
		h := cmp.Or(before[name], e.former[name])
		if h == nil {
			h = newHost(name, s)
		} else if another := h.set(s); h.removed.Swap(false) || another {
			changed = append(changed, name)
		}
		after[name] = h
		delete(e.former, name)
	}
	for name, h := range before {
		if after[name] == nil {
			h.removed.Store(true)
			e.former[name] = h
		}
	}
	e.hosts.Store(&after)
	for _, name := range changed {
		e.reload(after[name], e.OnlineAt(name))
	}
}

// reload fetches users anew. Nobody waits for them.
func (e *Engine) reload(h *host, users []addr.Bare) {
	r := e.newRefresh(h, len(users))
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, u := range users {
		r.want(u, ReasonReload, unnamed)
	}
}

// OnlineAt lists who is online at a host.
func (e *Engine) OnlineAt(name string) (users []addr.Bare) {
	for i := range e.shards {
		s := &e.shards[i]
		s.mu.Lock()
		for u := range maps.Keys(s.users) {
			if u.Domain() == name {
				users = append(users, u)
			}
		}
		s.mu.Unlock()
	}
	return users
}
