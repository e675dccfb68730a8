package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"slices"
	"sync"

	"rosterd/config"
	"rosterd/store"
	"rosterd/store/credential"
)

// databases are where things are kept: the embedded database, and others as soon as a configuration names them. Those
// stay open until the end: whoever is served by an older configuration may still use them.
type databases struct {
	*store.Store // the embedded one
	log          *slog.Logger

	mu      sync.Mutex // guards the fields below
	memory  *store.Store
	servers map[store.Server]*store.Postgres
}

// openDatabases opens the embedded database.
func openDatabases(cfg *config.Config, log *slog.Logger) (*databases, error) {
	db, err := openStore(cfg, log)
	if err != nil {
		return nil, err
	}
	return &databases{Store: db, log: log, servers: map[store.Server]*store.Postgres{}}, nil
}

// openQuietly is for commands, who say themselves what there is to say.
func openQuietly(cfg *config.Config) (*databases, error) { return openDatabases(cfg, quiet) }

// openToRead is for who writes nothing: an embedded database that is not there is not made, and is empty.
func openToRead(cfg *config.Config) (*databases, error) {
	if _, err := os.Stat(config.Database.Get(cfg.Global())); !errors.Is(err, fs.ErrNotExist) {
		return openQuietly(cfg)
	}
	db, err := store.OpenMemory(quiet)
	return &databases{Store: db, log: quiet, servers: map[store.Server]*store.Postgres{}}, err
}

// inMemory is one for all hosts. It takes its limit from the first configuration that wants it.
func (d *databases) inMemory(cfg *config.Config) (_ *store.Store, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.memory == nil {
		d.memory, err = store.OpenBounded(config.MemoryEntries.Get(cfg.Global()), d.log)
	}
	return d.memory, err
}

// postgres is the one that a host names. Hosts with the same settings share its connections.
func (d *databases) postgres(ctx context.Context, h *config.Host) (*store.Postgres, error) {
	sql, pos, _ := config.SQLDatabase.Lookup(h)
	where := store.Server{
		Database: sql.Database, Username: sql.Username, Password: sql.Password, Host: sql.Host, Port: sql.Port, Fixed: !config.SQLManageTables.Get(h),
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if p := d.servers[where]; p != nil {
		return p, nil
	}
	p, err := store.OpenPostgres(ctx, where, d.log)
	if err != nil {
		return nil, fmt.Errorf("%ssql: %w", at(pos), err)
	}
	d.servers[where] = p
	return p, nil
}

// keeping is what keeps the stores of a host; nil where it does not want it.
type keeping struct {
	host     *config.Host
	file     *store.Store
	memory   *store.Store
	postgres *store.Postgres
}

// keep opens what a host wants to be kept in.
func (d *databases) keep(ctx context.Context, cfg *config.Config, h *config.Host) (k keeping, err error) {
	k = keeping{host: h, file: d.Store}
	for _, name := range h.StoreNames() {
		switch h.Driver(name) {
		case config.InMemory:
			k.memory, err = d.inMemory(cfg)
		case config.PostgreSQL:
			k.postgres, err = d.postgres(ctx, h)
		}
		if err != nil {
			return k, err
		}
	}
	return k, nil
}

// of is where one store is.
func (k keeping) of(name string) store.Stores {
	switch k.host.Driver(name) {
	case config.Nowhere:
		if k.host.Anonymous() {
			return unkept{}
		}
		return store.Nowhere{}
	case config.InMemory:
		return k.memory.Stores(k.host.Name)
	case config.PostgreSQL:
		return k.postgres.Stores(k.host.Name)
	default:
		return k.file.Stores(k.host.Name)
	}
}

// stores are those of all hosts.
func (d *databases) stores(ctx context.Context, cfg *config.Config) (map[string]store.Stores, error) {
	all := map[string]store.Stores{}
	for _, h := range cfg.Hosts() {
		k, err := d.keep(ctx, cfg, h)
		if err != nil {
			return nil, err
		}
		all[h.Name] = store.ByName(k.of)
	}
	return all, nil
}

// accounts are where the users are: a database and, where storage is Prosody's "internal", its data folder.
func (d *databases) accounts(ctx context.Context, cfg *config.Config) (*store.Accounts, error) {
	a := accounts(cfg, d.Store)
	for _, h := range cfg.Hosts() {
		k, err := d.keep(ctx, cfg, h)
		if err != nil {
			return nil, err
		}
		host := a.Hosts[h.Name]
		switch {
		case h.Driver("accounts") == config.PostgreSQL:
			host.Postgres = k.postgres
		case k.postgres != nil:
			host.Elsewhere = append(host.Elsewhere, k.postgres)
		}
		if k.memory != nil {
			host.Elsewhere = append(host.Elsewhere, k.memory)
		}
		a.Hosts[h.Name] = host
	}
	return a, nil
}

// accounts are those that are in the embedded database or in Prosody's data folder.
func accounts(cfg *config.Config, db *store.Store) *store.Accounts {
	a := &store.Accounts{Store: db, Hosts: make(map[string]store.Host)}
	for _, h := range cfg.Hosts() {
		host := store.Host{StorePasswords: storesPasswords(h), Hash: credential.Hash(config.PasswordHash.Get(h)), Iterations: config.IterationCount.Get(h)}
		if h.StorageDriver("accounts") == "internal" {
			host.DataPath = config.DataPath.Get(cfg.Global())
		}
		a.Hosts[h.Name] = host
	}
	return a
}

// Writable tells whether all that is stored can be.
func (d *databases) Writable(ctx context.Context) error {
	d.mu.Lock()
	servers := d.list()
	d.mu.Unlock()
	err := d.Store.Writable(ctx)
	for _, p := range servers {
		err = errors.Join(err, p.Writable(ctx))
	}
	return err
}

// storesStats are by kind of database.
func (d *databases) storesStats() map[string]store.StoresStats {
	d.mu.Lock()
	defer d.mu.Unlock()
	all := map[string]store.StoresStats{string(config.Embedded): d.StoresStats()}
	if d.memory != nil {
		all[string(config.InMemory)] = d.memory.StoresStats()
	}
	for _, p := range d.servers {
		s := all[string(config.PostgreSQL)]
		s.Add(p.StoresStats())
		all[string(config.PostgreSQL)] = s
	}
	return all
}

func (d *databases) list() (list []*store.Postgres) {
	for _, p := range d.servers {
		list = append(list, p)
	}
	return list
}

// Close writes what is queued and closes all of them.
func (d *databases) Close() error {
	err := d.Store.Close()
	if d.memory != nil {
		err = errors.Join(err, d.memory.Close())
	}
	for _, p := range d.list() {
		err = errors.Join(err, p.Close())
	}
	return err
}

// placeOf names where a store is.
func placeOf(h *config.Host, name string) string {
	if h.Driver(name) != config.PostgreSQL {
		return h.StorageDriver(name)
	}
	sql := config.SQLDatabase.Get(h)
	return store.Server{Database: sql.Database, Host: sql.Host, Port: sql.Port}.String()
}

// inPostgres are the databases of PostgreSQL that hosts have something in, for who makes backups.
func inPostgres(cfg *config.Config) (list []string) {
	for _, h := range cfg.Hosts() {
		for _, name := range h.StoreNames() {
			if s := placeOf(h, name); h.Driver(name) == config.PostgreSQL && !slices.Contains(list, s) {
				list = append(list, s)
			}
		}
	}
	return list
}
