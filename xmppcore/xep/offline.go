package xep

import (
	"context"
	"errors"
	"sync"
	"time"

	"rosterd/engine/addr"
	"rosterd/store"
	"rosterd/xmppcore/router"
)

// OfflineLimits bound what is kept for a user who is not there. Zero fields mean the defaults.
type OfflineLimits struct {
	Messages int // 1000
	Bytes    int // 4 MiB
}

// Offline is XEP-0160: it keeps messages in a log. It announces nothing but that.
func Offline(log store.Log, most OfflineLimits) (*Waiting, Extension) {
	if most.Messages == 0 {
		most.Messages = 1000
	}
	if most.Bytes == 0 {
		most.Bytes = 4 << 20
	}
	return &Waiting{log: log, most: most, sizes: map[addr.Bare]size{}}, Extension{Features: []string{"msgoffline"}}
}

// Waiting are the messages that wait for users. The router calls Put and Each for one user at a time, and Drop at any time.
type Waiting struct {
	log  store.Log
	most OfflineLimits

	mu     sync.Mutex
	sizes  map[addr.Bare]size // what waits, for users who were written to of late
	forgot uint64             // how often one of these was forgotten
}

type size struct{ messages, bytes int }

// maxSizes is for how many users it is remembered how much waits.
const maxSizes = 10_000

var _ router.Offline = (*Waiting)(nil)

// Put adds a stanza; it is false if that would be too many.
func (w *Waiting) Put(ctx context.Context, user addr.Bare, stanza []byte) (bool, error) {
	s, forgot, err := w.size(ctx, user)
	if err != nil {
		return false, err
	}
	s.messages++
	s.bytes += len(stanza)
	if s.messages > w.most.Messages || s.bytes > w.most.Bytes {
		return false, nil
	}
	switch _, err := w.log.Append(ctx, user, store.Entry{Time: time.Now(), Stanza: stanza}); {
	case errors.Is(err, store.ErrDisabled): // nothing may wait
		return false, nil
	case err != nil:
		w.forget(user)
		return false, err
	}
	w.remember(user, s, forgot)
	return true, nil
}

// Each hands over what waits, until f does not want more.
func (w *Waiting) Each(ctx context.Context, user addr.Bare, f func(id string, stanza []byte) bool) error {
	page, err := w.log.Find(ctx, user, store.Query{})
	for _, e := range page.Entries {
		if !f(e.ID, e.Stanza) {
			break
		}
	}
	return err
}

// Drop forgets what does not wait any more.
func (w *Waiting) Drop(ctx context.Context, user addr.Bare, ids []string) error {
	w.forget(user)
	_, err := w.log.Delete(ctx, user, ids, time.Time{})
	w.forget(user) // who has counted meanwhile
	return err
}

// Sync waits for the disk.
func (w *Waiting) Sync(ctx context.Context) error { return w.log.Sync(ctx) }

// size is how much waits for a user, and what to remember that with.
func (w *Waiting) size(ctx context.Context, user addr.Bare) (s size, forgot uint64, err error) {
	w.mu.Lock()
	s, ok := w.sizes[user]
	forgot = w.forgot
	w.mu.Unlock()
	if ok {
		return s, forgot, nil
	}
	page, err := w.log.Find(ctx, user, store.Query{})
	for _, e := range page.Entries {
		s.messages++
		s.bytes += len(e.Stanza)
	}
	return s, forgot, err
}

// remember notes how much waits, unless some of it may have been dropped since it was counted.
func (w *Waiting) remember(user addr.Bare, s size, forgot uint64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.forgot != forgot {
		delete(w.sizes, user)
		return
	}
	if len(w.sizes) >= maxSizes {
		clear(w.sizes)
	}
	w.sizes[user] = s
}

// Forget drops what is known of a user who was deleted.
func (w *Waiting) Forget(user addr.Bare) { w.forget(user) }

func (w *Waiting) forget(user addr.Bare) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.forgot++
	delete(w.sizes, user)
}
