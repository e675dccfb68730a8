package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"rosterd/engine/addr"
	"rosterd/store/credential"
)

// accountTable is the accounts in a database.
type accountTable struct {
	read, write *statements
	where       string // the database, for errors
	place       Place
	after       func() // what was written is committed; may be nil
}

const credentialColumns = `hash, salt, iterations, stored_key, server_key, password, disabled`

const (
	findAccount   = `SELECT ` + credentialColumns + ` FROM account WHERE host = ? AND name = ?`
	listAccounts  = `SELECT name, ` + credentialColumns + ` FROM account WHERE host = ? ORDER BY name`
	deleteAccount = `DELETE FROM account WHERE host = ? AND name = ?`
	insertAccount = `INSERT INTO account (host, name, ` + credentialColumns + `, created, changed)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`
	updateAccount = `UPDATE account SET hash = ?, salt = ?, iterations = ?, stored_key = ?,
		server_key = ?, password = ?, changed = ? WHERE host = ? AND name = ?`
	hashAccount = updateAccount + ` AND password = ?`
)

// find is credential.ErrNoUser if the user is not there.
func (t *accountTable) find(ctx context.Context, user addr.Bare) (credential.Credentials, error) {
	c, err := ask(ctx, t.read.desk, func(ctx context.Context) (credential.Credentials, error) {
		return scanCredentials(t.read.row(ctx, nil, findAccount, user.Domain(), user.Local()).Scan)
	})
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return c, noUser(user)
	case err != nil:
		return c, fmt.Errorf("account of %s in %s: %w", user, t.where, err)
	}
	return c, nil
}

func noUser(user addr.Bare) error { return fmt.Errorf("%s: %w", user, credential.ErrNoUser) }

// scanCredentials reads the credentialColumns, and into more what comes before them.
func scanCredentials(scan func(...any) error, more ...any) (c credential.Credentials, err error) {
	var hash, password sql.NullString
	var iterations sql.NullInt64
	var keys credential.SCRAM
	if err := scan(append(more, &hash, &keys.Salt, &iterations, &keys.StoredKey, &keys.ServerKey, &password, &c.Disabled)...); err != nil {
		return c, err
	}
	c.Password, c.HasPassword = password.String, password.Valid
	if hash.Valid {
		keys.Hash, keys.Iterations = credential.Hash(hash.String), int(iterations.Int64)
		c.SCRAM = &keys
		return c, keys.Check()
	}
	return c, nil
}

// columns are the values of the credentialColumns but the last.
func columns(c credential.Credentials) []any {
	values := make([]any, 6)
	if k := c.SCRAM; k != nil {
		values[0], values[1], values[2], values[3], values[4] = string(k.Hash), k.Salt, k.Iterations, k.StoredKey, k.ServerKey
	}
	if c.HasPassword {
		values[5] = c.Password
	}
	return values
}

// add is ErrUserExists if the user is there.
func (t *accountTable) add(ctx context.Context, user addr.Bare, c credential.Credentials) error {
	now := time.Now().Unix()
	args := append([]any{user.Domain(), user.Local()}, columns(c)...)
	res, err := t.change(ctx, insertAccount, append(args, c.Disabled, now, now)...)
	return t.changed(user, res, err, ErrUserExists)
}

// change is for one statement.
func (t *accountTable) change(ctx context.Context, query string, args ...any) (sql.Result, error) {
	return ask(ctx, t.write.desk, func(ctx context.Context) (sql.Result, error) {
		res, err := t.write.exec(ctx, nil, query, args...)
		t.committed()
		return res, err
	})
}

func (t *accountTable) committed() {
	if t.after != nil {
		t.after()
	}
}

// setPassword replaces what is kept of the password of a user, and leaves Disabled as it is.
func (t *accountTable) setPassword(ctx context.Context, user addr.Bare, c credential.Credentials) error {
	args := append(columns(c), time.Now().Unix(), user.Domain(), user.Local())
	res, err := t.change(ctx, updateAccount, args...)
	return t.changed(user, res, err, credential.ErrNoUser)
}

// hashPassword is setPassword as long as the user's password is kept as it is, and is this one. It is false if it is not.
func (t *accountTable) hashPassword(ctx context.Context, user addr.Bare, password string, c credential.Credentials) (bool, error) {
	res, err := t.change(ctx, hashAccount, append(columns(c), time.Now().Unix(), user.Domain(), user.Local(), password)...)
	err = t.changed(user, res, err, credential.ErrNoUser)
	if errors.Is(err, credential.ErrNoUser) {
		return false, nil
	}
	return err == nil, err
}

// remove deletes the account, and also does the rest: both or neither.
func (t *accountTable) remove(ctx context.Context, user addr.Bare, rest func(*sql.Tx) error) error {
	ctx, cancel := context.WithTimeout(ctx, longWork)
	defer cancel()
	return t.write.desk.do(ctx, func(ctx context.Context) error { return t.removeIn(ctx, user, rest) })
}

func (t *accountTable) removeIn(ctx context.Context, user addr.Bare, rest func(*sql.Tx) error) error {
	tx, err := t.write.db.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("delete %s from %s: %w", user, t.where, err)
	}
	defer tx.Rollback()
	res, err := t.write.exec(ctx, tx, deleteAccount, user.Domain(), user.Local())
	if err := t.changed(user, res, err, credential.ErrNoUser); err != nil {
		return err
	}
	if err := rest(tx); err != nil {
		return err
	}
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("delete %s from %s: %w", user, t.where, err)
	}
	t.committed()
	return nil
}

// changed is none if a statement changed nothing.
func (t *accountTable) changed(user addr.Bare, res sql.Result, err, none error) error {
	if err != nil {
		return fmt.Errorf("account of %s in %s: %w", user, t.where, err)
	}
	switch n, err := res.RowsAffected(); {
	case err != nil:
		return fmt.Errorf("account of %s in %s: %w", user, t.where, err)
	case n == 0:
		return fmt.Errorf("%s: %w", user, none)
	}
	return nil
}

// list is that of a host, by name.
func (t *accountTable) list(ctx context.Context, host string) ([]Account, error) {
	ctx, cancel := context.WithTimeout(ctx, longWork)
	defer cancel()
	return ask(ctx, t.read.desk, func(ctx context.Context) ([]Account, error) { return t.listOf(ctx, host) })
}

func (t *accountTable) listOf(ctx context.Context, host string) ([]Account, error) {
	rows, err := t.read.rows(ctx, listAccounts, host)
	if err != nil {
		return nil, fmt.Errorf("list users of %s in %s: %w", host, t.where, err)
	}
	defer rows.Close()
	var list []Account
	for rows.Next() {
		var name string
		c, err := scanCredentials(rows.Scan, &name)
		if err != nil {
			err = fmt.Errorf("account of %s in %s: %w", name, t.where, err)
		}
		user, nameErr := addr.NewBare(name, host)
		list = append(list, account(user, t.place, c, errors.Join(err, nameErr)))
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("list users of %s in %s: %w", host, t.where, err)
	}
	return list, nil
}
