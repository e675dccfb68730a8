package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net"
	"net/url"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/go-sql-driver/mysql"
)

// Foreign is a database of somebody else's, in SQLite, PostgreSQL or MySQL. It is asked, and never written to. Its methods
// may be called from many goroutines at once.
type Foreign struct {
	where string
	db    *sql.DB
}

// The drivers of foreign databases, as Prosody's option sql calls them.
const (
	DriverSQLite     = "SQLite3"
	DriverPostgreSQL = "PostgreSQL"
	DriverMySQL      = "MySQL"
)

// ForeignDrivers are those that OpenForeign knows.
var ForeignDrivers = []string{DriverSQLite, DriverPostgreSQL, DriverMySQL}

// OpenForeign makes a Foreign of what the driver's server has. Of SQLite, Database is the path of the file and the rest
// means nothing. Whether somebody answers there is seen when it is asked.
func OpenForeign(driver string, at Server) (f *Foreign, err error) {
	f = &Foreign{}
	switch driver {
	case DriverSQLite:
		f.where = "SQLite's " + at.Database
		f.db, err = openForeignFile(at.Database)
	case DriverPostgreSQL:
		f.where = at.String()
		f.db, err = at.Open()
	case DriverMySQL:
		f.where = strings.Replace(at.String(), "PostgreSQL", "MySQL", 1)
		f.db, err = openMySQL(at)
	default:
		err = fmt.Errorf("there is no driver %q: %s are", driver, strings.Join(ForeignDrivers, ", "))
	}
	if err != nil {
		return nil, err
	}
	f.db.SetMaxOpenConns(2)
	f.db.SetConnMaxIdleTime(time.Minute)
	return f, nil
}

// openForeignFile opens a file that has to be there.
func openForeignFile(path string) (*sql.DB, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	options := url.Values{"mode": {"ro"}, "_pragma": {"query_only(1)", "busy_timeout(5000)"}}
	return sql.Open("sqlite", (&url.URL{Scheme: "file", OmitHost: true, Path: abs, RawQuery: options.Encode()}).String())
}

// openMySQL connects as MySQL's own programs do: by a socket if no host is named or it is a path, with TLS if the server
// has it.
func openMySQL(at Server) (*sql.DB, error) {
	c := mysql.NewConfig()
	c.User, c.Passwd, c.DBName = at.Username, at.Password, at.Database
	c.Timeout, c.ReadTimeout, c.WriteTimeout = connecting, answering, answering
	c.TLSConfig = "preferred"
	switch {
	case at.Host == "":
		c.Net, c.Addr = "unix", "/run/mysqld/mysqld.sock"
	case strings.HasPrefix(at.Host, "/"):
		c.Net, c.Addr = "unix", at.Host
	default:
		port := "3306"
		if at.Port != 0 {
			port = strconv.Itoa(at.Port)
		}
		c.Net, c.Addr = "tcp", net.JoinHostPort(at.Host, port)
	}
	connector, err := mysql.NewConnector(c)
	if err != nil {
		return nil, fmt.Errorf("open database %s of MySQL: %w", at.Database, err)
	}
	return sql.OpenDB(connector), nil
}

// String names the database without the password.
func (f *Foreign) String() string { return f.where }

// ErrTooMuch is wrapped by the errors of questions whose answer is larger than it may be.
var ErrTooMuch = errors.New("the answer is too large")

// Ask reads the rows of one query, in a transaction that cannot write (but what ends a transaction, CREATE and the like,
// ends this one too where the database is MySQL), and gives each to row, which may not keep them. A NULL is "". Columns are counted: least to most of them. The answer may have so many bytes, each row 64 of its own.
func (f *Foreign) Ask(ctx context.Context, query string, least, most, bytes int, row func([]string) error) error {
	if err := f.ask(ctx, query, least, most, bytes, row); err != nil {
		return fmt.Errorf("%s: %w", f.where, err)
	}
	return nil
}

func (f *Foreign) ask(ctx context.Context, query string, least, most, room int, row func([]string) error) error {
	tx, err := f.db.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return err
	}
	defer tx.Rollback() // there is nothing to commit
	rows, err := tx.QueryContext(ctx, query)
	if err != nil {
		return err
	}
	defer rows.Close()
	columns, err := rows.Columns()
	if err != nil {
		return err
	}
	if len(columns) < least || len(columns) > most {
		return fmt.Errorf("the query answers %d columns, not %d to %d", len(columns), least, most)
	}
	raw, cells, texts := make([]sql.RawBytes, len(columns)), make([]any, len(columns)), make([]string, len(columns))
	for i := range raw {
		cells[i] = &raw[i]
	}
	for rows.Next() {
		if err := rows.Scan(cells...); err != nil {
			return err
		}
		room -= 64
		for i, b := range raw {
			room -= len(b)
			texts[i] = string(b)
		}
		if room < 0 {
			return ErrTooMuch
		}
		if err := row(texts); err != nil {
			return err
		}
	}
	return rows.Err()
}

// Close ends the connections.
func (f *Foreign) Close() error { return f.db.Close() }
