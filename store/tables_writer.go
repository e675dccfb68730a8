package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"modernc.org/sqlite"
)

// tableWriter commits what is to be written to tables, in a goroutine of its own that close stops. What comes while one
// commit runs makes up the next, so that many who wait for the disk wait for it together. Entries for which nobody waits
// linger a moment for others. What the database refuses of itself does not cost the others that are written with it.
type tableWriter struct {
	db     *sql.DB
	turn   *sync.Mutex // held for each commit
	log    *slog.Logger
	most   int           // bytes of entries that may wait
	wake   chan struct{} // there is something to write; holds one
	urgent chan struct{} // somebody waits for it; holds one
	stop   chan struct{} // closed by close
	done   chan struct{} // closed by run
	insert func(ctx context.Context, tx *sql.Tx, entries []any) error
	stall  *stall // hears of commits that do not come back; may be nil

	after    func()                                                             // a commit that has come to be; may be nil
	patience time.Duration                                                      // bounds a commit, unless it is 0
	trim     func(ctx context.Context, tx *sql.Tx, logs map[logKey]int64) error // of logs that have got entries; may be nil

	mu      sync.Mutex // guards the fields below
	queued  []change
	next    *outcome  // of what is queued
	now     *outcome  // that runs; nil if none does
	since   time.Time // when that began
	waiting map[logKey]int
	backlog int // bytes of entries that are queued or being committed
	failed  error
	stats   StoresStats
	closed  bool
}

// change is something to do in a transaction, perhaps more than once. An entry stays queued until it could be written or
// is refused; for anything else somebody waits, and hears of the failure.
type change struct {
	do    func(ctx context.Context, tx *sql.Tx, b *batch) error
	log   logKey // of an entry
	entry bool
	size  int

	over   bool   // it is committed, or refused
	failed *error // for whom waits for it; nil of an entry
	lost   error  // why an entry is refused
}

// outcome is that of what was queued at some time. It is good once done is closed.
type outcome struct {
	done chan struct{}
	err  error
	lost map[logKey]error // of logs with entries that were refused; nil: none
}

// of is the outcome for the entries of one log, or of any for the zero key.
func (c *outcome) of(log logKey) error {
	if c.err != nil {
		return c.err
	}
	for key, err := range c.lost {
		if key == log || log == (logKey{}) {
			return err
		}
	}
	return nil
}

// batch is what changes of one transaction know of each other.
type batch struct {
	logs    map[logKey]int64 // IDs of logs
	entries []any            // that are still to be inserted: columns of the first, of the second …
	insert  func(ctx context.Context, tx *sql.Tx, entries []any) error
}

// flush inserts the entries, before anything looks for them.
func (b *batch) flush(ctx context.Context, tx *sql.Tx) error {
	list := b.entries
	b.entries = b.entries[:0]
	return b.insert(ctx, tx, list)
}

func newOutcome() *outcome { return &outcome{done: make(chan struct{})} }

func newTableWriter(db *sql.DB, turn *sync.Mutex, log *slog.Logger) *tableWriter {
	return &tableWriter{
		db: db, turn: turn, log: log, most: maxBacklog,
		wake: make(chan struct{}, 1), urgent: make(chan struct{}, 1), stop: make(chan struct{}), done: make(chan struct{}),
		next: newOutcome(), waiting: map[logKey]int{},
	}
}

// append queues an entry, which number makes under the lock: entries are numbered in the order in which they are
// written. It waits only while too much is queued.
func (w *tableWriter) append(ctx context.Context, log logKey, size int, number func() func(context.Context, *sql.Tx, *batch) error) error {
	for {
		full, err := w.tryAppend(log, size, number)
		if err != nil || full == nil {
			return err
		}
		signal(w.urgent)
		if err := within(ctx, full.done); err != nil {
			return err
		}
	}
}

// within waits for something, but no longer than until it is seen that nothing moves.
func within(ctx context.Context, done <-chan struct{}) error {
	t := time.NewTimer(stalling)
	defer t.Stop()
	select {
	case <-done:
	case <-t.C:
	case <-ctx.Done():
		return ctx.Err()
	}
	return nil
}

// stalled tells whether a commit does not come back. Under the lock.
func (w *tableWriter) stalled() bool { return w.now != nil && time.Since(w.since) >= stalling }

// tryAppend queues an entry, or returns what to wait for.
func (w *tableWriter) tryAppend(log logKey, size int, number func() func(context.Context, *sql.Tx, *batch) error) (full *outcome, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch full := w.backlog >= w.most; {
	case w.closed:
		return nil, ErrClosed
	case full && w.failed != nil:
		return nil, w.failed
	case full && w.stalled():
		return nil, ErrStalled
	case full && w.now != nil:
		return w.now, nil
	case full:
		return w.next, nil
	}
	w.queued = append(w.queued, change{do: number(), log: log, entry: true, size: size})
	w.waiting[log]++
	w.backlog += size
	signal(w.wake)
	return nil, nil
}

// change makes a change and returns when it is committed. Where it returns before, with the error of ctx, the change may
// still be made; with ErrStalled it is not.
func (w *tableWriter) change(ctx context.Context, do func(context.Context, *sql.Tx, *batch) error) error {
	failed := new(error)
	c, err := w.enqueue(change{do: do, failed: failed})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, longWork)
	defer cancel()
	if err := w.await(ctx, c); err != nil {
		return err
	}
	return *failed
}

func (w *tableWriter) enqueue(x change) (*outcome, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case w.closed:
		return nil, ErrClosed
	case w.stalled():
		return nil, ErrStalled
	}
	w.queued = append(w.queued, x)
	return w.next, nil
}

// written is sync of one log, for who would rather hear at once that this cannot be.
func (w *tableWriter) written(ctx context.Context, log logKey) error {
	w.mu.Lock()
	stalled := w.stalled() && w.unwritten(log) != nil
	w.mu.Unlock()
	if stalled {
		return ErrStalled
	}
	return w.sync(ctx, log)
}

// sync returns when all entries that were appended before are committed; of one log, or of any for the zero key.
func (w *tableWriter) sync(ctx context.Context, log logKey) error {
	w.mu.Lock()
	c := w.unwritten(log)
	w.mu.Unlock()
	if c == nil {
		return nil
	}
	if err := w.await(ctx, c); err != nil {
		return err
	}
	return c.of(log)
}

// unwritten is the last commit that entries wait for.
func (w *tableWriter) unwritten(log logKey) *outcome {
	switch {
	case log == logKey{} && len(w.waiting) == 0, log != logKey{} && w.waiting[log] == 0:
		return nil
	case len(w.queued) > 0 || w.now == nil:
		return w.next
	default:
		return w.now
	}
}

// await returns when there is an outcome; the error is that of ctx.
func (w *tableWriter) await(ctx context.Context, c *outcome) error {
	signal(w.wake)
	signal(w.urgent)
	select {
	case <-c.done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// run writes until close. After a failure it waits longer and longer, unless somebody asks, and logs only the first
// and the last.
func (w *tableWriter) run() {
	defer close(w.done)
	const shortest, longest = time.Second, 30 * time.Second
	pause := time.Duration(0)
	for {
		if pause == 0 {
			select {
			case <-w.wake:
			case <-w.stop:
				return
			}
		}
		select {
		case <-time.After(max(linger, pause)):
		case <-w.urgent:
		case <-w.stop:
			return
		}
		if w.flush() == nil {
			pause = 0
		} else {
			pause = min(max(2*pause, shortest), longest)
		}
	}
}

// flush commits what is queued, in one transaction unless something in it is refused.
func (w *tableWriter) flush() error {
	w.mu.Lock()
	list, c, before := w.queued, w.next, w.failed
	if len(list) == 0 && before == nil { // after a failure, an empty transaction shows whether it has passed
		w.mu.Unlock()
		return nil
	}
	w.queued, w.next, w.now, w.since = nil, newOutcome(), c, time.Now()
	w.mu.Unlock()
	back := w.stall.watch()
	err := w.commitAll(list)
	back()
	switch {
	case err != nil && before == nil:
		w.log.Error("stores are not kept: writing fails and is tried again", "changes", len(list), "err", err)
	case err == nil && before != nil:
		w.log.Info("stores are kept again", "changes", len(list))
	}
	w.settle(list, c, err)
	return err
}

// commitAll commits what it can. The error is one that all have, of whom it does not say that they are over.
func (w *tableWriter) commitAll(list []change) error {
	err := w.commit(list)
	switch {
	case err == nil:
		for i := range list {
			list[i].over = true
		}
		return nil
	case !ofOne(err):
		return err
	case len(list) == 1:
		w.refuse(&list[0], err)
		return nil
	}
	half := len(list) / 2
	if err := w.commitAll(list[:half]); err != nil {
		return err
	}
	return w.commitAll(list[half:])
}

// refuse gives up a change that the database will never take. Of a lost entry whoever waits for its log hears, too.
func (w *tableWriter) refuse(c *change, err error) {
	c.over = true
	if !c.entry {
		*c.failed = err
		return
	}
	c.lost = err
	w.log.Error("an entry is refused by the database and lost", "store", c.log.store, "user", c.log.user, "err", err)
}

// settle puts back the entries that were not written.
func (w *tableWriter) settle(list []change, c *outcome, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	var again []change
	for _, x := range list {
		switch {
		case x.entry && !x.over:
			again = append(again, x)
		case x.entry:
			w.over(x, c)
		case !x.over:
			*x.failed = err
		}
	}
	w.queued = append(again, w.queued...)
	w.now, w.failed = nil, err
	w.stats.count(len(list), err)
	c.err = err
	close(c.done)
}

// over is for an entry that is committed, or refused.
func (w *tableWriter) over(x change, c *outcome) {
	w.backlog -= x.size
	if w.waiting[x.log]--; w.waiting[x.log] == 0 {
		delete(w.waiting, x.log)
	}
	if x.lost == nil {
		return
	}
	if c.lost == nil {
		c.lost = map[logKey]error{}
	}
	c.lost[x.log] = x.lost
}

func (w *tableWriter) commit(list []change) error {
	w.turn.Lock()
	defer w.turn.Unlock()
	ctx := context.Background() // bounded by SQLite's busy timeout
	if w.patience > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, w.patience)
		defer cancel()
	}
	tx, err := w.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	b := &batch{logs: map[logKey]int64{}, insert: w.insert}
	for _, c := range list {
		if !c.entry {
			if err := b.flush(ctx, tx); err != nil {
				return err
			}
		}
		if err := c.do(ctx, tx, b); err != nil {
			return err
		}
	}
	if err := b.flush(ctx, tx); err != nil {
		return err
	}
	if w.trim != nil {
		if err := w.trim(ctx, tx, b.logs); err != nil {
			return err
		}
	}
	if err := tx.Commit(); err != nil {
		return err
	}
	if w.after != nil {
		w.after()
	}
	return nil
}

// failure is that of the last commit.
func (w *tableWriter) failure() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.failed
}

// close stops the goroutine and writes what is left.
func (w *tableWriter) close() error {
	w.mu.Lock()
	closed := w.closed
	w.closed = true
	w.mu.Unlock()
	if closed {
		return ErrClosed
	}
	close(w.stop)
	<-w.done
	if err := w.flush(); err != nil {
		return fmt.Errorf("entries are lost: %w", err)
	}
	return nil
}

// ofOne tells whether an error is about what was to be written, and not about the database.
func ofOne(err error) bool {
	if e, ok := errors.AsType[*pgconn.PgError](err); ok { // classes of SQLSTATE: data, integrity, limits of the program
		return strings.HasPrefix(e.Code, "22") || strings.HasPrefix(e.Code, "23") || strings.HasPrefix(e.Code, "54")
	}
	const tooBig, constraint, mismatch, trigger, primary = 18, 19, 20, 19 | 7<<8, 0xff
	e, ok := errors.AsType[*sqlite.Error](err)
	return ok && e.Code() != trigger && slices.Contains([]int{tooBig, constraint, mismatch}, e.Code()&primary)
}
