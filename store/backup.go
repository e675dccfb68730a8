package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
)

// Contents is what a database holds.
type Contents struct {
	Accounts, Rosters int
}

// Backup copies a database, which a server may be using meanwhile, to the file to. The copy is the database as it
// was at one moment, whole and checked, and appears under its name in one step. What is there already is replaced
// only if told so: an error that is fs.ErrExist otherwise. Rosters that a server has not yet written are not in it.
func Backup(ctx context.Context, from, to string, replace bool) (Contents, error) {
	c, err := backup(ctx, from, to, replace)
	if err != nil {
		return c, fmt.Errorf("back up %s: %w", from, err)
	}
	return c, nil
}

func backup(ctx context.Context, from, to string, replace bool) (Contents, error) {
	if _, err := os.Lstat(to); err == nil && !replace { // said before the work; put sees for itself
		return Contents{}, fmt.Errorf("%s: %w", to, fs.ErrExist)
	}
	tmp, err := os.CreateTemp(filepath.Dir(to), ".rosterd-backup-") // mode 0600: there are credentials in it
	if err != nil {
		return Contents{}, err
	}
	defer os.Remove(tmp.Name())
	if err := tmp.Close(); err != nil {
		return Contents{}, err
	}
	c, err := copyDatabase(ctx, from, tmp.Name())
	if err != nil {
		return c, err
	}
	return c, put(tmp.Name(), to, replace)
}

// copyDatabase fills an empty file. VACUUM INTO reads one snapshot, so nobody who writes has to wait.
func copyDatabase(ctx context.Context, from, to string) (c Contents, err error) {
	db, err := openExisting(from, "rw") // with "ro" nobody could read what the last process left in the -wal file
	if err != nil {
		return c, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	if err := ours(ctx, db); err != nil {
		return c, err
	}
	name, err := filepath.Abs(to) // or a name might be read as a URI
	if err != nil {
		return c, err
	}
	if _, err := db.ExecContext(ctx, `VACUUM INTO ?`, name); err != nil {
		return c, fmt.Errorf("copy to %s: %w", to, err)
	}
	return inspect(ctx, to)
}

// inspect checks a database that nobody else has open.
func inspect(ctx context.Context, path string) (c Contents, err error) {
	db, err := openExisting(path, "ro")
	if err != nil {
		return c, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	if err := ours(ctx, db); err != nil {
		return c, fmt.Errorf("%s: %w", path, err)
	}
	var sound string
	if err := db.QueryRowContext(ctx, `PRAGMA integrity_check(1)`).Scan(&sound); err != nil {
		return c, fmt.Errorf("check %s: %w", path, err)
	}
	if sound != "ok" {
		return c, fmt.Errorf("%s is damaged: %s", path, sound)
	}
	err = db.QueryRowContext(ctx, `SELECT (SELECT count(*) FROM account), (SELECT count(*) FROM roster)`).Scan(&c.Accounts, &c.Rosters)
	if err != nil {
		return c, fmt.Errorf("read %s: %w", path, err)
	}
	return c, nil
}

// openExisting neither makes a database nor changes its schema.
func openExisting(path, mode string) (*sql.DB, error) {
	if _, err := os.Stat(path); err != nil { // SQLite says only that it is unable to open it
		return nil, err
	}
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	options := url.Values{"mode": {mode}, "_pragma": {"busy_timeout(5000)"}}
	db, err := sql.Open("sqlite", (&url.URL{Scheme: "file", OmitHost: true, Path: abs, RawQuery: options.Encode()}).String())
	if err == nil {
		db.SetMaxOpenConns(1)
	}
	return db, err
}

// ours refuses an empty database, one of another program, and one that is newer than this program.
func ours(ctx context.Context, db *sql.DB) error {
	tx, err := db.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return err
	}
	defer tx.Rollback()
	version, err := schemaVersion(ctx, tx)
	if err == nil && version == 0 {
		err = errors.New("there is nothing in it")
	}
	return err
}

// put gives a file its name, once its content is on disk.
func put(tmp, to string, replace bool) error {
	f, err := os.OpenFile(tmp, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	if err := errors.Join(f.Sync(), f.Close()); err != nil {
		return err
	}
	if replace {
		err = os.Rename(tmp, to)
	} else {
		err = os.Link(tmp, to) // a rename would replace
	}
	if err != nil {
		return err
	}
	return syncDir(filepath.Dir(to))
}
