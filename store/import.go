package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"hash/fnv"
	"strings"
	"sync"
	"time"

	"rosterd/engine/addr"
	"rosterd/store/credential"
)

// Import is what one user gets from elsewhere: account, values and entries in one transaction. Whatever happens on the
// way, the user has all of it or is as before. It is for a program that has the database to itself.
type Import struct {
	tables   *tables
	accounts *accountTable
	user     addr.Bare
	tx       *sql.Tx // nil: nothing is written, and what there is can be asked for all the same
	unlock   func()
	logs     map[string]*importLog
	parsed   map[string]*sql.Stmt // in tx
}

// importLog is one log of the user.
type importLog struct {
	id    int64
	there bool
	last  int64 // seq of the entry added last
}

// Import begins one. If dry, nothing is ever changed. Close ends it.
func (s *Store) Import(ctx context.Context, user addr.Bare, dry bool) (*Import, error) {
	return newImport(ctx, s.safe, &s.turn, s.tables, s.accounts, user, dry)
}

// Import begins one. If dry, nothing is ever changed. Close ends it.
func (p *Postgres) Import(ctx context.Context, user addr.Bare, dry bool) (*Import, error) {
	return newImport(ctx, p.db, new(sync.Mutex), p.tables, p.accounts, user, dry)
}

func newImport(ctx context.Context, db *sql.DB, turn *sync.Mutex, t *tables, a *accountTable, user addr.Bare, dry bool) (*Import, error) {
	i := &Import{tables: t, accounts: a, user: user, unlock: func() {}, logs: map[string]*importLog{}, parsed: map[string]*sql.Stmt{}}
	if dry {
		return i, nil
	}
	turn.Lock()
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		turn.Unlock()
		return nil, fmt.Errorf("import %s into %s: %w", user, t.where, err)
	}
	i.tx, i.unlock = tx, turn.Unlock
	return i, nil
}

// Close gives up what is not committed.
func (i *Import) Close() {
	if i.tx != nil {
		_ = i.tx.Rollback() // ErrTxDone after Commit; else the database forgets it in any case
	}
	i.unlock()
	i.unlock = func() {}
}

// Commit makes it all be there. When it returns, it is on disk.
func (i *Import) Commit() error {
	if i.tx == nil {
		return nil
	}
	return i.fail("", i.tx.Commit())
}

func (i *Import) fail(store string, err error) error {
	switch {
	case err == nil:
		return nil
	case store != "":
		err = fmt.Errorf("store %s: %w", store, err)
	}
	return fmt.Errorf("import %s into %s: %w", i.user, i.tables.where, err)
}

// statement is a query in the transaction, which parses it once: sql.Tx keeps every statement that it is asked for.
func (i *Import) statement(ctx context.Context, query string) (*sql.Stmt, error) {
	st := i.parsed[query]
	if st != nil {
		return st, nil
	}
	st, err := i.tx.PrepareContext(ctx, i.tables.write.text(query))
	if err == nil {
		i.parsed[query] = st
	}
	return st, err
}

// scan asks for one row, in the transaction if there is one.
func (i *Import) scan(ctx context.Context, query string, args []any, into ...any) error {
	if i.tx == nil {
		return i.tables.read.row(ctx, nil, query, args...).Scan(into...)
	}
	st, err := i.statement(ctx, query)
	if err != nil {
		return err
	}
	return st.QueryRowContext(ctx, args...).Scan(into...)
}

// Account is the user's; ok is false if there is none.
func (i *Import) Account(ctx context.Context) (c credential.Credentials, ok bool, err error) {
	c, err = scanCredentials(func(into ...any) error {
		return i.scan(ctx, findAccount, []any{i.user.Domain(), i.user.Local()}, into...)
	})
	if errors.Is(err, sql.ErrNoRows) {
		return c, false, nil
	}
	return c, err == nil, i.fail("accounts", err)
}

// SetAccount makes the account, or replaces what it is opened with, and whether it is disabled.
func (i *Import) SetAccount(ctx context.Context, c credential.Credentials) error {
	if i.tx == nil {
		return nil
	}
	_, err := i.accounts.write.exec(ctx, i.tx, deleteAccount, i.user.Domain(), i.user.Local())
	if err == nil {
		now := time.Now().Unix()
		args := append([]any{i.user.Domain(), i.user.Local()}, columns(c)...)
		_, err = i.accounts.write.exec(ctx, i.tx, insertAccount, append(args, c.Disabled, now, now)...)
	}
	return i.fail("accounts", err)
}

// Values are all that a Keyed has of the user.
func (i *Import) Values(ctx context.Context, store string) (map[string][]byte, error) {
	args := []any{i.user.Domain(), i.user.Local(), store}
	var rows *sql.Rows
	var err error
	if i.tx == nil {
		rows, err = i.tables.read.rows(ctx, allValues, args...)
	} else {
		rows, err = i.tx.QueryContext(ctx, i.tables.write.text(allValues), args...)
	}
	if err != nil {
		return nil, i.fail(store, err)
	}
	defer rows.Close()
	all := map[string][]byte{}
	for rows.Next() {
		var key, value []byte
		if err := rows.Scan(&key, &value); err != nil {
			return nil, i.fail(store, err)
		}
		all[string(key)] = notNil(value)
	}
	return all, i.fail(store, rows.Err())
}

// Change sets values of a Keyed, and removes those that are nil. ErrLongKey is about one of them, and then nothing was
// changed.
func (i *Import) Change(ctx context.Context, store string, values map[string][]byte) error {
	k := keyedTable{i.tables, i.user.Domain(), store}
	if err := k.short(i.user, values); err != nil || i.tx == nil {
		return i.fail(store, err)
	}
	for key, value := range values {
		if err := k.set(ctx, i.tx, i.user, []byte(key), value); err != nil {
			return i.fail(store, err)
		}
	}
	return nil
}

// Add puts an entry with an ID into a Log, in the order of their times and behind those that were added before it. If
// the ID is there already it does nothing, and returns false.
func (i *Import) Add(ctx context.Context, store string, e Entry) (added bool, err error) {
	l, err := i.log(ctx, store)
	if err != nil {
		return false, i.fail(store, err)
	}
	if l.there {
		switch there, err := i.has(ctx, l.id, e.ID); {
		case err != nil || there:
			return false, i.fail(store, err)
		}
	}
	if i.tx == nil {
		return true, nil
	}
	return true, i.fail(store, i.insert(ctx, store, l, e))
}

// log finds a log of the user.
func (i *Import) log(ctx context.Context, store string) (*importLog, error) {
	if l := i.logs[store]; l != nil {
		return l, nil
	}
	l := &importLog{}
	err := i.scan(ctx, findLog, []any{i.user.Domain(), i.user.Local(), store}, &l.id)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return nil, err
	}
	l.there = err == nil
	i.logs[store] = l
	return l, nil
}

func (i *Import) has(ctx context.Context, log int64, id string) (bool, error) {
	var seq int64
	err := i.scan(ctx, findChosen, []any{log, []byte(id)}, &seq)
	if errors.Is(err, sql.ErrNoRows) {
		return false, nil
	}
	return err == nil, err
}

// insert gives the entry a number that is not taken, that of its time or one soon after. Where many have entries of one
// moment, each log looks in another place.
func (i *Import) insert(ctx context.Context, store string, l *importLog, e Entry) error {
	if !l.there {
		if err := i.scan(ctx, insertLog, []any{i.user.Domain(), i.user.Local(), store}, &l.id); err != nil {
			return err
		}
		l.there = true
	}
	peer, resource, _ := strings.Cut(e.With, "/")
	st, err := i.statement(ctx, insertSome[len(insertSome)-1]+" ON CONFLICT DO NOTHING")
	if err != nil {
		return err
	}
	for seq, apart := max(l.last+1, i.seq(store, e.Time)), int64(i.part(store)%100_000); ; seq, apart = seq+1+apart, 0 {
		res, err := st.ExecContext(ctx, seq, l.id, []byte(e.ID), e.Time.UnixMicro(), peer, resource, notNil(e.Stanza))
		if err != nil {
			return err
		}
		switch n, err := res.RowsAffected(); {
		case err != nil:
			return err
		case n > 0:
			l.last = seq
			return nil
		}
	}
}

// seq is where an entry of a time belongs. Times in whole seconds are those of many: each log takes another part of the
// second.
func (i *Import) seq(store string, t time.Time) int64 {
	at := min(t.UnixMicro(), time.Now().UnixMicro())
	const second = 1_000_000
	if at%second == 0 {
		at += int64(i.part(store)) % second
	}
	return max(at, 1)
}

// part is another number for each log, most likely.
func (i *Import) part(store string) uint32 {
	h := fnv.New32a()
	_, _ = h.Write([]byte(i.user.String() + "\x00" + store))
	return h.Sum32()
}
