package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"

	"rosterd/engine/addr"
	"rosterd/store/credential"
)

// Postgres is a database of PostgreSQL, where accounts and what users store can be in place of the SQLite file. Its
// methods may be called from many goroutines at once. What a call has acknowledged is as safe as the server keeps it.
//
// The server may go away and come back: calls fail meanwhile, but entries that are appended wait for it, as far as
// there is room for them.
type Postgres struct {
	where    string
	db       *sql.DB
	accounts *accountTable
	tables   *tables
	desk     *desk
	stall    *stall
}

// postgresReaders are how many questions are under way at a time.
const postgresReaders = 8

// Server says where a database is, in the words of Prosody's option sql. What is "" or 0 is as with PostgreSQL's own
// programs: a socket on this machine, the user of the process.
type Server struct {
	Database, Username, Password string
	Host                         string // a name, an address, or the folder of a socket
	Port                         int
	Fixed                        bool // the schema is somebody else's business (sql_manage_tables = false)
}

// How long PostgreSQL may take: to let us in, and for one commit or query.
const (
	connecting = 10 * time.Second
	answering  = 30 * time.Second
)

// OpenPostgres connects, and makes the schema "rosterd" with its tables where they are not there. Failed writes that
// no caller waits for go to log; nil means slog.Default.
func OpenPostgres(ctx context.Context, at Server, log *slog.Logger) (*Postgres, error) {
	if log == nil {
		log = slog.Default()
	}
	p := &Postgres{where: at.String()}
	c, err := at.config()
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", p.where, err)
	}
	p.db = stdlib.OpenDB(*c)
	p.db.SetMaxOpenConns(postgresReaders + 1) // and the writer's
	p.db.SetMaxIdleConns(4)
	p.db.SetConnMaxIdleTime(5 * time.Minute)
	if err := p.start(ctx, at.Fixed, log); err != nil {
		if p.desk != nil {
			p.desk.close()
		}
		return nil, errors.Join(fmt.Errorf("open %s: %w", p.where, err), p.db.Close())
	}
	return p, nil
}

func (p *Postgres) start(ctx context.Context, fixed bool, log *slog.Logger) error {
	ctx, cancel := context.WithTimeout(ctx, connecting)
	defer cancel()
	if err := migratePostgres(ctx, p.db, fixed); err != nil {
		return err
	}
	p.stall = &stall{log: log, where: p.where}
	p.desk = newDesk(postgresReaders)
	p.desk.stall = p.stall
	numbered := &statements{db: p.db, desk: p.desk, numbered: true} // the driver keeps them parsed
	p.accounts = &accountTable{read: numbered, write: numbered, where: p.where, place: PostgreSQL}
	w := newTableWriter(p.db, new(sync.Mutex), log)
	w.patience, w.stall = answering, p.stall
	var err error
	p.tables, err = openTables(ctx, numbered, numbered, p.where, w)
	return err
}

// String names the database without the password.
func (at Server) String() string {
	name := "database " + at.Database + " of PostgreSQL"
	if at.Host != "" {
		name += " at " + at.Host
	}
	if at.Port != 0 {
		name += fmt.Sprint(" port ", at.Port)
	}
	return name
}

// Open connects to what others have in the database, with the schemas that a user sees by default.
func (at Server) Open() (*sql.DB, error) {
	c, err := at.config()
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", at, err)
	}
	delete(c.RuntimeParams, "search_path")
	return stdlib.OpenDB(*c), nil
}

// config is what the driver wants to know.
func (at Server) config() (*pgx.ConnConfig, error) {
	settings := map[string]string{"dbname": at.Database, "user": at.Username, "password": at.Password, "host": at.Host}
	if at.Port != 0 {
		settings["port"] = fmt.Sprint(at.Port)
	}
	var list []string
	escape := strings.NewReplacer(`\`, `\\`, `'`, `\'`)
	for key, value := range settings {
		if value != "" {
			list = append(list, key+"='"+escape.Replace(value)+"'")
		}
	}
	c, err := pgx.ParseConfig(strings.Join(list, " "))
	if err != nil {
		return nil, errors.New("the option sql is not understood") // the driver's own words may hold the password
	}
	c.ConnectTimeout = connecting
	c.RuntimeParams["application_name"] = "rosterd"
	c.RuntimeParams["search_path"] = "rosterd"
	c.RuntimeParams["statement_timeout"] = fmt.Sprint(answering.Milliseconds())
	return c, nil
}

// Stores are those of a host in this database.
func (p *Postgres) Stores(host string) Stores { return p.tables.stores(host) }

// Credentials finds a user; credential.ErrNoUser if it is not there.
func (p *Postgres) Credentials(ctx context.Context, user addr.Bare) (credential.Credentials, error) {
	return p.accounts.find(ctx, user)
}

// AddUser adds a user; ErrUserExists if it is there.
func (p *Postgres) AddUser(ctx context.Context, user addr.Bare, c credential.Credentials) error {
	return p.accounts.add(ctx, user, c)
}

// SetPassword replaces what is kept of the password of a user, and leaves Disabled as it is.
func (p *Postgres) SetPassword(ctx context.Context, user addr.Bare, c credential.Credentials) error {
	return p.accounts.setPassword(ctx, user, c)
}

// HashPassword is SetPassword as long as the user's password is kept as it is, and is this one. It is false if it is not.
func (p *Postgres) HashPassword(ctx context.Context, user addr.Bare, password string, c credential.Credentials) (bool, error) {
	return p.accounts.hashPassword(ctx, user, password, c)
}

// DeleteUser deletes a user and what is in all stores here; all of it or nothing.
func (p *Postgres) DeleteUser(ctx context.Context, user addr.Bare) error {
	err := p.accounts.remove(ctx, user, func(tx *sql.Tx) error { return p.tables.forgetIn(ctx, tx, user) })
	if err != nil {
		return err
	}
	return p.tables.forget(ctx, user) // something may be queued
}

// Forget deletes what is in all stores here of a user who has no account here.
func (p *Postgres) Forget(ctx context.Context, user addr.Bare) error {
	return p.tables.forget(ctx, user)
}

// Users lists the accounts of a host here, by name.
func (p *Postgres) Users(ctx context.Context, host string) ([]Account, error) {
	return p.accounts.list(ctx, host)
}

// Writable tells whether the database can be written to: what was queued last could, and it answers now.
func (p *Postgres) Writable(ctx context.Context) error {
	err := p.tables.writer.failure()
	if err == nil {
		err = p.db.PingContext(ctx)
	}
	if err != nil {
		return fmt.Errorf("write to %s: %w", p.where, err)
	}
	return nil
}

// Close writes what is queued and closes the connections. Nothing may be called afterwards.
func (p *Postgres) Close() error {
	err := p.tables.close()
	p.desk.close()
	return errors.Join(err, p.db.Close())
}
