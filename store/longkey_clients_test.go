//go:build clients

package store_test

import (
	"crypto/rand"
	"encoding/hex"
	"sync"
	"testing"

	"rosterd/engine/addr"
	"rosterd/store"
	"rosterd/store/storetest"
)

// TestOneUsersKeysHurtNobodyElse: what one user stores does not make what others store fail.
func TestOneUsersKeysHurtNobodyElse(t *testing.T) {
	server := storetest.StartPostgres(t)
	p := openPostgres(t, server.Database(t))
	stores := p.Stores("example.com")
	mallory, juliet := addr.MustBare("mallory@example.com"), addr.MustBare("juliet@example.com")
	private, archive := stores.Keyed("private"), stores.Log("archive")
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for n := 0; n < 2000; n++ {
				select {
				case <-stop:
					return
				default:
				}
				b := make([]byte, 4000)
				rand.Read(b)
				if err := private.Change(t.Context(), mallory, map[string][]byte{"a:" + hex.EncodeToString(b): []byte("<a/>")}); err != nil && n == 0 {
					t.Log("mallory:", err)
				}
			}
		})
	}
	failed := 0
	for range 50 {
		if err := private.Change(t.Context(), juliet, map[string][]byte{"a:b": []byte("<a/>")}); err != nil {
			if failed++; failed == 1 {
				t.Log("juliet:", err)
			}
		}
		if _, err := archive.Append(t.Context(), juliet, store.Entry{Stanza: []byte("x")}); err != nil {
			t.Log("append:", err)
		}
		if err := archive.Sync(t.Context()); err != nil {
			failed++
		}
	}
	close(stop)
	wg.Wait()
	if failed > 0 {
		t.Errorf("%d of 100 changes of another user failed", failed)
	}
}
