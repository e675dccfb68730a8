// Package caps knows what clients can do (XEP-0115): their presence carries a hash of it, the first client with a hash
// is asked what it stands for, and an answer that is what the hash says is remembered for all others.
package caps

import (
	"container/list"
	"slices"
	"sync"

	"rosterd/xmppcore/registry"
	"rosterd/xmppcore/scan"
	"rosterd/xmppcore/stanza"
)

const (
	nsCaps = "http://jabber.org/protocol/caps"
	nsInfo = "http://jabber.org/protocol/disco#info"
)

// Limits of what is remembered: clients may invent hashes.
const (
	maxEntries = 10_000
	maxBytes   = 4 << 20
)

// Cache is what hashes stand for. The zero value with Ask and Learned is ready.
type Cache struct {
	// Ask sends a request to a client, as router.Router.Ask does.
	Ask func(res *registry.Resource, payload []byte, answered func(*scan.Stanza)) bool

	// Learned is told that an available resource wants the events of nodes of which that was not known before. It must
	// not wait. It may be called in the turn of the resource's account.
	Learned func(res *registry.Resource, nodes []string)

	mu     sync.Mutex // guards the fields below
	byHash map[string]*list.Element
	recent list.List // of *entry, the one used last in front
	bytes  int
}

type entry struct {
	hash string
	caps *registry.Capabilities
}

// Shown looks at an available presence that a resource has broadcast; in the turn of its account. Presence without
// capabilities changes nothing, unless it is the initial one (XEP-0115 §8.4).
func (c *Cache) Shown(res *registry.Resource, st *scan.Stanza, initial bool) {
	e, ok := st.Find(nsCaps, "c")
	if !ok && !initial {
		return
	}
	said := ""
	var hash, node, ver string
	if ok {
		hash, _ = e.Attr("hash")
		node, _ = e.Attr("node")
		ver, _ = e.Attr("ver")
		said = hash + " " + node + "#" + ver
	}
	if said == res.CapsVer && !initial {
		return
	}
	old := res.Caps
	if initial {
		old = nil // it has missed what there was
	}
	known := c.find(hash + " " + ver)
	switch {
	case ver == "":
		c.set(res, said, nil)
	case known != nil:
		c.set(res, said, known)
		c.learned(res, old)
	case said == res.CapsVer && res.Caps != nil: // what it has answered for itself
		c.learned(res, old)
	default: // until it answers, it can do what it could
		c.set(res, said, old)
		c.ask(res, said, hash, node, ver)
	}
}

// set notes, in the turn, what a client says, and what is known of it.
func (c *Cache) set(res *registry.Resource, said string, caps *registry.Capabilities) {
	res.Account.Lock()
	defer res.Account.Unlock()
	res.CapsVer, res.Caps = said, caps
}

// ask asks the client what its hash stands for (XEP-0115 §6.2).
func (c *Cache) ask(res *registry.Resource, said, hash, node, ver string) {
	b := stanza.AppendAttr([]byte("<query xmlns='"+nsInfo+"'"), "node", node+"#"+ver)
	c.Ask(res, append(b, '/', '>'), func(st *scan.Stanza) {
		q, ok := st.Find(nsInfo, "query")
		if typ, _ := st.Attr("type"); !ok || typ != stanza.TypeResult {
			return
		}
		info := read(q)
		caps := info.capabilities()
		if info.ver(hash) == ver {
			caps = c.keep(hash+" "+ver, caps)
		}
		// Of one that lies, or has a hash that we cannot compute, the answer counts for itself alone (XEP-0115 §5.4).
		if old, ok := c.answer(res, said, caps); ok {
			c.learned(res, old)
		}
	})
}

// answer notes what a client can do, unless it has said something else in the meantime.
func (c *Cache) answer(res *registry.Resource, said string, caps *registry.Capabilities) (old *registry.Capabilities, ok bool) {
	res.Account.Lock()
	defer res.Account.Unlock()
	if !res.Available || res.CapsVer != said {
		return nil, false
	}
	old, res.Caps = res.Caps, caps
	return old, true
}

func (c *Cache) learned(res *registry.Resource, old *registry.Capabilities) {
	fresh := res.Caps.Notify
	if old != nil {
		fresh = slices.DeleteFunc(slices.Clone(fresh), old.Wants)
	}
	if len(fresh) > 0 {
		c.Learned(res, fresh)
	}
}

func (c *Cache) find(hash string) *registry.Capabilities {
	c.mu.Lock()
	defer c.mu.Unlock()
	e := c.byHash[hash]
	if e == nil {
		return nil
	}
	c.recent.MoveToFront(e)
	return e.Value.(*entry).caps
}

// keep returns what all clients with that hash share.
func (c *Cache) keep(hash string, caps *registry.Capabilities) *registry.Capabilities {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.byHash == nil {
		c.byHash = make(map[string]*list.Element)
	}
	if e := c.byHash[hash]; e != nil {
		return e.Value.(*entry).caps
	}
	e := &entry{hash, caps}
	c.byHash[hash] = c.recent.PushFront(e)
	c.bytes += e.size()
	for c.recent.Len() > maxEntries || c.bytes > maxBytes {
		last := c.recent.Remove(c.recent.Back()).(*entry)
		delete(c.byHash, last.hash)
		c.bytes -= last.size()
	}
	return caps
}

func (e *entry) size() int {
	n := len(e.hash) + 100
	for _, s := range e.caps.Notify {
		n += len(s) + 16
	}
	return n
}
