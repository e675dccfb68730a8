// Package registry knows who is where: the accounts with a bound resource on this node, their resources, and
// the state that routing and presence read of them.
package registry

import (
	"bytes"
	"hash/maphash"
	"iter"
	"sync"

	"rosterd/engine/addr"
)

// Registry is the accounts that are online. The zero value is ready.
type Registry struct{ shards [64]shard }

type shard struct {
	mu       sync.RWMutex
	accounts map[string]*Account  // by bare JID
	full     map[string]*Resource // by full JID
}

var seed = maphash.MakeSeed()

func (r *Registry) shard(bare []byte) *shard {
	return &r.shards[maphash.Bytes(seed, bare)%uint64(len(r.shards))]
}

func (r *Registry) shardOf(bare string) *shard {
	return &r.shards[maphash.String(seed, bare)%uint64(len(r.shards))]
}

// Account is the account of a user who is online, nil otherwise.
func (r *Registry) Account(u addr.Bare) *Account {
	s := r.shardOf(u.String())
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.accounts[u.String()]
}

// Resource is the resource bound to a full JID, nil if there is none.
func (r *Registry) Resource(full addr.JID) *Resource {
	s := r.shardOf(full.Bare().String())
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.full[full.String()]
}

// Written is Resource for an address as it stands in a stanza. It allocates nothing and prepares nothing: an
// address that is not in canonical form, or in which anything is escaped, is not found.
func (r *Registry) Written(full []byte) *Resource {
	n := bytes.IndexByte(full, '/')
	if n < 0 || bytes.IndexByte(full, '&') >= 0 { // "a&amp;b" is a resource, too, and another one
		return nil
	}
	s := r.shard(full[:n])
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.full[string(full)]
}

// Join returns the account of u for a resource that is about to be added, and counts it. Leave undoes it.
func (r *Registry) Join(u addr.Bare) *Account {
	s := r.shardOf(u.String())
	s.mu.Lock()
	defer s.mu.Unlock()
	a := s.accounts[u.String()]
	if a == nil {
		if s.accounts == nil {
			s.accounts, s.full = make(map[string]*Account), make(map[string]*Resource)
		}
		a = &Account{User: u}
		s.accounts[u.String()] = a
	}
	a.members++
	return a
}

// Leave undoes a Join. The account is forgotten with its last member.
func (r *Registry) Leave(a *Account) {
	s := r.shardOf(a.User.String())
	s.mu.Lock()
	defer s.mu.Unlock()
	if a.members--; a.members == 0 {
		delete(s.accounts, a.User.String())
	}
}

// Add makes a resource known by its full JID, and Remove undoes it unless another has taken the JID since.
func (r *Registry) Add(res *Resource) {
	s := r.shardOf(res.Account.User.String())
	s.mu.Lock()
	defer s.mu.Unlock()
	s.full[res.Full.String()] = res
}

// Remove undoes Add.
func (r *Registry) Remove(res *Resource) {
	s := r.shardOf(res.Account.User.String())
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.full[res.Full.String()] == res {
		delete(s.full, res.Full.String())
	}
}

// All walks the resources, as they are at some moment while it runs.
func (r *Registry) All() iter.Seq[*Resource] {
	return func(yield func(*Resource) bool) {
		for i := range r.shards {
			for _, res := range r.shards[i].all() {
				if !yield(res) {
					return
				}
			}
		}
	}
}

func (s *shard) all() []*Resource {
	s.mu.RLock()
	defer s.mu.RUnlock()
	list := make([]*Resource, 0, len(s.full))
	for _, res := range s.full {
		list = append(list, res)
	}
	return list
}
