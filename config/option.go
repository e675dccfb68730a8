package config

import (
	"maps"
	"slices"
	"strings"

	"rosterd/config/known"
)

// Scope says where an option is read.
type Scope uint8

const (
	ScopeHost      Scope = iota // the host's value, else the global one, whole
	ScopeGlobal                 // the global section only; under a host it has no effect
	ScopeInherited              // a list: the host's entries and the global ones
)

func (s Scope) String() string {
	return [...]string{"host", "global", "host and global"}[s]
}

// Risk says what a value that is not understood would cost.
type Risk uint8

const (
	Functional Risk = iota // something does not work as wished: a warning
	Security               // something may be open that should be closed: no start
)

// Spec is what there is to know about an honoured option.
type Spec struct {
	Name    string
	Scope   Scope
	Risk    Risk
	Aliases []string // other names, tried in order after Name
	Old     bool     // the aliases are deprecated
	Owner   string   // module that reads it; "" is the server itself
	Secret  bool     // the value must not be shown
	Doc     string   // one line
}

// An Option is an honoured option. Its Get is the only way to its value.
type Option[T any] struct {
	Spec
	read     reader[T]
	fallback func(h *Host) T
}

// Get returns the value that counts for h, or the default where there is none or where it is not
// understood. Check has refused or reported the latter.
func (o *Option[T]) Get(h *Host) T {
	v, _, _ := o.Lookup(h)
	return v
}

// Lookup is Get with the place of the value; set is false for a default.
func (o *Option[T]) Lookup(h *Host) (value T, pos Pos, set bool) {
	v, pos, ok := o.raw(h)
	if !ok {
		return o.fallback(h), Pos{}, false
	}
	value, ok = o.read(&reading{cfg: h.cfg, secret: o.Secret}, v)
	if !ok {
		return o.fallback(h), Pos{}, false
	}
	return value, pos, true
}

// raw finds the value for h under any of the option's names.
func (o *Option[T]) raw(h *Host) (Value, Pos, bool) {
	for _, name := range append([]string{o.Name}, o.Aliases...) {
		st := h.find(name, o.Scope)
		if st == nil {
			continue
		}
		if o.Scope == ScopeInherited {
			return merge(h, name, st)
		}
		return st.value, st.pos, true
	}
	return Value{}, Pos{}, false
}

// merge joins a host's list with the global one.
func merge(h *Host, name string, st *setting) (Value, Pos, bool) {
	global := h.cfg.global.section.set[name]
	if global == nil || global == st {
		return st.value, st.pos, true
	}
	var quiet reading // what is odd about the two is reported where each is written
	both := &Table{List: slices.Concat(quiet.items(st.value), quiet.items(global.value))}
	return Value{v: both, pos: st.pos}, st.pos, true
}

// anOption is an Option of any type, as Check sees it.
type anOption interface {
	spec() *Spec
	examine(c *Config, st *setting) (problems []problem, ok bool)
	effective(h *Host) Setting
	kind() string  // in the words of the known options
	standard() any // the default
}

func (o *Option[T]) spec() *Spec { return &o.Spec }

// examine reads one setting and returns what there is to say about it.
func (o *Option[T]) examine(c *Config, st *setting) ([]problem, bool) {
	r := &reading{cfg: c, secret: o.Secret || st.secret}
	_, ok := o.read(r, st.value)
	return r.problems, ok
}

// registry holds every honoured option under each of its names.
var registry = map[string]anOption{}

// declare puts an option into the registry.
func declare[T any](s Spec, read reader[T], fallback T) *Option[T] {
	return declareFor(s, read, func(*Host) T { return fallback })
}

// declareFor is declare for options whose default depends on others.
func declareFor[T any](s Spec, read reader[T], fallback func(*Host) T) *Option[T] {
	o := &Option[T]{Spec: s, read: read, fallback: fallback}
	for _, name := range append([]string{s.Name}, s.Aliases...) {
		if _, dup := registry[name]; dup {
			panic("option " + name + " is declared twice")
		}
		registry[name] = o
	}
	return o
}

// Secret tells whether the value of an option must not be shown, under any of its names. Those of
// Prosody's own modules go by their names, such as turn_external_secret.
func Secret(name string) bool {
	if o := registry[name]; o != nil && !withPasswords(name) {
		return o.spec().Secret
	}
	return prosodys(name) && (secretName(name) || withPasswords(name))
}

// withPasswords tells whether an option of Prosody's is a table in which a password may stand: that of a database, of a
// relay, of a private key.
func withPasswords(name string) bool {
	return name == "sql" || name == "external_services" || name == "ssl" || strings.HasSuffix(name, "_ssl")
}

// Foreign tells whether an option belongs to rosterd or to one of Prosody's own modules, and so to no plugin: a URL in it
// is not there for a plugin to ask. The backend's is.
func Foreign(name string) bool {
	return name != HTTPRosterURL.Name && !ofProvider(name) && (registry[name] != nil || prosodys(name))
}

// ofProvider tells whether an option is of one of the community's modules that know passwords. Such a module in
// plugin_paths may be put in the place of rosterd's own, and needs what that needs.
func ofProvider(name string) bool {
	o, ok := known.LookupOption(name)
	return ok && o.Origin == "community" && slices.ContainsFunc(o.Owners, func(m string) bool { return strings.HasPrefix(m, "auth_") })
}

// Withheld tells whether plugins do not see an option.
func Withheld(name string) bool { return Secret(name) && !ofProvider(name) }

// prosodys tells whether an option is one of Prosody itself or of the modules that come with it.
func prosodys(name string) bool {
	o, ok := known.LookupOption(name)
	return ok && (o.Origin == "core" || o.Origin == "bundled")
}

// Specs returns all honoured options, sorted by name.
func Specs() []Spec {
	var list []Spec
	for _, name := range slices.Sorted(maps.Keys(registry)) {
		if s := registry[name].spec(); s.Name == name {
			list = append(list, *s)
		}
	}
	return list
}
