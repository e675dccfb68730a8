package config

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"rosterd/config/known"
)

// An Explanation is what there is to know about an option or a module, in any configuration.
type Explanation struct {
	Kind     string   `json:"kind"` // "option" or "module"
	Name     string   `json:"name"`
	Meaning  string   `json:"meaning,omitempty"`
	From     string   `json:"from"`                      // rosterd, core, bundled, community or legacy
	Types    []string `json:"types,omitempty"`           // of an option
	Owners   []string `json:"owners,omitempty"`          // modules that read the option
	Scope    string   `json:"scope,omitempty"`           // of an option: host, global, host and global
	Default  string   `json:"default,omitempty"`         // of an option, as a configuration would write it
	Prosodys string   `json:"prosody_default,omitempty"` // the same in Prosody, if that is written differently
	Replaced string   `json:"replaced,omitempty"`        // what replaces it, or "obsolete"
	Here     string   `json:"in_rosterd"`                // what rosterd does with it
	Options  []string `json:"options,omitempty"`         // that the module reads
}

// Explain says what an option or a module is; both, if both have the name. Where nothing has it, the hint is the name that may
// have been meant, or "".
func Explain(name string) (found []Explanation, hint string) {
	if e, ok := explainOption(name); ok {
		found = append(found, e)
	}
	if e, ok := explainModule(name); ok {
		found = append(found, e)
	}
	if _, ours := authProviders[name]; ours { // a value of authentication
		if e, ok := explainModule("auth_" + name); ok {
			found = append(found, e)
		}
	}
	if len(found) == 0 {
		hint = known.Suggest(name, append(optionNamesKnown(), moduleNamesKnown()...))
	}
	return found, hint
}

func explainOption(name string) (Explanation, bool) {
	k, isKnown := known.LookupOption(name)
	o, honoured := registry[name]
	if !isKnown && !honoured {
		return Explanation{}, false
	}
	e := Explanation{Kind: "option", Name: name, From: "rosterd", Here: "it is honoured"}
	if isKnown {
		e.Meaning, e.From, e.Types, e.Owners, e.Default = k.Meaning, k.Origin, k.Types, k.Owners, k.Default
		e.Scope, e.Replaced = ScopeHost.String(), k.Replaced
		if k.GlobalOnly {
			e.Scope = ScopeGlobal.String()
		}
	}
	if !honoured {
		e.Here = "it has no effect: " + foreignEffect(name)
		return e, true
	}
	s := o.spec()
	e.Scope = s.Scope.String()
	if !isKnown {
		e.Types = []string{o.kind()}
		if s.Owner != "" {
			e.Owners = []string{s.Owner}
		}
	}
	if name == s.Name {
		e.Meaning = s.Doc
		if d := o.standard(); d != nil {
			e.Default = Lua(d)
		}
		if k.Default != e.Default {
			e.Prosodys = k.Default
		}
	} else {
		e.Here = "it is read as " + s.Name
		e.Meaning = cmp.Or(e.Meaning, s.Doc)
	}
	if s.Risk == Security {
		e.Here += "; a value that is not understood refuses the start"
	}
	if s.Owner != "" {
		e.Here += fmt.Sprintf("; it has no effect where the module %q is not enabled", s.Owner)
	}
	return e, true
}

func explainModule(name string) (Explanation, bool) {
	k, isKnown := known.LookupModule(name)
	info := moduleInfo(name)
	_, provider := ownProvider(name)
	if _, ours := moduleTable[name]; !isKnown && !ours && !provider {
		return Explanation{}, false
	}
	e := Explanation{Kind: "module", Name: name, Meaning: cmp.Or(k.Meaning, info.doc), From: "rosterd", Here: moduleHere(name), Options: optionsOf(name)}
	if isKnown {
		e.From = "community"
		if k.Bundled {
			e.From = "bundled"
		}
	}
	return e, true
}

// optionsOf are the options that a module reads.
func optionsOf(module string) (list []string) {
	for _, name := range optionNamesKnown() {
		k, _ := known.LookupOption(name)
		o := registry[name]
		if slices.Contains(k.Owners, module) || o != nil && o.spec().Owner == module && o.spec().Name == name {
			list = append(list, name)
		}
	}
	return list
}

// moduleHere says what rosterd makes of a module.
func moduleHere(name string) string {
	info := moduleInfo(name)
	why := info.doc
	for _, table := range []map[string]string{refusals, restrictions} {
		why = cmp.Or(why, table[name])
	}
	if why != "" {
		why = ": " + why
	}
	switch {
	case info.kind == Honoured:
		return "it is available" + why
	case info.kind == Provider:
		return "it is available, and supplies the rosters of its hosts" + why
	case info.kind == Quiet:
		return "it is accepted without effect" + why
	case info.kind == Moot || federation[name]:
		return "it has no effect: " + noFederation
	case refusals[name] != "":
		return "it is not available, and whoever enables it is refused" + why
	case restrictions[name] != "":
		return "it is not available, of which check warns" + why
	}
	if provider, ok := ownProvider(name); ok {
		return fmt.Sprintf("it is available by authentication = %q: %s", provider, authProviders[provider])
	}
	if option, provider, ok := providerModule(name); ok {
		if how := instead[provider]; option == Authentication.Name && how != "" {
			return fmt.Sprintf("it is not available: %s", how)
		}
		return fmt.Sprintf("it is not for modules_enabled: Prosody chooses it by %s = %q", option, provider)
	}
	return "it is not available" + why
}

// providerModule tells which option chooses a module that is not enabled by name.
func providerModule(name string) (option, provider string, ok bool) {
	for _, p := range []struct{ prefix, option string }{{"auth_", "authentication"}, {"storage_", "storage"}, {"authz_", "authorization"}} {
		if provider, ok := strings.CutPrefix(name, p.prefix); ok {
			return p.option, provider, true
		}
	}
	return "", "", false
}

// foreignEffect says why an option has no effect that is not in the registry.
func foreignEffect(name string) string {
	if quietOptions[name] {
		return "it is accepted quietly, since its work is built in or not needed"
	}
	if why := restrictiveOptions[name]; why != "" {
		return why
	}
	o, isKnown := known.LookupOption(name)
	if why, ok := mootOption(name); ok && isKnown {
		return why
	}
	switch {
	case !isKnown:
		return "no module that is known reads it"
	case o.Replaced == "obsolete" || len(o.Owners) == 0:
		return "it is obsolete"
	case slices.Contains(o.Owners, "(core)"):
		return "rosterd does not have this option of Prosody's core"
	}
	for _, m := range o.Owners {
		if kind := moduleInfo(m).kind; kind == Honoured || kind == Provider {
			return fmt.Sprintf("rosterd does not have this option of mod_%s", m)
		}
	}
	return fmt.Sprintf("it belongs to mod_%s, which rosterd does not have", o.Owners[0])
}

// kind is the type of an option, in the words of the known ones.
func (o *Option[T]) kind() string {
	var zero T
	switch any(zero).(type) {
	case bool:
		return "boolean"
	case int:
		return "number"
	case string:
		return "string"
	case time.Duration:
		return "period"
	case []string:
		return "array"
	}
	return "table"
}

// standard is the default of an option as a configuration would write it, in one of which nothing is known. nil is none.
func (o *Option[T]) standard() any {
	return o.effective(bareHost()).Value
}

// bareHost is a VirtualHost of which nothing is said.
func bareHost() *Host {
	c := &Config{Dir: "/etc/prosody", lookup: func(string) (string, bool) { return "", false }}
	c.global = &Host{Name: "*", cfg: c, section: newSection("*", KindGlobal, Pos{}), modules: map[string]Module{}}
	return &Host{Name: "example.com", cfg: c, section: newSection("example.com", KindVirtualHost, Pos{}), modules: maps.Clone(c.global.modules)}
}

// A Place is a setting as the files have it, in one of their sections.
type Place struct {
	Host  string `json:"host"`
	Pos   Pos    `json:"pos"`
	Value any    `json:"value"`
}

// Places are where the files set an option, or where modules_enabled and modules_disabled name a module, whose Value is that
// option. Secrets are left out.
func (c *Config) Places(kind, name string) (list []Place) {
	for _, s := range append([]*section{c.global.section}, c.sections...) {
		if kind == "module" {
			for _, option := range []string{"modules_enabled", "modules_disabled"} {
				for _, m := range moduleList(s, option) {
					if m.Name == name {
						list = append(list, Place{Host: s.host, Pos: m.Pos, Value: option})
					}
				}
			}
			continue
		}
		if st := s.set[name]; st != nil {
			v := Setting{Name: name, Value: finite(st.value.Plain()), Secret: st.secret || SecretSetting(name)}.Redact()
			list = append(list, Place{Host: s.host, Pos: st.pos, Value: v.Value})
		}
	}
	return list
}
