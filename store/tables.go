package store

import (
	"context"
	"database/sql"
	"fmt"
	"log/slog"
	"sync/atomic"

	"rosterd/engine/addr"
)

// tables keep both forms of store in a database: rows of keyed, and of entry, which belong to those of log.
type tables struct {
	db     *sql.DB
	where  string // the database, for errors
	sql    dialect
	writer *tableWriter
	last   atomic.Int64 // seq of the entry appended last
}

// dialect is in what databases differ.
type dialect struct {
	placeholders func(query string) string // from "?" to what the database wants
}

var sqliteDialect = dialect{placeholders: func(query string) string { return query }}

// openTables begins behind the entries that are there.
func openTables(ctx context.Context, db *sql.DB, where string, d dialect, log *slog.Logger) (*tables, error) {
	t := &tables{db: db, where: where, sql: d}
	var last sql.NullInt64
	if err := db.QueryRowContext(ctx, `SELECT max(seq) FROM entry`).Scan(&last); err != nil {
		return nil, fmt.Errorf("read %s: %w", where, err)
	}
	t.last.Store(last.Int64)
	t.writer = newTableWriter(db, log)
	go t.writer.run()
	return t, nil
}

// close writes what is queued.
func (t *tables) close() error { return t.writer.close() }

func (t *tables) stores(host string) Stores { return tablesOf{t, host} }

// tablesOf are the stores of one host.
type tablesOf struct {
	tables *tables
	host   string
}

func (s tablesOf) Keyed(name string) Keyed { return &keyedTable{s.tables, s.host, name} }
func (s tablesOf) Log(name string) Log     { return &logTable{s.tables, s.host, name} }

// fail says which store of whom an error is about.
func (t *tables) fail(store string, user fmt.Stringer, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("store %s of %s in %s: %w", store, user, t.where, err)
}

// q is a query for this database.
func (t *tables) q(query string) string { return t.sql.placeholders(query) }

// Stores are those of a host in this database.
func (s *Store) Stores(host string) Stores { return s.tables.stores(host) }

// forget removes everything of a user.
func (t *tables) forget(ctx context.Context, user addr.Bare) error {
	err := t.writer.change(ctx, func(ctx context.Context, tx *sql.Tx, b *batch) error {
		clear(b.logs)
		return t.forgetIn(ctx, tx, user)
	})
	if err != nil {
		return fmt.Errorf("delete what is stored of %s in %s: %w", user, t.where, err)
	}
	return nil
}

func (t *tables) forgetIn(ctx context.Context, tx *sql.Tx, user addr.Bare) error {
	for _, query := range []string{
		`DELETE FROM keyed WHERE host = ? AND name = ?`,
		`DELETE FROM entry WHERE log IN (SELECT id FROM log WHERE host = ? AND name = ?)`,
		`DELETE FROM log WHERE host = ? AND name = ?`,
	} {
		if _, err := tx.ExecContext(ctx, t.q(query), user.Domain(), user.Local()); err != nil {
			return err
		}
	}
	return nil
}
