package prosody

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"maps"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"

	_ "modernc.org/sqlite" // the driver "sqlite"

	"rosterd/store"
	"rosterd/store/dat"
)

// Database has Prosody's tables, "prosody" for values and "prosodyarchive" for stanzas, in SQLite3 or in PostgreSQL.
// Nothing is written to it.
type Database struct {
	db       *sql.DB
	ask      asker // db, or a transaction in which nothing changes
	end      func() error
	where    string
	numbered bool // "$1", "$2" … instead of "?"
}

var _ Source = (*Database)(nil)

type asker interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

// OpenFile opens a file of SQLite3. While it is read, nobody else is kept from writing for longer than a page of items
// takes.
func OpenFile(ctx context.Context, path string) (*Database, error) {
	options := url.Values{"mode": {"ro"}, "_pragma": {"busy_timeout(5000)", "query_only(1)"}}
	switch wal, err := isWAL(path); {
	case err != nil:
		return nil, err
	case wal: // nobody has it open, and to open it would make files
		options.Set("immutable", "1")
	}
	dsn := (&url.URL{Scheme: "file", OmitHost: true, Path: path, RawQuery: options.Encode()}).String()
	db, err := sql.Open("sqlite", dsn)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	db.SetMaxOpenConns(2)
	d := &Database{db: db, ask: db, end: func() error { return nil }, where: path}
	return d, d.start(ctx)
}

// isWAL tells whether a file is in the mode of write-ahead logging, and has no log.
func isWAL(path string) (bool, error) {
	f, err := os.Open(path)
	if err != nil {
		return false, err
	}
	defer f.Close()
	if err := regular(f); err != nil {
		return false, err
	}
	head := make([]byte, 20)
	if n, err := f.ReadAt(head, 0); n < len(head) {
		return false, fmt.Errorf("%s: no database: %w", path, err)
	}
	_, err = os.Stat(path + "-wal")
	return head[18] == 2 && errors.Is(err, fs.ErrNotExist), nil
}

// OpenServer opens a database of PostgreSQL, as it is at this moment.
func OpenServer(ctx context.Context, at store.Server) (*Database, error) {
	db, err := at.Open()
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(1)
	d := &Database{db: db, where: at.String(), numbered: true}
	tx, err := db.BeginTx(ctx, &sql.TxOptions{Isolation: sql.LevelRepeatableRead, ReadOnly: true})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open %s: %w", at, err), db.Close())
	}
	d.ask, d.end = tx, tx.Rollback
	return d, d.start(ctx)
}

// start looks for the tables.
func (d *Database) start(ctx context.Context) error {
	for _, table := range []string{"prosody", "prosodyarchive"} {
		rows, err := d.rows(ctx, `SELECT 1 FROM "`+table+`" LIMIT 1`)
		if err == nil {
			err = rows.Close()
		}
		if err != nil {
			return errors.Join(fmt.Errorf("%s: Prosody's table %q cannot be read: %w", d.where, table, err), d.Close())
		}
	}
	return nil
}

func (d *Database) String() string { return d.where }

// Close ends what Open began.
func (d *Database) Close() error { return errors.Join(d.end(), d.db.Close()) }

func (d *Database) rows(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	if d.numbered {
		for i := 1; strings.Contains(query, "?"); i++ {
			query = strings.Replace(query, "?", "$"+strconv.Itoa(i), 1)
		}
	}
	return d.ask.QueryContext(ctx, query, args...)
}

// list asks for rows of one text and perhaps a number.
func (d *Database) list(ctx context.Context, query string, each func(text string, n int), args ...any) error {
	rows, err := d.rows(ctx, query, args...)
	if err != nil {
		return fmt.Errorf("%s: %w", d.where, err)
	}
	defer rows.Close()
	for rows.Next() {
		var text string
		var n int
		if err := rows.Scan(&text, &n); err != nil {
			return fmt.Errorf("%s: %w", d.where, err)
		}
		each(text, n)
	}
	if err := rows.Err(); err != nil {
		return fmt.Errorf("%s: %w", d.where, err)
	}
	return nil
}

// Hosts are those in either table.
func (d *Database) Hosts(ctx context.Context) (hosts []string, err error) {
	all := map[string]bool{}
	for _, table := range []string{"prosody", "prosodyarchive"} {
		err = errors.Join(err, d.list(ctx, `SELECT DISTINCT "host", 0 FROM "`+table+`"`, func(host string, _ int) { all[host] = true }))
	}
	return slices.Sorted(maps.Keys(all)), err
}

// Inventory counts users by store. What belongs to a host and not to a user is not in it.
func (d *Database) Inventory(ctx context.Context, host string, of func(string) bool) (v Inventory, err error) {
	v.Stores = map[string]int{}
	users := map[string]bool{}
	for _, table := range []string{"prosody", "prosodyarchive"} {
		stores := map[string]int{}
		err = errors.Join(err, d.list(ctx, `SELECT "store", count(DISTINCT "user") FROM "`+table+`" WHERE "host"=? AND "user"<>'' GROUP BY "store"`,
			func(name string, n int) { stores[name] = n }, host))
		for name, n := range stores {
			v.Stores[name] += n
			if of(name) {
				err = errors.Join(err, d.list(ctx, `SELECT DISTINCT "user", 0 FROM "`+table+`" WHERE "host"=? AND "store"=? AND "user"<>''`,
					func(user string, _ int) { users[user] = true }, host, name))
			}
		}
	}
	v.Users = slices.Sorted(maps.Keys(users))
	return v, err
}

// row says which row something is in.
func (d *Database) row(format string, args ...any) Place {
	return Place{File: d.where + ": " + fmt.Sprintf(format, args...)}
}

// Table puts the rows of a user in a store together: one for each key that is a string, and under "" the others.
func (d *Database) Table(ctx context.Context, host, user, name string) (doc Document, err error) {
	doc.Place = d.row("prosody: %s of %s@%s", name, user, host)
	rows, err := d.rows(ctx, `SELECT "key", "type", "value" FROM "prosody" WHERE "host"=? AND "user"=? AND "store"=? ORDER BY "key"`, host, user, name)
	if err != nil {
		return doc, fmt.Errorf("%s: %w", d.where, err)
	}
	defer rows.Close()
	size := 0
	for rows.Next() {
		var key, typ, text string
		if err := rows.Scan(&key, &typ, &text); err != nil {
			return doc, fmt.Errorf("%s: %w", d.where, err)
		}
		if size += len(key) + len(text); size > maxDocument {
			return doc, &Error{doc.Place, fmt.Sprintf("larger than %d bytes", maxDocument)}
		}
		if doc.Table == nil {
			doc.Table = &dat.Table{}
		}
		if err := field(doc.Table, key, typ, text); err != nil {
			return doc, &Error{doc.Place, fmt.Sprintf("key %q: %v", key, err)}
		}
	}
	if err := rows.Err(); err != nil {
		return doc, fmt.Errorf("%s: %w", d.where, err)
	}
	return doc, nil
}

func field(t *dat.Table, key, typ, text string) error {
	v, err := value(typ, text)
	if err != nil {
		return err
	}
	rest, ok := v.(*dat.Table)
	switch {
	case key != "" && t.Get(key) != nil: // of a database that was edited
		return errors.New("is there twice")
	case key != "":
		put(t, key, v)
	case ok:
		for _, f := range rest.Fields {
			if t.Get(f.Key) == nil {
				put(t, f.Key, f.Value)
			}
		}
	}
	return nil
}

// value reads a value of one of the types that Prosody writes.
func value(typ, text string) (dat.Value, error) {
	switch typ {
	case "string":
		return text, nil
	case "boolean":
		if text == "true" || text == "false" {
			return text == "true", nil
		}
		return nil, fmt.Errorf("%q is no boolean", text)
	case "number":
		return number(text)
	case "json":
		return fromJSON(text)
	}
	return nil, fmt.Errorf("a value of type %q", typ)
}

// itemsAtOnce are read together: they may be large.
const itemsAtOnce = 50

// Items are read by pages, so that others may use the database meanwhile.
func (d *Database) Items(ctx context.Context, host, user, name string) iter.Seq2[Item, error] {
	return func(yield func(Item, error) bool) {
		for last, more := int64(-1<<63), true; more; {
			page, err := d.page(ctx, host, user, name, &last)
			if err != nil {
				yield(Item{}, err)
				return
			}
			for _, item := range page {
				if !yield(item, nil) {
					return
				}
			}
			more = len(page) == itemsAtOnce
		}
	}
}

func (d *Database) page(ctx context.Context, host, user, name string, last *int64) (list []Item, err error) {
	rows, err := d.rows(ctx, `SELECT "sort_id", "key", "type", "value", "when", "with" FROM "prosodyarchive"
		WHERE "host"=? AND "user"=? AND "store"=? AND "sort_id">? ORDER BY "sort_id" LIMIT `+strconv.Itoa(itemsAtOnce), host, user, name, *last)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", d.where, err)
	}
	defer rows.Close()
	for rows.Next() {
		var i Item
		var typ string
		var when sql.NullFloat64
		if err := rows.Scan(last, &i.Key, &typ, &i.Stanza, &when, &i.With); err != nil {
			return nil, fmt.Errorf("%s: prosodyarchive after sort_id %d: %w", d.where, *last, err)
		}
		i.Place = d.row("prosodyarchive: sort_id %d", *last)
		i.Time, err = instant(when.Float64)
		if err == nil {
			i.Stanza, err = asXML(typ, i.Stanza)
		}
		if err != nil {
			i.Err = &Error{i.Place, err.Error()}
		}
		list = append(list, i)
	}
	return list, rows.Err()
}

// asXML is what is kept as XML, or as the table that Prosody makes of it.
func asXML(typ string, text []byte) ([]byte, error) {
	switch typ {
	case "xml":
		return text, nil
	case "json":
		v, err := fromJSON(string(text))
		if err != nil {
			return nil, err
		}
		if t, ok := v.(*dat.Table); ok {
			return element(nil, t, "stamp", "stamp_legacy")
		}
	}
	return nil, fmt.Errorf("a value of type %q is no stanza", typ)
}

// Stamp counts, and looks at the last one: rows are added and removed, and not changed.
func (d *Database) Stamp(ctx context.Context, host, user, name string) (stamp string, err error) {
	rows, err := d.rows(ctx, `SELECT count(*), coalesce(max("sort_id"), 0) FROM "prosodyarchive" WHERE "host"=? AND "user"=? AND "store"=?`, host, user, name)
	if err != nil {
		return "", fmt.Errorf("%s: %w", d.where, err)
	}
	defer rows.Close()
	for rows.Next() {
		var n, last int64
		if err := rows.Scan(&n, &last); err != nil {
			return "", fmt.Errorf("%s: %w", d.where, err)
		}
		if n > 0 {
			stamp = fmt.Sprintf("%d to %d", n, last)
		}
	}
	return stamp, rows.Err()
}
