package config

import (
	"fmt"
	"strings"
	"testing"
)

func TestDriver(t *testing.T) {
	for _, x := range []struct{ src, accounts, archive, roster string }{
		{"", "embedded", "embedded", "embedded"},
		{"storage = 'sql'", "embedded", "embedded", "embedded"},
		{"storage = 'sql'\nsql = { driver = 'PostgreSQL', database = 'd' }", "PostgreSQL", "PostgreSQL", "PostgreSQL"},
		{"storage = { archive = 'memory', roster = 'none' }", "embedded", "memory", "none"},
		{"default_storage = 'sql'\nsql = { driver = 'PostgreSQL', database = 'd' }\nstorage = { accounts = 'internal', roster = 'rosterd' }", "embedded", "PostgreSQL", "embedded"},
	} {
		h := mustLoad(t, x.src+"\nVirtualHost 'h.example'").Host("h.example")
		if a, b, c := h.Driver("accounts"), h.Driver("archive"), h.Driver("roster"); string(a) != x.accounts || string(b) != x.archive || string(c) != x.roster {
			t.Errorf("%q: accounts %s, archive %s, roster %s", x.src, a, b, c)
		}
	}
}

func TestSQL(t *testing.T) {
	c := mustLoad(t, `sql = { driver = "PostgreSQL", database = "xmpp", username = "prosody", password = 42, host = "db.example", port = "5433" }`)
	want := SQL{Driver: "PostgreSQL", Database: "xmpp", Username: "prosody", Password: "42", Host: "db.example", Port: 5433}
	if got := SQLDatabase.Get(c.Global()); got != want {
		t.Errorf("sql is %+v", got)
	}
	for _, bad := range []string{`"PostgreSQL"`, `{ "PostgreSQL" }`, `{ driver = {} }`, `{ port = 70000 }`, `{ port = "x" }`} {
		r := &reading{cfg: c, secret: true}
		if _, ok := sqlTable(r, value(t, bad)); ok || len(r.problems) == 0 {
			t.Errorf("%s is taken", bad)
		}
	}
}

// TestStorageCheck: a store that nothing keeps refuses the start, and says where.
func TestStorageCheck(t *testing.T) {
	const host = "\nVirtualHost 'h.example'\nmodules_enabled = { 'roster' }"
	for _, x := range []struct{ name, src, want string }{
		{"prosody's default", "", ""},
		{"by name", "storage = { archive = 'memory', offline = 'none', accounts = 'internal', private = 'sql' }", ""},
		{"a driver that is not there", "storage = 'lmdb'", `refused 1 accounts are stored by "lmdb", which is not available`},
		{"for one store", "\nstorage = { vcard = 'xmlarchive' }", `refused 2 the storage driver "xmlarchive" is not available`},
		{"misspelt", "storage = { archive = 'memroy' }", `refused 1 there is no storage driver "memroy"`},
		{"accounts in memory", "storage = { accounts = 'memory' }", `refused 1 accounts are stored by "memory", which is not available`},
		{"a store that is not kept", "storage = { muc_log = 'xmlarchive' }", `note 1 storage: the store "muc_log" is not kept here`},
		{"SQLite", "storage = 'sql'\nsql = { driver = 'SQLite3', database = 'x' }", `warn 2 accounts are in rosterd's own database`},
		{"SQLite for the rest", "storage = { archive = 'sql' }\nsql = { driver = 'SQLite3' }", ""},
		{"PostgreSQL", "storage = 'sql'\nsql = { driver = 'PostgreSQL', database = 'x', host = 'y', username = 'z', password = 'p' }", `warn 2 accounts are in tables of rosterd's own`},
		{"PostgreSQL without a database", "storage = { archive = 'sql' }\nsql = { driver = 'PostgreSQL' }", `refused 2 sql: PostgreSQL needs the name of a database`},
		{"MySQL", "storage = { archive = 'sql' }\n\nsql = { driver = 'MySQL', database = 'x' }", `refused 3 sql: the driver "MySQL" is not available`},
		{"MySQL for nothing", "sql = { driver = 'MySQL', database = 'x' }", `note 1 sql has no effect`},
		{"something else", "storage = { archive = 'sql' }\nsql = { driver = 'PostgreSQL', database = 'x', sslmode = 'require' }", `warn 2 sql: sslmode is nothing that a database is told`},
	} {
		t.Run(x.name, func(t *testing.T) {
			var got []string
			for _, d := range Check(mustLoad(t, x.src+host)) {
				if d.Name == "storage" || d.Name == "sql" {
					got = append(got, fmt.Sprintf("%s %d %s", d.Severity, d.Pos.Line, d.Message))
					if strings.Contains(d.Message+d.Hint, "'p'") {
						t.Errorf("the password is in %s", d)
					}
				}
			}
			want := strings.Split(x.want, "|")
			if x.want == "" {
				want = nil
			}
			ok := len(got) == len(want)
			for i := range want {
				ok = ok && strings.HasPrefix(got[i], want[i])
			}
			if !ok {
				t.Errorf("check says\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
			}
		})
	}
}
