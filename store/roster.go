package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"rosterd/engine/addr"
)

// ErrClosed says that the store is closed.
var ErrClosed = errors.New("store is closed")

// linger is how long a roster waits for others to be committed with.
const linger = 20 * time.Millisecond

// maxBacklog is how many bytes of rosters may wait to be written.
const maxBacklog = 64 << 20

// LoadRoster is the roster that was saved last, also while it waits to be written. The document must not be
// changed.
func (s *Store) LoadRoster(ctx context.Context, user addr.Bare) (doc []byte, ok bool, err error) {
	if c, ok := s.rosters.waiting(user); ok {
		return c.document(), !c.gone, nil
	}
	doc, err = ask(ctx, s.desk, func(context.Context) (doc []byte, err error) {
		err = s.findRoster.QueryRowContext(context.Background(), user.Domain(), user.Local()).Scan(&doc)
		return doc, err
	})
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return nil, false, nil
	case err != nil:
		return nil, false, fmt.Errorf("roster of %s in %s: %w", user, s.path, err)
	}
	return doc, true, nil
}

// SaveRoster queues a roster and returns; it waits only while too much is queued already. The document must not
// be changed afterwards. The error says that the roster is not kept: the store is closed, ctx has ended, or
// writing fails and the queue is full.
func (s *Store) SaveRoster(ctx context.Context, user addr.Bare, doc []byte) error {
	if doc == nil {
		doc = []byte{} // a roster of no bytes is one all the same
	}
	return s.rosters.put(ctx, user, rosterChange{doc: doc})
}

// SaveLater is SaveFresh, or SaveRoster where until is zero, of a document that write appends to what it is given when it
// is needed, which is not before the next commit: what is replaced until then is never made. It is of some size bytes.
// Write is called any number of times, from any goroutine, and appends the same each time. It does nothing else: it is
// called within the transaction that writes the document.
func (s *Store) SaveLater(ctx context.Context, user addr.Bare, size int, write func([]byte) []byte, until time.Time) error {
	c := rosterChange{write: write, room: size}
	if !until.IsZero() {
		c.fresh = until.UnixNano()
	}
	return s.rosters.put(ctx, user, c)
}

// DeleteRoster queues that there is no roster any more.
func (s *Store) DeleteRoster(ctx context.Context, user addr.Bare) error {
	return s.rosters.put(ctx, user, rosterChange{gone: true})
}

const deleteRoster = `DELETE FROM roster WHERE host = ? AND name = ?`

// Forget deletes the roster that was kept of a user and what is in all stores. It has happened when it returns.
func (s *Store) Forget(ctx context.Context, user addr.Bare) error {
	if err := s.forgetRoster(ctx, user); err != nil {
		return err
	}
	return s.tables.forget(ctx, user)
}

// forgetRoster deletes the roster that was kept, also where one is queued, or is being written right now.
func (s *Store) forgetRoster(ctx context.Context, user addr.Bare) error {
	if err := s.DeleteRoster(ctx, user); err != nil {
		return err
	}
	err := s.rosters.written(ctx, user)
	if err == nil {
		err = s.execute(ctx, deleteRoster, user.Domain(), user.Local())
	}
	if err != nil {
		return fmt.Errorf("delete roster of %s from %s: %w", user, s.path, err)
	}
	return nil
}

// execute is for one statement.
func (s *Store) execute(ctx context.Context, query string, args ...any) error {
	ctx, cancel := context.WithTimeout(ctx, longWork)
	defer cancel()
	return s.desk.do(ctx, func(ctx context.Context) error {
		_, err := s.db.ExecContext(ctx, query, args...)
		s.mark(s.db)
		return err
	})
}

type rosterChange struct {
	doc   []byte
	write func([]byte) []byte // appends the document, if that is not made yet; else nil
	room  int                 // what it will take
	fresh int64               // until when, in nanoseconds of Unix time; 0: it is not
	gone  bool
}

// size estimates what a change holds in memory: its document, or what that is made from, which is about as much.
func (c rosterChange) size() int { return len(c.doc) + c.room + 256 }

func (c rosterChange) document() []byte {
	if c.write == nil {
		return c.doc
	}
	return c.write(make([]byte, 0, c.room))
}

// rosterWriter commits rosters in a goroutine of its own, which close stops. What comes while one commit runs
// makes up the next: a storm of logins costs few commits, and a roster that changes twice is written once.
type rosterWriter struct {
	db   *sql.DB
	turn *sync.Mutex // held for each commit
	log  *slog.Logger
	mark func()        // after a commit that has come to be; may be nil
	most int           // bytes that may wait
	wake chan struct{} // there is something to write; holds one
	stop chan struct{} // closed by close
	done chan struct{} // closed by run

	stall *stall // hears of commits that do not come back; may be nil

	save, refresh, spoilt, anyFresh *sql.Stmt // of commits, parsed once; nil before the first one
	made                            []byte    // the document of a commit that is being written

	mu      sync.Mutex // guards the fields below
	queued  map[addr.Bare]rosterChange
	writing map[addr.Bare]rosterChange // in the commit that runs
	since   time.Time                  // when that began
	spoiled map[addr.Bare]bool         // of those in the commit, who was made stale since it began
	backlog int                        // bytes in both

	freshened int            // commits that have settled and may have made rosters fresh
	empty     map[string]int // hosts without a fresh roster: what that was when somebody looked
	loosened  int            // times that a commit made a fresh roster stale
	loose     map[string]int // hosts of which the disk may not have that yet: what that was the last time

	failed  error // of the last commit
	stats   Stats
	settled chan struct{} // closed when a commit has ended, then made anew
	closed  bool
}

func newRosterWriter(db *sql.DB, turn *sync.Mutex, log *slog.Logger) *rosterWriter {
	return &rosterWriter{
		db: db, turn: turn, log: log, most: maxBacklog,
		wake: make(chan struct{}, 1), stop: make(chan struct{}), done: make(chan struct{}),
		queued: map[addr.Bare]rosterChange{}, spoiled: map[addr.Bare]bool{}, settled: make(chan struct{}),
	}
}

func (w *rosterWriter) waiting(user addr.Bare) (rosterChange, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if c, ok := w.queued[user]; ok {
		return c, true
	}
	c, ok := w.writing[user]
	if w.spoiled[user] {
		c.fresh = 0
	}
	return c, ok
}

func (w *rosterWriter) put(ctx context.Context, user addr.Bare, c rosterChange) error {
	for {
		settled, err := w.tryPut(user, c)
		switch {
		case err != nil:
			return fmt.Errorf("keep roster of %s: %w", user, err)
		case settled == nil:
			return nil
		}
		if err := within(ctx, settled); err != nil {
			return fmt.Errorf("keep roster of %s: %w", user, err)
		}
	}
}

// written waits for a commit that runs, if it has to do with a user.
func (w *rosterWriter) written(ctx context.Context, user addr.Bare) error {
	w.mu.Lock()
	_, now := w.writing[user]
	settled := w.settled
	w.mu.Unlock()
	if !now {
		return nil
	}
	ctx, cancel := context.WithTimeoutCause(ctx, longest, ErrStalled)
	defer cancel()
	select {
	case <-settled:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// tryPut queues a change, or returns what to wait for.
func (w *rosterWriter) tryPut(user addr.Bare, c rosterChange) (settled <-chan struct{}, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	old, again := w.queued[user]
	switch full := w.backlog >= w.most && !again; {
	case w.closed:
		return nil, ErrClosed
	case full && w.failed != nil:
		return nil, w.failed
	case full && w.writing != nil && time.Since(w.since) >= stalling:
		return nil, ErrStalled
	case full:
		return w.settled, nil
	}
	if again {
		w.backlog -= old.size()
	}
	w.queued[user] = c
	w.backlog += c.size()
	select {
	case w.wake <- struct{}{}:
	default:
	}
	return nil, nil
}

// run writes until close. After a failure it waits longer and longer, and logs only the first and the last.
func (w *rosterWriter) run() {
	defer close(w.done)
	const shortest, longest = time.Second, 30 * time.Second
	pause := shortest
	for {
		select {
		case <-w.wake:
		case <-w.stop:
			return
		}
		select { // a storm of logins makes few commits
		case <-time.After(linger):
		case <-w.stop:
			return
		}
		for w.flush() != nil {
			select {
			case <-time.After(pause):
			case <-w.stop:
				return
			}
			pause = min(2*pause, longest)
		}
		pause = shortest
	}
}

// flush commits what is queued, in one transaction.
func (w *rosterWriter) flush() error {
	w.mu.Lock()
	batch, before := w.queued, w.failed
	if len(batch) == 0 {
		w.mu.Unlock()
		return nil
	}
	w.writing, w.queued, w.since = batch, map[addr.Bare]rosterChange{}, time.Now()
	w.mu.Unlock()
	back := w.stall.watch()
	err := w.commit(batch)
	back()
	switch {
	case err != nil && before == nil:
		w.log.Error("rosters are not kept: writing fails and is tried again", "rosters", len(batch), "err", err)
	case err == nil && before != nil:
		w.log.Info("rosters are kept again", "rosters", len(batch))
	}
	w.settle(err)
	return err
}

// settle puts back what was not written, unless something newer is queued.
func (w *rosterWriter) settle(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	fresh := false
	for user, c := range w.writing {
		fresh = fresh || c.fresh != 0
		if _, newer := w.queued[user]; err == nil || newer {
			w.backlog -= c.size()
		} else {
			if w.spoiled[user] {
				c.fresh = 0
			}
			w.queued[user] = c
		}
	}
	if fresh { // also after an error: nobody knows how far it came
		w.freshened++
	}
	w.stats.count(len(w.writing), err)
	clear(w.spoiled)
	w.writing, w.failed = nil, err
	close(w.settled)
	w.settled = make(chan struct{})
}

// roomToKeep is how many bytes are kept for the documents of the next commit.
const roomToKeep = 256 << 10

// bytes are those of a change, until the next one is made: each document of a commit is written into the memory of the one
// before, as a refresh of many users would take as much at once as all their rosters have.
func (w *rosterWriter) bytes(c rosterChange) []byte {
	if c.write == nil {
		return c.doc
	}
	if cap(w.made) < max(c.room, 1) { // a roster of no bytes is one all the same
		w.made = make([]byte, 0, max(c.room, 1))
	}
	w.made = c.write(w.made[:0])
	return w.made
}

func (w *rosterWriter) commit(batch map[addr.Bare]rosterChange) (err error) {
	w.turn.Lock()
	defer w.turn.Unlock()
	defer func() {
		if cap(w.made) > roomToKeep {
			w.made = nil
		}
	}()
	ctx := context.Background() // bounded by the busy timeout
	if err := w.prepare(ctx); err != nil {
		return err
	}
	tx, err := w.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, tx.Rollback())
		}
	}()
	save, freshness := tx.StmtContext(ctx, w.save), freshnessSaver{tx: tx, w: w}
	now := time.Now().Unix()
	for user, c := range batch {
		err = freshness.save(ctx, user, c)
		switch {
		case err != nil:
		case c.gone:
			_, err = tx.ExecContext(ctx, deleteRoster, user.Domain(), user.Local())
		default:
			_, err = save.ExecContext(ctx, user.Domain(), user.Local(), w.bytes(c), now)
		}
		if err != nil {
			return fmt.Errorf("roster of %s: %w", user, err)
		}
	}
	if err = tx.Commit(); err == nil && w.mark != nil {
		w.mark()
	}
	return err
}

// prepare parses what commits say, before the first one.
func (w *rosterWriter) prepare(ctx context.Context) (err error) {
	for _, p := range []struct {
		stmt  **sql.Stmt
		query string
	}{
		{&w.save, `INSERT INTO roster (host, name, doc, saved) VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET doc = excluded.doc, saved = excluded.saved`},
		{&w.refresh, `INSERT INTO fresh (host, name, until) VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET until = excluded.until`},
		{&w.spoilt, `DELETE FROM fresh WHERE host = ? AND name = ?`},
		{&w.anyFresh, `SELECT EXISTS (SELECT 1 FROM fresh)`},
	} {
		if *p.stmt != nil {
			continue
		}
		if *p.stmt, err = w.db.PrepareContext(ctx, p.query); err != nil {
			return err
		}
	}
	return nil
}

// close stops the goroutine and writes what is left.
func (w *rosterWriter) close() error {
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
		return fmt.Errorf("rosters are lost: %w", err)
	}
	return nil
}
