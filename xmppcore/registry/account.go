package registry

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"

	"rosterd/engine"
	"rosterd/engine/addr"
	"rosterd/engine/roster"
	"rosterd/xmppcore/block"
	"rosterd/xmppcore/scan"
	"rosterd/xmppcore/session"
	"rosterd/xmppcore/stream"
)

// Account is a user with a bound resource. What it causes happens in its Turn; what others read of it is
// guarded by its lock, under which one computes and queues but calls nobody. Fields change in the turn and
// under the lock, so the turn may read them without it.
type Account struct {
	User addr.Bare
	Turn Turn

	// Blocks is whom the user has blocked. It is swapped in the turn and under the lock, and anybody may read it. It is
	// nil as long as no resource is bound, and where users cannot block anybody.
	Blocks atomic.Pointer[block.List]

	members int // guarded by the registry's shard

	mu        sync.Mutex
	resources []*Resource
	Early     bool // something was published before the roster was there (XEP-0163)
	roster    roster.Roster
	history   roster.History    // how roster came about, for clients that hold an old version
	loaded    bool              // roster is what the engine said
	fading    map[addr.Bare]int // no longer wanted, but their unavailable still passes
}

// Resource is one bound resource of an account.
type Resource struct {
	*session.Session
	Account *Account
	Roster  *engine.Resource // set at bind

	// Of the goroutine that reads the stream alone.
	Pressing *session.Session // a client that was sent more than it takes
	Unsynced []Syncer         // what the client has said is in these stores, but perhaps not on disk
	Synced   bool             // has asked for messages of the archive (XEP-0313)
	Settling Settling         // an acknowledgement that waits for the disk

	// Of the account's turn alone.
	Asked    []Asked // roster gets that wait for the roster
	Detached bool    // no longer in the account

	// Guarded like the account's fields.
	Directed   map[addr.JID]struct{} // who got directed presence (RFC 6121 §4.6)
	orphan     bool                  // its user does not exist any more, even if somebody else has taken the name
	Blocklist  bool                  // has asked whom the user has blocked, and is told of changes (XEP-0191 §3.3)
	Available  bool                  // has sent initial presence
	Interested bool                  // has asked for the roster
	Requests   bool                  // has been shown the subscription requests that wait (RFC 6121 §3.1.3)
	Carbons    bool                  // wants copies of messages (XEP-0280)
	Priority   int8                  //
	Presence   *session.Presence     // its last presence, nil if it is not available
	Caps       *Capabilities         // what its client says it can do, nil if that is not known
	CapsVer    string                // the hash that it said so by, as it stands in its presence (XEP-0115)

	handed *handed // messages that waited for the user, nil if there are none: see Hand

	Owed      map[string]func(*scan.Stanza) // by id: what is to be done with answers to the server's own requests
	Questions uint32                        // how many of those there were
}

// NewResource is a resource and its session, in one piece of memory: of an idle one there is little else.
func NewResource(a *Account, full addr.JID, tr stream.Transport, lim *session.Limits) *Resource {
	r := &struct {
		Resource
		session session.Session
	}{}
	r.session.Init(full, tr, lim)
	r.Session, r.Account = &r.session, a
	return &r.Resource
}

// Capabilities are what a client says it can do, as far as the server acts on it. They do not change, and clients of
// one kind share them.
type Capabilities struct {
	Notify []string // sorted: the nodes whose events it wants (XEP-0060 §9.2, XEP-0163 §4)
}

// Wants tells whether the client wants the events of a node.
func (c *Capabilities) Wants(node string) bool {
	if c == nil {
		return false
	}
	_, ok := slices.BinarySearch(c.Notify, node)
	return ok
}

// Syncer is a store.
type Syncer interface {
	// Sync returns when what was put there before is on disk.
	Sync(ctx context.Context) error
}

// Asked is a roster get.
type Asked struct {
	ID, Ver   string
	Versioned bool // had a ver, were it empty: the client keeps versions (RFC 6121 §2.6.2)
}

// Lock and Unlock guard what others read of the account.
func (a *Account) Lock() { a.mu.Lock() }

// Unlock undoes Lock.
func (a *Account) Unlock() { a.mu.Unlock() }

// Resources is the list of resources, in the turn or under the lock.
func (a *Account) Resources() []*Resource { return a.resources }

// Find is the resource with that resourcepart, in the turn or under the lock.
func (a *Account) Find(resource string) *Resource {
	for _, r := range a.resources {
		if r.Full.Resource() == resource {
			return r
		}
	}
	return nil
}

// Enter adds a resource; in the turn.
func (a *Account) Enter(r *Resource) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.resources = append(slices.Clip(a.resources), r) // a reader may hold the old list
}

// Exit takes a resource away; in the turn. With the last one goes the roster, as it does in the engine.
func (a *Account) Exit(r *Resource) {
	a.mu.Lock()
	defer a.mu.Unlock()
	r.Available, r.Detached = false, true
	a.resources = slices.DeleteFunc(slices.Clone(a.resources), func(o *Resource) bool { return o == r })
	if len(a.resources) == 0 {
		a.Blocks.Store(nil)
		a.roster, a.history, a.loaded = roster.Roster{}, roster.History{}, false // what fades has been promised a Faded, and gets it
	}
}

// Roster is the account's roster, in the turn or under the lock; ok is false while there is none.
func (a *Account) Roster() (r roster.Roster, ok bool) { return a.roster, a.loaded }

// History is what is known of how the roster came about, in the turn or under the lock.
func (a *Account) History() roster.History { return a.history }

// SetHistory goes with SetRoster; in the turn and under the lock.
func (a *Account) SetHistory(h roster.History) { a.history = h }

// SetRoster swaps the roster; in the turn and under the lock. From now on the contacts in faded are let
// pass with their unavailable presence, and with nothing else.
func (a *Account) SetRoster(r roster.Roster, faded []addr.Bare) {
	a.roster, a.loaded = r, true
	a.Fade(faded)
}

// Listens tells, under the lock, whether the resource gets messages for the bare JID (RFC 6121 §8.5.2.1.1).
func (r *Resource) Listens() bool { return r.Available && r.Priority >= 0 }

// SentTo tells, under the lock, whether the resource sent directed presence to an address or its bare JID.
func (r *Resource) SentTo(j addr.JID) bool {
	_, full := r.Directed[j]
	_, bare := r.Directed[j.Bare().Full()]
	return full || bare
}

// Disown notes that the resource is one of a user who does not exist any more.
func (r *Resource) Disown() {
	r.Account.Lock()
	defer r.Account.Unlock()
	r.orphan = true
}

// Disowned tells whether Disown was called.
func (r *Resource) Disowned() bool {
	r.Account.Lock()
	defer r.Account.Unlock()
	return r.orphan
}

// Faded ends what SetRoster began for one contact.
func (a *Account) Faded(c addr.Bare) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if n := a.fading[c] - 1; n > 0 {
		a.fading[c] = n
	} else {
		delete(a.fading, c)
	}
}

// Fade lets the unavailable presence of contacts pass as SetRoster does; in the turn and under the lock.
func (a *Account) Fade(contacts []addr.Bare) {
	if len(contacts) > 0 && a.fading == nil {
		a.fading = make(map[addr.Bare]int)
	}
	for _, c := range contacts {
		a.fading[c]++
	}
}

// Hears tells, under the lock, whether the user has not blocked an address whose presence is to be delivered.
func (a *Account) Hears(j addr.JID, unavailable bool) bool {
	return !a.Blocks.Load().Has(j) || unavailable && a.fading[j.Bare()] > 0
}

// ShowsNear is Shows where the hint is of the roster of another contact: see roster.Roster.Near.
func (a *Account) ShowsNear(c addr.Bare, unavailable bool, hint *int) bool {
	return a.roster.Near(c, hint).To() || unavailable && a.fading[c] > 0
}

// Shows tells, under the lock, whether presence of c is for the account's resources.
func (a *Account) Shows(c addr.Bare, unavailable bool) bool {
	return a.roster.Wants(c) || unavailable && a.fading[c] > 0
}
