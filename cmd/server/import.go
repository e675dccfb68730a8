package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"rosterd/config"
	"rosterd/migrate"
	"rosterd/store"
	"rosterd/store/prosody"
)

// importCommand takes over what another server has stored.
func importCommand(ctx context.Context, args []string, c console) int {
	f := flags("import", c)
	var o importOptions
	f.StringVar(&o.config, "config", "", "configuration `FILE`, of Prosody and of rosterd")
	f.StringVar(&o.data, "data", "", "Prosody's data `FOLDER`; else data_path")
	f.BoolVar(&o.dry, "dry-run", false, "read everything, and write nothing")
	f.BoolVar(&o.json, "json", false, "report as JSON")
	f.Var(&o.hosts, "host", "only this `HOST`; may be given again")
	f.Var(&o.stores, "store", "only these `STORES`, separated by commas; may be given again")
	rest, err := interleaved(f, args)
	if err != nil {
		return exitUsage
	}
	if len(rest) != 1 || rest[0] != "prosody" {
		fmt.Fprintln(c.err, "rosterd import: usage: rosterd import prosody [--data FOLDER] [--config FILE] [--dry-run] [--host HOST]… [--store STORE,…] [--json]")
		return exitUsage
	}
	r, err := o.run(ctx, c)
	if err != nil {
		fmt.Fprintln(c.err, "rosterd import:", err)
		return exitFailed
	}
	if len(r.Skipped)+r.More > 0 {
		return exitFailed
	}
	return exitOK
}

// words are values of an option that may be given again, or of several at once.
type words []string

func (w *words) String() string { return strings.Join(*w, ",") }
func (w *words) Set(s string) error {
	for part := range strings.SplitSeq(s, ",") {
		if part = strings.TrimSpace(part); part != "" {
			*w = append(*w, part)
		}
	}
	return nil
}

type importOptions struct {
	config, data  string
	dry, json     bool
	hosts, stores words
}

// run imports, and reports also what was done before an error.
func (o *importOptions) run(ctx context.Context, c console) (*migrate.Report, error) {
	cfg, err := o.load()
	if err != nil {
		return nil, err
	}
	if !o.dry {
		if err := alone(ctx, cfg); err != nil {
			return nil, err
		}
	}
	m := &importing{importOptions: o, cfg: cfg, report: &migrate.Report{Dry: o.dry, Rows: []migrate.Row{}, Skipped: []migrate.Skipped{}, Left: []migrate.Left{}}, sources: map[string]prosody.Source{}, empty: map[string]*store.Store{}}
	if !o.json {
		m.report.Tell = func(s migrate.Skipped) { fmt.Fprintln(c.out, "skipped:", s) }
	}
	err = m.all(ctx)
	m.report.Sort()
	if o.json {
		e := json.NewEncoder(c.out)
		e.SetIndent("", "  ")
		return m.report, errors.Join(err, e.Encode(m.report))
	}
	return m.report, errors.Join(err, m.report.Print(c.out))
}

func (o *importOptions) load() (*config.Config, error) {
	path, err := findConfig(o.config)
	if err != nil {
		return nil, err
	}
	cfg, err := config.Load(path, config.LoadOptions{Inspect: true})
	if err != nil {
		return nil, err
	}
	for _, d := range config.Check(cfg) { // what rosterd would not start with may end somewhere else than it is meant to
		if d.Severity == config.Refused && d.Code != config.CodeSecurity { // which it may have been told to accept by --accept
			return nil, errors.New(d.String())
		}
	}
	for _, name := range o.hosts {
		if err := hasHost(cfg, name); err != nil {
			return nil, err
		}
	}
	for _, name := range o.stores {
		if !slices.Contains(migrate.Stores, name) {
			return nil, fmt.Errorf("--store %s: there are %s", name, strings.Join(migrate.Stores, ", "))
		}
	}
	if o.data == "" {
		o.data = config.DataPath.Get(cfg.Global())
	}
	return cfg, nil
}

// alone refuses to write beside a server: it has in memory what would change below it.
func alone(ctx context.Context, cfg *config.Config) error {
	var d net.Dialer
	socket := config.AdminSocket.Get(cfg.Global())
	conn, err := d.DialContext(ctx, "unix", socket)
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ECONNREFUSED):
		return nil
	case err != nil: // it may have too much to do, or be another user's
		return fmt.Errorf("whether the server runs cannot be told: %w", err)
	}
	return errors.Join(fmt.Errorf("the server runs (it answers at %s): stop it first, or try with --dry-run", socket), conn.Close())
}

// importing is one import.
type importing struct {
	*importOptions
	cfg     *config.Config
	report  *migrate.Report
	db      *databases
	sources map[string]prosody.Source // by where they are
	empty   map[string]*store.Store   // in place of databases that are not there yet and must not be made
}

func (m *importing) all(ctx context.Context) (err error) {
	if m.db, err = m.open(); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, m.close()) }()
	var known []string
	for _, h := range m.cfg.Hosts() {
		known = append(known, h.Name)
		if len(m.hosts) > 0 && !slices.Contains(m.hosts, h.Name) {
			continue
		}
		host, err := m.host(ctx, h)
		if err != nil {
			return err
		}
		if len(host.From) == 0 {
			m.report.Leave(migrate.Left{Host: h.Name, Where: m.data, Why: "nothing is stored of its users (authentication and storage)"})
		}
		if err := host.Run(ctx, m.report); err != nil {
			return err
		}
	}
	return m.strangers(ctx, known)
}

// open opens the embedded database. A dry run does not make one.
func (m *importing) open() (*databases, error) {
	if m.dry {
		return openToRead(m.cfg)
	}
	return openQuietly(m.cfg)
}

func (m *importing) close() (err error) {
	for _, s := range m.sources {
		err = errors.Join(err, s.Close())
	}
	for _, s := range m.empty {
		err = errors.Join(err, s.Close())
	}
	return errors.Join(err, m.db.Close())
}

// strangers reports hosts that have something there and are none here.
func (m *importing) strangers(ctx context.Context, known []string) error {
	if len(m.hosts) > 0 {
		return nil
	}
	for where, src := range m.sources {
		hosts, err := src.Hosts(ctx)
		if err != nil {
			return err
		}
		for _, h := range hosts {
			if !slices.Contains(known, h) {
				m.report.Leave(migrate.Left{Host: h, Where: where, Why: "there is no such VirtualHost in the configuration"})
			}
		}
	}
	return nil
}

// host says what of a VirtualHost is to be taken.
func (m *importing) host(ctx context.Context, h *config.Host) (*migrate.Host, error) {
	archive := config.ArchiveStore.Get(h)
	x := &migrate.Host{
		Name: h.Name, From: map[string]prosody.Source{}, To: map[string]migrate.Target{}, Left: map[string]string{},
		Foreign: !strings.HasPrefix(h.AuthProvider(), "internal_"), Archive: archive, MaxItems: config.PEPMaxItems.Get(h), Dry: m.dry,
	}
	names := map[string]string{"archive": archive, "archive_prefs": archive + "_prefs"}
	for _, kind := range append(slices.Clone(migrate.Stores), "pep_data") {
		name := kind
		if n := names[kind]; n != "" {
			name = n
		}
		if why := m.leaves(h, kind); why != "" {
			x.Left[name] = why
		}
		if err := m.store(ctx, h, x, name); err != nil {
			return nil, err
		}
	}
	return x, m.target(ctx, h, x, "rosterd_seen")
}

// leaves tells why a store is not taken, "" if it is.
func (m *importing) leaves(h *config.Host, kind string) string {
	asked := kind
	if kind == "pep_data" {
		asked = "pep"
	}
	switch {
	case len(m.stores) > 0 && !slices.Contains(m.stores, asked):
		return "not asked for (--store)"
	case kind == "accounts" && !strings.HasPrefix(h.AuthProvider(), "internal_"):
		return fmt.Sprintf("who can log in is for authentication = %q to say", h.AuthProvider())
	case kind == "roster" && !h.StoresRosters():
		return "rosters come from the backend"
	}
	return ""
}

// store finds where a store is and where it goes.
func (m *importing) store(ctx context.Context, h *config.Host, x *migrate.Host, name string) error {
	if err := m.target(ctx, h, x, name); err != nil {
		return err
	}
	if x.To[name] == nil && x.Left[name] == "" {
		x.Left[name] = fmt.Sprintf("nothing is kept of it here (storage %q)", h.StorageDriver(name))
	}
	if x.Left[name] != "" && (name != "accounts" || x.Foreign) { // accounts tell who there is
		return nil
	}
	src, err := m.source(ctx, h, name)
	if err != nil {
		return err
	}
	if src != nil {
		x.From[name] = src
	} else if x.Left[name] == "" {
		x.Left[name] = fmt.Sprintf("Prosody does not store it (storage %q)", h.StorageDriver(name))
	}
	return nil
}

// source is where Prosody has a store, nil if nowhere.
func (m *importing) source(ctx context.Context, h *config.Host, name string) (prosody.Source, error) {
	switch h.StorageDriver(name) {
	case "internal":
		return m.keep(m.data, func() (prosody.Source, error) { return files(m.data) })
	case "sql":
		at := config.SQLDatabase.Get(h)
		if at.Driver == "PostgreSQL" {
			where := server(at)
			return m.keep(where.String(), func() (prosody.Source, error) { return prosody.OpenServer(ctx, where) })
		}
		path := at.Database
		if path == "" {
			path = "prosody.sqlite"
		}
		if !filepath.IsAbs(path) {
			path = filepath.Join(m.data, path)
		}
		return m.keep(path, func() (prosody.Source, error) { return prosody.OpenFile(ctx, path) })
	}
	return nil, nil
}

func server(at config.SQL) store.Server {
	return store.Server{Database: at.Database, Username: at.Username, Password: at.Password, Host: at.Host, Port: at.Port}
}

// files is a folder that is there: a wrong one must not look like one in which there is nothing.
func files(folder string) (prosody.Source, error) {
	info, err := os.Stat(folder)
	if err == nil && !info.IsDir() {
		err = fmt.Errorf("%s is not a folder", folder)
	}
	return prosody.Files(folder), err
}

func (m *importing) keep(where string, open func() (prosody.Source, error)) (prosody.Source, error) {
	if s := m.sources[where]; s != nil {
		return s, nil
	}
	s, err := open()
	if err != nil {
		return nil, err
	}
	m.sources[where] = s
	return s, nil
}

// target finds where a store goes.
func (m *importing) target(ctx context.Context, h *config.Host, x *migrate.Host, name string) error {
	switch h.Driver(name) {
	case config.Embedded:
		x.To[name] = m.db.Store
	case config.PostgreSQL:
		p, err := m.postgres(ctx, h)
		if err != nil {
			return err
		}
		x.To[name] = p
	}
	return nil
}

// postgres is the database of a host. In a dry run, one without our tables is one in which nothing is.
func (m *importing) postgres(ctx context.Context, h *config.Host) (migrate.Target, error) {
	if !m.dry {
		return m.db.postgres(ctx, h)
	}
	at := server(config.SQLDatabase.Get(h))
	at.Fixed = true
	m.db.mu.Lock()
	defer m.db.mu.Unlock()
	if p := m.db.servers[at]; p != nil {
		return p, nil
	}
	if s := m.empty[at.String()]; s != nil {
		return s, nil
	}
	p, err := store.OpenPostgres(ctx, at, quiet)
	if err == nil {
		m.db.servers[at] = p
		return p, nil
	}
	if !errors.Is(err, store.ErrNoSchema) {
		return nil, err
	}
	s, err := store.OpenMemory(quiet)
	if err != nil {
		return nil, err
	}
	m.empty[at.String()] = s
	return s, nil
}
