//go:build clients

package store_test

import (
	"strings"
	"testing"

	"rosterd/store"
	"rosterd/store/storetest"
)

// TestForeignPostgres asks a real server.
func TestForeignPostgres(t *testing.T) {
	server := storetest.StartPostgres(t)
	at := server.Database(t)
	for _, query := range staff {
		server.In(t, at, query)
	}
	checkForeign(t, openForeign(t, store.DriverPostgreSQL, at))
}

// TestForeignMySQL asks a real MariaDB.
func TestForeignMySQL(t *testing.T) {
	server := storetest.StartMariaDB(t)
	at := server.Database(t, "crm")
	for _, query := range staff {
		server.Exec(t, "USE crm; "+query)
	}
	checkForeign(t, openForeign(t, store.DriverMySQL, at))

	at.Password = "wrong"
	err := openForeign(t, store.DriverMySQL, at).Ask(t.Context(), "SELECT 1", 1, 1, 1000, func([]string) error { return nil })
	if err == nil || strings.Contains(err.Error(), "sesame") || !strings.Contains(err.Error(), "database crm of MySQL") {
		t.Errorf("a wrong password: %v", err)
	}
}
