package passwords

import (
	"cmp"
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"runtime/debug"
	"sync"
	"time"

	"rosterd/engine/addr"
)

// Limits say how a source may be used. Zero fields mean the defaults.
type Limits struct {
	Timeout  time.Duration // of one question, and of waiting for its turn; default 10 seconds
	Parallel int           // questions at a time; default 16
	Breaker  int           // failures in a row after which nobody is asked for a while; default 5, negative: never
	Cache    time.Duration // for how long who has been let in is without another question; 0: not at all
}

// Guarded is a source that can be asked by whoever comes: questions have a deadline, there are only so many at a time,
// equal ones at the same time are one, and while the source fails it is left in peace. What it has refused is never kept.
// It keeps no password: questions are known by a keyed hash.
type Guarded struct {
	source Source
	limits Limits
	log    *slog.Logger
	key    []byte        // of the hashes; random, and of this process only
	turns  chan struct{} // one place for each question under way

	mu      sync.Mutex // guards the fields below
	asking  map[question]*inquiry
	kept    kept
	breaker breaker
	stats   Stats
}

// Stats count since the start.
type Stats struct {
	Asked     uint64 // questions that have reached the source
	Accepted  uint64 // of these, those it has said yes to
	Refused   uint64 // of these, those it has said no to
	Failed    uint64 // of these, those it could not answer
	Joined    uint64 // who was told what somebody else had asked at the same time
	Cached    uint64 // who was not asked about
	TurnedOff uint64 // who was refused while the source was left in peace
	Open      bool   // it is left in peace
}

var (
	_ Source = (*Guarded)(nil)
	_ Users  = (*Guarded)(nil)
	_ Tokens = (*Guarded)(nil)
)

// Guard puts limits around a source. The log is told when a source is left in peace and when it answers again; nil means
// slog.Default.
func Guard(s Source, l Limits, log *slog.Logger) *Guarded {
	l.Timeout, l.Parallel, l.Breaker = cmp.Or(l.Timeout, 10*time.Second), cmp.Or(l.Parallel, 16), cmp.Or(l.Breaker, 5)
	if log == nil {
		log = slog.Default()
	}
	if _, once := s.(Once); once { // there is nothing to keep
		l.Cache = 0
	}
	g := &Guarded{source: s, limits: l, log: log, key: make([]byte, 32), turns: make(chan struct{}, l.Parallel), asking: make(map[question]*inquiry)}
	g.breaker.limit = l.Breaker
	rand.Read(g.key)
	return g
}

// Close closes the source, if it is an io.Closer, when no question is under way, or has been for so long that nobody
// waits for the answer.
func (g *Guarded) Close() error {
	c, ok := g.source.(io.Closer)
	if !ok {
		return nil
	}
	patience := time.NewTimer(g.limits.Timeout)
	defer patience.Stop()
	for range g.limits.Parallel {
		select {
		case g.turns <- struct{}{}:
			defer func() { <-g.turns }() // who comes too late is told by the source, and does not wait
			continue
		case <-patience.C:
		}
		break
	}
	return c.Close()
}

// Source is what was guarded.
func (g *Guarded) Source() Source { return g.source }

// Stats returns the counts until now.
func (g *Guarded) Stats() Stats {
	g.mu.Lock()
	defer g.mu.Unlock()
	s := g.stats
	s.Open = g.breaker.open
	return s
}

// CheckPassword asks the source, as a Source does.
func (g *Guarded) CheckPassword(ctx context.Context, user addr.Bare, password string) error {
	q := g.question("password", user.String(), password)
	if _, once := g.source.(Once); once {
		rand.Read(q[:]) // it is like no other
	}
	_, err := g.ask(ctx, user.String(), q, func(ctx context.Context) (answer, error) {
		return answer{}, g.source.CheckPassword(ctx, user, password)
	})
	return err
}

// UserExists asks the source, if it can be asked for that; else the error is ErrUnknown.
func (g *Guarded) UserExists(ctx context.Context, user addr.Bare) (bool, error) {
	users, ok := g.source.(Users)
	if !ok {
		return false, ErrUnknown
	}
	a, err := g.ask(ctx, user.String(), g.question("user", user.String(), ""), func(ctx context.Context) (answer, error) {
		exists, err := users.UserExists(ctx, user)
		return answer{nobody: !exists}, err
	})
	return err == nil && !a.nobody, err
}

// CheckToken asks the source, if it can be asked for that; else the error is ErrUnknown.
func (g *Guarded) CheckToken(ctx context.Context, host, token string) (addr.Bare, error) {
	tokens, ok := g.source.(Tokens)
	if !ok {
		return addr.Bare{}, ErrUnknown
	}
	q := g.question("token", host, token)
	a, err := g.ask(ctx, string(q[:]), q, func(ctx context.Context) (a answer, err error) {
		a.user, err = tokens.CheckToken(ctx, host, token)
		return a, err
	})
	return a.user, err
}

// A question is what is asked, so that an equal one is known and nothing of the secret in it is.
type question [sha256.Size]byte

func (g *Guarded) question(kind, who, secret string) question {
	mac := hmac.New(sha256.New, g.key)
	for _, part := range []string{kind, who, secret} {
		var n [8]byte
		binary.BigEndian.PutUint64(n[:], uint64(len(part)))
		mac.Write(n[:])
		mac.Write([]byte(part))
	}
	return question(mac.Sum(nil))
}

// answer is what a source says, as far as the question is about it.
type answer struct {
	nobody bool // there is no such user
	user   addr.Bare
}

// inquiry is a question under way.
type inquiry struct {
	done    chan struct{} // closed when there is an answer
	answer  answer
	err     error
	waiting int // for it; guarded by the Guarded's lock
	cancel  context.CancelFunc
}

// ask has one answer for all who ask the same at the same time. Who cannot wait any longer goes; when the last one has
// gone, the source is told.
func (g *Guarded) ask(ctx context.Context, who string, q question, f func(context.Context) (answer, error)) (answer, error) {
	x, a, known := g.join(who, q, f)
	if known {
		return a, nil
	}
	select {
	case <-x.done:
		return x.answer, x.err
	case <-ctx.Done():
		g.leave(q, x)
		return answer{}, ctx.Err()
	}
}

// join finds a question under way, or begins one, unless the answer is known.
func (g *Guarded) join(who string, q question, f func(context.Context) (answer, error)) (x *inquiry, a answer, known bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if a, known = g.kept.get(q, time.Now()); known {
		g.stats.Cached++
		return nil, a, true
	}
	if x = g.asking[q]; x != nil {
		g.stats.Joined++
		x.waiting++
		return x, a, false
	}
	ctx, cancel := context.WithCancel(context.Background())
	x = &inquiry{done: make(chan struct{}), waiting: 1, cancel: cancel}
	g.asking[q] = x
	go g.run(ctx, who, q, x, f)
	return x, a, false
}

// leave is how somebody goes who cannot wait. Nobody joins a question that is being given up.
func (g *Guarded) leave(q question, x *inquiry) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if x.waiting--; x.waiting > 0 {
		return
	}
	x.cancel()
	if g.asking[q] == x {
		delete(g.asking, q)
	}
}

// run gets the answer. A source that does not look at its deadline keeps its place, and nobody waiting.
func (g *Guarded) run(ctx context.Context, who string, q question, x *inquiry, f func(context.Context) (answer, error)) {
	defer x.cancel()
	if err := g.turn(ctx); err != nil {
		g.end(q, x, answer{}, err)
		return
	}
	try, err := g.begin(who)
	if err != nil {
		<-g.turns
		g.end(q, x, answer{}, err)
		return
	}
	ctx, cancel := context.WithTimeout(ctx, g.limits.Timeout)
	defer cancel()
	type result struct {
		answer
		err error
	}
	got := make(chan result, 1)
	go func() {
		defer func() { <-g.turns }()
		var r result
		defer func() {
			if p := recover(); p != nil {
				g.log.Error("who knows the passwords panicked", "panic", p, "stack", string(debug.Stack()))
				r = result{err: fmt.Errorf("panic: %v", p)}
			}
			got <- r
		}()
		r.answer, r.err = f(ctx)
	}()
	var r result
	select {
	case r = <-got:
	case <-ctx.Done():
		r.err = ctx.Err()
	}
	if errors.Is(r.err, context.DeadlineExceeded) && ctx.Err() != nil {
		r.err = fmt.Errorf("no answer within %v: %w", g.limits.Timeout, r.err)
	}
	g.settle(ctx, try, r.err)
	if r.err != nil {
		r.answer = answer{}
	}
	g.end(q, x, r.answer, r.err)
}

// errBusy is of those who had no turn.
var errBusy = fmt.Errorf("%w: too many questions at the same time", ErrUnasked)

// turn waits for a place among those who are asking.
func (g *Guarded) turn(ctx context.Context) error {
	select {
	case g.turns <- struct{}{}:
		return nil
	default:
	}
	patience := time.NewTimer(g.limits.Timeout)
	defer patience.Stop()
	select {
	case g.turns <- struct{}{}:
		return nil
	case <-patience.C:
		return errBusy
	case <-ctx.Done():
		return ctx.Err()
	}
}

// end tells those who wait.
func (g *Guarded) end(q question, x *inquiry, a answer, err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.asking[q] == x {
		delete(g.asking, q)
	}
	if now := time.Now(); err == nil && !a.nobody && g.limits.Cache > 0 && x.waiting > 0 {
		g.kept.put(q, a, now, now.Add(g.limits.Cache))
	}
	x.answer, x.err = a, err
	close(x.done)
}

// begin lets a question through to the source, unless that is left in peace.
func (g *Guarded) begin(who string) (attempt, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	try, err := g.breaker.begin(who, time.Now())
	if err != nil {
		g.stats.TurnedOff++
		return try, err
	}
	g.stats.Asked++
	return try, nil
}

// settle takes note of how a question has gone. That the last one who waited for the answer has left says nothing.
func (g *Guarded) settle(ctx context.Context, try attempt, err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	var what change
	switch {
	case err == nil, errors.Is(err, ErrRefused):
		if err != nil {
			g.stats.Refused++
		} else {
			g.stats.Accepted++
		}
		what = g.breaker.answered(try)
	case errors.Is(ctx.Err(), context.Canceled):
		g.breaker.given(try)
		return
	default:
		g.stats.Failed++
		what = g.breaker.failed(try, err, time.Now())
	}
	switch what {
	case tripped:
		g.log.Warn("logins fail, who knows the passwords is not asked for a while", "failures", g.breaker.faults, "pause", g.breaker.pause, "error", err)
	case closed:
		g.log.Info("who knows the passwords answers again")
	}
}
