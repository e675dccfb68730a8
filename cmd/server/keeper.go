package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"rosterd/plugins"
	"rosterd/store"
)

// values lets plugins keep what they save in the database.
type values struct{ *store.Store }

var _ plugins.Keeper = values{}

func (v values) SaveValue(ctx context.Context, host, plugin, name, key string, value []byte, ttl time.Duration) error {
	err := v.Store.SaveValue(ctx, host, plugin, name, key, value, ttl)
	if errors.Is(err, store.ErrFull) {
		return fmt.Errorf("%w: %w", plugins.ErrLimit, err)
	}
	return err
}
