package plugins

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// maxCode bounds the code of a plugin.
const maxCode = 8 << 20

// ErrNotFound is wrapped by the errors for modules that no file holds.
var ErrNotFound = errors.New("no such plugin")

// Manager finds modules by their names and opens them. Its fields are set before the first use.
type Manager struct {
	Version string                   // of rosterd, for the User-Agent of its requests
	Engines map[string]Opener        // by the ending of the file, such as ".lua"
	Shipped fs.FS                    // mod_NAME.* of the modules in the binary; nil if there are none. Their names win over Paths
	Paths   []string                 // plugin_paths
	Instead []string                 // shipped modules that a file in Paths takes the place of
	Limits  func(host string) Limits // nil: the defaults for every host
	Cache   string                   // see Host
	Log     *slog.Logger             // nil: slog.Default()
	Now     func() time.Time         // nil: time.Now

	// Isolate opens code that did not come with rosterd in a process of its own, on the hosts that InProcess does not
	// name; nil: all code runs in this process.
	Isolate   Opener
	InProcess func(host string) bool // nil: no host

	Foreign func(option string) bool                                                  // options of other parts of the server: that a plugin reads them allows it no servers; nil: there are none
	Secret  func(option string) bool                                                  // no plugin may read those, beside the ones that this package knows; nil: there are no others
	Keeper  Keeper                                                                    // of what plugins save; nil: a memory of their own
	Refresh func(ctx context.Context, host string, users []string) (Refreshed, error) // nil: nobody is online
	Observe func(Called)                                                              // told of every call; nil: nobody is
	Wrap    func(Services) Services                                                   // stands before what a plugin is given; nil: nothing does
}

// Find looks for a module among the shipped ones and then in Paths.
func (m *Manager) Find(name string) (Source, error) {
	if name == "" || strings.ContainsAny(name, `/\`) || strings.HasPrefix(name, ".") {
		return Source{}, fmt.Errorf("%w: %q is no name of a module", ErrNotFound, name)
	}
	var file string
	var root fs.FS
	for _, dir := range m.Paths {
		r := os.DirFS(dir)
		if f, ok := m.lookup(r, name); ok {
			file, root = filepath.Join(dir, filepath.FromSlash(f)), r
			break
		}
	}
	if m.Shipped != nil && (root == nil || !slices.Contains(m.Instead, name)) {
		if f, ok := m.lookup(m.Shipped, name); ok {
			code, err := readCode(m.Shipped, f)
			return Source{Name: name, File: f, Code: code, Shipped: true, Unused: file}, err
		}
	}
	if root == nil {
		return Source{}, fmt.Errorf("%w: %s", ErrNotFound, name)
	}
	code, err := readCode(os.DirFS(filepath.Dir(file)), filepath.Base(file))
	if err != nil {
		return Source{}, fmt.Errorf("plugin %s: %w", name, err)
	}
	return Source{Name: name, File: file, Code: code}, nil
}

// lookup knows the forms that Prosody knows, for every engine there is. What is not Lua may do without the "mod_".
func (m *Manager) lookup(root fs.FS, name string) (string, bool) {
	for _, ext := range m.endings() {
		forms := []string{"mod_" + name + ext, "mod_" + name + "/mod_" + name + ext}
		if ext != ".lua" {
			forms = append(forms, name+ext)
		}
		for _, f := range forms {
			if fi, err := fs.Stat(root, f); err == nil && fi.Mode().IsRegular() {
				return f, true
			}
		}
	}
	return "", false
}

func (m *Manager) endings() []string {
	var e []string
	for ext := range m.Engines {
		e = append(e, ext)
	}
	slices.Sort(e)
	return e
}

func readCode(root fs.FS, file string) ([]byte, error) {
	fi, err := fs.Stat(root, file)
	if err != nil {
		return nil, err
	}
	if fi.Size() > maxCode {
		return nil, fmt.Errorf("%s: larger than %d MiB", file, maxCode>>20)
	}
	return fs.ReadFile(root, file)
}

// isolates tells whether a module of a host runs in a process of its own.
func (m *Manager) isolates(src Source, host string) bool {
	return m.Isolate != nil && !src.Shipped && (m.InProcess == nil || !m.InProcess(host))
}

// limits are those of a host, with the defaults.
func (m *Manager) limits(host string) (l Limits) {
	if m.Limits != nil {
		l = m.Limits(host)
	}
	return l.withDefaults()
}

// Open finds a module and opens it for a host whose name is a prepared domainpart.
func (m *Manager) Open(ctx context.Context, name, host string, cfg Config) (*Opened, error) {
	src, err := m.Find(name)
	if err != nil {
		return nil, err
	}
	open, ok := m.Engines[filepath.Ext(src.File)]
	if !ok {
		return nil, fmt.Errorf("plugin %s: nothing runs %s", name, src.File)
	}
	log := cmp.Or(m.Log, slog.Default()).With("plugin", name, "host", host)
	if src.Unused != "" {
		log.Warn("file is not used: rosterd has a module of this name itself", "file", src.Unused)
	}
	isolated := m.isolates(src, host)
	if isolated {
		open = m.Isolate
	}
	h := Host{Name: host, Limits: m.limits(host), Cache: m.Cache}
	own := serverOptions(cfg)
	svc, err := m.services(own, log, h, src)
	if err != nil {
		return nil, fmt.Errorf("plugin %s for %s: %w", name, host, err)
	}
	opts := NewOptions(cfg)
	opts.refuse(m.Secret)
	opts.notice(func(option string, value any) {
		if src.Shipped || m.Foreign == nil || !m.Foreign(option) {
			svc.client.guard.learn(value)
		}
	})
	p, err := open(ctx, src, h, opts, m.wrapped(svc))
	if err != nil {
		svc.Close()
		return nil, fmt.Errorf("plugin %s for %s: %w", name, host, err)
	}
	return &Opened{Plugin: p, source: src, host: host, isolated: isolated, limits: h.Limits, options: [2]*Options{opts, own}, observe: m.Observe}, nil
}

func (m *Manager) wrapped(svc Services) Services {
	if m.Wrap == nil {
		return svc
	}
	return m.Wrap(svc)
}

// services makes those of one plugin from the host's configuration.
func (m *Manager) services(opts *Options, log *slog.Logger, h Host, src Source) (*services, error) {
	header, err := backendHeader(opts)
	if err != nil {
		return nil, err
	}
	secrets, err := readSecrets(opts)
	if err != nil {
		return nil, err
	}
	g := &guard{own: map[string]bool{}, allowed: map[string]bool{}, hosts: map[string]bool{}, ports: src.Shipped}
	entries, _, err := opts.Array("rosterd_plugin_http_allow")
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		if err := g.allow(text(e)); err != nil {
			return nil, opts.Wrong("rosterd_plugin_http_allow", "%v", err)
		}
	}
	client := newHTTPClient("rosterd/"+m.Version, header, g, h.Limits)
	client.secrets, client.known = secrets, known(secrets, header)
	if src.Shipped {
		client.hops = MaxRedirects
	}
	now := m.Now
	if now == nil {
		now = time.Now
	}
	keeper := m.Keeper
	if keeper == nil {
		keeper = new(Memory)
	}
	return &services{
		client: client, log: log, now: now, host: h.Name, plugin: src.Name, keeper: keeper, refresh: m.Refresh,
	}, nil
}

// backendHeader reads rosterd_backend_headers, a table of header fields that every request to the backend
// carries, credentials above all.
func backendHeader(opts *Options) (http.Header, error) {
	const option = "rosterd_backend_headers"
	fields, err := table(opts, option, `{ ["X-Api-Key"] = "…" }`)
	if err != nil || len(fields) == 0 {
		return nil, err
	}
	h := http.Header{}
	for name, value := range fields {
		s, isText := value.(string)
		if !isText {
			return nil, opts.Wrong(option, "the value of %s is a %s, not a string", name, kind(value))
		}
		h.Set(name, s)
	}
	if err := checkHeader(h); err != nil {
		return nil, opts.Wrong(option, "%v", err)
	}
	return h, nil
}
