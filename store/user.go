package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"rosterd/engine/addr"
	"rosterd/store/credential"
)

// ErrUserExists says that a name is taken.
var ErrUserExists = errors.New("user exists already")

// Credentials finds a user in SQLite; credential.ErrNoUser if it is not there.
func (s *Store) Credentials(ctx context.Context, user addr.Bare) (credential.Credentials, error) {
	return s.accounts.find(ctx, user)
}

// AddUser adds a user to SQLite; ErrUserExists if it is there.
func (s *Store) AddUser(ctx context.Context, user addr.Bare, c credential.Credentials) error {
	return s.accounts.add(ctx, user, c)
}

// SetPassword replaces what is kept of the password of a user in SQLite, and leaves Disabled as it is.
func (s *Store) SetPassword(ctx context.Context, user addr.Bare, c credential.Credentials) error {
	return s.accounts.setPassword(ctx, user, c)
}

// HashPassword is SetPassword as long as the user's password is kept as it is, and is this one. It is false if it is not.
func (s *Store) HashPassword(ctx context.Context, user addr.Bare, password string, c credential.Credentials) (bool, error) {
	return s.accounts.hashPassword(ctx, user, password, c)
}

// DeleteUser deletes a user from SQLite, the roster that was kept, and what is in all stores; all of it or nothing: what
// somebody had who had the name before must not wait for the next one.
func (s *Store) DeleteUser(ctx context.Context, user addr.Bare) error {
	err := s.accounts.remove(ctx, user, func(tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, deleteRoster, user.Domain(), user.Local()); err != nil {
			return fmt.Errorf("delete roster of %s from %s: %w", user, s.path, err)
		}
		return s.tables.forgetIn(ctx, tx, user)
	})
	if err != nil {
		return err
	}
	return errors.Join(s.forgetRoster(ctx, user), s.tables.forget(ctx, user)) // something may be queued
}

// Users lists the accounts of a host in SQLite, by name.
func (s *Store) Users(ctx context.Context, host string) ([]Account, error) {
	return s.accounts.list(ctx, host)
}
