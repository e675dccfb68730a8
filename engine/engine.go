// Package engine keeps the rosters of the users who are online: it fetches them from the backend of their
// host, holds the last good one, works out what changed and tells a watcher, in order. It knows no XML, no
// sockets and no scripts.
package engine

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"rosterd/engine/addr"
	"rosterd/engine/roster"
)

// Host is how the rosters of one VirtualHost are had. Zero fields mean the defaults.
type Host struct {
	Backend      Backend
	Own          Own           // contacts of the users' own beside those of Backend; nil: there are none
	Writer       Writer        // takes edits of the users to the backend; nil: they are refused, or there is an Own, or Backend is an Editor
	Assigner     Assigner      // takes what applications put into the rosters of Backend; nil: they are refused
	Keeper       Keeper        // nil: the last good roster lives as long as the user's session
	Timeout      time.Duration // of one call; 5 s
	Parallel     int           // calls at a time; 16
	QueueTimeout time.Duration // how long a login waits for one of those places; 10 s
	Retry        time.Duration // pause before a failed fetch is tried again while the user is online, then doubled up to 5 min; 5 s, never if negative
	MissingEmpty bool          // a known user whom the backend no longer knows has an empty roster (rosterd_missing_user)
	Steps        int           // changes of a roster that are remembered, for clients that come back with an old version (RFC 6121 §2.6.3)
	Breaker      int           // failures in a row after which the backend is left alone for a while; never if 0
	ShrinkGuard  int           // percent of a roster's contacts that one answer may remove; more are held back; 0: any
	Generation   string        // of the backend: another one means that rosters are fetched anew; "": its own, if it is Generational
	OneSided     bool          // do not refresh the other side of a changed pair (rosterd_refresh_other_side = false)
}

// Event is a change of the roster of an attached user, or the failure to get a first one.
type Event struct {
	User     addr.Bare
	From, To roster.Roster   // From is empty the first time
	Changes  []roster.Change // what turns From into To; may be left out the first time
	First    bool            // the user had no roster until now
	Stale    bool            // To is the last good roster, since the backend failed
	Err      error           // no roster could be had, and there is no last good one: From and To mean nothing
	History  roster.History  // how To came about, as far as it is known; also from before the user's login

	life *user
}

// Gone tells whether the user's last resource was released, so that the event speaks of a life that is over
// although the user may be online again.
func (ev Event) Gone() bool { return ev.life != nil && ev.life.gone() }

// Watcher is called for every event of a user, one after the other. The next change of this user waits
// until it returns; so does the answer to the refresh that caused it: it must not wait for one itself.
type Watcher func(Event)

// Engine is the live rosters of all hosts. Make it with New.
type Engine struct {
	log   *slog.Logger
	watch Watcher

	ctx     context.Context // ends with Close; what fetches run under
	stop    context.CancelFunc
	closing sync.Mutex     // nothing is added to idle work once ctx has ended
	work    sync.WaitGroup // the users' goroutines, their calls, and refreshes

	configure sync.Mutex                       // one SetHosts at a time
	former    map[string]*host                 // that were removed: some of their users may not have left when they come back
	hosts     atomic.Pointer[map[string]*host] // never changed, only exchanged

	crew       crew
	otherSides int // how many users one refresh may bring along
	shards     [64]shard
	refreshes  tallies
	edits      queues
	stats      Stats
	observe    Observer // nil: nobody
}

// Stats counts since the start.
type Stats struct {
	Fetches, Failures atomic.Int64
	Spared            atomic.Int64 // logins that needed no fetch
	Held              atomic.Int64 // answers that the shrink guard held back
}

type shard struct {
	mu      sync.Mutex
	users   map[addr.Bare]*user           // who is online
	leaving map[addr.Bare]<-chan struct{} // who no longer is, until nothing of that life comes any more
}

// New makes an engine. The hosts' names are prepared domainparts.
func New(hosts map[string]Host, watch Watcher, log *slog.Logger) *Engine {
	e := &Engine{log: log, watch: watch, otherSides: 10_000, former: make(map[string]*host)}
	e.ctx, e.stop = context.WithCancel(context.Background())
	e.crew = crew{jobs: make(chan func()), stop: e.ctx.Done()}
	e.hosts.Store(new(map[string]*host))
	for i := range e.shards {
		e.shards[i].users = make(map[addr.Bare]*user)
		e.shards[i].leaving = make(map[addr.Bare]<-chan struct{})
	}
	e.SetHosts(hosts)
	return e
}

// ErrClosed is what fetches end with once Close was called.
var ErrClosed = errors.New("the engine is closed")

// Close ends all fetches and waits until the last call has returned and the last event is told, or for ctx.
// After that nothing is fetched and nobody told.
func (e *Engine) Close(ctx context.Context) error {
	e.closing.Lock()
	e.stop()
	e.closing.Unlock()
	done := make(chan struct{})
	go func() { e.work.Wait(); close(done) }()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("waiting for fetches to end: %w", ctx.Err())
	}
}

// begin counts a goroutine that Close waits for. It is false once Close was called.
func (e *Engine) begin() bool {
	e.closing.Lock()
	defer e.closing.Unlock()
	if e.ctx.Err() != nil {
		return false
	}
	e.work.Add(1)
	return true
}

// Stats are the engine's counters.
func (e *Engine) Stats() *Stats { return &e.stats }

// Attach says that a resource of the user is online: the first one makes the engine fetch the roster,
// which is kept until the last one is released. It does not wait, and an event may come before it returns.
// Each Attach wants one Release.
func (e *Engine) Attach(u addr.Bare) (*Resource, error) {
	r, err := e.attach(u)
	if err == nil {
		r.Load()
	}
	return r, err
}

func (e *Engine) attach(u addr.Bare) (*Resource, error) {
	h := e.host(u.Domain())
	if h == nil {
		return nil, fmt.Errorf("%w for %s", ErrNoHost, u.Domain())
	}
	s := e.shard(u)
	s.mu.Lock()
	defer s.mu.Unlock()
	w, ok := s.users[u]
	if !ok {
		w = newUser(u, h, s.leaving[u])
		s.users[u] = w
	}
	w.attached++
	return &Resource{e: e, u: w}, nil
}

// Resource is one attached resource of a user.
type Resource struct {
	e        *Engine
	u        *user
	released bool // guarded by the shard's lock
}

// Load asks for the roster again if there is none, or only a stale one. It does not wait: what comes is
// an Event, unless a stale roster turns out to be as it should.
func (r *Resource) Load() { r.e.ask(r.u, ReasonLogin) }

// Release ends the resource; to do so again does nothing. An event that is being told when the last one is
// released is Gone.
func (r *Resource) Release() {
	s := r.e.shard(r.u.addr)
	s.mu.Lock()
	defer s.mu.Unlock()
	if r.released {
		return
	}
	r.released = true
	if r.u.attached--; r.u.attached > 0 {
		return
	}
	delete(s.users, r.u.addr)
	if ended := r.u.leave(); ended != nil {
		s.leaving[r.u.addr] = ended
	}
}

// forget ends what Release began, once nothing comes any more of a life that was over while a fetch ran.
func (e *Engine) forget(u addr.Bare, ended <-chan struct{}) {
	s := e.shard(u)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.leaving[u] == ended {
		delete(s.leaving, u)
	}
}

// Roster is the roster of a user who is online; ok is false if there is none yet. It may be one event ahead of
// the watcher.
func (e *Engine) Roster(u addr.Bare) (r roster.Roster, ok bool) {
	w := e.find(u)
	if w == nil {
		return roster.Roster{}, false
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.roster, w.state != absent
}

// Online tells whether a resource of the user is attached.
func (e *Engine) Online(u addr.Bare) bool { return e.find(u) != nil }

func (e *Engine) tell(u *user, ev Event) {
	u.mu.Lock()
	ev.User, ev.life, ev.History = u.addr, u, u.history
	u.mu.Unlock()
	e.watch(ev)
}

func (e *Engine) find(u addr.Bare) *user {
	s := e.shard(u)
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.users[u]
}

var seed = maphash.MakeSeed()

func (e *Engine) shard(u addr.Bare) *shard {
	return &e.shards[maphash.String(seed, u.String())%uint64(len(e.shards))]
}
