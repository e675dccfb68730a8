package router

import (
	"hash/maphash"
	"slices"
	"sync"

	"rosterd/engine/addr"
	"rosterd/xmppcore/registry"
)

// What has waited for a user stays in the store until a client has it: until it is written, or acknowledged where the
// client does that. What a client did not take when its session ended waits again, or goes to another one.

// underway are the IDs of messages that have waited and are on their way to clients, which are not handed to others.
type underway struct {
	mu   sync.Mutex
	byID map[addr.Bare]map[string]bool // true: a client has it, and it is still to be forgotten
}

// start is false if a message is on its way already.
func (u *underway) start(user addr.Bare, id string) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	if _, ok := u.byID[user][id]; ok {
		return false
	}
	if u.byID == nil {
		u.byID = make(map[addr.Bare]map[string]bool)
	}
	if u.byID[user] == nil {
		u.byID[user] = make(map[string]bool)
	}
	u.byID[user][id] = false
	return true
}

func (u *underway) end(user addr.Bare, ids ...string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for _, id := range ids {
		delete(u.byID[user], id)
	}
	if len(u.byID[user]) == 0 {
		delete(u.byID, user)
	}
}

// keep notes messages that a client has and that could not be forgotten.
func (u *underway) keep(user addr.Bare, ids []string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for _, id := range ids {
		if _, ok := u.byID[user][id]; ok {
			u.byID[user][id] = true
		}
	}
}

// kept are those that keep has noted.
func (u *underway) kept(user addr.Bare) (ids []string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for id, had := range u.byID[user] {
		if had {
			ids = append(ids, id)
		}
	}
	return ids
}

var handedSeed = maphash.MakeSeed()

func handedKey(stanza []byte) uint64 { return maphash.Bytes(handedSeed, stanza) }

// hand gives a resource, once it listens, what waits for its user. In the goroutine that reads its stream.
func (r *Router) hand(res *registry.Resource, m *Messages) {
	if m.Came != nil {
		ctx, cancel := offlinePatiently()
		defer cancel()
		if err := m.Came(ctx, res.Account.User); err != nil {
			m.Failed("noting who has come", res.Account.User, err)
		}
	}
	if m.Offline != nil {
		r.handOver(res, m, res.Synced)
	}
}

// handOver queues what waits. Who asks the archive has those that are in it from there. When the stream is about to end,
// they wait on.
func (r *Router) handOver(res *registry.Resource, m *Messages, synced bool) {
	user := res.Account.User
	ctx, cancel := offlinePatiently()
	defer cancel()
	v, err := r.doors.enter(ctx, user)
	if err != nil {
		m.Failed("delivering messages that waited", user, err)
		return
	}
	defer v.end()
	r.forget(user, r.underway.kept(user))
	var handed []string
	err = m.Offline.Each(ctx, user, func(id string, b []byte) bool {
		if !r.underway.start(user, id) {
			return true
		}
		archived := synced && archivedBy(b, user)
		if res.Hand(id, handedKey(b), func() bool {
			return archived || res.AppendOwn(func(dst []byte) []byte { return append(dst, b...) })
		}) {
			handed = append(handed, id)
			return true
		}
		r.underway.end(user, id)
		return false
	})
	if err != nil {
		m.Failed("delivering messages that waited", user, err)
	}
	if len(handed) > 0 {
		res.Delivered(func() { r.aside(func() { r.drop(res, handed) }) })
	}
}

// drop forgets messages that a resource has, of those that it was handed.
func (r *Router) drop(res *registry.Resource, handed []string) {
	r.forget(res.Account.User, slices.DeleteFunc(handed, func(id string) bool { return !res.Unhand(id) }))
}

func (r *Router) forget(user addr.Bare, ids []string) {
	if len(ids) == 0 {
		return
	}
	h := r.Host(user.Domain()) // as it is served now
	if h == nil || h.Messages == nil || h.Messages.Offline == nil {
		r.underway.keep(user, ids)
		return
	}
	ctx, cancel := offlinePatiently()
	defer cancel()
	if err := h.Messages.Offline.Drop(ctx, user, ids); err != nil { // when the user comes next, or they come once more after a start
		r.underway.keep(user, ids)
		h.Messages.Failed("forgetting messages that were delivered", user, err)
		return
	}
	r.underway.end(user, ids...)
}

// Ended is for a resource that has left, after what it did not take: Undelivered. Of what it was handed it has the rest.
// What it has not goes to another one that listens.
func (r *Router) Ended(res *registry.Resource) {
	user := res.Account.User
	back, has := res.Handed()
	r.forget(user, has)
	if len(back) == 0 {
		return
	}
	r.underway.end(user, back...)
	h, a := r.Host(user.Domain()), r.Registry.Account(user)
	if h == nil || h.Messages == nil || h.Messages.Offline == nil || a == nil {
		return
	}
	a.Lock()
	list := a.Resources()
	a.Unlock()
	if i := slices.IndexFunc(list, (*registry.Resource).Hears); i >= 0 {
		r.handOver(list[i], h.Messages, false)
	}
}

func (r *Router) aside(f func()) {
	if r.Aside == nil {
		go f()
		return
	}
	r.Aside(f)
}
