package xmppcore_test

import (
	"context"
	"iter"
	"sync"
	"testing"
	"time"

	"rosterd/engine/addr"
	"rosterd/store"
)

// newStores are those of a house: a database in memory that lives as long as the test, whatever restarts, and is opened
// when something is asked of it, since most tests need none.
func newStores(t testing.TB) func(host string) store.Stores {
	var opened *store.Store
	open := sync.OnceValue(func() *store.Store {
		var err error
		if opened, err = store.OpenMemory(nil); err != nil {
			panic(err)
		}
		return opened
	})
	t.Cleanup(func() {
		if opened != nil {
			if err := opened.Close(); err != nil {
				t.Error(err)
			}
		}
	})
	return func(host string) store.Stores {
		return lateStores{func() store.Stores { return open().Stores(host) }}
	}
}

type lateStores struct{ open func() store.Stores }

func (s lateStores) Keyed(name string) store.Keyed {
	return lateKeyed{func() store.Keyed { return s.open().Keyed(name) }}
}

func (s lateStores) Log(name string) store.Log {
	return lateLog{func() store.Log { return s.open().Log(name) }}
}

type lateKeyed struct{ open func() store.Keyed }

func (k lateKeyed) Get(ctx context.Context, user addr.Bare, key string) ([]byte, bool, error) {
	return k.open().Get(ctx, user, key)
}

func (k lateKeyed) All(ctx context.Context, user addr.Bare) (map[string][]byte, error) {
	return k.open().All(ctx, user)
}

func (k lateKeyed) Change(ctx context.Context, user addr.Bare, values map[string][]byte) error {
	return k.open().Change(ctx, user, values)
}

func (k lateKeyed) Users(ctx context.Context, host string) iter.Seq2[addr.Bare, error] {
	return k.open().Users(ctx, host)
}

type lateLog struct{ open func() store.Log }

func (l lateLog) Append(ctx context.Context, user addr.Bare, e store.Entry) (string, error) {
	return l.open().Append(ctx, user, e)
}

func (l lateLog) Sync(ctx context.Context) error { return l.open().Sync(ctx) }

func (l lateLog) Find(ctx context.Context, user addr.Bare, q store.Query) (store.Page, error) {
	return l.open().Find(ctx, user, q)
}

func (l lateLog) Delete(ctx context.Context, user addr.Bare, ids []string, until time.Time) (int, error) {
	return l.open().Delete(ctx, user, ids, until)
}

func (l lateLog) Expire(ctx context.Context, host string, before time.Time, most int) (int, error) {
	return l.open().Expire(ctx, host, before, most)
}
