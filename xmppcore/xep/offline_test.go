package xep_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"rosterd/engine/addr"
	"rosterd/store"
	"rosterd/xmppcore/xep"
)

var waiter = addr.MustBare("juliet@example.com")

func offlineLog(t *testing.T) store.Log {
	t.Helper()
	db, err := store.OpenMemory(nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db.Stores(waiter.Domain()).Log("offline")
}

func put(t *testing.T, w *xep.Waiting, text string) bool {
	t.Helper()
	ok, err := w.Put(t.Context(), waiter, []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return ok
}

func waiting(t *testing.T, w *xep.Waiting) (ids []string, text string) {
	t.Helper()
	var list []string
	err := w.Each(t.Context(), waiter, func(id string, b []byte) bool {
		ids, list = append(ids, id), append(list, string(b))
		return true
	})
	if err != nil {
		t.Fatal(err)
	}
	return ids, strings.Join(list, " ")
}

func take(t *testing.T, w *xep.Waiting) string {
	t.Helper()
	ids, text := waiting(t, w)
	if err := w.Drop(t.Context(), waiter, ids); err != nil {
		t.Fatal(err)
	}
	return text
}

// How much waits has an end, in messages and in bytes, for each user alone, also after a restart.
func TestOfflineLimits(t *testing.T) {
	for _, tt := range []struct {
		name string
		most xep.OfflineLimits
		size int
		n    int
	}{
		{"messages", xep.OfflineLimits{Messages: 3}, 1, 3},
		{"bytes", xep.OfflineLimits{Bytes: 1000}, 300, 3},
		{"the default", xep.OfflineLimits{Bytes: 1000}, 1, 1000},
		{"one that is too long by itself", xep.OfflineLimits{Bytes: 10}, 11, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			log := offlineLog(t)
			text := strings.Repeat("x", tt.size)
			w, _ := xep.Offline(log, tt.most)
			for i := range tt.n {
				if i == tt.n/2 { // what was there before counts
					w, _ = xep.Offline(log, tt.most)
				}
				if !put(t, w, text) {
					t.Fatalf("message %d is too much", i)
				}
			}
			if put(t, w, text) {
				t.Error("there is room for more")
			}
			if ok, err := w.Put(t.Context(), addr.MustBare("romeo@example.com"), []byte("x")); !ok || err != nil {
				t.Errorf("for another user there is none: %v", err)
			}
			if got := len(strings.Fields(take(t, w))); got != tt.n {
				t.Errorf("%d came, want %d", got, tt.n)
			}
			if tt.n > 0 && !put(t, w, text) {
				t.Error("there is no room after that")
			}
		})
	}
}

// What was dropped is gone; what came meanwhile is not, nor what nobody wanted yet.
func TestOfflineDrop(t *testing.T) {
	w, _ := xep.Offline(offlineLog(t), xep.OfflineLimits{})
	if got := take(t, w); got != "" {
		t.Errorf("at first there is %s", got)
	}
	put(t, w, "a")
	put(t, w, "b")
	put(t, w, "c")
	var ids []string
	err := w.Each(t.Context(), waiter, func(id string, b []byte) bool {
		if len(ids) == 2 {
			return false
		}
		ids = append(ids, id)
		put(t, w, fmt.Sprintf("after-%s", b))
		return true
	})
	if err != nil || len(ids) != 2 {
		t.Errorf("%v, %v", ids, err)
	}
	if _, got := waiting(t, w); got != "a b c after-a after-b" {
		t.Errorf("before it is dropped there is %q", got)
	}
	if err := w.Drop(t.Context(), waiter, ids); err != nil {
		t.Error(err)
	}
	if got := take(t, w); got != "c after-a after-b" {
		t.Errorf("then there is %q", got)
	}
	if err := w.Sync(t.Context()); err != nil {
		t.Error(err)
	}
}

// A store that fails keeps nothing, and says so.
func TestOfflineFails(t *testing.T) {
	w, _ := xep.Offline(offlineLog(t), xep.OfflineLimits{})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if ok, err := w.Put(ctx, waiter, []byte("x")); ok || !errors.Is(err, context.Canceled) {
		t.Errorf("%v, %v", ok, err)
	}
	if err := w.Each(ctx, waiter, func(string, []byte) bool { t.Error("taken"); return true }); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

// Where nothing is stored nothing waits, which is no failure.
func TestOfflineNowhere(t *testing.T) {
	w, _ := xep.Offline(store.Nowhere{}.Log("offline"), xep.OfflineLimits{})
	if put(t, w, "x") {
		t.Error("kept")
	}
	if got := take(t, w); got != "" {
		t.Error(got)
	}
}

// slowLog is a log whose next Append, once it is made, returns when it may.
type slowLog struct {
	store.Log
	made, may chan struct{}
}

func (l *slowLog) Append(ctx context.Context, user addr.Bare, e store.Entry) (string, error) {
	id, err := l.Log.Append(ctx, user, e)
	if made := l.made; made != nil {
		l.made = nil
		close(made)
		<-l.may
	}
	return id, err
}

// What a client has had while another message is being kept does not count as waiting.
func TestOfflineDropWhilePut(t *testing.T) {
	log := &slowLog{Log: offlineLog(t)}
	w, _ := xep.Offline(log, xep.OfflineLimits{Messages: 2})
	if !put(t, w, "<a/>") {
		t.Fatal("refused the first")
	}
	ids, _ := waiting(t, w)
	made, may, done := make(chan struct{}), make(chan struct{}), make(chan struct{})
	log.made, log.may = made, may
	go func() {
		defer close(done)
		if ok, err := w.Put(t.Context(), waiter, []byte("<b/>")); !ok || err != nil {
			t.Errorf("the second: %v, %v", ok, err)
		}
	}()
	<-made
	if err := w.Drop(t.Context(), waiter, ids); err != nil {
		t.Fatal(err)
	}
	close(may)
	<-done
	if !put(t, w, "<c/>") {
		t.Error("refused, though one waits of two that may")
	}
}
