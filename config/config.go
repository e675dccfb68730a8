// Package config reads a prosody.cfg.lua as Prosody 13 would and gives its settings to rosterd as
// typed values, each with the file and line it was written on.
//
// Load executes the file. What rosterd honours is declared once, as an Option or in the table of
// modules; there is no other way to read a setting, so Check can name everything else in the file.
package config

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"
)

// Pos is where something is written.
type Pos struct {
	File string `json:"file"`
	Line int    `json:"line"`
}

func (p Pos) String() string {
	switch {
	case p.File == "":
		return ""
	case p.Line == 0:
		return p.File
	}
	return fmt.Sprintf("%s:%d", p.File, p.Line)
}

// IsZero reports whether p is nowhere: what it belongs to is a default.
func (p Pos) IsZero() bool { return p == Pos{} }

// Kind tells the sections of a file apart.
type Kind uint8

const (
	KindGlobal Kind = iota
	KindVirtualHost
	KindComponent
)

func (k Kind) String() string {
	switch k {
	case KindVirtualHost:
		return "VirtualHost"
	case KindComponent:
		return "Component"
	}
	return "global section"
}

// A setting is one option as the file left it.
type setting struct {
	name    string
	value   Value
	pos     Pos   // of the assignment that counts
	earlier []Pos // of assignments it replaced
	used    bool  // the files read it themselves: a variable as much as an option
	secret  bool  // came from a file or from a credential
}

// A section is the global part of the file, or one host.
type section struct {
	host   string // "*" for the global one
	kind   Kind
	module string // of a Component: "component" is an external one
	pos    Pos

	declared   bool // the global one: by VirtualHost "*"
	unservable bool // its name is none of a host

	set   map[string]*setting
	order []string // names as they first appeared
}

func newSection(host string, kind Kind, pos Pos) *section {
	return &section{host: host, kind: kind, pos: pos, set: map[string]*setting{}}
}

// title is how messages call the section.
func (s *section) title() string {
	if s.kind == KindGlobal {
		return "the global section"
	}
	return fmt.Sprintf("%s %q", s.kind, s.host)
}

// A Config is a loaded configuration. It does not change, save that it remembers which options
// plugins have asked for.
type Config struct {
	File  string    // the file that was loaded, as it was named
	Dir   string    // its directory, absolute: what relative paths in the file start from
	Files []string  // every file read, in the order of reading
	Env   []EnvRead // environment variables that the files asked for

	global   *Host
	sections []*section         // hosts in the order of the file
	hosts    []*Host            // enabled VirtualHosts among them
	external []*Host            // enabled external components among them
	diags    []Diag             // what was noticed while loading
	plugins  map[string]*plugin // of plugin_paths, by module; nil where there is none
	lookup   func(string) (string, bool)

	accepting []string // by the command line

	certsOnce sync.Once
	certs     map[string]KeyPair // of the certificates directory, by name; see certificates

	mu      sync.Mutex
	read    map[string]bool // options that plugins have asked for; guarded by mu
	refused []string        // what options of plugins that could not be opened begin with; guarded by mu
}

// EnvRead is an environment variable that the files asked for.
type EnvRead struct {
	Name string `json:"name"`
	Set  bool   `json:"set"`
	Pos  Pos    `json:"pos"` // of the first read
}

// Global is the view of the section above all hosts.
func (c *Config) Global() *Host { return c.global }

// Hosts returns the enabled VirtualHosts in the order of the file.
func (c *Config) Hosts() []*Host { return slices.Clone(c.hosts) }

// Host returns the enabled VirtualHost of that prepared domain, or nil.
func (c *Config) Host(domain string) *Host {
	for _, h := range c.hosts {
		if h.Name == domain {
			return h
		}
	}
	return nil
}

// path makes a path of the file absolute: relative ones start at dir.
func resolvePath(dir, path string) string {
	if path == "" || filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(dir, path)
}

// A Host is what one VirtualHost sees: its own settings over the global ones. The global section
// has one too, named "*".
type Host struct {
	Name string // prepared domain

	cfg     *Config
	section *section
	modules map[string]Module
}

// Pos is where the host is declared.
func (h *Host) Pos() Pos { return h.section.pos }

// find returns a setting by Prosody's rule: the host's own value, explicit false included, else
// the global one, whole.
func (h *Host) find(name string, scope Scope) *setting {
	if scope != ScopeGlobal {
		if st := h.section.set[name]; st != nil {
			return st
		}
	}
	return h.cfg.global.section.set[name]
}

// PluginOption gives a plugin the raw value of an option, inherited as in Prosody, as nil, bool,
// int64, float64, string, []any or map[string]any. The option counts as known from then on: Check
// does not report it.
func (h *Host) PluginOption(name string) (value any, pos Pos, ok bool) {
	h.cfg.markRead(name)
	st := h.find(name, ScopeHost)
	if st == nil {
		return nil, Pos{}, false
	}
	return st.value.Plain(), st.pos, true
}

func (c *Config) markRead(names ...string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.read == nil {
		c.read = map[string]bool{}
	}
	for _, name := range names {
		c.read[name] = true
	}
}

func (c *Config) readByPlugin(name string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.read[name]
}

// PluginRefused says that a plugin could not be opened. Which options it would have asked for nobody knows, and so Check
// does not report those that are called after it.
func (c *Config) PluginRefused(module string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.refused = append(c.refused, strings.TrimPrefix(module, "auth_")+"_", module+"_")
}

// ofRefused tells whether an option is called after a plugin that could not be opened.
func (c *Config) ofRefused(name string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.ContainsFunc(c.refused, func(prefix string) bool { return strings.HasPrefix(name, prefix) })
}

// secretName reports whether an option's name says that its value is nobody's business.
func secretName(name string) bool {
	for _, word := range []string{"secret", "password", "token", "key"} {
		if strings.Contains(name, word) {
			return true
		}
	}
	return false
}
