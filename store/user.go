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

// ErrUserExists says that a name is taken.
var ErrUserExists = errors.New("user exists already")

const credentialColumns = `hash, salt, iterations, stored_key, server_key, password, disabled`

// Credentials finds a user in SQLite; credential.ErrNoUser if it is not there.
func (s *Store) Credentials(ctx context.Context, user addr.Bare) (credential.Credentials, error) {
	row := s.findAccount.QueryRowContext(ctx, user.Domain(), user.Local())
	c, err := scanCredentials(row.Scan)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return c, noUser(user)
	case err != nil:
		return c, fmt.Errorf("account of %s in %s: %w", user, s.path, err)
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

// AddUser adds a user to SQLite; ErrUserExists if it is there.
func (s *Store) AddUser(ctx context.Context, user addr.Bare, c credential.Credentials) error {
	now := time.Now().Unix()
	args := append([]any{user.Domain(), user.Local()}, columns(c)...)
	res, err := s.db.ExecContext(ctx, `INSERT INTO account (host, name, `+credentialColumns+`, created, changed)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`, append(args, c.Disabled, now, now)...)
	return s.changed(user, res, err, ErrUserExists)
}

// SetPassword replaces what is kept of the password of a user in SQLite, and leaves Disabled as it is.
func (s *Store) SetPassword(ctx context.Context, user addr.Bare, c credential.Credentials) error {
	args := append(columns(c), time.Now().Unix(), user.Domain(), user.Local())
	res, err := s.db.ExecContext(ctx, `UPDATE account SET hash = ?, salt = ?, iterations = ?, stored_key = ?,
		server_key = ?, password = ?, changed = ? WHERE host = ? AND name = ?`, args...)
	return s.changed(user, res, err, credential.ErrNoUser)
}

// DeleteUser deletes a user from SQLite, the roster that was kept, and what is in all stores; all of it or nothing: what
// somebody had who had the name before must not wait for the next one.
func (s *Store) DeleteUser(ctx context.Context, user addr.Bare) error {
	tx, err := s.db.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("delete %s from %s: %w", user, s.path, err)
	}
	defer tx.Rollback()
	res, err := tx.ExecContext(ctx, `DELETE FROM account WHERE host = ? AND name = ?`, user.Domain(), user.Local())
	if err := s.changed(user, res, err, credential.ErrNoUser); err != nil {
		return err
	}
	if _, err := tx.ExecContext(ctx, deleteRoster, user.Domain(), user.Local()); err != nil {
		return fmt.Errorf("delete roster of %s from %s: %w", user, s.path, err)
	}
	if err := s.tables.forgetIn(ctx, tx, user); err != nil {
		return fmt.Errorf("delete what is stored of %s from %s: %w", user, s.path, err)
	}
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("delete %s from %s: %w", user, s.path, err)
	}
	return errors.Join(s.DeleteRoster(ctx, user), s.tables.forget(ctx, user)) // something may be queued
}

// changed is none if a statement changed nothing.
func (s *Store) changed(user addr.Bare, res sql.Result, err, none error) error {
	if err != nil {
		return fmt.Errorf("account of %s in %s: %w", user, s.path, err)
	}
	switch n, err := res.RowsAffected(); {
	case err != nil:
		return fmt.Errorf("account of %s in %s: %w", user, s.path, err)
	case n == 0:
		return fmt.Errorf("%s: %w", user, none)
	}
	return nil
}

// Users lists the accounts of a host in SQLite, by name.
func (s *Store) Users(ctx context.Context, host string) ([]Account, error) {
	rows, err := s.db.QueryContext(ctx, `SELECT name, `+credentialColumns+` FROM account WHERE host = ? ORDER BY name`, host)
	if err != nil {
		return nil, fmt.Errorf("list users of %s in %s: %w", host, s.path, err)
	}
	defer rows.Close()
	var list []Account
	for rows.Next() {
		var name string
		c, err := scanCredentials(rows.Scan, &name)
		if err != nil {
			err = fmt.Errorf("account of %s in %s: %w", name, s.path, err)
		}
		user, nameErr := addr.NewBare(name, host)
		list = append(list, account(user, SQLite, c, errors.Join(err, nameErr)))
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("list users of %s in %s: %w", host, s.path, err)
	}
	return list, nil
}
