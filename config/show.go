package config

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"time"
)

// What a configuration comes to, for people and programs to look at: Raw is what the files said, Settings is what counts.

// Raw is what Prosody's configmanager would hold: section → option → value, the global section as "*". Values are as
// Value.Plain gives them, save for numbers that JSON does not have ("inf", "-inf", "nan"). A host that is declared has
// defined = true if it is a VirtualHost, and component_module and load_global_modules = false if it is a Component.
func (c *Config) Raw() map[string]map[string]any {
	raw := map[string]map[string]any{"*": c.global.section.raw()}
	for _, s := range c.sections {
		raw[s.host] = s.raw()
	}
	return raw
}

func (s *section) raw() map[string]any {
	m := make(map[string]any, len(s.set)+2)
	switch {
	case s.kind == KindVirtualHost || s.declared:
		m["defined"] = true
	case s.kind == KindComponent:
		m["component_module"], m["load_global_modules"] = s.module, false
	}
	for name, st := range s.set {
		m[name] = finite(st.value.Plain())
	}
	return m
}

// finite replaces the numbers that JSON does not have by their names.
func finite(v any) any {
	switch x := v.(type) {
	case float64:
		if math.IsInf(x, 0) || math.IsNaN(x) {
			return formatFloat(x)
		}
	case []any:
		for i := range x {
			x[i] = finite(x[i])
		}
	case map[string]any:
		for k := range x {
			x[k] = finite(x[k])
		}
	}
	return v
}

// Origin says where the value of a setting comes from.
type Origin string

// The origins.
const (
	FromSection Origin = "section"   // the section itself
	FromGlobal  Origin = "inherited" // the global section
	FromBoth    Origin = "joined"    // a list of the section with the global one
	FromDefault Origin = "default"   // nothing in the files, or nothing that is understood
)

// A Setting is what one option comes to in one section.
type Setting struct {
	Name      string `json:"option"`
	Value     any    `json:"value"`
	Origin    Origin `json:"origin"`
	Pos       Pos    `json:"pos,omitzero"`
	WrittenAs string `json:"written_as,omitempty"` // another name of the option, if it is set under that
	Earlier   []Pos  `json:"earlier,omitempty"`    // of assignments that this one replaced
	NoEffect  string `json:"no_effect,omitempty"`  // why rosterd does not act on it
	Secret    bool   `json:"secret,omitempty"`

	decoded any // as rosterd takes it, of options that it honours
}

// A View is what one section comes to.
type View struct {
	Host     string    `json:"host"` // "*" is the global section
	Kind     string    `json:"kind"` // "global section", "VirtualHost" or "Component"
	Module   string    `json:"component_module,omitempty"`
	Pos      Pos       `json:"pos,omitzero"`
	Served   bool      `json:"served"`
	Settings []Setting `json:"settings"` // sorted by name
	Modules  []Module  `json:"modules"`  // that Prosody would load, sorted by name
}

// Views are all sections, the global one first, then the hosts as the files declare them.
func (c *Config) Views() []View {
	views := []View{c.global.view()}
	views[0].Served = true
	for _, s := range c.sections {
		served := func(h *Host) bool { return h.section == s }
		h := &Host{Name: s.host, cfg: c, section: s}
		if i := slices.IndexFunc(c.hosts, served); i >= 0 {
			h = c.hosts[i]
		} else if i := slices.IndexFunc(c.external, served); i >= 0 {
			h = c.external[i]
		}
		v := h.view()
		v.Served = h.modules != nil
		views = append(views, v)
	}
	return views
}

func (h *Host) view() View {
	return View{Host: h.Name, Kind: h.section.kind.String(), Module: h.section.module, Pos: h.Pos(), Settings: h.settings(), Modules: h.Modules()}
}

// settings are those of the honoured options that count here, and whatever else the files set here.
func (h *Host) settings() []Setting {
	var list []Setting
	names := map[string]bool{}
	for _, st := range h.cfg.global.section.set {
		names[st.name] = true
	}
	for name := range h.section.set {
		names[name] = true
	}
	for name, o := range registry {
		s := o.spec()
		if s.Name != name || s.Scope == ScopeGlobal && h != h.cfg.global {
			continue
		}
		list = append(list, o.effective(h))
	}
	for name := range names {
		if _, honoured := registry[name]; !honoured {
			list = append(list, h.foreign(name))
		}
	}
	slices.SortFunc(list, func(a, b Setting) int { return cmp.Compare(a.Name, b.Name) })
	return list
}

// foreign is a setting that is not in the registry.
func (h *Host) foreign(name string) Setting {
	st := h.find(name, ScopeHost)
	s := Setting{Name: name, Value: finite(st.value.Plain()), Pos: st.pos, Earlier: st.earlier, Origin: h.origin(st), NoEffect: foreignEffect(name), Secret: st.secret || SecretSetting(name)}
	if h.cfg.readByPlugin(name) {
		s.NoEffect = ""
	}
	if _, is := st.value.v.(Function); is {
		s.Value, s.NoEffect = "(function)", "it is a function"
	}
	return s
}

func (h *Host) origin(st *setting) Origin {
	if h.section.set[st.name] == st {
		return FromSection
	}
	return FromGlobal
}

// effective is what the option comes to for h.
func (o *Option[T]) effective(h *Host) Setting {
	s := Setting{Name: o.Name, Secret: SecretSetting(o.Name)}
	if o.Owner != "" && h.modules != nil && !h.Has(o.Owner) && h != h.cfg.global {
		s.NoEffect = fmt.Sprintf("it belongs to the module %q, which is not enabled", o.Owner)
	}
	value, pos, set := o.Lookup(h)
	s.decoded = value
	if !set {
		s.Origin, s.Value = FromDefault, plain(reflect.ValueOf(&value).Elem())
		return s
	}
	raw, _, _ := o.raw(h)
	s.Value, s.Pos = finite(raw.Plain()), pos
	for _, name := range append([]string{o.Name}, o.Aliases...) {
		st := h.find(name, o.Scope)
		if st == nil {
			continue
		}
		if name != o.Name {
			s.WrittenAs = name
		}
		s.Earlier, s.Origin, s.Secret = st.earlier, h.origin(st), s.Secret || st.secret
		if global := h.cfg.global.section.set[name]; o.Scope == ScopeInherited && global != nil && global != st {
			s.Origin = FromBoth
		}
		break
	}
	return s
}

// plain turns the value of a default into what a file would say for it. nil is for what no file can say in a word.
func plain(v reflect.Value) any {
	if !v.IsValid() || v.IsZero() && v.Kind() != reflect.Bool && v.Kind() != reflect.Int && v.Kind() != reflect.Int64 && v.Kind() != reflect.Float64 && v.Kind() != reflect.String {
		return nil
	}
	switch x := v.Interface().(type) {
	case time.Duration:
		switch {
		case x == Forever:
			return "never"
		case x%time.Second == 0:
			return int64(x / time.Second)
		}
		return x.Seconds()
	case fmt.Stringer:
		return x.String()
	}
	switch v.Kind() {
	case reflect.Bool:
		return v.Bool()
	case reflect.Int, reflect.Int64:
		return v.Int()
	case reflect.Float64:
		return v.Float()
	case reflect.String:
		if v.String() == "" {
			return nil
		}
		return v.String()
	case reflect.Slice:
		list := make([]any, v.Len())
		for i := range list {
			list[i] = plain(v.Index(i))
		}
		return list
	case reflect.Map:
		m := map[string]any{}
		for it := v.MapRange(); it.Next(); {
			if e := plain(it.Value()); e != nil {
				m[fmt.Sprint(it.Key())] = e
			}
		}
		return m
	case reflect.Struct:
		m := map[string]any{}
		for i := range v.NumField() {
			if e := plain(v.Field(i)); v.Type().Field(i).IsExported() && e != nil && e != false && e != int64(0) {
				m[strings.ToLower(v.Type().Field(i).Name)] = e
			}
		}
		return m
	}
	return nil
}

// SecretSetting tells whether the value of an option is to be hidden from those who look at a configuration: more than
// Secret, since a name that nobody knows may be that of a password.
func SecretSetting(name string) bool {
	if o := registry[name]; o != nil {
		return o.spec().Secret || withPasswords(name)
	}
	return secretName(name) || withPasswords(name)
}

// Redacted stands for what must not be shown.
const Redacted = "(redacted)"

// urlPassword reaches to the last @ before the path, as net/url has it: names and passwords may have one in them.
var urlPassword = regexp.MustCompile(`(://[^/:\s]*):[^/\s]+@`)

// Redact returns the setting without what is secret in it: the value, or in tables such as sql the fields that are; and
// passwords in URLs in any case.
func (s Setting) Redact() Setting {
	_, isTable := s.Value.(map[string]any)
	s.Value = redact(s.Value, s.Secret && !(isTable && withPasswords(s.Name)))
	return s
}

func redact(v any, secret bool) any {
	switch x := v.(type) {
	case string:
		if secret && x != "" {
			return Redacted
		}
		return urlPassword.ReplaceAllString(x, "$1:"+Redacted+"@")
	case []any:
		list := make([]any, len(x))
		for i := range x {
			list[i] = redact(x[i], secret)
		}
		return list
	case map[string]any:
		m := make(map[string]any, len(x))
		for k, e := range x {
			m[k] = redact(e, secret || k != "key" && secretName(strings.ToLower(k))) // key is the path of one
		}
		return m
	}
	return v
}

// Lua writes a value as a configuration would.
func Lua(v any) string {
	switch x := v.(type) {
	case nil:
		return "nil"
	case string:
		return luaString(x)
	case []any:
		if len(x) == 0 {
			return "{}"
		}
		parts := make([]string, len(x))
		for i, e := range x {
			parts[i] = Lua(e)
		}
		return "{ " + strings.Join(parts, ", ") + " }"
	case map[string]any:
		if len(x) == 0 {
			return "{}"
		}
		var parts []string
		for _, k := range slices.Sorted(maps.Keys(x)) {
			parts = append(parts, luaKey(k)+" = "+Lua(x[k]))
		}
		return "{ " + strings.Join(parts, ", ") + " }"
	case float64:
		return formatFloat(x)
	}
	return fmt.Sprint(v)
}

var (
	luaName   = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)
	luaNumber = regexp.MustCompile(`^(0|-?[1-9][0-9]{0,14})$`)
	luaWords  = strings.Fields("and break do else elseif end false for function goto if in local nil not or repeat return then true until while")
)

func luaKey(k string) string {
	switch {
	case luaName.MatchString(k) && !slices.Contains(luaWords, k):
		return k
	case luaNumber.MatchString(k):
		return "[" + k + "]"
	}
	return "[" + luaString(k) + "]"
}

func luaString(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for i := range len(s) {
		switch c := s[i]; {
		case c == '"' || c == '\\':
			b.WriteByte('\\')
			b.WriteByte(c)
		case c == '\n':
			b.WriteString(`\n`)
		case c < ' ' || c == 0x7f:
			fmt.Fprintf(&b, `\%03d`, c)
		default:
			b.WriteByte(c)
		}
	}
	b.WriteByte('"')
	return b.String()
}

// A Change is an option that comes to something else in another configuration. The setting of a side that does not have
// the section is nil.
type Change struct {
	Host string   `json:"host"`
	Name string   `json:"option"`
	Old  *Setting `json:"old"`
	New  *Setting `json:"new"`
}

// A Difference is what is different between two configurations. What changes for all hosts alike is there once, for "*".
type Difference struct {
	HostsGained   []string            `json:"hosts_gained"` // that are served now
	HostsLost     []string            `json:"hosts_lost"`
	Changes       []Change            `json:"changes"`
	ModulesGained map[string][]string `json:"modules_gained"` // by host
	ModulesLost   map[string][]string `json:"modules_lost"`
}

// Empty tells that the two come to the same.
func (d Difference) Empty() bool {
	return len(d.HostsGained)+len(d.HostsLost)+len(d.Changes)+len(d.ModulesGained)+len(d.ModulesLost) == 0
}

// Redact takes the secrets out. A secret that is another one shows as a change all the same.
func (d Difference) Redact() {
	for i := range d.Changes {
		for _, side := range []**Setting{&d.Changes[i].Old, &d.Changes[i].New} {
			if *side != nil {
				s := (*side).Redact()
				*side = &s
			}
		}
	}
}

// Diff compares what two configurations come to.
func Diff(before, after *Config) Difference {
	d := Difference{HostsGained: []string{}, HostsLost: []string{}, Changes: []Change{}, ModulesGained: map[string][]string{}, ModulesLost: map[string][]string{}}
	old, now := views(before), views(after)
	everywhere := map[string]Change{}
	for _, host := range sectionNames(before, after) {
		o, n := old[host], now[host]
		if o.Served != n.Served && n.Served {
			d.HostsGained = append(d.HostsGained, host)
		} else if o.Served != n.Served {
			d.HostsLost = append(d.HostsLost, host)
		}
		if o.Host == "" || n.Host == "" {
			continue // that it is there or not says all
		}
		for _, c := range changes(host, o.Settings, n.Settings) {
			if host == "*" {
				everywhere[c.Name] = c
			} else if g, ok := everywhere[c.Name]; ok && same(g.Old, c.Old) && same(g.New, c.New) {
				continue
			}
			d.Changes = append(d.Changes, c)
		}
		gained, lost := missing(n.Modules, o.Modules), missing(o.Modules, n.Modules)
		if len(gained) > 0 {
			d.ModulesGained[host] = gained
		}
		if len(lost) > 0 {
			d.ModulesLost[host] = lost
		}
	}
	return d
}

func views(c *Config) map[string]View {
	m := map[string]View{}
	for _, v := range c.Views() {
		m[v.Host] = v
	}
	return m
}

// sectionNames are those of both, in the order of the files, those of the first before those that only the second has.
func sectionNames(configs ...*Config) []string {
	names := []string{"*"}
	for _, c := range configs {
		for _, s := range c.sections {
			if !slices.Contains(names, s.host) {
				names = append(names, s.host)
			}
		}
	}
	return names
}

func changes(host string, old, now []Setting) (list []Change) {
	byName := func(settings []Setting) map[string]*Setting {
		m := map[string]*Setting{}
		for i := range settings {
			m[settings[i].Name] = &settings[i]
		}
		return m
	}
	before, after := byName(old), byName(now)
	names := maps.Clone(before)
	maps.Copy(names, after)
	for _, name := range slices.Sorted(maps.Keys(names)) {
		if !same(before[name], after[name]) {
			list = append(list, Change{Host: host, Name: name, Old: before[name], New: after[name]})
		}
	}
	return list
}

func same(a, b *Setting) bool {
	if a == nil || b == nil {
		return a == b
	}
	switch {
	case reflect.DeepEqual(a.Value, b.Value):
		return true
	case a.decoded == nil || b.decoded == nil:
		return false
	}
	bothDefault := a.Origin == FromDefault && b.Origin == FromDefault // where the files are makes no difference
	return bothDefault || reflect.DeepEqual(a.decoded, b.decoded)
}

// missing are the modules of list that others does not have.
func missing(list, others []Module) (names []string) {
	for _, m := range list {
		if !hasModule(others, m.Name) {
			names = append(names, m.Name)
		}
	}
	return names
}
