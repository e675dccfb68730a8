package config

import (
	"fmt"
	"slices"
	"strings"

	"rosterd/config/known"
)

// SQL says where the stores are that are kept by "sql", in the words of Prosody's option. What is "" or 0 is as the
// database's own programs have it.
type SQL struct {
	Driver                       string // "SQLite3" or "PostgreSQL"; another one has been refused where it matters
	Database, Username, Password string
	Host                         string
	Port                         int
}

// Stores in SQL, and in memory.
var (
	SQLDatabase = declare(Spec{Name: "sql", Risk: Security, Secret: true,
		Doc: `the database of stores that are kept by "sql": driver, database, username, password, host, port. PostgreSQL is one, SQLite3 is the embedded database`},
		sqlTable, SQL{Driver: "SQLite3"})
	SQLManageTables = declare(Spec{Name: "sql_manage_tables", Risk: Security,
		Doc: "make the tables in PostgreSQL, and bring them up to date"}, boolean, true)
	MemoryEntries = declare(Spec{Name: "storage_archive_item_limit", Scope: ScopeGlobal,
		Doc: "stanzas of a user that a store in memory keeps, but for offline messages; the oldest go"}, integer(1, 1_000_000), 1000)
)

// sqlTable reads what Prosody hands to its database library.
func sqlTable(r *reading, v Value) (s SQL, ok bool) {
	t := v.Table()
	if t == nil || len(t.List) > 0 {
		r.fail(v, `takes a table such as { driver = "PostgreSQL", database = "prosody" }`)
		return s, false
	}
	texts := map[string]*string{"driver": &s.Driver, "database": &s.Database, "username": &s.Username, "password": &s.Password, "host": &s.Host}
	s.Driver, ok = "SQLite3", true
	for _, f := range t.Fields {
		name := keyText(f.Key)
		var read bool
		switch field := texts[name]; {
		case field != nil:
			*field, read = text(r, f.Value)
		case name == "port":
			s.Port, read = port(r, f.Value)
		default:
			r.warn(f.Value, "%s is nothing that a database is told", name)
			continue
		}
		ok = ok && read
	}
	return s, ok
}

func port(r *reading, v Value) (int, bool) {
	f, ok := v.number()
	if n := int(f); ok && float64(n) == f && n >= 1 && n <= 65535 {
		return n, true
	}
	r.fail(v, "takes a port number, not %s", r.show(v))
	return 0, false
}

// The drivers of SQL.
const (
	sqlite     = "SQLite3"
	postgresql = "PostgreSQL"
)

// Driver is what keeps a store.
type Driver string

// The drivers.
const (
	Embedded   Driver = "embedded" // the embedded database
	InMemory   Driver = "memory"
	Nowhere    Driver = "none"
	PostgreSQL Driver = postgresql
)

// Driver tells what keeps one of the host's stores. Of "accounts" some may be in Prosody's data folder all the same:
// see StorageDriver.
func (h *Host) Driver(store string) Driver {
	if store != "accounts" && h.Anonymous() && !AnonymousStorage.Get(h) {
		return Nowhere
	}
	switch name := h.StorageDriver(store); {
	case name == "memory":
		return InMemory
	case name == "none", name == ldapDriver: // what a directory has is asked for there
		return Nowhere
	case name == "sql" && SQLDatabase.Get(h).Driver == postgresql:
		return PostgreSQL
	default:
		return Embedded
	}
}

// kept are the stores that rosterd has, by Prosody's names where there are some.
var kept = []string{"accounts", "archive", "archive_prefs", "blocklist", "lastactivity", "offline", "pep", "pep_data", "private", "roster", "roster_own", "rosterd_seen", "smacks_h", "vcard"}

// kept are the stores that rosterd has for this host, of which one has the name that the file gives it.
func (h *Host) kept() []string {
	name := ArchiveStore.Get(h)
	if slices.Contains(kept, name) {
		return kept
	}
	return append(slices.Clone(kept), name, name+"_prefs")
}

// drivers are those of a store that do something here. "internal" is Prosody's own data folder for accounts and rosters,
// and otherwise the embedded database, "rosterd" is that one alone.
func drivers(store string) []string {
	if store == "accounts" {
		return []string{"internal", "rosterd", "sql"} // neither in memory nor nowhere: nobody could log in
	}
	return []string{"internal", "memory", "none", "rosterd", "sql"}
}

// storage: a store that nothing keeps would lose what users entrust to it.
func (ck *checker) storage(h *Host) {
	for _, store := range h.kept() {
		ck.store(h, store)
	}
}

func (ck *checker) store(h *Host, store string) {
	driver, pos := h.storageDriver(store)
	list := drivers(store)
	moot := store == "accounts" && !internalAccounts(h) || store == "roster" && !h.StoresRosters() || store == "roster_own" && !h.PersonalRosters()
	switch {
	case driver == ldapDriver && store == "accounts" && !moot:
		ck.once(Refused, CodeAccounts, h, "storage", pos, `accounts are stored by "ldap", which is not available`, `authentication = "ldap2" lets users of a directory in`)
	case driver == ldapDriver && (!moot || store == "roster" && h.LDAPRosters()):
		ck.ldapStore(h, store, pos)
	case slices.Contains(list, driver):
		if driver == "sql" && !moot {
			ck.sql(h, store, pos)
		}
	case moot && slices.Contains(drivers(""), driver):
	case moot && store == "roster" && prosodyHas(driver):
		ck.once(Note, CodeMoot, h, "storage", pos, fmt.Sprintf("rosters are not stored by %q: they come from the backend", driver), "")
	case moot && (store == "accounts" || store == "roster_own"):
	case store == "accounts":
		ck.once(Refused, CodeAccounts, h, "storage", pos, fmt.Sprintf("accounts are stored by %q, which is not available", driver), storageHint(driver, list))
	case ck.refusedAt("storage", pos): // of the accounts, by the same word
	case prosodyHas(driver):
		ck.once(Refused, CodeAccounts, h, "storage", pos, fmt.Sprintf("the storage driver %q is not available", driver), storageHint(driver, list))
	default:
		ck.once(Refused, CodeAccounts, h, "storage", pos, fmt.Sprintf("there is no storage driver %q", driver), storageHint(driver, list))
	}
}

// prosodyHas tells whether a driver is one of Prosody's, or of its community's.
func prosodyHas(driver string) bool {
	_, isKnown := known.LookupModule("storage_" + driver)
	return isKnown
}

func storageHint(driver string, list []string) string {
	if s := known.Suggest(driver, list); s != "" {
		return fmt.Sprintf("did you mean %q?", s)
	}
	return fmt.Sprintf("%s are", strings.Join(quoted(list), ", "))
}

func quoted(list []string) []string {
	var q []string
	for _, s := range list {
		q = append(q, fmt.Sprintf("%q", s))
	}
	return q
}

// sql looks at the database of a store that is kept in one.
func (ck *checker) sql(h *Host, store string, storage Pos) {
	s, pos, set := SQLDatabase.Lookup(h)
	if !set {
		if h.find(SQLDatabase.Name, ScopeHost) != nil {
			return // it is not understood, which has been refused
		}
		pos = storage
	}
	switch {
	case s.Driver == sqlite && store == "accounts":
		ck.once(Warn, CodeAccounts, h, SQLDatabase.Name, pos, fmt.Sprintf("accounts are in rosterd's own database %s: those in Prosody's SQLite file are not read", Database.Get(ck.global)),
			"take them over with rosterd import prosody")
	case s.Driver == sqlite:
	case s.Driver != postgresql:
		hint := fmt.Sprintf("%q and %q are", sqlite, postgresql)
		if x := known.Suggest(s.Driver, []string{sqlite, postgresql}); x != "" {
			hint = fmt.Sprintf("did you mean %q?", x)
		}
		ck.once(Refused, CodeAccounts, h, SQLDatabase.Name, pos, fmt.Sprintf("sql: the driver %q is not available", s.Driver), hint)
	case s.Database == "":
		ck.once(Refused, CodeAccounts, h, SQLDatabase.Name, pos, "sql: PostgreSQL needs the name of a database", `sql = { driver = "PostgreSQL", database = "…", … }`)
	case store == "accounts":
		ck.once(Warn, CodeAccounts, h, SQLDatabase.Name, pos, "accounts are in tables of rosterd's own in PostgreSQL, in the schema rosterd: those in Prosody's tables are not read", "take them over with rosterd import prosody")
	}
}

// mootSQL: a database that nothing is kept in.
func (ck *checker) mootSQL(h *Host, st *setting) {
	uses := func(h *Host) bool {
		return slices.ContainsFunc(h.kept(), func(store string) bool { return h.StorageDriver(store) == "sql" })
	}
	if h == ck.global && slices.ContainsFunc(ck.Config.hosts, uses) || h != ck.global && uses(h) {
		return
	}
	ck.add(Note, CodeMoot, h, st.name, st.pos, st.name+` has no effect: no store is kept by "sql"`, "")
}
