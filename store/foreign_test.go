package store_test

import (
	"context"
	"database/sql"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"rosterd/store"
)

// staff is what a foreign database has, in SQL that all of them speak.
var staff = []string{
	`CREATE TABLE staff (team VARCHAR(50), login VARCHAR(50), fullname VARCHAR(50))`,
	`INSERT INTO staff VALUES ('Sales', 'anna', 'Anna Ünal'), ('Sales', 'ben', NULL), ('Support', 'anna', 'Anna Ünal')`,
}

// checkForeign asks a database with staff in it.
func checkForeign(t *testing.T, f *store.Foreign) {
	t.Helper()
	ask := func(ctx context.Context, query string, least, most, room int) (got []string, err error) {
		err = f.Ask(ctx, query, least, most, room, func(row []string) error {
			got = append(got, strings.Join(row, "/"))
			return nil
		})
		return got, err
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	const all = "SELECT team, login, fullname FROM staff ORDER BY team, login"
	for _, c := range []struct {
		name  string
		ctx   context.Context
		query string
		most  int
		room  int
		want  []string
		err   string // "": none
	}{
		{name: "rows, a NULL is empty", query: all, want: []string{"Sales/anna/Anna Ünal", "Sales/ben/", "Support/anna/Anna Ünal"}},
		{name: "no rows", query: "SELECT team, login FROM staff WHERE team = 'None'"},
		{name: "numbers are texts", query: "SELECT login, 12 FROM staff WHERE login = 'ben'", want: []string{"ben/12"}},
		{name: "as large as may be", query: all, room: 3*64 + 48, want: []string{"Sales/anna/Anna Ünal", "Sales/ben/", "Support/anna/Anna Ünal"}},
		{name: "too large", query: all, room: 3*64 + 47, err: store.ErrTooMuch.Error()},
		{name: "too few columns", query: "SELECT team FROM staff", err: "1 columns, not 2 to 3"},
		{name: "too many columns", query: "SELECT team, login, fullname, 1 FROM staff", err: "4 columns, not 2 to 3"},
		{name: "no such table", query: "SELECT 1, 2 FROM nothing", err: "nothing"},
		{name: "not SQL", query: "groups, please", err: "groups"},
		{name: "nobody waits for it", ctx: gone, query: all, err: context.Canceled.Error()},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.ctx == nil {
				c.ctx = t.Context()
			}
			if c.room == 0 {
				c.room = 1 << 20
			}
			got, err := ask(c.ctx, c.query, 2, 3, c.room)
			if c.err == "" {
				if err != nil || !slices.Equal(got, c.want) {
					t.Errorf("%q, %v; want %q", got, err, c.want)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), c.err) {
				t.Errorf("error %v, want one with %q", err, c.err)
			}
		})
	}
	t.Run("nothing is written", func(t *testing.T) {
		for _, query := range []string{"DELETE FROM staff", "INSERT INTO staff VALUES ('a', 'b', 'c')", "UPDATE staff SET login = 'x'", "SELECT 1, 2; DELETE FROM staff"} {
			if _, err := ask(t.Context(), query, 0, 3, 1000); err == nil && !strings.HasPrefix(query, "SELECT") {
				t.Errorf("%s: no error", query)
			}
		}
		if got, err := ask(t.Context(), all, 3, 3, 1<<20); err != nil || len(got) != 3 {
			t.Errorf("%q, %v", got, err)
		}
	})
	t.Run("who takes the rows has the last word", func(t *testing.T) {
		enough := errors.New("enough")
		if err := f.Ask(t.Context(), all, 3, 3, 1<<20, func([]string) error { return enough }); !errors.Is(err, enough) {
			t.Error(err)
		}
	})
}

func openForeign(t *testing.T, driver string, at store.Server) *store.Foreign {
	t.Helper()
	f, err := store.OpenForeign(driver, at)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	})
	return f
}

// TestForeignFile asks a file of SQLite.
func TestForeignFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "staff?%20.sqlite")
	f := openForeign(t, store.DriverSQLite, store.Server{Database: path})
	none := func([]string) error { return nil }
	if err := f.Ask(t.Context(), "SELECT 1, 2", 2, 2, 1000, none); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("a file that is not there: %v", err)
	}
	if _, err := os.Stat(path); !os.IsNotExist(err) {
		t.Fatalf("asking made a file: %v", err)
	}
	db, err := sql.Open("sqlite", "file:"+strings.NewReplacer("?", "%3f", "%", "%25").Replace(path))
	if err != nil {
		t.Fatal(err)
	}
	for _, query := range staff {
		if _, err := db.Exec(query); err != nil {
			t.Fatal(err)
		}
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	checkForeign(t, f)
}

// TestForeignDriver: who mistypes a driver is told which there are.
func TestForeignDriver(t *testing.T) {
	if _, err := store.OpenForeign("MySql", store.Server{}); err == nil || !strings.Contains(err.Error(), "SQLite3, PostgreSQL, MySQL") {
		t.Error(err)
	}
}
