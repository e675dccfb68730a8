package registry

// handed are messages that have waited for a user and are on their way to a client, by their IDs where they are kept.
type handed struct {
	keys map[string]uint64 // what they are known by
	back []string          // those that the client did not take
}

// Hand sends a message by f, under the lock, and notes it unless f is false: whoever asks for what was Handed finds a
// message that is on its way, and none that is not.
func (r *Resource) Hand(id string, key uint64, f func() bool) bool {
	r.Account.Lock()
	defer r.Account.Unlock()
	if !f() {
		return false
	}
	if r.handed == nil {
		r.handed = &handed{keys: make(map[string]uint64)}
	}
	r.handed.keys[id] = key
	return true
}

// Unhand tells whether a message was on its way, which it is no longer.
func (r *Resource) Unhand(id string) bool {
	r.Account.Lock()
	defer r.Account.Unlock()
	if r.handed == nil {
		return false
	}
	_, ok := r.handed.keys[id]
	if delete(r.handed.keys, id); len(r.handed.keys) == 0 && len(r.handed.back) == 0 {
		r.handed = nil
	}
	return ok
}

// Return notes that the client did not take a message. It is false if that was not on its way.
func (r *Resource) Return(key uint64) bool {
	r.Account.Lock()
	defer r.Account.Unlock()
	if r.handed == nil {
		return false
	}
	for id, k := range r.handed.keys {
		if k == key {
			delete(r.handed.keys, id)
			r.handed.back = append(r.handed.back, id)
			return true
		}
	}
	return false
}

// Handed are the messages that the client did not take and those that it has, once it has left. It is asked once.
func (r *Resource) Handed() (back, has []string) {
	r.Account.Lock()
	defer r.Account.Unlock()
	if r.handed != nil {
		back = r.handed.back
		for id := range r.handed.keys {
			has = append(has, id)
		}
	}
	r.handed = nil
	return back, has
}

// Hears is Listens for who does not hold the account's lock.
func (r *Resource) Hears() bool {
	r.Account.Lock()
	defer r.Account.Unlock()
	return r.Listens()
}
