package store_test

import (
	"log/slog"
	"path/filepath"
	"testing"

	"rosterd/store"
	"rosterd/store/storetest"
)

func TestStores(t *testing.T) {
	quiet := slog.New(slog.DiscardHandler)
	for name, open := range map[string]func(t *testing.T) (*store.Store, error){
		"file":   func(t *testing.T) (*store.Store, error) { return store.Open(filepath.Join(t.TempDir(), "db"), quiet) },
		"memory": func(*testing.T) (*store.Store, error) { return store.OpenMemory(quiet) },
	} {
		t.Run(name, func(t *testing.T) {
			storetest.Test(t, func(t *testing.T) func(string) store.Stores {
				s, err := open(t)
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() {
					if err := s.Close(); err != nil {
						t.Error(err)
					}
				})
				return s.Stores
			})
		})
	}
}
