package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"
)

// MaxValues bounds what one plugin of one host keeps: its values, their keys and the names of their stores together.
const MaxValues = 1 << 20

// ErrFull says that a plugin would keep more than MaxValues.
var ErrFull = errors.New("no room")

// LoadValue finds a value of a plugin that is still good.
func (s *Store) LoadValue(ctx context.Context, host, plugin, store, key string) (value []byte, ok bool, err error) {
	value, err = ask(ctx, s.desk, func(ctx context.Context) (value []byte, err error) {
		err = s.findValue.QueryRowContext(ctx, host, plugin, []byte(store), []byte(key), time.Now().UnixNano()).Scan(&value)
		return value, err
	})
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return nil, false, nil
	case err != nil:
		return nil, false, s.valueError(host, plugin, err)
	}
	return value, true, nil
}

const findValue = `SELECT value FROM plugin_value WHERE host = ? AND plugin = ? AND store = ? AND key = ? AND (until IS NULL OR until > ?)`

// SaveValue keeps a value of a plugin; nil removes it, and a ttl of 0 is for ever. When it returns, the value is
// committed: it survives the death of the process. A power cut may cost the values since the last checkpoint
// (synchronous=NORMAL), as with rosters: plugins save often, and none should wait for the disk while somebody logs in.
func (s *Store) SaveValue(ctx context.Context, host, plugin, store, key string, value []byte, ttl time.Duration) error {
	err := s.saving.do(ctx, func(ctx context.Context) error {
		return s.saveValue(ctx, host, plugin, []byte(store), []byte(key), value, ttl)
	})
	if err != nil {
		return s.valueError(host, plugin, err)
	}
	return nil
}

func (s *Store) saveValue(ctx context.Context, host, plugin string, store, key, value []byte, ttl time.Duration) error {
	s.turn.Lock()
	defer s.turn.Unlock()
	tx, err := s.bulk.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	now := time.Now()
	if err := dropExpired(ctx, tx, now); err != nil {
		return err
	}
	if _, err := tx.ExecContext(ctx, `DELETE FROM plugin_value WHERE host = ? AND plugin = ? AND store = ? AND key = ?`, host, plugin, store, key); err != nil {
		return err
	}
	if value == nil {
		defer s.mark(s.bulk)
		return tx.Commit()
	}
	until := sql.NullInt64{Int64: now.Add(ttl).UnixNano(), Valid: ttl > 0}
	if _, err := tx.ExecContext(ctx, `INSERT INTO plugin_value (host, plugin, store, key, value, until) VALUES (?, ?, ?, ?, ?, ?)`, host, plugin, store, key, value, until); err != nil {
		return err
	}
	var size int
	if err := tx.QueryRowContext(ctx, `SELECT bytes FROM plugin_size WHERE host = ? AND plugin = ?`, host, plugin).Scan(&size); err != nil {
		return err
	}
	if size > MaxValues {
		more := len(store) + len(key) + len(value)
		return fmt.Errorf("%w: %d bytes are kept and %d more would be beyond %d MiB", ErrFull, size-more, more, MaxValues>>20)
	}
	defer s.mark(s.bulk)
	return tx.Commit()
}

// dropExpired forgets the values of all plugins whose time is up. Nobody finds them any more, but they count.
func dropExpired(ctx context.Context, db interface {
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
}, now time.Time) error {
	_, err := db.ExecContext(ctx, `DELETE FROM plugin_value WHERE until <= ?`, now.UnixNano())
	return err
}

func (s *Store) valueError(host, plugin string, err error) error {
	return fmt.Errorf("values of plugin %s of %s in %s: %w", plugin, host, s.path, err)
}
