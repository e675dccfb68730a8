package engine

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"

	"rosterd/engine/addr"
	"rosterd/engine/roster"
)

// Editor is a Backend whose rosters those may change that they belong to, and those who ask to see somebody.
type Editor interface {
	// Edit makes one change: all of it or nothing, and what it returns for is on disk. From then on Fetch answers with
	// it. Two calls with the same ID make it once. ErrDenied, ErrNoItem and ErrFull refuse it; whatever else it returns is as in
	// Backend. Calls for one user come one after the other.
	Edit(ctx context.Context, e Edit) (Edited, error)

	// Pending are the subscription requests that wait for the user's answer, in the order of their arrival: they are
	// delivered at each initial presence until he gives one (RFC 6121 §3.1.3).
	Pending(ctx context.Context, user addr.Bare) ([]PendingRequest, error)
}

// ErrReadOnly says that the users of a host do not edit their rosters; ErrNoItem that a roster does not have what was
// to be removed; ErrFull that it has no room for more.
var (
	ErrReadOnly = errors.New("contacts are managed elsewhere")
	ErrNoItem   = errors.New("no such contact")
	ErrFull     = errors.New("the roster is full")
)

// Action is what an Edit does.
type Action string

// What a user does with his own roster (RFC 6121 §2.3–2.5), and the subscription stanzas that he sends (Out) or that
// come for him (In) (RFC 6121 §3, appendix A).
const (
	Set    Action = "set"    // name and groups of Item
	Remove Action = "remove" // and with it both subscriptions

	OutSubscribe    Action = "out-subscribe"
	OutSubscribed   Action = "out-subscribed"
	OutUnsubscribe  Action = "out-unsubscribe"
	OutUnsubscribed Action = "out-unsubscribed"
	InSubscribe     Action = "in-subscribe"
	InSubscribed    Action = "in-subscribed"
	InUnsubscribe   Action = "in-unsubscribe"
	InUnsubscribed  Action = "in-unsubscribed"
)

// Edit is one change that is wanted of a user's roster.
type Edit struct {
	ID      string // of this change, whoever is asked for it how often
	User    addr.Bare
	Contact addr.Bare
	Action  Action
	Item    roster.Item // of Set: Name and Groups
	Rev     string      // for a Writer: the backend's revision of the roster that the user has been told, "" if it is not known
	Stanza  []byte      // of InSubscribe: what the user is to see, from the contact's bare JID to his
}

// Edited is what an Edit has come to. Old and New are the contact's item before and after, nil where there is none.
type Edited struct {
	Old, New *roster.Item
	Route    []Action // subscription stanzas that the user's server sends to the contact, as Out…: those of Remove, or what was routed
	Deliver  bool     // of In…: the user's resources are to see the stanza
	Answer   Action   // of In…: what the server answers in the user's stead, "" if nothing

	fetch bool // the backend was asked for the change
}

// PendingRequest is a subscription request that waits for an answer.
type PendingRequest struct {
	From   addr.Bare
	Stanza []byte // as it is delivered
}

// errEdit is what an Edit ends with whose Editor has ended its goroutine.
var errEdit = &FaultError{Kind: "trap", Err: errors.New("the edit ended without an answer")}

// Editable tells whether the users of a host edit their rosters: whether its Backend is an Editor, or it has an Own or a Writer.
func (e *Engine) Editable(hostname string) bool {
	h := e.host(hostname)
	return h != nil && e.editor(h) != nil
}

// Edit makes one change of a user's roster, whether he is online or not, one after the other per user. If he is, what
// changed has been told to the watcher when it returns; so a watcher must not wait for it. An Edit without an ID is
// given one. When ctx ends first, an Edit that has begun goes on, and so does the telling: for that alone nobody is told
// that his change has failed. Nor is he where the roster, after a Writer has taken the change, is longer in coming than
// one call may take. The error wraps ErrNoHost,
// ErrReadOnly, ErrClosed, that of ctx, or is the Editor's; a roster that cannot be fetched after the change is none.
func (e *Engine) Edit(ctx context.Context, ed Edit) (Edited, error) {
	return e.EditThen(ctx, ed, func(Edited) {})
}

// EditThen is Edit that calls made once the change is made, and before it is told to the watcher: a client learns who
// has approved it before its roster says so (RFC 6121 §3.1.6). What made does belongs to the user's row of edits, so it
// must not wait for one of his. It may be called after EditThen has returned, where ctx has ended.
func (e *Engine) EditThen(ctx context.Context, ed Edit, made func(Edited)) (Edited, error) {
	h := e.host(ed.User.Domain())
	if h == nil {
		return Edited{}, fmt.Errorf("%w for %s", ErrNoHost, ed.User.Domain())
	}
	if e.editor(h) == nil {
		return Edited{}, fmt.Errorf("roster of %s: %w", ed.User, ErrReadOnly)
	}
	if !e.begin() {
		return Edited{}, ErrClosed
	}
	if ed.ID == "" {
		ed.ID = rand.Text()
	}
	type outcome struct {
		edited Edited
		err    error
	}
	got, taken := make(chan outcome, 1), make(chan Edited, 1)
	before, done := e.edits.queue(ed.User)
	go func() {
		defer e.work.Done()
		defer done()
		if before != nil {
			<-before // also who left: the row goes on behind him
		}
		o := outcome{err: errEdit}
		defer func() { got <- o }() // also when the Editor ends its goroutine
		if err := ctx.Err(); err != nil {
			o.err = err
			return
		}
		o.edited, o.err = e.edit(h, ed, func(d Edited) {
			made(d)
			taken <- d
		})
	}()
	select {
	case o := <-got:
		return o.edited, o.err
	case <-ctx.Done():
	}
	select {
	case o := <-got:
		return o.edited, o.err
	case d := <-taken:
		return d, nil
	default:
		return Edited{}, fmt.Errorf("edit the roster of %s: %w", ed.User, ctx.Err())
	}
}

// edit makes the change and has it told.
func (e *Engine) edit(h *host, ed Edit, made func(Edited)) (Edited, error) {
	if h.conf().Writer != nil {
		e.known(ed.User)
	}
	leave, err := e.turn(h)
	if err != nil {
		return Edited{}, err
	}
	done, err := e.change(h, ed, leave)
	if done.fetch {
		defer e.written(h, ed, err)
	}
	if err != nil {
		return Edited{}, e.endOf(err)
	}
	made(done)
	if !done.fetch && !same(done.Old, done.New) {
		e.changed(h, ed.User)
	}
	return done, nil
}

// turn waits for one of the host's parallel calls, where the Editor is the backend itself.
func (e *Engine) turn(h *host) (leave func(), err error) {
	if h.conf().Own != nil {
		return func() {}, nil
	}
	if _, err := h.breaker.refuses(ReasonEdit); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(e.ctx, h.conf().QueueTimeout)
	defer cancel()
	if err := h.places.wait(ctx); err != nil {
		return nil, e.endOf(fmt.Errorf("all calls to the backend were busy: %w", err))
	}
	return h.places.leave, nil
}

// endOf is an error, or that the engine is closed where that has ended a call.
func (e *Engine) endOf(err error) error {
	if e.ctx.Err() != nil {
		return ErrClosed
	}
	return err
}

// change is one call to the Editor. It gives the place back.
func (e *Engine) change(h *host, ed Edit, leave func()) (done Edited, err error) {
	defer leave()
	c := h.conf()
	editor := e.editor(h)
	if editor == nil {
		return Edited{}, ErrReadOnly // another backend has come meanwhile
	}
	ctx, cancel := context.WithTimeout(e.ctx, c.Timeout)
	defer cancel()
	defer func() {
		if p := recover(); p != nil {
			err = &FaultError{Kind: "trap", Err: &panicked{p, debug.Stack()}}
		}
	}()
	done, err = editor.Edit(ctx, ed)
	if err != nil && ctx.Err() == context.DeadlineExceeded {
		err = &lateError{c.Timeout, err}
	}
	return done, err
}

// changed makes what is kept of a user's roster stale, and has it fetched if he is online.
func (e *Engine) changed(h *host, user addr.Bare) {
	if h.conf().Own == nil {
		e.newRefresh(h, 1).spoil(h, []addr.Bare{user})
	}
	<-e.request(user, ReasonEdit).done
}

func same(a, b *roster.Item) bool {
	if a == nil || b == nil {
		return a == b
	}
	return a.Equal(*b)
}

// Pending are the subscription requests that wait for the user's answer. The error wraps ErrNoHost, ErrReadOnly where
// the host's Backend is no Editor, or is the Editor's.
func (e *Engine) Pending(ctx context.Context, user addr.Bare) ([]PendingRequest, error) {
	h := e.host(user.Domain())
	if h == nil {
		return nil, fmt.Errorf("%w for %s", ErrNoHost, user.Domain())
	}
	editor := e.editor(h)
	if editor == nil {
		return nil, fmt.Errorf("roster of %s: %w", user, ErrReadOnly)
	}
	ctx, cancel := context.WithTimeout(ctx, h.conf().Timeout)
	defer cancel()
	requests, err := editor.Pending(ctx, user)
	if err != nil {
		return nil, fmt.Errorf("subscription requests for %s: %w", user, err)
	}
	return requests, nil
}

// editor is nil where the host's rosters are read-only.
func (e *Engine) editor(h *host) Editor {
	if h.conf().Own != nil {
		return keepers{e, h}
	}
	if h.conf().Writer != nil {
		return wishes{e, h}
	}
	return h.stored()
}

// stored is the Backend of the host if that is where its users edit their rosters, which is at hand; else nil.
func (h *host) stored() Editor {
	ed, _ := h.conf().Backend.(Editor)
	return ed
}

// near tells whether the rosters of the host are kept at hand, where users edit them or applications do.
func (h *host) near() bool { return h.conf().Assigner != nil || h.stored() != nil }

// wait is enter for who has nobody to leave before him but ctx.
func (p *places) wait(ctx context.Context) error {
	w := p.enter(true)
	select {
	case <-w.ready:
		return nil
	case <-ctx.Done():
		p.giveUp(w)
		return ctx.Err()
	}
}

// queues put the edits of each user in a row.
type queues struct {
	mu   sync.Mutex
	last map[addr.Bare]<-chan struct{} // closed when the last one in the row is done
}

// queue is the end of a user's row: what to wait for, nil if nothing, and what to call afterwards.
func (q *queues) queue(user addr.Bare) (before <-chan struct{}, done func()) {
	q.mu.Lock()
	defer q.mu.Unlock()
	before, mine := q.last[user], make(chan struct{})
	if q.last == nil {
		q.last = make(map[addr.Bare]<-chan struct{})
	}
	q.last[user] = mine
	return before, func() {
		q.mu.Lock()
		defer q.mu.Unlock()
		if close(mine); q.last[user] == (<-chan struct{})(mine) {
			delete(q.last, user)
		}
	}
}
