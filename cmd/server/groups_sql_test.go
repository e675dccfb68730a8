package main

import (
	"database/sql"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"rosterd/config"
	"rosterd/engine/addr"
	"rosterd/engine/groups"
	"rosterd/store"
)

// staffIn makes a database with members of groups, and says how to change it.
func staffIn(t *testing.T, path string) (exec func(query string)) {
	t.Helper()
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	exec = func(query string) {
		t.Helper()
		if _, err := db.Exec(query); err != nil {
			t.Fatal(err)
		}
	}
	exec(`CREATE TABLE staff (team TEXT, login TEXT, name TEXT, everybody BOOLEAN)`)
	return exec
}

// TestGroupsInSQL: the rows of a query are members of groups, who have each other as contacts; a refresh asks it anew.
func TestGroupsInSQL(t *testing.T) {
	t.Parallel()
	p := newPlace(t, strings.Replace(edited(`modules_enabled = { "groups_sql" }`, `groups_sql = { driver = "SQLite3", database = "../staff.sqlite" }`,
		`groups_sql_query = "SELECT team, login, name, everybody FROM staff"`), `"roster", `, "", 1))
	exec := staffIn(t, filepath.Join(p.dir, "staff.sqlite"))
	exec(`INSERT INTO staff VALUES ('Verona', 'romeo', 'Romeo', 0), ('Verona', 'juliet@example.com', NULL, 0), ('Help', 'desk@help.example', 'Help Desk', 1), ('Verona', '@', NULL, 0)`)
	s := p.serve(t)
	romeo := s.login(t, "romeo@example.com")
	romeo.wantRoster("desk@help.example|Help Desk|both|Help", "juliet@example.com||both|Verona")
	if _, err := s.log.wait(romeo.ctx, func(line string) bool { return strings.Contains(line, "left out") && strings.Contains(line, "Verona") }); err != nil {
		t.Error(err)
	}
	exec(`UPDATE staff SET name = 'Juliet' WHERE login LIKE 'juliet%'`)
	s.refresh(t, "romeo")
	romeo.wantPushes("juliet@example.com|Juliet|both|Verona")

	s.quiet = true // what follows is an error
	exec(`ALTER TABLE staff RENAME TO gone`)
	r := s.post(t, `["romeo", "nurse", 5]`)
	equal(t, "refresh of groups that cannot be read", fmt.Sprintf("%s %d %d %q", r.Status, r.Updated, r.Errors, r.outcomes()), `error 0 3 ["romeo failed" "nurse failed" "5 invalid"]`)
	r = s.post(t, `[]`)
	equal(t, "refresh of nobody in particular", fmt.Sprintf("%s %d %d", r.Status, r.Updated, r.Errors), "error 0 1")
	if _, err := s.log.wait(romeo.ctx, func(line string) bool {
		return strings.Contains(line, "stay as they were") && strings.Contains(line, "no such table")
	}); err != nil {
		t.Error(err)
	}
	exec(`ALTER TABLE gone RENAME TO staff`)
	equal(t, "refresh", s.refresh(t, "romeo").outcomes(), []string{"romeo unchanged"})
	r = s.post(t, `[]`)
	equal(t, "refresh of nobody in particular", fmt.Sprintf("%s %d %d", r.Status, r.Updated, r.Errors), "ok 0 0")
}

// TestGroupsInSQLReloaded: how often a database is asked is as the configuration says after a reload, too.
func TestGroupsInSQLReloaded(t *testing.T) {
	t.Parallel()
	const seldom = `groups_sql_refresh = 86400`
	p := newPlace(t, edited(`modules_enabled = { "groups_sql" }`, `groups_sql = { driver = "SQLite3", database = "../staff.sqlite" }`,
		`groups_sql_query = "SELECT team, login, name FROM staff"`, seldom))
	exec := staffIn(t, filepath.Join(p.dir, "staff.sqlite"))
	exec(`INSERT INTO staff VALUES ('Verona', 'romeo', 'Romeo', 0), ('Verona', 'juliet', NULL, 0)`)
	s := p.serve(t)
	romeo := s.login(t, "romeo@example.com")
	romeo.wantRoster("juliet@example.com||both|Verona")
	exec(`UPDATE staff SET name = 'Juliet' WHERE login = 'juliet'`)
	p.text = strings.Replace(p.text, seldom, `groups_sql_refresh = 1`, 1)
	p.write(t)
	s.reload(t)
	romeo.wantPushes("juliet@example.com|Juliet|both|Verona")
	exec(`UPDATE staff SET name = 'Jule' WHERE login = 'juliet'`)
	romeo.wantPushes("juliet@example.com|Jule|both|Verona")
}

// TestGroupsInSQLRefused: what nobody could ask is refused, with the line it is on.
func TestGroupsInSQLRefused(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, lines, want string }{
		{"driver", `groups_sql = { driver = "MySql", database = "crm" }`, `"MySql"`},
		{"database", `groups_sql = { driver = "MySQL" }`, "database"},
		{"no question", `groups_sql_query = "DELETE FROM staff"`, "takes a SELECT"},
	} {
		t.Run(c.name, func(t *testing.T) {
			text := edited(`modules_enabled = { "groups_sql" }`)
			if !strings.Contains(c.lines, "query") {
				text += "  groups_sql_query = \"SELECT 1, 2\"\n"
			}
			p := newPlace(t, text+"  "+c.lines+"\n")
			p.write(t)
			status, out, failed := p.command(t, "", "check")
			if status != 2 || !strings.Contains(out, "REFUSED") || !strings.Contains(out, c.want) {
				t.Errorf("status %d, want %q:\n%s%s", status, c.want, out, failed)
			}
		})
	}
}

// TestGroupRows reads rows as databases answer them.
func TestGroupRows(t *testing.T) {
	path := filepath.Join(t.TempDir(), "staff.sqlite")
	exec := staffIn(t, path)
	exec(`INSERT INTO staff VALUES ('A', 'Anna', 'Anna', 'f'), ('A', 'anna@example.com', 'Anna M.', ''), ('A', 'ben', NULL, NULL), ('B', 'ben', '', 'TRUE'),
		('', 'x', '', 0), ('C', '', '', 0), ('C', 'a b', '', 0), ('C', 'example.com', 'a host', 'perhaps')`)
	db, err := store.OpenForeign(store.DriverSQLite, store.Server{Database: path})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	source := &sqlSource{db: db, query: "SELECT * FROM staff", host: "example.com"}
	set, problems, err := source.Groups(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var odd []string
	for _, p := range problems {
		odd = append(odd, p.String())
	}
	slices.Sort(odd)
	if len(odd) != 4 {
		t.Errorf("left out: %q", odd)
	}
	want, _ := groups.New([]groups.Group{
		{Name: "A", Members: []groups.Member{{JID: addr.MustBare("anna@example.com"), Name: "Anna M."}, {JID: addr.MustBare("ben@example.com")}}},
		{Name: "B", Public: true, Members: []groups.Member{{JID: addr.MustBare("ben@example.com")}}},
	})
	if changed := set.Changed(want, []addr.Bare{addr.MustBare("anna@example.com"), addr.MustBare("ben@example.com"), addr.MustBare("x@example.com")}); len(changed) != 0 || set.Groups() != 2 {
		t.Errorf("%d groups, changed for %v", set.Groups(), changed)
	}
	if key := fmt.Sprint(sqlKey{at: config.SQL{Password: "sesame"}}); strings.Contains(key, "sesame") {
		t.Error("the key shows the password: " + key)
	}
}
