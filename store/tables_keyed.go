package store

import (
	"context"
	"database/sql"
	"errors"
	"iter"

	"rosterd/engine/addr"
)

const (
	getValue    = `SELECT value FROM keyed WHERE host = ? AND name = ? AND store = ? AND key = ?`
	allValues   = `SELECT key, value FROM keyed WHERE host = ? AND name = ? AND store = ?`
	deleteValue = `DELETE FROM keyed WHERE host = ? AND name = ? AND store = ? AND key = ?`
	setValue    = `INSERT INTO keyed (host, name, store, key, value) VALUES (?, ?, ?, ?, ?)
		ON CONFLICT (host, name, store, key) DO UPDATE SET value = excluded.value`
	usersOfStore = `SELECT DISTINCT name FROM keyed WHERE host = ? AND name > ? AND store = ? ORDER BY name LIMIT ?`
)

// maxPostgresKey is how many bytes host, name, store and key may have together: 2704 is the most that an index of
// PostgreSQL takes.
const maxPostgresKey = 2600

// ErrLongKey says that a key is longer than the database can find again.
var ErrLongKey = errors.New("the key is too long for PostgreSQL")

// keyedTable is one store of values.
type keyedTable struct {
	*tables
	host, store string
}

func (k *keyedTable) Get(ctx context.Context, user addr.Bare, key string) (value []byte, ok bool, err error) {
	value, err = ask(ctx, k.read.desk, func(ctx context.Context) (value []byte, err error) {
		err = k.read.row(ctx, nil, getValue, user.Domain(), user.Local(), k.store, []byte(key)).Scan(&value)
		return value, err
	})
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return nil, false, nil
	case err != nil:
		return nil, false, k.fail(k.store, user, err)
	}
	return notNil(value), true, nil
}

// notNil is for drivers that read no bytes as nil.
func notNil(b []byte) []byte {
	if b == nil {
		return []byte{}
	}
	return b
}

func (k *keyedTable) All(ctx context.Context, user addr.Bare) (map[string][]byte, error) {
	all, err := ask(ctx, k.read.desk, func(ctx context.Context) (map[string][]byte, error) { return k.all(ctx, user) })
	return all, k.fail(k.store, user, err)
}

func (k *keyedTable) all(ctx context.Context, user addr.Bare) (map[string][]byte, error) {
	rows, err := k.read.rows(ctx, allValues, user.Domain(), user.Local(), k.store)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	all := map[string][]byte{}
	for rows.Next() {
		var key, value []byte
		if err := rows.Scan(&key, &value); err != nil {
			return nil, err
		}
		all[string(key)] = notNil(value)
	}
	return all, rows.Err()
}

func (k *keyedTable) Change(ctx context.Context, user addr.Bare, values map[string][]byte) error {
	if len(values) == 0 {
		return nil
	}
	if err := k.short(user, values); err != nil { // or the transaction would fail, with what others have in it
		return k.fail(k.store, user, err)
	}
	err := k.writer.change(ctx, func(ctx context.Context, tx *sql.Tx, _ *batch) error {
		for key, value := range values {
			if err := k.set(ctx, tx, user, []byte(key), value); err != nil {
				return err
			}
		}
		return nil
	})
	return k.fail(k.store, user, err)
}

// short is ErrLongKey if the database cannot find one of the values again.
func (k *keyedTable) short(user addr.Bare, values map[string][]byte) error {
	if !k.write.numbered {
		return nil
	}
	for key := range values {
		if len(k.host)+len(user.Local())+len(k.store)+len(key) > maxPostgresKey {
			return ErrLongKey
		}
	}
	return nil
}

func (k *keyedTable) set(ctx context.Context, tx *sql.Tx, user addr.Bare, key, value []byte) (err error) {
	if value == nil {
		_, err = k.write.exec(ctx, tx, deleteValue, user.Domain(), user.Local(), k.store, key)
		return err
	}
	_, err = k.write.exec(ctx, tx, setValue, user.Domain(), user.Local(), k.store, key, value)
	return err
}

// Users are read by pages, so that whoever ranges over them may use the store meanwhile.
func (k *keyedTable) Users(ctx context.Context, host string) iter.Seq2[addr.Bare, error] {
	return func(yield func(addr.Bare, error) bool) {
		for last, more := "", true; more; {
			names, err := ask(ctx, k.read.desk, func(ctx context.Context) ([]string, error) { return k.names(ctx, host, last) })
			if err != nil {
				yield(addr.Bare{}, k.fail(k.store, stringer(host), err))
				return
			}
			for _, name := range names {
				user, err := addr.NewBare(name, host)
				if !yield(user, k.fail(k.store, stringer(host), err)) {
					return
				}
				last = name
			}
			more = len(names) == usersPage
		}
	}
}

type stringer string

func (s stringer) String() string { return string(s) }

const usersPage = 100

func (k *keyedTable) names(ctx context.Context, host, after string) (names []string, err error) {
	rows, err := k.read.rows(ctx, usersOfStore, host, after, k.store, usersPage)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			return nil, err
		}
		names = append(names, name)
	}
	return names, rows.Err()
}
