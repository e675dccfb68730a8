package engine

import (
	"cmp"
	"container/list"
	"context"
	"crypto/sha1"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"rosterd/engine/addr"
)

// CardSource knows the vCards of users. Card may be called from many goroutines at once, and ends when ctx does. The
// zero Card is that of a user of whom it says nothing.
type CardSource interface {
	Card(ctx context.Context, user addr.Bare) (Card, error)
}

// CardSettings say how the vCards of a host are had and kept. Zero fields mean the defaults.
type CardSettings struct {
	Timeout  time.Duration // of a call of the source, the wait for its turn included; 5 s
	Age      time.Duration // how long a vCard is kept before it is fetched anew; 5 min
	Pause    time.Duration // how long a user is not asked about again after a failure; 10 s
	Parallel int           // calls of the source at a time; 4
	Bytes    int           // of memory; 16 MiB
}

// Cards are the vCards of a host's users, as its backend gives them: fetched when somebody looks, by one call however
// many look, and kept for a while. Where the backend fails what it said last is served.
type Cards struct {
	source  CardSource
	conf    CardSettings
	log     *slog.Logger
	watch   atomic.Pointer[func(addr.Bare, CardMark, bool)]
	failing atomic.Bool // the last call has
	places  chan struct{}
	ctx     context.Context
	stop    context.CancelFunc
	work    sync.WaitGroup

	mu      sync.Mutex // guards the fields below
	closed  bool
	all     map[addr.Bare]*cardEntry
	used    list.List // of *cardEntry, the one used last in front
	nobody  list.List // the same, of users of whom there is nothing to say: anybody may ask for any name
	bytes   int
	queue   []addr.Bare // those to be fetched that nobody waits for
	queued  map[addr.Bare]bool
	workers int
}

// CardMark is what is known of a user's picture without it.
type CardMark struct {
	Hash string // SHA-1 of the picture, in hexadecimal (XEP-0084 §3, XEP-0153 §4.1); "" if there is none
	Type string
	Size int // bytes
}

// Mark is that of the card's picture.
func (c *Card) Mark() CardMark {
	if c.Photo.IsZero() {
		return CardMark{}
	}
	sum := sha1.Sum(c.Photo.Data)
	return CardMark{hex.EncodeToString(sum[:]), c.Photo.Type, len(c.Photo.Data)}
}

// cardEntry is what is kept of one user.
type cardEntry struct {
	user   addr.Bare
	known  bool // there has been an answer
	whole  bool // and card is still kept; else only its mark
	card   Card
	mark   CardMark
	until  time.Time // when to ask again: after an answer, or after a failure
	err    error     // of the last call
	tries  int       // calls in a row that have failed
	flight *cardFlight
	in     *list.List // used or nobody
	place  *list.Element
	bytes  int
}

// cardFlight is a call of the source.
type cardFlight struct {
	done chan struct{} // then card and err are known, and the watcher has been told
	card Card
	err  error
}

// NewCards are those of a source.
func NewCards(source CardSource, conf CardSettings, log *slog.Logger) *Cards {
	conf.Timeout = cmp.Or(conf.Timeout, 5*time.Second)
	conf.Age = cmp.Or(conf.Age, 5*time.Minute)
	conf.Pause = cmp.Or(conf.Pause, 10*time.Second)
	conf.Parallel = cmp.Or(conf.Parallel, 4)
	conf.Bytes = cmp.Or(conf.Bytes, 16<<20)
	c := &Cards{
		source: source, conf: conf, log: log, places: make(chan struct{}, conf.Parallel),
		all: make(map[addr.Bare]*cardEntry), queued: make(map[addr.Bare]bool),
	}
	c.ctx, c.stop = context.WithCancel(context.Background())
	return c
}

// Settings are those that it was made with, with defaults.
func (c *Cards) Settings() CardSettings { return c.conf }

// Watch has f told of each user of whom a first answer has come, or one with another picture than before: in order for
// each user, and before who waits for the answer has it.
func (c *Cards) Watch(f func(user addr.Bare, mark CardMark, first bool)) { c.watch.Store(&f) }

// Close ends what runs, and waits for it.
func (c *Cards) Close() {
	c.mu.Lock()
	c.closed = true
	c.mu.Unlock()
	c.stop()
	c.work.Wait()
}

// Get is the card of a user. Where the backend fails it is the last one that it gave, if that is still kept.
func (c *Cards) Get(ctx context.Context, user addr.Bare) (Card, error) {
	c.mu.Lock()
	e := c.entry(user)
	if time.Now().Before(e.until) && (e.whole || e.err != nil) {
		defer c.mu.Unlock()
		if e.whole {
			return e.card, nil
		}
		return Card{}, e.err
	}
	f := c.fly(e)
	c.mu.Unlock()
	var err error
	select {
	case <-f.done:
		if f.err == nil {
			return f.card, nil
		}
		err = f.err
	case <-ctx.Done():
		err = &TemporaryError{Err: fmt.Errorf("vCard of %s: %w", user, context.Cause(ctx))}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if e := c.all[user]; e != nil && e.whole {
		return e.card, nil
	}
	return Card{}, err
}

// Kept is the card of a user, if it need not be asked for.
func (c *Cards) Kept(user addr.Bare) (card Card, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e := c.all[user]; e != nil && e.whole && time.Now().Before(e.until) {
		e.in.MoveToFront(e.place)
		return e.card, true
	}
	return Card{}, false
}

// Mark is what is known of the picture of a user, without waiting. What is not known, or is old, is asked for: the
// watcher is told.
func (c *Cards) Mark(user addr.Bare) (mark CardMark, known bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e := c.all[user]
	if e == nil || time.Now().After(e.until) {
		c.enqueue(user)
	}
	if e == nil {
		return CardMark{}, false
	}
	return e.mark, e.known
}

// Known is Mark for who does not want to know what is new.
func (c *Cards) Known(user addr.Bare) (mark CardMark, known bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e := c.all[user]
	if e == nil || !e.known {
		return CardMark{}, false
	}
	return e.mark, true
}

// Forget is for a user who is no more.
func (c *Cards) Forget(user addr.Bare) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e := c.all[user]; e != nil && e.flight == nil {
		c.drop(e)
	}
}

// Refresh has the cards of users fetched that are kept, or wanted as wants says, whatever their age, and returns when
// the watcher has been told, or when ctx ends. Calls that have begun before do not count. What fails is logged, and asked
// for again when somebody looks.
func (c *Cards) Refresh(ctx context.Context, users []addr.Bare, wants func(addr.Bare) bool) {
	todo := make([]addr.Bare, 0, min(len(users), 64))
	c.mu.Lock()
	for _, u := range users {
		if e := c.all[u]; e != nil {
			e.until = time.Time{}
			todo = append(todo, u)
		} else if wants(u) {
			todo = append(todo, u)
		}
	}
	c.mu.Unlock()
	next := make(chan addr.Bare)
	var work sync.WaitGroup
	for range min(c.conf.Parallel, len(todo)) {
		work.Go(func() {
			for u := range next {
				c.refresh(ctx, u)
			}
		})
	}
	for _, u := range todo {
		select {
		case next <- u:
			continue
		case <-ctx.Done():
		}
		break
	}
	close(next)
	work.Wait()
}

func (c *Cards) refresh(ctx context.Context, user addr.Bare) {
	c.mu.Lock()
	before := c.entry(user).flight
	c.mu.Unlock()
	if before != nil {
		select {
		case <-before.done:
		case <-ctx.Done():
			return
		}
	}
	c.mu.Lock()
	f := c.fly(c.entry(user))
	c.mu.Unlock()
	select {
	case <-f.done:
	case <-ctx.Done():
	}
}

// entry is that of a user, made if there is none; under the lock.
func (c *Cards) entry(user addr.Bare) *cardEntry {
	e := c.all[user]
	if e != nil {
		e.in.MoveToFront(e.place)
		return e
	}
	e = &cardEntry{user: user.Clone()}
	c.all[e.user] = e
	c.put(e, &c.nobody)
	c.weigh(e)
	return e
}

// put moves an entry to the front of a list.
func (c *Cards) put(e *cardEntry, to *list.List) {
	if e.in != nil {
		e.in.Remove(e.place)
	}
	e.in, e.place = to, to.PushFront(e)
}

// About how many bytes an entry takes beside its card, and an address beside its text.
const (
	cardOverhead = 500
	cardAddress  = 32
)

// weigh counts an entry anew, and makes room: who is nobody goes first, but for an eighth of all; then cards, and the entries
// themselves if that is not enough.
func (c *Cards) weigh(e *cardEntry) {
	n := cardOverhead
	if e.whole {
		n += e.card.size() + cardAddress*(len(e.card.Email)+len(e.card.Tel))
	}
	c.bytes += n - e.bytes
	e.bytes = n
	for at := c.nobody.Back(); at != nil && c.bytes > c.conf.Bytes && c.nobody.Len()*cardOverhead > c.conf.Bytes/8; {
		o := at.Value.(*cardEntry)
		at = at.Prev()
		if o.flight == nil && o != e {
			c.drop(o)
		}
	}
	for at := c.used.Back(); at != nil && c.bytes > c.conf.Bytes; at = at.Prev() {
		if o := at.Value.(*cardEntry); o.whole && o != e {
			o.whole, o.card = false, Card{}
			c.bytes -= o.bytes - cardOverhead
			o.bytes = cardOverhead
		}
	}
	for at := c.used.Back(); at != nil && c.bytes > c.conf.Bytes; {
		o := at.Value.(*cardEntry)
		at = at.Prev()
		if o.flight == nil && o != e {
			c.drop(o)
		}
	}
}

func (c *Cards) drop(e *cardEntry) {
	e.in.Remove(e.place)
	c.bytes -= e.bytes
	delete(c.all, e.user)
}

var errCardsClosed = errors.New("the host is not served any more")

// fly joins the call for a user, or begins one; under the lock.
func (c *Cards) fly(e *cardEntry) *cardFlight {
	if e.flight != nil {
		return e.flight
	}
	f := &cardFlight{done: make(chan struct{})}
	if c.closed {
		f.err = &TemporaryError{Err: fmt.Errorf("vCard of %s: %w", e.user, errCardsClosed)}
		close(f.done)
		return f
	}
	e.flight = f
	c.work.Go(func() { c.run(e, f) })
	return f
}

// run asks the source, and tells of what it says.
func (c *Cards) run(e *cardEntry, f *cardFlight) {
	ctx, cancel := context.WithTimeout(c.ctx, c.conf.Timeout)
	defer cancel()
	f.card, f.err = c.ask(ctx, e.user)
	if c.ctx.Err() == nil {
		c.tell(e.user, f.err)
	}
	c.mu.Lock()
	news, first := false, !e.known
	if e.err = f.err; f.err == nil {
		mark := f.card.Mark()
		news = first || mark != e.mark
		e.card, e.mark, e.known, e.whole = f.card, mark, true, true
		e.until, e.tries = time.Now().Add(c.conf.Age), 0
		in := &c.used
		if f.card.Empty() {
			in = &c.nobody
		}
		c.put(e, in)
	} else {
		e.until = time.Now().Add(c.conf.Pause)
		e.tries++
	}
	mark := e.mark
	c.weigh(e)
	c.mu.Unlock()
	if watch := c.watch.Load(); news && watch != nil {
		(*watch)(e.user, mark, first)
	}
	c.mu.Lock()
	e.flight = nil
	c.mu.Unlock()
	close(f.done)
}

// tell logs what is wrong with a card each time, and of an outage its beginning and its end.
func (c *Cards) tell(user addr.Bare, err error) {
	var permanent *PermanentError
	switch {
	case err == nil:
		if c.failing.Swap(false) {
			c.log.Info("vCards can be fetched again", "user", user)
		}
	case errors.As(err, &permanent) || !c.failing.Swap(true):
		c.log.Warn("vCard not fetched", "user", user, "error", err)
	default:
		c.log.Debug("vCard not fetched", "user", user, "error", err)
	}
}

func (c *Cards) ask(ctx context.Context, user addr.Bare) (card Card, err error) {
	select {
	case c.places <- struct{}{}:
		defer func() { <-c.places }()
	case <-ctx.Done():
		return Card{}, &TemporaryError{Err: fmt.Errorf("vCard of %s: the backend is busy with others: %w", user, context.Cause(ctx))}
	}
	defer func() {
		if p := recover(); p != nil {
			err = &FaultError{Kind: "trap", Err: fmt.Errorf("vCard of %s: %v", user, p)}
		}
	}()
	if card, err = c.source.Card(ctx, user); err != nil {
		return Card{}, fmt.Errorf("vCard of %s: %w", user, err)
	}
	return card, nil
}

// enqueue has a card fetched that nobody waits for; under the lock.
func (c *Cards) enqueue(user addr.Bare) {
	if c.closed || c.queued[user] {
		return
	}
	user = user.Clone()
	c.queued[user] = true
	c.queue = append(c.queue, user)
	if c.workers < max(1, c.conf.Parallel/2) {
		c.workers++
		c.work.Go(c.fetchQueued)
	}
}

func (c *Cards) fetchQueued() {
	for {
		c.mu.Lock()
		if len(c.queue) == 0 || c.closed {
			c.queue = nil
			c.workers--
			c.mu.Unlock()
			return
		}
		user := c.queue[0]
		c.queue = c.queue[1:]
		delete(c.queued, user)
		e := c.entry(user)
		if time.Now().Before(e.until) {
			c.mu.Unlock()
			continue
		}
		f := c.fly(e)
		c.mu.Unlock()
		<-f.done
		var permanent *PermanentError
		if f.err == nil || errors.As(f.err, &permanent) { // that is so until somebody mends it
			continue
		}
		if !c.again(user) {
			return
		}
	}
}

// maxCardTries is how often a user is asked about in a row of whom nobody waits to know.
const maxCardTries = 5

// again puts a user whose card could not be had at the end of the queue, and waits: the backend may be ill. It is false at
// the end of all.
func (c *Cards) again(user addr.Bare) bool {
	select {
	case <-time.After(c.conf.Pause):
	case <-c.ctx.Done():
		c.mu.Lock()
		c.workers--
		c.mu.Unlock()
		return false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if e := c.all[user]; e != nil && e.tries > 0 && e.tries < maxCardTries && !c.queued[user] {
		c.queued[user] = true
		c.queue = append(c.queue, user)
	}
	return true
}
