package store

import (
	"context"
	"database/sql"
	"fmt"
	"sync/atomic"

	"rosterd/engine/addr"
)

// tables keep both forms of store in a database: rows of keyed, and of entry, which belong to those of log.
type tables struct {
	read, write *statements
	where       string // the database, for errors
	writer      *tableWriter
	last        atomic.Int64 // seq of the entry appended last
}

// What a database is asked most, to be parsed once.
var (
	oftenRead    = []string{findAccount, getValue, allValues, findLog, findChosen, findMade, findTimes}
	briefRead    = []string{findAccount, getValue, findLog} // by SQLite: it is here, and each is one look into an index
	oftenWritten = []string{setValue, deleteValue, findLog, insertLog, deleteEntry, findChosen, findMade, trimLog}
)

// entriesAtOnce are how many entries one statement writes: there is one for each of these numbers.
var entriesAtOnce = []int{256, 32, 4, 1}

// openTables begins behind the entries that are there.
func openTables(ctx context.Context, read, write *statements, where string, w *tableWriter) (*tables, error) {
	t := &tables{read: read, write: write, where: where, writer: w}
	var last sql.NullInt64
	if err := read.row(ctx, nil, `SELECT max(seq) FROM entry`).Scan(&last); err != nil {
		return nil, fmt.Errorf("read %s: %w", where, err)
	}
	t.last.Store(last.Int64)
	w.insert = t.insert
	go w.run()
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

// forget removes everything of a user.
func (t *tables) forget(ctx context.Context, user addr.Bare) error {
	return t.writer.change(ctx, func(ctx context.Context, tx *sql.Tx, b *batch) error {
		clear(b.logs)
		return t.forgetIn(ctx, tx, user)
	})
}

func (t *tables) forgetIn(ctx context.Context, tx *sql.Tx, user addr.Bare) error {
	for _, query := range []string{
		`DELETE FROM keyed WHERE host = ? AND name = ?`,
		`DELETE FROM entry WHERE log IN (SELECT id FROM log WHERE host = ? AND name = ?)`,
		`DELETE FROM log WHERE host = ? AND name = ?`,
	} {
		if _, err := t.write.exec(ctx, tx, query, user.Domain(), user.Local()); err != nil {
			return fmt.Errorf("delete what is stored of %s in %s: %w", user, t.where, err)
		}
	}
	return nil
}
