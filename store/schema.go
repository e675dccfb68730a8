package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
)

// applicationID marks a database as ours (PRAGMA application_id).
const applicationID = 0x726f7374 // "rost"

// migrations lead from one version of the schema to the next. The version of a file is how many of them it has
// seen (PRAGMA user_version). What has been released is never changed here, only added to.
var migrations = []string{
	`CREATE TABLE account (
		host        TEXT NOT NULL,
		name        TEXT NOT NULL,
		hash        TEXT,    -- these four: credential.SCRAM
		salt        BLOB,
		iterations  INTEGER,
		stored_key  BLOB,
		server_key  BLOB,
		password    TEXT,    -- or the password itself
		disabled    INTEGER NOT NULL DEFAULT 0,
		created     INTEGER NOT NULL, -- Unix time
		changed     INTEGER NOT NULL, -- Unix time of the last password
		PRIMARY KEY (host, name)
	) STRICT, WITHOUT ROWID;
	CREATE TABLE roster (
		host  TEXT NOT NULL,
		name  TEXT NOT NULL,
		doc   BLOB NOT NULL,
		saved INTEGER NOT NULL, -- Unix time
		PRIMARY KEY (host, name)
	) STRICT;
	CREATE TABLE secret (
		name  TEXT NOT NULL PRIMARY KEY,
		value BLOB NOT NULL
	) STRICT;`,
	`CREATE TABLE fresh ( -- rosters that need no fetch at a login
		host  TEXT NOT NULL,
		name  TEXT NOT NULL,
		until INTEGER NOT NULL, -- Unix time in nanoseconds
		PRIMARY KEY (host, name)
	) STRICT, WITHOUT ROWID;
	CREATE TRIGGER roster_gone AFTER DELETE ON roster BEGIN
		DELETE FROM fresh WHERE host = OLD.host AND name = OLD.name;
	END;`,
	`CREATE TABLE plugin_value (
		host   TEXT NOT NULL,
		plugin TEXT NOT NULL,
		store  BLOB NOT NULL, -- this and the key: any bytes
		key    BLOB NOT NULL,
		value  BLOB NOT NULL,
		until  INTEGER,       -- Unix time in nanoseconds; NULL is for ever
		PRIMARY KEY (host, plugin, store, key)
	) STRICT;
	CREATE INDEX plugin_value_until ON plugin_value (until) WHERE until IS NOT NULL;
	CREATE TABLE plugin_size ( -- of the stores, keys and values of one plugin
		host   TEXT NOT NULL,
		plugin TEXT NOT NULL,
		bytes  INTEGER NOT NULL,
		PRIMARY KEY (host, plugin)
	) STRICT, WITHOUT ROWID;
	CREATE TRIGGER plugin_value_new AFTER INSERT ON plugin_value BEGIN
		INSERT INTO plugin_size VALUES (NEW.host, NEW.plugin, length(NEW.store) + length(NEW.key) + length(NEW.value))
			ON CONFLICT DO UPDATE SET bytes = bytes + excluded.bytes;
	END;
	CREATE TRIGGER plugin_value_gone AFTER DELETE ON plugin_value BEGIN
		UPDATE plugin_size SET bytes = bytes - length(OLD.store) - length(OLD.key) - length(OLD.value)
			WHERE host = OLD.host AND plugin = OLD.plugin;
	END;`,
	`CREATE TABLE keyed ( -- Keyed
		host  TEXT NOT NULL,
		name  TEXT NOT NULL,
		store TEXT NOT NULL,
		key   BLOB NOT NULL,
		value BLOB NOT NULL,
		PRIMARY KEY (host, name, store, key)
	) STRICT;
	CREATE TABLE log ( -- Log
		id    INTEGER PRIMARY KEY,
		host  TEXT NOT NULL,
		name  TEXT NOT NULL,
		store TEXT NOT NULL,
		UNIQUE (host, name, store)
	) STRICT;
	CREATE TABLE entry (
		seq      INTEGER PRIMARY KEY, -- in the order of coming
		log      INTEGER NOT NULL,
		id       BLOB,                -- NULL if it follows from seq
		time     INTEGER NOT NULL,    -- Unix time in microseconds
		peer     TEXT NOT NULL,       -- the bare JID of the other side
		resource TEXT NOT NULL,       -- and its resource, or ''
		stanza   BLOB NOT NULL
	) STRICT;
	CREATE INDEX entry_log ON entry (log, seq);
	CREATE INDEX entry_time ON entry (log, time);
	CREATE INDEX entry_peer ON entry (log, peer, seq);
	CREATE UNIQUE INDEX entry_id ON entry (log, id) WHERE id IS NOT NULL;`,
}

// migrate brings a database to the last version in one transaction, or leaves it as it is.
func migrate(ctx context.Context, db *sql.DB) (err error) {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, tx.Rollback())
		}
	}()
	version, err := schemaVersion(ctx, tx)
	if err != nil {
		return err
	}
	if version == len(migrations) {
		return tx.Commit()
	}
	for i := version; i < len(migrations); i++ {
		if _, err := tx.ExecContext(ctx, migrations[i]); err != nil {
			return fmt.Errorf("migrate to schema %d: %w", i+1, err)
		}
	}
	pragmas := fmt.Sprintf("PRAGMA application_id = %d; PRAGMA user_version = %d", applicationID, len(migrations))
	if _, err := tx.ExecContext(ctx, pragmas); err != nil {
		return fmt.Errorf("set schema version: %w", err)
	}
	return tx.Commit()
}

// schemaVersion is 0 for an empty database, and an error for one that is not ours or too new.
func schemaVersion(ctx context.Context, tx *sql.Tx) (int, error) {
	var application, version, tables int
	if err := tx.QueryRowContext(ctx, `SELECT count(*) FROM sqlite_schema`).Scan(&tables); err != nil {
		return 0, err
	}
	if err := tx.QueryRowContext(ctx, `PRAGMA application_id`).Scan(&application); err != nil {
		return 0, err
	}
	if err := tx.QueryRowContext(ctx, `PRAGMA user_version`).Scan(&version); err != nil {
		return 0, err
	}
	switch {
	case tables == 0:
		return 0, nil
	case application != applicationID:
		return 0, errors.New("this is the database of another program")
	case version > len(migrations):
		return 0, fmt.Errorf("schema %d is of a newer version of this program, which knows %d", version, len(migrations))
	}
	return version, nil
}
