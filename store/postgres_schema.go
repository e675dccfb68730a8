package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
)

// ErrNoSchema says that a database is not to be changed, and has nothing of ours.
var ErrNoSchema = errors.New("there is no schema rosterd, and sql_manage_tables = false forbids to make it")

// postgresMigrations are for PostgreSQL what migrations are for SQLite. Everything is in a schema of its own, so that
// there can be tables of others beside it. Names are compared byte by byte (COLLATE "C").
var postgresMigrations = []string{
	`CREATE TABLE account (
		host        text COLLATE "C" NOT NULL,
		name        text COLLATE "C" NOT NULL,
		hash        text,    -- these four: credential.SCRAM
		salt        bytea,
		iterations  bigint,
		stored_key  bytea,
		server_key  bytea,
		password    text,    -- or the password itself
		disabled    boolean NOT NULL DEFAULT false,
		created     bigint NOT NULL, -- Unix time
		changed     bigint NOT NULL, -- Unix time of the last password
		PRIMARY KEY (host, name)
	);
	CREATE TABLE keyed (
		host  text COLLATE "C" NOT NULL,
		name  text COLLATE "C" NOT NULL,
		store text COLLATE "C" NOT NULL,
		key   bytea NOT NULL,
		value bytea NOT NULL,
		PRIMARY KEY (host, name, store, key)
	);
	CREATE TABLE log (
		id    bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
		host  text COLLATE "C" NOT NULL,
		name  text COLLATE "C" NOT NULL,
		store text COLLATE "C" NOT NULL,
		UNIQUE (host, name, store)
	);
	CREATE TABLE entry (
		seq      bigint NOT NULL, -- in the order of coming
		log      bigint NOT NULL,
		id       bytea,           -- NULL if it follows from seq
		time     bigint NOT NULL, -- Unix time in microseconds
		peer     text COLLATE "C" NOT NULL, -- the bare JID of the other side
		resource text COLLATE "C" NOT NULL, -- and its resource, or ''
		stanza   bytea NOT NULL,
		PRIMARY KEY (log, seq)
	);
	CREATE INDEX entry_seq ON entry (seq);
	CREATE INDEX entry_time ON entry (log, time);
	CREATE INDEX entry_peer ON entry (log, peer, seq);
	CREATE UNIQUE INDEX entry_id ON entry (log, id) WHERE id IS NOT NULL;`,
}

// migratePostgres brings a database to the last version in one transaction. If fixed, it only looks whether somebody
// else has.
func migratePostgres(ctx context.Context, db *sql.DB, fixed bool) error {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	version, err := postgresVersion(ctx, tx, fixed)
	switch {
	case err != nil:
		return err
	case version > len(postgresMigrations):
		return fmt.Errorf("schema %d is of a newer version of this program, which knows %d", version, len(postgresMigrations))
	case version == len(postgresMigrations):
		return tx.Commit()
	case fixed:
		return fmt.Errorf("schema %d is to be %d, and sql_manage_tables = false forbids to change it", version, len(postgresMigrations))
	}
	for i := version; i < len(postgresMigrations); i++ {
		if _, err := tx.ExecContext(ctx, postgresMigrations[i]); err != nil {
			return fmt.Errorf("migrate to schema %d: %w", i+1, err)
		}
	}
	if _, err := tx.ExecContext(ctx, `UPDATE version SET version = $1`, len(postgresMigrations)); err != nil {
		return err
	}
	return tx.Commit()
}

// postgresVersion is 0 for a schema that was made just now. Others who would make it wait for the end of tx.
func postgresVersion(ctx context.Context, tx *sql.Tx, fixed bool) (version int, err error) {
	var there bool
	if err := tx.QueryRowContext(ctx, `SELECT to_regclass('rosterd.version') IS NOT NULL FROM (SELECT pg_advisory_xact_lock($1)) AS lock`, applicationID).Scan(&there); err != nil {
		return 0, err
	}
	switch {
	case !there && fixed:
		return 0, ErrNoSchema
	case !there:
		_, err := tx.ExecContext(ctx, `CREATE SCHEMA IF NOT EXISTS rosterd; CREATE TABLE rosterd.version (version bigint NOT NULL); INSERT INTO rosterd.version VALUES (0)`)
		return 0, err
	}
	err = tx.QueryRowContext(ctx, `SELECT version FROM version`).Scan(&version)
	return version, err
}
