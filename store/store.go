// Package store keeps what outlives the process: accounts, what users entrust to the server, the last good rosters and
// values of plugins. Its own place is one SQLite file. Accounts and what users store can be in PostgreSQL instead;
// accounts are also read and written where Prosody's "internal" storage has them, so that a server can change hands and
// change back.
//
// What users store is in stores of two forms, Keyed and Log, whatever the database. One test says what they promise, for
// all of them: see the package storetest.
//
// Where a user is, is decided here once, by Accounts:
//
//   - A user found in the database is the database's: that is SQLite, or PostgreSQL for a host that has its accounts
//     there. Only others are looked for in Prosody's data folder, and only for hosts whose accounts Prosody keeps in files.
//   - A new user goes to Prosody's folder if that host has accounts there already, else to the database. A name that
//     is taken in either place is refused.
//   - A new password is written where the user is, in Prosody's own form if that is a file.
//   - Deleting a user deletes it from both places, or the older one would come back with its old password, and all that it
//     has stored, or the next one of that name would have it.
//   - A file that cannot be read is an error that names it, never "no such user".
//
// Nothing moves from one place to the other by itself.
package store

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"modernc.org/sqlite" // also the driver "sqlite"
)

// Store is the SQLite file. Its methods may be called from many goroutines at once, and other processes, such
// as the command line beside a running server, may have the file open as well.
//
// Durability: accounts, and what users store, are on disk when a call returns (WAL, synchronous=FULL), entries of a Log
// when Sync does. Rosters are copies of what a
// backend has; they are queued and committed together without waiting for the disk (synchronous=NORMAL). A
// killed process loses those of the last moments, a power cut perhaps those since the last checkpoint: either
// way the file stays sound and an older roster takes their place. Values of plugins are committed when a call returns,
// in the same way: a killed process loses none.
type Store struct {
	path    string
	db      *sql.DB    // accounts, and everything that is read
	bulk    *sql.DB    // rosters and values of plugins are written here; may be db
	safe    *sql.DB    // what users store is written here; may be db
	checks  *sql.DB    // checkpoints are made here; nil of a store in memory
	entries int        // that a log keeps
	turn    sync.Mutex // of those two, which would make each other wait for longer than they take
	desk    *desk      // where all but those are asked
	saving  *desk      // where values of plugins are saved, one at a time
	rosters *rosterWriter
	tidier  *tidier // nil of a store in memory
	untidy  bool    // checkpoints fail, as the tidier has seen
	stall   *stall
	log     *slog.Logger

	accounts *accountTable
	tables   *tables // of users

	findRoster, findFresh, findValue *sql.Stmt // what logins ask for, parsed once
	anyFresh                         *sql.Stmt // what each refresh asks for
}

// Open opens the file, and creates it and its folder where they are not there. Whoever else may read the
// folder, the file is for its owner alone. Failed writes that no caller waits for go to log; nil means
// slog.Default.
func Open(path string, log *slog.Logger) (*Store, error) {
	if err := create(path); err != nil {
		return nil, fmt.Errorf("create database: %w", err)
	}
	db, err := sql.Open("sqlite", dsn(path, "FULL"))
	if err != nil {
		return nil, fmt.Errorf("open database %s: %w", path, err)
	}
	db.SetMaxOpenConns(sqliteReaders)
	db.SetMaxIdleConns(sqliteReaders)
	bulk, err := sql.Open("sqlite", dsn(path, "NORMAL"))
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open database %s: %w", path, err), db.Close())
	}
	bulk.SetMaxOpenConns(1)
	safe, err := sql.Open("sqlite", dsn(path, "FULL", atOnce...))
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open database %s: %w", path, err), db.Close(), bulk.Close())
	}
	safe.SetMaxOpenConns(1)
	checks, err := sql.Open("sqlite", dsn(path, "NORMAL"))
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open database %s: %w", path, err), db.Close(), bulk.Close(), safe.Close())
	}
	checks.SetMaxOpenConns(1)
	checks.SetConnMaxIdleTime(time.Minute)
	if log == nil {
		log = slog.Default()
	}
	if err := steady(filepath.Dir(path)); err != nil {
		log.Warn("a disk that stops may hold up everybody", "database", path, "why", err)
	}
	return start(&Store{path: path, db: db, bulk: bulk, safe: safe, checks: checks}, log)
}

// sqliteReaders are how many connections read: a lookup takes microseconds, and more would only contend.
const sqliteReaders = 4

// OpenMemory opens a store that is gone once it is closed.
func OpenMemory(log *slog.Logger) (*Store, error) { return OpenBounded(0, log) }

// OpenBounded is OpenMemory of one in which no Log but "offline" keeps more than so many entries of a user: the oldest
// go. 0 is any number.
func OpenBounded(entries int, log *slog.Logger) (*Store, error) {
	db, err := sql.Open("sqlite", ":memory:")
	if err != nil {
		return nil, fmt.Errorf("open database: %w", err)
	}
	db.SetMaxOpenConns(1) // each connection has a database of its own
	db.SetConnMaxLifetime(0)
	return start(&Store{path: inMemory, db: db, bulk: db, safe: db, entries: entries}, log)
}

func start(s *Store, log *slog.Logger) (*Store, error) {
	if log == nil {
		log = slog.Default()
	}
	if err := s.migrate(); err != nil {
		return nil, errors.Join(fmt.Errorf("open database %s: %w", s.path, err), s.closeDB())
	}
	var errRoster, errFresh, errAny, errValue error
	s.findRoster, errRoster = s.db.Prepare(`SELECT doc FROM roster WHERE host = ? AND name = ?`)
	s.findFresh, errFresh = s.db.Prepare(`SELECT until FROM fresh WHERE host = ? AND name = ?`)
	s.anyFresh, errAny = s.db.Prepare(`SELECT EXISTS (SELECT 1 FROM fresh WHERE host = ?)`)
	s.findValue, errValue = s.db.Prepare(findValue)
	if err := errors.Join(errRoster, errFresh, errAny, errValue); err != nil {
		return nil, errors.Join(fmt.Errorf("open database %s: %w", s.path, err), s.closeDB())
	}
	if err := dropExpired(context.Background(), s.bulk, time.Now()); err != nil {
		return nil, errors.Join(fmt.Errorf("open database %s: %w", s.path, err), s.closeDB())
	}
	s.log = log
	s.stall = &stall{log: log, where: s.path}
	s.desk, s.saving = newDesk(sqliteReaders), newDesk(1)
	s.desk.stall, s.saving.stall = s.stall, s.stall
	if s.checks != nil {
		s.tidier = startTidier(s.unlogged, s.tidy)
	}
	if err := s.openTables(context.Background(), log); err != nil {
		return nil, errors.Join(fmt.Errorf("open database %s: %w", s.path, err), s.closeDB())
	}
	s.rosters = newRosterWriter(s.bulk, &s.turn, log)
	s.rosters.mark, s.rosters.stall = func() { s.mark(s.bulk) }, s.stall
	go s.rosters.run()
	return s, nil
}

func (s *Store) openTables(ctx context.Context, log *slog.Logger) error {
	read, err := newStatements(ctx, s.db, oftenRead...)
	if err != nil {
		return err
	}
	read.desk, read.brief = s.desk, briefRead
	write, err := newStatements(ctx, s.safe, append(insertEntries(), oftenWritten...)...)
	if err != nil {
		return err
	}
	s.accounts = &accountTable{read: read, write: &statements{db: s.db, desk: s.desk}, where: s.path, place: SQLite}
	s.accounts.after = func() { s.mark(s.db) }
	w := newTableWriter(s.safe, &s.turn, log)
	w.stall = s.stall
	w.after = func() { s.mark(s.safe) }
	if s.entries > 0 {
		w.trim = trimmer(write, s.entries)
	}
	s.tables, err = openTables(ctx, read, write, s.path, w)
	return err
}

// mark begins to read after something was written, which has SQLite note in the memory that its connections share how far
// they can. That memory is a file's: of a disk that has stopped, pages that were clean are not to be written to, and a
// thread that does so is no system call that Go would see and work around, but stands still with all others waiting
// for it. So the note is made while the disk still answers, and who reads later has none to make, and does not have to wait
// (see index_linux.go). It is made by the connections that wrote: others may be busy reading for long.
func (s *Store) mark(by *sql.DB) {
	if s.path == inMemory {
		return
	}
	var any int
	_ = by.QueryRow(`SELECT 1 FROM sqlite_schema LIMIT 1`).Scan(&any) // what fails, fails for who wants something, too
	s.tidier.wrote()
}

const inMemory = "in memory"

// migrate waits for another program that opens a new database at the same time: SQLite's own busy timeout does not
// cover the switch to write-ahead logging.
func (s *Store) migrate() error {
	const pause, most = 10 * time.Millisecond, 5 * time.Second
	for end := time.Now().Add(most); ; time.Sleep(pause) {
		err := migrate(context.Background(), s.db)
		if !busy(err) || time.Now().After(end) {
			return err
		}
	}
}

func busy(err error) bool {
	const code, primary = 5, 0xff // SQLITE_BUSY, and the mask of extended codes
	var e *sqlite.Error
	return errors.As(err, &e) && e.Code()&primary == code
}

// create makes an empty file, which SQLite takes for an empty database; the files beside it inherit its mode and
// owner. One that is there is not even opened: whoever closes a file gives up all that the process has locked of it. What root makes, as with "user list" before the first start, belongs to whom its folder belongs to: the
// server, which runs as that user, could not open it otherwise.
func create(path string) error {
	if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() {
		return accessible(path)
	}
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	switch {
	case errors.Is(err, fs.ErrExist):
		if f, err = os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600); err != nil { // a link may lead to where there is nothing
			return err
		}
		return f.Close()
	case err != nil:
		return err
	case os.Geteuid() != 0:
		return f.Close()
	}
	folder, err := os.Stat(dir)
	if err == nil {
		err = keepOwner(f, folder)
	}
	return errors.Join(err, f.Close())
}

// atOnce are pragmas for a connection that writes many entries in a transaction: the pages of it stay in memory, up to
// 8 MiB, and so does what it would take to undo one statement. Both would else go to files, and be read again.
var atOnce = []string{"cache_size(-8192)", "temp_store(MEMORY)"}

// dsn names a file for the driver. Writers wait five seconds for each other, and leave checkpoints to the tidier.
func dsn(path, synchronous string, pragmas ...string) string {
	options := url.Values{
		"_pragma": append([]string{"busy_timeout(5000)", "journal_mode(WAL)", "synchronous(" + synchronous + ")", "wal_autocheckpoint(" + strconv.Itoa(neverMore) + ")", "journal_size_limit(" + strconv.Itoa(kept) + ")"}, pragmas...),
		"_txlock": {"immediate"},
	}
	if vfs, err := steadyVFS(); err == nil { // else steady says so
		options.Set("vfs", vfs)
	}
	return (&url.URL{Scheme: "file", OmitHost: true, Path: path, RawQuery: options.Encode()}).String()
}

// Close writes what is queued and closes the file. Nothing may be called afterwards.
func (s *Store) Close() error {
	err := errors.Join(s.tables.close(), s.rosters.close())
	return errors.Join(err, s.closeDB())
}

func (s *Store) closeDB() error {
	if s.desk != nil {
		s.desk.close()
		s.saving.close()
	}
	s.tidier.close()
	err := s.db.Close()
	if s.bulk != s.db {
		err = errors.Join(err, s.bulk.Close(), s.safe.Close(), s.checks.Close())
	}
	return err
}

// Stores are those of a host in this database.
func (s *Store) Stores(host string) Stores { return s.tables.stores(host) }

// Secret is a random value of 32 bytes, made at the first call and the same ever after for one name.
func (s *Store) Secret(ctx context.Context, name string) ([]byte, error) {
	fresh := make([]byte, 32)
	rand.Read(fresh)
	if err := s.execute(ctx, `INSERT INTO secret (name, value) VALUES (?, ?) ON CONFLICT DO NOTHING`, name, fresh); err != nil {
		return nil, fmt.Errorf("make secret %s: %w", name, err)
	}
	value, err := ask(ctx, s.desk, func(ctx context.Context) (value []byte, err error) {
		err = s.db.QueryRowContext(ctx, `SELECT value FROM secret WHERE name = ?`, name).Scan(&value)
		return value, err
	})
	if err != nil {
		return nil, fmt.Errorf("read secret %s: %w", name, err)
	}
	return value, nil
}
