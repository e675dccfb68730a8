package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"rosterd/engine/addr"
)

// SaveFresh is SaveRoster of a roster that is fresh until then: both are committed together, or neither. SaveRoster
// makes it one that is not fresh.
func (s *Store) SaveFresh(ctx context.Context, user addr.Bare, doc []byte, until time.Time) error {
	if doc == nil {
		doc = []byte{}
	}
	return s.rosters.put(ctx, user, rosterChange{doc: doc, fresh: until.UnixNano()})
}

// Fresh is until when the roster that LoadRoster gives is fresh, the zero time if it is not.
func (s *Store) Fresh(ctx context.Context, user addr.Bare) (time.Time, error) {
	if c, ok := s.rosters.waiting(user); ok {
		return moment(c.fresh), nil
	}
	until, err := ask(ctx, s.desk, func(ctx context.Context) (until int64, err error) {
		err = s.findFresh.QueryRowContext(ctx, user.Domain(), user.Local()).Scan(&until)
		return until, err
	})
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return time.Time{}, fmt.Errorf("freshness of the roster of %s in %s: %w", user, s.path, err)
	}
	return moment(until), nil
}

func moment(nanoseconds int64) time.Time {
	if nanoseconds == 0 {
		return time.Time{}
	}
	return time.Unix(0, nanoseconds)
}

// spoiling is more than it takes for one user.
const spoiling = time.Millisecond

// Spoil makes the rosters of users stale who are all of one host. When it returns, that is on disk (WAL,
// synchronous=FULL), and what was queued for these users before it is queued as stale.
//
// A hundred thousand users are one statement. Where no roster of the host is fresh it is one look, and none at all as long
// as that holds: rosters become fresh by our own commits alone. A disk that has stopped holds nobody for longer than that
// could take.
func (s *Store) Spoil(ctx context.Context, users []addr.Bare) error {
	if len(users) == 0 {
		return nil
	}
	host := users[0].Domain()
	names := make([]string, 0, len(users))
	for _, u := range users {
		if u.Domain() != host {
			return fmt.Errorf("%s is not of %s", u, host)
		}
		names = append(names, u.Local())
	}
	settled, seen, none := s.rosters.spoil(users)
	if none {
		return nil
	}
	ctx, cancel := context.WithTimeoutCause(ctx, longest+time.Duration(len(users))*spoiling, ErrStalled)
	defer cancel()
	if settled != nil {
		select {
		case <-settled:
		case <-ctx.Done():
			return s.spoilt(host, context.Cause(ctx))
		}
	}
	any, err := ask(ctx, s.desk, func(ctx context.Context) (any bool, err error) {
		err = s.anyFresh.QueryRowContext(ctx, host).Scan(&any)
		return any, err
	})
	if err != nil {
		return s.spoilt(host, err)
	}
	if any {
		list, err := json.Marshal(names)
		if err != nil {
			return err
		}
		if err := s.execute(ctx, `DELETE FROM fresh WHERE host = ? AND name IN (SELECT value FROM json_each(?))`, host, string(list)); err != nil {
			return s.spoilt(host, err)
		}
	}
	if err := s.tighten(ctx, host); err != nil {
		return s.spoilt(host, err)
	}
	if !any {
		s.rosters.noneIsFresh(host, seen)
	}
	return nil
}

// tighten returns when what commits have made stale of a host is on disk. They do not wait for it, and who finds nothing
// to delete writes nothing: so something is written, with which the disk gets all that was before.
func (s *Store) tighten(ctx context.Context, host string) error {
	times, loose := s.rosters.isLoose(host)
	if !loose {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, longWork)
	defer cancel()
	err := s.desk.do(ctx, func(ctx context.Context) error {
		tx, err := s.db.BeginTx(ctx, nil)
		if err != nil {
			return err
		}
		for _, query := range []string{`INSERT OR REPLACE INTO fresh (host, name, until) VALUES (?, '', 0)`, `DELETE FROM fresh WHERE host = ? AND name = ''`} {
			if _, err := tx.ExecContext(ctx, query, host); err != nil {
				return errors.Join(err, tx.Rollback())
			}
		}
		err = tx.Commit()
		s.mark(s.db)
		return err
	})
	if err == nil {
		s.rosters.tight(host, times)
	}
	return err
}

func (s *Store) spoilt(host string, err error) error {
	if err != nil {
		return fmt.Errorf("freshness of rosters of %s in %s: %w", host, s.path, err)
	}
	return nil
}

// spoil makes stale what is queued of users of one host. What is being committed right now is committed as it is, unless
// that fails and it comes back to the queue: the caller waits until it has settled, and then deletes it from the table.
// Settled is nil if there is nothing to wait for; none tells that there is nothing to delete either. Seen is for noneIsFresh.
func (w *rosterWriter) spoil(users []addr.Bare) (settled <-chan struct{}, seen int, none bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, u := range users {
		if c, ok := w.queued[u]; ok {
			c.fresh = 0
			w.queued[u] = c
		}
		if c, ok := w.writing[u]; ok && c.fresh != 0 {
			w.spoiled[u] = true
			settled = w.settled
		}
	}
	was, looked := w.empty[users[0].Domain()]
	_, loose := w.loose[users[0].Domain()]
	return settled, w.freshened, looked && was == w.freshened && settled == nil && !loose
}

// loosen is called before a commit that makes a fresh roster stale, so that who finds it stale sees that too.
func (w *rosterWriter) loosen(host string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.loose == nil {
		w.loose = make(map[string]int)
	}
	w.loosened++
	w.loose[host] = w.loosened
}

func (w *rosterWriter) isLoose(host string) (times int, loose bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	times, loose = w.loose[host]
	return times, loose
}

// tight says that the disk has all until then.
func (w *rosterWriter) tight(host string, times int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.loose[host] == times {
		delete(w.loose, host)
	}
}

// noneIsFresh says that a look into the table, begun after spoil, has found nothing of a host. That holds until a commit
// which makes something fresh has settled; of one that did meanwhile the look may have been too early to see it.
func (w *rosterWriter) noneIsFresh(host string, seen int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.empty == nil {
		w.empty = make(map[string]int)
	}
	w.empty[host] = seen
}

// freshnessSaver is part of a commit of rosters.
type freshnessSaver struct {
	tx              *sql.Tx
	w               *rosterWriter
	refresh, spoilt *sql.Stmt
	looked, any     bool // whether any roster is fresh: mostly none is, and there is nothing to delete
}

func (f *freshnessSaver) save(ctx context.Context, user addr.Bare, c rosterChange) (err error) {
	if c.fresh != 0 && !c.gone {
		if f.refresh == nil {
			f.refresh = f.tx.StmtContext(ctx, f.w.refresh)
		}
		f.looked, f.any = true, true
		_, err = f.refresh.ExecContext(ctx, user.Domain(), user.Local(), c.fresh)
		return err
	}
	if !f.looked {
		if err = f.tx.StmtContext(ctx, f.w.anyFresh).QueryRowContext(ctx).Scan(&f.any); err != nil {
			return err
		}
		f.looked = true
	}
	if !f.any {
		return nil
	}
	if f.spoilt == nil {
		f.spoilt = f.tx.StmtContext(ctx, f.w.spoilt)
	}
	done, err := f.spoilt.ExecContext(ctx, user.Domain(), user.Local())
	if err != nil {
		return err
	}
	n, err := done.RowsAffected()
	if n > 0 {
		f.w.loosen(user.Domain())
	}
	return err
}
